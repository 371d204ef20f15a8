//! Rows, goals, and how they are printed.

use serde_json::{json, Value};

/// The programs that are compared, in the order of the columns.
pub const COLUMNS: [&str; 4] = ["inline", "dispatched", "floor", "naive"];
/// Column of the floor.
const FLOOR: usize = 2;

/// One value for each column, where there is one.
pub type Cells = [Option<f64>; 4];

/// One line.
#[derive(Debug)]
pub struct Row {
    /// What was measured, with its unit.
    pub measure: String,
    /// The values.
    pub cells: Cells,
    /// Inline and dispatched as multiples of the floor.
    pub ratios: [Option<f64>; 2],
    /// What was to be reached.
    pub goal: Goal,
}

/// A goal of `performance.md`.
#[derive(Clone, Copy, Debug)]
pub enum Goal {
    /// None is set; the number is for orientation.
    Open,
    /// Of the column `inline`, which stands for the library where the mode of delivery does not matter.
    AtMost(f64),
    /// Of both modes.
    BothAtMost(f64),
    /// Multiples of the floor: inline, and dispatched if there is such a goal.
    Ratio(f64, Option<f64>),
    /// Of the dispatched mode alone.
    DispatchedRatio(f64),
    /// So much above the floor, in both modes.
    AboveFloor(f64),
}

impl Row {
    /// A row whose ratios follow from its values.
    pub fn new(measure: impl Into<String>, cells: Cells, goal: Goal) -> Self {
        let ratio = |at: usize| Some(cells[at]? / cells[FLOOR].filter(|floor| *floor > 0.0)?);
        Self { measure: measure.into(), cells, ratios: [ratio(0), ratio(1)], goal }
    }

    /// Whether the goal is met; `None` without a goal or without a value.
    pub fn is_met(&self) -> Option<bool> {
        let [inline, dispatched, floor, _] = self.cells;
        let both = |limit: f64| Some(inline? <= limit && dispatched? <= limit);
        match self.goal {
            Goal::Open => None,
            Goal::AtMost(limit) => Some(inline? <= limit),
            Goal::BothAtMost(limit) => both(limit),
            Goal::Ratio(limit, None) => Some(self.ratios[0]? <= limit),
            Goal::Ratio(limit, Some(other)) => Some(self.ratios[0]? <= limit && self.ratios[1]? <= other),
            Goal::DispatchedRatio(limit) => Some(self.ratios[1]? <= limit),
            Goal::AboveFloor(limit) => both(floor? + limit),
        }
    }

    fn goal(&self) -> String {
        match self.goal {
            Goal::Open => String::new(),
            Goal::AtMost(limit) | Goal::BothAtMost(limit) => format!("≤ {}", number(limit)),
            Goal::Ratio(limit, None) => format!("≤ {limit} ×"),
            Goal::Ratio(limit, Some(other)) => format!("≤ {limit} / {other} ×"),
            Goal::DispatchedRatio(limit) => format!("dispatched ≤ {limit} ×"),
            Goal::AboveFloor(limit) => format!("≤ floor + {}", number(limit)),
        }
    }

    fn texts(&self) -> Vec<String> {
        let ratio = |ratio: Option<f64>| ratio.map_or("–".to_owned(), |ratio| format!("{ratio:.2}"));
        let mut texts = vec![self.measure.clone()];
        texts.extend(self.cells.iter().map(|cell| cell.map_or("–".to_owned(), number)));
        texts.push(match self.ratios {
            [None, None] => String::new(),
            [inline, dispatched] => format!("{} / {}", ratio(inline), ratio(dispatched)),
        });
        texts.push(self.goal());
        texts.push(self.is_met().map_or("", |met| if met { "yes" } else { "NO" }).to_owned());
        texts
    }

    fn json(&self) -> Value {
        let cells: serde_json::Map<_, _> =
            COLUMNS.iter().zip(self.cells).map(|(name, cell)| ((*name).to_owned(), json!(cell))).collect();
        json!({
            "measure": self.measure, "values": cells, "ratio_inline": self.ratios[0],
            "ratio_dispatched": self.ratios[1], "goal": self.goal(), "met": self.is_met(),
        })
    }
}

/// As many digits as are worth reading.
fn number(value: f64) -> String {
    match value.abs() {
        0.0 => "0".into(),
        size if size >= 1000.0 => {
            let digits = format!("{value:.0}");
            let mut text = String::new();
            for (at, digit) in digits.chars().enumerate() {
                if at > 0 && (digits.len() - at).is_multiple_of(3) {
                    text.push(',');
                }
                text.push(digit);
            }
            text
        }
        size if size >= 100.0 || value.fract() == 0.0 => format!("{value:.0}"),
        _ => format!("{value:.2}"),
    }
}

/// Prints the table.
pub fn print(rows: &[Row]) {
    let head = ["measure", "ours inline", "ours dispatched", "floor", "naive", "ratio", "goal", "met"];
    let mut lines = vec![head.map(str::to_owned).to_vec()];
    lines.extend(rows.iter().map(Row::texts));
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    for (number, line) in lines.iter().enumerate() {
        let cells = line.iter().zip(&widths).enumerate().map(|(column, (text, width))| match column {
            0 | 6 => format!("{text:<width$}"),
            _ => format!("{text:>width$}"),
        });
        println!("| {} |", cells.collect::<Vec<_>>().join(" | "));
        if number == 0 {
            let rules = widths.iter().map(|width| "-".repeat(width + 2)).collect::<Vec<_>>();
            println!("|{}|", rules.join("|"));
        }
    }
}

/// The table, for programs.
pub fn to_json(rows: &[Row], skipped: &[String]) -> Value {
    json!({ "rows": rows.iter().map(Row::json).collect::<Vec<_>>(), "skipped": skipped })
}

/// The middle one.
pub fn median(values: &mut [f64]) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}
