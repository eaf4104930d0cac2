//! How far back charts go.

use jiff::{Timestamp, ToSpan, ZonedDateTime};

/// How far back charts go.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::web) enum Range {
    /// 24 hours.
    #[default]
    Day,
    /// 7 days.
    Week,
    /// 30 days.
    Month,
    /// 12 months.
    Year,
}

impl Range {
    pub(in crate::web) const ALL: [Self; 4] = [Self::Day, Self::Week, Self::Month, Self::Year];

    /// Its name in the page's address.
    pub(in crate::web) fn key(self) -> &'static str {
        match self {
            Self::Day => "24h",
            Self::Week => "7d",
            Self::Month => "30d",
            Self::Year => "12m",
        }
    }

    pub(in crate::web) fn by_key(key: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|range| range.key() == key)
    }

    /// The number of its hours, days or months, without the current one.
    pub(super) fn count(self) -> u32 {
        match self {
            Self::Day => 24,
            Self::Week => 7,
            Self::Month => 30,
            Self::Year => 12,
        }
    }

    /// The start of the range that ends with the day or the month of `now`; 24 hours before `now` for
    /// [`Self::Day`].
    pub(in crate::web) fn start(self, now: &ZonedDateTime) -> Option<Timestamp> {
        match self {
            Self::Year => self.before(&now.first_of_month().ok()?),
            _ => self.before(now),
        }
    }

    /// The start of the same range that ends at this time. Days and months follow the local clock;
    /// hours are counted.
    pub(super) fn before(self, end: &ZonedDateTime) -> Option<Timestamp> {
        let count = i64::from(self.count());
        let date = match self {
            Self::Day => return end.timestamp().checked_sub(count.hours()).ok(),
            Self::Week | Self::Month => end.date().checked_sub(count.days()).ok()?,
            Self::Year => end.date().checked_sub(count.months()).ok()?,
        };
        Some(date.to_zoned_datetime(end.time_zone().clone()).ok()?.timestamp())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> ZonedDateTime {
        format!("{text}[Europe/Copenhagen]").parse().unwrap()
    }

    fn starts(now: &str) -> [String; 4] {
        let now = at(now);
        Range::ALL
            .map(|range| range.start(&now).unwrap().in_tz("Europe/Copenhagen").unwrap())
            .map(|time| time.strftime("%Y-%m-%d %H:%M %:z").to_string())
    }

    #[test]
    fn ranges_begin_with_a_local_day_or_month() {
        let expected = [
            "2026-11-23 09:30 +01:00",
            "2026-11-17 00:00 +01:00",
            "2026-10-25 00:00 +02:00",
            "2025-11-01 00:00 +01:00",
        ];
        assert_eq!(starts("2026-11-24T09:30:00+01:00"), expected);
        // The clock went forward in the night.
        assert_eq!(starts("2026-03-29T12:00:00+02:00")[0], "2026-03-28 11:00 +01:00");
        assert_eq!(starts("2026-03-30T12:00:00+02:00")[1], "2026-03-23 00:00 +01:00");
        // No February has a 31st.
        assert_eq!(starts("2026-03-31T12:00:00+02:00")[3], "2025-03-01 00:00 +01:00");
        assert_eq!(starts("2024-02-29T12:00:00+01:00")[3], "2023-02-01 00:00 +01:00");
    }

    #[test]
    fn ranges_are_known_by_their_names() {
        for range in Range::ALL {
            assert_eq!(Range::by_key(range.key()), Some(range));
        }
        assert_eq!(Range::by_key("1h"), None);
    }

    #[test]
    fn ranges_end_with_the_calendar() {
        for now in testing::times() {
            for range in Range::ALL {
                let _ = range.start(&now);
            }
        }
    }
}
