//! `/current_user` and `/current_customer` (CONTRACT §12, §13).

use axum::{Json, extract::State};
use keygate_authority::{customer, user};
use keygate_model::UserId;
use serde_json::{Value, json};

use super::{Ap, Reply};
use crate::{caller::Caller, error::Problem, json::time};

/// The person behind the token.
pub(crate) async fn user(State(app): Ap, caller: Caller) -> Reply {
    let id = caller.user().ok_or_else(Problem::no_caller)?;
    let user = app.authority.user(caller.permit.customer(), id).await?;
    Ok(Json(user_json(&user, &caller)))
}

/// The customer behind the token.
pub(crate) async fn customer(State(app): Ap, caller: Caller) -> Reply {
    let customer = app.authority.customer(caller.permit.customer()).await?;
    let owner = app.authority.owner_of(customer.id).await?;
    Ok(Json(customer_json(&customer, owner)))
}

fn user_json(user: &user::Row, caller: &Caller) -> Value {
    json!({
        "id": user.id,
        "created_at": time(user.created_at),
        "updated_at": time(user.updated_at),
        "name": user.name,
        "customer_id": user.customer,
        "require_new_password": false,
        "role": user.role,
        "login": user.login.as_str(),
        "deleted_at": null,
        "locked": false,
        "two_factor_auth_enabled": user.has_factor(),
        "limit_services": false,
        "last_active_at": time(caller.origin.now),
    })
}

fn customer_json(customer: &customer::Row, owner: Option<UserId>) -> Value {
    json!({
        "id": customer.id,
        "name": customer.name,
        "owner_id": owner,
        "billing_contact_id": null,
        "billing_network_type": "public",
        "billing_ref": null,
        "can_configure_wordpress": null,
        "can_reset_passwords": true,
        "can_upload_vcl": false,
        "force_2fa": false,
        "force_sso": false,
        "has_account_panel": false,
        "has_improved_events": true,
        "has_improved_ssl_config": false,
        "has_openstack_logging": false,
        "has_pci": false,
        "has_pci_passwords": false,
        "ip_whitelist": "0.0.0.0/0",
        "legal_contact_id": null,
        "phone_number": "",
        "postal_address": null,
        "pricing_plan": "",
        "pricing_plan_id": "",
        "security_contact_id": null,
        "technical_contact_id": null,
        "created_at": time(customer.created_at),
        "updated_at": time(customer.updated_at),
        "deleted_at": null,
    })
}
