//! Reads HTTP/1.1 answers as they arrive, in whatever pieces: the status, and where the answer ends.

/// An answer that has arrived whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// The server said that it closes the connection now.
    pub(super) closes: bool,
}

/// Why bytes are not an answer this generator can follow. The connection is of no use afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed(pub(super) &'static str);

/// The reader of one connection. A whole answer in one read, the usual case, is never copied.
#[derive(Debug, Default)]
pub(super) struct Reader {
    /// A head whose end has not come yet.
    kept: Vec<u8>,
    /// An answer whose body has not come whole, and the bytes that are missing.
    begun: Option<(Answer, usize)>,
}

impl Reader {
    /// Takes what was read; the answer, once it is whole. `bodyless` if the request was a HEAD.
    pub(super) fn feed(&mut self, bytes: &[u8], bodyless: bool) -> Result<Option<Answer>, Malformed> {
        if let Some((answer, missing)) = self.begun.take() {
            return self.body(answer, missing, bytes);
        }
        if self.kept.is_empty() {
            return self.head(bytes, bodyless);
        }
        let mut kept = std::mem::take(&mut self.kept);
        kept.extend_from_slice(bytes);
        self.head(&kept, bodyless)
    }

    fn head(&mut self, mut bytes: &[u8], bodyless: bool) -> Result<Option<Answer>, Malformed> {
        while let Some((head, rest)) = Head::parse(bytes)? {
            if head.status >= 200 {
                return self.body(head.answer(), head.body_bytes(bodyless)?, rest);
            }
            bytes = rest; // 100 Continue and its kind: the answer is still to come
        }
        if bytes.len() > HEAD_BYTES_MAX {
            return Err(Malformed("a head above 16 KiB"));
        }
        self.kept.extend_from_slice(bytes);
        Ok(None)
    }

    fn body(&mut self, answer: Answer, missing: usize, bytes: &[u8]) -> Result<Option<Answer>, Malformed> {
        match bytes.len().cmp(&missing) {
            std::cmp::Ordering::Equal => Ok(Some(answer)),
            std::cmp::Ordering::Greater => Err(Malformed("more bytes than the answer has")),
            std::cmp::Ordering::Less => {
                self.begun = Some((answer, missing - bytes.len()));
                Ok(None)
            }
        }
    }
}

/// The little of a head that matters here.
struct Head {
    status: u16,
    length: Option<usize>,
    closes: bool,
}

impl Head {
    /// The head at the start of `bytes` and what follows it, if its end is among them.
    fn parse(bytes: &[u8]) -> Result<Option<(Self, &[u8])>, Malformed> {
        let Some((line, mut rest)) = split_line(bytes) else { return Ok(None) };
        let mut head = Self { status: status(line)?, length: None, closes: false };
        while let Some((line, after)) = split_line(rest) {
            if line.is_empty() {
                return Ok(Some((head, after)));
            }
            head.field(line)?;
            rest = after;
        }
        Ok(None)
    }

    fn field(&mut self, line: &[u8]) -> Result<(), Malformed> {
        // The first letter decides for nearly every line, before any name is compared.
        match line[0] | 0x20 {
            b'c' => {
                if let Some(value) = value_of(line, b"content-length:") {
                    self.length = Some(number(value).ok_or(Malformed("a content-length that is no number"))?);
                } else if let Some(value) = value_of(line, b"connection:") {
                    self.closes |= value.eq_ignore_ascii_case(b"close");
                }
            }
            b't' if value_of(line, b"transfer-encoding:").is_some() => {
                return Err(Malformed("a transfer-encoding: only content-length is read here"));
            }
            _ => {}
        }
        Ok(())
    }

    fn body_bytes(&self, bodyless: bool) -> Result<usize, Malformed> {
        if bodyless || matches!(self.status, 204 | 304) {
            return Ok(0);
        }
        match self.length {
            None => Err(Malformed("a body without a content-length")),
            Some(length) if length > BODY_BYTES_MAX => Err(Malformed("a body above 64 KiB")),
            Some(length) => Ok(length),
        }
    }

    fn answer(&self) -> Answer {
        Answer { status: self.status, closes: self.closes }
    }
}

fn split_line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = memchr::memchr(b'\n', bytes)?;
    let line = &bytes[..end];
    Some((line.strip_suffix(b"\r").unwrap_or(line), &bytes[end + 1..]))
}

fn status(line: &[u8]) -> Result<u16, Malformed> {
    let code = line.strip_prefix(b"HTTP/1.1 ").ok_or(Malformed("not an HTTP/1.1 status line"))?;
    match code {
        [a @ b'1'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9']
        | [a @ b'1'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9', b' ', ..] => {
            Ok([a, b, c].iter().fold(0, |code, &&digit| code * 10 + u16::from(digit - b'0')))
        }
        _ => Err(Malformed("a status that is no number")),
    }
}

fn value_of<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let (start, value) = line.split_at_checked(name.len())?;
    start.eq_ignore_ascii_case(name).then(|| value.trim_ascii())
}

