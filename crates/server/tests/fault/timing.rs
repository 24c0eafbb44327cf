//! Who has a login is not to be told by how long a refusal takes, nor by any byte of it (SECURITY-BAR K14 b).

use std::{fs, time::Duration};

use keygate_authority::{Authority, Origin, Settings, user::Changes};
use keygate_model::{CustomerId, Permit, Policy, UserId, policy::OWN_POLICY};

use crate::{
    clock::{Chance, moment, wall},
    house::{House, Person},
    http::{Answer, Ask, Client},
};

/// Logins of nobody and logins of somebody: two thousand together. Each is an Argon2, so four thousand would take
/// longer than they would teach.
const LOGINS: usize = 1000;

/// Every how many of them a locked person and one with a second factor are tried too.
const OTHERS_EVERY: usize = 4;

/// People of each kind, so that no single row is what is measured.
const PEOPLE: usize = 10;

/// The most that the medians may be apart.
const APART_MAX: Duration = Duration::from_millis(1);

/// The most that the ranks may be apart, in standard deviations. Chance alone exceeds it once in 16,000 runs.
const Z_MAX: f64 = 4.0;

/// How far the ranks are apart where a distance of the medians is no chance.
const Z_OF_MEDIANS: f64 = 3.5;

/// Kinds of logins, in the order of the samples.
const KINDS: [&str; 4] = ["unknown", "known", "locked", "with a second factor"];

/// How far two samples are apart.
#[derive(Debug)]
struct Apart {
    medians: Duration,
    /// Of Mann and Whitney's U: by how many standard deviations the ranks of one sample are off the middle.
    z: f64,
}

impl Apart {
    /// Of all logins, and of the quickest.
    fn of(one: &[Duration], other: &[Duration]) -> [Self; 2] {
        [Self::between(one, other), Self::between(&quickest(one), &quickest(other))]
    }

    fn between(one: &[Duration], other: &[Duration]) -> Self {
        Self { medians: median(one).abs_diff(median(other)), z: rank_z(one, other) }
    }

    /// Whether somebody who measures could tell. On a busy machine the medians of a few hundred logins are apart by
    /// chance, so they count only where the ranks are apart as well.
    fn is_told(apart: &[Self; 2]) -> bool {
        let told = |z: f64, medians| z >= Z_MAX || (medians >= APART_MAX && z >= Z_OF_MEDIANS);
        apart.iter().any(|apart| told(apart.z.abs(), apart.medians))
    }
}

/// The quickest of every ten: what else the machine does only ever adds time, so these differ by little else than work.
fn quickest(sample: &[Duration]) -> Vec<Duration> {
    sample.chunks(10).filter_map(|ten| ten.iter().min().copied()).collect()
}

fn median(sample: &[Duration]) -> Duration {
    let mut sorted = sample.to_vec();
    sorted.sort_unstable();
    sorted[sorted.len() / 2]
}

#[expect(clippy::cast_precision_loss, reason = "counts of thousands are exact in a float")]
fn rank_z(one: &[Duration], other: &[Duration]) -> f64 {
    let mut all: Vec<_> =
        one.iter().map(|time| (*time, true)).chain(other.iter().map(|time| (*time, false))).collect();
    all.sort_unstable();
    let ranks: f64 =
        all.iter().zip(1..).filter(|((_, of_one), _)| *of_one).map(|(_, rank)| f64::from(rank)).sum();
    let (m, n) = (one.len() as f64, other.len() as f64);
    let u = ranks - m * (m + 1.0) / 2.0;
    (u - m * n / 2.0) / (m * n * (m + n + 1.0) / 12.0).sqrt()
}

/// The server's house, with its people by kind; the first kind is nobody.
fn peopled() -> (House, [Vec<Person>; 4]) {
    let house = House::new("timing");
    fs::write(house.dir.join("keygate.toml"), "[login]\nfailures_burst = 1000000\n").unwrap();
    let customer = house.customer();
    let login = |kind: &str, number: usize| format!("{kind}{number:05}@example.com");
    let people = |kind: &str| -> Vec<_> {
        let person =
            |number| house.person(&customer, &login(kind, number), "superuser", "a password of theirs");
        (0..PEOPLE).map(person).collect()
    };
    let nobody = |number| Person { id: String::new(), login: login("n", number), password: String::new() };
    let people = [(0..LOGINS).map(nobody).collect(), people("k"), people("l"), people("f")];
    lock(&house, &customer, &people[2]);
    for person in &people[3] {
        house.totp(person);
    }
    (house, people)
}

