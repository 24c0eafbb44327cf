//! `keygate user`.

mod offboard;
mod reset;
mod update;

use std::{io::Read as _, process::ExitCode};

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use keygate_authority::{
    factor::{Enrolment, FactorEntropy, FactorState, RECOVERY_CODES},
    password::{NewPassword, Password},
    user::NewUser,
};
use keygate_model::{CustomerId, Permit, UserId, user::Login};
use serde_json::json;
use zeroize::Zeroizing;

use super::{Database, Desk, Shown, block_on, output};
use crate::edge::{NoEntropy, Rng};

#[derive(Subcommand)]
pub(super) enum Command {
    /// Add a person
    #[command(
        after_help = "Example:\n  keygate user create --customer ID --login ada@example.com --name Ada \\\n    \
                            --role superuser --password-stdin < password.txt"
    )]
    Create(Create),
    /// Give a person a second factor, in force at once
    #[command(after_help = "Example:\n  keygate user totp --login ada@example.com")]
    Totp(Totp),
    /// Change a person: also one whom nobody else could let in again
    #[command(
        after_help = "Example:\n  keygate user update --login ada@example.com --locked false --role superuser"
    )]
    Update(update::Update),
    /// Remove a person, and keep what runs on their tokens running
    #[command(after_help = "Example:\n  keygate user offboard --login ada@example.com\n  \
                            keygate user offboard --login ada@example.com --convert 4nYbWcVbJ2kq9T8fQ0sZxA --yes")]
    Offboard(offboard::Offboard),
    /// Make a code with which a person sets a new password
    #[command(after_help = "Example:\n  keygate user reset --login ada@example.com")]
    Reset(reset::Reset),
}

#[derive(Args)]
pub(super) struct Create {
    /// The customer they belong to
    #[arg(long, value_name = "ID")]
    customer: String,
    /// What they log in with, usually an e-mail address
    #[arg(long)]
    login: String,
    /// What they are called
    #[arg(long)]
    name: String,
    /// What they may do: superuser, engineer, billing or user
    #[arg(long)]
    role: String,
    /// Read the password from standard input: it must not stand in the arguments, which everybody can see
    #[arg(long, required = true)]
    password_stdin: bool,
    #[command(flatten)]
    database: Database,
    #[command(flatten)]
    shown: Shown,
}

#[derive(Args)]
pub(super) struct Totp {
    /// Whose
    #[arg(long)]
    login: String,
    #[command(flatten)]
    database: Database,
    #[command(flatten)]
    shown: Shown,
}

impl Command {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Create(create) => block_on(create.run())?,
            Self::Totp(totp) => block_on(totp.run())?,
            Self::Update(update) => block_on(update.run())?,
            Self::Offboard(offboard) => block_on(offboard.run())?,
            Self::Reset(reset) => block_on(reset.run())?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Create {
    async fn run(self) -> anyhow::Result<()> {
        let Ok(customer) = self.customer.parse::<CustomerId>() else {
            bail!(
                "There is no customer {:?}: give the id that `keygate customer create` printed",
                self.customer
            )
        };
        let login = Login::parse(&self.login)?;
        let password = Password::parse(&password_from_stdin()?)?;
        let Desk { authority, rng, origin } = self.database.open()?;
        let new = NewUser {
            id: UserId::from_bytes(rng.bytes()?),
            login,
            name: self.name,
            role: self.role,
            limited: false,
            password: Some(NewPassword { password, salt: rng.bytes()? }),
        };
        let user = authority.create_user(&Permit::of_the_operator(customer), &origin, new).await?;
        if self.shown.json {
            output::json(&json!({
                "id": user.id, "customer_id": user.customer, "login": user.login.as_str(), "name": user.name,
                "role": user.role,
            }));
        } else {
            output::line(format_args!(
                "User {} was added: {} <{}>, {}",
                user.id, user.name, user.login, user.role
            ));
            output::line(format_args!("Next, a second factor: keygate user totp --login {}", user.login));
        }
        Ok(())
    }
}

impl Totp {
    async fn run(self) -> anyhow::Result<()> {
        let login = Login::parse(&self.login)?;
        let Desk { authority, rng, origin } = self.database.open()?;
        let user = authority.user_by_login(&login).await?;
        let permit = Permit::of_the_operator(user.customer);
        let entropy = factor_entropy(&rng)?;
        let shown = authority.enrol_factor(&permit, &origin, user.id, entropy, FactorState::On).await?;
        if self.shown.json {
            output::json(&json!({
                "id": user.id,
                "secret": *shown.secret,
                "uri": *shown.uri,
                "recovery_codes": codes(&shown),
            }));
        } else {
            output::line(format_args!(
                "{} has a second factor from now on. Shown once; keep it safe.\n",
                user.login
            ));
            output::line(format_args!("For the authenticator app:  {}", *shown.uri));
            output::line(format_args!("Or typed by hand:           {}\n", *shown.secret));
            output::table(
                &["Recovery codes, each good for once"],
                codes(&shown).map(|code| vec![code.to_owned()]),
            );
        }
        Ok(())
    }
}

fn codes(shown: &Enrolment) -> [&str; RECOVERY_CODES] {
    std::array::from_fn(|n| shown.recovery_codes.get(n).map_or("", |code| code.as_str()))
}

/// Randomness for a new second factor.
pub(crate) fn factor_entropy(rng: &Rng) -> Result<FactorEntropy, NoEntropy> {
    let mut recovery = [[0; 15]; RECOVERY_CODES];
    for code in &mut recovery {
        *code = rng.bytes()?;
    }
    Ok(FactorEntropy { seed: rng.bytes()?, nonce: rng.bytes()?, recovery })
}

/// The password on standard input, without the line end that editors and `echo` add.
fn password_from_stdin() -> anyhow::Result<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::new());
    std::io::stdin()
        .lock()
        .read_to_string(&mut text)
        .context("The password on standard input is not text")?;
    let password = text.strip_suffix('\n').unwrap_or(&text);
    Ok(Zeroizing::new(password.strip_suffix('\r').unwrap_or(password).to_owned()))
}
