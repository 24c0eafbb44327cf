//! One request to decide, brought into types that cannot be ambiguous.

use crate::{decide::Deny, event::Position, host::Host, token::Presented};

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
    /// Asks what may be done: what browsers send first.
    Options,
}

impl Method {
    /// How many there are, for tables by method.
    pub const COUNT: usize = 6;

    /// The method that a request line or a policy writes. Methods are case-sensitive (RFC 9110 §9.1).
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "GET" | "HEAD" => Some(Self::Get),
            "POST" => Some(Self::Post),
            "PUT" => Some(Self::Put),
            "PATCH" => Some(Self::Patch),
            "DELETE" => Some(Self::Delete),
            "OPTIONS" => Some(Self::Options),
            _ => None,
        }
    }

    /// The method that a policy names: `HEAD` goes with `GET` and has no routes of its own.
    #[must_use]
    pub fn parse_in_policy(text: &str) -> Option<Self> {
        Some(text).filter(|text| *text != "HEAD").and_then(Self::parse)
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

/// How a path can be read: in one way, or what in it some servers read in another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading(u8);

impl Reading {
    /// One way.
    pub const PLAIN: Self = Self(0);
    /// `%2f`: a slash, or a letter of a name.
    pub const ESCAPED_SLASH: Self = Self(1);
    /// `;` or `%3b`: the end of a name, or a letter of it.
    pub const SEMICOLON: Self = Self(2);
    /// `%25`: what follows may be an escape to whoever reads twice.
    pub const ESCAPED_PERCENT: Self = Self(4);
    /// `//`, and escapes that need not be or that hide other separators. Fine for whoever takes the rest of a path as it
    /// stands.
    pub const LOOSE: Self = Self(8);
    /// Dot segments, control characters, backslashes, broken escapes: several ways, whoever reads.
    pub const AMBIGUOUS: Self = Self(u8::MAX);

    /// What is in either.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether everything in `other` is in this.
    #[must_use]
    pub fn covers(self, other: Self) -> bool {
        other.0 & !self.0 == 0
    }
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

    /// How it can be read.
    #[must_use]
    pub fn reading(&self) -> Reading {
        self.reading
    }
}

/// One request to decide.
pub struct Ask<'a> {
    /// Of which API. None: Keygate's own.
    pub host: Option<Host<'a>>,
    /// What is to be done …
    pub method: Method,
    /// … to what …
    pub path: Path<'a>,
    /// … by whom; or why that is not known, which matters to whatever is not public.
    pub secret: Result<Presented<'a>, Deny>,
    /// What whoever decides must have applied, or they cannot tell. `Position(0)` is nothing: everybody has.
    pub at_least: Position,
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
        return Reading::AMBIGUOUS;
    }
    if is_plain(path) {
        return Reading::PLAIN;
    }
    let mut found = Reading::PLAIN;
    for (at, byte) in path.iter().enumerate() {
        if PLAIN[usize::from(*byte)] {
            continue;
        }
        let reading = match byte {
            b'/' => segment(&path[at + 1..]),
            b'%' => escape(&path[at + 1..]),
            b';' => Reading::SEMICOLON,
            _ => Reading::AMBIGUOUS,
        };
        found = found.and(reading);
    }
    found
}

/// Whether nothing in it needs a closer look: plain bytes, and slashes before them. Most paths are so, and without
/// branches it is seen sixteen bytes at a time.
fn is_plain(path: &[u8]) -> bool {
    let is_odd = |byte: u8| {
        !byte.is_ascii_graphic()
            | (byte == b'%')
            | (byte == b'\\')
            | (byte == b';')
            | (byte == b'#')
            | (byte == b'?')
    };
    let opens_oddly = |slash: u8, next: u8| (slash == b'/') & ((next == b'/') | (next == b'.'));
    let next = &path[1..];
    let odd = path.iter().fold(false, |odd, byte| odd | is_odd(*byte));
    !(odd | path.iter().zip(next).fold(false, |odd, (byte, next)| odd | opens_oddly(*byte, *next)))
}

/// What a segment that starts here is: empty with another after it, a dot segment in any spelling, or plain so far.
fn segment(rest: &[u8]) -> Reading {
    let Some(first) = rest.first() else { return Reading::PLAIN };
    match first {
        b'/' => Reading::LOOSE,
        b'.' | b'%' if is_dots(rest) => Reading::AMBIGUOUS,
        _ => Reading::PLAIN,
    }
}

/// Whether the segment that starts here is one or two dots, plain or escaped, up to a slash, a parameter or the end.
fn is_dots(mut rest: &[u8]) -> bool {
    for dots in 0..3 {
        rest = match rest {
            [b'.', rest @ ..] | [b'%', b'2', b'e' | b'E', rest @ ..] => rest,
            [] | [b'/' | b';', ..] => return dots > 0,
            // An escaped slash, backslash, semicolon or percent sign ends it too, to whoever reads it first.
            [b'%', b'2', b'f' | b'F', ..] | [b'%', b'5', b'c' | b'C', ..] => return dots > 0,
            [b'%', b'3', b'b' | b'B', ..] | [b'%', b'2', b'5', ..] => return dots > 0,
            _ => return false,
        };
    }
    false
}

/// What an escape is that starts before `rest`. One of a character that needs none is a second spelling; one of a
/// separator hides it, and perhaps a dot segment behind it.
fn escape(rest: &[u8]) -> Reading {
    let hex = |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
    let (decoded, after) = match rest {
        &[high, low, ref after @ ..] => (hex(high).zip(hex(low)).map(|(high, low)| high << 4 | low), after),
        _ => (None, rest),
    };
    match decoded {
        None | Some(0..=0x1f | 0x7f | 0xc0 | 0xc1 | 0xf5..) => Reading::AMBIGUOUS,
        Some(b'/') => Reading::ESCAPED_SLASH.and(segment(after)),
        Some(b'\\') => Reading::LOOSE.and(segment(after)),
        Some(b'%') => Reading::ESCAPED_PERCENT,
        Some(b';') => Reading::SEMICOLON,
        Some(b'?' | b'#' | b'-' | b'.' | b'_' | b'~') => Reading::LOOSE,
        Some(byte) if byte.is_ascii_alphanumeric() => Reading::LOOSE,
        Some(_) => Reading::PLAIN,
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
            "/a%2f..%2fb",
            "/a%5c..",
            "/a/..%3bb",
            "/a/..%252fb",
            "/a\u{1}",
        ] {
            assert_eq!(Path::new(path).reading(), Reading::AMBIGUOUS, "{path}");
        }
    }

    #[test]
    fn what_a_url_may_hold_is_open_at_most() {
        let open = [
            "//admin",
            "/a//b",
            "/admin;x=1",
            "/a%2fb",
            "/a%5cb",
            "/%252f",
            "/%61dmin",
            "/purge/http://x/y",
            "/a%3fb",
            "/a%23",
        ];
        for path in open {
            let reading = Path::new(path).reading();
            assert!(reading != Reading::PLAIN && reading != Reading::AMBIGUOUS, "{path}");
        }
        assert_eq!(Path::new("/a%2fb;c").reading(), Reading::ESCAPED_SLASH.and(Reading::SEMICOLON));
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
            assert_eq!(Path::new(path).reading(), Reading::PLAIN, "{path}");
        }
    }
}
