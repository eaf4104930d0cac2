//! The places for connections: each connection needs one. If all are taken, a connection of the
//! address with the most connections makes room. So one address cannot keep others out. Connections
//! that wait for their visitor make room first: half-open ones, whose whole request has not arrived,
//! and those whose visitor does not read the answer.
//!
//! Connections from elsewhere cannot take the places that are kept for this machine. Visitors of a
//! proxy on this machine may take all of these places, and wait there for their turns. So this
//! machine has spare places, where only the health check is answered.

use std::cmp::Reverse;
use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::attempts::network;
use super::delivery::Delivery;

/// Connections at a time of all admitted addresses.
pub(super) const MOST: usize = 16;

/// Further ones of this machine alone. The container's health check needs one.
pub(super) const KEPT: usize = 2;

/// Spare ones of this machine, where only the health check is answered.
const SPARE: usize = 4;

/// If all places are taken, a half-open connection of this age makes room for an address that has
/// no more connections.
pub(super) const GRACE: Duration = Duration::from_millis(100);

/// If all places are taken, a connection that has waited this long for its visitor makes room for
/// any other.
pub(super) const IDLE: Duration = Duration::from_secs(1);

/// Where a connection comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Origin {
    address: IpAddr,
    /// Whether it comes from this machine.
    is_here: bool,
}

impl Origin {
    pub(super) fn new(peer: IpAddr, is_here: bool) -> Self {
        // This machine has several addresses.
        let address = if is_here { Ipv4Addr::LOCALHOST.into() } else { peer };
        Self { address, is_here }
    }

    fn network(self) -> IpAddr {
        network(self.address)
    }
}

/// The place of a connection, until it is given up. It is free again when the last clone is
/// dropped.
#[derive(Debug, Clone)]
pub(super) struct Seat(Arc<Held>);

#[derive(Debug)]
struct Held {
    place: Mutex<Option<OwnedSemaphorePermit>>,
    is_whole: AtomicBool,
    delivery: Arc<Delivery>,
}

impl Seat {
    pub(super) fn new(place: OwnedSemaphorePermit) -> Self {
        let place = Mutex::new(Some(place));
        let (is_whole, delivery) = (AtomicBool::new(false), Arc::default());
        Self(Arc::new(Held { place, is_whole, delivery }))
    }

    /// Notes that the whole request has arrived.
    pub(super) fn note_whole_request(&self) {
        self.0.is_whole.store(true, Ordering::Relaxed);
    }

    /// How fast the visitor reads the answer.
    pub(super) fn delivery(&self) -> &Arc<Delivery> {
        &self.0.delivery
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

/// A connection that has a place.
#[derive(Debug)]
struct Connection {
    /// It does not keep the place of a connection that has ended.
    held: Weak<Held>,
    since: Instant,
    task: AbortHandle,
    from: Origin,
}

impl Connection {
    /// The place that it still holds.
    fn seat(&self) -> Option<Seat> {
        self.held.upgrade().map(Seat).filter(|seat| !seat.is_given_up())
    }
}

/// Which connection makes room: the greatest.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    is_idle: bool,
    /// The connections of its network, and those of its address.
    of: (usize, usize),
    /// How long it has waited for its visitor.
    waited: Duration,
    age: Duration,
    place: Reverse<usize>,
}

/// The places for connections of admitted addresses.
#[derive(Debug)]
pub(super) struct Places {
    shared: Arc<Semaphore>,
    kept: Arc<Semaphore>,
    /// See [`GRACE`].
    grace: Duration,
    /// The oldest first.
    connections: VecDeque<Connection>,
}

impl Default for Places {
    fn default() -> Self {
        Self::new(MOST, KEPT, GRACE)
    }
}

impl Places {
    fn new(shared: usize, kept: usize, grace: Duration) -> Self {
        let [shared, kept] = [shared, kept].map(|count| Arc::new(Semaphore::new(count)));
        Self { shared, kept, grace, connections: VecDeque::new() }
    }

    /// The spare places of this machine. The health check sends its request at once.
    pub(super) fn spare() -> Self {
        Self::new(0, SPARE, Duration::ZERO)
    }

    /// A place for a new connection; `None` if there is none. Others cannot end the connections of
    /// this machine.
    pub(super) fn take(&mut self, from: Origin) -> Option<Seat> {
        self.connections.retain(|other| other.seat().is_some());
        let free = |places: &Arc<Semaphore>| Arc::clone(places).try_acquire_owned().ok();
        let own = || from.is_here.then(|| free(&self.kept)).flatten();
        let place = free(&self.shared).or_else(own).or_else(|| self.end_one_for(from))?;
        Some(Seat::new(place))
    }

