//! Token secrets: what they look like on the wire, and the digest that is all we keep.
//!
//! `kgu_` + 43 base-62 characters (256 random bits) + 6 base-62 characters of CRC-32 over what stands before. The
//! checksum tells a truncated copy from a wrong secret without a look-up; it proves nothing else (DESIGN §4).

use std::fmt;

use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::base62;

const RANDOM_LEN: usize = 43;
const CHECKSUM_LEN: usize = 6;
/// The letter of the kind and the underscore.
const KIND_LEN: usize = 2;

/// What sort of token a secret says it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Bound to a user: `u`.
    User,
    /// Bound to the customer: `a`.
    Automation,
    /// A console session: `s`.
    Session,
    /// Exchanged and short-lived: `x`.
    Exchanged,
}

impl Kind {
    const fn letter(self) -> u8 {
        match self {
            Self::User => b'u',
            Self::Automation => b'a',
            Self::Session => b's',
            Self::Exchanged => b'x',
        }
    }

    fn of_letter(letter: u8) -> Option<Self> {
        [Self::User, Self::Automation, Self::Session, Self::Exchanged]
            .into_iter()
            .find(|kind| kind.letter() == letter)
    }
}

/// The operator's part of the prefix: `kg` unless they changed it (`acme_` makes `acme_u_…`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Brand(Box<str>);

/// A brand must be short enough for the whole secret to stay one SHA-256 block.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a token prefix is 1 to 4 characters of a-z and 0-9, or up to 3 and an underscore")]
pub struct BadBrand;

impl Brand {
    /// Reads a brand from the configuration.
    ///
    /// # Errors
    /// [`BadBrand`] where secrets would outgrow 55 bytes, one block of SHA-256, or be unquotable.
    pub fn parse(text: &str) -> Result<Self, BadBrand> {
        let word = text.strip_suffix('_').unwrap_or(text);
        let plain = word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        (plain && !word.is_empty() && text.len() <= 4).then(|| Self(text.into())).ok_or(BadBrand)
    }
}

impl Brand {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Brand {
    fn default() -> Self {
        Self("kg".into())
    }
}

/// A freshly made secret, on its way to its owner. No `Debug`, no `Clone`, no `Serialize`; wiped when dropped.
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// The secret that these random bits make.
    #[must_use]
    pub fn mint(brand: &Brand, kind: Kind, entropy: &[u8; 32]) -> Self {
        let mut text = Zeroizing::new(String::with_capacity(64));
        text.push_str(&brand.0);
        text.push(char::from(kind.letter()));
        text.push('_');
        text.push_str(&Zeroizing::new(base62::encode_wide(entropy, RANDOM_LEN)));
        let checksum = crc32fast::hash(text.as_bytes());
        text.push_str(&base62::encode_wide(&checksum.to_be_bytes(), CHECKSUM_LEN));
        Self(text)
    }

    /// What is kept of it.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(self.0.as_bytes())
    }

    /// The text, for the one answer that shows it.
    #[must_use]
    pub fn reveal(self) -> Zeroizing<String> {
        self.0
    }
}

/// A secret as a caller presented it: well formed, not yet known to be anybody's. Borrows the request.
pub struct Presented<'a> {
    text: &'a [u8],
    /// None: a foreign secret.
    kind: Option<Kind>,
}

/// Whether secrets that were made elsewhere are looked up too. Only where some were imported: else what is not one of
/// ours costs neither a hash nor a look-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Foreign {
    /// They are.
    Accepted,
    /// They are not.
    Refused,
}

/// How long an imported secret may be, in bytes. A shorter one could be guessed from its digest.
pub const FOREIGN_LEN: std::ops::RangeInclusive<usize> = 16..=256;

/// Why a presented secret is refused before any look-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Another prefix, another length, a character outside base 62.
    #[error("this is not one of our tokens: the prefix, the length or a character is off")]
    Shape,
    /// The shape is right and the last six characters do not fit the rest.
    #[error("checksum does not match: truncated copy, or a mistyped character?")]
    Checksum,
}

impl<'a> Presented<'a> {
    /// Checks shape and checksum. Never trims, folds or repairs. What begins like one of ours must be one.
    ///
    /// # Errors
    /// [`Malformed`], which costs no look-up and no hash.
    pub fn parse(text: &'a [u8], brand: &Brand, foreign: Foreign) -> Result<Self, Malformed> {
        if foreign == Foreign::Accepted && !is_like_ours(text, brand) {
            let kind = None;
            return if is_foreign(text) { Ok(Self { text, kind }) } else { Err(Malformed::Shape) };
        }
        let rest = text.strip_prefix(brand.0.as_bytes()).ok_or(Malformed::Shape)?;
        if rest.len() != KIND_LEN + RANDOM_LEN + CHECKSUM_LEN || rest[1] != b'_' {
            return Err(Malformed::Shape);
        }
        let kind = Kind::of_letter(rest[0]).ok_or(Malformed::Shape)?;
        // The checksum first: of all that is wrong with a secret, it is the cheapest to find.
        let (body, checksum) = text.split_at(text.len() - CHECKSUM_LEN);
        if base62::decode_u32(checksum) != Some(crc32fast::hash(body)) {
            return Err(Malformed::Checksum);
        }
        if !base62::is_base62(&rest[KIND_LEN..]) {
            return Err(Malformed::Shape);
        }
        Ok(Self { text, kind: Some(kind) })
    }

    /// The kind that the prefix claims; none of a foreign secret.
    #[must_use]
    pub fn kind(&self) -> Option<Kind> {
        self.kind
    }

