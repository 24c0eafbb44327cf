//! Where a PostgreSQL server is, and how it is reached.

use std::{fmt, net::IpAddr, path::PathBuf, sync::Arc, time::Duration};

use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use tokio_postgres::{
    Config, NoTls,
    config::{Host, SslMode, TargetSessionAttrs},
};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::line::Line;
use crate::{db::Error, fault::Fault};

/// How long a connection may take to be made, and after how long without an answer to its packets it is given up: a
/// server that is cut off is noticed, a slow one is waited for.
const CONNECT: Duration = Duration::from_secs(5);
const SILENT: Duration = Duration::from_secs(10);

/// Where a server is: `postgres://USER:PASSWORD@HOST[,HOST…]/DATABASE?sslmode=require&sslrootcert=FILE`, as libpq has it.
/// The password is never shown.
#[derive(Clone)]
pub struct Address {
    config: Box<Config>,
    /// Who may have signed the server's certificate. None: whom the system trusts.
    root: Option<PathBuf>,
}

impl Address {
    /// Reads one. Of several hosts the one that can be written to is taken.
    ///
    /// # Errors
    /// What is wrong with it, without repeating it: it may have a password in it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (bare, root) = without_root(text)?;
        let mut config: Config = bare.parse().map_err(|_| {
            "The database's address cannot be read: write postgres://USER@HOST/DATABASE".to_owned()
        })?;
        if config.get_dbname().is_none() {
            return Err(
                "The database's address names no database: write postgres://USER@HOST/DATABASE".to_owned()
            );
        }
        config.application_name("keygate").target_session_attrs(TargetSessionAttrs::ReadWrite);
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT);
        }
        if config.get_tcp_user_timeout().is_none() {
            config.tcp_user_timeout(SILENT).keepalives_idle(SILENT / 2).keepalives_interval(SILENT / 4);
        }
        let address = Self { config: Box::new(config), root };
        if address.leaves_this_machine() {
            // What others can read on the way is not a record (K24).
            if address.config.get_ssl_mode() == SslMode::Disable {
                return Err(
                    "The database is on another machine and sslmode=disable is set: leave that out, or use \
                            sslmode=require"
                        .to_owned(),
                );
            }
            return Ok(address.with_tls());
        }
        Ok(address)
    }

    fn with_tls(mut self) -> Self {
        self.config.ssl_mode(SslMode::Require);
        self
    }

    /// Whether any of its hosts is not this machine.
    fn leaves_this_machine(&self) -> bool {
        let is_here =
            |name: &str| name == "localhost" || name.parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
        self.config.get_hosts().iter().any(|host| match host {
            Host::Tcp(name) => !is_here(name),
            Host::Unix(_) => false,
        })
    }

    /// Whether a fail-over is to be expected, since several hosts are named.
    pub(super) fn wants_standby(&self) -> bool {
        self.config.get_hosts().len() > 1
    }

    /// Connects.
    pub(super) fn connect(&self) -> Result<Line, Fault> {
        let mut config = self.config.clone();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|_| Fault::Unavailable)?;
        let line = if config.get_ssl_mode() == SslMode::Require {
            Line::to(runtime, config.connect(MakeRustlsConnect::new(self.tls()?)))
        } else {
            Line::to(runtime, config.ssl_mode(SslMode::Disable).connect(NoTls))
        };
        Ok(line.map_err(Error::from)?)
    }

    fn tls(&self) -> Result<ClientConfig, Fault> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let odd = |why: String| Fault::invalid("db_tls", why);
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|why| odd(why.to_string()))?;
        Ok(builder.with_root_certificates(self.roots()?).with_no_client_auth())
    }

    fn roots(&self) -> Result<RootCertStore, Fault> {
        let mut roots = RootCertStore::empty();
        let Some(path) = &self.root else {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            return Ok(roots);
        };
        let odd = |why: &dyn fmt::Display| {
            Fault::invalid("db_tls", format!("sslrootcert {}: {why}", path.display()))
        };
        for certificate in CertificateDer::pem_file_iter(path).map_err(|why| odd(&why))? {
            roots.add(certificate.map_err(|why| odd(&why))?).map_err(|why| odd(&why))?;
        }
        if roots.is_empty() { Err(odd(&"there is no certificate in it")) } else { Ok(roots) }
    }
}

/// The address without `sslrootcert`, which the library does not know, and what it says.
fn without_root(text: &str) -> Result<(String, Option<PathBuf>), String> {
    let Some((before, query)) = text.split_once('?') else { return Ok((text.to_owned(), None)) };
    let (mut root, mut rest) = (None, Vec::new());
    for pair in query.split('&') {
        match pair.split_once('=') {
            Some(("sslrootcert", path)) if !path.is_empty() => root = Some(PathBuf::from(path)),
            Some(("sslrootcert", _)) => return Err("sslrootcert names no file".to_owned()),
            // The server's name and signature are always checked, which is what libpq calls verify-full.
            Some(("sslmode", "verify-full" | "verify-ca")) => rest.push("sslmode=require"),
            _ => rest.push(pair),
        }
    }
    let bare = if rest.is_empty() { before.to_owned() } else { format!("{before}?{}", rest.join("&")) };
    Ok((bare, root))
}

impl fmt::Display for Address {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hosts = self.config.get_hosts().iter().map(|host| match host {
            Host::Tcp(name) => name.clone(),
            Host::Unix(path) => path.display().to_string(),
        });
        let (user, hosts) = (self.config.get_user().unwrap_or_default(), hosts.collect::<Vec<_>>().join(","));
        write!(to, "postgres://{user}@{hosts}/{}", self.config.get_dbname().unwrap_or_default())
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_shown() {
        let address =
            Address::parse("postgres://keygate:hunter2@db.example/keygate?sslmode=require").unwrap();
        let shown = format!("{address} {address:?}");
        assert!(shown.contains("postgres://keygate@db.example/keygate"));
        assert!(!shown.contains("hunter2"), "{shown}");
        let refused = Address::parse("postgres://keygate:hunter2@db.example:port/keygate").unwrap_err();
        assert!(!refused.contains("hunter2"), "{refused}");
    }

    #[test]
    fn what_leaves_this_machine_is_encrypted() {
        let mode = |text: &str| Address::parse(text).map(|address| address.config.get_ssl_mode());
        assert_eq!(mode("postgres://keygate@db.example/keygate"), Ok(SslMode::Require));
        assert_eq!(mode("postgres://keygate@localhost,db.example/keygate"), Ok(SslMode::Require));
        assert_eq!(mode("postgres://keygate@127.0.0.1/keygate"), Ok(SslMode::Prefer));
        assert_eq!(mode("postgres://keygate@%2Frun%2Fpostgresql/keygate"), Ok(SslMode::Prefer));
        assert!(mode("postgres://keygate@db.example/keygate?sslmode=disable").is_err());
        assert_eq!(mode("postgres://keygate@127.0.0.1/keygate?sslmode=verify-full"), Ok(SslMode::Require));
    }

    #[test]
    fn an_address_names_a_database() {
        assert!(Address::parse("postgres://keygate@db.example").is_err());
        assert!(Address::parse("postgres://keygate@db.example/keygate?sslrootcert=").is_err());
    }
}
