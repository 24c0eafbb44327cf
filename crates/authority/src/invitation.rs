//! Invitations: how a customer's people get in (CONTRACT §18).

use std::time::Duration;

use crate::{
    authority::Authority,
    customer,
    db::{self, Connection, Row as SqlRow, params},
    fault::Fault,
    keys::{Keys, Seal},
    origin::Origin,
    password::NewPassword,
    row::{self, Sealed},
    service,
    user::{self, Grant, NewUser},
    write::Write,
};
use keygate_model::{
    Action, Actor, AuthorizationId, CustomerId, Event, InvitationId, Permit, Position, Record, ServiceId,
    Subject, Timestamp, UserId, authorization::Permission, customer::CustomerState, id, link::LinkCode,
    token::Digest, user::Login,
};

/// How long an invitation stands.
const LIFE: Duration = Duration::from_secs(7 * 24 * 3600);

/// How many invitations of a customer stand at once.
const STANDING_MAX: i64 = 500;

/// What became of an invitation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvitationState {
    /// It stands.
    Sent,
    /// It was taken up.
    Accepted,
    /// It was taken back.
    Deleted,
}

impl InvitationState {
    const ALL: [Self; 3] = [Self::Sent, Self::Accepted, Self::Deleted];

    fn as_str(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Accepted => "accepted",
            Self::Deleted => "deleted",
        }
    }
}

/// An invitation as it is kept.
#[derive(Clone)]
pub struct Row {
    /// Which.
    pub id: InvitationId,
    /// Whose house.
    pub customer: CustomerId,
    /// Who is invited.
    pub email: Login,
    /// The name of the role that they will have.
    pub role: String,
    /// Whether they will be limited to services that they are given one by one.
    pub limited: bool,
    /// What they will be given.
    pub grants: Vec<Grant>,
    code: Digest,
    /// What became of it.
    pub state: InvitationState,
    /// Until when it stands.
    pub expires_at: Timestamp,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
    position: Position,
}

/// An invitation to make.
pub struct NewInvitation {
    /// Its id; draw it.
    pub id: InvitationId,
    /// Who is invited.
    pub email: Login,
    /// The name of the role that they will have.
    pub role: String,
    /// Whether they will be limited to services.
    pub limited: bool,
    /// What they will be given on which service, with the id of each authorisation.
    pub grants: Vec<(AuthorizationId, ServiceId, Permission)>,
    /// The code of its link.
    pub code: LinkCode,
}

/// An invitation that was just made, and the code that accepts it.
pub struct Sent {
    /// The invitation.
    pub row: Row,
    /// The code.
    pub code: LinkCode,
}

const COLUMNS: &str = "id, customer_id, email, role, limited, grants, code, state, expires_at, created_at, updated_at, \
                       position, mac";

impl Authority {
    /// Invites somebody, to a role no wider than that of who invites.
    ///
    /// # Errors
    /// `role_invalid`, `user_limited_superuser`, `service_not_found`, `invitations_too_many`; [`Fault::Wider`];
    /// [`Fault::Taken`] for a login that somebody has; storage faults.
    pub async fn invite(&self, permit: &Permit, origin: &Origin, new: NewInvitation) -> Result<Sent, Fault> {
        permit.proves(Action::INVITATION_CREATE)?;
        let (permit, policy) = (*permit, self.policy_handle());
        self.change(permit.actor(), origin, move |mut write| {
            user::may_give(&policy, &write, &permit, &new.role)?;
            user::is_possible_role(&policy, permit.customer(), &new.role, new.limited)?;
            user::login_is_free(&write, &new.email)?;
            is_room(&write, permit.customer())?;
            let NewInvitation { id, email, role, limited, grants, code } = new;
            let now = write.origin().now;
            let row = Row {
                id,
                customer: permit.customer(),
                email,
                role,
                limited,
                grants: given(&write, &permit, grants)?,
                code: code.digest(),
                state: InvitationState::Sent,
                expires_at: now.after(LIFE),
                created_at: now,
                updated_at: now,
                position: write.position_of(0),
            };
            row.save(&mut write)?;
            let event = Event::InvitationSent {
                invitation: id,
                email: row.email.to_string(),
                role: row.role.clone(),
            };
            write.commit(&event, Sent { row, code })
        })
        .await
    }

