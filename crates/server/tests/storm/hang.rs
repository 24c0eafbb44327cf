//! A commit that hangs, since the standby that it waits for does not exist (K09 d).

use std::{net::SocketAddr, thread, time::Duration};

use serde_json::json;

use crate::{
    clock::{moment, wait_for},
    house::{House, Token, made, question},
    http::{Answer, Ask, Client},
    machine::Machines,
    peer::free_address,
};

/// Long enough that nobody lapses here.
const LEASE_SECONDS: u64 = 30;
const WRITERS: usize = 6;

/// The backends that wait for a standby's word.
const WAITING: &str = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep'";

/// Keeps everybody else from changing anything for two seconds, and who does that, and who waits for it.
const HOLD: &str = "BEGIN; SELECT one FROM turn FOR UPDATE; SELECT pg_sleep(2)";
const HOLDING: &str = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
const LOCKED_OUT: &str = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock'";

/// A change that may be repeated.
struct Wish {
    key: String,
    /// What it was answered, and how long that took.
    told: Option<(Answer, Duration)>,
}

impl Wish {
    fn ask(&self, node: SocketAddr, sudo: &Token) -> Answer {
        let ask = Ask::new("POST /automation-tokens").key(&sudo.secret).header("Idempotency-Key", &self.key);
        let body = json!({ "name": self.key, "role": "engineer", "scope": "shop:read" });
        Client::new(node).must(&ask.json(&body))
    }

    /// Asks again and again for new things until one is not done.
    fn until_refused(node: SocketAddr, sudo: &Token, writer: usize) -> Self {
        for number in 0_u32.. {
            let mut wish = Self { key: format!("wish {number} of {writer}"), told: None };
            let asked = moment();
            let answer = wish.ask(node, sudo);
            if !answer.is_ok() {
                wish.told = Some((answer, asked.elapsed()));
                return wish;
            }
        }
        unreachable!()
    }

    fn code(&self) -> String {
        self.told.as_ref().unwrap().0.code()
    }

    fn count(&self, machines: &Machines) -> String {
        let sql = format!("SELECT count(*) FROM tokens WHERE name = '{}'", self.key);
        machines.read("a", &sql).trim().to_owned()
    }
}

#[test]
fn a_commit_that_hangs_is_told_as_unknown_and_is_done_once_all_the_same() {
    let machines = Machines::new();
    machines.begin("a", &[]);
    let house = House::on_postgres(&machines, "a", LEASE_SECONDS);
    let at = free_address();
    let _node = house.node(at, &[]);
    let gate = house.gate("gate", at, &house.gate_token(at), LEASE_SECONDS);
    let sudo = house.operators(at, "global");
    let body = json!({ "name": "live", "role": "engineer", "scope": "shop:read" });
    let ask = Ask::new("POST /automation-tokens").key(&sudo.secret).json(&body);
    let live = made(&Client::new(at).must(&ask));
    let check = |place: SocketAddr| Client::new(place).must(&question(&live.secret)).status;
    wait_for("the gate to know", Duration::from_secs(10), || (check(gate.way) == 200).then_some(()));
    let wishes: Vec<Wish> = thread::scope(|scope| {
        let sudo = &sudo;
        let write = |writer| scope.spawn(move || Wish::until_refused(at, sudo, writer));
        let who = |sql| Some(machines.run("sql", "a", &[sql])).filter(|pids| !pids.is_empty());
        let soon = Duration::from_secs(10);
        // Half of them wait for their turn when the standby goes, so that theirs is the commit that hangs: it could be a
        // heartbeat's.
        let turn = scope.spawn(|| machines.read("a", HOLD));
        wait_for("the turn to be taken", soon, || who(HOLDING));
        let mut writers: Vec<_> = (0..WRITERS / 2).map(write).collect();
        wait_for("others to wait for it", soon, || who(LOCKED_OUT));
        thread::sleep(Duration::from_millis(300));
        machines.waits_for("a", "ghost");
        turn.join().unwrap();
        let waiting = || who(WAITING);
        let hangs = wait_for("a commit to hang", soon, waiting);
        writers.extend((WRITERS / 2..WRITERS).map(write));
        // Reads and checks go on while it hangs.
        while !writers.iter().all(thread::ScopedJoinHandle::is_finished) {
            assert_eq!((check(at), check(gate.way)), (200, 200));
            let read = Client::new(at).must(&Ask::new("GET /tokens/self").key(&sudo.secret));
            assert_eq!(read.status, 200, "{}", read.json());
            thread::sleep(Duration::from_millis(50));
        }
        assert_eq!(waiting(), Some(hangs), "somebody has broken off a commit");
        writers.into_iter().map(|writer| writer.join().unwrap()).collect()
    });
    for wish in &wishes {
        let (answer, took) = wish.told.as_ref().unwrap();
        assert_eq!(answer.status, 503, "{}", answer.json());
        assert!(took.abs_diff(Duration::from_secs(10)) < Duration::from_secs(2), "{took:?}");
    }
    machines.waits_for("a", "");
    wait_for("changes again", Duration::from_secs(20), || {
        let answer = Client::new(at).must(&ask);
        (answer.is_ok()).then_some(())
    });
    let codes: Vec<_> = wishes.iter().map(Wish::code).collect();
    eprintln!("while the commit hung: {codes:?}");
    let is_told = |word: &str| codes.iter().any(|code| code == word);
    assert!(is_told("outcome_unknown") && is_told("storage_unavailable"), "{codes:?}");
    for (wish, code) in wishes.iter().zip(&codes) {
        let (there, again) = (wish.count(&machines), wish.ask(at, &sudo));
        let told = (there.as_str(), again.status, again.code());
        match code.as_str() {
            // It went through in the end, and is not made twice.
            "outcome_unknown" => assert_eq!(told, ("1", 409, "idempotency_replayed".to_owned())),
            "storage_unavailable" => assert_eq!((told.0, again.is_ok()), ("0", true), "{}", again.json()),
            _ => panic!("{code}"),
        }
        assert_eq!(wish.count(&machines), "1");
    }
}
