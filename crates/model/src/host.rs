//! Host names of protected APIs, in one spelling.

use std::{borrow::Cow, net::Ipv6Addr};

/// A host name as policies write it: small letters, no port, no dot at the end.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Host<'a>(Cow<'a, str>);

/// The text is no host name, or not in a way that everybody reads alike.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
#[error("not a host name: letters, digits and hyphens between dots, in ASCII (an IDN as xn--…)")]
pub struct NotAHost;

/// The longest name (RFC 1035 §2.3.4), and the longest part of one.
const LEN_MAX: usize = 253;
const LABEL_LEN_MAX: usize = 63;

impl<'a> Host<'a> {
    /// Reads what a `Host` header holds: a name or an address, perhaps with a port, which says nothing about which API is
    /// meant. Names are made small and lose one dot at their end (SECURITY-BAR B27).
    ///
    /// # Errors
    /// [`NotAHost`].
    pub fn parse(text: &'a str) -> Result<Self, NotAHost> {
        if let Some(rest) = text.strip_prefix('[') {
            let (address, after) = rest.split_once(']').ok_or(NotAHost)?;
            let port_is_right = after.is_empty() || after.strip_prefix(':').is_some_and(is_port);
            let address = address.parse::<Ipv6Addr>().map_err(|_| NotAHost)?;
            return if port_is_right { Ok(Self(format!("[{address}]").into())) } else { Err(NotAHost) };
        }
        let name = match text.split_once(':') {
            Some((name, port)) if is_port(port) => name,
            Some(_) => return Err(NotAHost),
            None => text,
        };
        let name = name.strip_suffix('.').unwrap_or(name);
        if name.len() > LEN_MAX || !name.split('.').all(is_label) {
            return Err(NotAHost);
        }
        let is_small = !name.bytes().any(|byte| byte.is_ascii_uppercase());
        Ok(Self(if is_small { Cow::Borrowed(name) } else { Cow::Owned(name.to_ascii_lowercase()) }))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_port(text: &str) -> bool {
    text.len() <= 5
        && !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_digit())
        && text.parse::<u16>().is_ok()
}

/// Letters, digits, hyphens; underscores too, which are no host names and yet are used as such.
fn is_label(label: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    !label.is_empty()
        && label.len() <= LABEL_LEN_MAX
        && label.bytes().all(is_letter)
        && !label.starts_with('-')
        && !label.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_has_one_spelling() {
        for (text, host) in [
            ("api.example.com", "api.example.com"),
            ("A.B.Example.COM.", "a.b.example.com"),
            ("api.example.com:8443", "api.example.com"),
            ("127.0.0.1:80", "127.0.0.1"),
            ("[::1]:8080", "[::1]"),
            ("[0:0:0:0:0:0:0:1]", "[::1]"),
            ("localhost", "localhost"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ] {
            assert_eq!(Host::parse(text).unwrap().as_str(), host, "{text}");
        }
    }

    #[test]
    fn what_is_no_host_is_refused() {
        for text in [
            "",
            ".",
            "..",
            "a..b",
            "bücher.example",
            "a b",
            "a/b",
            "user@host",
            "host:",
            "host:x",
            "host:70000",
            "host:80:80",
            "[::1",
            "[::1]x",
            "[::g]",
            "-a.example",
            "a\u{0}",
            "a,b",
            "a%2eb",
            "host..",
            "a:080x",
        ] {
            assert_eq!(Host::parse(text), Err(NotAHost), "{text:?}");
        }
        assert_eq!(Host::parse(&"a".repeat(64)), Err(NotAHost));
        assert_eq!(Host::parse(&"a.".repeat(150)), Err(NotAHost));
    }
}
