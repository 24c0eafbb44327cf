//! The URL of one cached page.

use std::fmt;

use http::uri::PathAndQuery;

use crate::{Domain, NotDomain};

/// What stays below Varnish's limit for the first line of a request (`http_req_hdr_len`, 8 KiB).
const PATH_LEN_MAX: usize = 8000;

/// A path with its query, byte for byte as the visitor's browser sends it: a cache knows a page by exactly these bytes,
/// so `//` stays `//` and nothing is decoded or sorted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Path(PathAndQuery);

/// A URL to purge. It has no scheme: a cache keeps one object for http and https.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the fields say it")]
pub struct Url {
    pub domain: Domain,
    pub path: Path,
}

/// Why a text is not a [`Url`] or a [`Path`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the message of each variant says what it is")]
pub enum NotUrl {
    #[error("only http and https URLs can be purged")]
    Scheme,
    #[error("a URL to purge has no user name or password")]
    UserInfo,
    #[error("the port of a URL is a number")]
    Port,
    #[error(transparent)]
    Domain(#[from] NotDomain),
    #[error("a path starts with `/`")]
    Relative,
    #[error("a path with its query has at most {PATH_LEN_MAX} characters")]
    TooLong,
    #[error("a fragment (`#`) is never sent to a cache")]
    Fragment,
    #[error("a path holds a character that must be percent-encoded")]
    Character,
}

impl Path {
    #[expect(missing_docs, reason = "the type says it")]
    pub fn parse(raw: &str) -> Result<Self, NotUrl> {
        if !raw.starts_with('/') {
            return Err(NotUrl::Relative);
        }
        if raw.len() > PATH_LEN_MAX {
            return Err(NotUrl::TooLong);
        }
        if raw.contains('#') {
            return Err(NotUrl::Fragment);
        }
        if !raw.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(NotUrl::Character);
        }
        raw.parse().map(Self).map_err(|_| NotUrl::Character)
    }

    #[expect(missing_docs, reason = "a getter")]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    pub(crate) fn to_uri_part(&self) -> PathAndQuery {
        self.0.clone()
    }
}

impl Url {
    /// `http://host:port/path?query` or `host/path?query`, as it follows `/purge/` in a request. The port is dropped,
    /// because the cache drops it too.
    pub fn parse(raw: &str) -> Result<Self, NotUrl> {
        let rest = strip_scheme(raw)?;
        let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        if authority.contains('@') {
            return Err(NotUrl::UserInfo);
        }
        let host = match authority.split_once(':') {
            Some((_, port)) if !port.bytes().all(|b| b.is_ascii_digit()) => return Err(NotUrl::Port),
            Some((host, _)) => host,
            None => authority,
        };
        let path = match path.starts_with('/') {
            true => Path::parse(path)?,
            false => Path::parse(&format!("/{path}"))?,
        };
        Ok(Self { domain: Domain::parse(host)?, path })
    }
}

/// A scheme counts only in front: `host/?next=ftp://x` has none.
fn strip_scheme(raw: &str) -> Result<&str, NotUrl> {
    match raw.split_once("://") {
        Some((scheme, rest)) if ["http", "https"].iter().any(|s| scheme.eq_ignore_ascii_case(s)) => Ok(rest),
        Some((scheme, _)) if !scheme.contains(['/', '?', '#']) => Err(NotUrl::Scheme),
        _ => Ok(raw),
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.domain, self.path.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_keeps_its_path_byte_for_byte() {
        for (raw, want) in [
            ("http://Shop.Example/A//b/../c?x=1&y=%2f", "shop.example/A//b/../c?x=1&y=%2f"),
            ("HTTPS://shop.example:8443/", "shop.example/"),
            ("shop.example", "shop.example/"),
            ("shop.example?x", "shop.example/?x"),
            ("shop.example//", "shop.example//"),
            ("shop.example/?next=ftp://x", "shop.example/?next=ftp://x"),
            ("shop.example/http://x", "shop.example/http://x"),
        ] {
            assert_eq!(Url::parse(raw).expect(raw).to_string(), want);
        }
    }

    #[test]
    fn what_is_not_a_url_is_refused() {
        for (raw, why) in [
            ("", NotUrl::Domain(NotDomain::Empty)),
            ("/path", NotUrl::Domain(NotDomain::Empty)),
            ("ftp://shop.example/", NotUrl::Scheme),
            ("http://me@shop.example/", NotUrl::UserInfo),
            ("shop.example:x/", NotUrl::Port),
            ("shop.example/a b", NotUrl::Character),
            ("shop.example/ä", NotUrl::Character),
            ("shop.example/a#b", NotUrl::Fragment),
            ("shop.example#b", NotUrl::Fragment),
        ] {
            assert_eq!(Url::parse(raw), Err(why), "{raw}");
        }
        assert_eq!(Path::parse("x"), Err(NotUrl::Relative));
        assert_eq!(Path::parse(&format!("/{}", "x".repeat(8000))), Err(NotUrl::TooLong));
    }
}
