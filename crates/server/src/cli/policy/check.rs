//! `keygate policy check` and `keygate policy test`.

use std::process::ExitCode;

use clap::Args;
use keygate_model::{
    Policy,
    policy::{Access, Api, Customers, Route},
};
use serde_json::json;

use super::{PolicyFile, freshness, only};
use crate::cli::{Shown, output};

#[derive(Args)]
pub(in crate::cli) struct Check {
    #[command(flatten)]
    file: PolicyFile,
    #[command(flatten)]
    shown: Shown,
}

#[derive(Args)]
pub(in crate::cli) struct Test {
    #[command(flatten)]
    file: PolicyFile,
    #[command(flatten)]
    shown: Shown,
}

impl Check {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let policy = self.file.compile()?;
        let api = only(&policy)?;
        let failed = policy.cases(api)?.into_iter().filter(|case| !case.passes()).count();
        if self.shown.json {
            output::json(&json!({
                "name": api.name, "hosts": api.hosts, "routes": api.routes.all().len(),
                "public": named(api, Access::Public), "unclassified": named(api, Access::Unclassified),
                "cases_failed": failed, "warnings": freshness::warnings(&policy, api),
            }));
        } else {
            show(&policy, api)?;
        }
        Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::from(1) })
    }
}

impl Test {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let policy = self.file.compile()?;
        let cases = policy.cases(only(&policy)?)?;
        let failed = cases.iter().filter(|case| !case.passes()).count();
        if self.shown.json {
            let cases: Vec<_> = cases
                .iter()
                .map(|case| {
                    json!({
                        "ask": case.ask, "with": case.with, "expected": case.expected, "answer": case.answer,
                        "passes": case.passes(),
                    })
                })
                .collect();
            output::json(&json!({ "failed": failed, "cases": cases }));
        } else {
            let rows = cases.iter().map(|case| {
                let mark = if case.passes() { "ok" } else { "FAILS" };
                [mark, &case.ask, &case.with, &case.expected, &case.answer].map(str::to_owned).to_vec()
            });
            output::list(&["", "ASK", "WITH", "EXPECTED", "ANSWER"], rows);
            output::line(format_args!("{} cases, {failed} of them fail.", cases.len()));
        }
        Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::from(1) })
    }
}

fn named(api: &Api, access: Access) -> Vec<&str> {
    let routes = api.routes.all().iter().filter(|route| route.access == access);
    routes.map(|route| route.on.as_str()).collect()
}

fn show(policy: &Policy, api: &Api) -> anyhow::Result<()> {
    let customers = match &api.customers {
        Customers::All => "all".to_owned(),
        Customers::These(ids) => ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
    };
    let (public, unclassified) = (named(api, Access::Public), named(api, Access::Unclassified));
    output::fields(&[
        ("Policy", api.name.clone()),
        ("Hosts", api.hosts.join(", ")),
        ("Customers", customers),
        ("Actions", api.actions().count().to_string()),
        ("Routes", api.routes.all().len().to_string()),
        ("Public", if public.is_empty() { "none".to_owned() } else { public.join(", ") }),
        ("Unclassified", if unclassified.is_empty() { "none".to_owned() } else { unclassified.join(", ") }),
        ("Knowledge may be", freshness::words(api.freshness)),
    ]);
    freshness::warnings(policy, api).iter().for_each(output::line);
    output::line("");
    output::list(
        &["ROUTE", "ACTION", "SERVICE", "SCOPES", "ROLES"],
        api.routes.all().iter().map(|route| row(policy, route)),
    );
    let cases = policy.cases(api)?;
    let failed: Vec<_> = cases.iter().filter(|case| !case.passes()).collect();
    output::line("");
    output::line(format_args!("{} cases, {} of them fail.", cases.len(), failed.len()));
    failed.iter().for_each(|case| output::line(format_args!("  {case}")));
    Ok(())
}

/// A route, and who reaches it.
pub(super) fn row(policy: &Policy, route: &Route) -> Vec<String> {
    let (action, scopes, roles) = match route.access {
        Access::Public => ("public".to_owned(), "-".to_owned(), "-".to_owned()),
        Access::Unclassified => ("unclassified".to_owned(), "nobody".to_owned(), "nobody".to_owned()),
        Access::Action(action) | Access::ActionIfAny(action) => {
            let in_scope = |name: &&str| policy.scope(name).is_some_and(|set| set.contains(action));
            let in_role = |name: &&str| policy.role(name).is_some_and(|set| set.contains(action));
            (
                policy.name(action).to_owned(),
                policy.scope_names().into_iter().filter(in_scope).collect::<Vec<_>>().join(" "),
                policy.role_names().into_iter().filter(in_role).collect::<Vec<_>>().join(" "),
            )
        }
    };
    let service = if route.names_service() { "in the path" } else { "-" };
    vec![route.on.clone(), action, service.to_owned(), scopes, roles]
}
