//! `/customer/{id}/…` (CONTRACT §5).

use axum::{
    Json,
    extract::{Path, State},
};

use super::{Ap, Reply, tokens::token_json};
use crate::{caller::Caller, error::Problem};

/// The tokens of everybody in the customer. Another's customer is as missing as one that never was.
pub(crate) async fn tokens(State(app): Ap, caller: Caller, Path(id): Path<String>) -> Reply {
    if id.parse() != Ok(caller.permit.customer()) {
        return Err(Problem::missing("customer", &id));
    }
    app.settle_marks().await;
    let tokens = app.authority.tokens_of_customer(&caller.permit).await?;
    Ok(Json(tokens.iter().map(|token| token_json(token, &caller)).collect()))
}
