//! Minting against what ends the right to it (SECURITY-BAR T-7, B52, K25-b). Whoever was let in a moment ago is judged again
//! in the writer: no child is made after its parent was revoked, its person locked or removed, its role lowered, or the
//! right switched off. A child that was there before stays, which is documented: it is revoked by itself.

use keygate_authority::{
    Fault, customer,
    customer::Makers,
    token::{AutomationOrder, Import, ImportOwner, ImportedSecret, Issued, Order},
    user::{Changes, NewUser},
};
use keygate_model::{
    Action, CustomerId, Digest, Expiry, Permit, Timestamp, TokenId, UserId, Verdict,
    customer::CustomerState,
    token::{Brand, Kind},
    user::Login,
};

use crate::{
    house::{House, at},
    steps::Chance,
};

const ROUNDS: u64 = 10_000;

const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

/// What ends the right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Revoke,
    Lock,
    Demote(&'static str),
    Offboard,
    SwitchOff,
    Suspend,
}

const ENDS: [End; 8] = [
    End::Revoke,
    End::Revoke,
    End::Lock,
    End::Demote("engineer"),
    End::Demote("billing"),
    End::Offboard,
    End::SwitchOff,
    End::Suspend,
];

/// Who mints: a superuser's token in sudo, their token for another of theirs, or a machine that has the right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Maker {
    Person,
    PersonForThemself,
    Machine,
}

#[test]
fn no_child_is_made_after_the_end() {
    let halves = [0, 1].map(|half| std::thread::spawn(move || rounds((half..ROUNDS).step_by(2))));
    let (mut before, mut after) = (0, 0);
    for half in halves {
        let (made, refused) = half.join().expect("no panic");
        (before, after) = (before + made, after + refused);
    }
    assert!(before > 2000 && after > 2000, "{before} made before, {after} refused after");
}

/// How many children were made before the end, and how many refused after it.
fn rounds(numbers: impl Iterator<Item = u64>) -> (u64, u64) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let (mut made, mut refused) = (0, 0);
    let mut house = runtime.block_on(House::new());
    for (nth, number) in numbers.enumerate() {
        if nth % 1000 == 999 {
            house = runtime.block_on(House::new());
        }
        let (before, after) = runtime.block_on(round(&house, number));
        (made, refused) = (made + before, refused + after);
    }
    (made, refused)
}

async fn round(house: &House, number: u64) -> (u64, u64) {
    let mut chance = Chance(number);
    let (end, maker) =
        (chance.of(&ENDS), chance.of(&[Maker::Person, Maker::PersonForThemself, Maker::Machine]));
    let scene = Scene::new(house, maker).await;
    let permit = scene.permit().expect("the gate lets them in now");
    // The writer does things in the order in which they come: some mints before the end, some after.
    let (before, after) = (chance.below(3), 1 + chance.below(2));
    let mint = async || scene.mint(&permit).await;
    let (first, second, ended, third, fourth) = tokio::join!(
        async { if before > 0 { Some(mint().await) } else { None } },
        async { if before > 1 { Some(mint().await) } else { None } },
        scene.end(end),
        async { Some(mint().await) },
        async { if after > 1 { Some(mint().await) } else { None } },
    );
    ended.unwrap_or_else(|why| panic!("round {number}: {why:?}"));
    let (mut made, mut refused) = (0, 0);
    for child in [first, second].into_iter().flatten() {
        let child = child.unwrap_or_else(|why| panic!("round {number}: refused before {end:?}: {why:?}"));
        scene.stays(&child, end).await;
        made += 1;
    }
    for child in [third, fourth].into_iter().flatten() {
        match (child, scene.ends(end)) {
            (Ok(issued), true) => {
                panic!("round {number}: {:?} was made by a {maker:?} after {end:?}", issued.row.id)
            }
            (Err(Fault::Missing { .. } | Fault::Wider { .. }), true) => refused += 1,
            (Ok(_), false) => {}
            (Err(why), _) => panic!("round {number}: after {end:?}: {why:?}"),
        }
    }
    (made, refused)
}

struct Scene<'h> {
    house: &'h House,
    maker: Maker,
    customer: CustomerId,
    person: UserId,
    token: TokenId,
}

