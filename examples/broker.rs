//! An MQTT broker on 127.0.0.1, for trying things without Mosquitto and for the tests:
//! `cargo run --example broker -- 1883`.

mod embedded;

use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Context;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let port = std::env::args().nth(1).unwrap_or_else(|| "1883".to_owned());
    let port: u16 = port.parse().context("the port is a number from 1 to 65535")?;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    embedded::start(address).await?;
    writeln!(io::stdout(), "A broker listens at {address}; stop it with Ctrl-C.")?;
    tokio::signal::ctrl_c().await?;
    Ok(())
}
