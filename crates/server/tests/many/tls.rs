//! A database server on the network, reached over TLS, whose certificate must be right.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use crate::process::Home;

/// A server that speaks TLS on a port of this machine; stopped and removed when dropped.
struct Server {
    folder: PathBuf,
    port: u16,
}

impl Server {
    fn start() -> Self {
        let folder = PathBuf::from(format!("/tmp/keygate-tls-{}", std::process::id()));
        fs::create_dir(&folder).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let server = Self { folder, port };
        server.run("start", &[]);
        server.run("stop", &[]);
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let data = server.folder.join("data");
        // Rewritten in place, so that they stay the server's user's, as it demands of its key.
        for (name, text) in
            [("server.crt", made.cert.pem()), ("server.key", made.signing_key.serialize_pem())]
        {
            fs::copy(data.join("PG_VERSION"), data.join(name)).unwrap();
            fs::write(data.join(name), text).unwrap();
            let done = Command::new("chown")
                .arg("--reference")
                .arg(data.join("PG_VERSION"))
                .arg(data.join(name))
                .status();
            assert!(done.unwrap().success());
        }
        let mode = Command::new("chmod").arg("600").arg(data.join("server.key")).status();
        assert!(mode.unwrap().success());
        fs::write(server.folder.join("right.pem"), made.cert.pem()).unwrap();
        fs::write(server.folder.join("other.pem"), other.cert.pem()).unwrap();
        let port = format!("port={port}");
        server.run("start", &["-c ssl=on", "-c listen_addresses=127.0.0.1", &format!("-c {port}")]);
        server
    }

    fn run(&self, verb: &str, further: &[&str]) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/postgres/server");
        let done = Command::new(script).arg(verb).arg(&self.folder).args(further).output().unwrap();
        assert!(done.status.success(), "{verb}: {}", String::from_utf8_lossy(&done.stderr));
    }

    /// An address of it, with this certificate as the only one to be trusted.
    fn address(&self, host: &str, certificate: Option<&str>) -> String {
        let trusted = certificate.map(|name| format!("&sslrootcert={}", self.folder.join(name).display()));
        let trusted = trusted.unwrap_or_default();
        format!("postgres://postgres@{host}:{}/postgres?sslmode=require{trusted}", self.port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/postgres/server");
        drop(Command::new(script).arg("stop").arg(&self.folder).output());
        drop(fs::remove_dir_all(&self.folder));
    }
}

#[test]
fn a_database_is_reached_over_tls_and_only_with_the_right_certificate() {
    let (server, home) = (Server::start(), Home::new());
    let migrate = |address: &str| -> Output { home.command(&["migrate", "--db", address]).output().unwrap() };
    for (host, certificate, why) in [
        ("localhost", Some("other.pem"), "invalid peer certificate"),
        ("localhost", None, "invalid peer certificate"),
        // The certificate is for a name, and this is another way there.
        ("127.0.0.1", Some("right.pem"), "not valid for name"),
    ] {
        let refused = migrate(&server.address(host, certificate));
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(!refused.status.success() && said.contains(why), "{host} {certificate:?}: {said}");
    }
    let done = migrate(&server.address("localhost", Some("right.pem")));
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}
