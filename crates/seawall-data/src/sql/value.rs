//! Values that go into a statement and come out of a row. Thin, so that the driver's types stay inside.

use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};

use super::error::SqlError;

/// One parameter of a statement, or one column of a row. `&[id.into(), name.into()]` makes parameters.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    /// NULL.
    Null,
    /// INTEGER.
    Int(i64),
    /// An unsigned INTEGER; a statement given one above 2^63 - 1 fails with [`SqlError::OutOfRange`].
    Unsigned(u64),
    /// REAL.
    Real(f64),
    /// TEXT.
    Text(&'a str),
    /// BLOB.
    Blob(&'a [u8]),
}

macro_rules! value_from {
    ($($from:ty => $variant:ident),+ $(,)?) => {$(
        impl From<$from> for Value<'_> {
            fn from(value: $from) -> Self {
                Value::$variant(value.into())
            }
        }
    )+};
}

value_from! { i64 => Int, i32 => Int, u32 => Int, bool => Int, u64 => Unsigned, f64 => Real }

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Value::Text(text)
    }
}

impl<'a> From<&'a String> for Value<'a> {
    fn from(text: &'a String) -> Self {
        Value::Text(text)
    }
}

impl<'a> From<&'a [u8]> for Value<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Value::Blob(bytes)
    }
}

impl<'a, T: Into<Value<'a>>> From<Option<T>> for Value<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Value::Null, Into::into)
    }
}

/// What the driver takes; private, so that its trait is no part of the API.
pub(super) struct Bound<'a>(pub(super) &'a Value<'a>);

impl ToSql for Bound<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let value = match *self.0 {
            Value::Null => ValueRef::Null,
            Value::Int(n) => ValueRef::Integer(n),
            Value::Unsigned(n) => ValueRef::Integer(n.cast_signed()), // checked by `check` before
            Value::Real(x) => ValueRef::Real(x),
            Value::Text(text) => ValueRef::Text(text.as_bytes()),
            Value::Blob(bytes) => ValueRef::Blob(bytes),
        };
        Ok(ToSqlOutput::Borrowed(value))
    }
}

/// Finds the parameter that SQLite cannot hold.
pub(super) fn check(params: &[Value<'_>]) -> Result<(), SqlError> {
    let too_large = params.iter().find_map(|value| match *value {
        Value::Unsigned(n) if i64::try_from(n).is_err() => Some(n),
        _ => None,
    });
    too_large.map_or(Ok(()), |value| Err(SqlError::OutOfRange { value }))
}

/// A type that a column can be read as.
pub trait FromValue: Sized {
    /// How the type is called in an error: "column 2 is not an integer".
    const EXPECTED: &'static str;
    /// The value, or `None` if it is not of this type.
    fn from_value(value: Value<'_>) -> Option<Self>;
}

impl FromValue for i64 {
    const EXPECTED: &'static str = "an integer";
    fn from_value(value: Value<'_>) -> Option<Self> {
        if let Value::Int(n) = value { Some(n) } else { None }
    }
}

impl FromValue for u64 {
    const EXPECTED: &'static str = "an integer from 0";
    fn from_value(value: Value<'_>) -> Option<Self> {
        Self::try_from(i64::from_value(value)?).ok()
    }
}

impl FromValue for u32 {
    const EXPECTED: &'static str = "an integer from 0 to 4294967295";
    fn from_value(value: Value<'_>) -> Option<Self> {
        Self::try_from(i64::from_value(value)?).ok()
    }
}

impl FromValue for bool {
    const EXPECTED: &'static str = "0 or 1";
    fn from_value(value: Value<'_>) -> Option<Self> {
        match i64::from_value(value)? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }
}

impl FromValue for f64 {
    const EXPECTED: &'static str = "a real number";
    fn from_value(value: Value<'_>) -> Option<Self> {
        if let Value::Real(x) = value { Some(x) } else { None }
    }
}

impl FromValue for String {
    const EXPECTED: &'static str = "text";
    fn from_value(value: Value<'_>) -> Option<Self> {
        if let Value::Text(text) = value { Some(text.to_owned()) } else { None }
    }
}

impl FromValue for Vec<u8> {
    const EXPECTED: &'static str = "a blob";
    fn from_value(value: Value<'_>) -> Option<Self> {
        if let Value::Blob(bytes) = value { Some(bytes.to_vec()) } else { None }
    }
}

impl<T: FromValue> FromValue for Option<T> {
    const EXPECTED: &'static str = T::EXPECTED;
    fn from_value(value: Value<'_>) -> Option<Self> {
        if value == Value::Null { Some(None) } else { T::from_value(value).map(Some) }
    }
}

/// One row of an answer.
#[derive(Debug)]
pub struct Row<'a>(pub(super) &'a rusqlite::Row<'a>);

impl Row<'_> {
    /// The column at `index`, from 0.
    ///
    /// # Errors
    /// [`SqlError::Column`] if there is no such column, or it holds something else.
    pub fn get<T: FromValue>(&self, index: usize) -> Result<T, SqlError> {
        let value = match self.0.get_ref(index) {
            Ok(ValueRef::Null) => Some(Value::Null),
            Ok(ValueRef::Integer(n)) => Some(Value::Int(n)),
            Ok(ValueRef::Real(x)) => Some(Value::Real(x)),
            Ok(ValueRef::Text(text)) => std::str::from_utf8(text).ok().map(Value::Text),
            Ok(ValueRef::Blob(bytes)) => Some(Value::Blob(bytes)),
            Err(_) => None,
        };
        value.and_then(T::from_value).ok_or(SqlError::Column { column: index, expected: T::EXPECTED })
    }
}
