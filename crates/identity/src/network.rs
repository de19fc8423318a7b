// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Networks that callers come from.
//!
//! One caller can be written in several ways: `192.0.2.7`, `::ffff:192.0.2.7` (RFC 4291, section 2.5.5.2) and, behind a
//! translator, `64:ff9b::c000:207` (RFC 6052). Here they are the same, so that nobody is let in, or kept out, by the
//! spelling of an address.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// The address as it is compared: IPv4 where it is IPv4 in the clothes of IPv6.
///
/// Of the translators' prefix only public addresses are taken out: RFC 6052 (section 3.1) allows no others there, and
/// `64:ff9b::7f00:1` must not pass for this machine.
pub fn canonical(address: IpAddr) -> IpAddr {
    let address = address.to_canonical();
    let IpAddr::V6(v6) = address else { return address };
    let [0x64, 0xff9b, 0, 0, 0, 0, high, low] = v6.segments() else { return address };
    let v4 = Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low));
    if is_public(v4) { IpAddr::V4(v4) } else { address }
}

/// Addresses with a common beginning (RFC 4632, RFC 4291), in their one spelling: `192.0.2.7`, `192.0.2.0/24`,
/// `2001:db8::/64`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Network(IpNet);

impl Network {
    /// The caller's own: one address of IPv4, the /64 of IPv6 that one subscriber has.
    pub fn of(address: IpAddr) -> Self {
        match canonical(address) {
            IpAddr::V4(address) => Self(Ipv4Net::from(address).into()),
            IpAddr::V6(address) => {
                let network = Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX));
                Self(Ipv6Net::new(network, 64).unwrap_or_else(|_| Ipv6Net::from(address)).into())
            }
        }
    }

    /// Whether the address is one of them, however it is spelt.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&canonical(address))
    }

    /// Whether it is what [`of`](Self::of) gives for its addresses.
    pub fn is_one_callers(&self) -> bool {
        *self == Self::of(self.0.addr())
    }

    /// Whether it is all of IPv4 or all of IPv6.
    pub fn is_everybody(&self) -> bool {
        self.0.prefix_len() == 0
    }

    /// Whether every address of the other is one of these.
    pub fn covers(&self, other: &Self) -> bool {
        self.0.contains(&other.0)
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let Some((address, prefix)) = text.split_once('/') else {
            let address: IpAddr = text.parse().map_err(|_| NetworkError::Unreadable)?;
            return Ok(Self(canonical(address).into()));
        };
        let address: IpAddr = address.parse().map_err(|_| NetworkError::Unreadable)?;
        // As a prefix is written: digits alone, no sign, no leading zero.
        let is_number = prefix.bytes().all(|byte| byte.is_ascii_digit())
            && (prefix.len() == 1 || !prefix.starts_with('0'));
        let prefix: u8 = prefix.parse().ok().filter(|_| is_number).ok_or(NetworkError::Unreadable)?;
        let (address, prefix) = match (address, canonical(address)) {
            // What is written as IPv6 counts 96 bits before those of IPv4; a shorter prefix is more than IPv4.
            (IpAddr::V6(_), inner @ IpAddr::V4(_)) => {
                (inner, prefix.checked_sub(96).ok_or(NetworkError::Unreadable)?)
            }
            (address, _) => (address, prefix),
        };
        let network = IpNet::new(address, prefix).map_err(|_| NetworkError::Unreadable)?;
        if network.trunc() != network {
            return Err(NetworkError::BeyondPrefix(Self(network.trunc())));
        }
        Ok(Self(network))
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.prefix_len() == self.0.max_prefix_len() { self.0.addr().fmt(f) } else { self.0.fmt(f) }
    }
}

/// The text is not a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// Neither an address nor one with a prefix.
    #[error("not an address such as 192.0.2.7, nor a network such as 192.0.2.0/24 or 2001:db8::/32")]
    Unreadable,
    /// An address within the network, with the network's prefix: which of the two is meant?
    #[error("an address within a network: give the address alone, or the network {0}")]
    BeyondPrefix(Network),
}

