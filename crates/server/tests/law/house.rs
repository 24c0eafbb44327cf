//! An authority with a gate behind it, on a database that nobody waits for.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{
        Arc, LazyLock, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use keygate_authority::{Authority, Origin, Settings, db::Sync, service::NewService, token::Minted};
use keygate_gate::Gate;
use keygate_model::{
    Action, Batch, Circumstances, CustomerId, Digest, Permit, Policy, Record, ServiceId, Timestamp, TokenId,
    Verdict, Want,
    policy::OWN_POLICY,
    record::{Owner, TokenRecord},
    token::{Brand, Kind},
};

use crate::book::Book;

pub(crate) static POLICY: LazyLock<Arc<Policy>> =
    LazyLock::new(|| Arc::new(Policy::compile(OWN_POLICY).expect("the own policy compiles")));

pub(crate) static BOOK: LazyLock<Book> = LazyLock::new(|| Book::read(&POLICY));

/// What the gate was told of each token last.
type Told = Arc<Mutex<HashMap<TokenId, TokenRecord>>>;

pub(crate) struct House {
    pub(crate) authority: Authority,
    pub(crate) gate: Arc<Gate>,
    /// Somebody else's service.
    pub(crate) foreign: ServiceId,
    told: Told,
    draws: AtomicU64,
    // After the authority: its directory goes when nothing is open in it.
    _ground: Ground,
}

struct Ground(PathBuf);

impl House {
    pub(crate) async fn new() -> Self {
        static HOUSES: AtomicU64 = AtomicU64::new(0);
        let name = format!("keygate-law-{}-{}", std::process::id(), HOUSES.fetch_add(1, Ordering::Relaxed));
        let ground = Ground(std::env::temp_dir().join(name));
        std::fs::create_dir(&ground.0).expect("a directory of its own");
        let mut settings = Settings::new(&ground.0.join("keygate.db"), Arc::clone(&POLICY), [7; 32]);
        settings.sync = Sync::OffForFaultTests;
        let gate = Arc::new(Gate::new(Arc::clone(&POLICY), 0));
        let (fed, told) = (Arc::clone(&gate), Told::default());
        let notes = Arc::clone(&told);
        let sink = move |batch: Batch| {
            for record in &batch.records {
                if let Record::Token(token) = record {
                    notes.lock().unwrap_or_else(PoisonError::into_inner).insert(token.id, token.clone());
                }
            }
            fed.apply(batch);
        };
        let authority = Authority::open(settings, Box::new(sink)).expect("the house opens");
        gate.open();
        let (foreign, draws) = (ServiceId::from_bits(0), AtomicU64::new(0));
        let mut house = Self { authority, gate, foreign, told, draws, _ground: ground };
        let stranger = CustomerId::from_bytes(house.draw());
        let origin = at(Timestamp::from_seconds(0));
        house.authority.create_customer(&origin, stranger, "Beta").await.expect("a customer");
        house.foreign = house.service(stranger).await;
        house
    }

    pub(crate) async fn service(&self, customer: CustomerId) -> ServiceId {
        let id = ServiceId::from_bytes(self.draw());
        let new = NewService { name: id.to_string(), ..NewService::default() };
        let (permit, origin) = (Permit::of_the_operator(customer), at(Timestamp::from_seconds(0)));
        self.authority.create_service(&permit, &origin, id, new).await.expect("a service").id
    }

    /// Bytes that were never drawn before.
    pub(crate) fn draw<const N: usize>(&self) -> [u8; N] {
        let count = self.draws.fetch_add(1, Ordering::Relaxed) + 1;
        std::array::from_fn(|place| count.to_be_bytes()[place % 8])
    }

    pub(crate) fn mint(&self, kind: Kind) -> Minted {
        Minted::new(&Brand::default(), kind, self.draw(), &self.draw())
    }

    /// What the gate was told last.
    pub(crate) fn told(&self, token: TokenId) -> TokenRecord {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)[&token].clone()
    }

    pub(crate) fn decide(
        &self,
        digest: &Digest,
        action: Action,
        service: Option<ServiceId>,
        now: Timestamp,
    ) -> Verdict {
        let want = Want { action, service: service.map(|id| self.gate.wanted_id(id)) };
        self.gate.decide(digest, &want, Circumstances::of(now, None))
    }

    /// What the gate says with sudo on the token. To start sudo takes a password, and hashing that takes long: so the gate
    /// is told of it directly, and told the truth again afterwards.
    pub(crate) fn in_sudo(&self, token: TokenId, now: Timestamp, ask: impl FnOnce()) {
        let truth = self.told(token);
        if truth.revoked || matches!(truth.owner, Owner::Customer { .. }) {
            return ask();
        }
        let until = now.after(std::time::Duration::from_secs(300));
        let tell = |record: TokenRecord| {
            let records = vec![Record::Token(record)];
            self.gate.apply(Batch { position: self.gate.position(), records });
        };
        tell(TokenRecord { sudo_until: Some(until), ..truth.clone() });
        ask();
        tell(truth);
    }

    /// The permit for an action about no service, if the gate gives one to this token in sudo.
    pub(crate) fn permit(&self, token: TokenId, action: Action, now: Timestamp) -> Option<Permit> {
        let digest = self.told(token).digest;
        let mut permit = None;
        self.in_sudo(token, now, || {
            if let Verdict::Allow(given) = self.decide(&digest, action, None, now) {
                permit = Some(given);
            }
        });
        permit
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        // What is left behind in a temporary directory fails no test.
        drop(std::fs::remove_dir_all(&self.0));
    }
}

pub(crate) fn at(now: Timestamp) -> Origin {
    Origin::local(now)
}
