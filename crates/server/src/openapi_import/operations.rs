//! The operations of a document, with all that holds for each of them brought together.

use std::collections::BTreeSet;

use super::{
    ImportError, Options, Warning,
    place::At,
    security::{self, Security, Stands},
    servers::{self, Server},
};

/// One operation.
pub(super) struct Operation<'d> {
    /// `GET`; the method of its route, so that a lone HEAD is GET.
    pub(super) method: &'static str,
    /// As the document writes it, without what stands under `servers`.
    pub(super) path: &'d str,
    pub(super) place: String,
    pub(super) servers: Vec<Server>,
    pub(super) id: Option<&'d str>,
    pub(super) summary: &'d str,
    pub(super) tag: Option<&'d str>,
    pub(super) security: Security,
    /// The action that the document itself names.
    pub(super) action: Option<&'d str>,
    pub(super) read: bool,
    pub(super) sudo: bool,
    pub(super) public: bool,
    pub(super) service: Option<ServiceParam<'d>>,
}

/// The parameter that is the id of a service.
#[derive(Clone, Copy)]
pub(super) struct ServiceParam<'d> {
    pub(super) name: &'d str,
    /// Said of this very path: it must have it. Else it counts where the path has it.
    pub(super) must: bool,
}

impl Operation<'_> {
    /// What stands before its path, each once.
    pub(super) fn bases(&self) -> impl Iterator<Item = &str> {
        let bases: BTreeSet<&str> = self.servers.iter().map(|server| server.base.as_str()).collect();
        bases.into_iter()
    }

    /// As messages name it.
    pub(super) fn on(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    /// What its security is in words, for comments.
    pub(super) fn needs(&self) -> String {
        if self.public { "public".to_owned() } else { self.security.words() }
    }
}

/// Reads all operations, in the document's order.
pub(super) fn all<'d>(
    root: &At<'d>,
    options: &'d Options,
    warnings: &mut Vec<Warning>,
) -> Result<Vec<Operation<'d>>, ImportError> {
    check_version(root, warnings)?;
    let mut reading = Reading::begin(root, options, warnings)?;
    let mut operations = Vec::new();
    if let Some(paths) = root.get("paths")? {
        for (path, item) in paths.entries()? {
            if path.starts_with("x-") {
                continue;
            }
            if !path.starts_with('/') {
                return Err(item.wrong("a path begins with `/`"));
            }
            reading.path(path, &item, &mut operations)?;
        }
    }
    if operations.is_empty() {
        return Err(ImportError::new("paths", "the document has no operations to make a policy of"));
    }
    if operations.len() > OPERATIONS_MAX {
        return Err(ImportError::new("paths", format!("there are more than {OPERATIONS_MAX} operations")));
    }
    reading.finish();
    Ok(operations)
}

fn check_version(root: &At<'_>, warnings: &mut Vec<Warning>) -> Result<(), ImportError> {
    if let Some(old) = root.get("swagger")? {
        return Err(old.wrong("this is Swagger, from before OpenAPI 3: convert it first"));
    }
    let version = root.get("openapi")?.ok_or_else(|| root.wrong("it has no `openapi`: is it one?"))?;
    match version.text()? {
        known if known.starts_with("3.0") || known.starts_with("3.1") => {}
        newer if newer.starts_with("3.") => {
            let what = format!("{newer} is newer than what is known here, 3.0 and 3.1");
            warnings.push(Warning { place: version.place, what });
        }
        other => return Err(version.wrong(format!("{other:?} is neither OpenAPI 3.0 nor 3.1"))),
    }
    Ok(())
}

/// What holds for the whole document, while it is read.
struct Reading<'d, 'w> {
    options: &'d Options,
    warnings: &'w mut Vec<Warning>,
    schemes: BTreeSet<String>,
    servers: Vec<Server>,
    security: Security,
    service: Option<ServiceParam<'d>>,
    /// Operations that say they need no credential, and get none without one.
    kept_closed: Vec<String>,
}

