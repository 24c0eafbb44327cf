//! The gate itself: ask it, and it answers from memory.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering, fence},
};

use keygate_model::{
    Actor, Ask, Batch, Circumstances, CustomerId, Deny, Digest, Freshness, Permit, Policy, Position, Record,
    ServiceId, Timestamp, Unsure, Verdict, Want,
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
    lease::{Hold, Lease},
    moved::Moved,
    replica::Seen,
    usage::{Client, Mark, Usage},
    view::View,
};

/// Decides. Share it behind an `Arc`; every method takes `&self`.
pub struct Gate {
    held: ArcSwap<Held>,
    /// Keygate's own policy, for a replica that begins anew.
    own: Arc<Policy>,
    usage: Usage,
    open: AtomicBool,
    /// For how long what it holds may be taken for all there is.
    lease: Lease,
    pub(crate) moved: Moved,
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
            lease: Lease::none(),
            moved: Moved::default(),
        }
    }

    /// The same with a lease, for a gate that can be cut off from the authority it follows.
    #[must_use]
    pub fn with_lease(self, lease: Lease) -> Self {
        Self { lease, ..self }
    }

    /// Its lease.
    #[must_use]
    pub fn lease(&self) -> &Lease {
        &self.lease
    }

    /// A replica to fill beside the one that decides, sized for `tokens`.
    #[must_use]
    pub fn filling(&self, tokens: usize) -> Filling {
        Filling::new(Arc::clone(&self.own), tokens)
    }

    /// Decides by what was filled from the next request on. Drop what is given back where it does not matter how long that
    /// takes.
    pub fn replace(&self, filled: Filling) -> Retired {
        let old = self.held.swap(filled.held());
        // Who is deciding by it at this moment lets nobody in any more.
        old.give_up();
        self.moved.tell();
        Retired::new(old)
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

    /// Whether it can tell anything now: it is open, and its lease has not lapsed.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.is_open() && self.lease.holds()
    }

    /// Whether it holds everything that there was when its lease was last renewed.
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
        self.moved.tell();
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
        // What is proved now is true of everything that is looked up from here on.
        let hold = self.lease.hold();
        let held = self.held.load();
        // Fetching the token takes the longest, and finding the route does not need it.
        let (mut seen, view) = (None, held.replica.view());
        let digest = ask.secret.as_ref().map(Presented::digest).map_err(|deny| *deny);
        if let Ok(digest) = &digest {
            view.fetch(digest);
        }
        let at = Circumstances::of(now, client.ip);
        let verdict = self.verdict((&held, &view), ask, digest, (at, hold), |allowed, permit| {
            let identity = allowed.map_or(Identity::NOBODY, Identity::of);
            seen = Some(see(&Identity { stale: permit.stale(), ..identity }));
            if let Some(allowed) = allowed {
                self.usage.mark(&allowed.slot.used_at, allowed.standing.token, now, client);
            }
        });
        let policy = (!matches!(verdict, Verdict::Allow(_))).then(|| Arc::clone(&view.book.policy));
        Decided { verdict, seen, policy }
    }

    /// The verdict by this view. Whoever is let in is handed to `allowed`: nobody, where everybody is.
    fn verdict(
        &self,
        (held, view): (&Held, &View),
        ask: &Ask<'_>,
        digest: Result<Digest, Deny>,
        (at, hold): (Circumstances, Hold),
        allowed: impl FnOnce(Option<&Seen<'_>>, &Permit),
    ) -> Verdict {
        // What is public, and who has which token, may be what came with the position that is asked for.
        if view.position < ask.at_least {
            return Verdict::CannotTell(Unsure::Behind);
        }
        // The routes of protected APIs come with the feed; Keygate's own are known before.
        if ask.host.is_some() && !self.can_tell(held) {
            return Verdict::CannotTell(Unsure::Stale);
        }
        let (found, freshness) = find(held, &view.book, ask);
        let at = at.wanting(freshness);
        // What Keygate's own routes are, no gate has to hear of; of others it may have heard too little.
        let settled = |verdict| match ask.host {
            Some(_) => at.knowing(self.lease.knowledge_by(hold)).settle(verdict),
            None => verdict,
        };
        match found {
            Ok(None) => {
                let verdict = settled(Verdict::Allow(Permit::public()));
                if let Verdict::Allow(permit) = &verdict {
                    allowed(None, permit);
                }
                return verdict;
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
            Err(deny) => return settled(Verdict::Deny(deny)),
        };
        if ask.secret.as_ref().is_ok_and(|secret| secret.kind() == Some(Kind::Session)) {
            return settled(Verdict::Deny(Deny::Kind));
        }
        match (found, &ask.host) {
            (Ok(Some(want)), _) => self
                .judge((held, view), &digest, &want, (at, hold), |seen, permit| allowed(Some(seen), permit)),
            (Err(why), Some(host)) => {
                // Which routes a protected API has is told to those who have a token for it; to others, what they lack.
                let told = |seen: &Seen<'_>| {
                    let at = at.knowing(self.lease.knowledge_by(hold));
                    refuse(&view.book.policy, &seen.standing, host, why, at)
                };
                let verdict = held.replica.look(view, &digest, false, told);
                verdict.unwrap_or_else(|| settled(Verdict::Deny(Deny::Unknown)))
            }
            _ => Verdict::Deny(Deny::NoRoute),
        }
    }

    /// Decides whether the token with this digest may do what is wanted: for those who have let a request in and need to
    /// know one thing more. How current it is itself, the gate knows best.
    #[must_use]
    pub fn decide(&self, digest: &Digest, want: &Want, at: Circumstances) -> Verdict {
        let (hold, held) = (self.lease.hold(), self.held.load());
        self.judge((&held, &held.replica.view()), digest, want, (at, hold), |_, _| ())
    }

    /// Who acts with the token that has this digest, whether it may do anything or not. None if there is no such token.
    #[must_use]
    pub fn actor(&self, digest: &Digest) -> Option<Actor> {
        let held = self.held.load();
        held.replica.look(&held.replica.view(), digest, false, |seen| seen.standing.actor)
    }

    /// Every question ends here. Whoever is let in is handed to `allowed`.
    fn judge(
        &self,
        (held, view): (&Held, &View),
        digest: &Digest,
        want: &Want,
        (at, hold): (Circumstances, Hold),
        allowed: impl FnOnce(&Seen<'_>, &Permit),
    ) -> Verdict {
        if !self.can_tell(held) {
            return Verdict::CannotTell(Unsure::Stale);
        }
        let (mut allowed, mut anew) = (Some(allowed), None);
        loop {
            let view = anew.as_ref().unwrap_or(view);
            let with_sudo = view.book.policy.needs_sudo(want.action);
            let verdict = held.replica.look(view, digest, with_sudo, |seen| {
                let at = at.knowing(self.lease.knowledge_by(hold));
                let verdict = decide(&view.book.policy, &seen.standing, want, at);
                if let Verdict::Allow(permit) = &verdict {
                    // Once a change is told to be applied, nobody may be let in by what was found before it.
                    fence(Ordering::Acquire);
                    if held.replica.position() != view.position || held.is_distrusted() {
                        return None;
                    }
                    if let Some(allowed) = allowed.take() {
                        allowed(seen, permit);
                    }
                }
                Some(verdict)
            });
            match verdict {
                Some(Some(verdict)) => return verdict,
                Some(None) if held.is_distrusted() => return Verdict::CannotTell(Unsure::Stale),
                Some(None) => anew = Some(held.replica.view()),
                None => {
                    return at.knowing(self.lease.knowledge_by(hold)).settle(Verdict::Deny(Deny::Unknown));
                }
            }
        }
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

/// What a request is about, and how current whoever decides about it must be. None: it is public.
fn find(held: &Held, book: &Book, ask: &Ask<'_>) -> (Result<Option<Want>, Deny>, Freshness) {
    let matched = match &ask.host {
        None => book.policy.route(ask.method, &ask.path),
        Some(host) => book.policy.route_at(host, ask.method, &ask.path),
    };
    let freshness = match (&matched, &ask.host) {
        (Ok(matched), _) => matched.route.freshness(),
        (Err(_), Some(host)) => book.policy.freshness_at(host),
        (Err(_), None) => Freshness::default(),
    };
    let found = match matched {
        Ok(Matched { access: Access::Action(action) | Access::ActionIfAny(action), service, .. }) => {
            Ok(Some(Want { action, service: service.map(|text| held.wanted(text)) }))
        }
        Ok(Matched { access: Access::Public, .. }) => Ok(None),
        Ok(Matched { access: Access::Unclassified, .. }) => Err(Deny::Unclassified),
        Err(Unmatched::NoRoute) => Err(Deny::NoRoute),
        Err(Unmatched::Ambiguous) => Err(Deny::AmbiguousPath),
    };
    (found, freshness)
}
