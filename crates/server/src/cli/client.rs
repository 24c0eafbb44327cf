//! Keygate's command line as a client of a running server: where it is, who asks, one request and its answer.

mod address;
pub(super) mod credentials;
mod refusal;
pub(super) mod secret;
pub(super) mod sudo;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use anyhow::bail;
use clap::Args;
use serde_json::Value;
use ureq::{
    Agent,
    http::{Method, Request},
    tls::{Certificate, RootCerts, TlsConfig},
};
use zeroize::Zeroizing;

pub(super) use self::address::Address;
use self::credentials::Credentials;
pub(super) use self::refusal::Refusal;

/// How long a connection and an answer may take.
const CONNECT_MAX: Duration = Duration::from_secs(10);
const ANSWER_MAX: Duration = Duration::from_secs(60);

/// How many seconds `--receipt` waits where `--wait` does not say: longer than a gate that is not heard any more.
pub(super) const WAIT: u16 = 40;

/// The largest answer that is read: a page of a thousand events is a small part of it.
const ANSWER_LEN_MAX: u64 = 64 * 1024 * 1024;

/// Where a token is looked for before the stored login. Never an argument: everybody can see those.
const TOKEN_VARIABLE: &str = "KEYGATE_TOKEN";

/// Which server a command talks to, and how it shows the answer.
#[derive(Args)]
pub(super) struct Remote {
    /// The server [default: the one last logged in to, else http://127.0.0.1:8080]
    #[arg(long, env = "KEYGATE_URL", value_name = "URL")]
    url: Option<Address>,
    /// Let the token travel in the clear, over http to another machine
    #[arg(long)]
    insecure_http: bool,
    /// Print the server's JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// A server, and the token that is shown to it.
pub(super) struct Client {
    agent: Agent,
    pub(super) address: Address,
    token: Option<Zeroizing<String>>,
    from: TokenFrom,
}

/// Where the token comes from, for words about it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum TokenFrom {
    Environment,
    Login,
}

/// What the server answered.
pub(super) struct Answer {
    pub(super) status: u16,
    retry_after: Option<String>,
    /// None for an empty body, and for one that is not JSON.
    pub(super) body: Option<Value>,
    empty: bool,
}

impl Remote {
    /// A client with a token: that of the environment, or that of the stored login.
    pub(super) fn open(&self) -> anyhow::Result<Client> {
        let given = std::env::var(TOKEN_VARIABLE).ok().filter(|token| !token.trim().is_empty());
        if let Some(token) = given {
            let address = match &self.url {
                Some(url) => url.clone(),
                None => Credentials::load()?.current().unwrap_or_default(),
            };
            return self.client(
                address,
                Some(Zeroizing::new(token.trim().to_owned())),
                TokenFrom::Environment,
            );
        }
        let stored = Credentials::load()?;
        let address = self.address(&stored);
        let Some(login) = stored.of(&address) else {
            bail!(
                "You are not logged in to {address}; run `keygate login --url {address}`, or set {TOKEN_VARIABLE}"
            )
        };
        let token = Zeroizing::new(login.token.clone());
        self.client(address, Some(token), TokenFrom::Login)
    }

    /// A client that shows this token, or none.
    pub(super) fn open_with(&self, stored: &Credentials, token: Option<&str>) -> anyhow::Result<Client> {
        let token = token.map(|token| Zeroizing::new(token.to_owned()));
        self.client(self.address(stored), token, TokenFrom::Login)
    }

    fn address(&self, stored: &Credentials) -> Address {
        self.url.clone().or_else(|| stored.current()).unwrap_or_default()
    }

    fn client(
        &self,
        address: Address,
        token: Option<Zeroizing<String>>,
        from: TokenFrom,
    ) -> anyhow::Result<Client> {
        if !address.is_private() && !self.insecure_http {
            bail!(
                "{address} is not this machine, and over http everybody on the way could read your password and your \
                 token; use https, or --insecure-http if you know the way"
            );
        }
        Ok(Client { agent: agent(&address)?, address, token, from })
    }
}

impl Client {
    pub(super) fn get(&self, path: &str) -> Result<Value, Refusal> {
        self.send(&Method::GET, path, None, None)?.document(self)
    }

    pub(super) fn post(&self, path: &str, body: &Value) -> Result<Answer, Refusal> {
        self.send(&Method::POST, path, Some(body), None)
    }

    /// Posts what takes so long, and waits that many seconds more until it is enforced (RFC 7240), if any.
    pub(super) fn post_long(
        &self,
        path: &str,
        body: &Value,
        takes: Duration,
        enforced: Option<u16>,
    ) -> Result<Answer, Refusal> {
        let prefer = enforced.map(prefer);
        let prefer = prefer.as_deref().map(|prefer| ("Prefer", prefer));
        let wait = Duration::from_secs(enforced.unwrap_or_default().into());
        self.send_patiently(&Method::POST, path, Some(body), prefer, ANSWER_MAX + takes + wait)
    }

    pub(super) fn post_with_code(&self, path: &str, body: &Value, code: &str) -> Result<Answer, Refusal> {
        self.send(&Method::POST, path, Some(body), Some(("Fastly-OTP", code)))
    }

    pub(super) fn delete(&self, path: &str) -> Result<Answer, Refusal> {
        self.send(&Method::DELETE, path, None, None)
    }