/// Whether the address may stand in public routing tables, as far as RFC 6890 knew it when this was written.
fn is_public(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let shared = a == 100 && (64..128).contains(&b);
    let protocols = (a, b, c) == (192, 0, 0);
    let benchmarks = a == 198 && (b == 18 || b == 19);
    !(a == 0
        || a >= 240
        || shared
        || protocols
        || benchmarks
        || address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_broadcast())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> Network {
        text.parse().unwrap()
    }

    #[test]
    fn one_caller_is_one_network_however_it_is_spelt() {
        for spelling in ["203.0.113.7", "::ffff:203.0.113.7", "::ffff:cb00:7107", "64:ff9b::203.0.113.7"] {
            assert_eq!(Network::of(spelling.parse().unwrap()).to_string(), "203.0.113.7", "{spelling}");
            assert_eq!(network(spelling).to_string(), "203.0.113.7", "{spelling}");
            assert!(network("203.0.113.0/24").contains(spelling.parse().unwrap()), "{spelling}");
            assert!(network("::ffff:203.0.113.0/120").contains(spelling.parse().unwrap()), "{spelling}");
            assert!(!network("::/0").contains(spelling.parse().unwrap()), "{spelling}");
        }
        let subscriber = Network::of("2001:db8:1:2:3:4:5:6".parse().unwrap());
        assert_eq!(subscriber.to_string(), "2001:db8:1:2::/64");
        assert_eq!(subscriber, Network::of("2001:db8:1:2::1".parse().unwrap()));
        assert_ne!(subscriber, Network::of("2001:db8:1:3::1".parse().unwrap()));
    }

    #[test]
    fn what_is_behind_a_translator_is_never_taken_for_this_machine_or_a_private_one() {
        for inner in
            ["127.0.0.1", "10.0.0.1", "192.168.0.1", "172.16.0.1", "169.254.0.1", "100.64.0.1", "0.0.0.0"]
        {
            let dressed: IpAddr = format!("64:ff9b::{inner}").parse().unwrap();
            assert_eq!(canonical(dressed), dressed, "{inner}");
            assert!(!network(&format!("{inner}/32")).contains(dressed), "{inner}");
        }
        // Other prefixes that hold an IPv4 address are IPv6: compatible (deprecated), 6to4, a translator's own.
        for other in
            ["::203.0.113.7", "2002:cb00:7107::1", "64:ff9b:1::203.0.113.7", "fe80::5efe:203.0.113.7"]
        {
            let address: IpAddr = other.parse().unwrap();
            assert_eq!(canonical(address), address, "{other}");
        }
    }

    #[test]
    fn networks_read_back_and_other_texts_are_refused() {
        for text in ["192.0.2.7", "192.0.2.0/24", "0.0.0.0/0", "2001:db8::1", "2001:db8::/32", "::/0"] {
            assert_eq!(network(text).to_string(), text);
        }
        assert_eq!(network("192.0.2.7/32").to_string(), "192.0.2.7");
        for text in [
            "",
            "/",
            "/8",
            "192.0.2.7/",
            "192.0.2.7/33",
            "192.0.2.7/+8",
            "192.0.2.0/024",
            "192.0.2",
            "192.0.2.256",
            "0192.0.2.1",
            "2001:db8::/129",
            "fe80::1%eth0",
            "192.0.2.0/24 ",
            "example.org",
            "::ffff:0.0.0.0/95",
            "*",
        ] {
            assert_eq!(text.parse::<Network>(), Err(NetworkError::Unreadable), "{text}");
        }
        let meant = network("10.0.0.0/8");
        assert_eq!("10.0.0.1/8".parse::<Network>(), Err(NetworkError::BeyondPrefix(meant)));
        assert!(meant.covers(&network("10.1.0.0/16")) && !network("10.1.0.0/16").covers(&meant));
        assert!(!network("0.0.0.0/0").covers(&network("2001:db8::1")));
    }
}
