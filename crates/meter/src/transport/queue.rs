//! Meters on one port or one serial server take turns.
//!
//! Only one can use a port, and many serial servers serve one connection at a time, whatever the
//! port number. So one poll has the whole server, from opening to closing, and the next one waits:
//! first come, first served, so that nobody waits longer than one poll of each of the others takes.

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Mutex as FairMutex, OwnedMutexGuard};

use super::{Endpoint, Open, OpenError, Port, Stream};

/// What only one meter can use at a time.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Shared {
    Device(PathBuf),
    Server(String),
}

impl Shared {
    /// A device may have several names, and other ones after it was plugged in again.
    fn behind(endpoint: &Endpoint) -> Self {
        match endpoint {
            Endpoint::Serial { path } => {
                Self::Device(path.canonicalize().unwrap_or_else(|_| path.clone()))
            }
            Endpoint::Tcp { host, .. } => match host.parse::<IpAddr>() {
                Ok(address) => Self::Server(address.to_canonical().to_string()),
                Err(_) => Self::Server(host.to_ascii_lowercase()),
            },
        }
    }
}

/// Who has the turn, and who waits for it, at each port and each serial server.
///
/// Clones are the same.
#[derive(Debug, Clone, Default)]
pub struct PortQueues(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    rows: HashMap<Shared, Arc<FairMutex<()>>>,
    /// Of all meters.
    endpoints: Vec<Endpoint>,
}

/// One poll's use of a port, until it is dropped.
#[derive(Debug, Default)]
#[must_use = "the turn ends when it is dropped"]
pub struct PortGuard {
    _guard: Option<OwnedMutexGuard<()>>,
}

impl PortQueues {
    /// A meter's port, which takes turns with the others here that are on the same device or serial
    /// server.
    #[must_use]
    pub fn share(&self, port: Port) -> SharedPort {
        self.share_at(port.endpoint.clone(), port)
    }

    /// The same for anything that can be opened at an endpoint.
    pub(crate) fn share_at<O>(&self, endpoint: Endpoint, port: O) -> SharedPort<O> {
        self.lock().endpoints.push(endpoint.clone());
        SharedPort { endpoint, port, queues: self.clone() }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the turn at an endpoint.
    ///
    /// Cancel safety: dropping the future gives up the place in the row, and holds up nobody.
    async fn take(&self, endpoint: &Endpoint) -> PortGuard {
        let row = {
            let shared = Shared::behind(endpoint);
            let rows = &mut self.lock().rows;
            // A row in which nobody stands is forgotten.
            rows.retain(|_, row| Arc::strong_count(row) > 1);
            Arc::clone(rows.entry(shared).or_default())
        };
        PortGuard { _guard: Some(row.lock_owned().await) }
    }

    /// Whether more than one meter is there.
    fn is_shared(&self, endpoint: &Endpoint) -> bool {
        let shared = Shared::behind(endpoint);
        let inner = self.lock();
        inner.endpoints.iter().filter(|other| Shared::behind(other) == shared).nth(1).is_some()
    }
}

/// A port that takes turns with others.
#[derive(Debug)]
pub struct SharedPort<O = Port> {
    port: O,
    endpoint: Endpoint,
    queues: PortQueues,
}

/// A meter that is read no more is no reason for others to be considerate.
impl<O> Drop for SharedPort<O> {
    fn drop(&mut self) {
        let endpoints = &mut self.queues.lock().endpoints;
        if let Some(position) = endpoints.iter().position(|endpoint| *endpoint == self.endpoint) {
            endpoints.swap_remove(position);
        }
    }
}

impl<O: Open> Open for SharedPort<O> {
    async fn turn(&self) -> PortGuard {
        self.queues.take(&self.endpoint).await
    }

    fn is_shared(&self) -> bool {
        self.queues.is_shared(&self.endpoint)
    }

    async fn open(&self) -> Result<Box<dyn Stream>, OpenError> {
        self.port.open().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shared(text: &str) -> Shared {
        Shared::behind(&text.parse().unwrap())
    }

    #[test]
    fn what_is_one_port() {
        let server = |host: &str| Shared::Server(host.to_owned());
        assert_eq!(shared("socket://10.0.0.3:2003"), server("10.0.0.3"));
        assert_eq!(shared("socket://10.0.0.3:2004"), server("10.0.0.3"));
        assert_eq!(shared("socket://[::ffff:10.0.0.3]:1"), server("10.0.0.3"));
        assert_eq!(shared("socket://[FE80:0::1]:1"), server("fe80::1"));
        assert_eq!(shared("socket://Meters.local:1"), server("meters.local"));

        let folder = tempfile::TempDir::new().unwrap();
        let (device, by_id) = (folder.path().join("ttyUSB0"), folder.path().join("by-id"));
        let behind =
            |path: &std::path::Path| Shared::behind(&Endpoint::Serial { path: path.to_owned() });
        // Not plugged in yet.
        assert_eq!(behind(&device), Shared::Device(device.clone()));
        std::fs::write(&device, "").unwrap();
        std::os::unix::fs::symlink(&device, &by_id).unwrap();
        assert_eq!(behind(&device), behind(&by_id));
        assert_ne!(behind(&device), behind(folder.path()));
    }

    #[tokio::test]
    async fn what_nobody_uses_is_forgotten() {
        let queues = PortQueues::default();
        let rows = || queues.lock().rows.len();
        let first = queues.take(&"socket://a:1".parse().unwrap()).await;
        let second = queues.take(&"socket://b:1".parse().unwrap()).await;
        assert_eq!(rows(), 2);
        drop(first);
        let third = queues.take(&"socket://c:1".parse().unwrap()).await;
        assert_eq!(rows(), 2);
        drop((second, third));
    }

    #[test]
    fn a_meter_that_is_gone_shares_nothing() {
        let (queues, endpoint) =
            (PortQueues::default(), "socket://a:1".parse::<Endpoint>().unwrap());
        let first = queues.share_at(endpoint.clone(), ());
        let second = queues.share_at(endpoint.clone(), ());
        assert!(queues.is_shared(&endpoint));
        drop(first);
        assert!(!queues.is_shared(&endpoint));
        drop(second);
        assert!(queues.lock().endpoints.is_empty());
    }
}
