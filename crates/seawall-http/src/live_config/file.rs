//! A file that is followed: what to make of what is found, purely, and the thread that looks.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::text::Format;
use super::{LiveConfigError, Shared};

/// Between two looks.
const EVERY: Duration = Duration::from_secs(1);
/// The most bytes of a file.
const MOST_BYTES: u64 = 1 << 20;

/// Content, or why there is none.
type Found = Result<String, String>;

/// What is known of the file.
#[derive(Debug)]
struct Known {
    last_look: Found,
    /// The content that was taken over, or refused, last.
    dealt_with: String,
    /// What was last said of a file that cannot be read.
    told: Option<String>,
}

/// What is to be done after a look.
#[derive(Debug, PartialEq, Eq)]
enum News {
    Content(String),
    Unreadable(String),
}

impl Known {
    fn new(text: String) -> Self {
        Self { last_look: Ok(text.clone()), dealt_with: text, told: None }
    }

    /// News that two looks agree on: who writes a file in pieces is not disturbed.
    fn look(&mut self, found: Found) -> Option<News> {
        if self.last_look != found {
            self.last_look = found;
            return None;
        }
        match &self.last_look {
            Ok(text) => {
                self.told = None;
                (self.dealt_with != *text).then(|| {
                    self.dealt_with.clone_from(text);
                    News::Content(text.clone())
                })
            }
            Err(problem) => (self.told.as_ref() != Some(problem)).then(|| {
                self.told = Some(problem.clone());
                News::Unreadable(problem.clone())
            }),
        }
    }
}

/// Takes over what is in the file, and follows it on a thread of its own.
///
/// # Errors
/// If it cannot be read or is refused, or if there is a follower already.
pub(super) fn follow<T>(shared: &Arc<Shared<T>>, path: &Path) -> Result<(), LiveConfigError>
where
    T: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    let wrong = |problem: String| LiveConfigError::File { path: path.to_owned(), problem };
    let format = match path.extension().and_then(|extension| extension.to_str()) {
        Some("json") => Format::Json,
        Some("toml") => Format::Toml,
        _ => return Err(wrong("its name must end with .json or .toml".to_owned())),
    };
    if shared.follower.get().is_some() {
        return Err(wrong("a file is followed already, and there can be one".to_owned()));
    }
    let text = read(path).map_err(wrong)?;
    let by = path.display().to_string();
    shared.set_text(format, &text, &by)?;
    let (stop, stopped) = sync_channel(0);
    if shared.follower.set(stop).is_err() {
        return Err(wrong("a file is followed already, and there can be one".to_owned()));
    }
    let follower = Follower {
        shared: Arc::downgrade(shared),
        path: path.to_owned(),
        by,
        format,
        known: Known::new(text),
        stopped,
    };
    let thread = thread::Builder::new().name("seawall-config".to_owned());
    thread.spawn(move || follower.run()).map_err(|error| wrong(error.to_string()))?;
    Ok(())
}

struct Follower<T> {
    shared: Weak<Shared<T>>,
    path: PathBuf,
    by: String,
    format: Format,
    known: Known,
    stopped: Receiver<()>,
}

impl<T: Serialize + DeserializeOwned + Send + Sync + 'static> Follower<T> {
    /// Until the last handle is dropped.
    fn run(mut self) {
        while self.stopped.recv_timeout(EVERY) == Err(RecvTimeoutError::Timeout) {
            let news = self.known.look(read(&self.path));
            let Some(shared) = self.shared.upgrade() else { return };
            match news {
                Some(News::Content(text)) => {
                    // Whether it is taken over or refused, it has been logged.
                    let _ = shared.set_text(self.format, &text, &self.by);
                }
                Some(News::Unreadable(problem)) => {
                    let _ = shared.counted(Err(()));
                    let config = &shared.name;
                    tracing::warn!(config, file = self.by, problem, "the configuration stays as it was");
                }
                None => {}
            }
        }
    }
}

fn read(path: &Path) -> Found {
    let said = |error: std::io::Error| error.to_string();
    // Before it is opened: to open a pipe would wait for whoever writes into it.
    if !fs::metadata(path).map_err(said)?.is_file() {
        return Err("it is no file".to_owned());
    }
    let file = File::open(path).map_err(said)?;
    let mut bytes = Vec::new();
    file.take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(said)?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err("it has more than 1 MiB".to_owned());
    }
    String::from_utf8(bytes).map_err(|_| "it is no text in UTF-8".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(text: &str) -> Option<News> {
        Some(News::Content(text.to_owned()))
    }

    #[test]
    fn new_content_counts_when_two_looks_agree() {
        let mut known = Known::new("a".to_owned());
        let mut look = |text: &str| known.look(Ok(text.to_owned()));
        assert_eq!(["a", "a", "", "b", "b!"].map(&mut look), [None, None, None, None, None]);
        assert_eq!(look("b!"), content("b!"));
        assert_eq!(["b!", "b!", "a"].map(&mut look), [None, None, None]);
        assert_eq!(look("a"), content("a"));
    }

    #[test]
    fn a_file_that_is_away_is_told_once() {
        let mut known = Known::new("a".to_owned());
        let away = || Err("away".to_owned());
        assert_eq!(known.look(away()), None);
        assert_eq!(known.look(away()), Some(News::Unreadable("away".to_owned())));
        assert_eq!(known.look(away()), None);
        assert_eq!([known.look(Ok("a".to_owned())), known.look(Ok("a".to_owned()))], [None, None]);
        assert_eq!(known.look(away()), None);
        assert_eq!(known.look(away()), Some(News::Unreadable("away".to_owned())));
    }

    #[test]
    fn a_folder_and_a_large_file_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(read(folder.path()), Err("it is no file".to_owned()));
        let large = folder.path().join("large.toml");
        fs::write(&large, "#".repeat((1 << 20) + 1)).unwrap();
        assert_eq!(read(&large), Err("it has more than 1 MiB".to_owned()));
    }
}
