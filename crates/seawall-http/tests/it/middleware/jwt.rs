//! JSON Web Tokens, from outside. The vectors of the RFCs are beside the code that checks signatures.

use std::fs;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use seawall_http::middleware::{Claims, CredentialSource, Jwt, JwtAlgorithm, JwtConfig, JwtKey};
use seawall_http::testing::TestResponse;
use seawall_http::{App, Context};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::auth::ask;

const SECRET: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

#[derive(Debug, Serialize, Deserialize)]
struct User {
    sub: String,
    admin: bool,
}

#[expect(clippy::disallowed_methods, reason = "a token ends at a time of day")]
fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs()
}

fn key(algorithm: JwtAlgorithm, key: &str) -> JwtKey {
    JwtKey { kid: None, algorithm, key: key.into() }
}

fn config() -> JwtConfig {
    JwtConfig { keys: vec![key(JwtAlgorithm::HS256, SECRET)], ..JwtConfig::default() }
}

fn claims() -> Value {
    json!({"sub": "ann", "admin": true, "exp": now() + 600})
}

fn sign(claims: &Value) -> String {
    signed(Algorithm::HS256, None, claims, &EncodingKey::from_secret(SECRET.as_bytes()))
}

fn signed(algorithm: Algorithm, kid: Option<&str>, claims: &Value, key: &EncodingKey) -> String {
    let header = Header { kid: kid.map(str::to_owned), ..Header::new(algorithm) };
    encode(&header, claims, key).unwrap()
}

fn app(config: &JwtConfig) -> App {
    let show = async |user: Claims<User>| format!("{} {}", user.sub, user.admin);
    App::new().with(Jwt::<User>::new(config).unwrap()).get("/", show)
}

fn bring(config: &JwtConfig, token: &str) -> TestResponse {
    ask(app(config), "GET /", &[("authorization", &format!("Bearer {token}"))], "")
}

#[track_caller]
fn refused(config: &JwtConfig, claims: &Value, message: &str) {
    let answer = bring(config, &sign(claims));
    assert_eq!(answer.status(), 401);
    assert_eq!(answer.json::<Value>()["message"], message);
    assert_eq!(answer.header("www-authenticate"), "Bearer realm=\"Restricted\", error=\"invalid_token\"");
}

#[test]
fn a_token_of_ours_comes_in_with_its_claims() {
    let answer = bring(&config(), &sign(&claims()));
    assert_eq!((answer.status().as_u16(), answer.text()), (200, "ann true"));
}

#[test]
fn no_token_is_a_challenge_without_a_reproach() {
    let answer = ask(app(&config()), "GET /", &[], "");
    assert_eq!(
        (answer.status().as_u16(), answer.header("www-authenticate")),
        (401, "Bearer realm=\"Restricted\"")
    );
}

#[test]
fn time_is_judged_with_a_leeway() {
    let at = |exp: u64| json!({"sub": "ann", "admin": true, "exp": exp});
    assert_eq!(bring(&config(), &sign(&at(now() - 5))).status(), 200);
    refused(&config(), &at(now() - 60), "the token has expired");
    let later = json!({"sub": "ann", "admin": true, "exp": now() + 600, "nbf": now() + 300});
    refused(&config(), &later, "the token is not valid yet");
    refused(&config(), &json!({"sub": "ann", "admin": true}), "the token is not valid");
    let endless = JwtConfig { require_exp: false, ..config() };
    assert_eq!(bring(&endless, &sign(&json!({"sub": "ann", "admin": true}))).status(), 200);
}

#[test]
fn issuer_and_audience_are_judged() {
    let strict = JwtConfig { issuers: vec!["idp".into()], audiences: vec!["shop".into()], ..config() };
    let with = |issuer: &str, audience: Value| json!({"sub": "ann", "admin": true, "exp": now() + 600, "iss": issuer, "aud": audience});
    assert_eq!(bring(&strict, &sign(&with("idp", json!(["shop", "bank"])))).status(), 200);
    refused(&strict, &with("evil", json!("shop")), "the token comes from another issuer");
    refused(&strict, &with("idp", json!("bank")), "the token is meant for another audience");
    refused(&config(), &with("idp", json!("bank")), "the token is meant for another audience");
}

