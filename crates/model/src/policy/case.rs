//! Cases: asks that a policy says must be answered so. They are put to the law itself.

use std::fmt;

use super::{Access, Api, BadPolicy, Matched, Policy, SUPERUSER, Unmatched, file::CaseLine};
use crate::{
    action::ActionSet,
    ask::{Method, Path},
    authorization::Reach,
    customer::{CustomerState, Rules},
    decide::{Circumstances, Deny, Standing, Verdict, Want, WantedService, decide},
    host::Host,
    id::{CustomerId, ServiceId, TokenId, UserId},
    permit::{Actor, Permit},
    service::Services,
    time::{Expiry, Timestamp},
    user::UserState,
};

/// A case, and how it was answered.
#[derive(Clone, Debug)]
pub struct Answered {
    /// What was asked: `GET /orders/1`.
    pub ask: String,
    /// With what: scope, role, services.
    pub with: String,
    /// What the policy says the answer is: `allow`, `deny`, or a code.
    pub expected: String,
    /// What it is: `allow`, or a code.
    pub answer: String,
}

impl Answered {
    /// Whether the answer is the expected one.
    #[must_use]
    pub fn passes(&self) -> bool {
        self.expected == self.answer || self.expected == "deny" && self.answer != "allow"
    }
}

impl fmt::Display for Answered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { ask, with, expected, answer } = self;
        write!(f, "{ask} with {with} must be answered {expected}, and is answered {answer}")
    }
}

impl Policy {
    /// Answers the cases of an API.
    ///
    /// # Errors
    /// [`BadPolicy::Case`] for one that cannot be asked.
    pub fn cases(&self, api: &Api) -> Result<Vec<Answered>, BadPolicy> {
        let answered = |case: &CaseLine| {
            self.answer(api, case).map_err(|why| BadPolicy::Case { ask: case.ask.clone(), why })
        };
        api.cases.iter().map(answered).collect()
    }

    fn answer(&self, api: &Api, case: &CaseLine) -> Result<Answered, String> {
        let (method, path) = case.ask.split_once(' ').ok_or("write it as `METHOD /path`")?;
        let method = Method::parse(method)
            .ok_or("the method is none of GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")?;
        let host = case.host.as_ref().or(api.hosts.first()).ok_or("the policy has no host")?;
        let host = Host::parse(host).map_err(|why| why.to_string())?;
        let scope = case.scope.as_deref().unwrap_or("global");
        let role = case.role.as_deref().unwrap_or(SUPERUSER);
        let scopes = self.scopes(scope).ok_or_else(|| format!("there is no scope {scope:?}"))?;
        let actions = self.role(role).ok_or_else(|| format!("there is no role {role:?}"))?;
        let services = services(case.services.as_deref())?;
        let path = Path::new(path);
        let verdict = match self.route_at(&host, method, &path) {
            Ok(Matched { access: Access::Public, .. }) => Verdict::Allow(Permit::public()),
            Ok(Matched { access: Access::Unclassified, .. }) => Verdict::Deny(Deny::Unclassified),
            Ok(Matched { access: Access::Action(action) | Access::ActionIfAny(action), service, .. }) => {
                let service = service.map(|text| wanted(api, text));
                let standing = standing(api, case, (&scopes, &actions), &services);
                let at = Circumstances::of(Timestamp::from_micros(0), None);
                decide(self, &standing, &Want { action, service }, at)
            }
            Err(Unmatched::NoRoute) => Verdict::Deny(Deny::NoRoute),
            Err(Unmatched::Ambiguous) => Verdict::Deny(Deny::AmbiguousPath),
        };
        let limited = case.services.as_ref().map_or(String::new(), |list| format!(" on {}", list.join(", ")));
        Ok(Answered {
            ask: case.ask.clone(),
            with: format!("scope {scope}, role {role}{limited}"),
            expected: case.expect.clone(),
            answer: match verdict {
                Verdict::Allow(_) => "allow".to_owned(),
                Verdict::Deny(deny) => deny.code().to_owned(),
                Verdict::CannotTell(unsure) => unsure.code().to_owned(),
            },
        })
    }
}

fn services(listed: Option<&[String]>) -> Result<Services, String> {
    let Some(listed) = listed else { return Ok(Services::All) };
    let ids: Result<Vec<ServiceId>, _> = listed.iter().map(|id| id.parse()).collect();
    Services::only(ids.map_err(|_| "services has something that is no id")?).map_err(|why| why.to_string())
}

/// Every service that a case names is there, and the token's customer's.
fn wanted(api: &Api, text: &str) -> WantedService {
    text.parse().map_or(WantedService::Unknown, |id| WantedService::Known(id, customer(api)))
}

fn customer(api: &Api) -> CustomerId {
    match &api.customers {
        super::Customers::All => CustomerId::from_bits(1),
        super::Customers::These(ids) => ids.first().copied().unwrap_or(CustomerId::from_bits(1)),
    }
}

fn standing<'a>(
    api: &Api,
    case: &CaseLine,
    (scope, role): (&'a ActionSet, &'a ActionSet),
    services: &'a Services,
) -> Standing<'a> {
    let (token, customer) = (TokenId::from_bits(1), customer(api));
    let user = (!case.automation).then_some(UserId::from_bits(1));
    Standing {
        token,
        actor: Actor::Token { token, customer, user },
        customer,
        scope,
        role,
        services,
        reach: &Reach::All,
        expires: Expiry::Never,
        sudo_until: case.sudo.then(|| Timestamp::from_micros(1)),
        owner_state: UserState::Active,
        customer_state: CustomerState::Active,
        rules: Rules::none(),
        lacks_factor: false,
        unsure: None,
    }
}
