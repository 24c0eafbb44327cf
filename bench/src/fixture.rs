//! What the benches work on: tokens that can be made again from their number, so that nothing but the number is kept.

use std::time::Instant;

use keygate_model::{
    CustomerId, Digest, Expiry, Record, Secret, ServiceId, Services, TokenId, UserId,
    authorization::Reach,
    customer::{CustomerState, Rules},
    record::{CustomerRecord, Owner, ServiceRecord, TokenRecord, UserRecord},
    token::{Brand, Kind},
    user::UserState,
};
use sha2::{Digest as _, Sha256};

/// How many people own the tokens.
pub const OWNERS: u64 = 100_000;

/// The one customer.
pub const CUSTOMER: CustomerId = CustomerId::from_bits(1);
/// The one service.
pub const SERVICE: ServiceId = ServiceId::from_bits(0xfeed_5eed_0123_4567_89ab_cdef_0f1e_2d3c);

/// The one clock of the benches.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "a bench measures time")]
pub fn now() -> Instant {
    Instant::now()
}

/// The secret of the token with this number.
#[must_use]
pub fn secret(number: u64) -> Secret {
    let entropy: [u8; 32] = Sha256::digest(number.to_be_bytes()).into();
    Secret::mint(&Brand::default(), Kind::User, &entropy)
}

/// An id for the token with this number, in no order, as drawn ids are.
#[must_use]
pub fn token_id(number: u64) -> [u8; 16] {
    let drawn: [u8; 32] = Sha256::digest(number.to_le_bytes()).into();
    std::array::from_fn(|place| drawn[place])
}

/// The record of the token with this number.
#[must_use]
pub fn token(number: u64, digest: Digest) -> Record {
    let services = if number.is_multiple_of(2) { Services::All } else { one_service() };
    Record::Token(TokenRecord {
        id: TokenId::from_bits(u128::from(number) << 64 | u128::from(number)),
        digest,
        customer: CUSTOMER,
        owner: Owner::User(UserId::from_bits(u128::from(number % OWNERS))),
        scope: "purge_select".to_owned(),
        services,
        expires: Expiry::Never,
        sudo_until: None,
        foreign: false,
        revoked: false,
    })
}

/// The customer, the service and the people.
#[must_use]
pub fn directory() -> Vec<Record> {
    let customer = Record::Customer(CustomerRecord {
        id: CUSTOMER,
        state: CustomerState::Active,
        rules: Rules::default(),
    });
    let service = Record::Service(ServiceRecord { id: SERVICE, customer: CUSTOMER });
    let user = |number: u64| {
        let id = UserId::from_bits(u128::from(number));
        Record::User(UserRecord {
            id,
            customer: CUSTOMER,
            role: "engineer".to_owned(),
            state: UserState::Active,
            reach: Reach::All,
            has_factor: false,
        })
    };
    [customer, service].into_iter().chain((0..OWNERS).map(user)).collect()
}

fn one_service() -> Services {
    Services::only([SERVICE]).unwrap_or(Services::All)
}

/// Numbers in no order, the same every time: xorshift64.
pub struct Draw(u64);

impl Draw {
    /// Starts from a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((u128::from(self.0) * u128::from(end)) >> 64) as u64
    }
}

/// The middle one.
#[must_use]
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
