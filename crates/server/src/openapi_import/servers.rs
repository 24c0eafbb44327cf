//! Where the API is: hosts, and what stands before every path.

use std::collections::HashSet;

use axum::http::Uri;
use keygate_model::{Path, ask::Reading};

use super::{ImportError, Options, Warning, operations::Operation, place::At};

/// One place where operations are served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Server {
    /// None: where the document is served from, which the document does not say.
    host: Option<String>,
    /// `/v1`, or nothing.
    pub(super) base: String,
}

/// Reads `servers`, with every value of their variables. None if there are none.
pub(super) fn servers(of: &At<'_>) -> Result<Option<Vec<Server>>, ImportError> {
    let Some(list) = of.get("servers")? else { return Ok(None) };
    let mut servers = Vec::new();
    for server in list.items()? {
        let url = server.get("url")?.ok_or_else(|| server.wrong("this has no `url`"))?;
        for text in expanded(url.text()?, &server)? {
            let read = read(&text).map_err(|why| url.wrong(format!("{text:?}: {why}")))?;
            if !servers.contains(&read) {
                servers.push(read);
            }
        }
    }
    Ok(Some(servers).filter(|servers| !servers.is_empty()))
}

/// What holds where `servers` stands nowhere: `/`.
pub(super) fn unsaid() -> Vec<Server> {
    vec![Server { host: None, base: String::new() }]
}

/// The hosts of the policy. All of its routes hold on all of them; what that adds to the document is said.
pub(super) fn hosts(
    operations: &[Operation<'_>],
    options: &Options,
    warnings: &mut Vec<Warning>,
) -> Result<Vec<String>, ImportError> {
    let hosts = named(operations, options)?;
    if !options.hosts.is_empty() {
        return Ok(hosts);
    }
    let mut servers = operations.iter().flat_map(|operation| &operation.servers);
    if servers.any(|server| server.host.is_none()) {
        let why = "the document does not say at which host the API is: name the host";
        return Err(ImportError::new("servers", why));
    }
    let mut wider = Vec::new();
    for operation in operations {
        for (host, base) in hosts.iter().flat_map(|host| operation.bases().map(move |base| (host, base))) {
            let is_said = |server: &Server| server.host.as_ref() == Some(host) && server.base == base;
            if !operation.servers.iter().any(is_said) {
                wider.push(format!("{} {host}{base}{}", operation.method, operation.path));
            }
        }
    }
    if !wider.is_empty() {
        let what = format!(
            "the routes of a policy hold on all of its hosts, so that it is wider than the document by {}; where that \
             matters, make a policy for each host, each with its own part of the document",
            some(&wider)
        );
        warnings.push(Warning { place: "servers".to_owned(), what });
    }
    Ok(hosts)
}

/// The hosts that the options name, or else the document.
pub(super) fn named(operations: &[Operation<'_>], options: &Options) -> Result<Vec<String>, ImportError> {
    let read = |name: &String| host(name).map_err(|why| ImportError::new("hosts", why));
    let said: Vec<String> = options.hosts.iter().map(read).collect::<Result<_, _>>()?;
    let servers = operations.iter().flat_map(|operation| &operation.servers);
    let served = servers.filter_map(|server| server.host.clone());
    let all = if said.is_empty() { served.collect() } else { said };
    let mut seen = HashSet::new();
    Ok(all.into_iter().filter(|host| seen.insert(host.clone())).collect())
}

/// The first of a long list, and how many more there are.
pub(super) fn some(all: &[String]) -> String {
    let shown = all.iter().take(SHOWN_MAX).map(String::as_str).collect::<Vec<_>>().join(", ");
    let more = all.len().saturating_sub(SHOWN_MAX);
    if more == 0 { shown } else { format!("{shown} and {more} more") }
}

/// What stands before every path, as `servers` and the options write it.
pub(super) fn base(path: &str) -> Result<String, String> {
    let base = path.strip_suffix('/').unwrap_or(path);
    if base.is_empty() {
        return Ok(String::new());
    }
    if base.contains(['{', '}']) || Path::new(base).reading() != Reading::PLAIN {
        return Err("its path is not a plain one that begins with `/`".to_owned());
    }
    Ok(base.to_owned())
}

/// The address with each value that its variables may have.
fn expanded(url: &str, server: &At<'_>) -> Result<Vec<String>, ImportError> {
    let mut done = vec![String::new()];
    let mut rest = url;
    while let Some((before, after)) = rest.split_once('{') {
        let Some((name, after)) = after.split_once('}') else {
            return Err(server.wrong("the braces of its `url` do not match"));
        };
        let values = values(name, server)?;
        if done.len() * values.len() > EXPANDED_MAX {
            return Err(
                server.wrong(format!("its variables have more than {EXPANDED_MAX} values: name the hosts"))
            );
        }
        done =
            done.iter().flat_map(|start| values.iter().map(move |v| format!("{start}{before}{v}"))).collect();
        rest = after;
    }
    done.iter_mut().for_each(|url| url.push_str(rest));
    Ok(done)
}

/// The values of a variable: those that its `enum` lists, or only its default.
fn values<'d>(name: &str, server: &At<'d>) -> Result<Vec<&'d str>, ImportError> {
    let variables = server.get("variables")?;
    let variable = variables.map(|variables| variables.get(name)).transpose()?.flatten();
    let Some(variable) = variable else {
        return Err(server.wrong(format!("its `url` has the variable {name:?}, which has no definition")));
    };
    match variable.get("enum")? {
        Some(list) => {
            let values = list.items()?.iter().map(At::text).collect::<Result<Vec<_>, _>>()?;
            if values.is_empty() { Err(list.wrong("this lists nothing")) } else { Ok(values) }
        }
        None => match variable.text_of("default")? {
            Some(value) => Ok(vec![value]),
            None => Err(variable.wrong("this has no `default`")),
        },
    }
}

fn read(url: &str) -> Result<Server, String> {
    if url.contains(['?', '#']) {
        return Err("the address of a server has no query and no fragment".to_owned());
    }
    if !url.contains("://") {
        let rooted = url.starts_with('/') && !url.starts_with("//");
        let relative =
            "it is relative to where the document is served from: write it from `/` or `https://` on";
        return if rooted { Ok(Server { host: None, base: base(url)? }) } else { Err(relative.to_owned()) };
    }
    let uri: Uri = url.parse().map_err(|why| format!("it is not an address: {why}"))?;
    if !matches!(uri.scheme_str(), Some("http" | "https" | "ws" | "wss")) {
        return Err("it is neither http nor https".to_owned());
    }
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    if authority.contains('@') {
        return Err("it has a user name in it".to_owned());
    }
    Ok(Server { host: Some(host(uri.host().unwrap_or_default())?), base: base(uri.path())? })
}

fn host(name: &str) -> Result<String, String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let is_label = |label: &str| {
        let ends = label.starts_with('-') || label.ends_with('-');
        !label.is_empty() && label.len() <= 63 && !ends && label.bytes().all(plain)
    };
    if name.split('.').all(is_label) && name.len() <= 253 {
        Ok(name.to_ascii_lowercase())
    } else {
        Err(format!("{name:?} is not the name of a host, without a port, as in api.example.com"))
    }
}

const EXPANDED_MAX: usize = 64;
const SHOWN_MAX: usize = 5;
