//! A file that was sent: in memory, or from a size on in a temporary file that goes when it goes.
//!
//! Files are written on the runtime's threads for blocking work. A write that is under way owns the file, so that a
//! request that is cancelled meanwhile leaves nothing behind: the file falls with the write.

use std::fmt;
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::Path;

use bytes::{Bytes, BytesMut};
use tempfile::NamedTempFile;

use super::limits::MultipartConfig;
use super::{Part, head};
use crate::error::{Error, Result};

/// Bytes that are gathered for one write to disk.
const WRITE_BYTES: usize = 256 << 10;

/// A file of a [`MultipartForm`](super::MultipartForm). Dropping it deletes it.
pub struct Upload {
    name: String,
    file_name: String,
    content_type: Option<String>,
    len: u64,
    contents: Contents,
}

enum Contents {
    Memory(Bytes),
    Disk(NamedTempFile),
}

impl Upload {
    /// The name of its field.
    pub fn name(&self) -> &str {
        &self.name
    }
    /// Its own name, as the client says. **Never a path to write to**: it may be `../../etc/passwd`.
    pub fn file_name(&self) -> &str {
        &self.file_name
    }
    /// The last part of its name, without anything that means something to a file system; `None` if nothing is left.
    /// Two clients may send one name.
    pub fn safe_file_name(&self) -> Option<String> {
        head::safe_file_name(&self.file_name)
    }
    /// What the client says the contents are; it proves nothing.
    pub fn content_type(&self) -> Option<&str> {
        self.content_type.as_deref()
    }
    /// Its size in bytes.
    pub fn len(&self) -> u64 {
        self.len
    }
    /// Whether it has no contents.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
    /// Where it is on disk; `None` if it is in memory. The path is good until the upload is dropped.
    pub fn path(&self) -> Option<&Path> {
        match &self.contents {
            Contents::Memory(_) => None,
            Contents::Disk(file) => Some(file.path()),
        }
    }
    /// The contents, in memory: at most [`MultipartConfig::part_bytes`](super::MultipartConfig::part_bytes).
    ///
    /// # Errors
    /// 500 if the temporary file cannot be read.
    ///
    /// # Cancel safety
    /// Safe: it changes nothing.
    pub async fn bytes(&self) -> Result<Bytes> {
        match &self.contents {
            Contents::Memory(bytes) => Ok(bytes.clone()),
            Contents::Disk(file) => {
                let path = file.path().to_owned();
                let read = move || std::fs::read(path).map(Bytes::from);
                tokio::task::spawn_blocking(read).await?.map_err(Error::from)
            }
        }
    }
    /// Moves it to `path`, which must not exist yet: a client's file replaces nothing. On the same file system that is
    /// a rename. The file is readable for this process's user alone.
    ///
    /// # Errors
    /// [`io::ErrorKind::AlreadyExists`] if there is something at `path`, and what the file system says.
    ///
    /// # Cancel safety
    /// A move that is under way goes on; whether it succeeded is unknown then.
    pub async fn save(self, path: impl AsRef<Path>) -> io::Result<()> {
        let path = path.as_ref().to_owned();
        tokio::task::spawn_blocking(move || self.contents.save(&path)).await.map_err(io::Error::other)?
    }

    /// Reads a part to its end.
    pub(super) async fn receive(mut part: Part<'_>, limits: &MultipartConfig) -> Result<Self> {
        let mut received = Received { limits, file: None, gathered: BytesMut::new() };
        let mut len = 0;
        while let Some(chunk) = part.chunk().await? {
            len += chunk.len() as u64;
            received.add(&chunk).await?;
        }
        let contents = received.finish().await?;
        let content_type = part.content_type().map(str::to_owned);
        let head::Head { name, file_name, .. } = part.head;
        Ok(Self { name, file_name: file_name.unwrap_or_default(), content_type, len, contents })
    }
    /// What a browser sends for a file input in which nothing was chosen.
    pub(super) fn is_nothing(&self) -> bool {
        self.file_name.is_empty() && self.is_empty()
    }
}

