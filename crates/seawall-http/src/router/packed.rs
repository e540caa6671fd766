//! What look-ups read: the trie in flat arrays, laid out so that a look-up touches few cache lines.
//!
//! A node is 32 bytes and never lies across two cache lines. Nodes stand in preorder, so the branch below a node is one
//! piece of memory; a table of 100,000 routes costs a look-up two or three lines that are not in the cache. Static
//! children are found by a hash of their text in one open-addressed table per node, half full at most; an entry has
//! half of the hash, the child has the text, so a wrong hit is no wrong answer. A single static child has no table.
//! What few nodes have (parameters with text or a constraint, a rest) stands apart.

use super::methods::{MethodId, MethodSet};
use super::pattern::Fit;
use super::raw::{Key, Piece, Text};
use super::trie::{self, Leaf, Trie, choose};

/// The packed form of a [`Trie`].
#[derive(Debug)]
pub(super) struct Packed {
    pub(super) nodes: Vec<Node>,
    slots: Vec<Slot>,
    extras: Vec<Extra>,
    shapes: Vec<Shape>,
    edges: Vec<Edge>,
    leaves: Vec<Entry>,
    /// Static texts that are longer than [`SHORT`].
    texts: Vec<Box<[u8]>>,
}

#[derive(Debug, Clone, Default)]
#[repr(align(32))]
pub(super) struct Node {
    /// The static text that leads here: its first and last eight bytes, and its label.
    first: u64,
    last: u64,
    label: Label,
    statics: Statics,
    pub(super) params: Params,
    pub(super) here: LeafRef,
}

/// What there is to a static text beside its ends: its length up to 16 bytes; else a longer one's number, from there.
#[derive(Debug, Clone, Copy, Default)]
struct Label(u32);

/// The longest text that its ends are all of.
const SHORT: usize = 16;

/// What a node has beside static children: nothing (0), a child for any segment that is not empty (its number), or,
/// with the highest bit, the number of an [`Extra`].
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Params(u32);

impl Params {
    #[inline]
    pub(super) fn is_none(self) -> bool {
        self.0 == 0
    }
    /// The plain child, where there is nothing else.
    #[inline]
    pub(super) fn only_plain(self) -> Option<u32> {
        (self.0 & MANY == 0).then_some(self.0)
    }
}

/// The static children of a node: none (0), one (its number), or a table in `slots`: where it starts, and in the five
/// highest bits the logarithm of its size.
#[derive(Debug, Clone, Copy, Default)]
struct Statics(u32);

/// Bits of [`Statics`] below the logarithm. Nodes are fewer than 2^24 and a table has less than four slots per child.
const PLACE: u32 = 27;

/// A slot of a table of static children; child 0 is none.
#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    tag: u32,
    child: u32,
}

/// What few nodes have.
#[derive(Debug)]
pub(super) struct Extra {
    /// The child for any segment that is not empty; 0 for none.
    pub(super) plain: u32,
    shapes: std::ops::Range<u32>,
    /// Of the edges, in all shapes.
    edges: std::ops::Range<u32>,
    pub(super) rest: LeafRef,
}

/// Parameters of one node whose texts have the same lengths, sorted, so that those that a segment fits are found by
/// bisection. Shapes, and the edges in them, are in the order of precedence.
#[derive(Debug)]
struct Shape {
    prefix: usize,
    suffix: usize,
    edges_end: u32,
}

#[derive(Debug)]
struct Edge {
    fit: Fit,
    child: u32,
}

/// A child that a segment fits.
pub(super) struct Fitting {
    pub(super) child: u32,
    /// Where the value stands in the path.
    pub(super) value: (usize, usize),
    /// What to go on from if the child leads nowhere.
    pub(super) next: u32,
}

/// The routes of a leaf: none (0), one (an [`Entry`]), or, with the highest bit, where they start in `leaves`.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct LeafRef(u32);

const MANY: u32 = 1 << 31;

/// A route of a leaf. From the highest bit: whether another one follows, its method, one more than its number.
#[derive(Debug, Clone, Copy)]
struct Entry(u32);

impl Entry {
    fn new(method: MethodId, route: u32) -> Self {
        Self(u32::from(method.0) << 24 | (route + 1))
    }
    fn method(self) -> MethodId {
        MethodId((self.0 >> 24) as u8 & 0x7f)
    }
    fn route(self) -> usize {
        (self.0 & 0x00ff_ffff) as usize - 1
    }
}

impl LeafRef {
    pub(super) fn is_none(self) -> bool {
        self.0 == 0
    }
}

impl Packed {
    pub(super) fn new(trie: &Trie) -> Self {
        let mut packed = Self {
            nodes: Vec::with_capacity(trie.nodes.len()),
            slots: Vec::new(),
            extras: Vec::new(),
            shapes: Vec::new(),
            edges: Vec::new(),
            leaves: Vec::new(),
            texts: Vec::new(),
        };
        packed.lay(trie, 0);
        packed
    }

