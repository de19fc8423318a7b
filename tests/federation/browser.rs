// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A browser: follows where it is sent, and keeps cookies.

use std::collections::BTreeMap;

use harness::{Exchange, Request};

/// Follows an address to its end, which is where nobody sends it on from. Cookies are each server's own.
pub(super) fn follow(url: &str) -> (String, Exchange) {
    let mut jar: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    let mut at = url.to_owned();
    for _ in 0..12 {
        let (server, path) = split(&at);
        let cookies = jar.entry(server.clone()).or_default();
        let shown: Vec<String> = cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let answer = Request::new("GET", &path).header("cookie", &shown.join("; ")).send(&server);
        for (name, value) in &answer.response_headers {
            if name == "set-cookie"
                && let Some((name, value)) = value.split(';').next().and_then(|pair| pair.split_once('='))
            {
                cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        match answer.header("location") {
            Some(next) if (300..400).contains(&answer.status) => {
                at = if next.starts_with('/') { format!("{server}{next}") } else { next.to_owned() };
                // What is behind `#` stays in the browser.
                if at.contains("/#") {
                    return (at, answer);
                }
            }
            _ => return (at, answer),
        }
    }
    panic!("sent round and round from {url}");
}

/// The server, and what is asked of it.
fn split(url: &str) -> (String, String) {
    let rest = url.strip_prefix("http://").unwrap_or_else(|| panic!("plain HTTP: {url}"));
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    (format!("http://{host}"), format!("/{path}"))
}
