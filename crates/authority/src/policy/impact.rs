//! What a policy would change for the tokens there are, before it is applied.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{all, compiled, sources};
use crate::{authority::Authority, db::Connection, fault::Fault};
use keygate_model::{CustomerId, Policy, Timestamp, TokenId, policy::Access};

/// What a policy would change.
#[derive(Clone, Debug, Default)]
pub struct Impact {
    /// Its name.
    pub name: String,
    /// Routes that were not there: `HOST METHOD /path`.
    pub added: Vec<String>,
    /// Routes that are there no more.
    pub removed: Vec<String>,
    /// Routes that ask for something else than before.
    pub changed: Vec<String>,
    /// Living tokens that could do something less than before, the last used first.
    pub losing: Vec<Moved>,
    /// Living tokens that could do something more than before, the last used first.
    pub gaining: Vec<Moved>,
}

/// A token that a policy would move.
#[derive(Clone, Debug)]
pub struct Moved {
    /// Which.
    pub token: TokenId,
    /// What it is called.
    pub name: String,
    /// Its scopes, separated by a space.
    pub scope: String,
    /// The role of its owner.
    pub role: String,
    /// When it was used last.
    pub used_at: Option<Timestamp>,
    /// The routes that it would lose or gain.
    pub routes: Vec<String>,
}

/// What tokens have in common that reach the same routes.
type Kind = (String, String, CustomerId);

/// A token, and when it was used last.
type Living = (TokenId, String, Option<Timestamp>);

impl Authority {
    /// What applying this policy would change. None for the text: what taking it back would.
    ///
    /// # Errors
    /// `policy_invalid`; [`Fault::Missing`] for a policy to take back that is not there; storage faults.
    pub async fn policy_impact(
        &self,
        name: Option<&str>,
        text: Option<String>,
        now: Timestamp,
    ) -> Result<Impact, Fault> {
        let (policy, name) = (self.policy_handle(), name.map(str::to_owned));
        self.read(move |db, keys| {
            let rows = all(db, keys)?;
            let (new, name) = match (text, name) {
                (Some(text), _) => compiled(&policy, &rows, &text)?,
                (None, name) => {
                    let name = name.unwrap_or_default();
                    if !rows.iter().any(|row| row.name == name && row.text.is_some()) {
                        return Err(Fault::Missing { noun: "policy", id: name });
                    }
                    let others: Vec<_> = rows.iter().filter(|row| row.name != name).cloned().collect();
                    (policy.with(&sources(&others)).map_err(super::invalid)?, name)
                }
            };
            let old = policy.with(&sources(&rows)).map_err(super::invalid)?;
            let mut impact = Impact { name: name.clone(), ..routes_between(&old, &new, &name) };
            for (kind, tokens) in living(db, now)? {
                let reach = |policy: &Policy| reach(policy, &name, &kind);
                let (before, after) = (reach(&old), reach(&new));
                impact.losing.extend(moved(&kind, &tokens, before.difference(&after)));
                impact.gaining.extend(moved(&kind, &tokens, after.difference(&before)));
            }
            impact.losing.sort_by_key(|token| std::cmp::Reverse(token.used_at));
            impact.gaining.sort_by_key(|token| std::cmp::Reverse(token.used_at));
            Ok(impact)
        })
        .await
    }
}

/// The routes of an API by `HOST METHOD /path`, with what each asks for.
fn routes_of(policy: &Policy, name: &str) -> BTreeMap<String, String> {
    let apis = policy.apis().iter().filter(|api| api.name == name);
    let routes = apis.flat_map(|api| api.hosts.iter().map(move |host| (host, api.routes.all())));
    let asked = |access: Access| match access {
        Access::Public => "public".to_owned(),
        Access::Unclassified => "unclassified".to_owned(),
        Access::Action(action) | Access::ActionIfAny(action) => policy.name(action).to_owned(),
    };
    routes
        .flat_map(|(host, routes)| {
            routes.iter().map(move |route| (format!("{host} {}", route.on), route.access))
        })
        .map(|(route, access)| (route, asked(access)))
        .collect()
}

fn routes_between(old: &Policy, new: &Policy, name: &str) -> Impact {
    let (before, after) = (routes_of(old, name), routes_of(new, name));
    let changed = after.iter().filter(|(route, now)| before.get(*route).is_some_and(|then| then != *now));
    Impact {
        added: after.keys().filter(|route| !before.contains_key(*route)).cloned().collect(),
        removed: before.keys().filter(|route| !after.contains_key(*route)).cloned().collect(),
        changed: changed.map(|(route, now)| format!("{route}: {} → {now}", before[route])).collect(),
        ..Impact::default()
    }
}

/// These tokens with the routes that they would lose or gain; none if there are no such routes.
fn moved<'r>(
    (scope, role, _): &Kind,
    tokens: &[Living],
    routes: impl Iterator<Item = &'r String>,
) -> Vec<Moved> {
    let routes: Vec<_> = routes.cloned().collect();
    let tokens = tokens.iter().filter(|_| !routes.is_empty());
    let of = |(token, name, used_at): &Living| Moved {
        token: *token,
        name: name.clone(),
        scope: scope.clone(),
        role: role.clone(),
        used_at: *used_at,
        routes: routes.clone(),
    };
    tokens.map(of).collect()
}

/// The routes of an API that a token of this kind reaches, as far as scope and role go.
fn reach(policy: &Policy, name: &str, (scope, role, customer): &Kind) -> BTreeSet<String> {
    let both = policy.scopes(scope).unwrap_or_default().intersect(policy.role(role).unwrap_or_default());
    let apis = policy.apis().iter().filter(|api| api.name == name && api.customers.include(*customer));
    let reached = apis.flat_map(|api| {
        let may = api.routes.all().iter().filter(|route| match route.access {
            Access::Action(action) | Access::ActionIfAny(action) => both.contains(action),
            // Nobody needs a token for what is public, and none helps with what is unclassified.
            Access::Public | Access::Unclassified => false,
        });
        may.flat_map(|route| api.hosts.iter().map(|host| format!("{host} {}", route.on)))
    });
    reached.collect()
}

/// The living tokens, by what they reach. Read without their seals: this is advice, and decides nothing.
fn living(db: &Connection, now: Timestamp) -> Result<HashMap<Kind, Vec<Living>>, Fault> {
    let mut select = db.prepare_walk(&format!(
        "SELECT t.scope, coalesce(t.role, u.role), t.customer_id, t.id, t.name, m.used_at FROM tokens t
         LEFT JOIN users u ON u.id = t.user_id LEFT JOIN marks m ON m.token_id = t.id
         WHERE t.revoked_at = $1 AND t.expires_at > $2 AND {}",
        crate::mass_revoke::spares("t")
    ))?;
    let mut rows = select.query([i64::MAX, now.micros()])?;
    let mut kinds: HashMap<Kind, Vec<Living>> = HashMap::new();
    while let Some(row) = rows.next()? {
        let kind = (row.get(0)?, row.get(1)?, CustomerId::from_bytes(row.get(2)?));
        let used_at = row.get::<Option<i64>>(5)?.map(Timestamp::from_micros);
        kinds.entry(kind).or_default().push((TokenId::from_bytes(row.get(3)?), row.get(4)?, used_at));
    }
    Ok(kinds)
}