impl<'d, 'w> Reading<'d, 'w> {
    fn begin(
        root: &At<'d>,
        options: &'d Options,
        warnings: &'w mut Vec<Warning>,
    ) -> Result<Self, ImportError> {
        let schemes = security::schemes(root)?;
        let security = match root.get("security")? {
            Some(stated) => security::security(&stated, Stands::AtTheTop, &schemes, warnings)?,
            None => Security::default(),
        };
        let by_flag = options.service_param.as_deref();
        let by_root = root.text_of("x-keygate-service")?;
        let service = by_root.or(by_flag).map(|name| ServiceParam { name, must: false });
        let servers = servers::servers(root)?.unwrap_or_else(servers::unsaid);
        let mut reading =
            Self { options, warnings, schemes, servers, security, service, kept_closed: Vec::new() };
        reading.note_odd_extensions(root, &["x-keygate-service"])?;
        Ok(reading)
    }

    fn path(
        &mut self,
        path: &'d str,
        item: &At<'d>,
        operations: &mut Vec<Operation<'d>>,
    ) -> Result<(), ImportError> {
        for (key, beside) in item.entries()? {
            let harmless = ["$ref", "summary", "description"].contains(&key);
            if item.get("$ref")?.is_some() && !harmless {
                return Err(beside.wrong("what stands beside a `$ref` has no meaning that is laid down"));
            }
        }
        let item = item.clone().resolved()?;
        let has_get = item.get("get")?.is_some();
        self.note_odd_extensions(&item, &["x-keygate-service"])?;
        let common = Common { servers: servers::servers(&item)?, service: service_of(&item, &item)? };
        for (key, value) in item.entries()? {
            let method = match key {
                "get" => "GET",
                "post" => "POST",
                "put" => "PUT",
                "patch" => "PATCH",
                "delete" => "DELETE",
                "options" => "OPTIONS",
                "head" if !has_get => "GET",
                other => {
                    self.note_dropped(other, &value);
                    continue;
                }
            };
            if key == "head" {
                self.warn(&value, "its route is GET, as which HEAD is decided: a GET passes it too");
            }
            operations.push(self.operation(method, path, &value, &item, &common)?);
        }
        Ok(())
    }

    fn operation(
        &mut self,
        method: &'static str,
        path: &'d str,
        at: &At<'d>,
        item: &At<'d>,
        common: &Common<'d>,
    ) -> Result<Operation<'d>, ImportError> {
        self.note_odd_extensions(at, &OPERATION_EXTENSIONS)?;
        let security = match at.get("security")? {
            Some(stated) => {
                security::security(&stated, Stands::OnTheOperation, &self.schemes, self.warnings)?
            }
            None => self.security.clone(),
        };
        let by_security = security.open && self.options.public_from_security;
        let public = at.flag_of("x-keygate-public")?.unwrap_or(by_security);
        if security.open && !public {
            self.kept_closed.push(format!("{method} {path}"));
        }
        let servers = servers::servers(at)?.or_else(|| common.servers.clone());
        let servers = servers.unwrap_or_else(|| self.servers.clone());
        let service = match service_of(at, item)? {
            Said::Nothing => match common.service {
                Said::Nothing => self.service,
                Said::None => None,
                Said::Param(name) => Some(ServiceParam { name, must: true }),
            },
            Said::None => None,
            Said::Param(name) => Some(ServiceParam { name, must: true }),
        };
        Ok(Operation {
            method,
            path,
            place: at.place.clone(),
            servers: self.based(servers)?,
            id: at.text_of("operationId")?,
            summary: at.text_of("summary")?.or(at.text_of("description")?).unwrap_or_default(),
            tag: first_tag(at)?,
            security,
            action: action_of(at)?,
            read: at.flag_of("x-keygate-read")?.unwrap_or(method == "GET"),
            sudo: at.flag_of("x-keygate-sudo")?.unwrap_or(false),
            public,
            service,
        })
    }

    /// The servers, with the options' path in the place of their own.
    fn based(&self, mut servers: Vec<Server>) -> Result<Vec<Server>, ImportError> {
        if let Some(path) = &self.options.base_path {
            let base = servers::base(path).map_err(|why| ImportError::new("the base path", why))?;
            servers.iter_mut().for_each(|server| server.base.clone_from(&base));
            servers.dedup();
        }
        Ok(servers)
    }

    fn note_dropped(&mut self, key: &str, at: &At<'_>) {
        match key {
            "$ref" | "summary" | "description" | "servers" | "parameters" => {}
            "head" => self.warn(at, "left out: HEAD is decided as the GET of the same path"),
            "trace" | "query" | "additionalOperations" => {
                self.warn(at, "left out: a policy has no such method, and the gate denies it");
            }
            extension if extension.starts_with("x-") => {}
            _ => self.warn(at, "left out: this is not a method of OpenAPI 3.1"),
        }
    }

    /// A typing error in an extension would otherwise be an operation that is not what its author thinks.
    fn note_odd_extensions(&mut self, at: &At<'_>, known: &[&str]) -> Result<(), ImportError> {
        for (key, value) in at.entries()? {
            if key.starts_with("x-keygate-") && !known.contains(&key) {
                self.warn(&value, "this means nothing here");
            }
        }
        Ok(())
    }

    fn warn(&mut self, at: &At<'_>, what: &str) {
        self.warnings.push(Warning { place: at.place.clone(), what: what.to_owned() });
    }

    fn finish(self) {
        if !self.kept_closed.is_empty() {
            let what = format!(
                "these say that they need no credential, and need one all the same until they are made public: {}",
                servers::some(&self.kept_closed)
            );
            self.warnings.push(Warning { place: "security".to_owned(), what });
        }
    }
}

