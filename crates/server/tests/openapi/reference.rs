//! `docs/reference.md`, written from the document for people who read.

use std::fmt::Write as _;

use serde_json::Value;

use crate::{
    document::{document, object},
    is_as_made,
    layout::lay_out,
    operations,
};

const HEAD: &str = "\
# API reference

Made from [openapi.json](../crates/server/openapi.json) by `./dev reference`; change its parts in
[crates/server/openapi](../crates/server/openapi/README.md), not this page. [api.md](api.md) says what all of it shares.

Every operation can also refuse a request that cannot be read safely, 400 with `ambiguous_path`, `credential_in_url`,
`method_override_refused`, `multiple_credentials`, `body_too_large` or `body_too_slow`. One that asks for a token can also
answer 401, 500 and 503. What each code means is [at the end](#codes). *Sudo*: the password was shown within the last
five minutes, with `POST /sudo`. *Whole account*: not for tokens or people that are limited to services. *Counts for the
quota*: its answers say in `Fastly-RateLimit-Remaining` what is left of this hour, and it can answer 429 with
`rate_limited`, unless it is *done also when nothing is left of it*.
";

#[test]
fn the_reference_is_what_the_document_says() {
    is_as_made("docs/reference.md", &reference(&document()));
}

fn reference(document: &Value) -> String {
    let mut page = HEAD.to_owned();
    let tags = document["tags"].as_array().expect("tags");
    for tag in tags {
        let _ = write!(page, "\n- [{}](#{})", text(&tag["name"]), anchor(text(&tag["name"])));
    }
    page.push_str("\n- [Shapes](#shapes)\n- [Codes](#codes)\n");
    for tag in tags {
        let _ = write!(page, "\n## {}\n\n{}\n", text(&tag["name"]), text(&tag["description"]));
        for (on, operation) in operations(document) {
            if operation["tags"][0] == tag["name"] {
                page.push_str(&section(document, &on, operation));
            }
        }
    }
    page.push_str("\n## Shapes\n\nA field that may be absent is marked *may be absent*.\n");
    let schemas = object(&document["components"]["schemas"]);
    for (name, schema) in schemas.iter().filter(|(_, schema)| schema["properties"].is_object()) {
        page.push_str(&shape(name, schema));
    }
    let _ = write!(page, "\n## Codes\n\n{}", codes(document));
    page
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn anchor(heading: &str) -> String {
    heading.to_lowercase().replace(' ', "-")
}

fn section(document: &Value, on: &str, operation: &Value) -> String {
    let mut section = format!("\n### {}\n\n`{on}`{}\n", text(&operation["summary"]), needs(operation));
    if operation["description"].is_string() {
        let _ = write!(section, "\n{}\n", text(&operation["description"]).trim_end());
    }
    section.push_str(&parameters(document, operation));
    for (kind, media) in operation["requestBody"]["content"].as_object().into_iter().flatten() {
        let _ = write!(section, "\nBody, `{kind}`: {}\n", named(&media["schema"]));
    }
    for (status, response) in object(&operation["responses"]) {
        section.push_str(&answer(status, response));
    }
    section
}

fn needs(operation: &Value) -> String {
    let needs = &operation["x-keygate-action"];
    let Some(action) = needs["action"].as_str() else { return ": needs nothing".to_owned() };
    let list = |name: &str| {
        let items = needs[name].as_array().into_iter().flatten().map(text);
        items.map(|item| format!("`{item}`")).collect::<Vec<_>>().join(", ")
    };
    if needs["scopes"].is_null() {
        return format!(": needs {action}");
    }
    let mut line = format!(": needs `{action}`");
    if let Some(machines) = needs["machines_need"].as_str() {
        let _ = write!(line, ", a machine `{machines}`");
    }
    for (mark, words) in [
        ("people_only", "only for people"),
        ("sudo", "in sudo"),
        ("whole_account", "whole account"),
        ("from_anywhere", "from any network"),
        ("counted", "counts for the quota"),
        ("urgent", "done also when nothing is left of it"),
        ("without_second_factor", "also without the second factor that the account wants"),
    ] {
        if needs[mark] == true {
            let _ = write!(line, "; {words}");
        }
    }
    if needs["credential"] == "optional" {
        let by_password = operation["security"]
            .as_array()
            .is_some_and(|ways| ways.iter().any(|way| way["Password"].is_array()));
        line.push_str(if by_password {
            "; or a password instead of a token"
        } else {
            "; or no token but the one it is about"
        });
    }
    let _ = write!(line, "\n\nScopes: {}. Roles: {}.", list("scopes"), list("roles"));
    line
}

fn parameters(document: &Value, operation: &Value) -> String {
    let parameters: Vec<_> = operation["parameters"].as_array().into_iter().flatten().collect();
    if parameters.is_empty() {
        return String::new();
    }
    let mut table = "\n| parameter | in | |\n|---|---|---|\n".to_owned();
    for parameter in parameters {
        let parameter = resolved(document, parameter);
        let (name, place) = (text(&parameter["name"]), text(&parameter["in"]));
        let schema = &parameter["schema"];
        let mut words = text(&parameter["description"]).to_owned();
        if schema["enum"].is_array() {
            let _ = write!(words, " {}.", kind(schema));
        }
        if !schema["default"].is_null() {
            let _ = write!(words, " Unless said: {}.", schema["default"].to_string().replace('"', "`"));
        }
        let _ = writeln!(table, "| `{name}` | {place} | {} |", words.trim());
    }
    table
}

fn resolved<'d>(document: &'d Value, value: &'d Value) -> &'d Value {
    match value["$ref"].as_str() {
        Some(target) => document.pointer(target.trim_start_matches('#')).expect("a target"),
        None => value,
    }
}

fn answer(status: &str, response: &Value) -> String {
    let Some((_, media)) = response["content"].as_object().and_then(|content| content.iter().next()) else {
        let untyped = &response["x-keygate-body"];
        let is_shared = response["$ref"].is_string();
        let words =
            if untyped.is_object() { named(untyped) } else { text(&response["description"]).to_owned() };
        return if is_shared { String::new() } else { format!("\n{status}: {words}\n") };
    };
    let (oauth, ours) = match &media["schema"]["anyOf"] {
        Value::Array(both) => (&both[0]["properties"]["error"]["enum"], &both[1]),
        _ => (&Value::Null, &media["schema"]),
    };
    if let Some(codes) = ours["properties"]["code"]["enum"].as_array() {
        let all = oauth.as_array().into_iter().flatten().chain(codes).map(text);
        let own = all.filter(|code| !HEAD.contains(&format!("`{code}`")));
        let own: Vec<_> = own.map(|code| format!("`{code}`")).collect();
        return if own.is_empty() { String::new() } else { format!("\n{status}: {}\n", own.join(", ")) };
    }
    let mut answer = format!("\n{status}: {}\n", named(&media["schema"]));
    if let Some(example) = media.get("example") {
        let shown = lay_out(example);
        let _ = write!(answer, "\n```json\n{shown}\n```\n");
    }
    answer
}

/// A schema by its name, or what it is.
fn named(schema: &Value) -> String {
    match schema["$ref"].as_str().and_then(|target| target.rsplit('/').next()) {
        Some("Id") => "an id".to_owned(),
        Some("MaybeId") => "an id or null".to_owned(),
        Some("Time") => "a time".to_owned(),
        Some("MaybeTime" | "WantedTime") => "a time or null".to_owned(),
        Some("Role") => "the name of a role".to_owned(),
        Some("Scope") => "scopes".to_owned(),
        Some("Code") => "[a code](#codes)".to_owned(),
        Some("Ok") => "`{\"status\":\"ok\"}`".to_owned(),
        Some(name @ ("Tokens" | "Users" | "Versions" | "Domains" | "Services")) => {
            let one = if name == "Services" { "ListedService" } else { name.trim_end_matches('s') };
            format!("a list of [{one}](#{})", anchor(one))
        }
        Some("MaybePermission") => "`full`, `read_only`, `purge_select`, `purge_all` or null".to_owned(),
        Some("PermissionWord") => "`full`, `read_only`, `purge_select` or `purge_all`".to_owned(),
        Some("PurgeIds") => "an object with the id of each key's purge, without a content type".to_owned(),
        Some(name) => format!("[{name}](#{})", anchor(name)),
        None => kind(schema),
    }
}

fn kind(schema: &Value) -> String {
    if let Some(words) = schema["enum"].as_array() {
        return words.iter().map(|word| word.to_string().replace('"', "`")).collect::<Vec<_>>().join(", ");
    }
    if let Some(one) = schema["anyOf"].get(0) {
        return format!("{} or null", named(one));
    }
    if schema.get("const").is_some() {
        return format!("always `{}`", schema["const"]);
    }
    let word = |name: &Value| match text(name) {
        "array" if schema["maxItems"] == 0 => "an empty list".to_owned(),
        "array" => format!("a list: {}", named(&schema["items"])),
        "string" => "text".to_owned(),
        "boolean" => "true or false".to_owned(),
        "integer" => "a whole number".to_owned(),
        "object" => "an object".to_owned(),
        other => other.to_owned(),
    };
    match &schema["type"] {
        Value::Array(many) => many.iter().map(word).collect::<Vec<_>>().join(" or "),
        Value::Null => "anything".to_owned(),
        one => word(one),
    }
}

fn shape(name: &str, schema: &Value) -> String {
    let mut shape = format!("\n### {name}\n\n");
    if schema["description"].is_string() {
        let _ = write!(shape, "{}\n\n", text(&schema["description"]));
    }
    shape.push_str("| field | is | |\n|---|---|---|\n");
    rows(schema, "", &mut shape);
    shape
}

/// A row for each member; what is inside of a member is written behind a dot.
fn rows(schema: &Value, before: &str, table: &mut String) {
    let required = schema["required"].as_array();
    for (name, member) in object(&schema["properties"]) {
        let absent = required.is_none_or(|names| !names.contains(&name.as_str().into()));
        let words = [if absent { "May be absent." } else { "" }, text(&member["description"])];
        let path = format!("{before}{name}");
        let _ = writeln!(table, "| `{path}` | {} | {} |", named(member), words.join(" ").trim());
        let (inside, dot) =
            if member["items"]["properties"].is_object() { (&member["items"], "[].") } else { (member, ".") };
        if inside["properties"].is_object() {
            rows(inside, &format!("{path}{dot}"), table);
        }
    }
}

fn codes(document: &Value) -> String {
    let words = text(&document["components"]["schemas"]["Code"]["description"]);
    let mut codes = format!("{}\n", words.trim_end());
    for (name, response) in object(&document["components"]["responses"]) {
        let status = match name.as_str() {
            "Unauthenticated" => 401,
            "Internal" => 500,
            _ => 503,
        };
        let content = object(&response["content"]).values();
        codes.extend(content.map(|media| {
            answer(&status.to_string(), &serde_json::json!({ "content": { "application/json": media } }))
        }));
    }
    codes
}