fn number(digits: &[u8]) -> Option<usize> {
    if digits.is_empty() || digits.len() > 9 {
        return None;
    }
    digits.iter().try_fold(0, |n, d| d.is_ascii_digit().then(|| n * 10 + usize::from(d - b'0')))
}

const HEAD_BYTES_MAX: usize = 16 * 1024;
const BODY_BYTES_MAX: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    const OK: Answer = Answer { status: 200, closes: false };

    fn read(bytes: &[u8]) -> Result<Option<Answer>, Malformed> {
        Reader::default().feed(bytes, false)
    }

    #[test]
    fn an_answer_ends_with_its_body() {
        assert_eq!(read(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"), Ok(Some(OK)));
        assert_eq!(read(b"HTTP/1.1 200 OK\r\nContent-Length:5\r\n\r\nhello"), Ok(Some(OK)));
        assert_eq!(read(b"HTTP/1.1 200\r\nCONTENT-LENGTH: 5 \r\n\r\nhell"), Ok(None));
        assert!(read(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello!").is_err());
    }

    #[test]
    fn an_answer_may_come_in_any_two_pieces_or_byte_by_byte() {
        let whole = b"HTTP/1.1 403 Forbidden\r\ndate: now\r\ncontent-length: 3\r\n\r\nno\n";
        let answer = Some(Answer { status: 403, closes: false });
        for cut in 1..whole.len() {
            let mut reader = Reader::default();
            assert_eq!(reader.feed(&whole[..cut], false), Ok(None), "cut at {cut}");
            assert_eq!(reader.feed(&whole[cut..], false), Ok(answer), "cut at {cut}");
        }
        let mut reader = Reader::default();
        for _ in 0..2 {
            let (last, most) = whole.split_last().expect("not empty");
            for byte in most {
                assert_eq!(reader.feed(&[*byte], false), Ok(None));
            }
            assert_eq!(reader.feed(&[*last], false), Ok(answer));
        }
    }

    #[test]
    fn some_answers_have_no_body_whatever_they_say() {
        let said = b"HTTP/1.1 200 OK\r\ncontent-length: 70\r\n\r\n";
        assert_eq!(Reader::default().feed(said, true), Ok(Some(OK)));
        assert_eq!(read(b"HTTP/1.1 204 No Content\r\n\r\n").map(|a| a.map(|a| a.status)), Ok(Some(204)));
        let unchanged = b"HTTP/1.1 304 Not Modified\r\ncontent-length: 9\r\n\r\n";
        assert_eq!(read(unchanged).map(|a| a.map(|a| a.status)), Ok(Some(304)));
    }

    #[test]
    fn an_interim_answer_is_not_the_answer() {
        let both = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
        assert_eq!(read(both), Ok(Some(OK)));
        for cut in 1..both.len() {
            let mut reader = Reader::default();
            assert_eq!(reader.feed(&both[..cut], false), Ok(None), "cut at {cut}");
            assert_eq!(reader.feed(&both[cut..], false), Ok(Some(OK)), "cut at {cut}");
        }
    }

    #[test]
    fn a_closing_server_is_heard() {
        let last = read(b"HTTP/1.1 200 OK\r\nConnection: Close\r\ncontent-length: 0\r\n\r\n");
        assert_eq!(last, Ok(Some(Answer { status: 200, closes: true })));
    }

    #[test]
    fn what_cannot_be_followed_is_refused() {
        for bad in [
            "HTTP/1.0 200 OK\r\n\r\n",
            "HTTP/1.1 2000 OK\r\n\r\n",
            "HTTP/1.1 2x0 OK\r\n\r\n",
            "HTTP/1.1 099 No\r\n\r\n",
            "HTTP/1.1 200 OK\r\n\r\n",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 65537\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999\r\n\r\n",
        ] {
            assert!(read(bad.as_bytes()).is_err(), "{bad:?}");
        }
        let mut endless = b"HTTP/1.1 200 OK\r\n".to_vec();
        endless.resize(HEAD_BYTES_MAX + 1, b'x');
        assert!(read(&endless).is_err());
    }

    #[test]
    fn a_body_of_64_kib_is_skipped() {
        let mut whole = b"HTTP/1.1 200 OK\r\ncontent-length: 65536\r\n\r\n".to_vec();
        whole.resize(whole.len() + BODY_BYTES_MAX, b'x');
        let mut reader = Reader::default();
        let (last, most) = whole.split_last().expect("not empty");
        for piece in most.chunks(10_000) {
            assert_eq!(reader.feed(piece, false), Ok(None));
        }
        assert_eq!(reader.feed(&[*last], false), Ok(Some(OK)));
    }
}
