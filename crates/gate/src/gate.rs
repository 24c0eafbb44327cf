//! The gate itself: ask it, and it answers from memory.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use keygate_model::{
    Actor, Ask, Batch, Circumstances, Deny, Digest, Policy, Position, Record, ServiceId, Subject, Timestamp,
    Unsure, Verdict, Want, decide,
    decide::WantedService,
    policy::{Access, Matched, Unmatched},
    token::{Foreign, Kind},
};

use crate::{
    replica::Replica,
    usage::{Client, Mark, Usage},
};

/// Decides. Share it behind an `Arc`; every method takes `&self`.
pub struct Gate {
    policy: Arc<Policy>,
    replica: Replica,
    usage: Usage,
    open: AtomicBool,
    /// The log that it follows was tampered with: what it holds may be behind, and nothing can tell by how much.
    distrusted: AtomicBool,
    /// Some of its tokens were imported: their secrets may look like anything.
    foreign: AtomicBool,
}

impl Gate {
    /// A gate with nothing in it, sized for `tokens`; it grows. It cannot tell anything until [`Gate::open`].
    #[must_use]
    pub fn new(policy: Arc<Policy>, tokens: usize) -> Self {
        let replica = Replica::new(Arc::clone(&policy), tokens);
        Self {
            policy,
            replica,
            usage: Usage::new(),
            open: AtomicBool::new(false),
            distrusted: AtomicBool::new(false),
            foreign: AtomicBool::new(false),
        }
    }

    /// Says that the replica holds everything there was: from now on what it lacks does not exist.
    pub fn open(&self) {
        self.open.store(true, Ordering::Release);
    }

    /// Says that it does not, or not any more.
    pub fn close(&self) {
        self.open.store(false, Ordering::Release);
    }

    /// Whether it can tell.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.open.load(Ordering::Acquire) && !self.distrusted.load(Ordering::Acquire)
    }

    /// Applies what has changed.
    pub fn apply(&self, batch: Batch) {
        if batch.records.contains(&Record::Broken(Subject::None)) {
            self.distrusted.store(true, Ordering::Release);
        }
        if batch.records.iter().any(|record| matches!(record, Record::Token(token) if token.foreign)) {
            self.foreign.store(true, Ordering::Release);
        }
        self.replica.apply(batch);
    }

    /// Whether secrets that were made elsewhere are worth a look-up.
    #[must_use]
    pub fn foreign(&self) -> Foreign {
        if self.foreign.load(Ordering::Acquire) { Foreign::Accepted } else { Foreign::Refused }
    }

    /// The position that has been applied.
    #[must_use]
    pub fn position(&self) -> Position {
        self.replica.position()
    }

    /// How many tokens it holds, and the bytes that their table takes.
    #[must_use]
    pub fn size(&self) -> (usize, usize) {
        self.replica.size()
    }

    /// The policy it decides by.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Decides a whole request: finds its route, then what the credential may do there. Notes the use.
    #[must_use]
    pub fn authorize(&self, ask: &Ask<'_>, client: Client<'_>, now: Timestamp) -> Verdict {
        // Fetching the token takes the longest, and finding the route does not need it.
        let digest = ask.secret.digest();
        self.replica.touch(&digest);
        let want = match self.policy.route(ask.method, &ask.path) {
            Ok(Matched { access: Access::Action(action) | Access::ActionIfAny(action), service }) => {
                Want { action, service: service.map(|text| self.wanted(text)) }
            }
            // A public route has no use for a credential, so there is nothing to decide about one.
            Ok(Matched { access: Access::Public, .. }) | Err(Unmatched::NoRoute) => {
                return Verdict::Deny(Deny::NoRoute);
            }
            Err(Unmatched::Ambiguous) => return Verdict::Deny(Deny::AmbiguousPath),
        };
        if ask.secret.kind() == Some(Kind::Session) {
            return Verdict::Deny(Deny::Kind);
        }
        self.judge(&digest, &want, Circumstances { now, client: Some(client.ip) }, Some(client))
    }

    /// Decides whether the token with this digest may do what is wanted: for those who have let a request in and need to
    /// know one thing more.
    #[must_use]
    pub fn decide(&self, digest: &Digest, want: &Want, at: Circumstances) -> Verdict {
        self.judge(digest, want, at, None)
    }

    /// Who acts with the token that has this digest, whether it may do anything or not. None if there is no such token.
    #[must_use]
    pub fn actor(&self, digest: &Digest) -> Option<Actor> {
        self.replica.look(digest, false, |standing, _| standing.actor)
    }

    /// Every question ends here. With a client, an allowed use is noted.
    fn judge(&self, digest: &Digest, want: &Want, at: Circumstances, client: Option<Client<'_>>) -> Verdict {
        if !self.is_open() {
            return Verdict::CannotTell(Unsure::Stale);
        }
        let with_sudo = self.policy.needs_sudo(want.action);
        let verdict = self.replica.look(digest, with_sudo, |standing, slot| {
            let verdict = decide(&self.policy, standing, want, at);
            if let (Verdict::Allow(_), Some(client)) = (&verdict, client) {
                self.usage.mark(&slot.used_at, standing.token, at.now, client);
            }
            verdict
        });
        verdict.unwrap_or(Verdict::Deny(Deny::Unknown))
    }

    /// The service that a path names.
    #[must_use]
    pub fn wanted(&self, text: &str) -> WantedService {
        text.parse().map_or(WantedService::Unknown, |id| self.wanted_id(id))
    }

    /// The same for an id.
    #[must_use]
    pub fn wanted_id(&self, id: ServiceId) -> WantedService {
        self.replica
            .customer_of(id)
            .map_or(WantedService::Unknown, |customer| WantedService::Known(id, customer))
    }

    /// Takes the marks of use that wait to be written, the oldest first, `most` at most.
    #[must_use]
    pub fn take_marks(&self, most: usize) -> Vec<Mark> {
        self.usage.take(most)
    }

    /// How many marks were lost because nobody took them in time.
    #[must_use]
    pub fn lost_marks(&self) -> u64 {
        self.usage.lost()
    }
}
