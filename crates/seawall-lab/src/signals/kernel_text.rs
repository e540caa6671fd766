//! The kernel's counters, as pure parsers of the texts in `/proc` and in a cgroup.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The CPU of the whole machine since it began, seconds.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct MachineCpu {
    /// Doing anything but idling, stolen time not included.
    pub busy_s: f64,
    /// Idle, or waiting for a disk.
    pub idle_s: f64,
    /// Taken by the hypervisor for others.
    pub steal_s: f64,
}

/// Counters of the network since the namespace began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NetCounters {
    /// Connections dropped because an accept queue was full.
    pub listen_overflows: u64,
    /// Connections dropped for any reason while listening.
    pub listen_drops: u64,
    /// Segments sent again.
    pub retransmitted: u64,
    /// Segments sent.
    pub sent: u64,
    /// Connections accepted.
    pub passive_opens: u64,
}

/// A cgroup's CPU quota at work.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Throttling {
    /// Periods that passed.
    pub periods: u64,
    /// Periods in which the quota stopped the group.
    pub throttled: u64,
    /// Seconds for which it was stopped, summed over its threads' CPUs.
    pub throttled_s: f64,
}

/// One line of `/proc/PID/net/tcp` or `tcp6`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TcpSocket {
    /// Our end.
    pub local: SocketAddr,
    /// The other end.
    pub remote: SocketAddr,
    /// The kernel's number of the state; see [`ESTABLISHED`] and [`LISTEN`].
    pub state: u8,
    /// Bytes that were not read; of a listening socket, connections that were not accepted.
    pub receive_queue: u32,
    /// Its inode, by which a descriptor names it.
    pub inode: u64,
}

/// State of an open connection.
pub const ESTABLISHED: u8 = 1;
/// State of a listening socket.
pub const LISTEN: u8 = 10;

const TICKS_PER_SECOND: f64 = 100.0;

/// The first line of `/proc/stat`.
pub fn machine_cpu(stat: &str) -> Option<MachineCpu> {
    let line = stat.lines().next()?.strip_prefix("cpu ")?;
    let ticks: Vec<u64> = line.split_ascii_whitespace().map_while(|word| word.parse().ok()).collect();
    let [user, nice, system, idle, iowait, irq, softirq, steal] = *ticks.first_chunk()?;
    let seconds = |ticks: u64| ticks as f64 / TICKS_PER_SECOND;
    Some(MachineCpu {
        busy_s: seconds(user + nice + system + irq + softirq),
        idle_s: seconds(idle + iowait),
        steal_s: seconds(steal),
    })
}

/// Time on a CPU and time ready without one, nanoseconds, out of `schedstat`.
pub fn schedstat(text: &str) -> Option<(u64, u64)> {
    let mut words = text.split_ascii_whitespace();
    Some((words.next()?.parse().ok()?, words.next()?.parse().ok()?))
}

/// Seconds for which some (first) and all (second) tasks waited, out of `/proc/pressure/*` or `*.pressure`.
pub fn pressure(text: &str) -> Option<(f64, f64)> {
    let total = |kind: &str| -> Option<f64> {
        let line = text.lines().find(|line| line.starts_with(kind))?;
        Some(line.rsplit_once("total=")?.1.trim().parse::<u64>().ok()? as f64 / 1e6)
    };
    Some((total("some")?, total("full").unwrap_or(0.0)))
}

/// Counters out of `/proc/PID/net/netstat` and `/proc/PID/net/snmp`: a line of names, then a line of values.
pub fn net_counters(netstat: &str, snmp: &str) -> NetCounters {
    let of = |text: &str, group: &str, name: &str| pair(text, group, name).unwrap_or(0);
    NetCounters {
        listen_overflows: of(netstat, "TcpExt:", "ListenOverflows"),
        listen_drops: of(netstat, "TcpExt:", "ListenDrops"),
        retransmitted: of(snmp, "Tcp:", "RetransSegs"),
        sent: of(snmp, "Tcp:", "OutSegs"),
        passive_opens: of(snmp, "Tcp:", "PassiveOpens"),
    }
}

fn pair(text: &str, group: &str, name: &str) -> Option<u64> {
    let mut lines = text.lines().filter(|line| line.starts_with(group));
    let at = lines.next()?.split_ascii_whitespace().position(|word| word == name)?;
    lines.next()?.split_ascii_whitespace().nth(at)?.parse().ok()
}

/// `cpu.stat` of a cgroup, version 1 (`throttled_time`, nanoseconds) or 2 (`throttled_usec`).
pub fn throttling(text: &str) -> Option<Throttling> {
    let of = |name: &str| -> Option<u64> {
        text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
    };
    let throttled_s = match of("throttled_usec ") {
        Some(micros) => micros as f64 / 1e6,
        None => of("throttled_time ")? as f64 / 1e9,
    };
    Some(Throttling { periods: of("nr_periods ")?, throttled: of("nr_throttled ")?, throttled_s })
}

/// The value behind `name` in a file of `name value` lines, such as `/proc/PID/io`.
pub fn value(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.split_ascii_whitespace().next()?.parse().ok())
}

