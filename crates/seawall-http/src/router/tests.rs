//! Precedence as one-line sentences, what is refused, and the bound of the search. What random tables do is in
//! [`against_naive`].

mod against_naive;
mod table;

use http::Method;

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

const AFFIXES: &[&str] = &[
    "GET /v1",
    "GET /:n<int>",
    "GET /v:n<int>",
    "GET /v:version",
    "GET /:name.json",
    "GET /v:version.json",
    "GET /ver:sion",
    "GET /:page",
    "GET /*rest",
];

#[test]
fn text_may_stand_around_a_parameter() {
    check(&["GET /v:ver/doc"], "GET /v2/doc", "/v:ver/doc 2");
    check(&["GET /v:ver/doc"], "GET /2/doc", "404");
    check(&["GET /:name.json"], "GET /a.b.json", "/:name.json a.b");
    check(&["GET /:id<int>px"], "GET /12px", "/:id<int>px 12");
    check(&["GET /img-:id.png"], "GET /img-7.png", "/img-:id.png 7");
}
#[test]
fn with_text_around_it_a_parameter_is_not_empty_either() {
    check(&["GET /v:ver/doc"], "GET /v/doc", "404");
    check(&["GET /:name.json"], "GET /.json", "404");
    check(&["GET /aa:x.aa"], "GET /aa.aa", "404");
}
#[test]
fn more_text_comes_before_less_and_types_before_text() {
    check(AFFIXES, "GET /v1", "/v1");
    check(AFFIXES, "GET /7", "/:n<int> 7");
    check(AFFIXES, "GET /v7", "/v:n<int> 7");
    check(AFFIXES, "GET /vx", "/v:version x");
    check(AFFIXES, "GET /versace", "/ver:sion sace");
    check(AFFIXES, "GET /vx.json", "/v:version.json x");
    check(AFFIXES, "GET /x.json", "/:name.json x");
    check(AFFIXES, "GET /x", "/:page x");
    check(AFFIXES, "GET /x/y", "/*rest x/y");
    check(AFFIXES, "GET /", "/*rest ");
}
#[test]
fn of_two_ranges_the_narrower_comes_first() {
    let routes = &["GET /:a<int>", "GET /:b<int(1..=100)>", "GET /:c<int(1..10)>", "GET /:d"];
    check(routes, "GET /5", "/:c<int(1..10)> 5");
    check(routes, "GET /50", "/:b<int(1..=100)> 50");
    check(routes, "GET /500", "/:a<int> 500");
    check(routes, "GET /5x", "/:d 5x");
}
#[test]
fn of_many_at_one_place_each_is_found() {
    let routes: Vec<_> = (0..200).map(|n| format!("GET /p{n}-:x")).collect();
    let routes: Vec<_> = routes.iter().map(String::as_str).collect();
    check(&routes, "GET /p0-z", "/p0-:x z");
    check(&routes, "GET /p199-z", "/p199-:x z");
    check(&routes, "GET /p200-z", "404");
}
#[test]
fn a_fitting_parameter_that_leads_nowhere_gives_way() {
    let routes = &["GET /v:a/x", "GET /v:b<int>/y", "GET /:c/z", "GET /*"];
    check(routes, "GET /v1/x", "/v:a/x 1");
    check(routes, "GET /v1/y", "/v:b<int>/y 1");
    check(routes, "GET /v1/z", "/:c/z v1");
    check(routes, "GET /v1/w", "/* v1/w");
}
#[test]
fn text_around_a_parameter_is_compared_decoded() {
    check(&["GET /v:ver"], "GET /%762%2f3", "/v:ver 2%2f3");
    check(&["GET /:name.json"], "GET /a%20b%2Ejson", "/:name.json a%20b");
    check(&["GET /caf\u{e9}-:x"], "GET /caf%C3%A9-%7a", "/caf\u{e9}-:x %7a");
    check(&["GET /:n<int>"], "GET /%34%32", "/:n<int> %34%32");
}
#[test]
fn what_is_encoded_twice_is_decoded_once() {
    check(&["GET /a b", "GET /:x"], "GET /a%2520b", "/:x a%2520b");
}
#[test]
fn bytes_that_are_no_text_fit_plain_parameters_only() {
    let routes = &["GET /\u{fffd}", "GET /:a<alpha>", "GET /:x", "GET ~/.*"];
    check(routes, "GET /%ff", "/:x %ff");
    check(&routes[3..], "GET /%ff", "404");
}
#[test]
fn a_percent_sign_without_digits_is_one() {
    check(&["GET /100:x"], "GET /100%", "/100:x %");
}
#[test]
fn long_texts_are_compared_to_their_ends() {
    let routes = &["GET /customers-0001-attributes", "GET /customers-0002-attributes", "GET /customers-:x"];
    check(routes, "GET /customers-0002-attributes", "/customers-0002-attributes");
    check(routes, "GET /customers-0003-attributes", "/customers-:x 0003-attributes");
    check(&["GET /customers", "GET /customer"], "GET /customer", "/customer");
    check(&["GET /customers"], "GET /customerz", "404");
}
#[test]
fn a_null_byte_is_no_end_of_text() {
    check(&["GET /a", "GET /b", "GET /:x"], "GET /a%00", "/:x a%00");
    check(&["GET /a", "GET /:x"], "GET /a\0", "/:x a\0");
}
#[test]
fn methods_of_ones_own_are_methods() {
    let routes = &["QUERY /x", "PURGE /x", "GET /:y"];
    check(routes, "QUERY /x", "/x");
    check(routes, "PURGE /x", "/x");
    check(routes, "BREW /x", "GET,HEAD,OPTIONS,PURGE,QUERY");
}

