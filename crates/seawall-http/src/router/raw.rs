//! Raw paths: where a segment ends, eight bytes at a time, and what it says once decoded.
//!
//! Most segments are eight bytes or shorter and have no `%` in them. Then finding the end, knowing that nothing is
//! encoded, and having something to compare and to hash is one load and a few instructions.

use std::ops::Deref;

use percent_encoding::percent_decode;
use smallvec::SmallVec;

/// A segment of a raw path.
#[derive(Debug, Clone, Copy)]
pub(super) struct Piece {
    pub(super) start: usize,
    /// Where its slash or the path's end is.
    pub(super) end: usize,
    /// Its first eight bytes, the first one lowest, zeros behind it.
    pub(super) first: u64,
    /// Whether there is a `%` in it.
    pub(super) encoded: bool,
}

impl Piece {
    /// The segment that starts at `start`, which is at most the path's length.
    #[inline]
    pub(super) fn at(path: &[u8], start: usize) -> Self {
        let first = word(path, start);
        let (mut end, mut encoded, mut bytes) = (start, false, first);
        loop {
            let slash = places_of(bytes, b'/');
            let before_slash = slash.wrapping_sub(1) & !slash;
            encoded |= places_of(bytes, b'%') & before_slash != 0;
            if slash != 0 {
                end += (slash.trailing_zeros() / 8) as usize;
                break;
            }
            end += 8;
            if end >= path.len() {
                end = path.len();
                break;
            }
            bytes = word(path, end);
        }
        Self { start, end, first: only(first, end - start), encoded }
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.end - self.start
    }

    pub(super) fn raw<'p>(&self, path: &'p [u8]) -> &'p [u8] {
        &path[self.start..self.end]
    }

    /// What it says, decoded once.
    pub(super) fn text<'p>(&self, path: &'p [u8]) -> Text<'p> {
        let raw = self.raw(path);
        if self.encoded { Text::Decoded(percent_decode(raw).collect()) } else { Text::Raw(raw) }
    }

    /// Where in the path the byte stands that is number `at` of the decoded text.
    pub(super) fn place(&self, path: &[u8], at: usize) -> usize {
        if !self.encoded {
            return self.start + at;
        }
        let step = |place: usize| place + if hex_pair(path, place).is_some() { 3 } else { 1 };
        (0..at).fold(self.start, |place, _| step(place))
    }
}

/// A decoded text. It is on the heap only if it was encoded and is longer than an honest segment.
#[expect(
    clippy::large_enum_variant,
    reason = "it lives in one frame; a box would be the allocation that it saves"
)]
pub(super) enum Text<'p> {
    Raw(&'p [u8]),
    Decoded(SmallVec<[u8; 256]>),
}

impl Deref for Text<'_> {
    type Target = [u8];
    #[inline]
    fn deref(&self) -> &[u8] {
        match self {
            Self::Raw(text) => text,
            Self::Decoded(text) => text,
        }
    }
}

/// The first eight bytes of a text, as [`Piece`] has them.
pub(super) fn first_word(text: &[u8]) -> u64 {
    only(word(text, 0), text.len())
}

/// Spreads static texts over a table. Read eight bytes at a time; the last eight may overlap those before.
#[inline]
pub(super) fn hash(text: &[u8], first: u64) -> u64 {
    const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut hash = (first ^ text.len() as u64).wrapping_mul(SPREAD);
    let mut at = 8;
    while at < text.len() {
        let bytes = word(text, at.min(text.len() - 8));
        hash = (hash.rotate_left(29) ^ bytes).wrapping_mul(SPREAD);
        at += 8;
    }
    hash
}

/// The byte that `%` and two digits at `at` stand for, if they are there.
pub(super) fn hex_pair(raw: &[u8], at: usize) -> Option<u8> {
    let [b'%', high, low] = raw.get(at..at + 3)? else { return None };
    let digit = |byte: u8| char::from(byte).to_digit(16);
    Some((digit(*high)? * 16 + digit(*low)?) as u8)
}

/// The first `len` bytes of a word; all of it, if `len` is eight or more.
#[inline]
fn only(word: u64, len: usize) -> u64 {
    if len < 8 { word & ((1 << (8 * len)) - 1) } else { word }
}

/// Eight bytes from `at`, the first one lowest, zeros behind the end.
#[inline]
fn word(bytes: &[u8], at: usize) -> u64 {
    match bytes.get(at..).and_then(<[u8]>::first_chunk) {
        Some(chunk) => u64::from_le_bytes(*chunk),
        None => tail(bytes, at),
    }
}

/// Fewer than eight bytes are left.
#[inline]
fn tail(bytes: &[u8], at: usize) -> u64 {
    match bytes.last_chunk() {
        Some(chunk) => {
            let missing = at + 8 - bytes.len();
            u64::from_le_bytes(*chunk).checked_shr(8 * missing as u32).unwrap_or(0)
        }
        None => {
            let left = bytes.get(at..).unwrap_or_default();
            left.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte))
        }
    }
}

/// The highest bit of each byte that is `wanted`. Above the lowest of them there may be false ones, from the borrow.
#[inline]
fn places_of(word: u64, wanted: u8) -> u64 {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    const HIGH: u64 = u64::from_le_bytes([0x80; 8]);
    let zeros = word ^ (ONES * wanted as u64);
    zeros.wrapping_sub(ONES) & !zeros & HIGH
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn pieces_are_what_splitting_gives(path in "/[a/%\u{0}.0\u{e9}]{0,40}") {
            let bytes = path.as_bytes();
            let mut at = 1;
            for part in path[1..].split('/') {
                let piece = Piece::at(bytes, at);
                prop_assert_eq!(piece.raw(bytes), part.as_bytes());
                prop_assert_eq!(piece.first, first_word(part.as_bytes()));
                prop_assert_eq!(piece.encoded, part.contains('%'));
                at = piece.end + 1;
            }
            prop_assert_eq!(at, path.len() + 1);
        }

        #[test]
        fn places_lead_back_from_decoded_to_raw(raw in "(a|%|%2[Ff]|%c3%a9|9){0,12}") {
            let path = format!("/{raw}");
            let piece = Piece::at(path.as_bytes(), 1);
            let text = piece.text(path.as_bytes()).to_vec();
            for at in 0..=text.len() {
                let raw = &path.as_bytes()[piece.place(path.as_bytes(), at)..];
                prop_assert_eq!(&*percent_decode(raw).collect::<Vec<_>>(), &text[at..]);
            }
        }

        #[test]
        fn texts_that_differ_in_any_byte_hash_differently(text in "[a-c]{1,40}", at in 0_usize..40) {
            let mut other = text.clone().into_bytes();
            let at = at % other.len();
            other[at] ^= 1;
            let hash = |text: &[u8]| hash(text, first_word(text));
            prop_assert_ne!(hash(text.as_bytes()), hash(&other));
        }
    }
}
