//! The places for connections: each connection needs one. A connection is half-open until its whole
//! request has arrived. Connections from elsewhere cannot take the places that are kept for
//! this machine, and half-open connections cannot hold a place for long.
//!
//! Visitors of a proxy on this machine may take all of these places, and wait there for their turns.
//! So this machine has spare places, where only the health check is answered.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::AbortHandle;
use tokio::time::Instant;

/// Connections at a time of all admitted addresses.
pub(super) const MOST: usize = 16;

/// Further ones of this machine alone. The container's health check needs one.
pub(super) const KEPT: usize = 2;

/// Spare ones of this machine, where only the health check is answered.
const SPARE: usize = 4;

/// If all places are taken, a connection that has sent no whole request for this long makes room.
pub(super) const GRACE: Duration = Duration::from_millis(100);

/// The place of a connection, until it is given up. It is free again when the last clone is
/// dropped.
#[derive(Debug, Clone)]
pub(super) struct Seat(Arc<Held>);

#[derive(Debug)]
struct Held {
    place: Mutex<Option<OwnedSemaphorePermit>>,
    is_whole: AtomicBool,
}

impl Seat {
    pub(super) fn new(place: OwnedSemaphorePermit) -> Self {
        let place = Mutex::new(Some(place));
        Self(Arc::new(Held { place, is_whole: AtomicBool::new(false) }))
    }

    /// Notes that the whole request has arrived.
    pub(super) fn note_whole_request(&self) {
        self.0.is_whole.store(true, Ordering::Relaxed);
    }

    pub(super) fn give_up(&self) -> Option<OwnedSemaphorePermit> {
        self.0.place.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    pub(super) fn is_given_up(&self) -> bool {
        self.0.place.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    fn is_whole(&self) -> bool {
        self.0.is_whole.load(Ordering::Relaxed)
    }
}

/// A connection whose request may not have arrived.
#[derive(Debug)]
struct HalfOpen {
    /// It does not keep the place of a connection that has ended.
    held: Weak<Held>,
    since: Instant,
    task: AbortHandle,
    /// Whether it comes from this machine.
    is_here: bool,
}

impl HalfOpen {
    /// The place that it still holds without a whole request.
    fn seat(&self) -> Option<Seat> {
        self.held.upgrade().map(Seat).filter(|seat| !seat.is_whole() && !seat.is_given_up())
    }
}

/// The places for connections of admitted addresses.
#[derive(Debug)]
pub(super) struct Places {
    shared: Arc<Semaphore>,
    kept: Arc<Semaphore>,
    /// The oldest first.
    half_open: VecDeque<HalfOpen>,
}

impl Default for Places {
    fn default() -> Self {
        Self::new(MOST, KEPT)
    }
}

impl Places {
    fn new(shared: usize, kept: usize) -> Self {
        let [shared, kept] = [shared, kept].map(|count| Arc::new(Semaphore::new(count)));
        Self { shared, kept, half_open: VecDeque::new() }
    }

    /// The spare places of this machine.
    pub(super) fn spare() -> Self {
        Self::new(0, SPARE)
    }

    /// A place for a new connection; `None` if there is none. Others cannot end the connections of
    /// this machine.
    pub(super) fn take(&mut self, is_here: bool) -> Option<Seat> {
        self.half_open.retain(|other| other.seat().is_some());
        let free = |places: &Arc<Semaphore>| Arc::clone(places).try_acquire_owned().ok();
        let own = || is_here.then(|| free(&self.kept)).flatten();
        let place = free(&self.shared).or_else(own).or_else(|| self.end_oldest(is_here))?;
        Some(Seat::new(place))
    }

    /// Notes the task of a connection that has just got a place.
    pub(super) fn note(&mut self, seat: &Seat, task: AbortHandle, is_here: bool) {
        let held = Arc::downgrade(&seat.0);
        self.half_open.push_back(HalfOpen { held, since: Instant::now(), task, is_here });
    }

    fn end_oldest(&mut self, is_here: bool) -> Option<OwnedSemaphorePermit> {
        let may_end =
            |other: &HalfOpen| (is_here || !other.is_here) && other.since.elapsed() >= GRACE;
        let oldest = self.half_open.iter().position(may_end)?;
        let oldest = self.half_open.remove(oldest)?;
        let place = oldest.seat()?.give_up();
        oldest.task.abort();
        place
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use tokio::task::JoinSet;
    use tokio::time::advance;

    use super::*;

    struct House {
        places: Places,
        tasks: JoinSet<()>,
    }

    impl House {
        fn new() -> Self {
            Self { places: Places::default(), tasks: JoinSet::new() }
        }

        /// A connection that holds its place until it is ended.
        fn connect(&mut self, is_here: bool) -> Option<Seat> {
            let seat = self.places.take(is_here)?;
            let held = seat.clone();
            let task = self.tasks.spawn(async move {
                let _held = held;
                pending::<()>().await;
            });
            self.places.note(&seat, task, is_here);
            Some(seat)
        }
    }

    /// 24 half-open connections made the container's health check fail.
    #[tokio::test(start_paused = true)]
    async fn two_places_are_kept_for_this_machine() {
        let mut house = House::new();
        let seats: Vec<_> = (0..24).map(|_| house.connect(false)).collect();
        assert_eq!(seats.iter().flatten().count(), MOST);
        assert!(house.connect(true).is_some() && house.connect(true).is_some());
        assert!(house.connect(true).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn half_open_connections_make_room_after_a_moment() {
        let mut house = House::new();
        let seats: Vec<_> = (0..MOST + KEPT).filter_map(|_| house.connect(true)).collect();
        assert_eq!(seats.len(), MOST + KEPT);
        seats[0].note_whole_request();
        advance(GRACE / 2).await;
        assert!(house.connect(true).is_none());
        advance(GRACE / 2).await;
        // The oldest one whose request is not whole. Others cannot end those of this machine.
        assert!(house.connect(false).is_none());
        assert!(house.connect(true).is_some());
        let ended: Vec<_> = seats.iter().map(Seat::is_given_up).collect();
        assert_eq!((ended[0], ended[1], ended[2]), (false, true, false));
        assert!(house.tasks.join_next().await.unwrap().unwrap_err().is_cancelled());
        for seat in &seats {
            seat.note_whole_request();
        }
        advance(GRACE).await;
        assert!(house.connect(true).is_some());
        assert!(house.connect(true).is_none());
    }

    /// After 18 connections that had sent a whole request and ended, nobody got a place any more.
    #[tokio::test(start_paused = true)]
    async fn ended_connections_leave_their_places() {
        for (is_here, most) in [(true, MOST + KEPT), (false, MOST)] {
            let mut house = House::new();
            let seats: Vec<_> = (0..most).filter_map(|_| house.connect(is_here)).collect();
            assert_eq!(seats.len(), most);
            advance(GRACE).await;
            for seat in &seats {
                seat.note_whole_request();
            }
            assert!(house.connect(is_here).is_none());
            drop(seats);
            house.tasks.shutdown().await;
            let again = (0..most).filter_map(|_| house.connect(is_here)).count();
            assert_eq!(again, most, "{is_here}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn known_connections_are_bounded() {
        let mut house = House::new();
        for _ in 0..1000 {
            house.connect(false);
            advance(GRACE).await;
        }
        assert!(house.places.half_open.len() <= MOST, "{}", house.places.half_open.len());
    }
}
