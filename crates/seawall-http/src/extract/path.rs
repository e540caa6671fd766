//! Path parameters, into a type of the user's: a small serde format over the decoded values.
//!
//! One parameter reads as a value (`Path<u64>`), several as a tuple in the order of the path, or by name as a struct
//! or map. Values are percent-decoded exactly once.

use std::borrow::Cow;
use std::fmt;

use serde::de::value::{CowStrDeserializer, MapDeserializer, SeqDeserializer};
use serde::de::{self, DeserializeOwned, IntoDeserializer, Visitor};

use super::{Extract, wrong_form};
use crate::context::Context;
use crate::error::{Error, Result};

/// The path parameters: `Path(id): Path<u64>`, `Path((user, order)): Path<(u64, Uuid)>`, or a struct whose fields
/// are named as the parameters. A bad value is a 400 that names its parameter.
#[derive(Debug, Clone, Copy)]
pub struct Path<T>(pub T);

impl<T: DeserializeOwned> Path<T> {
    pub(crate) fn read(c: &Context) -> Result<Self> {
        let params: Vec<_> = c.params()?.collect();
        let found = T::deserialize(Values(&params)).map(Path);
        found.map_err(|Problem { at, message }| {
            let name = at.and_then(|at| params.get(at)).map_or("path", |(name, _)| name);
            match at {
                Some(_) => wrong_form(Error::bad_request("invalid path parameter"), name, "path", message),
                None => Error::internal(format!("the parameters of {:?} do not fit: {message}", c.route())),
            }
        })
    }
}

impl<T: DeserializeOwned + Send> Extract for Path<T> {
    async fn extract(c: &Context) -> Result<Self> {
        Self::read(c)
    }
}

/// What went wrong, and with which parameter; with none, the handler asks for another number of them.
#[derive(Debug)]
struct Problem {
    at: Option<usize>,
    message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
impl std::error::Error for Problem {}
impl de::Error for Problem {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self { at: None, message: message.to_string() }
    }
}

/// All parameters, by name.
struct Values<'a>(&'a [(&'a str, Cow<'a, str>)]);

/// One parameter.
#[derive(Clone)]
struct Value<'a> {
    at: usize,
    text: &'a str,
}

impl<'a> Values<'a> {
    fn each(&self) -> impl Iterator<Item = Value<'a>> + use<'a> {
        self.0.iter().enumerate().map(|(at, (_, text))| Value { at, text })
    }
    fn only(&self) -> Result<Value<'a>, Problem> {
        match self.0 {
            [(_, text)] => Ok(Value { at: 0, text }),
            all => {
                Err(de::Error::custom(format!("a single value was asked for, but there are {}", all.len())))
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

impl<'de> de::Deserializer<'de> for Values<'de> {
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
        visitor.visit_seq(SeqDeserializer::new(self.each()))
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
        let names = self.0.iter().map(|(name, _)| *name);
        visitor.visit_map(MapDeserializer::new(names.zip(self.each())))
    }
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Problem> {
        self.deserialize_map(visitor)
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

impl<'de> IntoDeserializer<'de, Problem> for Value<'de> {
    type Deserializer = Self;
    fn into_deserializer(self) -> Self {
        self
    }
}

impl Value<'_> {
    fn refuse(&self, kind: &str) -> Problem {
        Problem { at: Some(self.at), message: format!("is `{}`, but must be {kind}", self.text) }
    }
}

macro_rules! parsed {
    ($($method:ident $visit:ident $kind:literal;)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
            let value = self.text.parse().map_err(|_| self.refuse($kind))?;
            visitor.$visit(value)
        })*
    };
}

impl<'de> de::Deserializer<'de> for Value<'de> {
    type Error = Problem;

    parsed! {
        deserialize_bool visit_bool "true or false";
        deserialize_i8 visit_i8 "a whole number from -128 to 127";
        deserialize_i16 visit_i16 "a whole number from -32768 to 32767";
        deserialize_i32 visit_i32 "a whole number from -2147483648 to 2147483647";
        deserialize_i64 visit_i64 "a whole number of 64 bits";
        deserialize_i128 visit_i128 "a whole number of 128 bits";
        deserialize_u8 visit_u8 "a whole number from 0 to 255";
        deserialize_u16 visit_u16 "a whole number from 0 to 65535";
        deserialize_u32 visit_u32 "a whole number from 0 to 4294967295";
        deserialize_u64 visit_u64 "a whole number from 0 to 18446744073709551615";
        deserialize_u128 visit_u128 "a whole number of 128 bits, not negative";
        deserialize_f32 visit_f32 "a number";
        deserialize_f64 visit_f64 "a number";
        deserialize_char visit_char "one character";
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        let at = self.at;
        let place = |problem: Problem| Problem { at: Some(at), ..problem };
        visitor.visit_borrowed_str(self.text).map_err(place)
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
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Problem> {
        let at = self.at;
        let place = |problem: Problem| Problem { at: Some(at), ..problem };
        let text: CowStrDeserializer<'_, Problem> = Cow::Borrowed(self.text).into_deserializer();
        text.deserialize_enum(name, variants, visitor).map_err(place)
    }

    serde::forward_to_deserialize_any! { str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct
    identifier ignored_any }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check<T: DeserializeOwned + fmt::Debug>(params: &[(&str, &str)], expected: &str) {
        let params: Vec<_> = params.iter().map(|(name, text)| (*name, Cow::Borrowed(*text))).collect();
        let found = match T::deserialize(Values(&params)) {
            Ok(value) => format!("{value:?}"),
            Err(Problem { at, message }) => format!("{at:?} {message}"),
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
        check::<u8>(&[("id", "300")], "Some(0) is `300`, but must be a whole number from 0 to 255");
        check::<(String, bool)>(
            &[("a", ""), ("b", "maybe")],
            "Some(1) is `maybe`, but must be true or false",
        );
        check::<Order>(
            &[("user", "-1")],
            "Some(0) is `-1`, but must be a whole number from 0 to 18446744073709551615",
        );
        check::<Side>(&[("side", "hold")], "Some(0) unknown variant `hold`, expected `buy` or `sell`");
    }
    #[test]
    fn another_number_of_them_is_the_programs_mistake() {
        check::<u8>(&[("a", "1"), ("b", "2")], "None a single value was asked for, but there are 2");
        check::<(u8, u8)>(&[("a", "1")], "None 2 values were asked for, but there are 1");
    }
}
