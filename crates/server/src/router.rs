//! Every route of the API on one page. The left side is the policy's name of the route, so that one test can hold the
//! two against each other: a route without a policy row is denied, and a row without a handler is a mistake.

use std::sync::Arc;

use axum::{
    Router, middleware,
    response::IntoResponse as _,
    routing::{MethodRouter, delete, get, patch, post, put},
};
use tower_http::catch_panic::CatchPanicLayer;

use crate::{
    api::{
        authorizations, automation_tokens, customers, denials, events, factor, feed, health, iam,
        invitations, mass_revokes, oauth, openapi, purge, services, sudo, tokens, users, verify, versions,
        well_known,
    },
    app::App,
    door,
    error::Problem,
};

/// A row: the route as the policy names it, and who answers.
type Row = (&'static str, MethodRouter<Arc<App>>);

/// The table.
#[must_use]
pub fn table() -> Vec<Row> {
    [tokens_rows(), people_rows(), permissions_rows(), services_rows(), about_rows()].concat()
}

/// Tokens, of people and of machines.
fn tokens_rows() -> Vec<Row> {
    vec![
        ("POST /tokens", post(tokens::create)),
        ("GET /tokens", get(tokens::list)),
        ("DELETE /tokens", delete(tokens::revoke_many)),
        ("GET /tokens/self", get(tokens::show_self)),
        ("DELETE /tokens/self", delete(tokens::revoke_self)),
        ("GET /tokens/{token}", get(tokens::show)),
        ("DELETE /tokens/{token}", delete(tokens::revoke)),
        ("POST /tokens/mass-revoke", post(mass_revokes::create)),
        ("GET /customer/{customer}/tokens", get(customers::tokens)),
        ("POST /sudo", post(sudo::start)),
        ("GET /verify", get(verify::show)),
        ("POST /automation-tokens", post(automation_tokens::create)),
        ("GET /automation-tokens", get(automation_tokens::list)),
        ("GET /automation-tokens/{token}", get(automation_tokens::show)),
        ("GET /automation-tokens/{token}/services", get(automation_tokens::services)),
        ("GET /automation-tokens/{token}/workspaces", get(automation_tokens::workspaces)),
        ("DELETE /automation-tokens/{token}", delete(automation_tokens::revoke)),
        ("POST /oauth/introspect", post(oauth::introspect)),
        ("POST /oauth/revoke", post(oauth::revoke)),
    ]
}

/// People, and the customer they belong to.
fn people_rows() -> Vec<Row> {
    vec![
        ("GET /current_user", get(users::current)),
        ("POST /current_user/password", post(users::change_password)),
        ("POST /current_user/two_factor", post(factor::enrol)),
        ("PUT /current_user/two_factor", put(factor::confirm)),
        ("DELETE /current_user/two_factor", delete(factor::disable)),
        ("POST /user", post(users::create)),
        ("GET /user/{user}", get(users::show)),
        ("PUT /user/{user}", put(users::update)),
        ("DELETE /user/{user}", delete(users::delete)),
        ("POST /user/{user}/password/request_reset", post(users::request_reset)),
        ("POST /password/reset", post(users::reset)),
        ("GET /current_customer", get(customers::current)),
        ("GET /customer/{customer}", get(customers::show)),
        ("PUT /customer/{customer}", put(customers::update)),
        ("DELETE /customer/{customer}", delete(customers::delete)),
        ("GET /customer/{customer}/users", get(users::list)),
        ("GET /customer/{customer}/contacts", get(customers::contacts)),
        ("POST /customer/{customer}/contacts", post(customers::create_contact)),
        ("DELETE /customer/{customer}/contacts/{contact}", delete(customers::delete_contact)),
        ("GET /invitations", get(invitations::list)),
        ("POST /invitations", post(invitations::create)),
        ("DELETE /invitations/{invitation}", delete(invitations::delete)),
        ("PUT /invitation/accept/{code}", put(invitations::accept)),
    ]
}

/// Who may do what.
fn permissions_rows() -> Vec<Row> {
    vec![
        ("GET /service-authorizations", get(authorizations::list)),
        ("POST /service-authorizations", post(authorizations::create)),
        ("PATCH /service-authorizations", patch(authorizations::update_many)),
        ("DELETE /service-authorizations", delete(authorizations::delete_many)),
        ("GET /service-authorizations/{authorization}", get(authorizations::show)),
        ("PATCH /service-authorizations/{authorization}", patch(authorizations::update)),
        ("DELETE /service-authorizations/{authorization}", delete(authorizations::delete)),
        ("GET /iam/v1/roles", get(iam::roles)),
        ("GET /iam/v1/roles/{role}", get(iam::role)),
        ("GET /roles", get(iam::old_roles)),
        ("GET /roles/{role}", get(iam::old_role)),
        ("GET /roles/{role}/permissions", get(iam::role_permissions)),
        ("GET /permissions", get(iam::permissions)),
        ("GET /service-groups", get(iam::no_groups)),
        ("GET /service-groups/{group}", get(iam::no_service_group)),
        ("GET /service-groups/{group}/services", get(iam::no_service_group)),
        ("GET /user-groups", get(iam::no_groups)),
        ("GET /user-groups/{group}", get(iam::no_user_group)),
        ("GET /user-groups/{group}/members", get(iam::no_user_group)),
        ("GET /user-groups/{group}/roles", get(iam::no_user_group)),
        ("GET /user-groups/{group}/service-groups", get(iam::no_user_group)),
    ]
}

/// Services, and purging what they cache.
fn services_rows() -> Vec<Row> {
    vec![
        ("GET /service", get(services::list)),
        ("POST /service", post(services::create)),
        ("GET /service/search", get(services::search)),
        ("GET /service/{service}", get(services::show)),
        ("PUT /service/{service}", put(services::update)),
        ("DELETE /service/{service}", delete(services::delete)),
        ("GET /service/{service}/details", get(services::details)),
        ("GET /service/{service}/domain", get(services::domains)),
        ("GET /service/{service}/version", get(versions::list)),
        ("POST /service/{service}/version", post(versions::create)),
        ("GET /service/{service}/version/{number}", get(versions::show)),
        ("PUT /service/{service}/version/{number}", put(versions::update)),
        ("PUT /service/{service}/version/{number}/clone", put(versions::copy)),
        ("PUT /service/{service}/version/{number}/lock", put(versions::lock)),
        ("PUT /service/{service}/version/{number}/activate", put(versions::activate)),
        ("PUT /service/{service}/version/{number}/activate/{environment}", put(versions::activate_at)),
        ("PUT /service/{service}/version/{number}/deactivate", put(versions::deactivate)),
        ("PUT /service/{service}/version/{number}/deactivate/{environment}", put(versions::deactivate_at)),
        ("GET /service/{service}/version/{number}/domain", get(versions::domains)),
        ("GET /service/{service}/version/{number}/validate", get(versions::validate)),
        ("POST /service/{service}/purge", post(purge::keys)),
        ("POST /service/{service}/purge/{key}", post(purge::key)),
        ("POST /service/{service}/purge_all", post(purge::all)),
        ("POST /purge/{*url}", post(purge::url)),
    ]
}

/// The log, health, and what describes this API.
fn about_rows() -> Vec<Row> {
    vec![
        ("GET /denials/{denial}", get(denials::show)),
        ("GET /events", get(events::list)),
        ("GET /events/{event}", get(events::show)),
        ("GET /feed", get(feed::follow)),
        ("POST /feed/lease", post(feed::renew)),
        ("GET /realms/fastly/.well-known/openid-configuration", get(well_known::openid_configuration)),
        ("GET /openapi.json", get(openapi::show)),
        ("GET /livez", get(health::live)),
        ("GET /readyz", get(health::ready)),
        ("GET /metrics", get(health::metrics)),
        ("GET /.well-known/oauth-authorization-server", get(well_known::authorization_server)),
        ("GET /.well-known/oauth-protected-resource", get(well_known::protected_resource)),
        ("GET /.well-known/jwks.json", get(well_known::jwks)),
    ]
}

/// The router, with the door before it.
pub fn router(app: Arc<App>) -> Router {
    let mut router = Router::new();
    for (on, handler) in table() {
        let path = on.split_once(' ').map_or(on, |(_, path)| path);
        router = router.route(path, handler);
    }
    let router = router
        // The door has refused what no policy names; what comes here is named and has no handler.
        .fallback(async || Problem::missing("endpoint", "here"))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(middleware::from_fn_with_state(Arc::clone(&app), door::stand));
    #[cfg(feature = "otel")]
    let router = router.layer(middleware::from_fn(crate::otel::trace));
    router.with_state(app)
}

/// A panic is a mistake of ours: the process lives, the caller learns nothing of it.
fn panicked(_: Box<dyn std::any::Any + Send>) -> axum::response::Response {
    tracing::error!("a handler panicked");
    Problem::new(axum::http::StatusCode::INTERNAL_SERVER_ERROR, "internal", "Internal error").into_response()
}
