//! `keygate policy explain`.

use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::Args;
use keygate_model::{
    Host, Method, Path, Policy,
    policy::{Access, Matched, Unmatched},
};
use serde_json::json;

use super::{PolicyFile, freshness};
use crate::cli::{Database, Desk, Shown, output};

#[derive(Args)]
pub(in crate::cli) struct Explain {
    /// The method, in capitals
    method: String,
    /// The URL
    url: String,
    /// A policy file that is not applied yet, instead of those in force
    #[arg(long, value_name = "FILE")]
    file: Option<std::path::PathBuf>,
    /// What a token with this scope may do
    #[arg(long)]
    scope: Option<String>,
    /// What an owner with this role may do
    #[arg(long)]
    role: Option<String>,
    #[command(flatten)]
    database: Database,
    #[command(flatten)]
    shown: Shown,
}

/// What is known of a request.
struct Found {
    answer: String,
    route: Option<String>,
    action: Option<String>,
    service: Option<String>,
    scopes: Vec<String>,
    roles: Vec<String>,
    freshness: Option<String>,
    warning: Option<String>,
}

impl Explain {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let policy = match &self.file {
            Some(file) => PolicyFile { file: file.clone() }.compile()?.into(),
            None => {
                let Desk { authority, .. } = self.database.open()?;
                authority.policy()
            }
        };
        let found = self.find(&policy)?;
        if self.shown.json {
            output::json(&json!({
                "answer": found.answer, "route": found.route, "action": found.action, "service": found.service,
                "scopes": found.scopes, "roles": found.roles, "freshness": found.freshness,
                "warning": found.warning,
            }));
        } else {
            let list = |names: &[String]| if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            output::fields(&[
                ("Answer", found.answer),
                ("Route", found.route.unwrap_or_else(|| "none".to_owned())),
                ("Action", found.action.unwrap_or_else(|| "none".to_owned())),
                ("Service", found.service.unwrap_or_else(|| "none is named".to_owned())),
                ("Scopes that contain it", list(&found.scopes)),
                ("Roles that contain it", list(&found.roles)),
                ("Knowledge may be", found.freshness.unwrap_or_else(|| "not asked for".to_owned())),
            ]);
            found.warning.iter().for_each(output::line);
        }
        Ok(ExitCode::SUCCESS)
    }

    fn find(&self, policy: &Policy) -> anyhow::Result<Found> {
        let Some(method) = Method::parse(&self.method) else {
            bail!("{:?} is no method that a policy can name; write GET, POST, …", self.method)
        };
        let (_, rest) =
            self.url.split_once("://").context("Give the whole URL, as https://api.example.com/a")?;
        let (authority, target) = rest.find('/').map_or((rest, "/"), |at| rest.split_at(at));
        let host = Host::parse(authority).with_context(|| format!("{authority:?} cannot be asked for"))?;
        let path = Path::new(target.split_once('?').map_or(target, |(path, _)| path));
        let none = |answer: &str| Found {
            answer: answer.to_owned(),
            route: None,
            action: None,
            service: None,
            scopes: Vec::new(),
            roles: Vec::new(),
            freshness: None,
            warning: None,
        };
        let Matched { route, access, service } = match policy.route_at(&host, method, &path) {
            Ok(matched) => matched,
            Err(unmatched) => return Ok(none(why(unmatched))),
        };
        let found = Found {
            route: Some(route.on.clone()),
            service: service.map(str::to_owned),
            freshness: Some(freshness::words(route.freshness())),
            warning: freshness::warning(policy, route),
            ..none("")
        };
        Ok(match access {
            Access::Public => Found { answer: "allowed to everybody".to_owned(), ..found },
            Access::Unclassified => Found {
                answer: "denied to everybody: nobody has said yet what it is (unclassified)".to_owned(),
                ..found
            },
            Access::Action(action) | Access::ActionIfAny(action) => {
                let having = |names: Vec<&str>, has: &dyn Fn(&str) -> bool| -> Vec<String> {
                    names.into_iter().filter(|name| has(name)).map(str::to_owned).collect()
                };
                let in_scope = |name: &str| policy.scope(name).is_some_and(|set| set.contains(action));
                let in_role = |name: &str| policy.role(name).is_some_and(|set| set.contains(action));
                let by_scope = self.scope.as_deref().map(|names| names.split(' ').any(in_scope));
                let by_role = self.role.as_deref().map(in_role);
                Found {
                    answer: match (by_scope, by_role) {
                        (Some(false), _) => "denied: the scope does not contain it (insufficient_scope)",
                        (_, Some(false)) => "denied: the role does not contain it (insufficient_role)",
                        (None, None) => "allowed to whoever has it in scope and role",
                        _ => "allowed, as far as what was given goes",
                    }
                    .to_owned(),
                    action: Some(policy.name(action).to_owned()),
                    scopes: having(policy.scope_names(), &in_scope),
                    roles: having(policy.role_names(), &in_role),
                    ..found
                }
            }
        })
    }
}

fn why(unmatched: Unmatched) -> &'static str {
    match unmatched {
        Unmatched::NoRoute => "denied to everybody: no policy names it (no_rule)",
        Unmatched::Ambiguous => "refused: the path can be read in two ways (ambiguous_path)",
    }
}
