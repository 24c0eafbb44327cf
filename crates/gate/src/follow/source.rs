//! Where a node is.

use std::{fmt, io, str::FromStr, sync::Arc};

use http::{Uri, uri::Scheme};
use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

/// A node: `http://host:port` or `https://host:port`.
#[derive(Clone)]
pub struct Source {
    /// Host and port as they stand in the URL.
    pub(super) authority: String,
    pub(super) scheme: &'static str,
    name: String,
    port: u16,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

/// Not where a node can be.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0:?} is no node: {1}; write http://host:port or https://host:port")]
pub struct BadSource(String, &'static str);

/// A stream to a node.
pub(super) trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Wire for S {}

impl FromStr for Source {
    type Err = BadSource;

    fn from_str(text: &str) -> Result<Self, BadSource> {
        let bad = |why| BadSource(text.to_owned(), why);
        let uri: Uri = text.parse().map_err(|_| bad("it is no URL"))?;
        if uri.path_and_query().is_some_and(|path| path != "/") {
            return Err(bad("it may have no path"));
        }
        let (Some(scheme), Some(authority)) = (uri.scheme(), uri.authority()) else {
            return Err(bad("it has no scheme or no host"));
        };
        if authority.as_str().contains('@') || authority.host().is_empty() {
            return Err(bad("a host is wanted, and no user"));
        }
        let name = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let (scheme, port, tls) = if *scheme == Scheme::HTTP {
            ("http", 80, None)
        } else if *scheme == Scheme::HTTPS {
            let server = ServerName::try_from(name.clone()).map_err(|_| bad("the host is no name"))?;
            ("https", 443, Some((connector().ok_or_else(|| bad("TLS cannot be had"))?, server)))
        } else {
            return Err(bad("the scheme is neither http nor https"));
        };
        let port = authority.port_u16().unwrap_or(port);
        Ok(Self { authority: authority.as_str().to_owned(), scheme, name, port, tls })
    }
}

/// TLS as the system trusts it.
fn connector() -> Option<TlsConnector> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        tracing::warn!("this system has no root certificates: no https node will be trusted");
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider);
    let builder = builder.with_safe_default_protocol_versions().ok()?;
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Some(TlsConnector::from(Arc::new(config)))
}

impl Source {
    /// Connects. Says whether HTTP/2 is spoken there: over TLS as both agree on, and always without.
    pub(super) async fn connect(&self) -> io::Result<(Box<dyn Wire>, bool)> {
        let stream = TcpStream::connect((self.name.as_str(), self.port)).await?;
        stream.set_nodelay(true)?;
        let Some((connector, server)) = &self.tls else { return Ok((Box::new(stream), true)) };
        let stream = connector.connect(server.clone(), stream).await?;
        let has_h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        Ok((Box::new(stream), has_h2))
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.authority)
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_are_read() {
        for text in ["http://127.0.0.1:8080", "http://[::1]:80/", "https://keygate.example"] {
            assert_eq!(text.parse::<Source>().err(), None, "{text}");
        }
        for text in ["", "127.0.0.1:8080", "http://", "http://a/feed", "http://a?b", "ftp://a", "http://u@a"]
        {
            assert!(text.parse::<Source>().is_err(), "{text}");
        }
    }
}
