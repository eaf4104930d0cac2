//! Random faults in answers.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fastrand::Rng;
use kmp::datalink::{self, Address, Cid, Packet};
use kmp::frame::{Decoder, Direction, Event};
use kmp::message::GetRegister;
use kmp::register::RegisterId;
use kmp::unit::Unit;
use kmp::value::RegisterValue;
use rust_decimal::Decimal;
use thiserror::Error;
use tracing::info;

/// A fault in an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// One to twenty bits are wrong.
    FlippedBits,
    /// A byte is missing.
    DroppedByte,
    /// A byte is repeated.
    DoubledByte,
    /// The end is missing.
    Truncated,
    /// Other bytes come first, even start and stop bytes.
    Noise,
    /// The answer is not sent.
    Silence,
    /// The answer arrives 2 to 20 s late, maybe in the next poll.
    Late,
    /// The answer is for another register.
    OtherRegister,
    /// The answer is from another address.
    OtherAddress,
    /// The echo of the request comes first.
    Echo,
    /// The answer pauses for 2.5 s in the middle.
    Stall,
    /// The connection (with `--pty` the answer) ends early.
    Closed,
    /// The whole answer is sent twice.
    Doubled,
    /// A valid answer without registers is sent instead.
    Empty,
    /// 1 to 20 KiB of other bytes come first, all at once, as if a serial server had stored them.
    Flood,
    /// The answer arrives in pieces of up to four bytes, with pauses of up to 20 ms.
    Fragments,
    /// One value is wrong, but the checksum is valid.
    Forged,
}

impl Fault {
    /// All faults that a line and a serial server can cause: all except [`Self::Forged`].
    pub const ALL: [Self; 16] = [
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
        Self::Doubled,
        Self::Empty,
        Self::Flood,
        Self::Fragments,
    ];

    /// All faults, including [`Self::Forged`].
    pub fn every() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().chain([Self::Forged])
    }

    /// The name that a user writes, like `flipped-bits`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::FlippedBits => "flipped-bits",
            Self::DroppedByte => "dropped-byte",
            Self::DoubledByte => "doubled-byte",
            Self::Truncated => "truncated",
            Self::Noise => "noise",
            Self::Silence => "silence",
            Self::Late => "late",
            Self::OtherRegister => "other-register",
            Self::OtherAddress => "other-address",
            Self::Echo => "echo",
            Self::Stall => "stall",
            Self::Closed => "closed",
            Self::Doubled => "doubled",
            Self::Empty => "empty",
            Self::Flood => "flood",
            Self::Fragments => "fragments",
            Self::Forged => "forged",
        }
    }

    /// A description for a list of faults.
    #[must_use]
    pub const fn about(self) -> &'static str {
        match self {
            Self::FlippedBits => "One to twenty bits are wrong",
            Self::DroppedByte => "A byte is missing",
            Self::DoubledByte => "A byte is repeated",
            Self::Truncated => "The end is missing",
            Self::Noise => "Other bytes come first, even start and stop bytes",
            Self::Silence => "The answer is not sent",
            Self::Late => "2 to 20 s late, possibly during the next reading",
            Self::OtherRegister => "The answer is for another register",
            Self::OtherAddress => "The answer is from another address",
            Self::Echo => "The echo of the request comes first",
            Self::Stall => "The answer pauses for 2.5 s in the middle",
            Self::Closed => "The connection (with `--pty` the answer) ends early",
            Self::Doubled => "The whole answer is sent twice",
            Self::Empty => "A valid answer without registers is sent instead",
            Self::Flood => "1 to 20 KiB of other bytes come first, all at once",
            Self::Fragments => "The answer arrives in small pieces",
            Self::Forged => "One value is wrong, but the checksum is valid",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The rate of one fault or of all faults, as a user writes it: `flipped-bits=5%`, `all=0.5%`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FaultRate {
    /// `None` for all faults.
    fault: Option<Fault>,
    per_thousand: u32,
}

/// A text is not a fault with a rate.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FaultRateError {
    /// The `=` is missing.
    #[error("`{found}` has no rate; write a fault with its rate, like `noise=5%`")]
    NoRate {
        /// The text that was found.
        found: String,
    },
    /// There is no fault with this name.
    #[error("there is no fault `{found}`; use one of {}", names())]
    Name {
        /// The text that was found.
        found: String,
    },
    /// The rate is missing, is out of range, or has too many digits.
    #[error("the rate `{found}` is invalid; use `0%` to `100%` in steps of `0.1%`")]
    Rate {
        /// The text that was found.
        found: String,
    },
}