impl fmt::Debug for Upload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upload")
            .field("name", &self.name)
            .field("file_name", &self.file_name)
            .field("content_type", &self.content_type)
            .field("len", &self.len)
            .field("path", &self.path())
            .finish_non_exhaustive()
    }
}

impl Contents {
    fn save(self, path: &Path) -> io::Result<()> {
        match self {
            Self::Memory(bytes) => write_new(path, |file| file.write_all(&bytes)),
            Self::Disk(file) => match file.persist_noclobber(path) {
                Ok(_) => Ok(()),
                Err(failed) if failed.error.kind() == io::ErrorKind::CrossesDevices => {
                    let mut from = failed.file.reopen()?;
                    write_new(path, |to| io::copy(&mut from, to).map(drop))
                }
                Err(failed) => Err(failed.error),
            },
        }
    }
}

/// Writes a file that did not exist; if that fails it does not exist afterwards.
fn write_new(path: &Path, write: impl FnOnce(&mut std::fs::File) -> io::Result<()>) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    write(&mut file).inspect_err(|_| {
        let _ = std::fs::remove_file(path);
    })
}

/// A file that is arriving.
struct Received<'a> {
    limits: &'a MultipartConfig,
    file: Option<NamedTempFile>,
    gathered: BytesMut,
}

impl Received<'_> {
    async fn add(&mut self, chunk: &[u8]) -> Result<()> {
        self.gathered.extend_from_slice(chunk);
        let room = if self.file.is_some() { WRITE_BYTES } else { self.limits.memory_bytes };
        if self.gathered.len() > room { self.write().await } else { Ok(()) }
    }
    /// Moves what is gathered to disk. The file goes along, and falls there if we are cancelled here.
    async fn write(&mut self) -> Result<()> {
        let (file, bytes) = (self.file.take(), self.gathered.split());
        let folder = self.limits.temp_dir.clone();
        let write = move || {
            let mut file = match (file, folder) {
                (Some(file), _) => file,
                (None, Some(folder)) => NamedTempFile::new_in(folder)?,
                (None, None) => NamedTempFile::new()?,
            };
            file.write_all(&bytes)?;
            io::Result::Ok(file)
        };
        self.file = Some(tokio::task::spawn_blocking(write).await??);
        Ok(())
    }
    async fn finish(mut self) -> Result<Contents> {
        if self.file.is_some() && !self.gathered.is_empty() {
            self.write().await?;
        }
        Ok(match self.file {
            Some(file) => Contents::Disk(file),
            None => Contents::Memory(self.gathered.freeze()),
        })
    }
}

/// The files of a [`MultipartForm`](super::MultipartForm), in the order in which they were sent.
#[derive(Debug, Default)]
pub struct Files(Vec<Upload>);

impl Files {
    pub(super) fn push(&mut self, file: Upload) {
        self.0.push(file);
    }
    /// The first file of this field.
    pub fn get(&self, name: &str) -> Option<&Upload> {
        self.0.iter().find(|file| file.name == name)
    }
    /// Takes the first file of this field out.
    pub fn take(&mut self, name: &str) -> Option<Upload> {
        let at = self.0.iter().position(|file| file.name == name)?;
        Some(self.0.remove(at))
    }
    /// Takes all files of this field out.
    pub fn take_all(&mut self, name: &str) -> Vec<Upload> {
        self.0.extract_if(.., |file| file.name == name).collect()
    }
    /// All files.
    pub fn iter(&self) -> std::slice::Iter<'_, Upload> {
        self.0.iter()
    }
    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl IntoIterator for Files {
    type Item = Upload;
    type IntoIter = std::vec::IntoIter<Upload>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a> IntoIterator for &'a Files {
    type Item = &'a Upload;
    type IntoIter = std::slice::Iter<'a, Upload>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}
