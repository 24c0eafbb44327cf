//! Taking over API keys that exist already: they work as they are, so nobody has to re-issue on day one (DESIGN §4).

use std::collections::HashMap;

use keygate_model::{
    Action, Digest, Event, Expiry, Permit, Policy, ServiceId, Services, Timestamp, TokenId, UserId,
    record::Owner,
    token::{Brand, is_foreign, is_like_ours},
    user::UserState,
};

use super::Row;
use crate::{authority::Authority, fault::Fault, origin::Origin, service, text, user, write::Write};

/// What is known of an existing key: itself, or what it hashes to.
pub struct ImportedSecret(Digest);

/// An existing key to take over.
pub struct Import {
    /// Its new id; draw it.
    pub id: TokenId,
    /// What it hashes to.
    pub secret: ImportedSecret,
    /// What for.
    pub name: String,
    /// The person it is bound to, or a role of its own.
    pub owner: ImportOwner,
    /// Its scopes, separated by a space.
    pub scope: String,
    /// What it is limited to. None: all services.
    pub services: Option<Vec<ServiceId>>,
    /// Until when.
    pub expires: Expiry,
}

/// Whom an imported key is bound to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImportOwner {
    /// A person.
    User(UserId),
    /// The customer, with a role of its own.
    Role(String),
}

impl ImportedSecret {
    /// Of the key itself.
    ///
    /// # Errors
    /// `secret_invalid` for one that could never be looked up: too short or too long, with blanks or commas, or beginning
    /// like one of Keygate's own.
    pub fn of_secret(secret: &[u8], brand: &Brand) -> Result<Self, Fault> {
        if !is_foreign(secret) {
            let why = "A key has 16 to 256 characters of visible ASCII, without blanks and commas";
            return Err(Fault::invalid("secret_invalid", why));
        }
        if is_like_ours(secret, brand) {
            let why = "This key begins like Keygate's own tokens; it would be refused for its checksum";
            return Err(Fault::invalid("secret_invalid", why));
        }
        Ok(Self(Digest::of(secret)))
    }

    /// Of the SHA-256 of the key, in 64 hexadecimal digits.
    ///
    /// # Errors
    /// `digest_invalid`.
    pub fn of_digest(hex: &str) -> Result<Self, Fault> {
        let bytes = data_encoding::HEXLOWER_PERMISSIVE.decode(hex.as_bytes()).ok();
        let digest = bytes.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        let invalid = || Fault::invalid("digest_invalid", "A digest is a SHA-256 in 64 hexadecimal digits");
        digest.map(Digest::from_bytes).map(Self).ok_or_else(invalid)
    }
}

impl Authority {
    /// Takes existing keys over: all of them, or none if one is not right. `progress` is told how many are done. With
    /// `dry_run` everything is checked and nothing kept.
    ///
    /// # Errors
    /// `import_invalid` names the number of the key in the list, counted from 1, and what is wrong with it; storage
    /// faults.
    pub async fn import_tokens(
        &self,
        permit: &Permit,
        origin: &Origin,
        imports: Vec<Import>,
        dry_run: bool,
        progress: impl Fn(usize) + Send + 'static,
    ) -> Result<usize, Fault> {
        permit.is_the_operators()?;
        permit.proves(Action::AUTOMATION_TOKEN_CREATE)?;
        let (permit, policy, count) = (*permit, self.policy_handle(), imports.len());
        let imported = self.change_many(count, permit.actor(), origin, move |mut write| {
            let (mut events, mut seen) = (Vec::with_capacity(count), HashMap::with_capacity(count));
            for (nth, import) in imports.into_iter().enumerate() {
                // Of two in one list the second is looked for here: the row of the first is ahead of its event.
                let first = seen.insert(import.secret.0, import.id);
                let row = import.row(&policy, &write, &permit, nth as i64);
                let saved = row.and_then(|row| {
                    if let Some(first) = first {
                        return Err(Fault::Taken { noun: "token", what: first.to_string() });
                    }
                    row.digest_is_free(&write)?;
                    row.save_new(&mut write)?;
                    Ok(Event::ApiKeyCreate(row.told()))
                });
                events.push(saved.map_err(|fault| of_number(nth + 1, fault))?);
                progress(nth + 1);
            }
            if dry_run || events.is_empty() {
                return Err(Fault::AlreadyDone);
            }
            write.commit_each(&events, ())
        });
        match imported.await {
            Ok(()) | Err(Fault::AlreadyDone) => Ok(count),
            Err(fault) => Err(fault),
        }
    }
}

