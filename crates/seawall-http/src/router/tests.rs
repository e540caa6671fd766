//! Precedence as one-line sentences, and the tree against a naive matcher on random tables.

use http::Method;
use proptest::prelude::*;

use super::*;

/// The tree of some `METHOD /pattern` lines; `ANY` is any method.
fn tree(routes: &[&str]) -> Tree {
    let mut tree = Tree::new();
    for (number, route) in routes.iter().enumerate() {
        let (method, pattern) = route.split_once(' ').unwrap();
        let method = (method != "ANY").then(|| method.parse().unwrap());
        tree.insert(method, &Pattern::parse(pattern).unwrap(), number).unwrap();
    }
    tree
}

/// Checks where `request` ends: `route values..`, the methods of a 405, or `404`.
#[track_caller]
fn check(routes: &[&str], request: &str, expected: &str) {
    let (method, path) = request.split_once(' ').unwrap();
    let found = match tree(routes).find(&method.parse().unwrap(), path) {
        Found::Route(number, params) => {
            let values = params.spans().iter().map(|(start, end)| &path[*start as usize..*end as usize]);
            std::iter::once(routes[number].split_once(' ').unwrap().1)
                .chain(values)
                .collect::<Vec<_>>()
                .join(" ")
        }
        Found::Methods(methods) => methods.iter().map(Method::as_str).collect::<Vec<_>>().join(","),
        Found::Nothing => "404".to_owned(),
    };
    assert_eq!(found, expected, "{request} on {routes:?}");
}

const USERS: &[&str] =
    &["GET /users/new", "GET /users/:id<int>", "GET /users/:name", "GET /users/*", "GET /:page"];

#[test]
fn static_text_comes_first() {
    check(USERS, "GET /users/new", "/users/new");
}
#[test]
fn then_the_typed_parameter() {
    check(USERS, "GET /users/42", "/users/:id<int> 42");
}
#[test]
fn then_the_plain_one() {
    check(USERS, "GET /users/ann", "/users/:name ann");
}
#[test]
fn then_the_rest() {
    check(USERS, "GET /users/ann/files", "/users/* ann/files");
}
#[test]
fn the_rest_may_be_empty_but_its_slash_must_be_there() {
    check(USERS, "GET /users/", "/users/* ");
    check(USERS, "GET /users", "/:page users");
}
#[test]
fn a_dead_end_is_walked_back() {
    let routes = &["GET /a/b/c", "GET /a/:x/d", "GET /:y/b/e"];
    check(routes, "GET /a/b/d", "/a/:x/d b");
    check(routes, "GET /a/b/e", "/:y/b/e a");
    check(routes, "GET /a/b/f", "404");
}
#[test]
fn a_parameter_never_crosses_a_slash() {
    check(&["GET /users/:id"], "GET /users/1/x", "404");
}
#[test]
fn a_parameter_is_never_empty() {
    check(&["GET /users/:id", "GET /:a/:b/c"], "GET /users/", "404");
    check(&["GET /users/:id", "GET /:a/:b/c"], "GET /x//c", "404");
}
#[test]
fn an_encoded_slash_separates_nothing() {
    check(&["GET /files/:name"], "GET /files/a%2Fb", "/files/:name a%2Fb");
}
#[test]
fn static_text_is_compared_decoded() {
    check(&["GET /caf\u{e9}/men\u{fc}"], "GET /caf%c3%a9/men%C3%BC", "/caf\u{e9}/men\u{fc}");
}
#[test]
fn a_trailing_slash_matters() {
    check(&["GET /users"], "GET /users/", "404");
    check(&["GET /users/"], "GET /users/", "/users/");
}
#[test]
fn names_belong_to_the_route() {
    check(&["GET /u/:id", "POST /u/:uid"], "POST /u/7", "/u/:uid 7");
}
#[test]
fn another_method_does_not_end_the_search() {
    check(&["POST /users/signup", "GET /users/:name"], "GET /users/signup", "/users/:name signup");
    check(&["POST /a/*", "GET /*"], "GET /a/b", "/* a/b");
}
#[test]
fn allow_is_the_union_over_all_that_fits_the_path() {
    check(&["POST /users/signup", "PUT /users/:name", "GET /x"], "DELETE /users/signup", "OPTIONS,POST,PUT");
}
#[test]
fn head_comes_with_get() {
    check(&["GET /x"], "HEAD /x", "/x");
    check(&["GET /x"], "POST /x", "GET,HEAD,OPTIONS");
}
#[test]
fn any_takes_what_no_other_route_names() {
    check(&["ANY /x", "GET /x"], "GET /x", "/x");
    check(&["ANY /x"], "PROPFIND /x", "/x");
}
#[test]
fn typed_parameters_fall_through_to_the_next() {
    let routes = &["GET /:a<uuid>", "GET /:b<alpha>", "GET /:c"];
    check(
        routes,
        "GET /0b5e6bd0-4b4e-4c56-9a5c-2f0d5a3b8f11",
        "/:a<uuid> 0b5e6bd0-4b4e-4c56-9a5c-2f0d5a3b8f11",
    );
    check(routes, "GET /abc", "/:b<alpha> abc");
    check(routes, "GET /abc1", "/:c abc1");
}
#[test]
fn an_integer_is_one_that_fits() {
    let routes = &["GET /:id<int>"];
    check(routes, "GET /-5", "/:id<int> -5");
    check(routes, "GET /9223372036854775807", "/:id<int> 9223372036854775807");
    check(routes, "GET /9223372036854775808", "404");
    check(routes, "GET /+5", "404");
}
#[test]
fn the_root_is_a_route_like_any_other() {
    check(&["GET /"], "GET /", "/");
    check(&["GET /*"], "GET /", "/* ");
}
#[test]
fn a_target_that_is_no_path_finds_nothing() {
    check(&["ANY /*"], "OPTIONS *", "404");
}
#[test]
fn escapes_stand_for_themselves() {
    check(&[r"GET /v1/items\:batch"], "GET /v1/items:batch", r"/v1/items\:batch");
}

