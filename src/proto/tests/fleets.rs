//! A thousand clients behind one credential, held to the goals that the benchmark `fleet` reports for ten thousand.
//!
//! A tenth of the clients at a tenth of the limit takes as long, and makes in ten seconds the requests that the whole
//! fleet makes in one: peaks are looked for in any ten seconds.

use super::fleet::endpoint::{Limit, Refusal};
use super::fleet::plan::{self, Plan, SECOND_MS};
use super::fleet::report::Report;
use super::fleet::run::run;
use super::muted;
use crate::proto::mutant::{activate, Mutant};

/// For the mutants: what is quick and holds for every seed.
pub const ALL: &[fn()] = &[
    a_fleet_comes_back_as_fast_as_the_limit_allows,
    a_fleet_that_is_told_the_same_retry_after_does_not_come_back_as_one,
];

/// What a second is to the whole fleet.
const SPAN_MS: u64 = 10 * SECOND_MS;

/// The goals, for a limit of 30 requests a minute: 5 in ten seconds.
fn meets_goals(plan: &Plan, report: &Report) {
    let Plan { name, seed, .. } = plan;
    assert_eq!(report.live, report.clients, "{name}, seed {seed}: not everybody is live");
    assert_eq!(report.grants(), report.clients as u64, "{name}, seed {seed}: one token a client");
    let ratio = report.ratio().unwrap();
    assert!(ratio <= 1.25, "{name}, seed {seed}: recovered in {ratio} times the optimum");
    let wasted = report.wasted();
    assert!(wasted <= 15.0, "{name}, seed {seed}: {wasted} wasted requests a grant");
    let peak = report.later_peak(SPAN_MS);
    assert!(peak <= 50, "{name}, seed {seed}: {peak} requests in {SPAN_MS} ms after the first minute");
}

#[test]
fn a_fleet_comes_back_as_fast_as_the_limit_allows() {
    for seed in 1..=3 {
        let plan = plan::tokens().swap_remove(0).tenth().seeded(seed);
        let report = run(&plan);
        meets_goals(&plan, &report);
        assert!(report.first_peak() <= report.clients as u64, "who was told no comes back at once");
        let half_ms = report.half_ms().unwrap();
        assert!(half_ms <= report.optimum_ms * 6 / 10, "half of them took {half_ms} ms");
    }
}

#[test]
fn a_fleet_comes_back_however_the_endpoint_counts() {
    for plan in plan::tokens().into_iter().take(plan::WITH_GOALS).skip(1) {
        let plan = plan.tenth().seeded(2);
        meets_goals(&plan, &run(&plan));
    }
}

#[test]
fn a_fleet_that_is_told_the_same_retry_after_does_not_come_back_as_one() {
    let plan = plan::tokens().into_iter().find(|plan| plan.refusal == Refusal::TooMany).unwrap().tenth();
    let report = run(&plan);
    assert_eq!(report.live, report.clients);
    assert!(report.ratio() <= Some(1.25), "{:?}", report.ratio());
    // Told to come back after 37 s, they come over the 37 s that follow.
    let peak = report.later_peak(SECOND_MS);
    assert!(peak <= 80, "{peak} of {} in a second", report.clients);
}

#[test]
fn sockets_come_back_within_their_longest_delay() {
    for plan in plan::sockets() {
        let plan = plan.tenth();
        let report = run(&plan);
        let (name, recovered_ms) = (plan.name, report.recovered_ms());
        assert!(recovered_ms <= Some(31 * SECOND_MS) && report.live == report.clients, "{name}: {recovered_ms:?}");
        assert_eq!(report.requests(), 0, "{name}: their tokens are good");
        // One at once, one each time the range doubles, then one in 15 s on average, and by chance half as many again.
        let most = report.clients as u64 * (8 + plan.down_ms / (10 * SECOND_MS));
        assert!(report.dials() <= most, "{name}: {} dials", report.dials());
        let late = report.dial_peak(plan.down_ms.max(10 * SECOND_MS));
        assert!(late <= report.clients as u64 / 5, "{name}: {late} dials in a second");
    }
    let drained = plan::sockets().pop().unwrap().tenth();
    let peak = run(&drained).dial_peak(0);
    assert!(peak <= drained.clients as u64 * 3 / 10, "a drain is spread over 5 s: {peak} in a second");
}

#[test]
fn two_tokens_refused_alike_end_it_for_everybody() {
    for plan in plan::strikes() {
        let plan = plan.tenth();
        let report = run(&plan);
        let (least, most) = report.requests_a_client;
        assert!(least == 1 && (most == 1 || plan.limit != Limit::None), "{}: {most} token requests", plan.name);
        assert_eq!(report.blocked, report.clients, "{}", plan.name);
        assert_eq!(report.tokens_shown, (2, 2), "{}", plan.name);
        assert_eq!(report.grants(), report.clients as u64, "{}: the second token, and no third", plan.name);
    }
}

#[test]
fn rules_that_only_a_fleet_needs_are_noticed_by_it() {
    let noticed = |mutant, story: fn()| {
        activate(Some(mutant));
        let panicked = muted(|| std::panic::catch_unwind(story).is_err());
        activate(None);
        panicked
    };
    let back: fn() = a_fleet_comes_back_as_fast_as_the_limit_allows;
    for mutant in [Mutant::ThrottledInStep, Mutant::FirstThrottleWhole, Mutant::NoBreaker, Mutant::ThrottleIsPlain] {
        assert!(noticed(mutant, back), "{mutant:?}");
    }
    assert!(noticed(Mutant::RetryAfterInStep, ALL[1]));
}
