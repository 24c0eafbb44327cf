//! A gate with a lease, as it is asked.

use std::{
    sync::{
        Arc, LazyLock, OnceLock, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use keygate_gate::{Client, Gate, Lease, lease::Proof};
use keygate_model::{
    Action, Ask, Batch, Circumstances, CustomerId, Deny, Digest, Expiry, Host, Knowledge, Method, Path,
    Policy, PolicyId, Position, Record, Secret, Services, Span, Timestamp, TokenId, Unsure, Uptime, Verdict,
    Want,
    customer::{CustomerState, Rules},
    policy::OWN_POLICY,
    record::{CustomerRecord, Owner, PolicyRecord, TokenRecord},
    token::{Brand, Foreign, Kind, Presented},
};

const SHOP: &str = r#"
    name = "shop"
    hosts = ["shop.example.com"]
    customers = "all"
    [actions]
    "order:read" = { read = true }
    "order:write" = {}
    [scopes]
    "shop:read" = ["@read"]
    [roles]
    "clerk" = ["order:read"]
    [routes]
    "GET /plain" = { action = "order:read" }
    "GET /strict" = { action = "order:read", max_staleness = "5s" }
    "GET /lax" = { action = "order:read", max_staleness = "2m" }
    "GET /known" = { action = "order:read", outage = "allow-known", outage_max = "10m" }
    "POST /known" = { action = "order:write", outage = "allow-known", outage_max = "10m" }
    "GET /health" = { public = true }
    "GET /motto" = { public = true, outage = "allow-known", outage_max = "10m" }
"#;

static GOOD: LazyLock<String> = LazyLock::new(|| mint(1));
static OTHER: LazyLock<String> = LazyLock::new(|| mint(2));

fn mint(fill: u8) -> String {
    Secret::mint(&Brand::default(), Kind::Automation, &[fill; 32]).reveal().to_string()
}

fn token(revoked: bool) -> TokenRecord {
    TokenRecord {
        id: TokenId::from_bits(3),
        digest: Digest::of(GOOD.as_bytes()),
        customer: CustomerId::from_bits(1),
        owner: Owner::Customer { role: "clerk".to_owned() },
        scope: "shop:read".to_owned(),
        services: Services::All,
        expires: Expiry::Never,
        sudo_until: None,
        foreign: false,
        revoked,
    }
}

struct House {
    gate: Arc<Gate>,
    clock: Arc<AtomicU64>,
}

/// What came of an ask: allowed, and by how old a proof; or why not.
type Came = Result<Option<u64>, &'static str>;

impl House {
    /// A gate whose last proof was sent at second 1,000, and let it answer for this long.
    fn new(granted: u64) -> Self {
        let clock = Arc::new(AtomicU64::new(0));
        let hand = Arc::clone(&clock);
        Self::with_clock(granted, clock, move || Uptime::from_micros(hand.load(Ordering::Relaxed)))
    }

    /// The same, by this clock.
    fn with_clock(
        granted: u64,
        clock: Arc<AtomicU64>,
        hand: impl Fn() -> Uptime + Send + Sync + 'static,
    ) -> Self {
        let lease = Lease::of(Lease::DEFAULT, hand);
        let gate = Gate::new(Arc::new(Policy::compile(OWN_POLICY).expect("ours")), 10).with_lease(lease);
        let customer = CustomerId::from_bits(1);
        gate.apply(Batch {
            position: Position(3),
            records: vec![
                Record::Customer(CustomerRecord {
                    id: customer,
                    state: CustomerState::Active,
                    rules: Rules::default(),
                }),
                Record::Policy(PolicyRecord {
                    id: PolicyId::from_bits(2),
                    text: Some(SHOP.to_owned()),
                    retired: Vec::new(),
                }),
                Record::Token(token(false)),
            ],
        });
        gate.open();
        let house = Self { gate: Arc::new(gate), clock };
        house.at(1_000);
        let granted = Span::of(Duration::from_secs(granted)).expect("not zero");
        house.gate.lease().renew(Proof { sent: Uptime::from_micros(1_000_000_000), granted });
        house
    }

    fn at(&self, second: u64) -> &Self {
        self.clock.store(second * 1_000_000, Ordering::Relaxed);
        self
    }

    fn asks(&self, method: Method, host: Option<&str>, path: &str, secret: Option<&str>) -> Came {
        let ask = Ask {
            host: host.map(|host| Host::parse(host).expect("a host")),
            method,
            path: Path::new(path),
            secret: secret.ok_or(Deny::Missing).map(|secret| {
                Presented::parse(secret.as_bytes(), &Brand::default(), Foreign::Refused).expect("a secret")
            }),
            at_least: Position(0),
        };
        let (client, now) = (Client { ip: None, user_agent: "" }, Timestamp::from_seconds(1_800_000_000));
        let decided = self.gate.authorize_with(&ask, client, now, |identity| identity.stale);
        match decided.verdict {
            Verdict::Allow(permit) => {
                assert_eq!(Some(permit.stale()), decided.seen, "the API is told what the permit says");
                Ok(permit.stale().map(|age| age.as_secs()))
            }
            Verdict::Deny(deny) => Err(deny.code()),
            Verdict::CannotTell(unsure) => Err(unsure.code()),
        }
    }

    fn get(&self, path: &str) -> Came {
        self.asks(Method::Get, Some("shop.example.com"), path, Some(&GOOD))
    }
}

#[test]
fn nobody_is_let_in_and_nobody_refused_once_the_lease_has_lapsed() {
    let house = House::new(30);
    house.at(1_029);
    assert_eq!(house.get("/plain"), Ok(None));
    assert_eq!(house.get("/nowhere"), Err("no_rule"));
    assert!(house.gate.is_ready());
    house.at(1_030);
    assert!(!house.gate.is_ready() && house.gate.is_open());
    let shop = Some("shop.example.com");
    let lapsed = Err("lease_lapsed");
    assert_eq!(house.get("/plain"), lapsed);
    assert_eq!(house.get("/nowhere"), lapsed, "a route may have been added");
    assert_eq!(house.asks(Method::Get, shop, "/plain", Some(&OTHER)), lapsed, "a token may have been made");
    assert_eq!(house.asks(Method::Get, shop, "/plain", None), lapsed, "it may be public by now");
    assert_eq!(house.asks(Method::Get, shop, "/health", None), lapsed, "or this not any more");
    assert_eq!(house.asks(Method::Get, Some("else.example.com"), "/", Some(&GOOD)), lapsed);
    assert_eq!(house.asks(Method::Post, shop, "/known", Some(&OTHER)), lapsed);
    assert_eq!(house.asks(Method::Get, None, "/tokens/self", Some(&GOOD)), lapsed, "Keygate's own too");
    assert_eq!(house.asks(Method::Get, None, "/tokens/self", None), Err("credential_missing"));
    let digest = Digest::of(GOOD.as_bytes());
    let want = Want { action: Action::TOKEN_READ_SELF, service: None };
    let at = Circumstances::of(Timestamp::from_seconds(1_800_000_000), None);
    assert_eq!(at.knowledge, Knowledge::Current);
    let verdict = house.gate.decide(&digest, &want, at);
    assert_eq!(verdict, Verdict::CannotTell(Unsure::LeaseLapsed), "nobody can say for it that it is current");
    house.gate.lease().renew(Proof { sent: Uptime::from_micros(1_029_000_000), granted: Lease::DEFAULT });
    assert_eq!(house.get("/plain"), Ok(None));
}

#[test]
fn a_route_says_how_current_the_gate_must_be() {
    let house = House::new(600);
    house.at(1_004);
    assert_eq!(house.get("/strict"), Ok(None));
    house.at(1_005);
    assert_eq!(house.get("/strict"), Err("lease_lapsed"));
    assert_eq!(house.get("/plain"), Ok(None));
    house.at(1_119);
    assert_eq!(house.get("/plain"), Err("lease_lapsed"), "what is granted is not what is asked for");
    assert_eq!(house.get("/lax"), Ok(None), "within what it asks for it is not stale");
    house.at(1_120);
    assert_eq!(house.get("/lax"), Err("lease_lapsed"));
}

#[test]
fn an_outage_lets_in_who_is_known_where_a_route_says_so_and_only_them() {
    let house = House::new(600);
    house.at(1_029);
    assert_eq!(house.get("/known"), Ok(None));
    house.at(1_030);
    let shop = Some("shop.example.com");
    assert_eq!(house.get("/known"), Ok(Some(30)), "and the API is told");
    assert_eq!(house.asks(Method::Get, shop, "/motto", None), Ok(Some(30)));
    assert_eq!(house.asks(Method::Get, shop, "/known", Some(&OTHER)), Err("lease_lapsed"));
    assert_eq!(
        house.asks(Method::Post, shop, "/known", Some(&GOOD)),
        Err("lease_lapsed"),
        "its role may be another"
    );
    house.at(1_599);
    assert_eq!(house.get("/known"), Ok(Some(599)));
    house.at(1_600);
    assert_eq!(house.get("/known"), Err("lease_lapsed"));
    let house = House::new(60);
    house.at(1_059);
    assert_eq!(house.get("/known"), Ok(Some(59)));
    house.at(1_060);
    assert_eq!(
        house.get("/known"),
        Err("lease_lapsed"),
        "what the authority grants bounds what a policy says"
    );
}

#[test]
fn a_gate_without_a_lease_is_as_current_as_what_it_holds() {
    let House { gate, clock } = House::new(30);
    let gate = Arc::into_inner(gate).expect("the only one").with_lease(Lease::none());
    let house = House { gate: Arc::new(gate), clock };
    house.at(9_999);
    assert_eq!(house.get("/strict"), Ok(None));
    assert!(house.gate.is_ready());
}

/// The clock is read between the look-up and the answer: what happens then happens there.
fn meanwhile(act: impl Fn(&Gate) + Send + Sync + 'static) -> House {
    let (clock, gate) = (Arc::new(AtomicU64::new(0)), Arc::new(OnceLock::<Weak<Gate>>::new()));
    let (hand, armed) = (Arc::clone(&clock), Arc::clone(&gate));
    let done = AtomicBool::new(false);
    let house = House::with_clock(30, clock, move || {
        let gate = armed.get().and_then(Weak::upgrade);
        if let Some(gate) = gate.filter(|_| !done.swap(true, Ordering::Relaxed)) {
            act(&gate);
        }
        Uptime::from_micros(hand.load(Ordering::Relaxed))
    });
    gate.set(Arc::downgrade(&house.gate)).expect("once");
    house
}

#[test]
fn nobody_is_let_in_by_what_was_found_before_a_change_that_is_applied() {
    let revoke = || Batch { position: Position(4), records: vec![Record::Token(token(true))] };
    let house = meanwhile(move |gate| gate.apply(revoke()));
    assert_eq!(house.get("/plain"), Err("token_unknown"));
    assert_eq!(house.gate.position(), Position(4), "the look-up was before it");
}

#[test]
fn a_lease_that_is_renewed_after_the_look_up_is_not_for_what_was_looked_up() {
    let proof = Proof { sent: Uptime::from_micros(1_040_000_000), granted: Lease::DEFAULT };
    let house = meanwhile(move |gate| gate.lease().renew(proof));
    house.at(1_041);
    assert_eq!(house.get("/plain"), Err("lease_lapsed"), "found before it was proved");
    assert_eq!(house.get("/plain"), Ok(None));
}
