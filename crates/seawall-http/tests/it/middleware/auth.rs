//! Who may come in: by name and password, and by key.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use seawall_http::middleware::{
    ApiKey, BasicAuth, BasicAuthConfig, BasicUser, CredentialSource, KeyAuth, KeyAuthConfig, Secret,
};
use seawall_http::testing::{TestClient, TestResponse};
use seawall_http::{App, Context, Error, Middleware as _};

use crate::block_on;

const KEY: &str = "4f1c8e6a90b24d0f";

pub(super) fn ask(app: App, request: &str, headers: &[(&str, &str)], body: &'static str) -> TestResponse {
    let (method, path) = request.split_once(' ').unwrap();
    let client = TestClient::new(app).unwrap();
    let request = client.request(method.parse().unwrap(), path).body(body);
    let request = headers.iter().fold(request, |request, (name, value)| request.header(name, value));
    block_on(async { request.await })
}

fn users() -> BasicAuthConfig {
    let users = [("ann", "correct horse"), ("bob", "pa:ss"), ("\u{fc}", "\u{a3}")];
    let users = users.map(|(name, password)| (name.to_owned(), password.into()));
    BasicAuthConfig { users: users.into(), ..BasicAuthConfig::default() }
}

fn basic(auth: BasicAuth) -> App {
    App::new().with(auth).get("/", async |user: BasicUser| user.name().to_owned())
}

fn basic_header(pair: &str) -> String {
    format!("Basic {}", BASE64_STANDARD.encode(pair))
}

#[track_caller]
fn check_basic(pair: &str, status: u16, body: &str) {
    let auth = BasicAuth::new(&users()).unwrap();
    let answer = ask(basic(auth), "GET /", &[("authorization", &basic_header(pair))], "");
    assert_eq!(answer.status(), status, "{pair}");
    if status == 200 {
        assert_eq!(answer.text(), body);
    }
}

#[test]
fn a_known_name_with_its_password_comes_in() {
    check_basic("ann:correct horse", 200, "ann");
    check_basic("bob:pa:ss", 200, "bob");
    check_basic("\u{fc}:\u{a3}", 200, "\u{fc}");
}

#[test]
fn anything_else_does_not() {
    for pair in ["ann:pa:ss", "ann:", "ann:correct hors", "ann:correct horsee", ":", "", "eve:correct horse"]
    {
        check_basic(pair, 401, "");
    }
}

#[test]
fn a_refusal_is_a_challenge() {
    let auth = BasicAuth::new(&BasicAuthConfig { realm: "The shop".into(), ..users() }).unwrap();
    let answer = ask(basic(auth), "GET /", &[], "");
    assert_eq!(answer.status(), 401);
    assert_eq!(answer.header("www-authenticate"), "Basic realm=\"The shop\", charset=\"UTF-8\"");
}

#[test]
fn so_many_headers_are_looked_at_and_no_more() {
    let two = [("authorization", &*basic_header("eve:x")), ("authorization", &*basic_header("bob:pa:ss"))];
    let app = |most| basic(BasicAuth::new(&BasicAuthConfig { max_credentials: most, ..users() }).unwrap());
    assert_eq!(ask(app(1), "GET /", &two, "").status(), 401);
    assert_eq!(ask(app(2), "GET /", &two, "").text(), "bob");
}

#[test]
fn a_function_may_know_the_users() {
    let validate = async |c: Context, name: String, password: Secret| match &*name {
        "down" => Err(Error::unavailable("the user store is down")),
        name => Ok(c.path() == "/" && name == "carl" && password.matches("secret")),
    };
    let app = || basic(BasicAuth::with_validator(&BasicAuthConfig::default(), validate).unwrap());
    let status = |pair: &str| ask(app(), "GET /", &[("authorization", &basic_header(pair))], "").status();
    assert_eq!(status("carl:secret"), 200);
    assert_eq!(status("carl:secre"), 401);
    assert_eq!(status("down:x"), 503);
    assert_eq!(ask(app(), "GET /", &[], "").status(), 401);
}

