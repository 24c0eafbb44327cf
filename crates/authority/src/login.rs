//! The one authenticator: whoever shows a login and a password is judged here, whichever door they came in by.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::{
        Mutex,
        atomic::{AtomicI64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use keygate_model::{
    Event, Timestamp, UserId,
    customer::CustomerState,
    event::{LoginFailure, SecondFactor},
    otp::{MalformedOtp, Otp},
    permit::Actor,
    user::{Login, UserState},
};

use crate::{
    authority::Authority,
    customer,
    db::{Connection, NONE},
    fault::{Fault, LoginRefusal},
    keys::Keys,
    password::{Password, PasswordHash, Place},
    row, user,
    write::Write,
};

/// What somebody shows.
pub struct Attempt {
    /// Who they say they are.
    pub login: Login,
    /// Their password.
    pub password: Password,
    /// Their one-time code, if they sent one.
    pub otp: Option<Result<Otp, MalformedOtp>>,
}

/// Which door an attempt came in by: what the second factor must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Door {
    /// For a new token: a code of now.
    Token,
    /// For sudo: the token that asks was itself made with a code, or not.
    Sudo {
        /// Whether it was.
        token_made_with_factor: bool,
    },
}

/// An attempt whose password has been checked, outside of any transaction: hashing takes long.
pub(crate) struct Checked {
    /// The person with this login, and the hash that was checked, if there is one.
    known: Option<(UserId, PasswordHash)>,
    password_is_right: bool,
    login: Login,
    otp: Option<Result<Otp, MalformedOtp>>,
}

impl Checked {
    pub(crate) fn password_is_right(&self) -> bool {
        self.password_is_right
    }
}

/// What came of an attempt.
pub(crate) enum Judged {
    /// The person is who they say. Their row must be saved with the event.
    Proved(Box<user::Row>, Event),
    /// They are not, and it counts: the row, if there is one, must be saved with the event.
    Refused(Option<Box<user::Row>>, Event, LoginRefusal),
    /// A code is needed. Counts nothing, and is no event.
    CodeRequired,
}

impl Authority {
    /// Checks the password of an attempt. Costs the same for unknown logins.
    ///
    /// # Errors
    /// [`LoginRefusal::TooMany`], [`Fault::Overloaded`], storage faults. A wrong password is no error yet.
    pub(crate) async fn check(&self, attempt: Attempt, now: Timestamp) -> Result<Checked, Fault> {
        let Attempt { login, password, otp } = attempt;
        let admitted = self.limiter().admit(&login, now);
        admitted.inspect_err(|refusal| self.vitals().login_ended::<()>(&Ok(Err(*refusal))))?;
        let compared = self.compare(&login, password).await;
        if compared.is_err() {
            self.limiter().give_back(&login);
        }
        let (known, password_is_right) = compared?;
        Ok(Checked { known, password_is_right, login, otp })
    }

    /// The person with this login and the hash of their password, and whether it is the hash of this one.
    async fn compare(
        &self,
        login: &Login,
        password: Password,
    ) -> Result<(Option<(UserId, PasswordHash)>, bool), Fault> {
        let wanted = login.clone();
        let known = self.read(move |db, keys| {
            let known = user::find_by_login(db, keys, &wanted)?;
            if known.is_none() {
                anybody(db, keys)?;
            }
            Ok(known)
        });
        let known = known.await?;
        let known = known.map(|row| (row.id, row.password));
        let hash = known.as_ref().map(|(_, hash)| hash.clone());
        let hash = hash.filter(PasswordHash::is_set);
        let right = self.passwords().verify(password, hash).await?;
        Ok((known, right))
    }
}

impl Authority {
    /// Gives an admitted try back unless it was refused for what it showed. Who sends a used code, or the right password
    /// for sudo on the wrong token, has guessed nothing.
    pub(crate) fn settle<T>(&self, login: &Login, outcome: &Result<Result<T, LoginRefusal>, Fault>) {
        self.vitals().login_ended(outcome);
        let innocent = match outcome {
            Ok(
                Err(LoginRefusal::CodeReused | LoginRefusal::TokenWithoutFactor | LoginRefusal::OverQuota)
                | Ok(_),
            )
            | Err(_) => true,
            Ok(Err(_)) => false,
        };
        if innocent {
            self.limiter().give_back(login);
        }
    }
}

