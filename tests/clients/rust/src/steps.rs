//! What the scripts share: what they are given (JSON on standard input), and a JSON line about each step.

use std::{fmt::Debug, future::Future};

use fastly_api::apis::{
    Error,
    configuration::{ApiKey, Configuration},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

/// What a script is given.
pub struct Given(Value);

/// What came of a step.
pub struct Told {
    step: &'static str,
    pub value: Value,
    outcome: &'static str,
}

impl Given {
    pub fn read() -> Self {
        Self(serde_json::from_reader(std::io::stdin()).expect("JSON"))
    }

    pub fn text(&self, name: &str) -> String {
        self.0[name].as_str().unwrap_or_else(|| panic!("{name} is not given")).to_owned()
    }

    pub fn flag(&self, name: &str) -> bool {
        self.0[name] == true
    }

    /// The client, pointed at Keygate.
    pub fn connect(&self, token: &str) -> Configuration {
        Configuration {
            base_path: self.text("url"),
            api_key: Some(ApiKey { prefix: None, key: token.to_owned() }),
            ..Configuration::default()
        }
    }

    pub fn client(&self) -> Configuration {
        self.connect(&self.text("token"))
    }
}

impl Told {
    /// A member of the value, or a word that names nothing.
    pub fn text(&self, pointer: &str) -> String {
        self.value.pointer(pointer).and_then(Value::as_str).unwrap_or("nothing").to_owned()
    }

    pub fn succeeded(&self) -> bool {
        self.outcome == "ok"
    }

    /// A read whose answer the client could not take in is made again past its models, which is the switch.
    pub async fn or_plain(self, client: &Configuration, path: &str) -> Self {
        if self.outcome == "unread" { plain(self.step, client, "GET", path, None).await } else { self }
    }
}

/// Makes a call. What came of it is printed. The client tells the status of refusals alone.
pub async fn step<T: Serialize, E: Debug>(
    step: &'static str,
    call: impl Future<Output = Result<T, Error<E>>>,
) -> Told {
    match call.await {
        Ok(value) => say(step, "ok", None, serde_json::to_value(value).expect("JSON")),
        Err(Error::ResponseError(refusal)) => {
            say(step, "refused", Some(refusal.status.as_u16()), parsed(&refusal.content))
        }
        Err(Error::Serde(_)) => say(step, "unread", None, json!("Serde")),
        Err(error) => panic!("{step}: {error:?}"),
    }
}

/// The client without its models: its connection, its address and its token.
pub async fn plain(
    step: &'static str,
    client: &Configuration,
    method: &str,
    path: &str,
    body: Option<Value>,
) -> Told {
    let url = format!("{}{path}", client.base_path);
    let request = match method {
        "GET" => client.client.get(url),
        "POST" => client.client.post(url),
        "DELETE" => client.client.delete(url),
        other => panic!("{other}"),
    };
    let key = client.api_key.as_ref().map(|key| key.key.clone()).unwrap_or_default();
    let request = request.header("Fastly-Key", key);
    let request = body.into_iter().fold(request, |request, body| request.json(&body));
    let answer = request.send().await.expect("an answer");
    let status = answer.status();
    let value = parsed(&answer.text().await.expect("a body"));
    let outcome = if status.is_success() { "ok" } else { "refused" };
    say(step, outcome, Some(status.as_u16()), value)
}

/// A model of the client from what it would be on the wire.
pub fn model<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).expect("the client's model")
}

fn say(step: &'static str, outcome: &'static str, status: Option<u16>, value: Value) -> Told {
    println!("{}", json!({ "step": step, "outcome": outcome, "status": status, "value": value }));
    Told { step, value, outcome }
}

fn parsed(body: &str) -> Value {
    serde_json::from_str(body).unwrap_or_else(|_| json!(body))
}
