//! Steps with tokens: imported, created by another, minted by one that may, revoked, converted.

use std::time::Duration;

use keygate_authority::{
    Fault,
    token::{AutomationOrder, Import, ImportOwner, ImportedSecret, Issued, Order},
};
use keygate_model::{
    Action, Digest, Expiry, Services, Timestamp, TokenId,
    record::Owner as RecordOwner,
    token::{Brand, Kind},
};

use super::{ROLES, SCOPES, Sequence};
use crate::{
    house::{BOOK, at},
    naive::{Owner, Powers, Role, Token, excess},
};

impl Sequence<'_> {
    /// Takes over a key, of a person or with a role of its own. False: the person is gone.
    pub(super) async fn import(&mut self, person: Option<usize>, scope: &'static str) -> bool {
        let secret = format!("an-old-key-{:032x}", u128::from_be_bytes(self.house.draw()));
        let id = TokenId::from_bytes(self.house.draw());
        let (services, expires) = (self.some_services(), self.some_end());
        let owner = person.map_or_else(|| Owner::Customer(Role::of(self.chance.of(&ROLES))), Owner::Person);
        let import = Import {
            id,
            secret: ImportedSecret::of_secret(secret.as_bytes(), &Brand::default()).expect("a key"),
            name: "key".to_owned(),
            owner: match &owner {
                Owner::Person(place) => ImportOwner::User(self.people[*place]),
                Owner::Customer(role) => ImportOwner::Role(role.0.to_owned()),
            },
            scope: scope.to_owned(),
            services: services.clone(),
            expires: expires.map_or(Expiry::Never, Expiry::At),
        };
        let (permit, origin) = (self.operator(), at(self.model.now));
        let done = self.house.authority.import_tokens(&permit, &origin, vec![import], false, |_| {}).await;
        if person.is_some_and(|place| self.model.people[place].gone) {
            assert!(done.is_err(), "a key of nobody");
            return false;
        }
        done.expect("imported");
        self.told.push(format!("import: {scope} {services:?} until {expires:?}"));
        self.remember(id, Digest::of(secret.as_bytes()), owner, scope, services, expires);
        true
    }

    /// A token makes another for its person.
    pub(super) async fn create(&mut self) -> Result<bool, String> {
        let Some(parent) = self.some_token(|owner| matches!(owner, Owner::Person(_))) else {
            return Ok(false);
        };
        let wider = self.powers_in_sudo(&parent)?;
        let Some(permit) = self.house.permit(parent.id, Action::TOKEN_CREATE, self.model.now) else {
            return Ok(false);
        };
        let order = self.some_order();
        let (origin, minted) = (at(self.model.now), self.house.mint(Kind::User));
        let made = self.house.authority.create_token(&permit, &origin, order.clone(), minted).await;
        let scope = order.scope.clone().unwrap_or_else(|| parent.scope.clone());
        self.born(made, &parent, parent.owner, &scope, &order, &wider, "create")
    }

    /// A token makes a machine's.
    pub(super) async fn mint(&mut self) -> Result<bool, String> {
        let Some(parent) = self.some_token(|_| true) else { return Ok(false) };
        let wider = self.powers_in_sudo(&parent)?;
        let permit = self.house.permit(parent.id, Action::AUTOMATION_TOKEN_CREATE, self.model.now);
        let Some(permit) = permit else { return Ok(false) };
        let (order, role) = (self.some_order(), self.chance.of(&ROLES));
        let wanted = AutomationOrder { order: order.clone(), role: role.to_owned(), tls_access: false };
        let (origin, minted) = (at(self.model.now), self.house.mint(Kind::Automation));
        let made = self.house.authority.create_automation_token(&permit, &origin, wanted, minted).await;
        let scope = order.scope.clone().unwrap_or_else(|| "global".to_owned());
        self.born(made, &parent, Owner::Customer(Role::of(role)), &scope, &order, &wider, "mint")
    }

    /// Takes a child into the model, with the ceiling that was asked for; it must not be wider than its parent in sudo.
    #[expect(clippy::too_many_arguments, reason = "a birth has a parent, an order and a witness")]
    fn born(
        &mut self,
        made: Result<Issued, Fault>,
        parent: &Token,
        owner: Owner,
        scope: &str,
        order: &Order,
        wider: &Powers,
        step: &str,
    ) -> Result<bool, String> {
        let nth = self.nth(parent.id);
        let issued = match made {
            Ok(issued) => issued,
            Err(Fault::Wider { .. } | Fault::Invalid { .. }) => {
                self.told.push(format!("{step} by {nth} of {order:?}: refused"));
                return Ok(false);
            }
            Err(fault) => return Err(format!("{step} by {nth} of {order:?}: {fault:?}")),
        };
        self.told.push(format!("{step} by {nth} of {order:?} for {}", self.role_of(owner).0));
        let ids = |texts: &Vec<String>| texts.iter().map(|id| id.parse().expect("an id")).collect();
        let services = order.services.as_ref().map(ids).or_else(|| parent.services.clone());
        let expires = order.expires.or(parent.expires);
        let digest = self.house.told(issued.row.id).digest;
        self.remember(issued.row.id, digest, owner, scope, services, expires);
        let child = self.model.tokens.last().expect("just remembered").clone();
        let powers = self.model.powers(&child, false);
        if let Some(more) = excess(&powers, wider) {
            return Err(format!("the child may do more than its parent in sudo: {more:?}"));
        }
        let longer = match (child.expires, parent.expires) {
            (None, Some(_)) => true,
            (Some(child), Some(parent)) => child > parent,
            (_, None) => false,
        };
        if longer { Err("the child outlives its parent".to_owned()) } else { Ok(true) }
    }

    pub(super) async fn revoke(&mut self) -> bool {
        let Some(token) = self.some_token(|_| true) else { return false };
        let nth = self.nth(token.id);
        let (permit, origin) = (self.operator(), at(self.model.now));
        self.house.authority.revoke(&permit, &origin, vec![token.id]).await.expect("revoked");
        self.model.tokens[nth].revoked = true;
        self.told.push(format!("revoke: {nth}"));
        true
    }

    /// A person leaves, and some of their tokens become the customer's: with no wider rights than they had a moment before.
    pub(super) async fn convert(&mut self) -> Result<bool, String> {
        let place = self.chance.below(self.people.len());
        let of = |token: &&Token| matches!(token.owner, Owner::Person(by) if by == place);
        let theirs: Vec<_> = self.model.tokens.iter().filter(of).cloned().collect();
        let mut chosen = Vec::new();
        for token in theirs.into_iter().filter(|token| self.model.is_living(token)) {
            if !self.chance.one_in(4) {
                chosen.push(token);
            }
        }
        let before: Vec<_> = chosen.iter().map(|token| self.model.powers(token, false)).collect();
        let (permit, origin) = (self.operator(), at(self.model.now));
        let ids = chosen.iter().map(|token| token.id).collect();
        let done = self.house.authority.offboard_user(&permit, &origin, self.people[place], ids).await;
        let chosen: Vec<_> = chosen.iter().map(|token| self.nth(token.id)).collect();
        self.told.push(format!("convert: {chosen:?} of {place}: {done:?}"));
        match done {
            Ok(_) => {}
            Err(Fault::Refused { .. } | Fault::Invalid { .. } | Fault::Missing { .. }) => return Ok(false),
            Err(fault) => return Err(format!("{fault:?}")),
        }
        let role = self.model.people[place].role;
        self.model.people[place].gone = true;
        for (nth, before) in chosen.into_iter().zip(before) {
            let record = self.house.told(self.model.tokens[nth].id);
            if record.owner != (RecordOwner::Customer { role: role.0.to_owned() }) {
                return Err(format!("token {nth} was to be converted: {record:?}"));
            }
            let token = &mut self.model.tokens[nth];
            token.owner = Owner::Customer(role);
            token.services = match &record.services {
                Services::All => None,
                some => Some(some.listed().to_vec()),
            };
            let powers = self.model.powers(&self.model.tokens[nth], false);
            if let Some(more) = excess(&powers, &before) {
                return Err(format!("token {nth} may do more than before it was converted: {more:?}"));
            }
        }
        Ok(true)
    }

    fn remember(
        &mut self,
        id: TokenId,
        digest: Digest,
        owner: Owner,
        scope: &str,
        services: Option<Vec<keygate_model::ServiceId>>,
        expires: Option<Timestamp>,
    ) {
        let (role_then, owner_then) = (self.role_of(owner), owner);
        let (ceiling, scope) = (BOOK.scopes(scope), scope.to_owned());
        let revoked = false;
        let token =
            Token { id, digest, owner, ceiling, scope, services, expires, revoked, role_then, owner_then };
        self.model.tokens.push(token);
    }

    /// A token that is not revoked, of an owner like this. It may be dead for another reason.
    fn some_token(&mut self, like: impl Fn(&Owner) -> bool) -> Option<Token> {
        let tokens = self.model.tokens.iter().filter(|token| !token.revoked && like(&token.owner));
        let tokens: Vec<_> = tokens.cloned().collect();
        if tokens.is_empty() { None } else { Some(self.chance.of(&tokens)) }
    }

    fn some_order(&mut self) -> Order {
        let scope = (!self.chance.one_in(3)).then(|| self.chance.of(&SCOPES).to_owned());
        let services = self.some_services().map(|ids| ids.iter().map(ToString::to_string).collect());
        Order { name: None, scope, services, expires: self.some_end(), idempotency: None }
    }

    fn some_services(&mut self) -> Option<Vec<keygate_model::ServiceId>> {
        let services = self.model.services.clone();
        match self.chance.below(4) {
            0 => Some(vec![self.chance.of(&services)]),
            1 => Some(services),
            _ => None,
        }
    }

    fn some_end(&mut self) -> Option<Timestamp> {
        let later = self.chance.of(&[None, None, Some(3600), Some(5400)]);
        later.map(|later| self.model.now.after(Duration::from_secs(later)))
    }
}
