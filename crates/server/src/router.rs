//! Every route of the API on one page. The left side is the policy's name of the route, so that one test can hold the
//! two against each other: a route without a policy row is denied, and a row without a handler is a mistake.

use std::sync::Arc;

use axum::{
    Router, middleware,
    response::IntoResponse as _,
    routing::{MethodRouter, delete, get, post, put},
};
use tower_http::catch_panic::CatchPanicLayer;

use crate::{
    api::{current, customers, events, health, purge, services, sudo, tokens, verify, versions, well_known},
    app::App,
    door,
    error::Problem,
};

/// A row: the route as the policy names it, and who answers.
type Row = (&'static str, MethodRouter<Arc<App>>);

/// The table.
#[must_use]
pub fn table() -> Vec<Row> {
    vec![
        ("POST /tokens", post(tokens::create)),
        ("GET /tokens", get(tokens::list)),
        ("DELETE /tokens", delete(tokens::revoke_many)),
        ("GET /tokens/self", get(tokens::show_self)),
        ("DELETE /tokens/self", delete(tokens::revoke_self)),
        ("GET /tokens/{token}", get(tokens::show)),
        ("DELETE /tokens/{token}", delete(tokens::revoke)),
        ("GET /customer/{customer}/tokens", get(customers::tokens)),
        ("POST /sudo", post(sudo::start)),
        ("GET /verify", get(verify::show)),
        ("GET /current_user", get(current::user)),
        ("GET /current_customer", get(current::customer)),
        ("GET /events", get(events::list)),
        ("GET /events/{event}", get(events::show)),
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
        ("GET /realms/fastly/.well-known/openid-configuration", get(well_known::openid_configuration)),
        ("GET /livez", get(health::live)),
        ("GET /readyz", get(health::ready)),
        ("GET /metrics", get(health::metrics)),
    ]
}

/// The router, with the door before it.
pub fn router(app: Arc<App>) -> Router {
    let mut router = Router::new();
    for (on, handler) in table() {
        let path = on.split_once(' ').map_or(on, |(_, path)| path);
        router = router.route(path, handler);
    }
    router
        // The door has refused what no policy names; what comes here is named and has no handler.
        .fallback(async || Problem::missing("endpoint", "here"))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(middleware::from_fn_with_state(Arc::clone(&app), door::stand))
        .with_state(app)
}

/// A panic is a mistake of ours: the process lives, the caller learns nothing of it.
fn panicked(_: Box<dyn std::any::Any + Send>) -> axum::response::Response {
    tracing::error!("a handler panicked");
    Problem::new(axum::http::StatusCode::INTERNAL_SERVER_ERROR, "internal", "Internal error").into_response()
}
