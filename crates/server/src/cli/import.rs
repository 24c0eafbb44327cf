//! `keygate token import`: existing API keys, taken over as they are.

use std::{collections::HashMap, io::Read as _, path::PathBuf, process::ExitCode, time::Duration};

use anyhow::{Context as _, bail};
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use keygate_authority::{
    Authority,
    token::{Import, ImportOwner, ImportedSecret},
};
use keygate_model::{CustomerId, Expiry, Permit, ServiceId, TokenId, token::Brand, user::Login};
use serde::Deserialize;
use serde_json::json;
use zeroize::Zeroizing;

use super::{Database, Desk, Shown, block_on, output};
use crate::{edge::Rng, json::read_time};

/// The largest file, in bytes: a million keys.
const FILE_LEN_MAX: u64 = 512 * 1024 * 1024;

#[derive(Args)]
pub(super) struct ImportKeys {
    /// The customer that the keys belong to
    #[arg(long, value_name = "ID")]
    customer: String,
    /// The keys: name, owner (a login, or role:ROLE), scope, services, expires_at, and secret or digest of each; - reads
    /// standard input
    #[arg(long, value_name = "FILE")]
    file: PathBuf,
    /// How the file is written [default: by its name]
    #[arg(long)]
    format: Option<Format>,
    /// Check everything and keep nothing
    #[arg(long)]
    dry_run: bool,
    /// The first part of this server's own secrets, where it was changed
    #[arg(long, value_name = "PREFIX")]
    token_prefix: Option<String>,
    #[command(flatten)]
    database: Database,
    #[command(flatten)]
    shown: Shown,
}

/// How keys are written down.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// With a header line
    Csv,
    /// One JSON object a line
    Jsonl,
}

/// A key as it stands in the file. Not to be printed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    name: String,
    owner: String,
    scope: String,
    #[serde(default)]
    services: String,
    #[serde(default)]
    expires_at: String,
    #[serde(default)]
    secret: Zeroizing<String>,
    #[serde(default)]
    digest: String,
}

impl ImportKeys {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        block_on(self.import())?;
        Ok(ExitCode::SUCCESS)
    }

    async fn import(self) -> anyhow::Result<()> {
        let Ok(customer) = self.customer.parse::<CustomerId>() else {
            bail!("There is no such customer: give the id that `keygate customer create` printed")
        };
        let brand = self.token_prefix.as_deref().map(Brand::parse).transpose()?.unwrap_or_default();
        let lines = self.lines()?;
        let Desk { authority, rng, origin } = self.database.open()?;
        let imports = prepare(&authority, customer, lines, (&brand, &rng)).await?;
        let bar = progress(imports.len());
        let told = bar.clone();
        let permit = Permit::of_the_operator(customer);
        let done = authority
            .import_tokens(&permit, &origin, imports, self.dry_run, move |done| {
                told.set_position(done as u64)
            })
            .await;
        bar.finish_and_clear();
        let count = done.with_context(|| "Nothing was imported")?;
        if self.shown.json {
            output::json(&json!({ "imported": if self.dry_run { 0 } else { count }, "checked": count }));
        } else if self.dry_run {
            output::line(format_args!(
                "Keys that are right: {count}. Nothing was kept; without --dry-run they are imported."
            ));
        } else {
            output::line(format_args!("Keys that were imported, and work as they are: {count}."));
            output::note(format_args!(
                "Delete the file if it holds secrets: Keygate keeps their digests alone."
            ));
        }
        Ok(())
    }

    fn lines(&self) -> anyhow::Result<Vec<Line>> {
        let (name, mut text) = (self.file.display(), Zeroizing::new(String::new()));
        let read = if self.file.as_os_str() == "-" {
            std::io::stdin().lock().take(FILE_LEN_MAX).read_to_string(&mut text)
        } else {
            let file = std::fs::File::open(&self.file).with_context(|| format!("{name} cannot be opened"))?;
            file.take(FILE_LEN_MAX).read_to_string(&mut text)
        };
        if read.with_context(|| format!("{name} is not text"))? as u64 == FILE_LEN_MAX {
            bail!("{name} is larger than {FILE_LEN_MAX} bytes: import it in parts");
        }
        let by_name = match self.file.extension().and_then(|extension| extension.to_str()) {
            Some("csv") => Some(Format::Csv),
            Some("jsonl" | "json" | "ndjson") => Some(Format::Jsonl),
            _ => None,
        };
        match self.format.or(by_name) {
            Some(Format::Csv) => read_csv(&text),
            Some(Format::Jsonl) => read_jsonl(&text),
            None => bail!("{name} does not say how it is written: add --format csv or --format jsonl"),
        }
    }
}

