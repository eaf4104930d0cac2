//! Each simulated meter, read by the real client. The values are exactly those that it holds, and
//! each value that it lacks is reported as missing, with the right reason.

#![expect(clippy::unwrap_used, reason = "a test ends with a panic")]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use kmp::line::Line;
use kmp::message::{GetSerialNo, GetType};
use kmp::register::{Kind, REGISTERS, RegisterId};
use kmp::unit::Unit;
use kmp::value::RegisterValue;
use meter::RunsAs;
use meter::client::{LineState, Meter, Tries};
use meter::identity::Version;
use meter::poll::{self, MeterHandle, Plan, PollResult, Schedule};
use meter::reading::{Missing, Reading};
use meter::transport::{Open, OpenError, Stream};
use simulator::{Behaviour, EnergyUnit, Faults, Model, Registers, Simulator};
use tokio::io::{DuplexStream, duplex};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

const LINE: Line = Line::new(1200);

/// As with `kamstrup2mqtt simulate --model`.
fn registers(model: Model, minutes: u32) -> Registers {
    let energy = model.energy_unit().unwrap_or(EnergyUnit::KilowattHour);
    Registers::model(model, energy, minutes)
}

struct Port {
    connections: mpsc::UnboundedSender<DuplexStream>,
}

impl Open for Port {
    async fn open(&self) -> Result<Box<dyn Stream>, OpenError> {
        let (near, far) = duplex(1024);
        self.connections.send(far).map_err(|_| OpenError::Refused)?;
        Ok(Box::new(near))
    }
}

/// A meter on a 1200 baud line that is polled every five minutes for these registers.
struct Polled {
    registers: watch::Sender<Registers>,
    results: mpsc::Receiver<Box<PollResult>>,
    _tasks: JoinSet<()>,
}

impl Polled {
    fn start(model: Model, minutes: u32, wanted: Vec<RegisterId>) -> Self {
        Self::start_with(model, registers(model, minutes), wanted, None)
    }

    fn start_with(
        model: Model,
        registers: Registers,
        wanted: Vec<RegisterId>,
        faults: Option<Faults>,
    ) -> Self {
        let (registers, held) = watch::channel(registers);
        let turnaround = Duration::from_millis(50);
        let behaviour = Behaviour { line: Some(LINE), turnaround, echo: model.echoes() };
        let mut meter = Simulator::new(held, behaviour);
        if let Some(faults) = faults {
            meter = meter.with_faults(faults);
        }
        let (connections, accepted) = mpsc::unbounded_channel();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move { meter.serve_each(accepted).await });
        let plan = Plan {
            port: Port { connections },
            port_name: "duplex".to_owned(),
            line: LINE,
            registers: wanted,
            together: Vec::new(),
            optional: Vec::new(),
            version: Version::Auto,
            interval: Duration::from_secs(300),
            slow_interval: None,
            runs_as: RunsAs::Program,
        };
        let (sender, results) = mpsc::channel(1);
        tasks.spawn(poll::run(
            plan,
            midnight(),
            sender,
            MeterHandle::default(),
            CancellationToken::new(),
        ));
        Self { registers, results, _tasks: tasks }
    }

    async fn next(&mut self) -> PollResult {
        *self.results.recv().await.unwrap()
    }
}

/// Every register with a name, and every register of the meter.
fn all(model: Model) -> Vec<RegisterId> {
    let named = REGISTERS.iter().map(|register| register.id);
    let all: BTreeSet<_> = named.chain(registers(model, 0).values.into_keys()).collect();
    all.into_iter().collect()
}

fn shown(readings: &BTreeMap<RegisterId, Reading>) -> String {
    let line = |reading: &Reading| {
        let name = reading.register.info().map_or("?", |info| info.key);
        let unit = reading.unit.symbol().unwrap_or("-");
        format!(
            "{:>4} {name:<17} {:>20}  {unit} [{}]",
            reading.register.get(),
            reading.value.to_string(),
            reading.length
        )
    };
    readings.values().map(line).collect::<Vec<_>>().join("\n")
}

fn by_register(result: &PollResult) -> BTreeMap<RegisterId, Reading> {
    let readings = result.readings.iter();
    let by_register: BTreeMap<_, _> =
        readings.map(|reading| (reading.register, reading.clone())).collect();
    assert_eq!(by_register.len(), result.readings.len(), "none comes twice");
    by_register
}

/// What is to be read: everything that the meter holds, except what its own info code reports as
/// broken.
fn held(registers: &Registers) -> BTreeMap<RegisterId, Reading> {
    let values = registers.values.iter().filter(|(id, _)| !broken(registers).contains(id));
    values.map(|(id, value)| (*id, Reading::try_from(value).unwrap())).collect()
}

