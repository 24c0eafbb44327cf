//! OAuth's own doors: what a token is (RFC 7662), and that it be no more (RFC 7009). Whoever shows a secret here shows the
//! secret of another door's caller, so it is judged as there: by the gate, and what is not this customer's is nothing.

use axum::{
    Json,
    extract::{Extension, State},
    http::StatusCode,
};
use keygate_authority::{Fault, Origin, token::Row, user};
use keygate_model::{
    Action, Actor, Circumstances, CustomerId, Deny, Digest, Permit, ServiceId, Unsure, Verdict, Want,
    permit::WrongPermit,
    token::{Kind, Presented},
};
use serde_json::{Value, json};

use super::{Ap, From, verify};
use crate::{
    app::App,
    caller::Caller,
    error::Problem,
    metrics::Protocol,
    quota::{Left, Spender},
};

mod form;

use form::{Form, Refusal};

/// What a token is, for a resource server that was shown it: `active` and more, or that it is not and nothing else.
pub(crate) async fn introspect(State(app): Ap, caller: Caller, form: Form) -> Result<Json<Value>, Refusal> {
    let at = Circumstances::of(caller.origin.now, form.client);
    let alive = match shown(&app, &form) {
        None | Some((Some(Kind::Session), _)) => None,
        Some((_, digest)) => permit_of(&app, &caller, &digest, at)?.map(|permit| (permit, digest)),
    };
    let described = match alive {
        None => Ok(None),
        Some((permit, digest)) => described(&app, &permit, &digest, at).await.map(Some),
    };
    match described {
        // Gone since the gate was asked.
        Ok(None) | Err(Fault::Missing { .. }) => Ok(Json(json!({ "active": false }))),
        Ok(Some(active)) => Ok(Json(active)),
        Err(fault) => Err(Problem::from(fault).into()),
    }
}

/// Revokes the token whose secret is shown: for a caller who may, or for nobody but whoever holds it. What is no token
/// any more is done already.
pub(crate) async fn revoke(
    State(app): Ap,
    Extension(origin): From,
    caller: Option<Caller>,
    form: Form,
) -> Result<(Option<Extension<Left>>, StatusCode), Refusal> {
    let left = match (shown(&app, &form), caller) {
        (None, _) => None,
        (Some((Some(Kind::Session), _)), _) => return Err(Refusal::UnsupportedTokenType),
        (Some((_, digest)), Some(caller)) => revoke_for(&app, &caller, &digest).await.map(|()| None)?,
        (Some((_, digest)), None) => give_up(&app, &origin, &digest).await?,
    };
    Ok((left.map(Extension), StatusCode::OK))
}

/// The secret of a form as it would be at the door. None: it can be nobody's.
fn shown(app: &App, form: &Form) -> Option<(Option<Kind>, Digest)> {
    let shown = Presented::parse(form.token.as_bytes(), &app.brand, app.gate.foreign()).ok()?;
    Some((shown.kind(), shown.digest()))
}

/// That the token may look at itself, if it is the caller's customer's and would be let in anywhere.
fn permit_of(
    app: &App,
    caller: &Caller,
    digest: &Digest,
    at: Circumstances,
) -> Result<Option<Permit>, Problem> {
    let decide = |action| app.gate.decide(digest, &Want { action, service: None }, at);
    match decide(Action::TOKEN_READ_SELF) {
        Verdict::CannotTell(unsure @ (Unsure::Stale | Unsure::LeaseLapsed)) => Err(Problem::unsure(unsure)),
        _ if app.gate.actor(digest).and_then(customer_of) != Some(caller.permit.customer()) => Ok(None),
        Verdict::CannotTell(unsure) => Err(Problem::unsure(unsure)),
        Verdict::Deny(_) => Ok(None),
        // Somebody who must set up a second factor may look at their token and do nothing else. A resource server would
        // serve them, so it asks for an action that is not among those.
        Verdict::Allow(_) if is_kept_out(decide(Action::TOKEN_INTROSPECT)) => Ok(None),
        Verdict::Allow(permit) => Ok(Some(permit)),
    }
}

/// Refused for where it comes from or what its owner lacks, before it mattered what it asks for.
fn is_kept_out(verdict: Verdict) -> bool {
    matches!(verdict, Verdict::Deny(Deny::Network | Deny::FactorMissing))
}

