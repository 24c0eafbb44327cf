//! The checker of histories. It knows nothing of Keygate: of each subject (a token, or a token and what it wants) it has
//! the *writes* that let it in or not, one after the other, and the *uses* at gates, with when each was called and when
//! it was answered on one clock.
//!
//! Each gate may be some way behind, so the writes are a register that every gate reads with a bounded delay. A history is
//! right if to each answer there can be said which write the gate had seen last, so that it
//!
//! - never goes back, for two uses of which one was answered before the other was called;
//! - is at least what was acknowledged longer ago than the bound, when the use was called;
//! - is at least what was *enforced* when the use was called, at once;
//! - is at least the position that the gate itself named before the use;
//! - is at most what had been called when the use was answered.
//!
//! Who cannot tell says nothing, so that is never wrong. A write whose outcome nobody knows branches: one of both, done
//! or not done, must explain everything. Of the numbers that explain an answer the smallest leaves the most to the later
//! ones, so trying each once, in the order of calls, is a decision and not a search (Wing and Gong's search is for more
//! than one writer).

use std::{collections::BTreeMap, time::Duration};

/// Who or what is let in.
pub(crate) type Subject = usize;

/// A change, acknowledged or not.
#[derive(Clone, Debug)]
pub(crate) struct Write {
    pub(crate) subject: Subject,
    pub(crate) allows: bool,
    pub(crate) called: Duration,
    /// None: nobody knows whether it was done.
    pub(crate) returned: Option<Duration>,
    pub(crate) position: Option<i64>,
    /// The answer said that every gate knows.
    pub(crate) enforced: bool,
}

/// A use at a gate.
#[derive(Clone, Debug)]
pub(crate) struct Use {
    pub(crate) subject: Subject,
    /// By whom; only shown.
    #[expect(dead_code, reason = "for whoever reads what is wrong")]
    pub(crate) client: usize,
    pub(crate) gate: usize,
    pub(crate) called: Duration,
    pub(crate) returned: Duration,
    pub(crate) said: Said,
    /// A position that the gate had reached before it was asked.
    pub(crate) knew: Option<i64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    Allow,
    Deny,
    CannotTell,
}

/// What is wrong with an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Wrong {
    /// Later than the bound after an acknowledged change, as if there were none.
    Late,
    /// The same after a receipt, however short after.
    AfterReceipt,
    /// The gate had said that it has the change.
    BehindItsPosition,
    /// The gate had answered by the change already.
    Backwards,
    /// Nothing that was ever called explains it.
    Unexplained,
}

/// A use that was answered wrong, and how.
pub(crate) type Violation = (Wrong, Use);

/// Everything that is wrong with a history.
pub(crate) fn check(writes: &[Write], uses: &[Use], bound: Duration) -> Vec<Violation> {
    let mut subjects: BTreeMap<Subject, (Vec<&Write>, Vec<&Use>)> = BTreeMap::new();
    for write in writes {
        subjects.entry(write.subject).or_default().0.push(write);
    }
    for usage in uses {
        subjects.entry(usage.subject).or_default().1.push(usage);
    }
    subjects
        .into_values()
        .flat_map(|(mut writes, mut uses)| {
            writes.sort_by_key(|write| write.called);
            uses.sort_by_key(|usage| usage.called);
            one_subject(&writes, &uses, bound)
        })
        .collect()
}

/// The branch with the least wrong, of those that the unknown outcomes leave open.
fn one_subject(writes: &[&Write], uses: &[&Use], bound: Duration) -> Vec<Violation> {
    let unknown: Vec<usize> =
        writes.iter().enumerate().filter(|(_, write)| write.returned.is_none()).map(|(nth, _)| nth).collect();
    assert!(unknown.len() < 16, "too much is unknown to be checked");
    let branches = (0..1_u32 << unknown.len()).map(|done| {
        let is_left_out =
            |nth: &usize| unknown.iter().position(|it| it == nth).is_some_and(|bit| done >> bit & 1 == 0);
        let kept: Vec<&Write> =
            writes.iter().enumerate().filter(|(nth, _)| !is_left_out(nth)).map(|(_, write)| *write).collect();
        one_branch(&kept, uses, bound)
    });
    branches.min_by_key(Vec::len).unwrap_or_default()
}

