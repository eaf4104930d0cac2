//! The state that the two loops share.

use std::sync::atomic::{AtomicU64, Ordering};

use rumqttc::AsyncClient;
use tokio::sync::watch;
use tracing::debug;

use crate::payload::Message;

/// The present connection, and how many publishes were queued and sent in it.
#[derive(Debug)]
pub(super) struct Link {
    /// The number of the present connection; `None` while disconnected.
    connection: watch::Sender<Option<u64>>,
    /// Publishes added to the queue, and removed from it, in this connection.
    queued: AtomicU64,
    sent: AtomicU64,
}

impl Link {
    pub(super) fn new() -> Self {
        Self {
            connection: watch::Sender::new(None),
            queued: AtomicU64::new(0),
            sent: AtomicU64::new(0),
        }
    }

    pub(super) fn connection(&self) -> watch::Receiver<Option<u64>> {
        self.connection.subscribe()
    }

    pub(super) fn is_connected(&self) -> bool {
        self.connection.borrow().is_some()
    }

    pub(super) fn connected(&self, number: u64) {
        self.queued.store(0, Ordering::Relaxed);
        self.sent.store(0, Ordering::Relaxed);
        self.connection.send_replace(Some(number));
    }

    pub(super) fn lost(&self) {
        self.connection.send_replace(None);
    }

    /// The connection loop removed a publish from the queue.
    pub(super) fn count_sent(&self) {
        self.sent.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn is_queue_empty(&self) -> bool {
        self.sent.load(Ordering::Relaxed) >= self.queued.load(Ordering::Relaxed)
    }

    /// Adds a publish to the queue. Waits for room in it.
    pub(super) async fn send(&self, client: &AsyncClient, message: &Message) {
        let Message { topic, payload, qos, retain } = message;
        self.queued.fetch_add(1, Ordering::Relaxed);
        debug!("To the broker: {topic} {payload}");
        // It fails only if the connection loop has ended because the program is stopping.
        let _ = client.publish(topic, (*qos).into(), *retain, payload.clone()).await;
    }
}