    /// Bytes on the heap.
    pub(super) fn bytes(&self) -> usize {
        fn of<T>(part: &Vec<T>) -> usize {
            part.capacity() * size_of::<T>()
        }
        of(&self.nodes)
            + of(&self.slots)
            + of(&self.extras)
            + of(&self.shapes)
            + of(&self.edges)
            + of(&self.leaves)
            + of(&self.texts)
            + self.texts.iter().map(|text| text.len()).sum::<usize>()
    }

    /// Lays out a node and all below it; its number. As deep as a pattern may have segments.
    fn lay(&mut self, trie: &Trie, at: u32) -> u32 {
        let from = &trie.nodes[at as usize];
        let number = self.nodes.len() as u32;
        let mut node = Node { here: self.leaf(&from.here), ..Node::default() };
        if let trie::Label::Static(text) = &from.label {
            let key = Key::of(text.as_bytes());
            (node.first, node.last) = (key.first, key.last);
            node.label = self.label(text.as_bytes());
        }
        self.nodes.push(Node::default());
        let (mut statics, mut fits) = (Vec::new(), Vec::new());
        for child in &from.children {
            match &trie.nodes[*child as usize].label {
                trie::Label::Static(text) => statics.push((text, *child)),
                trie::Label::Fit(fit) => fits.push((fit, *child)),
            }
        }
        statics.sort_unstable();
        fits.sort_unstable();
        let statics: Vec<_> = statics.iter().map(|(text, child)| (text, self.lay(trie, *child))).collect();
        let mut fits: Vec<_> = fits.iter().map(|(fit, child)| (fit, self.lay(trie, *child))).collect();
        let plain = fits.pop_if(|(fit, _)| fit.is_plain()).map_or(0, |(_, child)| child);
        node.statics = self.table(statics.iter().map(|(text, child)| (text.as_bytes(), *child)));
        let rest = self.leaf(&from.rest);
        node.params = Params(plain);
        if !fits.is_empty() || !rest.is_none() {
            node.params = Params(self.extras.len() as u32 | MANY);
            let edges = fits.into_iter().map(|(fit, child)| Edge { fit: (***fit).clone(), child });
            let extra = self.extra(plain, edges, rest);
            self.extras.push(extra);
        }
        self.nodes[number as usize] = node;
        number
    }

    fn label(&mut self, text: &[u8]) -> Label {
        if text.len() <= SHORT {
            return Label(text.len() as u32);
        }
        self.texts.push(text.into());
        Label((SHORT + self.texts.len()) as u32)
    }

    fn leaf(&mut self, routes: &Leaf) -> LeafRef {
        let entries = routes.iter().map(|(method, route)| Entry::new(*method, *route));
        match routes.len() {
            0 => LeafRef(0),
            1 => LeafRef(entries.map(|entry| entry.0).sum()),
            many => {
                let start = self.leaves.len() as u32;
                self.leaves.extend(entries.enumerate().map(|(at, Entry(entry))| {
                    if at + 1 < many { Entry(entry | MANY) } else { Entry(entry) }
                }));
                LeafRef(start | MANY)
            }
        }
    }

    fn table<'a>(&mut self, children: impl ExactSizeIterator<Item = (&'a [u8], u32)>) -> Statics {
        let log = match children.len() {
            0 => return Statics(0),
            1 => return Statics(children.map(|(_, child)| child).sum()),
            many => (2 * many).next_power_of_two().trailing_zeros(),
        };
        let start = self.slots.len();
        let mask = (1 << log) - 1;
        self.slots.resize(start + mask + 1, Slot::default());
        for (text, child) in children {
            let hash = Key::of(text).hash();
            let mut at = (hash >> (64 - log)) as usize;
            while self.slots[start + at].child != 0 {
                at = (at + 1) & mask;
            }
            self.slots[start + at] = Slot { tag: hash as u32, child };
        }
        Statics(log << PLACE | start as u32)
    }

    /// `edges` are sorted, so that edges of one shape stand together.
    fn extra(&mut self, plain: u32, edges: impl Iterator<Item = Edge>, rest: LeafRef) -> Extra {
        let (first_shape, first_edge) = (self.shapes.len(), self.edges.len());
        let mut last = None;
        for edge in edges {
            let shape = (edge.fit.is_typed(), edge.fit.prefix.len(), edge.fit.suffix.len());
            if last.replace(shape) != Some(shape) {
                self.shapes.push(Shape { prefix: shape.1, suffix: shape.2, edges_end: 0 });
            }
            self.edges.push(edge);
            if let Some(shape) = self.shapes.last_mut() {
                shape.edges_end = self.edges.len() as u32;
            }
        }
        let shapes = first_shape as u32..self.shapes.len() as u32;
        Extra { plain, shapes, edges: first_edge as u32..self.edges.len() as u32, rest }
    }
}

