//! What a post keeps on disk, so that a restart need not wait for everything to be told anew. Sealed with a key from the
//! gate's own token, and believed only as far as a node goes on from it: nothing is allowed by it alone.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufWriter, Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use hmac::{Hmac, Mac as _};
use keygate_gate::{
    Filling, Gate,
    follow::{Past, Place},
    wire::{Beat, Frame, Frames, Head, Hello, PART_LEN, RECORDS_MAX, Stage, VERSION, encode, part},
};
use keygate_model::{Batch, Position, Record, Timestamp};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

const MAGIC: &[u8] = b"keygate gate state 1\n";
const TAG_LEN: usize = 32;
/// One block of SHA-256.
const KEY_LEN: usize = 64;
const TIME_LEN: usize = 8;
/// An epoch, and a position in it.
const POINT_LEN: usize = 16;

/// How far the clock of whoever wrote a file may be ahead.
const AHEAD_MAX: Duration = Duration::from_secs(60);

/// Where a post keeps what it knows.
pub(crate) struct State {
    dir: PathBuf,
    key: Zeroizing<[u8; KEY_LEN]>,
    age_max: Duration,
}

/// Why what is there is of no use.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Useless {
    #[error("it cannot be read: {0}")]
    Unread(#[from] io::Error),
    #[error("its seal is wrong: it was changed, or another token wrote it")]
    Seal,
    #[error("it is too old")]
    Old,
    #[error("it is behind what this gate has applied")]
    Behind,
    #[error("what it holds cannot be read: another version wrote it")]
    Form,
}

impl State {
    pub(crate) fn new(dir: PathBuf, token: &str, age_max: Duration) -> Self {
        // A token has 256 random bits, so one hash makes a key of it.
        let mut key = Zeroizing::new([0; KEY_LEN]);
        key[..TAG_LEN].copy_from_slice(&Sha256::new().chain_update(MAGIC).chain_update(token).finalize());
        Self { dir, key, age_max }
    }

    /// Where the gate has been. None: nothing is known.
    pub(crate) fn past(&self) -> Option<Past> {
        let bytes = fs::read(self.dir.join("epoch")).ok()?;
        let (said, seal) = bytes.split_last_chunk::<TAG_LEN>()?;
        let past = self.verify(&[b"epoch", said], seal).then(|| past(said)).flatten();
        if past.is_none() {
            tracing::warn!("what this gate had applied is not known: the seal is wrong");
        }
        past
    }

    /// Notes where the gate has been.
    pub(crate) fn note(&self, past: &Past) -> io::Result<()> {
        let mut said = point(past.high.0, past.high.1);
        if let Some(heard) = &past.heard {
            said.extend(point(heard.epoch, heard.position));
            said.extend(&heard.hash);
        }
        let seal = tag(&self.key, &[b"epoch", &said]);
        self.replace("epoch", |file| file.write_all(&[&said[..], &seal].concat()))
    }

    /// Writes what a gate holds. It goes on from `place`, which the gate held before.
    pub(crate) fn save(&self, gate: &Gate, place: &Place, now: Timestamp) -> io::Result<()> {
        self.replace("state", |file| {
            let mut sealed = Sealed { file, seal: mac(&self.key) };
            sealed.write(MAGIC)?;
            sealed.write(&now.micros().to_be_bytes())?;
            sealed.write(&hello(place).encode())?;
            let head = |complete| Head { after: 0, position: place.position.0, complete, count: 0 };
            let (mut records, mut len, mut failed) = (Vec::new(), 0, None);
            gate.export(|record| {
                let record = encode(&record);
                len += record.len();
                records.push(record);
                if (len >= PART_LEN || records.len() == RECORDS_MAX) && failed.is_none() {
                    let count = u32::try_from(records.len()).unwrap_or(u32::MAX);
                    let head = Head { count, ..head(false) };
                    failed = sealed.write(&part(Stage::Snapshot, &head, &records)).err();
                    (records, len) = (Vec::new(), 0);
                }
            });
            failed.map_or(Ok(()), Err)?;
            let count = u32::try_from(records.len()).unwrap_or(u32::MAX);
            sealed.write(&part(Stage::Snapshot, &Head { count, ..head(true) }, &records))?;
            let beat = Beat { position: place.position.0, hash: place.hash.clone() };
            sealed.write(&Frame::Beat(beat).encode())?;
            let Sealed { file, seal } = sealed;
            file.write_all(&seal.finalize().into_bytes())
        })
    }

