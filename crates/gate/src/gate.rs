//! The gate itself: ask it, and it answers from memory.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use keygate_model::{
    Actor, Ask, Batch, Circumstances, CustomerId, Deny, Digest, Permit, Policy, Position, Record, ServiceId,
    Timestamp, Unsure, Verdict, Want,
    ask::Reading,
    decide,
    decide::{WantedService, refuse},
    policy::{Access, Matched, Unmatched},
    token::{Foreign, Kind, Presented},
};

use arc_swap::ArcSwap;

use crate::{
    book::Book,
    held::{Filling, Held, Retired},
    identity::Identity,
    replica::Seen,
    usage::{Client, Mark, Usage},
};

/// Decides. Share it behind an `Arc`; every method takes `&self`.
pub struct Gate {
    held: ArcSwap<Held>,
    /// Keygate's own policy, for a replica that begins anew.
    own: Arc<Policy>,
    usage: Usage,
    open: AtomicBool,
}

/// A decision, and what it was made by.
pub struct Decided<T> {
    /// It.
    pub verdict: Verdict,
    /// What was seen of whoever is let in.
    pub seen: Option<T>,
    /// The policy that names what a refusal is about: another numbers its actions otherwise. None: it is none.
    pub policy: Option<Arc<Policy>>,
}

impl Gate {
    /// A gate with nothing in it, sized for `tokens`; it grows. It cannot tell anything until [`Gate::open`].
    #[must_use]
    pub fn new(policy: Arc<Policy>, tokens: usize) -> Self {
        Self {
            held: ArcSwap::from_pointee(Held::new(Arc::clone(&policy), tokens)),
            own: policy,
            usage: Usage::new(),
            open: AtomicBool::new(false),
        }
    }

    /// A replica to fill beside the one that decides, sized for `tokens`.
    #[must_use]
    pub fn filling(&self, tokens: usize) -> Filling {
        Filling::new(Arc::clone(&self.own), tokens)
    }

    /// Decides by what was filled from the next request on. Drop what is given back where it does not matter how long that
    /// takes.
    pub fn replace(&self, filled: Filling) -> Retired {
        Retired::new(self.held.swap(filled.held()))
    }

    /// Tells everything it holds, as [`Gate::apply`] takes it. What changes meanwhile may be in it or not.
    pub fn export(&self, mut tell: impl FnMut(Record)) {
        let held = self.held.load();
        held.replica.export(held.is_foreign(), &mut tell);
    }

    /// A sum over everything it holds: two gates that hold the same have the same. Of one customer, what concerns it.
    #[must_use]
    pub fn digest(&self, of: Option<CustomerId>) -> u128 {
        self.held.load().replica.digest(of)
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
        self.can_tell(&self.held.load())
    }

    fn can_tell(&self, held: &Held) -> bool {
        self.open.load(Ordering::Acquire) && !held.is_distrusted()
    }

    /// Applies what has changed.
    pub fn apply(&self, batch: Batch) {
        self.held.load().apply(batch);
    }

    /// Whether secrets that were made elsewhere are worth a look-up.
    #[must_use]
    pub fn foreign(&self) -> Foreign {
        if self.held.load().is_foreign() { Foreign::Accepted } else { Foreign::Refused }
    }

    /// The position that has been applied.
    #[must_use]
    pub fn position(&self) -> Position {
        self.held.load().replica.position()
    }

    /// How many tokens it holds, and the bytes that their table takes.
    #[must_use]
    pub fn size(&self) -> (usize, usize) {
        self.held.load().replica.size()
    }

    /// How many policies it cannot read, and so denies everything that they are about.
    #[must_use]
    pub fn unreadable_policies(&self) -> usize {
        self.held.load().replica.unreadable_policies()
    }

    /// The policies it decides by now.
    #[must_use]
    pub fn policy(&self) -> Arc<Policy> {
        Arc::clone(&self.held.load().replica.book().policy)
    }

    /// Decides a whole request: finds its route, then what the credential may do there. Notes the use.
    #[must_use]
    pub fn authorize(&self, ask: &Ask<'_>, client: Client<'_>, now: Timestamp) -> Verdict {
        self.authorize_with(ask, client, now, |_| ()).verdict
    }

