//! Envoy, from a file that we ship, with nothing changed in it but addresses; or with what a test says.

use std::{
    fs,
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use crate::{api::Api, house::House, witness::Witness};

/// How Envoy asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Grpc,
    Http,
}

/// One test for each of them.
macro_rules! each_kind {
    ($test:ident) => {
        mod $test {
            #[tokio::test(flavor = "multi_thread")]
            async fn grpc() {
                super::$test(crate::edge::Kind::Grpc).await;
            }
            #[tokio::test(flavor = "multi_thread")]
            async fn http() {
                super::$test(crate::edge::Kind::Http).await;
            }
        }
    };
}
pub(crate) use each_kind;

/// A running Envoy with an API behind it. Dropped, it is killed.
pub(crate) struct Edge {
    child: Child,
    pub(crate) address: SocketAddr,
    pub(crate) api: Api,
    pub(crate) witness: Witness,
}

impl Edge {
    /// As shipped.
    pub(crate) async fn new(kind: Kind, house: &House) -> Self {
        Self::with(kind, house, &[]).await
    }

    /// Asking over gRPC at a socket in the file system, with no witness between.
    pub(crate) async fn over(house: &House, socket: &Path) -> Self {
        let tcp = "socket_address: { address: 127.0.0.1, port_value: 8081 }";
        Self::with(Kind::Grpc, house, &[(tcp, &format!("pipe: {{ path: {} }}", socket.display()))]).await
    }

    /// With some lines otherwise: each is there once.
    pub(crate) async fn with(kind: Kind, house: &House, otherwise: &[(&str, &str)]) -> Self {
        let (api, witness) = (Api::new(), Witness::new(kind, house.gate).await);
        let address = free_port();
        let file = match kind {
            Kind::Grpc => "deploy/envoy/grpc.yaml",
            Kind::Http => "deploy/envoy/http.yaml",
        };
        let mut text = fs::read_to_string(at(file)).expect("the file that we ship");
        let port = |number: u16, of: SocketAddr| {
            (format!("port_value: {number} "), format!("port_value: {} ", of.port()))
        };
        let ports = [port(10000, address), port(8081, witness.address), port(3000, api.address)];
        for (from, to) in otherwise {
            assert_eq!(text.matches(from).count(), 1, "{file} has {from:?} once");
            text = text.replace(from, to);
        }
        for (from, to) in ports {
            text = text.replace(&from, &to);
        }
        let config = house.home.path().join(format!("envoy-{}.yaml", address.port()));
        fs::write(&config, text).expect("a configuration");
        let envoy = at("target/clients/envoy/bin/envoy");
        assert!(envoy.exists(), "no Envoy: ./dev setup installs it");
        let mut command = Command::new(envoy);
        command
            .args(["--disable-hot-restart", "--concurrency", "1", "--log-level", "error", "-c"])
            .arg(config);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().expect("Envoy starts");
        let edge = Self { child, address, api, witness };
        for _ in 0..300 {
            if TcpStream::connect(address).is_ok() {
                return edge;
            }
            thread::sleep(Duration::from_millis(50));
        }
        panic!("Envoy does not listen");
    }
}

impl Drop for Edge {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port that is free now.
pub(crate) fn free_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port")
}

pub(crate) fn at(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}