    /// Notes the task of a connection that has just got a place.
    pub(super) fn note(&mut self, seat: &Seat, task: AbortHandle, from: Origin) {
        let held = Arc::downgrade(&seat.0);
        self.connections.push_back(Connection { held, since: Instant::now(), task, from });
    }

    fn end_one_for(&mut self, new: Origin) -> Option<OwnedSemaphorePermit> {
        let (mut networks, mut addresses) = (HashMap::new(), HashMap::new());
        for from in self.connections.iter().map(|other| other.from).chain([new]) {
            *networks.entry(from.network()).or_insert(0_usize) += 1;
            *addresses.entry(from).or_insert(0_usize) += 1;
        }
        let of = |from: Origin| {
            let network = networks.get(&from.network()).copied().unwrap_or_default();
            (network, addresses.get(&from).copied().unwrap_or_default())
        };
        let ranks = self.connections.iter().enumerate().filter_map(|(place, other)| {
            if other.from.is_here && !new.is_here {
                return None;
            }
            let (seat, age) = (other.seat()?, other.since.elapsed());
            let is_half_open = !seat.is_whole();
            let waited = if is_half_open { age } else { seat.delivery().blocked_for() };
            let is_idle = waited >= IDLE;
            // Addresses of one network have equal shares of it.
            let has = if other.from.network() == new.network() {
                of(other.from).1.cmp(&of(new).1)
            } else {
                of(other.from).0.cmp(&of(new).0)
            };
            let is_late = is_half_open && has.is_ge() && age >= self.grace;
            let makes_room = is_idle || is_late || has.is_gt();
            let place = Reverse(place);
            makes_room.then_some(Rank { is_idle, of: of(other.from), waited, age, place })
        });
        let Rank { place: Reverse(place), .. } = ranks.max()?;
        let ended = self.connections.remove(place)?;
        let place = ended.seat()?.give_up();
        ended.task.abort();
        place
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::net::Ipv6Addr;

    use tokio::task::JoinSet;
    use tokio::time::advance;

    use super::*;

    const HERE: Origin = Origin { address: IpAddr::V4(Ipv4Addr::LOCALHOST), is_here: true };

    fn lan(last: u8) -> Origin {
        Origin::new(Ipv4Addr::new(192, 168, 1, last).into(), false)
    }

    fn lan6(last: u16) -> Origin {
        Origin::new(Ipv6Addr::new(0xfd00, 0, 0, 1, 0, 0, 0, last).into(), false)
    }

    struct House {
        places: Places,
        tasks: JoinSet<()>,
    }

    impl House {
        fn new() -> Self {
            Self { places: Places::default(), tasks: JoinSet::new() }
        }

        /// A connection that holds its place until it is ended.
        fn connect(&mut self, from: Origin) -> Option<Seat> {
            let seat = self.places.take(from)?;
            let held = seat.clone();
            let task = self.tasks.spawn(async move {
                let _held = held;
                pending::<()>().await;
            });
            self.places.note(&seat, task, from);
            Some(seat)
        }

        /// So many connections with a whole request, as far as there are places.
        fn request(&mut self, from: Origin, count: usize) -> Vec<Seat> {
            let seats: Vec<_> = (0..count).filter_map(|_| self.connect(from)).collect();
            seats.iter().for_each(Seat::note_whole_request);
            seats
        }
    }

    fn held(seats: &[Seat]) -> usize {
        seats.iter().filter(|seat| !seat.is_given_up()).count()
    }

    /// 24 half-open connections made the container's health check fail.
    #[tokio::test(start_paused = true)]
    async fn two_places_are_kept_for_this_machine() {
        let mut house = House::new();
        let seats: Vec<_> = (0..24).map(|_| house.connect(lan(9))).collect();
        assert_eq!(seats.iter().flatten().count(), MOST);
        assert!(house.connect(HERE).is_some() && house.connect(HERE).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn half_open_connections_make_room_after_a_moment() {
        let mut house = House::new();
        let seats: Vec<_> = (0..MOST + KEPT).filter_map(|_| house.connect(HERE)).collect();
        assert_eq!(seats.len(), MOST + KEPT);
        seats[0].note_whole_request();
        advance(GRACE / 2).await;
        assert!(house.connect(HERE).is_none());
        advance(GRACE / 2).await;
        // The oldest one whose request is not whole. Others cannot end those of this machine.
        assert!(house.connect(lan(9)).is_none());
        assert!(house.connect(HERE).is_some());
        let ended: Vec<_> = seats.iter().map(Seat::is_given_up).collect();
        assert_eq!((ended[0], ended[1], ended[2]), (false, true, false));
        assert!(house.tasks.join_next().await.unwrap().unwrap_err().is_cancelled());
        for seat in &seats {
            seat.note_whole_request();
        }
        advance(GRACE).await;
        assert!(house.connect(HERE).is_some());
        assert!(house.connect(HERE).is_none());
    }

    /// Sixteen connections of one address that read slowly kept all others out for 10 s.
    #[tokio::test(start_paused = true)]
    async fn an_address_cannot_keep_others_out() {
        let mut house = House::new();
        let many = house.request(lan(9), 1000);
        assert_eq!(held(&many), MOST);
        let one = house.request(lan(1), 1);
        // However often the first one tries, and whatever it sends.
        house.request(lan(9), 1000);
        (0..1000).for_each(|_| drop(house.connect(lan(9))));
        assert_eq!((held(&many), held(&one)), (MOST - 1, 1));
        assert!(many[0].is_given_up());
        // Two that want much have equal shares, and a third one gets a place too.
        let other = house.request(lan(1), 1000);
        assert_eq!((held(&many), held(&one) + held(&other)), (MOST / 2, MOST / 2));
        assert_eq!(house.request(lan(2), 1).len(), 1);
        // This machine can take any of these, and the others none of its own.
        let here = house.request(HERE, KEPT + 3);
        house.request(lan(9), 1000);
        assert_eq!(held(&here), KEPT + 3);
    }

    /// An attacker takes one address after another, but has to share the network with its neighbours.
    #[tokio::test(start_paused = true)]
    async fn the_addresses_of_a_network_share_its_places() {
        let mut house = House::new();
        let many = house.request(lan6(9), MOST);
        assert_eq!(house.request(lan6(1), 1).len(), 1);
        for last in 100..200 {
            house.request(lan6(last), 1);
        }
        // Sixteen addresses of one network, and one of another one.
        assert_eq!(held(&many), 1);
        assert_eq!(house.request(lan(1), 1).len(), 1);
        assert_eq!(house.request(lan(2), 1).len(), 1);
    }

    /// Sixteen addresses with one connection each.
    #[tokio::test(start_paused = true)]
    async fn connections_that_wait_for_their_visitors_make_room() {
        let mut house = House::new();
        let seats: Vec<_> = (0..16).flat_map(|last| house.request(lan(last), 1)).collect();
        assert_eq!((house.connect(lan(99)).is_some(), seats.len()), (false, MOST));
        seats[3].delivery().note_blocked();
        advance(GRACE).await;
        seats[2].delivery().note_blocked();
        seats[4].delivery().note_blocked();
        seats[4].delivery().note_sent(1);
        assert!(house.connect(lan(99)).is_none());
        advance(IDLE.saturating_sub(GRACE)).await;
        let late = house.connect(lan(99)).unwrap();
        assert!(seats[3].is_given_up());
        // One whose request has not arrived has a moment only if its address has no less than the
        // new one.
        advance(GRACE / 2).await;
        assert!(house.connect(lan(98)).is_none());
        advance(GRACE / 2).await;
        assert!(house.connect(lan(98)).is_some() && seats[2].is_given_up());
        assert!(house.connect(lan(1)).is_none() && !late.is_given_up());
        assert!(house.connect(lan(97)).is_some() && late.is_given_up());
    }

    /// After 18 connections that had sent a whole request and ended, nobody got a place any more.
    #[tokio::test(start_paused = true)]
    async fn ended_connections_leave_their_places() {
        for (from, most) in [(HERE, MOST + KEPT), (lan(9), MOST)] {
            let mut house = House::new();
            let seats: Vec<_> = (0..most).filter_map(|_| house.connect(from)).collect();
            assert_eq!(seats.len(), most);
            advance(GRACE).await;
            for seat in &seats {
                seat.note_whole_request();
            }
            assert!(house.connect(from).is_none());
            drop(seats);
            house.tasks.shutdown().await;
            let again = (0..most).filter_map(|_| house.connect(from)).count();
            assert_eq!(again, most, "{from:?}");
        }
    }

    /// With a moment for each, 40 half-open connections a second kept the health check out.
    #[tokio::test(start_paused = true)]
    async fn a_spare_place_is_always_free() {
        let mut house = House { places: Places::spare(), tasks: JoinSet::new() };
        let seats: Vec<_> = (0..1000).filter_map(|_| house.connect(HERE)).collect();
        assert_eq!((seats.len(), held(&seats)), (1000, SPARE));
        assert!(house.connect(lan(9)).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn known_connections_are_bounded() {
        let mut house = House::new();
        for _ in 0..1000 {
            house.connect(lan(9));
            advance(GRACE).await;
        }
        assert!(house.places.connections.len() <= MOST, "{}", house.places.connections.len());
    }
}
