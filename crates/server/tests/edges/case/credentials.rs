//! One credential, in one place, in one spelling (SECURITY-BAR B1 to B8, K04 a to d).

use super::{Case, Deny, Pass, Same, Stop};

pub(super) fn cases() -> Vec<Case> {
    let order = |headers: &[&str], expect| Case::new("GET /orders/1", headers, expect);
    let twice = || Deny(400, "multiple_credentials");
    let missing = || Deny(401, "credential_missing");
    let malformed = || Deny(401, "token_malformed");
    vec![
        order(&["Fastly-Key:"], missing()),
        order(&["Fastly-Key:  \t"], missing()),
        order(&["Authorization: Bearer "], Stop),
        order(&["Authorization: Basic {good}"], Deny(401, "scheme_not_supported")),
        order(&["Authorization: {good}"], Deny(401, "scheme_not_supported")),
        order(&["Fastly_Key: {good}"], missing()),
        order(&["Fastly-Key: {good}", "Fastly_Key: {other}"], Pass("good")),
        order(&["Fastly-Key: {good}", "Fastly-Key: {good}"], twice()),
        order(&["Fastly-Key: {good}", "fastly-key: {other}"], twice()),
        order(&["Fastly-Key: {good}, {other}"], twice()),
        order(&["Fastly-Key: {good}", "Fastly-Key:"], twice()),
        order(&["Fastly-Key:", "Fastly-Key: {good}"], twice()),
        order(&["Fastly-Key: {good}", "Authorization: Bearer {good}"], twice()),
        order(&["Fastly-Key: {good}", "Authorization: Bearer {other}"], twice()),
        // nginx itself refuses a second Authorization.
        order(&["Authorization: Bearer {good}", "Authorization: Bearer {other}"], Stop),
        order(&["Authorization: Bearer {good}", "Authorization: Basic x"], Stop),
        order(&["Fastly-Key: {good}%20"], malformed()),
        order(&["Fastly-Key: {good}\u{a0}"], malformed()),
        order(&["Fastly-Key: \"{good}\""], malformed()),
        order(&["Fastly-Key: Bearer {good}"], malformed()),
        order(&["Fastly-Key: {good}\u{0}"], Stop),
        order(&["Fastly-Key: {good}\u{1}"], Stop),
        order(&["Fastly-Key: {good} "], Pass("good")),
        order(&["Fastly-Key: {go", " od}"], Stop),
        order(&[&format!("Fastly-Key: {}", "a".repeat(9 * 1024))], Stop),
        order(&[&format!("Fastly-Key: {}", "a".repeat(40 * 1024))], Stop),
        order(&["Fastly-Key: {good}", &format!("X-Long: {}", "a".repeat(40 * 1024))], Same),
        Case::new("GET /orders/1?key={good}", &["Fastly-Key: {good}"], Deny(400, "credential_in_url")),
        Case::new("GET /orders/1?access_token={good}", &[], Deny(400, "credential_in_url")),
        Case::new("GET /orders/1", &["Cookie: Fastly-Key={good}"], missing()),
        Case::new("GET /health", &["Fastly-Key: {good}", "Fastly-Key: {good}"], Same),
        Case::new("GET /health", &["Fastly-Key: {broken}"], Same),
    ]
}
