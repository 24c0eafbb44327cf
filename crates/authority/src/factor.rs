//! The second factor: time-based codes (RFC 6238, SHA-1, six digits, 30 seconds), recovery codes, and the limits on
//! guessing either.

use keygate_model::{
    CustomerId, Timestamp, UserId,
    event::{LoginFailure, SecondFactor},
    otp::{Otp, OtpCode, RecoveryCode},
};
use subtle::ConstantTimeEq as _;
use totp_rs::{Builder, Totp};
use zeroize::Zeroizing;

use crate::{fault::LoginRefusal, keys::Keys};

/// Seconds that a code is shown for.
const STEP_SECONDS: i64 = 30;

/// Wrong codes in a row until the factor is locked.
const FAILURES_IN_A_ROW_MAX: i64 = 10;

/// Wrong codes in 30 days until it is locked, successes or not: else one guess a step succeeds in a year.
const FAILURES_A_MONTH_MAX: i64 = 100;
const MONTH_SECONDS: i64 = 30 * 24 * 3600;

/// Recovery codes that a person gets.
pub const RECOVERY_CODES: usize = 10;

/// Whether a factor is in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FactorState {
    /// None.
    Off,
    /// Set up, and not asked for before it was confirmed by a code.
    Waiting,
    /// In force.
    On,
}

impl FactorState {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Waiting => "waiting",
            Self::On => "on",
        }
    }

    pub(crate) fn of(word: &str) -> Option<Self> {
        [Self::Off, Self::Waiting, Self::On].into_iter().find(|state| state.as_str() == word)
    }
}

/// A person's second factor, as it is kept.
#[derive(Clone)]
pub struct Factor {
    /// Whether it is in force.
    pub state: FactorState,
    /// The seed, encrypted for this row.
    pub(crate) seed: Vec<u8>,
    /// The last step whose code was used. Only moves forward.
    pub(crate) step: i64,
    /// Wrong codes in a row.
    pub(crate) failures: i64,
    /// When the month of failures began, in seconds since 1970.
    pub(crate) month: i64,
    /// Wrong codes in that month.
    pub(crate) month_failures: i64,
    /// Tags of the recovery codes that are left.
    pub(crate) recovery: Vec<String>,
}

/// What a new factor's owner is shown, once.
pub struct Enrolment {
    /// The seed, in base 32.
    pub secret: Zeroizing<String>,
    /// The same for authenticator apps: `otpauth://…`.
    pub uri: Zeroizing<String>,
    /// The recovery codes.
    pub recovery_codes: Vec<Zeroizing<String>>,
}

/// Randomness for a new factor.
pub struct FactorEntropy {
    /// The seed: 160 bits (RFC 4226 §4).
    pub seed: [u8; 20],
    /// The nonce that encrypts it.
    pub nonce: [u8; 24],
    /// The recovery codes.
    pub recovery: [[u8; 15]; RECOVERY_CODES],
}

impl Factor {
    /// No second factor.
    #[must_use]
    pub fn off() -> Self {
        let (seed, recovery) = (Vec::new(), Vec::new());
        Self { state: FactorState::Off, seed, step: 0, failures: 0, month: 0, month_failures: 0, recovery }
    }

    /// Replaces the factor by a new one. Counters and the last step stay: a new seed must not be a new budget.
    pub(crate) fn enrol(
        &mut self,
        keys: &Keys,
        (customer, user): (CustomerId, UserId),
        login: &str,
        entropy: &FactorEntropy,
        state: FactorState,
    ) -> Enrolment {
        let codes: Vec<_> = entropy.recovery.into_iter().map(RecoveryCode::from_entropy).collect();
        self.state = state;
        self.seed = keys.lock_seed(customer, user, &entropy.seed, entropy.nonce);
        self.failures = 0;
        self.recovery = codes.iter().map(|code| keys.recovery_tag(user, code)).collect();
        let secret = data_encoding::BASE32_NOPAD.encode(&entropy.seed);
        let label = percent(login);
        Enrolment {
            uri: Zeroizing::new(format!(
                "otpauth://totp/Keygate:{label}?secret={secret}&issuer=Keygate&algorithm=SHA1&digits=6&period=30"
            )),
            secret: Zeroizing::new(secret),
            recovery_codes: codes.iter().map(|code| Zeroizing::new(code.reveal())).collect(),
        }
    }

    /// The same counters with no factor. They stay: taking a factor away and setting one up must not be a new budget.
    pub(crate) fn without(&self) -> Self {
        let (seed, recovery) = (Vec::new(), Vec::new());
        Self { state: FactorState::Off, seed, recovery, ..self.clone() }
    }

