//! Values by their names, and a value that is not there, as serde formats.

use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{Deserializer, Visitor};

use super::{Pair, Problem, Value};

/// Values by their names: a struct, a map, or a list of names with values.
pub(crate) struct Keyed<'de>(pub(crate) Vec<Pair<'de>>);

impl<'de> Keyed<'de> {
    /// One value per name, in the order in which the names came first.
    pub(crate) fn grouped(self) -> impl Iterator<Item = Value<'de>> {
        let mut pairs: Vec<(usize, Pair<'de>)> = self.0.into_iter().enumerate().collect();
        pairs.sort_by(|(_, a), (_, b)| a.name.cmp(&b.name)); // stable: the order under a name stays
        let mut groups: Vec<(usize, Value<'de>)> = Vec::with_capacity(pairs.len());
        for (at, pair) in pairs {
            match groups.last_mut() {
                Some((_, group)) if group.name() == pair.name => group.push(pair),
                _ => groups.push((at, Value::one(pair))),
            }
        }
        groups.sort_by_key(|(first, _)| *first);
        groups.into_iter().map(|(_, group)| group)
    }
    fn named(self) -> impl Iterator<Item = (Value<'de>, Value<'de>)> {
        self.grouped().map(|value| (value.as_name(), value))
    }
}

impl<'de> Deserializer<'de> for Keyed<'de> {
    type Error = Problem;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        visitor.visit_map(MapDeserializer::new(self.named()))
    }
    /// A list of pairs, in their order.
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        let pairs = self.0.into_iter().map(|pair| {
            let value = Value::one(pair);
            (value.as_name(), value)
        });
        visitor.visit_seq(MapDeserializer::new(pairs))
    }
    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        visitor.visit_unit()
    }
    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Problem> {
        visitor.visit_unit()
    }
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        visitor.visit_some(self)
    }
    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Problem> {
        visitor.visit_newtype_struct(self)
    }

    serde::forward_to_deserialize_any! { bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes
    byte_buf tuple tuple_struct map struct enum identifier ignored_any }
}

/// A value that was not sent: `None` for an option, empty for a list, missing for the rest.
pub(crate) struct Absent<'a>(pub(crate) &'a str);

impl<'de> Deserializer<'de> for Absent<'_> {
    type Error = Problem;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Problem> {
        Err(Problem::missing(self.0))
    }
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        visitor.visit_none()
    }
    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        visitor.visit_unit()
    }
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        visitor.visit_seq(SeqDeserializer::new(std::iter::empty::<Value<'de>>()))
    }
    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Problem> {
        visitor.visit_newtype_struct(self)
    }

    serde::forward_to_deserialize_any! { bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes
    byte_buf unit_struct tuple tuple_struct map struct enum identifier ignored_any }
}
