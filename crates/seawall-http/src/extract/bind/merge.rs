//! A JSON body together with path and query, into one type: the head's values stand in the object as if the client had
//! written them behind its own.
//!
//! The JSON is read where it stands, so that an error still has its line and column. Whatever is no object is read as
//! it is.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::HashSet;
use std::fmt;

use serde::de::{
    self, DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, Error as _, IntoDeserializer as _,
    MapAccess, SeqAccess, Visitor,
};

use super::{Head, contradiction, refuse};
use crate::error::{Error, Result};
use crate::extract::json;
use crate::extract::values::{Keyed, Pair, Problem, Source, Value};

/// Reads `body` and the head into a `T`.
pub(super) fn read<T: DeserializeOwned>(head: Head<'_>, body: &[u8]) -> Result<T> {
    if head.path.is_empty() && head.query.is_empty() {
        return json::parse(body);
    }
    let problem = Cell::new(None);
    let mut reader = serde_json::Deserializer::from_slice(body);
    let merged = With { inner: &mut reader, head, problem: &problem, fields: None };
    let found = serde_path_to_error::deserialize(merged).map_err(|error| match problem.take() {
        Some(problem) => refuse(problem, true),
        None => json::refuse(&error.path().to_string(), error.inner()),
    })?;
    reader.end().map_err(|error| -> Error { json::refuse("", &error) })?;
    Ok(found)
}

/// Something of the JSON reader's, together with what the head adds to an object.
struct With<'de, 'p, X> {
    inner: X,
    head: Head<'de>,
    /// What is wrong with a value of the head: it has no place in the JSON, and the reader's errors are about that.
    problem: &'p Cell<Option<Problem>>,
    /// The fields of the type, if it is a struct.
    fields: Option<&'static [&'static str]>,
}

impl<'de, 'p, X> With<'de, 'p, X> {
    fn around<Y>(self, wrap: impl FnOnce(X) -> Y) -> With<'de, 'p, Y> {
        let Self { inner, head, problem, fields } = self;
        With { inner: wrap(inner), head, problem, fields }
    }
    /// `inner` gives way to `other`.
    fn swap<Y>(self, other: Y) -> (X, With<'de, 'p, Y>) {
        let Self { inner, head, problem, fields } = self;
        (inner, With { inner: other, head, problem, fields })
    }
}

macro_rules! as_it_is {
    ($($method:ident($($arg:ident: $kind:ty),*);)*) => {
        $(fn $method<V: Visitor<'de>>(self, $($arg: $kind,)* visitor: V) -> Result<V::Value, D::Error> {
            self.inner.$method($($arg,)* visitor)
        })*
    };
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for With<'de, '_, D> {
    type Error = D::Error;

    as_it_is! {
        deserialize_bool(); deserialize_i8(); deserialize_i16(); deserialize_i32(); deserialize_i64();
        deserialize_i128(); deserialize_u8(); deserialize_u16(); deserialize_u32(); deserialize_u64();
        deserialize_u128(); deserialize_f32(); deserialize_f64(); deserialize_char(); deserialize_str();
        deserialize_string(); deserialize_bytes(); deserialize_byte_buf(); deserialize_unit(); deserialize_seq();
        deserialize_identifier(); deserialize_ignored_any();
        deserialize_unit_struct(name: &'static str);
        deserialize_tuple(len: usize);
        deserialize_tuple_struct(name: &'static str, len: usize);
        deserialize_enum(name: &'static str, variants: &'static [&'static str]);
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        let (reader, visitor) = self.swap(visitor);
        reader.deserialize_any(visitor)
    }
    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        let (reader, visitor) = self.swap(visitor);
        reader.deserialize_map(visitor)
    }
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        let (reader, visitor) = self.swap(visitor);
        reader.deserialize_option(visitor)
    }
    fn deserialize_struct<V: Visitor<'de>>(
        mut self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.head.keep(fields);
        self.fields = Some(fields);
        let (reader, visitor) = self.swap(visitor);
        reader.deserialize_struct(name, fields, visitor)
    }
    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        let (reader, visitor) = self.swap(visitor);
        reader.deserialize_newtype_struct(name, visitor)
    }
    fn is_human_readable(&self) -> bool {
        self.inner.is_human_readable()
    }
}

macro_rules! visited_as_it_is {
    ($($method:ident $kind:ty;)*) => {
        $(fn $method<E: de::Error>(self, value: $kind) -> Result<V::Value, E> {
            self.inner.$method(value)
        })*
    };
}

