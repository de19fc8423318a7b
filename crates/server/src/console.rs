// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The console's files, which are part of the program.
//!
//! The page is looked for anew each time. What it names has the hash of its content in its name, and is kept for ever. Nothing
//! comes from anywhere else: the page runs its own scripts and styles, talks to its own server, and makes scripts of text
//! nowhere (Trusted Types). WebAssembly is for the worker alone, whose script brings a policy of its own.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{self, Read as _};
use std::sync::{Mutex, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::Path;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use protocol::Code;

use crate::error::ApiError;
use crate::state::App;

/// A file of the console.
#[derive(Clone)]
struct File {
    /// Its path below the console's folder.
    path: Cow<'static, str>,
    content: Content,
}

/// How a file is kept: compressed (RFC 7932), as nearly everybody takes it, where that is shorter.
#[derive(Clone)]
enum Content {
    #[allow(dead_code, reason = "whether there is one is known once the console was built")]
    Brotli(Cow<'static, [u8]>),
    #[allow(dead_code, reason = "as above")]
    Plain(Cow<'static, [u8]>),
}

include!(concat!(env!("OUT_DIR"), "/console.rs"));

/// What the page may do.
const PAGE: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; font-src 'self'; \
                    connect-src 'self'; worker-src 'self'; manifest-src 'self'; form-action 'none'; base-uri 'none'; \
                    frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types bailiwick svelte-trusted-html";

/// What a worker may do. Of a script that is no worker nobody asks.
const WORKER: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self'; \
                      require-trusted-types-for 'script'; trusted-types 'none'";

const OPENER: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
const PERMISSIONS: HeaderName = HeaderName::from_static("permissions-policy");

/// What the page may ask of the browser.
const PERMITTED: &str = "camera=(), geolocation=(), microphone=(), payment=(), usb=(), \
                         publickey-credentials-create=(self), publickey-credentials-get=(self)";

/// What whoever runs the server is told when the console is not part of the program; `None` when it is.
pub(crate) fn missing() -> Option<&'static str> {
    find("index.html").is_none().then_some(
        "the console is not part of this build: links that people are sent (devices, consent, invitations) lead to a page that \
         names the commands instead; `scripts/build-console` builds it",
    )
}

/// The console's routes.
pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/", get(page))
        .route("/favicon.svg", get(|headers: HeaderMap| async move { file("favicon.svg", &headers) }))
        .route("/assets/{*path}", get(asset))
}

async fn page(headers: HeaderMap) -> Response {
    let mut response = match find("index.html") {
        Some(page) => page.answer(&headers),
        None => ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], MISSING).into_response(),
    };
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(PAGE));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(OPENER, HeaderValue::from_static("same-origin"));
    headers.insert(PERMISSIONS, HeaderValue::from_static(PERMITTED));
    response
}

async fn asset(Path(path): Path<String>, headers: HeaderMap) -> Response {
    file(&format!("assets/{path}"), &headers)
}

fn file(path: &str, headers: &HeaderMap) -> Response {
    let Some(file) = find(path) else { return ApiError::new(Code::NotFound).into_response() };
    let mut response = file.answer(headers);
    let headers = response.headers_mut();
    if path.starts_with("assets/") {
        let kept = HeaderValue::from_static("public, max-age=31536000, immutable");
        headers.insert(header::CACHE_CONTROL, kept);
    }
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(WORKER));
    response
}

fn find(path: &str) -> Option<File> {
    #[cfg(debug_assertions)]
    if let Some(folder) = std::env::var_os("CONSOLE_FILES") {
        return on_disk(folder.as_ref(), path);
    }
    FILES.iter().find(|file| file.path == path).cloned()
}

/// For who works on the console: a file as it was built last, with no need to build the program again. Programs that are
/// shipped have no such way.
#[cfg(debug_assertions)]
fn on_disk(folder: &std::path::Path, path: &str) -> Option<File> {
    let is_below = path.split('/').all(|part| !part.is_empty() && !part.starts_with('.'));
    let read = |path: &str| std::fs::read(folder.join(path)).ok().map(Cow::Owned);
    let content = is_below.then(|| {
        let brotli = read(&format!("{path}.br")).map(Content::Brotli);
        brotli.or_else(|| read(path).map(Content::Plain))
    });
    Some(File { path: path.to_owned().into(), content: content.flatten()? })
}

