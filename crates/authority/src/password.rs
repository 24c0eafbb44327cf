//! Passwords: Argon2id, on a bounded pool that is never the thread of a request.

use std::{
    collections::HashSet,
    fmt,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicUsize, Ordering},
    },
};

use argon2::{
    Algorithm, Argon2, Params, PasswordHasher as _, PasswordVerifier as _, Version,
    password_hash::phc::PasswordHash as Phc,
};
use tokio::{sync::Semaphore, task};
use unicode_normalization::UnicodeNormalization as _;
use zeroize::Zeroizing;

use crate::fault::Fault;

/// The longest password, in bytes; longer ones are refused, never cut.
pub const PASSWORD_LEN_MAX: usize = 1024;

/// The shortest password, in characters.
const PASSWORD_LEN_MIN: usize = 8;

/// 19 MiB and two passes, OWASP's and DESIGN's floor.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;

/// What a person typed, in NFKC so that every keyboard's spelling of it is the same. Wiped when dropped.
#[derive(PartialEq, Eq)]
pub struct Password(Zeroizing<String>);

impl Password {
    /// Takes a password as it came in.
    ///
    /// # Errors
    /// `password_too_long` beyond 1024 bytes.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let long = || {
            Fault::invalid(
                "password_too_long",
                format!("A password has {PASSWORD_LEN_MAX} bytes at the most"),
            )
        };
        if text.len() > PASSWORD_LEN_MAX {
            return Err(long());
        }
        let normal = Zeroizing::new(text.nfkc().collect::<String>());
        if normal.len() > PASSWORD_LEN_MAX { Err(long()) } else { Ok(Self(normal)) }
    }

    /// Checks what a new password must be. There are no rules about letters and digits: length is what counts. `about`
    /// are words that stand for its owner, which an attacker tries too.
    ///
    /// # Errors
    /// `password_too_short`, or `password_breached` for one that everybody tries first, or that is one of these words.
    pub fn fit_for_use(&self, about: &[&str]) -> Result<(), Fault> {
        if self.0.chars().count() < PASSWORD_LEN_MIN {
            let why = format!("A password has {PASSWORD_LEN_MIN} characters at the least");
            return Err(Fault::invalid("password_too_short", why));
        }
        let lower = Zeroizing::new(self.0.to_lowercase());
        if COMMON.contains(lower.as_str()) {
            let why =
                "This password is on the lists of breached ones, among the first that anybody would try";
            return Err(Fault::invalid("password_breached", why));
        }
        if about.iter().any(|word| is_little_more_than(&lower, &word.to_lowercase())) {
            let why = "This password is little more than your name, your login or your company's name";
            return Err(Fault::invalid("password_breached", why));
        }
        Ok(())
    }
}

/// Whether a password is a word with a few digits or signs around it.
fn is_little_more_than(password: &str, word: &str) -> bool {
    word.len() >= 4
        && password.replace(word, "").chars().filter(|letter| letter.is_alphabetic()).count() < 4
        && password.contains(word)
}

static COMMON: LazyLock<HashSet<&'static str>> =
    LazyLock::new(|| include_str!("../data/common-passwords.txt").lines().collect());

/// A salted Argon2id hash, in the PHC format. Not to be printed.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(String);

impl PasswordHash {
    /// Of somebody who has not set a password yet: no password fits it.
    pub(crate) fn none() -> Self {
        Self(String::new())
    }

    pub(crate) fn is_set(&self) -> bool {
        !self.0.is_empty()
    }

    pub(crate) fn stored(text: String) -> Self {
        Self(text)
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(…)")
    }
}

/// A password to set, with the random salt of its hash.
pub struct NewPassword {
    /// The password.
    pub password: Password,
    /// The salt.
    pub salt: [u8; 16],
}

/// The pool.
pub(crate) struct Passwords {
    running: Arc<Semaphore>,
    waiting: AtomicUsize,
    waiting_max: usize,
    /// What unknown logins are checked against, so that they cost the same.
    dummy: PasswordHash,
}

impl Passwords {
    /// A pool of `workers` hashes at once, with at most `waiting_max` more in the queue.
    pub(crate) fn new(workers: usize, waiting_max: usize) -> Result<Self, Fault> {
        let dummy = hash(&Password::parse("nobody has this password")?, &[0; 16])?;
        Ok(Self {
            running: Arc::new(Semaphore::new(workers.max(1))),
            waiting: AtomicUsize::new(0),
            waiting_max,
            dummy,
        })
    }

