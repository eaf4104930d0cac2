//! Counts wrong tokens by address. After a few of them, the address must wait before its next token
//! is checked, longer each time.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use tokio::time::Instant;

/// From the fifth wrong token on, the next one must wait: 1 s, then twice as long each time, 60 s
/// at most.
pub(super) const FREE: u32 = 5;
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Wrong tokens are forgotten this long after the last one.
const FORGOTTEN: Duration = Duration::from_secs(10 * 60);

/// So many addresses are known. With more, the one whose last wrong token is the oldest is
/// forgotten.
const MOST_ADDRESSES: usize = 256;

/// From so many addresses, wrong tokens are logged in one run.
const MOST_LOGGED: usize = 20;

/// The wrong tokens of each address.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    wrong: HashMap<IpAddr, Wrong>,
    /// The addresses that were logged.
    logged: HashSet<IpAddr>,
}

/// How a wrong token is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Report {
    /// As the first one from this address.
    First,
    /// The same, as the last one in this run.
    Last,
    None,
}

#[derive(Debug, Clone, Copy)]
struct Wrong {
    count: u32,
    last: Instant,
}

impl Wrong {
    fn pause(self) -> Duration {
        match self.count.checked_sub(FREE) {
            None => Duration::ZERO,
            Some(more) => {
                let factor = 1_u32.checked_shl(more).unwrap_or(u32::MAX);
                FIRST_PAUSE.saturating_mul(factor).min(LONGEST_PAUSE)
            }
        }
    }

    fn is_forgotten(self) -> bool {
        self.last.elapsed() >= FORGOTTEN
    }
}

impl Attempts {
    /// How long this address must wait before its next token is looked at; `None` if it need not.
    pub(super) fn wait(&self, peer: IpAddr) -> Option<Duration> {
        let wrong = self.wrong.get(&network(peer)).filter(|wrong| !wrong.is_forgotten())?;
        let left = wrong.pause().saturating_sub(wrong.last.elapsed());
        (!left.is_zero()).then_some(left)
    }

    /// Notes a wrong token, and says how to log it.
    pub(super) fn note_wrong(&mut self, peer: IpAddr) -> Report {
        self.wrong.retain(|_, wrong| !wrong.is_forgotten());
        let network = network(peer);
        if self.wrong.len() >= MOST_ADDRESSES
            && !self.wrong.contains_key(&network)
            && let Some(oldest) =
                self.wrong.iter().min_by_key(|(_, wrong)| wrong.last).map(|(address, _)| *address)
        {
            self.wrong.remove(&oldest);
        }
        let now = Instant::now();
        let wrong = self.wrong.entry(network).or_insert(Wrong { count: 0, last: now });
        *wrong = Wrong { count: wrong.count.saturating_add(1), last: now };
        if self.logged.len() >= MOST_LOGGED || !self.logged.insert(network) {
            Report::None
        } else if self.logged.len() == MOST_LOGGED {
            Report::Last
        } else {
            Report::First
        }
    }

    pub(super) fn note_right(&mut self, peer: IpAddr) {
        self.wrong.remove(&network(peer));
    }
}

/// A machine has a whole IPv6 network of 64 bits to choose its address from.
pub(super) fn network(peer: IpAddr) -> IpAddr {
    match peer {
        // This machine has many addresses.
        _ if peer.is_loopback() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V4(_) => peer,
        IpAddr::V6(peer) => {
            let [a, b, c, d, ..] = peer.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    fn peer(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn this_machine_has_one_address() {
        for address in ["127.0.0.2", "127.1.2.3", "::1"] {
            assert_eq!(network(peer(address)), peer("127.0.0.1"));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn repeated_wrong_tokens_wait_longer_and_longer() {
        let mut attempts = Attempts::default();
        let one = peer("192.168.1.9");
        let mut pauses = Vec::new();
        for _ in 0..13 {
            attempts.note_wrong(one);
            let pause = attempts.wait(one);
            pauses.push(pause.map_or(0, |pause| pause.as_secs()));
            advance(pause.unwrap_or_default()).await;
            assert_eq!(attempts.wait(one), None);
        }
        assert_eq!(pauses, [0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60, 60]);
        // Others need not wait, and neither does this one after the right token.
        attempts.note_wrong(one);
        assert_eq!(attempts.wait(peer("192.168.1.8")), None);
        assert_eq!(attempts.wait(one), Some(LONGEST_PAUSE));
        attempts.note_right(one);
        assert_eq!(attempts.wait(one), None);
    }

    #[tokio::test(start_paused = true)]
    async fn wrong_tokens_are_forgotten_after_ten_minutes() {
        let mut attempts = Attempts::default();
        let one = peer("192.168.1.9");
        for _ in 0..FREE {
            attempts.note_wrong(one);
        }
        advance(FORGOTTEN).await;
        attempts.note_wrong(one);
        assert_eq!((attempts.wait(one), attempts.wrong.len()), (None, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn addresses_of_one_network_count_as_one_and_their_number_is_bounded() {
        let mut attempts = Attempts::default();
        for host in 1..=FREE {
            attempts.note_wrong(peer(&format!("2001:db8::{host}")));
        }
        assert_eq!(attempts.wait(peer("2001:db8::ffff")), Some(FIRST_PAUSE));
        assert_eq!(attempts.wait(peer("2001:db8:1::1")), None);
        for number in 0..10_000_u32 {
            attempts.note_wrong(IpAddr::from(number.to_be_bytes()));
        }
        assert_eq!(attempts.wrong.len(), MOST_ADDRESSES);
    }

    /// Nobody learned that somebody tries tokens.
    #[test]
    fn the_first_wrong_token_of_an_address_is_logged_for_a_few_addresses() {
        let mut attempts = Attempts::default();
        let mut reports = Vec::new();
        for number in 0..100_u32 {
            for _ in 0..3 {
                reports.push(attempts.note_wrong(IpAddr::from((number << 8).to_be_bytes())));
            }
        }
        let count = |report| reports.iter().filter(|other| **other == report).count();
        assert_eq!((count(Report::First), count(Report::Last)), (MOST_LOGGED - 1, 1));
        assert_eq!(
            (reports[0], reports[1], reports[3]),
            (Report::First, Report::None, Report::First)
        );
    }
}