fn one_branch(writes: &[&Write], uses: &[&Use], bound: Duration) -> Vec<Violation> {
    let gates: std::collections::BTreeSet<usize> = uses.iter().map(|usage| usage.gate).collect();
    let mut wrong = Vec::new();
    for gate in gates {
        // Answered when, and by how many writes at least.
        let mut seen: Vec<(Duration, usize)> = Vec::new();
        for usage in uses.iter().filter(|usage| usage.gate == gate && usage.said != Said::CannotTell) {
            let before = seen.iter().filter(|(returned, _)| *returned < usage.called);
            let backwards = before.map(|(_, reached)| *reached).max().unwrap_or(0);
            let (least, why) = least(writes, usage, bound).max((backwards, Wrong::Backwards));
            let most = writes.iter().filter(|write| write.called <= usage.returned).count();
            let explains = |reached: &usize| {
                reached.checked_sub(1).is_some_and(|last| writes[last].allows) == (usage.said == Said::Allow)
            };
            match (least..=most).find(explains) {
                Some(reached) => seen.push((usage.returned, reached)),
                None if (0..=most).any(|reached| explains(&reached)) => wrong.push((why, (*usage).clone())),
                None => wrong.push((Wrong::Unexplained, (*usage).clone())),
            }
        }
    }
    wrong
}