/// Judges a checked attempt, inside the transaction that acts on it.
pub(crate) fn judge(write: &mut Write<'_>, checked: &Checked, door: Door) -> Result<Judged, Fault> {
    let Some((id, hash)) = &checked.known else {
        // The work that a known login makes, or the time of the answer would tell.
        if let Some(row) = anybody(write.db(), write.keys())? {
            drop(row::find::<customer::Row>(write.db(), write.keys(), row.customer));
            save_as_is(write, &row)?;
        }
        let tag = write.keys().tag("login", checked.login.as_str().as_bytes());
        let login_tag = Some(data_encoding::HEXLOWER.encode(&tag));
        let event = Event::UserLoginFailure { user: None, why: LoginFailure::UnknownLogin, login_tag };
        return Ok(Judged::Refused(None, event, LoginRefusal::Failed));
    };
    let mut row = row::find::<user::Row>(write.db(), write.keys(), *id)?;
    write.act_as(Actor::Person { user: row.id, customer: row.customer });
    // The password may have been changed since it was checked.
    let right = checked.password_is_right && row.password == *hash;
    let customer = row::find::<customer::Row>(write.db(), write.keys(), row.customer)?;
    let active = row.state == UserState::Active && customer.state == CustomerState::Active;
    let judged = match (right, active) {
        (false, _) => Err((LoginFailure::Password, LoginRefusal::Failed)),
        (true, false) => Err((LoginFailure::Disabled, LoginRefusal::Failed)),
        (true, true) => judge_factor(write, &mut row, checked, door),
    };
    Ok(match judged {
        Ok(factor) => {
            let event = Event::UserLogin { user: row.id, factor };
            Judged::Proved(Box::new(row), event)
        }
        Err((_, LoginRefusal::CodeRequired)) => Judged::CodeRequired,
        Err((why, refusal)) => {
            let event = Event::UserLoginFailure { user: Some(row.id), why, login_tag: None };
            Judged::Refused(Some(Box::new(row)), event, refusal)
        }
    })
}

/// The work that saving a person is, for nobody.
pub(crate) fn save_anybody(write: &mut Write<'_>) -> Result<(), Fault> {
    anybody(write.db(), write.keys())?.map_or(Ok(()), |row| save_as_is(write, &row))
}

/// Saves a row that has not changed, and reads it as the feed reads whoever an event is about.
fn save_as_is(write: &mut Write<'_>, row: &user::Row) -> Result<(), Fault> {
    row.save(write)?;
    drop(row::find::<user::Row>(write.db(), write.keys(), row.id));
    Ok(())
}

/// Somebody, whoever: read, and written back as they are, where an unknown login must cost what a known one does.
fn anybody(db: &Connection, keys: &Keys) -> Result<Option<user::Row>, Fault> {
    let mut select = db.prepare_cached(&row::select::<user::Row>("LIMIT 1"))?;
    let mut rows = select.query(NONE)?;
    // A row that fails its seal is left as it is, for the audit.
    Ok(rows.next()?.and_then(|row| row::believe(row, keys).ok()))
}

fn judge_factor(
    write: &Write<'_>,
    row: &mut user::Row,
    checked: &Checked,
    door: Door,
) -> Result<SecondFactor, (LoginFailure, LoginRefusal)> {
    let whose = (row.customer, row.id);
    match door {
        _ if !row.has_factor() => Ok(SecondFactor::None),
        Door::Token => row.factor.judge(write.keys(), whose, checked.otp.as_ref(), write.origin().now),
        Door::Sudo { token_made_with_factor: true } => Ok(SecondFactor::None),
        Door::Sudo { token_made_with_factor: false } => {
            Err((LoginFailure::Code, LoginRefusal::TokenWithoutFactor))
        }
    }
}

/// How many failures a login may have, and how fast they are forgiven.
#[derive(Clone, Copy, Debug)]
pub struct LoginLimits {
    /// Failures at once.
    pub burst: u32,
    /// Time after which one of them is forgiven.
    pub refill: Duration,
}

impl Default for LoginLimits {
    fn default() -> Self {
        Self { burst: 10, refill: Duration::from_secs(60) }
    }
}

/// Failures by login: one bucket for all spellings, all doors, known and unknown alike. In memory: what must survive a
/// crash is the second factor's counter, in the user's row.
pub(crate) struct Limiter {
    limits: LoginLimits,
    /// When each login's bucket is full again (GCRA's theoretical arrival time), in microseconds.
    full_at: Mutex<HashMap<Login, i64>>,
    /// Where tries of the same login stand in line.
    lanes: Vec<tokio::sync::Mutex<()>>,
    waiting: AtomicUsize,
    /// When the next link for a stranger is due, in microseconds (GCRA).
    links_due: AtomicI64,
}