/// Looking.
impl Packed {
    /// What a node has that has more than a plain child.
    pub(super) fn extra_of(&self, params: Params) -> &Extra {
        &self.extras[(params.0 & !MANY) as usize]
    }

    /// All routes of a leaf, in the order of registration.
    pub(super) fn entries(&self, leaf: LeafRef) -> impl Iterator<Item = (MethodId, usize)> + '_ {
        let (alone, many) = match leaf.0 {
            0 => (None, 0),
            one if one & MANY == 0 => (Some(Entry(one)), 0),
            start => (None, (start & !MANY) as usize),
        };
        let stored = if leaf.0 & MANY != 0 { &self.leaves[many..] } else { &[] };
        let len = stored.iter().position(|entry| entry.0 & MANY == 0).map_or(0, |last| last + 1);
        alone.into_iter().chain(stored[..len].iter().copied()).map(|entry| (entry.method(), entry.route()))
    }

    /// The route of a leaf for a method.
    #[inline]
    pub(super) fn choose(&self, leaf: LeafRef, wanted: MethodId) -> Option<usize> {
        if leaf.0 & MANY == 0 && Entry(leaf.0).method() == wanted && leaf.0 != 0 {
            return Some(Entry(leaf.0).route());
        }
        self.choose_of(leaf, wanted)
    }

    #[inline(never)]
    fn choose_of(&self, leaf: LeafRef, wanted: MethodId) -> Option<usize> {
        choose(self.entries(leaf), wanted)
    }

    #[inline(never)]
    pub(super) fn methods(&self, leaf: LeafRef, set: &mut MethodSet) {
        self.entries(leaf).for_each(|(method, _)| set.add(method));
    }

    /// The static child for a segment.
    #[inline]
    pub(super) fn static_child(&self, node: &Node, piece: &Piece<'_>) -> Option<u32> {
        if node.statics.0 == 0 {
            return None;
        }
        let key = piece.key();
        match self.find_static(node.statics, &key) {
            None if key.is_encoded() => self.find_encoded(node.statics, key.text),
            found => found,
        }
    }

    #[inline(never)]
    fn find_encoded(&self, statics: Statics, raw: &[u8]) -> Option<u32> {
        self.find_static(statics, &Key::of(&Text::new(raw)))
    }

    #[inline(always)]
    fn find_static(&self, statics: Statics, key: &Key<'_>) -> Option<u32> {
        let log = statics.0 >> PLACE;
        if log == 0 {
            return self.is_called(statics.0, key).then_some(statics.0);
        }
        let start = (statics.0 & ((1 << PLACE) - 1)) as usize;
        let table = &self.slots[start..start + (1 << log)];
        let hash = key.hash();
        let mut at = (hash >> (64 - log)) as usize;
        loop {
            // A table is half full at most, so that there is an empty slot to end at.
            let slot = table[at & (table.len() - 1)];
            if slot.child == 0 {
                return None;
            }
            if slot.tag == hash as u32 && self.is_called(slot.child, key) {
                return Some(slot.child);
            }
            at += 1;
        }
    }

    #[inline]
    fn is_called(&self, child: u32, key: &Key<'_>) -> bool {
        let node = &self.nodes[child as usize];
        let ends = node.first == key.first && node.last == key.last;
        let len = node.label.0 as usize;
        ends && if len <= SHORT { len == key.text.len() } else { self.is_text(len - SHORT - 1, key.text) }
    }

    #[inline(never)]
    fn is_text(&self, number: usize, text: &[u8]) -> bool {
        *self.texts[number] == *text
    }

    /// The first parameter with more to it that a segment fits, from edge `from` on; 0 is the first one.
    pub(super) fn fitting(&self, extra: &Extra, piece: &Piece<'_>, from: u32) -> Option<Fitting> {
        let text = piece.text();
        let mut at = from.max(extra.edges.start);
        for shape in &self.shapes[extra.shapes.start as usize..extra.shapes.end as usize] {
            if at >= shape.edges_end || text.len() <= shape.prefix + shape.suffix {
                at = at.max(shape.edges_end);
                continue;
            }
            let (prefix, behind) = text.split_at(shape.prefix);
            let (value, suffix) = behind.split_at(behind.len() - shape.suffix);
            let edges = &self.edges[at as usize..shape.edges_end as usize];
            let texts =
                |edge: &Edge| (edge.fit.prefix.as_bytes(), edge.fit.suffix.as_bytes()).cmp(&(prefix, suffix));
            let first = edges.partition_point(|edge| texts(edge).is_lt());
            let alike = edges[first..].iter().take_while(|edge| texts(edge).is_eq());
            if let Some((number, edge)) =
                alike.enumerate().find(|(_, edge)| edge.fit.constraint.accepts(value))
            {
                let end = shape.prefix + value.len();
                return Some(Fitting {
                    child: edge.child,
                    value: (piece.place(shape.prefix), piece.place(end)),
                    next: at + (first + number) as u32 + 1,
                });
            }
            at = shape.edges_end;
        }
        None
    }
}
