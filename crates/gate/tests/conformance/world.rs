//! Facts made true: ids and secrets for every name, a gate that has been told of them, and the law beside it.

use std::{net::IpAddr, sync::Arc};

use keygate_gate::{Client, Gate};
use keygate_model::{
    ActionSet, Actor, Ask, Batch, Circumstances, CustomerId, Deny, Digest, Expiry, Method, Networks, Path,
    Permit, Policy, Position, Record, Secret, ServiceId, Services, Standing, Subject, TokenId, Unsure,
    UserId, Verdict, Want,
    authorization::Reach,
    customer::{CustomerState, Rules},
    decide,
    decide::WantedService,
    policy::{Access, Matched, Unmatched},
    record::{CustomerRecord, Owner, ServiceRecord, TokenRecord, UserRecord},
    token::{Brand, Kind, Malformed, Presented},
    user::UserState,
};

use crate::cases::{self, Answer, Caller, Facts, Token, User, What, fill};

/// In what order, and after what, a gate hears the facts. The answers are the same.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Feed {
    /// Owners before tokens.
    InOrder,
    /// The other way round, a batch for each record, all of it twice.
    Backwards,
    /// First everything was as permissive as can be.
    Corrected,
}

static NOTHING: ActionSet = ActionSet::EMPTY;

impl Feed {
    pub(crate) const ALL: [Self; 3] = [Self::InOrder, Self::Backwards, Self::Corrected];
}

pub(crate) struct World<'f> {
    pub(crate) feed: Feed,
    facts: &'f Facts,
    policy: Arc<Policy>,
    gate: Gate,
}

impl<'f> World<'f> {
    pub(crate) fn new(facts: &'f Facts, policy: Arc<Policy>, feed: Feed) -> Self {
        let world = Self { feed, facts, gate: Gate::new(Arc::clone(&policy), 16), policy };
        let truth = world.records(facts);
        match feed {
            Feed::InOrder => world.gate.apply(Batch { position: Position(1), records: truth }),
            Feed::Backwards => {
                for record in truth.iter().rev().chain(truth.iter().rev()) {
                    world.gate.apply(Batch { position: Position(1), records: vec![record.clone()] });
                }
            }
            Feed::Corrected => {
                let mut records = world.records(&paradise(facts));
                records.extend(world.doubts());
                records.extend(truth);
                world.gate.apply(Batch { position: Position(2), records });
            }
        }
        if !facts.stale {
            world.gate.open();
        }
        world
    }

    /// What `decide` says on facts put together here, and what the gate says.
    pub(crate) fn verdicts(
        &self,
        caller: &Caller,
        client: Option<IpAddr>,
        what: &What,
    ) -> (Verdict, Verdict) {
        let what = match what {
            What::Request { method, path } => {
                What::Request { method: method.clone(), path: fill(path, |name| self.id_of(name)) }
            }
            What::Action(name) => What::Action(name.clone()),
        };
        (self.by_law(caller, client, &what), self.by_gate(caller, client, &what))
    }

    /// The answer that a verdict is.
    pub(crate) fn answer(&self, what: &What, verdict: Verdict) -> Answer {
        match verdict {
            // The law is not asked about what is public, and the gate says so.
            Verdict::Allow(permit) if permit == Permit::public() => Answer::Public,
            Verdict::Deny(Deny::NoRoute) if self.is_public(what) => Answer::Public,
            Verdict::Allow(_) => Answer::Allow,
            Verdict::Deny(deny) => Answer::Deny(deny.code().to_owned()),
            Verdict::CannotTell(unsure) => Answer::CannotTell(unsure.code().to_owned()),
        }
    }

    /// Whether a use has been noted since the last time.
    pub(crate) fn has_noted(&self) -> bool {
        !self.gate.take_marks(usize::MAX).is_empty()
    }

