//! All meters in short. If there are more meters than a page shows, it links to the other pages.

use super::indicator::Indicator;
use super::meter::{indicator, short_name};
use crate::language::{Words, fill};
use crate::status::MeterState;
use crate::web::paging::{PER_PAGE, PageNumber};

/// The most meters with trouble that are listed apart from all others.
const MOST_TROUBLES: usize = 20;

/// All meters in short.
pub(super) struct Overview {
    pub(super) all: Vec<Badge>,
    /// `None` if one page has all meters.
    pub(super) pages: Option<Pages>,
}

/// A meter, and the page that has it.
#[derive(Clone)]
pub(super) struct Badge {
    pub(super) number: usize,
    pub(super) page: usize,
    pub(super) state: Indicator,
    pub(super) name: String,
}

/// The pages of many meters, by their numbers in the page's address.
pub(super) struct Pages {
    pub(super) shown: usize,
    /// Which meters it has.
    pub(super) words: String,
    pub(super) previous: Option<usize>,
    pub(super) next: Option<usize>,
    /// The summary of the list of all meters.
    pub(super) all: String,
    /// The meters that need attention, the worst first.
    pub(super) troubles: Vec<Badge>,
}

impl Overview {
    pub(super) fn new(meters: &[MeterState], page: PageNumber, words: &Words) -> Self {
        let badge = |(place, meter): (usize, &MeterState)| Badge {
            number: meter.number,
            page: PageNumber::of_place(place).key(),
            state: indicator(meter),
            name: short_name(meter),
        };
        let all: Vec<_> = meters.iter().enumerate().map(badge).collect();
        let pages = (all.len() > PER_PAGE).then(|| Pages::new(&all, page, words));
        Self { all, pages }
    }
}

impl Pages {
    fn new(all: &[Badge], page: PageNumber, words: &Words) -> Self {
        let places = page.places(all.len());
        let shown = PageNumber::of_place(places.start).key();
        let last = PageNumber::of_place(all.len().saturating_sub(1)).key();
        let numbers = [places.start.saturating_add(1), places.end, all.len()];
        let [first, end, count] = &numbers.map(|number| number.to_string());
        let shown_words = [("first", &**first), ("last", end), ("count", count)];
        let is_odd = |badge: &&Badge| matches!(badge.state, Indicator::Odd | Indicator::Bad);
        let mut troubles: Vec<_> = all.iter().filter(is_odd).cloned().collect();
        troubles.sort_by_key(|badge| std::cmp::Reverse(badge.state));
        troubles.truncate(MOST_TROUBLES);
        Self {
            shown,
            words: fill(words.meters_shown, &shown_words),
            previous: Some(shown.saturating_sub(1)).filter(|number| *number > 0),
            next: Some(shown.saturating_add(1)).filter(|number| *number <= last),
            all: fill(words.meters_all, &[("count", count)]),
            troubles,
        }
    }
}
