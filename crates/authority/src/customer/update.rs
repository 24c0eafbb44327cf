//! Changing a customer: its settings, what is known about it, its contacts.

use std::{collections::BTreeMap, net::IpAddr, ops::RangeInclusive};

use keygate_model::{
    Action, Actor, Event, Networks, Permit, UserId, customer::CustomerState, user::UserState,
};
use serde_json::{Value, json};

use super::{Contact, Makers, PROFILE, Row};
use crate::{authority::Authority, change, fault::Fault, origin::Origin, row, text, user, write::Write};

/// What to change of a customer.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// Its name.
    pub name: Option<String>,
    /// Where its tokens may be used from.
    pub ip_whitelist: Option<Networks>,
    /// Whether its people must have a second factor.
    pub force_2fa: Option<bool>,
    /// The longest life of new tokens, in days; an inner none lifts the limit.
    pub token_lifetime_max_days: Option<Option<u32>>,
    /// Whether tokens may be made that never end.
    pub never_expiring_tokens: Option<bool>,
    /// Who may make automation tokens.
    pub automation_token_makers: Option<Makers>,
    /// What is known about it, by the names of [`PROFILE`].
    pub profile: BTreeMap<String, String>,
}

/// A contact to add.
#[derive(Clone, Debug, Default)]
pub struct NewContact {
    /// What for: `primary`, `billing`, `technical`, `security`, `emergency`, `general compliance`.
    pub kind: String,
    /// A person's name.
    pub name: String,
    /// Their address.
    pub email: String,
    /// Their telephone number.
    pub phone: String,
    /// The user it is, if it is one.
    pub user: Option<UserId>,
}

/// What the longest life of a token may be set to, in days: a day to ten years, which is the most there is anyway.
const LIFE_DAYS: RangeInclusive<u32> = 1..=3650;

/// The kinds of contacts.
const CONTACT_KINDS: [&str; 6] =
    ["primary", "billing", "technical", "security", "emergency", "general compliance"];

/// How many contacts a customer has at most.
const CONTACTS_MAX: usize = 50;

impl Authority {
    /// Changes a customer. Its tokens follow at once.
    ///
    /// # Errors
    /// `name_invalid`, `token_lifetime_invalid`; `ip_whitelist_excludes_you`, `two_factor_missing` where the change would lock out who asks;
    /// storage faults.
    pub async fn update_customer(
        &self,
        permit: &Permit,
        origin: &Origin,
        changes: Changes,
    ) -> Result<Row, Fault> {
        permit.proves(Action::CUSTOMER_UPDATE)?;
        let id = permit.customer();
        self.change(permit.actor(), origin, move |mut write| {
            let mut row = row::find::<Row>(write.db(), write.keys(), id)?;
            let before = row.told();
            changes.apply(&mut row)?;
            still_lets_in(&write, &row, &changes)?;
            row.touch(&write);
            row.save(&mut write)?;
            let (old, new) = change::between(&before, &row.told());
            write.commit(&Event::CustomerUpdate { customer: id, old, new }, row)
        })
        .await
    }

    /// Closes a customer, for ever. Only its owner may.
    ///
    /// # Errors
    /// `not_the_owner`; storage faults.
    pub async fn close_customer(&self, permit: &Permit, origin: &Origin) -> Result<(), Fault> {
        permit.proves(Action::CUSTOMER_DELETE)?;
        let owner = self.owner_of(permit.customer()).await?;
        let is_owner = matches!(permit.actor(), Actor::Token { user: Some(user), .. } if Some(user) == owner);
        if !is_owner && permit.is_the_operators().is_err() {
            return Err(Fault::refused("not_the_owner", "Only the owner of the account can close it"));
        }
        self.change_state(permit, origin, CustomerState::Closed).await
    }

    /// Adds a contact.
    ///
    /// # Errors
    /// `contact_invalid`, `name_invalid`; storage faults.
    pub async fn create_contact(
        &self,
        permit: &Permit,
        origin: &Origin,
        id: keygate_model::EventId,
        new: NewContact,
    ) -> Result<Contact, Fault> {
        permit.proves(Action::CUSTOMER_UPDATE)?;
        let customer = permit.customer();
        self.change(permit.actor(), origin, move |mut write| {
            let mut row = row::find::<Row>(write.db(), write.keys(), customer)?;
            let contact = new.checked(&write, &row, id)?;
            row.contacts.push(contact.clone());
            row.touch(&write);
            row.save(&mut write)?;
            let event =
                Event::CustomerUpdate { customer, old: json!({}), new: json!({ "contact": contact.told() }) };
            write.commit(&event, contact)
        })
        .await
    }

