//! The document as OpenAPI 3.1, and its examples as what they are examples of.

use jsonschema::{Draft, Validator};
use serde_json::{Value, json};

use crate::{document::document, operations};

/// A validator for one schema of the document, which it may refer to. Nothing is fetched.
fn validator(document: &Value, schema: &Value) -> Validator {
    let whole = json!({ "components": document["components"], "allOf": [schema] });
    let options = jsonschema::options().with_draft(Draft::Draft202012).should_validate_formats(true);
    options.build(&whole).unwrap_or_else(|why| panic!("{schema}: {why}"))
}

fn is_valid(document: &Value, schema: &Value, example: &Value, of: &str) {
    let wrong: Vec<_> = validator(document, schema)
        .iter_errors(example)
        .map(|why| format!("{}: {why}", why.instance_path()))
        .collect();
    assert!(wrong.is_empty(), "{of}: {wrong:#?}\n{example:#}");
}

#[test]
fn the_document_is_openapi_3_1() {
    let rules: Value =
        serde_json::from_str(include_str!("schema/openapi-3.1.json")).expect("the schema is JSON");
    let rules = jsonschema::options().with_draft(Draft::Draft202012).build(&rules).expect("a schema");
    let wrong: Vec<_> =
        rules.iter_errors(&document()).map(|why| format!("{}: {why}", why.instance_path())).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_schema_is_a_schema() {
    let document = document();
    for (name, schema) in document["components"]["schemas"].as_object().expect("schemas") {
        assert!(jsonschema::meta::is_valid(schema), "{name}");
        validator(&document, schema);
    }
}

#[test]
fn every_example_is_what_its_schema_says() {
    let document = document();
    let mut examples = 0;
    for (name, schema) in document["components"]["schemas"].as_object().expect("schemas") {
        for example in schema["examples"].as_array().into_iter().flatten() {
            is_valid(&document, schema, example, name);
            examples += 1;
        }
    }
    for (on, operation) in operations(&document) {
        for (status, response) in operation["responses"].as_object().expect("responses") {
            for media in response["content"].as_object().into_iter().flatten().map(|(_, media)| media) {
                if let Some(example) = media.get("example") {
                    is_valid(&document, &media["schema"], example, &format!("{on} {status}"));
                    examples += 1;
                }
            }
        }
    }
    assert!(examples > 80, "only {examples} examples were found");
}

/// Answers have examples, but for those that say no more than `ok`.
#[test]
fn every_answer_with_a_body_has_an_example() {
    let document = document();
    let same_everywhere = ["Ok", "Nothing", "Document", "Readiness"];
    for (on, operation) in operations(&document) {
        let media = &operation["responses"]["200"]["content"];
        for media in media.as_object().into_iter().flatten().map(|(_, media)| media) {
            let name =
                media["schema"]["$ref"].as_str().unwrap_or_default().rsplit('/').next().unwrap_or_default();
            let needs_none = name.is_empty() || same_everywhere.contains(&name);
            assert!(needs_none || media.get("example").is_some(), "{on} lacks an example of {name}");
        }
    }
}

/// Drift shows only where nothing else may come in.
#[test]
fn answers_name_all_of_their_members() {
    let document = document();
    for (on, operation) in operations(&document) {
        for response in operation["responses"].as_object().expect("responses").values() {
            let content = response["content"].as_object().into_iter().flatten();
            for (_, media) in content {
                let name = media["schema"]["$ref"].as_str().unwrap_or_default().trim_start_matches('#');
                if let Some(schema) = document.pointer(name).filter(|_| !name.ends_with("/Document")) {
                    is_closed(&document, schema, &on);
                }
            }
        }
    }
}

fn is_closed(document: &Value, schema: &Value, on: &str) {
    let schema = match schema["$ref"].as_str() {
        Some(name) => document.pointer(name.trim_start_matches('#')).expect("a schema"),
        None => schema,
    };
    if let Some(properties) = schema["properties"].as_object() {
        assert_eq!(schema["additionalProperties"], false, "{on}: {schema}");
        properties.values().for_each(|property| is_closed(document, property, on));
    }
    if schema["items"].is_object() {
        is_closed(document, &schema["items"], on);
    }
}