fn customer_of(actor: Actor) -> Option<CustomerId> {
    match actor {
        Actor::Token { customer, .. } => Some(customer),
        _ => None,
    }
}

/// An active token, by its own permit. `scope` is the ceiling that it was made with; `keygate_permissions` is what the law
/// lets it do now.
async fn described(app: &App, permit: &Permit, digest: &Digest, at: Circumstances) -> Result<Value, Fault> {
    let Actor::Token { token, user, customer } = permit.actor() else {
        return Err(Fault::Permit(WrongPermit));
    };
    let row = app.authority.token(permit, token).await?.row;
    let person = match user {
        Some(user) => Some(app.authority.user(customer, user).await?),
        None => None,
    };
    let mut active = claims(&row, person.as_ref());
    let may = |action, service: Option<ServiceId>| {
        let want = Want { action, service: service.map(|id| app.gate.wanted_id(id)) };
        matches!(app.gate.decide(digest, &want, at), Verdict::Allow(_))
    };
    active["keygate_permissions"] = verify::permissions(app, may, verify::reached(&row, person.as_ref()));
    if let Some(issuer) = &app.public_url {
        active["iss"] = issuer.as_str().into();
    }
    Ok(active)
}

/// What RFC 7662 §2.2 has a name for, and whose token it is. Every token is a client of its own, named as its id.
fn claims(row: &Row, person: Option<&user::Row>) -> Value {
    let mut claims = json!({
        "active": true,
        "scope": row.scope,
        "client_id": row.id,
        "token_type": "Bearer",
        "iat": row.created_at.seconds(),
        "jti": row.id,
        "keygate_customer": row.customer,
    });
    if let Some(at) = row.expires.date() {
        claims["exp"] = at.seconds().into();
    }
    match person {
        Some(person) => {
            claims["sub"] = person.id.to_string().into();
            claims["username"] = person.login.as_str().into();
            claims["keygate_subject_type"] = "user".into();
            claims["keygate_role"] = person.role.as_str().into();
        }
        None => {
            claims["sub"] = row.id.to_string().into();
            claims["keygate_subject_type"] = "automation".into();
            claims["keygate_role"] = row.role().into();
        }
    }
    claims
}

/// Revokes for a caller: one's own, or with `token:revoke_any` anybody's of the customer. Another customer's token is
/// answered as one that never was.
async fn revoke_for(app: &App, caller: &Caller, digest: &Digest) -> Result<(), Problem> {
    let token = match app.gate.actor(digest) {
        Some(Actor::Token { token, customer, .. }) if customer == caller.permit.customer() => token,
        _ => return Ok(()),
    };
    let any = caller.may(app, Action::TOKEN_REVOKE_ANY, None);
    let permit = *any.as_ref().unwrap_or(&caller.permit);
    match app.authority.revoke(&permit, &caller.origin, vec![token]).await {
        // A colleague's. 200 would say that it is dead.
        Err(Fault::Missing { .. }) => any.map(|_| ()),
        done => Ok(done?),
    }
}

/// Revokes for whoever holds the secret, as `DELETE /tokens/self` does, and counts for them.
async fn give_up(app: &App, origin: &Origin, digest: &Digest) -> Result<Option<Left>, Problem> {
    let at = Circumstances::of(origin.now, origin.ip.parse().ok());
    let want = Want { action: Action::TOKEN_REVOKE_SELF, service: None };
    let verdict = app.gate.decide(digest, &want, at);
    app.metrics.decided(Protocol::Api, &verdict);
    let permit = match verdict {
        Verdict::Allow(permit) => permit,
        Verdict::Deny(Deny::Unknown | Deny::Expired { .. }) => return Ok(None),
        // It would live again with its owner, its customer or its address: 200 would say that it is dead.
        Verdict::Deny(deny) => return Err(Problem::denied(deny, &app.gate.policy())),
        Verdict::CannotTell(unsure) => return Err(Problem::unsure(unsure)),
    };
    app.authority.revoke_self(&permit, origin).await?;
    let Actor::Token { token, user, .. } = permit.actor() else { return Ok(None) };
    let spent = app.quota.spend(Spender { token: Some(token), person: user }, origin.now);
    Ok(Some(spent.unwrap_or_else(|exceeded| exceeded.left)))
}