/// The simulated 603 reports this about t3.
fn broken(registers: &Registers) -> &'static [RegisterId] {
    const INFO_BITS: RegisterId = RegisterId::new(369);
    const T3: [RegisterId; 1] = [RegisterId::new(88)];
    if registers.values.contains_key(&INFO_BITS) { &T3 } else { &[] }
}

/// The bytes alone: a value that wraps is published with the digits that it lacks.
fn bytes(readings: &BTreeMap<RegisterId, Reading>) -> BTreeMap<RegisterId, Vec<u8>> {
    readings.iter().map(|(id, reading)| (*id, reading.raw.clone())).collect()
}

/// The values that are published as the meter sends them.
fn as_given(readings: &BTreeMap<RegisterId, Reading>) -> BTreeMap<RegisterId, Reading> {
    let wraps = |id: &RegisterId| id.info().is_some_and(|info| info.kind == Kind::WrappingCounter);
    readings.iter().filter(|(id, _)| !wraps(id)).map(|(id, r)| (*id, r.clone())).collect()
}

async fn is_read_in_full(model: Model) -> String {
    let wanted = all(model);
    let mut polled = Polled::start(model, 0, wanted.clone());
    let first = polled.next().await;
    let before = registers(model, 0);
    let readings = by_register(&first);
    assert_eq!(shown(&as_given(&readings)), shown(&as_given(&held(&before))));
    assert_eq!(as_given(&readings), as_given(&held(&before)));
    assert_eq!(bytes(&readings), bytes(&held(&before)));
    let expected: BTreeMap<RegisterId, Missing> = wanted
        .iter()
        .filter(|id| !before.values.contains_key(*id))
        .map(|id| {
            let silences = before.silencing.contains(id);
            (*id, if silences { Missing::Silences } else { Missing::Omitted })
        })
        .chain(broken(&before).iter().map(|id| {
            let fault = "a fault (third temperature sensor t3, on an 803 also t4, above its range, or disconnected)";
            (*id, Missing::Fault(fault.to_owned()))
        }))
        .collect();
    assert_eq!(first.missing.iter().cloned().collect::<BTreeMap<_, _>>(), expected);

    // A missing register is requested again, together with others that the meter has, until it is
    // certain.
    let certain = |(id, why): (&RegisterId, &Missing)| {
        (*id, if *why == Missing::Omitted { Missing::LeftOut } else { why.clone() })
    };
    let expected: BTreeMap<_, _> = expected.iter().map(certain).collect();
    let mut missing = BTreeMap::new();
    for _ in 0..40 {
        missing = polled.next().await.missing.into_iter().collect();
        if missing == expected {
            break;
        }
    }
    assert_eq!(missing, expected);

    // Now the values are different, and missing registers are not requested.
    let after = registers(model, 5);
    assert_ne!(held(&after), readings);
    polled.registers.send_replace(after.clone());
    let second = polled.next().await;
    assert_eq!(bytes(&by_register(&second)), bytes(&held(&after)));
    assert_eq!(second.missing.len(), expected.len());

    let silencing: Vec<_> = before.silencing.iter().map(ToString::to_string).collect();
    let identity = &second.identity;
    let serial = identity.serial.unwrap();
    let condition = second.condition.map(|condition| condition.to_string()).unwrap_or_default();
    format!(
        "{}\nfalls silent: {}\n{}, serial number {serial}; {condition}",
        shown(&readings),
        silencing.join(" "),
        identity.model_words()
    )
}

#[tokio::test(start_paused = true)]
async fn the_generic_meter_is_read_in_full() {
    let read = is_read_in_full(Model::Generic).await;
    assert_eq!(read.lines().count(), 32 + 2);
}

#[tokio::test(start_paused = true)]
async fn a_402_is_read_in_full() {
    insta::assert_snapshot!(is_read_in_full(Model::Multical402).await);
}

#[tokio::test(start_paused = true)]
async fn a_403_is_read_in_full_but_what_silences_it() {
    insta::assert_snapshot!(is_read_in_full(Model::Multical403).await);
}

#[tokio::test(start_paused = true)]
async fn a_603_is_read_in_full() {
    insta::assert_snapshot!(is_read_in_full(Model::Multical603).await);
}

#[tokio::test(start_paused = true)]
async fn a_21_is_read_in_full_behind_its_echo() {
    insta::assert_snapshot!(is_read_in_full(Model::Multical21).await);
}