/// The name that stands for all faults.
const EACH: &str = "all";

fn names() -> String {
    let names: Vec<_> = Fault::every().map(Fault::name).collect();
    format!("{}, {EACH}", names.join(", "))
}

impl FromStr for FaultRate {
    type Err = FaultRateError;

    fn from_str(text: &str) -> Result<Self, FaultRateError> {
        let (name, rate) = text
            .split_once('=')
            .ok_or_else(|| FaultRateError::NoRate { found: text.to_owned() })?;
        let fault = match name {
            EACH => None,
            name => Some(
                Fault::every()
                    .find(|fault| fault.name() == name)
                    .ok_or_else(|| FaultRateError::Name { found: name.to_owned() })?,
            ),
        };
        let per_thousand =
            per_thousand(rate).ok_or_else(|| FaultRateError::Rate { found: rate.to_owned() })?;
        Ok(Self { fault, per_thousand })
    }
}

/// `0.5%` gives 5.
fn per_thousand(text: &str) -> Option<u32> {
    let digits = |text: &str| {
        let all = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        all.then(|| text.parse::<u32>().ok()).flatten()
    };
    let percent = text.strip_suffix('%')?;
    let (whole, tenths) = percent.split_once('.').unwrap_or((percent, "0"));
    let tenths = digits(tenths).filter(|_| tenths.len() == 1)?;
    let per_thousand = digits(whole)?.checked_mul(10)?.checked_add(tenths)?;
    (per_thousand <= 1000).then_some(per_thousand)
}

/// Bytes on their way to the reader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// The pause before them.
    pub wait: Duration,
    /// The bytes.
    pub bytes: Vec<u8>,
    /// Whether the connection is closed after them.
    pub close: bool,
}

/// Makes random faults: each at its own rate, so an answer may have several. The same seed gives
/// the same faults.
#[derive(Debug, Clone)]
pub struct Faults {
    random: Rng,
    /// Each fault with its rate in a thousand answers.
    rates: Vec<(Fault, u32)>,
    /// The delay of a late answer, in milliseconds.
    lateness: Range<u64>,
    /// How often each register was forged. Clones share the counts.
    forgeries: Arc<Mutex<BTreeMap<RegisterId, u32>>>,
}

impl Faults {
    /// Creates faults that each occur at this rate in a thousand answers.
    #[must_use]
    pub fn new(seed: u64, rates: Vec<(Fault, u32)>) -> Self {
        let forgeries = Arc::default();
        Self { random: Rng::with_seed(seed), rates, lateness: 2_000..20_000, forgeries }
    }

