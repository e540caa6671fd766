//! From a [`Listen`] to sockets that listen.

use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use rustix::io::{FdFlags, fcntl_setfd};
use socket2::{Domain, Protocol, SockAddr, Socket as RawSocket, Type};

use super::handshake::Door;
use super::listen::{Listen, ListenAddr, Place, Socket};

/// More than any unit file passes; a larger number is a mistake, and would be believed.
const MAX_INHERITED: usize = 64;

/// A place that is listened on.
#[derive(Debug)]
pub(super) struct Bound {
    /// One for all workers, or one for each.
    sockets: Vec<Socket>,
    pub(super) addr: ListenAddr,
    pub(super) door: Arc<Door>,
    file: Option<Arc<SocketFile>>,
}

/// A listening socket as one worker gets it.
#[derive(Debug)]
pub(super) struct Share {
    pub(super) socket: Socket,
    /// Whether no other worker accepts from it.
    pub(super) own: bool,
    pub(super) door: Arc<Door>,
    /// Removed when the last worker has closed its copy.
    _file: Option<Arc<SocketFile>>,
}

/// The name of a unix socket. It is removed with the last copy, unless somebody else has taken it over meanwhile.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    device_and_inode: (u64, u64),
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if fs::symlink_metadata(&self.path).is_ok_and(|now| (now.dev(), now.ino()) == self.device_and_inode) {
            // If it cannot be removed, the next start finds that nobody listens on it.
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl Bound {
    /// Listens for `workers` workers.
    ///
    /// # Errors
    /// Why it cannot, without saying where.
    pub(super) fn new(listen: Listen, door: Door, workers: usize, backlog: u16) -> io::Result<Self> {
        let door = Arc::new(door);
        let Listen { place, reuse_port, .. } = listen;
        if reuse_port && !matches!(place, Place::Tcp(_)) {
            return Err(invalid("`reuse_port` is for a TCP address"));
        }
        let mut file = None;
        let sockets = match place {
            Place::Tcp(addr) if reuse_port => tcp_for_each(&addr, workers, backlog)?,
            Place::Tcp(addr) => vec![Socket::Tcp(tcp(resolve(&addr)?, backlog, false)?)],
            Place::Unix { path, mode } => {
                let (socket, name) = unix(&path, mode, backlog)?;
                file = Some(Arc::new(name));
                vec![Socket::Unix(socket)]
            }
            Place::Systemd(number) => vec![inherited(number)?],
            Place::Std(socket) => vec![socket],
            Place::TokioTcp(socket) => vec![Socket::Tcp(socket.into_std()?)],
            Place::TokioUnix(socket) => vec![Socket::Unix(socket.into_std()?)],
        };
        for socket in &sockets {
            socket.set_nonblocking()?;
        }
        let addr = sockets.first().ok_or_else(|| invalid("there are no workers"))?.addr()?;
        Ok(Self { sockets, addr, door, file })
    }

    /// As a person would type it into a browser, where that can be.
    pub(super) fn url(&self) -> String {
        match &self.addr {
            ListenAddr::Tcp(addr) => format!("{}://{addr}", self.door.scheme()),
            ListenAddr::Unix(_) => self.addr.to_string(),
        }
    }

    /// What the worker with this number accepts from.
    pub(super) fn share(&self, worker: usize) -> io::Result<Share> {
        let own = self.sockets.len() > 1;
        let socket = self.sockets[worker % self.sockets.len()].try_clone()?;
        Ok(Share { socket, own, door: Arc::clone(&self.door), _file: self.file.clone() })
    }
}

impl Socket {
    fn try_clone(&self) -> io::Result<Self> {
        Ok(match self {
            Self::Tcp(socket) => Self::Tcp(socket.try_clone()?),
            Self::Unix(socket) => Self::Unix(socket.try_clone()?),
        })
    }
    fn set_nonblocking(&self) -> io::Result<()> {
        match self {
            Self::Tcp(socket) => socket.set_nonblocking(true),
            Self::Unix(socket) => socket.set_nonblocking(true),
        }
    }
    fn addr(&self) -> io::Result<ListenAddr> {
        Ok(match self {
            Self::Tcp(socket) => ListenAddr::Tcp(socket.local_addr()?),
            Self::Unix(socket) => {
                let addr = socket.local_addr()?;
                ListenAddr::Unix(addr.as_pathname().map(Path::to_path_buf).unwrap_or_default())
            }
        })
    }
}

fn resolve(addr: &str) -> io::Result<SocketAddr> {
    addr.to_socket_addrs()?.next().ok_or_else(|| invalid("the name has no address"))
}

fn tcp(addr: SocketAddr, backlog: u16, reuse_port: bool) -> io::Result<TcpListener> {
    let socket = RawSocket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    // So that a restart can bind while connections of the last run are in TIME_WAIT.
    socket.set_reuse_address(true)?;
    if reuse_port {
        socket.set_reuse_port(true)?;
    }
    socket.bind(&addr.into())?;
    socket.listen(i32::from(backlog))?;
    Ok(socket.into())
}

fn tcp_for_each(addr: &str, workers: usize, backlog: u16) -> io::Result<Vec<Socket>> {
    let first = tcp(resolve(addr)?, backlog, true)?;
    let addr = first.local_addr()?; // with the port, if a free one was asked for
    let others = (1..workers).map(|_| Ok(Socket::Tcp(tcp(addr, backlog, true)?)));
    std::iter::once(Ok(Socket::Tcp(first))).chain(others).collect()
}

fn unix(path: &Path, mode: u32, backlog: u16) -> io::Result<(UnixListener, SocketFile)> {
    remove_stale(path)?;
    let socket = RawSocket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.bind(&SockAddr::unix(path)?)?;
    let made = fs::symlink_metadata(path)?;
    let name = SocketFile { path: path.to_path_buf(), device_and_inode: (made.dev(), made.ino()) };
    // Nobody can connect before `listen`, so nobody slips in before the permissions are right.
    fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    socket.listen(i32::from(backlog))?;
    Ok((OwnedFd::from(socket).into(), name))
}

/// Removes a socket that nobody listens on, and nothing else.
fn remove_stale(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
        Ok(found) if !found.file_type().is_socket() => {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, "there is a file that is no socket"));
        }
        Ok(_) => {}
    }
    let knock = RawSocket::new(Domain::UNIX, Type::STREAM, None)?;
    knock.set_nonblocking(true)?; // where the queue of whoever listens is full, we must not stand in line
    match knock.connect(&SockAddr::unix(path)?) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
        _ => Err(io::Error::new(io::ErrorKind::AddrInUse, "another process listens on it")),
    }
}

