//! Keygate's gate: who may do what, decided from memory.
//!
//! A gate holds a *replica* of everything that may be allowed — customers, people, services, tokens by the digests of their
//! secrets, and the policies of the APIs it stands before — and answers each request with one of three [`Verdict`]s:
//! allow, deny, or *cannot tell*, which whoever asks must refuse too. To decide it takes no lock, awaits nothing and
//! touches no disk; a revoked token is refused by the next request after the replica has heard of it, because there is no
//! cache of decisions anywhere.
//!
//! It knows neither a database nor a server. Whoever embeds it does three things:
//!
//! 1. make one, with Keygate's own policy: [`Gate::new`];
//! 2. feed it [`Batch`]es of records with [`Gate::apply`], and [`Gate::open`] it once it has heard everything there is;
//!    `keygate-authority` does both from a database, and hears of every change;
//! 3. ask it: [`Gate::authorize`] with an [`Ask`], or let the `tower` layer do so for every request of a service.
//!
//! ```
//! use std::sync::Arc;
//!
//! use keygate_gate::{Client, Gate};
//! use keygate_model::{
//!     Ask, Batch, CustomerId, Digest, Expiry, Host, Method, Path, Policy, PolicyId, Position, Record, Secret,
//!     Services, Timestamp, TokenId, Verdict,
//!     customer::{CustomerState, Rules},
//!     policy::OWN_POLICY,
//!     record::{CustomerRecord, Owner, PolicyRecord, TokenRecord},
//!     token::{Brand, Foreign, Kind, Presented},
//! };
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let gate = Gate::new(Arc::new(Policy::compile(OWN_POLICY)?), 1_000);
//!
//! // What a feed would tell: a customer, the policy of an API, and an automation token for it.
//! let customer = CustomerId::from_bits(1);
//! let shown = Secret::mint(&Brand::default(), Kind::Automation, &[7; 32]).reveal();
//! let policy = r#"
//!     name = "shop"
//!     hosts = ["api.shop.example.com"]
//!     customers = "all"
//!     [actions]
//!     "order:read" = { read = true }
//!     [scopes]
//!     "shop:read" = ["@read"]
//!     [roles]
//!     "clerk" = ["order:read"]
//!     [routes]
//!     "GET /orders/{order}" = { action = "order:read" }
//! "#;
//! gate.apply(Batch {
//!     position: Position(3),
//!     records: vec![
//!         Record::Customer(CustomerRecord {
//!             id: customer,
//!             state: CustomerState::Active,
//!             rules: Rules::default(),
//!         }),
//!         Record::Policy(PolicyRecord {
//!             id: PolicyId::from_bits(2),
//!             text: Some(policy.to_owned()),
//!             retired: Vec::new(),
//!         }),
//!         Record::Token(TokenRecord {
//!             id: TokenId::from_bits(3),
//!             digest: Digest::of(shown.as_bytes()),
//!             customer,
//!             owner: Owner::Customer { role: "clerk".to_owned() },
//!             scope: "shop:read".to_owned(),
//!             services: Services::All,
//!             expires: Expiry::Never,
//!             sudo_until: None,
//!             foreign: false,
//!             revoked: false,
//!         }),
//!     ],
//! });
//! gate.open();
//!
//! let ask = |path| Ask {
//!     host: Host::parse("api.shop.example.com").ok(),
//!     method: Method::Get,
//!     path: Path::new(path),
//!     secret: Ok(Presented::parse(shown.as_bytes(), &Brand::default(), Foreign::Refused).expect("a secret")),
//!     at_least: Position(0),
//! };
//! let client = Client { ip: None, user_agent: "doc" };
//! let now = Timestamp::from_seconds(1_800_000_000);
//! assert!(matches!(gate.authorize(&ask("/orders/17"), client, now), Verdict::Allow(_)));
//! assert!(matches!(gate.authorize(&ask("/customers"), client, now), Verdict::Deny(_)));
//!
//! gate.close();
//! assert!(matches!(gate.authorize(&ask("/orders/17"), client, now), Verdict::CannotTell(_)));
//! # Ok(())
//! # }
//! ```
//!
//! A gate that follows an authority from afar is given a [`Lease`], which ends when the authority has not been heard for too
//! long; `follow` has the clock for it. Without one, what it holds counts as current for ever.
//!
//! Features: `http` reads asks out of HTTP requests ([`http`]); `tower` adds the layer ([`GateLayer`]); `follow` follows the
//! feed of a Keygate node over HTTP, so that no database is needed ([`follow`]).
//!
//! [`Verdict`]: keygate_model::Verdict
//! [`Batch`]: keygate_model::Batch
//! [`Ask`]: keygate_model::Ask

mod book;
#[cfg(feature = "follow")]
pub mod follow;
mod gate;
mod held;
#[cfg(feature = "http")]
pub mod http;
mod identity;
#[cfg(feature = "tower")]
mod layer;
pub mod lease;
mod moved;
mod replica;
mod shelf;
mod table;
mod usage;
mod view;
#[cfg(feature = "follow")]
pub mod wire;
mod word;

pub use gate::{Decided, Gate};
pub use held::{Filling, Retired};
pub use identity::Identity;
#[cfg(feature = "tower")]
pub use layer::{Caller, GateLayer, Gated};
pub use lease::Lease;
pub use usage::{Client, Mark};
