//! How bad a record is, in the words and numbers of every format: one table, which the README repeats.

use super::super::kind::Level;

/// One level in all formats.
#[derive(Debug)]
pub(super) struct Scale {
    #[cfg_attr(not(test), allow(dead_code, reason = "the table is looked up by its order"))]
    pub(super) level: Level,
    /// `severity` of a native SIEM event: the tutorial has two.
    #[cfg_attr(not(test), allow(dead_code, reason = "native is rendered elsewhere, and compared with this"))]
    pub(super) native: &'static str,
    /// `severity_id` of OCSF.
    pub(super) ocsf: u8,
    /// `severity` of OCSF: the caption of the number.
    pub(super) caption: &'static str,
    /// `log.level` of ECS, and the name of the syslog severity.
    pub(super) name: &'static str,
    /// Severity of CEF, 0 to 10, and `event.severity` of ECS, which leaves the scale to the source.
    pub(super) cef: u8,
    /// Severity of RFC 5424 6.2.1.
    pub(super) syslog: u8,
}

const fn scale(level: Level, native: &'static str, ocsf: (u8, &'static str), name: &'static str, cef: u8) -> Scale {
    // Info is 6, and every worse level one less.
    let syslog = 6 - level as u8;
    Scale { level, native, ocsf: ocsf.0, caption: ocsf.1, name, cef, syslog }
}

/// In the order of [`Level`]. CEF calls 0 to 3 low, 4 to 6 medium, 7 and 8 high, 9 and 10 very high.
pub(super) const SCALES: [Scale; 5] = [
    scale(Level::Info, "info", (1, "Informational"), "info", 1),
    scale(Level::Notice, "info", (2, "Low"), "notice", 3),
    scale(Level::Warning, "warning", (3, "Medium"), "warning", 5),
    scale(Level::Error, "warning", (4, "High"), "error", 8),
    scale(Level::Critical, "warning", (5, "Critical"), "critical", 10),
];

impl Scale {
    /// The row of a level.
    pub(super) fn of(level: Level) -> &'static Self {
        let [info, notice, warning, error, critical] = &SCALES;
        match level {
            Level::Info => info,
            Level::Notice => notice,
            Level::Warning => warning,
            Level::Error => error,
            Level::Critical => critical,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_level_has_its_row_and_worse_is_worse() {
        for row in &SCALES {
            assert_eq!(Scale::of(row.level).level, row.level);
        }
        for pair in SCALES.windows(2) {
            assert!(pair[0].level < pair[1].level && pair[0].cef < pair[1].cef && pair[0].ocsf < pair[1].ocsf);
            assert_eq!(pair[0].syslog, pair[1].syslog + 1);
        }
    }

    #[test]
    fn the_readme_has_this_table() {
        let row = |row: &Scale| {
            let Scale { native, ocsf, caption, name, cef, syslog, .. } = row;
            format!("| {name} | {native} | {ocsf} {caption} | {name}, {cef} | {cef} | {syslog} |\n")
        };
        let table: String = SCALES.iter().map(row).collect();
        assert!(include_str!("../../../README.md").contains(&table), "README.md needs\n{table}");
    }
}
