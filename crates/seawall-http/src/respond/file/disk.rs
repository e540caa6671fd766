//! Files off the workers: opening and reading block, so they run on the runtime's threads for that.
//!
//! At most [`AT_ONCE`] such calls run in the whole process; further ones wait their turn. A file up to [`SMALL`] is
//! read as it is opened; a larger one piece by piece while it is sent, so that an answer holds three pieces at most.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use tokio::sync::Semaphore;

use super::range::Span;
use crate::error::{Error, Result};
use crate::respond::BodyWriter;

/// Blocking calls on files at once. The process's, not a worker's: the disk is one.
const AT_ONCE: usize = 64;
static TURNS: Semaphore = Semaphore::const_new(AT_ONCE);

/// Bytes of a file that is read in one go.
const SMALL: u64 = 64 << 10;
/// Bytes read at once of a larger one.
const PIECE: u64 = 64 << 10;

/// A regular file, open.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(super) content: Content,
    pub(super) len: u64,
    pub(super) modified: SystemTime,
}

/// Where the bytes are.
#[derive(Debug)]
pub(crate) enum Content {
    Memory(Bytes),
    Disk(Arc<File>),
}

/// Opens a file. What is no regular file does not exist for clients.
///
/// # Errors
/// 404 for what is not there or is no file; 500 with the path for the log for everything else.
///
/// # Cancel safety
/// Safe: a file whose opening was cancelled is closed again.
pub(super) async fn open(path: PathBuf) -> Result<Opened> {
    let shown = path.clone();
    let opened = blocking(move || open_now(path)).await?;
    opened.map_err(|error| match error.kind() {
        // A name with a NUL, or one that is too long, names nothing either.
        io::ErrorKind::NotFound
        | io::ErrorKind::NotADirectory
        | io::ErrorKind::IsADirectory
        | io::ErrorKind::InvalidFilename
        | io::ErrorKind::InvalidInput => Error::not_found("Not Found").source(error),
        _ => Error::internal(format!("cannot open {}: {error}", shown.display())),
    })
}

fn open_now(path: PathBuf) -> io::Result<Opened> {
    // Looked at before it is opened: opening a named pipe would wait for somebody to write to it.
    if !fs::metadata(&path)?.is_file() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    read_first(File::open(&path)?)
}

/// A regular file that somebody has opened: its facts, and its bytes if they are few. It blocks.
pub(crate) fn read_first(file: File) -> io::Result<Opened> {
    let facts = file.metadata()?;
    let (len, modified) = (facts.len(), facts.modified()?);
    if len > SMALL {
        return Ok(Opened { content: Content::Disk(Arc::new(file)), len, modified });
    }
    let mut bytes = Vec::with_capacity(usize::try_from(len).expect("a small number"));
    file.take(len).read_to_end(&mut bytes)?;
    Ok(Opened { len: bytes.len() as u64, content: Content::Memory(bytes.into()), modified })
}

/// Writes a part of a file.
///
/// # Errors
/// If the client is gone, the file cannot be read, or it has become shorter.
pub(super) async fn copy(file: &Arc<File>, span: Span, out: &mut BodyWriter) -> Result<()> {
    let mut at = span.start;
    while at < span.end {
        let (file, length) = (Arc::clone(file), (span.end - at).min(PIECE));
        let piece = blocking(move || {
            let mut piece = vec![0; usize::try_from(length).expect("at most one piece")];
            file.read_exact_at(&mut piece, at).map(|()| piece)
        });
        out.write(piece.await??).await?;
        at += length;
    }
    Ok(())
}

/// Runs `work` on a thread where it may block, when it is its turn. The turn lasts as long as the work, even if nobody
/// waits for it any more.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    let turn = TURNS.acquire().await.expect("nobody closes it");
    let done = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        work()
    });
    Ok(done.await?)
}
