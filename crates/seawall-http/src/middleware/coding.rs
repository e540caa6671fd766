//! Which content coding a client wants: `Accept-Encoding`, read as RFC 9110 12.5.3 has it. Pure.

use http::{HeaderMap, HeaderValue, header};
use serde::Deserialize;

/// A content coding that answers may be sent in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Coding {
    /// Zstandard (RFC 8878): as small as gzip at a fraction of the time.
    Zstd,
    /// Brotli (RFC 7932): the smallest, for what is compressed once.
    Br,
    /// Gzip (RFC 1952): what everybody reads.
    Gzip,
}

impl Coding {
    /// Its registered name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Zstd => "zstd",
            Self::Br => "br",
            Self::Gzip => "gzip",
        }
    }
    pub(crate) fn value(self) -> HeaderValue {
        HeaderValue::from_static(self.name())
    }
    /// What the extension of a file in this coding is.
    pub(crate) fn extension(self) -> &'static str {
        match self {
            Self::Zstd => "zst",
            Self::Br => "br",
            Self::Gzip => "gz",
        }
    }
    fn is(self, name: &str) -> bool {
        name.eq_ignore_ascii_case(self.name()) || self == Self::Gzip && name.eq_ignore_ascii_case("x-gzip")
    }
}

/// The coding that the client likes best, of those `offered`; among equals the first one offered. `None` is the body
/// as it is: where the client names nothing better, and also where it accepts nothing at all, because an answer that it
/// did not ask for is of more use than none (12.5.3 leaves that open).
pub(crate) fn choose(headers: &HeaderMap, offered: &[Coding]) -> Option<Coding> {
    let wanted: Vec<_> =
        headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok()).collect();
    let named = |fits: &dyn Fn(&str) -> bool| {
        elements(&wanted).find(|(name, _)| fits(name)).map(|(_, weight)| weight)
    };
    let star = named(&|name| name == "*");
    let weight = |coding: Coding| named(&|name| coding.is(name)).or(star).unwrap_or(0);
    let best = offered.iter().copied().rev().max_by_key(|coding| weight(*coding))?;
    // What is not named at all is acceptable, and less than anything that is.
    let plain = named(&|name| name.eq_ignore_ascii_case("identity")).or(star.filter(|weight| *weight == 0));
    let plain = plain.unwrap_or(1).min(1000);
    (weight(best) > 0 && weight(best) >= plain).then_some(best)
}

/// Name and weight, in thousandths, of each element. One whose weight cannot be read counts as refused.
fn elements<'a>(values: &'a [&'a str]) -> impl Iterator<Item = (&'a str, u16)> {
    let all = values.iter().flat_map(|value| value.split(','));
    all.filter_map(|element| {
        let mut parts = element.split(';').map(str::trim);
        let name = parts.next().filter(|name| !name.is_empty())?;
        let weight = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
        Some((name, weight.map_or(1000, |weight| thousandths(weight).unwrap_or(0))))
    })
}

/// `0` or `1`, and up to three digits behind a dot (12.4.2).
fn thousandths(weight: &str) -> Option<u16> {
    let (whole, rest) = weight.split_once('.').unwrap_or((weight, ""));
    if rest.len() > 3 || !rest.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let part = format!("{rest:0<3}").parse::<u16>().ok()?;
    match whole {
        "0" => Some(part),
        "1" if part == 0 => Some(1000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ALL: [Coding; 3] = [Coding::Zstd, Coding::Br, Coding::Gzip];

    #[track_caller]
    fn check(wanted: &[&str], expected: Option<Coding>) {
        let values =
            wanted.iter().map(|value| (header::ACCEPT_ENCODING, HeaderValue::from_str(value).unwrap()));
        assert_eq!(choose(&values.collect(), &ALL), expected, "{wanted:?}");
    }

    #[test]
    fn who_asks_for_nothing_gets_the_body_as_it_is() {
        check(&[], None);
        check(&[""], None);
        check(&["identity"], None);
        check(&["compress"], None);
    }
    #[test]
    fn among_equals_the_server_chooses() {
        check(&["gzip, deflate, br, zstd"], Some(Coding::Zstd));
        check(&["gzip, br"], Some(Coding::Br));
        check(&["gzip"], Some(Coding::Gzip));
        check(&["x-GZIP"], Some(Coding::Gzip));
        check(&["gzip", "br"], Some(Coding::Br));
    }
    #[test]
    fn the_weight_decides() {
        check(&["gzip;q=1.0, br;q=0.5, zstd;q=0.1"], Some(Coding::Gzip));
        check(&["br;q=0.8;x=y, gzip; q=0.9"], Some(Coding::Gzip));
        check(&["gzip;q=0"], None);
        check(&["gzip;Q=0.001"], Some(Coding::Gzip));
    }
    #[test]
    fn a_star_is_whatever_is_not_named() {
        check(&["*"], Some(Coding::Zstd));
        check(&["*, zstd;q=0"], Some(Coding::Br));
        check(&["gzip, *;q=0"], Some(Coding::Gzip));
        check(&["*;q=0"], None);
    }
    #[test]
    fn identity_may_be_preferred_or_refused() {
        check(&["identity, gzip;q=0.5"], None);
        check(&["identity;q=0.5, gzip"], Some(Coding::Gzip));
        check(&["identity;q=0, gzip;q=0.1"], Some(Coding::Gzip));
        check(&["identity;q=0"], None);
    }
    #[test]
    fn a_weight_that_is_none_refuses() {
        for weight in ["2", "1.1", "0.1234", "x", "", "-1", "0.x"] {
            check(&[&format!("gzip;q={weight}")], None);
        }
    }

    proptest! {
        #[test]
        fn any_header_is_read(value in "[ -~]{0,60}") {
            let headers = [(header::ACCEPT_ENCODING, HeaderValue::from_str(&value).unwrap())].into_iter().collect();
            if let Some(coding) = choose(&headers, &ALL) {
                prop_assert!(value.contains('*') || value.to_ascii_lowercase().contains(coding.name()));
            }
        }
    }
}