fn read_csv(text: &str) -> anyhow::Result<Vec<Line>> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::Headers).from_reader(text.as_bytes());
    let mut lines = Vec::new();
    for (nth, line) in reader.deserialize().enumerate() {
        // What stands in a line may be a secret, so only where it is wrong is said.
        let line = line.map_err(|why| anyhow::anyhow!("key {}: {}", nth + 1, csv_problem(&why)))?;
        lines.push(line);
    }
    Ok(lines)
}

fn csv_problem(why: &csv::Error) -> String {
    match why.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("it has {len} columns, and the header {expected_len}")
        }
        csv::ErrorKind::Deserialize { err, .. } => match err.kind() {
            csv::DeserializeErrorKind::Message(message) => message.clone(),
            _ => "a column cannot be read".to_owned(),
        },
        _ => "it cannot be read as CSV".to_owned(),
    }
}

fn read_jsonl(text: &str) -> anyhow::Result<Vec<Line>> {
    let mut lines = Vec::new();
    for (nth, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let read = serde_json::from_str(line);
        let wrong = |why: serde_json::Error| {
            let known = why
                .is_data()
                .then(|| why.to_string().split(" at line").next().unwrap_or_default().to_owned());
            let what = known.unwrap_or_else(|| format!("it is not JSON: look at column {}", why.column()));
            anyhow::anyhow!("line {}: {what}", nth + 1)
        };
        lines.push(read.map_err(wrong)?);
    }
    Ok(lines)
}

/// What the authority takes, of what stands in the file.
async fn prepare(
    authority: &Authority,
    customer: CustomerId,
    lines: Vec<Line>,
    (brand, rng): (&Brand, &Rng),
) -> anyhow::Result<Vec<Import>> {
    let mut owners: HashMap<String, ImportOwner> = HashMap::new();
    let mut imports = Vec::with_capacity(lines.len());
    for (nth, line) in lines.into_iter().enumerate() {
        let of_key = || format!("key {}", nth + 1);
        if !owners.contains_key(&line.owner) {
            let owner = owner(authority, customer, &line.owner).await.with_context(of_key)?;
            owners.insert(line.owner.clone(), owner);
        }
        let owner = owners[&line.owner].clone();
        imports.push(line.import(owner, brand, rng).with_context(of_key)?);
    }
    Ok(imports)
}

async fn owner(authority: &Authority, customer: CustomerId, text: &str) -> anyhow::Result<ImportOwner> {
    if let Some(role) = text.strip_prefix("role:") {
        return Ok(ImportOwner::Role(role.to_owned()));
    }
    let Ok(login) = Login::parse(text) else {
        bail!("its owner is no login; write the login of a person, or role:engineer for an automation token")
    };
    let person = authority.user_by_login(&login).await?;
    if person.customer != customer {
        bail!("cannot find user '{login}' in this customer");
    }
    Ok(ImportOwner::User(person.id))
}

impl Line {
    fn import(self, owner: ImportOwner, brand: &Brand, rng: &Rng) -> anyhow::Result<Import> {
        let secret = match (self.secret.is_empty(), self.digest.is_empty()) {
            (false, true) => ImportedSecret::of_secret(self.secret.as_bytes(), brand)?,
            (true, false) => ImportedSecret::of_digest(&self.digest)?,
            (false, false) => bail!("it has a secret and a digest; give one of the two"),
            (true, true) => bail!("it has neither a secret nor a digest"),
        };
        let services: Vec<&str> = self.services.split_whitespace().collect();
        let parse = |id: &&str| match id.parse::<ServiceId>() {
            Ok(id) => Ok(id),
            Err(_) => bail!("cannot find service '{}'", crate::error::said_back(id)),
        };
        let services: Vec<_> = services.iter().map(parse).collect::<anyhow::Result<_>>()?;
        let expires = match self.expires_at.as_str() {
            "" => Expiry::Never,
            text => match read_time(text) {
                Some(at) => Expiry::At(at),
                None => {
                    bail!("its expires_at is no time; write it like 2030-07-28T19:24:50Z, or leave it empty")
                }
            },
        };
        Ok(Import {
            id: TokenId::from_bytes(rng.bytes()?),
            secret,
            name: self.name,
            owner,
            scope: self.scope,
            services: (!services.is_empty()).then_some(services),
            expires,
        })
    }
}

/// A bar on a terminal, nothing elsewhere.
fn progress(count: usize) -> ProgressBar {
    let bar = ProgressBar::new(count as u64);
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos}/{len} keys, {eta} left") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
