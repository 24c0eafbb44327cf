//! Whether this process should be asked: what it knows is whole and of now, and what it needs answers.

use std::time::Duration;

use keygate_gate::{Gate, follow::Follower};
use keygate_model::Knowledge;
use serde_json::{Map, Value, json};

use crate::{app::App, front::Front};

/// How far the gate may be behind the log. Longer than the writer waits for another process that writes, in which it does
/// not look at the log: another's lock alone must not take a gate out of service that decides as well as before.
const BEHIND_MAX: Duration = Duration::from_secs(10);

/// How long the database may take to answer a read.
const STORAGE_MAX: Duration = Duration::from_secs(3);

/// What was looked at.
pub(crate) struct Readiness {
    checks: Vec<Check>,
    position: i64,
}

/// One thing that must be so.
pub(crate) struct Check {
    pub(crate) name: &'static str,
    passes: bool,
    /// What was seen, for the operator.
    seen: String,
}

impl Check {
    pub(crate) fn passes(&self) -> bool {
        self.passes
    }

    fn word(&self) -> &'static str {
        if self.passes { "ok" } else { "failed" }
    }
}

impl Readiness {
    /// Looks.
    pub(crate) async fn of(app: &App) -> Self {
        let storage = match tokio::time::timeout(STORAGE_MAX, app.authority.ping()).await {
            Ok(Ok(())) => None,
            Ok(Err(fault)) => Some(fault.to_string()),
            Err(_) => Some(format!("no answer within {} s", STORAGE_MAX.as_secs())),
        };
        let (tokens, _) = app.gate.size();
        let behind = app.authority.vitals().behind();
        let unreadable = app.gate.unreadable_policies();
        let stopping = app.is_stopping();
        let check = |name, passes, seen| Check { name, passes, seen };
        Self {
            checks: vec![
                check("replica", app.gate.is_open(), format!("{tokens} tokens")),
                check("lease", app.gate.lease().holds(), lease_of(&app.gate)),
                check(
                    "feed",
                    behind <= BEHIND_MAX,
                    format!("read {:.3} s ago, of {} s at most", behind.as_secs_f64(), BEHIND_MAX.as_secs()),
                ),
                check("storage", storage.is_none(), storage.unwrap_or_else(|| "answers".to_owned())),
                check("policies", unreadable == 0, format!("{unreadable} cannot be read")),
                check(
                    "serving",
                    !stopping,
                    if stopping { "stopping" } else { "takes connections" }.to_owned(),
                ),
            ],
            position: app.gate.position().0,
        }
    }

    /// Looks at a gate that follows.
    pub(crate) fn of_gate(front: &Front, follower: &Follower) -> Self {
        let (tokens, _) = front.gate.size();
        let unreadable = front.gate.unreadable_policies();
        let (following, stopping) = (follower.status().is_connected(), front.is_stopping());
        let check = |name, passes, seen: String| Check { name, passes, seen };
        let said = |is: bool, yes: &str, no: &str| if is { yes } else { no }.to_owned();
        Self {
            checks: vec![
                check("replica", front.gate.is_open(), format!("{tokens} tokens")),
                check("lease", front.gate.lease().holds(), lease_of(&front.gate)),
                // Another node may be found before the gate has to close: it decides meanwhile.
                check(
                    "feed",
                    following || front.gate.is_open(),
                    said(following, "follows a node", "follows no node"),
                ),
                check("policies", unreadable == 0, format!("{unreadable} cannot be read")),
                check("serving", !stopping, said(stopping, "stopping", "takes connections")),
            ],
            position: front.gate.position().0,
        }
    }

    pub(crate) fn checks(&self) -> &[Check] {
        &self.checks
    }

    pub(crate) fn passes(&self) -> bool {
        self.checks.iter().all(Check::passes)
    }

    /// A word for each check; with what was seen for whoever may know it.
    pub(crate) fn body(&self, verbose: bool) -> Value {
        let mut body = Map::new();
        body.insert("status".to_owned(), json!(if self.passes() { "ok" } else { "failed" }));
        for check in &self.checks {
            body.insert(check.name.to_owned(), json!(check.word()));
        }
        body.insert("position".to_owned(), json!(self.position));
        if verbose {
            let seen = self.checks.iter().map(|check| (check.name.to_owned(), json!(check.seen)));
            body.insert("seen".to_owned(), Value::Object(seen.collect()));
        }
        Value::Object(body)
    }
}

/// How it stands with the gate's lease.
fn lease_of(gate: &Gate) -> String {
    match gate.lease().knowledge() {
        Knowledge::Current => "needs none".to_owned(),
        Knowledge::Proved { age, lease, .. } => {
            let lasts = lease.duration().as_secs_f64();
            format!("last proof sent {:.3} s ago, lasts {lasts} s", age.as_secs_f64())
        }
        Knowledge::Lapsed => "nothing proves that the gate has heard everything".to_owned(),
    }
}
