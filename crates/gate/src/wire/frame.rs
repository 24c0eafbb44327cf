//! Frames: four bytes of length, one of kind, one of flags, and the body. A body is a protocol buffer, packed with zstd
//! where that is worth it.

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use keygate_model::Record;
use prost::Message;

use super::record;

/// How long the body of a frame with records should be, unpacked.
pub const PART_LEN: usize = 64 * 1024;

/// How many records a frame may have.
pub const RECORDS_MAX: usize = 8192;

/// How long a body may be, unpacked: room for the largest record, a policy, many times over.
const BODY_LEN_MAX: usize = 8 * 1024 * 1024;

/// From how many bytes on a body is packed.
const PACK_FROM_LEN: usize = 1024;

const HEAD_LEN: usize = 6;

/// The body is packed.
const PACKED: u8 = 1;
/// Whoever does not know the kind may skip it.
const SKIPPABLE: u8 = 2;

const LEVEL: i32 = 1;

/// What a node says first.
#[derive(Clone, PartialEq, Message)]
pub struct Hello {
    /// The version that it speaks.
    #[prost(uint32, tag = "1")]
    pub version: u32,
    /// The oldest version that its reader may speak.
    #[prost(uint32, tag = "2")]
    pub oldest: u32,
    /// The epoch of its log of events. Positions of one epoch never go backwards.
    #[prost(uint64, tag = "3")]
    pub epoch: u64,
    /// Which node it is, for logs.
    #[prost(string, tag = "4")]
    pub node: String,
    /// What this stream is called by who renews a lease on it.
    #[prost(string, tag = "5")]
    pub session: String,
    /// Where the node is.
    #[prost(int64, tag = "6")]
    pub position: i64,
    /// A snapshot follows, and not what came after the position that was named.
    #[prost(bool, tag = "7")]
    pub snapshot: bool,
    /// About how many tokens will be told.
    #[prost(uint64, tag = "8")]
    pub tokens: u64,
    /// The customer that alone is told of, if it is one.
    #[prost(bytes = "vec", tag = "9")]
    pub customer: Vec<u8>,
}

/// Nothing was left out up to here.
#[derive(Clone, PartialEq, Message)]
pub struct Beat {
    /// Where the node is.
    #[prost(int64, tag = "1")]
    pub position: i64,
    /// The hash of the chain of events there.
    #[prost(bytes = "vec", tag = "2")]
    pub hash: Vec<u8>,
}

/// What the whole replica comes to.
#[derive(Clone, PartialEq, Message)]
pub struct Check {
    /// Where.
    #[prost(int64, tag = "1")]
    pub position: i64,
    /// [`Gate::digest`](crate::Gate::digest), 16 bytes.
    #[prost(bytes = "vec", tag = "2")]
    pub digest: Vec<u8>,
}

/// The last thing that a node says, if it can.
#[derive(Clone, PartialEq, Message)]
pub struct End {
    /// A stable word for why.
    #[prost(string, tag = "1")]
    pub code: String,
}

/// What comes before the records of a frame.
#[derive(Clone, PartialEq, Message)]
pub struct Head {
    /// What one must hold to go on with this.
    #[prost(int64, tag = "1")]
    pub after: i64,
    /// What one holds then.
    #[prost(int64, tag = "2")]
    pub position: i64,
    /// Whether that is all up to the position: further frames have the rest.
    #[prost(bool, tag = "3")]
    pub complete: bool,
    /// How many records follow.
    #[prost(uint32, tag = "4")]
    pub count: u32,
}

/// What records are part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Everything there is.
    Snapshot,
    /// What has changed.
    Tail,
}

/// What was said.
#[derive(Clone, Debug, PartialEq)]
pub enum Frame {
    /// The beginning.
    Hello(Hello),
    /// Records.
    Records(Stage, Head, Vec<Record>),
    /// A heartbeat.
    Beat(Beat),
    /// A sum to compare.
    Check(Check),
    /// The end.
    End(End),
}

