//! What hyper lets through and we must not, neither as a proxy nor as an API behind one: lines that end in a bare LF, two lengths, a fragment in the target
//! (SECURITY-BAR B26, B30). A front proxy might read such a request otherwise than we do.
//!
//! Reads along with hyper, byte for byte, as the connection's bytes arrive. Where a request is refused, the LF of its
//! line is made a NUL, so that hyper itself answers 400, after the answers that are still owed, and closes.

use std::{io, task::Poll};

use memchr::memchr;
use tokio::io::ReadBuf;

/// The reader of one client's connection.
#[derive(Default)]
pub(crate) struct Reader {
    at: At,
    /// The begin of a line whose end has not come yet.
    kept: Vec<u8>,
    head: Head,
    /// How much of [`END_OF_REFUSED`] hyper was given.
    ended: usize,
}

/// What hyper is given behind a refused line: an end of its head, since it looks at whole heads only. Not the end of the
/// stream, which would take back answers that are still owed.
const END_OF_REFUSED: &[u8] = b"\r\n\r\n";

/// What is next in the bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum At {
    /// A request line, of which nothing has come yet.
    #[default]
    Start,
    Fields,
    Data(u64),
    Chunks(Chunks),
    /// No HTTP/1 from here on: HTTP/2, a tunnel, or what hyper refuses anyway.
    Opaque,
    Refused {
        in_body: bool,
    },
}

/// What is next in a chunked body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Chunks {
    Size,
    Data(u64),
    /// The line end after a chunk's data.
    End,
    Trailers,
}

/// How a request says that its body ends.
#[derive(Default)]
struct Head {
    length: Option<u64>,
    is_chunked: bool,
}

/// A line that no request may have.
#[derive(Debug)]
struct Bad;

/// The longest line that is waited for; hyper refuses a head of that length.
const LINE_LEN_MAX: usize = 64 * 1024;

impl Reader {
    /// Reads what has arrived. How much of it may be passed on: all, unless it holds something to refuse, which is then
    /// the last byte.
    pub(crate) fn read(&mut self, bytes: &mut [u8]) -> usize {
        let mut from = 0;
        while from < bytes.len() {
            let rest = bytes.len() - from;
            match self.at {
                At::Opaque => return bytes.len(),
                At::Refused { .. } => return from,
                At::Data(missing) => {
                    let taken = missing.min(rest as u64);
                    self.at = if taken == missing { At::Start } else { At::Data(missing - taken) };
                    from += taken as usize;
                }
                At::Chunks(Chunks::Data(missing)) => {
                    let taken = missing.min(rest as u64);
                    let left = missing - taken;
                    self.at = At::Chunks(if left == 0 { Chunks::End } else { Chunks::Data(left) });
                    from += taken as usize;
                }
                At::Start | At::Fields | At::Chunks(_) => {
                    let Some(end) = memchr(b'\n', &bytes[from..]) else {
                        return if self.keep(&bytes[from..]) { bytes.len() } else { from };
                    };
                    let end = from + end;
                    if self.line(&bytes[from..end]).is_err() {
                        self.at = At::Refused { in_body: self.is_in_body() };
                        bytes[end] = 0;
                        return end + 1;
                    }
                    from = end + 1;
                }
            }
        }
        from
    }

    /// Whether a head has begun and not ended.
    pub(super) fn is_in_head(&self) -> bool {
        self.at == At::Fields || (self.at == At::Start && !self.kept.is_empty())
    }

    /// Whether the body of a request is not whole.
    pub(super) fn is_in_body(&self) -> bool {
        matches!(self.at, At::Data(_) | At::Chunks(_) | At::Refused { .. })
    }

    /// What whoever reads is given instead of further bytes, once something was refused.
    pub(crate) fn instead(&mut self, buf: &mut ReadBuf<'_>) -> Option<Poll<io::Result<()>>> {
        match self.at {
            At::Refused { in_body: true } => Some(Poll::Ready(Err(io::ErrorKind::InvalidData.into()))),
            At::Refused { in_body: false } if self.ended == END_OF_REFUSED.len() => Some(Poll::Pending),
            At::Refused { in_body: false } => {
                let now = buf.remaining().min(END_OF_REFUSED.len() - self.ended);
                buf.put_slice(&END_OF_REFUSED[self.ended..self.ended + now]);
                self.ended += now;
                Some(Poll::Ready(Ok(())))
            }
            _ => None,
        }
    }

