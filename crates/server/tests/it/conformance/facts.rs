//! The facts of a file as records, as an authority would feed them: owners before what they own, and nothing of what is
//! unheard.

use std::sync::Arc;

use keygate_model::{
    CustomerId, Digest, Expiry, Networks, Policy, Record, Secret, ServiceId, Services, TokenId, UserId,
    authorization::Reach,
    customer::{CustomerState, Rules},
    record::{CustomerRecord, Owner, ServiceRecord, TokenRecord, UserRecord},
    token::{Brand, Kind},
};

use super::cases::{self, Caller, Facts, Token};

/// Ids and secrets for every name.
pub(super) struct World<'f>(&'f Facts, Arc<Policy>);

impl<'f> World<'f> {
    pub(super) fn new(facts: &'f Facts, policy: Arc<Policy>) -> Self {
        Self(facts, policy)
    }

    pub(super) fn records(&self) -> Vec<Record> {
        let Facts { customers, users, services, tokens, .. } = self.0;
        let state = |suspended| if suspended { CustomerState::Suspended } else { CustomerState::Active };
        let customers = customers.iter().filter(|(_, customer)| !customer.unheard).map(|(name, customer)| {
            Record::Customer(CustomerRecord {
                id: customer_id(name),
                state: state(customer.suspended),
                rules: rules(&self.1, customer),
            })
        });
        let users = users.iter().filter(|(_, user)| !user.unheard).map(|(name, user)| {
            let (id, customer) = (user_id(name), customer_id(&user.customer));
            Record::User(UserRecord {
                id,
                customer,
                role: user.role.clone(),
                state: user.state,
                reach: reach(user),
                has_factor: user.second_factor,
            })
        });
        let services = services.iter().map(|(name, service)| {
            Record::Service(ServiceRecord { id: service_id(name), customer: customer_id(&service.customer) })
        });
        let tokens = tokens.iter().map(|(name, token)| Record::Token(self.token(name, token)));
        customers.chain(users).chain(services).chain(tokens).collect()
    }

    /// What this caller shows.
    pub(super) fn secret(&self, caller: &Caller) -> Option<String> {
        match caller {
            Caller::Nobody => None,
            Caller::Unknown => Some(secret("unknown", Kind::User)),
            Caller::Token(name) => Some(secret_of(name, &self.0.tokens[name])),
            Caller::Malformed => {
                let right = secret("unknown", Kind::User);
                let last = if right.ends_with('0') { '1' } else { '0' };
                Some(format!("{}{last}", &right[..right.len() - 1]))
            }
        }
    }

    /// The id of a customer, token or service of this name; for others one that nothing has.
    pub(super) fn id_of(&self, name: &str) -> String {
        if self.0.customers.contains_key(name) {
            customer_id(name).to_string()
        } else if self.0.tokens.contains_key(name) {
            token_id(name).to_string()
        } else {
            service_id(name).to_string()
        }
    }

    fn token(&self, name: &str, token: &Token) -> TokenRecord {
        let listed = token.services.as_ref().map(|names| names.iter().map(|name| service_id(name)));
        TokenRecord {
            id: token_id(name),
            digest: Digest::of(secret_of(name, token).as_bytes()),
            customer: customer_id(self.0.customer_of(token)),
            owner: match &token.owner {
                cases::Owner::User(name) => Owner::User(user_id(name)),
                cases::Owner::Customer(bot) => Owner::Customer { role: bot.role.clone() },
            },
            scope: token.scope.clone(),
            services: listed.map_or(Services::All, |ids| Services::only(ids).expect("a list is not empty")),
            expires: token.expires.map_or(Expiry::Never, Expiry::At),
            sudo_until: token.sudo_until,
            foreign: token.foreign,
            revoked: token.revoked,
        }
    }
}

fn rules(policy: &Policy, customer: &cases::Customer) -> Rules {
    let networks = customer.networks.as_deref().map(|text| Networks::parse(text).expect("networks"));
    Rules {
        networks: networks.unwrap_or_default(),
        forbids: customer.forbids.iter().map(|name| policy.action(name).expect("an action")).collect(),
        force_factor: customer.force_2fa,
    }
}

fn reach(user: &cases::User) -> Reach {
    user.limited.as_ref().map_or(Reach::All, |granted| {
        Reach::Granted(granted.iter().map(|(name, may)| (service_id(name), *may)).collect())
    })
}

fn secret_of(name: &str, token: &Token) -> String {
    if token.foreign { format!("made-elsewhere/{name}=") } else { secret(name, token.kind()) }
}

fn secret(name: &str, kind: Kind) -> String {
    Secret::mint(&Brand::default(), kind, Digest::of(name.as_bytes()).bytes()).reveal().to_string()
}

/// An id for every name.
fn bits(name: &str) -> u128 {
    let bytes = *Digest::of(name.as_bytes()).bytes();
    bytes[..16].iter().fold(0, |bits, byte| bits << 8 | u128::from(*byte))
}

fn customer_id(name: &str) -> CustomerId {
    CustomerId::from_bits(bits(name))
}

fn user_id(name: &str) -> UserId {
    UserId::from_bits(bits(name))
}

fn service_id(name: &str) -> ServiceId {
    ServiceId::from_bits(bits(name))
}

fn token_id(name: &str) -> TokenId {
    TokenId::from_bits(bits(name))
}
