//! Keys, and which algorithms each is for. A key has its algorithms from the configuration, never from a token: a
//! public key cannot be taken for a secret, and `none` belongs to no key.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::crypto::rust_crypto::DEFAULT_PROVIDER;
use jsonwebtoken::{Algorithm, DecodingKey};
use seawall_core::ConfigError;
use serde::Deserialize;

use super::token::{Header, Refused};
use super::{JwtAlgorithm, JwtKey};

/// The most keys of a set; issuers rotate two or three.
pub(super) const MOST_KEYS: usize = 100;
/// RFC 7518, 3.3: 2048 bits.
const SHORTEST_RSA: usize = 256;

/// Keys that signatures are checked with.
#[derive(Default)]
pub(super) struct KeySet(Vec<Key>);

struct Key {
    kid: Option<String>,
    algorithms: &'static [JwtAlgorithm],
    key: DecodingKey,
}

impl KeySet {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
    pub(super) fn extend(&mut self, more: Self) {
        self.0.extend(more.0);
    }

    /// Keys that are written in the configuration.
    pub(super) fn of(keys: &[JwtKey]) -> Result<Self, ConfigError> {
        let read = |key: &JwtKey| {
            let decoding = match key.algorithm.family() {
                Family::Hmac => secret(key.key.expose().as_bytes(), key.algorithm.shortest_secret()),
                Family::Rsa => {
                    DecodingKey::from_rsa_pem(key.key.expose().as_bytes()).ok().filter(is_long_enough)
                }
                Family::Ec => DecodingKey::from_ec_pem(key.key.expose().as_bytes()).ok(),
                Family::Ed => DecodingKey::from_ed_pem(key.key.expose().as_bytes()).ok(),
            };
            let allowed = "a public key in PEM, RSA with at least 2048 bits; for HS256, HS384 and HS512 a secret of at \
                           least 32, 48 and 64 bytes";
            let shown = format_args!("something else for {} (not shown)", key.algorithm.name()).to_string();
            let key_or = decoding.ok_or_else(|| ConfigError::new("jwt.keys", shown, allowed))?;
            Ok(Key { kid: key.kid.clone(), algorithms: key.algorithm.alone(), key: key_or })
        };
        Ok(Self(keys.iter().map(read).collect::<Result<_, ConfigError>>()?))
    }

    /// A JWK set (RFC 7517, 5). Keys for other uses and of other kinds are left out, as the RFC asks for.
    pub(super) fn of_jwks(text: &str) -> Result<Self, String> {
        let set: JwkSet =
            serde_json::from_str(text).map_err(|error| format!("no JWK set: {}", place(&error)))?;
        if set.keys.len() > MOST_KEYS {
            return Err(format!("a JWK set of {} keys; at most {MOST_KEYS} are read", set.keys.len()));
        }
        let keys: Vec<_> = set.keys.into_iter().filter_map(|jwk| jwk.key()).collect();
        if keys.is_empty() {
            return Err("a JWK set without a key that signatures can be checked with".to_owned());
        }
        Ok(Self(keys))
    }

    /// Checks a signature with the keys that the header may mean.
    pub(super) fn check(&self, header: &Header, signed: &str, signature: &str) -> Result<(), Refused> {
        let algorithm = JwtAlgorithm::by_name(&header.alg).ok_or(Refused::Unsupported)?;
        let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| Refused::Malformed)?;
        let mut refused = Refused::UnknownKey;
        for key in self.0.iter().filter(|key| key.algorithms.contains(&algorithm)) {
            // A key without an id may be meant by any id, and a token without one may mean any key.
            let other = key.kid.is_some() && header.kid.is_some() && key.kid != header.kid;
            if other {
                continue;
            }
            let verifier = (DEFAULT_PROVIDER.verifier_factory)(&algorithm.inner(), &key.key);
            match verifier.map(|verifier| verifier.verify(signed.as_bytes(), &signature)) {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(_)) | Err(_) => refused = Refused::BadSignature,
            }
        }
        Err(refused)
    }
}

