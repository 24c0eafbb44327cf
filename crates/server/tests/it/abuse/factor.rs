//! B33 to B37: the second factor.

use std::time::Duration;

use keygate_authority::factor::FactorState;
use keygate_model::{Timestamp, otp::Otp};
use serde_json::{Value, json};

use super::refused;
use crate::house::{Ask, Caller, House, NOON, PASSWORD, Person, Reply};

fn log_in(house: &House, person: &Person, otp: &str) -> Ask {
    house.log_in(&person.login, PASSWORD, Some(otp), &[])
}

fn wrong() -> Value {
    json!({ "msg": "2fa.verify", "detail": "Invalid one-time password.", "code": "login_failed" })
}

fn reused() -> Value {
    let detail = "this one-time code was used before; wait for the next";
    json!({ "msg": "2fa.verify", "detail": detail, "code": "otp_already_used" })
}

fn locked() -> Value {
    let detail =
        "the second factor is locked after too many wrong codes; a recovery code unlocks it, or the operator";
    json!({ "msg": "account_locked", "detail": detail, "code": "factor_locked" })
}

#[track_caller]
fn code_refused(reply: &Reply, body: &Value) {
    refused(reply, 400, body);
    assert_eq!(reply.header("fastly-otp"), Some("required"));
}

/// Ten wrong codes, slowly enough for the limiter of logins.
async fn lock_the_factor(house: &House) {
    for _ in 0..10 {
        let otp = house.ada.wrong_code(house.now());
        code_refused(&log_in(house, &house.ada, &otp).send().await, &wrong());
        house.advance(Duration::from_secs(120));
    }
}

#[tokio::test]
async fn b33_a_code_is_good_for_once() {
    let house = House::new().await;
    let code = house.ada.code(NOON);
    assert_eq!(log_in(&house, &house.ada, &code).send().await.status, 200);
    code_refused(&log_in(&house, &house.ada, &code).send().await, &reused());
    // One step later it still stands on many a phone.
    house.advance(Duration::from_secs(30));
    code_refused(&log_in(&house, &house.ada, &code).send().await, &reused());
    // After a restart, and at another server on the same database.
    let house = house.restart().await;
    code_refused(&log_in(&house, &house.ada, &code).send().await, &reused());
    let other = house.beside().await;
    let fields = [("username", house.ada.login.as_str()), ("password", PASSWORD)];
    let at_other =
        |otp: &str| other.anon.ask("POST", "/tokens").form(&fields).header("Fastly-OTP", otp).send();
    code_refused(&at_other(&code).await, &reused());
    // And the other way round.
    let next = house.ada.code(house.now());
    assert_eq!(at_other(&next).await.status, 200);
    code_refused(&log_in(&house, &house.ada, &next).send().await, &reused());
    // With another account's password it is no code at all.
    let mut eve = house.node.person(house.customer, "eve@example.com", "user", PASSWORD).await;
    house.node.enrol(house.customer, &mut eve, FactorState::On).await;
    code_refused(&log_in(&house, &eve, &next).send().await, &wrong());
}

#[tokio::test]
async fn b33_the_code_of_the_enrolment_is_used_up() {
    let house = House::new().await;
    let mut eve = house.node.person(house.customer, "eve@example.com", "user", PASSWORD).await;
    house.node.enrol(house.customer, &mut eve, FactorState::Waiting).await;
    let code = eve.code(house.now());
    let (authority, origin) = (&house.node.app.authority, house.node.app.local_origin());
    authority.confirm_factor(&house.operator(), &origin, eve.id, code.as_bytes()).await.expect("in force");
    code_refused(&log_in(&house, &eve, &code).send().await, &reused());
    house.advance(Duration::from_secs(30));
    house.token(&eve, &[]).await;
}

