//! The server on raw sockets: what it does with every byte that a client may send.
//!
//! RFC 9110 and 9112, strict where two readers of the same bytes could differ: there a request that one of them could
//! read in another way is refused, and its connection closed. Where the text leaves a choice and both are safe, a test
//! says so (`framed_or_refused`). The tables are our own; facts were gathered from the RFCs, from published lists of
//! discrepancies between servers, and from our own fuzzing.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod answers;
mod chunked;
mod connection;
mod corpus;
mod differential;
mod early;
mod expect;
mod fields;
mod floods;
mod framing;
#[cfg(feature = "multipart")]
mod fuzzed;
mod hosts;
mod http2;
#[path = "../live/mod.rs"]
mod live;
mod pipelining;
mod property;
mod request_line;
mod slow;
mod table;
mod targets;
mod torn;
mod upgrade;
mod wire;
