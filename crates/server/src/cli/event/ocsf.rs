//! An event in the words of OCSF 1.9, the Open Cybersecurity Schema Framework, which SIEMs read.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::attribute;

/// The version of the schema.
const SCHEMA: &str = "1.9.0";

/// What OCSF calls a type of ours: a class, an activity in it, and how bad it is.
struct Class {
    uid: u32,
    name: &'static str,
    activity: u32,
    did: &'static str,
}

const INFORMATIONAL: u32 = 1;
const MEDIUM: u32 = 3;
const SUCCESS: u32 = 1;
const FAILURE: u32 = 2;

impl Class {
    /// A type that is not listed is an API activity, and says in `metadata` which.
    fn of(kind: &str) -> Self {
        let (uid, name, activity, did) = match kind {
            "user.login" | "user.login_failure" => (3002, "Authentication", 1, "Logon"),
            "user.logout" => (3002, "Authentication", 2, "Logoff"),
            "user.sudo" => (3003, "Authorize Session", 1, "Assign Privileges"),
            "user.create" => (3007, "User Management", 1, "Create"),
            "user.destroy" => (3007, "User Management", 3, "Delete"),
            "user.lock" => (3007, "User Management", 6, "Lock"),
            "user.unlock" => (3007, "User Management", 7, "Unlock"),
            "user.password_update" => (3007, "User Management", 8, "Password Change"),
            "user.update" => (3007, "User Management", 2, "Update"),
            "two_factor_auth.enable" => (3007, "User Management", 12, "MFA Factor Enable"),
            "two_factor_auth.disable" => (3007, "User Management", 13, "MFA Factor Disable"),
            "service.purge_all" => (6003, "API Activity", 4, "Delete"),
            _ => match kind.rsplit_once('.').map(|(_, verb)| verb) {
                Some("create") => (3004, "Entity Management", 1, "Create"),
                Some("update" | "updated") => (3004, "Entity Management", 3, "Update"),
                Some("destroy" | "delete") => (3004, "Entity Management", 4, "Delete"),
                _ => (6003, "API Activity", 99, "Other"),
            },
        };
        Self { uid, name, activity, did }
    }
}

/// The event in OCSF's words. What has no place there stands in `unmapped`.
pub(super) fn event(event: &Value) -> Value {
    let text = |name| attribute(event, name);
    let kind = text("event_type");
    let class = Class::of(kind);
    let failed = kind.ends_with("failure");
    let category = if class.uid < 6000 { 3 } else { 6 };
    let mut ocsf = Map::new();
    let mut put = |name: &str, value: Value| ocsf.insert(name.to_owned(), value);
    put("class_uid", class.uid.into());
    put("class_name", class.name.into());
    put("category_uid", category.into());
    put(
        "category_name",
        if category == 3 { "Identity & Access Management" } else { "Application Activity" }.into(),
    );
    put("activity_id", class.activity.into());
    put("activity_name", class.did.into());
    put("type_uid", (class.uid * 100 + class.activity).into());
    put("time", text("created_at").parse::<Timestamp>().map_or(Value::Null, |at| at.as_millisecond().into()));
    put("severity_id", if failed { MEDIUM } else { INFORMATIONAL }.into());
    put("status_id", if failed { FAILURE } else { SUCCESS }.into());
    put("message", text("description").into());
    put("metadata", metadata(event));
    put("actor", actor(event));
    if let Some(ip) =
        text("ip").split(',').next().map(str::trim).filter(|ip| ip.parse::<std::net::IpAddr>().is_ok())
    {
        put("src_endpoint", json!({ "ip": ip }));
    } else {
        put("src_endpoint", json!({ "name": text("ip") }));
    }
    match class.uid {
        3004 => put("entity", entity(event, kind)),
        6003 => put("api", json!({ "operation": kind, "request": { "uid": text("request_id") } })),
        _ => put("user", user(event)),
    };
    if class.uid == 3002 {
        put("service", json!({ "name": "Keygate" }));
        let reason = event.pointer("/attributes/metadata/reason").and_then(Value::as_str);
        if let Some(reason) = reason {
            put("status_detail", reason.into());
        }
        let factor = event.pointer("/attributes/metadata/second_factor").and_then(Value::as_str);
        if let Some(factor) = factor {
            put("is_mfa", (factor != "none").into());
        }
    }
    put("unmapped", event["attributes"]["metadata"].clone());
    ocsf.into()
}

fn metadata(event: &Value) -> Value {
    json!({
        "version": SCHEMA,
        "product": { "name": "Keygate", "vendor_name": "Keygate", "version": env!("CARGO_PKG_VERSION") },
        "uid": event["id"],
        "event_code": attribute(event, "event_type"),
        "sequence": event["attributes"]["position"],
        "correlation_uid": attribute(event, "request_id"),
        "tenant_uid": attribute(event, "customer_id"),
    })
}

/// Who did it: a person with their password, a token, or the operator. Whose token it was, the event does not say.
fn actor(event: &Value) -> Value {
    match attribute(event, "actor").split_once(' ') {
        Some(("token", id)) => json!({ "user": { "credential_uid": id } }),
        _ if attribute(event, "actor") == "person" => json!({ "user": user(event) }),
        _ => json!({ "app_name": attribute(event, "actor") }),
    }
}

/// Whom it is about. A login that nobody has is nobody's.
fn user(event: &Value) -> Value {
    match attribute(event, "user_id") {
        "" => json!({ "name": "unknown" }),
        id => json!({ "uid": id }),
    }
}

/// What was made, changed or removed: the noun of the type, and its id.
fn entity(event: &Value, kind: &str) -> Value {
    let noun = kind.split('.').next().unwrap_or_default();
    let id = match noun {
        "service" => attribute(event, "service_id"),
        "customer" => attribute(event, "customer_id"),
        _ => attribute(event, "token_id"),
    };
    let name = event.pointer("/attributes/metadata/name").and_then(Value::as_str).unwrap_or_default();
    json!({ "type": noun, "uid": id, "name": name })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_login_is_a_failed_authentication() {
        let ours = json!({ "id": "e1", "attributes": {
            "event_type": "user.login_failure", "created_at": "2026-11-21T12:00:00Z", "ip": "192.0.2.7",
            "user_id": "u1", "actor": "person", "metadata": { "reason": "password" }, "position": 7,
        }});
        let theirs = event(&ours);
        assert_eq!((&theirs["class_uid"], &theirs["type_uid"]), (&json!(3002), &json!(300_201)));
        assert_eq!((&theirs["status_id"], &theirs["severity_id"]), (&json!(FAILURE), &json!(MEDIUM)));
        assert_eq!(theirs["status_detail"], "password");
        assert_eq!(theirs["time"], 1_795_262_400_000_i64);
        assert_eq!(theirs["src_endpoint"]["ip"], "192.0.2.7");
    }
}
