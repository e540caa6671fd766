//! What happens between `accept` and HTTP: who is really at the other end, and whether the bytes are sealed.

use std::io;
use std::time::Duration;

use tokio::time::sleep;

use super::shutdown::{Phase, Shutdown};
use super::stream::Stream;
use crate::peer::{Address, Peer};

/// How long a handshake may go on once the server drains: its client saw its connection accepted.
const GRACE: Duration = Duration::from_secs(1);

/// What a listener asks of its connections.
#[derive(Debug, Default)]
pub(super) struct Door {}

impl Door {
    /// The scheme of requests that come through.
    #[expect(clippy::unused_self, reason = "TLS comes with the next change")]
    pub(super) fn scheme(&self) -> &'static str {
        "http"
    }
}

/// Makes a stream of what was accepted, and finds out who sent it.
///
/// # Errors
/// If the client does not keep to what the listener asks for, in time. It has been told then, as far as its protocol
/// allows.
pub(super) async fn establish(
    stream: Stream,
    address: Address,
    door: &Door,
    shutdown: &Shutdown,
) -> io::Result<(Stream, Peer)> {
    let Door {} = door;
    let late = async {
        shutdown.reached(Phase::Draining).await;
        sleep(GRACE).await;
    };
    let done = async { Ok((stream, Peer { address, ..Peer::default() })) };
    tokio::select! {
        biased;
        done = done => done,
        () = late => Err(io::Error::other("the server drains")),
    }
}
