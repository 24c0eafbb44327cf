//! Marks of use: when, from where and by what a token was used last. Written in batches, off the request path.

use crate::db::{Connection, params};
use std::collections::HashMap;

use crate::fault::Fault;
use keygate_model::{Timestamp, TokenId};

/// The last use of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Which.
    pub token: TokenId,
    /// When.
    pub at: Timestamp,
    /// The client's address.
    pub ip: String,
    /// The client's name for itself.
    pub user_agent: String,
}

pub(crate) fn write(db: &Connection, marks: &[Mark]) -> Result<(), Fault> {
    let mut upsert = db.prepare_cached(
        "INSERT INTO marks (token_id, used_at, ip, user_agent) VALUES ($1, $2, $3, $4)
         ON CONFLICT (token_id) DO UPDATE SET used_at = $2, ip = $3, user_agent = $4 WHERE marks.used_at <= $2",
    )?;
    for mark in marks {
        upsert.execute(params![mark.token.to_bytes(), mark.at.micros(), mark.ip, mark.user_agent])?;
    }
    Ok(())
}

/// The marks of these tokens.
pub(crate) fn of(
    db: &Connection,
    tokens: impl Iterator<Item = TokenId>,
) -> Result<HashMap<TokenId, Mark>, Fault> {
    let mut select = db.prepare_cached("SELECT used_at, ip, user_agent FROM marks WHERE token_id = $1")?;
    let mut marks = HashMap::new();
    for token in tokens {
        let mut rows = select.query([token.to_bytes()])?;
        if let Some(row) = rows.next()? {
            let at = Timestamp::from_micros(row.get(0)?);
            marks.insert(token, Mark { token, at, ip: row.get(1)?, user_agent: row.get(2)? });
        }
    }
    Ok(marks)
}