/// What holds for all operations of a path.
struct Common<'d> {
    servers: Option<Vec<Server>>,
    service: Said<'d>,
}

/// What is said about the parameter that is the id of a service.
enum Said<'d> {
    Nothing,
    /// That there is none.
    None,
    Param(&'d str),
}

/// `x-keygate-service: project`, or `x-keygate-service: true` on the parameter itself.
fn service_of<'d>(at: &At<'d>, item: &At<'d>) -> Result<Said<'d>, ImportError> {
    if let Some(said) = at.get("x-keygate-service")? {
        return if said.is_false() { Ok(Said::None) } else { Ok(Said::Param(said.text()?)) };
    }
    for holder in [at, item] {
        let Some(parameters) = holder.get("parameters")? else { continue };
        for parameter in parameters.items()? {
            let parameter = parameter.resolved()?;
            let (name, place) = (parameter.text_of("name")?, parameter.text_of("in")?);
            let marked = parameter.flag_of("x-keygate-service")?.unwrap_or(false);
            match (name, marked, place) {
                (None, ..) => return Err(parameter.wrong("this has no `name`")),
                (Some(name), true, Some("path")) => return Ok(Said::Param(name)),
                (_, true, _) => {
                    return Err(parameter.wrong("only a parameter in the path can be the id of a service"));
                }
                _ => {}
            }
        }
    }
    Ok(Said::Nothing)
}

fn first_tag<'d>(at: &At<'d>) -> Result<Option<&'d str>, ImportError> {
    let Some(tags) = at.get("tags")? else { return Ok(None) };
    tags.items()?.first().map(At::text).transpose()
}

fn action_of<'d>(at: &At<'d>) -> Result<Option<&'d str>, ImportError> {
    let Some(action) = at.get("x-keygate-action")? else { return Ok(None) };
    let name = action.text()?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_.:-".contains(&byte);
    if name.is_empty() || name.len() > 128 || !name.bytes().all(plain) {
        return Err(action.wrong("the name of an action is made of A-Z, a-z, 0-9 and `_.:-`, 128 at most"));
    }
    Ok(Some(name))
}

const OPERATION_EXTENSIONS: [&str; 5] =
    ["x-keygate-action", "x-keygate-service", "x-keygate-public", "x-keygate-sudo", "x-keygate-read"];
const OPERATIONS_MAX: usize = 10_000;
