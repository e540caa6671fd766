//! A folder that nothing below it can lead out of.
//!
//! On Linux from 5.6 on, `openat2` with `RESOLVE_BENEATH` lets the kernel refuse every way out, symbolic links to
//! other places and all absolute ones included, while it resolves: there is no moment between a check and its use. Where
//! there is no such call, each folder is opened from the one before without following links, so that no link works at
//! all. Either way an answer is made of the descriptor that was opened, never of a path that could mean something else
//! by then.

use std::fs::File;
use std::io;
use std::path::Path;

use rustix::fd::OwnedFd;
use rustix::fs::{FileType, Mode, OFlags, fstat, open, openat};

/// A descriptor of the folder: it stays the same folder if the path is given to another one.
#[derive(Debug)]
pub(super) struct Root(OwnedFd);

/// What a path leads to.
#[derive(Debug)]
pub(super) enum Found {
    File(File),
    Folder(OwnedFd),
}

/// Reading never waits: opening a named pipe would, for somebody who writes to it.
const READ: OFlags = OFlags::RDONLY.union(OFlags::CLOEXEC).union(OFlags::NONBLOCK).union(OFlags::NOCTTY);

impl Root {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self(open(path, READ | OFlags::DIRECTORY, Mode::empty())?))
    }

    /// Opens what stands below the folder under these names. `None` is nothing that may be served: not there, not
    /// below the folder, neither a file nor a folder. It blocks.
    pub(super) fn find(&self, names: &[String]) -> io::Result<Option<Found>> {
        let opened = match self.open_beneath(names) {
            Err(rustix::io::Errno::NOSYS | rustix::io::Errno::PERM | rustix::io::Errno::INVAL) => {
                self.open_without_links(names)
            }
            opened => opened,
        };
        let fd = match opened {
            Ok(fd) => fd,
            Err(error) if is_absence(error) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        Ok(match FileType::from_raw_mode(fstat(&fd)?.st_mode) {
            FileType::RegularFile => Some(Found::File(fd.into())),
            FileType::Directory => Some(Found::Folder(fd)),
            _ => None,
        })
    }

    #[cfg(target_os = "linux")]
    fn open_beneath(&self, names: &[String]) -> rustix::io::Result<OwnedFd> {
        use rustix::fs::{ResolveFlags, openat2};
        let path = if names.is_empty() { ".".to_owned() } else { names.join("/") };
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        openat2(&self.0, path, READ, Mode::empty(), resolve)
    }
    #[cfg(not(target_os = "linux"))]
    fn open_beneath(&self, _: &[String]) -> rustix::io::Result<OwnedFd> {
        Err(rustix::io::Errno::NOSYS)
    }

    fn open_without_links(&self, names: &[String]) -> rustix::io::Result<OwnedFd> {
        let mut here = openat(&self.0, ".", READ | OFlags::DIRECTORY, Mode::empty())?;
        for name in names {
            here = openat(&here, name, READ | OFlags::NOFOLLOW, Mode::empty())?;
        }
        Ok(here)
    }
}

/// What does not exist for a client: nothing there, a file on the way, a link that leads out or in circles, a name that
/// is too long, a device without a driver. A file that may not be read is a fault of ours, and no absence.
fn is_absence(error: rustix::io::Errno) -> bool {
    use rustix::io::Errno;
    matches!(
        error,
        Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::XDEV | Errno::NAMETOOLONG | Errno::NXIO
    )
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    fn names(path: &str) -> Vec<String> {
        path.split('/').map(str::to_owned).collect()
    }

    /// Checks both ways of opening: whether they find anything.
    #[track_caller]
    fn check(root: &Root, path: &str, beneath: bool, without_links: bool) {
        assert_eq!(root.open_beneath(&names(path)).is_ok(), beneath, "{path}, by the kernel");
        assert_eq!(root.open_without_links(&names(path)).is_ok(), without_links, "{path}, step by step");
    }

    #[test]
    fn no_link_leads_out() {
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("secret"), "secret").unwrap();
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("in")).unwrap();
        fs::write(folder.path().join("in/file"), "file").unwrap();
        symlink(outside.path(), folder.path().join("out")).unwrap();
        symlink(outside.path().join("secret"), folder.path().join("absolute")).unwrap();
        symlink("../../../../../../etc/passwd", folder.path().join("relative")).unwrap();
        symlink("in/file", folder.path().join("inside")).unwrap();
        symlink("loop", folder.path().join("loop")).unwrap();
        let root = Root::open(folder.path()).unwrap();
        check(&root, "in/file", true, true);
        check(&root, "out/secret", false, false);
        check(&root, "absolute", false, false);
        check(&root, "relative", false, false);
        check(&root, "loop", false, false);
        check(&root, "inside", true, false);
    }

    #[test]
    fn devices_and_pipes_are_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = std::process::Command::new("mkfifo").arg(folder.path().join("pipe")).status().unwrap();
        assert!(pipe.success());
        let root = Root::open(folder.path()).unwrap();
        assert!(root.find(&names("pipe")).unwrap().is_none());
        assert!(root.find(&names("nothing")).unwrap().is_none());
        assert!(matches!(root.find(&[]).unwrap(), Some(Found::Folder(_))));
    }
}
