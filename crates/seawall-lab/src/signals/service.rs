//! The service as the kernel sees it: which processes it is, and everything counted about them at one moment.
//!
//! A service is a process and its descendants (a master with its workers). What cannot be read is absent; nothing here
//! fails because of a missing privilege. Left out: what changes between two moments; see [`super::window`].

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::cgroup;
use super::kernel_text::{
    ESTABLISHED, LISTEN, MachineCpu, NetCounters, TcpSocket, Throttling, machine_cpu, net_counters, pressure,
    schedstat, tcp_sockets, throttling, value,
};
use super::sock_diag::SockDiag;

/// Processes of one service that are looked at.
const MAX_PROCESSES: usize = 256;
/// Threads of one service that are looked at.
const MAX_THREADS: usize = 1_024;
/// Descriptors of one process that are looked at.
const MAX_DESCRIPTORS: usize = 4_096;
/// Files whose growth is watched.
const MAX_FILES: usize = 64;
/// Other ends of connections that are told apart.
const MAX_REMOTES: usize = 64;
const TICKS_PER_SECOND: f64 = 100.0;

/// Which processes the service is.
#[derive(Debug, Clone)]
pub struct Service {
    pid: u32,
    ports: BTreeSet<u16>,
    cpu_stat: Vec<PathBuf>,
}

/// One thread's clocks.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ThreadClock {
    /// Its process.
    pub pid: u32,
    /// Its own number.
    pub tid: u32,
    /// Its name.
    pub name: String,
    /// On a CPU, nanoseconds since it began.
    pub run_ns: u64,
    /// Ready without a CPU, nanoseconds.
    pub wait_ns: u64,
    /// Times it left its CPU to wait.
    pub voluntary: u64,
    /// Times it was pushed off its CPU.
    pub involuntary: u64,
}

/// Sums over the service's processes.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Totals {
    /// User CPU, seconds.
    pub user_s: f64,
    /// Kernel CPU, seconds.
    pub system_s: f64,
    /// Page faults that needed no disk.
    pub minor_faults: u64,
    /// Page faults that did.
    pub major_faults: u64,
    /// Resident memory, bytes.
    pub rss_bytes: u64,
    /// Bytes handed to `write` and its like, files and sockets alike; none if we may not look.
    pub written_bytes: Option<u64>,
    /// Calls of `write` and its like.
    pub writes: Option<u64>,
    /// Open descriptors of the process that has most.
    pub descriptors: Option<u32>,
    /// The limit of that process.
    pub descriptor_limit: Option<u64>,
}

/// What its sockets do.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sockets {
    /// Connections that wait to be accepted.
    pub accept_queue: u32,
    /// Open connections of clients.
    pub inbound: u32,
    /// Open connections to others, by their address.
    pub outbound: BTreeMap<SocketAddr, u32>,
    /// Descriptors of connections of clients: (process, descriptor).
    pub client_descriptors: BTreeSet<(u32, i32)>,
}

/// Everything counted at one moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Counters {
    /// The processes.
    pub pids: Vec<u32>,
    /// Their sums.
    pub totals: Totals,
    /// Their threads.
    pub threads: Vec<ThreadClock>,
    /// The machine's CPU.
    pub machine: Option<MachineCpu>,
    /// Seconds some task waited for a CPU, on the whole machine.
    pub cpu_pressure_s: Option<f64>,
    /// Seconds all tasks waited for memory.
    pub memory_pressure_s: Option<f64>,
    /// Seconds all tasks waited for a disk.
    pub io_pressure_s: Option<f64>,
    /// The network of the service's namespace.
    pub net: Option<NetCounters>,
    /// The quota of its cgroup at work; none without one.
    pub throttling: Option<Throttling>,
    /// Its sockets.
    pub sockets: Sockets,
    /// Position in each regular file it has open for writing, by path.
    pub files: BTreeMap<String, u64>,
}

