//! `keygate user reset`: a link that sets a new password, for whoever hands it on.

use anyhow::bail;
use clap::Args;
use keygate_model::{Permit, link::LinkCode, user::Login};
use serde_json::json;

use crate::{
    cli::{Database, Desk, Shown, output},
    json::time,
};

#[derive(Args)]
pub(in crate::cli) struct Reset {
    /// Whose
    #[arg(long)]
    login: String,
    #[command(flatten)]
    database: Database,
    #[command(flatten)]
    shown: Shown,
}

impl Reset {
    pub(in crate::cli) async fn run(self) -> anyhow::Result<()> {
        let login = Login::parse(&self.login)?;
        let Desk { authority, rng, origin } = self.database.open()?;
        let person = authority.user_by_login(&login).await?;
        let permit = Permit::of_the_operator(person.customer);
        let code = LinkCode::new(&rng.bytes()?);
        let Some(reset) = authority.request_reset(Some(&permit), &origin, login.clone(), code).await? else {
            bail!("{login} is locked: unlock them first; nothing was done")
        };
        let (until, code) = (time(reset.until), reset.code.reveal());
        if self.shown.json {
            output::json(
                &json!({ "id": person.id, "login": login.as_str(), "code": *code, "expires_at": until }),
            );
        } else {
            output::line(format_args!("{}", *code));
            output::note(format_args!(
                "Give this code to {login}; it serves once, until {until}:\n  \
                 curl -d code=CODE -d password=NEW https://your-keygate/password/reset"
            ));
        }
        Ok(())
    }
}
