//! A token as text, and what its registered claims say: pure, time is an argument
//! ([RFC 7515](https://www.rfc-editor.org/rfc/rfc7515), [RFC 7519](https://www.rfc-editor.org/rfc/rfc7519)).

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Deserializer};

/// Why a token is not believed. What the client reads says no more than it must.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    Missing,
    TooLong,
    Malformed,
    /// `none`, one that no key of ours is for, or an extension that we must understand and do not.
    Unsupported,
    UnknownKey,
    BadSignature,
    Expired,
    NotYetValid,
    /// A claim that must be there is missing or of another form.
    Incomplete,
    WrongIssuer,
    WrongAudience,
}

impl Refused {
    pub(super) fn message(self) -> &'static str {
        match self {
            Self::Missing => "a token is needed",
            Self::Expired => "the token has expired",
            Self::NotYetValid => "the token is not valid yet",
            Self::WrongIssuer => "the token comes from another issuer",
            Self::WrongAudience => "the token is meant for another audience",
            Self::TooLong
            | Self::Malformed
            | Self::Unsupported
            | Self::UnknownKey
            | Self::BadSignature
            | Self::Incomplete => "the token is not valid",
        }
    }
}

/// The protected header, as far as it matters here.
#[derive(Debug, Deserialize)]
pub(super) struct Header {
    pub(super) alg: String,
    pub(super) kid: Option<String>,
    /// Extensions that must be understood (RFC 7515, 4.1.11); we understand none.
    #[serde(default, deserialize_with = "is_there")]
    crit: bool,
}

/// Whatever it is: a `null` counts, too.
fn is_there<'de, D: Deserializer<'de>>(from: D) -> Result<bool, D::Error> {
    serde::de::IgnoredAny::deserialize(from).map(|_| true)
}

/// The three parts of a compact token.
pub(super) struct Token<'t> {
    pub(super) header: Header,
    /// What is signed: header, dot, payload.
    pub(super) signed: &'t str,
    pub(super) payload: Vec<u8>,
    pub(super) signature: &'t str,
}

impl<'t> Token<'t> {
    pub(super) fn parse(text: &'t str) -> Result<Self, Refused> {
        let (signed, signature) = text.rsplit_once('.').ok_or(Refused::Malformed)?;
        let (header, payload) = signed.split_once('.').ok_or(Refused::Malformed)?;
        if payload.contains('.') {
            return Err(Refused::Malformed); // five parts are an encrypted token
        }
        let decode = |part| URL_SAFE_NO_PAD.decode(part).map_err(|_| Refused::Malformed);
        let header: Header = serde_json::from_slice(&decode(header)?).map_err(|_| Refused::Malformed)?;
        if header.crit {
            return Err(Refused::Unsupported);
        }
        Ok(Self { header, signed, payload: decode(payload)?, signature })
    }
}

/// The claims that this file judges (RFC 7519, 4.1). Times are seconds since 1970, with or without fractions.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Registered {
    exp: Option<f64>,
    nbf: Option<f64>,
    iss: Option<String>,
    aud: Option<OneOrMore>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

impl OneOrMore {
    fn any(&self, wanted: &[String]) -> bool {
        match self {
            Self::One(one) => wanted.contains(one),
            Self::More(all) => all.iter().any(|one| wanted.contains(one)),
        }
    }
}

/// What registered claims must say.
#[derive(Debug)]
pub(super) struct Rules {
    pub(super) issuers: Vec<String>,
    pub(super) audiences: Vec<String>,
    pub(super) leeway: Duration,
    pub(super) require_exp: bool,
}

impl Rules {
    /// Judges claims whose signature was checked.
    pub(super) fn judge(&self, claims: &Registered, now: Duration) -> Result<(), Refused> {
        if claims.exp.is_none() && self.require_exp {
            return Err(Refused::Incomplete);
        }
        self.judge_time(claims, now)?;
        let of_issuer = || claims.iss.as_ref().is_some_and(|issuer| self.issuers.contains(issuer));
        if !self.issuers.is_empty() && !of_issuer() {
            return Err(Refused::WrongIssuer);
        }
        match &claims.aud {
            Some(audience) if audience.any(&self.audiences) => Ok(()),
            // RFC 7519, 4.1.3: whoever does not identify with the audience must refuse the token.
            Some(_) => Err(Refused::WrongAudience),
            None if self.audiences.is_empty() => Ok(()),
            None => Err(Refused::WrongAudience),
        }
    }