impl<'de, V: Visitor<'de>> Visitor<'de> for With<'de, '_, V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.expecting(f)
    }

    visited_as_it_is! {
        visit_bool bool; visit_i64 i64; visit_i128 i128; visit_u64 u64; visit_u128 u128; visit_f64 f64;
        visit_char char; visit_str &str; visit_borrowed_str &'de str; visit_string String; visit_bytes &[u8];
        visit_borrowed_bytes &'de [u8]; visit_byte_buf Vec<u8>;
    }

    fn visit_none<E: de::Error>(self) -> Result<V::Value, E> {
        self.inner.visit_none()
    }
    fn visit_unit<E: de::Error>(self) -> Result<V::Value, E> {
        self.inner.visit_unit()
    }
    fn visit_enum<A: EnumAccess<'de>>(self, data: A) -> Result<V::Value, A::Error> {
        self.inner.visit_enum(data)
    }
    fn visit_some<D: Deserializer<'de>>(self, reader: D) -> Result<V::Value, D::Error> {
        let (visitor, reader) = self.swap(reader);
        visitor.visit_some(reader)
    }
    fn visit_newtype_struct<D: Deserializer<'de>>(self, reader: D) -> Result<V::Value, D::Error> {
        let (visitor, reader) = self.swap(reader);
        visitor.visit_newtype_struct(reader)
    }
    /// An array fills a struct by position, past every name, the path's too: it is refused.
    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<V::Value, A::Error> {
        match self.fields {
            Some(_) => Err(de::Error::invalid_type(de::Unexpected::Seq, &self)),
            None => self.inner.visit_seq(seq),
        }
    }
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<V::Value, A::Error> {
        let (visitor, map) = self.swap(map);
        let map = map.around(Some);
        for pair in &map.head.query {
            map.head.admits(pair).map_err(|problem| map.fail(problem))?;
        }
        let mut unseen: HashSet<String> = map.head.query.iter().map(|pair| pair.name.to_string()).collect();
        unseen.retain(|name| map.head.parameter(name).is_none());
        visitor.visit_map(Entries { map, unseen, rest: Vec::new().into_iter(), value: None })
    }
}

impl<X> With<'_, '_, X> {
    /// Keeps `problem` for the answer; the reader's own error only ends the reading.
    fn fail<E: de::Error>(&self, problem: Problem) -> E {
        self.problem.set(Some(problem));
        E::custom("a value of the head does not fit")
    }
}

/// The entries of the object, then those of the head.
struct Entries<'de, 'p, A> {
    /// The object; `None` once it has ended.
    map: With<'de, 'p, Option<A>>,
    /// Keys of the query that the object has not had so far.
    unseen: HashSet<String>,
    rest: std::vec::IntoIter<Value<'de>>,
    /// The value of the key that was read last, if it is the head's.
    value: Option<Value<'de>>,
}

impl<'de, A: MapAccess<'de>> Entries<'de, '_, A> {
    /// The next key of the object that is not the path's.
    fn next_in_json(&mut self) -> Result<Option<String>, A::Error> {
        let Some(object) = &mut self.map.inner else { return Ok(None) };
        while let Some(key) = object.next_key::<String>()? {
            let Some(parameter) = self.map.head.path.iter().find(|pair| *pair.name == *key) else {
                self.unseen.remove(&key);
                return Ok(Some(key));
            };
            let found: serde_json::Value = object.next_value()?;
            if !says_the_same(&found, parameter) {
                let problem = contradiction(parameter, &text_of(&found), Source::Form);
                return Err(self.map.fail(problem));
            }
        }
        self.map.inner = None;
        let mut pairs = std::mem::take(&mut self.map.head.query);
        pairs.retain(|pair| self.unseen.contains(&*pair.name));
        pairs.append(&mut self.map.head.path);
        self.rest = Keyed(pairs).grouped().collect::<Vec<_>>().into_iter();
        Ok(None)
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Entries<'de, '_, A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        if let Some(key) = self.next_in_json()? {
            // The keys of a struct are text, and an error about one should have its line and column. Those of a map
            // may be numbers.
            return match self.map.fields {
                Some(_) => seed.deserialize(key.into_deserializer()).map(Some),
                None => {
                    let key = Value::of_name(Source::Form, Cow::Owned(key));
                    seed.deserialize(key).map(Some).map_err(|problem| self.map.fail(problem))
                }
            };
        }
        let Some(value) = self.rest.next() else { return Ok(None) };
        let key = value.as_name();
        self.value = Some(value);
        seed.deserialize(key).map(Some).map_err(|problem| self.map.fail(problem))
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        if let Some(value) = self.value.take() {
            return seed.deserialize(value).map_err(|problem| self.map.fail(problem));
        }
        match &mut self.map.inner {
            Some(object) => object.next_value_seed(seed),
            None => Err(A::Error::custom("a value was asked for before its key")),
        }
    }
}

/// Whether JSON and path mean one value: as text, for a path has nothing else.
fn says_the_same(found: &serde_json::Value, parameter: &Pair<'_>) -> bool {
    let scalar = !(found.is_object() || found.is_array() || found.is_null());
    scalar && text_of(found).as_bytes() == &*parameter.value
}

fn text_of(found: &serde_json::Value) -> Cow<'_, str> {
    match found {
        serde_json::Value::String(text) => Cow::Borrowed(text),
        other => Cow::Owned(other.to_string()),
    }
}
