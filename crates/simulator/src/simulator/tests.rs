use std::time::Duration;

use kmp::datalink;
use kmp::frame::{Decoder, Event};
use kmp::line::Line;
use kmp::message::{Command, GetSerialNo, GetType, Request};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep};

use super::wire::Parcel;
use super::{Behaviour, Simulator};
use crate::faults::{FaultRate, Faults};
use crate::registers::{EnergyUnit, Registers};

fn bytes(hex: &str) -> Vec<u8> {
    let pairs = hex.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
    pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
}

fn body(frame: &[u8]) -> Vec<u8> {
    let mut decoder = Decoder::new();
    let events = frame.iter().find_map(|&byte| decoder.push(byte));
    let Some(Event::Frame { body, .. }) = events else { panic!("no frame") };
    body
}

fn simulator(registers: Registers) -> Simulator {
    Simulator::new(watch::channel(registers).1, Behaviour::default())
}

/// A meter with the registers of a captured answer gives exactly that answer.
#[test]
fn answers_are_those_of_real_meters() {
    let pairs = [
        // A MULTICAL 403 (gemu2015/Sonoff-Tasmota issue 38).
        ("803F1001003CB25F0D", "403F10003C0304430000D6DE03220D"),
        ("803F1001004AAC0E0D", "403F10004A2902000000F0500D"),
        (
            "803F1003004A003C007BA19E0D",
            "403F10004A2902000005003C0304430000D960007B30040000035BD008A80D",
        ),
        // With an escaped 0x0D.
        (
            "803F1003004A0044007BD0370D",
            "403F10004A290200000500442804420002ED1BF2007B30040000035BD07AC40D",
        ),
        // A water meter (Google Groups sonoffusers, thread aYmxherLsOU).
        (
            "803F1007004403EC0063004A00F30124012BE2C30D",
            "403F100044280443000CAFAB03EC3304000000D66800633302000000004A290200000000F3\
             28044300000000012425010014012B25010015912B0D",
        ),
        // A MULTICAL 21 (bsdphk/PyKamstrup pull 6), and a 602 (cenobitedk/esphome_multical402
        // issue 5).
        ("803F1001006319450D", "403F1000633302000000CF4E0D"),
        ("803F1001009B77520D", "403F10009B01044100296231A0EC0D"),
    ];
    for (request, answer) in pairs {
        let (request, answer) = (bytes(request), bytes(&answer.replace(' ', "")));
        let request = body(&request);
        let Ok(Request::GetRegister(command)) = Request::parse(datalink::parse(&request).unwrap())
        else {
            panic!("{request:?}")
        };
        let answered = body(&answer);
        let packet = datalink::parse(&answered).unwrap();
        let mut registers = Registers::empty();
        for value in command.parse_answer(packet.data).unwrap() {
            registers.insert(value);
        }
        assert_eq!(simulator(registers).answer(&request), Some(answer));
    }
}

#[test]
fn type_and_serial_number_are_answered() {
    // As in 5512-447 M1 p.15-17, with other numbers. The answers are from the tests of a public Go
    // program.
    let meter = simulator(Registers::empty());
    let answer = |request: &str| meter.answer(&body(&bytes(request))).unwrap();
    assert_eq!(answer("803F01058A0D"), bytes("403F010217010278360D"));
    assert_eq!(answer("803F0235E90D"), bytes("403F0200BC614EB4830D"));
    assert_eq!(GetType.max_answer_data(), GetSerialNo.max_answer_data());
}

#[test]
fn invalid_requests_are_not_answered() {
    let meter = simulator(Registers::empty());
    // Another address, another command, a wrong checksum.
    assert_eq!(meter.answer(&body(&bytes("803A01FA7F0D"))), None);
    assert_eq!(meter.answer(&body(&bytes("803F9B27790D"))), None);
    assert_eq!(meter.answer(&body(&bytes("803F01058B0D"))), None);
    // A meter that has none of the registers answers without registers (5512-447 M1 p.19).
    let nothing = bytes("403F10079A0D");
    assert_eq!(meter.answer(&body(&bytes("803F1001003CB25F0D"))), Some(nothing));
}

#[tokio::test(start_paused = true)]
async fn answers_keep_the_speed_of_the_line() {
    let registers = Registers::example(EnergyUnit::KilowattHour, 0);
    let behaviour = Behaviour {
        line: Some(Line::new(1200)),
        turnaround: Duration::from_millis(50),
        echo: true,
    };
    let meter = Simulator::new(watch::channel(registers).1, behaviour);
    let (mut near, far) = duplex(1024);
    let serving = tokio::spawn(async move { meter.serve(far).await });
    let request = bytes("803F1001003CB25F0D");
    let started = Instant::now();
    near.write_all(&request).await.unwrap();
    let mut echo = vec![0; request.len()];
    near.read_exact(&mut echo).await.unwrap();
    assert_eq!(echo, request);
    // 81947 is 0x0001401B, with two bytes that must be escaped.
    let mut answer = [0; 17];
    near.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer.last(), Some(&0x0D));
    let expected = Line::new(1200).time_for(9 + 17) + Duration::from_millis(50);
    assert!(started.elapsed().abs_diff(expected) <= Duration::from_millis(5));
    drop(near);
    serving.await.unwrap().unwrap();
}

