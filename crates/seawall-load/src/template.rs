//! Templates: text with `{{...}}` in it, compiled once, written many times without allocating.
//!
//! | in braces | becomes |
//! |---|---|
//! | `csv.NAME` | the field of column NAME; each request takes the next row, and rows begin again |
//! | `seq` | the number of the request: 0, 1, 2, ..., each once in a run |
//! | `rand LOW HIGH` | an even random whole number, both ends included |
//! | `uuid` | a random UUID (version 4) |
//! | `"TEXT"` | TEXT as it stands, for braces that are meant |
//! | a name | what a scenario has extracted under it |
//!
//! What is put in is made safe for its place: percent-encoded in a path, without control characters in a field's
//! value, and as it is in a body. So data can never end a line of the head.
//!
//! Left out: conditions and loops. A Rust `Scenario` has them.

use std::io::Write as _;
use std::sync::Arc;

use seawall_core::ConfigError;

use crate::data::Table;
use crate::random::Random;

/// Where a template's text is put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Path,
    Header,
    Body,
}

/// A compiled text.
#[derive(Debug, Clone, Default)]
pub(crate) struct Template {
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone)]
enum Piece {
    Text(Box<[u8]>),
    Value(Value, Place),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Value {
    Csv(usize),
    Seq,
    Rand(i64, i64),
    Uuid,
    /// A name of the scenario, by its number.
    Name(usize),
}

/// What templates may name.
#[derive(Debug, Clone, Default)]
pub(crate) struct Names {
    pub(crate) table: Option<Arc<Table>>,
    /// Names that a scenario extracts.
    pub(crate) extracted: Vec<String>,
}

/// What a template is filled with.
#[derive(Debug)]
pub(crate) struct Fill<'a> {
    pub(crate) table: Option<&'a Table>,
    pub(crate) random: &'a mut Random,
    pub(crate) number: u64,
    pub(crate) extracted: &'a [Vec<u8>],
}

impl Template {
    /// Compiles a text. `field` says in an error whose text it is.
    pub(crate) fn compile(
        field: &'static str,
        text: &str,
        place: Place,
        names: &Names,
    ) -> Result<Self, ConfigError> {
        let mut template = Self::default();
        let mut rest = text;
        while let Some(begin) = rest.find("{{") {
            template.push_text(&rest.as_bytes()[..begin]);
            let inside = &rest[begin + 2..];
            let end = end_of(inside).ok_or_else(|| {
                let shown: String = inside.chars().take(20).collect();
                ConfigError::new(field, format!("`{{{{{shown}`"), "closed with }}")
            })?;
            match literal(inside[..end].trim()) {
                Some(text) => template.push_text(text.as_bytes()),
                None => {
                    let value = value(field, inside[..end].trim(), names)?;
                    template.pieces.push(Piece::Value(value, place));
                }
            }
            rest = &inside[end + 2..];
        }
        template.push_text(rest.as_bytes());
        Ok(template)
    }

    /// Appends text that is no template.
    pub(crate) fn push_text(&mut self, text: &[u8]) {
        match self.pieces.last_mut() {
            _ if text.is_empty() => {}
            Some(Piece::Text(before)) => *before = [before, text].concat().into(),
            _ => self.pieces.push(Piece::Text(text.into())),
        }
    }

    /// Appends another template.
    pub(crate) fn append(&mut self, other: Self) {
        for piece in other.pieces {
            match piece {
                Piece::Text(text) => self.push_text(&text),
                Piece::Value(..) => self.pieces.push(piece),
            }
        }
    }

