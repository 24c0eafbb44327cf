//! Making tokens: by password, or by a token in sudo. Either way never wider than who asks.

use keygate_model::{
    Action, Actor, CustomerId, Event, Expiry, Permit, Policy, ServiceId, Services, Timestamp, TokenId,
    UserId,
    authorization::{Permission, Reach},
    record::Owner,
    user::UserState,
};
use sha2::{Digest as _, Sha256};

use super::{
    Issued, Minted, Row,
    living::{Whose, living_of, values},
};
use crate::{
    authority::Authority,
    customer,
    db::params,
    fault::{Fault, LoginRefusal},
    login::{self, Attempt, Door, Judged},
    origin::Origin,
    row, service, text, user,
    write::{Committed, Write},
};

/// What a token is called if nobody says.
const NAME: &str = "API token";

/// The scope of a token if nobody says (CONTRACT §1).
pub(super) const SCOPE: &str = "global";

/// The most living tokens of one person (CONTRACT §1).
const LIVING_MAX: i64 = 100;

/// The most living automation tokens of a customer.
const AUTOMATION_LIVING_MAX: i64 = 10_000;

/// The longest life of a token that has an end: ten years.
const LIFE_SECONDS_MAX: i64 = 10 * 366 * 24 * 3600;

/// A token that somebody wants. What is absent becomes the widest that the one who asks may give, and never wider.
#[derive(Clone, Debug, Default)]
pub struct Order {
    /// What for.
    pub name: Option<String>,
    /// Its scopes, separated by a space.
    pub scope: Option<String>,
    /// The ids of the services it is limited to, as they came in. None: all.
    pub services: Option<Vec<String>>,
    /// Until when.
    pub expires: Option<Timestamp>,
    /// A key under which the same request may be sent again.
    pub idempotency: Option<Idempotency>,
}

/// An idempotency key, hashed, and the hash of the body it came with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Idempotency {
    key: [u8; 32],
    request: [u8; 32],
}

impl Idempotency {
    /// Of a key and what identifies the body.
    #[must_use]
    pub fn new(key: &[u8], request: &[u8]) -> Self {
        Self { key: Sha256::digest(key).into(), request: Sha256::digest(request).into() }
    }
}

/// Who a new token is for, and the limits of who asks for it.
pub(super) struct Parent {
    pub(super) customer: customer::Row,
    /// How many tokens are alive of those of which the new one will be.
    pub(super) living: i64,
    /// Bound to whom the new token will be.
    pub(super) owner: Owner,
    /// The person who asks, or who made the token that asks.
    pub(super) creator: Option<UserId>,
    /// The token that asks; none for a password, which is limited by nothing but the role.
    pub(super) token: Option<Row>,
    /// What the person who asks reaches, where that limits what they make.
    pub(super) reach: Reach,
    pub(super) second_factor: bool,
}

impl Authority {
    /// Makes a token for a person who shows password and second factor, if `admit` lets this person have one now.
    ///
    /// # Errors
    /// [`Fault::Login`]; `scope_invalid`, `expiry_invalid`, `service_not_found`, `name_invalid`, `token_limit_reached`;
    /// storage faults.
    pub async fn create_token_by_password(
        &self,
        origin: &Origin,
        attempt: Attempt,
        order: Order,
        minted: Minted,
        admit: impl FnOnce(UserId) -> bool + Send + 'static,
    ) -> Result<Issued, Fault> {
        let login = attempt.login.clone();
        let _turn = self.limiter().turn(&login).await?;
        let checked = self.check(attempt, origin.now).await?;
        let policy = self.policy_handle();
        let issued = self.change(Actor::Stranger, origin, move |mut write| {
            match login::judge(&mut write, &checked, Door::Token)? {
                Judged::CodeRequired => Err(LoginRefusal::CodeRequired.into()),
                Judged::Refused(row, event, refusal) => refuse(write, row.map(|row| *row), &event, refusal),
                Judged::Proved(person, _) if person.must_change => Err(LoginRefusal::PasswordExpired.into()),
                Judged::Proved(person, login_event) if !admit(person.id) => {
                    refuse(write, Some(*person), &login_event, LoginRefusal::OverQuota)
                }
                Judged::Proved(mut person, login_event) => {
                    let house = row::find(write.db(), write.keys(), person.customer)?;
                    let living = living_of(&write, person.id)?;
                    let parent = Parent::of_person(&person, house, None, living);
                    let row = order.fill(&policy, &write, &parent, &minted, 1)?;
                    person.touch(&write, 0);
                    person.save(&mut write)?;
                    row.save_new(&mut write)?;
                    let events = [login_event, Event::TokenCreate(row.told())];
                    write.commit_each(&events, Ok(Issued { row, secret: minted.secret }))
                }
            }
        });
        let issued = issued.await;
        self.settle(&login, &issued);
        issued?.map_err(Fault::from)
    }

