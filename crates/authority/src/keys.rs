//! The key file, and what is done with it: seals over rows, encryption of second-factor seeds, tags of recovery codes.
//!
//! The key is never in the database, so that writing to the database is not access (DESIGN §4).

use std::{
    fs,
    io::Write as _,
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::Path,
};

use chacha20poly1305::{
    KeyInit as _, XChaCha20Poly1305,
    aead::{Aead as _, Payload},
};
use hkdf::Hkdf;
use hmac::{Hmac, Mac as _};
use keygate_model::{CustomerId, UserId, otp::RecoveryCode};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::{denial::Denials, fault::Fault, signer::Signer};

const NONCE_LEN: usize = 24;

/// Whether others than this process's user may read the key file, or change it. A file of root's may be read by its group: so
/// systems hand out secrets to who is not root and cannot own them. PostgreSQL has the same rule for its own.
fn is_exposed(mode: u32, owner: u32, own: u32) -> bool {
    let tolerated = if owner == 0 && own != 0 { 0o040 } else { 0 };
    mode & 0o077 & !tolerated != 0
}

/// The keys, each derived from the one in the file.
pub struct Keys {
    seal: Hmac<Sha256>,
    tag: Hmac<Sha256>,
    seed: XChaCha20Poly1305,
    denials: Denials,
    signer: Signer,
}

impl Keys {
    /// Reads the key file, or makes it, mode 0600, from `entropy`, if there is none.
    ///
    /// # Errors
    /// [`Fault::KeyFile`] if it cannot be read or made, is malformed, or others may read it.
    pub fn open(path: &Path, entropy: &[u8; 32]) -> Result<Self, Fault> {
        let odd = |why: &dyn std::fmt::Display| Fault::KeyFile(format!("{}: {why}", path.display()));
        match fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
            Ok(mut file) => {
                let line = Zeroizing::new(format!("{}\n", data_encoding::HEXLOWER.encode(entropy)));
                file.write_all(line.as_bytes()).and_then(|()| file.sync_all()).map_err(|why| odd(&why))?;
            }
            Err(exists) if exists.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(why) => return Err(odd(&why)),
        }
        let file = fs::metadata(path).map_err(|why| odd(&why))?;
        if is_exposed(file.mode(), file.uid(), rustix::process::geteuid().as_raw()) {
            return Err(odd(&format!("others may read it (mode {:o}); chmod 600 it", file.mode() & 0o777)));
        }
        let text = Zeroizing::new(fs::read_to_string(path).map_err(|why| odd(&why))?);
        let bytes = data_encoding::HEXLOWER.decode(text.trim_ascii_end().as_bytes());
        let key: Zeroizing<Vec<u8>> = bytes.map_err(|_| odd(&"not 64 hexadecimal digits"))?.into();
        let key: &[u8; 32] = key.as_slice().try_into().map_err(|_| odd(&"not 64 hexadecimal digits"))?;
        Ok(Self::derive(key))
    }

    /// The keys that the 32 bytes of a key file make.
    #[must_use]
    pub fn derive(key: &[u8; 32]) -> Self {
        let hmac = |label: &[u8]| <Hmac<Sha256> as hmac::KeyInit>::new(&(*expand::<64>(key, label)).into());
        Self {
            seal: hmac(b"keygate row seal 1"),
            tag: hmac(b"keygate tag 1"),
            seed: XChaCha20Poly1305::new(&(*expand::<32>(key, b"keygate second-factor seed 1")).into()),
            denials: Denials::new(&expand::<32>(key, b"keygate denial 1")),
            signer: Signer::new(&expand::<32>(key, b"keygate identity 1")),
        }
    }

    /// What makes the ids of refusals.
    #[must_use]
    pub fn denials(&self) -> Denials {
        self.denials.clone()
    }

    /// What signs identities.
    #[must_use]
    pub fn signer(&self) -> &Signer {
        &self.signer
    }

    /// Starts a seal over the columns of a row of `table`.
    #[must_use]
    pub fn seal(&self, table: &str) -> Seal {
        Seal(self.seal.clone()).text(table)
    }

    /// A short keyed hash, for telling that two things were the same without keeping them.
    #[must_use]
    pub fn tag(&self, what: &str, bytes: &[u8]) -> [u8; 16] {
        let seal = Seal(self.tag.clone()).text(what).blob(bytes).finish();
        let mut tag = [0; 16];
        tag.copy_from_slice(&seal[..16]);
        tag
    }

    /// What is kept of a recovery code: it has 120 random bits, so a keyed hash is enough (ASVS 6.5.2).
    #[must_use]
    pub fn recovery_tag(&self, user: UserId, code: &RecoveryCode) -> String {
        let mut bytes = user.to_bytes().to_vec();
        bytes.extend_from_slice(code.canonical());
        data_encoding::HEXLOWER.encode(&self.tag("recovery code", &bytes))
    }

    /// Encrypts a second-factor seed for the one row it belongs to.
    #[must_use]
    pub fn lock_seed(
        &self,
        customer: CustomerId,
        user: UserId,
        seed: &[u8],
        nonce: [u8; NONCE_LEN],
    ) -> Vec<u8> {
        let aad = aad(customer, user);
        // Encryption in memory fails only for messages beyond 256 GiB.
        let sealed = self.seed.encrypt(&nonce.into(), Payload { msg: seed, aad: &aad }).unwrap_or_default();
        [&nonce[..], &sealed].concat()
    }

    /// Decrypts it. None if it was moved to another row, or edited.
    #[must_use]
    pub fn unlock_seed(
        &self,
        customer: CustomerId,
        user: UserId,
        locked: &[u8],
    ) -> Option<Zeroizing<Vec<u8>>> {
        let (nonce, msg) = locked.split_first_chunk::<NONCE_LEN>()?;
        let aad = aad(customer, user);
        self.seed.decrypt(&(*nonce).into(), Payload { msg, aad: &aad }).ok().map(Zeroizing::new)
    }
}

