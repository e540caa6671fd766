//! Headers, into a struct of the user's.

use std::borrow::Cow;

use http::{HeaderMap, HeaderName};
use serde::de::{DeserializeOwned, Deserializer, Visitor};

use super::Extract;
use super::values::{Keyed, Pair, Problem, Source};
use crate::context::Context;
use crate::error::Result;

/// Headers, into a struct: the field `x_page` reads `X-Page`, in any case; `#[serde(rename = "..")]` gives another
/// name. A header that comes several times fills a `Vec`, one line each (lines are not split at commas, which not
/// every header may be); a missing one fills an `Option` or a `#[serde(default)]`. A map gets all headers.
///
/// A bad value is a 400 that names the header and what it should be. It does not repeat the value, because headers
/// carry tokens.
#[derive(Debug, Clone, Copy)]
pub struct Header<T>(pub T);

impl<T: DeserializeOwned> Header<T> {
    pub(crate) fn read(c: &Context) -> Result<Self> {
        let found = T::deserialize(Lines(c.headers())).map(Header);
        found.map_err(|problem| problem.into_error(Source::Header))
    }
}

impl<T: DeserializeOwned + Send> Extract for Header<T> {
    async fn extract(c: &Context) -> Result<Self> {
        Self::read(c)
    }
}

/// All lines of the header that a field named `field` means, under that name.
pub(crate) fn pairs<'a>(headers: &'a HeaderMap, field: &'a str) -> impl Iterator<Item = Pair<'a>> {
    let name = header_name(field);
    let lines = name.map(|name| headers.get_all(name)).into_iter().flatten();
    lines.map(move |line| Pair {
        source: Source::Header,
        name: Cow::Borrowed(field),
        value: Cow::Borrowed(line.as_bytes()),
    })
}

/// A field's name as a header's: `_` stands for `-`, because no header that is in use has one.
pub(crate) fn header_name(field: &str) -> Option<HeaderName> {
    HeaderName::from_bytes(field.replace('_', "-").as_bytes()).ok()
}

struct Lines<'a>(&'a HeaderMap);

impl<'de> Deserializer<'de> for Lines<'de> {
    type Error = Problem;

    /// By header, in the order in which they came.
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        let pairs = self.0.iter().map(|(name, line)| Pair {
            source: Source::Header,
            name: Cow::Borrowed(name.as_str()),
            value: Cow::Borrowed(line.as_bytes()),
        });
        Keyed(pairs.collect()).deserialize_any(visitor)
    }
    /// By field, so that nothing is done for headers that nobody asks for.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Problem> {
        let mut pairs = Vec::new();
        for (at, field) in fields.iter().enumerate() {
            // Two names of one field may mean one header; serde would see it twice.
            let means_the_same = |other: &&str| header_name(other) == header_name(field);
            if !fields[..at].iter().any(means_the_same) {
                pairs.extend(self::pairs(self.0, field));
            }
        }
        Keyed(pairs).deserialize_struct(name, fields, visitor)
    }
    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Problem> {
        visitor.visit_newtype_struct(self)
    }

    serde::forward_to_deserialize_any! { bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes
    byte_buf option unit unit_struct seq tuple tuple_struct map enum identifier ignored_any }
}
