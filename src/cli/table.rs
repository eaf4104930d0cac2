//! Columns of text.

use std::fmt::{self, Write};

/// Rows of `N` columns, each as wide as its widest cell.
pub(super) struct Table<const N: usize> {
    rows: Vec<[String; N]>,
    right: Vec<usize>,
}

impl<const N: usize> Table<N> {
    pub(super) fn new(head: [&str; N]) -> Self {
        Self { rows: vec![head.map(str::to_owned)], right: Vec::new() }
    }

    /// Columns that are aligned to the right.
    pub(super) fn right(self, columns: impl Into<Vec<usize>>) -> Self {
        Self { right: columns.into(), ..self }
    }

    pub(super) fn row(&mut self, cells: [String; N]) {
        self.rows.push(cells);
    }
}

impl<const N: usize> fmt::Display for Table<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
        };
        let widths: [usize; N] = std::array::from_fn(width);
        for row in &self.rows {
            let mut line = String::new();
            for (column, (cell, width)) in row.iter().zip(widths).enumerate() {
                if column > 0 {
                    line.push_str("  ");
                }
                if self.right.contains(&column) {
                    write!(line, "{cell:>width$}")?;
                } else {
                    write!(line, "{cell:<width$}")?;
                }
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new(["name", "value", "unit"]).right([1]);
        table.row(["energy".to_owned(), "81947".to_owned(), "kWh".to_owned()]);
        table.row(["temp1".to_owned(), "67.25".to_owned(), "°C".to_owned()]);
        table.row(["infocode".to_owned(), "0".to_owned(), String::new()]);
        let expected = "\
name      value  unit
energy    81947  kWh
temp1     67.25  °C
infocode      0
";
        assert_eq!(table.to_string(), expected);
    }
}
