// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Tenants' rows on two engines, and the history that nobody rewrites.
//!
//! # Words
//! - A **tenant** is the wall around somebody's rows. The platform is one too: its rows are the directory.
//! - The **door** is the one way to a transaction. There is one for each open store, it cannot be copied, and the
//!   server gives it to the room that decides who may enter.
//! - A **record** says what a transaction did. A [`WriteTx`] ends with its record or not at all.
//! - The **sequencer** numbers committed records and folds them into the tenant's Merkle log.
//!
//! # Guarantees
//! - *Tenancy is a property of the connection.* On SQLite a tenant is a file of its own; on PostgreSQL every table
//!   has a tenant column that fills itself and forced row-level security, and the server refuses to start with a role
//!   that could go past it. No statement mentions a tenant; the same text runs on both.
//! - *No record, no commit.* The change and its record are durable together when [`WriteTx::commit`] returns.
//! - *Records stay.* Both engines refuse to change or remove them; what a superuser does all the same, the log shows.
//!
//! ```
//! # async fn example(door: store::Door, tenant: store::TenantId) -> Result<(), store::StoreError> {
//! use store::{Entry, Record, params};
//!
//! let entry = Entry {
//!     actor: "acc_1".into(), via: "ses_1".into(), action: "note.write".into(), request: "req_1".into(),
//! };
//! let mut tx = door.write(tenant, entry).await?;
//! tx.execute("INSERT INTO note (id, text) VALUES ($1, $2)", params![&[7u8; 16], "sealed"]).await?;
//! tx.commit(Record::about("note_7")).await?;
//! # Ok(())
//! # }
//! ```

mod clock;
mod door;
mod error;
pub mod history;
mod id;
mod news;
mod postgres;
mod record;
mod schema;
mod sequencer;
mod sqlite;
mod tenant;
#[cfg(feature = "testing")]
pub mod testing;
mod transaction;
mod value;

pub use clock::{Clock, ManualClock, SystemClock};
pub use door::{Config, Door, Engine, Store};
pub use error::{OpenError, StoreError};
pub use id::{IdError, parse_id};
pub use news::{Committed, IsNews, News};
pub use record::{Entry, MAX_DETAILS, Record, RecordId, StoredRecord};
pub use schema::{Migration, Scope};
pub use sequencer::{LogKey, Progress, Sequencer};
pub use sqlite::{copy_database, read_copy, tenant_path};
pub use tenant::{TenantId, TenantKind};
pub use transaction::{Answer, ReadTx, Sql, Undecided, WriteTx};
#[doc(hidden)]
pub use uuid::Uuid;
pub use value::{FromRow, FromValue, Param, Row, Value};
