//! The gates that follow, as the record has them: every heartbeat is committed before it is echoed, and whichever node asks
//! whether a change is enforced reads those of all nodes.

use keygate_model::{
    CustomerId, Position, Span, Timestamp,
    enforce::{Epoch, Heartbeat, Nonce, Session},
};

use crate::{
    authority::Authority,
    chain::Head,
    db::{Connection, NONE, params},
    fault::Fault,
};

/// A heartbeat that came in, from which gate, and what its echo will grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beat {
    /// What the gate said.
    pub heartbeat: Heartbeat,
    /// What it is called.
    pub name: String,
    /// For how long at most it may let anybody in by the echo.
    pub granted: Span,
    /// What people are told of it.
    pub about: About,
}

/// What people are told of a gate. Nothing is decided by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    /// Whose token it shows. None: it is a process of the operator's, on the database itself.
    pub customer: Option<CustomerId>,
    /// Whether it is told of all customers.
    pub everybody: bool,
    /// Its version, if it said one.
    pub version: String,
    /// When it was heard.
    pub heard_at: Timestamp,
}

impl Authority {
    /// Commits heartbeats, also none, and tells the position that the record had then. An echo that is sent before this is
    /// done proves nothing.
    ///
    /// # Errors
    /// Storage faults: nothing may be echoed.
    pub async fn beat(&self, beats: Vec<Beat>) -> Result<Position, Fault> {
        self.writer().beat(beats).await
    }

    /// The last heartbeat of every run of a gate that was committed, at whichever node, and the position that the record had
    /// there: a database that another has taken the place of may still be read, and lacks what was committed since.
    ///
    /// # Errors
    /// Storage faults.
    pub async fn beats(&self) -> Result<(Position, Vec<Beat>), Fault> {
        self.read(|db, keys| Ok((Head::read(db, keys)?.position, read(db)?))).await
    }

    /// Forgets runs whose leases have ended long ago, unless they were heard again.
    ///
    /// # Errors
    /// Storage faults.
    pub async fn forget_beats(&self, ended: Vec<(Session, Nonce)>) -> Result<(), Fault> {
        self.writer().forget(ended).await
    }
}

pub(crate) fn write(db: &Connection, beats: &[Beat]) -> Result<(), Fault> {
    let mut upsert = db.prepare_cached(
        "INSERT INTO gates (session, name, epoch, nonce, applied, granted, customer_id, everybody, version, heard_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
         ON CONFLICT (session) DO UPDATE SET epoch = $3, nonce = $4, applied = $5, granted = $6, everybody = $8,
         heard_at = $10",
    )?;
    for Beat { heartbeat, name, granted, about } in beats {
        upsert.execute(params![
            heartbeat.session.0.to_be_bytes(),
            name,
            heartbeat.epoch.0 as i64,
            heartbeat.nonce.0.to_be_bytes(),
            heartbeat.applied.0,
            i64::try_from(granted.duration().as_micros()).unwrap_or(i64::MAX),
            about.customer.map(CustomerId::to_bytes),
            about.everybody,
            about.version,
            about.heard_at.micros(),
        ])?;
    }
    Ok(())
}

pub(crate) fn forget(db: &Connection, ended: &[(Session, Nonce)]) -> Result<(), Fault> {
    let mut delete = db.prepare_cached("DELETE FROM gates WHERE session = $1 AND nonce = $2")?;
    for (session, nonce) in ended {
        delete.execute([session.0.to_be_bytes(), nonce.0.to_be_bytes()])?;
    }
    Ok(())
}

fn read(db: &Connection) -> Result<Vec<Beat>, Fault> {
    let mut select = db.prepare_cached(
        "SELECT session, name, epoch, nonce, applied, granted, customer_id, everybody, version, heard_at FROM gates",
    )?;
    let mut rows = select.query(NONE)?;
    let mut beats = Vec::new();
    while let Some(row) = rows.next()? {
        let granted = std::time::Duration::from_micros(row.get::<i64>(5)?.unsigned_abs());
        let heartbeat = Heartbeat {
            session: Session(u128::from_be_bytes(row.get(0)?)),
            epoch: Epoch(row.get::<i64>(2)?.unsigned_abs()),
            nonce: Nonce(u128::from_be_bytes(row.get(3)?)),
            applied: Position(row.get(4)?),
        };
        // A lease of no length lets nobody in: nobody waits for its end.
        let Some(granted) = Span::of(granted) else { continue };
        let about = About {
            customer: row.get::<Option<[u8; 16]>>(6)?.map(CustomerId::from_bytes),
            everybody: row.get(7)?,
            version: row.get(8)?,
            heard_at: Timestamp::from_micros(row.get(9)?),
        };
        beats.push(Beat { heartbeat, name: row.get(1)?, granted, about });
    }
    Ok(beats)
}
