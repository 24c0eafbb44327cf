//! HTTP/1.1 read byte by byte, by hand, so that nothing of the code under test is on either end.

use sha2::{Digest as _, Sha256};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
};

/// A message as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    /// The request line or status line.
    pub(crate) start: String,
    /// Names in lower case, in the order of the wire.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) framing: Framing,
    pub(crate) length: u64,
    pub(crate) digest: [u8; 32],
    pub(crate) trailers: Vec<(String, String)>,
    /// The first bytes of the body.
    pub(crate) begin: Vec<u8>,
}

/// How a body's end is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    None,
    Length(u64),
    Chunked,
    Close,
}

/// A message that broke off.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Broken;

pub(crate) type Reader = BufReader<TcpStream>;

impl Message {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(named, _)| named == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn status(&self) -> &str {
        self.start.split(' ').nth(1).unwrap()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.begin).into_owned()
    }
}

/// Reads a request; none if the connection ended before its first byte.
pub(crate) async fn request(reader: &mut Reader) -> Result<Option<Message>, Broken> {
    let Some(mut message) = head(reader).await? else { return Ok(None) };
    if message.framing == Framing::Close {
        message.framing = Framing::None;
    }
    body(reader, &mut message).await?;
    Ok(Some(message))
}

/// Reads the answer to a request with this method.
pub(crate) async fn answer(reader: &mut Reader, method: &str) -> Result<Message, Broken> {
    let mut message = head(reader).await?.ok_or(Broken)?;
    let status = message.status().to_owned();
    if method == "HEAD" || status.starts_with('1') || status == "204" || status == "304" {
        message.framing = Framing::None;
    }
    body(reader, &mut message).await?;
    Ok(message)
}

/// Reads a head alone.
pub(crate) async fn head(reader: &mut Reader) -> Result<Option<Message>, Broken> {
    let Some(start) = line(reader).await? else { return Ok(None) };
    let headers = fields(reader).await?;
    let value = |name: &str| headers.iter().find(|(named, _)| named == name).map(|(_, value)| value.clone());
    let framing = match (value("transfer-encoding"), value("content-length")) {
        (Some(coding), None) if coding == "chunked" => Framing::Chunked,
        (None, Some(length)) => Framing::Length(length.parse().unwrap()),
        (None, None) => Framing::Close,
        both => panic!("{both:?}"),
    };
    let (trailers, begin) = (Vec::new(), Vec::new());
    Ok(Some(Message { start, headers, framing, length: 0, digest: [0; 32], trailers, begin }))
}

async fn body(reader: &mut Reader, message: &mut Message) -> Result<(), Broken> {
    let mut hash = Sha256::new();
    match message.framing {
        Framing::None => {}
        Framing::Length(length) => piece(reader, length, message, &mut hash).await?,
        Framing::Close => loop {
            let bytes = reader.fill_buf().await.map_err(|_| Broken)?;
            if bytes.is_empty() {
                break;
            }
            let length = bytes.len() as u64;
            piece(reader, length, message, &mut hash).await?;
        },
        Framing::Chunked => loop {
            let size = line(reader).await?.ok_or(Broken)?;
            match u64::from_str_radix(&size, 16).unwrap() {
                0 => {
                    message.trailers = fields(reader).await?;
                    break;
                }
                size => piece(reader, size, message, &mut hash).await?,
            }
            assert_eq!(line(reader).await?.ok_or(Broken)?, "");
        },
    }
    message.digest = hash.finalize().into();
    Ok(())
}

async fn piece(
    reader: &mut Reader,
    length: u64,
    message: &mut Message,
    hash: &mut Sha256,
) -> Result<(), Broken> {
    let mut missing = length;
    while missing > 0 {
        let bytes = reader.fill_buf().await.map_err(|_| Broken)?;
        if bytes.is_empty() {
            return Err(Broken);
        }
        let taken = bytes.len().min(usize::try_from(missing).unwrap());
        hash.update(&bytes[..taken]);
        let room = 4096_usize.saturating_sub(message.begin.len());
        message.begin.extend_from_slice(&bytes[..taken.min(room)]);
        reader.consume(taken);
        missing -= taken as u64;
    }
    message.length += length;
    Ok(())
}

async fn fields(reader: &mut Reader) -> Result<Vec<(String, String)>, Broken> {
    let mut fields = Vec::new();
    loop {
        let line = line(reader).await?.ok_or(Broken)?;
        let Some((name, value)) = line.split_once(':') else {
            assert_eq!(line, "");
            return Ok(fields);
        };
        fields.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
}

async fn line(reader: &mut Reader) -> Result<Option<String>, Broken> {
    let mut line = Vec::new();
    reader.read_until(b'\n', &mut line).await.map_err(|_| Broken)?;
    if line.is_empty() {
        return Ok(None);
    }
    let line = line.strip_suffix(b"\r\n").ok_or(Broken)?;
    Ok(Some(String::from_utf8(line.to_vec()).unwrap()))
}

/// Bytes without a pattern that a lost or doubled piece would fit into.
pub(crate) fn bytes(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_u32;
    let step = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..length).map(step).collect()
}

/// Bytes as chunks of changing sizes, with these trailers.
pub(crate) fn chunked(bytes: &[u8], trailers: &str) -> Vec<u8> {
    let (mut wire, mut rest, mut size) = (Vec::with_capacity(bytes.len() + bytes.len() / 64), bytes, 1);
    while !rest.is_empty() {
        let (chunk, after) = rest.split_at(rest.len().min(size));
        wire.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        wire.extend_from_slice(chunk);
        wire.extend_from_slice(b"\r\n");
        (rest, size) = (after, size % 50_000 + 1 + size / 3);
    }
    wire.extend_from_slice(format!("0\r\n{trailers}\r\n").as_bytes());
    wire
}

/// Writes, and forgets whether it could: the other side may be gone by then, and what it reads is what counts.
pub(crate) async fn write(stream: &mut (impl tokio::io::AsyncWrite + Unpin), bytes: impl AsRef<[u8]>) {
    let _ = stream.write_all(bytes.as_ref()).await;
}

/// Everything until the end of the stream, however it ends.
pub(crate) async fn rest(reader: &mut (impl tokio::io::AsyncRead + Unpin)) -> Vec<u8> {
    let mut all = Vec::new();
    let _ = reader.read_to_end(&mut all).await;
    all
}
