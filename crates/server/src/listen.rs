// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Where requests come in: plain HTTP on this machine, TLS by files or by ACME; and beside that plain HTTP that leads to it, or
//! that metrics are read by.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum_server::Handle;
use axum_server::tls_rustls::RustlsConfig;
use tokio::sync::watch;

use crate::config::Config;
use crate::gateway::{self, Connections, Prompt};
use crate::start::{StartError, install_cryptography};
use crate::state::App;
use crate::{acme, routes};

/// Connections at the address for metrics.
const WATCHERS: usize = 128;

/// How long requests that are under way may take to finish when the server stops.
const GRACE: Duration = Duration::from_secs(20);

/// Takes requests until the process is told to stop, and those that are under way are answered.
pub(crate) async fn listen(app: &App, stop: watch::Sender<bool>) -> Result<(), StartError> {
    let config = &app.config;
    let (router, _) = routes::all().split_for_parts();
    // One, shared by all who are sent it.
    let document = Bytes::from(routes::openapi().unwrap_or_default());
    let router = router
        .merge(crate::console::routes())
        .route("/openapi.json", axum::routing::get(move || async { openapi(document) }));
    let router = match config.metrics_listen {
        None => router.route("/metrics", axum::routing::get(routes::service::metrics)),
        Some(_) => router,
    };
    let service = gateway::around(router, app).into_make_service_with_connect_info::<SocketAddr>();
    let failed = |source| StartError::Listen { address: config.listen, source };
    let listener = std::net::TcpListener::bind(config.listen).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    // Until the last request is answered: who watches sees the end, too.
    // And whoever else is there leaves them their places.
    let watchers = Arc::new(Connections::new(WATCHERS, Vec::new()));
    let watched =
        config.metrics_listen.map(|address| Beside::serve(address, routes::service::watched(app), &watchers));
    let _watched = watched.transpose()?;
    let handle = Handle::new();
    tokio::spawn({
        let handle = handle.clone();
        async move {
            stop_requested().await;
            tracing::info!("stopping: no new requests");
            let _ = stop.send(true);
            handle.graceful_shutdown(Some(GRACE));
        }
    });
    if !config.has_tls() {
        announce(&format!("http://{address}"));
        let server = axum_server::from_tcp(listener).map_err(failed)?.handle(handle);
        let mut server = server.map(|inner| Prompt::new(inner, &app.connections));
        slow_clients(server.http_builder());
        return server.serve(service).await.map_err(StartError::Serve);
    }
    let tls = if config.has_acme() { acme::serve(app, app.stopping.clone())? } else { tls(config).await? };
    let redirect = config
        .redirect_listen
        .map(|address| Beside::serve(address, gateway::to_tls(&app.url), &app.connections));
    let _redirect = redirect.transpose()?;
    let renewing = (!config.has_acme())
        .then(|| tokio::spawn(renew(tls.clone(), config.tls_certificate.clone(), config.tls_key.clone())));
    announce(&format!("https://{address}"));
    let server = axum_server::from_tcp_rustls(listener, tls).map_err(failed)?.handle(handle);
    let mut server = server.map(|inner| Prompt::new(inner, &app.connections));
    slow_clients(server.http_builder());
    let served = server.serve(service).await.map_err(StartError::Serve);
    if let Some(renewing) = renewing {
        renewing.abort();
    }
    served
}

/// Plain HTTP beside the main address, as long as this lives.
struct Beside(Handle<SocketAddr>);

impl Beside {
    fn serve(
        address: SocketAddr,
        router: Router,
        connections: &Arc<Connections>,
    ) -> Result<Self, StartError> {
        let failed = |source| StartError::Listen { address, source };
        let listener = std::net::TcpListener::bind(address).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let (service, handle) = (router.into_make_service(), Handle::new());
        let server = axum_server::from_tcp(listener).map_err(failed)?.handle(handle.clone());
        let mut server = server.map(|inner| Prompt::new(inner, connections));
        slow_clients(server.http_builder());
        tokio::spawn(async move {
            if let Err(error) = server.serve(service).await {
                tracing::error!(%address, %error, "plain HTTP is not served any more");
            }
        });
        Ok(Beside(handle))
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        self.0.shutdown();
    }
}

/// Reads the certificate again when its file changes, as whoever renews certificates changes it. Connections go on with the one that
/// they began with; what cannot be used changes nothing.
async fn renew(tls: RustlsConfig, certificate: std::path::PathBuf, key: std::path::PathBuf) {
    let changed = |path: &std::path::Path| std::fs::metadata(path).and_then(|file| file.modified()).ok();
    let mut known = (changed(&certificate), changed(&key));
    loop {
        tokio::time::sleep(RENEWED_EVERY).await;
        let now = (changed(&certificate), changed(&key));
        if now == known || now.0.is_none() || now.1.is_none() {
            continue;
        }
        match tls.reload_from_pem_file(&certificate, &key).await {
            Ok(()) => {
                known = now;
                tracing::info!("the certificate was read again");
            }
            // Certificate and key may not have changed at the same moment.
            Err(error) => {
                tracing::error!(%error, "the new certificate cannot be used; the one before goes on")
            }
        }
    }
}

/// How often it is looked whether there is a new certificate.
const RENEWED_EVERY: Duration = Duration::from_secs(10);

/// What of a body may arrive before anybody reads it, in bytes; of all on a connection twice that. A part of a file comes at 5 MiB a
/// second where an answer takes 0.1 s.
const STREAM_WINDOW: u32 = 256 * 1024;

/// A client that dawdles over its headers is let go.
fn slow_clients(builder: &mut hyper_util::server::conn::auto::Builder<hyper_util::rt::TokioExecutor>) {
    builder
        .http1()
        .timer(hyper_util::rt::TokioTimer::new())
        .header_read_timeout(Duration::from_secs(15))
        .max_buf_size(64 * 1024);
    builder
        .http2()
        .timer(hyper_util::rt::TokioTimer::new())
        .keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(20))
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(2 * STREAM_WINDOW)
        .max_concurrent_streams(128)
        .max_header_list_size(32 * 1024);
}

/// The one line on standard output. Who started the server may have stopped reading.
fn announce(url: &str) {
    crate::output::print(&format!("ready {url}"));
    tracing::info!(url, "ready");
}

fn openapi(document: Bytes) -> impl axum::response::IntoResponse {
    ([(axum::http::header::CONTENT_TYPE, "application/json")], document)
}

async fn stop_requested() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        let _ = tokio::signal::ctrl_c().await;
        return;
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}

pub(crate) async fn tls(config: &Config) -> Result<RustlsConfig, StartError> {
    install_cryptography();
    RustlsConfig::from_pem_file(&config.tls_certificate, &config.tls_key).await.map_err(StartError::Tls)
}
