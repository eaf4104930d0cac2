//! Server-sent events for open pages: something has changed, or a placement aid or a search has
//! made progress.
//!
//! Nothing is queued for a slow page. When it can receive an event, it gets one for the current
//! state of the status board ([`Board`]).

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::time::Duration;

use axum::response::IntoResponse;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::stream;
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::api::FoundJson;
use super::paging::PER_PAGE;
use super::streams::Stream;
use crate::status::{Board, MeterState, Placement, ScanState};

/// The shortest time between two `changed` events.
pub(super) const EACH: Duration = Duration::from_secs(1);

/// The same with more meters than a page shows: one of them changes all the time.
pub(super) const EACH_OF_MANY: Duration = Duration::from_secs(5);

/// The interval of comments that are sent if nothing happens, so that a closed page is noticed.
const ALIVE: Duration = Duration::from_secs(15);

/// The counts of the placement aid, after each request.
#[derive(Serialize)]
struct PlacementJson {
    meter: usize,
    hit: bool,
    asked: u32,
    hits: u32,
    /// Seconds.
    left: u64,
}

/// The progress of a search, and the registers found since the last event.
#[derive(Serialize)]
struct ScanJson {
    meter: usize,
    asked: usize,
    of: usize,
    found: Vec<FoundJson>,
}

/// Sends events until the page is closed, or must give up its place for another one.
pub(super) fn tell(board: &Board, place: Stream) -> impl IntoResponse + use<> {
    let watcher = Watcher::new(board, place);
    let events = stream::unfold(watcher, |mut watcher| async {
        let event = watcher.next().await?;
        Some((Ok::<_, Infallible>(event), watcher))
    });
    Sse::new(events).keep_alive(KeepAlive::new().interval(ALIVE))
}

struct Watcher {
    meters: watch::Receiver<Vec<MeterState>>,
    changes: watch::Receiver<u64>,
    /// The time of the next `changed`, if one is due.
    due: Option<Instant>,
    /// The time of the last one.
    told: Option<Instant>,
    /// The progress that was sent of each meter's placement and search.
    progress: BTreeMap<usize, Progress>,
    waiting: VecDeque<Event>,
    place: Stream,
    /// Whether the last event was sent.
    is_over: bool,
}

#[derive(Default, PartialEq, Eq, Clone, Copy)]
struct Progress {
    placed: u32,
    scanned: usize,
    found: usize,
}

impl Watcher {
    fn new(board: &Board, place: Stream) -> Self {
        let (mut meters, changes) = (board.meters_changing(), board.changing());
        meters.mark_changed();
        // Something may have changed since the page was rendered.
        let due = Some(Instant::now());
        let (progress, waiting) = (BTreeMap::new(), VecDeque::new());
        Self { meters, changes, due, told: None, progress, waiting, place, is_over: false }
    }

    /// The next event; `None` after the last one, or when the board is gone.
    async fn next(&mut self) -> Option<Event> {
        if self.is_over {
            return None;
        }
        loop {
            if let Some(event) = self.waiting.pop_front() {
                return Some(event);
            }
            tokio::select! {
                () = self.place.ended() => {
                    self.is_over = true;
                    return Some(empty("full"));
                }
                changed = self.meters.changed() => {
                    changed.ok()?;
                    self.look();
                }
                changed = self.changes.changed(), if self.due.is_none() => {
                    changed.ok()?;
                    let now = Instant::now();
                    self.due = Some(self.told.map_or(now, |told| now.max(told + self.each())));
                }
                () = sleep_until(self.due.unwrap_or_else(Instant::now)), if self.due.is_some() => {
                    self.due = None;
                    self.told = Some(Instant::now());
                    self.changes.mark_unchanged();
                    return Some(empty("changed"));
                }
            }
        }
    }

    fn each(&self) -> Duration {
        if self.meters.borrow().len() > PER_PAGE { EACH_OF_MANY } else { EACH }
    }

    /// Queues the new progress of placements and searches.
    fn look(&mut self) {
        let meters = self.meters.borrow_and_update();
        for meter in meters.iter() {
            // With 500 meters and 128 pages, anything else would take too long at each change.
            if meter.placement.is_none() && meter.scan.is_none() {
                self.progress.remove(&meter.number);
                continue;
            }
            let known = self.progress.entry(meter.number).or_default();
            let placed = meter.placement.as_ref().filter(|placement| placement.running);
            let asked = placed.map_or(0, |placement| placement.asked);
            if let Some(placement) = placed.filter(|_| asked > 0 && asked != known.placed) {
                self.waiting.extend(placement_event(meter.number, placement));
            }
            known.placed = asked;
            let scan = meter.scan.as_ref().filter(|scan| scan.running);
            let asked = scan.map_or(0, |scan| scan.asked);
            if asked < known.scanned {
                known.found = 0;
            }
            if let Some(scan) = scan.filter(|_| asked != known.scanned) {
                self.waiting.extend(scan_event(meter.number, scan, known.found));
                known.found = scan.found.len();
            }
            known.scanned = asked;
        }
    }
}

fn empty(name: &str) -> Event {
    // Browsers ignore events without data.
    Event::default().event(name).data("{}")
}

fn placement_event(meter: usize, placement: &Placement) -> Option<Event> {
    let Placement { asked, hits, .. } = *placement;
    let (hit, left) = (placement.hit.unwrap_or(false), placement.left.as_secs());
    json("placement", &PlacementJson { meter, hit, asked, hits, left })
}

fn scan_event(meter: usize, scan: &ScanState, known: usize) -> Option<Event> {
    let found = scan.found.get(known..).unwrap_or_default();
    let found = found.iter().map(FoundJson::new).collect();
    json("scan", &ScanJson { meter, asked: scan.asked, of: scan.of, found })
}

fn json(name: &str, value: &impl Serialize) -> Option<Event> {
    let text: Box<RawValue> = serde_json::value::to_raw_value(value).ok()?;
    Some(Event::default().event(name).data(text.get()))
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio_util::sync::CancellationToken;

    use super::super::streams::Streams;
    use super::*;

    /// Each open page gets its parts again after each event. With 500 meters that are polled once a
    /// minute, that was once a second.
    #[tokio::test(start_paused = true)]
    async fn changes_of_many_meters_are_reported_less_often() {
        for (count, each) in [(1, EACH), (10, EACH), (11, EACH_OF_MANY), (500, EACH_OF_MANY)] {
            let board = Board::default();
            let meter = || MeterState::new("a".to_owned(), "b".to_owned(), EACH);
            board.set_meters((0..count).map(|number| (number, meter())).collect());
            let here = Ipv4Addr::LOCALHOST.into();
            let place = Streams::default().take(here, CancellationToken::new()).await;
            let mut watcher = Watcher::new(&board, place);
            assert!(watcher.next().await.is_some());
            let begun = Instant::now();
            board.meter(0, |meter| meter.fault = None);
            assert!(watcher.next().await.is_some());
            assert_eq!(begun.elapsed(), each, "{count}");
        }
    }
}