    /// Only what time can change; what a token from the cache must pass again.
    pub(super) fn judge_time(&self, claims: &Registered, now: Duration) -> Result<(), Refused> {
        let (now, leeway) = (now.as_secs_f64(), self.leeway.as_secs_f64());
        if claims.exp.is_some_and(|exp| now >= exp + leeway) {
            return Err(Refused::Expired);
        }
        if claims.nbf.is_some_and(|nbf| now + leeway < nbf) {
            return Err(Refused::NotYetValid);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rules() -> Rules {
        Rules { issuers: vec![], audiences: vec![], leeway: Duration::from_secs(10), require_exp: true }
    }
    #[track_caller]
    fn check(rules: &Rules, claims: &str, now: u64, expected: Result<(), Refused>) {
        let claims: Registered = serde_json::from_str(claims).unwrap();
        assert_eq!(rules.judge(&claims, Duration::from_secs(now)), expected);
    }

    #[test]
    fn a_token_ends_at_its_exp_and_the_leeway() {
        check(&rules(), r#"{"exp": 100}"#, 109, Ok(()));
        check(&rules(), r#"{"exp": 100}"#, 110, Err(Refused::Expired));
        check(&rules(), r#"{"exp": 99.5}"#, 109, Ok(()));
        check(&rules(), r#"{"exp": -1}"#, 100, Err(Refused::Expired));
        check(&rules(), r#"{"exp": 1e300}"#, 110, Ok(()));
    }
    #[test]
    fn a_token_begins_at_its_nbf_less_the_leeway() {
        check(&rules(), r#"{"exp": 200, "nbf": 100}"#, 90, Ok(()));
        check(&rules(), r#"{"exp": 200, "nbf": 100}"#, 89, Err(Refused::NotYetValid));
    }
    #[test]
    fn a_token_without_an_end_is_refused_unless_that_is_wanted() {
        check(&rules(), "{}", 0, Err(Refused::Incomplete));
        check(&Rules { require_exp: false, ..rules() }, "{}", 0, Ok(()));
    }
    #[test]
    fn the_issuer_must_be_one_of_ours() {
        let rules = Rules { issuers: vec!["joe".into()], require_exp: false, ..rules() };
        check(&rules, r#"{"iss": "joe"}"#, 0, Ok(()));
        check(&rules, r#"{"iss": "jim"}"#, 0, Err(Refused::WrongIssuer));
        check(&rules, "{}", 0, Err(Refused::WrongIssuer));
    }
    #[test]
    fn the_audience_must_be_us() {
        let open = Rules { require_exp: false, ..rules() };
        let shop = Rules { audiences: vec!["shop".into()], require_exp: false, ..rules() };
        check(&shop, r#"{"aud": "shop"}"#, 0, Ok(()));
        check(&shop, r#"{"aud": ["bank", "shop"]}"#, 0, Ok(()));
        check(&shop, r#"{"aud": ["bank"]}"#, 0, Err(Refused::WrongAudience));
        check(&shop, "{}", 0, Err(Refused::WrongAudience));
        check(&open, r#"{"aud": "bank"}"#, 0, Err(Refused::WrongAudience));
        check(&open, "{}", 0, Ok(()));
    }
    #[test]
    fn what_is_no_compact_token_is_malformed() {
        for text in ["", ".", "..", "a.b", "a.b.c.d.e", "e30.e30.", "eyJhbGciOjF9.e30."] {
            assert_eq!(Token::parse(text).err(), Some(Refused::Malformed), "{text}");
        }
    }
    #[test]
    fn critical_extensions_are_not_understood() {
        for header in [r#"{"alg":"HS256","crit":["b64"]}"#, r#"{"alg":"HS256","crit":null}"#] {
            let text = format!("{}.e30.", URL_SAFE_NO_PAD.encode(header));
            assert_eq!(Token::parse(&text).err(), Some(Refused::Unsupported), "{header}");
        }
    }
    #[test]
    fn a_member_that_comes_twice_is_malformed() {
        let text = format!("{}.e30.", URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","alg":"none"}"#));
        assert_eq!(Token::parse(&text).err(), Some(Refused::Malformed));
    }

    proptest! {
        #[test]
        fn any_text_is_parsed_without_a_panic(text in ".{0,60}", parts in "[A-Za-z0-9_.-]{0,60}") {
            let _ = Token::parse(&text);
            let _ = Token::parse(&parts);
        }
    }
}
