//! The routers, each through its public API. Only Seawall's knows methods; the others are given paths alone.

use seawall::Method;
use seawall::routing::RouteTable;

pub trait Peer {
    fn build(routes: &[(&str, &str)]) -> Self;
    /// The number of the route, and the lengths of all names and values of its parameters.
    fn find(&self, method: &Method, path: &str) -> (usize, usize);
}

fn length((name, value): (&str, &str)) -> usize {
    name.len() + value.len()
}

/// Each `:name` of a pattern, written otherwise.
fn written(pattern: &str, before: &str, after: &str) -> String {
    let part = |part: &str| match part.strip_prefix(':') {
        Some(name) => format!("{before}{name}{after}"),
        None => part.to_owned(),
    };
    pattern.split('/').map(part).collect::<Vec<_>>().join("/")
}

pub struct Seawall(RouteTable);

impl Peer for Seawall {
    fn build(routes: &[(&str, &str)]) -> Self {
        let mut table = RouteTable::new();
        for (method, pattern) in routes {
            table.add(Some(method.parse().expect("a method")), pattern).expect("a route");
        }
        table.prepare();
        Self(table)
    }

    #[inline]
    fn find(&self, method: &Method, path: &str) -> (usize, usize) {
        let found = self.0.find(method, path).expect("a route");
        (found.route(), found.params().map(length).sum())
    }
}

pub struct Matchit(matchit::Router<usize>);

impl Peer for Matchit {
    fn build(routes: &[(&str, &str)]) -> Self {
        let mut router = matchit::Router::new();
        for (at, (_, pattern)) in routes.iter().enumerate() {
            router.insert(written(pattern, "{", "}"), at).expect("a route");
        }
        Self(router)
    }

    #[inline]
    fn find(&self, _: &Method, path: &str) -> (usize, usize) {
        let found = self.0.at(path).expect("a route");
        (*found.value, found.params.iter().map(length).sum())
    }
}

pub struct Wayfind(wayfind::Router<usize>);

impl Peer for Wayfind {
    fn build(routes: &[(&str, &str)]) -> Self {
        let mut router = wayfind::RouterBuilder::new();
        for (at, (_, pattern)) in routes.iter().enumerate() {
            router.insert(&written(pattern, "<", ">"), at).expect("a route");
        }
        Self(router.build())
    }

    #[inline]
    fn find(&self, _: &Method, path: &str) -> (usize, usize) {
        let found = self.0.search(path).expect("a route");
        (*found.data(), found.parameters().iter().map(|pair| length(*pair)).sum())
    }
}

pub struct PathTree(path_tree::PathTree<usize>);

impl Peer for PathTree {
    fn build(routes: &[(&str, &str)]) -> Self {
        let mut router = path_tree::PathTree::new();
        for (at, (_, pattern)) in routes.iter().enumerate() {
            let _ = router.insert(pattern, at);
        }
        Self(router)
    }

    #[inline]
    fn find(&self, _: &Method, path: &str) -> (usize, usize) {
        let (route, found) = self.0.find(path).expect("a route");
        (*route, found.params_iter().map(length).sum())
    }
}
