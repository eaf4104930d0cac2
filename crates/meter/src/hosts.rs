//! Looks up the addresses of host names.
//!
//! The system's lookup blocks a thread for half a minute if no name server answers. It continues
//! even if its caller has given up. Another lookup of the same name would block another thread.
//! Therefore all callers share one lookup for each name, and at most [`AT_A_TIME`] names are looked
//! up at a time. A host that does not resolve delays no other host, even if many meters need it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::{Mutex, MutexGuard, PoisonError};

use thiserror::Error;
use tokio::sync::{Semaphore, watch};
use tokio::task::spawn_blocking;

use crate::cause::is_shortage;

/// How many names are looked up at a time. Each holds one of the runtime's blocking threads.
pub const AT_A_TIME: usize = 3;

/// Why a name has no address.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum HostError {
    /// The name server does not know it.
    #[error("{_0}")]
    NotFound(String),
    /// No name server answered.
    #[error("{_0}")]
    NoAnswer(String),
    /// This machine is out of files or memory.
    #[error("{_0}")]
    Shortage(String),
}

/// Returns the addresses of a host, which is a name or an IP address.
///
/// Cancel safety: if the future is dropped, the lookup continues for other callers.
pub async fn look_up(host: &str, port: u16) -> Result<Vec<SocketAddr>, HostError> {
    static NAMES: Names = Names::new();

    if let Ok(ip) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(ip, port)]);
    }
    let mut addresses = NAMES.look_up(host, ask).await?;
    for address in &mut addresses {
        address.set_port(port);
    }
    Ok(addresses)
}

type Answer = Result<Vec<SocketAddr>, HostError>;

/// Asks the system's resolver, which blocks.
fn ask(host: &str) -> Answer {
    let found = (host, 0).to_socket_addrs().map(Iterator::collect);
    found.map_err(|error| match HostError::from(&error) {
        // If glibc can open neither `/etc/hosts` nor a socket, it says that there is no such name.
        HostError::NotFound(words) => missing_file().unwrap_or(HostError::NotFound(words)),
        other => other,
    })
}

/// The error of a system that lets this program open no file.
fn missing_file() -> Option<HostError> {
    let error = File::open("/").err().filter(is_shortage)?;
    Some(HostError::Shortage(error.to_string()))
}

impl From<&io::Error> for HostError {
    /// Compares the messages of glibc and musl, because these errors have no kinds.
    fn from(error: &io::Error) -> Self {
        let words = error.to_string();
        let is = |all: [&str; 2]| all.iter().any(|one| words.ends_with(one));
        if is_shortage(error) || is(["Memory allocation failure", "Out of memory"]) {
            Self::Shortage(words)
        } else if is(["Temporary failure in name resolution", "Try again"]) {
            // `EAI_AGAIN`.
            Self::NoAnswer(words)
        } else {
            Self::NotFound(words)
        }
    }
}

/// The lookups in progress.
#[derive(Debug)]
struct Names {
    in_progress: Mutex<BTreeMap<String, watch::Receiver<Option<Answer>>>>,
    permits: Semaphore,
}

