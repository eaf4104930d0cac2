//! The return temperature that the supplier expects.

use rust_decimal::Decimal;

/// The return temperature that the supplier expects: one for all supply temperatures, or a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit(Vec<Row>);

/// A row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// The mean supply temperature; `None` if the row is for all of them.
    pub supply: Option<Decimal>,
    /// The return temperature that the supplier expects.
    pub expected: Decimal,
}

impl Limit {
    /// A single temperature, or rows with different supply temperatures; otherwise `None`.
    #[must_use]
    pub fn new(mut rows: Vec<Row>) -> Option<Self> {
        rows.sort_by_key(|row| row.supply);
        let is_table = rows.iter().all(|row| row.supply.is_some());
        let differ = rows.windows(2).all(|pair| match pair {
            [one, next] => one.supply != next.supply,
            _ => true,
        });
        (!rows.is_empty() && differ && (is_table || rows.len() == 1)).then_some(Self(rows))
    }

    /// The rows, by rising supply temperature.
    #[must_use]
    pub fn rows(&self) -> &[Row] {
        &self.0
    }

    /// Whether it depends on the supply temperature.
    #[must_use]
    pub fn is_table(&self) -> bool {
        self.0.len() > 1
    }

    /// The expected return temperature. Between two rows, it is on the straight line between them.
    /// Beyond the first and the last row, it is that of this row. `None` if it has too many digits.
    #[must_use]
    pub fn expected(&self, supply: Decimal) -> Option<Decimal> {
        let above = self.0.iter().position(|row| row.supply.is_none_or(|known| known >= supply));
        let Some(above) = above else { return self.0.last().map(|row| row.expected) };
        let high = self.0.get(above)?;
        let low = above.checked_sub(1).and_then(|below| self.0.get(below));
        let Some((low, (from, to))) = low.and_then(|low| Some((low, low.supply.zip(high.supply)?)))
        else {
            return Some(high.expected);
        };
        let rise = high.expected.checked_sub(low.expected)?;
        let part =
            rise.checked_mul(supply.checked_sub(from)?)?.checked_div(to.checked_sub(from)?)?;
        low.expected.checked_add(part)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn limit(rows: &[(Option<i64>, i64)]) -> Option<Limit> {
        let row = |(supply, expected): &(Option<i64>, i64)| Row {
            supply: supply.map(Decimal::from),
            expected: Decimal::from(*expected),
        };
        Limit::new(rows.iter().map(row).collect())
    }

    fn expected(limit: &Limit, supply: &str) -> String {
        limit.expected(supply.parse().unwrap()).unwrap().normalize().to_string()
    }

    #[test]
    fn a_single_temperature_holds_for_all_supply_temperatures() {
        let limit = limit(&[(None, 40)]).unwrap();
        assert_eq!(["0", "65.3", "200"].map(|supply| expected(&limit, supply)), ["40"; 3]);
    }

    #[test]
    fn a_table_is_interpolated_and_ends_with_its_rows() {
        // The rows need no order.
        let limit = limit(&[(Some(72), 39), (Some(60), 30), (Some(64), 34)]).unwrap();
        let supplies = ["20", "60", "61", "64", "68", "72", "90"];
        let all = supplies.map(|supply| expected(&limit, supply));
        assert_eq!(all, ["30", "30", "31", "34", "36.5", "39", "39"]);
    }

    #[test]
    fn some_tables_mean_nothing() {
        assert_eq!(limit(&[]), None);
        assert_eq!(limit(&[(None, 40), (None, 41)]), None);
        assert_eq!(limit(&[(None, 40), (Some(60), 30)]), None);
        assert_eq!(limit(&[(Some(60), 40), (Some(60), 30)]), None);
    }

    proptest! {
        /// It never leaves the range of the table's temperatures, and rises with the table.
        #[test]
        fn a_rising_table_gives_a_rising_limit(
            rows in prop::collection::btree_map(30_i64..120, 10_i64..80, 2..8),
            one in 0_i64..150, other in 0_i64..150,
        ) {
            let mut values: Vec<i64> = rows.values().copied().collect();
            values.sort_unstable();
            let rows: Vec<_> = rows.keys().map(|supply| Some(*supply)).zip(values).collect();
            let limit = limit(&rows).unwrap();
            let [low, high] = [one.min(other), one.max(other)]
                .map(|supply| limit.expected(Decimal::from(supply)).unwrap());
            prop_assert!(low <= high);
            prop_assert!(low >= Decimal::from(rows[0].1));
            prop_assert!(high <= Decimal::from(rows[rows.len() - 1].1));
        }
    }
}
