//! The last moments of a connection: the client must see our last bytes.
//!
//! Closing a socket with bytes unread resets the connection, and the client may throw away an answer that it has not
//! read yet (RFC 9112, 9.6). So our side is closed first, and what still comes is read and dropped, within limits.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::timeout;

/// What the client may still send: so much, and for so long.
const BYTES: usize = 4 << 20;
const TIME: Duration = Duration::from_secs(2);

/// Says that nothing more will be sent, and waits until the client has seen it, within limits.
///
/// # Cancel safety
/// The connection is over in any case.
pub(crate) async fn linger(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) {
    let end = async {
        stream.shutdown().await?;
        let mut room = [0; 4096];
        for _ in 0..BYTES / room.len() {
            if stream.read(&mut room).await? == 0 {
                break;
            }
        }
        io::Result::Ok(())
    };
    // Whatever goes wrong now, the connection is over.
    let _ = timeout(TIME, end).await;
}
