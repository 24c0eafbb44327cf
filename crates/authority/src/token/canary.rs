//! Canaries: tokens that can do nothing and that nobody holds, made and revoked to see how long a revoke takes
//! (docs/decisions/canary.md).

use std::time::Duration;

use keygate_model::{Actor, CustomerId, Event, Expiry, Services, TokenId, record::Owner};

use super::{Minted, Row};
use crate::{authority::Authority, customer, fault::Fault, origin::Origin, row};

/// Whose they are: a customer of their own, so that they stand in nobody's lists, limits and log.
const CUSTOMER: CustomerId = CustomerId::from_bytes(*b"keygate's canary");

/// What that is called.
const NAME: &str = "Keygate's canaries";

/// What both of them contain is looking at itself and revoking itself.
const ROLE: &str = "gate";
const SCOPE: &str = "introspect";

/// One that nobody comes to revoke is over by itself.
const LIFE: Duration = Duration::from_mins(15);

impl Authority {
    /// Makes a canary, and the customer of all canaries if there is none. Nobody asks for it, so there is nobody whose permit
    /// it would need; and the secret ends here.
    ///
    /// # Errors
    /// Storage faults.
    pub async fn make_canary(&self, origin: &Origin, minted: Minted) -> Result<TokenId, Fault> {
        let (id, digest) = (minted.id, minted.secret.digest());
        self.change(ACTOR, origin, move |mut write| {
            let mut events = Vec::new();
            if matches!(
                row::find::<customer::Row>(write.db(), write.keys(), CUSTOMER),
                Err(Fault::Missing { .. })
            ) {
                events.push(customer::make(&mut write, CUSTOMER, NAME.to_owned())?.1);
            }
            let now = write.origin().now;
            let row = Row {
                id,
                digest,
                customer: CUSTOMER,
                owner: Owner::Customer { role: ROLE.to_owned() },
                creator: None,
                parent: None,
                foreign: false,
                tls_access: false,
                name: "canary".to_owned(),
                scope: SCOPE.to_owned(),
                services: Services::All,
                expires: Expiry::At(now.after(LIFE)),
                second_factor: false,
                sudo_until: None,
                created_at: now,
                updated_at: now,
                revoked_at: None,
                position: write.position_of(events.len() as i64),
            };
            row.save_new(&mut write)?;
            events.push(Event::TokenCreate(row.told()));
            write.commit_each(&events, id)
        })
        .await
    }

    /// Revokes a canary, and nothing else.
    ///
    /// # Errors
    /// [`Fault::Missing`] for whatever is no canary; storage faults.
    pub async fn revoke_canary(&self, origin: &Origin, id: TokenId) -> Result<(), Fault> {
        self.change(ACTOR, origin, move |mut write| {
            let mut row = row::find::<Row>(write.db(), write.keys(), id)?;
            if row.customer != CUSTOMER {
                return Err(Fault::missing(id));
            }
            row.revoked_at = Some(write.origin().now);
            row.touch(&write, 0);
            row.save(&mut write)?;
            write.commit(&row.destroyed(None), ())
        })
        .await
    }
}

/// The process itself, which holds the database and its key file.
const ACTOR: Actor = Actor::Operator { customer: Some(CUSTOMER) };