/// Not what a node says.
#[derive(Debug, thiserror::Error)]
pub enum Bad {
    /// The body of a frame is longer than any.
    #[error("a frame of {0} bytes, which is longer than any")]
    Long(usize),
    /// More records than a frame may have.
    #[error("a frame of {0} records, which is more than any has")]
    Many(u32),
    /// A kind of frame that may not be skipped, and is not known here.
    #[error("a frame of kind {0}, which this version does not know and may not skip: update it")]
    Kind(u8),
    /// Not packed as it says.
    #[error("a body that cannot be unpacked")]
    Packing,
    /// Not what the kind says.
    #[error("a body that cannot be read")]
    Body(#[from] prost::DecodeError),
    /// Bytes after the last record.
    #[error("a body that does not end where it should")]
    Rest,
}

impl Frame {
    /// What goes over the line. Records are written with [`part`], once for whoever reads them.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        match self {
            Self::Hello(hello) => framed(1, 0, &hello.encode_to_vec()),
            Self::Records(stage, head, records) => {
                let records: Vec<_> = records.iter().map(record::encode).collect();
                part(*stage, head, &records)
            }
            Self::Beat(beat) => framed(4, 0, &beat.encode_to_vec()),
            Self::Check(check) => framed(5, SKIPPABLE, &check.encode_to_vec()),
            Self::End(end) => framed(6, SKIPPABLE, &end.encode_to_vec()),
        }
    }

    fn decode(kind: u8, flags: u8, body: Bytes) -> Result<Option<Self>, Bad> {
        Ok(Some(match kind {
            1 => Self::Hello(Hello::decode(body)?),
            2 => Self::records(Stage::Snapshot, body)?,
            3 => Self::records(Stage::Tail, body)?,
            4 => Self::Beat(Beat::decode(body)?),
            5 => Self::Check(Check::decode(body)?),
            6 => Self::End(End::decode(body)?),
            _ if flags & SKIPPABLE != 0 => return Ok(None),
            kind => return Err(Bad::Kind(kind)),
        }))
    }

    fn records(stage: Stage, mut body: Bytes) -> Result<Self, Bad> {
        let head = Head::decode_length_delimited(&mut body)?;
        if head.count as usize > RECORDS_MAX {
            return Err(Bad::Many(head.count));
        }
        let mut records = Vec::new();
        for _ in 0..head.count {
            records.extend(record::decode(&mut body)?);
        }
        if body.has_remaining() { Err(Bad::Rest) } else { Ok(Self::Records(stage, head, records)) }
    }
}

/// A frame of records that were encoded before.
#[must_use]
pub fn part(stage: Stage, head: &Head, records: &[Bytes]) -> Bytes {
    let len = records.iter().map(Bytes::len).sum::<usize>() + head.encoded_len() + HEAD_LEN;
    let mut body = Vec::with_capacity(len);
    body.extend_from_slice(&head.encode_length_delimited_to_vec());
    records.iter().for_each(|record| body.extend_from_slice(record));
    framed(if stage == Stage::Snapshot { 2 } else { 3 }, 0, &body)
}

fn framed(kind: u8, flags: u8, body: &[u8]) -> Bytes {
    let packed = match body.len() >= PACK_FROM_LEN {
        true => zstd::bulk::compress(body, LEVEL).ok().filter(|packed| packed.len() < body.len()),
        false => None,
    };
    let (body, flags) = packed.as_deref().map_or((body, flags), |packed| (packed, flags | PACKED));
    let mut frame = BytesMut::with_capacity(HEAD_LEN + body.len());
    // A body of 4 GiB is none of ours: parts are cut far shorter.
    frame.put_u32(u32::try_from(body.len()).unwrap_or(u32::MAX));
    frame.put_u8(kind);
    frame.put_u8(flags);
    frame.put_slice(body);
    frame.freeze()
}

/// Reads frames from what comes in, in pieces of any size. Holds no more than one frame and what came with it.
#[derive(Default)]
pub struct Frames {
    waiting: BytesMut,
}

impl Frames {
    /// Takes what came in.
    pub fn push(&mut self, bytes: &[u8]) {
        self.waiting.extend_from_slice(bytes);
    }

    /// The next frame, if it is whole.
    ///
    /// # Errors
    /// [`Bad`]: what comes after cannot be read either.
    pub fn frame(&mut self) -> Result<Option<Frame>, Bad> {
        loop {
            let Some(head) = self.waiting.first_chunk::<HEAD_LEN>() else { return Ok(None) };
            let [a, b, c, d, kind, flags] = *head;
            let len = u32::from_be_bytes([a, b, c, d]) as usize;
            if len > BODY_LEN_MAX {
                return Err(Bad::Long(len));
            }
            if self.waiting.len() < HEAD_LEN + len {
                return Ok(None);
            }
            self.waiting.advance(HEAD_LEN);
            let mut body = self.waiting.split_to(len).freeze();
            if flags & PACKED != 0 {
                body = unpacked(&body)?;
            }
            if let Some(frame) = Frame::decode(kind, flags, body)? {
                return Ok(Some(frame));
            }
        }
    }
}

fn unpacked(packed: &[u8]) -> Result<Bytes, Bad> {
    // The length that a packed body claims is nothing that memory is taken for: it is compared first.
    let len = zstd::zstd_safe::get_frame_content_size(packed).ok().flatten().ok_or(Bad::Packing)?;
    let len = usize::try_from(len).unwrap_or(usize::MAX);
    if len > BODY_LEN_MAX {
        return Err(Bad::Long(len));
    }
    let body = zstd::bulk::decompress(packed, len).map_err(|_| Bad::Packing)?;
    Ok(body.into())
}