/// The sockets that this process was started with. Each is given out once.
fn inherited(number: usize) -> io::Result<Socket> {
    static SOCKETS: OnceLock<Result<Mutex<Vec<Option<OwnedFd>>>, String>> = OnceLock::new();
    let sockets = SOCKETS.get_or_init(|| take_inherited().map(Mutex::new).map_err(|error| error.to_string()));
    let sockets = sockets.as_ref().map_err(|problem| invalid(problem.clone()))?;
    let mut sockets = sockets.lock();
    let passed = sockets.len();
    let socket = sockets.get_mut(number).ok_or_else(|| {
        invalid(format!("systemd passed {passed} sockets to this process (LISTEN_FDS, LISTEN_PID)"))
    })?;
    let socket = socket.take().ok_or_else(|| invalid("it is listened on already"))?;
    listening(RawSocket::from(socket))
}

fn take_inherited() -> io::Result<Vec<Option<OwnedFd>>> {
    let count = std::env::var("LISTEN_FDS").ok().and_then(|count| count.parse().ok()).unwrap_or(0);
    if count > MAX_INHERITED {
        return Err(invalid(format!("LISTEN_FDS is {count}, but must be at most {MAX_INHERITED}")));
    }
    let passed = sd_listen_fds::get().map_err(invalid)?;
    let owned = passed.into_iter().map(|(_, socket)| {
        let socket = socket.into_std();
        fcntl_setfd(&socket, FdFlags::CLOEXEC)?; // or our own children would hold the port
        Ok(Some(socket))
    });
    owned.collect()
}

/// Takes only what `accept` works on.
fn listening(socket: RawSocket) -> io::Result<Socket> {
    if !socket.is_listener()? {
        return Err(invalid("it is no listening socket; the unit needs ListenStream= and Accept=no"));
    }
    match socket.domain()? {
        Domain::UNIX => Ok(Socket::Unix(OwnedFd::from(socket).into())),
        Domain::IPV4 | Domain::IPV6 => Ok(Socket::Tcp(socket.into())),
        other => Err(invalid(format!("sockets of the family {other:?} are not served"))),
    }
}

fn invalid(problem: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, problem)
}