    fn keep(&mut self, bytes: &[u8]) -> bool {
        self.kept.extend_from_slice(bytes);
        if self.kept.len() > LINE_LEN_MAX {
            self.at = At::Refused { in_body: self.is_in_body() };
        }
        !matches!(self.at, At::Refused { .. })
    }

    /// Takes a line without its LF.
    fn line(&mut self, piece: &[u8]) -> Result<(), Bad> {
        if self.kept.is_empty() {
            return self.judge(piece);
        }
        let mut line = std::mem::take(&mut self.kept);
        line.extend_from_slice(piece);
        let judged = self.judge(&line);
        line.clear();
        self.kept = line;
        judged
    }

    fn judge(&mut self, line: &[u8]) -> Result<(), Bad> {
        let line = line.strip_suffix(b"\r").ok_or(Bad)?;
        self.at = match self.at {
            // Some clients send an empty line after a body (RFC 9112 §2.2).
            At::Start if line.is_empty() => At::Start,
            At::Start if line == b"PRI * HTTP/2.0" => At::Opaque,
            At::Start if line.contains(&b'#') => return Err(Bad),
            At::Start => {
                self.head = Head::default();
                At::Fields
            }
            At::Fields if line.is_empty() => self.head.body(),
            At::Fields => {
                self.head.field(line)?;
                At::Fields
            }
            At::Chunks(Chunks::Size) => match chunk_size(line)? {
                0 => At::Chunks(Chunks::Trailers),
                size => At::Chunks(Chunks::Data(size)),
            },
            At::Chunks(Chunks::End) if line.is_empty() => At::Chunks(Chunks::Size),
            At::Chunks(Chunks::Trailers) if line.is_empty() => At::Start,
            At::Chunks(Chunks::Trailers) => At::Chunks(Chunks::Trailers),
            At::Chunks(_) | At::Data(_) | At::Opaque | At::Refused { .. } => return Err(Bad),
        };
        Ok(())
    }

    /// What follows is no HTTP/1: the connection has become a tunnel.
    pub(super) fn let_through(&mut self) {
        self.at = At::Opaque;
    }
}

impl Head {
    fn field(&mut self, line: &[u8]) -> Result<(), Bad> {
        // Most names are told apart by their length.
        let is = |name: &[u8]| {
            line.get(name.len()) == Some(&b':') && line[..name.len()].eq_ignore_ascii_case(name)
        };
        if matches!(line[0], b' ' | b'\t') {
            return Err(Bad); // obs-fold
        }
        if is(b"content-length") {
            let second = self.length.is_some() || self.is_chunked;
            self.length = Some(number(line[15..].trim_ascii(), 10).ok_or(Bad)?);
            return if second { Err(Bad) } else { Ok(()) };
        }
        if is(b"transfer-encoding") {
            let second = self.length.is_some() || self.is_chunked;
            self.is_chunked = line[18..].trim_ascii().eq_ignore_ascii_case(b"chunked");
            return if second || !self.is_chunked { Err(Bad) } else { Ok(()) };
        }
        Ok(())
    }

    fn body(&self) -> At {
        match self.length {
            _ if self.is_chunked => At::Chunks(Chunks::Size),
            None | Some(0) => At::Start,
            Some(length) => At::Data(length),
        }
    }
}

fn chunk_size(line: &[u8]) -> Result<u64, Bad> {
    let digits = line.iter().position(|byte| b"; \t".contains(byte)).map_or(line, |end| &line[..end]);
    number(digits, 16).ok_or(Bad)
}

/// A number without a sign.
fn number(digits: &[u8], radix: u32) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |number, digit| {
        let digit = char::from(*digit).to_digit(radix)?;
        number.checked_mul(radix.into())?.checked_add(digit.into())
    })
}

#[cfg(test)]
mod tests;