/// How many writes the gate must have seen, whatever it answered before, and why.
fn least(writes: &[&Write], usage: &Use, bound: Duration) -> (usize, Wrong) {
    let mut least = (0, Wrong::Late);
    for (nth, write) in writes.iter().enumerate() {
        let Some(returned) = write.returned else { continue };
        let knew = usage.knew.zip(write.position).is_some_and(|(knew, position)| knew >= position);
        let why = if write.enforced && returned <= usage.called {
            Wrong::AfterReceipt
        } else if knew {
            Wrong::BehindItsPosition
        } else if returned + bound < usage.called {
            Wrong::Late
        } else {
            continue;
        };
        least = (nth + 1, why);
    }
    least
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUND: Duration = Duration::from_secs(1);

    fn at(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn write(allows: bool, called: u64, position: i64) -> Write {
        let returned = Some(at(called + 10));
        Write { subject: 0, allows, called: at(called), returned, position: Some(position), enforced: false }
    }

    /// Made at 100 to 110, position 7; revoked at 5000 to 5010, position 9.
    fn life() -> [Write; 2] {
        [write(true, 100, 7), write(false, 5_000, 9)]
    }

    fn said(said: Said, gate: usize, called: u64) -> Use {
        let (called, returned) = (at(called), at(called + 2));
        Use { subject: 0, client: 0, gate, called, returned, said, knew: None }
    }

    fn knew(position: i64, usage: Use) -> Use {
        Use { knew: Some(position), ..usage }
    }

    fn wrong(writes: &[Write], uses: &[Use]) -> Vec<Wrong> {
        check(writes, uses, BOUND).into_iter().map(|(wrong, _)| wrong).collect()
    }

    use Said::{Allow, CannotTell, Deny};

    #[test]
    fn what_a_gate_may_answer_is_not_wrong() {
        let uses = [
            said(Deny, 0, 112),
            said(Allow, 0, 200),
            said(CannotTell, 0, 300),
            knew(8, said(Allow, 0, 4_000)),
            said(Allow, 0, 5_900),
            said(Deny, 0, 5_950),
            // Another gate is somewhat behind, and one that cannot tell is nowhere.
            said(Allow, 1, 5_960),
            said(Deny, 1, 6_100),
            said(CannotTell, 1, 9_000),
            knew(9, said(Deny, 0, 9_000)),
        ];
        assert_eq!(wrong(&life(), &uses), []);
    }

    #[test]
    fn what_is_over_before_its_call_or_after_the_bound_is_found() {
        assert_eq!(wrong(&life(), &[said(Allow, 0, 50)]), [Wrong::Unexplained]);
        assert_eq!(
            wrong(&life(), &[said(Deny, 0, 2_000)]),
            [Wrong::Late],
            "a token that was made is not unknown"
        );
        assert_eq!(wrong(&life(), &[said(Allow, 0, 6_011)]), [Wrong::Late]);
        assert_eq!(wrong(&life(), &[said(Allow, 0, 6_009)]), [], "at the bound itself");
        assert_eq!(
            wrong(&[], &[said(Allow, 0, 6_009)]),
            [Wrong::Unexplained],
            "what was never given: a new enemy"
        );
    }

    #[test]
    fn an_accept_after_a_refusal_is_found_at_that_gate_alone() {
        let uses =
            [said(Allow, 0, 4_000), said(Deny, 0, 5_100), said(Allow, 0, 5_200), said(Allow, 1, 5_200)];
        let found = check(&life(), &uses, BOUND);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!((found[0].0, found[0].1.gate, found[0].1.called), (Wrong::Backwards, 0, at(5_200)));
        // Both were on their way at once: either may have been first.
        let mut uses = [said(Allow, 0, 4_000), said(Deny, 0, 5_100), said(Allow, 0, 5_101)];
        assert_eq!(wrong(&life(), &uses), []);
        // A refusal before the token was known is none that was taken back.
        uses = [said(Deny, 0, 111), said(Allow, 0, 200), said(Allow, 0, 300)];
        assert_eq!(wrong(&life(), &uses), []);
        uses = [said(Allow, 0, 120), said(Deny, 0, 200), said(Allow, 0, 300)];
        assert_eq!(wrong(&life(), &uses), [Wrong::Backwards]);
    }

    #[test]
    fn an_answer_from_behind_the_gates_own_position_is_found() {
        assert_eq!(wrong(&life(), &[knew(7, said(Deny, 0, 115))]), [Wrong::BehindItsPosition]);
        assert_eq!(wrong(&life(), &[knew(6, said(Deny, 0, 115))]), []);
        assert_eq!(wrong(&life(), &[knew(9, said(Allow, 0, 5_015))]), [Wrong::BehindItsPosition]);
        assert_eq!(wrong(&life(), &[knew(9, said(CannotTell, 0, 5_015))]), []);
    }

    #[test]
    fn an_accept_after_a_receipt_is_found_however_soon() {
        let mut life = life();
        life[1].enforced = true;
        assert_eq!(wrong(&life, &[said(Allow, 0, 5_010)]), [Wrong::AfterReceipt]);
        assert_eq!(wrong(&life, &[said(Allow, 0, 5_009)]), [], "called before the receipt came");
    }

    #[test]
    fn what_nobody_knows_may_have_been_done_or_not() {
        let mut life = life();
        life[1].returned = None;
        let (before, after) = (said(Allow, 0, 9_000), said(Deny, 0, 9_000));
        assert_eq!(wrong(&life, std::slice::from_ref(&before)), []);
        assert_eq!(wrong(&life, std::slice::from_ref(&after)), []);
        // But not both ways at one gate, and it was not done before it was asked for.
        assert_eq!(wrong(&life, &[after, said(Allow, 0, 9_100)]).len(), 1);
        assert_eq!(wrong(&life, &[said(Deny, 0, 4_900), before]).len(), 1);
    }

    #[test]
    fn a_right_that_comes_and_goes_is_followed() {
        let writes = [write(true, 0, 1), write(false, 2_000, 2), write(true, 4_000, 3)];
        let uses = [said(Allow, 0, 100), said(Deny, 0, 2_100), said(Allow, 0, 4_100)];
        assert_eq!(wrong(&writes, &uses), []);
        assert_eq!(wrong(&writes, &[said(Allow, 0, 3_500)]), [Wrong::Late]);
        assert_eq!(wrong(&writes, &[said(Deny, 0, 2_100), said(Allow, 0, 2_200)]), [Wrong::Backwards]);
        assert_eq!(wrong(&writes, &[said(Allow, 0, 4_100), said(Deny, 0, 4_200)]), [Wrong::Backwards]);
    }
}