    /// Takes a contact away.
    ///
    /// # Errors
    /// [`Fault::Missing`]; storage faults.
    pub async fn delete_contact(&self, permit: &Permit, origin: &Origin, id: &str) -> Result<(), Fault> {
        permit.proves(Action::CUSTOMER_UPDATE)?;
        let (customer, id) = (permit.customer(), id.to_owned());
        self.change(permit.actor(), origin, move |mut write| {
            let mut row = row::find::<Row>(write.db(), write.keys(), customer)?;
            let place = row.contacts.iter().position(|contact| contact.id.to_string() == id);
            let place = place.ok_or(Fault::Missing { noun: "contact", id })?;
            let contact = row.contacts.remove(place);
            row.touch(&write);
            row.save(&mut write)?;
            let event =
                Event::CustomerUpdate { customer, old: json!({ "contact": contact.told() }), new: json!({}) };
            write.commit(&event, ())
        })
        .await
    }
}

impl Changes {
    fn apply(&self, row: &mut Row) -> Result<(), Fault> {
        if let Some(name) = &self.name {
            row.name = text::name("Name", name)?;
        }
        let settings = &mut row.settings;
        if let Some(networks) = &self.ip_whitelist {
            settings.ip_whitelist = networks.clone();
        }
        settings.force_2fa = self.force_2fa.unwrap_or(settings.force_2fa);
        settings.never_expiring_tokens = self.never_expiring_tokens.unwrap_or(settings.never_expiring_tokens);
        settings.automation_token_makers =
            self.automation_token_makers.unwrap_or(settings.automation_token_makers);
        if let Some(days) = self.token_lifetime_max_days {
            if days.is_some_and(|days| !LIFE_DAYS.contains(&days)) {
                let why = format!("token_lifetime_max_days is {} to {}", LIFE_DAYS.start(), LIFE_DAYS.end());
                return Err(Fault::invalid("token_lifetime_invalid", why));
            }
            settings.token_lifetime_max_days = days;
        }
        for (name, value) in &self.profile {
            if !PROFILE.contains(&name.as_str()) {
                return Err(Fault::invalid("unknown_field", "A customer has no such field"));
            }
            row.profile.insert(name.clone(), text::comment(name, value)?);
        }
        Ok(())
    }
}

/// Refuses a change that would shut out the one who makes it: nobody could take it back.
fn still_lets_in(write: &Write<'_>, row: &Row, changes: &Changes) -> Result<(), Fault> {
    let Actor::Token { user, .. } = write.actor() else { return Ok(()) };
    let ip: Option<IpAddr> = write.origin().ip.parse().ok();
    if changes.ip_whitelist.is_some() && !row.settings.ip_whitelist.admit(ip) {
        let why = "ip_whitelist does not contain the address that this request came from; add it first";
        return Err(Fault::refused("ip_whitelist_excludes_you", why));
    }
    let Some(user) = user.filter(|_| changes.force_2fa == Some(true)) else { return Ok(()) };
    let person = user::find_in(write.db(), write.keys(), row.id, user)?;
    if person.state == UserState::Active && !person.has_factor() {
        let why = "Set up your own second factor before you ask one of everybody";
        return Err(Fault::refused("two_factor_missing", why));
    }
    Ok(())
}

impl NewContact {
    fn checked(self, write: &Write<'_>, row: &Row, id: keygate_model::EventId) -> Result<Contact, Fault> {
        let invalid = |why: String| Fault::invalid("contact_invalid", why);
        if !CONTACT_KINDS.contains(&self.kind.as_str()) {
            return Err(invalid(format!("contact_type must be one of: {}", CONTACT_KINDS.join(", "))));
        }
        if row.contacts.len() >= CONTACTS_MAX {
            return Err(invalid(format!("A customer has {CONTACTS_MAX} contacts at most")));
        }
        if self.user.is_none() && (self.name.is_empty() || self.email.is_empty()) {
            return Err(invalid("A contact is a user (user_id), or has a name and an email".to_owned()));
        }
        if let Some(user) = self.user {
            user::find_in(write.db(), write.keys(), row.id, user)?;
        }
        let now = write.origin().now.micros();
        Ok(Contact {
            id,
            kind: self.kind,
            name: text::comment("Name", &self.name)?,
            email: text::comment("Email", &self.email)?,
            phone: text::comment("Phone", &self.phone)?,
            user: self.user,
            created_at: now,
            updated_at: now,
        })
    }
}

impl Contact {
    /// What the audit log tells of it.
    fn told(&self) -> Value {
        json!({ "id": self.id, "contact_type": self.kind, "user_id": self.user })
    }
}