    /// Judges what a person put in, and counts it. The caller saves the row whatever comes out.
    pub(crate) fn judge(
        &mut self,
        keys: &Keys,
        (customer, user): (CustomerId, UserId),
        otp: Option<&Result<Otp, keygate_model::otp::MalformedOtp>>,
        now: Timestamp,
    ) -> Result<SecondFactor, (LoginFailure, LoginRefusal)> {
        match otp {
            None => Err((LoginFailure::Code, LoginRefusal::CodeRequired)),
            Some(Ok(Otp::Recovery(code))) => self.recover(keys, user, code, now),
            Some(_) if self.is_locked(now) => Err((LoginFailure::FactorLocked, LoginRefusal::FactorLocked)),
            Some(Err(_)) => {
                self.count_failure(now);
                Err((LoginFailure::CodeMalformed, LoginRefusal::CodeMalformed))
            }
            Some(Ok(Otp::Code(code))) => {
                let seed = keys.unlock_seed(customer, user, &self.seed);
                self.check(seed.as_deref().map_or(&[], Vec::as_slice), *code, now)
            }
        }
    }

    fn check(
        &mut self,
        seed: &[u8],
        code: OtpCode,
        now: Timestamp,
    ) -> Result<SecondFactor, (LoginFailure, LoginRefusal)> {
        let current = now.seconds().div_euclid(STEP_SECONDS);
        let step = [current, current - 1].into_iter().find(|step| is_code(seed, *step, code));
        match step {
            Some(step) if step > self.step => {
                self.step = step;
                self.failures = 0;
                Ok(SecondFactor::Totp)
            }
            // Who has the code of a used step has not guessed it, so this counts nothing.
            Some(_) => Err((LoginFailure::CodeReused, LoginRefusal::CodeReused)),
            None => {
                self.count_failure(now);
                Err((LoginFailure::Code, LoginRefusal::CodeWrong))
            }
        }
    }

    fn recover(
        &mut self,
        keys: &Keys,
        user: UserId,
        code: &RecoveryCode,
        now: Timestamp,
    ) -> Result<SecondFactor, (LoginFailure, LoginRefusal)> {
        let tag = keys.recovery_tag(user, code);
        let before = self.recovery.len();
        self.recovery.retain(|left| !bool::from(left.as_bytes().ct_eq(tag.as_bytes())));
        if self.recovery.len() == before {
            self.count_failure(now);
            return Err((LoginFailure::Code, LoginRefusal::CodeWrong));
        }
        (self.failures, self.month_failures) = (0, 0);
        Ok(SecondFactor::Recovery { left: self.recovery.len() })
    }

    fn is_locked(&self, now: Timestamp) -> bool {
        let month_over = now.seconds() - self.month >= MONTH_SECONDS;
        self.failures >= FAILURES_IN_A_ROW_MAX || (!month_over && self.month_failures >= FAILURES_A_MONTH_MAX)
    }

    fn count_failure(&mut self, now: Timestamp) {
        self.failures = self.failures.saturating_add(1);
        if now.seconds() - self.month >= MONTH_SECONDS {
            (self.month, self.month_failures) = (now.seconds(), 0);
        }
        self.month_failures = self.month_failures.saturating_add(1);
    }
}

/// The code of a moment, for whoever holds the seed: tests, and the demo's authenticator.
#[must_use]
pub fn code_at(seed: &[u8], now: Timestamp) -> String {
    code_of_step(seed, now.seconds().div_euclid(STEP_SECONDS))
}

fn code_of_step(seed: &[u8], step: i64) -> String {
    totp(seed).generate(u64::try_from(step * STEP_SECONDS).unwrap_or(0)).to_string()
}

fn is_code(seed: &[u8], step: i64, code: OtpCode) -> bool {
    let right = !seed.is_empty() & bool::from(code_of_step(seed, step).as_bytes().ct_eq(code.digits()));
    right && step >= 0
}

fn totp(seed: &[u8]) -> Totp {
    // The seed is ours and 160 bits long; the checked builder would only refuse the shorter ones of the RFC's examples.
    Builder::new().with_secret(seed.to_vec()).build_noncompliant()
}

