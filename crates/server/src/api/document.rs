//! JSON:API documents: what comes in, and how answers are marked.

use std::sync::Arc;

use axum::{
    extract::{FromRequest, Request},
    http::{HeaderValue, header},
    response::{IntoResponse as _, Response},
};
use serde_json::Value;

use crate::{
    app::App,
    body,
    error::{Problem, said_back},
};

/// How answers of JSON:API are marked.
const KIND: &str = "application/vnd.api+json";

/// A document that came in, whatever it was marked as: some clients send plain JSON.
pub(crate) struct Document(Value);

impl FromRequest<Arc<App>> for Document {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Problem> {
        let body = body::collect(app, request).await?;
        let shape =
            || Problem::bad_request("body_invalid", r#"The body is a JSON:API document: {"data": …}"#);
        let body: Value = serde_json::from_slice(&body).map_err(|_| shape())?;
        let fits = match &body["data"] {
            Value::Array(items) => items.iter().all(is_resource),
            one => is_resource(one),
        };
        if fits { Ok(Self(body)) } else { Err(shape()) }
    }
}

/// Whether this has the shape of a resource. What is in another one would be ignored: a permission that is not read would
/// be the widest.
fn is_resource(value: &Value) -> bool {
    let fits = |member: &str| value[member].is_null() || value[member].is_object();
    value.is_object() && fits("attributes") && fits("relationships")
}

/// One resource of a document.
#[derive(Clone, Copy)]
pub(crate) struct Resource<'d>(&'d Value);

impl Document {
    /// The one resource of the document.
    pub(crate) fn one(&self) -> Resource<'_> {
        Resource(&self.0["data"])
    }

    /// The resources of a bulk document.
    pub(crate) fn many(&self, most: usize) -> Result<Vec<Resource<'_>>, Problem> {
        let items = self.0["data"].as_array().filter(|items| !items.is_empty() && items.len() <= most);
        let wrong =
            || Problem::bad_request("body_invalid", format!("data is a list of 1 to {most} resources"));
        Ok(items.ok_or_else(wrong)?.iter().map(Resource).collect())
    }
}

impl<'d> Resource<'d> {
    /// Its id.
    pub(crate) fn id(self) -> Result<&'d str, Problem> {
        self.0["id"].as_str().ok_or_else(|| Problem::bad_request("body_invalid", "A resource lacks its id"))
    }

    /// An attribute that is text.
    pub(crate) fn text(self, name: &str) -> Result<Option<&'d str>, Problem> {
        match &self.0["attributes"][name] {
            Value::Null => Ok(None),
            Value::String(text) => Ok(Some(text)),
            _ => Err(Problem::bad_request("field_invalid", format!("The attribute '{name}' is text"))),
        }
    }

    /// An attribute that is true or false.
    pub(crate) fn flag(self, name: &str) -> Result<Option<bool>, Problem> {
        match &self.0["attributes"][name] {
            Value::Null => Ok(None),
            Value::Bool(flag) => Ok(Some(*flag)),
            _ => {
                Err(Problem::bad_request("field_invalid", format!("The attribute '{name}' is true or false")))
            }
        }
    }

    /// Refuses attributes that mean nothing here.
    pub(crate) fn only(self, known: &[&str]) -> Result<(), Problem> {
        let names = self.0["attributes"].as_object().into_iter().flatten().map(|(name, _)| name.as_str());
        match names.into_iter().find(|name| !known.contains(name)) {
            Some(odd) => {
                let why = format!("There is no attribute '{}' here", said_back(odd));
                Err(Problem::bad_request("unknown_field", why))
            }
            None => Ok(()),
        }
    }

    /// The id of the one resource that it names under this relation.
    pub(crate) fn related(self, name: &str) -> Option<&'d str> {
        // Fastly's Python and Rust clients leave `data` out.
        let relation = &self.0["relationships"][name];
        relation["data"]["id"].as_str().or(relation["id"].as_str())
    }

    /// The resources that it carries under this relation.
    pub(crate) fn carried(self, name: &str) -> Result<Vec<Resource<'d>>, Problem> {
        let relation = &self.0["relationships"][name];
        match &relation["data"] {
            Value::Null if relation.is_null() || relation.is_object() => Ok(Vec::new()),
            Value::Array(items) if items.iter().all(is_resource) => Ok(items.iter().map(Resource).collect()),
            _ => {
                let why = format!("relationships.{name}.data is a list of resources");
                Err(Problem::bad_request("body_invalid", why))
            }
        }
    }
}

/// An answer of JSON:API.
pub(crate) fn answer(body: &Value) -> Response {
    ([(header::CONTENT_TYPE, HeaderValue::from_static(KIND))], body.to_string()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_client_says_is_overlooked_for_its_shape() {
        let read = |text: &str| is_resource(&serde_json::from_str(text).unwrap());
        assert!(read("{}") && read(r#"{"attributes":{},"relationships":null}"#));
        for odd in [r#"{"attributes":["permission"]}"#, r#"{"relationships":"x"}"#, "[]", "null", "1"] {
            assert!(!read(odd), "{odd}");
        }
        let carried = |text: &str| {
            let value: Value = serde_json::from_str(text).unwrap();
            Resource(&value).carried("services").map(|items| items.len()).ok()
        };
        assert_eq!(carried("{}"), Some(0));
        assert_eq!(carried(r#"{"relationships":{"services":{"data":[{},{}]}}}"#), Some(2));
        for odd in ["[]", r#"{"data":{}}"#, r#"{"data":["x"]}"#] {
            assert_eq!(carried(&format!(r#"{{"relationships":{{"services":{odd}}}}}"#)), None, "{odd}");
        }
    }
}
