//! The page that `GET /metrics` shows. `docs/watching.md` says what each number is for, and a test holds the two together.

use std::sync::atomic::{AtomicU64, Ordering};

use keygate_gate::follow::Follower;

use super::{
    BOUNDS, CODES, Metrics, UNSURE, process,
    text::{Format, Writer},
};
use crate::{app::App, canary, front::Front, readiness::Readiness};

/// The commit that this was built from, if whoever built it said so.
const REVISION: &str = match option_env!("KEYGATE_REVISION") {
    Some(revision) => revision,
    None => "unknown",
};

/// Everything that is counted and measured, now.
pub(crate) fn page(app: &App, readiness: &Readiness, format: Format) -> String {
    let mut page = Writer::new(format);
    write_front(app, &mut page);
    let help = "Time since the log of events was last read to its end: the gate knows all that was committed before.";
    page.measure("keygate_replica_lag_seconds", help, app.authority.vitals().behind().as_secs_f64());
    write_authority(app, &mut page);
    write_feed(app, &mut page);
    write_canary(app, &mut page);
    app.metrics.write_api(app, &mut page);
    end(page, readiness)
}

/// The same of a gate that follows.
pub(crate) fn gate_page(front: &Front, follower: &Follower, readiness: &Readiness, format: Format) -> String {
    let mut page = Writer::new(format);
    write_front(front, &mut page);
    let status = follower.status();
    page.measure(
        "keygate_follow_connected",
        "Whether a node is followed now.",
        u8::from(status.is_connected()),
    );
    page.count("keygate_follow_snapshots_total", "How often everything was told anew.", status.snapshots());
    let help = "How often the gate went on from where it was.";
    page.count("keygate_follow_resumed_total", help, status.resumed());
    page.count(
        "keygate_follow_frames_total",
        "Frames of changes that were applied.",
        status.applied_frames(),
    );
    let help = "How far this machine's clock was from the node's when that was heard last.";
    page.measure("keygate_follow_clock_skew_seconds", help, front.skew().as_secs_f64());
    page.counter("keygate_follow_ended_total", "How often following a node has ended, by why.");
    for (why, count) in status.ends() {
        page.sample("keygate_follow_ended_total", &[("why", why)], count);
    }
    end(page, readiness)
}

fn write_front(front: &Front, page: &mut Writer) {
    front.metrics.write_decisions(page);
    write_replica(front, page);
    write_policies(front, page);
}

fn end(mut page: Writer, readiness: &Readiness) -> String {
    page.gauge("keygate_ready", "Whether a check of /readyz passes.");
    for check in readiness.checks() {
        page.sample("keygate_ready", &[("check", check.name)], u8::from(check.passes()));
    }
    page.gauge("keygate_build_info", "Which version this is.");
    let build = [("version", env!("CARGO_PKG_VERSION")), ("revision", REVISION)];
    page.sample("keygate_build_info", &build, 1);
    process::write(&mut page);
    page.end()
}

