// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Our four kinds of value in PostgreSQL's types.

use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};

use crate::{Param, Row, StoreError, Value};

impl ToSql for Param<'_> {
    fn to_sql(
        &self,
        ty: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match (*self, ty) {
            (Param::Null, _) => Ok(IsNull::Yes),
            (Param::Integer(integer), &Type::INT8) => integer.to_sql(ty, out),
            (Param::Integer(integer), &Type::INT4) => i32::try_from(integer)?.to_sql(ty, out),
            (Param::Text(text), ty) if <&str as ToSql>::accepts(ty) => text.to_sql(ty, out),
            (Param::Blob(bytes), &Type::BYTEA) => bytes.to_sql(ty, out),
            (Param::Blob(bytes), &Type::UUID) => uuid::Uuid::from_slice(bytes)?.to_sql(ty, out),
            // The value itself stays out of the message: it may be a secret.
            (_, ty) => Err(format!("a parameter does not fit the type {ty}").into()),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

/// Reads a row, whatever the types of its columns are.
pub(super) fn row(row: &tokio_postgres::Row) -> Result<Row, StoreError> {
    row.columns()
        .iter()
        .enumerate()
        .map(|(column, description)| {
            Ok(match *description.type_() {
                Type::INT8 => row.try_get::<_, Option<i64>>(column)?.map_or(Value::Null, Value::Integer),
                Type::INT4 => row
                    .try_get::<_, Option<i32>>(column)?
                    .map_or(Value::Null, |integer| Value::Integer(integer.into())),
                Type::TEXT | Type::VARCHAR => {
                    row.try_get::<_, Option<String>>(column)?.map_or(Value::Null, Value::Text)
                }
                Type::BYTEA => row.try_get::<_, Option<Vec<u8>>>(column)?.map_or(Value::Null, Value::Blob),
                Type::UUID => row
                    .try_get::<_, Option<uuid::Uuid>>(column)?
                    .map_or(Value::Null, |id| Value::Blob(id.as_bytes().to_vec())),
                _ => return Err(StoreError::Shape { column, expected: "an integer, text or bytes" }),
            })
        })
        .collect()
}
