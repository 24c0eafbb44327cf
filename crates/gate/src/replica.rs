//! The replica: everything that may be allowed, laid out for looking up. One writer applies batches; readers never wait
//! for it.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicI64, AtomicU8, AtomicUsize, Ordering},
    },
    thread,
};

use arc_swap::{ArcSwap, Guard};
use keygate_model::{
    ActionSet, Actor, Batch, CustomerId, Digest, Expiry, Policy, PolicyId, Position, Record, ServiceId,
    Services, Standing, Subject, Timestamp, TokenId, Unsure, UserId,
    authorization::Reach,
    customer::{CustomerState, Rules},
    record::{CustomerRecord, Owner, PolicyRecord, UserRecord},
    user::UserState,
};

mod digest;
mod export;
mod policies;
mod tokens;

use crate::{
    book::{Book, UNNUMBERED},
    shelf::{Shelf, ShelfEnd},
    table::{Count, Key, NEVER, Slot, Table},
    view::View,
    word::{
        ACTIVE, DELETED, IdHash, LOCKED, OwnerEntry, OwnerWord, REACH_LIMITED, RULED, UNKNOWN, WITHOUT_FACTOR,
    },
};

/// A set for those who have none: nothing is decided by it, because they cannot be told about.
static NOTHING: ActionSet = ActionSet::EMPTY;

/// After how many records the processor is left to those who decide.
const APPLIED_TOGETHER: usize = 512;

/// Everything there is to know.
pub(crate) struct Replica {
    tokens: ArcSwap<Table>,
    owners: Shelf<OwnerEntry>,
    customers: Shelf<OnceLock<CustomerEntry>>,
    grants: Shelf<OnceLock<Grant>>,
    services: papaya::HashMap<ServiceId, CustomerId, IdHash>,
    /// What the people reach who are limited to services.
    reaches: papaya::HashMap<UserId, Reach, IdHash>,
    /// Tokens on which sudo was started, and until when it lasts. Few, and asked for by few actions.
    sudo: papaya::HashMap<TokenId, Timestamp, IdHash>,
    book: ArcSwap<Book>,
    desk: Mutex<Desk>,
    position: AtomicI64,
    unreadable: AtomicUsize,
}

struct CustomerEntry {
    id: CustomerId,
    /// The state, and what sets the customer apart.
    state: AtomicU8,
    rules: ArcSwap<Rules>,
}

/// What a token was given: many tokens share one.
struct Grant {
    /// The numbers of its scopes in the book, and their names with a space between. By single scopes, because of lists of
    /// them anybody can think up more than there are numbers.
    scope: Box<[u16]>,
    words: Box<str>,
    services: Services,
}

/// What only the writer needs.
#[derive(Default)]
struct Desk {
    count: Count,
    owners_end: ShelfEnd,
    customers_end: ShelfEnd,
    grants_end: ShelfEnd,
    owners: HashMap<OwnerKey, u32>,
    customers: HashMap<CustomerId, u32>,
    grants: HashMap<Services, HashMap<String, u32>>,
    policies: BTreeMap<PolicyId, PolicyRecord>,
    /// Those whose rows fail their seals.
    broken_policies: BTreeSet<PolicyId>,
}

/// What a look-up has found.
pub(crate) struct Seen<'a> {
    pub(crate) standing: Standing<'a>,
    pub(crate) slot: &'a Slot,
    /// The names of its scopes, and of its role.
    pub(crate) scopes: &'a str,
    pub(crate) role: &'a str,
}

#[derive(PartialEq, Eq, Hash)]
enum OwnerKey {
    User(UserId),
    Customer(CustomerId, String),
}

impl Replica {
    pub(crate) fn new(policy: Arc<Policy>, tokens: usize) -> Self {
        Self {
            tokens: ArcSwap::from_pointee(Table::for_tokens(tokens)),
            owners: Shelf::new(),
            customers: Shelf::new(),
            grants: Shelf::new(),
            services: papaya::HashMap::default(),
            reaches: papaya::HashMap::default(),
            sudo: papaya::HashMap::default(),
            book: ArcSwap::from_pointee(Book::new(policy)),
            desk: Mutex::default(),
            position: AtomicI64::new(0),
            unreadable: AtomicUsize::new(0),
        }
    }

    /// What a decision is made by.
    pub(crate) fn view(&self) -> View {
        let position = self.position();
        View { position, tokens: self.tokens.load(), book: self.book.load() }
    }

    /// What policies say now.
    pub(crate) fn book(&self) -> Guard<Arc<Book>> {
        self.book.load()
    }