impl Names {
    const fn new() -> Self {
        let permits = Semaphore::const_new(AT_A_TIME);
        Self { in_progress: Mutex::new(BTreeMap::new()), permits }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, watch::Receiver<Option<Answer>>>> {
        self.in_progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn look_up(&'static self, host: &str, ask: fn(&str) -> Answer) -> Answer {
        let mut answer = self.join(host, ask);
        let answer = answer.wait_for(Option::is_some).await;
        // Without an answer the runtime is shutting down.
        let answer = answer.ok().and_then(|answer| answer.clone());
        answer.unwrap_or_else(|| Err(HostError::NoAnswer("the lookup was abandoned".to_owned())))
    }

    /// Joins the lookup of this name that is in progress, or starts one.
    fn join(&'static self, host: &str, ask: fn(&str) -> Answer) -> watch::Receiver<Option<Answer>> {
        let mut in_progress = self.lock();
        // A lookup without a sender belonged to a runtime that has ended.
        if let Some(answer) = in_progress.get(host).filter(|answer| answer.has_changed().is_ok()) {
            return answer.clone();
        }
        let (sender, answer) = watch::channel(None);
        in_progress.insert(host.to_owned(), answer.clone());
        let host = host.to_owned();
        // A separate task, because the first caller may be the first to give up.
        tokio::spawn(async move {
            let Ok(permit) = self.permits.acquire().await else { return };
            spawn_blocking(move || {
                let answer = ask(&host);
                self.lock().remove(&host);
                drop(permit);
                sender.send_replace(Some(answer));
            });
        });
        answer
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Condvar;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use tokio::task::JoinSet;
    use tokio::time::timeout;

    use super::*;

    fn names() -> &'static Names {
        Box::leak(Box::new(Names::new()))
    }

    #[tokio::test]
    async fn addresses_are_not_looked_up() {
        for (host, port, address) in [
            ("127.0.0.1", 1, "127.0.0.1:1"),
            ("::1", 2, "[::1]:2"),
            ("192.0.2.1", 3, "192.0.2.1:3"),
        ] {
            assert_eq!(look_up(host, port).await.unwrap(), [address.parse().unwrap()]);
        }
        let here = look_up("localhost", 2003).await.unwrap();
        assert!(here.iter().all(|it| it.ip().is_loopback() && it.port() == 2003), "{here:?}");
        let unknown = look_up("no-such-host.invalid", 1).await.unwrap_err();
        assert!(unknown.to_string().contains("lookup"), "{unknown}");
    }

    #[tokio::test]
    async fn concurrent_lookups_of_a_name_share_one() {
        static ASKED: AtomicUsize = AtomicUsize::new(0);
        static MAY_END: (Mutex<bool>, Condvar) = (Mutex::new(false), Condvar::new());

        fn hang(host: &str) -> Answer {
            ASKED.fetch_add(1, Ordering::SeqCst);
            let may_end = MAY_END.0.lock().unwrap();
            drop(MAY_END.1.wait_while(may_end, |may_end| !*may_end));
            (host, 0).to_socket_addrs().map(Iterator::collect).map_err(|error| (&error).into())
        }

        let names = names();
        let (mut asking, mut giving_up) = (JoinSet::new(), JoinSet::new());
        for _ in 0..20 {
            let asked = timeout(Duration::from_millis(1), names.look_up("192.0.2.1", hang));
            giving_up.spawn(asked);
            asking.spawn(names.look_up("192.0.2.1", hang));
        }
        // A caller that gives up, even the first, does not end the lookup.
        assert!(giving_up.join_all().await.iter().all(Result::is_err));
        // It does not delay other names.
        let other = names.look_up("here", |_| Ok(Vec::new())).await;
        assert_eq!(other, Ok(Vec::new()));
        assert_eq!(ASKED.load(Ordering::SeqCst), 1);
        *MAY_END.0.lock().unwrap() = true;
        MAY_END.1.notify_all();
        let answers = asking.join_all().await.into_iter().map(Result::unwrap);
        assert_eq!(answers.filter(|answer| answer.len() == 1).count(), 20);
        assert_eq!(ASKED.load(Ordering::SeqCst), 1);
        assert!(names.lock().is_empty());
    }

    /// The number of names does not matter, nor do callers that give up.
    #[tokio::test]
    async fn lookups_hold_no_more_threads_than_allowed() {
        static NOW: AtomicUsize = AtomicUsize::new(0);
        static MOST: AtomicUsize = AtomicUsize::new(0);

        fn count(_: &str) -> Answer {
            MOST.fetch_max(NOW.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            std::thread::yield_now();
            NOW.fetch_sub(1, Ordering::SeqCst);
            Err(HostError::NotFound("no".to_owned()))
        }

        let names = names();
        let asking = (0..50).map(|name| async move {
            let _ = timeout(Duration::ZERO, names.look_up(&format!("{name}"), count)).await;
            names.look_up(&format!("{name}"), count).await.unwrap_err();
        });
        asking.collect::<JoinSet<()>>().join_all().await;
        assert!((1..=AT_A_TIME).contains(&MOST.load(Ordering::SeqCst)));
        assert!(names.lock().is_empty());
    }

    #[tokio::test]
    async fn a_lookup_of_a_runtime_that_has_ended_is_started_again() {
        let names = names();
        let (sender, answer) = watch::channel(None);
        names.lock().insert("here".to_owned(), answer);
        drop(sender);
        assert_eq!(names.look_up("here", |_| Ok(Vec::new())).await, Ok(Vec::new()));
    }

    /// If no name server answers, the host name may still be right.
    #[test]
    fn the_messages_of_the_system_are_classified() {
        let failed = |words: &str| format!("failed to lookup address information: {words}");
        let error = |words: &str| HostError::from(&io::Error::other(failed(words)));
        for words in ["Temporary failure in name resolution", "Try again"] {
            assert_eq!(error(words), HostError::NoAnswer(failed(words)));
        }
        for words in ["Memory allocation failure", "Out of memory"] {
            assert_eq!(error(words), HostError::Shortage(failed(words)));
        }
        for words in ["Name or service not known", "Name does not resolve"] {
            assert_eq!(error(words), HostError::NotFound(failed(words)));
        }
        let files = io::Error::from_raw_os_error(24);
        assert_eq!(HostError::from(&files), HostError::Shortage(files.to_string()));
    }
}
