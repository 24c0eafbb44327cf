//! Bodies: the same fields from a form or from JSON, whichever a client sends (CONTRACT §0.6).

use axum::{
    body::Bytes,
    extract::{FromRequest, Request},
    http::{HeaderMap, header},
};
use serde::de::{MapAccess, Visitor};
use serde_json::Value;
use std::{fmt, sync::Arc};
use zeroize::Zeroizing;

use crate::{
    app::App,
    caller::Caller,
    error::{Problem, said_back},
};

/// The largest body of the API, in bytes.
const BODY_LEN_MAX: usize = 64 * 1024;

/// How long a body may take to arrive.
const BODY_TIME_MAX: std::time::Duration = std::time::Duration::from_secs(10);

/// Fields that are lists, which forms write by repeating the name.
const LISTS: [&str; 3] = ["roles", "services[]", "services"];

/// The fields of a request, in the order they came in. Not to be printed: there are passwords among them.
#[derive(Default)]
pub(crate) struct Fields(Vec<(String, Value)>);

impl FromRequest<Arc<App>> for Fields {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Problem> {
        let headers = request.headers().clone();
        Self::parse(&headers, &collect(app, request).await?)
    }
}

/// The whole body, within its limits, of a caller who still may when the last of it is here.
pub(crate) async fn collect(app: &App, request: Request) -> Result<Bytes, Problem> {
    let caller = request.extensions().get::<Caller>().cloned();
    let body = axum::body::to_bytes(request.into_body(), BODY_LEN_MAX);
    match tokio::time::timeout(BODY_TIME_MAX, body).await {
        Ok(Ok(body)) => caller.map_or(Ok(()), |caller| caller.still_may(app)).map(|()| body),
        Ok(Err(_)) => {
            Err(Problem::bad_request("body_too_large", format!("A body has {BODY_LEN_MAX} bytes at most")))
        }
        Err(_) => Err(Problem::bad_request("body_too_slow", "The body took too long to arrive")),
    }
}

impl Fields {
    fn parse(headers: &HeaderMap, body: &[u8]) -> Result<Self, Problem> {
        let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let fields = if body.is_empty() {
            // Fastly's Python client says JSON and sends nothing.
            Self::default()
        } else if kind.contains("json") || (kind.is_empty() && body.first() == Some(&b'{')) {
            let Members(members) = serde_json::from_slice(body)
                .map_err(|why| Problem::bad_request("body_invalid", not_json(&why)))?;
            Self(members)
        } else {
            let pairs = form_urlencoded::parse(body);
            Self(pairs.map(|(name, value)| (name.into_owned(), Value::String(value.into_owned()))).collect())
        };
        fields.without_repetitions()
    }

    /// A name that comes twice can be read in two ways; only lists repeat theirs.
    fn without_repetitions(self) -> Result<Self, Problem> {
        for (place, (name, _)) in self.0.iter().enumerate() {
            let list = LISTS.contains(&name.as_str());
            if !list && self.0[..place].iter().any(|(earlier, _)| earlier == name) {
                return Err(Problem::bad_request(
                    "duplicate_field",
                    format!("The field '{}' comes twice", said_back(name)),
                ));
            }
        }
        Ok(self)
    }

    /// Refuses fields that mean nothing here: what is ignored silently is a limit that its sender believes in.
    pub(crate) fn only(&self, known: &[&str]) -> Result<(), Problem> {
        match self.0.iter().find(|(name, _)| !known.contains(&name.as_str())) {
            Some((name, _)) => Err(Problem::bad_request(
                "unknown_field",
                format!("There is no field '{}' here", said_back(name)),
            )),
            None => Ok(()),
        }
    }

    /// A field as it came in; JSON's `null` is one that did.
    pub(crate) fn raw(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    /// A field that is text.
    pub(crate) fn text(&self, name: &str) -> Result<Option<&str>, Problem> {
        match self.raw(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(Problem::bad_request("field_invalid", format!("The field '{name}' is text"))),
        }
    }

    /// A field that is true or false, in any of the spellings of Fastly's clients (CONTRACT §0.6).
    pub(crate) fn flag(&self, name: &str) -> Result<Option<bool>, Problem> {
        match self.raw(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(Value::String(text)) if ["true", "True", "1"].contains(&text.as_str()) => Ok(Some(true)),
            Some(Value::String(text)) if ["false", "False", "0"].contains(&text.as_str()) => Ok(Some(false)),
            Some(_) => {
                Err(Problem::bad_request("field_invalid", format!("The field '{name}' is true or false")))
            }
        }
    }

    /// Every text under one of these names: repeated in a form, a list in JSON.
    pub(crate) fn texts(&self, names: &[&str]) -> Result<Vec<&str>, Problem> {
        let mut texts = Vec::new();
        for (name, value) in self.0.iter().filter(|(name, _)| names.contains(&name.as_str())) {
            let items = match value {
                Value::Null => &[],
                Value::Array(items) => items.as_slice(),
                one => std::slice::from_ref(one),
            };
            for item in items {
                texts.push(item.as_str().ok_or_else(|| {
                    Problem::bad_request("field_invalid", format!("The field '{name}' is a list of texts"))
                })?);
            }
        }
        Ok(texts)
    }
}

/// Login and password as `Basic` shows them (RFC 7617). None of an empty one, which some clients always send.
pub(crate) fn basic(headers: &HeaderMap) -> Option<(String, Zeroizing<String>)> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let encoded = value.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("basic"))?.1;
    let bytes = Zeroizing::new(data_encoding::BASE64.decode(encoded.trim().as_bytes()).ok()?);
    let (login, password) = std::str::from_utf8(&bytes).ok()?.split_once(':')?;
    (!login.is_empty()).then(|| (login.to_owned(), Zeroizing::new(password.to_owned())))
}

/// Where the body stops being JSON. What stands there is not said: it may be a password.
fn not_json(why: &serde_json::Error) -> String {
    format!("The body is not a JSON object: look at line {} column {}", why.line(), why.column())
}

/// The members of a JSON object, repeated names included: a map would keep one of them in silence.
struct Members(Vec<(String, Value)>);

impl<'de> serde::Deserialize<'de> for Members {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}