/// Where it is wrong, without the text itself: a set may hold secrets.
fn place(error: &serde_json::Error) -> String {
    format!("{:?} error in line {}, column {}", error.classify(), error.line(), error.column())
}

#[derive(Deserialize)]
struct JwkSet {
    keys: Vec<Jwk>,
}

/// A key as RFC 7517, RFC 7518 (6) and RFC 8037 (2) write it. Private parts are not read.
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    r#use: Option<String>,
    key_ops: Option<Vec<String>>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
    k: Option<String>,
}

impl Jwk {
    fn key(self) -> Option<Key> {
        let verifies = |operations: &Vec<String>| operations.iter().any(|operation| operation == "verify");
        let to_sign = self.r#use.as_deref().is_none_or(|purpose| purpose == "sig");
        if !to_sign || !self.key_ops.as_ref().is_none_or(verifies) {
            return None;
        }
        let (possible, key) = self.parameters()?;
        let algorithms = match &self.alg {
            None => possible,
            Some(name) => JwtAlgorithm::by_name(name).filter(|named| possible.contains(named))?.alone(),
        };
        Some(Key { kid: self.kid, algorithms, key })
    }

    /// The key, and what such a key can be for.
    fn parameters(&self) -> Option<(&'static [JwtAlgorithm], DecodingKey)> {
        use JwtAlgorithm as A;
        match (&*self.kty, self.crv.as_deref()) {
            ("RSA", _) => {
                let key = DecodingKey::from_rsa_components(self.n.as_deref()?, self.e.as_deref()?);
                Some((&[A::RS256, A::RS384, A::RS512], key.ok().filter(is_long_enough)?))
            }
            ("EC", Some(curve @ ("P-256" | "P-384"))) => {
                let key = DecodingKey::from_ec_components(self.x.as_deref()?, self.y.as_deref()?).ok()?;
                Some((if curve == "P-256" { &[A::ES256] } else { &[A::ES384] }, key))
            }
            ("OKP", Some("Ed25519")) => {
                Some((&[A::EdDSA], DecodingKey::from_ed_components(self.x.as_deref()?).ok()?))
            }
            ("oct", _) => {
                let bytes = URL_SAFE_NO_PAD.decode(self.k.as_deref()?).ok()?;
                let possible: &[A] = match bytes.len() {
                    0..32 => return None,
                    32..48 => &[A::HS256],
                    48..64 => &[A::HS256, A::HS384],
                    64.. => &[A::HS256, A::HS384, A::HS512],
                };
                Some((possible, DecodingKey::from_secret(&bytes)))
            }
            _ => None,
        }
    }
}

fn secret(bytes: &[u8], shortest: usize) -> Option<DecodingKey> {
    (bytes.len() >= shortest).then(|| DecodingKey::from_secret(bytes))
}

fn is_long_enough(key: &DecodingKey) -> bool {
    use jsonwebtoken::DecodingKeyKind as Kind;
    match key.kind() {
        Kind::RsaModulusExponent { n, .. } => n.iter().skip_while(|byte| **byte == 0).count() >= SHORTEST_RSA,
        // The modulus, the exponent and their lengths.
        Kind::SecretOrDer(der) => der.len() >= SHORTEST_RSA + 8,
    }
}

/// What kind of key an algorithm needs.
enum Family {
    Hmac,
    Rsa,
    Ec,
    Ed,
}

impl JwtAlgorithm {
    const ALL: [Self; 9] = [
        Self::HS256,
        Self::HS384,
        Self::HS512,
        Self::RS256,
        Self::RS384,
        Self::RS512,
        Self::ES256,
        Self::ES384,
        Self::EdDSA,
    ];

