//! Codes of one-time links: to accept an invitation, to set a new password.

use zeroize::Zeroizing;

use crate::{base62, token::Digest};

/// How many characters 256 random bits take.
const LEN: usize = 43;

/// A freshly made code, on its way to whom it is for. Kept, like a token's secret, as a digest alone. No `Debug`, no
/// `Clone`, no `Serialize`; wiped when dropped.
pub struct LinkCode(Zeroizing<String>);

impl LinkCode {
    /// The code that these random bits make.
    #[must_use]
    pub fn new(entropy: &[u8; 32]) -> Self {
        Self(Zeroizing::new(base62::encode_wide(entropy, LEN)))
    }

    /// What is kept of it.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(self.0.as_bytes())
    }

    /// The text, for the one message that carries it.
    #[must_use]
    pub fn reveal(self) -> Zeroizing<String> {
        self.0
    }
}
