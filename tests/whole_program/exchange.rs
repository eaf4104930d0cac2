//! A meter that is exchanged: log, broker, page and history continue with the new one.

use history::{History, MeterKey};
use jiff::Timestamp;
use kmp::message::SerialNumber;
use kmp::register::RegisterId;
use kmp::unit::Unit;
use kmp::value::RegisterValue;
use rust_decimal::Decimal;
use serde_json::Value;
use simulator::{Behaviour, EnergyUnit, Registers};
use tempfile::TempDir;

use crate::broker::Broker;
use crate::page;
use crate::program::Program;
use crate::subscriber::{Arrived, Subscriber};
use crate::{Meter, meter_on_tcp};

const OLD: u32 = 6_131_453;
const NEW: u32 = 80_713_078;

fn holding(serial: u32, energy: i64, volume: i64) -> Registers {
    let mut registers = Registers::example(EnergyUnit::KilowattHour, 0);
    registers.serial = SerialNumber::new(serial);
    let rows = [
        (60, Unit::KILOWATT_HOUR, 0, energy),
        (68, Unit::CUBIC_METRE, 2, volume),
        (1001, Unit::NUMBER, 0, i64::from(serial)),
    ];
    for (id, unit, places, value) in rows {
        let value = Decimal::new(value, places);
        let value = RegisterValue::from_decimal(RegisterId::new(id), unit, value, 4);
        registers.insert(value.unwrap());
    }
    registers
}

fn old() -> Registers {
    holding(OLD, 28_316, 54_321)
}

fn new() -> Registers {
    holding(NEW, 12, 31)
}

struct House {
    broker: Broker,
    meter: Meter,
    subscriber: Subscriber,
    state: TempDir,
}

impl House {
    async fn new() -> Self {
        let broker = Broker::start().await;
        let subscriber = Subscriber::connect(broker.port()).await;
        let meter = meter_on_tcp(old(), Behaviour::default()).await;
        Self { broker, meter, subscriber, state: TempDir::new().unwrap() }
    }

    fn start(&self) -> Program {
        let yaml = format!(
            "mqtt: {{ host: 127.0.0.1, port: {}, retain: yes }}\n\
             kamstrup: {{ poll_interval: 0.02, parameters: 'energy,volume,temp1' }}\n\
             web: {{ enabled: yes, listen: '127.0.0.1:0' }}\n\
             meters: [ {{ name: house, com_port: '{}' }} ]\n",
            self.broker.port(),
            self.meter.com_port
        );
        let state = self.state.path().to_str().unwrap();
        Program::start_by(&yaml, &[("STATE_DIRECTORY", state), ("WEB_ENABLED", "yes")])
    }

    /// The serial number of the device in Home Assistant, and the poll as one object.
    async fn expect(&mut self, serial: u32, energy: &str) {
        let serial = serial.to_string();
        let fits = |all: &[Arrived]| {
            let last = |topic: &str| {
                let found = all.iter().rfind(|arrived| arrived.topic == topic);
                found.and_then(|arrived| serde_json::from_str::<Value>(&arrived.payload).ok())
            };
            let entity = last("homeassistant/sensor/kamstrup_house_energy/config");
            let reading = last("kamstrup/house/reading");
            let is_device = entity.is_some_and(|it| it["device"]["serial_number"] == *serial);
            let is_reading = reading.is_some_and(|it| {
                let value = it["values"]["energy"]["value"].to_string();
                it["serial_number"] == *serial && value == energy
            });
            is_device && is_reading
        };
        self.subscriber.until("device and reading", fits).await;
    }

    /// No message had the values of one meter with the serial number of the other, and each has its
    /// own history.
    fn is_filed(&self) {
        for arrived in self.subscriber.all() {
            if arrived.topic == "kamstrup/house/reading" {
                let reading: Value = serde_json::from_str(&arrived.payload).unwrap();
                let energy = reading["values"]["energy"]["value"].to_string();
                let serial = if energy == "12" { NEW } else { OLD };
                assert_eq!(reading["serial_number"], serial.to_string(), "{reading}");
            }
        }
        let file = self.state.path().join("history.db");
        let now = "2026-11-24T00:00:00+00:00[UTC]".parse().unwrap();
        let history = History::start(Some(file), &now);
        let all = (Timestamp::MIN, Timestamp::MAX);
        for (serial, energy) in [(OLD, 28_316), (NEW, 12)] {
            let key = MeterKey::new("house", Some(serial));
            let points =
                history.reader().snapshot().unwrap().readings(&key, "energy", all).unwrap();
            assert!(!points.is_empty(), "{serial}");
            assert!(points.iter().all(|point| point.value == Decimal::from(energy)), "{points:?}");
        }
        history.close();
    }
}

/// Its line in the log, without time and level.
fn message(line: &str) -> &str {
    line.split_once("WARN").unwrap().1.trim()
}

#[tokio::test]
async fn the_meter_is_exchanged_while_the_program_runs() {
    let mut house = House::new().await;
    let mut program = house.start();
    let page = page::address(&mut program).await;
    house.expect(OLD, "28316").await;
    house.meter.registers.send_replace(new());
    let line = program.says("was exchanged").await;
    assert_eq!(
        message(&line),
        "house: The meter was exchanged: serial number 6131453 (last `energy` 28316 kWh, `volume` 543.21 \
         m³) is gone, and 80713078 (`energy` 12 kWh, `volume` 0.31 m³) answers. From now on readings \
         belong to 80713078."
    );
    house.expect(NEW, "12").await;
    let state = page::state(page).await;
    assert_eq!(state["meters"][0]["serial_number"], "80713078", "{state}");
    // And back again, as with two meters on one port.
    house.meter.registers.send_replace(old());
    house.expect(OLD, "28316").await;
    program.terminate().await;
    assert_eq!(program.ended().await.code(), Some(0));
    assert_eq!(program.count("was exchanged"), 2, "{:?}", program.log());
    house.is_filed();
}

#[tokio::test]
async fn the_meter_is_exchanged_while_the_program_does_not_run() {
    let mut house = House::new().await;
    let mut program = house.start();
    house.expect(OLD, "28316").await;
    program.terminate().await;
    assert_eq!(program.ended().await.code(), Some(0));
    house.meter.registers.send_replace(new());
    let mut program = house.start();
    let line = program.says("was exchanged").await;
    assert_eq!(
        message(&line),
        "The meter `house` was exchanged since its last reading: serial number 6131453 (last \
         `energy` 28316 kWh, `volume` 543.21 m³) no longer answers, 80713078 (`energy` 12 kWh, \
         `volume` 0.31 m³) does. New readings are stored for 80713078."
    );
    house.expect(NEW, "12").await;
    program.terminate().await;
    assert_eq!(program.ended().await.code(), Some(0));
    house.is_filed();
}
