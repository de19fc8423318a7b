// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What goes into a statement and what comes out of it: the four kinds of value that both
//! engines store alike.

use crate::StoreError;

/// A parameter of a statement, borrowed from the caller. Bound by number: the first is `$1`.
#[derive(Clone, Copy, Debug)]
pub enum Param<'a> {
    /// SQL `NULL`.
    Null,
    /// A 64-bit integer; times are milliseconds since the Unix epoch.
    Integer(i64),
    /// UTF-8 text.
    Text(&'a str),
    /// Bytes.
    Blob(&'a [u8]),
}

impl Param<'_> {
    /// The same, kept for later.
    pub(crate) fn to_value(self) -> Value {
        match self {
            Param::Null => Value::Null,
            Param::Integer(integer) => Value::Integer(integer),
            Param::Text(text) => Value::Text(text.to_owned()),
            Param::Blob(bytes) => Value::Blob(bytes.to_vec()),
        }
    }
}

impl<'a> From<&'a Value> for Param<'a> {
    fn from(value: &'a Value) -> Self {
        match value {
            Value::Null => Param::Null,
            Value::Integer(integer) => Param::Integer(*integer),
            Value::Text(text) => Param::Text(text),
            Value::Blob(bytes) => Param::Blob(bytes),
        }
    }
}

impl From<i64> for Param<'_> {
    fn from(value: i64) -> Self {
        Param::Integer(value)
    }
}

impl<'a> From<&'a str> for Param<'a> {
    fn from(value: &'a str) -> Self {
        Param::Text(value)
    }
}

impl<'a> From<&'a String> for Param<'a> {
    fn from(value: &'a String) -> Self {
        Param::Text(value)
    }
}

impl<'a> From<&'a [u8]> for Param<'a> {
    fn from(value: &'a [u8]) -> Self {
        Param::Blob(value)
    }
}

impl<'a> From<&'a Vec<u8>> for Param<'a> {
    fn from(value: &'a Vec<u8>) -> Self {
        Param::Blob(value)
    }
}

impl<'a, const N: usize> From<&'a [u8; N]> for Param<'a> {
    fn from(value: &'a [u8; N]) -> Self {
        Param::Blob(value)
    }
}

impl<'a> From<&'a uuid::Uuid> for Param<'a> {
    fn from(value: &'a uuid::Uuid) -> Self {
        Param::Blob(value.as_bytes())
    }
}

impl<'a, T: Into<Param<'a>>> From<Option<T>> for Param<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Param::Null, Into::into)
    }
}

/// Builds the parameters of a statement: `params![id, &name, at]`.
#[macro_export]
macro_rules! params {
    ($($value:expr),* $(,)?) => { &[$($crate::Param::from($value)),*] };
}

/// A value that a statement returned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// SQL `NULL`.
    Null,
    /// A 64-bit integer.
    Integer(i64),
    /// UTF-8 text.
    Text(String),
    /// Bytes.
    Blob(Vec<u8>),
}

/// A row that a statement returned, in the order of its columns.
pub type Row = Vec<Value>;

/// A Rust type that one column can be read into.
pub trait FromValue: Sized {
    /// Reads the value, or says which kind was expected.
    fn from_value(value: Value) -> Result<Self, &'static str>;
}

impl FromValue for i64 {
    fn from_value(value: Value) -> Result<Self, &'static str> {
        match value {
            Value::Integer(integer) => Ok(integer),
            _ => Err("an integer"),
        }
    }
}

impl FromValue for String {
    fn from_value(value: Value) -> Result<Self, &'static str> {
        match value {
            Value::Text(text) => Ok(text),
            _ => Err("text"),
        }
    }
}

impl FromValue for Vec<u8> {
    fn from_value(value: Value) -> Result<Self, &'static str> {
        match value {
            Value::Blob(bytes) => Ok(bytes),
            _ => Err("bytes"),
        }
    }
}

impl<const N: usize> FromValue for [u8; N] {
    fn from_value(value: Value) -> Result<Self, &'static str> {
        Vec::from_value(value)?.try_into().map_err(|_| "bytes of a fixed length")
    }
}

impl FromValue for uuid::Uuid {
    fn from_value(value: Value) -> Result<Self, &'static str> {
        <[u8; 16]>::from_value(value).map(uuid::Uuid::from_bytes)
    }
}

impl<T: FromValue> FromValue for Option<T> {
    fn from_value(value: Value) -> Result<Self, &'static str> {
        match value {
            Value::Null => Ok(None),
            value => T::from_value(value).map(Some),
        }
    }
}

/// A Rust type that a whole row can be read into: a tuple with one place for each column.
pub trait FromRow: Sized {
    /// Reads the row; fails when a column is missing or of another kind.
    fn from_row(row: Row) -> Result<Self, StoreError>;
}

impl FromRow for Row {
    fn from_row(row: Row) -> Result<Self, StoreError> {
        Ok(row)
    }
}

macro_rules! from_row {
    ($($place:ident),+) => {
        impl<$($place: FromValue),+> FromRow for ($($place,)+) {
            fn from_row(row: Row) -> Result<Self, StoreError> {
                let mut columns = row.into_iter().enumerate();
                Ok(($({
                    let (column, value) = columns.next().ok_or(StoreError::Shape { column: usize::MAX, expected: stringify!($place) })?;
                    $place::from_value(value).map_err(|expected| StoreError::Shape { column, expected })?
                },)+))
            }
        }
    };
}

from_row!(A);
from_row!(A, B);
from_row!(A, B, C);
from_row!(A, B, C, D);
from_row!(A, B, C, D, E);
from_row!(A, B, C, D, E, F);
from_row!(A, B, C, D, E, F, G);
from_row!(A, B, C, D, E, F, G, H);
from_row!(A, B, C, D, E, F, G, H, I);
from_row!(A, B, C, D, E, F, G, H, I, J);
from_row!(A, B, C, D, E, F, G, H, I, J, K);
from_row!(A, B, C, D, E, F, G, H, I, J, K, L);
from_row!(A, B, C, D, E, F, G, H, I, J, K, L, M);
