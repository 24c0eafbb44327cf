//! B1 to B10: what is shown, and how.

use keygate_model::Secret;
use keygate_model::token::{Brand, Foreign, Kind, Malformed, Presented};
use serde_json::json;

use super::{INVALID_TOKEN, bad_request, forbidden, refused, unauthorized};
use crate::house::{Ask, House, Reply, exchange};

const SHAPE: &str = "this is not one of our tokens: the prefix, the length or a character is off";
const CHECKSUM: &str = "checksum does not match: truncated copy, or a mistyped character?";
const MULTIPLE: &str = "Send one credential: one Fastly-Key, or one Authorization";
const IN_URL: &str = "A credential in a URL or form ends up in logs; revoke it, and use Fastly-Key";

/// A secret that is well formed and nobody's.
fn strangers(kind: Kind) -> String {
    Secret::mint(&Brand::default(), kind, &[1; 32]).reveal().to_string()
}

fn ask_self(house: &House) -> Ask {
    house.anon().ask("GET", "/tokens/self")
}

async fn shown(house: &House, secret: impl AsRef<[u8]>) -> Reply {
    ask_self(house).header("Fastly-Key", secret).send().await
}

/// How many decisions the gate has been asked for.
async fn decisions(house: &House) -> u64 {
    let text = house.anon().get("/metrics").await.body;
    let lines = text.lines().filter(|line| line.starts_with("keygate_authz_duration_seconds_count{"));
    lines.map(|line| line.rsplit(' ').next().expect("a count").parse::<u64>().expect("a number")).sum()
}

#[tokio::test]
async fn b01_no_credential() {
    let house = House::new().await;
    let detail = Some("Send your token in the header Fastly-Key");
    unauthorized(&ask_self(&house).send().await, "Bearer", "credential_missing", detail);
}

#[tokio::test]
async fn b02_a_blank_credential_is_none() {
    let house = House::new().await;
    let detail = Some("Send your token in the header Fastly-Key");
    for blank in ["", " ", "   ", "\t", " \t "] {
        unauthorized(&shown(&house, blank).await, "Bearer", "credential_missing", detail);
    }
    let bearer = ask_self(&house).header("Authorization", "Bearer ").send().await;
    assert_eq!(bearer.status, 401, "{bearer:?}");
}

#[tokio::test]
async fn b03_two_keys_are_refused_also_where_both_are_good() {
    let house = House::new().await;
    let token = house.token(&house.bob, &[]).await;
    let other = house.token(&house.bob, &[]).await;
    for second in [&token.secret, &other.secret, "", "x"] {
        let twice = ask_self(&house).header("Fastly-Key", &token.secret).header("fastly-key", second);
        bad_request(&twice.send().await, "multiple_credentials", MULTIPLE);
    }
    for list in [format!("{}, {}", token.secret, other.secret), format!("{},{}", token.secret, token.secret)]
    {
        bad_request(&shown(&house, list).await, "multiple_credentials", MULTIPLE);
    }
}

#[tokio::test]
async fn b04_key_and_authorization_together() {
    let house = House::new().await;
    let token = house.token(&house.bob, &[]).await;
    let other = house.token(&house.bob, &[]).await;
    for second in [&token.secret, &other.secret] {
        let both = ask_self(&house).header("Fastly-Key", &token.secret);
        let both = both.header("Authorization", format!("Bearer {second}"));
        bad_request(&both.send().await, "multiple_credentials", MULTIPLE);
    }
    let bearers = ask_self(&house).header("Authorization", format!("Bearer {}", token.secret));
    let bearers = bearers.header("Authorization", format!("Bearer {}", other.secret));
    bad_request(&bearers.send().await, "multiple_credentials", MULTIPLE);
    // Fastly's Python client adds this to every request.
    let python = ask_self(&house).header("Fastly-Key", &token.secret).header("Authorization", "Basic Og==");
    assert_eq!(python.send().await.status, 200);
}

#[tokio::test]
async fn b05_a_credential_in_a_url_or_form() {
    let house = House::new().await;
    let token = house.token(&house.bob, &[]).await;
    let secret = &token.secret;
    for query in ["api_key=x", "access_token=x", "Access_Token=", "a=b&fastly-key=x", &format!("q={secret}")]
    {
        for caller in [house.anon().clone(), house.with(&token)] {
            bad_request(&caller.get(&format!("/tokens/self?{query}")).await, "credential_in_url", IN_URL);
        }
    }
    for field in ["access_token", "api_key"] {
        for ask in [house.anon(), &house.with(&token)].map(|caller| caller.ask("POST", "/tokens")) {
            // In a form of a caller without sudo the door is asked first.
            let reply = ask.form(&[(field, secret)]).send().await;
            if reply.status == 403 {
                assert_eq!(reply.json()["code"], "sudo_required");
            } else {
                bad_request(&reply, "credential_in_url", IN_URL);
            }
        }
        let json = house.anon().ask("POST", "/tokens").json(&json!({ field: secret })).send().await;
        bad_request(&json, "credential_in_url", IN_URL);
    }
}

#[tokio::test]
async fn b06_a_bad_checksum_is_told_without_a_look() {
    let house = House::new().await;
    let secret = strangers(Kind::User);
    let before = decisions(&house).await;
    let cut = &secret[..secret.len() - 1];
    let last = if secret.ends_with('0') { '1' } else { '0' };
    unauthorized(
        &shown(&house, format!("{cut}{last}")).await,
        INVALID_TOKEN,
        "token_malformed",
        Some(CHECKSUM),
    );
    for odd in [cut, "x", "QoU3neoxQQ6IPL8g7eRkkCjyWcwdNI7J", "kgu_", &format!("{secret}0")] {
        unauthorized(&shown(&house, odd).await, INVALID_TOKEN, "token_malformed", Some(SHAPE));
    }
    assert_eq!(decisions(&house).await, before, "the gate was not asked");
}

