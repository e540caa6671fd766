//! The walk over hops: a table of what honest proxies and forgers send, and a naive oracle.

use std::net::SocketAddr;

use http::HeaderValue;
use proptest::prelude::*;

use super::*;

fn proxies(change: impl FnOnce(&mut ProxyConfig)) -> TrustedProxies {
    let mut config = ProxyConfig {
        trusted: vec!["10.0.0.0/8".to_owned(), "fd00::/8".to_owned()],
        ..ProxyConfig::default()
    };
    change(&mut config);
    TrustedProxies::new(&config).unwrap()
}
fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    headers
}

/// A peer with this address.
fn ip(address: &str) -> Address {
    Address::Ip(SocketAddr::new(address.parse().unwrap(), 50_000))
}

/// The client, when the request comes from `peer` with these lines of `X-Forwarded-For`.
#[track_caller]
fn check(peer: &str, lines: &[&str], expected: &str) {
    let lines: Vec<_> = lines.iter().map(|line| ("x-forwarded-for", *line)).collect();
    let client = proxies(|_| {}).client(ip(peer), &headers(&lines));
    assert_eq!(client.ip.unwrap().to_string(), expected, "{lines:?}");
    assert_eq!((client.https, client.host), (None, None));
}
#[track_caller]
fn check_forwarded(lines: &[&str], expected: (&str, Option<bool>, Option<&str>)) {
    let lines: Vec<_> = lines.iter().map(|line| ("forwarded", *line)).collect();
    let proxies = proxies(|config| config.client = ClientHeader::Forwarded);
    let Client { ip, https, host } = proxies.client(ip("10.0.0.1"), &headers(&lines));
    assert_eq!((ip.unwrap().to_string().as_str(), https, host.as_deref()), expected, "{lines:?}");
}

#[test]
fn a_client_without_a_proxy_is_its_peer_whatever_it_claims() {
    check("9.9.9.9", &[], "9.9.9.9");
    check("9.9.9.9", &["1.2.3.4"], "9.9.9.9");
    check("9.9.9.9", &["1.2.3.4, 10.0.0.1"], "9.9.9.9");
    check("2001:db8::9", &["10.0.0.1"], "2001:db8::9");
}
#[test]
fn a_trusted_proxy_names_its_client() {
    check("10.0.0.1", &["9.9.9.9"], "9.9.9.9");
    check("fd00::1", &["2001:db8::9"], "2001:db8::9");
    check("::ffff:10.0.0.1", &["9.9.9.9"], "9.9.9.9");
    check("10.0.0.1", &["[2001:db8::9]:4711"], "2001:db8::9");
}
#[test]
fn trusted_hops_are_skipped() {
    check("10.0.0.1", &["9.9.9.9, 10.0.0.3, 10.0.0.2"], "9.9.9.9");
    check("10.0.0.1", &["9.9.9.9", "10.0.0.3", "10.0.0.2"], "9.9.9.9");
    check("10.0.0.1", &["9.9.9.9, ::ffff:10.0.0.2"], "9.9.9.9");
}
#[test]
fn what_a_client_puts_in_front_is_not_read() {
    check("10.0.0.1", &["1.2.3.4, 9.9.9.9"], "9.9.9.9");
    check("10.0.0.1", &["127.0.0.1, 10.0.0.7, 9.9.9.9, 10.0.0.2"], "9.9.9.9");
    check("10.0.0.1", &["1.2.3.4", "9.9.9.9"], "9.9.9.9");
    check("10.0.0.1", &["garbage, \u{e9}\u{e9}", "9.9.9.9"], "9.9.9.9");
    check("10.0.0.1", &["\"1.2.3.4, 9.9.9.9"], "9.9.9.9");
}
#[test]
fn garbage_ends_the_walk_at_the_last_good_hop() {
    check("10.0.0.1", &["9.9.9.9, what, 10.0.0.2"], "10.0.0.2");
    check("10.0.0.1", &["unknown"], "10.0.0.1");
    check("10.0.0.1", &["9.9.9.9,"], "10.0.0.1");
    check("10.0.0.1", &[""], "10.0.0.1");
    check("10.0.0.1", &["9.9.9.9, 1.2.3.4.5"], "10.0.0.1");
}
#[test]
fn where_all_are_trusted_the_first_one_is_the_client() {
    check("10.0.0.1", &["10.0.0.9, 10.0.0.2"], "10.0.0.9");
    check("10.0.0.1", &[], "10.0.0.1");
}
#[test]
fn the_walk_is_bounded() {
    let many = vec!["10.0.0.2"; 100].join(", ");
    check("10.0.0.1", &[&format!("9.9.9.9, {many}")], "10.0.0.2");
    let most = vec!["10.0.0.2"; MAX_HOPS - 1].join(", ");
    check("10.0.0.1", &[&format!("9.9.9.9, {most}")], "9.9.9.9");
}

