//! TCP sockets by the kernel's `sock_diag`, which needs no privilege: open connections, and how many wait to be accepted.
//!
//! `/proc/net/tcp` has the accept queue but not its limit, and it lists connections that have ended for a minute: with tens
//! of thousands of them, reading it takes longer than a connection lives. Left out: sockets of another network namespace.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::time::Duration;

use super::kernel_text::{ESTABLISHED, LISTEN, TcpSocket};
use rustix::net::{self, AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink, sockopt};

/// The queue of a port's listening sockets: the fullest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AcceptQueue {
    /// Connections that wait.
    pub waiting: u32,
    /// The limit of `listen`; one more fits.
    pub limit: u32,
}

const HEADER: usize = 16;
const SOCK_DIAG_BY_FAMILY: u16 = 20;
/// `NLM_F_REQUEST | NLM_F_DUMP`.
const DUMP: u16 = 0x301;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const TCP: u8 = 6;
/// Families: IPv4, IPv6.
const FAMILIES: [u8; 2] = [2, 10];
/// Datagrams of one answer that are read at most.
const MAX_PIECES: usize = 4_096;

/// A socket to ask the kernel with.
#[derive(Debug)]
pub struct SockDiag(OwnedFd);

impl SockDiag {
    /// None where the kernel does not have it.
    pub fn open() -> Option<Self> {
        let (family, kind) = (AddressFamily::NETLINK, SocketType::DGRAM);
        let socket = net::socket_with(family, kind, SocketFlags::CLOEXEC, Some(netlink::SOCK_DIAG)).ok()?;
        sockopt::set_socket_timeout(&socket, sockopt::Timeout::Recv, Some(Duration::from_millis(200)))
            .ok()?;
        Some(Self(socket))
    }

    /// The fullest queue of the sockets that listen on `port`. None if none does.
    pub fn of_port(&self, port: u16) -> Option<AcceptQueue> {
        let listening = self.sockets(LISTEN).into_iter().filter(|(socket, _)| socket.local.port() == port);
        let queues = listening.map(|(socket, limit)| AcceptQueue { waiting: socket.receive_queue, limit });
        queues.max_by_key(|queue| (queue.waiting, std::cmp::Reverse(queue.limit)))
    }

    /// All open connections.
    pub fn established(&self) -> Vec<TcpSocket> {
        self.sockets(ESTABLISHED).into_iter().map(|(socket, _)| socket).collect()
    }

    /// All sockets in a state, with what the kernel calls the write queue.
    fn sockets(&self, state: u8) -> Vec<(TcpSocket, u32)> {
        let mut found = Vec::new();
        for family in FAMILIES {
            // What was read before an error is still true.
            let _ = self.dump(family, state, &mut found);
        }
        found
    }

    fn dump(&self, family: u8, state: u8, found: &mut Vec<(TcpSocket, u32)>) -> rustix::io::Result<()> {
        net::send(&self.0, &request(family, state), SendFlags::empty())?;
        let mut buffer = vec![0; 32 * 1024];
        for _ in 0..MAX_PIECES {
            let (_, length) = net::recv(&self.0, &mut buffer[..], RecvFlags::empty())?;
            if parse(&buffer[..length], found) {
                break;
            }
        }
        Ok(())
    }
}

/// `struct nlmsghdr` and `struct inet_diag_req_v2`: all sockets of a family in a state.
fn request(family: u8, state: u8) -> [u8; 72] {
    let mut bytes = [0; 72];
    bytes[0..4].copy_from_slice(&72u32.to_ne_bytes());
    bytes[4..6].copy_from_slice(&SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    bytes[6..8].copy_from_slice(&DUMP.to_ne_bytes());
    bytes[HEADER] = family;
    bytes[HEADER + 1] = TCP;
    bytes[HEADER + 4..HEADER + 8].copy_from_slice(&(1u32 << state).to_ne_bytes());
    bytes
}

/// Adds the sockets in one datagram; true when it was the last one.
fn parse(mut bytes: &[u8], found: &mut Vec<(TcpSocket, u32)>) -> bool {
    while let (Some(length), Some(kind)) = (word(bytes, 0), bytes.get(4..6)) {
        let kind = u16::from_ne_bytes([kind[0], kind[1]]);
        let length = length as usize;
        if matches!(kind, NLMSG_ERROR | NLMSG_DONE) || length < HEADER || length > bytes.len() {
            return true;
        }
        found.extend(socket(&bytes[HEADER..length]));
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    false
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().ok().map(u32::from_ne_bytes)
}

/// `struct inet_diag_msg`: family and state, ports and addresses, a time, the queues, the user, the inode.
fn socket(body: &[u8]) -> Option<(TcpSocket, u32)> {
    let port = |at: usize| Some(u16::from_be_bytes(body.get(at..at + 2)?.try_into().ok()?));
    let address = |at: usize| -> Option<IpAddr> {
        let bytes: [u8; 16] = body.get(at..at + 16)?.try_into().ok()?;
        if body[0] == FAMILIES[0] {
            return Some(IpAddr::V4(Ipv4Addr::new(bytes[0], bytes[1], bytes[2], bytes[3])));
        }
        let ip = Ipv6Addr::from(bytes);
        Some(ip.to_ipv4_mapped().map_or(IpAddr::V6(ip), IpAddr::V4))
    };
    let socket = TcpSocket {
        local: SocketAddr::new(address(8)?, port(4)?),
        remote: SocketAddr::new(address(24)?, port(6)?),
        state: *body.get(1)?,
        receive_queue: word(body, 56)?,
        inode: u64::from(word(body, 68)?),
    };
    Some((socket, word(body, 60)?))
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_queue_fills_up_to_its_limit() {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        socket.listen(3).unwrap();
        let listener = TcpListener::from(socket);
        let at = listener.local_addr().unwrap();
        let diag = SockDiag::open().expect("every Linux has sock_diag");
        assert_eq!(diag.of_port(at.port()), Some(AcceptQueue { waiting: 0, limit: 3 }));
        let _clients: Vec<TcpStream> = (0..2).map(|_| TcpStream::connect(at).unwrap()).collect();
        assert_eq!(diag.of_port(at.port()), Some(AcceptQueue { waiting: 2, limit: 3 }));
        let open = diag.established();
        let ours: Vec<_> = open.iter().filter(|socket| socket.remote == at).collect();
        assert_eq!(ours.len(), 2, "both clients are open");
        assert!(ours.iter().all(|socket| socket.inode > 0 && socket.local.ip() == at.ip()));
        drop(listener);
        assert_eq!(diag.of_port(at.port()), None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_parser_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse(&bytes, &mut Vec::new());
        }
    }
}
