// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What routes and workers share.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use access::{Access, Tenancy};
use custody::Custody;
use federation::Federation;
use identity::{Attempts, Identity};
use objects::{Blobs, Feed, Objects};
use protocol::{Code, Problem};
use store::{LogKey, Store, TenantId};
use tokens::AccessTokens;
use tokens::oauth::Provider;
use tokio::sync::{AcquireError, Semaphore};

use crate::caller::Roles;
use crate::caller::client::Proofs;
use crate::config::Config;
use crate::downloads::Downloads;
use crate::error::ApiError;
use crate::gateway::{Audit, Connections, RateLimits, Turns, TurnsOf};
use crate::metrics::Metrics;
use crate::revocations::Revocations;
use crate::routes::oauth::device::Polls;
use crate::workers::{Post, Touches};

/// The open server. Cheap to clone.
#[derive(Clone)]
pub(crate) struct App(Arc<Parts>);

/// The rooms, each opened once.
pub(crate) struct Parts {
    pub(crate) config: Config,
    pub(crate) url: String,
    pub(crate) store: Store,
    pub(crate) custody: Custody,
    pub(crate) access: Access,
    pub(crate) tenancy: Tenancy,
    pub(crate) identity: Identity,
    pub(crate) attempts: Attempts,
    /// Turns for hashes that are slow on the server.
    pub(crate) slow_hashes: Arc<Semaphore>,
    /// And of one tenant, so that none keeps the others waiting.
    pub(crate) slow_hashes_of: TurnsOf<TenantId>,
    pub(crate) tokens: AccessTokens,
    pub(crate) provider: Provider,
    /// Other providers, that people come in by.
    pub(crate) federation: Federation,
    /// When devices that wait for an answer asked last.
    pub(crate) polls: Polls,
    /// The proofs of keys that were shown here.
    pub(crate) proofs: Proofs,
    /// The assertions of clients that were shown here.
    pub(crate) assertions: Proofs,
    pub(crate) objects: Objects,
    pub(crate) blobs: Blobs,
    pub(crate) feed: Feed,
    pub(crate) log_key: LogKey,
    pub(crate) metrics: Metrics,
    pub(crate) audit: Audit,
    pub(crate) rates: RateLimits,
    pub(crate) turns: Turns,
    /// Places for answers that wait to be taken.
    pub(crate) answers: Turns,
    pub(crate) connections: Arc<Connections>,
    pub(crate) downloads: Downloads,
    pub(crate) revocations: Revocations,
    /// Who follows them, of each tenant.
    pub(crate) following: TurnsOf<TenantId>,
    pub(crate) following_all: Arc<Semaphore>,
    pub(crate) post: Post,
    pub(crate) touches: Touches,
    pub(crate) roles: Roles,
    /// Becomes true when the server is asked to stop: streams end then.
    pub(crate) stopping: tokio::sync::watch::Receiver<bool>,
}

impl App {
    pub(crate) fn new(parts: Parts) -> Self {
        App(Arc::new(parts))
    }

    /// Milliseconds since the Unix epoch.
    pub(crate) fn now(&self) -> i64 {
        self.store.clock().now_ms()
    }

    /// Does slow work of a tenant aside, when its turn has come: first among the tenant's own, then among all. The turn is kept until
    /// the work is done, whether or not anybody still waits for it.
    ///
    /// # Errors
    /// [`Code::Unavailable`] when no turn came within [`TURN_WITHIN`].
    pub(crate) async fn slowly<T: Send + 'static>(
        &self,
        tenant: TenantId,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ApiError> {
        let both = async {
            let own = self.slow_hashes_of.of(tenant).acquire_owned().await?;
            Ok::<_, AcquireError>((own, Arc::clone(&self.slow_hashes).acquire_owned().await?))
        };
        let turn = tokio::time::timeout(TURN_WITHIN, both).await;
        let busy = || ApiError::from(Problem { retry_after: Some(5), ..Problem::new(Code::Unavailable) });
        let turn = turn.map_err(|_| busy())?.map_err(|_| busy())?;
        let work = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            work()
        });
        work.await.map_err(ApiError::internal)
    }
}

impl Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

/// How long somebody waits for a turn at slow work.
const TURN_WITHIN: Duration = Duration::from_secs(5);