    /// The invitations of the customer that stand, the oldest first.
    ///
    /// # Errors
    /// Storage faults.
    pub async fn invitations(&self, permit: &Permit) -> Result<Vec<Row>, Fault> {
        permit.proves(Action::INVITATION_READ)?;
        let customer = permit.customer();
        self.read(move |db, keys| {
            let which = "WHERE customer_id = $1 AND state = 'sent' ORDER BY created_at, id";
            let mut select = db.prepare_cached(&row::select::<Row>(which))?;
            let mut rows = select.query([customer.to_bytes()])?;
            let mut invitations = Vec::new();
            while let Some(row) = rows.next()? {
                invitations.push(row::believe(row, keys)?);
            }
            Ok(invitations)
        })
        .await
    }

    /// Takes an invitation back: its link serves no more.
    ///
    /// # Errors
    /// [`Fault::Missing`]; storage faults.
    pub async fn delete_invitation(
        &self,
        permit: &Permit,
        origin: &Origin,
        id: InvitationId,
    ) -> Result<(), Fault> {
        permit.proves(Action::INVITATION_DELETE)?;
        let customer = permit.customer();
        self.change(permit.actor(), origin, move |mut write| {
            let mut row = row::find::<Row>(write.db(), write.keys(), id)?;
            if row.customer != customer || row.state != InvitationState::Sent {
                return Err(Fault::missing(id));
            }
            row.settle(&mut write, InvitationState::Deleted)?;
            let event = Event::InvitationDelete { invitation: id, email: row.email.to_string() };
            write.commit(&event, ())
        })
        .await
    }

    /// Takes an invitation up: makes the person, once.
    ///
    /// # Errors
    /// `link_invalid` for a code that is wrong, used or too old; `password_*`, `name_invalid`; [`Fault::Taken`] if the
    /// login has been given to somebody since; storage faults.
    pub async fn accept_invitation(
        &self,
        origin: &Origin,
        code: &str,
        user: UserId,
        name: &str,
        password: NewPassword,
    ) -> Result<user::Row, Fault> {
        let (digest, now, policy) = (Digest::of(code.as_bytes()), origin.now, self.policy_handle());
        let standing = self.read(move |db, keys| find_by_code(db, keys, digest, now)).await?;
        let password = self.fit_password(standing.customer, &standing.email, name, Some(password)).await?;
        let name = name.to_owned();
        self.change(Actor::Stranger, origin, move |mut write| {
            let mut row = find_by_code(write.db(), write.keys(), digest, write.origin().now)?;
            let person = Actor::Person { user, customer: row.customer };
            write.act_as(person);
            let new = NewUser {
                id: user,
                login: row.email.clone(),
                name,
                role: row.role.clone(),
                limited: row.limited,
                password: None,
            };
            let mut made = new.row(&policy, &write, row.customer, password, 1)?;
            made.grants.clone_from(&row.grants);
            row.settle(&mut write, InvitationState::Accepted)?;
            made.save(&mut write)?;
            made.index_grants(&write)?;
            let events = [Event::InvitationAccept { invitation: row.id, user }, made.told_as_new()];
            write.commit_each(&events, made)
        })
        .await
    }
}

/// What an invited person will be given: on living services of the customer, each once.
fn given(
    write: &Write<'_>,
    permit: &Permit,
    grants: Vec<(AuthorizationId, ServiceId, Permission)>,
) -> Result<Vec<Grant>, Fault> {
    let now = write.origin().now.micros();
    let mut given: Vec<Grant> = Vec::new();
    for (id, service, permission) in grants {
        service::is_living(write, permit.customer(), service)?;
        if given.iter().any(|grant| grant.service == service) {
            return Err(Fault::invalid("duplicate_field", "A service is named twice"));
        }
        given.push(Grant { id, service, permission, created_at: now, updated_at: now });
    }
    Ok(given)
}

/// An invitation is a mail to a stranger: there is an end to how many may be sent.
fn is_room(write: &Write<'_>, customer: CustomerId) -> Result<(), Fault> {
    let mut select = write.db().prepare_cached(
        "SELECT count(*) FROM invitations WHERE customer_id = $1 AND state = 'sent' AND expires_at > $2",
    )?;
    let standing: i64 =
        select.query_row(params![customer.to_bytes(), write.origin().now.micros()], |row| row.get(0))?;
    if standing < STANDING_MAX {
        return Ok(());
    }
    let why = format!("{STANDING_MAX} invitations stand already; take some back first");
    Err(Fault::invalid("invitations_too_many", why))
}