/// Percent-encodes a login for a URI.
fn percent(login: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~@".contains(&byte);
    login
        .bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RFC_SEED: &[u8; 20] = b"12345678901234567890";
    const WHOSE: (CustomerId, UserId) = (CustomerId::from_bits(1), UserId::from_bits(2));

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    fn factor(keys: &Keys) -> (Factor, Enrolment) {
        let recovery = std::array::from_fn(|n| [u8::try_from(n).unwrap(); 15]);
        let entropy = FactorEntropy { seed: *RFC_SEED, nonce: [9; 24], recovery };
        let mut factor = Factor::off();
        let shown = factor.enrol(keys, WHOSE, "ada+x@example.com", &entropy, FactorState::On);
        (factor, shown)
    }

    fn try_code(
        factor: &mut Factor,
        keys: &Keys,
        code: &str,
        now: Timestamp,
    ) -> Result<SecondFactor, LoginRefusal> {
        factor.judge(keys, WHOSE, Some(&Otp::parse(code.as_bytes())), now).map_err(|(_, refusal)| refusal)
    }

    #[test]
    fn rfc_4226_appendix_d() {
        let codes = "755224 287082 359152 969429 338314 254676 287922 162583 399871 520489";
        for (count, code) in codes.split(' ').enumerate() {
            assert_eq!(code_of_step(RFC_SEED, i64::try_from(count).unwrap()), code);
        }
    }

    #[test]
    fn rfc_6238_appendix_b() {
        // The RFC shows eight digits; six are their last six. SHA-256 and SHA-512 take seeds of 32 and 64 bytes.
        use totp_rs::Algorithm::{SHA1, SHA256, SHA512};
        let seed = |len: usize| RFC_SEED.iter().copied().cycle().take(len).collect::<Vec<_>>();
        let rows = [
            (59, ["94287082", "46119246", "90693936"]),
            (1_111_111_109, ["07081804", "68084774", "25091201"]),
            (1_111_111_111, ["14050471", "67062674", "99943326"]),
            (1_234_567_890, ["89005924", "91819424", "93441116"]),
            (2_000_000_000, ["69279037", "90698825", "38618901"]),
            (20_000_000_000, ["65353130", "77737706", "47863826"]),
        ];
        for (time, codes) in rows {
            for ((algorithm, len), code) in [(SHA1, 20), (SHA256, 32), (SHA512, 64)].into_iter().zip(codes) {
                let builder = Builder::new().with_algorithm(algorithm).with_digits(8).with_secret(seed(len));
                assert_eq!(builder.build_noncompliant().generate(time).to_string(), code);
            }
            assert_eq!(code_at(RFC_SEED, at(i64::try_from(time).unwrap())), &codes[0][2..]);
        }
    }

    #[test]
    fn this_step_and_the_one_before_and_each_once() {
        let keys = Keys::derive(&[1; 32]);
        let (mut factor, _) = factor(&keys);
        let code = |step: i64| code_of_step(RFC_SEED, step);
        let now = at(100 * STEP_SECONDS + 5);
        assert_eq!(try_code(&mut factor, &keys, &code(101), now), Err(LoginRefusal::CodeWrong));
        assert_eq!(try_code(&mut factor, &keys, &code(98), now), Err(LoginRefusal::CodeWrong));
        assert_eq!(try_code(&mut factor, &keys, &code(99), now), Ok(SecondFactor::Totp));
        assert_eq!(try_code(&mut factor, &keys, &code(99), now), Err(LoginRefusal::CodeReused));
        assert_eq!(try_code(&mut factor, &keys, &code(100), now), Ok(SecondFactor::Totp));
        assert_eq!(try_code(&mut factor, &keys, &code(99), now), Err(LoginRefusal::CodeReused));
        // A clock that went back does not bring used steps back.
        assert_eq!(
            try_code(&mut factor, &keys, &code(50), at(50 * STEP_SECONDS)),
            Err(LoginRefusal::CodeReused)
        );
    }

    #[test]
    fn ten_wrong_codes_lock_and_a_recovery_code_unlocks() {
        let keys = Keys::derive(&[1; 32]);
        let (mut factor, shown) = factor(&keys);
        let now = at(1_000_000);
        for _ in 0..5 {
            assert_eq!(try_code(&mut factor, &keys, "000000", now), Err(LoginRefusal::CodeWrong));
            assert_eq!(try_code(&mut factor, &keys, " 00000", now), Err(LoginRefusal::CodeMalformed));
        }
        let right = code_at(RFC_SEED, now);
        assert_eq!(try_code(&mut factor, &keys, &right, now), Err(LoginRefusal::FactorLocked));
        let recovery = &shown.recovery_codes[3];
        assert_eq!(try_code(&mut factor, &keys, recovery, now), Ok(SecondFactor::Recovery { left: 9 }));
        assert_eq!(try_code(&mut factor, &keys, recovery, now), Err(LoginRefusal::CodeWrong));
        assert_eq!(try_code(&mut factor, &keys, &right, now), Ok(SecondFactor::Totp));
    }

    #[test]
    fn a_success_does_not_give_the_month_back() {
        let keys = Keys::derive(&[1; 32]);
        let (mut factor, _) = factor(&keys);
        let mut wrong = 0;
        let mut step = 1000;
        let refusal = loop {
            let now = at(step * STEP_SECONDS);
            match try_code(&mut factor, &keys, "000000", now) {
                Err(LoginRefusal::FactorLocked) => break LoginRefusal::FactorLocked,
                _ => wrong += 1,
            }
            if wrong % 5 == 0 && wrong < 100 {
                assert_eq!(
                    try_code(&mut factor, &keys, &code_of_step(RFC_SEED, step), now),
                    Ok(SecondFactor::Totp)
                );
            }
            step += 1;
        };
        assert_eq!((wrong, refusal), (100, LoginRefusal::FactorLocked));
        factor.failures = 0;
        let later = at(1000 * STEP_SECONDS + MONTH_SECONDS + 60);
        let code = code_at(RFC_SEED, later);
        assert_eq!(try_code(&mut factor, &keys, &code, later), Ok(SecondFactor::Totp));
    }

    #[test]
    fn what_is_shown_is_what_an_authenticator_reads() {
        let keys = Keys::derive(&[1; 32]);
        let (_, shown) = factor(&keys);
        assert_eq!(*shown.secret, "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
        assert!(shown.uri.starts_with("otpauth://totp/Keygate:ada%2Bx@example.com?secret=GEZDGNBV"));
        assert_eq!(shown.recovery_codes.len(), RECOVERY_CODES);
    }
}
