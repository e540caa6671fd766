//! Runs that are kept, and what became of a service over them.
//!
//! A run is one JSON file in a directory, so that it can be committed, copied and thrown away with ordinary tools. Reading
//! and writing is here; [`mod@history`] is pure.
//!
//! Left out: locking (a file is written once, under a name of its own) and deleting.

mod history;

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use history::{Change, History, Point, history};

use crate::compare::{Block, Metric, level};
use crate::report::Fact;
use crate::signals::series::SignalSeries;

/// Grows when a field changes its meaning.
pub const SCHEMA: u32 = 1;
/// Runs that are read at most, the newest first.
pub const MAX_RUNS: usize = 2_000;
/// A larger file is no run.
const MAX_BYTES: u64 = 64 << 20;
/// Characters of a label in a file's name.
const MAX_LABEL: usize = 40;

/// One run: what was measured, where, and of what.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StoredRun {
    /// [`SCHEMA`] of the program that wrote it.
    pub schema: u32,
    /// When it began, seconds since 1970-01-01 UTC.
    pub at_s: u64,
    /// What was tested: a build, a commit, a configuration.
    pub label: String,
    /// Runs are compared only within one series: the same request and the same load.
    pub series: String,
    /// The command line that repeats it.
    pub command: String,
    /// Kernel, processor, commit, compiler, versions.
    pub environment: Vec<Fact>,
    /// What each block measured.
    pub blocks: Vec<Block>,
    /// What was seen inside the build meanwhile; none where nobody looked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signals: Option<SignalSeries>,
}

impl StoredRun {
    /// The run's value of a metric; none where it was not measured or does not count.
    pub fn value(&self, metric: Metric) -> Option<f64> {
        level(self.blocks.iter().filter(|block| block.invalid.is_empty()), metric)
    }

    /// A fact of its environment.
    pub fn fact(&self, name: &str) -> Option<&str> {
        self.environment.iter().find(|fact| fact.name == name).map(|fact| fact.value.as_str())
    }
}

/// Why a run could not be kept or read.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file or directory.
    #[error("{path}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is no run.
    #[error("{path} is no stored run: {why}")]
    Format {
        /// Which.
        path: PathBuf,
        /// Why.
        why: String,
    },
}

/// A directory of runs.
#[derive(Debug, Clone)]
pub struct Store {
    dir: PathBuf,
}

impl Store {
    /// The directory is made when the first run is kept.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    /// Keeps a run under a name of its own, and returns that. The file appears whole or not at all.
    ///
    /// # Errors
    /// When the directory or the file cannot be written.
    pub fn keep(&self, run: &StoredRun) -> Result<PathBuf, StoreError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| StoreError::File { path, source }
        };
        fs::create_dir_all(&self.dir).map_err(failed(&self.dir))?;
        let json = serde_json::to_string(run).expect("plain data with string keys always serialises");
        let name = format!("{:012}-{}", run.at_s, slug(&run.label));
        for number in 0..1000 {
            let path = self.dir.join(format!("{name}-{number:02}.json"));
            let part = self.dir.join(format!(".{name}-{number:02}.part"));
            let file = fs::OpenOptions::new().write(true).create_new(true).open(&part);
            match file {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                Err(error) => return Err(failed(&part)(error)),
                Ok(_) if path.exists() => {
                    let _ = fs::remove_file(&part);
                    continue;
                }
                Ok(mut file) => file.write_all(json.as_bytes()).map_err(failed(&part))?,
            }
            fs::rename(&part, &path).map_err(failed(&path))?;
            return Ok(path);
        }
        Err(failed(&self.dir)(io::Error::other("there are a thousand runs of this second and label already")))
    }

    /// The newest [`MAX_RUNS`] runs, the oldest of them first, and what could not be read. A directory that does not exist has
    /// no runs.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn runs(&self) -> Result<(Vec<StoredRun>, Vec<StoreError>), StoreError> {
        let entries = match fs::read_dir(&self.dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((Vec::new(), Vec::new())),
            Err(source) => return Err(StoreError::File { path: self.dir.clone(), source }),
            Ok(entries) => entries,
        };
        let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
        paths.sort();
        let skipped = paths.len().saturating_sub(MAX_RUNS);
        let (mut runs, mut unread) = (Vec::new(), Vec::new());
        for path in &paths[skipped..] {
            match read(path) {
                Ok(run) => runs.push(run),
                Err(error) => unread.push(error),
            }
        }
        runs.sort_by_key(|run| run.at_s);
        Ok((runs, unread))
    }
}