/// The standing invitation with this code.
fn find_by_code(db: &Connection, keys: &Keys, digest: Digest, now: Timestamp) -> Result<Row, Fault> {
    let invalid = || {
        let why = "This invitation was used, taken back, is too old, or its link was not copied whole; ask for a new one";
        Fault::invalid("link_invalid", why)
    };
    let mut select = db.prepare_cached(&row::select::<Row>("WHERE code = $1"))?;
    let mut rows = select.query([digest.bytes()])?;
    let found = rows.next()?.ok_or_else(invalid)?;
    let row: Row = row::believe(found, keys)?;
    let customer = row::find::<customer::Row>(db, keys, row.customer)?;
    let stands = row.state == InvitationState::Sent && now < row.expires_at;
    if stands && customer.state == CustomerState::Active { Ok(row) } else { Err(invalid()) }
}

impl Row {
    fn settle(&mut self, write: &mut Write<'_>, state: InvitationState) -> Result<(), Fault> {
        self.state = state;
        self.updated_at = write.origin().now;
        self.position = write.position_of(0);
        self.save(write)
    }

    fn grants_text(&self) -> String {
        serde_json::to_value(&self.grants).unwrap_or_default().to_string()
    }

    fn save(&self, write: &mut Write<'_>) -> Result<(), Fault> {
        let seal = self.seal(write.keys()).finish();
        write.reseal("invitations", self.id.to_bytes(), &seal)?;
        let mut upsert = write.db().prepare_cached(&format!(
            "INSERT INTO invitations ({COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
             ON CONFLICT (id) DO UPDATE SET state = $8, updated_at = $11, position = $12, mac = $13"
        ))?;
        upsert.execute(params![
            self.id.to_bytes(),
            self.customer.to_bytes(),
            self.email.as_str(),
            self.role,
            self.limited,
            self.grants_text(),
            self.code.bytes(),
            self.state.as_str(),
            self.expires_at.micros(),
            self.created_at.micros(),
            self.updated_at.micros(),
            self.position.0,
            seal,
        ])?;
        Ok(())
    }
}

impl Sealed for Row {
    type Noun = id::Invitation;
    const TABLE: &'static str = "invitations";
    const COLUMNS: &'static str = COLUMNS;

    fn read(row: SqlRow<'_>, keys: &Keys) -> db::Result<(Self, bool)> {
        let email = Login::parse(row.get_ref(2)?.as_str()?).ok();
        let grants = serde_json::from_str(row.get_ref(5)?.as_str()?).ok();
        let word = row.get_ref(7)?.as_str()?;
        let state = InvitationState::ALL.into_iter().find(|state| state.as_str() == word);
        let known = email.is_some() && grants.is_some() && state.is_some();
        let read = Self {
            id: InvitationId::from_bytes(row.get(0)?),
            customer: CustomerId::from_bytes(row.get(1)?),
            email: email.or_else(|| Login::parse("unreadable").ok()).ok_or(db::Error::Unreadable)?,
            role: row.get(3)?,
            limited: row.get(4)?,
            grants: grants.unwrap_or_default(),
            code: Digest::from_bytes(row.get(6)?),
            state: state.unwrap_or(InvitationState::Deleted),
            expires_at: Timestamp::from_micros(row.get(8)?),
            created_at: Timestamp::from_micros(row.get(9)?),
            updated_at: Timestamp::from_micros(row.get(10)?),
            position: Position(row.get(11)?),
        };
        let sealed = known && read.seal(keys).is(row.get_ref(12)?.as_blob().unwrap_or_default());
        Ok((read, sealed))
    }

    fn id(&self) -> InvitationId {
        self.id
    }

    fn position(&self) -> Position {
        self.position
    }

    fn seal(&self, keys: &Keys) -> Seal {
        keys.seal("invitations")
            .blob(&self.id.to_bytes())
            .blob(&self.customer.to_bytes())
            .text(self.email.as_str())
            .text(&self.role)
            .int(i64::from(self.limited))
            .text(&self.grants_text())
            .blob(self.code.bytes())
            .text(self.state.as_str())
            .int(self.expires_at.micros())
            .int(self.created_at.micros())
            .int(self.updated_at.micros())
            .int(self.position.0)
    }

    fn subject(id: InvitationId) -> Subject {
        Subject::Invitation(id)
    }

    /// Nothing is decided by an invitation.
    fn record(&self) -> Option<Record> {
        None
    }
}