    /// How often this and its clones forged each register.
    #[must_use]
    pub fn forgeries(&self) -> BTreeMap<RegisterId, u32> {
        self.forgeries.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Creates the faults that a user requests. The last rate of a fault is used. `None` if all
    /// rates are 0.
    #[must_use]
    pub fn from_rates(seed: u64, wanted: &[FaultRate]) -> Option<Self> {
        let rate = |fault: &Fault| {
            let of_all = Fault::ALL.contains(fault);
            let is_meant = |rate: &&FaultRate| rate.fault.map_or(of_all, |named| named == *fault);
            wanted.iter().rev().find(is_meant).map_or(0, |rate| rate.per_thousand)
        };
        let rates = Fault::every().map(|fault| (fault, rate(&fault)));
        let rates: Vec<_> = rates.filter(|(_, rate)| *rate > 0).collect();
        (!rates.is_empty()).then(|| Self::new(seed, rates))
    }

    /// Returns what is sent instead of `answer` to `request`.
    pub fn distort(&mut self, request: &[u8], answer: &[u8]) -> Vec<Piece> {
        let random = &mut self.random;
        let happens: Vec<Fault> = self
            .rates
            .iter()
            .filter(|(_, rate)| random.u32(0..1000) < *rate)
            .map(|(fault, _)| *fault)
            .collect();
        if !happens.is_empty() {
            let names: Vec<_> = happens.iter().map(Fault::to_string).collect();
            info!("Faults in the next answer: {}.", names.join(", "));
        }
        let mut before = Vec::new();
        let mut bytes = answer.to_vec();
        let mut wait = Duration::ZERO;
        let mut stall = false;
        let mut in_fragments = false;
        let mut close = false;
        for fault in happens {
            match fault {
                Fault::FlippedBits => flip_bits(random, &mut bytes),
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
                Fault::Noise => add_noise(random, &mut before),
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
                Fault::Doubled => bytes.extend_from_within(..),
                Fault::Empty => bytes = empty(&bytes),
                Fault::Flood => {
                    let mut flood = vec![0; random.usize(1024..20 * 1024)];
                    random.fill(&mut flood);
                    before.append(&mut flood);
                }
                Fault::Fragments => in_fragments = true,
                Fault::Forged => {
                    let (answer, register) = forged(random, bytes);
                    bytes = answer;
                    let mut forgeries =
                        self.forgeries.lock().unwrap_or_else(PoisonError::into_inner);
                    if let Some(register) = register {
                        let count = forgeries.entry(register).or_default();
                        *count += 1;
                    }
                }
            }
        }
        let mut pieces = Vec::new();
        if in_fragments {
            let fragments = fragments(random, &mut bytes);
            pieces.push(Piece { wait, bytes: before, close: false });
            pieces.extend(fragments);
        } else {
            before.append(&mut bytes);
            pieces.push(Piece { wait, bytes: before, close: false });
        }
        let mut rest = Vec::new();
        if stall && let Some(last) = pieces.last_mut() {
            rest = last.bytes.split_off(random.usize(0..=last.bytes.len()));
        }
        let wait = if stall { STALL } else { Duration::ZERO };
        pieces.push(Piece { wait, bytes: rest, close });
        pieces
    }
}

fn flip_bits(random: &mut Rng, bytes: &mut [u8]) {
    for _ in 0..random.usize(1..=20) {
        let bit = random.u32(0..8);
        if let Some(byte) = pick(random, bytes) {
            *byte ^= 1 << bit;
        }
    }
}

fn add_noise(random: &mut Rng, bytes: &mut Vec<u8>) {
    for _ in 0..random.usize(1..40) {
        let known = [0x40, 0x0D, 0x80, 0x06, 0x1B, 0x00];
        let any = random.u8(..);
        bytes.push(random.choice(known).filter(|_| any & 1 == 0).unwrap_or(any));
    }
}

/// Small pieces of an answer, with pauses.
fn fragments(random: &mut Rng, bytes: &mut Vec<u8>) -> Vec<Piece> {
    let mut pieces = Vec::new();
    while !bytes.is_empty() {
        let rest = bytes.split_off(random.usize(1..=4).min(bytes.len()));
        let wait = Duration::from_millis(random.u64(0..=20));
        pieces.push(Piece { wait, bytes: std::mem::replace(bytes, rest), close: false });
    }
    pieces
}

/// A pause that is longer than any answer may take.
const STALL: Duration = Duration::from_millis(2_500);

fn pick<'a>(random: &mut Rng, bytes: &'a mut [u8]) -> Option<&'a mut u8> {
    let index = random.usize(0..bytes.len().max(1));
    bytes.get_mut(index)
}

