//! One request to decide, brought into types that cannot be ambiguous.

use crate::token::Presented;

/// A method that a policy may name. `HEAD` is not among them: it is decided as `GET`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// And `HEAD`.
    Get,
    /// Makes or does.
    Post,
    /// Replaces.
    Put,
    /// Changes.
    Patch,
    /// Removes.
    Delete,
}

impl Method {
    /// How many there are, for tables by method.
    pub const COUNT: usize = 5;

    /// The method that a request line or a policy writes. Methods are case-sensitive (RFC 9110 §9.1).
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "GET" | "HEAD" => Some(Self::Get),
            "POST" => Some(Self::Post),
            "PUT" => Some(Self::Put),
            "PATCH" => Some(Self::Patch),
            "DELETE" => Some(Self::Delete),
            _ => None,
        }
    }

    /// Its place in tables by method.
    #[must_use]
    pub fn index(self) -> usize {
        self as usize
    }
}

/// A path as it stood in the request, known to mean the same to everybody who reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Path<'a> {
    raw: &'a str,
    clean: bool,
}

impl<'a> Path<'a> {
    /// Looks at a path without its query. One that another server could read otherwise (`..`, `//`, `%2f`, `;`, …,
    /// SECURITY-BAR T-21) matches no route but one that takes its rest as it stands.
    #[must_use]
    pub fn new(raw: &'a str) -> Self {
        Self { raw, clean: is_clean(raw.as_bytes()) }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &'a str {
        self.raw
    }

    /// Whether there is one way to read it.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.clean
    }
}

/// One request to decide.
pub struct Ask<'a> {
    /// What is to be done…
    pub method: Method,
    /// … to what …
    pub path: Path<'a>,
    /// … by whom.
    pub secret: Presented<'a>,
}

/// Whether no server could read this path in two ways.
pub(crate) fn is_clean(path: &[u8]) -> bool {
    if path.first() != Some(&b'/') {
        return false;
    }
    let mut at = 0;
    while at < path.len() {
        let fine = match path[at] {
            b'/' => !starts_dots_or_slash(&path[at + 1..]),
            b'%' => is_plain_escape(path.get(at + 1..at + 3)),
            b'\\' | b';' | b'#' | b'?' | 0..=b' ' | 0x7f.. => false,
            _ => true,
        };
        if !fine {
            return false;
        }
        at += 1;
    }
    true
}

/// Whether the segment that starts here is empty with another after it, or `.` or `..`.
fn starts_dots_or_slash(rest: &[u8]) -> bool {
    let end = |from: usize| rest.get(from).is_none_or(|byte| *byte == b'/');
    match rest.first() {
        Some(b'/') => true,
        Some(b'.') => end(1) || (rest.get(1) == Some(&b'.') && end(2)),
        _ => false,
    }
}

/// Whether `%` is followed by two digits that decode to nothing a path reader treats specially.
fn is_plain_escape(digits: Option<&[u8]>) -> bool {
    let hex = |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
    let decoded = match digits {
        Some(&[high, low]) => hex(high).zip(hex(low)).map(|(high, low)| high << 4 | low),
        _ => None,
    };
    match decoded {
        None => false,
        Some(b'/' | b'\\' | b'.' | b'%' | b';' | 0..=0x1f | 0x7f | 0xc0 | 0xc1 | 0xf5..) => false,
        Some(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_two_servers_read_in_two_ways_is_not_clean() {
        for path in [
            "", "tokens", "//admin", "/a//b", "/a/./b", "/public/../admin", "/public/..", "/public/%2e%2e/admin",
            "/public/..;/admin", "/admin;x=1", "/a%2fb", "/a%2Fb", "/a%5cb", "/a\\b", "/%252f", "/%00", "/%c0%af",
            "/a#b", "/a b", "/é", "/%", "/%4", "/%zz", "*", "http://evil/admin",
        ] {
            assert!(!Path::new(path).is_clean(), "{path}");
        }
    }

    #[test]
    fn plain_paths_are_clean() {
        for path in ["/", "/tokens/self", "/.well-known/x", "/a/..b/c.d", "/user/a%40b+c@d", "/x%20y", "/%F0%9F%94%91"] {
            assert!(Path::new(path).is_clean(), "{path}");
        }
    }
}
