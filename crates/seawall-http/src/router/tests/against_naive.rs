//! The tree against a matcher that tries every route, on random tables and paths; and texts of any bytes.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::sync::LazyLock;

use http::Method;
use percent_encoding::percent_decode_str;
use proptest::prelude::*;
use regex::Regex;

use super::super::*;

#[derive(Debug, Clone)]
enum Part {
    Static(&'static str),
    /// Prefix, constraint as it is written, suffix.
    Param(&'static str, &'static str, &'static str),
    Rest(bool),
}

#[derive(Debug, Clone)]
enum Route {
    Path(Vec<Part>),
    Regex(&'static str),
}

/// Longer than what of a path is looked at at once.
const LONG: &str = "0123456789abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const TEXTS: &[&str] = &[
    "a",
    "b",
    "7",
    "ab",
    "customers-of-a",
    "customers-of-b",
    "",
    "customers-of-the-a",
    "customers-of-tha-a",
    LONG,
];
const CONSTRAINTS: &[&str] =
    &["", "", "", "<int>", "<int(1..=10)>", "<int(5..20)>", "<alpha>", "<alpha(2..=3)>", "<alpha(1..)>"];
const PREFIXES: &[&str] = &["", "", "a", "ab", "b"];
const SUFFIXES: &[&str] = &["", "", ".b", ".b.b"];
const REGEXES: &[&str] = &["~/[a-b]+/(?<x>.*)", "~/(?<x>[^/]+)/(?<y>[^/]*)/b", "~/a.*", "~/7|/a/7"];
const PIECES: &[&str] = &[
    "a",
    "b",
    "7",
    "12",
    "200",
    "",
    "ab",
    "abb",
    "a7",
    "ab7",
    "7.b",
    "a7b.b",
    "abc",
    "x.b.b",
    "ab.b",
    "customers-of-a",
    "customers-of-c",
    "customers-of-the-a",
    "customers-of-thi-a",
    LONG,
    "%61",
    "%37",
    "a%2Fb",
    "%2F",
    "ab%2eb",
    "%zz",
    "%",
];

fn route() -> impl Strategy<Value = Route> {
    let select = prop::sample::select::<&'static str>;
    let text = select(TEXTS.to_vec()).prop_map(Part::Static);
    let param = (select(PREFIXES.to_vec()), select(CONSTRAINTS.to_vec()), select(SUFFIXES.to_vec()));
    let param = param.prop_map(|(prefix, constraint, suffix)| Part::Param(prefix, constraint, suffix));
    let rest = prop::option::weighted(0.3, any::<bool>());
    let parts = (prop::collection::vec(prop_oneof![text, param], 0..4), rest);
    let path = parts.prop_map(|(mut parts, rest)| {
        parts.extend(rest.map(Part::Rest));
        if parts.is_empty() {
            parts.push(Part::Static(""));
        }
        Route::Path(parts)
    });
    prop_oneof![19 => path, 1 => select(REGEXES.to_vec()).prop_map(Route::Regex)]
}

impl Route {
    fn written(&self) -> String {
        match self {
            Self::Regex(text) => (*text).to_owned(),
            Self::Path(parts) => {
                let part = |(at, part): (usize, &Part)| match part {
                    Part::Static(text) => format!("/{text}"),
                    Part::Param(prefix, constraint, suffix) => format!("/{prefix}:p{at}{constraint}{suffix}"),
                    Part::Rest(true) => "/*tail".to_owned(),
                    Part::Rest(false) => "/*".to_owned(),
                };
                parts.iter().enumerate().map(part).collect()
            }
        }
    }

    /// The decoded values of its parameters, if it matches.
    fn values(&self, path: &str) -> Option<Vec<String>> {
        match self {
            Self::Regex(text) => regex_values(text, path),
            Self::Path(parts) => path_values(parts, path),
        }
    }

    /// Smaller is tried first.
    fn rank(&self) -> Vec<(u8, Reverse<usize>, Reverse<usize>, u128)> {
        let Self::Path(parts) = self else { return Vec::new() };
        let rank = |part: &Part| match *part {
            Part::Static(_) => (0, Reverse(0), Reverse(0), 0),
            Part::Param("", "", "") => (3, Reverse(0), Reverse(0), 0),
            Part::Param(prefix, constraint, suffix) => {
                let class = if constraint.is_empty() { 2 } else { 1 };
                (class, Reverse(prefix.len()), Reverse(suffix.len()), width(constraint))
            }
            Part::Rest(_) => (4, Reverse(0), Reverse(0), 0),
        };
        parts.iter().map(rank).collect()
    }

    /// Whether the other one takes the same place.
    fn is_like(&self, other: &Self) -> bool {
        let bare = |part: &Part| match *part {
            Part::Static(text) => format!("s{text}"),
            // The one constraint that is written in two ways.
            Part::Param(prefix, constraint, suffix) => {
                format!("p{prefix}/{}/{suffix}", constraint.replace("<alpha(1..)>", "<alpha>"))
            }
            Part::Rest(_) => "*".to_owned(),
        };
        match (self, other) {
            (Self::Regex(one), Self::Regex(other)) => one == other,
            (Self::Path(one), Self::Path(other)) => one.iter().map(bare).eq(other.iter().map(bare)),
            _ => false,
        }
    }
}

fn width(constraint: &str) -> u128 {
    match constraint {
        "<int(1..=10)>" => 9,
        "<int(5..20)>" => 14,
        "<alpha(2..=3)>" => 1,
        "" => 0,
        _ => u128::MAX,
    }
}

fn accepts(constraint: &str, value: &str) -> bool {
    let int = || value.parse::<i64>().ok().filter(|_| !value.starts_with('+'));
    let alpha = value.bytes().all(|byte| byte.is_ascii_alphabetic());
    match constraint {
        "" => true,
        "<int>" => int().is_some(),
        "<int(1..=10)>" => int().is_some_and(|value| (1..=10).contains(&value)),
        "<int(5..20)>" => int().is_some_and(|value| (5..20).contains(&value)),
        "<alpha(2..=3)>" => alpha && (2..=3).contains(&value.len()),
        _ => alpha,
    }
}

fn decoded(raw: &str) -> String {
    percent_decode_str(raw).decode_utf8_lossy().into_owned()
}

fn path_values(parts: &[Part], path: &str) -> Option<Vec<String>> {
    let mut given = path[1..].split('/');
    let mut values = Vec::new();
    for part in parts {
        let raw = given.next()?;
        let text = decoded(raw);
        match *part {
            Part::Rest(_) => {
                let rest: Vec<_> = std::iter::once(raw).chain(given).collect();
                values.push(decoded(&rest.join("/")));
                return Some(values);
            }
            Part::Static(wanted) if wanted != text => return None,
            Part::Static(_) => {}
            Part::Param(prefix, constraint, suffix) => {
                let value = text.strip_prefix(prefix)?.strip_suffix(suffix)?;
                if value.is_empty() || !accepts(constraint, value) {
                    return None;
                }
                values.push(value.to_owned());
            }
        }
    }
    given.next().is_none().then_some(values)
}

fn regex_values(text: &str, path: &str) -> Option<Vec<String>> {
    let seen = path.replace("%2F", "\u{1}").replace("%2f", "\u{1}");
    let seen = decoded(&seen).replace('\u{1}', "%2F");
    static COMPILED: LazyLock<Vec<Regex>> = LazyLock::new(|| {
        REGEXES.iter().map(|text| Regex::new(&format!("^(?:{})$", &text[1..])).unwrap()).collect()
    });
    let captures = COMPILED[REGEXES.iter().position(|known| *known == text)?].captures(&seen)?;
    let groups = captures.iter().skip(1).map(|group| group.map_or("", |group| group.as_str()));
    Some(groups.map(|value| value.replace("%2F", "/")).collect())
}

type Table = Vec<(Option<&'static str>, Route)>;

/// `number values..` of the best route, or the methods of a 405, or `404`.
fn naive(table: &Table, method: &str, path: &str) -> String {
    let mut order: Vec<usize> = (0..table.len()).filter(|at| table[*at].1.values(path).is_some()).collect();
    // Stable: expressions stay in their order.
    order.sort_by_key(|at| (matches!(table[*at].1, Route::Regex(_)), table[*at].1.rank()));
    for at in &order {
        let route = &table[*at].1;
        // An expression stands where its first route was registered.
        let place = order.iter().filter(|other| table[**other].1.is_like(route));
        let place: Vec<_> = place.map(|other| (table[*other].0, *other)).collect();
        let of = |wanted| place.iter().find(|(known, _)| *known == wanted).map(|(_, at)| *at);
        let get = || if method == "HEAD" { of(Some("GET")) } else { None };
        if let Some(found) = of(Some(method)).or_else(get).or_else(|| of(None)) {
            return format!("{found} {:?}", table[found].1.values(path).unwrap());
        }
    }
    let mut allow: BTreeSet<_> = order.iter().filter_map(|at| table[*at].0).collect();
    if allow.is_empty() {
        return "404".to_owned();
    }
    if allow.contains("GET") {
        allow.insert("HEAD");
    }
    allow.insert("OPTIONS");
    format!("{allow:?}")
}

fn found(tree: &Tree, method: &str, path: &str) -> String {
    match tree.find(&method.parse().unwrap(), path) {
        Found::Route(number, params) => {
            let value = |(start, end): &(u32, u32)| decoded(&path[*start as usize..*end as usize]);
            format!("{number} {:?}", params.spans().iter().map(value).collect::<Vec<_>>())
        }
        Found::Methods(allow) => format!("{:?}", allow.iter().map(Method::as_str).collect::<BTreeSet<_>>()),
        Found::Nothing => "404".to_owned(),
    }
}

/// Inserts what is not there yet; the table of what went in, and the tree.
fn insert(routes: Table) -> Result<(Table, Tree), TestCaseError> {
    let (mut table, mut tree) = (Table::new(), Tree::new());
    for (method, route) in routes {
        let pattern = Pattern::parse(&route.written()).map_err(TestCaseError::fail)?;
        let parsed = method.map(|method| method.parse().unwrap());
        let known = table.iter().position(|(known, other)| *known == method && other.is_like(&route));
        let expected = known.map_or(Ok(()), |known| Err(InsertError::Taken(known)));
        prop_assert_eq!(tree.insert(parsed, &pattern, table.len()), expected);
        if known.is_none() {
            table.push((method, route));
        }
    }
    Ok((table, tree))
}

const METHODS: &[&str] = &["GET", "PUT", "HEAD", "QUERY", "REPORT"];

fn method() -> impl Strategy<Value = Option<&'static str>> {
    prop_oneof![4 => prop::sample::select(METHODS).prop_map(Some), 1 => Just(None)]
}

fn path() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(PIECES), 1..5)
        .prop_map(|parts| format!("/{}", parts.join("/")))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn the_tree_finds_what_trying_every_route_finds(
        routes in prop::collection::vec((method(), route()), 1..24),
        paths in prop::collection::vec(path(), 1..12),
        method in prop::sample::select(&["GET", "PUT", "HEAD", "QUERY", "REPORT", "OPTIONS", "BREW"][..]),
    ) {
        let (table, tree) = insert(routes)?;
        for path in paths {
            let expected = naive(&table, method, &path);
            prop_assert_eq!(found(&tree, method, &path), expected, "{} {}", method, path);
        }
    }

