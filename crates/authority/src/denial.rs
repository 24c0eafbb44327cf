//! Ids of refusals. A refusal is not kept: its id holds what is needed to explain it later, encrypted, so that a flood of
//! refusals costs no memory, and an id says nothing to anybody but Keygate.

use chacha20poly1305::{
    KeyInit as _, XChaCha20Poly1305,
    aead::{Aead as _, Payload},
};
use data_encoding::Encoding;
use keygate_model::Timestamp;

const NONCE_LEN: usize = 24;
const PLAIN_LEN: usize = 41;

/// What an id of a refusal holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Denial {
    /// When, to the second.
    pub at: Timestamp,
    /// Why: the number of a code, which whoever refuses assigns.
    pub reason: u8,
    /// The token; for one that nobody knows, the beginning of its digest; zero for none.
    pub token: [u8; 16],
    /// A hash of the route.
    pub route: u32,
    /// The value that was refused: a service or an address; zero for none.
    pub value: [u8; 16],
}

/// Makes ids of refusals, and reads them.
#[derive(Clone)]
pub struct Denials(XChaCha20Poly1305);

/// What sets these ids apart from ids of other things, and one version of them from the next.
const AAD: &[u8] = b"keygate denial 1";

const TEXT: Encoding = data_encoding::BASE64URL_NOPAD;

impl Denials {
    pub(crate) fn new(key: &[u8; 32]) -> Self {
        Self(XChaCha20Poly1305::new(key.into()))
    }

    /// The id of a refusal: 108 characters of base64url.
    #[must_use]
    pub fn id(&self, denial: &Denial, nonce: [u8; NONCE_LEN]) -> String {
        let mut plain = [0; PLAIN_LEN];
        let seconds = u32::try_from(denial.at.seconds()).unwrap_or(u32::MAX);
        plain[..4].copy_from_slice(&seconds.to_be_bytes());
        plain[4] = denial.reason;
        plain[5..21].copy_from_slice(&denial.token);
        plain[21..25].copy_from_slice(&denial.route.to_be_bytes());
        plain[25..].copy_from_slice(&denial.value);
        // Encryption in memory fails only for messages beyond 256 GiB.
        let sealed = self.0.encrypt(&nonce.into(), Payload { msg: &plain, aad: AAD }).unwrap_or_default();
        TEXT.encode(&[&nonce[..], &sealed].concat())
    }

    /// What the id of a refusal holds. None if it was not made here.
    #[must_use]
    pub fn read(&self, id: &str) -> Option<Denial> {
        let sealed = TEXT.decode(id.as_bytes()).ok()?;
        let (nonce, msg) = sealed.split_first_chunk::<NONCE_LEN>()?;
        let plain = self.0.decrypt(&(*nonce).into(), Payload { msg, aad: AAD }).ok()?;
        let plain: [u8; PLAIN_LEN] = plain.try_into().ok()?;
        let (seconds, rest) = plain.split_first_chunk::<4>()?;
        let (&[reason], rest) = rest.split_first_chunk::<1>()?;
        let (token, rest) = rest.split_first_chunk::<16>()?;
        let (route, value) = rest.split_first_chunk::<4>()?;
        Some(Denial {
            at: Timestamp::from_seconds(i64::from(u32::from_be_bytes(*seconds))),
            reason,
            token: *token,
            route: u32::from_be_bytes(*route),
            value: value.try_into().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_holds_what_it_was_made_of_and_nobody_else_makes_one() {
        let denial = Denial {
            at: Timestamp::from_seconds(1_800_000_000),
            reason: 7,
            token: [1; 16],
            route: 0xdead_beef,
            value: [2; 16],
        };
        let id = Denials::new(&[3; 32]).id(&denial, [4; NONCE_LEN]);
        assert_eq!(Denials::new(&[3; 32]).read(&id), Some(denial));
        assert_eq!(Denials::new(&[5; 32]).read(&id), None);
        for at in 0..id.len() {
            let mut other = id.clone().into_bytes();
            other[at] = if other[at] == b'A' { b'B' } else { b'A' };
            let other = String::from_utf8(other).unwrap();
            assert_ne!(Denials::new(&[3; 32]).read(&other), Some(denial), "{at}");
        }
        assert_eq!(Denials::new(&[3; 32]).read(""), None);
    }
}
