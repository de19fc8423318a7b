// SPDX-License-Identifier: Apache-2.0 OR MIT
//! One statement on one SQLite connection.

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, Statement};

use crate::transaction::Answer;
use crate::{Param, StoreError, Value};

/// Runs a statement and returns its rows and the number of rows that it changed.
pub(crate) fn run(connection: &Connection, sql: &str, params: &[Param<'_>]) -> Result<Answer, StoreError> {
    let mut statement = connection.prepare_cached(sql)?;
    bind(&mut statement, params)?;
    let columns = statement.column_count();
    if columns == 0 {
        let changed = statement.raw_execute()?;
        return Ok(Answer { rows: Vec::new(), changed: u64::try_from(changed).unwrap_or(u64::MAX) });
    }
    let mut rows = statement.raw_query();
    let mut out = Vec::new();
    while let Some(row) = rows.next()? {
        let mut values = Vec::with_capacity(columns);
        for column in 0..columns {
            values.push(match row.get_ref(column)? {
                ValueRef::Null => Value::Null,
                ValueRef::Integer(integer) => Value::Integer(integer),
                ValueRef::Text(text) => Value::Text(
                    std::str::from_utf8(text)
                        .map_err(|_| StoreError::Shape { column, expected: "UTF-8 text" })?
                        .to_owned(),
                ),
                ValueRef::Blob(bytes) => Value::Blob(bytes.to_vec()),
                ValueRef::Real(_) => {
                    return Err(StoreError::Shape { column, expected: "an integer, text or bytes" });
                }
            });
        }
        out.push(values);
    }
    Ok(Answer { rows: out, changed: connection.changes() })
}

/// Begins or ends a transaction: a statement without parameters and rows, kept like the others.
pub(crate) fn control(connection: &Connection, sql: &'static str) -> Result<(), StoreError> {
    connection.prepare_cached(sql)?.raw_execute()?;
    Ok(())
}

/// Binds by name: SQLite takes `$2` as a name and numbers it by its first appearance, so binding
/// by position would silently swap parameters.
fn bind(statement: &mut Statement<'_>, params: &[Param<'_>]) -> Result<(), StoreError> {
    for place in 1..=statement.parameter_count() {
        let number = statement
            .parameter_name(place)
            .and_then(|name| name.strip_prefix('$'))
            .and_then(|digits| digits.parse::<usize>().ok())
            .ok_or_else(|| StoreError::Engine("parameters are written $1, $2, …".into()))?;
        let param = number
            .checked_sub(1)
            .and_then(|index| params.get(index))
            .ok_or_else(|| StoreError::Engine(format!("${number} is not bound")))?;
        statement.raw_bind_parameter(place, Bound(param))?;
    }
    Ok(())
}

struct Bound<'a>(&'a Param<'a>);

impl rusqlite::ToSql for Bound<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match *self.0 {
            Param::Null => ValueRef::Null,
            Param::Integer(integer) => ValueRef::Integer(integer),
            Param::Text(text) => ValueRef::Text(text.as_bytes()),
            Param::Blob(bytes) => ValueRef::Blob(bytes),
        }))
    }
}