    /// The name that headers give it.
    pub fn name(self) -> &'static str {
        match self {
            Self::HS256 => "HS256",
            Self::HS384 => "HS384",
            Self::HS512 => "HS512",
            Self::RS256 => "RS256",
            Self::RS384 => "RS384",
            Self::RS512 => "RS512",
            Self::ES256 => "ES256",
            Self::ES384 => "ES384",
            Self::EdDSA => "EdDSA",
        }
    }
    fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == name)
    }
    fn alone(self) -> &'static [Self] {
        let at = Self::ALL.iter().position(|algorithm| *algorithm == self).expect("it is one of all");
        const { &Self::ALL }.get(at..=at).expect("the position is inside")
    }
    fn family(self) -> Family {
        match self {
            Self::HS256 | Self::HS384 | Self::HS512 => Family::Hmac,
            Self::RS256 | Self::RS384 | Self::RS512 => Family::Rsa,
            Self::ES256 | Self::ES384 => Family::Ec,
            Self::EdDSA => Family::Ed,
        }
    }
    /// RFC 7518, 3.2: as long as the hash.
    fn shortest_secret(self) -> usize {
        match self {
            Self::HS384 => 48,
            Self::HS512 => 64,
            _ => 32,
        }
    }
    fn inner(self) -> Algorithm {
        match self {
            Self::HS256 => Algorithm::HS256,
            Self::HS384 => Algorithm::HS384,
            Self::HS512 => Algorithm::HS512,
            Self::RS256 => Algorithm::RS256,
            Self::RS384 => Algorithm::RS384,
            Self::RS512 => Algorithm::RS512,
            Self::ES256 => Algorithm::ES256,
            Self::ES384 => Algorithm::ES384,
            Self::EdDSA => Algorithm::EdDSA,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::token::Token;
    use super::*;

    const RSA_N: &str = "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ";
    const PAYLOAD: &str =
        "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";

    fn keys(jwk: &str) -> KeySet {
        KeySet::of_jwks(&format!(r#"{{"keys":[{jwk}]}}"#)).unwrap()
    }
    #[track_caller]
    fn check(jwk: &str, token: &str, expected: Result<(), Refused>) {
        let Token { header, signed, signature, .. } = Token::parse(token).unwrap();
        assert_eq!(keys(jwk).check(&header, signed, signature), expected, "{token}");
    }
    fn oct() -> &'static str {
        r#"{"kty":"oct","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"}"#
    }
    fn rsa() -> String {
        format!(r#"{{"kty":"RSA","e":"AQAB","n":"{RSA_N}"}}"#)
    }

    #[test]
    fn rfc_7515_a1_and_rfc_7519_31_hs256() {
        let head = format!("eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.{PAYLOAD}");
        check(oct(), &format!("{head}.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"), Ok(()));
        check(
            oct(),
            &format!("{head}.eBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
            Err(Refused::BadSignature),
        );
        check(oct(), &format!("{head}."), Err(Refused::BadSignature));
        let cut = head.trim_end_matches('Q');
        check(
            oct(),
            &format!("{cut}g.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
            Err(Refused::BadSignature),
        );
    }
    #[test]
    fn rfc_7515_a2_rs256() {
        let token = format!(
            "eyJhbGciOiJSUzI1NiJ9.{PAYLOAD}.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw"
        );
        check(&rsa(), &token, Ok(()));
        check(&rsa(), &token.replace("cC4h", "cC5h"), Err(Refused::BadSignature));
    }
    #[test]
    fn rfc_7515_a3_es256() {
        let key = r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#;
        let signature =
            "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
        check(key, &format!("eyJhbGciOiJFUzI1NiJ9.{PAYLOAD}.{signature}"), Ok(()));
        check(key, &format!("eyJhbGciOiJFUzI1NiJ9.{PAYLOAD}.{signature}A"), Err(Refused::BadSignature));
        check(key, &format!("eyJhbGciOiJFUzM4NCJ9.{PAYLOAD}.{signature}"), Err(Refused::UnknownKey));
    }
    #[test]
    fn rfc_7515_a4_es512_is_not_supported() {
        let key = r#"{"kty":"EC","crv":"P-521","x":"AekpBQ8ST8a8VcfVOTNl353vSrDCLLJXmPk06wTjxrrjcBpXp5EOnYG_NjFZ6OvLFV1jSfS9tsz4qUxcWceqwQGk","y":"ADSmRA43Z1DSNx_RvcLI87cdL07l6jQyyBXMoxVg_l2Th-x3S1WDhjDly79ajL4Kkd0AZMaZmh9ubmf63e3kyMj2"}"#;
        check(&format!("{key},{}", oct()), "eyJhbGciOiJFUzUxMiJ9.UGF5bG9hZA.AdwM", Err(Refused::Unsupported));
    }
    #[test]
    fn rfc_8037_a4_eddsa() {
        let key = r#"{"kty":"OKP","crv":"Ed25519","d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
        let head = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
        let signature =
            "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
        check(key, &format!("{head}.{signature}"), Ok(()));
        check(key, &format!("{head}.{}", signature.replace("hgyY", "hgyX")), Err(Refused::BadSignature));
    }
    #[test]
    fn rfc_7519_61_unsecured_tokens_are_refused() {
        let token = format!("eyJhbGciOiJub25lIn0.{PAYLOAD}.");
        check(oct(), &token, Err(Refused::Unsupported));
        let capital = URL_SAFE_NO_PAD.encode(r#"{"alg":"None"}"#);
        check(oct(), &format!("{capital}.{PAYLOAD}."), Err(Refused::Unsupported));
    }
    #[test]
    fn a_public_key_is_no_secret() {
        // The classic confusion: an HMAC whose key is the text of the public key.
        check(&rsa(), &format!("eyJhbGciOiJIUzI1NiJ9.{PAYLOAD}.AAAA"), Err(Refused::UnknownKey));
        let named = rsa().replace(r#""kty":"RSA""#, r#""kty":"RSA","alg":"RS512""#);
        check(&named, &format!("eyJhbGciOiJSUzI1NiJ9.{PAYLOAD}.AAAA"), Err(Refused::UnknownKey));
    }
    #[test]
    fn rfc_7517_a1_a_set_gives_the_keys_for_signatures_alone() {
        let encrypting = r#"{"kty":"EC","crv":"P-256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM","use":"enc","kid":"1"}"#;
        let signing = rsa().replace('}', r#","alg":"RS256","kid":"2011-04-29"}"#);
        assert_eq!(keys(&format!("{encrypting},{signing}")).len(), 1);
        assert!(KeySet::of_jwks(&format!(r#"{{"keys":[{encrypting}]}}"#)).is_err());
    }
    #[test]
    fn an_id_chooses_the_key() {
        let with_id = oct().replace('}', r#","kid":"a"}"#);
        let other = r#"{"kty":"oct","kid":"b","k":"AAM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"}"#;
        let set = format!("{other},{with_id}");
        let head = format!("eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.{PAYLOAD}");
        check(&set, &format!("{head}.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"), Ok(()));
        let unknown = URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","kid":"c"}"#);
        check(&set, &format!("{unknown}.{PAYLOAD}.AAAA"), Err(Refused::UnknownKey));
    }
    #[test]
    fn weak_keys_are_left_out() {
        let short = format!(r#"{{"keys":[{{"kty":"RSA","e":"AQAB","n":"{}"}}]}}"#, &RSA_N[..170]);
        assert!(KeySet::of_jwks(&short).is_err());
        assert!(KeySet::of_jwks(r#"{"keys":[{"kty":"oct","k":"c2hvcnQ"}]}"#).is_err());
    }
    #[test]
    fn a_broken_set_shows_no_secret() {
        let problem = KeySet::of_jwks(r#"{"keys":[{"kty":"oct","k":7}]}"#).err().unwrap();
        assert_eq!(problem, "no JWK set: Data error in line 1, column 27");
        assert!(KeySet::of_jwks(&format!(r#"{{"keys":[{}]}}"#, vec![oct(); 101].join(","))).is_err());
    }
}
