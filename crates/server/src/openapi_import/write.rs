//! The text of a new policy.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Customers, ImportError, Options,
    actions::{self, Actions, Marks},
    operations::Operation,
    place::At,
    routes::{Route, Table},
    security,
    template::Template,
};

/// All that a new policy is made of.
pub(super) struct Fresh<'a, 'd> {
    pub(super) root: &'a At<'d>,
    pub(super) options: &'a Options,
    pub(super) hosts: &'a [String],
    pub(super) operations: &'a [Operation<'d>],
    pub(super) table: &'a Table,
    pub(super) actions: &'a Actions,
}

impl Fresh<'_, '_> {
    pub(super) fn write(
        &self,
        defined: &[(&str, Marks)],
        scopes: &BTreeMap<String, Vec<&str>>,
    ) -> Result<String, ImportError> {
        let mut text = self.head()?;
        text.push_str(
            "\n# read: changes nothing, so that `@read` has it, and with it the scope global:read.\n",
        );
        if defined.iter().any(|(_, marks)| marks.sudo) {
            text.push_str("# sudo: needs a password within the last five minutes, on the token that asks.\n");
        }
        text.push_str("[actions]\n");
        for (name, marks) in defined {
            text.push_str(&format!("{} = {}\n", quoted(name), marks_as_toml(*marks)));
        }
        self.write_scopes(scopes, &mut text);
        self.write_roles(scopes, &mut text)?;
        self.write_routes(&mut text);
        Ok(text)
    }

    fn head(&self) -> Result<String, ImportError> {
        let info = self.root.get("info")?;
        let of_info = |key: &str| match &info {
            Some(info) => info.get(key).map(|found| found.map(|found| found.shown()).unwrap_or_default()),
            None => Ok(String::new()),
        };
        let title = clean(&format!("{} {}", of_info("title")?, of_info("version")?));
        let customers = match &self.options.customers {
            Customers::All => "\"all\"".to_owned(),
            Customers::Only(ids) => list("customers = ".len(), ids.iter().map(String::as_str)),
        };
        Ok(format!(
            "# {title}: what can be done with it, by which route and under which scope.\n\
             # Made from its OpenAPI document by `keygate policy import-openapi`, and yours to edit. A later import\n\
             # keeps what stands here, and adds what is new as denied.\n\n\
             name = {}\n\
             hosts = {}\n\
             customers = {customers}\n",
            quoted(&self.options.name),
            list("hosts = ".len(), self.hosts.iter().map(String::as_str)),
        ))
    }

    fn write_scopes(&self, scopes: &BTreeMap<String, Vec<&str>>, text: &mut String) {
        if scopes.is_empty() {
            let name = &self.options.name;
            text.push_str(&format!(
                "\n# The document names no scopes: tokens with the scope global have every action, and those with\n\
                 # global:read the ones that are read. A scope of your own would be:\n\
                 # \"{name}:read\" = [\"@read\"]\n[scopes]\n"
            ));
            return;
        }
        text.push_str("\n# The scopes that the document names, each with what it is enough for.\n");
        if scopes.keys().any(|name| name.contains('+')) {
            text.push_str("# `a+b` is whoever has both.\n");
        }
        text.push_str("[scopes]\n");
        for (name, actions) in scopes {
            let name = quoted(name);
            text.push_str(&format!("{name} = {}\n", list(name.len() + 3, actions.iter().copied())));
        }
    }

    fn write_roles(
        &self,
        scopes: &BTreeMap<String, Vec<&str>>,
        text: &mut String,
    ) -> Result<(), ImportError> {
        if self.options.roles.is_empty() {
            return Ok(());
        }
        text.push_str("\n# What the owners of these roles may do; superusers may do everything.\n[roles]\n");
        let mut written = BTreeSet::new();
        for (role, of) in &self.options.roles {
            if !written.insert(role) {
                return Err(ImportError::new("roles", format!("{role:?} is named twice")));
            }
            let mut actions: Vec<&str> = Vec::new();
            for scope in of {
                let adds = match scope.as_str() {
                    "*" | "@read" => vec![scope.as_str()],
                    name => scopes.get(name).cloned().ok_or_else(|| {
                        ImportError::new("roles", format!("{role:?} names the scope {name:?}, which is none"))
                    })?,
                };
                actions.extend(adds.iter().filter(|action| !actions.contains(action)).collect::<Vec<_>>());
            }
            if actions.is_empty() {
                return Err(ImportError::new(
                    "roles",
                    format!("{role:?} has no scopes, and would be nothing"),
                ));
            }
            let role = quoted(role);
            text.push_str(&format!("{role} = {}\n", list(role.len() + 3, actions.into_iter())));
        }
        Ok(())
    }