fn expand<const LEN: usize>(key: &[u8; 32], label: &[u8]) -> Zeroizing<[u8; LEN]> {
    let mut out = Zeroizing::new([0; LEN]);
    // HKDF-SHA256 refuses only lengths beyond 8160 bytes.
    let _ = Hkdf::<Sha256>::new(None, key).expand(label, &mut *out);
    out
}

fn aad(customer: CustomerId, user: UserId) -> [u8; 32] {
    let mut aad = [0; 32];
    aad[..16].copy_from_slice(&customer.to_bytes());
    aad[16..].copy_from_slice(&user.to_bytes());
    aad
}

/// A keyed hash over a list of columns, each with its length before it, so that no two lists read the same.
#[derive(Clone)]
pub struct Seal(Hmac<Sha256>);

impl Seal {
    /// Adds bytes.
    #[must_use]
    pub fn blob(mut self, bytes: &[u8]) -> Self {
        self.0.update(&(bytes.len() as u64).to_be_bytes());
        self.0.update(bytes);
        self
    }

    /// Adds text.
    #[must_use]
    pub fn text(self, text: &str) -> Self {
        self.blob(text.as_bytes())
    }

    /// Adds a number.
    #[must_use]
    pub fn int(self, number: i64) -> Self {
        self.blob(&number.to_be_bytes())
    }

    /// The seal.
    #[must_use]
    pub fn finish(self) -> [u8; 32] {
        self.0.finalize().into_bytes().into()
    }

    /// Whether `other` is this seal, in constant time.
    #[must_use]
    pub fn is(self, other: &[u8]) -> bool {
        self.finish().ct_eq(other).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roots_file_may_be_read_by_its_group() {
        let cases =
            [(0o400, false), (0o440, false), (0o640, false), (0o444, true), (0o460, true), (0o450, true)];
        cases.iter().for_each(|(mode, exposed)| assert_eq!(is_exposed(*mode, 0, 1000), *exposed, "{mode:o}"));
        for (owner, own) in [(1000, 1000), (0, 0), (1000, 0), (1001, 1000)] {
            assert!(is_exposed(0o440, owner, own), "{owner} {own}");
            assert!(!is_exposed(0o600, owner, own), "{owner} {own}");
        }
    }

    #[test]
    fn seals_tell_lists_apart_that_join_to_the_same_bytes() {
        let keys = Keys::derive(&[1; 32]);
        let one = keys.seal("t").text("ab").text("c").finish();
        assert_ne!(one, keys.seal("t").text("a").text("bc").finish());
        assert_ne!(one, keys.seal("u").text("ab").text("c").finish());
        assert_ne!(one, Keys::derive(&[2; 32]).seal("t").text("ab").text("c").finish());
    }

    #[test]
    fn a_seed_opens_only_in_its_own_row() {
        let keys = Keys::derive(&[1; 32]);
        let (customer, user) = (CustomerId::from_bits(1), UserId::from_bits(2));
        let locked = keys.lock_seed(customer, user, b"seed", [7; NONCE_LEN]);
        assert_eq!(keys.unlock_seed(customer, user, &locked).unwrap().as_slice(), b"seed");
        assert!(keys.unlock_seed(customer, UserId::from_bits(3), &locked).is_none());
        assert!(keys.unlock_seed(customer, user, &locked[..10]).is_none());
    }
}
