use keygate_gate::wire::{Frame, Frames, Head, Stage, part};
use keygate_model::{UserId, policy::OWN_POLICY};

use super::*;

const MINE: CustomerId = CustomerId::from_bits(1);
const THEIRS: CustomerId = CustomerId::from_bits(2);

fn policy(customers: &str) -> Record {
    let text = format!(
        "name = \"shop\"\nhosts = [\"shop.example.com\"]\ncustomers = {customers}\n[actions]\nlook = {{ read = true }}\n\
         [scopes]\n\"shop:read\" = [\"@read\"]\n[roles]\n[routes]\n\"GET /\" = {{ action = \"look\" }}\n"
    );
    Record::Policy(PolicyRecord { id: PolicyId::from_bits(9), text: Some(text), retired: Vec::new() })
}

fn gone() -> Record {
    Record::Policy(PolicyRecord { id: PolicyId::from_bits(9), text: None, retired: Vec::new() })
}

/// What each view is told of a record: everybody's, mine, theirs.
fn told(audiences: &mut Audiences, record: &Record) -> [Vec<Record>; 3] {
    let mut tellings = Vec::new();
    audiences.tell(record, &mut tellings);
    [View::All, View::Customer(MINE), View::Customer(THEIRS)].map(|view| {
        let records: Vec<_> = tellings
            .iter()
            .filter(|telling| telling.is_for(view))
            .map(|telling| telling.record.clone())
            .collect();
        let count = u32::try_from(records.len()).unwrap();
        let mut frames = Frames::default();
        frames.push(&part(Stage::Tail, &Head { count, ..Head::default() }, &records));
        let Some(Frame::Records(_, _, records)) = frames.frame().unwrap() else { panic!("records") };
        records
    })
}

fn audiences() -> Audiences {
    Audiences::new(Arc::new(Policy::compile(OWN_POLICY).unwrap()))
}

#[test]
fn a_policy_is_told_to_whom_it_includes_and_taken_back_from_whom_it_does_not_any_more() {
    let mut audiences = audiences();
    let (mine, theirs, both) =
        (format!("[\"{MINE}\"]"), format!("[\"{THEIRS}\"]"), format!("[\"{MINE}\", \"{THEIRS}\"]"));
    let [all, none] = ["\"all\"", "neither"];
    for (customers, expected) in
        [(&*mine, [true, true, false]), (&*both, [true, true, true]), (all, [true, true, true])]
    {
        let record = policy(customers);
        let expected = expected.map(|is_told| if is_told { vec![record.clone()] } else { vec![] });
        assert_eq!(told(&mut audiences, &record), expected, "{customers}");
    }
    let now = policy(&theirs);
    assert_eq!(told(&mut audiences, &now), [vec![now.clone()], vec![gone()], vec![now.clone()]]);
    // It was taken back from me once, and is nothing of mine any more.
    let again = policy(&theirs);
    assert_eq!(told(&mut audiences, &again), [vec![again.clone()], vec![], vec![again.clone()]]);
    let unreadable = policy(none);
    assert_eq!(told(&mut audiences, &unreadable), [vec![unreadable.clone()], vec![], vec![gone()]]);
}

#[test]
fn what_was_noted_before_anybody_followed_counts() {
    let mut audiences = audiences();
    audiences.note(&policy("\"all\""));
    let broken = Record::Broken(Subject::Policy(PolicyId::from_bits(9)));
    assert_eq!(
        told(&mut audiences, &broken),
        [vec![broken.clone()], vec![broken.clone()], vec![broken.clone()]]
    );
    assert_eq!(told(&mut audiences, &gone()), [vec![gone()], vec![gone()], vec![gone()]]);
}

#[test]
fn what_cannot_be_believed_is_told_to_whomever_it_may_concern() {
    let mut audiences = audiences();
    let mine = Record::Broken(Subject::Customer(MINE));
    assert_eq!(told(&mut audiences, &mine), [vec![mine.clone()], vec![mine.clone()], vec![]]);
    for subject in [Subject::None, Subject::User(UserId::from_bits(3))] {
        let broken = Record::Broken(subject);
        assert_eq!(
            told(&mut audiences, &broken),
            [vec![broken.clone()], vec![broken.clone()], vec![broken.clone()]]
        );
    }
}
