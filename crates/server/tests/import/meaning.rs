//! What a policy means: compiled as the gate compiles it, and put to the law.

use keygate_model::{
    Actor, Circumstances, CustomerId, Expiry, Method, Path, Policy, ServiceId, Services, Standing, Timestamp,
    TokenId, UserId, Verdict, Want,
    authorization::Reach,
    customer::{CustomerState, Rules},
    decide,
    decide::WantedService,
    host::Host,
    policy::{Access, ApiSource, Matched, OWN_POLICY, SUPERUSER},
    user::UserState,
};

/// A policy, ready to be asked.
pub(crate) struct Meaning(Policy);

impl Meaning {
    pub(crate) fn of(policy: &str) -> Self {
        let own = Policy::compile(OWN_POLICY).unwrap();
        let all = own.with(&[ApiSource { text: Some(policy), retired: &[] }]);
        Self(all.unwrap_or_else(|why| panic!("{why}\n{policy}")))
    }

    /// The scopes that it defines, beside Keygate's own.
    pub(crate) fn scopes(&self) -> Vec<&str> {
        let own = Policy::compile(OWN_POLICY).unwrap();
        self.0.scope_names().into_iter().filter(|name| own.scope(name).is_none()).collect()
    }

    /// The action that a request is. None where there is no route, or nobody gets past it.
    pub(crate) fn action(&self, method: &str, path: &str) -> Option<&str> {
        match self.matched(method, path)?.access {
            Access::Action(action) => self.0.name(action).split_once('/').map(|(_, name)| name),
            _ => None,
        }
    }

    pub(crate) fn is_unclassified(&self, method: &str, path: &str) -> bool {
        self.matched(method, path).is_some_and(|matched| matched.access == Access::Unclassified)
    }

    /// Whether a superuser's token with these scopes may; without any there is no token.
    pub(crate) fn allows(&self, method: &str, path: &str, scopes: &[&str]) -> bool {
        let Some(Matched { access, service, .. }) = self.matched(method, path) else { return false };
        let Access::Action(action) = access else { return access == Access::Public };
        let Some(scope) = self.0.scopes(&scopes.join(" ")) else { return false };
        let service = service.map(|text| match text.parse::<ServiceId>() {
            Ok(id) => WantedService::Known(id, CustomerId::from_bits(1)),
            Err(_) => WantedService::Unknown,
        });
        let role = self.0.role(SUPERUSER).unwrap();
        let at = Circumstances::of(Timestamp::from_micros(0), None);
        let verdict = decide(&self.0, &standing(&scope, &role), &Want { action, service }, at);
        matches!(verdict, Verdict::Allow(_))
    }

    fn matched(&self, method: &str, path: &str) -> Option<Matched<'_>> {
        let api = &self.0.apis()[0];
        let (host, method) = (Host::parse(&api.hosts[0]).unwrap(), Method::parse(method).unwrap());
        // The match borrows the path; it is one of few, and tests end.
        let path = Path::new(String::from(path).leak());
        self.0.route_at(&host, method, &path).ok()
    }
}

/// A token of a superuser in sudo.
fn standing<'a>(scope: &'a keygate_model::ActionSet, role: &'a keygate_model::ActionSet) -> Standing<'a> {
    let (token, customer) = (TokenId::from_bits(1), CustomerId::from_bits(1));
    Standing {
        token,
        actor: Actor::Token { token, customer, user: Some(UserId::from_bits(1)) },
        customer,
        scope,
        role,
        services: &Services::All,
        reach: &Reach::All,
        expires: Expiry::Never,
        sudo_until: Some(Timestamp::from_micros(1)),
        owner_state: UserState::Active,
        customer_state: CustomerState::Active,
        rules: Rules::none(),
        lacks_factor: false,
        unsure: None,
    }
}