    fn by_gate(&self, caller: &Caller, client: Option<IpAddr>, what: &What) -> Verdict {
        let at = Circumstances::of(self.facts.at, client);
        let (method, path) = match what {
            What::Request { method, path } => (method, path),
            What::Action(name) => {
                let want = Want { action: self.policy.action(name).expect("an action"), service: None };
                let secret = self.secret(caller);
                return self.gate.decide(&Digest::of(secret.as_bytes()), &want, at);
            }
        };
        let Some(method) = Method::parse(method) else { return Verdict::Deny(Deny::NoRoute) };
        if matches!(caller, Caller::Nobody) {
            let route = self.policy.route(method, &Path::new(path));
            return Verdict::Deny(if let Err(miss) = route { denial(miss) } else { self.missing(what) });
        }
        let secret = self.secret(caller);
        match Presented::parse(secret.as_bytes(), &Brand::default(), self.gate.foreign()) {
            Err(why) => Verdict::Deny(Deny::Malformed(why)),
            Ok(secret) => {
                let client = Client { ip: client, user_agent: "conformance" };
                let ask = Ask {
                    host: None,
                    method,
                    path: Path::new(path),
                    secret: Ok(secret),
                    at_least: Position(0),
                };
                match self.gate.authorize(&ask, client, at.now) {
                    // As the door has it: of what is public, nobody is asked.
                    Verdict::Allow(permit) if permit == Permit::public() => Verdict::Deny(Deny::NoRoute),
                    verdict => verdict,
                }
            }
        }
    }

    fn missing(&self, what: &What) -> Deny {
        if self.is_public(what) { Deny::NoRoute } else { Deny::Missing }
    }

    fn by_law(&self, caller: &Caller, client: Option<IpAddr>, what: &What) -> Verdict {
        let want = match self.want(what) {
            Ok(want) => want,
            Err(deny) => return Verdict::Deny(deny),
        };
        let token = match caller {
            Caller::Nobody => return Verdict::Deny(Deny::Missing),
            Caller::Malformed => return Verdict::Deny(Deny::Malformed(Malformed::Checksum)),
            Caller::Unknown => None,
            Caller::Token(name) => Some((name, &self.facts.tokens[name])),
        };
        if token.is_some_and(|(_, token)| token.kind() == Kind::Session && !token.foreign)
            && matches!(what, What::Request { .. })
        {
            return Verdict::Deny(Deny::Kind);
        }
        if self.facts.stale {
            return Verdict::CannotTell(Unsure::Stale);
        }
        let Some((name, token)) = token.filter(|(_, token)| !token.revoked) else {
            return Verdict::Deny(Deny::Unknown);
        };
        let (services, reach) = (self.services(token), self.reach(self.facts.user_of(token)));
        let rules = self.rules(&self.facts.customers[self.facts.customer_of(token)]);
        let (scope, role) = (self.policy.scopes(&token.scope), self.policy.role(self.role_of(token)));
        let standing =
            self.standing(name, token, (scope.as_ref(), role.as_ref()), (&services, &reach, &rules));
        decide(&self.policy, &standing, &want, Circumstances::of(self.facts.at, client))
    }

    /// What a request wants, as an adapter finds out.
    fn want(&self, what: &What) -> Result<Want, Deny> {
        let (method, path) = match what {
            What::Request { method, path } => (method, path),
            What::Action(name) => {
                return Ok(Want { action: self.policy.action(name).expect("an action"), service: None });
            }
        };
        let method = Method::parse(method).ok_or(Deny::NoRoute)?;
        let path = Path::new(path);
        match self.policy.route(method, &path).map_err(denial)? {
            Matched { access: Access::Public, .. } => Err(Deny::NoRoute),
            Matched { access: Access::Unclassified, .. } => Err(Deny::Unclassified),
            Matched { access: Access::Action(action) | Access::ActionIfAny(action), service, .. } => {
                Ok(Want { action, service: service.map(|text| self.wanted(text)) })
            }
        }
    }

    fn role_of<'s>(&'s self, token: &'s Token) -> &'s str {
        match &token.owner {
            cases::Owner::User(name) => &self.facts.users[name].role,
            cases::Owner::Customer(bot) => &bot.role,
        }
    }

