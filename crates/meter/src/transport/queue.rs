//! Queues for serial ports and serial servers that several meters share.
//!
//! Only one program can use a serial port, and many serial servers serve one connection at a time,
//! whatever the port number. So each poll has the whole server from opening to closing, and the
//! next poll waits. The queue is first come, first served: a meter waits at most as long as one poll
//! of each other meter takes.

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Mutex as FairMutex;

use super::endpoint::Endpoint;
use super::error::OpenError;
use super::open::{Open, Port, PortGuard, Stream};

/// A resource that one meter can use at a time.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Resource {
    Device(PathBuf),
    Server(String),
}

impl Resource {
    /// A device may have several paths, and they may change when it is plugged in again. So this is
    /// worked out each time.
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

/// The queues of all ports and serial servers. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct PortQueues(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    queues: HashMap<Resource, Arc<FairMutex<()>>>,
    /// One for each meter.
    endpoints: Vec<Endpoint>,
}

impl PortQueues {
    /// Puts a meter's port into one queue with all others on the same device or serial server.
    #[must_use]
    pub fn share(&self, port: Port) -> SharedPort {
        self.share_at(port.endpoint.clone(), port)
    }

    /// [`Self::share`] for any kind of port.
    pub(crate) fn share_at<O>(&self, endpoint: Endpoint, port: O) -> SharedPort<O> {
        self.lock().endpoints.push(endpoint.clone());
        SharedPort { endpoint, port, queues: self.clone() }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits in the queue of an endpoint.
    ///
    /// Cancel safety: dropping the future gives up the place in the queue.
    async fn acquire(&self, endpoint: &Endpoint) -> PortGuard {
        let queue = {
            let resource = Resource::behind(endpoint);
            let queues = &mut self.lock().queues;
            // Removes unused queues.
            queues.retain(|_, queue| Arc::strong_count(queue) > 1);
            Arc::clone(queues.entry(resource).or_default())
        };
        PortGuard::new(queue.lock_owned().await)
    }

    /// Whether more than one meter uses an endpoint.
    fn is_shared(&self, endpoint: &Endpoint) -> bool {
        let resource = Resource::behind(endpoint);
        let inner = self.lock();
        inner.endpoints.iter().filter(|other| Resource::behind(other) == resource).nth(1).is_some()
    }
}

/// A port that other meters may share.
#[derive(Debug)]
pub struct SharedPort<O = Port> {
    port: O,
    endpoint: Endpoint,
    queues: PortQueues,
}

/// A meter that is no longer read does not share the port.
impl<O> Drop for SharedPort<O> {
    fn drop(&mut self) {
        let endpoints = &mut self.queues.lock().endpoints;
        if let Some(position) = endpoints.iter().position(|endpoint| *endpoint == self.endpoint) {
            endpoints.swap_remove(position);
        }
    }
}

impl<O: Open> Open for SharedPort<O> {
    async fn acquire(&self) -> PortGuard {
        self.queues.acquire(&self.endpoint).await
    }

    fn is_shared(&self) -> bool {
        self.queues.is_shared(&self.endpoint)
    }

    fn opens_within(&self) -> Duration {
        self.port.opens_within()
    }

    async fn open(&self) -> Result<Box<dyn Stream>, OpenError> {
        self.port.open().await
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn resource(text: &str) -> Resource {
        Resource::behind(&text.parse().unwrap())
    }

    #[test]
    fn endpoints_of_one_device_or_server_share_a_queue() {
        let server = |host: &str| Resource::Server(host.to_owned());
        assert_eq!(resource("socket://10.0.0.3:2003"), server("10.0.0.3"));
        assert_eq!(resource("socket://10.0.0.3:2004"), server("10.0.0.3"));
        assert_eq!(resource("socket://[::ffff:10.0.0.3]:1"), server("10.0.0.3"));
        assert_eq!(resource("socket://[FE80:0::1]:1"), server("fe80::1"));
        assert_eq!(resource("socket://Meters.local:1"), server("meters.local"));

        let folder = tempfile::TempDir::new().unwrap();
        let device = folder.path().join("ttyUSB0");
        let by_id = folder.path().join("by-id");
        let behind = |path: &Path| Resource::behind(&Endpoint::Serial { path: path.to_owned() });
        // Not plugged in yet.
        assert_eq!(behind(&device), Resource::Device(device.clone()));
        std::fs::write(&device, "").unwrap();
        std::os::unix::fs::symlink(&device, &by_id).unwrap();
        assert_eq!(behind(&device), behind(&by_id));
        assert_ne!(behind(&device), behind(folder.path()));
    }

    #[tokio::test]
    async fn unused_queues_are_removed() {
        let queues = PortQueues::default();
        let count = || queues.lock().queues.len();
        let first = queues.acquire(&"socket://a:1".parse().unwrap()).await;
        let second = queues.acquire(&"socket://b:1".parse().unwrap()).await;
        assert_eq!(count(), 2);
        drop(first);
        let third = queues.acquire(&"socket://c:1".parse().unwrap()).await;
        assert_eq!(count(), 2);
        drop((second, third));
    }

    #[test]
    fn a_removed_meter_no_longer_shares_its_port() {
        let queues = PortQueues::default();
        let endpoint: Endpoint = "socket://a:1".parse().unwrap();
        let first = queues.share_at(endpoint.clone(), ());
        let second = queues.share_at(endpoint.clone(), ());
        assert!(queues.is_shared(&endpoint));
        drop(first);
        assert!(!queues.is_shared(&endpoint));
        drop(second);
        assert!(queues.lock().endpoints.is_empty());
    }
}