#[test]
fn what_the_path_does_not_know_keeps_its_status_and_nothing_runs_for_it() {
    let hidden = async |_: Context, _: seawall_http::Next| -> seawall_http::Result<seawall_http::Response> {
        panic!("nobody was let in")
    };
    let apps = || {
        let basic = BasicAuth::new(&users()).unwrap();
        let key = KeyAuth::new(&keys()).unwrap();
        let slow = BasicAuth::with_validator(&users(), async |_, _, _| Ok(false)).unwrap();
        let app = || App::new().get("/x", async || "secret");
        [app().with(basic).with(hidden), app().with(key).with(hidden), app().with(slow).with(hidden)]
    };
    for app in apps() {
        let answer = ask(app, "POST /x", &[], "");
        assert_eq!((answer.status().as_u16(), answer.header("allow")), (405, "GET, HEAD, OPTIONS"));
    }
    for app in apps() {
        assert_eq!(ask(app, "OPTIONS /x", &[], "").status(), 204);
    }
    for app in apps() {
        assert_eq!(ask(app, "GET /nowhere", &[], "").status(), 401);
    }
}

#[test]
fn a_group_guards_its_prefix_alone() {
    let app = || {
        let auth = BasicAuth::new(&users()).unwrap();
        App::new().get("/", async || "open").group("/admin", |g| g.with(auth).get("/x", async || "in"))
    };
    assert_eq!(ask(app(), "GET /", &[], "").text(), "open");
    assert_eq!(ask(app(), "GET /admin/x", &[], "").status(), 401);
    let ann = basic_header("ann:correct horse");
    assert_eq!(ask(app(), "GET /admin/x", &[("authorization", &ann)], "").text(), "in");
    assert_eq!(ask(app(), "POST /admin/x", &[("authorization", &ann)], "").status(), 405);
}

#[test]
fn exceptions_are_let_in() {
    let auth = BasicAuth::new(&users()).unwrap().unless(|c| c.path() == "/health");
    let app = App::new().with(auth).get("/health", async || "fine");
    assert_eq!(ask(app, "GET /health", &[], "").text(), "fine");
}

#[test]
fn no_secret_is_shown() {
    let shown = format!("{:?} {:?}", users(), keys());
    assert!(!shown.contains("horse") && !shown.contains(KEY), "{shown}");
    let shown = format!("{:?} {:?}", BasicAuth::new(&users()).unwrap(), KeyAuth::new(&keys()).unwrap());
    assert!(!shown.contains("horse") && !shown.contains(KEY), "{shown}");
}

#[test]
fn configurations_that_let_nobody_in_or_everybody_are_refused() {
    let basic = |config| BasicAuth::new(&config).unwrap_err().to_string();
    assert_eq!(
        basic(BasicAuthConfig::default()),
        "`basic_auth.users` is 0 users, but must be 1 to 1000; with a function, use BasicAuth::with_validator"
    );
    let colon =
        BasicAuthConfig { users: [("a:b".to_owned(), "x".into())].into(), ..BasicAuthConfig::default() };
    assert_eq!(basic(colon), "`basic_auth.users` is \"a:b\", but must be names without a colon");
    assert_eq!(
        basic(BasicAuthConfig { realm: "a\"b".into(), ..users() }),
        "`basic_auth.realm` is \"a\\\"b\", but must be visible ASCII without quotes and backslashes"
    );
    assert_eq!(
        basic(BasicAuthConfig { max_credentials: 11, ..users() }),
        "`basic_auth.max_credentials` is 11, but must be 1 to 10"
    );
    let key = |config| KeyAuth::new(&config).unwrap_err().to_string();
    let short = KeyAuthConfig { keys: [("a".to_owned(), "short".into())].into(), ..KeyAuthConfig::default() };
    assert_eq!(key(short), "`key_auth.keys` is shorter for \"a\", but must be at least 16 characters long");
    assert_eq!(
        key(KeyAuthConfig { sources: vec![], ..keys() }),
        "`key_auth.sources` is 0 sources, but must be 1 to 16 sources"
    );
}

fn keys() -> KeyAuthConfig {
    KeyAuthConfig { keys: [("billing".to_owned(), KEY.into())].into(), ..KeyAuthConfig::default() }
}

fn from(source: CredentialSource) -> KeyAuthConfig {
    KeyAuthConfig { sources: vec![source], ..keys() }
}

fn keyed(auth: KeyAuth) -> App {
    let show = async |c: Context, key: ApiKey| c.text(200, format!("{} {:?}", key.name(), c.body().await?));
    App::new().with(auth).get("/", show).post("/", show)
}

#[track_caller]
fn check_key(config: &KeyAuthConfig, request: &str, headers: &[(&str, &str)], status: u16) {
    let answer = ask(keyed(KeyAuth::new(config).unwrap()), request, headers, "");
    assert_eq!(answer.status(), status, "{request} {headers:?}");
}

