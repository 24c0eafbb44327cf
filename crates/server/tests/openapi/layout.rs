//! JSON as people lay it out: what fits on a line stands on one.

use serde_json::Value;

const WIDTH: usize = 120;

/// The text of a value.
pub(crate) fn lay_out(value: &Value) -> String {
    let mut text = String::new();
    write(value, 0, 0, &mut text);
    text
}

/// Writes a value that stands behind `before` characters, with what is inside of it further in than `indent`.
fn write(value: &Value, indent: usize, before: usize, text: &mut String) {
    let line = on_a_line(value);
    if indent + before + line.chars().count() < WIDTH || !(value.is_array() || value.is_object()) {
        text.push_str(&line);
        return;
    }
    let (open, close) = if value.is_array() { ("[", "]") } else { ("{", "}") };
    text.push_str(open);
    for (nth, (name, member)) in members(value).into_iter().enumerate() {
        text.push_str(if nth == 0 { "\n" } else { ",\n" });
        text.push_str(&" ".repeat(indent + 2));
        text.push_str(&name);
        write(member, indent + 2, name.chars().count(), text);
    }
    text.push_str(&format!("\n{}{close}", " ".repeat(indent)));
}

fn on_a_line(value: &Value) -> String {
    let members: Vec<_> =
        members(value).into_iter().map(|(name, member)| format!("{name}{}", on_a_line(member))).collect();
    match value {
        Value::Array(_) => format!("[{}]", members.join(", ")),
        Value::Object(object) if object.is_empty() => "{}".to_owned(),
        Value::Object(_) => format!("{{ {} }}", members.join(", ")),
        other => other.to_string(),
    }
}

/// What is inside of a value, each with what stands before it.
fn members(value: &Value) -> Vec<(String, &Value)> {
    match value {
        Value::Array(items) => items.iter().map(|item| (String::new(), item)).collect(),
        Value::Object(members) => members
            .iter()
            .map(|(name, member)| (format!("{}: ", Value::from(name.as_str())), member))
            .collect(),
        _ => Vec::new(),
    }
}

#[test]
fn laid_out_json_is_the_same_json() {
    let value = crate::document::document();
    let text = lay_out(&value);
    assert_eq!(serde_json::from_str::<Value>(&text).expect("JSON"), value);
}
