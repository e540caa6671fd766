//! The profile as `profile.proto`, gzip'd: what `go tool pprof` opens.
//!
//! Protocol buffers are small enough to write by hand: a field is a number and a kind, then a varint or a length and
//! bytes. Zero and empty are left out, as the format says. Strings are kept once, in a table whose first entry is the
//! empty one; everything else refers to it by index, and to mappings, locations and functions by numbers from 1.

use std::collections::HashMap;
use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::{Frame, Function, Label, Mapping, Place, Profile, Sample, ValueType};

/// The whole file.
pub(crate) fn gzip(profile: &Profile) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    let written = gzip.write_all(&encode(profile)).and_then(|()| gzip.finish());
    written.expect("writing to memory cannot fail")
}

/// Without compression.
fn encode(profile: &Profile) -> Vec<u8> {
    let mut strings = Strings::new();
    let mut out = Message::default();
    for kind in &profile.sample_types {
        out.message(1, &value_type(*kind, &mut strings));
    }
    profile.samples.iter().for_each(|each| out.message(2, &sample(each, &mut strings)));
    numbered(&profile.mappings, |id, each| out.message(3, &mapping(id, each, &mut strings)));
    numbered(&profile.places, |id, each| out.message(4, &place(id, each)));
    numbered(&profile.functions, |id, each| out.message(5, &function(id, each, &mut strings)));
    out.signed(9, profile.time_nanos);
    out.signed(10, profile.duration_nanos);
    if let Some(kind) = profile.period_type {
        out.message(11, &value_type(kind, &mut strings));
        out.signed(12, profile.period);
    }
    let comments: Vec<_> = profile.comments.iter().map(|text| strings.at(text)).collect();
    out.packed(13, comments);
    out.varint(14, strings.at(profile.default_type));
    // Last, because everything above adds to it; the order of fields is free.
    strings.list.iter().for_each(|text| out.bytes(6, text.as_bytes()));
    out.0
}

fn numbered<T>(list: &[T], mut write: impl FnMut(u64, &T)) {
    list.iter().zip(1..).for_each(|(each, id)| write(id, each));
}

fn value_type(kind: ValueType, strings: &mut Strings) -> Message {
    let mut out = Message::default();
    out.varint(1, strings.at(kind.name));
    out.varint(2, strings.at(kind.unit));
    out
}

fn sample(sample: &Sample, strings: &mut Strings) -> Message {
    let mut out = Message::default();
    out.packed(1, sample.places.iter().map(|place| u64::from(*place) + 1));
    out.packed(2, sample.values.iter().map(|value| value.cast_unsigned()));
    for (key, label) in &sample.labels {
        let mut field = Message::default();
        field.varint(1, strings.at(key));
        match label {
            Label::Text(text) => field.varint(2, strings.at(text)),
            Label::Number(number) => field.signed(3, *number),
        }
        out.message(3, &field);
    }
    out
}

fn mapping(id: u64, mapping: &Mapping, strings: &mut Strings) -> Message {
    let mut out = Message::default();
    out.varint(1, id);
    out.varint(2, mapping.start);
    out.varint(3, mapping.end);
    out.varint(4, mapping.offset);
    out.varint(5, strings.at(&mapping.file));
    out.varint(6, strings.at(&mapping.build_id));
    // All four: the names are there already, and pprof must not look for them on the reader's machine.
    (7..=10).for_each(|field| out.varint(field, 1));
    out
}

fn place(id: u64, place: &Place) -> Message {
    let mut out = Message::default();
    out.varint(1, id);
    out.varint(2, place.mapping.map_or(0, |at| u64::from(at) + 1));
    out.varint(3, place.address);
    for Frame { function, line } in &place.frames {
        let mut field = Message::default();
        field.varint(1, u64::from(*function) + 1);
        field.varint(2, u64::from(*line));
        out.message(4, &field);
    }
    out
}

fn function(id: u64, function: &Function, strings: &mut Strings) -> Message {
    let mut out = Message::default();
    out.varint(1, id);
    out.varint(2, strings.at(&function.name));
    out.varint(3, strings.at(&function.symbol));
    out.varint(4, strings.at(&function.file));
    out
}

/// Every string once.
struct Strings {
    list: Vec<String>,
    at: HashMap<String, u64>,
}

impl Strings {
    fn new() -> Self {
        Self { list: vec![String::new()], at: HashMap::from([(String::new(), 0)]) }
    }

    fn at(&mut self, text: &str) -> u64 {
        if let Some(at) = self.at.get(text) {
            return *at;
        }
        let at = self.list.len() as u64;
        self.list.push(text.to_owned());
        self.at.insert(text.to_owned(), at);
        at
    }
}

/// The fields of a message, one after the other.
#[derive(Default)]
struct Message(Vec<u8>);

const VARINT: u64 = 0;
const BYTES: u64 = 2;

impl Message {
    fn raw(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn varint(&mut self, field: u64, value: u64) {
        if value != 0 {
            self.raw(field << 3 | VARINT);
            self.raw(value);
        }
    }

    fn signed(&mut self, field: u64, value: i64) {
        self.varint(field, value.cast_unsigned());
    }

    fn bytes(&mut self, field: u64, bytes: &[u8]) {
        self.raw(field << 3 | BYTES);
        self.raw(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    fn message(&mut self, field: u64, message: &Self) {
        self.bytes(field, &message.0);
    }

    fn packed(&mut self, field: u64, values: impl IntoIterator<Item = u64>) {
        let mut list = Self::default();
        values.into_iter().for_each(|value| list.raw(value));
        if !list.0.is_empty() {
            self.message(field, &list);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(write: impl FnOnce(&mut Message), expected: &[u8]) {
        let mut message = Message::default();
        write(&mut message);
        assert_eq!(message.0, expected);
    }

    // The examples of the protocol's own description.
    #[test]
    fn a_varint_has_seven_bits_a_byte() {
        check(|out| out.varint(1, 150), &[0x08, 0x96, 0x01]);
    }
    #[test]
    fn a_string_has_its_length_before_it() {
        check(|out| out.bytes(2, b"testing"), b"\x12\x07testing");
    }
    #[test]
    fn numbers_may_be_packed() {
        check(|out| out.packed(6, [3, 270, 86_942]), &[0x32, 6, 3, 0x8E, 2, 0x9E, 0xA7, 5]);
    }
    #[test]
    fn zero_is_left_out() {
        check(|out| out.varint(1, 0), &[]);
        check(|out| out.packed(1, []), &[]);
    }
    #[test]
    fn a_negative_number_has_ten_bytes() {
        check(|out| out.signed(1, -1), &[8, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1]);
    }

    #[test]
    fn a_string_is_kept_once() {
        let mut strings = Strings::new();
        assert_eq!([strings.at(""), strings.at("a"), strings.at("b"), strings.at("a")], [0, 1, 2, 1]);
    }
}
