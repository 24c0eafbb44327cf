//! Mass revokes: which tokens one call takes back.

use serde_json::{Value, json};

use crate::{
    id::{CustomerId, ServiceId, TokenId, UserId},
    time::Timestamp,
    token::NAME_LEN_MAX,
};

/// Whose tokens are meant. Absent is never everybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// Those of one customer.
    Customer(CustomerId),
    /// Those of every customer: the operator's, after a restore.
    Everybody,
}

/// What sort of token is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    /// Bound to a person, with a secret of ours.
    User,
    /// Bound to the customer, with a secret of ours.
    Automation,
    /// With a secret that was made elsewhere.
    Imported,
}

impl Sort {
    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Automation => "automation",
            Self::Imported => "imported",
        }
    }

    /// What a word means.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        [Self::User, Self::Automation, Self::Imported].into_iter().find(|sort| sort.as_str() == word)
    }
}

/// What a token must be like. Every field narrows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Criteria {
    /// Bound to this person.
    pub owner: Option<UserId>,
    /// Limited to services, and this is one of them.
    pub service: Option<ServiceId>,
    /// Made by this person, or by a token that they made.
    pub issuer: Option<UserId>,
    /// Made by this token.
    pub parent: Option<TokenId>,
    /// Made at this time or later.
    pub created_from: Option<Timestamp>,
    /// Made before this time.
    pub created_before: Option<Timestamp>,
    /// Of this sort.
    pub sort: Option<Sort>,
    /// With a name that begins like this.
    pub name_prefix: Option<String>,
}

/// The tokens that a mass revoke takes back: those that are there when it is committed and fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Targets {
    whose: Whose,
    criteria: Criteria,
    spared: Option<TokenId>,
}

/// Why nothing can be revoked by this.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadTargets {
    /// Nothing says which tokens are meant, and that is not all of them.
    #[error("Say which tokens are meant, or that all of them are")]
    NothingNamed,
    /// All of them, and only some.
    #[error("All tokens, and only those that fit something: say one of the two")]
    Both,
    /// The beginning of a name that every name has.
    #[error("A name's beginning has 1 to 255 bytes and no NUL")]
    Name,
    /// Nothing is made at or after one time and before an earlier one.
    #[error("The time from which on comes before the time until which")]
    Times,
}

impl Targets {
    /// Those that fit. With no criteria at all they are `all`, and it must be said.
    ///
    /// # Errors
    /// [`BadTargets`].
    pub fn new(whose: Whose, criteria: Criteria, all: bool) -> Result<Self, BadTargets> {
        match (criteria == Criteria::default(), all) {
            (true, false) => return Err(BadTargets::NothingNamed),
            (false, true) => return Err(BadTargets::Both),
            _ => {}
        }
        let is_odd = |name: &String| name.is_empty() || name.len() > NAME_LEN_MAX || name.contains('\0');
        if criteria.name_prefix.as_ref().is_some_and(is_odd) {
            return Err(BadTargets::Name);
        }
        match (criteria.created_from, criteria.created_before) {
            (Some(from), Some(before)) if from >= before => return Err(BadTargets::Times),
            _ => {}
        }
        Ok(Self { whose, criteria, spared: None })
    }

    /// All of these but one: whoever asks may want to go on.
    #[must_use]
    pub fn sparing(self, token: TokenId) -> Self {
        Self { spared: Some(token), ..self }
    }

    /// Whose.
    #[must_use]
    pub fn whose(&self) -> Whose {
        self.whose
    }

    /// What they are like.
    #[must_use]
    pub fn criteria(&self) -> &Criteria {
        &self.criteria
    }

    /// The one that is not meant.
    #[must_use]
    pub fn spared(&self) -> Option<TokenId> {
        self.spared
    }

    /// For the audit log, with times as `time` writes them.
    #[must_use]
    pub fn metadata(&self, time: impl Fn(Timestamp) -> String) -> Value {
        let Criteria { owner, service, issuer, parent, created_from, created_before, sort, name_prefix } =
            &self.criteria;
        let all = json!({
            "every_customer": (self.whose == Whose::Everybody).then_some(true),
            "all": (self.criteria == Criteria::default()).then_some(true),
            "owner": owner,
            "service": service,
            "issuer": issuer,
            "parent": parent,
            "created_from": created_from.map(&time),
            "created_before": created_before.map(&time),
            "kind": sort.map(Sort::as_str),
            "name_prefix": name_prefix,
            "spared": self.spared,
        });
        let Value::Object(mut said) = all else { return all };
        said.retain(|_, value| !value.is_null());
        Value::Object(said)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_named_is_not_everything() {
        let whose = Whose::Customer(CustomerId::from_bits(1));
        let none = Criteria::default;
        assert_eq!(Targets::new(whose, none(), false), Err(BadTargets::NothingNamed));
        assert!(Targets::new(whose, none(), true).is_ok());
        let named = |name: &str| Criteria { name_prefix: Some(name.to_owned()), ..none() };
        assert_eq!(Targets::new(whose, named("ci"), true), Err(BadTargets::Both));
        assert_eq!(Targets::new(whose, named(""), false), Err(BadTargets::Name));
        assert_eq!(Targets::new(whose, named("a\0"), false), Err(BadTargets::Name));
        assert_eq!(Targets::new(whose, named(&"a".repeat(256)), false), Err(BadTargets::Name));
        let at = |micros| Some(Timestamp::from_micros(micros));
        let made = |from, before| Criteria { created_from: at(from), created_before: at(before), ..none() };
        assert_eq!(Targets::new(whose, made(2, 2), false), Err(BadTargets::Times));
        assert!(Targets::new(whose, made(2, 3), false).is_ok());
    }

    #[test]
    fn the_log_tells_what_was_said_and_nothing_else() {
        let criteria = Criteria { sort: Some(Sort::Automation), ..Criteria::default() };
        let targets = Targets::new(Whose::Everybody, criteria, false).unwrap();
        assert_eq!(
            targets.metadata(|at| at.micros().to_string()),
            json!({ "every_customer": true, "kind": "automation" })
        );
    }
}