#[tokio::test]
async fn b34_a_code_is_six_plain_digits() {
    let house = House::new().await;
    let code = house.ada.code(house.now());
    let detail = "a one-time code is six digits, without blanks, or a recovery code";
    let malformed = json!({ "msg": "2fa.verify", "detail": detail, "code": "otp_malformed" });
    let full_width: String =
        code.chars().map(|digit| char::from_u32(digit as u32 + 0xfee0).expect("a digit")).collect();
    let spaced = format!("{} {}", &code[..3], &code[3..]);
    let odd =
        [&code[1..], &format!("0{code}"), &format!("{code}00"), &spaced, &full_width, "", "+12345", "code"];
    for otp in odd {
        code_refused(&log_in(&house, &house.ada, otp).send().await, &malformed);
        house.advance(Duration::from_secs(120));
    }
    // HTTP takes the blanks at both ends of a value; what comes in otherwise is not trimmed.
    for otp in [format!(" {code}"), format!("{code} "), format!("{code}\n")] {
        assert!(Otp::parse(otp.as_bytes()).is_err(), "{otp:?}");
    }
    // Each was an attempt: two more, and the factor is locked.
    for otp in ["1", "22"] {
        code_refused(&log_in(&house, &house.ada, otp).send().await, &malformed);
        house.advance(Duration::from_secs(120));
    }
    let right = house.ada.code(house.now());
    refused(&log_in(&house, &house.ada, &right).send().await, 400, &locked());
}

#[tokio::test]
async fn b34_two_codes_are_none() {
    let house = House::new().await;
    let code = house.ada.code(house.now());
    let twice = log_in(&house, &house.ada, &code).header("fastly-otp", &code).send().await;
    super::bad_request(&twice, "multiple_credentials", "Send one Fastly-OTP");
    assert_eq!(log_in(&house, &house.ada, &code).send().await.status, 200);
}

#[tokio::test]
async fn b35_a_code_of_another_time() {
    let house = House::new().await;
    for off in [30, -60, 3600, -3600] {
        let code = house.ada.code(Timestamp::from_seconds(NOON.seconds() + off));
        code_refused(&log_in(&house, &house.ada, &code).send().await, &wrong());
    }
    let before = house.ada.code(Timestamp::from_seconds(NOON.seconds() - 30));
    assert_eq!(
        log_in(&house, &house.ada, &before).send().await.status,
        200,
        "typed in time, sent a moment late"
    );
}

#[tokio::test]
async fn b36_ten_wrong_codes_lock_and_a_restart_does_not_unlock() {
    let house = House::new().await;
    lock_the_factor(&house).await;
    let right = |house: &House| house.ada.code(house.now());
    let reply = log_in(&house, &house.ada, &right(&house)).send().await;
    refused(&reply, 400, &locked());
    assert_eq!(reply.header("fastly-otp"), None, "another code would not help");

    let house = house.restart().await;
    refused(&log_in(&house, &house.ada, &right(&house)).send().await, 400, &locked());
    house.advance(Duration::from_secs(40 * 24 * 3600));
    refused(&log_in(&house, &house.ada, &right(&house)).send().await, 400, &locked());

    // A recovery code unlocks, once.
    let recovery = house.ada.recovery[0].clone();
    assert_eq!(log_in(&house, &house.ada, &recovery).send().await.status, 200);
    code_refused(&log_in(&house, &house.ada, &recovery).send().await, &wrong());
    assert_eq!(log_in(&house, &house.ada, &right(&house)).send().await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b37_the_right_code_64_times_at_once() {
    let house = House::new().await;
    let code = house.ada.code(house.now());
    let mut asked = tokio::task::JoinSet::new();
    for _ in 0..64 {
        asked.spawn(log_in(&house, &house.ada, &code).send());
    }
    let replies = asked.join_all().await;
    let let_in: Vec<_> = replies.iter().filter(|reply| reply.status == 200).collect();
    assert_eq!(let_in.len(), 1);
    let too_many = ["Too many attempts", "too many tries for this login", "too_many_attempts"];
    let too_many = json!({ "msg": too_many[0], "detail": too_many[1], "code": too_many[2] });
    for reply in replies.iter().filter(|reply| reply.status != 200) {
        match reply.status {
            400 => code_refused(reply, &reused()),
            _ => refused(reply, 429, &too_many),
        }
    }
    let secret = let_in[0].json()["access_token"].as_str().expect("a secret").to_owned();
    let caller: Caller = house.anon().showing(&secret);
    assert_eq!(caller.get("/tokens").await.json().as_array().map(Vec::len), Some(1), "one token was made");
}
