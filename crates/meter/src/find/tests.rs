use std::cell::Cell;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use kmp::message::SerialNumber;
use simulator::{Behaviour, EnergyUnit, Registers, Simulator};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_serial::{SerialPort, SerialStream};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::transport::{OpenError, PortQueues};

/// A machine with made-up devices: its `/sys`, `/dev` and `/proc`.
struct Machine {
    folder: TempDir,
}

/// A USB stick: its terminal, its ids, its names, and its name in `/dev/serial/by-id`.
type Stick = (&'static str, u16, u16, &'static str, &'static str, &'static str);

impl Machine {
    fn with(sticks: &[Stick]) -> Self {
        let machine = Self { folder: TempDir::new().unwrap() };
        for (index, stick) in sticks.iter().enumerate() {
            machine.plug_in(index, stick);
        }
        machine
    }

    fn root(&self) -> PathBuf {
        self.folder.path().canonicalize().unwrap()
    }

    fn make(&self, folder: &str) -> PathBuf {
        let folder = self.root().join(folder);
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    fn plug_in(&self, index: usize, (tty, vendor, product, maker, name, by_id): &Stick) {
        let usb = self.make(&format!("sys/devices/pci/usb1/1-{index}"));
        let write =
            |file: &str, text: &str| fs::write(usb.join(file), format!("{text}\n")).unwrap();
        write("idVendor", &format!("{vendor:04x}"));
        write("idProduct", &format!("{product:04x}"));
        if !maker.is_empty() {
            write("manufacturer", maker);
        }
        if !name.is_empty() {
            write("product", name);
        }
        let bus = self.make("sys/bus/usb-serial");
        let port = self.make(&format!("sys/devices/pci/usb1/1-{index}/1-{index}:1.0/{tty}"));
        symlink(bus, port.join("subsystem")).unwrap();
        let class = self.make(&format!("sys/class/tty/{tty}"));
        symlink(port, class.join("device")).unwrap();
        let device = self.make("dev").join(tty);
        fs::write(&device, "").unwrap();
        if !by_id.is_empty() {
            symlink(device, self.make("dev/serial/by-id").join(by_id)).unwrap();
        }
    }

    fn device(&self, tty: &str) -> PathBuf {
        self.root().join("dev").join(tty)
    }
}

#[rustfmt::skip]
const STICKS: &[Stick] = &[
    ("ttyUSB0", 0x10C4, 0xEA60, "Silicon Labs", "CP2102 USB to UART Bridge Controller", "usb-Silicon_Labs_CP2102_USB_to_UART_Bridge_Controller_0001-if00-port0"),
    ("ttyUSB1", 0x1A86, 0x7523, "", "USB Serial", "usb-1a86_USB_Serial-if00-port0"),
    ("ttyUSB2", 0x0403, 0x6001, "FTDI", "FT232R USB UART", "usb-FTDI_FT232R_USB_UART_A1-if00-port0"),
    ("ttyUSB3", 0x17A8, 0x0001, "Silicon Labs", "Kamstrup Optical Eye/3-wire", ""),
    ("ttyUSB4", 0x10C4, 0xEA60, "ITead", "Sonoff Zigbee 3.0 USB Dongle Plus", "usb-ITead_Sonoff_Zigbee_3.0_USB_Dongle_Plus_b8-if00-port0"),
    // The names of the device are lost in a virtual machine, but not the link.
    ("ttyUSB5", 0x10C4, 0xEA60, "", "", "usb-SMLIGHT_SMLIGHT_SLZB-07_be-if00-port0"),
    ("ttyUSB6", 0x10C4, 0xEA60, "SONOFF", "SONOFF Dongle Max MG24", ""),
    ("ttyUSB7", 0x10C4, 0xEA60, "Nabu Casa", "SkyConnect v1.0", ""),
    ("ttyUSB8", 0x10C4, 0x8A2A, "Silicon Labs", "HubZ Smart Home Controller", ""),
    ("ttyUSB9", 0x12D1, 0x1506, "HUAWEI", "HUAWEI Mobile", ""),
    ("ttyACM0", 0x1CF1, 0x0030, "dresden elektronik ingenieurtechnik GmbH", "ConBee II", ""),
    ("ttyACM1", 0x0658, 0x0200, "", "", ""),
    ("ttyACM2", 0x303A, 0x4001, "Nabu Casa", "Nabu Casa ZWA-2", ""),
    ("ttyACM3", 0x1546, 0x01A7, "u-blox AG - www.u-blox.com", "u-blox 7 - GPS/GNSS Receiver", ""),
    ("ttyACM4", 0x0572, 0x1340, "Conexant", "USB Modem", ""),
    // Its ids are those of a development board.
    ("ttyACM5", 0x303A, 0x4001, "Espressif", "Optical head\u{1b}[31m", ""),
];

#[test]
fn sticks_that_are_certainly_something_else_are_left_out() {
    let machine = Machine::with(STICKS);
    let mut seen = String::new();
    for Candidate { port, usb, plan } in candidates(&machine.root(), &[]).unwrap() {
        let name = port.path.file_name().unwrap().to_str().unwrap();
        let plan = match plan {
            Plan::Ask => "asked".to_owned(),
            Plan::LeaveOut(reason) => format!("left out: {reason}"),
        };
        writeln!(seen, "{name}  {}: {plan}", usb.unwrap()).unwrap();
    }
    insta::assert_snapshot!(seen);
}

#[test]
fn a_port_of_a_meter_and_one_in_use_are_left_out_even_if_they_are_named() {
    let machine = Machine::with(STICKS);
    let link = machine.root().join("dev/serial/by-id").join(STICKS[0].5);
    let configured = [ConfiguredPort { path: link, meter: "house".to_owned() }];
    let held = machine.make("proc/12/fd").join("7");
    symlink(machine.device("ttyUSB1"), held).unwrap();
    let named = ["ttyUSB0", "ttyUSB1", "ttyUSB2", "ttyUSB4"].map(|tty| machine.device(tty));
    let of_meter = Plan::LeaveOut(Reason::Configured { meter: "house".to_owned() });
    let in_use = Plan::LeaveOut(Reason::InUse);
    let plans = |found: Vec<Candidate>| {
        let plans: Vec<_> = found.iter().map(|one| one.askable().is_some()).collect();
        assert!(found.iter().zip(plans).all(|(one, asked)| (one.plan == Plan::Ask) == asked));
        found.into_iter().map(|one| one.plan).collect::<Vec<_>>()
    };
    let found = named_candidates(&machine.root(), named.to_vec(), &configured).unwrap();
    assert_eq!(plans(found), [of_meter.clone(), in_use.clone(), Plan::Ask, Plan::Ask]);
    let found = candidates(&machine.root(), &configured).unwrap();
    let usb = found.into_iter().skip(6).take(5).collect();
    let zigbee = Plan::LeaveOut(Reason::KnownAs(Kind::Zigbee));
    assert_eq!(plans(usb), [of_meter, in_use, Plan::Ask, Plan::Ask, zigbee]);
}

/// Another process that has a port open.
struct Holder(Child);

impl Holder {
    fn of(port: &Path) -> Self {
        let file = fs::OpenOptions::new().read(true).write(true).open(port).unwrap();
        let mut command = Command::new("sleep");
        command.arg("600").stdin(file).stdout(Stdio::null());
        Self(command.spawn().unwrap())
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// What is found at these ports, which are named by a user. The devices answer in real time. If
/// this thread was stopped for long, an answer was late, so the search is repeated.
async fn found(ports: &[&Path]) -> Vec<Found> {
    const STALL: Duration = Duration::from_millis(100);
    let mut attempts = 0;
    loop {
        attempts += 1;
        let longest = Cell::new(Duration::ZERO);
        let found = tokio::select! {
            found = found_once(ports) => found,
            () = note_stalls(&longest) => unreachable!(),
        };
        if longest.get() < STALL || attempts == 5 {
            return found;
        }
    }
}

/// Notes the longest time in which this thread did nothing, forever.
async fn note_stalls(longest: &Cell<Duration>) {
    let tick = Duration::from_millis(5);
    loop {
        let begun = Instant::now();
        tokio::time::sleep(tick).await;
        longest.set(longest.get().max(begun.elapsed()));
    }
}

async fn found_once(ports: &[&Path]) -> Vec<Found> {
    let paths = ports.iter().map(|path| path.to_path_buf()).collect();
    let named = named_candidates(Path::new("/"), paths, &[]).unwrap();
    let askable: Vec<_> = named.iter().filter_map(Candidate::askable).collect();
    let mut told = Vec::new();
    let stop = CancellationToken::new();
    let all = search(&askable, &PortQueues::default(), &stop, |step| match step {
        Step::Asking(port) => told.push(port.path.clone()),
        Step::Asked(searched) => assert_eq!(Some(&searched.port.path), told.last()),
    })
    .await;
    assert_eq!(told, askable.iter().map(|one| one.port().path.clone()).collect::<Vec<_>>());
    all.into_iter().map(|searched| searched.found).collect()
}

/// The other side of a port, which answers as this function says: to all that was received so far,
/// at this speed.
fn device(
    answer: impl Fn(&[u8], u32) -> Option<Vec<u8>> + Send + 'static,
) -> (PathBuf, JoinSet<()>) {
    let (path, mut pty) = Simulator::open_pty().unwrap();
    let mut serving = JoinSet::new();
    serving.spawn(async move {
        let (mut received, mut buffer) = (Vec::new(), [0; 64]);
        loop {
            // Reading fails while nobody has the other end open.
            if let Ok(Ok(count)) =
                tokio::time::timeout(Duration::from_millis(20), pty.read(&mut buffer)).await
            {
                received.extend_from_slice(&buffer[..count]);
            } else {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            let speed = pty.baud_rate().unwrap();
            if !received.is_empty()
                && let Some(bytes) = answer(&received, speed)
            {
                let _ = pty.write_all(&bytes).await;
                received.clear();
            }
        }
    });
    (path, serving)
}

/// The answer to `GetSerialNo`: 12345678.
const SERIAL: [u8; 10] = [0x40, 0x3F, 0x02, 0x00, 0xBC, 0x61, 0x4E, 0xB4, 0x83, 0x0D];

#[tokio::test]
async fn a_meter_is_named_with_its_model() {
    let (path, pty) = Simulator::open_pty().unwrap();
    let (_sender, registers) = watch::channel(Registers::example(EnergyUnit::KilowattHour, 0));
    let mut serving = JoinSet::new();
    serving
        .spawn(async move { Simulator::new(registers, Behaviour::default()).serve_pty(pty).await });
    let [Found::Meter { model, serial_number }] = &found(&[&path]).await[..] else { panic!() };
    assert!(model.starts_with("Multical "), "{model}");
    assert_ne!(serial_number.number(), 0);
}

#[tokio::test]
async fn a_meter_at_another_speed_is_told_apart() {
    let (path, _serving) = device(|received, speed| {
        (received.ends_with(&[0x0D]) && speed == 2400).then(|| SERIAL.to_vec())
    });
    let expected =
        Found::OtherBaudRate { baud: 2400, serial_number: SerialNumber::new(12_345_678) };
    assert_eq!(found(&[&path]).await, [expected]);
}

#[tokio::test]
async fn a_meter_of_the_older_language_is_told_apart() {
    let (path, _serving) = device(|received, speed| {
        // Its echo arrives at the speed of the request.
        let text = b"/#1 0018433 0040281 0045987 0005432 0003456 0001976 0000000\r\n";
        (received.ends_with(b"/#1") && speed == 1200).then(|| text.to_vec())
    });
    assert_eq!(found(&[&path]).await, [Found::OlderLanguage]);
}

#[tokio::test]
async fn a_head_without_a_meter_only_echoes() {
    let (path, _serving) = device(|received, _| Some(received.to_vec()));
    assert_eq!(found(&[&path]).await, [Found::EchoOnly]);
}

#[tokio::test]
async fn silence_noise_and_a_port_in_use_are_told_apart() {
    let (silent, _silence) = device(|_, _| None);
    let (noisy, _noise) = device(|_, _| Some(vec![0xF8, 0x00, 0x78, 0x40, 0xF8]));
    let (held, mut far) = Simulator::open_pty().unwrap();
    let _holder = Holder::of(&held);
    let (closed, gone) = Simulator::open_pty().unwrap();
    drop(gone);
    let found = found(&[&silent, &noisy, &held, &closed]).await;
    assert_eq!(found, [Found::Silence, Found::Noise, Found::CannotOpen(OpenError::Missing)]);
    // Nothing was written to the port in use.
    let nothing = tokio::time::timeout(Duration::from_millis(50), far.read(&mut [0; 8])).await;
    assert!(nothing.is_err(), "{nothing:?}");
}

/// Another program may have opened a port since it was listed.
#[tokio::test]
async fn a_port_that_another_program_locks_is_reported() {
    let (_master, mut slave) = SerialStream::pair().unwrap();
    let path = slave.name().unwrap();
    slave.set_exclusive(true).unwrap();
    assert_eq!(found(&[Path::new(&path)]).await, [Found::CannotOpen(OpenError::Busy)]);
}

#[tokio::test]
async fn a_search_waits_for_a_poll_and_can_be_stopped() {
    let (path, _serving) = device(|_, _| None);
    let named = named_candidates(Path::new("/"), vec![path], &[]).unwrap();
    let askable: Vec<_> = named.iter().filter_map(Candidate::askable).collect();
    let (queues, stop) = (PortQueues::default(), CancellationToken::new());
    let polled =
        queues.share(search::at(askable[0].port(), crate::transport::SerialSettings::default()));
    let poll = crate::transport::Open::acquire(&polled).await;
    let asked = Cell::new(0);
    let searching = search(&askable, &queues, &stop, |_| asked.set(asked.get() + 1));
    let mut searching = std::pin::pin!(searching);
    assert!(tokio::time::timeout(Duration::from_millis(100), &mut searching).await.is_err());
    drop(poll);
    assert!(tokio::time::timeout(Duration::from_millis(300), &mut searching).await.is_err());
    stop.cancel();
    assert_eq!(searching.await, []);
    assert_eq!(asked.get(), 1);
}
