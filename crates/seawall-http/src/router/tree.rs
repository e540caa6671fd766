//! The tree: nodes in one array, children by index, leaves with one entry per method.

use std::borrow::Cow;

use http::Method;
use percent_encoding::percent_decode_str;

use super::Params;
use super::pattern::{Kind, Pattern, Segment};

/// Where a look-up ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// At the route that was inserted under this number.
    Route(usize, Params),
    /// Nowhere, but the path knows these methods (sorted, HEAD beside GET, with OPTIONS).
    Methods(Vec<Method>),
    /// Nowhere.
    Nothing,
}

/// All routes of an app, by path. Values live outside, under the numbers that [`Tree::insert`] was given.
#[derive(Debug)]
pub(crate) struct Tree {
    nodes: Vec<Node>,
}

#[derive(Debug, Default)]
struct Node {
    /// Sorted by text.
    statics: Vec<(Box<str>, usize)>,
    /// Sorted by kind: typed ones first, the plain one last.
    params: Vec<(Kind, usize)>,
    /// Routes that end here, and those that take the rest of the path from here.
    here: Leaf,
    rest: Leaf,
    /// The group whose prefix ends here.
    scope: Option<usize>,
}

/// One route per method; `None` is any method that no other entry names.
#[derive(Debug, Default)]
struct Leaf(Vec<(Option<Method>, usize)>);

impl Leaf {
    fn find(&self, method: &Method) -> Option<usize> {
        let of = |wanted: Option<&Method>| {
            self.0.iter().find(|(known, _)| known.as_ref() == wanted).map(|(_, route)| *route)
        };
        let get = || if *method == Method::HEAD { of(Some(&Method::GET)) } else { None };
        of(Some(method)).or_else(get).or_else(|| of(None))
    }
}

impl Tree {
    pub(crate) fn new() -> Self {
        Self { nodes: vec![Node::default()] }
    }

    /// Puts a route in; the number of the one that is there already, otherwise. `method: None` is any method.
    pub(crate) fn insert(
        &mut self,
        method: Option<Method>,
        pattern: &Pattern,
        route: usize,
    ) -> Result<(), usize> {
        let node = self.node(pattern);
        let takes_rest = pattern.segments.last() == Some(&Segment::Rest);
        let node = &mut self.nodes[node];
        let leaf = if takes_rest { &mut node.rest } else { &mut node.here };
        if let Some((_, known)) = leaf.0.iter().find(|(known, _)| *known == method) {
            return Err(*known);
        }
        leaf.0.push((method, route));
        Ok(())
    }

    /// Makes `scope` answer for what is not found below `prefix`. The first one for a prefix stays.
    pub(crate) fn insert_scope(&mut self, prefix: &Pattern, scope: usize) {
        let node = self.node(prefix);
        self.nodes[node].scope.get_or_insert(scope);
    }

    /// The node at the end of a pattern, made if it is not there.
    fn node(&mut self, pattern: &Pattern) -> usize {
        let mut node = 0;
        for segment in &pattern.segments {
            let next = self.nodes.len();
            let child = match segment {
                Segment::Static(text) => self.nodes[node].static_child(text, next),
                Segment::Param { kind, .. } => self.nodes[node].param_child(*kind, next),
                Segment::Rest => node,
            };
            if child == next {
                self.nodes.push(Node::default());
            }
            node = child;
        }
        node
    }

    /// The route for a method and a raw path, which starts with `/`. Allocates only when the method does not fit.
    pub(crate) fn find(&self, method: &Method, path: &str) -> Found {
        let mut search = Search { tree: self, method, path, params: Params::default(), allow: Vec::new() };
        let Some(start) = start(path) else { return Found::Nothing };
        match search.walk(0, start) {
            Some(route) => Found::Route(route, search.params),
            None if search.allow.is_empty() => Found::Nothing,
            None => Found::Methods(allowed(search.allow)),
        }
    }

    /// The group that answers for a path without a route: the one with the longest prefix.
    pub(crate) fn scope(&self, path: &str) -> Option<usize> {
        let deepest = start(path).and_then(|start| self.deepest(0, path, start, 0));
        deepest.map(|(_, scope)| scope).or(self.nodes[0].scope)
    }

