//! `kamstrup2mqtt health`: checks through its page whether the program is running.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;

use super::error::page_address;
use crate::config::{self, ConfigError, Variables};
use crate::{http, web};

/// A running program always answers sooner.
const PATIENCE: Duration = Duration::from_secs(1);

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The configuration file of the running program, which has the address of its page. Default:
    /// the first of config.yaml, ../config.yaml, /etc/kamstrup2mqtt/config.yaml and
    /// /var/lib/kamstrup2mqtt/config.yaml
    #[arg(long, short, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// The address of the running program's page; overrides the configuration
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = page_address, conflicts_with = "config")]
    listen: Option<SocketAddr>,
}

impl Arguments {
    fn page(&self) -> anyhow::Result<SocketAddr> {
        if let Some(listen) = self.listen {
            return Ok(listen);
        }
        // Without this, a wrong path would mean the default address, where another program may be.
        if let Some(file) = &self.config
            && let Err(error @ (ConfigError::Unreadable { .. } | ConfigError::NotText { .. })) =
                config::load(Some(file), &Variables::new())
        {
            return Err(error.into());
        }
        config::page(self.config.as_deref(), &super::environment::variables())
            .context("the status page is off (`web.enabled`), and this command needs it")
    }
}

/// Checks that the process is running, never that meter and broker work: an unhealthy container is
/// restarted, which would help neither.
pub(super) fn run(args: &Arguments) -> anyhow::Result<ExitCode> {
    let address = here(args.page()?);
    super::signals::with_signals_alone(async |_stop| {
        let url = format!("http://{address}{}", web::HEALTH).parse()?;
        let answer = http::get(url, None, PATIENCE).await;
        let answer = answer
            .with_context(|| format!("the status page at http://{address} does not answer"))?;
        if answer.status != 200 || answer.body != web::HEALTHY.as_bytes() {
            bail!("the program that answers at http://{address} is not kamstrup2mqtt");
        }
        Ok(())
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Whether a kamstrup2mqtt is running that has its status page at this address.
pub(super) async fn is_running(page: SocketAddr) -> bool {
    let Ok(url) = format!("http://{}{}", here(page), web::HEALTH).parse() else { return false };
    let answer = http::get(url, None, PATIENCE).await;
    answer.is_ok_and(|answer| answer.status == 200 && answer.body == web::HEALTHY.as_bytes())
}

/// A program that listens on all addresses also listens on the loopback address.
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
    fn the_unspecified_address_becomes_the_loopback_address() {
        let shown = |text: &str| here(text.parse().unwrap()).to_string();
        assert_eq!(shown("0.0.0.0:8099"), "127.0.0.1:8099");
        assert_eq!(shown("[::]:8099"), "[::1]:8099");
        assert_eq!(shown("192.168.1.2:80"), "192.168.1.2:80");
    }
}
