//! `keygate login`, `keygate logout`.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use serde_json::{Map, Value, json};

use super::{
    client::{
        Answer, Client, Remote,
        credentials::{self, Credentials},
        secret::Ask,
    },
    output,
    when::When,
};

/// How the server says that it wants a one-time code (CONTRACT §2).
const CODE_WANTED: &str = "2fa.verify";

#[derive(Args)]
pub(super) struct Login {
    /// What you log in with; asked for if it is not given
    #[arg(long, value_name = "LOGIN")]
    login: Option<String>,
    /// When the login ends, like 30d or 2027-01-31 [default: never]
    #[arg(long, value_name = "WHEN", value_parser = When::parse)]
    expires: Option<When>,
    /// What the login's token is called in lists
    #[arg(long, default_value = "keygate command line")]
    name: String,
    /// Read the password from standard input, and the one-time code from the line after it
    #[arg(long)]
    password_stdin: bool,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Args)]
pub(super) struct Logout {
    /// Forget the login even if the server cannot be reached to revoke its token
    #[arg(long)]
    forget: bool,
    #[command(flatten)]
    remote: Remote,
}

impl Login {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let mut stored = Credentials::load()?;
        let client = self.remote.open_with(&stored, None)?;
        let ask = Ask::new(self.password_stdin);
        let login = match &self.login {
            Some(login) => login.clone(),
            None => ask.name("Login", "--login")?,
        };
        let made = self.made(&client, ask, &login)?;
        let text =
            |name: &str| made[name].as_str().map(str::to_owned).context("The server made half a token");
        let (token, token_id) = (text("access_token")?, text("id")?);
        let kept =
            credentials::Login { login: login.clone(), token_id: token_id.clone(), token: token.clone() };
        let before = match stored.keep(&client.address, kept) {
            Ok(before) => before,
            Err(why) => {
                // A token that nobody keeps should not live.
                let _ = self.remote.open_with(&stored, Some(&token))?.delete("/tokens/self");
                return Err(why);
            }
        };
        if let Some(before) = before {
            let _ = self.remote.open_with(&stored, Some(&before.token))?.delete("/tokens/self");
        }
        self.tell(&client, &stored, &login, &made);
        Ok(ExitCode::SUCCESS)
    }

    /// The new token: by password, and by code if the server wants one.
    fn made(&self, client: &Client, ask: Ask, login: &str) -> anyhow::Result<Value> {
        let password = ask.secret("Password")?;
        let mut body = Map::from_iter([
            ("username".to_owned(), json!(login)),
            ("password".to_owned(), json!(*password)),
            ("name".to_owned(), json!(self.name)),
        ]);
        if let Some(expires) = &self.expires {
            body.insert("expires_at".to_owned(), json!(expires.ahead()?));
        }
        let body = Value::Object(body);
        let mut answer = client.post("/tokens", &body)?;
        if answer.status == 400 && answer.msg() == CODE_WANTED {
            let code = ask.secret("One-time code")?;
            answer = client.post_with_code("/tokens", &body, code.trim())?;
        }
        match refused(&answer, client) {
            Some(what) => Err(answer.refusal(client).in_words(what).into()),
            None => Ok(answer.document(client)?),
        }
    }

    fn tell(&self, client: &Client, stored: &Credentials, login: &str, made: &Value) {
        let until = made["expires_at"].as_str().unwrap_or("you log out");
        if self.remote.json {
            let mut shown = made.clone();
            // What is kept is not shown: it would end in a log.
            if let Some(fields) = shown.as_object_mut() {
                fields.shift_remove("access_token");
            }
            output::pretty(&shown);
        } else {
            output::line(format_args!("Logged in to {} as {login}, until {until}.", client.address));
            output::note(format_args!("The token is kept in {}", stored.file().display()));
        }
    }
}

/// What a refusal of a login means, where the general words would not help.
fn refused(answer: &Answer, client: &Client) -> Option<String> {
    if answer.status != 400 {
        return None;
    }
    Some(match answer.msg() {
        "invalid_grant" => format!("{} knows no such login with this password; try again", client.address),
        CODE_WANTED => "The one-time code was not taken; wait for the next one, and try again".to_owned(),
        "account_locked" => {
            "The second factor is locked after too many wrong codes; a recovery code in its place unlocks it"
                .to_owned()
        }
        _ => return None,
    })
}

impl Logout {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let mut stored = Credentials::load()?;
        let nobody = self.remote.open_with(&stored, None)?;
        let server = nobody.address.clone();
        let Some(login) = stored.of(&server).cloned() else {
            anyhow::bail!("You are not logged in to {server}; there is nothing to forget")
        };
        let client = self.remote.open_with(&stored, Some(&login.token))?;
        let revoked = match client.delete("/tokens/self") {
            // A token that the server does not take any more is as good as revoked.
            Ok(answer) if answer.status == 401 => Ok(()),
            Ok(answer) => answer.done(&client),
            Err(why) => Err(why),
        };
        if let Err(why) = revoked {
            if !self.forget {
                return Err(anyhow::Error::new(why).context(
                    "You are still logged in: the token could not be revoked; try again, or --forget it and let it live",
                ));
            }
            output::note(format_args!("The token {} lives on at {server}: {why}", login.token_id));
        }
        stored.forget(&server)?;
        if self.remote.json {
            output::pretty(&json!({ "id": login.token_id, "server": server.to_string() }));
        } else {
            output::line(format_args!("Logged out of {server}; the token of {} is gone.", login.login));
        }
        Ok(ExitCode::SUCCESS)
    }
}