#[test]
fn a_key_may_stand_in_a_header() {
    check_key(&keys(), "GET /", &[("authorization", "Bearer 4f1c8e6a90b24d0f")], 200);
    check_key(&keys(), "GET /", &[("authorization", "Basic 4f1c8e6a90b24d0f")], 401);
    check_key(&keys(), "GET /", &[("authorization", "4f1c8e6a90b24d0f")], 401);
    let own = from(CredentialSource::Header { header: "X-Api-Key".into(), scheme: String::new() });
    check_key(&own, "GET /", &[("x-api-key", KEY)], 200);
    check_key(&own, "GET /", &[("x-api-key", "4f1c8e6a90b24d0")], 401);
}

#[test]
fn a_key_may_stand_in_the_query_or_a_cookie() {
    let query = from(CredentialSource::Query { query: "key".into() });
    check_key(&query, "GET /?a=1&key=4f1c8e6a90b24d0f", &[], 200);
    check_key(&query, "GET /?a=1&key=4f1c8e6a90b24d0%66", &[], 200);
    check_key(&query, "GET /?nokey=4f1c8e6a90b24d0f", &[], 401);
    let cookie = from(CredentialSource::Cookie { cookie: "key".into() });
    check_key(&cookie, "GET /", &[("cookie", "a=1; key=4f1c8e6a90b24d0f")], 200);
    check_key(&cookie, "GET /", &[("cookie", "key=")], 401);
}

#[test]
fn a_key_may_stand_in_a_form_that_the_handler_reads_again() {
    let auth = || KeyAuth::new(&from(CredentialSource::Form { form: "key".into() })).unwrap();
    let form = ("content-type", "application/x-www-form-urlencoded");
    let answer = ask(keyed(auth()), "POST /", &[form], "a=1&key=4f1c8e6a90b24d0f");
    assert_eq!(answer.text(), "billing b\"a=1&key=4f1c8e6a90b24d0f\"");
    assert_eq!(ask(keyed(auth()), "POST /", &[], "key=4f1c8e6a90b24d0f").status(), 401);
    assert_eq!(ask(keyed(auth()), "PUT /", &[form], "key=4f1c8e6a90b24d0f").status(), 405);
}

#[test]
fn sources_are_tried_in_order_up_to_a_number() {
    let sources = vec![CredentialSource::bearer(), CredentialSource::Query { query: "key".into() }];
    let wrong = [("authorization", "Bearer wrong")];
    let config = KeyAuthConfig { sources, ..keys() };
    check_key(&config, "GET /?key=4f1c8e6a90b24d0f", &wrong, 401);
    let config = KeyAuthConfig { max_credentials: 2, ..config };
    check_key(&config, "GET /?key=4f1c8e6a90b24d0f", &wrong, 200);
}

#[test]
fn a_challenge_names_the_scheme() {
    let challenge = |config: &KeyAuthConfig| {
        let answer = ask(keyed(KeyAuth::new(config).unwrap()), "GET /", &[], "");
        answer.header("www-authenticate").to_owned()
    };
    assert_eq!(challenge(&keys()), "Bearer realm=\"Restricted\"");
    let query = from(CredentialSource::Query { query: "key".into() });
    assert_eq!(challenge(&query), "ApiKey realm=\"Restricted\"");
}

#[test]
fn a_function_may_know_the_keys() {
    let validate = async |_: Context, key: Secret| match key.expose() {
        "down" => Err(Error::unavailable("the key store is down")),
        key => Ok((key == "k-1").then(|| "carl".to_owned())),
    };
    let app = || keyed(KeyAuth::with_validator(&keys(), validate).unwrap());
    let bearer = |key: &str| ask(app(), "GET /", &[("authorization", &format!("Bearer {key}"))], "");
    assert_eq!(bearer("k-1").text(), "carl b\"\"");
    assert_eq!(bearer(KEY).text(), "billing b\"\"");
    assert_eq!(bearer("k-2").status(), 401);
    assert_eq!(bearer("down").status(), 503);
}

#[test]
fn whoever_was_not_asked_is_nobody() {
    let app = || {
        App::new()
            .get("/user", async |user: BasicUser| user.name().to_owned())
            .get("/key", async |key: ApiKey| key.name().to_owned())
    };
    assert_eq!(ask(app(), "GET /user", &[], "").status(), 401);
    assert_eq!(ask(app(), "GET /key", &[], "").status(), 401);
}
