//! The headers that tell a protected API who calls. One fixed set, never empty, so that none of a client's own passes
//! where a proxy copies only what it is given (CONVENTIONS §0, rule 2).

use std::{fmt::Write as _, ops::Range};

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use bytes::Bytes;
use keygate_gate::Identity;
use keygate_model::{Actor, Expiry};

/// How many there are.
const COUNT: usize = 12;

/// Their names, in the order of [`Headers::pairs`].
pub const NAMES: [HeaderName; COUNT] = [
    HeaderName::from_static("x-auth-token-id"),
    HeaderName::from_static("x-auth-subject"),
    HeaderName::from_static("x-auth-subject-type"),
    HeaderName::from_static("x-auth-customer-id"),
    HeaderName::from_static("x-auth-scopes"),
    HeaderName::from_static("x-auth-roles"),
    HeaderName::from_static("x-auth-expires"),
    HeaderName::from_static("x-request-id"),
    HeaderName::from_static("remote-user"),
    HeaderName::from_static("x-auth-request-user"),
    HeaderName::from_static("x-auth-jwt"),
    HeaderName::from_static("x-auth-stale"),
];

/// What stands where there is nothing to say.
const NONE: &str = "-";

/// The values of one answer, in one piece of memory.
pub struct Headers {
    text: Bytes,
    places: [Range<usize>; COUNT],
}

impl Headers {
    /// What is told of whom the gate has let in, and the JWT about them if the policy wants one.
    #[must_use]
    pub fn of(identity: &Identity<'_>, request_id: impl std::fmt::Display, jwt: Option<&str>) -> Self {
        let jwt = jwt.unwrap_or_default();
        let mut text = String::with_capacity(256 + jwt.len());
        let mut at = 0;
        // Writing to a string cannot fail.
        let mut add = |value: std::fmt::Arguments<'_>| {
            let _ = text.write_fmt(value);
            if text.len() == at {
                text.push_str(NONE);
            }
            let place = at..text.len();
            at = text.len();
            place
        };
        let (token, subject, kind, customer) = match identity.actor {
            Actor::Token { token, customer, user: Some(user) } => (
                add(format_args!("{token}")),
                add(format_args!("{user}")),
                add(format_args!("user")),
                add(format_args!("{customer}")),
            ),
            Actor::Token { token, customer, user: None } => {
                let id = add(format_args!("{token}"));
                (id.clone(), id, add(format_args!("automation")), add(format_args!("{customer}")))
            }
            _ => (
                add(format_args!("{NONE}")),
                add(format_args!("{NONE}")),
                add(format_args!("anonymous")),
                add(format_args!("{NONE}")),
            ),
        };
        let scopes = add(format_args!("{}", identity.scopes));
        let role = add(format_args!("{}", identity.role));
        let expires = match (identity.expires, identity.actor) {
            (Expiry::At(at), _) => add(format_args!("{}", at.seconds())),
            (Expiry::Never, Actor::Token { .. }) => add(format_args!("never")),
            (Expiry::Never, _) => add(format_args!("{NONE}")),
        };
        let request_id = add(format_args!("{request_id}"));
        let jwt = add(format_args!("{jwt}"));
        let stale = match identity.stale {
            Some(age) => add(format_args!("{}", age.as_secs())),
            None => add(format_args!("{NONE}")),
        };
        let places = [
            token,
            subject.clone(),
            kind,
            customer,
            scopes,
            role,
            expires,
            request_id,
            subject.clone(),
            subject,
            jwt,
            stale,
        ];
        Self { text: text.into(), places }
    }

    /// Names and values, each once, for whoever writes no HTTP.
    pub(super) fn texts(&self) -> impl Iterator<Item = (&'static HeaderName, Bytes)> {
        static STATIC: [HeaderName; COUNT] = NAMES;
        STATIC.iter().zip(&self.places).map(|(name, place)| (name, self.text.slice(place.clone())))
    }

    /// Names and values, each once.
    pub fn pairs(&self) -> impl Iterator<Item = (&'static HeaderName, HeaderValue)> {
        self.texts().map(|(name, text)| {
            // Ids, names of scopes and request ids are visible ASCII; what is not says nothing.
            let value = HeaderValue::from_maybe_shared(text);
            (name, value.unwrap_or(HeaderValue::from_static(NONE)))
        })
    }

    /// Puts them into a request or an answer, in the place of any that it has.
    pub fn put(&self, headers: &mut HeaderMap) {
        for (name, value) in self.pairs() {
            headers.insert(name, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn an_api_is_told_how_old_the_knowledge_is_that_let_somebody_in() {
        let told = |stale| {
            let identity =
                Identity { actor: Actor::Stranger, scopes: "", role: "", expires: Expiry::Never, stale };
            let headers = Headers::of(&identity, "id", None);
            let stale = headers.texts().filter(|(name, _)| *name == "x-auth-stale").map(|(_, text)| text);
            stale.map(|text| String::from_utf8(text.to_vec()).expect("text")).collect::<Vec<_>>()
        };
        assert_eq!(told(None), ["-"]);
        assert_eq!(told(Some(Duration::from_millis(41_900))), ["41"]);
        assert_eq!(told(Some(Duration::ZERO)), ["0"]);
    }
}