impl File {
    fn answer(self, asked: &HeaderMap) -> Response {
        let takes_brotli = asked
            .get_all(header::ACCEPT_ENCODING)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .any(|coding| coding.trim().eq_ignore_ascii_case("br"));
        let kind = [(header::CONTENT_TYPE, self.kind()), (header::VARY, "Accept-Encoding")];
        match &self.content {
            Content::Plain(plain) => (kind, bytes(plain.clone())).into_response(),
            Content::Brotli(brotli) if takes_brotli => {
                (kind, [(header::CONTENT_ENCODING, "br")], bytes(brotli.clone())).into_response()
            }
            Content::Brotli(brotli) => match self.decompressed(brotli) {
                Ok(plain) => (kind, plain).into_response(),
                Err(error) => ApiError::internal(error).into_response(),
            },
        }
    }

    /// The content for those who do not take it compressed; kept, since it takes some milliseconds.
    fn decompressed(&self, brotli: &[u8]) -> io::Result<Bytes> {
        static KEPT: Mutex<BTreeMap<String, Bytes>> = Mutex::new(BTreeMap::new());
        let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(plain) = kept.get(self.path.as_ref()) {
            return Ok(plain.clone());
        }
        let mut plain = Vec::new();
        brotli_decompressor::Decompressor::new(brotli, BUFFER).read_to_end(&mut plain)?;
        let plain = Bytes::from(plain);
        kept.insert(self.path.clone().into_owned(), plain.clone());
        Ok(plain)
    }

    fn kind(&self) -> &'static str {
        match self.path.rsplit('.').next() {
            Some("html") => "text/html; charset=utf-8",
            Some("js") => "text/javascript; charset=utf-8",
            Some("css") => "text/css; charset=utf-8",
            Some("wasm") => "application/wasm",
            Some("svg") => "image/svg+xml",
            Some("woff2") => "font/woff2",
            _ => "application/octet-stream",
        }
    }
}

/// A body that is not copied where it is part of the program.
fn bytes(content: Cow<'static, [u8]>) -> Bytes {
    match content {
        Cow::Borrowed(content) => Bytes::from_static(content),
        Cow::Owned(content) => content.into(),
    }
}

/// What is decompressed at once, in bytes.
const BUFFER: usize = 16 * 1024;

/// The page of a program that was built without the console.
const MISSING: &str = "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>Bailiwick</title>\n\
<h1>The console is not part of this build</h1>\n\
<p>The server runs: the command line and the API work. What a link led you here for, the command line does: give it the whole \
address of this page, in quotes.</p>\n\
<ul>\n\
<li>an application or a device that asks for your consent: <code>bailiwick authorize 'LINK'</code>, or with the code that a device \
shows <code>bailiwick authorize --code CODE</code></li>\n\
<li>an invitation to a tenant: <code>bailiwick tenant join 'LINK'</code></li>\n\
<li>a device that asks to be let in: <code>bailiwick pair approve 'LINK'</code></li>\n\
</ul>\n\
<p>To have the console as well, run <code>scripts/build-console</code> in the \
sources (it needs Node 20 or newer, and Rust's target <code>wasm32-unknown-unknown</code>), build the program again, and start \
it. <code>make run</code> does all of that where it can.</p>\n";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_runs_nothing_that_is_not_its_own() {
        for policy in [PAGE, WORKER] {
            assert!(policy.starts_with("default-src 'none'"));
            assert!(policy.contains("require-trusted-types-for 'script'"));
            for loose in ["unsafe-inline", "'unsafe-eval'", "http:", "https:", "*"] {
                assert!(!policy.contains(loose), "{loose}");
            }
        }
        assert!(!PAGE.contains("wasm-unsafe-eval"));
    }

    #[test]
    fn what_was_built_is_found_by_its_name_alone() {
        assert!(find("../Cargo.toml").is_none());
        assert!(find("").is_none());
        // Nothing, or a whole console.
        assert_eq!(FILES.is_empty(), find("index.html").is_none());
    }

    #[test]
    fn who_takes_nothing_compressed_is_sent_the_same() {
        const SHORT: [u8; 27] = [
            0x1b, 0x1d, 0x00, 0xf8, 0x1d, 0xa9, 0x53, 0x9f, 0xbb, 0x70, 0x15, 0x26, 0xd6, 0x63, 0x69, 0x6c,
            0x77, 0x32, 0x0d, 0x64, 0x2d, 0x86, 0x0a, 0x05, 0x30, 0x33, 0x0e,
        ];
        let file = File { path: "short.js".into(), content: Content::Brotli(Cow::Borrowed(&SHORT)) };
        assert_eq!(file.decompressed(&SHORT).unwrap(), "bailiwick ".repeat(3));
    }
}