#[tokio::test(start_paused = true)]
async fn the_total_continues_when_the_high_resolution_energy_of_a_403_restarts() {
    let (energy, high_resolution) = (RegisterId::new(60), RegisterId::new(266));
    let model = Model::Multical403;
    let mut polled = Polled::start(model, 75_250, vec![energy, high_resolution]);
    for (minutes, expected) in [
        (75_250, ["89.999 MWh", "89999362 Wh"]),
        (75_255, ["89.999 MWh", "89999897 Wh"]),
        (75_260, ["90.000 MWh", "90000432 Wh"]),
        (75_265, ["90.000 MWh", "90000967 Wh"]),
    ] {
        polled.registers.send_replace(registers(model, minutes));
        let result = polled.next().await;
        let readings = by_register(&result);
        let shown = [energy, high_resolution].map(|id| {
            readings.get(&id).map(|reading| format!("{} {}", reading.value, reading.unit))
        });
        assert_eq!(shown, expected.map(|text| Some(text.to_owned())), "{minutes}");
    }
}

/// The unit of the meter changes only the energy, and only its unit.
#[test]
fn energy_has_the_unit_of_the_meter() {
    let energy = RegisterId::new(60);
    let shown = |unit| {
        let registers = Registers::model(Model::Multical402, unit, 0);
        let value = registers.values.get(&energy).unwrap();
        format!("{} {}", value.value().unwrap(), value.unit)
    };
    assert_eq!(shown(EnergyUnit::KilowattHour), "81947 kWh");
    assert_eq!(shown(EnergyUnit::MegawattHour), "81.947 MWh");
    assert_eq!(shown(EnergyUnit::Gigajoule), "295.01 GJ");
}

#[tokio::test(start_paused = true)]
async fn every_model_identifies_itself() {
    let mut seen = BTreeSet::new();
    for model in Model::ALL {
        let registers = registers(model, 0);
        let behaviour = Behaviour { echo: model.echoes(), ..Behaviour::default() };
        let meter = Simulator::new(watch::channel(registers.clone()).1, behaviour);
        let (near, far) = duplex(1024);
        tokio::spawn(async move { meter.serve(far).await });
        let stop = CancellationToken::new();
        let mut client = Meter::new(near, LINE, LineState::default());
        let meter_type = client.request(&GetType, Tries::One, &stop).await.unwrap();
        let serial = client.request(&GetSerialNo, Tries::One, &stop).await.unwrap();
        assert_eq!((meter_type, serial), (registers.meter_type, registers.serial), "{model:?}");
        assert!(seen.insert(meter_type.code), "{model:?}");
        // The registers agree with this.
        let number = |id| registers.values.get(&RegisterId::new(id)).map(RegisterValue::value);
        if let Some(number) = number(1001) {
            assert_eq!(number.unwrap().to_string(), serial.to_string(), "{model:?}");
        }
        if let Some(number) = number(1005) {
            let expected = u32::from_be_bytes(meter_type.emit()).to_string();
            assert_eq!(number.unwrap().to_string(), expected, "{model:?}");
        }
    }
}

/// Lengths and units that are typical of a model.
#[test]
fn models_differ_like_the_real_meters() {
    let lengths = |model| -> BTreeSet<usize> {
        registers(model, 0).values.values().map(|value| value.mantissa().len()).collect()
    };
    assert_eq!(lengths(Model::Multical402), BTreeSet::from([2, 4]));
    assert_eq!(lengths(Model::Multical403), BTreeSet::from([1, 2, 4]));
    assert_eq!(lengths(Model::Multical603), BTreeSet::from([2, 4, 7, 12]));
    assert_eq!(lengths(Model::Multical21), BTreeSet::from([1, 2, 4]));
    let unit = |model, id| registers(model, 0).values.get(&RegisterId::new(id)).unwrap().unit;
    assert_eq!(unit(Model::Multical603, 348), Unit::DATE_TIME);
    assert_eq!(unit(Model::Multical603, 347), Unit::ASCII);
    assert_eq!(unit(Model::Multical21, 1004), Unit::NUMBER);
}

/// Whatever happens on the line, a value is right or missing.
#[tokio::test(start_paused = true)]
async fn every_model_is_read_through_faults() {
    for (seed, model) in (1..).zip(Model::ALL) {
        let registers = registers(model, 0);
        let rates = ["all=5%".parse().unwrap()];
        let faults = Faults::from_rates(seed, &rates);
        let wanted: Vec<_> = registers.values.keys().copied().collect();
        let held = held(&registers);
        let mut polled = Polled::start_with(model, registers, wanted, faults);
        let mut read = BTreeSet::new();
        for _ in 0..20 {
            for (id, reading) in by_register(&polled.next().await) {
                let right = held.get(&id).unwrap();
                assert_eq!(reading.raw, right.raw, "{model:?}");
                // Except totals, which agree with E1 in their own way.
                assert!(reading.is_total || reading == *right, "{model:?}");
                read.insert(id);
            }
        }
        assert_eq!(read.len(), held.len(), "{model:?}: each is read some time");
    }
}

/// The time at which a test begins, so that polls fall on multiples of the interval from then on.
fn midnight() -> Schedule {
    Schedule::from(&"2026-11-24T00:00:00+00:00[UTC]".parse().unwrap())
}