    /// What to look up.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(self.text)
    }
}

/// Whether a secret begins like one of ours, and so must be one: a foreign one that does would never be looked up.
#[must_use]
pub fn is_like_ours(text: &[u8], brand: &Brand) -> bool {
    let kind = text.strip_prefix(brand.0.as_bytes()).and_then(|rest| rest.split_first_chunk::<KIND_LEN>());
    kind.is_some_and(|([letter, line], _)| *line == b'_' && Kind::of_letter(*letter).is_some())
}

/// Whether a secret can have been imported: visible ASCII without a comma, which would be two in one header.
#[must_use]
pub fn is_foreign(text: &[u8]) -> bool {
    FOREIGN_LEN.contains(&text.len()) && text.iter().all(|byte| byte.is_ascii_graphic() && *byte != b',')
}

/// SHA-256 of a secret: 256 random bits in, so a plain hash is enough (ASVS 6.5.2).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of a whole secret.
    #[must_use]
    pub fn of(secret: &[u8]) -> Self {
        Self(Sha256::digest(secret).into())
    }

    /// The stored form.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// All 32 bytes.
    #[must_use]
    pub const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The first 128 bits, which the replica is keyed by: finding a second secret for one of ten million stored
    /// prefixes would take 2^104 tries.
    #[must_use]
    pub fn prefix(&self) -> (u64, u64) {
        let mut words = [0; 2];
        for (word, bytes) in words.iter_mut().zip(self.0.as_chunks().0) {
            *word = u64::from_be_bytes(*bytes);
        }
        words.into()
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({:02x}{:02x}…)", self.0[0], self.0[1])
    }
}

/// The longest name a token may carry, in bytes.
pub const NAME_LEN_MAX: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn secret(entropy: u8) -> String {
        Secret::mint(&Brand::default(), Kind::User, &[entropy; 32]).reveal().to_string()
    }

    fn refusal(text: &[u8]) -> Option<Malformed> {
        Presented::parse(text, &Brand::default(), Foreign::Refused).err()
    }

    #[test]
    fn a_secret_is_53_characters_and_reads_back() {
        let text = secret(7);
        assert_eq!((text.len(), &text[..4]), (53, "kgu_"));
        let presented = Presented::parse(text.as_bytes(), &Brand::default(), Foreign::Refused).ok().unwrap();
        assert_eq!(presented.kind(), Some(Kind::User));
        assert_eq!(presented.digest(), Digest::of(text.as_bytes()));
    }

    #[test]
    fn any_single_change_is_refused() {
        let text = secret(9).into_bytes();
        for place in 0..text.len() {
            for change in [b'0', b'Z', b'a', b' ', b'\n', b'%', 0, 0xA0] {
                let mut other = text.clone();
                if std::mem::replace(&mut other[place], change) != change {
                    // `kga_` and `kgs_` are kinds of their own; the checksum covers the letter too.
                    assert!(refusal(&other).is_some(), "{place} {change}");
                }
            }
        }
    }

    #[test]
    fn a_truncated_copy_says_so_only_when_its_length_is_right() {
        let text = secret(3);
        assert_eq!(refusal(&text.as_bytes()[..52]), Some(Malformed::Shape));
        let swapped = format!("{}{}", &text[..52], if text.ends_with('0') { '1' } else { '0' });
        assert_eq!(refusal(swapped.as_bytes()), Some(Malformed::Checksum));
        assert_eq!(refusal(format!(" {text}").as_bytes()), Some(Malformed::Shape));
        assert_eq!(refusal(format!("{text} ").as_bytes()), Some(Malformed::Shape));
        assert_eq!(refusal(text.to_uppercase().as_bytes()), Some(Malformed::Shape));
    }

    #[test]
    fn the_operator_may_change_the_brand() {
        let brand = Brand::parse("acm_").unwrap();
        let text = Secret::mint(&brand, Kind::Automation, &[1; 32]).reveal();
        assert!(text.starts_with("acm_a_") && text.len() == 55);
        assert!(Presented::parse(text.as_bytes(), &brand, Foreign::Accepted).is_ok());
        assert_eq!(refusal(text.as_bytes()), Some(Malformed::Shape));
        assert!(
            Brand::parse("").is_err() && Brand::parse("ACME").is_err() && Brand::parse("toolong").is_err()
        );
    }

    #[test]
    fn a_foreign_secret_is_taken_only_where_some_were_imported() {
        let parse =
            |text: &[u8], foreign| Presented::parse(text, &Brand::default(), foreign).map(|read| read.kind());
        let legacy = b"0123456789abcdef0123456789abcdef";
        assert_eq!(parse(legacy, Foreign::Accepted), Ok(None));
        assert_eq!(parse(legacy, Foreign::Refused), Err(Malformed::Shape));
        for odd in [
            &b"short"[..],
            b"with a blank inside it",
            b"with,a,comma,inside",
            &[b'x'; 257],
            b"nul\0nul\0nul\0nul\0nul",
        ] {
            assert_eq!(parse(odd, Foreign::Accepted), Err(Malformed::Shape));
        }
        // A truncated secret of ours stays one: it is told so, and never looked up.
        assert_eq!(parse(&secret(3).as_bytes()[..52], Foreign::Accepted), Err(Malformed::Shape));
    }

    proptest! {
        #[test]
        fn junk_is_refused(junk: Vec<u8>) {
            prop_assert!(refusal(&junk).is_some());
        }
    }
}
