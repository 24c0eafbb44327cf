//! Refusals, looked up by their ids: which rule refused, by what value, and the smallest grant that would have let it
//! pass. Told as things are now: what was refused an hour ago may be let in today.

use std::net::Ipv6Addr;

use axum::{
    Json,
    extract::{Path, State},
};
use keygate_authority::{denial::Denial, token::Row};
use keygate_model::{
    Action, CustomerId, Policy, ServiceId,
    policy::{Access, Route},
};
use serde_json::{Value, json};

use super::{Ap, Reply};
use crate::{
    app::App,
    caller::Caller,
    error::Problem,
    json::time,
    ways::denial::{CODES, number},
};

/// Explains a refusal of one's own token; with `token:read_any`, of anybody's in the customer.
pub(crate) async fn show(State(app): Ap, caller: Caller, Path(id): Path<String>) -> Reply {
    let missing = || Problem::missing("denial", &id);
    let denial = app.denials.as_ref().and_then(|denials| denials.read(&id)).ok_or_else(missing)?;
    let permit = caller.widest(&app, Action::TOKEN_READ_ANY)?;
    let (token, role) =
        app.authority.denied_token(&permit, denial.token).await.map_err(|fault| match fault {
            keygate_authority::Fault::Missing { .. } => missing(),
            fault => fault.into(),
        })?;
    Ok(Json(explained(&app, &id, &denial, &token, &role)))
}

fn explained(app: &App, id: &str, denial: &Denial, token: &Row, role: &str) -> Value {
    let policy = app.gate.policy();
    let found = route(&policy, token.customer, denial.route);
    let action = found.and_then(|(_, route)| match route.access {
        Access::Action(action) | Access::ActionIfAny(action) => Some(action),
        Access::Public | Access::Unclassified => None,
    });
    let code = CODES.get(usize::from(denial.reason)).copied().unwrap_or("other");
    let (rule, value, grant) = Case { policy: &policy, denial, token, role, action }.words(code);
    json!({
        "id": id,
        "at": time(denial.at),
        "code": code,
        "rule": rule,
        "value": value,
        "grant": grant,
        "route": found.map(|(host, route)| format!("{host} {}", route.on)),
        "action": action.map(|action| policy.name(action)),
        "token": {
            "id": token.id, "name": token.name, "scope": token.scope, "role": role,
            "services": token.services.listed(), "revoked_at": token.revoked_at.map(time),
        },
    })
}

/// The route with this number, if a policy still names it, and it is one for this customer.
fn route(policy: &Policy, customer: CustomerId, wanted: u32) -> Option<(&str, &Route)> {
    let apis = policy.apis().iter().filter(|api| api.customers.include(customer));
    let hosts = apis.flat_map(|api| api.hosts.iter().map(move |host| (host, api)));
    let mut routes =
        hosts.flat_map(|(host, api)| api.routes.all().iter().map(move |route| (host.as_str(), route)));
    routes.find(|(host, route)| number(host, route) == wanted)
}

/// What is known of a refusal, for its words.
struct Case<'a> {
    policy: &'a Policy,
    denial: &'a Denial,
    token: &'a Row,
    role: &'a str,
    action: Option<Action>,
}

/// The rule that refused, the value that it looked at, and the smallest grant that would have been enough.
type Words = (&'static str, Value, String);

impl Case<'_> {
    fn words(&self, code: &str) -> Words {
        let service = ServiceId::from_bytes(self.denial.value);
        match code {
            "insufficient_scope" | "read_only" => self.scope(),
            "insufficient_role" => self.role(),
            "service_not_granted" => (
                "the token, and whoever it is bound to, must not be limited to other services",
                service.to_string().into(),
                format!("a token for the service {service}, of somebody who is given it"),
            ),
            "insufficient_permission" => (
                "what the owner was given on the service must contain the action",
                service.to_string().into(),
                format!("more on the service {service}, for example full"),
            ),
            "service_limited" => (
                "the route names no service, so a token that is limited to services may not use it",
                self.token.services.listed().iter().map(ToString::to_string).collect::<Vec<_>>().into(),
                "a token for all services, of somebody who is limited to none".to_owned(),
            ),
            "ip_not_allowed" => {
                let ip = Ipv6Addr::from(self.denial.value).to_canonical();
                let rule = "the client must be in one of the account's networks";
                (rule, ip.to_string().into(), format!("{ip} in ip_whitelist"))
            }
            "token_unknown" => {
                let revoked = self.token.revoked_at;
                let grant = if revoked.is_some() {
                    "a new token: this one was revoked"
                } else {
                    "nothing: it is there now"
                };
                ("there must be such a token", revoked.map(time).into(), grant.to_owned())
            }
            _ => {
                let (rule, grant) = plain(code);
                (rule, Value::Null, grant.to_owned())
            }
        }
    }

    fn scope(&self) -> Words {
        let grant = self.action.and_then(|action| self.policy.smallest_scope(action)).map_or_else(
            || "no scope contains the action: one must be defined in a policy".to_owned(),
            |scope| format!("a token with the scope {scope}"),
        );
        ("the token's scope must contain the action", self.token.scope.clone().into(), grant)
    }

    fn role(&self) -> Words {
        let grant = self.action.and_then(|action| self.policy.smallest_role(action)).map_or_else(
            || "no role contains the action: one must be defined in a policy".to_owned(),
            |role| format!("the role {role}"),
        );
        ("the role of the token's owner must contain the action", self.role.into(), grant)
    }
}

/// The rule and the grant of what has no value.
fn plain(code: &str) -> (&'static str, &'static str) {
    match code {
        "service_not_found" => (
            "the service that the path names must be one of the account",
            "the id of a service of this account in the path",
        ),
        "token_expired" => ("the token must be alive", "a new token"),
        "owner_disabled" => ("the token's owner must be active", "a token of somebody who is"),
        "unclassified" => {
            ("somebody must have said what the route is", "an action for the route, in its policy")
        }
        "no_rule" => ("a policy must name host, method and path", "a route in a policy"),
        "sudo_required" | "interactive_only" => {
            ("a password must have been shown lately", "POST /sudo with the token")
        }
        _ => ("the request must be one that can be decided", "none: see the code in the docs"),
    }
}
