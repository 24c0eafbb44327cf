//! Asking a real gate that follows the authority, and what people do who have been let in.

use keygate_authority::{
    Fault, customer,
    event::Row as EventRow,
    factor::FactorState,
    token::{AutomationOrder, Order, Row},
    user::{Changes, NewAuthorization, Reset},
};
use keygate_model::{
    Action, AuthorizationId, Circumstances, CustomerId, Permit, ServiceId, Timestamp, TokenId, UserId,
    Verdict, Want, authorization::Permission, link::LinkCode, token::Digest,
};

use crate::house::{House, PASSWORD, Person, at, attempt, noon, operator, password};

impl House {
    /// What the gate says to a token.
    pub(crate) fn verdict(&self, digest: &Digest, action: Action, service: Option<ServiceId>) -> Verdict {
        let want = Want { action, service: service.map(|id| self.gate.wanted_id(id)) };
        let client = Some("192.0.2.7".parse().expect("an address"));
        self.gate.decide(digest, &want, Circumstances::of(noon(), client))
    }

    /// The same in a word.
    pub(crate) fn asks(&self, token: TokenId, action: Action, service: Option<ServiceId>) -> &'static str {
        match self.verdict(&self.digest(token), action, service) {
            Verdict::Allow(_) => "fine",
            Verdict::Deny(deny) => deny.code(),
            Verdict::CannotTell(unsure) => unsure.code(),
        }
    }

    /// The permit that the gate gives to a token.
    pub(crate) fn may(&self, token: &Row, action: Action) -> Permit {
        match self.verdict(&self.digest(token.id), action, None) {
            Verdict::Allow(permit) => permit,
            verdict => panic!("{action:?}: {verdict:?}"),
        }
    }

    pub(crate) fn digest(&self, token: TokenId) -> Digest {
        self.told.token(token).expect("a token that was told of").digest
    }

    /// A superuser with a token in sudo, in a house of their own.
    pub(crate) async fn boss(&self, login: &str) -> (Person, Row) {
        let person = self.person(login).await;
        let token = self.token_in_sudo(&person).await;
        (person, token)
    }

    pub(crate) async fn token_in_sudo(&self, person: &Person) -> Row {
        let token = self.token(person).await;
        self.sudo(&token).await;
        token
    }

    pub(crate) async fn sudo(&self, token: &Row) {
        let permit = self.may(token, Action::SUDO_START);
        self.authority.start_sudo(&permit, &at(noon()), None, password(PASSWORD)).await.expect("sudo");
    }

    /// A person with a second factor in force, and a token of theirs that was made with it, in sudo.
    pub(crate) async fn proved(&self, person: &Person) -> Row {
        let authenticator = self.enrol(person, FactorState::On).await;
        let token = self.try_code(person, &authenticator.code(noon()), noon()).await.expect("a token");
        self.sudo(&token).await;
        token
    }

    pub(crate) async fn change_user(&self, by: &Row, whom: UserId, changes: Changes) -> Result<(), Fault> {
        let permit = self.may(by, Action::USER_UPDATE_ANY);
        self.authority.update_user(&permit, &at(noon()), whom, changes).await.map(drop)
    }

    pub(crate) async fn settle(&self, by: &Row, changes: customer::Changes) -> Result<(), Fault> {
        let permit = self.may(by, Action::CUSTOMER_UPDATE);
        self.authority.update_customer(&permit, &at(noon()), changes).await.map(drop)
    }

    pub(crate) async fn grant(
        &self,
        customer: CustomerId,
        user: UserId,
        service: ServiceId,
        may: Permission,
    ) -> AuthorizationId {
        let id = AuthorizationId::from_bytes(self.ground.draw());
        let new = NewAuthorization { id, user, service, permission: may };
        let made = self.authority.create_authorization(&operator(customer), &at(noon()), new).await;
        made.expect("an authorisation").grant.id
    }

    pub(crate) async fn automation(&self, by: &Row, wanted: AutomationOrder) -> Result<Row, Fault> {
        let permit = self.may(by, Action::AUTOMATION_TOKEN_CREATE);
        let made =
            self.authority.create_automation_token(&permit, &at(noon()), wanted, self.ground.mint()).await;
        made.map(|issued| issued.row)
    }

    /// A link that sets a new password, as a stranger asks for one.
    pub(crate) async fn reset_link(&self, login: &str, now: Timestamp) -> Option<(String, Reset)> {
        let code = LinkCode::new(&self.ground.draw());
        let login = keygate_model::user::Login::parse(login).expect("a login");
        let reset = self.authority.request_reset(None, &at(now), login, code).await.expect("asked");
        reset.map(|mut reset| {
            let code = std::mem::replace(&mut reset.code, LinkCode::new(&[0; 32]));
            (code.reveal().to_string(), reset)
        })
    }

    pub(crate) async fn reset(&self, code: &str, text: &str, now: Timestamp) -> Result<(), Fault> {
        self.authority.reset_password(&at(now), code, self.new_password(text)).await
    }

    pub(crate) async fn log_in_with(&self, login: &str, text: &str) -> Result<Row, Fault> {
        self.log_in(attempt(login, text, None), Order::default(), noon()).await
    }

    /// The last event of a kind.
    pub(crate) async fn last(&self, customer: CustomerId, kind: &str) -> EventRow {
        let events = self.events(customer).await;
        events.into_iter().rev().find(|event| event.kind == kind).unwrap_or_else(|| panic!("no {kind}"))
    }

    /// That no event says any of these.
    pub(crate) async fn nothing_tells(&self, customer: CustomerId, secrets: &[&str]) {
        for event in self.events(customer).await {
            let told = format!("{event:?}");
            for secret in secrets {
                assert!(!told.contains(secret), "{told}");
            }
        }
    }
}

/// An automation token of a role.
pub(crate) fn automation(role: &str) -> AutomationOrder {
    AutomationOrder { order: Order::default(), role: role.to_owned(), tls_access: false }
}

/// The same with a scope.
pub(crate) fn automation_of(role: &str, scope: &str) -> AutomationOrder {
    let order = Order { scope: Some(scope.to_owned()), ..Order::default() };
    AutomationOrder { order, ..automation(role) }
}