    /// Deletes, and waits so many seconds until that is enforced (RFC 7240).
    pub(super) fn delete_enforced(&self, path: &str, wait: u16) -> Result<Answer, Refusal> {
        let patience = ANSWER_MAX + Duration::from_secs(wait.into());
        self.send_patiently(&Method::DELETE, path, None, Some(("Prefer", &prefer(wait))), patience)
    }

    /// The names of the services that the token reaches; none if it may not see them. For tables only.
    pub(super) fn service_names(&self) -> BTreeMap<String, String> {
        let services = self.get("/verify").ok().and_then(|mut me| me.get_mut("services").map(Value::take));
        let Some(Value::Object(services)) = services else { return BTreeMap::new() };
        services.into_iter().filter_map(|(id, name)| Some((id, name.as_str()?.to_owned()))).collect()
    }

    fn send(
        &self,
        method: &Method,
        path: &str,
        body: Option<&Value>,
        further: Option<(&str, &str)>,
    ) -> Result<Answer, Refusal> {
        self.send_patiently(method, path, body, further, ANSWER_MAX)
    }

    fn send_patiently(
        &self,
        method: &Method,
        path: &str,
        body: Option<&Value>,
        further: Option<(&str, &str)>,
        patience: Duration,
    ) -> Result<Answer, Refusal> {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.address));
        if let Some(token) = &self.token {
            request = request.header("Fastly-Key", token.as_str());
        }
        if let Some((name, value)) = further {
            request = request.header(name, value);
        }
        let unreached = |why: ureq::Error| Refusal::unreached(&self.address, method != Method::GET, &why);
        let invalid = |why: ureq::http::Error| unreached(why.into());
        let answer = match body {
            Some(body) => {
                let text = Zeroizing::new(body.to_string());
                let request = request.header("Content-Type", "application/json").body(text.as_bytes());
                let request = self.agent.configure_request(request.map_err(invalid)?);
                self.agent.run(request.timeout_global(Some(patience)).build())
            }
            None => {
                let request = self.agent.configure_request(request.body(()).map_err(invalid)?);
                self.agent.run(request.timeout_global(Some(patience)).build())
            }
        };
        let mut answer = answer.map_err(unreached)?;
        let retry_after = answer.headers().get("retry-after").and_then(|value| value.to_str().ok());
        let retry_after = retry_after.map(str::to_owned);
        let text =
            answer.body_mut().with_config().limit(ANSWER_LEN_MAX).read_to_string().map_err(unreached)?;
        Ok(Answer {
            status: answer.status().as_u16(),
            retry_after,
            body: serde_json::from_str(&text).ok(),
            empty: text.is_empty(),
        })
    }
}

impl Answer {
    /// The document of an answer that says yes.
    pub(super) fn document(self, client: &Client) -> Result<Value, Refusal> {
        match self.body {
            Some(body) if (200..300).contains(&self.status) => Ok(body),
            _ => Err(self.refusal(client)),
        }
    }

    /// That an answer without a body says yes.
    pub(super) fn done(self, client: &Client) -> Result<(), Refusal> {
        if self.status == 204 && self.empty { Ok(()) } else { Err(self.refusal(client)) }
    }

    /// The server's word for what is wrong.
    pub(super) fn msg(&self) -> &str {
        self.text("msg")
    }

    pub(super) fn text(&self, name: &str) -> &str {
        self.body.as_ref().and_then(|body| body.get(name)).and_then(Value::as_str).unwrap_or_default()
    }

    pub(super) fn refusal(&self, client: &Client) -> Refusal {
        Refusal::answered(self, client)
    }
}

fn prefer(wait: u16) -> String {
    format!("enforced, wait={wait}")
}

/// Redirects are not followed: the header with the token would go along.
pub(super) fn agent(address: &Address) -> anyhow::Result<Agent> {
    let mut config = Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .timeout_connect(Some(CONNECT_MAX))
        .timeout_global(Some(ANSWER_MAX))
        .user_agent(concat!("keygate/", env!("CARGO_PKG_VERSION")));
    if address.is_https() {
        config = config.tls_config(tls()?);
    } else {
        // A proxy would read what was meant for this machine.
        config = config.proxy(None);
    }
    Ok(config.build().into())
}

/// The certificates that this machine trusts, so that a company's own authority counts, and `SSL_CERT_FILE`.
pub(crate) fn tls() -> anyhow::Result<TlsConfig> {
    let native = rustls_native_certs::load_native_certs();
    if native.certs.is_empty() {
        let why = native.errors.first().map(|why| format!(" ({why})")).unwrap_or_default();
        bail!(
            "This machine trusts no certificate authority{why}; install the package ca-certificates, or name a file \
             in SSL_CERT_FILE"
        );
    }
    let roots = native.certs.iter().map(|cert| Certificate::from_der(cert).to_owned());
    Ok(TlsConfig::builder()
        .root_certs(RootCerts::from(roots))
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .build())
}

/// An id that is about to stand in a path: letters and digits, as all of them are.
pub(super) fn id(text: &str) -> Result<String, String> {
    if !text.is_empty() && text.len() <= 64 && text.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        Ok(text.to_owned())
    } else {
        Err("an id is letters and digits, as the lists show it".to_owned())
    }
}
