//! Says in the log where the setup page is, and who can open it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use tracing::info;

use super::session::SetupPage;
use crate::machine;
use crate::web::address::seen_at;
use meter::container;

/// An address outside every local network (RFC 5737). Nothing is sent to it. The route to it shows
/// this machine's own address in its network.
const OUTSIDE: (&str, u16) = ("192.0.2.1", 9);

impl SetupPage {
    /// Logs where the page is, and what visitors from other machines need.
    pub(in crate::web) async fn announce(&self, address: SocketAddr) {
        let (ip, port) = (address.ip(), address.port());
        let here = SocketAddr::new(if ip.is_unspecified() { LOOPBACK } else { ip }, port);
        info!(
            "There is no configuration yet. Open http://{here} to set kamstrup2mqtt up. The page will \
             write {}.",
            self.setup.path().display()
        );
        if ip.to_canonical().is_loopback() {
            info!(
                "Only this machine can open that page. To open it from another machine, run \
                 `ssh -L {port}:{here} USER@MACHINE` there, with the name of this machine, and open \
                 http://127.0.0.1:{port}."
            );
            if container::is_container() {
                info!(
                    "If the container has a network of its own, nobody can open this page. Then start \
                     the container with the options `-e WEB_LISTEN=0.0.0.0:{port} -p \
                     127.0.0.1:{port}:{port}`."
                );
            }
            return;
        }
        if container::is_container() && container::has_own_network(&machine::root()) {
            info!(
                "The machine that runs the container can open the page if the option \
                 `-p 127.0.0.1:{port}:{port}` opens that port. With `-p {port}:{port}`, other machines \
                 can open it too."
            );
        } else if ip.is_unspecified() {
            let host = seen_at(&(OUTSIDE.0.to_owned(), OUTSIDE.1)).await;
            if let Ok(host) = host {
                info!("On another machine, open http://{}.", SocketAddr::new(host, port));
            }
        }
        self.code.show_code();
    }
}

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