#[tokio::test]
async fn b07_a_good_checksum_and_nobodys() {
    let house = House::new().await;
    let unknown = strangers(Kind::User);
    unauthorized(&shown(&house, &unknown).await, INVALID_TOKEN, "token_unknown", None);

    // A flood of made-up tokens does not reach the database: then even a revoked one is just unknown.
    let gone = house.token(&house.bob, &[]).await;
    assert_eq!(house.with(&gone).delete("/tokens/self").await.status, 204);
    for _ in 0..50 {
        shown(&house, &unknown).await;
    }
    unauthorized(&shown(&house, &gone.secret).await, INVALID_TOKEN, "token_unknown", None);
    house.advance(std::time::Duration::from_secs(1));
    assert_eq!(shown(&house, &gone.secret).await.json()["code"], "token_revoked");
}

#[tokio::test]
async fn b08_nothing_is_trimmed_or_repaired() {
    let house = House::new().await;
    let token = house.token(&house.bob, &[]).await;
    let secret = &token.secret;
    let at = 4 + secret[4..].find(|letter: char| letter.is_ascii_alphabetic()).expect("a letter");
    let mut other_case = secret.clone().into_bytes();
    other_case[at] ^= 0x20;
    unauthorized(&shown(&house, other_case).await, INVALID_TOKEN, "token_malformed", Some(CHECKSUM));
    let nbsp = [secret.as_bytes(), b"\xc2\xa0"].concat();
    let brand = secret.replacen("kg", "KG", 1).into_bytes();
    for odd in [nbsp, brand, format!("{secret}%20").into(), format!("%20{secret}").into()] {
        unauthorized(&shown(&house, odd).await, INVALID_TOKEN, "token_malformed", Some(SHAPE));
    }
    let twice_blank = ask_self(&house).header("Authorization", format!("Bearer  {secret}")).send().await;
    unauthorized(&twice_blank, INVALID_TOKEN, "token_malformed", Some(SHAPE));
    // HTTP takes blanks from both ends of a value before anybody sees it (RFC 9110 §5.5), so these are the token.
    assert_eq!(shown(&house, format!("{secret} ")).await.status, 200);
    // What does not come in by HTTP is not trimmed either.
    for odd in [format!("{secret} "), format!(" {secret}"), format!("{secret}\n"), format!("{secret}\t")] {
        let parsed = Presented::parse(odd.as_bytes(), &Brand::default(), Foreign::Refused);
        assert_eq!(parsed.err(), Some(Malformed::Shape), "{odd:?}");
    }
}

#[tokio::test]
async fn b09_a_token_of_a_mebibyte() {
    let house = House::new().await;
    let mut answers = 0;
    for _ in 0..10 {
        for len in [40 << 10, 1 << 20] {
            let secret = "a".repeat(len);
            let request = format!("GET /tokens/self HTTP/1.1\r\nHost: x\r\nFastly-Key: {secret}\r\n\r\n");
            // The server hears no more than it must and closes. Whether its answer survives the rest that is still on
            // its way is up to TCP, so not every one does.
            if let Some(reply) = exchange(house.anon().address, request.as_bytes()).await {
                let said = (reply.status, reply.body.as_str(), reply.header("connection"));
                assert_eq!(said, (431, "", Some("close")), "{reply:?}");
                answers += 1;
            }
        }
    }
    assert!(answers > 0, "not one answer");
    let long = shown(&house, "a".repeat(8 * 1024)).await;
    unauthorized(&long, INVALID_TOKEN, "token_malformed", Some(SHAPE));
    assert_eq!(house.anon().get("/livez").await.status, 200, "the server lives");
}

#[tokio::test]
async fn b10_a_session_is_not_for_the_api() {
    let house = House::new().await;
    let session = shown(&house, strangers(Kind::Session)).await;
    forbidden(&session, "token_type_not_allowed", "This kind of token is not for the API");
    // The other kinds are let as far as the look, which finds nobody.
    for kind in [Kind::Automation, Kind::Exchanged] {
        unauthorized(&shown(&house, strangers(kind)).await, INVALID_TOKEN, "token_unknown", None);
    }
    let basic = ask_self(&house).header("Authorization", "Basic a2d1Xzp4").send().await;
    let detail = "Send your token in Fastly-Key, or as Authorization: Bearer";
    refused(
        &basic,
        401,
        &json!({ "msg": super::CREDENTIALS, "detail": detail, "code": "scheme_not_supported" }),
    );
}

#[tokio::test]
async fn b30_what_is_no_http_is_answered_and_closed() {
    let house = House::new().await;
    for odd in [
        "GET /tokens/self x HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /tokens/self\u{1} HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /tokens/self HTTP/9.1\r\nHost: x\r\n\r\n",
        "G@T /tokens/self HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /tokens/self HTTP/1.1\r\nHost x\r\n\r\n",
        "GET /tokens/self HTTP/1.1\r\nHost : x\r\n\r\n",
        "GET /tokens/self HTTP/1.1\r\nHost: x\0\r\n\r\n",
        "GET /tokens/self HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n",
        "GET /tokens/self HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        "GET /tokens/self HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    ] {
        let reply = exchange(house.anon().address, odd.as_bytes()).await.expect("an answer");
        assert_eq!((reply.status, reply.body.as_str()), (400, ""), "{odd:?}");
        assert_eq!(reply.header("connection"), Some("close"), "{odd:?}");
    }
}