#[test]
fn claims_that_do_not_fit_the_type_are_refused() {
    refused(&config(), &json!({"sub": "ann", "exp": now() + 600}), "the token is not valid");
}

#[test]
fn a_changed_token_is_refused() {
    let token = sign(&claims());
    let (head, signature) = token.rsplit_once('.').unwrap();
    let other = sign(&json!({"sub": "eve", "admin": true, "exp": now() + 600}));
    let forged = format!("{}.{signature}", other.rsplit_once('.').unwrap().0);
    for token in [forged, head.to_owned(), format!("{head}."), String::from("x"), String::new()] {
        assert_eq!(bring(&config(), &token).status(), 401, "{token}");
    }
}

#[test]
fn every_algorithm_checks_what_another_program_signed() {
    let file = |name: &str| {
        fs::read_to_string(format!("{}/tests/it/middleware/keys/{name}.pem", env!("CARGO_MANIFEST_DIR")))
            .unwrap()
    };
    let rsa = || EncodingKey::from_rsa_pem(file("rsa").as_bytes()).unwrap();
    let ec = |name| EncodingKey::from_ec_pem(file(name).as_bytes()).unwrap();
    let secret = || EncodingKey::from_secret(SECRET.as_bytes());
    let ed = EncodingKey::from_ed_pem(file("ed25519").as_bytes()).unwrap();
    let cases = [
        (Algorithm::HS256, JwtAlgorithm::HS256, secret(), SECRET.to_owned()),
        (Algorithm::HS384, JwtAlgorithm::HS384, secret(), SECRET.to_owned()),
        (Algorithm::HS512, JwtAlgorithm::HS512, secret(), SECRET.to_owned()),
        (Algorithm::RS256, JwtAlgorithm::RS256, rsa(), file("rsa.pub")),
        (Algorithm::RS384, JwtAlgorithm::RS384, rsa(), file("rsa.pub")),
        (Algorithm::RS512, JwtAlgorithm::RS512, rsa(), file("rsa.pub")),
        (Algorithm::ES256, JwtAlgorithm::ES256, ec("es256"), file("es256.pub")),
        (Algorithm::ES384, JwtAlgorithm::ES384, ec("es384"), file("es384.pub")),
        (Algorithm::EdDSA, JwtAlgorithm::EdDSA, ed, file("ed25519.pub")),
    ];
    let tokens: Vec<_> =
        cases.iter().map(|(algorithm, _, private, _)| signed(*algorithm, None, &claims(), private)).collect();
    for (at, (_, algorithm, _, public)) in cases.iter().enumerate() {
        let config = JwtConfig { keys: vec![key(*algorithm, public)], ..JwtConfig::default() };
        for (other, token) in tokens.iter().enumerate() {
            let expected = if at == other { 200 } else { 401 };
            assert_eq!(
                bring(&config, token).status(),
                expected,
                "{token} with a key for {}",
                algorithm.name()
            );
        }
    }
}

#[test]
fn a_public_key_is_no_secret() {
    let public = include_str!("keys/rsa.pub.pem");
    let config = JwtConfig { keys: vec![key(JwtAlgorithm::RS256, public)], ..JwtConfig::default() };
    let forged = signed(Algorithm::HS256, None, &claims(), &EncodingKey::from_secret(public.as_bytes()));
    assert_eq!(bring(&config, &forged).status(), 401);
}

#[test]
fn an_id_chooses_among_keys() {
    let named =
        |kid: &str, secret: &str| JwtKey { kid: Some(kid.into()), ..key(JwtAlgorithm::HS256, secret) };
    let (old, new) = ("a".repeat(32), "b".repeat(32));
    let config = JwtConfig { keys: vec![named("old", &old), named("new", &new)], ..JwtConfig::default() };
    let by = |kid, secret: &str| {
        let token = signed(Algorithm::HS256, kid, &claims(), &EncodingKey::from_secret(secret.as_bytes()));
        bring(&config, &token).status().as_u16()
    };
    assert_eq!((by(Some("old"), &old), by(Some("new"), &new), by(None, &new)), (200, 200, 200));
    assert_eq!((by(Some("old"), &new), by(Some("other"), &new)), (401, 401));
}

