//! The example, run as its README says: allowed, denied, revoked.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use keygate_authority::{
    Authority, Origin, Settings,
    token::{Import, ImportOwner, ImportedSecret},
};
use keygate_model::{
    CustomerId, Expiry, Permit, Policy, PolicyId, Timestamp, policy::OWN_POLICY, token::Brand,
};

struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

struct Service(Child, SocketAddr);

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Service {
    fn start(db: &std::path::Path) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_axum-service"));
        let mut child =
            command.arg(db).arg("127.0.0.1:0").stdout(Stdio::piped()).spawn().expect("the example starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("its words")).read_line(&mut line).expect("a line");
        let address = line.trim().rsplit(' ').next().and_then(|at| at.parse().ok());
        Self(child, address.expect("an address"))
    }

    fn ask(&self, method: &str, path: &str, secret: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.1).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a limit");
        let key = if secret.is_empty() { String::new() } else { format!("Fastly-Key: {secret}\r\n") };
        let request =
            format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n{key}Connection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        (status, answer)
    }
}

/// The authority on the example's database, as `keygate` opens it beside a running service.
fn open(db: &std::path::Path) -> Authority {
    let policy = Policy::compile(OWN_POLICY).expect("the own policy compiles");
    Authority::open_silently(Settings::new(db, Arc::new(policy), [7; 32])).expect("a database")
}

fn key(number: u8, scope: &str) -> Import {
    let secret = format!("an-existing-key-{number}");
    Import {
        id: keygate_model::TokenId::from_bits(u128::from(number)),
        secret: ImportedSecret::of_secret(secret.as_bytes(), &Brand::default()).expect("a key"),
        name: secret,
        owner: ImportOwner::Role("engineer".to_owned()),
        scope: scope.to_owned(),
        services: None,
        expires: Expiry::Never,
    }
}

#[tokio::test]
async fn it_lets_in_whom_the_policy_lets_in_until_they_are_revoked() {
    let folder = Folder(std::env::temp_dir().join(format!("keygate-example-{}", std::process::id())));
    std::fs::create_dir(&folder.0).expect("a folder");
    let db = folder.0.join("keygate.db");
    let authority = open(&db);
    let (origin, customer) =
        (Origin::local(Timestamp::from_seconds(1_800_000_000)), CustomerId::from_bits(1));
    authority.create_customer(&origin, customer, "Acme").await.expect("a customer");
    let policy = include_str!("../orders.toml").to_owned();
    authority.apply_policy(&origin, PolicyId::from_bits(2), policy).await.expect("the example's policy");
    // Opened anew, it knows the scopes of the policy.
    let authority = open(&db);
    let operator = Permit::of_the_operator(customer);
    let keys = vec![key(1, "orders:read"), key(2, "orders")];
    authority.import_tokens(&operator, &origin, keys, false, |_| ()).await.expect("two keys");

    let service = Service::start(&db);
    let (reader, writer) = ("an-existing-key-1", "an-existing-key-2");
    let (status, answer) = service.ask("GET", "/orders/17", reader);
    assert!(status == 200 && answer.contains("17"), "{answer}");
    let (status, answer) = service.ask("POST", "/orders", reader);
    assert!(status == 403 && answer.contains("insufficient_scope"), "{answer}");
    assert_eq!(service.ask("POST", "/orders", writer).0, 200);
    let (status, answer) = service.ask("GET", "/orders/17", "");
    assert!(status == 401 && answer.contains("credential_missing"), "{answer}");
    assert_eq!(service.ask("GET", "/orders/17", "an-existing-key-3").0, 401);
    assert_eq!(service.ask("GET", "/orders//17", reader).0, 400);
    assert_eq!(service.ask("GET", "/customers", reader).0, 403);

    authority.revoke(&operator, &origin, vec![keygate_model::TokenId::from_bits(1)]).await.expect("a revoke");
    let gone = (0..100).any(|_| {
        std::thread::sleep(Duration::from_millis(50));
        service.ask("GET", "/orders/17", reader).0 == 401
    });
    assert!(gone, "a revoke beside the service reaches it");
}
