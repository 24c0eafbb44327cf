//! `keygate user offboard`: a person goes, and what runs on their tokens does not stop.

use anyhow::bail;
use clap::Args;
use keygate_authority::{token::Used, user::Row};
use keygate_model::{Permit, TokenId, user::Login};
use serde_json::json;

use crate::{
    cli::{Database, Desk, Shown, output, when},
    edge::Clock,
    json::time,
};

#[derive(Args)]
pub(in crate::cli) struct Offboard {
    /// Who goes
    #[arg(long)]
    login: String,
    /// Make these tokens automation tokens first: the same secret, no wider rights, owned by the customer
    #[arg(long, value_name = "ID", num_args = 1..)]
    convert: Vec<String>,
    /// Do it without asking
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    database: Database,
    #[command(flatten)]
    shown: Shown,
}

impl Offboard {
    pub(in crate::cli) async fn run(self) -> anyhow::Result<()> {
        let login = Login::parse(&self.login)?;
        let convert = ids(&self.convert)?;
        let Desk { authority, origin, .. } = self.database.open()?;
        let person = authority.user_by_login(&login).await?;
        let permit = Permit::of_the_operator(person.customer);
        let now = Clock::System.now();
        let mut tokens = authority.tokens_of_user(&permit, person.id).await?;
        tokens.retain(|token| token.row.expires.is_alive(now));
        if let Some(odd) = convert.iter().find(|id| !tokens.iter().any(|token| token.row.id == **id)) {
            bail!(
                "{odd} is no living token of {login}; nothing was done. Their tokens are listed without --convert"
            );
        }
        if !self.yes {
            self.preview(&person, &tokens, &convert);
            if !output::agreed(&format!("Remove {login}?"), self.shown.json)? {
                return Ok(());
            }
        }
        let converted = authority.offboard_user(&permit, &origin, person.id, convert).await?;
        let refused = tokens.len() - converted.len();
        if self.shown.json {
            let converted =
                converted.iter().map(|one| json!({ "id": one.token, "name": one.name, "role": one.role }));
            output::json(&json!({
                "id": person.id,
                "login": login.as_str(),
                "removed": true,
                "converted": converted.collect::<Vec<_>>(),
                "tokens_refused_from_now_on": refused,
            }));
        } else {
            output::line(format_args!("{login} was removed."));
            for one in converted {
                output::line(format_args!(
                    "Token {} ({}) is an automation token with the role {} now; its secret stays the same.",
                    one.token, one.name, one.role
                ));
            }
            output::line(format_args!(
                "Tokens that are refused from now on, with the error owner_disabled: {refused}."
            ));
        }
        Ok(())
    }

    /// What would happen.
    fn preview(&self, person: &Row, tokens: &[Used], convert: &[TokenId]) {
        if self.shown.json {
            let listed: Vec<_> = tokens.iter().map(|token| token_json(token, convert)).collect();
            output::json(
                &json!({ "id": person.id, "login": person.login.as_str(), "removed": false, "tokens": listed }),
            );
            return;
        }
        output::line(format_args!("{} <{}>, {}", person.name, person.login, person.role));
        if tokens.is_empty() {
            output::line(format_args!("has no living token: nothing stops when they go."));
            return;
        }
        output::list(
            &["Token", "Name", "Scope", "Services", "Last used", "From", "By", "Then"],
            tokens.iter().map(|token| row(token, convert)),
        );
        if convert.len() < tokens.len() {
            output::line(format_args!(
                "To keep one working: --convert ID. It becomes an automation token with the role {}, the same secret \
                 and no wider rights.",
                person.role
            ));
        }
    }
}

fn ids(texts: &[String]) -> anyhow::Result<Vec<TokenId>> {
    let read = |text: &String| match text.parse() {
        Ok(id) => Ok(id),
        Err(_) => bail!("{} is no token id; nothing was done", crate::error::said_back(text)),
    };
    texts.iter().map(read).collect()
}

fn row(token: &Used, convert: &[TokenId]) -> Vec<String> {
    let services = match token.row.services.listed() {
        [] => "all".to_owned(),
        some => some.len().to_string(),
    };
    let then = if convert.contains(&token.row.id) { "works on" } else { "stops" };
    let (used, ip, user_agent) = match &token.mark {
        Some(mark) => (when::relative(&time(mark.at), when::now()), mark.ip.clone(), mark.user_agent.clone()),
        None => ("never".to_owned(), String::new(), String::new()),
    };
    let row = &token.row;
    vec![
        row.id.to_string(),
        row.name.clone(),
        row.scope.clone(),
        services,
        used,
        ip,
        user_agent,
        then.to_owned(),
    ]
}

fn token_json(token: &Used, convert: &[TokenId]) -> serde_json::Value {
    let row = &token.row;
    json!({
        "id": row.id,
        "name": row.name,
        "scope": row.scope,
        "services": row.services.listed(),
        "expires_at": row.expires.date().map(time),
        "last_used_at": token.mark.as_ref().map(|mark| time(mark.at)),
        "ip": token.mark.as_ref().map(|mark| mark.ip.clone()),
        "user_agent": token.mark.as_ref().map(|mark| mark.user_agent.clone()),
        "convert": convert.contains(&row.id),
    })
}
