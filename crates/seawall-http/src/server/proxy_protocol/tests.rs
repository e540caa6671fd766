//! Headers as proxies write them, headers that are wrong, and headers torn at every byte.

use proptest::prelude::*;

use super::*;

#[track_caller]
fn check_1(line: &str, expected: Option<&str>) {
    let bytes = format!("{line}GET / HTTP/1.1\r\n");
    let found = parse(bytes.as_bytes());
    let expected = match expected {
        Some("unknown") => Verdict::Header(line.len(), Announced::Unknown),
        Some(addr) => Verdict::Header(line.len(), Announced::Client(addr.parse().unwrap())),
        None => Verdict::Bad(Fault::Version1),
    };
    assert_eq!(found, expected, "{line:?}");
}

#[test]
fn version_1_names_the_client() {
    check_1("PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n", Some("192.0.2.1:56324"));
    check_1("PROXY TCP6 2001:db8::1 2001:db8::2 0 65535\r\n", Some("[2001:db8::1]:0"));
    check_1("PROXY UNKNOWN\r\n", Some("unknown"));
    check_1("PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n", Some("unknown"));
}

#[test]
fn version_1_is_read_to_the_letter() {
    for line in [
        "PROXY \r\n",
        "PROXY TCP4\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.1 56324\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.1 56324 443 1\r\n",
        "PROXY TCP4 192.0.2.1  198.51.100.1 56324 443\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.1 65536 443\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.1 056 443\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.1 +56 443\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.1  443\r\n",
        "PROXY TCP4 192.0.2.256 198.51.100.1 1 443\r\n",
        "PROXY TCP4 2001:db8::1 2001:db8::2 1 443\r\n",
        "PROXY TCP6 192.0.2.1 198.51.100.1 1 443\r\n",
        "PROXY TCP6 fe80::1%1 fe80::2 1 443\r\n",
        "PROXY UDP4 192.0.2.1 198.51.100.1 1 443\r\n",
        "PROXY tcp4 192.0.2.1 198.51.100.1 1 443\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.1 1 443\n",
        "PROXY TCP4 192.0.2.1 198.51.100.1 1 443\r\r\n",
    ] {
        check_1(line, None);
    }
}

#[test]
fn version_1_ends_within_107_bytes() {
    let longest = format!("PROXY UNKNOWN {}\r\n", "x".repeat(MAX_V1 - 16));
    assert_eq!(longest.len(), MAX_V1);
    assert_eq!(parse(longest.as_bytes()), Verdict::Header(MAX_V1, Announced::Unknown));
    let longer = format!("PROXY UNKNOWN {}\r\n", "x".repeat(MAX_V1 - 15));
    assert_eq!(parse(longer.as_bytes()), Verdict::Bad(Fault::TooLong));
    assert_eq!(parse("PROXY UNKNOWN".repeat(50).as_bytes()), Verdict::Bad(Fault::TooLong));
}

/// A header of version 2.
fn header_2(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
    let len = u16::try_from(body.len()).unwrap().to_be_bytes();
    [SIGNATURE.as_slice(), &[0x20 | command, family], &len, body].concat()
}

const IPV4: [u8; 12] = [192, 0, 2, 1, 198, 51, 100, 1, 0x12, 0x34, 1, 187];

#[track_caller]
fn check_2(header: &[u8], expected: Announced) {
    let bytes = [header, b"GET / HTTP/1.1\r\n"].concat();
    assert_eq!(parse(&bytes), Verdict::Header(header.len(), expected));
}

#[test]
fn version_2_names_the_client() {
    let client = Announced::Client("192.0.2.1:4660".parse().unwrap());
    check_2(&header_2(1, 0x11, &IPV4), client);
    check_2(&header_2(1, 0x12, &IPV4), client); // datagrams
    let mut ipv6 = [0; 36];
    ipv6[15] = 1;
    ipv6[32..34].copy_from_slice(&[0x12, 0x34]);
    check_2(&header_2(1, 0x21, &ipv6), Announced::Client("[::1]:4660".parse().unwrap()));
    check_2(&header_2(1, 0x31, &[b'/'; 216]), Announced::Unknown);
    check_2(&header_2(1, 0x00, &[]), Announced::Unknown);
}

#[test]
fn a_proxy_that_asks_for_itself_is_the_peer() {
    check_2(&header_2(0, 0x00, &[]), Announced::Proxy);
    check_2(&header_2(0, 0x11, &IPV4), Announced::Proxy);
}

#[test]
fn extensions_are_skipped() {
    let extended = [IPV4.as_slice(), &[0x01, 0, 2, b'h', b'2'], &[0xea, 0, 0], &[0x04, 0, 1, 0]].concat();
    check_2(&header_2(1, 0x11, &extended), Announced::Client("192.0.2.1:4660".parse().unwrap()));
}

