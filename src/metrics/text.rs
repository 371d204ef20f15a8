//! Metrics as text: OpenMetrics 1.0 for scrapers, and Prometheus's older text format 0.0.4 for those that read only that.

use std::fmt::Write;

use super::histogram::Shot;
use super::table::{Family, Kind, Metrics, Unit, FAMILIES, ROWS};
use super::timing::TIMED;
use crate::event::State;

/// A format of the text.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Format {
    /// OpenMetrics 1.0 (`application/openmetrics-text; version=1.0.0; charset=utf-8`).
    OpenMetrics,
    /// Prometheus's text format 0.0.4 (`text/plain; version=0.0.4`): what the textfile collector of node_exporter reads.
    Prometheus,
}

/// What tells a client from others: labels of all its samples.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Labels {
    /// `client`, unless there is one client alone.
    pub(crate) client: Option<String>,
}

/// Everything that is told of one client at one moment.
pub(crate) struct Snapshot {
    /// Counters and gauges.
    pub(crate) metrics: Metrics,
    /// What it does.
    pub(crate) state: State,
    /// In the order of [`TIMED`].
    pub(crate) timings: Vec<Shot>,
    /// Name of each callback, and how long it took.
    pub(crate) callbacks: Vec<(&'static str, Shot)>,
    /// Labels of `gwa_client_info`.
    pub(crate) info: Vec<(&'static str, String)>,
}

/// Names of what stands beside the tables.
const CALLBACKS: (&str, &str) = (
    "callback_duration_seconds",
    "Calls of the application's functions that lasted a millisecond of the clock or longer (it ticks every 1 to 10 ms).",
);
const INFO: (&str, &str) = ("client", "What the client was made for.");
const BUILD: (&str, &str) = ("build", "Version of the library.");
const STATE: (&str, &str) = ("state", "What the client does: 1 for its state, 0 for all others.");

/// The text of these clients. Every family is told once, with the samples of all of them below.
pub(crate) fn text(format: Format, clients: &[(Labels, Snapshot)]) -> String {
    let mut writer = Writer { out: String::with_capacity(4096 + 16_384 * clients.len()), format };
    writer.info(BUILD, std::iter::once(vec![("version", env!("CARGO_PKG_VERSION").to_owned())]));
    writer.info(INFO, clients.iter().map(|(labels, shot)| [labels.pairs(), shot.info.clone()].concat()));
    writer.states(clients);
    for family in FAMILIES {
        writer.family(family, clients);
    }
    for (index, timed) in TIMED.iter().enumerate() {
        if index == 0 || TIMED.get(index - 1).is_none_or(|before| before.family != timed.family) {
            writer.head(timed.family, "histogram", "seconds", timed.help);
        }
        for (labels, shot) in clients {
            if let Some(shot) = shot.timings.get(index) {
                writer.histogram(timed.family, &labels.and(timed.label), shot);
            }
        }
    }
    writer.head(CALLBACKS.0, "histogram", "seconds", CALLBACKS.1);
    for (labels, shot) in clients {
        for (name, shot) in &shot.callbacks {
            writer.histogram(CALLBACKS.0, &labels.and(("callback", name)), shot);
        }
    }
    if format == Format::OpenMetrics {
        writer.out.push_str("# EOF\n");
    }
    writer.out
}

impl Labels {
    fn pairs(&self) -> Vec<(&'static str, String)> {
        self.client.iter().map(|client| ("client", client.clone())).collect()
    }

    fn and(&self, (name, value): (&'static str, &str)) -> Vec<(&'static str, String)> {
        let mut pairs = self.pairs();
        if !name.is_empty() {
            pairs.push((name, value.to_owned()));
        }
        pairs
    }
}

/// A text under construction. Writing to a String cannot fail.
struct Writer {
    out: String,
    format: Format,
}

impl Writer {
    /// The lines that begin a family. In the older format a counter is called as its sample, and a type that the format has
    /// not is a gauge.
    fn head(&mut self, name: &str, kind: &str, unit: &str, help: &str) {
        let (suffix, kind) = match (self.format, kind) {
            (Format::Prometheus, "counter") => ("_total", kind),
            (Format::Prometheus, "info") => ("_info", "gauge"),
            (Format::Prometheus, "stateset") => ("", "gauge"),
            _ => ("", kind),
        };
        let _ = writeln!(self.out, "# HELP gwa_{name}{suffix} {}", escaped(help, self.format == Format::OpenMetrics));
        let _ = writeln!(self.out, "# TYPE gwa_{name}{suffix} {kind}");
        if self.format == Format::OpenMetrics && !unit.is_empty() {
            let _ = writeln!(self.out, "# UNIT gwa_{name} {unit}");
        }
    }

    fn sample(&mut self, name: &str, suffix: &str, labels: &[(&'static str, String)], value: &str) {
        let _ = write!(self.out, "gwa_{name}{suffix}");
        for (index, (label, value)) in labels.iter().enumerate() {
            let _ = write!(self.out, "{}{label}=\"{}\"", if index == 0 { '{' } else { ',' }, escaped(value, true));
        }
        let _ = writeln!(self.out, "{} {value}", if labels.is_empty() { "" } else { "}" });
    }

    fn info(&mut self, (name, help): (&str, &str), all: impl Iterator<Item = Vec<(&'static str, String)>>) {
        self.head(name, "info", "", help);
        for labels in all {
            self.sample(name, "_info", &labels, "1");
        }
    }

    fn states(&mut self, clients: &[(Labels, Snapshot)]) {
        self.head(STATE.0, "stateset", "", STATE.1);
        for (labels, shot) in clients {
            for state in State::ALL {
                let value = if *state == shot.state { "1" } else { "0" };
                self.sample(STATE.0, "", &labels.and(("gwa_state", state.name())), value);
            }
        }
    }

    fn family(&mut self, family: &Family, clients: &[(Labels, Snapshot)]) {
        let (kind, suffix) = match family.kind {
            Kind::Counter => ("counter", "_total"),
            Kind::Gauge => ("gauge", ""),
        };
        let unit = match family.unit {
            Unit::None => "",
            Unit::Seconds => "seconds",
            Unit::Bytes => "bytes",
        };
        self.head(family.name, kind, unit, family.help);
        for (labels, Snapshot { metrics, .. }) in clients {
            if !family.applies(metrics) {
                continue;
            }
            for row in ROWS.iter().filter(|row| row.family == family.name) {
                let value = (row.read)(metrics);
                let value = if family.unit == Unit::Seconds { seconds(value) } else { value.to_string() };
                self.sample(family.name, suffix, &labels.and((family.label, row.label)), &value);
            }
        }
    }

    fn histogram(&mut self, name: &str, labels: &[(&'static str, String)], shot: &Shot) {
        let mut below = 0_u64;
        let bounds = shot.bounds.iter().map(|bound| bound_of(*bound)).chain(["+Inf".to_owned()]);
        for (bound, count) in bounds.zip(shot.within) {
            below = below.saturating_add(count);
            self.sample(name, "_bucket", &[labels, &[("le", bound)]].concat(), &below.to_string());
        }
        self.sample(name, "_count", labels, &below.to_string());
        self.sample(name, "_sum", labels, &seconds(shot.sum_ms));
    }
}

/// The canonical number of OpenMetrics: a bound is a float, so 1 is written `1.0`, the same in every scrape.
fn bound_of(ms: u64) -> String {
    let text = seconds(ms);
    if text.contains('.') {
        text
    } else {
        text + ".0"
    }
}

/// Milliseconds in seconds, exactly.
fn seconds(ms: u64) -> String {
    let text = format!("{}.{:03}", ms / 1_000, ms % 1_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Both formats escape backslash and newline, and the quote in the value of a label; OpenMetrics in the help as well.
fn escaped(text: &str, quotes: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '"' if quotes => out.push_str("\\\""),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Timings;

    fn snapshot() -> Snapshot {
        let metrics = Metrics { success_count: 3, token_age_ms: 1_500, bytes_sent: 9, ..Metrics::default() };
        let mut timings = Timings::default();
        timings.add(crate::metrics::Timing::Connect, 12);
        let (timings, info) = (timings.shots(), vec![("region", "mypurecloud.com".to_owned())]);
        Snapshot { metrics, state: State::Ready, timings, callbacks: Vec::new(), info }
    }

    #[test]
    fn every_family_is_told_once_for_all_clients() {
        let named = |name: &str| Labels { client: Some(name.to_owned()) };
        for format in [Format::OpenMetrics, Format::Prometheus] {
            let text = text(format, &[(named("a\"\\\nb"), snapshot()), (named("b"), snapshot())]);
            let mut heads: Vec<&str> = text.lines().filter(|line| line.starts_with("# TYPE")).collect();
            let all = heads.len();
            heads.sort_unstable();
            heads.dedup();
            assert_eq!(heads.len(), all);
            assert!(text.contains("gwa_attempts_total{client=\"a\\\"\\\\\\nb\",outcome=\"success\"} 3\n"), "{text}");
            assert_eq!(text.ends_with("# EOF\n"), format == Format::OpenMetrics);
            assert_eq!(text.contains("# UNIT"), format == Format::OpenMetrics);
        }
    }

    #[test]
    fn without_a_token_its_times_are_not_told() {
        let mut shot = snapshot();
        assert!(!text(Format::OpenMetrics, &[(Labels::default(), snapshot())]).contains("\ngwa_token_age_seconds "));
        shot.metrics.token_held = 1;
        assert!(text(Format::OpenMetrics, &[(Labels::default(), shot)]).contains("\ngwa_token_age_seconds 1.5\n"));
    }

    #[test]
    fn milliseconds_are_told_exactly() {
        for (ms, told) in [(0, "0"), (1, "0.001"), (10, "0.01"), (1_000, "1"), (61_250, "61.25"), (10_000, "10")] {
            assert_eq!(seconds(ms), told);
        }
        assert_eq!(seconds(u64::MAX), "18446744073709551.615");
        assert_eq!((bound_of(1_000), bound_of(0), bound_of(25)), ("1.0".into(), "0.0".into(), "0.025".into()));
    }
}