    /// The text, if it is always the same.
    pub(crate) fn constant(&self) -> Option<&[u8]> {
        match &self.pieces[..] {
            [] => Some(&[]),
            [Piece::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// The text that is always there, without what is put in.
    pub(crate) fn text(&self) -> Vec<u8> {
        let text = |piece: &Piece| match piece {
            Piece::Text(text) => text.to_vec(),
            Piece::Value(..) => Vec::new(),
        };
        self.pieces.iter().flat_map(text).collect()
    }

    /// Appends the filled text.
    pub(crate) fn render(&self, fill: &mut Fill<'_>, out: &mut Vec<u8>) {
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => out.extend_from_slice(text),
                Piece::Value(value, place) => value.render(*place, fill, out),
            }
        }
    }
}

/// Where the braces close, quotes aside.
fn end_of(inside: &str) -> Option<usize> {
    let mut quoted = false;
    inside.bytes().enumerate().position(|(at, byte)| {
        quoted ^= byte == b'"';
        !quoted && inside.as_bytes()[at..].starts_with(b"}}")
    })
}

fn literal(inside: &str) -> Option<&str> {
    inside.strip_prefix('"')?.strip_suffix('"')
}

fn value(field: &'static str, inside: &str, names: &Names) -> Result<Value, ConfigError> {
    let refuse = |allowed: String| ConfigError::new(field, format!("`{{{{{inside}}}}}`"), allowed);
    let words: Vec<&str> = inside.split_whitespace().collect();
    match words[..] {
        ["seq"] => return Ok(Value::Seq),
        ["uuid"] => return Ok(Value::Uuid),
        ["rand", low, high] => {
            let number = |text: &str| text.parse::<i64>().ok();
            if let (Some(low), Some(high)) = (number(low), number(high))
                && low <= high
            {
                return Ok(Value::Rand(low, high));
            }
            return Err(refuse("{{rand LOW HIGH}} with two whole numbers, the smaller one first".to_owned()));
        }
        [name] => {
            if let Some(column) = name.strip_prefix("csv.") {
                let Some(table) = &names.table else {
                    return Err(refuse("used with a data file (--data FILE.csv)".to_owned()));
                };
                let known = || format!("one of the columns {}", table.columns().join(", "));
                return table.column(column).map(Value::Csv).ok_or_else(|| refuse(known()));
            }
            if let Some(number) = names.extracted.iter().position(|known| known == name) {
                return Ok(Value::Name(number));
            }
        }
        _ => {}
    }
    let extracted: String = names.extracted.iter().map(|name| format!(", {name}")).collect();
    Err(refuse(format!(
        "csv.COLUMN, seq, rand LOW HIGH, uuid{extracted} (or {{{{\"{{{{\"}}}} for two braces that are meant)"
    )))
}

impl Value {
    fn render(self, place: Place, fill: &mut Fill<'_>, out: &mut Vec<u8>) {
        // Writing to a vector cannot fail; the digits are written in place, so nothing is allocated.
        match self {
            Self::Seq => {
                let _ = write!(out, "{}", fill.number);
            }
            Self::Rand(low, high) => {
                let span = (i128::from(high) - i128::from(low) + 1) as u128;
                let offset = (u128::from(fill.random.next()) * span) >> 64;
                let _ = write!(out, "{}", i128::from(low) + offset as i128);
            }
            Self::Uuid => push_uuid(fill.random, out),
            Self::Csv(column) => {
                push_safe(fill.table.map_or(&[], |table| table.field(fill.number, column)), place, out);
            }
            Self::Name(number) => {
                push_safe(fill.extracted.get(number).map_or(&[], Vec::as_slice), place, out);
            }
        }
    }
}

/// RFC 9562, version 4.
fn push_uuid(random: &mut Random, out: &mut Vec<u8>) {
    let (high, low) = (random.next(), random.next());
    let high = high & 0xffff_ffff_ffff_0fff | 0x4000;
    let low = low & 0x3fff_ffff_ffff_ffff | 0x8000_0000_0000_0000;
    let _ = write!(
        out,
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        high >> 32,
        high >> 16 & 0xffff,
        high & 0xffff,
        low >> 48,
        low & 0xffff_ffff_ffff
    );
}

/// Appends data so that it cannot end its place.
fn push_safe(data: &[u8], place: Place, out: &mut Vec<u8>) {
    match place {
        Place::Body => out.extend_from_slice(data),
        Place::Header => out.extend(data.iter().filter(|byte| !byte.is_ascii_control())),
        Place::Path => {
            for &byte in data {
                if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                    out.push(byte);
                } else {
                    let _ = write!(out, "%{byte:02X}");
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn names() -> Names {
        let table = Table::parse("id,name\n1,a b\n2,\"x\r\nY: z\"\n".as_bytes()).unwrap();
        Names { table: Some(Arc::new(table)), extracted: vec!["token".to_owned()] }
    }

    fn render(text: &str, place: Place, number: u64) -> String {
        let names = names();
        let template = Template::compile("load.body", text, place, &names).unwrap();
        let mut out = Vec::new();
        let mut random = Random::new(3);
        let extracted = [b"s e\r\n".to_vec()];
        let table = names.table.as_deref();
        template.render(&mut Fill { table, random: &mut random, number, extracted: &extracted }, &mut out);
        String::from_utf8(out).unwrap()
    }

    fn check_refused(text: &str, expected: &str) {
        let error = Template::compile("load.body", text, Place::Body, &names()).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }

    #[test]
    fn rows_and_numbers_follow_the_request() {
        assert_eq!(render("{{seq}}: {{csv.id}} {{ csv.name }}", Place::Body, 0), "0: 1 a b");
        assert_eq!(render("{{seq}}: {{csv.id}}", Place::Body, 3), "3: 2");
    }

    #[test]
    fn data_cannot_leave_its_place() {
        assert_eq!(render("/{{csv.name}}?t={{token}}", Place::Path, 1), "/x%0D%0AY%3A%20z?t=s%20e%0D%0A");
        assert_eq!(render("{{csv.name}}{{token}}", Place::Header, 1), "xY: zs e");
        assert_eq!(render("{{csv.name}}", Place::Body, 1), "x\r\nY: z");
    }

    #[test]
    fn braces_may_be_meant() {
        assert_eq!(render("{{\"{{x}}\"}} {x} }}", Place::Body, 0), "{{x}} {x} }}");
    }

    #[test]
    fn a_uuid_is_one_of_version_4() {
        let uuid = render("{{uuid}}", Place::Body, 0);
        let parts: Vec<usize> = uuid.split('-').map(str::len).collect();
        assert_eq!(parts, [8, 4, 4, 4, 12]);
        assert!(uuid.as_bytes()[14] == b'4' && b"89ab".contains(&uuid.as_bytes()[19]), "{uuid}");
    }

    #[test]
    fn a_text_without_braces_is_constant() {
        let template = Template::compile("load.body", "plain", Place::Body, &Names::default()).unwrap();
        assert_eq!(template.constant(), Some(b"plain".as_slice()));
    }

    #[test]
    fn what_is_not_known_is_refused_with_what_is() {
        check_refused(
            "{{nonsense}}",
            "`{{nonsense}}`, but must be csv.COLUMN, seq, rand LOW HIGH, uuid, token",
        );
        check_refused("{{csv.age}}", "one of the columns id, name");
        check_refused("{{rand 5 1}}", "the smaller one first");
        check_refused("{{rand 5}}", "rand LOW HIGH");
        check_refused("a {{seq", "closed with }}");
        let error = Template::compile("load.path", "{{csv.id}}", Place::Path, &Names::default()).unwrap_err();
        assert!(error.to_string().contains("--data FILE.csv"), "{error}");
    }

    proptest! {
        #[test]
        fn random_numbers_stay_in_their_range(low: i64, span in 0u64..1_000_000, seed: u64) {
            let high = low.saturating_add_unsigned(span);
            let text = format!("{{{{rand {low} {high}}}}}");
            let template = Template::compile("load.body", &text, Place::Body, &Names::default()).unwrap();
            let mut random = Random::new(seed);
            let mut out = Vec::new();
            template.render(&mut Fill { table: None, random: &mut random, number: 0, extracted: &[] }, &mut out);
            let value: i64 = String::from_utf8(out).unwrap().parse().unwrap();
            prop_assert!((low..=high).contains(&value));
        }

        #[test]
        fn any_text_is_compiled_or_refused(text in "[a-z{}\" .]{0,40}") {
            let _ = Template::compile("load.body", &text, Place::Body, &names());
        }
    }
}
