//! Tables of figures, with the expected values, and with the figures of an earlier version beside the current ones.

use crate::program::{Program, Programs};
use crate::statistics::{median, median_ratio};

/// What a figure counts, and with how many decimals it is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unit {
    suffix: &'static str,
    decimals: usize,
}

pub(crate) const SECONDS: Unit = Unit { suffix: " s", decimals: 2 };
pub(crate) const MILLISECONDS: Unit = Unit { suffix: " ms", decimals: 0 };
pub(crate) const MICROSECONDS: Unit = Unit { suffix: " µs", decimals: 1 };
pub(crate) const MEGABYTES: Unit = Unit { suffix: " MB", decimals: 0 };
pub(crate) const RATE: Unit = Unit { suffix: "/s", decimals: 0 };
pub(crate) const SLOW_RATE: Unit = Unit { suffix: "/s", decimals: 2 };
pub(crate) const CPU_MILLISECONDS: Unit = Unit { suffix: " ms/s", decimals: 1 };
pub(crate) const RATIO: Unit = Unit { suffix: "", decimals: 2 };
pub(crate) const COUNT: Unit = Unit { suffix: "", decimals: 0 };

/// What one row shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Figure {
    name: String,
    unit: Unit,
    expected: &'static str,
}

/// A table that is being filled.
pub(crate) struct Figures {
    programs: Vec<&'static str>,
    rows: Vec<Row>,
}

struct Row {
    figure: Figure,
    /// What was measured, by program.
    cells: Vec<Vec<f64>>,
    /// Why nothing was, by program.
    remarks: Vec<Option<String>>,
}

// === impl Unit ===

impl Unit {
    /// A figure of this unit.
    pub(crate) fn of(self, name: impl Into<String>) -> Figure {
        Figure { name: name.into(), unit: self, expected: "" }
    }

    fn show(self, value: f64) -> String {
        format!("{value:.*}{}", self.decimals, self.suffix)
    }
}

// === impl Figure ===

impl Figure {
    /// With what it is to be.
    pub(crate) fn expected(self, expected: &'static str) -> Figure {
        Figure { expected, ..self }
    }
}

// === impl Figures ===

impl Figures {
    /// Nothing was measured yet.
    pub(crate) fn new(programs: &Programs) -> Figures {
        Figures { programs: programs.in_turn().map(|program| program.title).collect(), rows: Vec::new() }
    }

    /// Takes in one measurement.
    pub(crate) fn add(&mut self, program: &Program, figure: &Figure, value: f64) {
        if let Some((row, at)) = self.cell(program, figure)
            && let Some(cell) = row.cells.get_mut(at)
        {
            cell.push(value);
        }
    }

    /// Says in the figure's place why there is none.
    pub(crate) fn remark(&mut self, program: &Program, figure: &Figure, remark: impl Into<String>) {
        if let Some((row, at)) = self.cell(program, figure)
            && let Some(place) = row.remarks.get_mut(at)
        {
            *place = Some(remark.into());
        }
    }

    /// Prints the table: medians, and the smallest and largest where there are several.
    pub(crate) fn print(&self) {
        let with_baseline = self.programs.len() > 1;
        let last = if with_baseline { " now / earlier |" } else { "" };
        println!("| figure | expected | {} |{last}", self.programs.join(" | "));
        println!("|---|---|{}{}", "---|".repeat(self.programs.len()), if with_baseline { "---|" } else { "" });
        for row in &self.rows {
            let cells: Vec<String> = (0..self.programs.len()).map(|at| row.show(at)).collect();
            let ratio = if with_baseline { format!(" {} |", row.ratio()) } else { String::new() };
            println!("| {} | {} | {} |{ratio}", row.figure.name, row.figure.expected, cells.join(" | "));
        }
        println!();
    }

    fn cell(&mut self, program: &Program, figure: &Figure) -> Option<(&mut Row, usize)> {
        let at = self.programs.iter().position(|title| *title == program.title)?;
        let row = self.rows.iter().position(|row| row.figure == *figure).unwrap_or_else(|| {
            let programs = self.programs.len();
            let cells = vec![Vec::new(); programs];
            self.rows.push(Row { figure: figure.clone(), cells, remarks: vec![None; programs] });
            self.rows.len() - 1
        });
        Some((self.rows.get_mut(row)?, at))
    }
}

// === impl Row ===

impl Row {
    fn show(&self, at: usize) -> String {
        let values = self.cells.get(at).map_or(&[][..], Vec::as_slice);
        let remark = self.remarks.get(at).cloned().flatten();
        let unit = self.figure.unit;
        let (low, high) =
            values.iter().fold((f64::MAX, f64::MIN), |(low, high), value| (low.min(*value), high.max(*value)));
        match (values, remark) {
            ([], remark) => remark.unwrap_or_else(|| "–".to_owned()),
            ([value], _) => unit.show(*value),
            (several, _) => {
                format!("{} ({:.*}–{:.*})", unit.show(median(several)), unit.decimals, low, unit.decimals, high)
            }
        }
    }

    fn ratio(&self) -> String {
        let ratio = match self.cells.as_slice() {
            [earlier, now] if !earlier.is_empty() && !now.is_empty() => median_ratio(now, earlier),
            _ => f64::NAN,
        };
        // Nothing is a multiple of no calls at all.
        if ratio.is_finite() { format!("{ratio:.2}") } else { "–".to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(cells: [Vec<f64>; 2]) -> Row {
        Row {
            figure: SECONDS.of("take-over"),
            cells: cells.into(),
            remarks: vec![None, Some("not within 60 s".to_owned())],
        }
    }

    #[test]
    fn a_cell_shows_the_median_and_the_spread() {
        let row = row([vec![7.0, 6.5, 7.25], vec![3.5]]);
        assert_eq!([row.show(0), row.show(1)], ["7.00 s (6.50–7.25)", "3.50 s"]);
        assert_eq!(row.ratio(), "0.50");
    }

    #[test]
    fn a_figure_that_is_missing_says_why() {
        let row = row([vec![7.0], Vec::new()]);
        assert_eq!([row.show(1), row.ratio()], ["not within 60 s", "–"]);
    }
}
