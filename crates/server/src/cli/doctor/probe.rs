//! What is probed: a URL, asked in any way.

use std::{fmt, str::FromStr};

use anyhow::Context as _;
use ureq::{
    Agent,
    http::{HeaderName, HeaderValue, Method, Request, Uri},
};

use crate::cli::client::{Address, agent};

/// A protected path behind a proxy.
#[derive(Clone)]
pub(super) struct Probe {
    agent: Agent,
    address: Address,
    path: String,
}

impl Probe {
    /// The path, without a query.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// Sends a request with this path, as it is spelled: the status of the answer.
    pub(super) fn ask(
        &self,
        method: &'static str,
        path: &str,
        headers: &[(HeaderName, HeaderValue)],
    ) -> anyhow::Result<u16> {
        let uri = format!("{}{path}", self.address);
        let mut request =
            Request::builder().method(Method::from_bytes(method.as_bytes())?).uri(&uri).body(())?;
        request.headers_mut().extend(headers.iter().cloned());
        let answer = self.agent.run(request).with_context(|| format!("{uri} cannot be asked"))?;
        Ok(answer.status().as_u16())
    }
}

impl FromStr for Probe {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let shape = || "write it as https://api.shop.example.com/orders".to_owned();
        let uri: Uri = text.trim().parse().map_err(|_| shape())?;
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err(shape());
        };
        let address: Address = format!("{scheme}://{authority}").parse()?;
        let agent = agent(&address).map_err(|why| why.to_string())?;
        Ok(Self { agent, address, path: uri.path().to_owned() })
    }
}

impl fmt::Display for Probe {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}{}", self.address, self.path)
    }
}
