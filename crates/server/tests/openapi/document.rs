//! Puts the document together from `crates/server/openapi`: what every operation shares is said once, here or there.

use keygate_model::{
    Policy,
    policy::{Access, OWN_POLICY},
};
use serde_json::{Map, Value, json};

use crate::{door, read};

/// The parts, in the order in which the document has them.
const PARTS: [&str; 6] = ["tokens", "people", "permissions", "services", "oauth", "server"];

/// What the head of the document says of itself.
const HEAD: [&str; 4] = ["openapi", "info", "servers", "tags"];

/// The document.
pub(crate) fn document() -> Value {
    let policy = Policy::compile(OWN_POLICY).expect("the own policy compiles");
    let about = part("about");
    let examples: Value = serde_json::from_str(&read("crates/server/openapi/examples.json")).expect("JSON");
    let parts = PARTS.map(part);
    let mut paths = Map::new();
    let mut schemas = object(&about["schemas"]).clone();
    for part in &parts {
        schemas.extend(object(&part["schemas"]).clone());
    }
    for part in &parts {
        for (on, source) in object(&part["paths"]) {
            let operation =
                Source { on, source, about: &about, policy: &policy, examples: &examples, schemas: &schemas };
            let (method, path) = on.split_once(' ').expect("a method and a path");
            let methods = paths.entry(path.replace("{*", "{")).or_insert_with(|| json!({}));
            methods[method.to_lowercase()] = operation.build();
        }
    }
    let operations = parts.iter().flat_map(|part| object(&part["paths"]).values());
    for name in operations.filter_map(|operation| operation["fields"].as_str()) {
        let_null_be_absence(&mut schemas[name]);
    }
    schemas.insert("Code".to_owned(), door::codes());
    let head = HEAD.map(|name| (name.to_owned(), about[name].clone()));
    let mut document: Map<_, _> = head.into_iter().collect();
    document.insert("paths".to_owned(), paths.into());
    let components = json!({
        "schemas": schemas,
        "responses": door::shared(),
        "parameters": about["parameters"],
        "headers": about["headers"],
        "securitySchemes": about["securitySchemes"],
    });
    document.insert("components".to_owned(), components);
    document.into()
}

/// In the fields of a request, JSON's null is a field that is absent.
fn let_null_be_absence(schema: &mut Value) {
    let required = schema["required"].clone();
    let must_be = |name: &str| required.as_array().is_some_and(|names| names.contains(&name.into()));
    for (name, member) in schema["properties"].as_object_mut().into_iter().flatten() {
        let kind = member["type"].clone();
        match &kind {
            _ if must_be(name) => {}
            Value::String(one) => member["type"] = json!([one, "null"]),
            Value::Array(many) if !many.contains(&json!("null")) => {
                member["type"] = many.iter().cloned().chain([json!("null")]).collect();
            }
            _ if member["$ref"].is_string() => *member = json!({ "anyOf": [member, { "type": "null" }] }),
            _ => {
                if let Some(words) = member.get_mut("enum").and_then(Value::as_array_mut) {
                    words.push(Value::Null);
                }
            }
        }
    }
}

fn part(name: &str) -> Value {
    let name = format!("crates/server/openapi/{name}.yaml");
    serde_norway::from_str(&read(&name)).unwrap_or_else(|why| panic!("{name}: {why}"))
}

pub(crate) fn object(value: &Value) -> &Map<String, Value> {
    value.as_object().unwrap_or_else(|| panic!("an object, not {value}"))
}

fn schema(name: &Value) -> Value {
    json!({ "$ref": format!("#/components/schemas/{}", name.as_str().expect("the name of a schema")) })
}

/// An operation as its part writes it.
struct Source<'s> {
    on: &'s str,
    source: &'s Value,
    about: &'s Value,
    policy: &'s Policy,
    examples: &'s Value,
    schemas: &'s Map<String, Value>,
}

