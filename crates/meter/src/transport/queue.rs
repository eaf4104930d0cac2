//! Queues for ports that several meters share: serial ports, and ports of serial servers.
//!
//! Only one program can use a serial port, and a serial server serves one connection at each of its
//! ports. So each poll has its port alone, from opening to closing, and the next poll waits. The
//! queue is first come, first served: a meter waits at most as long as one poll of each other meter
//! takes.
//!
//! Other ports of the same server have queues of their own. So a silent meter delays only the
//! meters on its own port. Some servers serve only one connection at a time, whatever the port.
//! `server` recognizes them.
//!
//! An ESPHome node has several serial ports, each of which serves one client at a time, behind one
//! API that serves several clients. So it is like a server with several ports.

use std::collections::HashMap;
use std::net::IpAddr;
use std::num::NonZeroU16;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Mutex as FairMutex, OwnedMutexGuard};

use super::endpoint::Endpoint;
use super::error::OpenError;
use super::open::{Open, Port, PortGuard};
use super::server::{Place, Server};
use super::stream::Stream;

/// A resource that one meter can use at a time.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Resource {
    Device(PathBuf),
    Port(String, NonZeroU16),
    /// The serial port with this number of the node at this address.
    OfNode(String, NonZeroU16, u32),
}

impl Resource {
    /// A device may have several paths, and they may change when it is plugged in again. So this is
    /// worked out each time.
    fn behind(endpoint: &Endpoint) -> Self {
        match endpoint {
            Endpoint::Serial { path } => {
                Self::Device(path.canonicalize().unwrap_or_else(|_| path.clone()))
            }
            Endpoint::Tcp { host, port } => Self::Port(server_name(host), *port),
            Endpoint::Node(node) => {
                Self::OfNode(server_name(node.host()), node.port(), node.instance())
            }
        }
    }
}

/// The same text for all ways to write a host.
fn server_name(host: &str) -> String {
    match host.parse::<IpAddr>() {
        Ok(address) => address.to_canonical().to_string(),
        Err(_) => host.to_ascii_lowercase(),
    }
}

/// The queues of all ports, and the serial servers. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct PortQueues(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    queues: HashMap<Resource, Arc<FairMutex<()>>>,
    servers: HashMap<String, Arc<Server>>,
    /// One for each meter.
    endpoints: Vec<Endpoint>,
}

impl PortQueues {
    /// Puts a meter's port into one queue with all others on the same port.
    #[must_use]
    pub fn share(&self, port: Port) -> SharedPort {
        self.share_at(port.endpoint.clone(), port)
    }

    /// [`Self::share`] for any kind of port.
    pub(crate) fn share_at<O>(&self, endpoint: Endpoint, port: O) -> SharedPort<O> {
        let place = {
            let Inner { servers, endpoints, .. } = &mut *self.lock();
            endpoints.push(endpoint.clone());
            // Removes unused servers.
            servers.retain(|_, server| Arc::strong_count(server) > 1);
            match &endpoint {
                Endpoint::Tcp { host, port } => {
                    let name = server_name(host);
                    let server = servers
                        .entry(name)
                        .or_insert_with_key(|name| Arc::new(Server::new(name.clone())));
                    Some(Place::new(Arc::clone(server), *port))
                }
                // A node serves several clients of its API at a time.
                Endpoint::Node(_) | Endpoint::Serial { .. } => None,
            }
        };
        SharedPort { endpoint, place, port, queues: self.clone() }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits in the queue of an endpoint.
    ///
    /// Cancel safety: dropping the future gives up the place in the queue.
    async fn acquire(&self, endpoint: &Endpoint) -> OwnedMutexGuard<()> {
        let queue = {
            let resource = Resource::behind(endpoint);
            let queues = &mut self.lock().queues;
            // Removes unused queues.
            queues.retain(|_, queue| Arc::strong_count(queue) > 1);
            Arc::clone(queues.entry(resource).or_default())
        };
        queue.lock_owned().await
    }

    /// Whether another endpoint is on the same port.
    fn is_shared(&self, endpoint: &Endpoint) -> bool {
        let resource = Resource::behind(endpoint);
        self.are_several(|other| Resource::behind(other) == resource)
    }

    /// Whether more than one endpoint is on a server.
    fn is_server_shared(&self, server: &Server) -> bool {
        self.are_several(|endpoint| match endpoint {
            Endpoint::Tcp { host, .. } => server_name(host) == server.name(),
            Endpoint::Node(_) | Endpoint::Serial { .. } => false,
        })
    }

    fn are_several(&self, is_meant: impl Fn(&Endpoint) -> bool) -> bool {
        self.lock().endpoints.iter().filter(|endpoint| is_meant(endpoint)).nth(1).is_some()
    }
}

/// A port that other meters may share.
#[derive(Debug)]
pub struct SharedPort<O = Port> {
    port: O,
    endpoint: Endpoint,
    /// `None` for a serial port of a node or of this machine.
    place: Option<Place>,
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
        let queue = self.queues.acquire(&self.endpoint).await;
        let server = match &self.place {
            Some(place) => Some(place.acquire().await),
            None => None,
        };
        PortGuard::new(queue, server)
    }

    fn is_shared(&self) -> bool {
        let server = self.place.as_ref().map(Place::server);
        let server = server.filter(|server| server.is_one_at_a_time());
        self.queues.is_shared(&self.endpoint)
            || server.is_some_and(|server| self.queues.is_server_shared(server))
    }

    fn has_neighbours(&self) -> bool {
        let server = self.place.as_ref().map(Place::server);
        self.queues.is_shared(&self.endpoint)
            || server.is_some_and(|server| self.queues.is_server_shared(server))
    }

    fn was_crowded_out(&self) -> bool {
        self.place.as_ref().is_some_and(Place::is_crowded_out)
    }

    fn opens_within(&self) -> Duration {
        self.port.opens_within()
    }

    async fn open(&self) -> Result<Box<dyn Stream>, OpenError> {
        match &self.place {
            Some(place) => place.open(|| self.port.open()).await,
            None => self.port.open().await,
        }
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
    fn endpoints_of_one_device_or_port_share_a_queue() {
        let port =
            |host: &str, port| Resource::Port(host.to_owned(), NonZeroU16::new(port).unwrap());
        assert_eq!(resource("socket://10.0.0.3:2003"), port("10.0.0.3", 2003));
        assert_eq!(resource("socket://10.0.0.3:2004"), port("10.0.0.3", 2004));
        assert_eq!(resource("socket://[::ffff:10.0.0.3]:1"), port("10.0.0.3", 1));
        assert_eq!(resource("socket://[FE80:0::1]:1"), port("fe80::1", 1));
        assert_eq!(resource("socket://Meters.local:1"), port("meters.local", 1));

        // Each serial port of a node has its own queue. The key does not matter.
        let of_node = |instance| resource(&format!("esphome://head/?port={instance}"));
        assert_eq!(of_node(0), resource("esphome://HEAD:6053"));
        assert_eq!(of_node(0), resource(&format!("esphome://head/?key={}", "A".repeat(43))));
        assert_ne!(of_node(0), of_node(1));
        assert_ne!(of_node(0), resource("esphome://head:6054"));
        assert_ne!(of_node(0), resource("socket://head:6053"));

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
