//! What was inserted: a trie over segments, easy to grow. [`super::packed`] makes what look-ups read of it.

use std::collections::HashMap;

use super::constraint::Constraint;
use super::methods::{ANY, MethodId};
use super::pattern::{Fit, Segment};

/// The most routes of one tree, and the most nodes; a node's and a route's number fit their words in the packed form.
pub(super) const MAX_ROUTES: usize = (1 << 24) - 2;
pub(super) const MAX_NODES: usize = 1 << 24;

#[derive(Debug)]
pub(super) struct Trie {
    pub(super) nodes: Vec<Node>,
    /// The child of a node for a segment. The key is the parent's number and the segment, as bytes.
    children: HashMap<Box<[u8]>, u32>,
    key: Vec<u8>,
}

#[derive(Debug)]
pub(super) struct Node {
    pub(super) label: Label,
    /// In the order in which they came.
    pub(super) children: Vec<u32>,
    /// Routes that end here, and those that take the rest of the path from here.
    pub(super) here: Leaf,
    pub(super) rest: Leaf,
}

/// What leads to a node.
#[derive(Debug)]
pub(super) enum Label {
    Static(Box<str>),
    Fit(Box<Fit>),
}

/// Routes by method.
pub(super) type Leaf = Vec<(MethodId, u32)>;

/// Why a route does not go in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// This one is at its place.
    Taken(usize),
    Full,
}

impl Trie {
    pub(super) fn new() -> Self {
        let root = Node::new(Label::Static("".into()));
        Self { nodes: vec![root], children: HashMap::new(), key: Vec::new() }
    }

    pub(super) fn insert(&mut self, method: MethodId, path: &[Segment], route: usize) -> Result<(), Refused> {
        if route > MAX_ROUTES || self.nodes.len() + path.len() > MAX_NODES {
            return Err(Refused::Full);
        }
        let mut at = 0;
        for segment in path {
            at = match segment {
                Segment::Static(text) => self.child(at, None, text, || Label::Static(text.as_str().into())),
                Segment::Param { fit, .. } => {
                    self.child(at, Some(fit), &fit.prefix, || Label::Fit(Box::new(fit.clone())))
                }
                Segment::Rest { .. } => at,
            };
        }
        let node = &mut self.nodes[at as usize];
        let rest = matches!(path.last(), Some(Segment::Rest { .. }));
        enter(if rest { &mut node.rest } else { &mut node.here }, method, route)
    }

    fn child(&mut self, parent: u32, fit: Option<&Fit>, text: &str, label: impl FnOnce() -> Label) -> u32 {
        self.key.clear();
        self.key.extend_from_slice(&parent.to_le_bytes());
        write_key(&mut self.key, fit, text);
        if let Some(child) = self.children.get(self.key.as_slice()) {
            return *child;
        }
        let child = self.nodes.len() as u32;
        self.nodes.push(Node::new(label()));
        self.nodes[parent as usize].children.push(child);
        self.children.insert(self.key.as_slice().into(), child);
        child
    }
}

impl Node {
    fn new(label: Label) -> Self {
        Self { label, children: Vec::new(), here: Vec::new(), rest: Vec::new() }
    }
}

/// Puts a route into a leaf, unless its method has one.
pub(super) fn enter(leaf: &mut Leaf, method: MethodId, route: usize) -> Result<(), Refused> {
    if let Some((_, known)) = leaf.iter().find(|(known, _)| *known == method) {
        return Err(Refused::Taken(*known as usize));
    }
    leaf.push((method, route as u32));
    Ok(())
}

/// Different for segments that are not the same. Texts cannot contain `/`, which therefore ends them.
fn write_key(key: &mut Vec<u8>, fit: Option<&Fit>, text: &str) {
    key.push(u8::from(fit.is_some()));
    key.extend_from_slice(text.as_bytes());
    let Some(fit) = fit else { return };
    key.push(b'/');
    key.extend_from_slice(fit.suffix.as_bytes());
    key.push(b'/');
    let (kind, min, max) = match fit.constraint {
        Constraint::Any => (0, 0, 0),
        Constraint::Uuid => (1, 0, 0),
        Constraint::Int { min, max } => (2, min, max),
        Constraint::Alpha { min, max } => (3, i64::from(min), i64::from(max)),
    };
    key.push(kind);
    key.extend_from_slice(&min.to_le_bytes());
    key.extend_from_slice(&max.to_le_bytes());
}

/// The route of a leaf for a method: its own, else that of GET for HEAD, else that of any.
pub(super) fn choose(leaf: impl Iterator<Item = (MethodId, usize)>, wanted: MethodId) -> Option<usize> {
    use super::methods::{GET, HEAD};
    let (mut get, mut any) = (None, None);
    for (method, route) in leaf {
        if method == wanted {
            return Some(route);
        }
        if method == GET && wanted == HEAD {
            get = Some(route);
        }
        if method == ANY {
            any = Some(route);
        }
    }
    get.or(any)
}