impl<'h> Scene<'h> {
    /// A customer with two superusers, and the token of the first or of a machine.
    async fn new(house: &'h House, maker: Maker) -> Self {
        let (customer, origin) = (CustomerId::from_bytes(house.draw()), at(NOW));
        house.authority.create_customer(&origin, customer, "Acme").await.expect("a customer");
        let permit = Permit::of_the_operator(customer);
        let mut people = Vec::new();
        for _ in 0..2 {
            let id = UserId::from_bytes(house.draw());
            let new = NewUser {
                id,
                login: Login::parse(&format!("{id}@example.com")).expect("a login"),
                name: "Somebody".to_owned(),
                role: "superuser".to_owned(),
                limited: false,
                password: None,
            };
            people.push(house.authority.create_user(&permit, &origin, new).await.expect("a person").id);
        }
        let (owner, scope) = match maker {
            Maker::Machine => (ImportOwner::Role("engineer".to_owned()), "global automation_token:mint"),
            Maker::Person | Maker::PersonForThemself => (ImportOwner::User(people[0]), "global"),
        };
        let token = TokenId::from_bytes(house.draw());
        let import = Import {
            id: token,
            secret: ImportedSecret::of_secret(format!("an-old-key-of-{token}").as_bytes(), &Brand::default())
                .expect("a key"),
            name: "key".to_owned(),
            owner,
            scope: scope.to_owned(),
            services: None,
            expires: Expiry::Never,
        };
        let done = house.authority.import_tokens(&permit, &origin, vec![import], false, |_| {}).await;
        done.expect("imported");
        Self { house, maker, customer, person: people[0], token }
    }

    fn action(&self) -> Action {
        match self.maker {
            Maker::PersonForThemself => Action::TOKEN_CREATE,
            Maker::Person | Maker::Machine => Action::AUTOMATION_TOKEN_CREATE,
        }
    }

    fn permit(&self) -> Option<Permit> {
        self.house.permit(self.token, self.action(), NOW)
    }

    async fn mint(&self, permit: &Permit) -> Result<Issued, Fault> {
        let (authority, origin) = (&self.house.authority, at(NOW));
        if self.maker == Maker::PersonForThemself {
            let minted = self.house.mint(Kind::User);
            return authority.create_token(permit, &origin, Order::default(), minted).await;
        }
        let wanted = AutomationOrder { order: Order::default(), role: "user".to_owned(), tls_access: false };
        authority.create_automation_token(permit, &origin, wanted, self.house.mint(Kind::Automation)).await
    }

    async fn end(&self, end: End) -> Result<(), Fault> {
        let (authority, origin) = (&self.house.authority, at(NOW));
        let permit = Permit::of_the_operator(self.customer);
        match end {
            End::Revoke => authority.revoke(&permit, &origin, vec![self.token]).await,
            End::Lock => {
                authority.update_user(&permit, &origin, self.person, Changes::locked(true)).await.map(drop)
            }
            End::Demote(role) => {
                authority.update_user(&permit, &origin, self.person, Changes::role(role)).await.map(drop)
            }
            End::Offboard => {
                authority.offboard_user(&permit, &origin, self.person, Vec::new()).await.map(drop)
            }
            End::SwitchOff => {
                let makers = Some(Makers::Nobody);
                let changes = customer::Changes { automation_token_makers: makers, ..Default::default() };
                authority.update_customer(&permit, &origin, changes).await.map(drop)
            }
            End::Suspend => authority.set_customer_state(&permit, &origin, CustomerState::Suspended).await,
        }
    }

    /// Whether this ends the right of this maker.
    fn ends(&self, end: End) -> bool {
        match end {
            End::Revoke => true,
            // A token of one's own is made by every role, and follows its person in all else.
            End::Lock | End::Offboard => self.maker != Maker::Machine,
            End::Demote(_) => self.maker == Maker::Person,
            End::SwitchOff | End::Suspend => self.maker != Maker::PersonForThemself,
        }
    }

    /// A child that was there before is alive, as far as it may be: a machine's does not follow the one who made it.
    async fn stays(&self, child: &Issued, end: End) {
        let digest: Digest = self.house.told(child.row.id).digest;
        let verdict = self.house.decide(&digest, Action::TOKEN_READ_SELF, None, NOW);
        let follows = self.maker == Maker::PersonForThemself && matches!(end, End::Lock | End::Offboard);
        let lives = end != End::Suspend && !follows;
        assert_eq!(matches!(verdict, Verdict::Allow(_)), lives, "after {end:?}: {verdict:?}");
    }
}
