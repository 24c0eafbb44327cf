//! `keygate policy show`.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use serde_json::json;

use crate::cli::{Database, Desk, Shown, output};

#[derive(Args)]
pub(in crate::cli) struct Show {
    /// The policy's name; all of them in a list unless given
    name: Option<String>,
    #[command(flatten)]
    database: Database,
    #[command(flatten)]
    shown: Shown,
}

impl Show {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let Desk { authority, .. } = self.database.open()?;
        let rows = authority.policies().await?;
        let in_force = || rows.iter().filter(|row| row.text.is_some());
        if let Some(name) = &self.name {
            let row = in_force().find(|row| row.name == *name);
            let text = row.and_then(|row| row.text.as_ref());
            let text = text
                .with_context(|| format!("There is no policy {name:?}: `keygate policy show` lists them"))?;
            if self.shown.json {
                output::json(&json!({ "name": name, "text": text }));
            } else {
                output::line(text.trim_end());
            }
            return Ok(ExitCode::SUCCESS);
        }
        let policy = authority.policy();
        let found = |name: &str| policy.apis().iter().find(|api| api.name == name);
        if self.shown.json {
            let policies: Vec<_> = in_force()
                .map(|row| {
                    let api = found(&row.name);
                    json!({
                        "id": row.id, "name": row.name, "hosts": api.map(|api| &api.hosts),
                        "routes": api.map(|api| api.routes.all().len()),
                        "updated_at": crate::json::time(row.updated_at),
                    })
                })
                .collect();
            output::json(&json!({ "policies": policies }));
        } else if in_force().next().is_none() {
            output::line("There is no policy but Keygate's own. `keygate policy apply FILE` applies one.");
        } else {
            let rows = in_force().map(|row| {
                let api = found(&row.name);
                vec![
                    row.name.clone(),
                    api.map_or_else(|| "cannot be read".to_owned(), |api| api.hosts.join(" ")),
                    api.map_or(0, |api| api.routes.all().len()).to_string(),
                    crate::json::time(row.updated_at),
                ]
            });
            output::list(&["NAME", "HOSTS", "ROUTES", "CHANGED"], rows);
        }
        Ok(ExitCode::SUCCESS)
    }
}
