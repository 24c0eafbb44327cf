//! What must be so after every step.

use std::{collections::HashSet, sync::Arc};

use keygate_gate::Client;
use keygate_model::Verdict;

use crate::{
    truth::{Change, Entry, TOKENS, ask},
    world::{LEASE, MILLI, NODES, REMOTES, SECOND, Tick, World},
};

/// Within this time everything is everywhere, where nothing is wrong with the world.
const HEALTHY: Tick = 500 * MILLI;

/// What the judge has seen.
#[derive(Default)]
pub(crate) struct Judge {
    /// When the world is over.
    pub(crate) end: Tick,
    /// From when on nothing is wrong with the world any more.
    pub(crate) healthy_from: Tick,
    /// What was acknowledged, and when: of one life of the record, in the order of answers.
    acked: Vec<(Tick, Arc<Entry>)>,
    /// The last change of which it was said that it is enforced everywhere.
    enforced: Option<Arc<Entry>>,
    /// The position of every gate after its last step, with its run and its epoch.
    positions: [(u32, u64, i64); NODES + REMOTES],
    /// Which revokes were ever acknowledged, also in a life of the record that was lost.
    ended: [bool; TOKENS],
    /// The hashes of everything that was ever acknowledged.
    ever: HashSet<[u8; 32]>,
    /// How often somebody was let in, refused, and told nothing: a world in which nothing happens shows nothing.
    pub(crate) allowed: u64,
    pub(crate) denied: u64,
    pub(crate) untold: u64,
    pub(crate) receipts: u64,
    pub(crate) wrong: Option<String>,
}

impl Judge {
    fn wrong(&mut self, what: impl Into<String>) {
        self.wrong.get_or_insert(what.into());
    }

    /// Whether somebody was told that a change is done, and it is none in this history.
    pub(crate) fn is_undone(&self, change: &Entry, tip: &Entry) -> bool {
        self.ever.contains(&change.hash) && !tip.follows(change)
    }

    /// The latest of what was acknowledged by then.
    fn acked_by(&self, at: Tick) -> Option<&Arc<Entry>> {
        let by_then = self.acked.iter().take_while(|(acked, _)| *acked <= at);
        by_then.map(|(_, entry)| entry).max_by_key(|entry| entry.position)
    }
}

impl World {
    /// Somebody was told that a change is done.
    pub(crate) fn acked(&mut self, entry: &Arc<Entry>) {
        self.say(|| format!("acknowledged {} {:?}", entry.position, entry.change));
        self.judge.acked.push((self.now, Arc::clone(entry)));
        self.judge.ever.insert(entry.hash);
        if let Change::Revoke(token) = entry.change {
            self.judge.ended[token] = true;
        }
    }

    /// Somebody was told that a change is enforced everywhere.
    pub(crate) fn given(&mut self, entry: &Arc<Entry>) {
        self.say(|| format!("enforced {} {:?}", entry.position, entry.change));
        self.judge.receipts += 1;
        let is_later = |known: &Arc<Entry>| known.position < entry.position;
        if self.judge.enforced.as_ref().is_none_or(is_later) {
            self.judge.enforced = Some(Arc::clone(entry));
        }
        (0..NODES + REMOTES).for_each(|gate| self.ask(gate));
    }

    /// P1: what was acknowledged is in the record that is now the only one.
    pub(crate) fn nothing_is_lost(&mut self) {
        let server = &self.servers[self.primary];
        if let Some((_, lost)) = self.judge.acked.iter().find(|(_, entry)| !server.holds(entry)) {
            let what = format!("P1: {:?} at {} was acknowledged, and is lost", lost.change, lost.position);
            self.judge.wrong(what);
        }
    }

    /// A backup was restored: what was acknowledged since is lost, as everybody knows.
    pub(crate) fn was_restored(&mut self) {
        let server = &self.servers[self.primary];
        self.judge.acked.retain(|(_, entry)| server.holds(entry));
        self.judge.enforced = self.judge.enforced.take().filter(|entry| server.holds(entry));
    }

    /// P6: no gate goes backwards.
    pub(crate) fn nodes_are_in_order(&mut self, node: usize) {
        let (run, epoch) = (self.nodes[node].run, self.nodes[node].epoch);
        self.is_in_order(node, (run, epoch, self.nodes[node].body.gate.position().0));
    }

    pub(crate) fn remotes_are_in_order(&mut self, remote: usize) {
        let (run, epoch) = (self.remotes[remote].run, self.remotes[remote].epoch);
        self.is_in_order(NODES + remote, (run, epoch, self.remotes[remote].body.gate.position().0));
    }

    fn is_in_order(&mut self, gate: usize, now: (u32, u64, i64)) {
        let before = std::mem::replace(&mut self.judge.positions[gate], now);
        if (before.0, before.1) == (now.0, now.1) && now.2 < before.2 {
            self.judge.wrong(format!("P6: gate {gate} went from {} back to {}", before.2, now.2));
        }
    }

    /// What a gate holds, as the judge knows it.
    fn tip(&self, gate: usize) -> Option<&Arc<Entry>> {
        match gate.checked_sub(NODES) {
            None => Some(&self.nodes[gate].tip),
            Some(remote) => self.remotes[remote].tip.as_ref(),
        }
    }

