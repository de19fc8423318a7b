// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Which addresses the server may connect to, for whom it does not trust.
//!
//! A tenant names its provider, and the provider names its endpoints: each is a way to have the server fetch something from where
//! only it can reach (server-side request forgery). So only public addresses are connected to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use url::{Host, Url};

use crate::FederationError;

/// What may be reached beside public addresses.
#[derive(Clone, Debug, Default)]
pub struct Reach {
    /// Networks that are reached although they are not public. A loopback address in one of them may be asked without TLS.
    pub networks: Vec<IpNet>,
}

impl Reach {
    /// Whether an address may be connected to.
    pub fn allows(&self, address: IpAddr) -> bool {
        is_public(address) || self.is_named(address)
    }

    /// An address of a provider that may be asked, or why not. Names are looked at again when they are resolved.
    ///
    /// # Errors
    /// [`FederationError::Invalid`] with the field.
    pub fn check(&self, field: &'static str, text: &str) -> Result<Url, FederationError> {
        let invalid = |why| FederationError::invalid(field, why);
        if text.len() > LONGEST {
            return Err(invalid("a URL has at most 2,000 characters"));
        }
        let url = Url::parse(text).map_err(|_| invalid("expected a URL"))?;
        if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
            return Err(invalid("no name, no password and no fragment in it"));
        }
        let literal = match url.host() {
            Some(Host::Ipv4(address)) => Some(IpAddr::V4(address)),
            Some(Host::Ipv6(address)) => Some(IpAddr::V6(address)),
            Some(Host::Domain(_)) => None,
            None => return Err(invalid("expected a URL with a host")),
        };
        if literal.is_some_and(|address| !self.allows(address)) {
            return Err(invalid("this address is not a public one"));
        }
        let is_loopback = literal.is_some_and(|address| address.is_loopback())
            || (url.host_str() == Some("localhost") && self.names_loopback());
        match url.scheme() {
            "https" => Ok(url),
            "http" if is_loopback => Ok(url),
            _ => Err(invalid("expected https://")),
        }
    }

    fn is_named(&self, address: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(&address.to_canonical()))
    }

    fn names_loopback(&self) -> bool {
        self.is_named(Ipv4Addr::LOCALHOST.into()) || self.is_named(Ipv6Addr::LOCALHOST.into())
    }
}

/// Whether an address is one that everybody can reach: none of a machine, a site, a provider's inside, documentation or the future
/// (RFC 6890 and the registries that it made). Addresses that carry another one (RFC 4291, 6052, 3056) are as public as that.
pub fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    !(address.is_unspecified()
        || address.is_loopback()
        || address.is_private()
        || address.is_link_local()
        || address.is_broadcast()
        || address.is_documentation()
        || address.is_multicast()
        || a == 0
        || a >= 240
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 192 && b == 88 && c == 99)
        || (a == 198 && (b == 18 || b == 19)))
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let carried = |high: u16, low: u16| Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low));
    match address.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => is_public_v4(carried(high, low)),
        // Of the global unicast space (2000::/3): not Teredo, ORCHID and benchmarks (2001::/23), nor documentation.
        [0x2001, second, ..] => second >= 0x200 && second != 0xdb8,
        [0x3fff, second, ..] => second >= 0x1000,
        [first, ..] => (0x2000..0x4000).contains(&first),
    }
}

const LONGEST: usize = 2_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_that_everybody_can_reach_are_public() {
        for public in [
            "8.8.8.8",
            "172.15.0.1",
            "172.32.0.1",
            "100.128.0.1",
            "2606:4700::1111",
            "64:ff9b::808:808",
            "::ffff:8.8.8.8",
        ] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
        for other in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "127.0.0.1",
            "127.255.255.255",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.0.1",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::7f00:1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::7f00:1",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "2002:a00:1::",
            "3fff::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!is_public(other.parse().unwrap()), "{other}");
        }
    }

    #[test]
    fn what_is_no_public_address_is_not_asked_unless_the_operator_named_it() {
        let nowhere = Reach::default();
        for good in ["https://accounts.google.com", "https://id.example:8443/realms/a"] {
            assert!(nowhere.check("issuer", good).is_ok(), "{good}");
        }
        for bad in [
            "http://id.example",
            "ftp://id.example",
            "file:///etc/passwd",
            "https://127.0.0.1",
            "https://2130706433",
            "https://0x7f.1",
            "https://[::1]",
            "https://[::ffff:10.0.0.1]",
            "https://169.254.169.254/latest",
            "https://u:p@id.example",
            "https://id.example/#a",
            "id.example",
            "",
            "http://127.0.0.1:1",
            "http://localhost:1",
        ] {
            assert!(nowhere.check("issuer", bad).is_err(), "{bad}");
        }
        let here = Reach { networks: vec!["127.0.0.0/8".parse().unwrap(), "10.1.0.0/16".parse().unwrap()] };
        for good in ["http://127.0.0.1:8080/oidc", "https://10.1.2.3", "http://localhost:8080"] {
            assert!(here.check("issuer", good).is_ok(), "{good}");
        }
        for bad in ["http://10.1.2.3", "https://10.2.0.1", "http://id.example", "http://[::1]:1"] {
            assert!(here.check("issuer", bad).is_err(), "{bad}");
        }
    }
}