    fn wanted(&self, text: &str) -> WantedService {
        let named = self.facts.services.iter().find(|(name, _)| self.service_id(name).to_string() == text);
        named.map_or(WantedService::Unknown, |(name, service)| {
            WantedService::Known(self.service_id(name), self.customer_id(&service.customer))
        })
    }

    fn standing<'s>(
        &self,
        name: &str,
        token: &Token,
        (scope, role): (Option<&'s ActionSet>, Option<&'s ActionSet>),
        (services, reach, rules): (&'s Services, &'s Reach, &'s Rules),
    ) -> Standing<'s> {
        let user = self.facts.user_of(token);
        let user_name = match &token.owner {
            cases::Owner::User(name) => Some(name),
            cases::Owner::Customer(_) => None,
        };
        let customer = self.facts.customer_of(token);
        let unsure = if user.is_some_and(|user| user.unheard) || self.facts.customers[customer].unheard {
            Some(Unsure::OwnerMissing)
        } else {
            (scope.is_none() || role.is_none()).then_some(Unsure::Unsupported)
        };
        let (token_id, customer_id) = (self.token_id(name), self.customer_id(customer));
        Standing {
            token: token_id,
            actor: Actor::Token {
                token: token_id,
                customer: customer_id,
                user: user_name.map(|name| self.user_id(name)),
            },
            customer: customer_id,
            scope: scope.unwrap_or(&NOTHING),
            role: role.unwrap_or(&NOTHING),
            services,
            reach,
            expires: token.expires.map_or(Expiry::Never, Expiry::At),
            sudo_until: token.sudo_until,
            owner_state: user.map_or(UserState::Active, |user| user.state),
            customer_state: customer_state(&self.facts.customers[customer]),
            rules,
            lacks_factor: user.is_some_and(|user| !user.second_factor),
            unsure,
        }
    }

    /// The records that an authority would feed: owners before what they own, and nothing of what is unheard.
    fn records(&self, facts: &Facts) -> Vec<Record> {
        let mut records = Vec::new();
        for (name, customer) in facts.customers.iter().filter(|(_, customer)| !customer.unheard) {
            let (id, state) = (self.customer_id(name), customer_state(customer));
            records.push(Record::Customer(CustomerRecord { id, state, rules: self.rules(customer) }));
        }
        for (name, user) in facts.users.iter().filter(|(_, user)| !user.unheard) {
            let (id, customer) = (self.user_id(name), self.customer_id(&user.customer));
            records.push(Record::User(UserRecord {
                id,
                customer,
                role: user.role.clone(),
                state: user.state,
                reach: self.reach(Some(user)),
                has_factor: user.second_factor,
            }));
        }
        for (name, service) in &facts.services {
            let (id, customer) = (self.service_id(name), self.customer_id(&service.customer));
            records.push(Record::Service(ServiceRecord { id, customer }));
        }
        records
            .extend(facts.tokens.iter().map(|(name, token)| Record::Token(self.token_record(name, token))));
        records
    }

    fn token_record(&self, name: &str, token: &Token) -> TokenRecord {
        TokenRecord {
            id: self.token_id(name),
            digest: Digest::of(self.secret(&Caller::Token(name.to_owned())).as_bytes()),
            customer: self.customer_id(self.facts.customer_of(token)),
            owner: match &token.owner {
                cases::Owner::User(name) => Owner::User(self.user_id(name)),
                cases::Owner::Customer(bot) => Owner::Customer { role: bot.role.clone() },
            },
            scope: token.scope.clone(),
            services: self.services(token),
            expires: token.expires.map_or(Expiry::Never, Expiry::At),
            sudo_until: token.sudo_until,
            foreign: token.foreign,
            revoked: token.revoked,
        }
    }

    /// That what is unheard was heard of once and may not be believed any more.
    fn doubts(&self) -> Vec<Record> {
        let users = self.facts.users.iter().filter(|(_, user)| user.unheard);
        let customers = self.facts.customers.iter().filter(|(_, customer)| customer.unheard);
        let users = users.map(|(name, _)| Subject::User(self.user_id(name)));
        users
            .chain(customers.map(|(name, _)| Subject::Customer(self.customer_id(name))))
            .map(Record::Broken)
            .collect()
    }

    fn services(&self, token: &Token) -> Services {
        let listed = token.services.as_ref().map(|names| names.iter().map(|name| self.service_id(name)));
        listed.map_or(Services::All, |ids| Services::only(ids).expect("a list is not empty"))
    }

    fn reach(&self, user: Option<&User>) -> Reach {
        let granted = user.and_then(|user| user.limited.as_ref());
        granted.map_or(Reach::All, |granted| {
            Reach::Granted(granted.iter().map(|(name, may)| (self.service_id(name), *may)).collect())
        })
    }

    fn rules(&self, customer: &cases::Customer) -> Rules {
        let networks = customer.networks.as_deref().map(|text| Networks::parse(text).expect("networks"));
        Rules {
            networks: networks.unwrap_or_default(),
            forbids: customer
                .forbids
                .iter()
                .map(|name| self.policy.action(name).expect("an action"))
                .collect(),
            force_factor: customer.force_2fa,
        }
    }

    fn is_public(&self, what: &What) -> bool {
        let What::Request { method, path } = what else { return false };
        let route = Method::parse(method).and_then(|method| self.policy.route(method, &Path::new(path)).ok());
        route.is_some_and(|route| route.access == Access::Public)
    }

    fn secret(&self, caller: &Caller) -> String {
        let (name, kind) = match caller {
            Caller::Token(name) => (name.as_str(), self.facts.tokens[name].kind()),
            _ => ("unknown", Kind::User),
        };
        if matches!(caller, Caller::Token(name) if self.facts.tokens[name].foreign) {
            return format!("made-elsewhere/{name}=");
        }
        let secret =
            Secret::mint(&Brand::default(), kind, Digest::of(name.as_bytes()).bytes()).reveal().to_string();
        match caller {
            Caller::Malformed => {
                let last = if secret.ends_with('0') { '1' } else { '0' };
                format!("{}{last}", &secret[..secret.len() - 1])
            }
            _ => secret,
        }
    }

    fn id_of(&self, name: &str) -> String {
        if self.facts.customers.contains_key(name) {
            self.customer_id(name).to_string()
        } else if self.facts.tokens.contains_key(name) {
            self.token_id(name).to_string()
        } else {
            self.service_id(name).to_string()
        }
    }

    fn customer_id(&self, name: &str) -> CustomerId {
        CustomerId::from_bits(bits(name))
    }

    fn user_id(&self, name: &str) -> UserId {
        UserId::from_bits(bits(name))
    }

    fn service_id(&self, name: &str) -> ServiceId {
        ServiceId::from_bits(bits(name))
    }

    fn token_id(&self, name: &str) -> TokenId {
        TokenId::from_bits(bits(name))
    }
}

