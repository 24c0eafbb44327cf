//! `keygate user update`: what an administrator does over HTTP, for when there is none left who can.

use clap::Args;
use keygate_authority::{factor::FactorState, user::Changes};
use keygate_model::{
    Permit,
    user::{Login, UserState},
};
use serde_json::json;

use crate::cli::{Database, Desk, Shown, output};

#[derive(Args)]
pub(in crate::cli) struct Update {
    /// Whose
    #[arg(long)]
    login: String,
    /// Another name
    #[arg(long)]
    name: Option<String>,
    /// Another role
    #[arg(long)]
    role: Option<String>,
    /// Whether their tokens are refused
    #[arg(long, value_name = "BOOL")]
    locked: Option<bool>,
    /// Whether they are limited to services that they are given one by one
    #[arg(long, value_name = "BOOL")]
    limit_services: Option<bool>,
    /// Take their second factor away, for somebody who lost it: they log in by password alone until they set up another
    #[arg(long)]
    without_second_factor: bool,
    #[command(flatten)]
    database: Database,
    #[command(flatten)]
    shown: Shown,
}

impl Update {
    pub(in crate::cli) async fn run(self) -> anyhow::Result<()> {
        let login = Login::parse(&self.login)?;
        let changes = Changes {
            name: self.name,
            role: self.role,
            locked: self.locked,
            limited: self.limit_services,
            ..Changes::default()
        };
        let Desk { authority, origin, .. } = self.database.open()?;
        let person = authority.user_by_login(&login).await?;
        let permit = Permit::of_the_operator(person.customer);
        let user = authority.update_user(&permit, &origin, person.id, changes).await?;
        if self.without_second_factor && user.factor.state != FactorState::Off {
            authority.disable_factor(&permit, &origin, user.id).await?;
        }
        let locked = user.state == UserState::Locked;
        if self.shown.json {
            output::json(&json!({
                "id": user.id, "login": user.login.as_str(), "name": user.name, "role": user.role, "locked": locked,
                "limit_services": user.limited,
            }));
        } else {
            let state = if locked { "locked" } else { "may act" };
            output::line(format_args!("{} <{}>, {}, {state}", user.name, user.login, user.role));
        }
        Ok(())
    }
}
