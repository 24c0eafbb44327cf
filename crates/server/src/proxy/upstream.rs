//! The upstream: where it is, and how a connection to it is made.

use std::{io, path::PathBuf, str::FromStr, sync::Arc};

use axum::http::{HeaderValue, Uri, uri::Scheme};
use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream},
};
use tokio_rustls::TlsConnector;

/// Where requests go: `http://host:port`, `https://host:port`, or `unix:/path`.
#[derive(Clone)]
pub struct Upstream {
    place: Place,
    /// What stands in `Host` where the client's own is not passed.
    pub(super) authority: HeaderValue,
}

#[derive(Clone)]
enum Place {
    Tcp(Host),
    Tls(Host, TlsConnector, ServerName<'static>),
    Unix(PathBuf),
}

#[derive(Clone)]
struct Host {
    name: String,
    port: u16,
}

/// Not an upstream that requests can be sent to.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0:?} is no upstream: {1}; write http://host:port, https://host:port or unix:/path")]
pub struct BadUpstream(String, &'static str);

/// A stream to the upstream, of whichever kind.
pub(super) trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Wire for S {}

/// A connection that was made.
pub(super) enum Connected {
    Tcp(TcpStream),
    Other(Box<dyn Wire>),
}

impl FromStr for Upstream {
    type Err = BadUpstream;

    fn from_str(text: &str) -> Result<Self, BadUpstream> {
        let bad = |why| BadUpstream(text.to_owned(), why);
        if let Some(path) = text.strip_prefix("unix:") {
            let place = Place::Unix(PathBuf::from(path));
            let is_absolute = path.starts_with('/');
            return match is_absolute {
                true => Ok(Self { place, authority: HeaderValue::from_static("localhost") }),
                false => Err(bad("a socket's path begins with /")),
            };
        }
        let uri: Uri = text.parse().map_err(|_| bad("it is no URL"))?;
        if uri.path_and_query().is_some_and(|path| path != "/") {
            return Err(bad("requests keep their own paths, so it may have none"));
        }
        let (Some(scheme), Some(authority)) = (uri.scheme(), uri.authority()) else {
            return Err(bad("it has no scheme or no host"));
        };
        if authority.as_str().contains('@') || authority.host().is_empty() {
            return Err(bad("a host is wanted, and no user"));
        }
        let name = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let host = |port| Host { name: name.clone(), port: authority.port_u16().unwrap_or(port) };
        let place = if *scheme == Scheme::HTTP {
            Place::Tcp(host(80))
        } else if *scheme == Scheme::HTTPS {
            let server = ServerName::try_from(name.clone()).map_err(|_| bad("the host is no name"))?;
            Place::Tls(host(443), connector(), server)
        } else {
            return Err(bad("the scheme is neither http nor https"));
        };
        let authority = HeaderValue::from_str(authority.as_str()).map_err(|_| bad("the host is no name"))?;
        Ok(Self { place, authority })
    }
}

/// TLS as the system trusts it, and HTTP/1.1 in it.
fn connector() -> TlsConnector {
    let mut roots = rustls::RootCertStore::empty();
    let native = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(native.certs);
    if roots.is_empty() {
        tracing::warn!("this system has no root certificates: no https upstream will be trusted");
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider);
    // The provider is rustls' own and has both versions.
    let builder = builder.with_safe_default_protocol_versions();
    let mut config = match builder {
        Ok(builder) => builder.with_root_certificates(roots).with_no_client_auth(),
        Err(_) => rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    TlsConnector::from(Arc::new(config))
}

impl Upstream {
    /// Connects.
    pub(super) async fn connect(&self) -> io::Result<Connected> {
        Ok(match &self.place {
            Place::Tcp(host) => Connected::Tcp(host.connect().await?),
            Place::Tls(host, connector, name) => {
                let stream = connector.connect(name.clone(), host.connect().await?).await?;
                Connected::Other(Box::new(stream))
            }
            Place::Unix(path) => Connected::Other(Box::new(UnixStream::connect(path).await?)),
        })
    }
}

impl Host {
    async fn connect(&self) -> io::Result<TcpStream> {
        let stream = TcpStream::connect((self.name.as_str(), self.port)).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why(text: &str) -> Option<BadUpstream> {
        text.parse::<Upstream>().err()
    }

    #[test]
    fn upstreams_are_read() {
        for text in [
            "http://127.0.0.1:3000",
            "http://localhost/",
            "http://[::1]:80",
            "https://api.example",
            "unix:/run/app.sock",
        ] {
            assert_eq!(why(text), None, "{text}");
        }
        for text in [
            "",
            "127.0.0.1:3000",
            "http://",
            "http://a/b",
            "http://a?b",
            "ftp://a",
            "unix:a",
            "http://u@a",
            "/",
        ] {
            assert!(why(text).is_some(), "{text}");
        }
    }
}