/// An id for every name. Short ones, so that a zero before one is a plausible spelling.
fn bits(name: &str) -> u128 {
    let [a, b, c, d, e, f, ..] = *Digest::of(name.as_bytes()).bytes();
    u128::from(u64::from_be_bytes([0, 0, a, b, c, d, e, f]))
}

fn customer_state(customer: &cases::Customer) -> CustomerState {
    if customer.suspended { CustomerState::Suspended } else { CustomerState::Active }
}

fn denial(miss: Unmatched) -> Deny {
    match miss {
        Unmatched::NoRoute => Deny::NoRoute,
        Unmatched::Ambiguous => Deny::AmbiguousPath,
    }
}

/// Everybody is there and may do everything, for ever.
fn paradise(facts: &Facts) -> Facts {
    let mut facts = facts.clone();
    for customer in facts.customers.values_mut() {
        *customer = cases::Customer::default();
    }
    for user in facts.users.values_mut() {
        (user.role, user.state, user.unheard) = ("superuser".to_owned(), UserState::Active, false);
        (user.limited, user.second_factor) = (None, true);
    }
    for token in facts.tokens.values_mut() {
        (token.scope, token.services, token.revoked) = ("global".to_owned(), None, false);
        (token.expires, token.sudo_until) = (None, Some(facts.at.after(std::time::Duration::from_secs(1))));
    }
    facts
}
