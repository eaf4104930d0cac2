//! `kamstrup2mqtt health`

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;

use crate::fetch::{self, Server};
use crate::web;

/// Longer than a program that turns ever takes.
const PATIENCE: Duration = Duration::from_secs(1);

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Where the page of the running program is
    #[arg(long, value_name = "ADDRESS:PORT", default_value_t = web::HERE)]
    listen: SocketAddr,
}

/// Tells that the process turns, never that meter or broker are well: a container that is called
/// unhealthy is restarted, which would help neither.
pub(super) fn run(args: &Arguments) -> anyhow::Result<ExitCode> {
    let address = here(args.listen);
    super::with_signals(async |_stop| {
        let server = Server::new(address.ip().to_string(), address.port());
        let answer = fetch::get(&server, web::HEALTH, None, PATIENCE).await;
        let answer = answer.with_context(|| {
            format!("no program answers at http://{address}; it does when started with `--listen`")
        })?;
        if answer.status != 200 || answer.body != web::HEALTHY.as_bytes() {
            bail!("what answers at http://{address} is not kamstrup2mqtt");
        }
        Ok(())
    })?;
    Ok(ExitCode::SUCCESS)
}

/// What listens on all addresses is asked on this machine's own.
fn here(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_addresses_are_this_machine() {
        let shown = |text: &str| here(text.parse().unwrap()).to_string();
        assert_eq!(shown("0.0.0.0:8099"), "127.0.0.1:8099");
        assert_eq!(shown("[::]:8099"), "[::1]:8099");
        assert_eq!(shown("192.168.1.2:80"), "192.168.1.2:80");
    }
}
