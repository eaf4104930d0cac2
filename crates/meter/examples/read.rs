//! Reads a meter once: `cargo run --example read -- /dev/ttyUSB0`, or with another port.

#![expect(clippy::print_stdout, reason = "the program's output")]

use std::error::Error;
use std::time::Duration;

use kamstrup_meter::identity::Version;
use kamstrup_meter::poll::{Plan, Reader};
use kamstrup_meter::transport::{Endpoint, Port, SerialSettings};
use kamstrup_meter::{CancellationToken, RunsAs};
use kmp::frame::START_FROM_METER;
use kmp::line::Line;
use kmp::register::Register;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let port = std::env::args().nth(1).ok_or("no port given; pass one such as /dev/ttyUSB0")?;
    let endpoint: Endpoint = port.parse()?;
    let settings = SerialSettings::default();
    let names = ["energy", "volume", "power", "temp1", "temp2", "flow", "temp4"];
    let plan = Plan {
        // Without the key of an ESPHome node, which the argument may contain.
        port_name: endpoint.to_string(),
        port: Port { endpoint, settings, answer_start: START_FROM_METER },
        line: Line::with_bits(settings.baud.get(), settings.bits_per_byte()),
        registers: names.iter().filter_map(|name| Some(Register::by_key(name)?.id)).collect(),
        together: Vec::new(),
        optional: Vec::new(),
        version: Version::Auto,
        interval: Duration::from_secs(60),
        slow_interval: None,
        runs_as: RunsAs::Program,
    };
    let result = Reader::new(plan).read(&CancellationToken::new()).await;
    for reading in &result.readings {
        let label = reading.register.info().map_or("register", |register| register.label);
        println!("{label} ({}): {} {}", reading.register, reading.value, reading.unit);
    }
    for (register, reason) in &result.missing {
        println!("register {register} is missing: {reason}");
    }
    result.trouble.map_or(Ok(()), |error| Err(format!("{}. {}", error.words, error.hint).into()))
}
