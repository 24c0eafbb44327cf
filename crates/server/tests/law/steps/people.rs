//! Steps with people, and with the customer.

use keygate_authority::{
    Fault, customer,
    customer::Makers,
    factor::{FactorEntropy, FactorState},
    user::{Changes, NewAuthorization},
};
use keygate_model::{AuthorizationId, ServiceId, authorization::Permission, customer::CustomerState};

use super::{PERMISSIONS, ROLES, Sequence};
use crate::{
    house::{BOOK, at},
    naive::Role,
};

impl Sequence<'_> {
    /// Does a step with a person or the customer. False: it was refused.
    pub(super) async fn about_people(&mut self, step: &'static str) -> bool {
        let mut place = self.chance.below(self.people.len());
        if ["regrant", "ungrant"].contains(&step) && self.model.people[place].grants.is_empty() {
            place = 1 - place;
        }
        let done = match step {
            "demote" => {
                let role = self.chance.of(&ROLES);
                let done = self.change(place, Changes::role(role)).await;
                if done.is_ok() {
                    self.model.people[place].role = Role::of(role);
                }
                self.told.push(format!("demote: {place} to {role}"));
                done
            }
            "lock" | "unlock" => {
                let done = self.change(place, Changes::locked(step == "lock")).await;
                if done.is_ok() {
                    self.model.people[place].active = step == "unlock";
                }
                done
            }
            "limit" | "unlimit" => {
                let changes = Changes { limited: Some(step == "limit"), ..Changes::default() };
                let done = self.change(place, changes).await;
                if done.is_ok() {
                    self.model.people[place].limited = step == "limit";
                }
                done
            }
            "grant" => self.grant(place).await,
            "regrant" | "ungrant" => self.regrant(place, step == "regrant").await,
            "enrol" => self.enrol(place).await,
            _ => self.about_the_customer(step).await,
        };
        self.told.push(format!("{step}: {place}: {done:?}"));
        match done {
            Ok(()) => true,
            Err(
                Fault::Refused { .. } | Fault::Invalid { .. } | Fault::Taken { .. } | Fault::Missing { .. },
            ) => false,
            Err(fault) => panic!("{step}: {fault:?}"),
        }
    }

    async fn change(&self, place: usize, changes: Changes) -> Result<(), Fault> {
        let (permit, origin) = (self.operator(), at(self.model.now));
        self.house.authority.update_user(&permit, &origin, self.people[place], changes).await.map(drop)
    }

    async fn grant(&mut self, place: usize) -> Result<(), Fault> {
        let (service, word) = (self.chance.of(&self.model.services.clone()), self.chance.of(&PERMISSIONS));
        let new = NewAuthorization {
            id: AuthorizationId::from_bytes(self.house.draw()),
            user: self.people[place],
            service,
            permission: Permission::of(word).expect("a permission"),
        };
        let (permit, origin) = (self.operator(), at(self.model.now));
        self.house.authority.create_authorization(&permit, &origin, new).await?;
        self.model.people[place].grants.insert(service, BOOK.permission(word));
        Ok(())
    }

    /// Changes or takes away what a person was given on some service.
    async fn regrant(&mut self, place: usize, changes: bool) -> Result<(), Fault> {
        let nothing = || Fault::Missing { noun: "serviceauthorization", id: String::new() };
        let given: Vec<ServiceId> = self.model.people[place].grants.keys().copied().collect();
        if given.is_empty() {
            return Err(nothing());
        }
        let service = self.chance.of(&given);
        let (permit, origin) = (self.operator(), at(self.model.now));
        let all = self.house.authority.authorizations(&permit).await?;
        let id = all.iter().find(|one| one.user == self.people[place] && one.grant.service == service);
        // Somebody gone has none that could be found.
        let id = id.ok_or_else(nothing)?.grant.id;
        if changes {
            let word = self.chance.of(&PERMISSIONS);
            let change = (id, Permission::of(word).expect("a permission"));
            self.house.authority.update_authorizations(&permit, &origin, vec![change]).await?;
            self.model.people[place].grants.insert(service, BOOK.permission(word));
        } else {
            self.house.authority.delete_authorizations(&permit, &origin, vec![id]).await?;
            self.model.people[place].grants.remove(&service);
        }
        Ok(())
    }

    /// Sets up a second factor, or takes it away.
    async fn enrol(&mut self, place: usize) -> Result<(), Fault> {
        let (permit, origin, user) = (self.operator(), at(self.model.now), self.people[place]);
        let authority = &self.house.authority;
        if self.model.people[place].has_factor {
            authority.disable_factor(&permit, &origin, user).await?;
        } else {
            let recovery = std::array::from_fn(|_| self.house.draw());
            let entropy = FactorEntropy { seed: self.house.draw(), nonce: self.house.draw(), recovery };
            authority.enrol_factor(&permit, &origin, user, entropy, FactorState::On).await?;
        }
        self.model.people[place].has_factor ^= true;
        Ok(())
    }

    async fn about_the_customer(&mut self, step: &'static str) -> Result<(), Fault> {
        let (permit, origin) = (self.operator(), at(self.model.now));
        let authority = &self.house.authority;
        if step == "suspend" {
            // More often open than closed, or hardly anything would be allowed.
            let suspended = !self.model.suspended && self.chance.one_in(2);
            let state = if suspended { CustomerState::Suspended } else { CustomerState::Active };
            authority.set_customer_state(&permit, &origin, state).await?;
            self.model.suspended = suspended;
            return Ok(());
        }
        let makers = [Makers::Nobody, Makers::Superusers, Makers::SuperusersAndTokens];
        let (force, makers) = (self.chance.one_in(2), self.chance.of(&makers));
        let changes = customer::Changes {
            force_2fa: Some(force),
            automation_token_makers: Some(makers),
            ..customer::Changes::default()
        };
        authority.update_customer(&permit, &origin, changes).await?;
        self.model.force_factor = force;
        self.model.off = match makers {
            Makers::Nobody => BOOK.set(&["automation_token:create", "automation_token:mint"]),
            Makers::Superusers => BOOK.set(&["automation_token:mint"]),
            Makers::SuperusersAndTokens => 0,
        };
        Ok(())
    }
}
