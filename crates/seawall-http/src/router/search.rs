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
use super::raw::Piece;

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

/// One look-up.
pub(super) struct Search<'a, T, F: FnMut(LeafRef, &Params) -> Option<T>> {
    pub(super) packed: &'a Packed,
    pub(super) path: &'a [u8],
    pub(super) params: Params,
    /// Is asked at each leaf that the path leads to, in the order of precedence, until it has an answer.
    pub(super) end: F,
    /// How many nodes were visited, for tests of the bound.
    #[cfg(test)]
    pub(super) visits: usize,
}

impl<'a, T, F: FnMut(LeafRef, &Params) -> Option<T>> Search<'a, T, F> {
    pub(super) fn new(packed: &'a Packed, path: &'a str, end: F) -> Self {
        Self {
            packed,
            path: path.as_bytes(),
            params: Params::default(),
            end,
            #[cfg(test)]
            visits: 0,
        }
    }

    /// The first answer that `end` gives. A path that does not begin with `/` leads nowhere.
    #[inline]
    pub(super) fn run(&mut self) -> Option<T> {
        // Places in the path are kept in 32 bits.
        if self.path.first() != Some(&b'/') || u32::try_from(self.path.len()).is_err() {
            return None;
        }
        let mut choices = SmallVec::<[Choice; MAX_SEGMENTS]>::new();
        let (mut node, mut start) = (0, 1);
        loop {
            let mut turn = self.visit(node, start, &mut choices);
            while let Turn::Nowhere = turn {
                let choice = choices.pop()?;
                self.params.truncate(choice.params);
                let piece = Piece::at(self.path, choice.start as usize);
                turn = self.aside(choice.node, &piece, choice.next, &mut choices);
            }
            match turn {
                Turn::Down(child, next) => (node, start) = (child, next),
                Turn::Found(found) => return Some(found),
                Turn::Nowhere => return None,
            }
        }
    }

    #[inline]
    fn visit(
        &mut self,
        number: u32,
        start: usize,
        choices: &mut SmallVec<[Choice; MAX_SEGMENTS]>,
    ) -> Turn<T> {
        #[cfg(test)]
        {
            self.visits += 1;
        }
        let node = &self.packed.nodes[number as usize];
        if start > self.path.len() {
            return match node.here.is_none() {
                true => Turn::Nowhere,
                false => (self.end)(node.here, &self.params).map_or(Turn::Nowhere, Turn::Found),
            };
        }
        let piece = Piece::at(self.path, start);
        let Some(child) = self.packed.static_child(node, self.path, &piece) else {
            return self.aside(number, &piece, 0, choices);
        };
        if node.plain != 0 || node.extra != 0 {
            choices.push(self.choice(number, &piece, 0));
        }
        Turn::Down(child, piece.end + 1)
    }

    /// What is tried at a node after its static child, from `next` on.
    #[inline]
    fn aside(
        &mut self,
        number: u32,
        piece: &Piece,
        next: u32,
        choices: &mut SmallVec<[Choice; MAX_SEGMENTS]>,
    ) -> Turn<T> {
        let packed = self.packed;
        let node = &packed.nodes[number as usize];
        if node.extra != 0 && next < PLAIN {
            let fitting = packed.fitting(packed.extra_of(node), self.path, piece, next);
            if let Some(fitting) = fitting {
                choices.push(self.choice(number, piece, fitting.next));
                self.params.push(fitting.value.0, fitting.value.1);
                return Turn::Down(fitting.child, piece.end + 1);
            }
        }
        if node.plain != 0 && next <= PLAIN && piece.len() != 0 {
            if node.extra != 0 {
                choices.push(self.choice(number, piece, REST));
            }
            self.params.push(piece.start, piece.end);
            return Turn::Down(node.plain, piece.end + 1);
        }
        if node.extra == 0 || packed.extra_of(node).rest.is_none() {
            return Turn::Nowhere;
        }
        // Taken off again, if it is no answer, with whatever comes from the stack.
        self.params.push(piece.start, self.path.len());
        (self.end)(packed.extra_of(node).rest, &self.params).map_or(Turn::Nowhere, Turn::Found)
    }

    fn choice(&self, node: u32, piece: &Piece, next: u32) -> Choice {
        Choice { node, start: piece.start as u32, next, params: self.params.len }
    }
}