#[test]
fn forwarded_names_client_scheme_and_host() {
    check_forwarded(&["for=9.9.9.9;proto=https;host=a.example"], ("9.9.9.9", Some(true), Some("a.example")));
    check_forwarded(&[r#"for="[2001:db8::9]:80";proto=http"#], ("2001:db8::9", Some(false), None));
    let two = "for=9.9.9.9;proto=https;host=shop.example, for=10.0.0.2;proto=http;host=inner";
    check_forwarded(&[two], ("9.9.9.9", Some(true), Some("shop.example")));
}
#[test]
fn a_hidden_hop_ends_the_walk() {
    check_forwarded(&["for=unknown"], ("10.0.0.1", None, None));
    check_forwarded(&["for=9.9.9.9, for=_hidden;proto=https"], ("10.0.0.1", None, None));
    check_forwarded(&["for=9.9.9.9, for=10.0.0.2;host=b"], ("9.9.9.9", None, None));
}
#[test]
fn forged_elements_are_not_read() {
    check_forwarded(&["for=1.2.3.4;proto=https, for=9.9.9.9"], ("9.9.9.9", None, None));
    check_forwarded(&[r#"for=1.2.3.4;x=", for=9.9.9.9;proto=http"#], ("9.9.9.9", Some(false), None));
    check_forwarded(&[r#"for=1.2.3.4, for=""#, "for=9.9.9.9"], ("9.9.9.9", None, None));
    check_forwarded(&["for=9.9.9.9;host=\"evil.example/path\""], ("9.9.9.9", None, None));
    check_forwarded(&["for=9.9.9.9;host=\"user@evil.example\""], ("9.9.9.9", None, None));
    check_forwarded(&["for=9.9.9.9;proto=gopher"], ("9.9.9.9", None, None));
}

#[track_caller]
fn check_named(lines: &[(&'static str, &str)], expected: &str) {
    let proxies = proxies(|config| config.client = ClientHeader::Named("CF-Connecting-IP".to_owned()));
    let client = proxies.client(ip("10.0.0.1"), &headers(lines));
    assert_eq!(client.ip.unwrap().to_string(), expected, "{lines:?}");
}
#[test]
fn one_named_header_has_one_address() {
    check_named(&[("cf-connecting-ip", "9.9.9.9"), ("x-forwarded-for", "1.2.3.4")], "9.9.9.9");
    check_named(&[("x-forwarded-for", "1.2.3.4")], "10.0.0.1");
    check_named(&[("cf-connecting-ip", "9.9.9.9, 8.8.8.8")], "10.0.0.1");
    check_named(&[("cf-connecting-ip", "9.9.9.9"), ("cf-connecting-ip", "8.8.8.8")], "10.0.0.1");
}
#[test]
fn scheme_and_host_are_believed_only_when_the_configuration_says_so() {
    let lines = [("x-forwarded-proto", "http, https"), ("x-forwarded-host", "evil.example, a.example:8443")];
    let of = |peer: &str, believe: bool| {
        let proxies = proxies(|config| (config.forwarded_proto, config.forwarded_host) = (believe, believe));
        let client = proxies.client(ip(peer), &headers(&lines));
        (client.https, client.host.map(String::from))
    };
    assert_eq!(of("10.0.0.1", false), (None, None));
    assert_eq!(of("10.0.0.1", true), (Some(true), Some("a.example:8443".to_owned())));
    assert_eq!(of("9.9.9.9", true), (None, None));
}

#[track_caller]
fn refused(change: impl FnOnce(&mut ProxyConfig), problem: &str) {
    let mut config = ProxyConfig::default();
    change(&mut config);
    let error = TrustedProxies::new(&config).unwrap_err().to_string();
    assert!(error.starts_with(problem), "{error}");
}
#[test]
fn a_bad_configuration_is_named() {
    let network = |text: &str| vec!["loopback".to_owned(), text.to_owned()];
    refused(
        |config| config.trusted = network("10.0.0.0/40"),
        "`proxies.trusted[1]` is 10.0.0.0/40, but must be an address",
    );
    refused(
        |config| config.trusted = network("0.0.0.0/0"),
        "`proxies.trusted[1]` is 0.0.0.0/0, but must be a network",
    );
    refused(
        |config| config.trusted = vec!["::1".to_owned(); 1025],
        "`proxies.trusted` is 1025, but must be at most",
    );
    refused(
        |config| config.client = ClientHeader::Named("a b".to_owned()),
        "`proxies.client` is a b, but must be",
    );
}
#[test]
fn nobody_is_trusted_by_default() {
    let proxies = TrustedProxies::new(&ProxyConfig::default()).unwrap();
    let client = proxies.client(ip("127.0.0.1"), &headers(&[("x-forwarded-for", "1.2.3.4")]));
    assert_eq!(client.ip, Some("127.0.0.1".parse().unwrap()));
}
#[test]
fn it_reads_as_configuration() {
    let text =
        r#"{"trusted": ["private"], "client": {"named": "CF-Connecting-IP"}, "forwarded_proto": true}"#;
    let config: ProxyConfig = serde_json::from_str(text).unwrap();
    assert_eq!(config.client, ClientHeader::Named("CF-Connecting-IP".to_owned()));
    assert!(serde_json::from_str::<ProxyConfig>(r#"{"trust": []}"#).is_err());
    assert_eq!(
        serde_json::from_str::<ProxyConfig>(r#"{"client": "forwarded"}"#).unwrap().client,
        ClientHeader::Forwarded
    );
}

/// The whole chain as one vector, peer last; the client is the last of its untrusted addresses, unless something
/// unreadable stands behind it.
fn naive(trusted: impl Fn(IpAddr) -> bool, peer: IpAddr, lines: &[String]) -> IpAddr {
    let all = lines.join(",");
    let mut chain: Vec<Option<IpAddr>> = match lines {
        [] => vec![],
        _ => all.split(',').map(|item| item.trim().parse::<IpAddr>().ok()).collect(),
    };
    chain.push(Some(peer));
    let readable = chain.iter().rposition(Option::is_none).map_or(0, |at| at + 1);
    let chain: Vec<_> = chain[readable..].iter().flatten().copied().collect();
    chain.iter().rev().find(|ip| !trusted(**ip)).or(chain.first()).copied().unwrap_or(peer)
}

fn item() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => (0_u8..4).prop_map(|n| format!("10.0.0.{n}")),
        3 => (0_u8..4).prop_map(|n| format!("9.9.9.{n}")),
        1 => Just("fd00::7".to_owned()),
        1 => Just("2001:db8::7".to_owned()),
        1 => Just("unknown".to_owned()),
        1 => Just(String::new()),
    ]
}

#[test]
fn whoever_may_open_a_unix_socket_is_trusted_by_name() {
    let sent = headers(&[("x-forwarded-for", "9.9.9.9, 10.0.0.7")]);
    let trusting = proxies(|config| config.trusted.push("unix".to_owned()));
    assert_eq!(trusting.client(Address::Unix, &sent).ip, Some("9.9.9.9".parse().unwrap()));
    assert_eq!(trusting.client(Address::Unix, &headers(&[])), Client::default());
    assert_eq!(proxies(|_| {}).client(Address::Unix, &sent), Client::default(), "nobody said so");
    assert_eq!(trusting.client(Address::Unknown, &sent), Client::default());
}

proptest! {
    #[test]
    fn the_walk_agrees_with_looking_at_the_whole_chain(
        peer in prop_oneof![Just("10.0.0.1"), Just("9.9.9.9"), Just("fd00::1")],
        lines in proptest::collection::vec(proptest::collection::vec(item(), 1..5), 0..5),
    ) {
        let proxies = proxies(|_| {});
                let lines: Vec<_> = lines.iter().map(|line| line.join(", ")).collect();
        let sent: Vec<_> = lines.iter().map(|line| ("x-forwarded-for", line.as_str())).collect();
        let found = proxies.client(ip(peer), &headers(&sent)).ip.unwrap();
        prop_assert_eq!(found, naive(|ip| proxies.contains(ip), peer.parse().unwrap(), &lines));
    }
    #[test]
    fn a_client_that_is_not_trusted_never_chooses_its_address(junk in "[0-9a-f:., \"\\[\\]]{0,60}") {
        let proxies = proxies(|_| {});
        let lines = format!("{junk}, 9.9.9.9");
        let client = proxies.client(ip("10.0.0.1"), &headers(&[("x-forwarded-for", &lines)]));
        prop_assert_eq!(client.ip, Some("9.9.9.9".parse().unwrap()));
    }
}
