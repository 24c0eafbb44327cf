//! What the files say, read without the compiler: everything is looked up again for every question, by its name.

use std::{collections::BTreeSet, sync::LazyLock};

use keygate_model::{CustomerId, ServiceId, policy::OWN_POLICY};
use toml::{Table, Value};

use crate::world::{Question, Token, World, owner_of};

static OWN: LazyLock<Table> = LazyLock::new(|| OWN_POLICY.parse().expect("the own policy"));

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    Yes,
    No,
    CannotTell,
}

/// Names of actions, those of an API with its name before them.
type Names = BTreeSet<String>;

pub(crate) fn judge(world: &World, files: &[Table], ask: &Question) -> Said {
    if ask.path.contains("//") {
        // Can be read in two ways, wherever it stands.
        return Said::No;
    }
    let host = files.iter().find(|file| texts(&file["hosts"]).contains(&ask.host));
    let method = if ask.method == "HEAD" { "GET" } else { ask.method };
    let route = host.and_then(|file| route(file, method, &ask.path));
    if route.is_some_and(|(_, line)| line.contains_key("public")) {
        return Said::Yes;
    }
    let Some(token) = ask.token.map(|place| &world.tokens[place]) else { return Said::No };
    if ask.method == "TRACE" {
        // Cannot even be asked.
        return Said::No;
    }
    let scope = union(world, files, "scopes", &token.scope.split(' ').collect::<Vec<_>>());
    let role = union(world, files, "roles", &[token.role]);
    let (Some(scope), Some(role)) = (scope, role) else { return Said::CannotTell };
    let (Some(file), Some((template, line))) = (host, route) else { return Said::No };
    let Some(action) = line.get("action").and_then(Value::as_str) else { return Said::No };
    let full = format!("{}/{action}", file["name"].as_str().expect("a name"));
    let marked = |mark: &str| file["actions"][action].get(mark).is_some();
    let may = serves(file, token)
        && scope.contains(&full)
        && role.contains(&full)
        && !(token.is_machine && marked("personal"))
        && !(token.only.is_some() && marked("account"))
        && place(token, template, &ask.path, marked("common"))
        && (!marked("sudo") && !marked("people") || token.in_sudo && !token.is_machine);
    if may { Said::Yes } else { Said::No }
}

/// The files that can be read, without the later of two that want one host.
pub(crate) fn in_force(world: &World) -> Vec<Table> {
    let mut files: Vec<Table> = Vec::new();
    for text in world.files.iter().filter_map(|(text, _)| text.as_ref()) {
        let Ok(file) = text.parse::<Table>() else { continue };
        // A set with nothing in it is a mistake.
        let sets =
            ["scopes", "roles"].into_iter().flat_map(|table| file[table].as_table().expect("sets").values());
        if sets.into_iter().any(|list| contained(&file, "api", list).is_empty()) {
            continue;
        }
        let is_taken = |host: &&str| files.iter().any(|other| texts(&other["hosts"]).contains(host));
        if !texts(&file["hosts"]).iter().any(is_taken) {
            files.push(file);
        }
    }
    files
}

fn texts(list: &Value) -> Vec<&str> {
    list.as_array().expect("a list").iter().map(|text| text.as_str().expect("a text")).collect()
}

fn serves(file: &Table, token: &Token) -> bool {
    match &file["customers"] {
        Value::String(_) => true,
        ids => texts(ids).contains(&CustomerId::from_bits(token.customer).to_string().as_str()),
    }
}

/// The most particular route: words before parameters.
fn route<'f>(file: &'f Table, method: &str, path: &str) -> Option<(&'f str, &'f Table)> {
    let lines = file["routes"].as_table().expect("routes").iter();
    let of_method = lines.filter_map(|(on, line)| Some((on.strip_prefix(method)?.strip_prefix(' ')?, line)));
    let fitting = of_method.filter(|(template, _)| fits(template, path));
    let best = fitting.min_by_key(|(template, _)| {
        template.split('/').map(|part| part.starts_with('{')).collect::<Vec<_>>()
    });
    best.map(|(template, line)| (template, line.as_table().expect("a table")))
}

fn fits(template: &str, path: &str) -> bool {
    let (wanted, parts): (Vec<_>, Vec<_>) = (template.split('/').collect(), path.split('/').collect());
    wanted.len() == parts.len()
        && wanted
            .iter()
            .zip(parts)
            .all(|(wanted, part)| if wanted.starts_with('{') { !part.is_empty() } else { *wanted == part })
}

/// What scopes or roles contain together. None: somebody does not know one of them.
fn union(world: &World, files: &[Table], table: &str, words: &[&str]) -> Option<Names> {
    let mut union = Names::new();
    for word in words {
        let mut known = false;
        if let Some(list) = OWN[table].get(*word) {
            known = true;
            union.extend(contained(&OWN, "", list));
            // `*` and `@read` of Keygate's own are of everybody's.
            for file in files {
                let wide = texts(list).into_iter().filter(|name| ["*", "@read"].contains(name));
                union.extend(wide.flat_map(|name| named(file, name)));
            }
        }
        for file in files {
            if let Some(list) = file.get(table).and_then(|sets| sets.get(*word)) {
                known = true;
                union.extend(contained(file, file["name"].as_str().expect("a name"), list));
            }
        }
        let retired = format!("{} {word}", &table[..table.len() - 1]);
        known |= world.files.iter().any(|(_, words)| words.contains(&retired));
        if !known {
            return None;
        }
    }
    Some(union)
}

fn contained(file: &Table, prefix: &str, list: &Value) -> Names {
    let names = texts(list).into_iter().flat_map(|name| named(file, name));
    if prefix.is_empty() { names.filter(|name| !name.contains('/')).collect() } else { names.collect() }
}

/// What a word in a list of actions means in the file that it stands in.
fn named(file: &Table, word: &str) -> Names {
    let prefix = file.get("name").and_then(Value::as_str).map_or_else(String::new, |name| format!("{name}/"));
    let actions = file["actions"].as_table().expect("actions").iter();
    let meant = actions.filter(|(name, marks)| match word {
        "*" => marks.get("explicit").is_none(),
        "@read" => marks.get("read").is_some() && marks.get("explicit").is_none(),
        word => word == *name,
    });
    meant.map(|(name, _)| format!("{prefix}{name}")).collect()
}

/// Whether the token may act on the service that the path names, or where it names none.
fn place(token: &Token, template: &str, path: &str, is_common: bool) -> bool {
    let at = template.split('/').position(|part| part == "{service}");
    let Some(named) = at.and_then(|at| path.split('/').nth(at)) else {
        return token.only.is_none() || is_common;
    };
    let ids = (1..4_u128).find(|bits| ServiceId::from_bits(*bits).to_string() == named);
    let Some(id) = ids else { return false };
    owner_of(id) == Some(token.customer) && token.only.is_none_or(|only| only == id)
}