    /// Makes a token for the person behind a token in sudo.
    ///
    /// # Errors
    /// [`Fault::Wider`]; `scope_invalid`, `expiry_invalid`, `service_not_found`, `name_invalid`, `token_limit_reached`;
    /// storage faults.
    pub async fn create_token(
        &self,
        permit: &Permit,
        origin: &Origin,
        order: Order,
        minted: Minted,
    ) -> Result<Issued, Fault> {
        permit.proves(Action::TOKEN_CREATE)?;
        let Actor::Token { token, customer, user: Some(user) } = permit.actor() else {
            return Err(Fault::Permit(keygate_model::permit::WrongPermit));
        };
        let policy = self.policy_handle();
        self.change(permit.actor(), origin, move |mut write| {
            let whose = (customer, user);
            let (asking, person, house, living) = asking(&mut write, token, whose, Whose::Person)?;
            let mut parent = Parent::of_person(&person, house, Some(asking), living);
            parent.second_factor = false;
            let row = order.fill(&policy, &write, &parent, &minted, 0)?;
            row.save_new(&mut write)?;
            let event = Event::TokenCreate(row.told());
            write.commit(&event, Issued { row, secret: minted.secret })
        })
        .await
    }
}

/// Who asks: the token, the person behind it and their customer, read in the writer: a revoke or a lock that came first is
/// seen. Who must change their password makes no token before. And how many tokens are alive of those of which one more
/// is wanted.
pub(super) fn asking(
    write: &mut Write<'_>,
    token: TokenId,
    (customer, user): (CustomerId, UserId),
    whose: Whose,
) -> Result<(Row, user::Row, customer::Row, i64), Fault> {
    let (ids, count) = ((token, user, customer), whose.counted(write.all_noted()));
    let (from, counted) = ((write.db(), write.keys()), (count.as_str(), values(write)));
    let (found, living) = row::find_three(from, ids, counted, write.all_noted())?;
    let (asking, person, house): row::Three<Row, user::Row, customer::Row> = found;
    let (asking, person) = (is_living(write, asking?)?, person?);
    if person.customer != customer || person.state != UserState::Active {
        return Err(Fault::missing(user));
    }
    if person.must_change {
        return Err(LoginRefusal::PasswordExpired.into());
    }
    Ok((asking, person, house?, living))
}

/// The token that asks, if it was not revoked.
pub(super) fn is_living(write: &mut Write<'_>, asking: Row) -> Result<Row, Fault> {
    write.is_called(asking.id, &asking.name);
    if asking.revoked_at.is_none() { Ok(asking) } else { Err(Fault::missing(asking.id)) }
}

impl Parent {
    /// A person, for a token of their own.
    fn of_person(person: &user::Row, house: customer::Row, token: Option<Row>, living: i64) -> Self {
        Self {
            customer: house,
            living,
            owner: Owner::User(person.id),
            creator: Some(person.id),
            token,
            // The token follows what its person reaches, whatever that will be.
            reach: Reach::All,
            second_factor: person.has_factor(),
        }
    }

    /// Whether there may be one more of such tokens.
    fn has_room(&self) -> Result<(), Fault> {
        let living = self.living;
        let most = match self.owner {
            Owner::User(_) => LIVING_MAX,
            Owner::Customer { .. } => AUTOMATION_LIVING_MAX,
        };
        if living < most {
            return Ok(());
        }
        let why = format!("There are {living} active tokens, the most there may be; revoke one first");
        Err(Fault::invalid("token_limit_reached", why))
    }

    /// Whose idempotency keys these are: the person's, or the machine's.
    fn asks(&self) -> [u8; 16] {
        match (&self.owner, &self.token) {
            (Owner::User(user), _) => user.to_bytes(),
            (Owner::Customer { .. }, Some(token)) => {
                token.user().map_or_else(|| token.id.to_bytes(), UserId::to_bytes)
            }
            (Owner::Customer { .. }, None) => self.customer.id.to_bytes(),
        }
    }

    /// The widest list of services that the new token may have.
    fn services(&self) -> Result<Services, Fault> {
        let listed = self.token.as_ref().map_or(Services::All, |row| row.services.clone());
        let Reach::Granted(grants) = &self.reach else { return Ok(listed) };
        let full = grants.all().iter().filter(|(_, permission)| *permission == Permission::Full);
        let within = full.map(|(service, _)| *service).filter(|service| listed.contains(*service));
        let none = |_| Fault::Wider { excess: "services that you have in full".to_owned() };
        Services::only(within).map_err(none)
    }
}

/// Commits a failed login: the counter stays, whatever the answer.
pub(crate) fn refuse<T>(
    mut write: Write<'_>,
    person: Option<crate::user::Row>,
    event: &Event,
    refusal: LoginRefusal,
) -> Result<Committed<Result<T, LoginRefusal>>, Fault> {
    if let Some(mut person) = person {
        person.touch(&write, 0);
        person.save(&mut write)?;
    }
    write.commit(event, Err(refusal))
}

