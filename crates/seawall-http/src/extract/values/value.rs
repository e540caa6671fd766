//! One text value, or several under one name, as a serde format.

use std::borrow::Cow;
use std::fmt;

use serde::de::value::SeqDeserializer;
use serde::de::{self, DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, Visitor};
use smallvec::SmallVec;

use super::{Message, Pair, Problem, Source, shortened};

/// What `kind` should have been instead of `text`; for values that were parsed by [`std::str::FromStr`].
pub(crate) fn unparsed<T>(source: Source, text: &str, problem: impl fmt::Display) -> String {
    let name = std::any::type_name::<T>();
    let known = KINDS.iter().find(|(known, _)| *known == name).map(|(_, kind)| *kind);
    let last = name.split('<').next().and_then(|name| name.rsplit("::").next()).unwrap_or(name);
    match (known, source.is_secret()) {
        (Some(kind), false) => format!("is `{}`, but must be {kind}", shortened(text)),
        (None, false) => format!("is `{}`, but must be a {last}: {problem}", shortened(text)),
        (Some(kind), true) => format!("must be {kind}"),
        (None, true) => format!("must be a {last}"),
    }
}

/// A value under its name: one text, or several.
#[derive(Debug, Clone)]
pub(crate) struct Value<'de> {
    pairs: SmallVec<[Pair<'de>; 1]>,
    /// Its place in a list.
    index: Option<usize>,
}

impl<'de> Value<'de> {
    pub(crate) fn one(pair: Pair<'de>) -> Self {
        Self { pairs: SmallVec::from_buf([pair]), index: None }
    }
    /// All `pairs` have the same name.
    pub(crate) fn several(pairs: SmallVec<[Pair<'de>; 1]>) -> Self {
        Self { pairs, index: None }
    }
    /// One more under its name.
    pub(super) fn push(&mut self, pair: Pair<'de>) {
        self.pairs.push(pair);
    }
    /// Its name, to be read like a value.
    pub(crate) fn as_name(&self) -> Self {
        let name = self.pairs.first().map_or(Cow::Borrowed(""), |pair| pair.name.clone());
        Self::of_name(self.source(), name)
    }
    /// A name, to be read like a value.
    pub(crate) fn of_name(source: Source, name: Cow<'de, str>) -> Self {
        let value = match name.clone() {
            Cow::Borrowed(name) => Cow::Borrowed(name.as_bytes()),
            Cow::Owned(name) => Cow::Owned(name.into_bytes()),
        };
        Self::one(Pair { source, name, value })
    }
    pub(crate) fn name(&self) -> &str {
        self.pairs.first().map_or("", |pair| &pair.name)
    }
    pub(crate) fn source(&self) -> Source {
        self.pairs.first().map_or(Source::Query, |pair| pair.source)
    }

    /// `problem` at this place, unless it knows a better one.
    fn place(&self, problem: Problem) -> Problem {
        if problem.field.is_some() && problem.source.is_some() {
            return problem;
        }
        let message = match (problem.message, &self.pairs[..]) {
            (Message::MustBe(kind), [pair]) if !pair.source.is_secret() => {
                let text = String::from_utf8_lossy(&pair.value);
                Message::Says(format!("is `{}`, but must be {kind}", shortened(&text)))
            }
            (message, _) => message,
        };
        let field = match self.index {
            Some(index) => format!("{}[{index}]", shortened(self.name())),
            None => shortened(self.name()),
        };
        Problem { field: Some(field), source: Some(self.source()), message }
    }
    fn must_be(&self, kind: &str) -> Problem {
        self.place(Problem::somewhere(Message::MustBe(kind.to_owned())))
    }
    fn says(&self, message: String) -> Problem {
        self.place(Problem::somewhere(Message::Says(message)))
    }

    /// The one value. Of a cookie the first counts: browsers send the one with the longest path first (RFC 6265,
    /// 5.4), and a stale one must not lock its owner out.
    fn only(&self) -> Result<&Pair<'de>, Problem> {
        match &self.pairs[..] {
            [pair] => Ok(pair),
            [pair, ..] if pair.source == Source::Cookie => Ok(pair),
            all => Err(self.says(format!("is given {} times, but may be given once", all.len()))),
        }
    }
    fn text(&self) -> Result<&str, Problem> {
        std::str::from_utf8(&self.only()?.value).map_err(|_| self.says("is not UTF-8".to_owned()))
    }
    /// Hands the text to `visitor`, borrowed where it can be.
    fn visit_text<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        self.text()?;
        let visited = match &self.pairs[0].value {
            Cow::Borrowed(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) => visitor.visit_borrowed_str(text),
                Err(error) => Err(de::Error::custom(error)),
            },
            Cow::Owned(bytes) => visitor.visit_str(&String::from_utf8_lossy(bytes)),
        };
        visited.map_err(|problem| self.place(problem))
    }
    fn each(self) -> impl Iterator<Item = Self> {
        let one = |(index, pair)| Self { pairs: SmallVec::from_buf([pair]), index: Some(index) };
        self.pairs.into_iter().enumerate().map(one)
    }
}

impl<'de> IntoDeserializer<'de, Problem> for Value<'de> {
    type Deserializer = Self;
    fn into_deserializer(self) -> Self {
        self
    }
}

