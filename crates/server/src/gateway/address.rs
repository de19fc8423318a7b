// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Where a request comes from.
//!
//! Limits are counted by it and API keys are bound to it, so nobody may choose it. What proxies say of it is believed only
//! of those that the configuration names, from the nearest on, and only as far as such proxies wrote it: whatever
//! stands before that was there when the request arrived at them. One header is read, the one that is configured. A proxy
//! that writes one of the two passes the other on as the caller sent it.

use std::convert::Infallible;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use axum::extract::{ConnectInfo, FromRequestParts, Request};
use axum::http::HeaderMap;
use axum::http::request::Parts;
use identity::{Network, canonical};

use crate::config::ForwardedHeader;

/// The caller's address, in its one spelling.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Address(IpAddr);

impl Address {
    pub(crate) fn of(request: &Request, trusted: &[Network], header: ForwardedHeader) -> Self {
        let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map_or(NOBODY, |info| info.0.ip());
        let mut address = canonical(peer);
        let is_trusted = |address| trusted.iter().any(|proxy| proxy.contains(address));
        if !is_trusted(address) {
            return Address(address);
        }
        let forwarded = match header {
            ForwardedHeader::XForwardedFor => x_forwarded_for(request.headers()),
            ForwardedHeader::Forwarded => forwarded(request.headers()),
        };
        for hop in forwarded.iter().rev() {
            // Whom a proxy hides, or names so that nobody can read it, is nobody: not the proxy, whose networks may be let in.
            let Some(hop) = hop else { return Address(NOBODY) };
            address = canonical(*hop);
            if !is_trusted(address) {
                break;
            }
        }
        Address(address)
    }

    pub(crate) fn ip(self) -> IpAddr {
        self.0
    }

    pub(crate) fn is_loopback(self) -> bool {
        self.0.is_loopback()
    }

    #[cfg(test)]
    pub(crate) fn at(address: &str) -> Self {
        Address(address.parse().unwrap())
    }

    /// What limits count by: the address, or for IPv6 its /64 network, which is what one subscriber has.
    pub(crate) fn network(self) -> IpAddr {
        match self.0 {
            IpAddr::V4(_) => self.0,
            IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
        }
    }
}

impl Address {
    /// The network around: the /24 of IPv4, the /48 of IPv6, which is what one site is given.
    pub(crate) fn wide(self) -> IpAddr {
        match self.0 {
            IpAddr::V4(address) => IpAddr::V4((address.to_bits() & !0xff).into()),
            IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 80 << 80)),
        }
    }
}

/// In its one spelling.
impl From<IpAddr> for Address {
    fn from(address: IpAddr) -> Self {
        Address(canonical(address))
    }
}

/// Coarsely, as it is kept and shown: the /24 network of IPv4, the /48 of IPv6.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpAddr::V4(address) => {
                let [a, b, c, _] = address.octets();
                write!(f, "{a}.{b}.{c}.0/24")
            }
            IpAddr::V6(address) => {
                let network = Ipv6Addr::from_bits(address.to_bits() >> 80 << 80);
                write!(f, "{network}/48")
            }
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Address {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get().copied().unwrap_or(Address(NOBODY)))
    }
}

/// Of whom nothing is known: no network that anybody names contains it.
const NOBODY: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);

/// The hops of `X-Forwarded-For`, the farthest first; those that cannot be read are none. Each is read by itself: what the caller
/// wrote before it may be no text.
fn x_forwarded_for(headers: &HeaderMap) -> Vec<Option<IpAddr>> {
    let values = headers.get_all("x-forwarded-for").iter();
    values
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .map(|hop| node(std::str::from_utf8(hop).ok()?.trim()))
        .collect()
}

/// The hops of `Forwarded` (RFC 7239, section 4): the `for` of each element. A value that is not well formed is a
/// hop that cannot be read, and so is an element without `for`.
fn forwarded(headers: &HeaderMap) -> Vec<Option<IpAddr>> {
    let values = headers.get_all("forwarded").iter();
    values
        .flat_map(|value| match elements(value.to_str().unwrap_or_default()) {
            Some(elements) => elements,
            None => vec![None],
        })
        .collect()
}

/// Takes a value apart at its commas and semicolons; those in quotes are part of what is quoted.
fn elements(value: &str) -> Option<Vec<Option<IpAddr>>> {
    let (mut hops, mut pairs, mut pair) = (Vec::new(), Vec::new(), String::new());
    let (mut quoted, mut escaped) = (false, false);
    for c in value.chars().chain([',']) {
        match c {
            _ if escaped => {
                escaped = false;
                pair.push(c);
            }
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            ';' | ',' if !quoted => {
                pairs.push(std::mem::take(&mut pair));
                if c == ',' {
                    hops.push(for_of(&std::mem::take(&mut pairs)));
                }
            }
            _ => pair.push(c),
        }
    }
    (!quoted).then_some(hops)
}

