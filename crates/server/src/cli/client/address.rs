//! Where a server is: `https://keygate.example`, perhaps with a path under which a proxy serves it.

use std::{fmt, net::IpAddr, str::FromStr};

use ureq::http::Uri;

/// A server's address, in one spelling: a login is stored under it.
#[derive(Clone, PartialEq, Eq)]
pub(in crate::cli) struct Address {
    text: String,
    https: bool,
    loopback: bool,
}

impl Address {
    pub(super) fn is_https(&self) -> bool {
        self.https
    }

    /// Whether nobody on the way can read along.
    pub(super) fn is_private(&self) -> bool {
        self.https || self.loopback
    }

    pub(super) fn as_str(&self) -> &str {
        &self.text
    }
}

/// Where `keygate serve` listens unless told otherwise.
impl Default for Address {
    fn default() -> Self {
        Self { text: "http://127.0.0.1:8080".to_owned(), https: false, loopback: true }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.text)
    }
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let shape = || "a server's address looks like https://keygate.example".to_owned();
        let uri: Uri = text.trim().parse().map_err(|_| shape())?;
        let https = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(shape()),
        };
        let authority = uri.authority().ok_or_else(shape)?;
        if authority.as_str().contains('@') {
            return Err(
                "a login or a password does not belong into an address; use `keygate login`".to_owned()
            );
        }
        if uri.query().is_some() || uri.host().is_none_or(str::is_empty) {
            return Err(shape());
        }
        let scheme = if https { "https" } else { "http" };
        let place = authority.as_str().to_ascii_lowercase();
        let text = format!("{scheme}://{place}{}", uri.path().trim_end_matches('/'));
        Ok(Self { text, https, loopback: uri.host().is_some_and(is_loopback) })
    }
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost") || bare.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_and_https_are_private() {
        let private =
            ["https://keygate.example", "http://127.0.0.1:8080", "http://localhost", "http://[::1]:80"];
        for text in private {
            assert!(text.parse::<Address>().unwrap().is_private(), "{text}");
        }
        let open = [
            "http://keygate.example",
            "http://localhost.example",
            "http://127.0.0.1.example",
            "http://10.0.0.1",
            "http://[::2]",
            "http://0.0.0.0",
        ];
        for text in open {
            assert!(!text.parse::<Address>().unwrap().is_private(), "{text}");
        }
    }

    #[test]
    fn an_address_has_one_spelling() {
        let same = ["https://Keygate.Example/a", "HTTPS://keygate.example/a/"];
        for text in same {
            assert_eq!(text.parse::<Address>().unwrap().as_str(), "https://keygate.example/a", "{text}");
        }
        for text in ["", "keygate.example", "ftp://a", "https://", "https://ada:secret@a", "http://a?b"] {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
    }
}
