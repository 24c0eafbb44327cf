//! What a policy says of its actions, and what the law asks about it.

use super::{BadPolicy, Policy, file::ActionLine};
use crate::action::{Action, ActionSet};

/// The actions by what they are marked with.
#[derive(Debug)]
pub(super) struct Marks {
    all: ActionSet,
    reads: ActionSet,
    sudo: ActionSet,
    account: ActionSet,
    own: ActionSet,
    personal: ActionSet,
    explicit: ActionSet,
    anywhere: ActionSet,
    unenrolled: ActionSet,
    people: ActionSet,
    uncounted: ActionSet,
    urgent: ActionSet,
    placed: ActionSet,
    /// What a machine needs instead, by the number of the action.
    machine: Vec<(Action, Action)>,
}

impl Marks {
    /// Of actions in the order of their numbers.
    pub(super) fn compile(lines: &[(String, ActionLine)]) -> Result<Self, BadPolicy> {
        let numbered = || (0..=u16::MAX).map(Action::numbered).zip(lines);
        let marked = |mark: fn(&ActionLine) -> bool| {
            numbered().filter(|(_, (_, line))| mark(line)).map(|(action, _)| action).collect::<ActionSet>()
        };
        let mut machine = Vec::new();
        for (action, (name, line)) in numbered() {
            if let Some(other) = &line.machine {
                let found = numbered().find(|(_, (name, _))| name == other);
                let unknown = || BadPolicy::UnknownMachineAction(name.clone(), other.clone());
                machine.push((action, found.ok_or_else(unknown)?.0));
            }
        }
        Ok(Self {
            all: marked(|_| true),
            reads: marked(|line| line.read),
            sudo: marked(|line| line.sudo),
            account: marked(|line| line.account),
            own: marked(|line| line.own),
            personal: marked(|line| line.personal),
            explicit: marked(|line| line.explicit),
            anywhere: marked(|line| line.anywhere),
            unenrolled: marked(|line| line.unenrolled),
            people: marked(|line| line.people),
            urgent: marked(|line| line.urgent),
            placed: marked(|line| line.placed),
            uncounted: marked(|line| line.read || line.uncounted),
            machine,
        })
    }

    /// What `*` means: all but what must be named.
    pub(super) fn all_but_explicit(&self) -> ActionSet {
        self.all.minus(self.explicit)
    }

    /// What `@read` means: what changes nothing, but what must be named.
    pub(super) fn reads(&self) -> ActionSet {
        self.reads.minus(self.explicit)
    }
}

impl Policy {
    /// Every action there is.
    #[must_use]
    pub fn all(&self) -> ActionSet {
        self.marks.all
    }

    /// The actions that change nothing, but for those that must be named.
    #[must_use]
    pub fn reads(&self) -> ActionSet {
        self.marks.reads()
    }

    /// Whether an action needs sudo.
    #[must_use]
    pub fn needs_sudo(&self, action: Action) -> bool {
        self.marks.sudo.contains(action) || self.marks.people.contains(action)
    }

    /// Whether only a person who has just shown their password may do it: no machine, and no token alone.
    #[must_use]
    pub fn is_for_people(&self, action: Action) -> bool {
        self.marks.people.contains(action)
    }

    /// Whether an action is about the whole account.
    #[must_use]
    pub fn is_account_wide(&self, action: Action) -> bool {
        self.marks.account.contains(action)
    }

    /// Whether somebody who is limited to services may do it only where the route names one of them.
    #[must_use]
    pub fn needs_place(&self, action: Action) -> bool {
        self.marks.placed.contains(action)
    }

    /// Whether an action is a person's own business, and never a machine's.
    #[must_use]
    pub fn is_personal(&self, action: Action) -> bool {
        self.marks.personal.contains(action)
    }

    /// Whether an account-wide action is one that a person who is limited to services may do too: looking, and what is
    /// about themself.
    #[must_use]
    pub fn is_for_limited_people(&self, action: Action) -> bool {
        self.marks.reads.contains(action) || self.marks.own.contains(action)
    }

    /// Whether an action is in no `*`: a scope or role has it only by naming it.
    #[must_use]
    pub fn must_be_named(&self, action: Action) -> bool {
        self.marks.explicit.contains(action)
    }

    /// Whether an action may also be done from outside of the customer's networks (CONTRACT §13: purging by key).
    #[must_use]
    pub fn is_from_anywhere(&self, action: Action) -> bool {
        self.marks.anywhere.contains(action)
    }

    /// Whether somebody may do it who lacks a second factor that they must have: what leads to having one.
    #[must_use]
    pub fn is_without_factor(&self, action: Action) -> bool {
        self.marks.unenrolled.contains(action)
    }

    /// Whether an action counts for the hourly quota: it changes something, and the policy does not let it go uncounted.
    #[must_use]
    pub fn is_counted(&self, action: Action) -> bool {
        !self.marks.uncounted.contains(action)
    }

    /// Whether an action is done also when nothing is left of the quota.
    #[must_use]
    pub fn is_urgent(&self, action: Action) -> bool {
        self.marks.urgent.contains(action)
    }

    /// The action that a machine needs where a person needs `action`.
    #[must_use]
    pub fn for_machines(&self, action: Action) -> Action {
        let instead = self.marks.machine.iter().find(|(person, _)| *person == action);
        instead.map_or(action, |(_, machine)| *machine)
    }

    /// What machines need where people need something else: worth nothing to a person, however they came by it.
    #[must_use]
    pub fn machines_own(&self) -> ActionSet {
        self.marks.machine.iter().map(|(_, machine)| *machine).collect()
    }

    /// What whoever may do `actions` may hand on: a person who makes automation tokens may let them make further ones.
    #[must_use]
    pub fn grantable(&self, actions: ActionSet) -> ActionSet {
        let machines = self.marks.machine.iter().filter(|(person, _)| actions.contains(*person));
        machines.map(|(_, machine)| *machine).collect::<ActionSet>().union(actions)
    }
}
