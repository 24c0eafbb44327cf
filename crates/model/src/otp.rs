//! One-time codes as they are typed: six ASCII digits, or a recovery code.

use std::fmt;

/// Six digits of a time-based code (RFC 6238). Parsed strictly: a repaired code is a second spelling, and a second
/// spelling defeats a replay guard.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct OtpCode([u8; 6]);

/// A recovery code in its canonical form, without dashes, upper case: 24 base-32 characters (120 bits).
#[derive(Clone, PartialEq, Eq)]
pub struct RecoveryCode([u8; 24]);

/// What a person may put in `Fastly-OTP`.
#[derive(Clone, PartialEq, Eq)]
pub enum Otp {
    /// A code of the authenticator.
    Code(OtpCode),
    /// One of the recovery codes, each good for once.
    Recovery(RecoveryCode),
}

/// Neither six digits nor a recovery code.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a one-time code is six digits, or a recovery code of 24 letters and digits in groups of four")]
pub struct MalformedOtp;

impl Otp {
    /// Reads a header value. Nothing is trimmed, folded or repaired, except that recovery codes may be in either case.
    ///
    /// # Errors
    /// [`MalformedOtp`] for everything else: blanks, signs, other digits of Unicode, another length.
    pub fn parse(raw: &[u8]) -> Result<Self, MalformedOtp> {
        match raw.len() {
            6 => OtpCode::parse(raw).map(Self::Code),
            RecoveryCode::WRITTEN_LEN => RecoveryCode::parse(raw).map(Self::Recovery),
            _ => Err(MalformedOtp),
        }
    }
}

impl OtpCode {
    fn parse(raw: &[u8]) -> Result<Self, MalformedOtp> {
        let code: [u8; 6] = raw.try_into().map_err(|_| MalformedOtp)?;
        code.iter().all(u8::is_ascii_digit).then_some(Self(code)).ok_or(MalformedOtp)
    }

    /// The digits, for comparison in constant time.
    #[must_use]
    pub fn digits(&self) -> &[u8; 6] {
        &self.0
    }
}

impl RecoveryCode {
    /// `XXXX-XXXX-XXXX-XXXX-XXXX-XXXX`
    const WRITTEN_LEN: usize = 29;
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

    /// The code that these random bytes make.
    #[must_use]
    pub fn from_entropy(entropy: [u8; 15]) -> Self {
        let bits = entropy.iter().fold(0_u128, |bits, byte| bits << 8 | u128::from(*byte));
        let mut code = [0; 24];
        for (place, letter) in code.iter_mut().enumerate() {
            *letter = Self::ALPHABET[(bits >> (5 * place) & 31) as usize];
        }
        Self(code)
    }

    fn parse(raw: &[u8]) -> Result<Self, MalformedOtp> {
        let mut code = [0; 24];
        for (group, letters) in raw.chunks(5).enumerate() {
            if letters.len() == 5 && letters[4] != b'-' {
                return Err(MalformedOtp);
            }
            code[group * 4..group * 4 + 4].copy_from_slice(&letters[..4]);
        }
        code.make_ascii_uppercase();
        code.iter().all(|letter| Self::ALPHABET.contains(letter)).then_some(Self(code)).ok_or(MalformedOtp)
    }

    /// The canonical characters, for hashing.
    #[must_use]
    pub fn canonical(&self) -> &[u8; 24] {
        &self.0
    }

    /// The code as it is shown to its owner, once.
    #[must_use]
    pub fn reveal(&self) -> String {
        let groups: Vec<_> = self.0.chunks(4).map(String::from_utf8_lossy).collect();
        groups.join("-")
    }
}

impl fmt::Debug for Otp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Otp(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_six_plain_digits_are_a_code() {
        assert!(Otp::parse(b"287082").is_ok());
        let odd: [&[u8]; 9] = [
            b" 287082",
            b"287082\n",
            b"287 082",
            b"28708",
            b"0287082",
            b"+28708",
            b"",
            b"28708a",
            "\u{ff12}\u{ff18}".as_bytes(),
        ];
        for raw in odd {
            assert_eq!(Otp::parse(raw), Err(MalformedOtp), "{raw:?}");
        }
    }

    #[test]
    fn a_recovery_code_reads_back_in_either_case() {
        let code = RecoveryCode::from_entropy([0xA7; 15]);
        let shown = code.reveal();
        assert_eq!(Otp::parse(shown.as_bytes()), Ok(Otp::Recovery(code.clone())));
        assert_eq!(Otp::parse(shown.to_lowercase().as_bytes()), Ok(Otp::Recovery(code)));
        assert_eq!(Otp::parse(shown.replace('-', " ").as_bytes()), Err(MalformedOtp));
    }
}