/// A header with a checksum, and other extensions around it.
fn with_checksum() -> Vec<u8> {
    let extended =
        [IPV4.as_slice(), &[0x04, 0, 1, 0], &[CRC32C, 0, 4, 0, 0, 0, 0], &[0x02, 0, 1, b'a']].concat();
    let mut header = header_2(1, 0x11, &extended);
    let sum = crc32c(header.iter()).to_be_bytes();
    let at = header.len() - 8;
    header[at..at + 4].copy_from_slice(&sum);
    header
}

#[test]
fn a_checksum_that_is_there_must_fit() {
    assert_eq!(crc32c(b"123456789".iter()), 0xe306_9283, "the check value of CRC-32C");
    let header = with_checksum();
    check_2(&header, Announced::Client("192.0.2.1:4660".parse().unwrap()));
    let mut damaged = header.clone();
    damaged[FIXED] ^= 1;
    assert_eq!(parse(&damaged), Verdict::Bad(Fault::Checksum));
    let odd = [IPV4.as_slice(), &[CRC32C, 0, 3, 0, 0, 0]].concat();
    assert_eq!(parse(&header_2(1, 0x11, &odd)), Verdict::Bad(Fault::Version2));
}

#[test]
fn version_2_is_read_to_the_letter() {
    let bad = |header: Vec<u8>| assert_eq!(parse(&header), Verdict::Bad(Fault::Version2), "{header:?}");
    bad(header_2(2, 0x11, &IPV4)); // no such command
    bad(header_2(1, 0x41, &IPV4)); // no such family
    bad(header_2(1, 0x13, &IPV4)); // no such transport
    bad(header_2(1, 0x10, &IPV4)); // a family without a transport
    bad(header_2(1, 0x11, &IPV4[..11])); // too short for its family
    bad(header_2(1, 0x21, &IPV4));
    bad(header_2(1, 0x11, &[IPV4.as_slice(), &[1, 0]].concat())); // an extension that is cut off
    bad(header_2(1, 0x11, &[IPV4.as_slice(), &[1, 0, 9, 1]].concat()));
    let mut version = header_2(1, 0x11, &IPV4);
    version[12] = 0x31;
    bad(version);
}

#[test]
fn version_2_has_a_longest_header() {
    let padding = [&[0x04], (MAX_V2 as u16 - 15).to_be_bytes().as_slice(), &vec![0; MAX_V2 - 15]].concat();
    let longest = header_2(1, 0x11, &[IPV4.as_slice(), &padding].concat());
    assert!(matches!(parse(&longest), Verdict::Header(len, _) if len == FIXED + MAX_V2));
    let mut longer = header_2(1, 0x11, &IPV4);
    longer[14..16].copy_from_slice(&(MAX_V2 as u16 + 1).to_be_bytes());
    assert_eq!(parse(&longer), Verdict::Bad(Fault::TooLong), "before any of it has come");
}

#[test]
fn what_is_no_header_is_refused_at_its_first_byte() {
    for text in ["GET / HTTP/1.1\r\n", "\u{16}\u{3}\u{1}", "PROXX", "proxy ", "\r\n\r\nX", "\n"] {
        assert_eq!(parse(text.as_bytes()), Verdict::Bad(Fault::NoHeader), "{text:?}");
    }
    assert_eq!(parse(b""), Verdict::More);
}

proptest! {
    #[test]
    fn a_torn_header_waits_for_its_rest(cut in any::<prop::sample::Index>(), version_2 in any::<bool>()) {
        let header = match version_2 {
            true => with_checksum(),
            false => b"PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n".to_vec(),
        };
        prop_assert_eq!(parse(&header[..cut.index(header.len())]), Verdict::More);
    }

    #[test]
    fn any_pair_of_addresses_comes_through_both_versions(ip: [u8; 16], port: u16, four: bool) {
        let address: IpAddr = match four {
            true => Ipv4Addr::new(ip[0], ip[1], ip[2], ip[3]).into(),
            false => Ipv6Addr::from_octets(ip).into(),
        };
        let client = Announced::Client(SocketAddr::new(address, port));
        let line = format!("PROXY TCP{} {address} {address} {port} 1\r\n", if four { 4 } else { 6 });
        prop_assert_eq!(parse(line.as_bytes()), Verdict::Header(line.len(), client));
        let octets = &ip[..if four { 4 } else { 16 }];
        let body = [octets, octets, &port.to_be_bytes(), &[0, 1]].concat();
        let header = header_2(1, if four { 0x11 } else { 0x21 }, &body);
        prop_assert_eq!(parse(&header), Verdict::Header(header.len(), client));
    }

    #[test]
    fn no_bytes_are_a_surprise(mut bytes in prop::collection::vec(any::<u8>(), 0..300), kind in 0..3) {
        match kind {
            0 => {}
            1 => bytes.splice(..0, *b"PROXY ").for_each(drop),
            _ => bytes.splice(..0, *SIGNATURE).for_each(drop),
        }
        if let Verdict::Header(len, _) = parse(&bytes) {
            prop_assert!(len <= bytes.len());
            prop_assert_eq!(parse(&bytes[..len]), parse(&bytes), "what follows changes nothing");
        }
    }
}
