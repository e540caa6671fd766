//! The same bytes to our server and to a bare hyper: which requests does each see, and with what in them?
//!
//! The two must see the same requests: method, target and body, one after the other, until the connection ends. Ours may
//! stop earlier than hyper, for a reason that `rules.rs` lists, and has to say so to the client. It may never go on where
//! hyper stops, nor read a request in another way.

mod bare;
mod rules;

use std::io::Write as _;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

use seawall_http::{App, Context, Next, ServerConfig};

use crate::live::{LIMIT, Live};
use crate::wire::{leave_at_once, parse, read_all, shown};
use bare::Bare;

/// A request that was read to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    method: String,
    target: String,
    body: Vec<u8>,
}

/// What a server has seen since it was last asked.
#[derive(Debug, Clone, Default)]
struct Log(Arc<Mutex<Vec<Seen>>>);

impl Log {
    fn add(&self, method: &http::Method, uri: &http::Uri, body: &[u8]) {
        // The host of an absolute target shows elsewhere; here it must not matter who keeps it in the URI.
        let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
        let target = format!("{}{query}", uri.path());
        let seen = Seen { method: method.to_string(), target, body: body.to_vec() };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(seen);
    }
    fn take(&self) -> Vec<Seen> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Both servers.
pub(crate) struct Pair {
    ours: Live,
    seen: Log,
    bare: Bare,
}

impl Pair {
    pub(crate) fn start() -> Self {
        let seen = Log::default();
        let log = seen.clone();
        let app = App::new().pre(move |c: Context, _: Next| {
            let log = log.clone();
            async move {
                let body = c.body().await?;
                log.add(c.method(), c.uri(), &body);
                c.text(200, "seen")
            }
        });
        let ours = Live::with(app, ServerConfig { workers: Some(1), ..ServerConfig::default() });
        Self { ours, seen, bare: Bare::start() }
    }

    /// Sends `bytes` to both, torn at `cuts`, and compares what they saw.
    ///
    /// # Errors
    /// The difference, if no rule allows it.
    pub(crate) fn compare(&self, bytes: &[u8], cuts: &[usize]) -> Result<(), String> {
        let (theirs, _) = self.bare_sees(bytes, cuts)?;
        let (ours, statuses) = exchange(self.ours.addr, &self.seen, bytes, cuts)?;
        if ours == theirs {
            return Ok(());
        }
        let problem = |what: &str| {
            Err(format!(
                "{what}\n  bytes: {}\n  ours: {ours:?} {statuses:?}\n  hyper: {theirs:?}",
                shown(bytes)
            ))
        };
        if !theirs.starts_with(&ours) {
            return problem("read in another way");
        }
        let refused = statuses.get(ours.len()).copied();
        let request = self.request(bytes, ours.len())?;
        match rules::reason(request, refused) {
            Some(_) => Ok(()),
            None => problem(&format!("refused without a rule: {}", shown(request))),
        }
    }

    /// How many requests hyper sees in these bytes.
    #[allow(dead_code, reason = "the fuzzer has no use for it")]
    pub(crate) fn seen_by_hyper(&self, bytes: &[u8]) -> usize {
        self.bare_sees(bytes, &[]).map_or(0, |(seen, _)| seen.len())
    }

    fn bare_sees(&self, bytes: &[u8], cuts: &[usize]) -> Result<(Vec<Seen>, Vec<u16>), String> {
        exchange(self.bare.addr(), self.bare.log(), bytes, cuts)
    }

    /// The bytes that hyper takes for its request `number`: between the shortest inputs in which it sees so many, and
    /// one more.
    fn request<'a>(&self, bytes: &'a [u8], number: usize) -> Result<&'a [u8], String> {
        let (begin, end) = (self.shortest(bytes, number)?, self.shortest(bytes, number + 1)?);
        Ok(&bytes[begin..end])
    }

    fn shortest(&self, bytes: &[u8], requests: usize) -> Result<usize, String> {
        let (mut short, mut long) = (0, bytes.len());
        while short < long {
            let middle = usize::midpoint(short, long);
            let (seen, _) = self.bare_sees(&bytes[..middle], &[])?;
            if seen.len() < requests { short = middle + 1 } else { long = middle }
        }
        Ok(short)
    }
}

/// Sends it all, ends the sending, and listens to the end: what the server saw, and the statuses of its answers but 100.
fn exchange(
    addr: SocketAddr,
    log: &Log,
    bytes: &[u8],
    cuts: &[usize],
) -> Result<(Vec<Seen>, Vec<u16>), String> {
    let failed = |error: std::io::Error| format!("{error} with {}", shown(bytes));
    let mut stream = TcpStream::connect(addr).map_err(failed)?;
    stream.set_read_timeout(Some(LIMIT)).map_err(failed)?;
    stream.set_nodelay(true).map_err(failed)?;
    let mut sent = 0;
    for cut in cuts.iter().copied().chain([bytes.len()]) {
        let cut = cut.clamp(sent, bytes.len());
        // A server that has refused takes no more.
        let _ = stream.write_all(&bytes[sent..cut]);
        sent = cut;
    }
    let _ = stream.shutdown(Shutdown::Write);
    let (answers, _) = read_all(&mut stream)?;
    leave_at_once(&stream);
    let seen = log.take();
    // Which answers have no body, mutated bytes do not tell; the requests that were seen do.
    let heads: Vec<_> = seen.iter().map(|seen| seen.method == "HEAD").collect();
    let (answers, _) = parse(&answers, &heads)?;
    let statuses = answers.into_iter().map(|answer| answer.status);
    Ok((seen, statuses.filter(|status| *status != 100).collect()))
}

/// Compares on servers that last as long as the process.
#[allow(dead_code, reason = "the fuzzer's way in")]
pub(crate) fn compare_on_shared(bytes: &[u8]) {
    static PAIR: std::sync::OnceLock<Pair> = std::sync::OnceLock::new();
    if let Err(problem) = PAIR.get_or_init(Pair::start).compare(bytes, &[]) {
        panic!("{problem}");
    }
}
