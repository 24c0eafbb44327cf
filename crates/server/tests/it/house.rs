//! The house that every test is made in: the production app, served as in production on a port of its own. Only the
//! edges differ: a clock that stands until it is moved, and chance that is the same in every run.

use std::{
    path::PathBuf,
    sync::{
        Arc, LazyLock, Mutex,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use keygate_authority::{
    Settings,
    factor::{FactorEntropy, FactorState, RECOVERY_CODES, code_at},
    password::{NewPassword, Password},
    service::NewService,
    user::NewUser,
};
use keygate_model::{
    CustomerId, Permit, Policy, ServiceId, Timestamp, UserId, policy::OWN_POLICY, user::Login,
};
use keygate_server::{
    app::{App, Parts},
    config::EVENT_RETENTION_DAYS,
    edge::{Clock, Rng},
    outbox::Outbox,
    quota::Limits,
    serve::serve,
    ways::Doorway,
};
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};

mod cache;
mod mould;
mod wire;

pub(crate) use cache::Cache;
pub(crate) use mould::Mould;
pub(crate) use wire::{Ask, Caller, Reply, exchange, form};

/// Everybody's.
pub(crate) const PASSWORD: &str = "correct horse battery staple";

/// When everything begins: 2027-01-15T08:00:00Z, the first second of a one-time code.
pub(crate) const NOON: Timestamp = Timestamp::from_seconds(1_800_000_000);

/// A server with two people in one customer.
pub(crate) struct House {
    pub(crate) node: Node,
    pub(crate) customer: CustomerId,
    /// A superuser with a second factor.
    pub(crate) ada: Person,
    /// An engineer without.
    pub(crate) bob: Person,
    ground: Arc<Ground>,
}

/// One server process, but for the process.
pub(crate) struct Node {
    pub(crate) app: Arc<App>,
    pub(crate) anon: Caller,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<()>,
}

/// What outlives a restart. Its directory goes with the last node on it.
struct Ground {
    dir: PathBuf,
    openings: AtomicU64,
    quota: Limits,
    public_url: Option<String>,
}

/// Somebody with a password, and perhaps a second factor.
#[derive(Clone)]
pub(crate) struct Person {
    pub(crate) id: UserId,
    pub(crate) login: String,
    pub(crate) recovery: Vec<String>,
    seed: Option<[u8; 20]>,
}

/// A token as its owner has it.
#[derive(Clone)]
pub(crate) struct Token {
    pub(crate) id: String,
    pub(crate) secret: String,
}

impl House {
    pub(crate) async fn new() -> Self {
        Self::with_quota(Limits::default()).await
    }

    /// In which an hour allows this much.
    pub(crate) async fn with_quota(quota: Limits) -> Self {
        Self::on(Ground::new(quota, None)).await
    }

    /// Whose clients see it under this address.
    pub(crate) async fn at(address: &str) -> Self {
        Self::on(Ground::new(Limits::default(), Some(address.to_owned()))).await
    }

    async fn on(ground: Ground) -> Self {
        let ground = Arc::new(ground);
        let node = Node::open(&ground, NOON).await;
        let id = node.app.customer_id().expect("chance");
        let origin = node.app.local_origin();
        let customer = node.app.authority.create_customer(&origin, id, "Acme").await.expect("a customer").id;
        let mut ada = node.person(customer, "ada@example.com", "superuser", PASSWORD).await;
        node.enrol(customer, &mut ada, FactorState::On).await;
        let bob = node.person(customer, "bob@example.com", "engineer", PASSWORD).await;
        Self { node, customer, ada, bob, ground }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.node.app.clock.now()
    }

    /// Moves the clock.
    pub(crate) fn advance(&self, by: Duration) {
        let Clock::Manual(micros) = &self.node.app.clock else { panic!("a test's clock is moved by hand") };
        micros.fetch_add(i64::try_from(by.as_micros()).expect("a short while"), Ordering::Relaxed);
    }

    pub(crate) fn operator(&self) -> Permit {
        Permit::of_the_operator(self.customer)
    }

    pub(crate) fn db(&self) -> PathBuf {
        self.ground.db()
    }

    /// The first letter that went to somebody: nobody's answer waits for it.
    pub(crate) async fn letter(&self) -> serde_json::Value {
        for _ in 0..500 {
            if let Some(letter) = self.letters().into_iter().next() {
                return letter;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("no letter")
    }

    /// What went to people, the oldest first.
    pub(crate) fn letters(&self) -> Vec<serde_json::Value> {
        let lines = std::fs::read_to_string(self.ground.outbox()).unwrap_or_default();
        lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }

    /// Whoever shows nothing.
    pub(crate) fn anon(&self) -> &Caller {
        &self.node.anon
    }

    /// Whoever shows this token.
    pub(crate) fn with(&self, token: &Token) -> Caller {
        self.node.anon.showing(&token.secret)
    }

    /// `POST /tokens` with this login and password, a code if there is one, and more fields.
    pub(crate) fn log_in(
        &self,
        login: &str,
        password: &str,
        otp: Option<&str>,
        more: &[(&str, &str)],
    ) -> Ask {
        let fields = [&[("username", login), ("password", password)], more].concat();
        let ask = self.anon().ask("POST", "/tokens").form(&fields);
        otp.into_iter().fold(ask, |ask, otp| ask.header("Fastly-OTP", otp))
    }

    /// A new token for a person. Every code is good for once, so somebody with a second factor waits for the next.
    pub(crate) async fn token(&self, person: &Person, more: &[(&str, &str)]) -> Token {
        if person.seed.is_some() {
            self.advance(Duration::from_secs(30));
        }
        let code = person.seed.map(|_| person.code(self.now()));
        let reply = self.log_in(&person.login, PASSWORD, code.as_deref(), more).send().await;
        assert_eq!(reply.status, 200, "{reply:?}");
        let body = reply.json();
        let text = |name: &str| body[name].as_str().expect("a text").to_owned();
        Token { id: text("id"), secret: text("access_token") }
    }

    /// Five minutes of sudo on a token.
    pub(crate) async fn sudo(&self, token: &Token) {
        let reply = self.with(token).ask("POST", "/sudo").form(&[("password", PASSWORD)]).send().await;
        assert_eq!(reply.status, 200, "{reply:?}");
    }

    pub(crate) async fn service(&self, new: NewService) -> String {
        self.node.service(self.customer, new).await.to_string()
    }

    /// Stops, and starts again on the same files, at the same moment.
    pub(crate) async fn restart(self) -> Self {
        let now = self.now();
        let Self { node, customer, ada, bob, ground } = self;
        node.close().await;
        Self { node: Node::open(&ground, now).await, customer, ada, bob, ground }
    }

    /// Another server on the same files, at the same moment.
    pub(crate) async fn beside(&self) -> Node {
        Node::open(&self.ground, self.now()).await
    }
}

impl Node {
    async fn open(ground: &Ground, now: Timestamp) -> Self {
        // Every opening draws from a part of its own, or it would repeat the ids of the one before.
        let opening = ground.openings.fetch_add(1, Ordering::Relaxed);
        let app = App::open(Parts {
            settings: ground.settings(),
            clock: Clock::Manual(AtomicI64::new(now.micros())),
            rng: Rng::Seeded(Mutex::new(opening * 1_000_000)),
            brand: keygate_model::token::Brand::default(),
            public_url: ground.public_url.clone(),
            outbox: Outbox::new(Some(ground.outbox())),
            event_retention_days: EVENT_RETENTION_DAYS,
            quota: ground.quota,
            name: "this node".to_owned(),
            lease: keygate_gate::Lease::DEFAULT,
            is_beside: false,
            feed: keygate_server::feed::Settings::default(),
        });
        let app = app.expect("the house opens");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let anon = Caller::anon(listener.local_addr().expect("an address"));
        let (stop, stopped) = oneshot::channel::<()>();
        let serving =
            tokio::spawn(serve(vec![(listener.into(), Doorway::everything())], Arc::clone(&app), async {
                drop(stopped.await);
            }));
        Self { app, anon, stop, serving }
    }

    async fn close(self) {
        drop(self.stop);
        self.serving.await.expect("the server stops in peace");
    }

    pub(crate) async fn person(
        &self,
        customer: CustomerId,
        login: &str,
        role: &str,
        password: &str,
    ) -> Person {
        let new = NewUser {
            id: self.app.user_id().expect("chance"),
            login: Login::parse(login).expect("a login"),
            name: login.to_owned(),
            role: role.to_owned(),
            limited: false,
            password: Some(NewPassword {
                password: Password::parse(password).expect("a password"),
                salt: self.app.rng.bytes().expect("chance"),
            }),
        };
        let (permit, origin) = (Permit::of_the_operator(customer), self.app.local_origin());
        let id = self.app.authority.create_user(&permit, &origin, new).await.expect("a person").id;
        Person { id, login: login.to_owned(), recovery: Vec::new(), seed: None }
    }

    /// Gives a person a second factor.
    pub(crate) async fn enrol(&self, customer: CustomerId, person: &mut Person, state: FactorState) {
        let rng = &self.app.rng;
        let mut recovery = [[0; 15]; RECOVERY_CODES];
        recovery.fill_with(|| rng.bytes().expect("chance"));
        let (seed, nonce) = (rng.bytes().expect("chance"), rng.bytes().expect("chance"));
        let entropy = FactorEntropy { seed, nonce, recovery };
        let (permit, origin) = (Permit::of_the_operator(customer), self.app.local_origin());
        let shown = self.app.authority.enrol_factor(&permit, &origin, person.id, entropy, state).await;
        let codes = shown.expect("a factor").recovery_codes;
        (person.seed, person.recovery) = (Some(seed), codes.iter().map(|code| code.to_string()).collect());
    }

    async fn service(&self, customer: CustomerId, new: NewService) -> ServiceId {
        let (permit, origin) = (Permit::of_the_operator(customer), self.app.local_origin());
        let id = self.app.service_id().expect("chance");
        self.app.authority.create_service(&permit, &origin, id, new).await.expect("a service").id
    }
}

impl Person {
    /// The code that their authenticator shows.
    pub(crate) fn code(&self, now: Timestamp) -> String {
        code_at(&self.seed.expect("a second factor"), now)
    }

    /// Six digits that are not the code of any step about now.
    pub(crate) fn wrong_code(&self, now: Timestamp) -> String {
        let steps = [-60, -30, 0, 30].map(|off| self.code(Timestamp::from_seconds(now.seconds() + off)));
        let mut codes = (0..).map(|n| format!("{n:06}"));
        codes.find(|code| !steps.contains(code)).expect("a million are more than four")
    }
}

impl Ground {
    fn new(quota: Limits, public_url: Option<String>) -> Self {
        static HOUSES: AtomicU64 = AtomicU64::new(0);
        let name = format!("keygate-it-{}-{}", std::process::id(), HOUSES.fetch_add(1, Ordering::Relaxed));
        let dir = std::env::temp_dir().join(name);
        std::fs::create_dir(&dir).expect("a directory of its own");
        Self { dir, openings: AtomicU64::new(0), quota, public_url }
    }

    fn db(&self) -> PathBuf {
        self.dir.join("keygate.db")
    }

    /// Where one-time links go.
    fn outbox(&self) -> PathBuf {
        self.dir.join("outbox.jsonl")
    }

    fn settings(&self) -> Settings {
        static POLICY: LazyLock<Arc<Policy>> = LazyLock::new(|| {
            let policy = Policy::compile(OWN_POLICY).expect("the own policy compiles");
            Arc::new(policy.at(vec!["keygate.test".to_owned()]))
        });
        Settings::new(&self.db(), Arc::clone(&POLICY), [7; 32])
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        // What is left behind in a temporary directory fails no test.
        drop(std::fs::remove_dir_all(&self.dir));
    }
}
