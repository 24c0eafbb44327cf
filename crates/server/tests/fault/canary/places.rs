//! Requests with secrets where they do not belong.

use crate::http::Ask;

const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";

/// `secret` in every wrong place, by a stranger and by the holders of these tokens.
pub(crate) fn wrong(secret: &str, good: &[&str]) -> Vec<Ask> {
    let mut asks = Vec::new();
    let escaped: String = form_urlencoded::byte_serialize(secret.as_bytes()).collect();
    asks.extend(in_urls(&escaped));
    asks.extend(in_headers(secret));
    asks.extend(in_bodies(secret, &escaped));
    let known = good.iter().flat_map(|good| asks.iter().map(|ask| ask.clone().key(good)));
    known.chain(asks.clone()).collect()
}

fn in_urls(secret: &str) -> Vec<Ask> {
    let lines = [
        "GET /tokens?access_token=SECRET",
        "GET /tokens?api_key=SECRET",
        "GET /tokens?Token=SECRET&a=b",
        "GET /tokens?q=SECRET",
        "GET /tokens?SECRET",
        "GET /tokens?SECRET=1",
        "GET /events?filter[user_id]=SECRET",
        "GET /events?filter[event_type]=SECRET",
        "GET /events?SECRET=1",
        "GET /events?sort=SECRET",
        "GET /events?page[size]=SECRET",
        "GET /service?page=SECRET",
        "GET /service?sort=SECRET",
        "GET /service/search?name=SECRET",
        "GET /tokens/SECRET",
        "DELETE /tokens/SECRET",
        "GET /service/SECRET",
        "GET /service/SECRET/details",
        "GET /events/SECRET",
        "GET /customer/SECRET/tokens",
        "GET /SECRET",
        "POST /SECRET",
        "SECRET /tokens",
        "POST /service/SECRET/purge_all",
        "POST /service/SECRET/purge/SECRET",
        "POST /purge/http://x.test/SECRET",
        "POST /purge/SECRET",
        "GET /livez/SECRET",
        "GET /authz/SECRET",
        "GET /tokens;SECRET",
        "GET //SECRET",
        "GET /%2e%2e/SECRET",
    ];
    lines.iter().map(|line| Ask::new(&line.replace("SECRET", secret))).collect()
}

/// `User-Agent` is not among them: it is kept with the last use of a token, as its owner wants to see it.
fn in_headers(secret: &str) -> Vec<Ask> {
    let basic = data_encoding::BASE64.encode(format!("ada:{secret}").as_bytes());
    let headers = [
        ("Authorization", format!("Basic {basic}")),
        ("Authorization", secret.to_owned()),
        ("Authorization", format!("Token {secret}")),
        ("Authorization", format!("Bearer {secret}x")),
        ("Authorization", format!("Bearer x{secret}")),
        ("Fastly-Key", format!("{secret}, {secret}")),
        ("Fastly-Key", format!(" {secret}\"")),
        ("X-Api-Key", secret.to_owned()),
        ("Cookie", format!("session={secret}")),
        ("Fastly-OTP", secret.to_owned()),
        ("X-Request-Id", secret.to_owned()),
        ("Idempotency-Key", secret.to_owned()),
        ("X-Http-Method-Override", secret.to_owned()),
        ("X-Forwarded-For", secret.to_owned()),
        ("X-Forwarded-Host", secret.to_owned()),
        ("Accept", secret.to_owned()),
        ("Content-Type", secret.to_owned()),
        ("Expect", secret.to_owned()),
        ("Referer", format!("https://x.test/?token={secret}")),
        (secret, "1".to_owned()),
    ];
    let mut asks = Vec::new();
    for (name, value) in &headers {
        for line in ["GET /tokens/self", "POST /tokens"] {
            asks.push(Ask::new(line).header(name, value));
        }
    }
    for (name, value) in
        [("X-Original-URL", format!("/{secret}?{secret}")), ("X-Original-Method", secret.to_owned())]
    {
        asks.push(Ask::new("GET /authz/auth-request").header(name, &value));
    }
    let sub = Ask::new("GET /authz/auth-request").header("X-Original-Method", "GET");
    asks.push(sub.header("X-Original-URL", &format!("/tokens/{secret}?token={secret}")));
    asks
}

fn in_bodies(secret: &str, escaped: &str) -> Vec<Ask> {
    let json = serde_json::Value::from(secret).to_string();
    let bodies = [
        (JSON, format!("{{\"password\":{json}")),
        (JSON, format!("{{\"password\":{json},\"password\":{json}}}")),
        (JSON, format!("{{{json}:1,{json}:2}}")),
        (JSON, json.clone()),
        (JSON, format!("[{json}]")),
        (JSON, secret.to_owned()),
        (JSON, format!("{{{json}:1}}")),
        (JSON, format!("{{\"password\":[{json}]}}")),
        (JSON, format!("{{\"username\":{json},\"password\":{json}}}")),
        (JSON, format!("{{\"username\":\"ada@example.com\",\"password\":\"x\",\"otp\":{json}}}")),
        (JSON, format!("{{\"username\":\"ada@example.com\",\"password\":\"x\",\"expires_at\":{json}}}")),
        (JSON, format!("{{\"username\":\"ada@example.com\",\"password\":\"x\",\"scope\":{json}}}")),
        (JSON, format!("{{\"username\":\"ada@example.com\",\"password\":\"x\",\"services\":[{json}]}}")),
        (JSON, format!("{{\"data\":[{{\"type\":\"token\",\"id\":{json}}}]}}")),
        (JSON, format!("{{\"access_token\":{json}}}")),
        (FORM, escaped.to_owned()),
        (FORM, format!("{escaped}=1")),
        (FORM, format!("{escaped}=1&{escaped}=2")),
        (FORM, format!("access_token={escaped}")),
        (FORM, format!("token={escaped}x")),
        (FORM, format!("token={escaped}&token={escaped}")),
        (FORM, format!("token=x&client_ip={escaped}")),
        (FORM, format!("api_key={escaped}&username=x")),
        (FORM, format!("username={escaped}&password={escaped}")),
        (FORM, format!("username=ada%40example.com&password=x&service_id={escaped}")),
        ("text/plain", secret.to_owned()),
        ("multipart/form-data; boundary=x", format!("--x\r\n\r\n{secret}\r\n--x--")),
    ];
    let lines = [
        "POST /tokens",
        "POST /sudo",
        "PUT /service/x",
        "DELETE /tokens",
        "POST /service",
        "POST /oauth/introspect",
        "POST /oauth/revoke",
    ];
    let ask = |line: &&str| bodies.clone().map(|(kind, body)| Ask::new(line).body(kind, body.as_bytes()));
    lines.iter().flat_map(ask).collect()
}
