//! Raw paths: where segments end, what they are compared by, and what they say once decoded.
//!
//! All slashes of a path are found in one pass, eight bytes at a time, before the search begins; a segment's end is then
//! a shift away. Static texts are compared by their length and by their first and last eight bytes, which is all of
//! them for texts of up to sixteen.

use std::ops::Deref;

use percent_encoding::percent_decode;
use smallvec::SmallVec;

/// A raw path, and where its slashes are.
#[derive(Debug, Clone, Copy)]
pub(super) struct RawPath<'p> {
    pub(super) bytes: &'p [u8],
    /// Where segments end in the first [`WINDOW`] bytes, one bit each: at slashes, and with the path.
    ends: u64,
}

/// Bytes whose slashes are found at once. Few paths are longer; what is behind is searched when it is needed.
const WINDOW: usize = 64;

impl<'p> RawPath<'p> {
    #[inline]
    pub(super) fn new(bytes: &'p [u8]) -> Self {
        let mut ends = 0;
        for at in (0..bytes.len().min(WINDOW)).step_by(8) {
            ends |= bits(places_of(word(bytes, at), b'/')) << at;
        }
        if bytes.len() < WINDOW {
            ends |= 1 << bytes.len();
        }
        Self { bytes, ends }
    }

    /// Where the segment that starts at `start` ends: at its slash, or with the path.
    #[inline]
    pub(super) fn end(self, start: usize) -> usize {
        if start < WINDOW && self.ends >> start != 0 {
            return start + (self.ends >> start).trailing_zeros() as usize;
        }
        end_behind(self.bytes, start)
    }

    #[inline]
    pub(super) fn piece(self, start: usize, end: usize) -> Piece<'p> {
        Piece { path: self.bytes, start, end }
    }
}

/// The end of a segment that does not lie in the window.
#[inline(never)]
fn end_behind(path: &[u8], start: usize) -> usize {
    memchr::memchr(b'/', &path[start..]).map_or(path.len(), |at| start + at)
}

/// A segment of a raw path.
#[derive(Debug, Clone, Copy)]
pub(super) struct Piece<'p> {
    path: &'p [u8],
    start: usize,
    end: usize,
}

impl<'p> Piece<'p> {
    /// By what it is compared, unless it is encoded.
    #[inline]
    pub(super) fn key(&self) -> Key<'p> {
        Key::new(self.path, self.start, self.end)
    }

    /// What it says, decoded once.
    pub(super) fn text(&self) -> Text<'p> {
        Text::new(&self.path[self.start..self.end])
    }

    /// Where in the path the byte stands that is number `at` of the decoded text.
    pub(super) fn place(&self, at: usize) -> usize {
        let step = |place: usize| place + if hex_pair(self.path, place).is_some() { 3 } else { 1 };
        (0..at).fold(self.start, |place, _| step(place))
    }
}

/// An odd number that spreads: 2^64 over the golden ratio.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// By what static texts are compared and found.
#[derive(Debug, Clone, Copy)]
pub(super) struct Key<'p> {
    /// Its first eight bytes, the first one lowest, zeros behind it.
    pub(super) first: u64,
    /// Its last eight bytes, if it is longer than that.
    pub(super) last: u64,
    pub(super) text: &'p [u8],
}

impl<'p> Key<'p> {
    /// Of the text from `start` to `end`.
    #[inline]
    pub(super) fn new(bytes: &'p [u8], start: usize, end: usize) -> Self {
        let text = &bytes[start..end];
        if text.len() > 8 {
            return Self { first: word(bytes, start), last: word(bytes, end - 8), text };
        }
        Self { first: only(word(bytes, start), text.len()), last: 0, text }
    }

    pub(super) fn of(text: &'p [u8]) -> Self {
        Self::new(text, 0, text.len())
    }

    /// Whether there is a `%` in it. Then no static text is written so; what it says may still be one.
    #[inline]
    pub(super) fn is_encoded(&self) -> bool {
        has(self.first, b'%') | has(self.last, b'%') || (self.text.len() > 16 && self.text.contains(&b'%'))
    }