    /// Hashes a new password.
    pub(crate) async fn hash(&self, new: NewPassword) -> Result<PasswordHash, Fault> {
        let NewPassword { password, salt } = new;
        self.run(move || hash(&password, &salt)).await?
    }

    /// Whether `password` is the one behind `known`. Takes the same time where nothing is known.
    pub(crate) async fn verify(
        &self,
        password: Password,
        known: Option<PasswordHash>,
    ) -> Result<bool, Fault> {
        let exists = known.is_some();
        let against = known.unwrap_or_else(|| self.dummy.clone());
        let same = self.run(move || verify(&password, &against)).await?;
        Ok(same & exists)
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Fault> {
        let _place = Place::take(&self.waiting, self.waiting_max)?;
        let permit = Arc::clone(&self.running).acquire_owned().await.map_err(|_| Fault::Stopped)?;
        let job = move || {
            let _held = permit;
            work()
        };
        task::spawn_blocking(job).await.map_err(|_| Fault::Stopped)
    }
}

/// A place in the queue, given back when dropped.
pub(crate) struct Place<'q>(&'q AtomicUsize);

impl<'q> Place<'q> {
    pub(crate) fn take(queue: &'q AtomicUsize, max: usize) -> Result<Self, Fault> {
        let before = queue.fetch_add(1, Ordering::Relaxed);
        let place = Self(queue);
        if before >= max { Err(Fault::Overloaded) } else { Ok(place) }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn argon2() -> Result<Argon2<'static>, Fault> {
    let params = Params::new(MEMORY_KIB, PASSES, 1, None).map_err(|_| Fault::Overloaded)?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

fn hash(password: &Password, salt: &[u8; 16]) -> Result<PasswordHash, Fault> {
    let hashed = argon2()?.hash_password_with_salt(password.0.as_bytes(), salt);
    hashed.map(|phc| PasswordHash(phc.to_string())).map_err(|_| Fault::Overloaded)
}

fn verify(password: &Password, known: &PasswordHash) -> bool {
    let Ok(phc) = Phc::new(&known.0) else { return false };
    Argon2::default().verify_password(password.0.as_bytes(), &phc).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(left: &str, right: &str) -> bool {
        let known = hash(&Password::parse(left).unwrap(), &[3; 16]).unwrap();
        verify(&Password::parse(right).unwrap(), &known)
    }

    #[test]
    fn every_byte_counts_also_behind_the_seventieth() {
        let long = "x".repeat(70);
        assert!(same(&format!("{long}ab"), &format!("{long}ab")));
        assert!(!same(&format!("{long}ab"), &format!("{long}ac")));
        assert!(!same(&"y".repeat(1024), &"y".repeat(1023)));
    }

    #[test]
    fn a_password_is_refused_rather_than_cut() {
        let about = ["ada.lovelace", "Acme"];
        let code = |text: &str| match Password::parse(text).and_then(|password| password.fit_for_use(&about))
        {
            Err(Fault::Invalid { code, .. }) => code,
            _ => "fine",
        };
        assert_eq!(code(&"z".repeat(1024)), "fine");
        assert_eq!(code(&"z".repeat(1025)), "password_too_long");
        assert_eq!(code("short"), "password_too_short");
        assert_eq!(code("Password123"), "password_breached");
        assert_eq!(code("ACME-2026!"), "password_breached");
        assert_eq!(code("ada.lovelace1"), "password_breached");
        assert_eq!(code("acme needs a pass phrase"), "fine");
        assert_eq!(code("correct horse battery staple"), "fine");
    }

    #[test]
    fn spellings_of_the_same_letters_are_the_same_password() {
        assert!(same("pa\u{00df}w\u{00f6}rter", "pa\u{00df}wo\u{0308}rter"));
    }

    #[test]
    fn a_hash_is_argon2id_with_the_floor_of_the_bar() {
        let hashed = hash(&Password::parse("a good password").unwrap(), &[1; 16]).unwrap();
        assert!(hashed.0.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", hashed.0);
        assert_eq!(format!("{hashed:?}"), "PasswordHash(…)");
    }
}