/// What is wrong with one key of a list.
fn of_number(number: usize, fault: Fault) -> Fault {
    match fault {
        Fault::Storage(_) | Fault::Unavailable | Fault::Tampered { .. } => fault,
        other => Fault::invalid("import_invalid", format!("key {number}: {other}")),
    }
}

impl Import {
    fn row(self, policy: &Policy, write: &Write<'_>, permit: &Permit, nth: i64) -> Result<Row, Fault> {
        let (customer, now) = (permit.customer(), write.origin().now);
        let seen = policy.seen_by(Some(customer));
        if seen.scopes_on_offer(&self.scope).is_none() {
            let why = format!("Scope must be one or more of: {}", seen.scope_names().join(", "));
            return Err(Fault::invalid("scope_invalid", why));
        }
        if !self.expires.is_alive(now) {
            return Err(Fault::invalid("expiry_invalid", "expires_at is in the past"));
        }
        let owner = match self.owner {
            ImportOwner::User(id) => {
                if user::find_in(write.db(), write.keys(), customer, id)?.state == UserState::Deleted {
                    return Err(Fault::missing(id));
                }
                Owner::User(id)
            }
            ImportOwner::Role(role) => {
                user::is_possible_role(policy, customer, &role, false)?;
                Owner::Customer { role }
            }
        };
        let services = match self.services {
            None => Services::All,
            Some(ids) => {
                ids.iter().try_for_each(|id| service::is_living(write, customer, *id))?;
                Services::only(ids).map_err(|empty| Fault::invalid("services_invalid", empty))?
            }
        };
        let (created_at, updated_at): (Timestamp, Timestamp) = (now, now);
        Ok(Row {
            id: self.id,
            digest: self.secret.0,
            customer,
            owner,
            creator: None,
            parent: None,
            foreign: true,
            tls_access: false,
            name: text::name("Name", &self.name)?,
            scope: self.scope,
            services,
            expires: self.expires,
            second_factor: false,
            sudo_until: None,
            created_at,
            updated_at,
            revoked_at: None,
            position: write.position_of(nth),
        })
    }
}

impl Row {
    fn digest_is_free(&self, write: &Write<'_>) -> Result<(), Fault> {
        match super::read::find_by_digest(write.db(), write.keys(), self.digest)? {
            Some(known) if known.customer == self.customer => {
                Err(Fault::Taken { noun: "token", what: known.id.to_string() })
            }
            // Whose it is, is not for this customer to know.
            Some(_) => Err(Fault::invalid("secret_taken", "this key is known already")),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_could_be_looked_up_is_taken() {
        let brand = Brand::default();
        let code = |secret: &[u8]| match ImportedSecret::of_secret(secret, &brand) {
            Err(Fault::Invalid { code, .. }) => code,
            _ => "fine",
        };
        assert_eq!(code(b"0123456789abcdef0123456789abcdef"), "fine");
        assert_eq!(code(b"short"), "secret_invalid");
        assert_eq!(code(b"kgu_and_then_something_else_entirely"), "secret_invalid");
        assert!(ImportedSecret::of_digest(&"ab".repeat(32)).is_ok());
        assert!(ImportedSecret::of_digest("ab").is_err());
    }
}
