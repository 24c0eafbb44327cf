//! As much of HTTP/2 as a client needs that sends the same request again and again: whole frames out, and of what comes
//! back only where streams end and whether they said yes. A whole client would cost more than the server that it loads.

/// What opens a connection: no flow control to speak of towards us, so that nothing is sent for it in the run.
pub(super) fn opening() -> Vec<u8> {
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    frame(&mut bytes, SETTINGS, 0, 0, &[&[0, 4], &WINDOW.to_be_bytes()[..]].concat());
    frame(&mut bytes, WINDOW_UPDATE, 0, 0, &(WINDOW - 65_535).to_be_bytes());
    bytes
}

/// The headers of a check. Those after the first name what it left in the table (RFC 7541 §6.1, §6.2.1).
pub(super) fn headers(path: &str, authority: &str, is_first: bool) -> Vec<u8> {
    const POST_HTTP: [u8; 2] = [0x83, 0x86];
    if !is_first {
        return [&POST_HTTP[..], &[0xc1, 0xc0, 0xbf, 0xbe]].concat();
    }
    let mut block = POST_HTTP.to_vec();
    for (name, value) in [(0x44, path), (0x41, authority), (0x5f, "application/grpc")] {
        block.push(name);
        literal(&mut block, value);
    }
    block.push(0x40);
    literal(&mut block, "te");
    literal(&mut block, "trailers");
    block
}

fn literal(block: &mut Vec<u8>, text: &str) {
    // All of ours are shorter than 127.
    block.push(u8::try_from(text.len()).unwrap_or(0x7e));
    block.extend(text.as_bytes());
}

/// A request: its headers, and its one message.
pub(super) fn request(out: &mut Vec<u8>, stream: u32, headers: &[u8], message: &[u8]) {
    frame(out, HEADERS, END_HEADERS, stream, headers);
    frame(out, DATA, END_STREAM, stream, message);
}

fn frame(out: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX).to_be_bytes();
    out.extend([length[1], length[2], length[3], kind, flags]);
    out.extend(stream.to_be_bytes());
    out.extend(payload);
}

/// What came back.
#[derive(Default)]
pub(super) struct Heard {
    /// Messages that allow.
    pub(super) allowed: u64,
    /// Streams that ended.
    pub(super) ended: u64,
}

/// Reads whole frames from the front of `bytes`, puts what must be answered into `out`, and says how many bytes it read.
pub(super) fn read(bytes: &[u8], heard: &mut Heard, out: &mut Vec<u8>) -> anyhow::Result<usize> {
    let mut at = 0;
    while let Some(head) = bytes.get(at..at + HEAD_LEN) {
        let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        let Some(payload) = bytes.get(at + HEAD_LEN..at + HEAD_LEN + length) else { break };
        let (kind, flags) = (head[3], head[4]);
        match kind {
            DATA if !payload.is_empty() => heard.allowed += u64::from(allows(payload)),
            SETTINGS if flags & ACK == 0 => frame(out, SETTINGS, ACK, 0, &[]),
            PING if flags & ACK == 0 => frame(out, PING, ACK, 0, payload),
            RST_STREAM | GOAWAY => anyhow::bail!("the server gave up: frame {kind}, {payload:?}"),
            _ => {}
        }
        if matches!(kind, DATA | HEADERS) && flags & END_STREAM != 0 {
            heard.ended += 1;
        }
        at += HEAD_LEN + length;
    }
    Ok(at)
}

/// Whether a message of gRPC's is a `CheckResponse` whose status has no code, which is leave to pass.
fn allows(message: &[u8]) -> bool {
    match message.get(5..) {
        Some([0x0a, 0, ..]) => true,
        Some([0x0a, _, field, ..]) => *field != 0x08,
        _ => false,
    }
}

const HEAD_LEN: usize = 9;
const WINDOW: u32 = (1 << 31) - 1;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;

const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;