    /// Somebody asks a gate with every token, or with one of them.
    pub(crate) fn ask(&mut self, gate: usize) {
        if !self.body(gate).up || self.body(gate).paused_until > self.now {
            return;
        }
        let token = self.chance.index(self.made.max(1));
        let known = self.judge.acked.iter().rev().take(2).filter_map(|(_, entry)| match entry.change {
            Change::Create(token) | Change::Revoke(token) => Some(token),
            _ => None,
        });
        let known: Vec<_> = known.collect();
        for token in known.into_iter().chain([token]) {
            self.ask_with(gate, token);
        }
    }

    fn ask_with(&mut self, gate: usize, token: usize) {
        let body = self.body(gate);
        body.uptime(self.now);
        let (ready, wall) = (body.gate.is_ready(), body.wall(self.now));
        let verdict = body.gate.authorize(&ask(token), Client { ip: None, user_agent: "" }, wall);
        let allowed = match &verdict {
            Verdict::Allow(_) => Some(true),
            Verdict::Deny(_) => Some(false),
            Verdict::CannotTell(_) => None,
        };
        match allowed {
            Some(true) => self.judge.allowed += 1,
            Some(false) => self.judge.denied += 1,
            None => self.judge.untold += 1,
        }
        self.is_as_held(gate, token, allowed, ready);
        if allowed == Some(true) {
            self.may_allow(gate, token);
        }
        self.is_healthy(gate, allowed);
    }

    /// P12 and P6: who cannot tell says so, and everybody else decides by one state of the record, whole.
    fn is_as_held(&mut self, gate: usize, token: usize, allowed: Option<bool>, ready: bool) {
        if ready != allowed.is_some() {
            return self.judge.wrong(format!("P12: gate {gate} is ready: {ready}, and says {allowed:?}"));
        }
        let Some(allowed) = allowed else { return };
        let wall = self.body(gate).wall(self.now);
        let Some(tip) = self.tip(gate) else {
            return self.judge.wrong(format!("P6: gate {gate} decides by what nobody told it"));
        };
        let position = self.body(gate).gate.position().0;
        if tip.position != position || tip.state.allows(token, wall) != allowed {
            let what = format!(
                "P6: gate {gate} at {position} says {allowed} of token {token}, and is told {:?} at {}",
                tip.state, tip.position
            );
            self.judge.wrong(what);
        }
    }

    /// P3, P4, P5 and P7: whether somebody may be let in by what a gate holds.
    fn may_allow(&mut self, gate: usize, token: usize) {
        let Some(tip) = self.tip(gate).cloned() else { return };
        if let Some(enforced) = &self.judge.enforced
            && !tip.follows(enforced)
        {
            let what = format!(
                "P4: gate {gate} lets token {token} in by {}, and {:?} at {} is enforced",
                tip.position, enforced.change, enforced.position
            );
            return self.judge.wrong(what);
        }
        // A lease runs from before what it proves, and its clock may be slow.
        let lease = Tick::try_from(LEASE.duration().as_micros()).expect("short") * 1_001 / 1_000;
        let bound = if self.now > self.judge.healthy_from.saturating_add(HEALTHY) { HEALTHY } else { lease };
        if let Some(known) = self.now.checked_sub(bound).and_then(|at| self.judge.acked_by(at))
            && !tip.follows(known)
        {
            let what = format!(
                "P3, P5: gate {gate} lets token {token} in by {}, {} ms after {:?} at {} was acknowledged",
                tip.position,
                bound / MILLI,
                known.change,
                known.position
            );
            return self.judge.wrong(what);
        }
        let Some(remote) = gate.checked_sub(NODES).map(|remote| &self.remotes[remote]) else { return };
        let undone = remote.last.as_ref().filter(|last| self.judge.is_undone(last, &tip));
        if let Some(undone) = undone {
            let what =
                format!("P7: gate {gate} had applied {undone:?}, and lets token {token} in by {tip:?}");
            self.judge.wrong(what);
        } else if remote.ended.contains(&token) && self.judge.ended[token] {
            self.judge.wrong(format!("P7: gate {gate} lets token {token} in again"));
        }
    }

    /// P9: where nothing is wrong with the world, gates can tell, and know what there is.
    fn is_healthy(&mut self, gate: usize, allowed: Option<bool>) {
        if self.now < self.judge.healthy_from {
            return;
        }
        if allowed.is_none() {
            let what = format!("P9: gate {gate} cannot tell, and nothing is wrong with the world");
            return self.judge.wrong(what);
        }
        let known = self.now.checked_sub(HEALTHY).and_then(|at| self.judge.acked_by(at));
        if let (Some(known), Some(tip)) = (known, self.tip(gate))
            && !tip.follows(known)
        {
            let what = format!("P9: gate {gate} does not know of {known:?}, and nothing is wrong");
            self.judge.wrong(what);
        }
    }

    pub(crate) fn say(&mut self, what: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{:>19}{}", "", what()));
        }
    }
}

/// How often people are asked for something, in all worlds.
pub(crate) const ASKS_EVERY: Tick = SECOND / 2;
