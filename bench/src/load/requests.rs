//! What is sent: requests rendered before the run, so that sending one is a copy at most.

use std::io;

/// The requests of a run, kept in one buffer: a common head, one piece out of many, a common tail.
///
/// Ten million tokens then cost their own bytes and eight more each, not a whole request each.
#[derive(Debug)]
pub struct Requests {
    head: Vec<u8>,
    pieces: Vec<u8>,
    ends: Vec<usize>,
    tail: Vec<u8>,
    longest: usize,
}

impl Requests {
    /// Whole requests, each sent as it is.
    pub fn whole<P: AsRef<[u8]>>(requests: impl IntoIterator<Item = P>) -> Self {
        Self::around("", requests, "")
    }

    /// One request for each piece: `head`, the piece, `tail`. The pieces are the tokens, as a rule.
    pub fn around<P: AsRef<[u8]>>(
        head: impl Into<Vec<u8>>,
        pieces: impl IntoIterator<Item = P>,
        tail: impl Into<Vec<u8>>,
    ) -> Self {
        let mut all =
            Self { head: head.into(), pieces: Vec::new(), ends: Vec::new(), tail: tail.into(), longest: 0 };
        for piece in pieces {
            let piece = piece.as_ref();
            all.pieces.extend_from_slice(piece);
            all.ends.push(all.pieces.len());
            all.longest = all.longest.max(all.head.len() + piece.len() + all.tail.len());
        }
        all
    }

    /// Whether these can be sent at all.
    pub(super) fn check(&self) -> io::Result<()> {
        let wrong = if self.ends.is_empty() {
            "no request to send".to_owned()
        } else if u32::try_from(self.ends.len()).is_err() {
            "more than 2^32 requests".to_owned()
        } else if self.longest > REQUEST_BYTES_MAX {
            format!("a request of {} bytes: {REQUEST_BYTES_MAX} is the most", self.longest)
        } else {
            return Ok(());
        };
        Err(io::Error::new(io::ErrorKind::InvalidInput, wrong))
    }

    /// The request that `chance` falls on. `scratch` holds it if it must be put together.
    pub(super) fn draw<'a>(&'a self, chance: u32, scratch: &'a mut Vec<u8>) -> &'a [u8] {
        let at = ((u64::from(chance) * self.ends.len() as u64) >> 32) as usize;
        let start = if at == 0 { 0 } else { self.ends[at - 1] };
        let piece = &self.pieces[start..self.ends[at]];
        if self.head.is_empty() && self.tail.is_empty() {
            return piece;
        }
        scratch.clear();
        scratch.extend_from_slice(&self.head);
        scratch.extend_from_slice(piece);
        scratch.extend_from_slice(&self.tail);
        scratch
    }
}

/// xorshift64*: a few instructions a draw. Good enough to defeat caches, which is all it is for.
#[derive(Debug)]
pub(super) struct Chance(u64);

impl Chance {
    pub(super) fn new(seed: u64) -> Self {
        // Spread, so that seeds 1 and 2 do not start alike; never zero, where xorshift would stay.
        Self(seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(super) fn next(&mut self) -> u32 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32) as u32
    }
}

/// A fresh socket takes this much at once, so a short write can be treated as a fault.
const REQUEST_BYTES_MAX: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_requests_are_drawn_as_they_are() {
        let all = Requests::whole(["one", "two", "three"]);
        let mut scratch = Vec::new();
        assert_eq!(all.draw(0, &mut scratch), b"one");
        assert_eq!(all.draw(u32::MAX / 2, &mut scratch), b"two");
        assert_eq!(all.draw(u32::MAX, &mut scratch), b"three");
    }

    #[test]
    fn a_piece_is_put_between_head_and_tail() {
        let all = Requests::around("<", ["a", "", "ccc"], ">");
        let mut scratch = Vec::new();
        assert_eq!(all.draw(0, &mut scratch), b"<a>");
        assert_eq!(all.draw(u32::MAX / 2, &mut scratch), b"<>");
        assert_eq!(all.draw(u32::MAX, &mut scratch), b"<ccc>");
    }

    #[test]
    fn every_request_is_drawn_about_as_often() {
        let all = Requests::whole((0..10_u8).map(|n| [n]));
        let (mut chance, mut scratch, mut seen) = (Chance::new(7), Vec::new(), [0; 10]);
        for _ in 0..10_000 {
            seen[usize::from(all.draw(chance.next(), &mut scratch)[0])] += 1;
        }
        assert!(seen.iter().all(|&times| (850..1150).contains(&times)), "{seen:?}");
    }

    #[test]
    fn none_and_too_long_are_refused() {
        assert!(Requests::whole([""; 0]).check().is_err());
        assert!(Requests::whole([vec![b'x'; REQUEST_BYTES_MAX]]).check().is_ok());
        assert!(Requests::around("x", [vec![b'x'; REQUEST_BYTES_MAX]], "").check().is_err());
    }
}