fn load(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

impl Metrics {
    fn write_decisions(&self, page: &mut Writer) {
        let name = "keygate_authz_requests_total";
        page.counter(
            name,
            "Questions whether something is allowed, by what was answered, why, and who asked.",
        );
        for (protocol, door) in self.open_doors() {
            let mut sample = |decision, reason, counter| {
                let labels = [("decision", decision), ("reason", reason), ("protocol", protocol)];
                page.sample(name, &labels, load(counter));
            };
            sample("allow", "none", &door.allowed);
            for (code, counter) in CODES.iter().zip(&door.denied).filter(|(code, _)| **code != "other") {
                sample("deny", code, counter);
            }
            for (unsure, counter) in UNSURE.iter().zip(&door.unsure) {
                sample("cannot_tell", unsure.code(), counter);
            }
        }
        let name = "keygate_authz_stale_total";
        page.counter(
            name,
            "Questions that were allowed while the gate was cut off, because a policy says so.",
        );
        for (protocol, door) in self.open_doors() {
            page.sample(name, &[("protocol", protocol)], load(&door.stale));
        }
        let name = "keygate_authz_duration_seconds";
        page.histogram(name, "Time from a question to the decision.");
        for (protocol, door) in self.open_doors() {
            let mut count = 0;
            let bounds = BOUNDS.iter().map(|(_, bound)| *bound).chain(["+Inf"]);
            for (bound, bucket) in bounds.zip(&door.took.buckets) {
                count += load(bucket);
                let labels = [("protocol", protocol), ("le", bound)];
                page.sample("keygate_authz_duration_seconds_bucket", &labels, count);
            }
            let seconds = load(&door.took.nanos) as f64 / 1e9;
            page.sample("keygate_authz_duration_seconds_sum", &[("protocol", protocol)], seconds);
            page.sample("keygate_authz_duration_seconds_count", &[("protocol", protocol)], count);
        }
    }

    fn write_api(&self, app: &App, page: &mut Writer) {
        let refusals = self.refusals();
        let limited = refusals.get("rate_limited").unwrap_or(&0);
        page.count("keygate_rate_limited_total", "Requests over the hourly quota.", limited);
        page.counter("keygate_refusals_total", "Answers that are not what was asked for, by their code.");
        for (code, count) in refusals {
            page.sample("keygate_refusals_total", &[("code", code)], count);
        }
        let stranded = app.stranded.count();
        page.count(
            "keygate_owner_disabled_total",
            "Uses of tokens whose owners are locked or gone.",
            stranded,
        );
        let missed = load(&self.purge_misses);
        page.count(
            "keygate_purge_misses_total",
            "Cache nodes that did not purge when they were told to.",
            missed,
        );
    }
}

fn write_replica(app: &Front, page: &mut Writer) {
    let (tokens, table_bytes) = app.gate.size();
    page.measure("keygate_tokens", "Tokens that the gate holds: all that are not revoked.", tokens);
    page.measure("keygate_replica_table_bytes", "Memory that the table of tokens takes.", table_bytes);
    let help = "The last event that the gate knows of.";
    page.measure("keygate_replica_applied_position", help, app.gate.position().0);
    let help = "Marks of use that were lost because they were not written in time.";
    page.count("keygate_usage_marks_lost_total", help, app.gate.lost_marks());
}

fn write_policies(app: &Front, page: &mut Writer) {
    let policy = app.gate.policy();
    page.measure("keygate_policies", "Policies of protected APIs in force.", policy.apis().len());
    page.gauge("keygate_policy_routes", "Routes that a policy names.");
    for api in policy.apis() {
        page.sample("keygate_policy_routes", &[("policy", &api.name)], api.routes.all().len());
    }
    let help = "Policies that cannot be read or believed: everything at their hosts is denied.";
    page.measure("keygate_policies_unreadable", help, app.gate.unreadable_policies());
}

fn write_feed(app: &App, page: &mut Writer) {
    page.measure("keygate_feed_followers", "Gates that follow this node.", app.feed.followers());
    let help = "Runs of gates whose lease may last, as this node knows.";
    page.measure("keygate_gates_live", help, app.enforcer.live() as u64);
    let help = "Events that the slowest of them has not said that it has applied.";
    page.measure("keygate_gates_lag_events", help, app.enforcer.lag(app));
    let help = "Followers that were cut because they read slower than things changed.";
    page.count("keygate_feed_cut_total", help, app.feed.cut());
}

fn write_canary(app: &App, page: &mut Writer) {
    let seen = &app.canary.seen;
    let name = "keygate_revoke_propagation_seconds";
    page.histogram(name, "Time from an answered revoke of a canary until a gate was heard to refuse it.");
    let (mut count, bounds) = (0, canary::BOUNDS.iter().map(|(_, bound)| *bound).chain(["+Inf"]));
    for (bound, bucket) in bounds.zip(&seen.buckets) {
        count += load(bucket);
        page.sample("keygate_revoke_propagation_seconds_bucket", &[("le", bound)], count);
    }
    page.sample("keygate_revoke_propagation_seconds_sum", &[], load(&seen.micros) as f64 / 1e6);
    page.sample("keygate_revoke_propagation_seconds_count", &[], count);
    let name = "keygate_canary_rounds_total";
    page.counter(name, "Canaries, by what came of them.");
    for (result, counter) in [("ok", &seen.ok), ("late", &seen.with_late), ("failed", &seen.failed)] {
        page.sample(name, &[("result", result)], load(counter));
    }
    let help = "Gates that took longer than they should to refuse a canary.";
    page.count("keygate_canary_late_total", help, load(&seen.late));
    let help = "Gates that let in a canary that they knew to be revoked, and the like: never.";
    page.count("keygate_canary_wrong_total", help, load(&seen.wrong));
    let name = "keygate_canary_gates";
    page.gauge(name, "Gates at the last canary, by how they were measured.");
    let by = [("decision", &seen.decided), ("position", &seen.applied), ("none", &seen.unconfirmed)];
    for (by, gates) in by {
        page.sample(name, &[("result", by)], load(gates));
    }
}

fn write_authority(app: &App, page: &mut Writer) {
    let vitals = app.authority.vitals();
    page.count("keygate_store_errors_total", "What the database did not do.", vitals.store_errors());
    let name = "keygate_login_attempts_total";
    page.counter(name, "Passwords and codes that somebody showed, by what came of it.");
    for (result, count) in vitals.logins() {
        page.sample(name, &[("result", result)], count);
    }
}
