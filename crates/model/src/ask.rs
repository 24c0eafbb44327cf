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

/// A path as it stood in the request, and whether it means the same to everybody who reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Path<'a> {
    raw: &'a str,
    reading: Reading,
}

/// How many ways there are to read a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reading {
    /// One.
    Plain,
    /// One, for whoever takes the rest of it as it stands: it has `//`, `;` or escapes in it, as a URL may.
    Open,
    /// Several: dot segments, control characters, backslashes, broken escapes.
    Ambiguous,
}

impl<'a> Path<'a> {
    /// Looks at a path without its query. One that another server could read otherwise (`..`, `//`, `%2f`, `;`, …,
    /// SECURITY-BAR T-21) matches no route but one that takes its rest as it stands, and with dot segments not even
    /// that.
    #[must_use]
    pub fn new(raw: &'a str) -> Self {
        Self { raw, reading: reading(raw.as_bytes()) }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &'a str {
        self.raw
    }

    /// How many ways there are to read it.
    #[must_use]
    pub fn reading(&self) -> Reading {
        self.reading
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

/// Bytes that mean themselves wherever they stand in a path.
const PLAIN: [bool; 256] = {
    let mut plain = [false; 256];
    let mut byte = b'!';
    while byte < 0x7f {
        plain[byte as usize] = !matches!(byte, b'/' | b'%' | b'\\' | b';' | b'#' | b'?');
        byte += 1;
    }
    plain
};

fn reading(path: &[u8]) -> Reading {
    if path.first() != Some(&b'/') {
        return Reading::Ambiguous;
    }
    let mut worst = Reading::Plain;
    for (at, byte) in path.iter().enumerate() {
        if PLAIN[usize::from(*byte)] {
            continue;
        }
        let reading = match byte {
            b'/' => segment(&path[at + 1..]),
            b'%' => escape(path.get(at + 1..at + 3)),
            b';' => Reading::Open,
            _ => Reading::Ambiguous,
        };
        worst = worst.max(reading);
    }
    worst
}

/// What a segment that starts here is: empty with another after it, a dot segment in any spelling, or plain so far.
fn segment(rest: &[u8]) -> Reading {
    let Some(first) = rest.first() else { return Reading::Plain };
    match first {
        b'/' => Reading::Open,
        b'.' | b'%' if is_dots(rest) => Reading::Ambiguous,
        _ => Reading::Plain,
    }
}

/// Whether the segment that starts here is one or two dots, plain or escaped, up to a slash, a parameter or the end.
fn is_dots(mut rest: &[u8]) -> bool {
    for dots in 0..3 {
        rest = match rest {
            [b'.', rest @ ..] | [b'%', b'2', b'e' | b'E', rest @ ..] => rest,
            [] | [b'/' | b';', ..] => return dots > 0,
            [b'%', b'2', b'f' | b'F', ..] | [b'%', b'5', b'c' | b'C', ..] => return dots > 0,
            _ => return false,
        };
    }
    false
}

/// What an escape is. One of a character that needs none is a second spelling; one of a separator hides it.
fn escape(digits: Option<&[u8]>) -> Reading {
    let hex = |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
    let decoded = match digits {
        Some(&[high, low]) => hex(high).zip(hex(low)).map(|(high, low)| high << 4 | low),
        _ => None,
    };
    match decoded {
        None | Some(0..=0x1f | 0x7f | 0xc0 | 0xc1 | 0xf5..) => Reading::Ambiguous,
        Some(b'/' | b'\\' | b'%' | b';' | b'-' | b'.' | b'_' | b'~') => Reading::Open,
        Some(byte) if byte.is_ascii_alphanumeric() => Reading::Open,
        Some(_) => Reading::Plain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_two_servers_read_in_two_ways_is_ambiguous() {
        for path in [
            "",
            "tokens",
            "/a/./b",
            "/public/../admin",
            "/public/..",
            "/public/%2e%2e/admin",
            "/public/.%2E/admin",
            "/public/..;/admin",
            "/a\\b",
            "/%00",
            "/%c0%af",
            "/a#b",
            "/a b",
            "/é",
            "/%",
            "/%4",
            "/%zz",
            "*",
            "http://evil/admin",
            "/purge/../tokens",
            "/a/..%2fb",
            "/a\u{1}",
        ] {
            assert_eq!(Path::new(path).reading(), Reading::Ambiguous, "{path}");
        }
    }

    #[test]
    fn what_a_url_may_hold_is_open_at_most() {
        let open =
            ["//admin", "/a//b", "/admin;x=1", "/a%2fb", "/a%5cb", "/%252f", "/%61dmin", "/purge/http://x/y"];
        for path in open {
            assert_eq!(Path::new(path).reading(), Reading::Open, "{path}");
        }
    }

    #[test]
    fn plain_paths_are_plain() {
        let plain = [
            "/",
            "/tokens/self",
            "/.well-known/x",
            "/a/..b/c.d",
            "/a/...",
            "/user/a%40b+c@d",
            "/x%20y",
            "/%F0%9F%94%91",
        ];
        for path in plain {
            assert_eq!(Path::new(path).reading(), Reading::Plain, "{path}");
        }
    }
}