#[test]
fn the_same_place_is_refused_under_any_name() {
    let mut tree = tree(&["GET /u/:id"]);
    let again = Pattern::parse("/u/:uid").unwrap();
    assert_eq!(tree.insert(Some(Method::GET), &again, 1), Err(0));
    assert_eq!(tree.insert(Some(Method::POST), &again, 1), Ok(()));
}

#[track_caller]
fn refused(pattern: &str, because: &str) {
    let problem = Pattern::parse(pattern).unwrap_err();
    assert!(problem.contains(because), "{pattern}: {problem}");
}

#[test]
fn bad_patterns_say_why() {
    refused("users", "starts with `/`");
    refused("/*/x", "comes last");
    refused("/a*b", r"write `\*`");
    refused("/v:ver", r"write `\:`");
    refused("/:", "needs a name");
    refused("/:a.json", "fills its whole segment");
    refused("/:id<float>", "<int>, <uuid> and <alpha>");
    refused("/:a/:a", "`a` stands in it twice");
    refused("/a%20b", "written decoded");
    refused("/:a/:b/:c/:d/:e/:f/:g/:h/:i", "at most 8");
    refused(&"/x".repeat(65), "at most 64");
    refused(r"/\x", r"must stand before");
}

#[test]
fn the_longest_prefix_answers_for_its_paths() {
    let mut tree = Tree::new();
    for (scope, prefix) in ["", "/api", "/api/:version/admin"].iter().enumerate() {
        tree.insert_scope(&Pattern::parse(prefix).unwrap(), scope);
    }
    assert_eq!(tree.scope("/x"), Some(0));
    assert_eq!(tree.scope("/apix"), Some(0));
    assert_eq!(tree.scope("/api"), Some(1));
    assert_eq!(tree.scope("/api/v1/x"), Some(1));
    assert_eq!(tree.scope("/api/v1/admin/x/y"), Some(2));
}

/// What the tree should find, by trying every route: the best one is that whose segments are, from the left, the
/// most particular.
fn naive(routes: &[String], method: &str, path: &str) -> Option<usize> {
    let rank = |segment: &str| match segment {
        "*" => 3,
        typed if typed.contains('<') => 1,
        param if param.starts_with(':') => 2,
        _ => 0,
    };
    let fits = |pattern: &str| {
        let mut given = path[1..].split('/');
        for wanted in pattern[1..].split('/') {
            let Some(given) = given.next() else { return false };
            let fit = match wanted {
                "*" => return true,
                typed if typed.ends_with("<int>") => given.parse::<i64>().is_ok(),
                param if param.starts_with(':') => !given.is_empty(),
                text => text == given,
            };
            if !fit {
                return false;
            }
        }
        given.next().is_none()
    };
    let candidates = routes.iter().enumerate().filter(|(_, route)| {
        let (known, pattern) = route.split_once(' ').unwrap();
        known == method && fits(pattern)
    });
    let particular =
        |route: &str| route.split_once(' ').unwrap().1[1..].split('/').map(rank).collect::<Vec<_>>();
    candidates.min_by_key(|(_, route)| particular(route)).map(|(number, _)| number)
}

fn segments(choices: &'static [&'static str], rest: bool) -> impl Strategy<Value = String> {
    let parts = prop::collection::vec(prop::sample::select(choices), 1..5);
    (parts, any::<bool>()).prop_map(move |(mut parts, star)| {
        if star && rest {
            parts.push("*");
        }
        // A name may stand in a pattern once, so names carry their position.
        let named = parts.iter().enumerate().map(|(at, part)| match part.strip_prefix(':') {
            Some(kind) => format!(":p{at}{kind}"),
            None => (*part).to_owned(),
        });
        format!("/{}", named.collect::<Vec<_>>().join("/"))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn the_tree_finds_what_trying_every_route_finds(
        patterns in prop::collection::vec((prop::sample::select(&["GET", "PUT"][..]),
            segments(&["a", "b", "7", ":", ":<int>"], true)), 1..12),
        method in prop::sample::select(&["GET", "PUT"][..]),
        path in segments(&["a", "b", "7", "12", "", "c"], false),
    ) {
        let mut tree = Tree::new();
        let mut routes = Vec::new();
        for (method, pattern) in patterns {
            let parsed = Pattern::parse(&pattern).unwrap();
            if tree.insert(Some(method.parse().unwrap()), &parsed, routes.len()).is_ok() {
                routes.push(format!("{method} {pattern}"));
            }
        }
        let found = match tree.find(&method.parse().unwrap(), &path) {
            Found::Route(number, _) => Some(number),
            Found::Methods(_) | Found::Nothing => None,
        };
        prop_assert_eq!(found, naive(&routes, method, &path), "{} {} on {:?}", method, path, routes);
    }

    #[test]
    fn no_pattern_makes_the_parser_panic(pattern in "[/:*<>a-z%\\\\\u{e9}]{0,30}") {
        if let Ok(parsed) = Pattern::parse(&pattern) {
            prop_assert!(parsed.names().len() <= MAX_PARAMS);
            prop_assert_eq!(Tree::new().insert(None, &parsed, 0), Ok(()));
        }
    }

    #[test]
    fn no_path_makes_the_tree_panic(path in "/\\PC{0,40}") {
        let tree = tree(USERS);
        let _ = tree.find(&Method::GET, &path);
        let _ = tree.scope(&path);
    }
}
