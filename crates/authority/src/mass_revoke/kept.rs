//! A mass revoke's row.

use keygate_model::{
    CustomerId, MassRevokeId, Position, Record, ServiceId, Subject, Timestamp, TokenId, UserId, id,
    mass_revoke::{Criteria, Sort, Targets, Whose},
};

use crate::{
    db::{self, Row as SqlRow, params},
    fault::Fault,
    keys::{Keys, Seal},
    row::Sealed,
    write::Write,
};

/// A mass revoke as it is kept.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(super) id: MassRevokeId,
    pub(super) targets: Targets,
    /// The token that asked for it, and whose it is. None: the operator.
    pub(super) asked_by: Option<(TokenId, Option<UserId>)>,
    pub(super) ip: String,
    pub(super) request_id: String,
    pub(super) revoked_at: Timestamp,
    pub(super) tokens: u64,
    pub(super) noted: u64,
    pub(super) done: bool,
    pub(super) position: Position,
}

const COLUMNS: &str = "id, customer_id, owner_id, service_id, issuer_id, parent_id, created_from, created_before, sort, name_prefix, spared_id, \
                       actor_token_id, actor_user_id, ip, request_id, revoked_at, tokens, noted, done, position, mac";

impl Row {
    pub(super) fn save(&self, write: &mut Write<'_>) -> Result<(), Fault> {
        let seal = self.seal(write.keys()).finish();
        write.reseal("mass_revokes", self.id.to_bytes(), &seal)?;
        let mut upsert = write.db().prepare_cached(&format!(
            "INSERT INTO mass_revokes ({COLUMNS})
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21)
             ON CONFLICT (id) DO UPDATE SET tokens = $17, noted = $18, done = $19, position = $20, mac = $21"
        ))?;
        let criteria = self.targets.criteria();
        upsert.execute(params![
            self.id.to_bytes(),
            self.customer().map(CustomerId::to_bytes),
            criteria.owner.map(UserId::to_bytes),
            self.service(),
            criteria.issuer.map(UserId::to_bytes),
            criteria.parent.map(TokenId::to_bytes),
            self.created_from(),
            self.created_before(),
            self.sort(),
            self.name_prefix(),
            self.targets.spared().map(TokenId::to_bytes),
            self.asked_by.map(|(token, _)| token.to_bytes()),
            self.asked_by.and_then(|(_, user)| user).map(UserId::to_bytes),
            self.ip,
            self.request_id,
            self.revoked_at.micros(),
            self.tokens as i64,
            self.noted as i64,
            self.done,
            self.position.0,
            seal,
        ])?;
        Ok(())
    }

    fn customer(&self) -> Option<CustomerId> {
        match self.targets.whose() {
            Whose::Customer(customer) => Some(customer),
            Whose::Everybody => None,
        }
    }

    fn service(&self) -> String {
        self.targets.criteria().service.map(|service| service.to_string()).unwrap_or_default()
    }

    fn created_from(&self) -> i64 {
        self.targets.criteria().created_from.map_or(i64::MIN, Timestamp::micros)
    }

    fn created_before(&self) -> i64 {
        self.targets.criteria().created_before.map_or(i64::MAX, Timestamp::micros)
    }

    fn sort(&self) -> &'static str {
        self.targets.criteria().sort.map_or("", Sort::as_str)
    }

    fn name_prefix(&self) -> &str {
        self.targets.criteria().name_prefix.as_deref().unwrap_or_default()
    }
}

impl Sealed for Row {
    type Noun = id::MassRevoke;
    const TABLE: &'static str = "mass_revokes";
    const COLUMNS: &'static str = COLUMNS;

    fn read(row: SqlRow<'_>, keys: &Keys) -> db::Result<(Self, bool)> {
        let id = |at| row.get::<Option<[u8; 16]>>(at);
        let whose =
            id(1)?.map_or(Whose::Everybody, |customer| Whose::Customer(CustomerId::from_bytes(customer)));
        let (from, before): (i64, i64) = (row.get(6)?, row.get(7)?);
        let time = |micros, unless| (micros != unless).then_some(Timestamp::from_micros(micros));
        let text = |text: String| Some(text).filter(|text| !text.is_empty());
        let criteria = Criteria {
            owner: id(2)?.map(UserId::from_bytes),
            service: text(row.get(3)?).and_then(|service| service.parse::<ServiceId>().ok()),
            issuer: id(4)?.map(UserId::from_bytes),
            parent: id(5)?.map(TokenId::from_bytes),
            created_from: time(from, i64::MIN),
            created_before: time(before, i64::MAX),
            sort: text(row.get(8)?).as_deref().and_then(Sort::of),
            name_prefix: text(row.get(9)?),
        };
        let all = criteria == Criteria::default();
        let targets = Targets::new(whose, criteria, all).map_err(|_| db::Error::Unreadable)?;
        let targets = match id(10)? {
            Some(spared) => targets.sparing(TokenId::from_bytes(spared)),
            None => targets,
        };
        let user = id(12)?.map(UserId::from_bytes);
        let read = Self {
            id: MassRevokeId::from_bytes(row.get(0)?),
            targets,
            asked_by: id(11)?.map(|token| (TokenId::from_bytes(token), user)),
            ip: row.get(13)?,
            request_id: row.get(14)?,
            revoked_at: Timestamp::from_micros(row.get(15)?),
            tokens: row.get::<i64>(16)?.unsigned_abs(),
            noted: row.get::<i64>(17)?.unsigned_abs(),
            done: row.get(18)?,
            position: Position(row.get(19)?),
        };
        let sealed = read.seal(keys).is(row.get_ref(20)?.as_blob().unwrap_or_default());
        Ok((read, sealed))
    }

    fn id(&self) -> MassRevokeId {
        self.id
    }

    fn position(&self) -> Position {
        self.position
    }

    fn seal(&self, keys: &Keys) -> Seal {
        fn id(bytes: Option<&[u8; 16]>) -> &[u8] {
            bytes.map_or(&[], |bytes| &bytes[..])
        }
        let criteria = self.targets.criteria();
        let (token, user) = self.asked_by.unzip();
        keys.seal("mass_revokes")
            .blob(&self.id.to_bytes())
            .blob(id(self.customer().map(CustomerId::to_bytes).as_ref()))
            .blob(id(criteria.owner.map(UserId::to_bytes).as_ref()))
            .text(&self.service())
            .blob(id(criteria.issuer.map(UserId::to_bytes).as_ref()))
            .blob(id(criteria.parent.map(TokenId::to_bytes).as_ref()))
            .int(self.created_from())
            .int(self.created_before())
            .text(self.sort())
            .text(self.name_prefix())
            .blob(id(self.targets.spared().map(TokenId::to_bytes).as_ref()))
            .blob(id(token.map(TokenId::to_bytes).as_ref()))
            .blob(id(user.flatten().map(UserId::to_bytes).as_ref()))
            .text(&self.ip)
            .text(&self.request_id)
            .int(self.revoked_at.micros())
            .int(self.tokens as i64)
            .int(self.noted as i64)
            .int(i64::from(self.done))
            .int(self.position.0)
    }

    fn subject(id: MassRevokeId) -> Subject {
        Subject::MassRevoke(id)
    }

    /// Gates are told of its tokens, which are in other rows.
    fn record(&self) -> Option<Record> {
        None
    }
}