const EXPRESSIONS: &[&str] = &[
    r"GET ~/v[0-9]+/(?<name>\w+)",
    r"GET ~/v1/.*",
    "GET /v1/fixed",
    "POST /v1/x",
    "ANY ~/any/(?<a>b)?(?<c>.*)",
];

#[test]
fn expressions_come_after_paths_in_their_own_order() {
    check(EXPRESSIONS, "GET /v1/fixed", "/v1/fixed");
    check(EXPRESSIONS, "GET /v1/other", r"~/v[0-9]+/(?<name>\w+) other");
    check(EXPRESSIONS, "GET /v1/a/b", "~/v1/.*");
    check(EXPRESSIONS, "GET /x/v1/a", "404");
    check(EXPRESSIONS, "GET /v1/x", r"~/v[0-9]+/(?<name>\w+) x");
}
#[test]
fn their_methods_count_too() {
    check(EXPRESSIONS, "HEAD /v1/a/b", "~/v1/.*");
    check(EXPRESSIONS, "PUT /v1/x", "GET,HEAD,OPTIONS,POST");
    check(EXPRESSIONS, "PURGE /any/thing", "~/any/(?<a>b)?(?<c>.*)  thing");
}
#[test]
fn expressions_match_the_whole_path() {
    check(&["GET ~/a|/b"], "GET /b", "~/a|/b");
    check(&["GET ~/a|/b"], "GET /bc", "404");
    check(&["GET ~(?i)/a"], "GET /A", "~(?i)/a");
}
#[test]
fn expressions_see_the_path_decoded_but_for_slashes() {
    check(&["GET ~/caf\u{e9}/(?<x>[^/]+)"], "GET /caf%C3%A9/a%2fb", "~/caf\u{e9}/(?<x>[^/]+) a%2fb");
    check(&["GET ~/a/b"], "GET /a%2Fb", "404");
}
#[test]
fn the_same_expression_is_refused_but_another_method_is_not() {
    let mut tree = tree(&["GET ~/a"]);
    let again = Pattern::parse("~/a").unwrap();
    assert_eq!(tree.insert(Some(Method::GET), &again, 1), Err(InsertError::Taken(0)));
    assert_eq!(tree.insert(None, &again, 1), Ok(()));
}
#[test]
fn there_are_not_too_many_expressions() {
    let mut tree = Tree::new();
    let insert =
        |tree: &mut Tree, at: usize| tree.insert(None, &Pattern::parse(&format!("~/{at}")).unwrap(), at);
    assert!((0..256).all(|at| insert(&mut tree, at).is_ok()));
    let full = InsertError::Full("a table has at most 256 regular expressions");
    assert_eq!(insert(&mut tree, 256), Err(full));
}
#[test]
fn there_are_not_too_many_methods() {
    let mut tree = Tree::new();
    let pattern = Pattern::parse("/").unwrap();
    let method = |at: usize| Method::from_bytes(format!("M{at}").as_bytes()).unwrap();
    assert!((0..100).all(|at| tree.insert(Some(method(at)), &pattern, at).is_ok()));
    assert_eq!(tree.find(&method(99), "/"), Found::Route(99, Params::default()));
    let full = InsertError::Full("a table has at most 100 methods that are no standard ones");
    assert_eq!(tree.insert(Some(method(100)), &pattern, 100), Err(full));
}
#[test]
fn a_prefix_before_an_expression_is_text() {
    let under = |prefix, pattern| Pattern::under(prefix, pattern).map(|pattern| tree_of(&pattern));
    let finds = |prefix, pattern, path: &str| {
        under(prefix, pattern).unwrap().find(&Method::GET, path) != Found::Nothing
    };
    assert!(finds("/a.b", "~/v[0-9]", "/a.b/v1"));
    assert!(!finds("/a.b", "~/v[0-9]", "/axb/v1"));
    assert!(finds("/g", "~/x|/y", "/g/y") && !finds("/g", "~/x|/y", "/y"));
    assert!(finds(r"/a\:b", "~/x", "/a:b/x"));
    assert!(finds("", "~/x", "/x") && finds("/g", "/:x", "/g/1") && finds("", "", "/"));
    assert!(under("/:shop", "~/x").unwrap_err().contains("needs a prefix without parameters"));
    assert_eq!(joined("/a.b", "~/x|/y"), r"~/a\.b(?:/x|/y)");
}

