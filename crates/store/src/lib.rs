//! Tenant connections on SQLite and PostgreSQL, migrations, records and the sequencer