#[test]
fn the_example_has_the_values_of_the_older_program_with_a_meaning() {
    for energy in [EnergyUnit::KilowattHour, EnergyUnit::MegawattHour, EnergyUnit::Gigajoule] {
        for minutes in [0, 1, 1_000, 100_000] {
            let registers = Registers::example(energy, minutes);
            assert_eq!(registers.values.len(), 32);
            for value in registers.values.values() {
                assert!(value.register.info().is_some() && value.value().is_ok(), "{value:?}");
            }
        }
    }
}

fn faulty(rates: &[&str], line: Option<Line>) -> Simulator {
    let rates: Vec<FaultRate> = rates.iter().map(|rate| rate.parse().unwrap()).collect();
    let registers = Registers::example(EnergyUnit::KilowattHour, 0);
    let turnaround = Duration::from_millis(50);
    let behaviour = Behaviour { line, turnaround, echo: false };
    Simulator::new(watch::channel(registers).1, behaviour)
        .with_faults(Faults::from_rates(1, &rates).unwrap())
}

/// Reads until the stream ends.
async fn rest(mut stream: DuplexStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.unwrap();
    bytes
}

const ENERGY: &str = "803F1001003CB25F0D";

#[tokio::test(start_paused = true)]
async fn faults_keep_the_speed_of_the_line() {
    let line = Line::new(1200);
    let meter = faulty(&["stall=100%", "echo=100%"], Some(line));
    let whole = [bytes(ENERGY), meter.answer(&body(&bytes(ENERGY))).unwrap()].concat();
    let (mut near, far) = duplex(1024);
    tokio::spawn(async move { meter.serve(far).await });
    let started = Instant::now();
    near.write_all(&bytes(ENERGY)).await.unwrap();
    let mut answer = vec![0; whole.len()];
    near.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, whole);
    let expected = line.time_for(9 + whole.len()) + Duration::from_millis(50 + 2_500);
    assert!(started.elapsed().abs_diff(expected) <= Duration::from_millis(5));
}

#[tokio::test(start_paused = true)]
async fn a_connection_can_end_in_the_middle_of_an_answer() {
    let meter = faulty(&["closed=100%"], Some(Line::new(1200)));
    let whole = meter.answer(&body(&bytes(ENERGY))).unwrap();
    let (connections, accepted) = mpsc::unbounded_channel();
    tokio::spawn(async move { meter.serve_each(accepted).await });
    let mut lengths = Vec::new();
    for _ in 0..20 {
        let (mut near, far) = duplex(1024);
        connections.send(far).unwrap();
        near.write_all(&bytes(ENERGY)).await.unwrap();
        let came = rest(near).await;
        assert!(whole.starts_with(&came));
        lengths.push(came.len());
    }
    assert!(lengths.iter().any(|length| (1..whole.len()).contains(length)), "{lengths:?}");
}

#[tokio::test(start_paused = true)]
async fn a_late_answer_goes_to_the_next_connection() {
    let meter = faulty(&["late=100%"], None);
    let answer = meter.answer(&body(&bytes(ENERGY))).unwrap();
    let (connections, accepted) = mpsc::unbounded_channel();
    let serving = tokio::spawn(async move { meter.serve_each(accepted).await });
    let (mut near, far) = duplex(1024);
    connections.send(far).unwrap();
    near.write_all(&bytes(ENERGY)).await.unwrap();
    tokio::time::advance(Duration::from_secs(1)).await;
    drop(near);
    let (mut near, far) = duplex(1024);
    connections.send(far).unwrap();
    let started = Instant::now();
    let mut came = vec![0; answer.len()];
    near.read_exact(&mut came).await.unwrap();
    assert_eq!(came, answer);
    assert!(started.elapsed() >= Duration::from_millis(900), "{:?}", started.elapsed());
    drop((near, connections));
    serving.await.unwrap();
}

/// Nobody receives from a serial port that nobody has open.
#[tokio::test(start_paused = true)]
async fn bytes_to_a_closed_port_are_lost() {
    let mut wire = faulty(&["late=100%"], None).wire();
    let parcel = |byte| Parcel { bytes: vec![byte], paced: true, close: false };
    let now = Instant::now();
    wire.push(now, parcel(1));
    wire.push(now + Duration::from_secs(2), parcel(2));
    wire.drop_due();
    assert_eq!(wire.pop().map(|parcel| parcel.bytes), Some(vec![2]));
    assert!(wire.pop().is_none());
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_and_requests_give_the_same_bytes() {
    async fn bytes_of_one_run() -> Vec<u8> {
        let meter = faulty(&["all=20%", "closed=0%"], None);
        let (near, far) = duplex(65_536);
        let serving = tokio::spawn(async move { meter.serve(far).await });
        let (mut from, mut to) = tokio::io::split(near);
        let reading = tokio::spawn(async move {
            let mut all = Vec::new();
            from.read_to_end(&mut all).await.unwrap();
            all
        });
        for _ in 0..50 {
            to.write_all(&bytes(ENERGY)).await.unwrap();
            sleep(Duration::from_secs(30)).await;
        }
        to.shutdown().await.unwrap();
        serving.await.unwrap().unwrap();
        reading.await.unwrap()
    }
    let (first, second) = (bytes_of_one_run().await, bytes_of_one_run().await);
    assert!(!first.is_empty());
    assert_eq!(first, second);
}
