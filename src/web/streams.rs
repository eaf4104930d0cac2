//! The open pages that receive events. Their number is limited, but a new page always gets a place:
//! the oldest page of the address with the most pages gives its place up. So nobody can keep other
//! visitors out with many pages.
//!
//! A page that is ended learns why, if it still reads. If not, its connection is closed a moment
//! later (`server`). A new page waits until then, so there are never more than [`MOST_OPEN`].

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use super::attempts::network;

/// Open pages at a time that receive events.
pub(super) const MOST_OPEN: usize = 128;

/// How long a page that is ended can still receive its last event.
pub(super) const LAST_EVENT: Duration = Duration::from_secs(1);

/// All open pages. Clones share them.
#[derive(Debug, Clone)]
pub(super) struct Streams {
    places: Arc<Semaphore>,
    /// The oldest first, without those that are being ended.
    open: Arc<Mutex<VecDeque<Weak<Open>>>>,
}

#[derive(Debug)]
struct Open {
    from: IpAddr,
    /// Ends it.
    end: CancellationToken,
}

/// An open page. Its place is free when this is dropped.
#[derive(Debug)]
pub(super) struct Stream {
    open: Arc<Open>,
    _place: Option<OwnedSemaphorePermit>,
}

impl Default for Streams {
    fn default() -> Self {
        Self { places: Arc::new(Semaphore::new(MOST_OPEN)), open: Arc::default() }
    }
}

impl Streams {
    /// A place for a page from this address. `end` is cancelled when the page must give it up.
    pub(super) async fn take(&self, peer: IpAddr, end: CancellationToken) -> Stream {
        let from = network(peer);
        let free = Arc::clone(&self.places).try_acquire_owned().ok();
        let place = if free.is_some() {
            free
        } else {
            self.end_one_for(from);
            // Nobody closes the semaphore.
            Arc::clone(&self.places).acquire_owned().await.ok()
        };
        let open = Arc::new(Open { from, end });
        let mut all = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|other| other.strong_count() > 0);
        all.push_back(Arc::downgrade(&open));
        Stream { open, _place: place }
    }

    /// Ends the oldest page of the network with the most pages, including the new one.
    fn end_one_for(&self, new: IpAddr) {
        let mut all = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|other| other.strong_count() > 0);
        let mut counts = HashMap::from([(new, 1_usize)]);
        for open in all.iter().filter_map(Weak::upgrade) {
            *counts.entry(open.from).or_default() += 1;
        }
        let most = counts.values().copied().max().unwrap_or_default();
        let is_of_most = |open: &Weak<Open>| {
            open.upgrade().is_some_and(|open| counts.get(&open.from) == Some(&most))
        };
        let oldest = all.iter().position(is_of_most).and_then(|place| all.remove(place));
        if let Some(oldest) = oldest.and_then(|open| open.upgrade()) {
            oldest.end.cancel();
        }
    }
}

impl Stream {
    /// Waits until the page must give its place up.
    pub(super) async fn ended(&self) {
        self.open.end.cancelled().await;
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use tokio::time::timeout;

    use super::*;

    fn lan(last: u8) -> IpAddr {
        Ipv4Addr::new(192, 168, 1, last).into()
    }

    /// Streams that give their places up as soon as they must.
    async fn open(streams: &Streams, all: &mut Vec<Stream>, from: IpAddr) {
        let end = CancellationToken::new();
        let taking = streams.take(from, end);
        tokio::pin!(taking);
        let stream = if let Ok(stream) = timeout(Duration::ZERO, &mut taking).await {
            stream
        } else {
            all.retain(|stream| !stream.open.end.is_cancelled());
            taking.await
        };
        all.push(stream);
    }

    fn of(all: &[Stream], from: IpAddr) -> usize {
        all.iter().filter(|stream| stream.open.from == network(from)).count()
    }

    /// With 128 open streams, the next page showed "No connection".
    #[tokio::test(start_paused = true)]
    async fn the_address_with_the_most_pages_makes_room() {
        let (streams, mut all) = (Streams::default(), Vec::new());
        for last in [1, 2] {
            open(&streams, &mut all, lan(last)).await;
        }
        for _ in 0..1000 {
            open(&streams, &mut all, lan(9)).await;
        }
        assert_eq!((all.len(), of(&all, lan(9))), (MOST_OPEN, MOST_OPEN - 2));
        open(&streams, &mut all, lan(3)).await;
        assert_eq!((of(&all, lan(1)), of(&all, lan(2)), of(&all, lan(3))), (1, 1, 1));
        assert_eq!((all.len(), of(&all, lan(9))), (MOST_OPEN, MOST_OPEN - 3));
        // Of one address, the oldest.
        drop(all.drain(..));
        for last in 0..128 {
            open(&streams, &mut all, lan(last)).await;
        }
        open(&streams, &mut all, lan(7)).await;
        assert_eq!((of(&all, lan(7)), of(&all, lan(0))), (1, 1));
        // Of many addresses with one page each too.
        open(&streams, &mut all, lan(200)).await;
        assert_eq!((of(&all, lan(0)), of(&all, lan(1)), of(&all, lan(200))), (0, 1, 1));
        let kept = streams.open.lock().unwrap().len();
        assert!(kept <= MOST_OPEN, "{kept}");
    }

    /// Everybody has billions of them.
    #[tokio::test(start_paused = true)]
    async fn the_addresses_of_one_network_are_one() {
        let (streams, mut all) = (Streams::default(), Vec::new());
        open(&streams, &mut all, lan(1)).await;
        for last in 0..1000 {
            let address = Ipv6Addr::new(0xfd00, 0, 0, 1, 0, 0, 0, last);
            open(&streams, &mut all, address.into()).await;
        }
        assert_eq!((all.len(), of(&all, lan(1))), (MOST_OPEN, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_page_waits_until_the_place_is_free() {
        let (streams, mut all) = (Streams::default(), Vec::new());
        for _ in 0..MOST_OPEN {
            open(&streams, &mut all, lan(1)).await;
        }
        let taking = streams.take(lan(2), CancellationToken::new());
        tokio::pin!(taking);
        assert!(timeout(Duration::from_secs(1), &mut taking).await.is_err());
        let first = all.remove(0);
        timeout(Duration::from_secs(1), first.ended()).await.unwrap();
        assert!(timeout(Duration::from_secs(1), all[0].ended()).await.is_err());
        drop(first);
        timeout(Duration::from_secs(1), taking).await.unwrap();
    }
}
