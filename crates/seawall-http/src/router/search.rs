//! The search: down the packed trie, and back where a way leads nowhere.
//!
//! At each node: the static child, the parameters with a constraint or text around them, the plain parameter, the
//! rest. What was not tried at a node is kept on a stack that lives in the frame; most look-ups never push.
//!
//! **The bound.** A trie has one way to each node, so a look-up visits a node once at most, and only nodes whose
//! patterns fit the path so far. At one place that is one static child of however many, and the parameters that fit.
//! So without alternatives the cost is the path's depth; with them it is at most the number of patterns that fit the
//! beginning of the path, whatever the path is. It is the table's author who decides on that, not the client: for a
//! search of 2^n nodes there must be 2^n patterns. Without an allocation: the stack has room for the deepest pattern.

use smallvec::SmallVec;

use super::Params;
use super::packed::{LeafRef, Packed};
use super::pattern::MAX_SEGMENTS;
use super::raw::RawPath;

/// A node at which something is left to try, and from what on.
struct Choice {
    node: u32,
    start: u32,
    next: u32,
    params: u8,
}

/// Values of [`Choice::next`] behind all edges.
const PLAIN: u32 = u32::MAX - 1;
const REST: u32 = u32::MAX;

/// Where a node leads.
enum Turn<T> {
    /// To this node, with the segment that starts there.
    Down(u32, usize),
    Found(T),
    Nowhere,
}

/// What is left to try; a pattern's segments are its most.
type Choices = SmallVec<[Choice; MAX_SEGMENTS]>;

/// One look-up.
pub(super) struct Search<'a, F> {
    packed: &'a Packed,
    path: RawPath<'a>,
    params: &'a mut Params,
    /// Is asked at each leaf that the path leads to, in the order of precedence, until it has an answer.
    end: F,
    /// How many nodes were visited, for tests of the bound.
    #[cfg(test)]
    pub(super) visits: usize,
}

impl<'a, T, F: FnMut(LeafRef) -> Option<T>> Search<'a, F> {
    /// `params` are empty, and are those of the answer in the end.
    #[inline]
    pub(super) fn new(packed: &'a Packed, path: &'a str, params: &'a mut Params, end: F) -> Self {
        Self {
            packed,
            path: RawPath::new(path.as_bytes()),
            params,
            end,
            #[cfg(test)]
            visits: 0,
        }
    }

    /// The first answer that `end` gives. A path that does not begin with `/` leads nowhere.
    #[inline]
    pub(super) fn run(&mut self) -> Option<T> {
        // Places in the path are kept in 32 bits.
        if self.path.bytes.first() != Some(&b'/') || u32::try_from(self.path.bytes.len()).is_err() {
            return None;
        }
        let mut choices = Choices::new();
        let (mut node, mut start) = (0, 1);
        loop {
            let mut turn = self.visit(node, start, &mut choices);
            while let Turn::Nowhere = turn {
                turn = self.back(&mut choices)?;
            }
            match turn {
                Turn::Down(child, next) => (node, start) = (child, next),
                Turn::Found(found) => return Some(found),
                Turn::Nowhere => return None,
            }
        }
    }

    #[inline(always)]
    fn visit(&mut self, number: u32, start: usize, choices: &mut Choices) -> Turn<T> {
        #[cfg(test)]
        {
            self.visits += 1;
        }
        let (packed, path) = (self.packed, self.path);
        let node = &packed.nodes[number as usize];
        if start > path.bytes.len() {
            return (self.end)(node.here).map_or(Turn::Nowhere, Turn::Found);
        }
        let end = path.end(start);
        let piece = path.piece(start, end);
        if let Some(child) = packed.static_child(node, &piece) {
            if !node.params.is_none() {
                choices.push(self.choice(number, start, 0));
            }
            return Turn::Down(child, end + 1);
        }
        match node.params.only_plain() {
            Some(plain) if plain != 0 && start != end => {
                self.params.push(start, end);
                Turn::Down(plain, end + 1)
            }
            Some(_) => Turn::Nowhere,
            None => self.aside(number, start, 0, choices),
        }
    }

    /// The last node at which something is left to try; nothing if there is none.
    #[inline(never)]
    fn back(&mut self, choices: &mut Choices) -> Option<Turn<T>> {
        let choice = choices.pop()?;
        self.params.truncate(choice.params);
        Some(self.aside(choice.node, choice.start as usize, choice.next, choices))
    }

    /// What is tried at a node after its static child, from `next` on.
    #[inline(never)]
    fn aside(&mut self, number: u32, start: usize, next: u32, choices: &mut Choices) -> Turn<T> {
        let packed = self.packed;
        let params = packed.nodes[number as usize].params;
        let end = self.path.end(start);
        let extra = params.only_plain().is_none().then(|| packed.extra_of(params));
        if let Some(extra) = extra.filter(|_| next < PLAIN) {
            let fitting = packed.fitting(extra, &self.path.piece(start, end), next);
            if let Some(fitting) = fitting {
                choices.push(self.choice(number, start, fitting.next));
                self.params.push(fitting.value.0, fitting.value.1);
                return Turn::Down(fitting.child, end + 1);
            }
        }
        let plain = params.only_plain().or(extra.map(|extra| extra.plain)).unwrap_or(0);
        if plain != 0 && next <= PLAIN && start != end {
            if extra.is_some() {
                choices.push(self.choice(number, start, REST));
            }
            self.params.push(start, end);
            return Turn::Down(plain, end + 1);
        }
        let Some(rest) = extra.map(|extra| extra.rest).filter(|rest| !rest.is_none()) else {
            return Turn::Nowhere;
        };
        // Taken off again, if it is no answer, with whatever comes from the stack.
        self.params.push(start, self.path.bytes.len());
        (self.end)(rest).map_or(Turn::Nowhere, Turn::Found)
    }

    fn choice(&self, node: u32, start: usize, next: u32) -> Choice {
        Choice { node, start: start as u32, next, params: self.params.len }
    }
}