#[test]
fn keys_may_stand_in_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.json");
    let k = base64::prelude::BASE64_URL_SAFE_NO_PAD.encode(SECRET);
    fs::write(&path, json!({"keys": [{"kty": "oct", "kid": "a", "k": k}]}).to_string()).unwrap();
    let config = JwtConfig { jwks_file: Some(path), ..JwtConfig::default() };
    let by = |kid| {
        let token = signed(Algorithm::HS256, kid, &claims(), &EncodingKey::from_secret(SECRET.as_bytes()));
        bring(&config, &token).status().as_u16()
    };
    assert_eq!((by(Some("a")), by(None), by(Some("b"))), (200, 200, 401));
}

#[test]
fn a_token_may_be_optional_but_never_wrong() {
    let config = JwtConfig { optional: true, ..config() };
    let show =
        async |c: Context| c.text(200, if c.get::<Claims<Value>>().is_some() { "known" } else { "anybody" });
    let app = || App::new().with(Jwt::<Value>::new(&config).unwrap()).get("/", show);
    let good = format!("Bearer {}", sign(&claims()));
    assert_eq!(ask(app(), "GET /", &[], "").text(), "anybody");
    assert_eq!(ask(app(), "GET /", &[("authorization", &good)], "").text(), "known");
    assert_eq!(ask(app(), "GET /", &[("authorization", "Bearer x")], "").status(), 401);
}

#[test]
fn a_token_may_stand_in_a_cookie() {
    let sources = vec![CredentialSource::Cookie { cookie: "token".into() }];
    let config = JwtConfig { sources, ..config() };
    let cookie = format!("token={}", sign(&claims()));
    assert_eq!(ask(app(&config), "GET /", &[("cookie", &cookie)], "").status(), 200);
}

#[test]
fn a_405_stays_one_and_a_long_token_is_not_read() {
    assert_eq!(ask(app(&config()), "POST /", &[], "").status(), 405);
    assert_eq!(ask(app(&config()), "OPTIONS /", &[], "").status(), 204);
    let mut long = claims();
    long["pad"] = json!("x".repeat(9_000));
    assert_eq!(bring(&config(), &sign(&long)).status(), 401);
    assert_eq!(bring(&JwtConfig { max_token_bytes: 20_000, ..config() }, &sign(&long)).status(), 200);
}

#[test]
fn weak_or_missing_keys_are_refused_and_not_shown() {
    let problem = |config: JwtConfig| Jwt::<Value>::new(&config).unwrap_err().to_string();
    assert_eq!(
        problem(JwtConfig::default()),
        "`jwt.keys` is 0 keys, but must be 1 to 100, in keys, jwks or jwks_file"
    );
    let weak = problem(JwtConfig { keys: vec![key(JwtAlgorithm::HS256, "hunter2")], ..JwtConfig::default() });
    assert!(weak.starts_with("`jwt.keys` is something else for HS256 (not shown), but must be"), "{weak}");
    let short = include_str!("keys/rsa1024.pub.pem");
    assert!(problem(JwtConfig { keys: vec![key(JwtAlgorithm::RS256, short)], ..config() }).contains("2048"));
    let missing = problem(JwtConfig { jwks_file: Some("/nowhere/keys.json".into()), ..JwtConfig::default() });
    assert!(missing.starts_with("`jwt.jwks_file` is not readable"), "{missing}");
    assert!(problem(JwtConfig { jwks: Some("{}".into()), ..JwtConfig::default() }).contains("no JWK set"));
    assert!(problem(JwtConfig { reload_every: Duration::ZERO, ..config() }).contains("5 to 86400"));
    assert!(problem(JwtConfig { leeway: Duration::from_secs(601), ..config() }).contains("0 to 600"));
    assert!(!format!("{:?} {:?}", config(), Jwt::<Value>::new(&config()).unwrap()).contains("0123"));
}