/// A login's turn: until it is dropped, no other try of the same login is judged.
pub(crate) struct Turn<'l> {
    _lane: tokio::sync::MutexGuard<'l, ()>,
}

/// Lanes; two logins may share one, and then wait for each other.
const LANES: usize = 256;

/// Tries that may stand in line, of all logins together.
const WAITING_MAX: usize = 256;

/// Links that strangers may ask for at once, of all logins together, and after how long one more.
const LINKS_AT_ONCE: i64 = 50;
const LINK_EVERY_MICROS: i64 = 200_000;

/// How many logins are remembered; beyond that the full buckets are forgotten.
const LOGINS_MAX: usize = 100_000;

impl Limiter {
    pub(crate) fn new(limits: LoginLimits) -> Self {
        let lanes = (0..LANES).map(|_| tokio::sync::Mutex::new(())).collect();
        Self {
            limits,
            full_at: Mutex::default(),
            lanes,
            waiting: AtomicUsize::new(0),
            links_due: AtomicI64::new(0),
        }
    }

    /// Waits for this login's turn. Tries at once could outrun the limit, or be refused for each other's sake; one after
    /// the other they do neither.
    pub(crate) async fn turn(&self, login: &Login) -> Result<Turn<'_>, Fault> {
        let _place = Place::take(&self.waiting, WAITING_MAX)?;
        let mut hasher = DefaultHasher::new();
        login.hash(&mut hasher);
        let lane = &self.lanes[(hasher.finish() % LANES as u64) as usize];
        Ok(Turn { _lane: lane.lock().await })
    }

    fn refill_micros(&self) -> i64 {
        i64::try_from(self.limits.refill.as_micros()).unwrap_or(i64::MAX).max(1)
    }

    /// Whether this login may be tried now. A try is charged before it is made, so that tries at once share the limit;
    /// one that did not fail is given back.
    pub(crate) fn admit(&self, login: &Login, now: Timestamp) -> Result<(), LoginRefusal> {
        let mut full_at = self.full_at.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let debt = full_at.get(login).map_or(0, |full| full - now.micros());
        let over = debt - self.refill_micros().saturating_mul(i64::from(self.limits.burst) - 1);
        if over <= 0 {
            self.charge(&mut full_at, login, now);
            return Ok(());
        }
        let retry_after_seconds = u32::try_from(over.div_euclid(1_000_000) + 1).unwrap_or(u32::MAX);
        Err(LoginRefusal::TooMany { retry_after_seconds })
    }

    /// Whether a stranger may ask for a link now, for whomever. Nothing is hashed for it, and each is an event and a sync
    /// of the disk: the limit by login is none for whoever makes logins up.
    pub(crate) fn admit_stranger(&self, now: Timestamp) -> Result<(), LoginRefusal> {
        let now = now.micros();
        let due = |due: i64| {
            let due = due.max(now);
            (due - now < LINKS_AT_ONCE * LINK_EVERY_MICROS).then_some(due + LINK_EVERY_MICROS)
        };
        let admitted = self.links_due.fetch_update(Ordering::Relaxed, Ordering::Relaxed, due);
        admitted.map(drop).map_err(|_| LoginRefusal::TooMany { retry_after_seconds: 1 })
    }

    fn give_back(&self, login: &Login) {
        let mut full_at = self.full_at.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(full) = full_at.get_mut(login) {
            *full = full.saturating_sub(self.refill_micros());
        }
    }

    fn charge(&self, full_at: &mut HashMap<Login, i64>, login: &Login, now: Timestamp) {
        if full_at.len() >= LOGINS_MAX {
            full_at.retain(|_, full| *full > now.micros());
        }
        let full = full_at.entry(login.clone()).or_insert(now.micros());
        *full = (*full).max(now.micros()).saturating_add(self.refill_micros());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_empties_and_refills_and_is_shared_by_spellings() {
        let limiter = Limiter::new(LoginLimits { burst: 3, refill: Duration::from_secs(60) });
        let now = Timestamp::from_seconds(1_000);
        for spelling in ["ada", "ADA", " Ada "] {
            let login = Login::parse(spelling).unwrap();
            assert!(limiter.admit(&login, now).is_ok());
        }
        let login = Login::parse("ada").unwrap();
        assert!(matches!(
            limiter.admit(&login, now),
            Err(LoginRefusal::TooMany { retry_after_seconds: 60 | 61 })
        ));
        assert!(limiter.admit(&login, now.after(Duration::from_secs(60))).is_ok());
        assert!(limiter.admit(&Login::parse("bob").unwrap(), now).is_ok());
    }
}