/// A valid answer to another request.
fn other_register(random: &mut Rng) -> Vec<u8> {
    let register = RegisterId::new(random.u16(2000..3000));
    let value = Decimal::from(random.u16(..));
    let value = RegisterValue::from_decimal(register, Unit::NUMBER, value, 4);
    let values: Vec<RegisterValue> = value.into_iter().collect();
    let data = GetRegister::emit_answer(&values);
    frame(Address::HEAT_METER, Cid::GET_REGISTER, &data)
}

/// Removes the registers from an answer with registers. Other answers are unchanged.
fn empty(answer: &[u8]) -> Vec<u8> {
    match values_of(answer) {
        Some(_) => frame(Address::HEAT_METER, Cid::GET_REGISTER, &[]),
        None => answer.to_vec(),
    }
}

/// Changes the mantissa of one register of an answer. Also returns that register.
fn forged(random: &mut Rng, answer: Vec<u8>) -> (Vec<u8>, Option<RegisterId>) {
    let Some(mut values) = values_of(&answer).filter(|values| !values.is_empty()) else {
        return (answer, None);
    };
    let index = random.usize(0..values.len());
    let Some(value) = values.get_mut(index) else { return (answer, None) };
    let mut mantissa = value.mantissa().to_vec();
    // Flip one bit.
    let bit = random.u32(0..8);
    if let Some(byte) = pick(random, &mut mantissa) {
        *byte ^= 1 << bit;
    }
    let register = value.register;
    let forged = RegisterValue::new(register, value.unit, value.sign_exponent, mantissa);
    *value = forged.unwrap_or_else(|| value.clone());
    let data = GetRegister::emit_answer(&values);
    (frame(Address::HEAT_METER, Cid::GET_REGISTER, &data), Some(register))
}

/// The registers in a complete answer; `None` for an answer of another kind.
fn values_of(answer: &[u8]) -> Option<Vec<RegisterValue>> {
    let mut decoder = Decoder::new();
    let event = answer.iter().find_map(|byte| decoder.push(*byte))?;
    let Event::Frame { body, .. } = event else { return None };
    let packet = datalink::parse(&body).ok().filter(|packet| packet.cid == Cid::GET_REGISTER)?;
    let mut values = Vec::new();
    let mut rest = packet.data;
    while !rest.is_empty() {
        let (value, after) = RegisterValue::parse(rest)?;
        values.push(value);
        rest = after;
    }
    Some(values)
}

fn other_address(random: &mut Rng) -> Vec<u8> {
    frame(Address::LOGGER_TOP, Cid::GET_SERIAL_NO, &random.u32(..).to_be_bytes())
}

