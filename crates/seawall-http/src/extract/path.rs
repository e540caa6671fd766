//! Path parameters, into a type of the user's: a small serde format over the decoded values.
//!
//! One parameter reads as a value (`Path<u64>`), several as a tuple in the order of the path, or by name as a struct
//! or map. Values are percent-decoded exactly once; `values.rs` reads each.

use std::borrow::Cow;

use serde::de::value::SeqDeserializer;
use serde::de::{self, DeserializeOwned, Deserializer, Visitor};

use super::Extract;
use super::values::{Keyed, Pair, Problem, Source, Value};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::router::own_name;

/// The path parameters: `Path(id): Path<u64>`, `Path((user, order)): Path<(u64, Uuid)>`, or a struct whose fields
/// are named as the parameters. A bad value is a 400 that names its parameter; a number or names of parameters that
/// do not fit the route are a 500, for that is the program's mistake.
#[derive(Debug, Clone, Copy)]
pub struct Path<T>(pub T);

impl<T: DeserializeOwned> Path<T> {
    pub(crate) fn read(c: &Context) -> Result<Self> {
        let found = T::deserialize(InOrder(in_order(c)?)).map(Path);
        found.map_err(|problem| match problem.source {
            Some(source) => problem.into_error(source),
            None => {
                let field = problem.field.as_deref().unwrap_or("path");
                Error::internal(format!("the parameters of {:?} do not fit: `{field}` {problem}", c.route()))
            }
        })
    }
}

/// The parameters by name: the rest has two.
pub(crate) fn pairs(c: &Context) -> Result<Vec<Pair<'_>>> {
    in_order(c).map(by_name)
}

fn by_name(params: Vec<Pair<'_>>) -> Vec<Pair<'_>> {
    let mut pairs = Vec::with_capacity(params.len() + 1);
    for pair in params {
        if own_name(&pair.name) != pair.name {
            pairs.push(Pair { name: Cow::Borrowed("*"), ..pair.clone() });
        }
        pairs.push(called(pair));
    }
    pairs
}

/// Under the name that people give it.
fn called(pair: Pair<'_>) -> Pair<'_> {
    let name = own_name(&pair.name);
    if name == pair.name { pair } else { Pair { name: Cow::Owned(name.to_owned()), ..pair } }
}

/// The parameters, each once, in the order of the path.
fn in_order(c: &Context) -> Result<Vec<Pair<'_>>> {
    Ok(c.params()?.map(|(name, value)| pair(name, value)).collect())
}

fn pair<'a>(name: &'a str, value: Cow<'a, str>) -> Pair<'a> {
    let value = match value {
        Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
        Cow::Owned(text) => Cow::Owned(text.into_bytes()),
    };
    Pair { source: Source::Path, name: Cow::Borrowed(name), value }
}

impl<T: DeserializeOwned + Send> Extract for Path<T> {
    async fn extract(c: &Context) -> Result<Self> {
        Self::read(c)
    }
}

/// All parameters; their order counts where no name is asked for.
struct InOrder<'a>(Vec<Pair<'a>>);

impl<'a> InOrder<'a> {
    fn only(self) -> Result<Value<'a>, Problem> {
        match <[_; 1]>::try_from(self.0) {
            Ok([only]) => Ok(Value::one(called(only))),
            Err(all) => {
                let all = all.len();
                Err(de::Error::custom(format!("a single value was asked for, but there are {all}")))
            }
        }
    }
}

/// Hands everything that is one value to the only parameter.
macro_rules! the_only_value {
    ($($method:ident)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
            self.only()?.$method(visitor)
        })*
    };
}

impl<'de> Deserializer<'de> for InOrder<'de> {
    type Error = Problem;

    the_only_value! { deserialize_any deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
    deserialize_i128 deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128 deserialize_f32
    deserialize_f64 deserialize_char deserialize_str deserialize_string deserialize_identifier deserialize_bytes
    deserialize_byte_buf deserialize_option }

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
    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Problem> {
        visitor.visit_newtype_struct(self)
    }
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        let values = self.0.into_iter().map(|pair| Value::one(called(pair)));
        visitor.visit_seq(SeqDeserializer::new(values))
    }
    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Problem> {
        if len != self.0.len() {
            let message = format!("{len} values were asked for, but there are {}", self.0.len());
            return Err(de::Error::custom(message));
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
    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        Keyed(by_name(self.0)).deserialize_map(visitor)
    }
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Problem> {
        Keyed(by_name(self.0)).deserialize_struct(name, fields, visitor)
    }
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Problem> {
        self.only()?.deserialize_enum(name, variants, visitor)
    }
    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        visitor.visit_unit()
    }
}

#[cfg(test)]
mod tests {
    use std::fmt;

    use super::*;

    #[track_caller]
    fn check<T: DeserializeOwned + fmt::Debug>(params: &[(&str, &str)], expected: &str) {
        let found = match T::deserialize(InOrder(
            params.iter().map(|(name, text)| pair(name, Cow::Borrowed(text))).collect(),
        )) {
            Ok(value) => format!("{value:?}"),
            Err(problem) => format!("{}: {problem}", problem.field.as_deref().unwrap_or_default()),
        };
        assert_eq!(found, expected);
    }

    #[derive(Debug, serde::Deserialize)]
    #[expect(dead_code, reason = "read by Debug only")]
    struct Order {
        user: u64,
        note: Option<String>,
    }
    #[derive(Debug, serde::Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Side {
        Buy,
        Sell,
    }
    #[derive(Debug, serde::Deserialize)]
    #[expect(dead_code, reason = "read by Debug only")]
    struct Id(u32);

    #[test]
    fn one_parameter_is_a_value() {
        check::<u64>(&[("id", "7")], "7");
        check::<String>(&[("id", "a b")], "\"a b\"");
        check::<Id>(&[("id", "7")], "Id(7)");
        check::<Side>(&[("side", "sell")], "Sell");
        check::<(u8,)>(&[("id", "7")], "(7,)");
    }
    #[test]
    fn several_are_a_tuple_in_their_order() {
        check::<(u64, String)>(&[("user", "7"), ("name", "x")], "(7, \"x\")");
        check::<Vec<i8>>(&[("a", "1"), ("b", "-1")], "[1, -1]");
    }
    #[test]
    fn or_a_struct_by_their_names() {
        check::<Order>(&[("note", "hi"), ("user", "7")], "Order { user: 7, note: Some(\"hi\") }");
        check::<Order>(&[("user", "7"), ("other", "x")], "Order { user: 7, note: None }");
    }
    #[test]
    fn a_bad_value_is_named_with_its_range() {
        check::<u8>(&[("id", "300")], "id: is `300`, but must be a whole number from 0 to 255");
        check::<(String, bool)>(&[("a", ""), ("b", "maybe")], "b: is `maybe`, but must be true or false");
        check::<Order>(
            &[("user", "-1")],
            "user: is `-1`, but must be a whole number from 0 to 18446744073709551615",
        );
        check::<Side>(&[("side", "hold")], "side: is `hold`, but must be `buy` or `sell`");
    }
    #[test]
    fn another_number_of_them_is_the_programs_mistake() {
        check::<u8>(&[("a", "1"), ("b", "2")], ": a single value was asked for, but there are 2");
        check::<(u8, u8)>(&[("a", "1")], ": 2 values were asked for, but there are 1");
    }
}
