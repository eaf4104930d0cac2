use std::ops::Range;
use std::time::Duration;

use fastrand::Rng;
use kmp::datalink::{self, Address, Cid, Packet};
use kmp::frame::Direction;
use kmp::message::GetRegister;
use kmp::register::RegisterId;
use kmp::unit::Unit;
use kmp::value::RegisterValue;
use rust_decimal::Decimal;

/// What can go wrong with an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// One to twenty bits are wrong.
    FlippedBits,
    /// A byte is missing.
    DroppedByte,
    /// A byte comes twice.
    DoubledByte,
    /// The end is missing.
    Truncated,
    /// Bytes come before it, with start and stop bytes among them.
    Noise,
    /// It does not come.
    Silence,
    /// It comes when nobody waits for it any more, maybe in the next poll.
    Late,
    /// It is to a question about another register.
    OtherRegister,
    /// It is from another address.
    OtherAddress,
    /// The request comes back first.
    Echo,
    /// It stops for a while in the middle.
    Stall,
    /// The connection ends in the middle.
    Closed,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::FlippedBits,
        Self::DroppedByte,
        Self::DoubledByte,
        Self::Truncated,
        Self::Noise,
        Self::Silence,
        Self::Late,
        Self::OtherRegister,
        Self::OtherAddress,
        Self::Echo,
        Self::Stall,
        Self::Closed,
    ];
}

/// Bytes on their way to the reader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// How long to wait before they come.
    pub wait: Duration,
    /// The bytes.
    pub bytes: Vec<u8>,
    /// Whether the connection ends after them.
    pub close: bool,
}

/// Makes faults by chance: each at its own rate, several at once where it happens so. The same seed
/// gives the same faults.
#[derive(Debug, Clone)]
pub struct Faults {
    random: Rng,
    /// How many of a thousand answers have the fault.
    rates: Vec<(Fault, u32)>,
    /// How late a late answer is.
    lateness: Range<u64>,
}

impl Faults {
    /// Each of these faults in so many of a thousand answers.
    #[must_use]
    pub fn new(seed: u64, rates: Vec<(Fault, u32)>) -> Self {
        Self { random: Rng::with_seed(seed), rates, lateness: 2_000..20_000 }
    }

    /// What comes instead of `answer` to `request`.
    pub fn distort(&mut self, request: &[u8], answer: &[u8]) -> Vec<Piece> {
        let random = &mut self.random;
        let happens: Vec<Fault> = self
            .rates
            .iter()
            .filter(|(_, rate)| random.u32(0..1000) < *rate)
            .map(|(fault, _)| *fault)
            .collect();
        let mut before = Vec::new();
        let mut bytes = answer.to_vec();
        let mut wait = Duration::ZERO;
        let mut stall = false;
        let mut close = false;
        for fault in happens {
            match fault {
                Fault::FlippedBits => {
                    for _ in 0..random.usize(1..=20) {
                        let bit = random.u32(0..8);
                        if let Some(byte) = pick(random, &mut bytes) {
                            *byte ^= 1_u8.wrapping_shl(bit);
                        }
                    }
                }
                Fault::DroppedByte if !bytes.is_empty() => {
                    bytes.remove(random.usize(0..bytes.len()));
                }
                Fault::DoubledByte if !bytes.is_empty() => {
                    let index = random.usize(0..bytes.len());
                    let byte = bytes.get(index).copied().unwrap_or_default();
                    bytes.insert(index, byte);
                }
                Fault::DroppedByte | Fault::DoubledByte => {}
                Fault::Truncated => bytes.truncate(random.usize(0..=bytes.len())),
                Fault::Noise => {
                    for _ in 0..random.usize(1..40) {
                        let known = [0x40, 0x0D, 0x80, 0x06, 0x1B, 0x00];
                        let any = random.u8(..);
                        before.push(random.choice(known).filter(|_| any & 1 == 0).unwrap_or(any));
                    }
                }
                Fault::Silence => bytes.clear(),
                Fault::Late => wait = Duration::from_millis(random.u64(self.lateness.clone())),
                Fault::OtherRegister => bytes = other_register(random),
                Fault::OtherAddress => bytes = other_address(random),
                Fault::Echo => before.extend_from_slice(request),
                Fault::Stall => stall = true,
                Fault::Closed => {
                    bytes.truncate(random.usize(0..=bytes.len()));
                    close = true;
                }
            }
        }
        before.append(&mut bytes);
        let mut rest = Vec::new();
        if stall {
            rest = before.split_off(random.usize(0..=before.len()));
        }
        vec![
            Piece { wait, bytes: before, close: false },
            Piece { wait: if stall { STALL } else { Duration::ZERO }, bytes: rest, close },
        ]
    }
}

/// Longer than any answer may take.
const STALL: Duration = Duration::from_millis(2_500);

fn pick<'a>(random: &mut Rng, bytes: &'a mut [u8]) -> Option<&'a mut u8> {
    let index = random.usize(0..bytes.len().max(1));
    bytes.get_mut(index)
}

/// A good answer to a question that was not asked.
fn other_register(random: &mut Rng) -> Vec<u8> {
    let register = RegisterId::new(random.u16(2000..3000));
    let value = Decimal::from(random.u16(..));
    let value = RegisterValue::from_decimal(register, Unit::NUMBER, value, 4);
    let values: Vec<RegisterValue> = value.into_iter().collect();
    let data = GetRegister::emit_answer(&values);
    frame(Address::HEAT_METER, Cid::GET_REGISTER, &data)
}

fn other_address(random: &mut Rng) -> Vec<u8> {
    frame(Address::LOGGER_TOP, Cid::GET_SERIAL_NO, &random.u32(..).to_be_bytes())
}

fn frame(address: Address, cid: Cid, data: &[u8]) -> Vec<u8> {
    datalink::emit(Direction::FromMeter, Packet { address, cid, data })
}
