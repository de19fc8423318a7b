// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The engine for scale: one PostgreSQL database, every row under forced row-level security.
//!
//! A transaction sets `bailiwick.tenant` for itself, in the same packet as its `BEGIN`; the setting is
//! gone when it ends, so connections can be pooled, ours and a transaction pooler's alike.

mod listen;
mod migrate;
mod numbering;
mod role;
mod transaction;
mod value;

use std::str::FromStr as _;
use std::time::Duration;

use deadpool_postgres::{Manager, ManagerConfig, Pool, RecyclingMethod, Runtime, Timeouts};
use tokio_postgres::config::SslMode;

pub(crate) use transaction::PgTransaction;

use crate::{Migration, OpenError, StoreError, TenantId};

/// The pool of connections of the server's login role.
pub(crate) struct Postgres {
    pool: Pool,
    config: tokio_postgres::Config,
}

/// How to reach the database.
#[derive(Clone)]
pub(crate) struct Address {
    /// The login role's address: owns nothing, cannot bypass policies.
    pub(crate) url: String,
    /// The owner role's address, when this process may migrate.
    pub(crate) migration_url: Option<String>,
    /// The most connections that are open at once.
    pub(crate) connections: usize,
}

impl Postgres {
    pub(crate) async fn open(address: &Address, migrations: &[Migration]) -> Result<Self, OpenError> {
        let config = parse(&address.url)?;
        if let Some(url) = &address.migration_url {
            // Before it is given any rights; which it lacks is mended by that.
            role::check(&connect(&config).await?).await?;
            migrate(url, &address.url, migrations).await?;
        }
        let manager = Manager::from_config(
            config.clone(),
            tls(),
            ManagerConfig { recycling_method: RecyclingMethod::Fast },
        );
        let pool = Pool::builder(manager)
            .max_size(address.connections)
            .runtime(Runtime::Tokio1)
            .timeouts(Timeouts {
                wait: Some(Duration::from_secs(10)),
                create: Some(Duration::from_secs(10)),
                recycle: Some(Duration::from_secs(5)),
            })
            .build()
            .map_err(|error| OpenError::Address(error.to_string()))?;
        let client = pool.get().await.map_err(StoreError::from)?;
        role::check(&client).await?;
        let missing = migrate::missing(&client, migrations).await?;
        if missing > 0 {
            return Err(OpenError::NotMigrated(missing));
        }
        role::require_rights(&client).await?;
        drop(client);
        Ok(Postgres { pool, config })
    }

    pub(crate) async fn begin(&self, tenant: TenantId, read_only: bool) -> Result<PgTransaction, StoreError> {
        Ok(PgTransaction::new(self.pool.get().await?, tenant, read_only))
    }

    pub(crate) fn close(&self) {
        self.pool.close();
    }
}

/// Whether the login role can be reached, and may be used; and how many migrations the database lacks.
pub(crate) async fn judge(login_url: &str, migrations: &[Migration]) -> Result<usize, OpenError> {
    let client = connect(&parse(login_url)?).await?;
    role::check(&client).await?;
    migrate::missing(&client, migrations).await
}

/// Applies the migrations and nothing else.
pub(crate) async fn migrate(
    owner_url: &str,
    login_url: &str,
    migrations: &[Migration],
) -> Result<(), OpenError> {
    let login = parse(login_url)?;
    let role = login
        .get_user()
        .ok_or_else(|| OpenError::Address("the login role's address names no user".into()))?;
    migrate::apply(&parse(owner_url)?, role, migrations).await
}

fn parse(url: &str) -> Result<tokio_postgres::Config, OpenError> {
    let mut config =
        tokio_postgres::Config::from_str(url).map_err(|error| OpenError::Address(error.to_string()))?;
    config.connect_timeout(Duration::from_secs(10)).application_name("bailiwick");
    let local = config.get_hosts().iter().all(|host| match host {
        tokio_postgres::config::Host::Tcp(name) => {
            name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
        }
        tokio_postgres::config::Host::Unix(_) => true,
    });
    if !local {
        config.ssl_mode(SslMode::Require);
    }
    Ok(config)
}

fn tls() -> tokio_postgres_rustls::MakeRustlsConnect {
    let roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let _ = rustls::crypto::ring::default_provider().install_default();
    let config = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    tokio_postgres_rustls::MakeRustlsConnect::new(config)
}

async fn connect(config: &tokio_postgres::Config) -> Result<tokio_postgres::Client, StoreError> {
    let (client, connection) = config.connect(tls()).await?;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::warn!(%error, "a database connection ended");
        }
    });
    Ok(client)
}
