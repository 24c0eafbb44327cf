//! People: their login, and whether they may act.

use std::fmt;

use unicode_normalization::UnicodeNormalization as _;

/// A login in its one canonical form: NFKC, lower case, no blanks around it. Stored, compared and counted only in this
/// form, so that `User`, `USER` and `user ` share one account and one bucket of failures.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Login(Box<str>);

/// Not a login.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a login is 1 to 254 characters without blanks or control characters, usually an e-mail address")]
pub struct BadLogin;

impl Login {
    /// Brings a login into its canonical form.
    ///
    /// # Errors
    /// [`BadLogin`] if nothing is left, if it is longer than an address may be, or holds blanks inside.
    pub fn parse(text: &str) -> Result<Self, BadLogin> {
        let canonical: String = text.trim().nfkc().flat_map(char::to_lowercase).nfkc().collect();
        let canonical = canonical.trim();
        let odd = |letter: char| letter.is_whitespace() || letter.is_control();
        if canonical.is_empty() || canonical.len() > 254 || canonical.contains(odd) {
            return Err(BadLogin);
        }
        Ok(Self(canonical.into()))
    }

    /// The canonical text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Login({})", self.0)
    }
}

/// Whether a person may act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserState {
    /// May act.
    Active,
    /// Locked by an administrator: tokens are refused until unlocked.
    Locked,
    /// Gone. Kept for the audit log; tokens are refused for ever.
    Deleted,
}

impl UserState {
    /// The stored word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Locked => "locked",
            Self::Deleted => "deleted",
        }
    }

    /// The state that a stored word means.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        [Self::Active, Self::Locked, Self::Deleted].into_iter().find(|state| state.as_str() == word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_login_are_one_login() {
        let plain = Login::parse("user@example.com").unwrap();
        for spelling in ["USER@example.com", " user@example.com\t", "ｕser@example.com", "User@Example.COM "]
        {
            assert_eq!(Login::parse(spelling), Ok(plain.clone()), "{spelling:?}");
        }
    }

    #[test]
    fn canonical_is_a_fixed_point() {
        for text in ["ΑΣ", "ſtraße", "İx", "K"] {
            let once = Login::parse(text).unwrap();
            assert_eq!(Login::parse(once.as_str()), Ok(once));
        }
    }

    #[test]
    fn blanks_and_nothing_are_no_login() {
        for text in ["", "  ", "a b", "a\0b", &"x".repeat(255)] {
            assert_eq!(Login::parse(text), Err(BadLogin), "{text:?}");
        }
    }
}
