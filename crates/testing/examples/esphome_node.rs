//! Serves the ESPHome test node on this machine, for `tests/python/esphome_node.py`.
//!
//! `esphome_node [--key BYTE] [--api MINOR]` prints its TCP port. It has two serial ports, which send
//! back what they receive, and ends when its standard input does.

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a tool for a test")]

use std::net::Ipv4Addr;

use kamstrup2mqtt_testing::esphome::{Node, Setup};
use tokio::io::{AsyncReadExt, DuplexStream};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

/// A line that sends back what it receives.
fn echo() -> mpsc::UnboundedSender<DuplexStream> {
    let (line, mut lines) = mpsc::unbounded_channel::<DuplexStream>();
    tokio::spawn(async move {
        while let Some(stream) = lines.recv().await {
            let (mut from, mut to) = tokio::io::split(stream);
            tokio::io::copy(&mut from, &mut to).await.unwrap();
        }
    });
    line
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut setup = Setup { pins: 3, ..Setup::default() };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let value = arguments.next().unwrap().parse::<u8>().unwrap();
        match argument.as_str() {
            "--key" => setup.key = Some([value; 32]),
            _ => setup.api_minor = value.into(),
        }
    }
    let node = Node::new(setup, vec![echo(), echo()]);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    println!("{}", listener.local_addr().unwrap().port());
    let mut input = Vec::new();
    let mut stdin = tokio::io::stdin();
    tokio::select! {
        served = node.serve_tcp(listener) => served.unwrap(),
        ended = stdin.read_to_end(&mut input) => drop(ended.unwrap()),
    }
}