impl Source<'_> {
    fn build(&self) -> Value {
        let mut operation = Map::new();
        for name in ["operationId", "tags", "summary", "description"] {
            if !self.source[name].is_null() {
                operation.insert(name.to_owned(), self.source[name].clone());
            }
        }
        let mut set = |name: &str, value: Value| operation.insert(name.to_owned(), value);
        if !self.parameters().is_empty() {
            set("parameters", self.parameters().into());
        }
        if let Some(body) = self.body() {
            set("requestBody", body);
        }
        set("responses", self.responses().into());
        set("security", self.security());
        set("x-keygate-action", door::needs(self.policy, self.access()));
        operation.into()
    }

    /// What the policy says of this route. None: it is answered before the router, by what the original request is.
    fn access(&self) -> Option<Access> {
        let route = self.policy.routes().iter().find(|route| route.on == self.on);
        assert_eq!(route.is_none(), self.says("before_router"), "{}: a row in the policy", self.on);
        route.map(|route| route.access)
    }

    fn is_counted(&self) -> bool {
        match self.access() {
            Some(Access::Action(action) | Access::ActionIfAny(action)) => self.policy.is_counted(action),
            Some(Access::Public | Access::Unclassified) | None => false,
        }
    }

    fn says(&self, mark: &str) -> bool {
        self.source[mark] == true
    }

    /// Those of the path, and the operation's own.
    fn parameters(&self) -> Vec<Value> {
        let own: Vec<_> = self.source["parameters"].as_array().into_iter().flatten().collect();
        let names = self.on.split(['{', '}']).skip(1).step_by(2).map(|name| name.trim_start_matches('*'));
        let of_path =
            names.filter(|name| !own.iter().any(|own| own["in"] == "path" && own["name"] == **name));
        let refer = |name: &str| {
            assert!(!self.about["parameters"][name].is_null(), "{}: the parameter {name}", self.on);
            json!({ "$ref": format!("#/components/parameters/{name}") })
        };
        let own = own.iter().map(|own| own.as_str().map_or_else(|| (*own).clone(), refer));
        of_path.map(refer).chain(own).collect()
    }

    fn body(&self) -> Option<Value> {
        let (fields, document) = (&self.source["fields"], &self.source["document"]);
        if fields.is_string() {
            let media = json!({ "schema": schema(fields) });
            let content = json!({ "application/x-www-form-urlencoded": media, "application/json": media });
            return Some(json!({ "required": self.wants_fields(fields), "content": content }));
        }
        if document.is_null() {
            return None;
        }
        let kind = document["type"].as_str().unwrap_or(JSON_API);
        let required = document["optional"] != true;
        let mut content = json!({ kind: { "schema": schema(&document["schema"]) } });
        if document["form"].is_string() {
            content["application/x-www-form-urlencoded"] = json!({ "schema": schema(&document["form"]) });
        }
        Some(json!({ "required": required, "content": content }))
    }

    /// Whether some field must be there, and so a body.
    fn wants_fields(&self, name: &Value) -> bool {
        let schema = &self.schemas[name.as_str().unwrap_or_default()];
        schema["required"].as_array().is_some_and(|names| !names.is_empty())
    }

    fn responses(&self) -> Map<String, Value> {
        let mut responses = self.answers();
        let service = self.on.contains("{service}") || self.on.contains("{*url}");
        let asks = door::Asks {
            access: self.access(),
            takes_body: self.source["fields"].is_string() || self.source["document"].is_object(),
            is_form: self.source["fields"].is_string() || self.source["document"]["form"].is_string(),
            names_service: service,
            has_parameters: self.on.contains('{'),
            is_plain: self.says("plain"),
        };
        if !self.says("before_router") {
            let refuses = self.source["refuses"].as_object().cloned().unwrap_or_default();
            responses.extend(door::refusals(self.policy, &asks, refuses));
        }
        if self.source["oauth_errors"].is_array() {
            door::speak_oauth(&mut responses["400"], &self.source["oauth_errors"]);
        }
        if self.is_counted() {
            let own = responses.values_mut().filter(|answer| !answer["$ref"].is_string());
            own.for_each(door::tell_quota);
        }
        responses.sort_keys();
        responses
    }

    fn answers(&self) -> Map<String, Value> {
        if self.says("before_router") {
            return door::forward_auth();
        }
        if self.says("stream") {
            let frames = json!({ "schema": { "type": "string", "format": "binary" } });
            let ok = json!({ "description": "Done.", "content": { "application/vnd.keygate.feed": frames } });
            return [("200".to_owned(), ok)].into_iter().collect();
        }
        if self.says("text") {
            let text = json!({ "schema": { "type": "string" } });
            let ok = json!({ "description": "Done.", "content": { "text/plain; charset=utf-8": text } });
            return [("200".to_owned(), ok)].into_iter().collect();
        }
        let mut answers = Map::new();
        if self.source["untyped"].is_string() {
            let ok = json!({ "description": "Done.", "x-keygate-body": schema(&self.source["untyped"]) });
            answers.insert("200".to_owned(), self.with_headers(ok));
        }
        for (status, name) in self.source["answers"].as_object().into_iter().flatten() {
            answers.insert(status.clone(), self.answer(status, name));
        }
        answers
    }

    fn answer(&self, status: &str, name: &Value) -> Value {
        if name.is_null() {
            return json!({ "description": "Done. No body." });
        }
        let mut media = json!({ "schema": schema(name) });
        let example = &self.examples[self.source["operationId"].as_str().unwrap_or_default()];
        if !example.is_null() && status.starts_with('2') {
            media["example"] = example.clone();
        }
        let kind = match () {
            () if self.says("json_api") => JSON_API,
            () if self.says("jwk_set") => "application/jwk-set+json",
            () => "application/json",
        };
        let words = if status == "503" { "Not now." } else { "Done." };
        self.with_headers(json!({ "description": words, "content": { kind: media } }))
    }

    fn with_headers(&self, mut answer: Value) -> Value {
        let headers = self.source["headers"].as_array().into_iter().flatten();
        for name in headers.filter_map(Value::as_str) {
            let on_the_wire = match name {
                "Keys" => "Fastly-Surrogate-Key-Count",
                "Nodes" => "Keygate-Cache-Nodes",
                same => same,
            };
            answer["headers"][on_the_wire] = json!({ "$ref": format!("#/components/headers/{name}") });
        }
        answer
    }

    fn security(&self) -> Value {
        let token = [json!({ "FastlyKey": [] }), json!({ "Bearer": [] })];
        let with_password = json!([token[0], token[1], { "Password": [] }, {}]);
        let by_itself = json!([token[0], token[1], {}]);
        match self.access() {
            Some(Access::Public) => json!([]),
            Some(Access::ActionIfAny(_)) if self.says("by_itself") => by_itself,
            Some(Access::ActionIfAny(_)) => with_password,
            Some(Access::Action(_) | Access::Unclassified) | None => token.to_vec().into(),
        }
    }
}

const JSON_API: &str = "application/vnd.api+json";
