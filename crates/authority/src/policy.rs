//! Policies of protected APIs: data like everything else, with an event for every change. Operators only: a policy says
//! what tokens of every customer may do.

use std::{
    collections::BTreeSet,
    sync::{Arc, PoisonError, RwLock},
};

use data_encoding::HEXLOWER;
use keygate_model::{
    Actor, Event, Policy, PolicyId, Position, Record, Subject, Timestamp,
    event::policy::{Applied, PolicyEvent},
    id,
    policy::{Api, ApiSource},
    record::PolicyRecord,
};
use sha2::{Digest as _, Sha256};

use crate::{
    authority::Authority,
    db::{self, Connection, Row as SqlRow, params},
    fault::Fault,
    keys::{Keys, Seal},
    origin::Origin,
    row::{self, Sealed},
    write::Write,
};

mod impact;

pub use impact::{Impact, Moved};

/// The policy of a protected API as it is kept.
#[derive(Clone, Debug)]
pub struct Row {
    /// Which.
    pub id: PolicyId,
    /// What its operator calls it.
    pub name: String,
    /// The file. None: it was taken back.
    pub text: Option<String>,
    /// Scopes and roles that it once defined, as `scope NAME` and `role NAME`.
    pub retired: Vec<String>,
    /// When it was applied first.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
    pub(crate) position: Position,
}

/// The largest policy file, in bytes.
const TEXT_LEN_MAX: usize = 4 * 1024 * 1024;

const COLUMNS: &str = "id, name, text, retired, created_at, updated_at, position, mac";

/// The policies in force in this process.
pub(crate) struct InForce(RwLock<Arc<Policy>>);

impl InForce {
    pub(crate) fn new(own: Arc<Policy>) -> Self {
        Self(RwLock::new(own))
    }

    pub(crate) fn now(&self) -> Arc<Policy> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads them anew. What cannot be read or believed is left out: its words mean nothing then.
    pub(crate) fn read(&self, db: &Connection, keys: &Keys) -> Result<(), Fault> {
        let rows = all(db, keys)?;
        let (policy, unreadable) = self.now().with_readable(&sources(&rows));
        for why in unreadable {
            tracing::error!(error = %why, "a policy cannot be read: everything at its hosts is denied");
        }
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = policy.into();
        Ok(())
    }
}

impl Authority {
    /// The policies there are, those taken back among them, by name.
    ///
    /// # Errors
    /// Storage faults.
    pub async fn policies(&self) -> Result<Vec<Row>, Fault> {
        let mut rows = self.read(all).await?;
        rows.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(rows)
    }

    /// All policies in force, compiled into one.
    #[must_use]
    pub fn policy(&self) -> Arc<Policy> {
        self.policy_handle()
    }

    /// Applies the policy of a protected API, in the place of the one that has its name. Acts at once, at every gate.
    ///
    /// # Errors
    /// `policy_invalid` says what is wrong with it, `policy_case_failed` which of its cases is answered otherwise;
    /// `policy_too_large`; storage faults.
    pub async fn apply_policy(&self, origin: &Origin, id: PolicyId, text: String) -> Result<Row, Fault> {
        if text.len() > TEXT_LEN_MAX {
            return Err(Fault::invalid("policy_too_large", "A policy has 4 MiB at most"));
        }
        let now = self.policy_handle();
        let actor = Actor::Operator { customer: None };
        self.change(actor, origin, move |mut write| {
            let rows = all(write.db(), write.keys())?;
            let (policy, name) = compiled(&now, &rows, &text)?;
            let api =
                policy.apis().iter().find(|api| api.name == name).ok_or_else(|| invalid("it is empty"))?;
            passes(&policy, api)?;
            let (at, position) = (write.origin().now, write.position_of(0));
            let old = rows.iter().find(|row| row.name == name);
            let row = Row {
                id: old.map_or(id, |row| row.id),
                retired: retired(&before(&now, &rows), old, &policy),
                created_at: old.map_or(at, |row| row.created_at),
                updated_at: at,
                text: Some(text),
                name,
                position,
            };
            row.save(&mut write)?;
            let event = Event::Policy(PolicyEvent {
                policy: row.id,
                name: row.name.clone(),
                now: Some(Applied {
                    hosts: api.hosts.clone(),
                    routes: api.routes.all().len(),
                    sha256: HEXLOWER.encode(&Sha256::digest(row.text.as_deref().unwrap_or_default())),
                }),
            });
            write.commit(&event, row)
        })
        .await
    }

    /// Takes a policy back: its hosts are denied from now on, and scopes and roles that only it defines contain nothing.
    ///
    /// # Errors
    /// [`Fault::Missing`]; storage faults.
    pub async fn remove_policy(&self, origin: &Origin, name: &str) -> Result<Row, Fault> {
        let (name, now) = (name.to_owned(), self.policy_handle());
        let actor = Actor::Operator { customer: None };
        self.change(actor, origin, move |mut write| {
            let rows = all(write.db(), write.keys())?;
            let missing = || Fault::Missing { noun: "policy", id: name.clone() };
            let old = rows.iter().find(|row| row.name == name && row.text.is_some()).ok_or_else(missing)?;
            let others: Vec<_> = rows.iter().filter(|row| row.name != name).cloned().collect();
            let without = now.with(&sources(&others)).map_err(invalid)?;
            let row = Row {
                text: None,
                retired: retired(&before(&now, &rows), Some(old), &without),
                updated_at: write.origin().now,
                position: write.position_of(0),
                ..old.clone()
            };
            row.save(&mut write)?;
            let event = Event::Policy(PolicyEvent { policy: row.id, name: row.name.clone(), now: None });
            write.commit(&event, row)
        })
        .await
    }
}