impl Order {
    /// The row that this order makes under `parent`, with the `nth` event about it.
    pub(super) fn fill(
        self,
        policy: &Policy,
        write: &Write<'_>,
        parent: &Parent,
        minted: &Minted,
        nth: i64,
    ) -> Result<Row, Fault> {
        if let Some(idempotency) = &self.idempotency {
            remember(write, parent.asks(), idempotency, minted)?;
        }
        parent.has_room()?;
        let now = write.origin().now;
        let ceiling = parent.token.as_ref();
        let row = Row {
            id: minted.id,
            digest: minted.secret.digest(),
            customer: parent.customer.id,
            owner: parent.owner.clone(),
            creator: parent.creator,
            parent: ceiling.map(|row| row.id),
            foreign: false,
            tls_access: false,
            name: text::name("Name", self.name.as_deref().unwrap_or(NAME))?,
            scope: scope(policy, parent.customer.id, self.scope, ceiling)?,
            services: services(write, parent.customer.id, self.services, &parent.services()?)?,
            expires: expires(self.expires, parent, now)?,
            second_factor: parent.second_factor,
            sudo_until: None,
            created_at: now,
            updated_at: now,
            revoked_at: None,
            position: write.position_of(nth),
        };
        Ok(row)
    }
}

fn scope(
    policy: &Policy,
    customer: CustomerId,
    wanted: Option<String>,
    ceiling: Option<&Row>,
) -> Result<String, Fault> {
    let seen = policy.seen_by(Some(customer));
    let wanted = wanted.or_else(|| ceiling.map(|row| row.scope.clone())).unwrap_or_else(|| SCOPE.to_owned());
    let Some(actions) = seen.scopes_on_offer(&wanted) else {
        let known = seen.scope_names().join(", ");
        return Err(Fault::invalid("scope_invalid", format!("Scope must be one or more of: {known}")));
    };
    if let Some(ceiling) = ceiling {
        let own = policy.scopes(&ceiling.scope).unwrap_or_default();
        // A person may let a machine do what they may themselves; a machine hands on what it has.
        let own = if ceiling.user().is_some() { policy.grantable(own) } else { own };
        let excess = actions.minus(own);
        if !excess.is_empty() {
            return Err(Fault::Wider { excess: seen.excess(excess) });
        }
    }
    Ok(wanted)
}

fn services(
    write: &Write<'_>,
    customer: CustomerId,
    wanted: Option<Vec<String>>,
    widest: &Services,
) -> Result<Services, Fault> {
    let Some(wanted) = wanted else { return Ok(widest.clone()) };
    let mut ids = Vec::new();
    for text in &wanted {
        // Longer than an id is, it may be a secret in the wrong place, and is not repeated.
        let shown = if text.len() <= 24 { text } else { "…" };
        let missing = || Fault::invalid("service_not_found", format!("Cannot find service '{shown}'"));
        let id: ServiceId = text.parse().map_err(|_| missing())?;
        match service::find_in(write.db(), write.keys(), customer, id) {
            Ok(row) if row.deleted_at.is_none() => ids.push(id),
            Ok(_) | Err(Fault::Missing { .. }) => return Err(missing()),
            Err(fault) => return Err(fault),
        }
    }
    let services = Services::only(ids).map_err(|empty| Fault::invalid("services_invalid", empty))?;
    if services.is_within(widest) {
        Ok(services)
    } else {
        Err(Fault::Wider { excess: "services that the token that asks is not limited to".to_owned() })
    }
}

fn expires(wanted: Option<Timestamp>, parent: &Parent, now: Timestamp) -> Result<Expiry, Fault> {
    if wanted.is_some_and(|at| at <= now) {
        return Err(Fault::invalid("expiry_invalid", "expires_at is in the past"));
    }
    if wanted.is_some_and(|at| at > Timestamp::from_seconds(now.seconds() + LIFE_SECONDS_MAX)) {
        let why = "expires_at is more than ten years ahead, the most there is";
        return Err(Fault::invalid("expiry_invalid", why));
    }
    let longest = parent.token.as_ref().map_or(Expiry::Never, |row| row.expires);
    let expires = parent.customer.settings.expiry(wanted, now)?;
    if expires <= longest {
        Ok(expires)
    } else if wanted.is_none() {
        Ok(longest)
    } else {
        Err(Fault::Wider { excess: "a longer life than the token that asks".to_owned() })
    }
}

/// Notes an idempotency key with the token it makes, in the same transaction; refuses the second use.
fn remember(
    write: &Write<'_>,
    owner: [u8; 16],
    idempotency: &Idempotency,
    minted: &Minted,
) -> Result<(), Fault> {
    let mut select = write
        .db()
        .prepare_cached("SELECT request, token_id FROM idempotency WHERE owner_id = $1 AND key = $2")?;
    let mut rows = select.query(params![owner, idempotency.key])?;
    if let Some(row) = rows.next()? {
        let token = keygate_model::TokenId::from_bytes(row.get(1)?).to_string();
        let same = row.get::<[u8; 32]>(0)? == idempotency.request;
        return Err(if same { Fault::IdempotencyReplayed { token } } else { Fault::IdempotencyMismatch });
    }
    let mut insert = write.db().prepare_cached(
        "INSERT INTO idempotency (owner_id, key, request, token_id) VALUES ($1, $2, $3, $4)",
    )?;
    insert.execute(params![owner, idempotency.key, idempotency.request, minted.id.to_bytes()])?;
    Ok(())
}