    /// Reads what was written, into a replica beside the one that decides.
    pub(crate) fn load(
        &self,
        gate: &Gate,
        high: (u64, Position),
        now: Timestamp,
    ) -> Result<Option<(Filling, Place)>, Useless> {
        let mut bytes = Vec::new();
        match File::open(self.dir.join("state")) {
            Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file?.read_to_end(&mut bytes)?,
        };
        let (said, seal) = bytes.split_last_chunk::<TAG_LEN>().ok_or(Useless::Seal)?;
        if !self.verify(&[said], seal) {
            return Err(Useless::Seal);
        }
        let (written, frames) = said
            .strip_prefix(MAGIC)
            .and_then(|said| said.split_first_chunk::<TIME_LEN>())
            .ok_or(Useless::Form)?;
        let written = Timestamp::from_micros(i64::from_be_bytes(*written));
        if now > written.after(self.age_max) || written > now.after(AHEAD_MAX) {
            return Err(Useless::Old);
        }
        let (filling, place) = replica(gate, frames)?;
        if (place.epoch, place.position) < high {
            return Err(Useless::Behind);
        }
        Ok(Some((filling, place)))
    }

    fn verify(&self, parts: &[&[u8]], seal: &[u8; TAG_LEN]) -> bool {
        let mut mac = mac(&self.key);
        parts.iter().for_each(|part| mac.update(part));
        mac.verify_slice(seal).is_ok()
    }

    /// Writes a file that is there as a whole or not at all, for nobody else to read.
    fn replace(
        &self,
        name: &str,
        write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
    ) -> io::Result<()> {
        let (path, new) = (self.dir.join(name), self.dir.join(format!("{name}.new")));
        let _ = fs::remove_file(&new);
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
        let mut file = BufWriter::new(file);
        write(&mut file)?;
        file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
        fs::rename(new, path)?;
        sync(&self.dir)
    }
}

fn point(epoch: u64, position: Position) -> Vec<u8> {
    [epoch.to_be_bytes(), position.0.to_be_bytes()].concat()
}

/// What [`State::note`] wrote: the highest point, and where a hash was heard if one was.
fn past(said: &[u8]) -> Option<Past> {
    let point = |said: &[u8; POINT_LEN]| {
        let [epoch, position] = *said.as_chunks::<8>().0 else { return None };
        Some((u64::from_be_bytes(epoch), Position(i64::from_be_bytes(position))))
    };
    let (high, rest) = said.split_first_chunk()?;
    let heard = match rest.split_first_chunk() {
        None if rest.is_empty() => None,
        None => return None,
        Some((at, hash)) => {
            let (epoch, position) = point(at)?;
            Some(Place { epoch, position, hash: hash.to_vec() })
        }
    };
    Some(Past { high: point(high)?, heard })
}

/// A file, and the seal of what was written to it.
struct Sealed<'f> {
    file: &'f mut BufWriter<File>,
    seal: Hmac<Sha256>,
}

impl Sealed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.seal.update(bytes);
        self.file.write_all(bytes)
    }
}

fn hello(place: &Place) -> Frame {
    Frame::Hello(Hello {
        version: VERSION,
        oldest: VERSION,
        epoch: place.epoch,
        position: place.position.0,
        snapshot: true,
        ..Hello::default()
    })
}

/// The replica that these frames make, and where it goes on.
fn replica(gate: &Gate, bytes: &[u8]) -> Result<(Filling, Place), Useless> {
    let (filling, mut frames) = (gate.filling(0), Frames::default());
    let (mut epoch, mut is_whole, mut place) = (None, false, None);
    for piece in bytes.chunks(PART_LEN) {
        frames.push(piece);
        while let Some(frame) = frames.frame().map_err(|_| Useless::Form)? {
            match frame {
                Frame::Hello(hello) if hello.oldest <= VERSION => epoch = Some(hello.epoch),
                Frame::Records(Stage::Snapshot, head, records) => {
                    if records.iter().any(is_doubtful) {
                        return Err(Useless::Form);
                    }
                    is_whole |= head.complete;
                    filling.apply(Batch { position: Position(head.position), records });
                }
                Frame::Beat(Beat { position, hash }) if is_whole => {
                    let epoch = epoch.ok_or(Useless::Form)?;
                    place = Some(Place { epoch, position: Position(position), hash });
                }
                _ => return Err(Useless::Form),
            }
        }
    }
    Ok((filling, place.ok_or(Useless::Form)?))
}

/// What an older version wrote it would have understood: where it did not, everything is better told anew.
fn is_doubtful(record: &Record) -> bool {
    matches!(record, Record::Broken(subject) if !matches!(subject, keygate_model::Subject::Policy(_)))
}

fn mac(key: &[u8; KEY_LEN]) -> Hmac<Sha256> {
    <Hmac<Sha256> as hmac::KeyInit>::new(&(*key).into())
}

fn tag(key: &[u8; KEY_LEN], parts: &[&[u8]]) -> [u8; TAG_LEN] {
    let mut mac = mac(key);
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

fn sync(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests;
