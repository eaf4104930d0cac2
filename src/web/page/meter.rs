//! A meter on the page: its values, its optical line, the placement aid and the search.

use jiff::ZonedDateTime;
use tokio::time::Instant;

use super::battery::{Battery, battery};
use super::charts::Charts;
use super::indicator::Indicator;
use super::names::Name;
use super::timed::{TimedText, length};
use crate::account::{Entry, Source};
use crate::language::{Language, Words, fill};
use crate::mean::What;
use crate::status::{Found, LastPoll, LineQuality, MeterState, Placement, ScanState, ValueState};
use history::MeterKey;
use meter::poll::Explanation;
use tariff::Period;

/// With more failed polls, repeated requests or damaged answers than this in a hundred polls, the
/// page says that the head may be out of place.
const NOISY: u64 = 5;

/// The page does not judge the line before this many polls.
const FEW: u64 = 3;

pub(super) struct Meter {
    pub(super) number: usize,
    pub(super) name: String,
    pub(super) state: Indicator,
    pub(super) line: TimedText,
    pub(super) since: Option<TimedText>,
    pub(super) next: Option<TimedText>,
    pub(super) trouble: Option<Explanation>,
    /// Whether the optical head may be out of place.
    pub(super) misplaced: bool,
    /// What to do if the meter never answers.
    pub(super) wake_words: &'static str,
    /// The meter's fault, with the visitor's words before and after it.
    pub(super) fault: Option<(&'static str, String, &'static str)>,
    pub(super) values: Vec<Value>,
    pub(super) means: Vec<MeanTile>,
    /// Once for all values, if they are older than the last poll and equally old.
    pub(super) values_age: Option<TimedText>,
    pub(super) missing: Vec<(Name, String)>,
    pub(super) charts: Option<Charts>,
    pub(super) quality: Vec<(&'static str, String)>,
    pub(super) quality_words: Option<&'static str>,
    pub(super) battery: Battery,
    pub(super) placement: Placing,
    pub(super) scan: Scan,
    pub(super) facts: Vec<(&'static str, String)>,
}

pub(super) struct Value {
    pub(super) name: Name,
    pub(super) text: String,
    pub(super) unit: Option<&'static str>,
    pub(super) is_number: bool,
    /// Only if it is older than the last poll, and others are not: all others are as old as that.
    pub(super) age: Option<TimedText>,
}

/// A mean that suppliers bill by.
pub(super) struct MeanTile {
    pub(super) name: String,
    pub(super) text: String,
    pub(super) unit: &'static str,
    /// What it covers, if that is not the whole period, and that it is the meter's own.
    pub(super) note: Option<String>,
}

impl Value {
    /// Digits stay together, in smaller type if there are many. A tile has no room for more than
    /// 12: those are wrapped like text.
    pub(super) fn class(&self) -> &'static str {
        match self.text.len() {
            ..=9 if self.is_number => "",
            ..=12 if self.is_number => " long",
            _ => " text",
        }
    }
}

/// The placement aid.
pub(super) struct Placing {
    pub(super) running: bool,
    pub(super) class: &'static str,
    pub(super) sign: &'static str,
    pub(super) words: &'static str,
    pub(super) count: Option<String>,
    pub(super) heard: Option<String>,
    pub(super) trouble: Option<Explanation>,
}

pub(super) struct Scan {
    pub(super) running: bool,
    pub(super) asked: usize,
    pub(super) of: usize,
    pub(super) words: Option<String>,
    pub(super) found: Vec<Finding>,
    pub(super) parameters: Option<String>,
    pub(super) trouble: Option<Explanation>,
}

pub(super) struct Finding {
    pub(super) register: String,
    /// Whether its box is ticked.
    pub(super) is_chosen: bool,
    pub(super) name: Name,
    pub(super) text: String,
}

/// The name of a meter on the page: `house`, if its title is made from that, like `Kamstrup Meter
/// house`. The log has the same name.
pub(super) fn short_name(state: &MeterState) -> String {
    let name = state.key.as_ref().map_or("", MeterKey::name);
    let is_made_from_it = |rest: &str| !name.is_empty() && rest.ends_with(' ');
    let title = &state.title;
    if title.strip_suffix(name).is_some_and(is_made_from_it) { name } else { title }.to_owned()
}

/// The state of a meter.
pub(super) fn indicator(state: &MeterState) -> Indicator {
    let is_faulty = state.fault.is_some() || !state.missing.is_empty();
    match &state.last {
        None => Indicator::Starting,
        Some(last) if !last.answered => Indicator::Bad,
        Some(last) if last.trouble.is_some() || is_faulty => Indicator::Odd,
        Some(_) => Indicator::Good,
    }
}

pub(super) fn meter(
    state: MeterState,
    charts: Option<Charts>,
    language: Language,
    now: Instant,
    wall: &ZonedDateTime,
) -> Meter {
    let words = language.words();
    let (name, indicator) = (short_name(&state), indicator(&state));
    let battery = battery(&state, language, wall);
    let MeterState { number, title, port, interval, model, serial, last, since, next_poll, .. } =
        state;
    let means = means(&state.means, language, wall);
    let MeterState { values, missing, fault, line, placement, scan, misplaced, has_keys, .. } =
        state;
    let read = values.iter().map(|value| &value.name).chain(missing.iter().map(|(name, _)| name));
    let read: Vec<String> = read.cloned().collect();
    let answered = last.as_ref().is_none_or(|last| last.answered);
    let polled = last.as_ref().map(|last| last.at);
    let (sentence, trouble) = match last {
        None => (TimedText::none(words.first, &[]), None),
        Some(LastPoll { at, answered, trouble }) => {
            let text = match (answered, trouble.is_some()) {
                (true, false) => words.answers,
                (true, true) => words.answers_in_part,
                (false, _) if misplaced => words.silent,
                (false, _) => words.not_reached,
            };
            (TimedText::age(text, at, now, &[]), trouble)
        }
    };
    let since_words = if answered { words.since_good } else { words.since_bad };
    let since = since.map(|since| TimedText::age(since_words, since, now, &[]));
    let next = next_poll.map(|next| {
        if next > now {
            TimedText::left(words.next_read, next, now)
        } else {
            TimedText::none(words.reads_now, &[])
        }
    });
    let fault = fault.map(|fault| {
        let (before, after) = words.reports.split_once("{fault}").unwrap_or((words.reports, ""));
        (before, fault, after)
    });
    let at = values.first().map(|value| value.at);
    let at = at.filter(|at| polled > Some(*at) && values.iter().all(|value| value.at == *at));
    let values_age = at.map(|at| TimedText::age(words.values_age, at, now, &[]));
    let polled = polled.filter(|_| at.is_none());
    let values = values.into_iter().map(|state| value(state, polled, language, now)).collect();
    let missing = missing.into_iter().map(|(key, why)| (Name::new(&key, language), why)).collect();
    let line = line.on(wall.date());
    let title = (title != name).then_some(title);
    let facts = [(words.in_home_assistant, title), (words.model, model), (words.serial, serial)];
    let facts = facts.into_iter().filter_map(|(name, fact)| Some((name, fact?)));
    let facts = facts.chain([(words.port, port), (words.interval, length(interval.as_secs()))]);
    Meter {
        number,
        name,
        state: indicator,
        line: sentence,
        since,
        next,
        misplaced: misplaced && trouble.is_some(),
        wake_words: match has_keys {
            Some(true) => words.placement_key,
            Some(false) => words.placement_lift,
            None => words.placement_key_or_lift,
        },
        trouble,
        fault,
        values,
        means,
        values_age,
        missing,
        charts,
        quality: quality(&line, language),
        quality_words: judge(&line, words),
        battery,
        placement: placing(placement, words),
        scan: scanned(scan, &read, language),
        facts: facts.collect(),
    }
}

/// The means of this month and this year on the page: supply, return, and the degrees over the limit.
fn means(entries: &[Entry], language: Language, wall: &ZonedDateTime) -> Vec<MeanTile> {
    let words = language.words();
    let is_shown = |entry: &&Entry| {
        entry.key.period != Period::Day
            && matches!(entry.key.what, What::Supply | What::Return | What::OverLimit)
    };
    let tile = |entry: &Entry| {
        let since = entry.since.to_zoned_datetime(wall.time_zone().clone());
        let since = since.strftime("%Y-%m-%d %H:%M").to_string();
        let note = match entry.source {
            Source::Meter => Some(words.mean_of_meter.to_owned()),
            Source::Registers if entry.is_whole => None,
            Source::Registers => Some(fill(words.mean_since, &[("time", &since)])),
        };
        let (name, unit) = (entry.key.words(language), entry.key.what.unit());
        MeanTile { name, text: language.number(&entry.value.to_string()), unit, note }
    };
    entries.iter().filter(is_shown).map(tile).collect()
}

/// A value that is older than `polled` has its age.
pub(super) fn value(
    state: ValueState,
    polled: Option<Instant>,
    language: Language,
    now: Instant,
) -> Value {
    let ValueState { name, text, unit, is_number, at } = state;
    let words = language.words();
    let text = if is_number { language.number(&text) } else { text };
    let is_older = polled.is_some_and(|polled| at < polled);
    let age = is_older.then(|| TimedText::age(words.ago, at, now, &[]));
    let name = Name::new(&name, language);
    Value { name, text, unit, is_number, age }
}

pub(super) fn quality(line: &LineQuality, language: Language) -> Vec<(&'static str, String)> {
    let words = language.words();
    let LineQuality { polls, failed, retries, bad_checksums, .. } = line;
    vec![
        (words.polls, polls.to_string()),
        (words.polls_failed, failed.to_string()),
        (words.retries, retries.to_string()),
        (words.bad_checksums, bad_checksums.to_string()),
    ]
}

/// What today's figures mean; `None` after only a few polls.
pub(super) fn judge(line: &LineQuality, words: &Words) -> Option<&'static str> {
    let LineQuality { failed_elsewhere, late, bad_checksums, .. } = *line;
    // What failed for another reason says nothing about the head.
    let polls = line.polls.saturating_sub(failed_elsewhere);
    if polls < FEW {
        return None;
    }
    let failed = line.failed.saturating_sub(failed_elsewhere);
    let odd = failed.max(line.retries.saturating_sub(late)).max(bad_checksums);
    let is_bad = odd * 100 > polls * NOISY;
    Some(if is_bad { words.line_bad } else { words.line_good })
}