/// The processes that listen at `at`: each holds a listening socket of that port. Empty if none is there or we may not
/// look.
pub fn listeners(at: SocketAddr) -> Vec<u32> {
    let inodes: BTreeSet<u64> = sockets_of(Path::new("/proc/self"))
        .into_iter()
        .filter(|socket| socket.state == LISTEN && socket.local.port() == at.port())
        .filter(|socket| socket.local.ip().is_unspecified() || socket.local.ip() == at.ip())
        .map(|socket| socket.inode)
        .collect();
    let mut pids: Vec<u32> = processes()
        .filter(|pid| {
            descriptors(*pid).iter().any(|(_, link)| socket_inode(link).is_some_and(|i| inodes.contains(&i)))
        })
        .collect();
    pids.sort_unstable();
    pids
}

/// The command that a process runs, for people.
pub fn name(pid: u32) -> String {
    fs::read_to_string(format!("/proc/{pid}/comm"))
        .map_or_else(|_| "?".to_owned(), |name| name.trim().to_owned())
}

/// Processors that `pid` may run on, by its affinity mask.
pub fn allowed_cpus(pid: u32) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?;
    let count = |part: &str| -> Option<u32> {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        Some(to.parse::<u32>().ok()?.checked_sub(from.parse().ok()?)? + 1)
    };
    Some(f64::from(list.trim().split(',').filter_map(count).sum::<u32>()))
}