    fn deepest(&self, node: usize, path: &str, at: usize, depth: usize) -> Option<(usize, usize)> {
        let own = self.nodes[node].scope.map(|scope| (depth, scope));
        let Some((raw, next)) = segment(path, at) else { return own };
        let text = decode(raw);
        let children =
            self.nodes[node].children(&text).map(|child| self.deepest(child, path, next, depth + 1));
        children.flatten().chain(own).max_by_key(|(depth, _)| *depth)
    }
}

impl Node {
    fn static_child(&mut self, text: &str, new: usize) -> usize {
        match self.statics.binary_search_by(|(known, _)| (**known).cmp(text)) {
            Ok(at) => self.statics[at].1,
            Err(at) => {
                self.statics.insert(at, (text.into(), new));
                new
            }
        }
    }

    fn param_child(&mut self, kind: Kind, new: usize) -> usize {
        match self.params.binary_search_by_key(&kind, |(known, _)| *known) {
            Ok(at) => self.params[at].1,
            Err(at) => {
                self.params.insert(at, (kind, new));
                new
            }
        }
    }

    fn static_match(&self, text: &str) -> Option<usize> {
        let found = self.statics.binary_search_by(|(known, _)| (**known).cmp(text)).ok()?;
        Some(self.statics[found].1)
    }

    /// All children that a segment fits, in order of precedence.
    fn children<'a>(&'a self, text: &'a str) -> impl Iterator<Item = usize> + 'a {
        let params = self.params.iter().filter(move |(kind, _)| !text.is_empty() && kind.accepts(text));
        self.static_match(text).into_iter().chain(params.map(|(_, child)| *child))
    }
}

/// The first segment starts behind the first slash.
fn start(path: &str) -> Option<usize> {
    path.starts_with('/').then_some(1)
}

/// The segment that starts at `at`, and where the next one does; `None` past the end.
fn segment(path: &str, at: usize) -> Option<(&str, usize)> {
    let rest = path.get(at..)?;
    let len = rest.bytes().position(|byte| byte == b'/').unwrap_or(rest.len());
    Some((&rest[..len], at + len + 1))
}

/// What static text and constraints are compared with. Bytes that are no UTF-8 fit nothing but a plain parameter.
fn decode(raw: &str) -> Cow<'_, str> {
    if raw.contains('%') { percent_decode_str(raw).decode_utf8_lossy() } else { Cow::Borrowed(raw) }
}

/// Sorted, with what is answered without being registered: HEAD where there is GET, and OPTIONS.
fn allowed(mut methods: Vec<Method>) -> Vec<Method> {
    if methods.contains(&Method::GET) {
        methods.push(Method::HEAD);
    }
    methods.push(Method::OPTIONS);
    methods.sort_by(|a, b| a.as_str().cmp(b.as_str()));
    methods.dedup();
    methods
}

struct Search<'a> {
    tree: &'a Tree,
    method: &'a Method,
    path: &'a str,
    params: Params,
    /// Methods of the routes that fitted the path alone.
    allow: Vec<Method>,
}

impl Search<'_> {
    fn walk(&mut self, node: usize, at: usize) -> Option<usize> {
        let tree = self.tree;
        let node = &tree.nodes[node];
        let Some((raw, next)) = segment(self.path, at) else { return self.end(&node.here) };
        let text = decode(raw);
        let found = node.static_match(&text).and_then(|child| self.walk(child, next));
        if found.is_some() {
            return found;
        }
        let depth = self.params.len;
        for &(kind, child) in &node.params {
            if raw.is_empty() || !kind.accepts(&text) {
                continue;
            }
            self.params.push(at, at + raw.len());
            if let Some(route) = self.walk(child, next) {
                return Some(route);
            }
            self.params.truncate(depth);
        }
        let route = self.end(&node.rest)?;
        self.params.push(at, self.path.len());
        Some(route)
    }

    fn end(&mut self, leaf: &Leaf) -> Option<usize> {
        let route = leaf.find(self.method);
        if route.is_none() {
            self.allow.extend(leaf.0.iter().filter_map(|(method, _)| method.clone()));
        }
        route
    }
}