pub(super) fn placing(placement: Option<Placement>, words: &'static Words) -> Placing {
    let Placement { running, asked, hits, hit, heard, left, trouble } =
        placement.unwrap_or_default();
    let (class, sign, said) = match hit {
        _ if !running => ("over", "", ""),
        None => ("waits", "…", words.placement_waits),
        Some(true) => ("hit", "✓", words.hit),
        Some(false) => ("miss", "✕", words.miss),
    };
    let text = if running { words.hits_of } else { words.placement_ended };
    let numbers = [hits.to_string(), asked.to_string(), left.as_secs().to_string()];
    let [hits, all, left] = &numbers;
    let count = fill(text, &[("hits", hits), ("asked", all), ("left", left)]);
    let count = (running || asked > 0).then_some(count);
    let heard = heard.filter(|_| running && hit == Some(false)).map(|heard| heard.to_string());
    Placing { running, class, sign, words: said, count, heard, trouble }
}

/// `read` has the names of the values that the meter is read for.
pub(super) fn scanned(scan: Option<ScanState>, read: &[String], language: Language) -> Scan {
    let words = language.words();
    let Some(scan) = scan else {
        let (words, found) = (None, Vec::new());
        let (parameters, trouble) = (None, None);
        return Scan { running: false, asked: 0, of: 0, words, found, parameters, trouble };
    };
    let ScanState { running, asked, of, found, parameters, chosen, trouble, .. } = scan;
    let numbers = [asked.to_string(), of.to_string(), found.len().to_string()];
    let [asked_text, of_text, found_text] = &numbers;
    let progress = [("asked", &**asked_text), ("of", of_text), ("found", found_text)];
    let progress = Some(fill(words.scan_progress, &progress));
    let finding = |found: Found| {
        let Found { register, name, text, unit, .. } = found;
        let is_chosen = match &chosen {
            Some(chosen) => chosen.contains(&register),
            None => read.contains(&name),
        };
        let text = text.map(|text| match unit {
            Some(unit) => format!("{} {unit}", language.number(&text)),
            None => text,
        });
        let (register, name) = (register.to_string(), Name::new(&name, language));
        Finding { register, is_chosen, name, text: text.unwrap_or_else(|| "–".to_owned()) }
    };
    let found = found.into_iter().map(finding).collect();
    Scan { running, asked, of, words: progress, found, parameters, trouble }
}
