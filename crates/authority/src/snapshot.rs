//! What gates elsewhere begin with: everything there is, and where the chain of events was then.

use std::sync::Arc;

use keygate_model::Position;

use crate::{
    authority::Authority,
    chain::Head,
    fault::Fault,
    feed::{Feed, Sink},
    policy::InForce,
};

impl Authority {
    /// Tells `sink` everything there is, from one consistent read, in batches of one position.
    ///
    /// # Errors
    /// Storage faults; what was told by then is not everything.
    pub async fn snapshot(&self, sink: Sink) -> Result<(), Fault> {
        let in_force = Arc::new(InForce::new(self.policy_handle()));
        self.read(move |db, keys| Feed::start(db, keys, in_force, sink).map(drop)).await
    }

    /// The hash that the event at a position carries. None: there is no such event yet.
    ///
    /// # Errors
    /// Storage faults.
    pub async fn hash_at(&self, position: Position) -> Result<Option<[u8; 32]>, Fault> {
        if position == Head::START.position {
            return Ok(Some(Head::START.hash));
        }
        let select = "SELECT hash FROM events WHERE position = $1";
        self.read(move |db, _| {
            let mut select = db.prepare_cached(select)?;
            let mut rows = select.query([position.0])?;
            Ok(rows.next()?.map(|row| row.get(0)).transpose()?)
        })
        .await
    }
}