    fn write_routes(&self, text: &mut String) {
        text.push_str(
            "\n# `#:` begins what the document says: the operation, what it asks for under `security`, its summary. The\n\
             # next import compares with it.\n[routes]\n",
        );
        let mut path = None;
        for route in &self.table.routes {
            if path.replace(&route.template.text).is_some_and(|before| *before != route.template.text) {
                text.push('\n');
            }
            text.push_str(&comments(route, self.operations, self.actions));
            let entry = match route.operations.first() {
                Some(&number) if route.closed.is_none() => {
                    entry(&self.operations[number], &route.template, self.actions.of(number))
                }
                _ => UNCLASSIFIED.to_owned(),
            };
            text.push_str(&format!("{} = {entry}\n", quoted(&route.on())));
        }
        for lost in &self.table.lost {
            let what = "has no route, and so is denied: the gate cannot hold it beside the others";
            text.push_str(&format!("\n# {} {what}.\n", clean(&lost.on)));
            let records = lost.operations.iter().map(|number| record(&self.operations[*number]));
            records.for_each(|record| text.push_str(&record.replacen(RECORD, "#", 1)));
        }
    }
}

/// What stands above a route: the document's words, and why it denies if it does.
pub(super) fn comments(route: &Route, operations: &[Operation<'_>], actions: &Actions) -> String {
    let mut text: String = route.operations.iter().map(|number| record(&operations[*number])).collect();
    let Some(why) = &route.closed else { return text };
    text.push_str(&format!("# Denied to everybody until it is classified: {}.\n", printable(why)));
    if let Some(&number) = route.operations.first() {
        text.push_str(&suggestion(&operations[number], &route.template, actions.of(number)));
    }
    text
}

/// What the operation would be, were it classified as the document says.
fn suggestion(operation: &Operation<'_>, template: &Template, action: &str) -> String {
    let entry = entry(operation, template, action);
    if operation.public {
        return format!("# The document would have it: {entry}\n");
    }
    let marks = marks_as_toml(Marks::of(operation));
    let scopes = operation.security.sets().map(|set| quoted(&security::joined(set))).collect::<Vec<_>>();
    let scopes = if scopes.is_empty() { String::new() } else { format!(", in {}", scopes.join(" and ")) };
    let action = quoted(action);
    format!("# The document would have it: {entry}, with {action} = {marks} under [actions]{scopes}\n")
}

/// `#: listOrders [orders:read]: List all orders`
pub(super) fn record(operation: &Operation<'_>) -> String {
    let needs = clean_needs(operation);
    let needs = if needs.is_empty() { needs } else { format!(" [{needs}]") };
    let summary = clean(operation.summary);
    let summary = if summary.is_empty() { summary } else { format!(": {summary}") };
    format!("{RECORD} {}{needs}{summary}\n", actions::called(operation))
}

/// What an operation needs, as its record says it.
pub(super) fn clean_needs(operation: &Operation<'_>) -> String {
    printable(&operation.needs())
}

/// What it needed, in its record.
pub(super) fn needs_of_record(line: &str) -> &str {
    let words = line.strip_prefix(RECORD).unwrap_or_default().trim_start();
    let needs = words.split_once(' ').filter(|(called, _)| !called.ends_with(':'));
    let needs = needs.and_then(|(_, needs)| needs.strip_prefix('['));
    needs.map_or("", |needs| needs.split("]: ").next().unwrap_or_default().trim_end_matches(']'))
}

fn entry(operation: &Operation<'_>, template: &Template, action: &str) -> String {
    if operation.public {
        return "{ public = true }".to_owned();
    }
    let service = operation.service.and_then(|service| template.param(service.name));
    let service = service.map(|name| format!(", service = {}", quoted(name))).unwrap_or_default();
    format!("{{ action = {}{service} }}", quoted(action))
}

fn marks_as_toml(marks: Marks) -> &'static str {
    match (marks.read, marks.sudo) {
        (false, false) => "{}",
        (true, false) => "{ read = true }",
        (false, true) => "{ sudo = true }",
        (true, true) => "{ read = true, sudo = true }",
    }
}

/// A list on one line, or on as many as it needs.
fn list<'t>(indent: usize, items: impl Iterator<Item = &'t str>) -> String {
    let items: Vec<String> = items.map(quoted).collect();
    let line = format!("[{}]", items.join(", "));
    if indent + line.chars().count() <= LINE_CHARS {
        return line;
    }
    let mut text = "[".to_owned();
    let mut used = LINE_CHARS;
    for item in items {
        let length = item.chars().count() + 2;
        if used + length > LINE_CHARS {
            text.push_str("\n ");
            used = 1;
        }
        text.push_str(&format!(" {item},"));
        used += length;
    }
    text.push_str("\n]");
    text
}

/// A TOML string, whatever is in it.
fn quoted(text: &str) -> String {
    let mut quoted = "\"".to_owned();
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => quoted.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// Text for a comment: one line, not long.
fn clean(text: &str) -> String {
    let text = printable(text);
    if text.chars().count() <= COMMENT_CHARS {
        return text;
    }
    let start: String = text.chars().take(COMMENT_CHARS).collect();
    format!("{}…", start.trim_end())
}

/// One line of it, without what would end a comment or turn around how it reads.
fn printable(text: &str) -> String {
    let turns =
        |c: char| matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}');
    let visible: String = text.chars().map(|c| if c.is_control() || turns(c) { ' ' } else { c }).collect();
    visible.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Begins the lines in which an import keeps what the document says.
pub(super) const RECORD: &str = "#:";
pub(super) const UNCLASSIFIED: &str = "{ unclassified = true }";
const LINE_CHARS: usize = 110;
const COMMENT_CHARS: usize = 80;
