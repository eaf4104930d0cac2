//! The time and the allocations that one frame costs, in both directions.

#![expect(clippy::expect_used, reason = "the frames are valid")]

use divan::{AllocProfiler, Bencher, black_box};
use kmp::datalink::{self, Address, Cid, Packet};
use kmp::frame::{Decoder, Direction, Event};
use kmp::message::{self, Command, GetRegister, GetSerialNo, Request};
use kmp::register::RegisterId;
use kmp::value::{RegisterValue, Value};

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

/// A captured answer of a MULTICAL with eight registers and two escaped bytes
/// (`nabovarme/MeterLogger`, `test/kamstrup_test_reply.txt`).
const EIGHT: &[u8] = &[
    0x40, 0x3F, 0x10, 0x00, 0x3C, 0x03, 0x04, 0x43, 0x00, 0x00, 0x00, 0x02, 0x00, 0x44, 0x28, 0x04,
    0x42, 0x00, 0x00, 0x00, 0x18, 0x03, 0xEC, 0x2E, 0x04, 0x00, 0x00, 0x00, 0x1B, 0xE4, 0xD6, 0x00,
    0x56, 0x25, 0x04, 0x42, 0x00, 0x00, 0x4E, 0x20, 0x00, 0x57, 0x25, 0x04, 0x42, 0x00, 0x00, 0x21,
    0xCE, 0x00, 0x59, 0x26, 0x04, 0x42, 0x00, 0x00, 0x2C, 0x52, 0x00, 0x4A, 0x29, 0x04, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x50, 0x16, 0x04, 0x41, 0x00, 0x00, 0x00, 0x00, 0xC3, 0xE8, 0x0D,
];

/// A captured answer of a MULTICAL 403 with one register (`gemu2015/Sonoff-Tasmota` issue 38).
const ONE: &[u8] =
    &[0x40, 0x3F, 0x10, 0x00, 0x3C, 0x03, 0x04, 0x43, 0x00, 0x00, 0xD6, 0xDE, 0x03, 0x22, 0x0D];

fn answer(registers: usize) -> &'static [u8] {
    if registers == 1 { ONE } else { EIGHT }
}

/// The request of the answer with this number of registers.
fn command(registers: usize) -> GetRegister {
    let ids = [60, 68, 1004, 86, 87, 89, 74, 80].map(RegisterId::new);
    GetRegister::new(ids.get(..registers).unwrap_or_default()).expect("one to eight registers")
}

fn body(bytes: &[u8]) -> Vec<u8> {
    let mut decoder = Decoder::new();
    match bytes.iter().find_map(|&byte| decoder.push(byte)) {
        Some(Event::Frame { body, .. }) => body,
        event => unreachable!("{event:?}"),
    }
}

fn parse(answer: &[u8], command: &GetRegister) -> Vec<RegisterValue> {
    let body = body(answer);
    let packet = datalink::parse(&body).expect("a valid checksum");
    command.parse_answer(packet.data).expect("the requested registers")
}

/// Bytes, frame, checksum, registers: the program does this with each answer.
#[divan::bench(args = [8, 1])]
fn answer_to_registers(bencher: Bencher<'_, '_>, registers: usize) {
    let (bytes, command) = (answer(registers), command(registers));
    bencher.bench_local(|| parse(black_box(bytes), black_box(&command)));
}

/// Decodes the registers' bytes to numbers.
#[divan::bench(args = [8, 1])]
fn registers_to_values(bencher: Bencher<'_, '_>, registers: usize) {
    let registers = parse(answer(registers), &command(registers));
    bencher.bench_local(|| {
        for register in black_box(&registers) {
            let value: Value = register.value().expect("a number");
            black_box(value);
        }
    });
}

/// A simulated meter does this.
#[divan::bench(args = [8, 1])]
fn registers_to_answer(bencher: Bencher<'_, '_>, registers: usize) {
    let registers = parse(answer(registers), &command(registers));
    bencher.bench_local(|| {
        let data = GetRegister::emit_answer(black_box(&registers));
        let packet = Packet { address: Address::HEAT_METER, cid: Cid::GET_REGISTER, data: &data };
        datalink::emit(Direction::FromMeter, packet)
    });
}

/// Encodes a command to the bytes on the line.
#[divan::bench(args = [8, 1])]
fn command_to_request(bencher: Bencher<'_, '_>, registers: usize) {
    let command = command(registers);
    bencher.bench_local(|| message::emit_request(Address::HEAT_METER, black_box(&command)));
}

#[divan::bench]
fn serial_number_to_request() -> Vec<u8> {
    message::emit_request(Address::HEAT_METER, black_box(&GetSerialNo))
}

/// Bytes, frame, checksum, command: a simulated meter does this with each request.
#[divan::bench(args = [8, 1])]
fn request_to_command(bencher: Bencher<'_, '_>, registers: usize) {
    let bytes = message::emit_request(Address::HEAT_METER, &command(registers));
    bencher.bench_local(|| {
        let body = body(black_box(&bytes));
        let packet = datalink::parse(&body).expect("a valid checksum");
        Request::parse(packet).expect("a request")
    });
}