/// All sockets of `/proc/PID/net/tcp` or `tcp6`.
pub fn tcp_sockets(text: &str) -> impl Iterator<Item = TcpSocket> + '_ {
    text.lines().skip(1).filter_map(tcp_socket)
}

fn tcp_socket(line: &str) -> Option<TcpSocket> {
    let words: Vec<&str> = line.split_ascii_whitespace().take(10).collect();
    let [_, local, remote, state, queues, _, _, _, _, inode] = *words.first_chunk()?;
    Some(TcpSocket {
        local: address(local)?,
        remote: address(remote)?,
        state: u8::from_str_radix(state, 16).ok()?,
        receive_queue: u32::from_str_radix(queues.split_once(':')?.1, 16).ok()?,
        inode: inode.parse().ok()?,
    })
}

/// `0100007F:1F90`: the address in words of four bytes in the machine's order, the port in hex.
fn address(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let word = |i: usize| u32::from_str_radix(address.get(i * 8..i * 8 + 8)?, 16).ok().map(u32::to_ne_bytes);
    let ip = if address.len() == 8 {
        IpAddr::V4(Ipv4Addr::from(word(0)?))
    } else {
        let mut bytes = [0; 16];
        for (i, chunk) in bytes.chunks_mut(4).enumerate() {
            chunk.copy_from_slice(&word(i)?);
        }
        let ip = Ipv6Addr::from(bytes);
        ip.to_ipv4_mapped().map_or(IpAddr::V6(ip), IpAddr::V4)
    };
    Some(SocketAddr::new(ip, port))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_machine_is_busy_idle_or_robbed() {
        let cpu = machine_cpu("cpu  100 0 50 800 50 0 10 30 0 0\ncpu0 1 1 1 1\n").unwrap();
        assert_eq!(cpu, MachineCpu { busy_s: 1.6, idle_s: 8.5, steal_s: 0.3 });
    }
    #[test]
    fn pressure_is_a_sum_of_microseconds() {
        let text = "some avg10=30.28 avg60=18.78 avg300=7.54 total=30750071\nfull avg10=0.00 total=500000\n";
        assert_eq!(pressure(text), Some((30.750071, 0.5)));
        assert_eq!(
            pressure("some avg10=0 total=1\n"),
            Some((1e-6, 0.0)),
            "older kernels have no full for CPU"
        );
    }
    #[test]
    fn counters_stand_below_their_names() {
        let netstat = "TcpExt: A ListenOverflows ListenDrops\nTcpExt: 1 7 9\nIpExt: X\nIpExt: 4\n";
        let snmp = "Tcp: PassiveOpens OutSegs RetransSegs\nTcp: 5 100 3\n";
        let expected = NetCounters {
            listen_overflows: 7,
            listen_drops: 9,
            retransmitted: 3,
            sent: 100,
            passive_opens: 5,
        };
        assert_eq!(net_counters(netstat, snmp), expected);
        assert_eq!(net_counters("", "Tcp: A\n"), NetCounters::default());
    }
    #[test]
    fn both_versions_of_a_cgroup_are_read() {
        let expected = Throttling { periods: 40, throttled: 10, throttled_s: 0.5 };
        let one = "nr_periods 40\nnr_throttled 10\nthrottled_time 500000000\n";
        let two = "usage_usec 1\nnr_periods 40\nnr_throttled 10\nthrottled_usec 500000\n";
        assert_eq!((throttling(one), throttling(two)), (Some(expected), Some(expected)));
        assert_eq!(throttling("usage_usec 1\n"), None, "a group without a quota has no periods");
    }
    #[test]
    fn sockets_have_addresses_in_the_machines_order() {
        let text = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
            0: 0100007F:1F90 00000000:0000 0A 00000000:00000003 00:00000000 00000000     0        0 4711 1 0\n\
            1: 0000000000000000FFFF00000100007F:C000 0000000000000000FFFF00000100007F:1538 01 00000000:00000000 00:00000000 00000000 0 0 4712\n";
        let sockets: Vec<TcpSocket> = tcp_sockets(text).collect();
        assert_eq!(sockets[0].local, "127.0.0.1:8080".parse().unwrap());
        assert_eq!((sockets[0].state, sockets[0].receive_queue, sockets[0].inode), (LISTEN, 3, 4711));
        assert_eq!((sockets[1].remote, sockets[1].state), ("127.0.0.1:5432".parse().unwrap(), ESTABLISHED));
    }
    #[test]
    fn values_have_names() {
        assert_eq!(value("rchar: 5\nwchar: 17\n", "wchar:"), Some(17));
        assert_eq!(schedstat("100 20 3\n"), Some((100, 20)));
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parsers_panic(text in "[A-Fa-f0-9:. \\n\\PC]{0,300}") {
            let _ = (machine_cpu(&text), pressure(&text), net_counters(&text, &text), throttling(&text));
            let _ = (tcp_sockets(&text).count(), schedstat(&text), value(&text, "a"));
        }
    }
}