/// Locks people. There is no command for it, so the stopped house is opened from inside.
fn lock(house: &House, customer: &str, people: &[Person]) {
    let policy = std::sync::Arc::new(Policy::compile(OWN_POLICY).unwrap());
    let authority = Authority::open_silently(Settings::new(&house.db, policy, [0; 32])).unwrap();
    let permit = Permit::of_the_operator(customer.parse::<CustomerId>().unwrap());
    let origin = Origin::local(wall());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for person in people {
        let id = person.id.parse::<UserId>().unwrap();
        runtime.block_on(authority.update_user(&permit, &origin, id, Changes::locked(true))).unwrap();
    }
}

/// Tries a wrong password, measures the answer, and takes out of it what differs between any two.
fn measure(client: &mut Client, person: &Person) -> (Duration, Answer) {
    let ask: Ask = person.login_with("not their password", None);
    let began = moment();
    let mut answer = client.must(&ask);
    let time = began.elapsed();
    answer.headers.retain(|(name, _)| !["date", "x-request-id"].contains(&name.as_str()));
    (time, answer)
}

#[test]
fn two_thousand_logins_do_not_tell_who_exists() {
    let (house, people) = peopled();
    let server = house.start(&["--config", "keygate.toml"]);
    let mut client = server.client();
    let mut chance = Chance::of_the_day();
    let (_, first) = measure(&mut client, &people[0][0]);
    assert_eq!((first.status, first.code().as_str()), (400, "login_failed"));
    let mut samples: [Vec<Duration>; 4] = Default::default();
    for round in 0..LOGINS {
        let kinds = if round % OTHERS_EVERY == 0 { KINDS.len() } else { 2 };
        let shift = chance.below(kinds);
        for kind in (0..kinds).map(|kind| (kind + shift) % kinds) {
            let (time, answer) = measure(&mut client, &people[kind][round % people[kind].len()]);
            assert_eq!(
                (answer.status, &answer.headers, String::from_utf8_lossy(&answer.body)),
                (first.status, &first.headers, String::from_utf8_lossy(&first.body)),
                "{}",
                KINDS[kind]
            );
            samples[kind].push(time);
        }
    }
    let apart: Vec<_> = samples.iter().map(|sample| Apart::of(&samples[0], sample)).collect();
    for ((kind, sample), apart) in KINDS.iter().zip(&samples).zip(&apart) {
        let (count, median) = (sample.len(), median(sample));
        eprintln!("{kind}: {count} logins, median {median:.3?}; from unknown: {apart:.3?}");
    }
    for (kind, apart) in KINDS.iter().zip(&apart).skip(1) {
        assert!(!Apart::is_told(apart), "{kind} can be told from unknown: {apart:?}");
    }
    the_comparison_can_see(&samples[0]);
}

/// The control on what was measured: one half is not told from the other, and is with a few milliseconds on top. How
/// few depends on what else the machine does; a login without its Argon2 would be apart by tens of them.
fn the_comparison_can_see(sample: &[Duration]) {
    let every_other = |first| sample.iter().skip(first).step_by(2).copied().collect::<Vec<_>>();
    let (one, other) = (every_other(0), every_other(1));
    assert!(!Apart::is_told(&Apart::of(&one, &other)), "{:?}", Apart::of(&one, &other));
    let seen = (1..=8).find(|shift| Apart::is_told(&Apart::of(&one, &later(&other, *shift))));
    eprintln!("control: the least that is told here is {seen:?} ms");
    assert!(seen.is_some(), "this machine is too busy to tell anything");
}

/// A sample with milliseconds on top.
fn later(sample: &[Duration], shift: u64) -> Vec<Duration> {
    sample.iter().map(|time| *time + Duration::from_millis(shift)).collect()
}

/// The control without the machine: times as an idle one shows them, and 2 ms on top.
#[test]
fn two_milliseconds_are_told() {
    let mut chance = Chance::new(1);
    let mut sample = || -> Vec<_> {
        let noise = |chance: &mut Chance| (0..4).map(|_| chance.next() % 3000).sum::<u64>();
        (0..LOGINS).map(|_| Duration::from_micros(24_000 + noise(&mut chance))).collect()
    };
    let (one, other) = (sample(), sample());
    assert!(!Apart::is_told(&Apart::of(&one, &other)), "{:?}", Apart::of(&one, &other));
    assert!(Apart::is_told(&Apart::of(&one, &later(&other, 2))));
    assert!(Apart::is_told(&Apart::of(&later(&one, 2), &other)));
}

#[test]
fn ranks_are_compared_as_mann_and_whitney_did() {
    let sample = |times: &[u64]| times.iter().map(|time| Duration::from_millis(*time)).collect::<Vec<_>>();
    let low = sample(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    let high = sample(&[11, 12, 13, 14, 15, 16, 17, 18, 19, 20]);
    // U = 0 of 100, mean 50, standard deviation √175.
    assert!((rank_z(&low, &high) + 50.0 / 175.0_f64.sqrt()).abs() < 1e-9);
    assert!((rank_z(&low, &high) + rank_z(&high, &low)).abs() < 1e-9);
}
