//! Who asks, as a JWT that the protected API verifies by itself: it need not believe that whoever connects to it is the
//! proxy. Signed anew for every request, so that none says more than was true when it was let in.

use keygate_gate::Identity;
use keygate_model::{Actor, CustomerId, Expiry, Host, Timestamp, TokenId, Unsure};
use serde::Serialize;

use crate::front::Front;

/// What it says.
#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    aud: &'a str,
    sub: String,
    iat: i64,
    nbf: i64,
    exp: i64,
    jti: String,
    keygate_token: TokenId,
    keygate_customer: CustomerId,
    scope: &'a str,
    role: &'a str,
    subject_type: &'static str,
}

/// The JWT about whom the gate has let in. None: the policy of this host wants none, or it is nobody in particular.
///
/// # Errors
/// [`Unsure`] where the policy wants one and it cannot be made: then nobody is let in, since the API would take them for
/// somebody else, or for nobody.
pub(super) fn of(
    app: &Front,
    host: Option<&Host<'_>>,
    identity: &Identity<'_>,
    now: Timestamp,
) -> Result<Option<String>, Unsure> {
    let Actor::Token { token, customer, user } = identity.actor else { return Ok(None) };
    let policy = app.gate.policy();
    let wanted = host.and_then(|host| Some((host, policy.api_at(host)?)));
    let Some((host, api)) = wanted else { return Ok(None) };
    let Some(assertion) = &api.assertion else { return Ok(None) };
    let Some(issuer) = &app.public_url else {
        tracing::warn!(
            policy = api.name,
            "the policy wants signed identities, and their issuer is not known: set public_url"
        );
        return Err(Unsure::IssuerMissing);
    };
    let Some(sign) = &app.sign else {
        tracing::warn!(
            policy = api.name,
            "the policy wants signed identities, and a gate without a database signs none"
        );
        return Err(Unsure::Unsupported);
    };
    let (sub, subject_type) =
        user.map_or_else(|| (token.to_string(), "automation"), |user| (user.to_string(), "user"));
    let jti = app.rng.bytes::<16>().map_err(|_| Unsure::Stale)?;
    // It does not outlive the token.
    let end = match identity.expires.min(Expiry::At(now.after(assertion.lifetime))) {
        Expiry::At(end) => end,
        Expiry::Never => now,
    };
    let claims = Claims {
        iss: issuer,
        aud: assertion.audience.as_deref().unwrap_or(host.as_str()),
        sub,
        iat: now.seconds(),
        nbf: now.seconds(),
        exp: end.seconds(),
        jti: data_encoding::BASE64URL_NOPAD.encode(&jti),
        keygate_token: token,
        keygate_customer: customer,
        scope: identity.scopes,
        role: identity.role,
        subject_type,
    };
    let claims = serde_json::to_vec(&claims).map_err(|_| Unsure::Stale)?;
    sign(&claims).map(Some).ok_or(Unsure::Stale)
}