fn frame(address: Address, cid: Cid, data: &[u8]) -> Vec<u8> {
    datalink::emit(Direction::FromMeter, Packet { address, cid, data })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rates(text: &str) -> Vec<FaultRate> {
        text.split(' ').map(|rate| rate.parse().unwrap()).collect()
    }

    #[test]
    fn rates_are_exact() {
        for (text, expected) in [
            ("0%", Some(0)),
            ("5%", Some(50)),
            ("0.5%", Some(5)),
            ("12.3%", Some(123)),
            ("99.9%", Some(999)),
            ("100%", Some(1000)),
            ("100.0%", Some(1000)),
            ("100.1%", None),
            ("0.05%", None),
            ("5", None),
            ("%", None),
            (".5%", None),
            ("5.%", None),
            ("-1%", None),
            ("+1%", None),
            ("1e1%", None),
            ("99999999999%", None),
            ("429496730%", None),
            ("", None),
        ] {
            assert_eq!(per_thousand(text), expected, "{text}");
        }
    }

    #[test]
    fn every_fault_is_found_by_its_name() {
        for fault in Fault::every() {
            let rate: FaultRate = format!("{fault}=1%").parse().unwrap();
            assert_eq!(rate, FaultRate { fault: Some(fault), per_thousand: 10 });
        }
    }

    #[test]
    fn invalid_rates_are_reported() {
        let errors = ["noise", "noises=5%", "Noise=5%", "=5%", "noise=", "all=0.25%"]
            .map(|text| format!("{text}: {}", text.parse::<FaultRate>().unwrap_err()));
        insta::assert_snapshot!(errors.join("\n"));
    }

    #[test]
    fn the_last_rate_of_a_fault_is_used() {
        let of = |text: &str| Faults::from_rates(1, &rates(text)).map(|faults| faults.rates);
        assert_eq!(of("noise=5% late=0.1%"), Some(vec![(Fault::Noise, 50), (Fault::Late, 1)]));
        assert_eq!(of("noise=5% noise=0%"), None);
        let all = of("noise=5% all=1% echo=100% stall=0%").unwrap();
        assert_eq!(all.len(), 15);
        assert!(!all.iter().any(|(fault, _)| *fault == Fault::Forged));
        assert_eq!(of("all=0% forged=2%"), Some(vec![(Fault::Forged, 20)]));
        assert!(all.contains(&(Fault::Noise, 10)) && all.contains(&(Fault::Echo, 1000)));
        assert!(Faults::from_rates(1, &[]).is_none());
    }

    /// Frames without registers, sent twice, or with a wrong value.
    #[test]
    fn some_faults_give_valid_frames() {
        let register = RegisterId::new(60);
        let value = RegisterValue::from_decimal(register, Unit::NUMBER, Decimal::from(1000), 4);
        let data = GetRegister::emit_answer(&[value.unwrap()]);
        let answer = frame(Address::HEAT_METER, Cid::GET_REGISTER, &data);
        let of = |fault| {
            let pieces = Faults::new(1, vec![(fault, 1000)]).distort(&[], &answer);
            pieces.into_iter().flat_map(|piece| piece.bytes).collect::<Vec<_>>()
        };
        assert_eq!(of(Fault::Doubled), [answer.clone(), answer.clone()].concat());
        assert_eq!(values_of(&of(Fault::Empty)), Some(vec![]));
        let forged = values_of(&of(Fault::Forged)).unwrap();
        assert_eq!((forged.len(), forged[0].register), (1, register));
        assert_ne!(of(Fault::Forged), answer);
        // An answer without registers is unchanged.
        let serial = frame(Address::HEAT_METER, Cid::GET_SERIAL_NO, &[0, 0, 0, 1]);
        let pieces = Faults::new(1, vec![(Fault::Empty, 1000)]).distort(&[], &serial);
        assert_eq!(pieces[0].bytes, serial);
    }

    #[test]
    fn a_flood_and_fragments_keep_the_answer() {
        let answer: Vec<u8> = (0..50).collect();
        let of = |seed, fault| Faults::new(seed, vec![(fault, 1000)]).distort(&[], &answer);
        let bytes = |pieces: &[Piece]| {
            pieces.iter().flat_map(|piece| piece.bytes.clone()).collect::<Vec<_>>()
        };
        for seed in 0..20 {
            let flood = bytes(&of(seed, Fault::Flood));
            assert!((1024..20 * 1024).contains(&(flood.len() - answer.len())), "{}", flood.len());
            assert!(flood.ends_with(&answer));
            let fragments = of(seed, Fault::Fragments);
            assert!(fragments.len() > 12 && fragments.iter().all(|piece| piece.bytes.len() <= 4));
            assert!(fragments.iter().all(|piece| piece.wait <= Duration::from_millis(20)));
            assert_eq!(bytes(&fragments), answer);
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_faults() {
        let sequence = |seed| {
            let mut faults = Faults::from_rates(seed, &rates("all=30%")).unwrap();
            let answers = (0..100_u8).map(|byte| faults.distort(&[byte], &[byte; 20]));
            answers.collect::<Vec<_>>()
        };
        assert_eq!(sequence(7), sequence(7));
        assert_ne!(sequence(7), sequence(8));
    }
}
