//! The three tables.

use crate::fleet::plan::{Plan, SECOND_MS, WITH_GOALS};
use crate::fleet::report::Report;

/// Recovery as a multiple of the optimum, at most.
const RATIO_MAX: f64 = 1.25;
/// Wasted requests a grant, at most.
const WASTED_MAX: f64 = 15.0;
/// Requests in any second after the first minute, as a multiple of the limit, at most.
const PEAK_MAX: f64 = 10.0;
/// The wave of dials after a loss is over by then.
const WAVE_MS: u64 = 10 * SECOND_MS;

/// New tokens for the whole fleet.
pub fn tokens(runs: &[(Plan, Report)]) {
    let Some((first, _)) = runs.first() else { return };
    println!(
        "\n{} clients lose sockets and tokens at once; the token endpoint grants {} requests a minute.\n",
        first.clients, first.per_minute
    );
    let head = [
        "token endpoint",
        "live",
        "half live, s",
        "all live, s",
        "optimum, s",
        "ratio",
        "wasted a grant",
        "peak/s, minute 1",
        "peak/s later",
        "× limit",
        "goals met",
    ];
    let rows = runs.iter().enumerate().map(|(index, (plan, report))| token_row(plan, report, index < WITH_GOALS));
    print(&head, rows.collect());
    println!(
        "\ngoals: ratio ≤ {RATIO_MAX}, wasted ≤ {WASTED_MAX}, later peak in any second ≤ {PEAK_MAX} × limit, all live."
    );
}

fn token_row(plan: &Plan, report: &Report, has_goals: bool) -> Vec<String> {
    let in_a_second = f64::from(plan.per_minute) / 60.0;
    // A small fleet has few requests a second: as many as a large one has in a second are looked at.
    let span_ms = (SECOND_MS as f64 * (5.0 / in_a_second)) as u64;
    let later = report.later_peak(span_ms) as f64 * SECOND_MS as f64 / span_ms as f64;
    let multiple = later / in_a_second;
    let is_met = report.ratio().is_some_and(|ratio| ratio <= RATIO_MAX)
        && report.wasted() <= WASTED_MAX
        && multiple <= PEAK_MAX
        && report.live == report.clients;
    vec![
        plan.name.to_owned(),
        report.live.to_string(),
        seconds(report.half_ms()),
        seconds(report.recovered_ms()),
        seconds(Some(report.optimum_ms)),
        report.ratio().map_or("–".into(), |ratio| format!("{ratio:.2}")),
        format!("{:.1}", report.wasted()),
        report.first_peak().to_string(),
        format!("{later:.0}"),
        format!("{multiple:.1}"),
        if !has_goals {
            "none set"
        } else if is_met {
            "yes"
        } else {
            "NO"
        }
        .to_owned(),
    ]
}

/// Sockets alone.
pub fn sockets(runs: &[(Plan, Report)]) {
    let Some((first, _)) = runs.first() else { return };
    println!("\n{} clients lose their sockets at once; their tokens stay good.\n", first.clients);
    let head = [
        "sockets",
        "live",
        "half live after return, s",
        "all live after return, s",
        "dials a client",
        "peak dials/s",
        "after 10 s",
    ];
    let rows = runs.iter().map(|(plan, report)| {
        vec![
            plan.name.to_owned(),
            report.live.to_string(),
            tenths(report.half_ms()),
            tenths(report.recovered_ms()),
            format!("{:.1}", report.dials() as f64 / report.clients as f64),
            report.dial_peak(0).to_string(),
            report.dial_peak(WAVE_MS).to_string(),
        ]
    });
    print(&head, rows.collect());
}

/// Tokens that are refused whatever they are.
pub fn strikes(runs: &[(Plan, Report)]) {
    let Some((first, _)) = runs.first() else { return };
    println!("\n{} clients whose every token the socket server refuses from one instant on.\n", first.clients);
    let head = [
        "token endpoint",
        "ReauthRequired",
        "tokens shown, least",
        "most",
        "token requests, least",
        "most",
        "mean",
        "granted a client",
    ];
    let rows = runs.iter().map(|(plan, report)| {
        vec![
            plan.name.to_owned(),
            report.blocked.to_string(),
            report.tokens_shown.0.to_string(),
            report.tokens_shown.1.to_string(),
            report.requests_a_client.0.to_string(),
            report.requests_a_client.1.to_string(),
            format!("{:.1}", report.requests() as f64 / report.clients as f64),
            format!("{:.1}", report.grants() as f64 / report.clients as f64),
        ]
    });
    print(&head, rows.collect());
}

fn seconds(ms: Option<u64>) -> String {
    ms.map_or("never".into(), |ms| format!("{:.0}", ms as f64 / 1_000.0))
}

fn tenths(ms: Option<u64>) -> String {
    ms.map_or("never".into(), |ms| format!("{:.1}", ms as f64 / 1_000.0))
}

fn print(head: &[&str], rows: Vec<Vec<String>>) {
    let mut lines = vec![head.iter().map(|&text| text.to_owned()).collect::<Vec<_>>()];
    lines.extend(rows);
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    for (number, line) in lines.iter().enumerate() {
        let cells = line.iter().zip(&widths).enumerate().map(|(column, (text, width))| match column {
            0 => format!("{text:<width$}"),
            _ => format!("{text:>width$}"),
        });
        println!("| {} |", cells.collect::<Vec<_>>().join(" | "));
        if number == 0 {
            let rules = widths.iter().map(|width| "-".repeat(width + 2)).collect::<Vec<_>>();
            println!("|{}|", rules.join("|"));
        }
    }
}
