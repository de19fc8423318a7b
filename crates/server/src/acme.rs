// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Certificates by ACME (RFC 8555): asked for, and renewed, by the server itself.
//!
//! The authority looks whether a name is ours on the very port that serves (TLS-ALPN-01, RFC 8737): nothing else has to be reachable.
//! Account and certificates are secrets of the server as others are: sealed under the root key, in the platform's database. So a
//! restart asks for nothing, and another server that comes in place of this one goes on with what there is.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use access::{Action, Caller, Resource};
use axum_server::tls_rustls::RustlsConfig;
use data_encoding::HEXLOWER;
use futures::StreamExt as _;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_acme::{AccountCache, AcmeConfig, CertCache};
use rustls_platform_verifier::ConfigVerifierExt as _;
use sha2::{Digest as _, Sha256};
use store::{Record, TenantId};
use tokio::sync::watch;

use crate::error::ApiError;
use crate::start::StartError;
use crate::state::App;

/// Let's Encrypt.
const LETS_ENCRYPT: &str = "https://acme-v02.api.letsencrypt.org/directory";

/// What serves with the newest certificate there is, and asks for the next in time until `stop`. Until there is the first,
/// handshakes fail.
pub(crate) fn serve(app: &App, mut stop: watch::Receiver<bool>) -> Result<RustlsConfig, StartError> {
    let config = &app.config;
    let directory = if config.acme_directory.is_empty() { LETS_ENCRYPT } else { &config.acme_directory };
    let contact = (!config.acme_contact.is_empty()).then(|| format!("mailto:{}", config.acme_contact));
    let mut state = AcmeConfig::new_with_client_config(&config.acme_domains, client(&config.acme_ca_file)?)
        .directory(directory)
        .contact(contact)
        .cache(Kept(app.clone()))
        .state();
    let mut tls = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(StartError::Acme)?
        .with_no_client_auth()
        .with_cert_resolver(state.resolver());
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec(), b"acme-tls/1".to_vec()];
    let domains = config.acme_domains.join(" ");
    tokio::spawn(async move {
        loop {
            tokio::select! {
                event = state.next() => match event {
                    Some(Ok(event)) => tracing::info!(domains, ?event, "certificate"),
                    Some(Err(error)) => tracing::error!(domains, ?error, "no certificate yet; it is tried again"),
                    None => return,
                },
                _ = stop.changed() => return,
            }
        }
    });
    Ok(RustlsConfig::from_config(Arc::new(tls)))
}

/// How the authority is asked: who it is, the system's certificates say, or a file.
fn client(authority: &Path) -> Result<Arc<ClientConfig>, StartError> {
    if authority.as_os_str().is_empty() {
        return Ok(Arc::new(ClientConfig::with_platform_verifier().map_err(StartError::Acme)?));
    }
    let unreadable = |error: rustls::pki_types::pem::Error| {
        StartError::Tls(std::io::Error::other(format!("acme_ca_file: {error}")))
    };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(authority).map_err(unreadable)? {
        roots.add(certificate.map_err(unreadable)?).map_err(StartError::Acme)?;
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()));
    let builder = builder.with_safe_default_protocol_versions().map_err(StartError::Acme)?;
    Ok(Arc::new(builder.with_root_certificates(roots).with_no_client_auth()))
}

/// Where account and certificates are kept.
struct Kept(App);

/// Why something was not kept, or not found; for the log.
struct NotKept(ApiError);

impl fmt::Debug for NotKept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.internal_message())
    }
}

impl Kept {
    async fn find(&self, name: &str) -> Result<Option<Vec<u8>>, ApiError> {
        let Kept(app) = self;
        let worker = Caller::system("acme", "");
        let platform = TenantId::PLATFORM;
        let mut tx = app.access.view(&worker, platform, Action::MaintenanceRun, Resource::Platform).await?;
        let found = app.custody.find_server_secret(&mut tx, name).await.map_err(ApiError::internal)?;
        Ok(found.map(|found| found.to_vec()))
    }

    async fn keep(&self, name: &str, value: &[u8]) -> Result<(), ApiError> {
        let Kept(app) = self;
        let worker = Caller::system("acme", "");
        let platform = TenantId::PLATFORM;
        let mut tx = app.access.enter(&worker, platform, Action::MaintenanceRun, Resource::Platform).await?;
        app.custody.replace_server_secret(&mut tx, name, value).await.map_err(ApiError::internal)?;
        tx.commit(Record::about(name)).await?;
        Ok(())
    }
}

/// The name of what is kept of one kind, for these names at this directory.
fn name(kind: &str, of: &[String], directory: &str) -> String {
    let mut hash = Sha256::new();
    for part in of.iter().map(String::as_str).chain([directory]) {
        hash.update(part);
        hash.update([0]);
    }
    let hash: [u8; 32] = hash.finalize().into();
    let (start, _) = hash.split_at(16);
    format!("acme-{kind}-{}", HEXLOWER.encode(start))
}

#[async_trait::async_trait]
impl CertCache for Kept {
    type EC = NotKept;

    async fn load_cert(&self, domains: &[String], directory: &str) -> Result<Option<Vec<u8>>, NotKept> {
        self.find(&name("certificate", domains, directory)).await.map_err(NotKept)
    }

    async fn store_cert(&self, domains: &[String], directory: &str, pem: &[u8]) -> Result<(), NotKept> {
        self.keep(&name("certificate", domains, directory), pem).await.map_err(NotKept)
    }
}

#[async_trait::async_trait]
impl AccountCache for Kept {
    type EA = NotKept;

    async fn load_account(&self, contact: &[String], directory: &str) -> Result<Option<Vec<u8>>, NotKept> {
        self.find(&name("account", contact, directory)).await.map_err(NotKept)
    }

    async fn store_account(
        &self,
        contact: &[String],
        directory: &str,
        account: &[u8],
    ) -> Result<(), NotKept> {
        self.keep(&name("account", contact, directory), account).await.map_err(NotKept)
    }
}