    /// The same, and hands whom it has let in to `see`, for those who tell it to others.
    pub fn authorize_with<T>(
        &self,
        ask: &Ask<'_>,
        client: Client<'_>,
        now: Timestamp,
        see: impl FnOnce(&Identity<'_>) -> T,
    ) -> Decided<T> {
        // Fetching the token takes the longest, and finding the route does not need it.
        let digest = ask.secret.as_ref().map(Presented::digest).map_err(|deny| *deny);
        let held = self.held.load();
        if let Ok(digest) = &digest {
            held.replica.touch(digest);
        }
        let (mut seen, book) = (None, held.replica.book());
        let verdict =
            self.verdict((&held, &book), ask, digest, Circumstances { now, client: client.ip }, |allowed| {
                seen = Some(see(&allowed.map_or(Identity::NOBODY, Identity::of)));
                if let Some(allowed) = allowed {
                    self.usage.mark(&allowed.slot.used_at, allowed.standing.token, now, client);
                }
            });
        let policy = (!matches!(verdict, Verdict::Allow(_))).then(|| Arc::clone(&book.policy));
        Decided { verdict, seen, policy }
    }

    /// The verdict by this book. Whoever is let in is handed to `allowed`: nobody, where everybody is.
    fn verdict(
        &self,
        (held, book): (&Held, &Book),
        ask: &Ask<'_>,
        digest: Result<Digest, Deny>,
        at: Circumstances,
        allowed: impl FnOnce(Option<&Seen<'_>>),
    ) -> Verdict {
        // The routes of protected APIs come with the feed; Keygate's own are known before.
        if ask.host.is_some() && !self.can_tell(held) {
            return Verdict::CannotTell(Unsure::Stale);
        }
        let found = find(held, book, ask);
        match found {
            Ok(None) => {
                allowed(None);
                return Verdict::Allow(Permit::public());
            }
            // Of some paths everybody can see that they are ambiguous.
            Err(Deny::AmbiguousPath) if ask.path.reading() != Reading::PLAIN => {
                return Verdict::Deny(Deny::AmbiguousPath);
            }
            Err(deny) if ask.host.is_none() => return Verdict::Deny(deny),
            _ => {}
        }
        let digest = match digest {
            Ok(digest) => digest,
            Err(deny) => return Verdict::Deny(deny),
        };
        if ask.secret.as_ref().is_ok_and(|secret| secret.kind() == Some(Kind::Session)) {
            return Verdict::Deny(Deny::Kind);
        }
        match (found, &ask.host) {
            (Ok(Some(want)), _) => self.judge((held, book), &digest, &want, at, |seen| allowed(Some(seen))),
            (Err(why), Some(host)) => {
                // Which routes a protected API has is told to those who have a token for it; to others, what they lack.
                let told = |seen: &Seen<'_>| refuse(&book.policy, &seen.standing, host, why, at);
                held.replica.look(book, &digest, false, told).unwrap_or(Verdict::Deny(Deny::Unknown))
            }
            _ => Verdict::Deny(Deny::NoRoute),
        }
    }

    /// Decides whether the token with this digest may do what is wanted: for those who have let a request in and need to
    /// know one thing more.
    #[must_use]
    pub fn decide(&self, digest: &Digest, want: &Want, at: Circumstances) -> Verdict {
        let held = self.held.load();
        self.judge((&held, &held.replica.book()), digest, want, at, |_| ())
    }

    /// Who acts with the token that has this digest, whether it may do anything or not. None if there is no such token.
    #[must_use]
    pub fn actor(&self, digest: &Digest) -> Option<Actor> {
        let held = self.held.load();
        held.replica.look(&held.replica.book(), digest, false, |seen| seen.standing.actor)
    }

    /// Every question ends here. Whoever is let in is handed to `allowed`.
    fn judge(
        &self,
        (held, book): (&Held, &Book),
        digest: &Digest,
        want: &Want,
        at: Circumstances,
        allowed: impl FnOnce(&Seen<'_>),
    ) -> Verdict {
        if !self.can_tell(held) {
            return Verdict::CannotTell(Unsure::Stale);
        }
        let with_sudo = book.policy.needs_sudo(want.action);
        let verdict = held.replica.look(book, digest, with_sudo, |seen| {
            let verdict = decide(&book.policy, &seen.standing, want, at);
            if let Verdict::Allow(_) = &verdict {
                allowed(seen);
            }
            verdict
        });
        verdict.unwrap_or(Verdict::Deny(Deny::Unknown))
    }

    /// The service that a path names.
    #[must_use]
    pub fn wanted(&self, text: &str) -> WantedService {
        self.held.load().wanted(text)
    }

    /// The same for an id.
    #[must_use]
    pub fn wanted_id(&self, id: ServiceId) -> WantedService {
        self.held.load().wanted_id(id)
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

/// What a request is about. None: it is public.
fn find(held: &Held, book: &Book, ask: &Ask<'_>) -> Result<Option<Want>, Deny> {
    let matched = match &ask.host {
        None => book.policy.route(ask.method, &ask.path),
        Some(host) => book.policy.route_at(host, ask.method, &ask.path),
    };
    match matched {
        Ok(Matched { access: Access::Action(action) | Access::ActionIfAny(action), service, .. }) => {
            Ok(Some(Want { action, service: service.map(|text| held.wanted(text)) }))
        }
        Ok(Matched { access: Access::Public, .. }) => Ok(None),
        Ok(Matched { access: Access::Unclassified, .. }) => Err(Deny::Unclassified),
        Err(Unmatched::NoRoute) => Err(Deny::NoRoute),
        Err(Unmatched::Ambiguous) => Err(Deny::AmbiguousPath),
    }
}
