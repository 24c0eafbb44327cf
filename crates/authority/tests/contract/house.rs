//! The house that every contract is tried in: a database of its own, a clock that stands, chance that
//! counts, and a sink that remembers what it was told.

use std::{
    path::PathBuf,
    sync::{
        Arc, LazyLock, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use keygate_authority::{
    Authority, Fault, Origin, Settings, Sink, event,
    factor::{FactorEntropy, FactorState, code_at},
    login::{Attempt, LoginLimits},
    password::{NewPassword, Password},
    service,
    token::{Minted, Order, Row},
    user::{Changes, NewUser},
};
use keygate_gate::Gate;
use keygate_model::{
    Action, Actor, Batch, Circumstances, CustomerId, Expiry, Permit, Policy, Position, Record, ServiceId,
    Services, Standing, Subject, Timestamp, TokenId, UserId, Verdict, Want,
    authorization::Reach,
    customer::{CustomerState, Rules},
    decide,
    decide::WantedService,
    otp::Otp,
    policy::OWN_POLICY,
    record::TokenRecord,
    token::{Brand, Kind},
    user::{Login, UserState},
};

use crate::store::Store;

pub(crate) const PASSWORD: &str = "correct horse battery staple";

pub(crate) static POLICY: LazyLock<Arc<Policy>> =
    LazyLock::new(|| Arc::new(Policy::compile(OWN_POLICY).expect("the own policy compiles")));

/// The moment at which everything happens unless a test says otherwise; a step of one-time codes begins with it.
pub(crate) const fn noon() -> Timestamp {
    Timestamp::from_seconds(1_800_000_000)
}

pub(crate) fn seconds_later(seconds: u64) -> Timestamp {
    noon().after(Duration::from_secs(seconds))
}

pub(crate) fn at(now: Timestamp) -> Origin {
    Origin::new(now, "192.0.2.7".to_owned(), "request-1".to_owned())
}

pub(crate) struct House {
    pub(crate) authority: Authority,
    pub(crate) told: Told,
    /// What a gate says that follows this authority.
    pub(crate) gate: Arc<Gate>,
    pub(crate) ground: Arc<Ground>,
}

/// What outlives a restart. Its directory goes with the last house on it.
pub(crate) struct Ground {
    pub(crate) dir: PathBuf,
    pub(crate) store: Store,
    draws: AtomicU64,
    limits: LoginLimits,
}

pub(crate) struct Person {
    pub(crate) id: UserId,
    pub(crate) customer: CustomerId,
    pub(crate) login: Login,
}

pub(crate) struct Authenticator {
    pub(crate) seed: [u8; 20],
    pub(crate) recovery: Vec<String>,
}

impl House {
    /// A new house whose limiter never gets in the way.
    pub(crate) fn new() -> Self {
        Self::with_burst(10_000)
    }

    /// A new house in which a login may fail this often at once.
    pub(crate) fn with_burst(burst: u32) -> Self {
        static HOUSES: AtomicU64 = AtomicU64::new(0);
        let name =
            format!("keygate-contract-{}-{}", std::process::id(), HOUSES.fetch_add(1, Ordering::Relaxed));
        let dir = std::env::temp_dir().join(name);
        std::fs::create_dir(&dir).expect("a directory of its own");
        let limits = LoginLimits { burst, refill: Duration::from_secs(60) };
        let store = Store::new(&dir);
        Self::on(Arc::new(Ground { dir, store, draws: AtomicU64::new(0), limits }))
    }

    /// Stops, and starts again on the same ground. What was told before is forgotten.
    pub(crate) fn reopen(self) -> Self {
        let ground = Arc::clone(&self.ground);
        drop(self);
        Self::on(ground)
    }

    /// A house where there was one.
    pub(crate) fn again(ground: Arc<Ground>) -> Self {
        Self::on(ground)
    }

    /// Another authority on the same database.
    pub(crate) fn beside(&self) -> Self {
        Self::on(Arc::clone(&self.ground))
    }

    fn on(ground: Arc<Ground>) -> Self {
        let told = Told::default();
        let gate = Arc::new(Gate::new(Arc::clone(&POLICY), 64));
        let (mut remember, follower) = (told.sink(), Arc::clone(&gate));
        let sink: Sink = Box::new(move |batch: Batch| {
            follower.apply(batch.clone());
            remember(batch);
        });
        let authority = Authority::open(ground.settings(), sink).expect("the house opens");
        gate.open();
        Self { authority, told, gate, ground }
    }

    pub(crate) async fn customer(&self) -> CustomerId {
        let id = CustomerId::from_bytes(self.ground.draw());
        self.authority.create_customer(&at(noon()), id, "Ada's").await.expect("a customer").id
    }

    /// A superuser in a customer of their own.
    pub(crate) async fn person(&self, login: &str) -> Person {
        let customer = self.customer().await;
        self.colleague(customer, login).await
    }

    pub(crate) async fn colleague(&self, customer: CustomerId, login: &str) -> Person {
        self.hire(customer, login, "superuser", false).await
    }

    pub(crate) async fn hire(&self, customer: CustomerId, login: &str, role: &str, limited: bool) -> Person {
        let login = Login::parse(login).expect("a login");
        let new = NewUser {
            id: UserId::from_bytes(self.ground.draw()),
            login: login.clone(),
            name: "Ada".to_owned(),
            role: role.to_owned(),
            limited,
            password: Some(self.new_password(PASSWORD)),
        };
        let made = self.authority.create_user(&operator(customer), &at(noon()), new).await.expect("a person");
        Person { id: made.id, customer, login }
    }

    pub(crate) fn new_password(&self, text: &str) -> NewPassword {
        NewPassword { password: password(text), salt: self.ground.draw() }
    }

    /// Locks somebody, or unlocks them.
    pub(crate) async fn lock(&self, person: &Person, locked: bool) -> Result<(), Fault> {
        let (permit, changes) = (operator(person.customer), Changes::locked(locked));
        self.authority.update_user(&permit, &at(noon()), person.id, changes).await.map(drop)
    }

    pub(crate) async fn enrol(&self, person: &Person, state: FactorState) -> Authenticator {
        self.try_enrol(person, state).await.expect("a factor")
    }

    pub(crate) async fn try_enrol(
        &self,
        person: &Person,
        state: FactorState,
    ) -> Result<Authenticator, Fault> {
        let (seed, nonce) = (self.ground.draw(), self.ground.draw());
        let recovery = std::array::from_fn(|_| self.ground.draw());
        let entropy = FactorEntropy { seed, nonce, recovery };
        let (operator, origin) = (operator(person.customer), at(noon()));
        let shown = self.authority.enrol_factor(&operator, &origin, person.id, entropy, state).await?;
        let recovery = shown.recovery_codes.iter().map(|code| code.to_string()).collect();
        Ok(Authenticator { seed, recovery })
    }

    /// A token of everything, by password.
    pub(crate) async fn token(&self, person: &Person) -> Row {
        self.order(person, Order::default()).await.expect("a token")
    }

    pub(crate) async fn order(&self, person: &Person, order: Order) -> Result<Row, Fault> {
        self.log_in(attempt(person.login.as_str(), PASSWORD, None), order, noon()).await
    }

    /// A token of everything, by password and code.
    pub(crate) async fn try_code(&self, person: &Person, code: &str, now: Timestamp) -> Result<Row, Fault> {
        self.log_in(attempt(person.login.as_str(), PASSWORD, Some(code)), Order::default(), now).await
    }

    pub(crate) async fn log_in(&self, attempt: Attempt, order: Order, now: Timestamp) -> Result<Row, Fault> {
        let minted = self.ground.mint();
        let issued =
            self.authority.create_token_by_password(&at(now), attempt, order, minted, |_| true).await;
        issued.map(|issued| issued.row)
    }

    /// A token made by a token.
    pub(crate) async fn child(&self, parent: &Row, order: Order) -> Result<Row, Fault> {
        let minted = self.ground.mint();
        let permit = permit(parent, Action::TOKEN_CREATE, None);
        self.authority.create_token(&permit, &at(noon()), order, minted).await.map(|issued| issued.row)
    }

    pub(crate) async fn revoke(&self, by: &Row, ids: &[TokenId]) -> Result<(), Fault> {
        self.authority
            .revoke(&permit(by, Action::TOKEN_REVOKE, None), &at(seconds_later(60)), ids.to_vec())
            .await
    }

    pub(crate) async fn service(&self, customer: CustomerId, name: &str) -> ServiceId {
        let new = service::NewService { name: name.to_owned(), ..Default::default() };
        let id = ServiceId::from_bytes(self.ground.draw());
        self.authority.create_service(&operator(customer), &at(noon()), id, new).await.expect("a service").id
    }

    /// Everything that has happened in a customer's house, oldest first.
    pub(crate) async fn events(&self, customer: CustomerId) -> Vec<event::Row> {
        let filter = event::Filter { oldest_first: true, ..Default::default() };
        self.authority.events(&operator(customer), filter, 1, 100_000).await.expect("events").rows
    }

    /// How many events there are, in all houses; and that the record is whole.
    pub(crate) async fn count(&self) -> i64 {
        let findings = self.authority.audit().await.expect("an audit");
        assert_eq!(findings.bad, [], "the record is whole");
        i64::try_from(findings.events).expect("a number")
    }

    /// The kinds of the events after the first `seen`, with the reason where there is one.
    pub(crate) async fn since(&self, seen: i64, customer: CustomerId) -> Vec<String> {
        let events = self.events(customer).await.into_iter().filter(|event| event.position > Position(seen));
        let told = |event: event::Row| {
            let details = details(&event);
            details["reason"]
                .as_str()
                .map_or(event.kind.clone(), |reason| format!("{}: {reason}", event.kind))
        };
        events.map(told).collect()
    }
}

impl Ground {
    pub(crate) fn settings(&self) -> Settings {
        let mut settings = Settings::new(self.store.db(), Arc::clone(&POLICY), [7; 32]);
        settings.key = self.dir.join("keygate.db.key");
        settings.login_limits = self.limits;
        settings.hashing = (2, 128);
        settings
    }

    /// Bytes that were never drawn before, and the same in every run.
    pub(crate) fn draw<const N: usize>(&self) -> [u8; N] {
        let count = self.draws.fetch_add(1, Ordering::Relaxed) + 1;
        std::array::from_fn(|place| count.to_be_bytes()[place % 8])
    }

    pub(crate) fn mint(&self) -> Minted {
        Minted::new(&Brand::default(), Kind::User, self.draw(), &self.draw())
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        // What is left behind in a temporary directory fails no test.
        drop(std::fs::remove_dir_all(&self.dir));
    }
}

impl Authenticator {
    pub(crate) fn code(&self, now: Timestamp) -> String {
        code_at(&self.seed, now)
    }

    /// Six digits that are neither the code of now nor of the step before.
    pub(crate) fn wrong_code(&self, now: Timestamp) -> String {
        let before = Timestamp::from_seconds(now.seconds() - 30);
        let right = [self.code(now), self.code(before)];
        ["000000", "111111", "222222"]
            .into_iter()
            .find(|code| !right.contains(&(*code).to_owned()))
            .expect("one")
            .into()
    }
}

pub(crate) fn password(text: &str) -> Password {
    Password::parse(text).expect("short enough")
}

pub(crate) fn attempt(login: &str, text: &str, code: Option<&str>) -> Attempt {
    let login = Login::parse(login).expect("a login");
    Attempt { login, password: password(text), otp: code.map(|code| Otp::parse(code.as_bytes())) }
}

pub(crate) fn operator(customer: CustomerId) -> Permit {
    Permit::of_the_operator(customer)
}

/// The permit of a token for one action, as a gate would give it to a token that may do all.
pub(crate) fn permit(by: &Row, action: Action, service: Option<ServiceId>) -> Permit {
    let everything = POLICY.scope("global").expect("the scope of everything");
    let standing = Standing {
        token: by.id,
        actor: Actor::Token { token: by.id, customer: by.customer, user: by.user() },
        customer: by.customer,
        scope: &everything,
        role: &everything,
        services: &Services::All,
        reach: &Reach::All,
        expires: Expiry::Never,
        sudo_until: Some(seconds_later(1)),
        owner_state: UserState::Active,
        customer_state: CustomerState::Active,
        rules: Rules::none(),
        lacks_factor: false,
        unsure: None,
    };
    let want = Want { action, service: service.map(|id| WantedService::Known(id, by.customer)) };
    match decide(&POLICY, &standing, &want, Circumstances::of(noon(), None)) {
        Verdict::Allow(permit) => permit,
        verdict => panic!("no permit: {verdict:?}"),
    }
}

/// The details of an event, whatever order they are written in.
pub(crate) fn details(event: &event::Row) -> serde_json::Value {
    serde_json::from_str(&event.metadata).expect("JSON")
}

/// A result in a word, for tables.
pub(crate) fn said<T>(result: Result<T, Fault>) -> String {
    match result {
        Ok(_) => "fine".to_owned(),
        Err(Fault::Missing { noun, .. }) => format!("missing {noun}"),
        Err(Fault::Deleted { noun, .. }) => format!("deleted {noun}"),
        Err(Fault::Taken { noun, .. }) => format!("taken {noun}"),
        Err(Fault::Tampered { noun, .. }) => format!("tampered {noun}"),
        Err(Fault::Invalid { code, .. } | Fault::Refused { code, .. }) => code.to_owned(),
        Err(Fault::Wider { .. }) => "wider".to_owned(),
        Err(Fault::Login(refusal)) => format!("{refusal:?}"),
        Err(Fault::KeyFile(_)) => "key file".to_owned(),
        Err(Fault::Storage(_)) => "storage".to_owned(),
        Err(other) => format!("{other:?}"),
    }
}

/// All that a sink was told, in order.
#[derive(Clone, Default)]
pub(crate) struct Told(Arc<Mutex<Vec<Batch>>>);

impl Told {
    pub(crate) fn sink(&self) -> Sink {
        let told = self.clone();
        Box::new(move |batch| told.batches().push(batch))
    }

    pub(crate) fn batches(&self) -> MutexGuard<'_, Vec<Batch>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn position(&self) -> Position {
        self.batches().last().expect("a snapshot at least").position
    }

    /// The last that was told of a thing.
    pub(crate) fn last_about(&self, subject: Subject) -> Option<Record> {
        let batches = self.batches();
        let mut records = batches.iter().rev().flat_map(|batch| batch.records.iter().rev());
        records.find(|record| subject_of(record) == subject).cloned()
    }

    pub(crate) fn token(&self, id: TokenId) -> Option<TokenRecord> {
        let batches = self.batches();
        let mut records = batches.iter().rev().flat_map(|batch| batch.records.iter().rev());
        records.find_map(|record| match record {
            Record::Token(token) if token.id == id => Some(Some(token.clone())),
            Record::Broken(Subject::Token(broken)) if *broken == id => Some(None),
            Record::Revoked(revoked) if revoked.tokens.iter().any(|(token, _)| *token == id) => Some(None),
            _ => None,
        })?
    }

    /// Whether a gate behind this sink would let the token pass.
    pub(crate) fn lives(&self, id: TokenId) -> bool {
        // A log that is broken closes the gate: nothing passes, whatever was told.
        let believed = self.last_about(Subject::None).is_none();
        believed && self.token(id).is_some_and(|record| !record.revoked)
    }
}

fn subject_of(record: &Record) -> Subject {
    match record {
        Record::Customer(record) => Subject::Customer(record.id),
        Record::User(record) => Subject::User(record.id),
        Record::Service(record) => Subject::Service(record.id),
        Record::Token(record) => Subject::Token(record.id),
        Record::Policy(policy) => Subject::Policy(policy.id),
        Record::Revoked(revoked) => Subject::MassRevoke(revoked.by),
        Record::Broken(subject) => *subject,
    }
}