/// The one `for` among the pairs of an element.
fn for_of(pairs: &[String]) -> Option<IpAddr> {
    let mut nodes = pairs
        .iter()
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(|(name, _)| name.eq_ignore_ascii_case("for"))
        .map(|(_, node)| node);
    let only = nodes.next()?;
    if nodes.next().is_some() { None } else { node(only) }
}

/// A node (RFC 7239, section 6), as proxies write it in either header: an address, perhaps with a port. `unknown` and
/// names that hide the address are none.
fn node(text: &str) -> Option<IpAddr> {
    text.parse::<IpAddr>()
        .ok()
        .or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))
        .or_else(|| text.strip_prefix('[')?.strip_suffix(']')?.parse::<Ipv6Addr>().ok().map(IpAddr::V6))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(peer: &str, headers: &[(&'static str, &str)]) -> Request {
        let mut request = Request::new(axum::body::Body::empty());
        let peer: IpAddr = peer.parse().unwrap();
        request.extensions_mut().insert(ConnectInfo(SocketAddr::new(peer, 1)));
        for (name, value) in headers {
            request.headers_mut().append(*name, value.parse().unwrap());
        }
        request
    }

    fn through(header: ForwardedHeader, peer: &str, headers: &[(&'static str, &str)]) -> String {
        let trusted = ["10.0.0.1", "10.1.0.0/16", "2001:db8:f::/48"].map(|proxy| proxy.parse().unwrap());
        Address::of(&request(peer, headers), &trusted, header).ip().to_string()
    }

    fn x_forwarded_for(peer: &str, values: &[&str]) -> String {
        let headers: Vec<_> = values.iter().map(|value| ("x-forwarded-for", *value)).collect();
        through(ForwardedHeader::XForwardedFor, peer, &headers)
    }

    fn forwarded(peer: &str, values: &[&str]) -> String {
        let headers: Vec<_> = values.iter().map(|value| ("forwarded", *value)).collect();
        through(ForwardedHeader::Forwarded, peer, &headers)
    }

    #[test]
    fn a_stranger_cannot_choose_its_address() {
        assert_eq!(x_forwarded_for("203.0.113.7", &["198.51.100.1"]), "203.0.113.7");
        assert_eq!(x_forwarded_for("10.0.0.2", &["198.51.100.1"]), "10.0.0.2");
        assert_eq!(x_forwarded_for("10.0.0.1", &["198.51.100.1"]), "198.51.100.1");
        // What the stranger wrote before the proxy added its line.
        assert_eq!(x_forwarded_for("10.0.0.1", &["127.0.0.1, 198.51.100.1"]), "198.51.100.1");
        assert_eq!(x_forwarded_for("10.0.0.1", &["127.0.0.1", "198.51.100.1"]), "198.51.100.1");
        assert_eq!(x_forwarded_for("10.0.0.1", &["127.0.0.1, nonsense, 198.51.100.1"]), "198.51.100.1");
        assert_eq!(x_forwarded_for("10.0.0.1", &["nonsense"]), "::");
        assert_eq!(x_forwarded_for("10.0.0.1", &[]), "10.0.0.1");
    }

    #[test]
    fn nobody_becomes_the_proxy_by_what_cannot_be_read() {
        let through = |header, name: &'static str, value: &[u8]| {
            let mut request = request("10.0.0.1", &[]);
            request.headers_mut().append(name, axum::http::HeaderValue::from_bytes(value).unwrap());
            Address::of(&request, &["10.0.0.1".parse().unwrap()], header).ip().to_string()
        };
        let x_forwarded_for = |value| through(ForwardedHeader::XForwardedFor, "x-forwarded-for", value);
        assert_eq!(x_forwarded_for(b"\xff, 198.51.100.1"), "198.51.100.1", "as nginx hands it on");
        assert_eq!(x_forwarded_for(b"127.0.0.1, \xff"), "::");
        let forwarded = |value| through(ForwardedHeader::Forwarded, "forwarded", value);
        assert_eq!(forwarded(b"x=\", for=198.51.100.1"), "::");
        assert_eq!(forwarded(b"\xff, for=198.51.100.1"), "::");
        assert!(!Address(NOBODY).is_loopback());
    }

    #[test]
    fn a_chain_is_believed_as_far_as_trusted_proxies_wrote_it() {
        assert_eq!(x_forwarded_for("10.0.0.1", &["198.51.100.1, 10.1.2.3"]), "198.51.100.1");
        assert_eq!(x_forwarded_for("10.0.0.1", &["192.0.2.1, 198.51.100.1, 10.1.2.3"]), "198.51.100.1");
        // A stranger who names a trusted proxy as its client gains nothing: the next hop to the right is its own.
        assert_eq!(x_forwarded_for("10.0.0.1", &["192.0.2.1, 10.1.2.3, 198.51.100.1"]), "198.51.100.1");
        assert_eq!(x_forwarded_for("2001:db8:f::1", &["2001:db8:1::5, 2001:db8:f:2::1"]), "2001:db8:1::5");
    }

    #[test]
    fn one_address_has_one_spelling() {
        assert_eq!(x_forwarded_for("::ffff:10.0.0.1", &["::ffff:198.51.100.1"]), "198.51.100.1");
        assert_eq!(x_forwarded_for("::ffff:203.0.113.7", &["198.51.100.1"]), "203.0.113.7");
        assert_eq!(x_forwarded_for("64:ff9b::203.0.113.7", &[]), "203.0.113.7");
        assert_eq!(x_forwarded_for("10.0.0.1", &["64:ff9b::203.0.113.7"]), "203.0.113.7");
        // Neither a proxy nor this machine hides behind a translator's prefix.
        assert_eq!(x_forwarded_for("64:ff9b::10.0.0.1", &["198.51.100.1"]), "64:ff9b::a00:1");
        assert!(
            !Address::of(&request("64:ff9b::127.0.0.1", &[]), &[], ForwardedHeader::Forwarded).is_loopback()
        );
    }

    #[test]
    fn ports_are_left_out() {
        for hop in ["198.51.100.1:4711", "198.51.100.1"] {
            assert_eq!(x_forwarded_for("10.0.0.1", &[hop]), "198.51.100.1");
        }
        for hop in ["[2001:db8::1]:4711", "[2001:db8::1]", "2001:db8::1"] {
            assert_eq!(x_forwarded_for("10.0.0.1", &[hop]), "2001:db8::1");
        }
    }

    #[test]
    fn forwarded_is_read_as_rfc_7239_has_it() {
        for (value, address) in [
            ("for=192.0.2.43", "192.0.2.43"),
            ("For=\"[2001:db8:cafe::17]:4711\"", "2001:db8:cafe::17"),
            ("for=192.0.2.60;proto=http;by=203.0.113.43", "192.0.2.60"),
            ("for=192.0.2.43, for=198.51.100.17", "198.51.100.17"),
            ("for=\"192.0.2.43:8080\";host=\"a,b;for=192.0.2.1\"", "192.0.2.43"),
            // Hidden, unknown, missing, repeated, not well formed: nobody.
            ("for=_hidden", "::"),
            ("for=192.0.2.1, for=unknown", "::"),
            ("for=192.0.2.1, proto=https", "::"),
            ("for=192.0.2.1;for=192.0.2.2", "::"),
            ("for=192.0.2.1, for=\"192.0.2.2", "::"),
            ("", "::"),
        ] {
            assert_eq!(forwarded("10.0.0.1", &[value]), address, "{value}");
        }
        assert_eq!(forwarded("10.0.0.1", &["for=127.0.0.1", "for=198.51.100.1"]), "198.51.100.1");
        assert_eq!(forwarded("203.0.113.7", &["for=198.51.100.1"]), "203.0.113.7");
    }

    #[test]
    fn the_header_that_is_not_configured_is_not_read() {
        let both =
            [("x-forwarded-for", "198.51.100.1"), ("forwarded", "for=192.0.2.1"), ("x-real-ip", "192.0.2.2")];
        assert_eq!(through(ForwardedHeader::XForwardedFor, "10.0.0.1", &both), "198.51.100.1");
        assert_eq!(through(ForwardedHeader::Forwarded, "10.0.0.1", &both), "192.0.2.1");
        assert_eq!(through(ForwardedHeader::Forwarded, "10.0.0.1", &both[..1]), "10.0.0.1");
    }

    #[test]
    fn addresses_are_kept_coarsely() {
        let label = |peer| Address::of(&request(peer, &[]), &[], ForwardedHeader::default()).to_string();
        assert_eq!(label("203.0.113.7"), "203.0.113.0/24");
        assert_eq!(label("2001:db8:1:2:3:4:5:6"), "2001:db8:1::/48");
    }
}
