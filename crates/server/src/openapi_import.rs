//! A policy for a protected API, made from its OpenAPI document: text in, text out. What a policy cannot say becomes
//! narrower, never wider, and a warning; docs/policies-from-openapi.md has the rules.

use std::fmt;

use keygate_model::{
    CustomerId, Policy,
    action::ACTIONS_MAX,
    policy::{ApiSource, OWN_POLICY},
};

mod actions;
mod operations;
mod place;
mod read;
mod routes;
mod security;
mod servers;
mod template;
mod update;
mod write;

use actions::Actions;
use operations::Operation;
use place::At;
use routes::Table;

/// What the document does not say.
#[derive(Clone, Debug)]
pub struct Options {
    /// The name of the policy.
    pub name: String,
    /// Its hosts, in the place of those under `servers`. Empty: the document's.
    pub hosts: Vec<String>,
    /// What stands before every path, in the place of the paths under `servers`.
    pub base_path: Option<String>,
    /// Whose tokens it is for.
    pub customers: Customers,
    /// The path parameter that is the id of a service, where the document does not say another.
    pub service_param: Option<String>,
    /// What actions are named after.
    pub action_from: ActionFrom,
    /// Whether `security: []` on an operation makes it public.
    pub public_from_security: bool,
    /// Roles, and the scopes whose actions each has; `*` and `@read` too.
    pub roles: Vec<(String, Vec<String>)>,
    /// The policy in force, which is kept and added to.
    pub existing: Option<String>,
    /// Whether routes that an earlier import made are taken out when the document has them no more.
    pub prune: bool,
}

impl Options {
    /// What holds where nothing else is said.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            hosts: Vec::new(),
            base_path: None,
            customers: Customers::All,
            service_param: None,
            action_from: ActionFrom::OperationId,
            public_from_security: false,
            roles: Vec::new(),
            existing: None,
            prune: false,
        }
    }
}

/// Whose tokens a policy is for.
#[derive(Clone, Debug)]
pub enum Customers {
    /// Everybody's.
    All,
    /// Those of the customers with these ids.
    Only(Vec<String>),
}

/// What actions are named after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActionFrom {
    /// One action for each operation.
    OperationId,
    /// One to read and one to write for each first tag: for documents with more operations than a policy has actions.
    Tag,
}

/// What came of an import.
#[derive(Debug)]
pub struct Imported {
    /// The policy file.
    pub policy: String,
    /// What whoever reads it must know.
    pub warnings: Vec<Warning>,
    /// Routes that the policy in force did not have. They are denied to everybody until somebody classifies them.
    pub added: Vec<String>,
    /// Routes of an earlier import that the document does not have any more.
    pub removed: Vec<String>,
    /// Routes whose security is another in the document now. The policy stands as it did.
    pub changed: Vec<Changed>,
}

/// A route whose security is another in the document now.
#[derive(Debug, PartialEq, Eq)]
pub struct Changed {
    /// `GET /orders`.
    pub on: String,
    /// What the document said when it was imported.
    pub was: String,
    /// What it says now.
    pub now: String,
}

/// Something that the policy says otherwise than the document, or that the document leaves open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// Where in the document.
    pub place: String,
    /// What.
    pub what: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.what)
    }
}

/// Why there is no policy.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {why}")]
pub struct ImportError {
    /// Where: `paths./a.get.security[0]`.
    pub place: String,
    /// What is wrong there.
    pub why: String,
}

impl ImportError {
    fn new(place: &str, why: impl Into<String>) -> Self {
        Self { place: place.to_owned(), why: why.into() }
    }
}

/// Makes a policy from an OpenAPI document, in JSON or YAML.
///
/// # Errors
/// [`ImportError`] names the first place that cannot be read. There is no policy of half a document.
pub fn import(document: &str, options: &Options) -> Result<Imported, ImportError> {
    check(options)?;
    let document = read::document(document)?;
    let root = At::root(&document);
    let mut warnings = Vec::new();
    let operations = operations::all(&root, options, &mut warnings)?;
    let imported = match &options.existing {
        Some(existing) => update::update(existing, &operations, options, warnings)?,
        None => fresh(&root, &operations, options, warnings)?,
    };
    compile(&imported.policy)?;
    Ok(imported)
}

/// Nobody gets a policy that cannot be applied: what an operator wrote into theirs is told here too.
fn compile(policy: &str) -> Result<(), ImportError> {
    let api = ApiSource { text: Some(policy), retired: &[] };
    let compiled = Policy::compile(OWN_POLICY).and_then(|own| own.with(&[api]));
    compiled.map(drop).map_err(|why| ImportError::new("the policy", why.to_string()))
}

fn fresh(
    root: &At<'_>,
    operations: &[Operation<'_>],
    options: &Options,
    mut warnings: Vec<Warning>,
) -> Result<Imported, ImportError> {
    let hosts = servers::hosts(operations, options, &mut warnings)?;
    let mut table = Table::default();
    table.add_all(operations, &mut warnings)?;
    table.settle(operations, &mut warnings)?;
    let actions = Actions::name(operations, options, &mut warnings);
    let defined = actions.defined(&table, operations);
    if defined.len() > ACTIONS_MAX {
        return Err(ImportError::new("paths", too_many_actions(defined.len())));
    }
    let scopes = actions.scopes(&table, operations, &mut warnings)?;
    let policy = write::Fresh { root, options, hosts: &hosts, operations, table: &table, actions: &actions };
    let policy = policy.write(&defined, &scopes)?;
    Ok(Imported { policy, warnings, added: Vec::new(), removed: Vec::new(), changed: Vec::new() })
}

fn check(options: &Options) -> Result<(), ImportError> {
    let name = options.name.as_bytes();
    let plain = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'-';
    if !name.first().is_some_and(u8::is_ascii_lowercase) || !name.iter().all(plain) || name.len() > 63 {
        return Err(ImportError::new(
            "the name of the policy",
            "write it in a-z, 0-9 and `-`, from a letter on, 63 characters at most",
        ));
    }
    let Customers::Only(ids) = &options.customers else { return Ok(()) };
    if ids.is_empty() {
        return Err(ImportError::new("customers", "an empty list grants nothing: name one, or say all"));
    }
    if let Some(odd) = ids.iter().find(|id| id.parse::<CustomerId>().is_err()) {
        return Err(ImportError::new("customers", format!("{odd:?} is not the id of a customer")));
    }
    Ok(())
}

fn too_many_actions(count: usize) -> String {
    format!(
        "these operations make {count} actions, and all policies together have {ACTIONS_MAX} at most: name actions after tags, or \
         let operations share one with `x-keygate-action`"
    )
}
