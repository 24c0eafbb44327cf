//! Networks that a customer's tokens may be used from: the contract's `ip_whitelist` (CONTRACT §13).

use std::{fmt, net::IpAddr, sync::Arc};

/// Where requests may come from. *Anywhere* is a value of its own; an empty list cannot be made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Networks {
    /// From any address: the wire writes `0.0.0.0/0`.
    #[default]
    Anywhere,
    /// From these alone.
    Only(NetworkList),
}

/// A list of at least one network, with the text it was read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkList {
    text: Arc<str>,
    networks: Arc<[Network]>,
}

/// Addresses that agree with `base` wherever `mask` has a bit; IPv4 as IPv6 has it (`::ffff:a.b.c.d`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Network {
    base: u128,
    mask: u128,
}

/// Not a list of networks.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "{0:?} is no network: write addresses, networks like 192.0.2.0/24 or 2001:db8::/32, or 192.0.*.*, with commas between"
)]
pub struct BadNetworks(String);

/// How the wire writes *anywhere*.
const ANYWHERE: &str = "0.0.0.0/0";

/// The most networks in a list: each is compared on every request.
const NETWORKS_MAX: usize = 64;

impl Networks {
    /// Reads a comma list of addresses, CIDR networks and IPv4 wildcards.
    ///
    /// # Errors
    /// [`BadNetworks`] names the first part that is none. A network with bits behind its prefix is refused: it may have
    /// been meant otherwise.
    pub fn parse(text: &str) -> Result<Self, BadNetworks> {
        let parts: Vec<&str> = text.split(',').map(str::trim).collect();
        if parts.contains(&ANYWHERE) {
            return Ok(Self::Anywhere);
        }
        if parts.len() > NETWORKS_MAX {
            return Err(BadNetworks(format!("a list of more than {NETWORKS_MAX}")));
        }
        let read = |part: &&str| {
            Network::parse(part).ok_or_else(|| BadNetworks(part.chars().take(50).collect::<String>()))
        };
        let networks: Vec<_> = parts.iter().map(read).collect::<Result<_, _>>()?;
        Ok(Self::Only(NetworkList { text: parts.join(",").into(), networks: networks.into() }))
    }

    /// Whether a client at `ip` may use a token. Of a client that nobody knows the address of, only *anywhere* may.
    #[must_use]
    pub fn admit(&self, ip: Option<IpAddr>) -> bool {
        match (self, ip) {
            (Self::Anywhere, _) => true,
            (Self::Only(_), None) => false,
            (Self::Only(list), Some(ip)) => {
                let address = bits(ip);
                list.networks.iter().any(|network| address & network.mask == network.base)
            }
        }
    }
}

impl fmt::Display for Networks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Anywhere => ANYWHERE,
            Self::Only(list) => &list.text,
        })
    }
}

impl serde::Serialize for Networks {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Networks {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

impl Network {
    fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = text.split_once('/').map_or((text, None), |(a, p)| (a, Some(p)));
        let (base, mask) = if address.contains('*') {
            prefix.is_none().then(|| wildcard(address))??
        } else {
            let ip: IpAddr = address.parse().ok()?;
            let outer = if ip.is_ipv4() { 96 } else { 0 };
            let length = match prefix {
                None => 128,
                Some(digits) => outer + plain_number(digits)?,
            };
            if length > 128 {
                return None;
            }
            (bits(ip), u128::MAX.checked_shl(128 - length).unwrap_or(0))
        };
        (base & !mask == 0).then_some(Self { base, mask })
    }
}

/// `192.168.*.*` as base and mask.
fn wildcard(text: &str) -> Option<(u128, u128)> {
    let octets: Vec<&str> = text.split('.').collect();
    if octets.len() != 4 {
        return None;
    }
    let (mut base, mut mask) = (0xffff_u128, u128::MAX >> 32);
    for octet in octets {
        let (value, care) = match octet {
            "*" => (0, 0),
            digits => (u128::from(u8::try_from(plain_number(digits)?).ok()?), 0xff),
        };
        (base, mask) = (base << 8 | value, mask << 8 | care);
    }
    Some((base, mask))
}

/// A number without a sign or leading zeros: `010` is eight to some.
fn plain_number(digits: &str) -> Option<u32> {
    let plain =
        digits == "0" || (digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.starts_with('0'));
    if plain { digits.parse().ok() } else { None }
}

fn bits(ip: IpAddr) -> u128 {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().to_bits(),
        IpAddr::V6(ip) => ip.to_bits(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admits(list: &str, ip: &str) -> bool {
        Networks::parse(list).unwrap().admit(Some(ip.parse().unwrap()))
    }

    #[test]
    fn the_contracts_forms_are_read() {
        let list = "192.0.2.7, 198.51.100.0/24,10.1.*.*,2001:db8::/32";
        for ip in ["192.0.2.7", "::ffff:192.0.2.7", "198.51.100.255", "10.1.2.3", "2001:db8:1::1"] {
            assert!(admits(list, ip), "{ip}");
        }
        for ip in ["192.0.2.8", "198.51.101.0", "10.2.0.1", "2001:db9::1", "::1"] {
            assert!(!admits(list, ip), "{ip}");
        }
        assert!(admits("10.*.3.*", "10.9.3.1") && !admits("10.*.3.*", "10.9.4.1"));
        assert!(admits("0.0.0.0/0", "2001:db8::1"), "the default admits everybody, IPv6 too");
        assert!(admits("10.0.0.0/8", "10.255.0.1") && !admits("10.0.0.0/8", "11.0.0.0"));
    }

    #[test]
    fn what_is_no_network_is_named() {
        for odd in [
            "",
            "10.0.0.0/33",
            "10.0.0.1/24",
            "010.0.0.1",
            "10.0.0",
            "*",
            "10.0.*.*/8",
            "x",
            "1.2.3.4,",
            "::/129",
            "300.*.*.*",
        ] {
            assert!(Networks::parse(odd).is_err(), "{odd:?}");
        }
    }

    #[test]
    fn nobody_knows_is_not_everybody() {
        assert!(!Networks::parse("10.0.0.1").unwrap().admit(None));
        assert!(Networks::Anywhere.admit(None));
    }

    #[test]
    fn what_is_written_is_read_again() {
        for text in ["10.0.0.1,10.1.*.*", "0.0.0.0/0"] {
            assert_eq!(Networks::parse(text).unwrap().to_string(), text);
        }
    }
}
