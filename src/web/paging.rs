//! Divides many meters into pages of ten, so that the work for a page does not grow with the number
//! of meters.

use std::ops::Range;

/// The most meters of a page, each with its charts.
pub(super) const PER_PAGE: usize = 10;

/// A page of meters, from 0.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct PageNumber(usize);

impl PageNumber {
    /// By its number in the page's address, from 1. There is no limit: [`Self::places`] has it.
    pub(super) fn by_key(key: &str) -> Option<Self> {
        Some(Self(key.parse::<usize>().ok()?.checked_sub(1)?))
    }

    /// The page of the meter at this place.
    pub(super) fn of_place(place: usize) -> Self {
        Self(place.checked_div(PER_PAGE).unwrap_or_default())
    }

    /// Its number in the page's address.
    pub(super) fn key(self) -> usize {
        self.0.saturating_add(1)
    }

    /// The places of its meters among all, or those of the last page if there are fewer.
    pub(super) fn places(self, all: usize) -> Range<usize> {
        let last = Self::of_place(all.saturating_sub(1));
        let start = self.0.min(last.0).saturating_mul(PER_PAGE);
        start..start.saturating_add(PER_PAGE).min(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_meters_are_on_a_page() {
        let places = |key: &str, all| PageNumber::by_key(key).unwrap_or_default().places(all);
        assert_eq!(places("1", 0), 0..0);
        assert_eq!(places("1", 10), 0..10);
        assert_eq!(places("2", 10), 0..10, "there is only one page");
        assert_eq!(places("2", 11), 10..11);
        assert_eq!(places("50", 500), 490..500);
        for key in ["18446744073709551615", "99999"] {
            assert_eq!(places(key, 500), 490..500, "{key}: there is no such page");
        }
        for key in ["", "0", "-1", "x", "99999999999999999999"] {
            assert_eq!(places(key, 500), 0..10, "{key}");
        }
        for place in 0..500 {
            let page = PageNumber::of_place(place);
            assert!(page.places(500).contains(&place));
            assert_eq!(PageNumber::by_key(&page.key().to_string()), Some(page));
        }
    }
}