fn processes() -> impl Iterator<Item = u32> {
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

fn descriptors(pid: u32) -> Vec<(i32, String)> {
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/fd")) else { return Vec::new() };
    let links = entries.flatten().take(MAX_DESCRIPTORS).filter_map(|entry| {
        let number = entry.file_name().to_str()?.parse().ok()?;
        Some((number, fs::read_link(entry.path()).ok()?.to_str()?.to_owned()))
    });
    links.collect()
}

fn socket_inode(link: &str) -> Option<u64> {
    link.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

fn sockets_of(process: &Path) -> Vec<TcpSocket> {
    let read = |name: &str| fs::read_to_string(process.join("net").join(name)).unwrap_or_default();
    tcp_sockets(&read("tcp")).chain(tcp_sockets(&read("tcp6"))).collect()
}

impl Service {
    /// Process `pid` and its descendants, which serve `ports`. `cpu_stat` overrides where the quota's counters are.
    pub fn new(pid: u32, ports: &[u16], cpu_stat: Option<&Path>) -> Self {
        let cpu_stat = cpu_stat.map_or_else(|| cgroup::cpu_stat_files(pid), |file| vec![file.to_path_buf()]);
        Self { pid, ports: ports.iter().copied().collect(), cpu_stat }
    }

    /// The ports that it serves.
    pub fn ports(&self) -> impl Iterator<Item = u16> + '_ {
        self.ports.iter().copied()
    }

    /// Its first process.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// It lives in our network namespace: its sockets are in the same tables.
    pub fn shares_network(&self) -> bool {
        let of = |process: &str| fs::read_link(format!("/proc/{process}/ns/net")).ok();
        of("self").is_some_and(|ours| of(&self.pid.to_string()) == Some(ours))
    }

    /// CPUs that the quota allows; none without a quota.
    pub fn quota(&self) -> Option<f64> {
        let quotas = self.cpu_stat.iter().filter_map(|file| cgroup::quota(file.parent()?));
        quotas.reduce(f64::min)
    }

    /// It and its descendants, alive now.
    pub fn pids(&self) -> Vec<u32> {
        let parent = |pid: u32| -> Option<(u32, u32)> {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            Some((pid, stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(1)?.parse().ok()?))
        };
        let parents: Vec<(u32, u32)> = processes().filter_map(parent).collect();
        let mut family = vec![self.pid];
        let mut at = 0;
        while at < family.len() && family.len() < MAX_PROCESSES {
            let of = family[at];
            family.extend(parents.iter().filter(|(_, parent)| *parent == of).map(|(pid, _)| *pid));
            at += 1;
        }
        family
    }

    /// The threads of `pids`, as (process, thread).
    pub fn threads(pids: &[u32]) -> Vec<(u32, u32)> {
        let of = |pid: &u32| {
            let pid = *pid;
            let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
            tasks.filter_map(move |task| Some((pid, task.file_name().to_str()?.parse().ok()?)))
        };
        pids.iter().flat_map(of).take(MAX_THREADS).collect()
    }

    /// Counts now. None when the process is gone. `diag` must be of the service's own network namespace.
    pub fn count(&self, diag: Option<&SockDiag>) -> Option<Counters> {
        let pids = self.pids();
        let mut totals = Totals::default();
        let mut found = false;
        for pid in &pids {
            found |= add(&mut totals, *pid).is_some();
        }
        // Right after one another: a connection of some milliseconds must be in both.
        let table =
            diag.map_or_else(|| sockets_of(Path::new(&format!("/proc/{}", self.pid))), SockDiag::established);
        let open: Vec<(u32, i32, String)> = pids
            .iter()
            .flat_map(|pid| descriptors(*pid).into_iter().map(|(number, link)| (*pid, number, link)))
            .collect();
        let of_machine = |name: &str| pressure(&fs::read_to_string(format!("/proc/pressure/{name}")).ok()?);
        let net = |name: &str| fs::read_to_string(format!("/proc/{}/net/{name}", self.pid)).ok();
        found.then(|| Counters {
            threads: Self::threads(&pids).into_iter().filter_map(thread_clock).collect(),
            totals,
            machine: fs::read_to_string("/proc/stat").ok().and_then(|text| machine_cpu(&text)),
            cpu_pressure_s: of_machine("cpu").map(|(some, _)| some),
            memory_pressure_s: of_machine("memory").map(|(_, full)| full),
            io_pressure_s: of_machine("io").map(|(_, full)| full),
            net: net("netstat").zip(net("snmp")).map(|(netstat, snmp)| net_counters(&netstat, &snmp)),
            throttling: self.throttling(),
            sockets: self.sockets(table, &open),
            files: files(&open),
            pids,
        })
    }

    /// Of the groups that the service is in, the one whose quota bites most.
    fn throttling(&self) -> Option<Throttling> {
        let all = self.cpu_stat.iter().filter_map(|file| throttling(&fs::read_to_string(file).ok()?));
        all.max_by_key(|throttling| throttling.throttled)
    }

    fn sockets(&self, table: Vec<TcpSocket>, open: &[(u32, i32, String)]) -> Sockets {
        let owned: BTreeMap<u64, (u32, i32)> = open
            .iter()
            .filter_map(|(pid, number, link)| Some((socket_inode(link)?, (*pid, *number))))
            .collect();
        let mut sockets = Sockets::default();
        for socket in table {
            let ours = self.ports.contains(&socket.local.port());
            let owner = owned.get(&socket.inode);
            match (socket.state, ours, owner) {
                (LISTEN, true, _) => sockets.accept_queue += socket.receive_queue,
                (ESTABLISHED, true, owner) => {
                    sockets.inbound += 1;
                    sockets.client_descriptors.extend(owner);
                }
                (ESTABLISHED, false, Some(_)) => {
                    let room = sockets.outbound.len() < MAX_REMOTES;
                    if room || sockets.outbound.contains_key(&socket.remote) {
                        *sockets.outbound.entry(socket.remote).or_default() += 1;
                    }
                }
                _ => {}
            }
        }
        sockets
    }
}

/// Adds one process; none if it is gone.
fn add(totals: &mut Totals, pid: u32) -> Option<()> {
    let read = |name: &str| fs::read_to_string(format!("/proc/{pid}/{name}")).ok();
    let stat = read("stat")?;
    let fields: Vec<u64> =
        stat.rsplit_once(')')?.1.split_ascii_whitespace().map(|word| word.parse().unwrap_or(0)).collect();
    let field = |at: usize| fields.get(at).copied().unwrap_or(0);
    totals.minor_faults += field(7);
    totals.major_faults += field(9);
    totals.user_s += field(11) as f64 / TICKS_PER_SECOND;
    totals.system_s += field(12) as f64 / TICKS_PER_SECOND;
    let status = read("status").unwrap_or_default();
    totals.rss_bytes += value(&status, "VmRSS:").unwrap_or(0) * 1024;
    if let Some(io) = read("io") {
        *totals.written_bytes.get_or_insert(0) += value(&io, "wchar:").unwrap_or(0);
        *totals.writes.get_or_insert(0) += value(&io, "syscw:").unwrap_or(0);
    }
    let open = fs::read_dir(format!("/proc/{pid}/fd")).ok().map(|entries| entries.take(1 << 20).count());
    let open = open.and_then(|open| u32::try_from(open).ok());
    if open > totals.descriptors {
        totals.descriptors = open;
        let limits = read("limits").unwrap_or_default();
        totals.descriptor_limit = value(&limits, "Max open files");
    }
    Some(())
}

fn thread_clock((pid, tid): (u32, u32)) -> Option<ThreadClock> {
    let read = |name: &str| fs::read_to_string(format!("/proc/{pid}/task/{tid}/{name}")).ok();
    let (run_ns, wait_ns) = schedstat(&read("schedstat")?)?;
    let status = read("status")?;
    Some(ThreadClock {
        pid,
        tid,
        name: read("comm")?.trim().to_owned(),
        run_ns,
        wait_ns,
        voluntary: value(&status, "voluntary_ctxt_switches:").unwrap_or(0),
        involuntary: value(&status, "nonvoluntary_ctxt_switches:").unwrap_or(0),
    })
}

/// How far each regular file is written. Positions of one path are added up.
fn files(open: &[(u32, i32, String)]) -> BTreeMap<String, u64> {
    let regular = open.iter().filter(|(_, _, link)| {
        link.starts_with('/') && !["/dev/", "/proc/", "/sys/"].iter().any(|dir| link.starts_with(dir))
    });
    let mut files = BTreeMap::new();
    for (pid, number, path) in regular.take(MAX_FILES) {
        let Ok(info) = fs::read_to_string(format!("/proc/{pid}/fdinfo/{number}")) else { continue };
        let flags = info.lines().find_map(|line| line.strip_prefix("flags:"));
        let writes =
            flags.and_then(|flags| u32::from_str_radix(flags.trim(), 8).ok()).is_some_and(|f| f & 3 != 0);
        if let (true, Some(position)) = (writes, value(&info, "pos:")) {
            let at: &mut u64 = files.entry(path.clone()).or_default();
            *at = position.max(*at); // descriptors that were duplicated share one position
        }
    }
    files
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn finds_who_listens_and_counts_its_sockets() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap();
        let me = std::process::id();
        assert_eq!(listeners(at), [me]);
        let _waiting = TcpStream::connect(at).unwrap();
        let service = Service::new(me, &[at.port()], None);
        let counters = service.count(None).unwrap();
        assert_eq!(counters.sockets.accept_queue, 1, "nobody has accepted it");
        assert!(counters.sockets.outbound[&at] >= 1, "the client is this process, too");
        assert!(service.shares_network());
        let by_diag = service.count(SockDiag::open().as_ref()).unwrap();
        assert_eq!(by_diag.sockets.outbound[&at], counters.sockets.outbound[&at]);
    }

    #[test]
    fn this_process_has_threads_and_memory() {
        let counters = Service::new(std::process::id(), &[], None).count(None).unwrap();
        assert!(counters.totals.rss_bytes > 100_000 && !counters.threads.is_empty(), "{counters:?}");
        assert!(counters.totals.descriptors.unwrap() >= 3 && counters.machine.unwrap().busy_s > 0.0);
        assert!(allowed_cpus(std::process::id()).unwrap() >= 1.0);
    }

    #[test]
    fn a_file_that_is_written_is_seen_to_grow() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().to_str().unwrap().to_owned();
        let service = Service::new(std::process::id(), &[], None);
        assert_eq!(service.count(None).unwrap().files[&path], 0);
        file.write_all(&[0; 100]).unwrap();
        assert_eq!(service.count(None).unwrap().files[&path], 100);
    }

    #[test]
    fn a_process_that_is_gone_counts_nothing() {
        assert_eq!(Service::new(u32::MAX, &[], None).count(None), None);
    }
}
