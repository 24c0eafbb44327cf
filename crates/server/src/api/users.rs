//! People: `/user`, `/current_user`, their passwords (CONTRACT §12).

use axum::{
    Json,
    extract::{Extension, Path, State},
    http::HeaderMap,
};
use keygate_authority::{
    login::Attempt,
    password::{NewPassword, Password},
    user::{Changes, NewUser, Row},
};
use keygate_model::{Action, Timestamp, UserId, link::LinkCode, user::Login};
use md5::{Digest as _, Md5};
use serde_json::{Value, json};

use super::{Ap, From, Reply, one_role, tokens};
use crate::{
    app::App,
    body::{Fields, basic},
    caller::Caller,
    error::Problem,
    json::time,
    outbox::Letter,
};

/// Fields that mean something in `POST /user` and `PUT /user/{id}`, and those that clients echo.
const FIELDS: [&str; 10] = [
    "id",
    "customer_id",
    "login",
    "name",
    "role",
    "roles",
    "limit_services",
    "two_factor_auth_enabled",
    "two_factor_setup_required",
    "ServiceID",
];

/// Fields that only somebody who is there can have: a new person sets a password first, and is not locked.
const LATER_FIELDS: [&str; 2] = ["locked", "require_new_password"];

/// The person behind the token.
pub(crate) async fn current(State(app): Ap, caller: Caller) -> Reply {
    let id = caller.user().ok_or_else(Problem::not_a_person)?;
    let user = app.authority.user(caller.permit.customer(), id).await?;
    Ok(Json(user_json(&user, Some(caller.origin.now))))
}

/// Oneself; a superuser sees anybody of the customer.
pub(crate) async fn show(State(app): Ap, caller: Caller, Path(id): Path<String>) -> Reply {
    let permit = caller.widest(&app, Action::USER_READ_ANY)?;
    let user = app.authority.user_for(&permit, parse(&id)?).await?;
    shown(&app, user).await
}

/// Everybody in the customer.
pub(crate) async fn list(State(app): Ap, caller: Caller, Path(customer): Path<String>) -> Reply {
    caller.is_of(&customer)?;
    app.settle_marks().await;
    let people = app.authority.users(&caller.permit).await?;
    let active = app.authority.last_active(people.iter().map(|row| row.id).collect()).await?;
    Ok(Json(people.iter().zip(active).map(|(row, active)| user_json(row, active)).collect()))
}

/// Adds a person, who sets their password by a link.
pub(crate) async fn create(State(app): Ap, caller: Caller, fields: Fields) -> Reply {
    fields.only(&FIELDS)?;
    let blank = || Problem::bad_request("login_invalid", "Login can't be blank");
    let login = fields.text("login")?.ok_or_else(blank)?;
    let new = NewUser {
        id: app.user_id()?,
        login: parse_login(login)?,
        name: fields.text("name")?.unwrap_or(login).to_owned(),
        role: role(&fields)?.unwrap_or("user").to_owned(),
        limited: fields.flag("limit_services")?.unwrap_or(false),
        password: None,
    };
    let user = app.authority.create_user(&caller.permit, &caller.origin, new).await?;
    if let Some(letter) = reset_letter(&app, Some(&caller), &caller.origin, user.login.clone()).await? {
        app.outbox.put(letter).await;
    }
    Ok(Json(user_json(&user, None)))
}

/// Changes oneself; a superuser, anybody of the customer.
pub(crate) async fn update(State(app): Ap, caller: Caller, Path(id): Path<String>, fields: Fields) -> Reply {
    fields.only(&[&FIELDS[..], &LATER_FIELDS[..]].concat())?;
    let permit = caller.widest(&app, Action::USER_UPDATE_ANY)?;
    let changes = Changes {
        name: fields.text("name")?.map(str::to_owned),
        login: fields.text("login")?.map(parse_login).transpose()?,
        role: role(&fields)?.map(str::to_owned),
        locked: fields.flag("locked")?,
        limited: fields.flag("limit_services")?,
        must_change: fields.flag("require_new_password")?,
    };
    let user = app.authority.update_user(&permit, &caller.origin, parse(&id)?, changes).await?;
    shown(&app, user).await
}

/// Removes a person whose tokens are revoked.
pub(crate) async fn delete(State(app): Ap, caller: Caller, Path(id): Path<String>) -> Reply {
    app.authority.delete_user(&caller.permit, &caller.origin, parse(&id)?).await?;
    Ok(Json(json!({ "status": "ok" })))
}

