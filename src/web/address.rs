//! The address of the page for other machines.

use std::future::pending;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::sync::watch;
use tokio::time::sleep;
use tracing::debug;

use meter::hosts;

/// The address of the page in an app (add-on): Home Assistant connects to it over its own network.
pub(crate) const IN_ADD_ON: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), PORT);

/// The port that Home Assistant expects, unless an app (add-on) names another one.
const PORT: u16 = 8099;

/// The wait before the next attempt to find this machine's address, if the network is not up yet.
pub(super) const RETRY: Duration = Duration::from_secs(10);

/// Sends the URL of the page for other machines, as long as the listening address can change. If the
/// page listens on all addresses, the URL has the one that the broker sees.
pub(crate) async fn find(
    address: watch::Receiver<Option<SocketAddr>>,
    broker: (String, u16),
    found: watch::Sender<Option<String>>,
) {
    let seen = move || {
        let broker = broker.clone();
        async move { seen_at(&broker).await }
    };
    find_by(address, seen, found).await;
}

/// The same, with `seen` for the address that the broker sees.
pub(super) async fn find_by<S: Future<Output = io::Result<IpAddr>>>(
    mut address: watch::Receiver<Option<SocketAddr>>,
    seen: impl Fn() -> S,
    found: watch::Sender<Option<String>>,
) {
    loop {
        let now = *address.borrow_and_update();
        let mut again = None;
        let reached = match now {
            Some(address) if address.ip().is_unspecified() => match seen().await {
                Ok(reached) => Some(reached),
                Err(error) => {
                    debug!(
                        "Cannot find this machine's address for the link to the page: {error}. Trying again."
                    );
                    again = Some(RETRY);
                    None
                }
            },
            Some(address) => Some(address.ip()),
            None => None,
        };
        let port = now.map_or(PORT, |address| address.port());
        // Other machines cannot use a loopback address.
        let reached = reached.filter(|ip| !ip.to_canonical().is_loopback());
        let page = reached.map(|ip| format!("http://{}", SocketAddr::new(ip, port)));
        found.send_if_modified(|known| {
            let is_new = *known != page;
            *known = page;
            is_new
        });
        let pause = async {
            match again {
                Some(pause) => sleep(pause).await,
                None => pending().await,
            }
        };
        tokio::select! {
            () = pause => {}
            changed = address.changed() => if changed.is_err() { return },
        }
    }
}

/// This machine's address on the route to another one. Sends nothing.
pub(super) async fn seen_at((host, port): &(String, u16)) -> io::Result<IpAddr> {
    let there = hosts::look_up(host, *port).await.map_err(io::Error::other)?;
    let there = *there.first().ok_or(io::ErrorKind::NotFound)?;
    let any = match there.ip() {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(there).await?;
    Ok(socket.local_addr()?.ip())
}