    /// Looks a token up and hands what is true of it to `see`; with sudo only if it is asked for. None if there is none.
    pub(crate) fn look<T>(
        &self,
        view: &View,
        digest: &Digest,
        with_sudo: bool,
        see: impl FnOnce(&Seen<'_>) -> T,
    ) -> Option<T> {
        let book = &view.book;
        let slot = view.tokens.find(Key::of(digest))?;
        let entry = slot.entry();
        let owner = self.owners.get(entry.owner)?.load();
        let grant = self.grants.get(entry.grant)?.get()?;
        let customer = self.customers.get(owner.customer)?.get()?;
        let union;
        let scope_set = match &*grant.scope {
            [one] => book.scope(*one).and_then(|named| named.set.as_ref()),
            several => {
                union = book.union(several);
                union.as_ref()
            }
        };
        let role = book.role(owner.role);
        let role_set = role.and_then(|named| named.set.as_ref());
        let customer_word = customer.state.load(Ordering::Acquire);
        let customer_state = customer_word & !RULED;
        let rules = (customer_word & RULED != 0).then(|| customer.rules.load());
        let reaches;
        let reach = if owner.flags & REACH_LIMITED == 0 {
            Some(&Reach::All)
        } else {
            reaches = self.reaches.pin();
            reaches.get(&entry.user)
        };
        let unsure = if owner.state == UNKNOWN || customer_state == UNKNOWN || reach.is_none() {
            Some(Unsure::OwnerMissing)
        } else if scope_set.is_none() || role_set.is_none() {
            Some(Unsure::Unsupported)
        } else {
            None
        };
        let user = (entry.user.bits() != 0).then_some(entry.user);
        let standing = Standing {
            token: entry.id,
            actor: Actor::Token { token: entry.id, customer: customer.id, user },
            customer: customer.id,
            scope: scope_set.unwrap_or(&NOTHING),
            role: role_set.unwrap_or(&NOTHING),
            services: &grant.services,
            reach: reach.unwrap_or(&Reach::All),
            expires: expiry(entry.expires),
            sudo_until: if with_sudo { self.sudo.pin().get(&entry.id).copied() } else { None },
            owner_state: match owner.state {
                ACTIVE => UserState::Active,
                DELETED => UserState::Deleted,
                _ => UserState::Locked,
            },
            customer_state: if customer_state == ACTIVE {
                CustomerState::Active
            } else {
                CustomerState::Suspended
            },
            rules: rules.as_deref().map_or(Rules::none(), AsRef::as_ref),
            lacks_factor: owner.flags & WITHOUT_FACTOR != 0,
            unsure,
        };
        let role = role.map_or("", |named| &*named.word);
        Some(see(&Seen { standing, slot, scopes: &grant.words, role }))
    }

    /// Whose a service is.
    pub(crate) fn customer_of(&self, service: ServiceId) -> Option<CustomerId> {
        self.services.pin().get(&service).copied()
    }

    /// The position that has been applied.
    pub(crate) fn position(&self) -> Position {
        Position(self.position.load(Ordering::Acquire))
    }

    /// How many tokens there are, and the bytes that their table takes.
    pub(crate) fn size(&self) -> (usize, usize) {
        (self.desk().count.living, self.tokens.load().bytes())
    }

    /// Applies what has changed. Returns when every later look-up sees it.
    pub(crate) fn apply(&self, batch: Batch) {
        let mut desk = self.desk();
        let mut has_policies = false;
        for (nth, record) in batch.records.into_iter().enumerate() {
            if nth % APPLIED_TOGETHER == APPLIED_TOGETHER - 1 {
                thread::yield_now();
            }
            match record {
                Record::Policy(policy) => {
                    desk.broken_policies.remove(&policy.id);
                    desk.policies.insert(policy.id, policy);
                    has_policies = true;
                }
                Record::Broken(Subject::Policy(id)) => {
                    desk.policies.remove(&id);
                    desk.broken_policies.insert(id);
                    has_policies = true;
                }
                Record::Customer(customer) => self.apply_customer(&mut desk, &customer),
                Record::User(user) => self.apply_user(&mut desk, &user),
                Record::Service(service) => {
                    self.services.pin().insert(service.id, service.customer);
                }
                Record::Token(token) => self.apply_token(&mut desk, token),
                Record::Revoked(revoked) => self.apply_revoked(&mut desk, &revoked),
                Record::Broken(subject) => self.disbelieve(&mut desk, subject),
            }
        }
        if has_policies {
            self.apply_policies(&desk);
        }
        self.position.fetch_max(batch.position.0, Ordering::AcqRel);
    }

    fn desk(&self) -> std::sync::MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn apply_customer(&self, desk: &mut Desk, record: &CustomerRecord) {
        let state = match record.state {
            CustomerState::Active => ACTIVE,
            CustomerState::Suspended | CustomerState::Closed => LOCKED,
        };
        let ruled = if record.rules == Rules::default() { 0 } else { RULED };
        if let Some(entry) =
            self.customer_place(desk, record.id).and_then(|place| self.customers.get(place)?.get())
        {
            // First what the flag points to, then the flag.
            if ruled != 0 {
                entry.rules.store(record.rules.clone().into());
            }
            entry.state.store(state | ruled, Ordering::Release);
        }
    }

    fn apply_user(&self, desk: &mut Desk, record: &UserRecord) {
        let state = match record.state {
            UserState::Active => ACTIVE,
            UserState::Locked => LOCKED,
            UserState::Deleted => DELETED,
        };
        let place = self.owner_place(desk, record.customer, &Owner::User(record.id));
        if let Some(entry) = place.and_then(|place| self.owners.get(place)) {
            let word = entry.load();
            // People do not move between customers. Where two records disagree, neither is believed.
            let state = if self.is_customer(word.customer, record.customer) { state } else { UNKNOWN };
            let mut flags = if record.has_factor { 0 } else { WITHOUT_FACTOR };
            if record.reach != Reach::All {
                flags |= REACH_LIMITED;
                self.reaches.pin().insert(record.id, record.reach.clone());
            }
            entry.store(OwnerWord { flags, role: self.role_number(&record.role), state, ..word });
            if record.reach == Reach::All {
                self.reaches.pin().remove(&record.id);
            }
        }
    }

    fn is_customer(&self, place: u32, id: CustomerId) -> bool {
        self.customers.get(place).and_then(OnceLock::get).is_some_and(|entry| entry.id == id)
    }

    /// Forgets what was said about a thing: what depended on it cannot be told any more, or is gone.
    fn disbelieve(&self, desk: &mut Desk, subject: Subject) {
        match subject {
            Subject::Customer(id) => {
                let place = desk.customers.get(&id).and_then(|place| self.customers.get(*place)?.get());
                place.inspect(|entry| entry.state.store(UNKNOWN, Ordering::Release));
            }
            Subject::User(id) => {
                let place = desk.owners.get(&OwnerKey::User(id)).and_then(|place| self.owners.get(*place));
                place.inspect(|entry| entry.store(OwnerWord { state: UNKNOWN, ..entry.load() }));
            }
            Subject::Service(id) => {
                self.services.pin().remove(&id);
            }
            Subject::Token(id) => self.tokens.load().remove_by_id(&mut desk.count, id),
            Subject::None | Subject::Invitation(_) | Subject::Policy(_) | Subject::MassRevoke(_) => {}
        }
    }

    fn customer_place(&self, desk: &mut Desk, id: CustomerId) -> Option<u32> {
        if let Some(place) = desk.customers.get(&id) {
            return Some(*place);
        }
        let (place, entry) = self.customers.add(&mut desk.customers_end)?;
        let rules = ArcSwap::from_pointee(Rules::default());
        entry.get_or_init(|| CustomerEntry { id, state: AtomicU8::new(UNKNOWN), rules });
        desk.customers.insert(id, place);
        Some(place)
    }

    fn owner_place(&self, desk: &mut Desk, customer: CustomerId, owner: &Owner) -> Option<u32> {
        let (key, role, state) = match owner {
            Owner::User(user) => (OwnerKey::User(*user), UNNUMBERED, UNKNOWN),
            Owner::Customer { role } => {
                (OwnerKey::Customer(customer, role.clone()), self.role_number(role), ACTIVE)
            }
        };
        if let Some(place) = desk.owners.get(&key) {
            return Some(*place);
        }
        let customer = self.customer_place(desk, customer)?;
        let (place, entry) = self.owners.add(&mut desk.owners_end)?;
        entry.store(OwnerWord { customer, flags: 0, role, state });
        desk.owners.insert(key, place);
        Some(place)
    }

    fn grant_place(&self, desk: &mut Desk, scope: &str, services: &Services) -> Option<u32> {
        if let Some(place) = desk.grants.get(services).and_then(|scopes| scopes.get(scope)) {
            return Some(*place);
        }
        let (place, grant) = self.grants.add(&mut desk.grants_end)?;
        let numbers = scope.split(' ').map(|word| self.numbered(|book| book.scope_number(word))).collect();
        grant.get_or_init(|| Grant { scope: numbers, words: scope.into(), services: services.clone() });
        desk.grants.entry(services.clone()).or_default().insert(scope.to_owned(), place);
        Some(place)
    }

    fn role_number(&self, role: &str) -> u16 {
        self.numbered(|book| book.role_number(role))
    }
}

fn expiry(seconds: u32) -> Expiry {
    if seconds == NEVER { Expiry::Never } else { Expiry::At(Timestamp::from_seconds(i64::from(seconds))) }
}
