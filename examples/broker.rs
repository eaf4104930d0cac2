//! An MQTT broker on 127.0.0.1, for trying things without Mosquitto and for the tests:
//! `cargo run --example broker -- 1883`.

mod embedded;

use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Context;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let port = std::env::args().nth(1).unwrap_or_else(|| "1883".to_owned());
    if port == "--help" || port == "-h" {
        writeln!(
            io::stdout(),
            "cargo run --example broker -- [PORT]: an MQTT broker on 127.0.0.1; port 1883 by default"
        )?;
        return Ok(());
    }
    let port: u16 = port.parse().context("the port is a number from 1 to 65535")?;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    // Another broker at this address would be mistaken for this one. Port 0 is always free.
    drop(
        std::net::TcpListener::bind(address)
            .with_context(|| format!("cannot listen on {address}"))?,
    );
    embedded::start(address).await?;
    writeln!(io::stdout(), "The broker listens on {address}. Stop it with Ctrl-C.")?;
    tokio::signal::ctrl_c().await?;
    Ok(())
}
