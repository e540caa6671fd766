//! Networks as they are written in configurations: `10.0.0.0/8`, `2001:db8::/32`, a single address, or a set by name.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A network: addresses whose first bits are the same. IPv4 has its place in the bits of IPv6, as in `::ffff:0:0/96`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Network {
    first: u128,
    mask: u128,
}

const LOOPBACK: [(IpAddr, u32); 2] =
    [(IpAddr::V4(Ipv4Addr::new(127, 0, 0, 0)), 8), (IpAddr::V6(Ipv6Addr::LOCALHOST), 128)];

/// RFC 1918 and RFC 4193: what is routed inside one organisation only.
const PRIVATE: [(IpAddr, u32); 4] = [
    (IpAddr::V4(Ipv4Addr::new(10, 0, 0, 0)), 8),
    (IpAddr::V4(Ipv4Addr::new(172, 16, 0, 0)), 12),
    (IpAddr::V4(Ipv4Addr::new(192, 168, 0, 0)), 16),
    (IpAddr::V6(Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0)), 7),
];

impl Network {
    /// The networks that `text` names; what it must be, otherwise.
    pub(super) fn parse(text: &str) -> Result<Vec<Self>, &'static str> {
        let all = |set: &[(IpAddr, u32)]| set.iter().map(|(ip, prefix)| Self::new(*ip, *prefix)).collect();
        match text {
            "loopback" => return Ok(all(&LOOPBACK)),
            "private" => return Ok(all(&PRIVATE)),
            _ => {}
        }
        let (address, prefix) = text.split_once('/').map_or((text, None), |(ip, bits)| (ip, Some(bits)));
        const FORM: &str = "an address, a network such as 10.0.0.0/8, `loopback` or `private`";
        let address: IpAddr = address.parse().map_err(|_| FORM)?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => width,
            Some(digits) if digits.len() <= 3 && digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                digits.parse().ok().filter(|prefix| *prefix <= width).ok_or(FORM)?
            }
            Some(_) => return Err(FORM),
        };
        if prefix == 0 {
            return Err("a network that is not everybody");
        }
        let network = Self::new(address, prefix);
        if network.first != bits(address) {
            return Err("a network without bits behind its prefix");
        }
        Ok(vec![network])
    }

    fn new(address: IpAddr, prefix: u32) -> Self {
        let prefix = if address.is_ipv4() { prefix + 96 } else { prefix };
        let mask = u128::MAX.checked_shl(128 - prefix).unwrap_or(0);
        Self { first: bits(address) & mask, mask }
    }

    pub(super) fn contains(&self, address: IpAddr) -> bool {
        bits(address) & self.mask == self.first
    }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(network: &str, inside: &[&str], outside: &[&str]) {
        let networks = Network::parse(network).unwrap();
        let contains = |address: &str| networks.iter().any(|net| net.contains(address.parse().unwrap()));
        inside.iter().for_each(|address| assert!(contains(address), "{address} is not in {network}"));
        outside.iter().for_each(|address| assert!(!contains(address), "{address} is in {network}"));
    }
    #[track_caller]
    fn refused(network: &str, must_be: &str) {
        assert!(Network::parse(network).unwrap_err().contains(must_be), "{network}");
    }

    #[test]
    fn a_prefix_bounds_a_network() {
        check("10.0.0.0/8", &["10.0.0.0", "10.255.255.255"], &["9.255.255.255", "11.0.0.0", "::a00:0"]);
        check("192.0.2.128/25", &["192.0.2.128", "192.0.2.255"], &["192.0.2.127"]);
        check("2001:db8::/32", &["2001:db8:ffff::1"], &["2001:db9::"]);
        check("fe80::/10", &["febf::1"], &["fec0::"]);
    }
    #[test]
    fn one_address_is_a_network() {
        check("192.0.2.7", &["192.0.2.7", "::ffff:192.0.2.7"], &["192.0.2.8"]);
        check("::1", &["::1"], &["::2", "127.0.0.1"]);
    }
    #[test]
    fn sets_have_names() {
        check("loopback", &["127.0.0.1", "127.9.9.9", "::1"], &["128.0.0.1", "::"]);
        check("private", &["10.1.1.1", "172.31.0.1", "192.168.0.1", "fd00::1"], &["172.32.0.1", "8.8.8.8"]);
    }
    #[test]
    fn what_is_no_network_is_refused() {
        for text in
            ["", "all", "10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/+8", "10.0.0/8", "10.0.0.0/8/8"]
        {
            refused(text, "a network such as");
        }
        refused("10.0.0.1/8", "without bits behind");
        refused("0.0.0.0/0", "not everybody");
        refused("::/0", "not everybody");
    }

    proptest! {
        /// Against comparing the bits one by one.
        #[test]
        fn an_address_is_inside_if_its_first_bits_are_the_networks(
            network: u128, address: u128, common in 0_u32..=128, prefix in 1_u32..=128,
        ) {
            let keep = u128::MAX.checked_shl(128 - common).unwrap_or(0);
            let address = (network & keep) | (address & !keep);
            let network_address = Ipv6Addr::from_bits(network & u128::MAX.checked_shl(128 - prefix).unwrap_or(0));
            let parsed = Network::parse(&format!("{network_address}/{prefix}")).unwrap();
            let same = (0..prefix).all(|bit| (network >> (127 - bit)) & 1 == (address >> (127 - bit)) & 1);
            prop_assert_eq!(parsed[0].contains(IpAddr::V6(Ipv6Addr::from_bits(address))), same);
        }
    }
}