/// Types that are parsed from text, and how a client is told of them.
const KINDS: [(&str, &str); 18] = [
    ("bool", "true or false"),
    ("i8", "a whole number from -128 to 127"),
    ("i16", "a whole number from -32768 to 32767"),
    ("i32", "a whole number from -2147483648 to 2147483647"),
    ("i64", "a whole number of 64 bits"),
    ("i128", "a whole number of 128 bits"),
    ("isize", "a whole number of 64 bits"),
    ("u8", "a whole number from 0 to 255"),
    ("u16", "a whole number from 0 to 65535"),
    ("u32", "a whole number from 0 to 4294967295"),
    ("u64", "a whole number from 0 to 18446744073709551615"),
    ("u128", "a whole number of 128 bits, not negative"),
    ("usize", "a whole number from 0 to 18446744073709551615"),
    ("f32", "a number"),
    ("f64", "a number"),
    ("char", "one character"),
    ("core::net::ip_addr::IpAddr", "an IP address"),
    ("core::net::socket_addr::SocketAddr", "an IP address with a port"),
];

fn kind_of(name: &str) -> &'static str {
    KINDS.iter().find(|(known, _)| *known == name).map_or("another value", |(_, kind)| kind)
}

/// Whether an empty text is `None` for this type, which is an `Option`: a browser sends an empty field for a number
/// that was not filled in. An empty text, on the other hand, is a text.
fn is_none_when_empty(option: &str) -> bool {
    let inner = option.strip_prefix("core::option::Option<").and_then(|rest| rest.strip_suffix('>'));
    inner.is_some_and(|inner| KINDS.iter().any(|(known, _)| *known == inner && *known != "char"))
}

macro_rules! parsed {
    ($($method:ident $visit:ident $kind:ty;)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
            let value = self.text()?.parse::<$kind>().map_err(|_| self.must_be(kind_of(stringify!($kind))))?;
            visitor.$visit(value).map_err(|problem| self.place(problem))
        })*
    };
}

/// Not a number, and no end of it, are no values that a service reckons with.
macro_rules! finite {
    ($($method:ident $visit:ident $kind:ty;)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
            let value = self.text()?.parse::<$kind>().ok().filter(|value| value.is_finite());
            let value = value.ok_or_else(|| self.must_be(kind_of(stringify!($kind))))?;
            visitor.$visit(value).map_err(|problem| self.place(problem))
        })*
    };
}

impl<'de> Deserializer<'de> for Value<'de> {
    type Error = Problem;

    parsed! {
        deserialize_i8 visit_i8 i8;
        deserialize_i16 visit_i16 i16;
        deserialize_i32 visit_i32 i32;
        deserialize_i64 visit_i64 i64;
        deserialize_i128 visit_i128 i128;
        deserialize_u8 visit_u8 u8;
        deserialize_u16 visit_u16 u16;
        deserialize_u32 visit_u32 u32;
        deserialize_u64 visit_u64 u64;
        deserialize_u128 visit_u128 u128;
        deserialize_char visit_char char;
    }
    finite! {
        deserialize_f32 visit_f32 f32;
        deserialize_f64 visit_f64 f64;
    }

    /// `on` is what a browser sends for a box that is ticked.
    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        let value = match self.text()? {
            "true" | "on" => true,
            "false" => false,
            _ => return Err(self.must_be(kind_of("bool"))),
        };
        visitor.visit_bool(value).map_err(|problem| self.place(problem))
    }
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        match self.only() {
            Ok(_) => self.visit_text(visitor),
            Err(_) => self.deserialize_seq(visitor),
        }
    }
    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        self.visit_text(visitor)
    }
    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        self.visit_text(visitor)
    }
    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        // A name that is not known is no value that is wrong: the problem keeps its own place.
        visitor.visit_str(self.text()?)
    }
    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        visitor.visit_bytes(&self.only()?.value).map_err(|problem| self.place(problem))
    }
    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        self.deserialize_bytes(visitor)
    }
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        let empty = matches!(&self.pairs[..], [pair] if pair.value.is_empty());
        if empty && is_none_when_empty(std::any::type_name::<V::Value>()) {
            return visitor.visit_none();
        }
        visitor.visit_some(self)
    }
    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Problem> {
        visitor.visit_newtype_struct(self)
    }
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        let all = self.clone();
        visitor.visit_seq(SeqDeserializer::new(self.each())).map_err(|problem| all.place(problem))
    }
    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Problem> {
        if self.pairs.len() != len {
            return Err(
                self.says(format!("is given {} times, but must be given {len} times", self.pairs.len()))
            );
        }
        self.deserialize_seq(visitor)
    }
    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, Problem> {
        self.deserialize_tuple(len, visitor)
    }
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Problem> {
        self.text()?;
        let all = self.clone();
        visitor.visit_enum(Variant(self)).map_err(|problem| all.place(problem))
    }

    /// What nobody asks for is not judged.
    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! { unit unit_struct map struct }
}

/// The name of a variant without contents.
struct Variant<'de>(Value<'de>);

impl<'de> EnumAccess<'de> for Variant<'de> {
    type Error = Problem;
    type Variant = NoContents;
    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, NoContents), Problem> {
        seed.deserialize(self.0).map(|variant| (variant, NoContents))
    }
}

struct NoContents;

impl<'de> de::VariantAccess<'de> for NoContents {
    type Error = Problem;
    fn unit_variant(self) -> Result<(), Problem> {
        Ok(())
    }
    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, _: S) -> Result<S::Value, Problem> {
        Err(no_contents())
    }
    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, Problem> {
        Err(no_contents())
    }
    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], _: V) -> Result<V::Value, Problem> {
        Err(no_contents())
    }
}

fn no_contents() -> Problem {
    Problem::somewhere(Message::MustBe("a variant without contents".to_owned()))
}
