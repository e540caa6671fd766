//! Many connections held open: what each costs in memory, and what a request on each costs when it has long been idle.
//!
//! One server after the other, each in a fresh process. Resident memory only: what the kernel keeps for a socket is the
//! same for all.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::super::process::Server;
use super::super::stats::{Random, most};
use super::answers::{Client, request};
use super::cases::Case;
use super::servers::{Program, Servers};
use crate::clock;

/// Connections of each case, where the limit on open files allows it.
const IDLE: u64 = 20_000;
const WEBSOCKETS: u64 = 10_000;
/// Left for what else has a descriptor.
const SPARE: u64 = 200;
/// Between the last answer and the look at memory: buffers are given back by then, or never.
const SETTLE: Duration = Duration::from_millis(500);
/// Used and closed before the connections that count, so that what a process takes once is not counted as theirs.
const WARM_UP: u32 = 64;
/// Idle connections that are used again at once.
const TOGETHER: usize = 64;
/// A connection takes and gives a message of so many bytes.
const MESSAGE: &[u8; 5] = b"hello";
const TEXT: u8 = 0x81;
const PING: u8 = 0x89;

/// What holding them has cost.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Held {
    pub(super) connections: u32,
    pub(super) rss_kib: f64,
    pub(super) kib_each: f64,
    /// Of the requests on connections that had been idle.
    pub(super) cpu_us: f64,
    pub(super) user_us: f64,
    pub(super) p99_us: f64,
    pub(super) rps: f64,
}

/// How many of them a process with this limit on open files can hold. Our own default cap is 0.8 of the limit.
pub(super) fn connections(case: Case, open_files: u64) -> u32 {
    let wanted = if case == Case::Websockets { WEBSOCKETS } else { IDLE };
    u32::try_from(wanted.min((open_files / 5 * 4).saturating_sub(SPARE))).expect("20,000 at most")
}

/// Opens the connections on a fresh server, uses each, looks at its memory, and uses each once more.
pub(super) fn hold(servers: &Servers, program: &Program, case: Case, connections: u32) -> Result<Held> {
    let server = servers.start(program, case.app(), Stdio::null())?;
    drop(open(&server, case, WARM_UP)?);
    std::thread::park_timeout(SETTLE);
    let before = server.rss_kib()?;
    let mut clients = open(&server, case, connections)?;
    std::thread::park_timeout(SETTLE);
    let rss_kib = server.rss_kib()?;

    let (cpu, start) = (server.cpu()?, clock::now());
    let mut micros = Vec::with_capacity(clients.len());
    // In no order, as idle clients come back, and some at a time: alone each would wake the server once more.
    Random(0x2545_f491_4f6c_dd1d).shuffle(&mut clients);
    for together in clients.chunks_mut(TOGETHER) {
        let mut sent = Vec::with_capacity(TOGETHER);
        for client in &mut *together {
            sent.push(clock::now());
            ask(client, case)?;
        }
        for (client, sent) in together.iter_mut().zip(sent) {
            take(client, case).context("a connection that was idle")?;
            micros.push((clock::now() - sent).as_secs_f64() * 1e6);
        }
    }
    let (took, spent) = ((clock::now() - start).as_secs_f64(), server.cpu()?.since(cpu));
    let each = |nanos: f64| nanos / 1e3 / f64::from(connections);
    Ok(Held {
        connections,
        rss_kib,
        kib_each: (rss_kib - before) / f64::from(connections),
        cpu_us: each(spent.total_nanos),
        user_us: each(spent.total_nanos * spent.user_share()),
        p99_us: percentile_99(micros),
        rps: f64::from(connections) / took,
    })
}

fn open(server: &Server, case: Case, connections: u32) -> Result<Vec<Client>> {
    let open = |at| {
        let mut client = Client::connect(server.port())?;
        if case == Case::Websockets {
            shake_hands(&mut client)?;
        }
        ask(&mut client, case)?;
        take(&mut client, case).with_context(|| format!("connection {at} of {connections}"))?;
        Ok(client)
    };
    (1..=connections).map(open).collect()
}

/// The key and its answer are those of RFC 6455.
fn shake_hands(client: &mut Client) -> Result<()> {
    let headers = [
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ];
    client.send(&request("/ws", &headers))?;
    let answer = client.receive()?;
    ensure!(answer.status == 101, "/ws answers {}, not 101", answer.status);
    let accept = answer.field("sec-websocket-accept");
    ensure!(accept == Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "a wrong Sec-WebSocket-Accept");
    Ok(())
}

/// Sends a request, or a message that is masked with zeros.
fn ask(client: &mut Client, case: Case) -> Result<()> {
    if case == Case::Websockets {
        let head = [TEXT, 0x80 | MESSAGE.len() as u8, 0, 0, 0, 0];
        return client.send(&[head.as_slice(), MESSAGE].concat());
    }
    let exchange = case.exchange();
    client.send(&request(exchange.path, exchange.headers))
}

/// Reads its answer, or the message that comes back; a ping that comes before it is passed over.
fn take(client: &mut Client, case: Case) -> Result<()> {
    if case != Case::Websockets {
        let answer = client.receive()?;
        ensure!(answer.status == 200, "answers {}, not 200", answer.status);
        return Ok(());
    }
    loop {
        let [kind, length] = client.exactly()?;
        if kind == TEXT && usize::from(length) == MESSAGE.len() {
            let came: [u8; MESSAGE.len()] = client.exactly()?;
            ensure!(came == *MESSAGE, "another message came back");
            return Ok(());
        }
        ensure!(kind == PING && length == 0, "a frame {kind:#x} of {length} bytes, where a message was due");
    }
}

fn percentile_99(mut micros: Vec<f64>) -> f64 {
    micros.sort_by(f64::total_cmp);
    micros.get(micros.len() * 99 / 100).copied().unwrap_or_else(|| most(&micros))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_connections_as_the_limit_allows() {
        assert_eq!(connections(Case::Idle, 65_536), 20_000);
        assert_eq!(connections(Case::Idle, 20_000), 15_800);
        assert_eq!(connections(Case::Websockets, 20_000), 10_000);
        assert_eq!(connections(Case::Idle, 100), 0);
    }

    #[test]
    fn one_in_a_hundred_is_slower() {
        assert_eq!(percentile_99((0..1_000).rev().map(f64::from).collect()), 990.0);
    }
}