    #[test]
    fn the_order_of_registration_plays_no_part(
        routes in prop::collection::vec(route(), 1..16),
        path in path(),
    ) {
        let paths = routes.into_iter().filter(|route| matches!(route, Route::Path(_)));
        let (mut table, tree) = insert(paths.map(|route| (Some("GET"), route)).collect())?;
        let winner = |tree: &Tree, table: &Table| match tree.find(&Method::GET, &path) {
            Found::Route(number, _) => table[number].1.written(),
            other => format!("{other:?}"),
        };
        let first = winner(&tree, &table);
        table.reverse();
        let (table, tree) = insert(table)?;
        prop_assert_eq!(winner(&tree, &table), first);
    }

    #[test]
    fn a_url_leads_back_to_its_values(
        route in route(),
        values in prop::collection::vec("(7|12|a|ab|x y|a/b|%2F|\u{e9}|[ -~]{1,6})", 4),
    ) {
        let Route::Path(parts) = &route else { return Ok(()) };
        let pattern = Pattern::parse(&route.written()).map_err(TestCaseError::fail)?;
        let names = pattern.names();
        let params: Vec<_> = names.iter().zip(&values).map(|(name, value)| {
            (name.as_str(), value as &dyn std::fmt::Display)
        }).collect();
        // What is refused here is tested where URLs are made.
        let Ok(url) = pattern.url(&params) else { return Ok(()) };
        let mut tree = Tree::new();
        prop_assert_eq!(tree.insert(None, &pattern, 0), Ok(()));
        prop_assert_eq!(path_values(parts, &url), Some(values[..names.len()].to_vec()));
        prop_assert_eq!(found(&tree, "GET", &url), format!("0 {:?}", &values[..names.len()]));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn no_pattern_makes_the_parser_panic(pattern in "(~|/)?[/:*<>()a-z0-9.=%\\\\~|\u{e9}-]{0,30}") {
        if let Ok(parsed) = Pattern::parse(&pattern) {
            prop_assert!(parsed.names().len() <= MAX_PARAMS);
            prop_assert_eq!(Tree::new().insert(None, &parsed, 0), Ok(()));
        }
    }

    #[test]
    fn no_text_makes_the_parser_panic(pattern in "\\PC{0,40}", prefix in "\\PC{0,20}") {
        let parsed = Pattern::under(&prefix, &pattern);
        prop_assert_eq!(parsed.is_ok(), parsed.is_ok_and(|parsed| parsed == Pattern::parse(&joined(&prefix, &pattern)).unwrap()));
    }

    #[test]
    fn no_path_makes_the_tree_panic(
        routes in prop::collection::vec(route(), 1..12),
        bytes in prop::collection::vec(any::<u8>(), 0..60),
        slashes in prop::collection::vec(0_usize..60, 0..8),
    ) {
        let mut bytes = bytes;
        slashes.into_iter().filter(|at| *at < bytes.len()).collect::<Vec<_>>().into_iter().for_each(|at| bytes[at] = b'/');
        let path = format!("/{}", String::from_utf8_lossy(&bytes));
        let (_, mut tree) = insert(routes.into_iter().map(|route| (None, route)).collect())?;
        tree.insert_scope(&Pattern::parse("/a").unwrap(), 0);
        for path in [&path[..], &path[1..]] {
            if let Found::Route(_, params) = tree.find(&Method::GET, path) {
                for (start, end) in params.spans() {
                    prop_assert!(path.get(*start as usize..*end as usize).is_some());
                }
            }
            let _ = (tree.scope(path), tree.candidates(path));
        }
    }
}
