//! A policy in force and a newer document: what stands is kept, and what is new is denied until it is classified.

use toml_edit::{DocumentMut, Item, Key, Table as TomlTable};

use super::{
    Changed, ImportError, Imported, Options, Warning,
    actions::Actions,
    operations::Operation,
    routes::{Route, Table},
    servers,
    template::Template,
    write,
};

pub(super) fn update(
    existing: &str,
    operations: &[Operation<'_>],
    options: &Options,
    mut warnings: Vec<Warning>,
) -> Result<Imported, ImportError> {
    let mut policy: DocumentMut = existing.parse().map_err(|why| wrong(format!("it is not TOML: {why}")))?;
    check_name(&policy, options)?;
    check_hosts(&policy, operations, options, &mut warnings)?;
    let mut table = Table::in_force();
    for (method, template, item) in routes_of(routes(&mut policy)?)? {
        table.take(method, template, is_unclassified(&item));
    }
    table.add_all(operations, &mut warnings)?;
    table.settle(operations, &mut warnings)?;
    let actions = Actions::name(operations, options, &mut Vec::new());
    let routes = routes(&mut policy)?;
    let (mut added, mut removed, mut changed) = (Vec::new(), Vec::new(), Vec::new());
    for route in &table.routes {
        if !route.in_force {
            add(routes, route, operations, &actions)?;
            added.push(route.on());
        } else if route.operations.is_empty() {
            removed.extend(was_imported(routes, &route.on()).then(|| route.on()));
        } else {
            changed.extend(compare(routes, route, operations));
        }
    }
    if options.prune {
        policy = prune(policy, &removed, &mut warnings)?;
    }
    added.extend(table.lost.iter().map(|lost| lost.on.clone()));
    Ok(Imported { policy: policy.to_string(), warnings, added, removed, changed })
}

/// Takes routes out. The gate's router may hold two routes beside a third only: then they stay, and that is told.
fn prune(
    mut policy: DocumentMut,
    removed: &[String],
    warnings: &mut Vec<Warning>,
) -> Result<DocumentMut, ImportError> {
    let mut all = policy.clone();
    for on in removed {
        routes(&mut all)?.remove(on);
    }
    if super::compile(&all.to_string()).is_ok() {
        return Ok(all);
    }
    for on in removed {
        let mut pruned = policy.clone();
        routes(&mut pruned)?.remove(on);
        match super::compile(&pruned.to_string()) {
            Ok(()) => policy = pruned,
            Err(why) => {
                let what = format!("{on} is gone from the document, and must stay: without it, {}", why.why);
                warnings.push(Warning { place: "the policy in force".to_owned(), what });
            }
        }
    }
    Ok(policy)
}

fn check_name(policy: &DocumentMut, options: &Options) -> Result<(), ImportError> {
    match policy.get("name").and_then(Item::as_str) {
        Some(name) if name == options.name => Ok(()),
        Some(name) => Err(wrong(format!("it is {name:?}, and not {:?}", options.name))),
        None => Err(wrong("it has no name")),
    }
}

/// Hosts are the operator's; where the document has others, they are told.
fn check_hosts(
    policy: &DocumentMut,
    operations: &[Operation<'_>],
    options: &Options,
    warnings: &mut Vec<Warning>,
) -> Result<(), ImportError> {
    let list =
        policy.get("hosts").and_then(Item::as_array).ok_or_else(|| wrong("it has no list of hosts"))?;
    let known: Vec<_> = list.iter().filter_map(toml_edit::Value::as_str).collect();
    let named = servers::named(operations, options)?;
    let new: Vec<_> = named.into_iter().filter(|host| !known.contains(&host.as_str())).collect();
    if !new.is_empty() {
        let what =
            format!("the policy in force is not for {}: add what it should be for", servers::some(&new));
        warnings.push(Warning { place: "servers".to_owned(), what });
    }
    Ok(())
}

fn routes(policy: &mut DocumentMut) -> Result<&mut TomlTable, ImportError> {
    let routes = policy.get_mut("routes").and_then(Item::as_table_mut);
    routes.ok_or_else(|| wrong("it has no table [routes]"))
}

fn routes_of(routes: &TomlTable) -> Result<Vec<(&'static str, Template, Item)>, ImportError> {
    let read = |(on, item): (&str, &Item)| {
        let (method, path) = on.split_once(' ')?;
        let method = METHODS.into_iter().find(|known| *known == method)?;
        Some((method, Template::of_policy(path)?, item.clone()))
    };
    let read = |entry: (&str, &Item)| {
        read(entry).ok_or_else(|| wrong(format!("its route {:?} cannot be read", entry.0)))
    };
    routes.iter().map(read).collect()
}

fn is_unclassified(route: &Item) -> bool {
    let said = route.as_table_like().and_then(|route| route.get("unclassified"));
    said.and_then(Item::as_bool).unwrap_or(false)
}

fn add(
    routes: &mut TomlTable,
    route: &Route,
    operations: &[Operation<'_>],
    actions: &Actions,
) -> Result<(), ImportError> {
    let mut key = Key::new(route.on());
    key.leaf_decor_mut().set_prefix(format!("\n{}", write::comments(route, operations, actions)));
    let value: toml_edit::Value =
        write::UNCLASSIFIED.parse().map_err(|why| wrong(format!("{why}, which is a defect of Keygate's")))?;
    routes.insert_formatted(&key, Item::Value(value));
    Ok(())
}

/// Whether an import made this route: it has the document's words above it.
fn was_imported(routes: &TomlTable, on: &str) -> bool {
    records(&above(routes, on)).next().is_some()
}

/// Tells a change of security, and writes down the new one, so that it is told once.
fn compare(routes: &mut TomlTable, route: &Route, operations: &[Operation<'_>]) -> Option<Changed> {
    let on = route.on();
    let above = above(routes, &on);
    let was: Vec<_> = records(&above).map(write::needs_of_record).collect();
    let of_route = || route.operations.iter().map(|number| &operations[*number]);
    let now: Vec<_> = of_route().map(write::clean_needs).collect();
    if was.is_empty() || was == now {
        return None;
    }
    let new: String = of_route().map(write::record).collect();
    let first =
        above.lines().take_while(|line| !line.starts_with(write::RECORD)).map(|line| format!("{line}\n"));
    let rest = above.lines().skip_while(|line| !line.starts_with(write::RECORD));
    let rest = rest.filter(|line| !line.starts_with(write::RECORD)).map(|line| format!("{line}\n"));
    let words: String = first.chain([new]).chain(rest).collect();
    routes.key_mut(&on)?.leaf_decor_mut().set_prefix(words);
    Some(Changed { on, was: was.join(", "), now: now.join(", ") })
}

/// The comments above a route.
fn above(routes: &TomlTable, on: &str) -> String {
    let words = routes.key(on).and_then(|key| key.leaf_decor().prefix()?.as_str());
    words.unwrap_or_default().to_owned()
}

fn records(above: &str) -> impl Iterator<Item = &str> {
    above.lines().filter(|line| line.starts_with(write::RECORD))
}

fn wrong(why: impl Into<String>) -> ImportError {
    ImportError::new("the policy in force", why)
}

const METHODS: [&str; 6] = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
