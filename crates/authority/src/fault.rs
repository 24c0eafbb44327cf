//! What can go wrong in a verb. Knows no HTTP; the server turns each into an answer, in one place.

use keygate_model::{id::Noun, permit::WrongPermit};

/// Why a verb did not do what was asked. The message is for whoever asked; the inner error is for the log only.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// There is no such thing in the caller's house: missing and foreign are the same.
    #[error("cannot find {noun} '{id}'")]
    Missing {
        /// What.
        noun: &'static str,
        /// As it was asked for.
        id: String,
    },
    /// It is there, and deleted.
    #[error("{noun} '{id}' is deleted")]
    Deleted {
        /// What.
        noun: &'static str,
        /// Which.
        id: String,
    },
    /// The input is understood and not possible.
    #[error("{why}")]
    Invalid {
        /// The stable word for it.
        code: &'static str,
        /// What is wrong, and how to mend it.
        why: String,
    },
    /// It is understood and possible, and would leave the customer in a state that it must not be in.
    #[error("{why}")]
    Refused {
        /// The stable word for it.
        code: &'static str,
        /// Why, and what to do instead.
        why: String,
    },
    /// A version can no longer be edited.
    #[error("version '{number}' for service '{service}' is locked")]
    VersionLocked {
        /// Which.
        number: u32,
        /// Of which service.
        service: String,
    },
    /// It is taken by another.
    #[error("{noun} '{what}' exists already")]
    Taken {
        /// What.
        noun: &'static str,
        /// The name.
        what: String,
    },
    /// A token was asked to make a wider or longer one than itself.
    #[error("the new token would be wider than the one that asks: {excess}")]
    Wider {
        /// In what.
        excess: String,
    },
    /// What is asked for needs a password within the last minutes, on the token that asks.
    #[error("only somebody who has just shown their password may do this")]
    SudoRequired,
    /// A login that was not good enough.
    #[error("{0}")]
    Login(#[from] LoginRefusal),
    /// The same idempotency key, and another body.
    #[error("this Idempotency-Key was used with another body")]
    IdempotencyMismatch,
    /// The same idempotency key and body: it was done, and the secret is shown once.
    #[error("this Idempotency-Key has made token '{token}'; its secret was shown then and is not kept")]
    IdempotencyReplayed {
        /// The token it made.
        token: String,
    },
    /// There was nothing left to do: it is as it was asked to be.
    #[error("this is done already")]
    AlreadyDone,
    /// Too much hashing at once; nothing was done.
    #[error("too many passwords are being checked at once")]
    Overloaded,
    /// A row does not carry the seal that it should: written by somebody else.
    #[error("{noun} '{id}' fails its seal")]
    Tampered {
        /// What.
        noun: &'static str,
        /// Which.
        id: String,
    },
    /// A verb was called with another verb's permit: a mistake of ours.
    #[error(transparent)]
    Permit(#[from] WrongPermit),
    /// The database did not do it. Nothing was done.
    #[error("storage failed")]
    Storage(#[from] crate::db::Error),
    /// The database cannot be written now. Nothing was done.
    #[error("storage is unavailable")]
    Unavailable,
    /// The database may or may not have done it.
    #[error("the outcome is not known")]
    OutcomeUnknown,
    /// The authority has been stopped.
    #[error("the authority has stopped")]
    Stopped,
    /// The key file.
    #[error("key file: {0}")]
    KeyFile(String),
}

/// Why a login was refused. All but the first are told only to somebody who has shown the right password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoginRefusal {
    /// Login or password or account: not told which.
    #[error("the login or the password is not right")]
    Failed,
    /// The password is right and a code is needed.
    #[error("a one-time code is needed")]
    CodeRequired,
    /// The code is wrong or from another time.
    #[error("Invalid one-time password.")]
    CodeWrong,
    /// The code was used before.
    #[error("this one-time code was used before; wait for the next")]
    CodeReused,
    /// Not six digits, nor a recovery code.
    #[error("a one-time code is six digits, without blanks, or a recovery code")]
    CodeMalformed,
    /// The person is who they say, and whoever counts what they do has had enough of it for now.
    #[error("too many changes in this hour")]
    OverQuota,
    /// The person must set a new password first.
    #[error("set a new password first: an administrator asks for it")]
    PasswordExpired,
    /// Too many wrong codes in a row.
    #[error(
        "the second factor is locked after too many wrong codes; a recovery code unlocks it, or the operator"
    )]
    FactorLocked,
    /// Sudo is for tokens that were made with the second factor.
    #[error("you use a second factor, so sudo needs a token that was itself made with a one-time code")]
    TokenWithoutFactor,
    /// Too many tries for this login, right or wrong.
    #[error("too many tries for this login")]
    TooMany {
        /// When to try again, in seconds.
        retry_after_seconds: u32,
    },
}

impl Fault {
    /// There is no such `N`.
    pub fn missing<N: Noun>(id: keygate_model::id::Id<N>) -> Self {
        Self::Missing { noun: N::NAME, id: id.to_string() }
    }

    /// A row of `N` fails its seal.
    pub(crate) fn tampered<N: Noun>(id: keygate_model::id::Id<N>) -> Self {
        Self::Tampered { noun: N::NAME, id: id.to_string() }
    }

    /// Something that must not be done now.
    pub fn refused(code: &'static str, why: impl ToString) -> Self {
        Self::Refused { code, why: why.to_string() }
    }

    /// Something that cannot be.
    pub fn invalid(code: &'static str, why: impl ToString) -> Self {
        Self::Invalid { code, why: why.to_string() }
    }
}