fn tree_of(pattern: &Pattern) -> Tree {
    let mut tree = Tree::new();
    tree.insert(None, pattern, 0).unwrap();
    tree
}

#[test]
fn routes_may_be_added_after_a_look_up() {
    let mut tree = tree(&["GET /a"]);
    assert_eq!(tree.find(&Method::GET, "/b"), Found::Nothing);
    tree.insert(Some(Method::GET), &Pattern::parse("/b").unwrap(), 7).unwrap();
    assert_eq!(tree.find(&Method::GET, "/b"), Found::Route(7, Params::default()));
}

#[test]
fn a_rest_has_two_names() {
    assert_eq!(Pattern::parse("/:a/*path").unwrap().names(), ["a", "*path"]);
    assert_eq!(Pattern::parse("/*").unwrap().names(), ["*"]);
}

#[test]
fn the_same_place_is_refused_under_any_name() {
    let mut tree = tree(&["GET /u/:id"]);
    let again = Pattern::parse("/u/:uid").unwrap();
    assert_eq!(tree.insert(Some(Method::GET), &again, 1), Err(InsertError::Taken(0)));
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
    refused("/:", "needs a name");
    refused("/:id<float>", "<int>, <uuid> and <alpha>");
    refused("/:a/:a", "`a` stands in it twice");
    refused("/a%20b", "written decoded");
    refused("/:a/:b/:c/:d/:e/:f/:g/:h/:i", "at most 8");
    refused(&"/x".repeat(65), "at most 64");
    refused(r"/\x", r"must stand before");
    refused("/:a:b", "two parameters");
    refused("/:a-:b", "two parameters");
    refused("/x:a.:b.json", "two parameters");
    refused("/:id<int", "is not closed");
    refused("/:id<int(9..1)>", "the range `9..1` holds nothing");
    refused("/:a/*a", "`a` stands in it twice");
    refused("/*a.b", "may be a name");
    refused("/*a/x", "comes last");
    refused("/x*", r"write `\*`");
    refused("~/(", "is not accepted");
    refused("~a)(?:b", "is not accepted");
    refused(r"~/\w{1000}", "takes more than 1048576 bytes");
    refused(&format!("~/{}", "x".repeat(1_024)), "at most 1024");
    refused("~(?<a>.)(?<b>.)(?<c>.)(?<d>.)(?<e>.)(?<f>.)(?<g>.)(?<h>.)(?<i>.)", "at most 8");
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

#[test]
fn of_two_prefixes_as_long_the_particular_one_answers() {
    let mut tree = Tree::new();
    for (scope, prefix) in ["/:a/x", "/b/:c", "/b/:c<int>", "/v:n/x"].iter().enumerate() {
        tree.insert_scope(&Pattern::parse(prefix).unwrap(), scope);
    }
    assert_eq!(tree.scope("/b/x/y"), Some(1));
    assert_eq!(tree.scope("/b/7/y"), Some(2));
    assert_eq!(tree.scope("/v1/x"), Some(3));
    assert_eq!(tree.scope("/u1/x"), Some(0));
    assert_eq!(tree.scope("/nowhere"), None);
}

/// One way in, one static child or some that fit: what a search visits grows with the path's depth.
#[test]
fn without_alternatives_a_look_up_visits_each_segment_once() {
    let routes: Vec<_> = (0..500).map(|n| format!("GET /api/r{n}/:id/items/:item")).collect();
    let routes: Vec<_> = routes.iter().map(String::as_str).collect();
    let tree = tree(&routes);
    assert_eq!(tree.visits("/api/r7/1/items/2"), 6);
    assert_eq!(tree.visits(&format!("/api/r7/1/items/2{}", "/x".repeat(10_000))), 6);
}

/// At each depth there is a parameter that leads nowhere: the way back costs one visit each.
#[test]
fn with_one_alternative_per_depth_it_stays_linear() {
    const DEPTH: usize = 60;
    let routes: Vec<_> = (0..DEPTH).map(|at| format!("GET {}/:x/end", "/a".repeat(at))).collect();
    let routes: Vec<_> = routes.iter().map(String::as_str).collect();
    let tree = tree(&routes);
    assert!(tree.visits(&"/a".repeat(DEPTH)) <= 3 * DEPTH);
    assert!(tree.visits(&"/a".repeat(100_000)) <= 3 * DEPTH);
}

/// Every pattern of `a` and `:x`, ten deep: no path visits more than the nodes that 1,024 patterns make.
#[test]
fn the_worst_table_bounds_its_worst_path() {
    const DEPTH: usize = 10;
    let route = |bits: usize| {
        let part =
            |at: usize| if bits >> at & 1 == 0 { "/a".to_owned() } else { format!("/:p{}", at.min(6)) };
        // Eight parameters at most.
        let parts: String = (0..DEPTH).map(part).collect();
        let distinct = (0..DEPTH).filter(|at| bits >> at & 1 == 1).count();
        (distinct <= 7 && bits >> 7 == 0).then(|| format!("GET {parts}/end"))
    };
    let routes: Vec<_> = (0..1 << DEPTH).filter_map(route).collect();
    let routes: Vec<_> = routes.iter().map(String::as_str).collect();
    assert_eq!(routes.len(), 128);
    let tree = tree(&routes);
    let nodes = 1 + routes.len() * (DEPTH + 1);
    for tail in ["", "/end", "/no", "/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a"] {
        let visits = tree.visits(&format!("{}{tail}", "/a".repeat(DEPTH)));
        assert!(visits <= nodes && visits >= 128, "{visits} visits for {tail}");
    }
}