    /// Spreads static texts over a table.
    #[inline]
    pub(super) fn hash(&self) -> u64 {
        let ends = self.first.wrapping_add(self.last.rotate_left(23)) ^ self.text.len() as u64;
        let hash = ends.wrapping_mul(SPREAD);
        if self.text.len() > 16 { hash_middle(hash, self.text) } else { hash }
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

impl<'p> Text<'p> {
    pub(super) fn new(raw: &'p [u8]) -> Self {
        if raw.contains(&b'%') { Self::Decoded(percent_decode(raw).collect()) } else { Self::Raw(raw) }
    }
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

/// What is between the ends of a long text.
#[inline(never)]
fn hash_middle(mut hash: u64, text: &[u8]) -> u64 {
    for middle in text[8..text.len() - 8].chunks(8) {
        hash = (hash.rotate_left(29) ^ word(middle, 0)).wrapping_mul(SPREAD);
    }
    hash
}

/// The byte that `%` and two digits at `at` stand for, if they are there.
pub(super) fn hex_pair(raw: &[u8], at: usize) -> Option<u8> {
    let [b'%', high, low] = raw.get(at..at + 3)? else { return None };
    let digit = |byte: u8| char::from(byte).to_digit(16);
    Some((digit(*high)? * 16 + digit(*low)?) as u8)
}

/// The first `len` bytes of a word, which are eight at most.
#[inline]
fn only(word: u64, len: usize) -> u64 {
    if len == 0 {
        return 0;
    }
    let others = 8 * (8 - len);
    word << others >> others
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
        None => short_tail(bytes, at),
    }
}

/// The whole of it is shorter than eight bytes.
#[cold]
fn short_tail(bytes: &[u8], at: usize) -> u64 {
    let left = bytes.get(at..).unwrap_or_default();
    left.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte))
}

const ONES: u64 = u64::from_le_bytes([1; 8]);
const LOW: u64 = u64::from_le_bytes([0x7f; 8]);

/// The highest bit of each byte that is `wanted`.
#[inline]
fn places_of(word: u64, wanted: u8) -> u64 {
    let others = word ^ (ONES * wanted as u64);
    // Adding carries into a byte's highest bit, and no further, unless its lower bits are all zero.
    !(((others & LOW) + LOW) | others | LOW)
}

/// Whether one of the bytes is `wanted`: the lowest one that is leaves its highest bit.
#[inline]
fn has(word: u64, wanted: u8) -> bool {
    let others = word ^ (ONES * wanted as u64);
    others.wrapping_sub(ONES) & !others & !LOW != 0
}

/// The highest bits of eight bytes, side by side.
#[inline]
fn bits(places: u64) -> u64 {
    // Each factor's bit moves one of them to the highest byte, to a place of its own.
    (places >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn pieces_are_what_splitting_gives(path in "/([a/%\u{0}.0\u{e9}]{0,40}|[ab/]{60,140}|([ab]{50,90}/){0,4}%?)") {
            let raw = RawPath::new(path.as_bytes());
            let mut at = 1;
            let mut starts = Vec::new();
            for part in path[1..].split('/') {
                let end = raw.end(at);
                let piece = raw.piece(at, end);
                prop_assert_eq!(&path[at..end], part);
                prop_assert_eq!(piece.key().text, part.as_bytes());
                prop_assert_eq!(piece.key().is_encoded(), part.contains('%'));
                let own = part.to_owned();
                let key = Key::of(own.as_bytes());
                prop_assert_eq!((piece.key().first, piece.key().last), (key.first, key.last));
                prop_assert_eq!(piece.key().hash(), key.hash());
                starts.push((at, end));
                at = end + 1;
            }
            prop_assert_eq!(at, path.len() + 1);
            // The search goes back.
            for (start, end) in starts.into_iter().rev() {
                prop_assert_eq!(raw.end(start), end);
            }
        }

        #[test]
        fn places_lead_back_from_decoded_to_raw(raw in "(a|%|%2[Ff]|%c3%a9|9){0,12}") {
            let path = format!("/{raw}");
            let piece = RawPath::new(path.as_bytes()).piece(1, path.len());
            let text = piece.text().to_vec();
            for at in 0..=text.len() {
                let raw = &path.as_bytes()[piece.place(at)..];
                prop_assert_eq!(&*percent_decode(raw).collect::<Vec<_>>(), &text[at..]);
            }
        }

        #[test]
        fn texts_that_differ_in_any_byte_hash_differently(text in "[a-c]{1,40}", at in 0_usize..40) {
            let mut other = text.clone().into_bytes();
            let at = at % other.len();
            other[at] ^= 1;
            prop_assert_ne!(Key::of(text.as_bytes()).hash(), Key::of(&other).hash());
        }
    }
}
