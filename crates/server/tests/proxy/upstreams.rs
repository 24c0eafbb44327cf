//! Upstreams that are no TCP sockets, or speak TLS.

use std::{fs, path::PathBuf, process::Command, sync::Arc};

use keygate_server::proxy::Proxy;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, UnixListener},
};
use tokio_rustls::{TlsAcceptor, rustls};

use crate::world::{Client, Served, Upstream, ok, within};

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";

#[tokio::test]
async fn a_unix_socket_is_an_upstream() {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("proxy-{}", std::process::id()));
    let listener = UnixListener::bind(&path).unwrap();
    let upstream = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        for _ in 0..2 {
            let mut head = vec![0; 4096];
            let length = stream.read(&mut head).await.unwrap();
            stream.write_all(&ok(&length.to_string())).await.unwrap();
        }
    });
    let proxy = Proxy::to(format!("unix:{}", path.display()).parse().unwrap());
    let proxy = Served::start(proxy).await;
    let mut client = Client::of(proxy.address).await;
    for _ in 0..2 {
        assert_eq!(within(client.ask(GET)).await.unwrap().status(), "200");
    }
    within(upstream).await.unwrap();
    std::fs::remove_file(path).unwrap();
}

/// Plain HTTP at the other end: what is sent must be encrypted or not at all.
#[tokio::test]
async fn https_is_never_plain() {
    let upstream = Upstream::answering(|_| ok("plain")).await;
    let proxy = Proxy::to(format!("https://{}", upstream.address).parse().unwrap());
    let proxy = Served::start(proxy).await;
    let answer = within(Client::of(proxy.address).await.ask(GET)).await.unwrap();
    assert_eq!(answer.status(), "502");
    assert_eq!(upstream.take(), []);
}

/// Run again with a certificate that the system trusts, since only the start of a process says which those are.
#[tokio::test]
async fn https_wants_a_certificate_that_is_trusted_and_for_this_host() {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let Some(file) = std::env::var_os("KEYGATE_TEST_PEM") else {
        let file =
            PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("proxy-{}.pem", std::process::id()));
        let key = made.signing_key.serialize_pem();
        fs::write(&file, format!("{}{key}", made.cert.pem())).unwrap();
        let name = "upstreams::https_wants_a_certificate_that_is_trusted_and_for_this_host";
        let mut again = Command::new(std::env::current_exe().unwrap());
        again.args(["--exact", name, "--nocapture"]);
        again.env("KEYGATE_TEST_PEM", &file).env("SSL_CERT_FILE", &file);
        let again = again.output().unwrap();
        fs::remove_file(file).unwrap();
        assert!(again.status.success(), "{}", String::from_utf8_lossy(&again.stderr));
        return;
    };
    let trusted = tls(&fs::read_to_string(file).unwrap());
    let stranger = tls(&format!("{}{}", made.cert.pem(), made.signing_key.serialize_pem()));
    for (acceptor, host, status) in
        [(&trusted, "localhost", "200"), (&trusted, "127.0.0.1", "502"), (&stranger, "localhost", "502")]
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let acceptor = acceptor.clone();
        let upstream = tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let Ok(mut stream) = acceptor.accept(stream).await else { return };
            assert_eq!(stream.get_ref().1.alpn_protocol(), Some(b"http/1.1".as_slice()));
            let mut head = vec![0; 4096];
            if stream.read(&mut head).await.is_ok_and(|length| length > 0) {
                stream.write_all(&ok("")).await.unwrap();
            }
        });
        let proxy = Served::start(Proxy::to(format!("https://{host}:{port}").parse().unwrap())).await;
        let answer = within(Client::of(proxy.address).await.ask(GET)).await.unwrap();
        assert_eq!(answer.status(), status, "{host}");
        within(upstream).await.unwrap();
    }
}

fn tls(pem: &str) -> TlsAcceptor {
    use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
    let certificate = CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(pem.as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let mut config = config.unwrap().with_no_client_auth().with_single_cert(vec![certificate], key).unwrap();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    TlsAcceptor::from(Arc::new(config))
}