/// The policies that are in force until the change: another process may have changed them since this one looked, or a
/// change that waits for the same commit.
fn before(now: &Policy, rows: &[Row]) -> Policy {
    now.with_readable(&sources(rows)).0
}

/// The policies in force with this one among them, and its name.
fn compiled(now: &Policy, rows: &[Row], text: &str) -> Result<(Policy, String), Fault> {
    let alone = now.with(&[ApiSource { text: Some(text), retired: &[] }]).map_err(invalid)?;
    let name = alone.apis().first().map(|api| api.name.clone()).unwrap_or_default();
    let others = rows.iter().filter(|row| row.name != name).cloned();
    let mut rows: Vec<_> = others.collect();
    let (id, retired) = (PolicyId::from_bits(u128::MAX), Vec::new());
    let (created_at, updated_at) = (Timestamp::from_micros(0), Timestamp::from_micros(0));
    let text = Some(text.to_owned());
    rows.push(Row { id, name: name.clone(), text, retired, created_at, updated_at, position: Position(0) });
    Ok((now.with(&sources(&rows)).map_err(invalid)?, name))
}

/// Words that were good and are not any more: what was retired before, and what the old policies had on offer.
fn retired(now: &Policy, old: Option<&Row>, policy: &Policy) -> Vec<String> {
    let scopes = now.scope_names().into_iter().map(|name| format!("scope {name}"));
    let roles = now.role_names().into_iter().map(|name| format!("role {name}"));
    let before = old.map(|row| row.retired.iter().cloned()).into_iter().flatten();
    let is_good = |word: &String| match word.split_once(' ') {
        Some(("scope", name)) => policy.scope(name).is_some_and(|set| !set.is_empty()),
        Some((_, name)) => policy.role(name).is_some_and(|set| !set.is_empty()),
        None => true,
    };
    let words: BTreeSet<_> = before.chain(scopes).chain(roles).filter(|word| !is_good(word)).collect();
    words.into_iter().collect()
}

fn passes(policy: &Policy, api: &Api) -> Result<(), Fault> {
    let failed: Vec<_> =
        policy.cases(api).map_err(invalid)?.into_iter().filter(|case| !case.passes()).collect();
    match failed.first() {
        None => Ok(()),
        Some(case) => Err(Fault::invalid(
            "policy_case_failed",
            format!(
                "{} of its cases fail, the first: {case}. `keygate policy test` shows them all",
                failed.len()
            ),
        )),
    }
}

fn invalid(why: impl std::fmt::Display) -> Fault {
    Fault::invalid("policy_invalid", why.to_string())
}

fn all(db: &Connection, keys: &Keys) -> Result<Vec<Row>, Fault> {
    let mut rows = Vec::new();
    // One that cannot be believed is left out, as at the gates.
    row::walk::<Row>(db, keys, &mut |_, found| rows.extend(found.map(|(row, _)| row)))?;
    Ok(rows)
}

fn sources(rows: &[Row]) -> Vec<ApiSource<'_>> {
    rows.iter().map(|row| ApiSource { text: row.text.as_deref(), retired: &row.retired }).collect()
}

impl Row {
    fn save(&self, write: &mut Write<'_>) -> Result<(), Fault> {
        let seal = self.seal(write.keys()).finish();
        write.reseal("policies", self.id.to_bytes(), &seal)?;
        let mut upsert = write.db().prepare_cached(&format!(
            "INSERT INTO policies ({COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
             ON CONFLICT (id) DO UPDATE SET text = $3, retired = $4, updated_at = $6, position = $7, mac = $8"
        ))?;
        upsert.execute(params![
            self.id.to_bytes(),
            self.name,
            self.text.as_deref().unwrap_or_default(),
            self.retired.join("\n"),
            self.created_at.micros(),
            self.updated_at.micros(),
            self.position.0,
            seal,
        ])?;
        Ok(())
    }
}

impl Sealed for Row {
    type Noun = id::Policy;
    const TABLE: &'static str = "policies";
    const COLUMNS: &'static str = COLUMNS;

    fn read(row: SqlRow<'_>, keys: &Keys) -> db::Result<(Self, bool)> {
        let read = Self {
            id: PolicyId::from_bytes(row.get(0)?),
            name: row.get(1)?,
            text: Some(row.get::<String>(2)?).filter(|text| !text.is_empty()),
            retired: row.get::<String>(3)?.lines().map(str::to_owned).collect(),
            created_at: Timestamp::from_micros(row.get(4)?),
            updated_at: Timestamp::from_micros(row.get(5)?),
            position: Position(row.get(6)?),
        };
        let sealed = read.seal(keys).is(row.get_ref(7)?.as_blob().unwrap_or_default());
        Ok((read, sealed))
    }

    fn id(&self) -> PolicyId {
        self.id
    }

    fn position(&self) -> Position {
        self.position
    }

    fn seal(&self, keys: &Keys) -> Seal {
        keys.seal("policies")
            .blob(&self.id.to_bytes())
            .text(&self.name)
            .text(self.text.as_deref().unwrap_or_default())
            .text(&self.retired.join("\n"))
            .int(self.created_at.micros())
            .int(self.updated_at.micros())
            .int(self.position.0)
    }

    fn subject(id: PolicyId) -> Subject {
        Subject::Policy(id)
    }

    fn record(&self) -> Option<Record> {
        let (text, retired) = (self.text.clone(), self.retired.clone());
        Some(Record::Policy(PolicyRecord { id: self.id, text, retired }))
    }
}