/// Reads one run.
///
/// # Errors
/// When the file cannot be read, or is no run.
pub fn read(path: &Path) -> Result<StoredRun, StoreError> {
    let failed = |source| StoreError::File { path: path.to_owned(), source };
    let size = fs::metadata(path).map_err(failed)?.len();
    let format = |why: String| StoreError::Format { path: path.to_owned(), why };
    if size > MAX_BYTES {
        return Err(format(format!("it has {size} bytes, and a run at most {MAX_BYTES}")));
    }
    let text = fs::read_to_string(path).map_err(failed)?;
    let run: StoredRun = serde_json::from_str(&text).map_err(|error| format(error.to_string()))?;
    if run.schema > SCHEMA {
        return Err(format(format!("it has schema {}, and this program knows {SCHEMA}", run.schema)));
    }
    Ok(run)
}

/// A label as a part of a file's name.
fn slug(label: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '.' { c.to_ascii_lowercase() } else { '-' };
    let slug: String = label.chars().take(MAX_LABEL).map(plain).collect();
    let slug = slug.trim_matches(['-', '.']).to_owned();
    if slug.is_empty() { "run".into() } else { slug }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    pub(super) fn run(at_s: u64, label: &str, p99: f64) -> StoredRun {
        let block = Block { values: BTreeMap::from([(Metric::P99, p99)]), ..Block::default() };
        StoredRun {
            schema: SCHEMA,
            at_s,
            label: label.into(),
            series: "GET /".into(),
            command: "seawall lab compare".into(),
            environment: vec![Fact { name: "Kernel".into(), value: "6.18".into() }],
            blocks: vec![block],
            signals: None,
        }
    }

    #[test]
    fn what_is_kept_is_read_back_oldest_first() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(dir.path().join("runs"));
        assert!(store.runs().unwrap().0.is_empty(), "a directory that is not there yet");
        let (new, old) = (run(20, "main ✓ 1.2", 5.0), run(10, "main", 4.0));
        store.keep(&new).unwrap();
        store.keep(&old).unwrap();
        assert_eq!(store.runs().unwrap().0, [old, new]);
    }
    #[test]
    fn two_runs_of_one_second_have_two_files() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(dir.path());
        let names = [store.keep(&run(1, "a", 1.0)).unwrap(), store.keep(&run(1, "a", 2.0)).unwrap()];
        assert_ne!(names[0], names[1]);
        assert_eq!(store.runs().unwrap().0.len(), 2);
    }
    #[test]
    fn a_label_cannot_leave_the_directory() {
        let dir = tempfile::tempdir().unwrap();
        let path = Store::new(dir.path()).keep(&run(1, "../../etc/passwd", 1.0)).unwrap();
        assert_eq!(path.parent(), Some(dir.path()));
        assert_eq!(slug("///"), "run");
    }
    #[test]
    fn a_file_that_is_no_run_is_named_and_the_rest_is_read() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("x.json"), "{}").unwrap();
        let store = Store::new(dir.path());
        store.keep(&run(1, "a", 1.0)).unwrap();
        let (runs, unread) = store.runs().unwrap();
        assert_eq!((runs.len(), unread.len()), (1, 1));
        assert!(unread[0].to_string().contains("x.json is no stored run"));
    }
    #[test]
    fn a_run_of_a_newer_program_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path =
            Store::new(dir.path()).keep(&StoredRun { schema: SCHEMA + 1, ..run(1, "a", 1.0) }).unwrap();
        assert!(read(&path).unwrap_err().to_string().contains("this program knows"));
    }
    #[test]
    fn blocks_that_do_not_count_have_no_value() {
        let mut run = run(1, "a", 3.0);
        assert_eq!(run.value(Metric::P99), Some(3.0));
        run.blocks[0].invalid.push("late".into());
        assert_eq!(run.value(Metric::P99), None);
    }
}
