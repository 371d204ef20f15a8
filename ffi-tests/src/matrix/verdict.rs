//! What the C programs have printed, compared with the matrix.

use std::collections::{BTreeMap, BTreeSet};

use super::{InCallback, Row, COLUMNS};

/// One call and what came of it.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Cell {
    /// `callbacks`, `NULL`, `stale` or `fork`.
    pub matrix: String,
    /// The callback; the parameter; the parameter and what its handle was.
    pub column: String,
    /// The function.
    pub function: String,
    /// In words.
    pub result: String,
}

/// All cells a program printed.
pub fn cells(stdout: &str) -> Vec<Cell> {
    let cell = |line: &str| {
        let mut fields = line.strip_prefix("cell\t")?.split('\t').map(str::to_owned);
        Some(Cell { matrix: fields.next()?, column: fields.next()?, function: fields.next()?, result: fields.next()? })
    };
    stdout.lines().filter_map(cell).collect()
}

/// How many cells each matrix has.
pub fn sizes(cells: &[Cell]) -> BTreeMap<&str, usize> {
    let mut sizes = BTreeMap::new();
    cells.iter().for_each(|cell| *sizes.entry(cell.matrix.as_str()).or_default() += 1);
    sizes
}

/// Everything that is wrong: a result the matrix does not have, a cell that is missing or there twice.
pub fn judge(rows: &[Row], delivery: &str, matrices: &[&str], cells: &[Cell]) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut seen = BTreeSet::new();
    for cell in cells {
        let key = (cell.matrix.as_str(), cell.column.as_str(), cell.function.as_str());
        if !seen.insert(key) {
            wrong.push(format!("{key:?} is there twice"));
        }
        let Some(row) = rows.iter().find(|row| row.function.name == cell.function) else {
            wrong.push(format!("{key:?} is no function of the matrix"));
            continue;
        };
        let wanted = row.wanted(&cell.matrix, delivery, &cell.column);
        if !wanted.iter().any(|wanted| fits(wanted, &cell.result)) {
            wrong.push(format!("{key:?} gave {}, wanted {wanted:?}", cell.result));
        }
    }
    for row in rows {
        for (matrix, column) in row.columns(matrices) {
            let there = |cell: &Cell| {
                let stale = matrix == "stale" && cell.column.starts_with(&format!("{column}: "));
                cell.matrix == matrix && cell.function == row.function.name && (cell.column == column || stale)
            };
            if !cells.iter().any(there) {
                wrong.push(format!("{matrix} {column} {} is missing", row.function.name));
            }
        }
    }
    wrong
}

impl Row {
    /// Every cell this row has to have.
    fn columns(&self, matrices: &[&str]) -> Vec<(&'static str, String)> {
        let mut columns = Vec::new();
        if matrices.contains(&"callbacks") {
            columns.extend(COLUMNS.map(|column| ("callbacks", column.to_owned())));
        }
        if matrices.contains(&"NULL") {
            columns.extend(self.pointers().map(|(_, param)| ("NULL", param.name.clone())));
        }
        if matrices.contains(&"stale") {
            let handles = self.pointers().filter(|(_, param)| is_handle(&param.ctype));
            columns.extend(handles.map(|(_, param)| ("stale", param.name.clone())));
        }
        if matrices.contains(&"fork") {
            let handles = self.pointers().filter(|(_, param)| is_handle(&param.ctype));
            columns.extend(handles.map(|(_, param)| ("fork", param.name.clone())));
        }
        columns
    }

    fn wanted(&self, matrix: &str, delivery: &str, column: &str) -> Vec<String> {
        let outside = if delivery == "poll" { &self.outside_in_poll } else { &self.outside };
        let word = |word: &str| vec![word.to_owned()];
        match matrix {
            "callbacks" if column == "release" => outside.clone(),
            "callbacks" => match self.in_callback {
                InCallback::Deferred => word("GWA_DEFERRED"),
                InCallback::DeferredInThread if column == "thread" => word("GWA_DEFERRED"),
                InCallback::Reentrant => word("GWA_E_REENTRANT"),
                InCallback::ReentrantInPoll if delivery == "poll" => word("GWA_E_REENTRANT"),
                InCallback::Allowed | InCallback::DeferredInThread | InCallback::ReentrantInPoll => outside.clone(),
            },
            // As the header says: a status, a number, or nothing.
            "fork" => word(Some(self.function.tag("Fork")).filter(|said| *said != "inert").unwrap_or("done")),
            "stale" if self.function.returns == "gwa_status_t" => word("GWA_E_BAD_HANDLE"),
            // What is no status is for a dead handle what it is for NULL.
            _ => match self.nulls.get(column.split(": ").next().unwrap_or_default()).map(String::as_str) {
                Some("same") => outside.clone(),
                Some(result) => word(result),
                None => Vec::new(),
            },
        }
    }
}

fn is_handle(ctype: &str) -> bool {
    let handles = ["gwa_client_t *", "gwa_config_t *", "gwa_request_t *", "gwa_token_source_t *"];
    handles.contains(&ctype.trim_start_matches("const "))
}

fn fits(wanted: &str, result: &str) -> bool {
    let number = || result.parse::<i64>().ok();
    match wanted {
        "any" => number().is_some(),
        "positive" => number().is_some_and(|number| number > 0),
        exact => exact == result,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_compared() {
        assert!(fits("any", "-3") && !fits("any", "GWA_OK") && fits("positive", "1") && !fits("positive", "0"));
        assert!(fits("GWA_OK", "GWA_OK") && !fits("GWA_OK", "GWA_DEFERRED") && fits("-1", "-1"));
    }

    #[test]
    fn what_is_missing_or_wrong_is_named() {
        let rows = super::super::rows();
        let row = rows.iter().find(|row| row.function.name == "gwa_client_connect").unwrap();
        let cell = |column: &str, result: &str| Cell {
            matrix: "callbacks".into(),
            column: column.into(),
            function: "gwa_client_connect".into(),
            result: result.into(),
        };
        let mut all = COLUMNS.map(|column| cell(column, "GWA_E_REENTRANT")).to_vec();
        all[9] = cell("release", "GWA_E_BAD_STATE");
        let row = std::slice::from_ref(row);
        assert_eq!(judge(row, "callbacks", &["callbacks"], &all), [""; 0]);
        all[0] = cell("message", "GWA_OK");
        assert_eq!(judge(row, "callbacks", &["callbacks"], &all).len(), 1);
        all.remove(0);
        assert_eq!(judge(row, "callbacks", &["callbacks"], &all).len(), 1);
    }
}
