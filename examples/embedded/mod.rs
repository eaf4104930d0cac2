//! A small MQTT broker for the demo and the tests: rumqttd in a thread of its own.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use anyhow::Context;
use rumqttd::{Broker, Config, ConnectionSettings, RouterConfig, ServerSettings};
use tokio::net::TcpStream;

/// Starts a broker that listens on `address`. It is ready when this returns, and runs until the
/// process ends.
pub(crate) async fn start(address: SocketAddr) -> anyhow::Result<()> {
    let connections = ConnectionSettings {
        connection_timeout_ms: 60_000,
        max_payload_size: 20_480,
        max_inflight_count: 100,
        auth: None,
        external_auth: None,
        dynamic_filters: true,
    };
    let server = ServerSettings {
        name: "mqtt".to_owned(),
        listen: address,
        tls: None,
        next_connection_delay_ms: 1,
        connections,
    };
    let router = RouterConfig {
        max_connections: 100,
        // A subscriber gets at most this many retained messages.
        max_outgoing_packet_count: 10_000,
        max_segment_size: 1024 * 1024,
        max_segment_count: 10,
        ..RouterConfig::default()
    };
    let config = Config {
        id: 0,
        router,
        v4: Some(HashMap::from([("1".to_owned(), server)])),
        v5: None,
        ws: None,
        cluster: None,
        console: None,
        bridge: None,
        prometheus: None,
        metrics: None,
    };
    let mut broker = Broker::new(config);
    let thread = thread::Builder::new()
        .name("broker".to_owned())
        .spawn(move || broker.start().map_err(|error| error.to_string()))
        .context("cannot start a thread for the broker")?;
    while TcpStream::connect(address).await.is_err() {
        if thread.is_finished() {
            anyhow::bail!("the broker cannot listen on {address}");
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}