/// Changes the password of whoever shows the old one: with a token, or with login and password as `Basic`.
pub(crate) async fn change_password(
    State(app): Ap,
    Extension(origin): From,
    caller: Option<Caller>,
    headers: HeaderMap,
    fields: Fields,
) -> Reply {
    fields.only(&["old_password", "new_password"])?;
    let missing = |what: &str| Problem::bad_request("password_missing", format!("Send {what}"));
    let shown = basic(&headers);
    let old = fields.text("old_password")?.or(shown.as_ref().map(|(_, password)| password.as_str()));
    let old = Password::parse(old.ok_or_else(|| missing("old_password"))?)?;
    let new = fields.text("new_password")?.ok_or_else(|| missing("new_password"))?;
    let new = NewPassword { password: Password::parse(new)?, salt: app.rng.bytes()? };
    let login = match (&caller, &shown) {
        (Some(caller), _) => {
            let user = caller.user().ok_or_else(Problem::not_a_person)?;
            app.authority.user(caller.permit.customer(), user).await?.login
        }
        (None, Some((login, _))) => tokens::login_of(login)?,
        (None, None) => return Err(missing("a Fastly-Key, or login and password as Basic")),
    };
    let attempt = Attempt { login, password: old, otp: tokens::code(&headers)? };
    let permit = caller.as_ref().map(|caller| &caller.permit);
    let user = app.authority.change_password(permit, &origin, attempt, new).await?;
    Ok(Json(user_json(&user, Some(origin.now))))
}

/// Sends a link that sets a new password. The answer is the same whoever asks and whoever has the login.
pub(crate) async fn request_reset(
    State(app): Ap,
    Extension(origin): From,
    caller: Option<Caller>,
    Path(login): Path<String>,
) -> Reply {
    if let Ok(login) = Login::parse(&login)
        && let Some(letter) = reset_letter(&app, caller.as_ref(), &origin, login).await?
    {
        // Nobody waits for it: a letter costs a sync of the disk, and the time would tell who has a login.
        tokio::spawn(async move { app.outbox.put(letter).await });
    }
    Ok(Json(json!({ "status": "ok" })))
}

/// Sets a new password by the code of a link.
pub(crate) async fn reset(State(app): Ap, Extension(origin): From, fields: Fields) -> Reply {
    fields.only(&["code", "password"])?;
    let both = || Problem::bad_request("password_missing", "Send code and password");
    let (code, password) = fields.text("code")?.zip(fields.text("password")?).ok_or_else(both)?;
    let new = NewPassword { password: Password::parse(password)?, salt: app.rng.bytes()? };
    app.authority.reset_password(&origin, code, new).await?;
    Ok(Json(json!({ "status": "ok" })))
}

/// The letter with a link that sets a new password, if anybody has this login.
async fn reset_letter(
    app: &App,
    caller: Option<&Caller>,
    origin: &keygate_authority::Origin,
    login: Login,
) -> Reply<Option<Letter>> {
    let code = LinkCode::new(&app.rng.bytes()?);
    let permit = caller.and_then(|caller| caller.may(app, Action::PASSWORD_RESET, None).ok());
    let reset = app.authority.request_reset(permit.as_ref(), origin, login, code).await?;
    Ok(reset.map(Letter::password_reset))
}

async fn shown(app: &App, user: Row) -> Reply {
    app.settle_marks().await;
    let active = app.authority.last_active(vec![user.id]).await?;
    Ok(Json(user_json(&user, active.into_iter().flatten().next())))
}

/// A person as the contract shows them.
fn user_json(user: &Row, active: Option<Timestamp>) -> Value {
    json!({
        "id": user.id,
        "created_at": time(user.created_at),
        "updated_at": time(user.updated_at),
        "name": user.name,
        "customer_id": user.customer,
        "require_new_password": user.must_change,
        "role": user.role,
        "roles": [user.role],
        "login": user.login.as_str(),
        "email_hash": data_encoding::HEXLOWER.encode(&Md5::digest(user.login.as_str())),
        "deleted_at": null,
        "locked": user.state == keygate_model::user::UserState::Locked,
        "two_factor_auth_enabled": user.has_factor(),
        "two_factor_setup_required": false,
        "limit_services": user.limited,
        "limit_workspaces": false,
        "bypass_sso": false,
        "ignores_two_factor_requirement": false,
        "last_active_at": active.map(time),
    })
}

fn role(fields: &Fields) -> Result<Option<&str>, Problem> {
    one_role(fields.text("role")?, &fields.texts(&["roles"])?)
}

fn parse(id: &str) -> Result<UserId, Problem> {
    id.parse().map_err(|_| Problem::missing("user", id))
}

pub(crate) fn parse_login(login: &str) -> Result<Login, Problem> {
    Login::parse(login).map_err(|why| Problem::bad_request("login_invalid", why.to_string()))
}
