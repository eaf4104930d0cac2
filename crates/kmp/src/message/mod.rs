//! The application layer: requests and their answers.
//!
//! Each command is a type. It can only hold a valid request, and it rejects data that is not an
//! answer to this request.

pub(crate) mod command;

use alloc::vec::Vec;
use core::fmt;

use thiserror::Error;

pub use self::command::{AnswerError, AnswerOrder, Command, MinData, emit_request};
use self::command::{exactly, first_duplicate, sealed};
use crate::datalink::{Cid, Packet};
use crate::logger::LoggerRequest;
use crate::register::RegisterId;
use crate::value::RegisterValue;

/// Requests the meter type and software revision (5512-447 M1 p.15-16).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GetType;

impl sealed::Sealed for GetType {}

impl Command for GetType {
    const CID: Cid = Cid::GET_TYPE;
    type Answer = MeterType;

    fn emit_data(&self, _out: &mut Vec<u8>) {}

    fn parse_answer(&self, data: &[u8]) -> Result<MeterType, AnswerError> {
        let [type_high, type_low, letter, number] = exactly(data)?;
        Ok(MeterType {
            code: u16::from_be_bytes([type_high, type_low]),
            revision: SoftwareRevision { letter, number },
        })
    }

    fn max_answer_data(&self) -> usize {
        4
    }

    fn min_answer_data(&self, _begun: &[u8]) -> MinData {
        MinData::exactly(4)
    }
}

/// The meter type and the software revision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MeterType {
    /// The type: 0x0001 is a MULTICAL 601 with Pt500, 0x0004 one with Pt100 (5512-447 M1 p.15).
    /// The codes of newer meters are not documented.
    pub code: u16,
    /// The software revision.
    pub revision: SoftwareRevision,
}

impl MeterType {
    /// Encodes this as the data of an answer.
    #[must_use]
    pub fn emit(self) -> [u8; 4] {
        let [high, low] = self.code.to_be_bytes();
        [high, low, self.revision.letter, self.revision.number]
    }
}

/// A software revision: a letter and a number (5512-447 M1 p.16).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SoftwareRevision {
    /// 1 is A, 2 is B and so on.
    pub letter: u8,
    /// The number that follows the letter.
    pub number: u8,
}

/// Writes `F1`. A letter beyond Z is written as its number.
impl fmt::Display for SoftwareRevision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.letter {
            1..=26 => {
                write!(f, "{}{}", char::from(self.letter.saturating_add(b'A' - 1)), self.number)
            }
            other => write!(f, "{other}.{}", self.number),
        }
    }
}

/// Requests the serial number (5512-447 M1 p.17).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GetSerialNo;

impl sealed::Sealed for GetSerialNo {}

impl Command for GetSerialNo {
    const CID: Cid = Cid::GET_SERIAL_NO;
    type Answer = SerialNumber;

    fn emit_data(&self, _out: &mut Vec<u8>) {}

    fn parse_answer(&self, data: &[u8]) -> Result<SerialNumber, AnswerError> {
        exactly(data).map(|bytes| SerialNumber(u32::from_be_bytes(bytes)))
    }

    fn max_answer_data(&self) -> usize {
        4
    }

    fn min_answer_data(&self, _begun: &[u8]) -> MinData {
        MinData::exactly(4)
    }
}

/// A meter's serial number, as printed on its front.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SerialNumber(u32);

impl SerialNumber {
    /// Creates a serial number.
    #[must_use]
    pub const fn new(number: u32) -> Self {
        Self(number)
    }

    /// The number.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0
    }

    /// Encodes this as the data of an answer.
    #[must_use]
    pub const fn emit(self) -> [u8; 4] {
        self.0.to_be_bytes()
    }
}

impl fmt::Display for SerialNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Requests 1 to 8 registers (5512-447 M1 p.19).
///
/// The meter omits registers that it does not know, so an answer may even be empty (5512-447 M1
/// p.19). Find a register in the answer by its id, never by its position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GetRegister {
    registers: Vec<RegisterId>,
    /// The registers that the meter is known to have.
    certain: Vec<RegisterId>,
}

/// Why registers cannot be requested in one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum GetRegisterError {
    /// There is no register, or more than 8.
    #[error("{count} registers in one request; 1 to {} are allowed", GetRegister::MAX)]
    Count {
        /// The number of registers.
        count: usize,
    },
    /// A register occurs twice.
    #[error("register {register} occurs twice in one request")]
    Duplicate {
        /// The register.
        register: RegisterId,
    },
}

impl GetRegister {
    /// The most registers in one request (5512-447 M1 p.19).
    pub const MAX: usize = 8;

    /// The longest mantissa in any capture: 12 bytes of text (register 254).
    const LONGEST_MANTISSA: usize = 12;

    /// Creates a request for these registers.
    pub fn new(registers: &[RegisterId]) -> Result<Self, GetRegisterError> {
        let count = registers.len();
        if count == 0 || count > Self::MAX {
            return Err(GetRegisterError::Count { count });
        }
        if let Some(&register) = first_duplicate(registers) {
            return Err(GetRegisterError::Duplicate { register });
        }
        Ok(Self { registers: registers.to_vec(), certain: Vec::new() })
    }

    /// Sets which of the registers the meter is known to have. An answer without one of them
    /// belongs to another request.
    #[must_use]
    pub fn expecting(mut self, is_certain: impl Fn(RegisterId) -> bool) -> Self {
        self.certain = self.registers.iter().copied().filter(|id| is_certain(*id)).collect();
        self
    }

    /// The registers, in the order of the request.
    #[must_use]
    pub fn registers(&self) -> &[RegisterId] {
        &self.registers
    }

    /// Parses the data of a request, on the side of the meter.
    pub fn parse(data: &[u8]) -> Result<Self, RequestError> {
        let invalid = RequestError::Data { cid: Cid::GET_REGISTER, length: data.len() };
        let (&count, ids) = data.split_first().ok_or(invalid)?;
        let (pairs, rest) = ids.as_chunks::<2>();
        if pairs.len() != usize::from(count) || !rest.is_empty() {
            return Err(invalid);
        }
        let registers: Vec<RegisterId> =
            pairs.iter().map(|pair| RegisterId::new(u16::from_be_bytes(*pair))).collect();
        Self::new(&registers).map_err(|_| invalid)
    }

    /// Encodes these values as the data of an answer.
    #[must_use]
    pub fn emit_answer(values: &[RegisterValue]) -> Vec<u8> {
        let mut out = Vec::new();
        for value in values {
            value.emit(&mut out);
        }
        out
    }
}

impl sealed::Sealed for GetRegister {}

impl Command for GetRegister {
    const CID: Cid = Cid::GET_REGISTER;
    type Answer = Vec<RegisterValue>;

    fn asked(&self) -> &[RegisterId] {
        &self.registers
    }

    fn answer_order(&self, answer: &Vec<RegisterValue>) -> AnswerOrder {
        let has = |register| answer.iter().any(|value| value.register == register);
        let mut asked = self.registers.iter();
        if !self.certain.iter().all(|register| has(*register)) {
            AnswerOrder::Incomplete
        } else if answer.len() < 2 {
            AnswerOrder::Undecidable
        } else if answer.iter().all(|value| asked.any(|register| *register == value.register)) {
            AnswerOrder::InOrder
        } else {
            AnswerOrder::Reordered
        }
    }

    fn answered(answer: &Vec<RegisterValue>) -> Vec<RegisterId> {
        answer.iter().map(|value| value.register).collect()
    }

    fn emit_data(&self, out: &mut Vec<u8>) {
        // There are at most 8, so the count fits into one byte.
        out.push(u8::try_from(self.registers.len()).unwrap_or(u8::MAX));
        out.extend(self.registers.iter().flat_map(|register| register.get().to_be_bytes()));
    }

    fn parse_answer(&self, data: &[u8]) -> Result<Vec<RegisterValue>, AnswerError> {
        let mut values: Vec<RegisterValue> = Vec::with_capacity(self.registers.len());
        let mut rest = data;
        while !rest.is_empty() {
            let offset = data.len().saturating_sub(rest.len());
            let (value, after) =
                RegisterValue::parse(rest).ok_or(AnswerError::Truncated { offset })?;
            let register = value.register;
            if !self.registers.contains(&register) {
                return Err(AnswerError::NotRequested { register });
            }
            if values.iter().any(|earlier| earlier.register == register) {
                return Err(AnswerError::Duplicate { register });
            }
            values.push(value);
            rest = after;
        }
        Ok(values)
    }

    fn max_answer_data(&self) -> usize {
        self.registers.len().saturating_mul(5_usize.saturating_add(Self::LONGEST_MANTISSA))
    }

    fn min_answer_data(&self, begun: &[u8]) -> MinData {
        let (mut certain, mut all) = (self.certain.len(), self.registers.len());
        let (mut known, mut rest) = (0_usize, begun);
        while let Some((register, length)) = RegisterValue::peek(rest) {
            known = known.saturating_add(length);
            certain = certain.saturating_sub(usize::from(self.certain.contains(&register)));
            // Those before it are missing, unless the meter has an order of its own.
            let position = self.registers.iter().position(|asked| *asked == register);
            all =
                self.registers.len().saturating_sub(position.map_or(0, |at| at.saturating_add(1)));
            rest = rest.get(length..).unwrap_or_default();
        }
        // These are more bytes than those of the checksum.
        if rest.len() > 2 {
            certain = certain.max(1);
        }
        all = all.max(certain);
        let with = |registers: usize| {
            known.saturating_add(registers.saturating_mul(RegisterValue::SHORTEST))
        };
        MinData { certain: with(certain), complete: with(all) }
    }
}

/// A request, on the side of the meter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// [`GetType`]
    GetType,
    /// [`GetSerialNo`]
    GetSerialNo,
    /// [`GetRegister`]
    GetRegister(GetRegister),
    /// A request to the [logger](crate::logger)
    Logger(LoggerRequest),
}

/// Why a meter does not answer a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum RequestError {
    /// [`Request`] does not have this command.
    #[error("{cid} is not supported")]
    Unknown {
        /// The command id.
        cid: Cid,
    },
    /// The data is not valid for the command.
    #[error("data of length {length} is not a valid {cid} request")]
    Data {
        /// The command id.
        cid: Cid,
        /// The length of the data, in bytes.
        length: usize,
    },
}

impl Request {
    /// Parses the packet of a request.
    pub fn parse(packet: Packet<'_>) -> Result<Self, RequestError> {
        let Packet { cid, data, .. } = packet;
        match cid {
            Cid::GET_TYPE if data.is_empty() => Ok(Self::GetType),
            Cid::GET_SERIAL_NO if data.is_empty() => Ok(Self::GetSerialNo),
            Cid::GET_TYPE | Cid::GET_SERIAL_NO => {
                Err(RequestError::Data { cid, length: data.len() })
            }
            Cid::GET_REGISTER => GetRegister::parse(data).map(Self::GetRegister),
            Cid::LOGGER => match LoggerRequest::parse(data) {
                Some(request) => Ok(Self::Logger(request)),
                None => Err(RequestError::Data { cid, length: data.len() }),
            },
            _ => Err(RequestError::Unknown { cid }),
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;
    use alloc::vec;

    use proptest::prelude::*;

    use super::*;
    use crate::datalink::Address;
    use crate::number::SignExponent;
    use crate::unit::Unit;

    fn ids(ids: &[u16]) -> Vec<RegisterId> {
        ids.iter().map(|&id| RegisterId::new(id)).collect()
    }

    fn register_value(id: u16, mantissa: &[u8]) -> RegisterValue {
        let exponent = SignExponent::from_byte(0);
        RegisterValue::new(RegisterId::new(id), Unit::NUMBER, exponent, mantissa.to_vec()).unwrap()
    }

    #[test]
    fn a_request_has_one_to_eight_different_registers() {
        assert_eq!(GetRegister::new(&[]), Err(GetRegisterError::Count { count: 0 }));
        let nine = ids(&[1, 2, 3, 4, 5, 6, 7, 8, 9]);
        assert!(GetRegister::new(&nine[..8]).is_ok());
        assert_eq!(GetRegister::new(&nine), Err(GetRegisterError::Count { count: 9 }));
        let register = RegisterId::new(60);
        assert_eq!(
            GetRegister::new(&ids(&[60, 68, 60])),
            Err(GetRegisterError::Duplicate { register })
        );
    }

    #[test]
    fn an_answer_to_another_request_is_rejected() {
        let command = GetRegister::new(&ids(&[60, 68])).unwrap();
        let data = GetRegister::emit_answer(&[register_value(60, &[1]), register_value(74, &[2])]);
        let register = RegisterId::new(74);
        assert_eq!(command.parse_answer(&data), Err(AnswerError::NotRequested { register }));
        let data = GetRegister::emit_answer(&[register_value(60, &[1]), register_value(60, &[2])]);
        let register = RegisterId::new(60);
        assert_eq!(command.parse_answer(&data), Err(AnswerError::Duplicate { register }));
    }

    #[test]
    fn an_answer_may_omit_and_reorder_registers() {
        let command = GetRegister::new(&ids(&[60, 68, 74])).unwrap();
        let values = [register_value(74, &[1, 2]), register_value(60, &[0, 0, 0, 9])];
        assert_eq!(command.parse_answer(&GetRegister::emit_answer(&values)).unwrap(), values);
        assert_eq!(command.parse_answer(&[]).unwrap(), []);
    }

    #[test]
    fn the_order_of_an_answer_is_compared_with_the_request() {
        let command = GetRegister::new(&ids(&[60, 68, 74])).unwrap();
        let values = |ids: &[u16]| ids.iter().map(|&id| register_value(id, &[1])).collect();
        let order = |ids: &[u16]| command.answer_order(&values(ids));
        assert_eq!(order(&[60, 68, 74]), AnswerOrder::InOrder);
        assert_eq!(order(&[60, 74]), AnswerOrder::InOrder);
        assert_eq!(order(&[74]), AnswerOrder::Undecidable);
        assert_eq!(order(&[]), AnswerOrder::Undecidable);
        assert_eq!(order(&[68, 74, 60]), AnswerOrder::Reordered);
        assert_eq!(order(&[74, 68]), AnswerOrder::Reordered);
        let command = command.clone().expecting(|register| register.get() == 68);
        assert_eq!(command.answer_order(&values(&[60, 68])), AnswerOrder::InOrder);
        assert_eq!(command.answer_order(&values(&[60, 74])), AnswerOrder::Incomplete);
        assert_eq!(command.answer_order(&values(&[])), AnswerOrder::Incomplete);
    }

    #[test]
    fn the_rest_of_an_answer_is_at_least_what_its_registers_need() {
        let command = GetRegister::new(&ids(&[60, 68, 74])).unwrap();
        let command = command.expecting(|register| register.get() == 68);
        let least = |begun: &[u8]| {
            let MinData { certain, complete } = command.min_answer_data(begun);
            (certain, complete)
        };
        let data = GetRegister::emit_answer(&[
            register_value(60, &[0; 4]),
            register_value(68, &[0; 2]),
            register_value(74, &[0; 3]),
        ]);
        let (first, second) = (9, 16);
        assert_eq!(least(&[]), (6, 18));
        assert_eq!(least(&data[..4]), (6, 18), "register 60 may be followed by no other");
        assert_eq!(least(&data[..5]), (first + 6, first + 12));
        assert_eq!(least(&data[..first]), (first + 6, first + 12));
        assert_eq!(least(&data[..first + 5]), (second, second + 6));
        assert_eq!(least(&data[..second]), (second, second + 6));
        assert_eq!(least(&data[..second + 2]), (second, second + 6), "it may be the checksum");
        assert_eq!(least(&data[..second + 3]), (second + 6, second + 6));
        assert_eq!(least(&data), (data.len(), data.len()));
        assert_eq!(least(&[&data[..], &[1, 2]].concat()), (data.len(), data.len()));
        assert_eq!(least(&data[first..second]), (7, 13), "register 60 is missing");
        assert_eq!(least(&data[second..]), (8 + 6, 8 + 6), "another order");
        assert_eq!(GetType.min_answer_data(&[]), MinData { certain: 4, complete: 4 });
        assert_eq!(GetSerialNo.min_answer_data(&[1]), GetType.min_answer_data(&[]));
    }

    #[test]
    fn leftover_and_missing_bytes_are_rejected() {
        let command = GetRegister::new(&ids(&[60, 68])).unwrap();
        let mut data = GetRegister::emit_answer(&[register_value(60, &[1, 2])]);
        data.push(0);
        assert_eq!(command.parse_answer(&data), Err(AnswerError::Truncated { offset: 7 }));
        assert_eq!(
            GetSerialNo.parse_answer(&[1, 2, 3]),
            Err(AnswerError::Length { expected: 4, found: 3 })
        );
        assert_eq!(
            GetType.parse_answer(&[1, 2, 3, 4, 5]),
            Err(AnswerError::Length { expected: 4, found: 5 })
        );
    }

    #[test]
    fn revisions_are_a_letter_and_a_number() {
        let show = |letter, number| SoftwareRevision { letter, number }.to_string();
        assert_eq!(show(6, 1), "F1");
        assert_eq!(show(26, 12), "Z12");
        assert_eq!(show(0, 1), "0.1");
        assert_eq!(show(27, 1), "27.1");
    }

    proptest! {
        #[test]
        fn requests_survive_a_round_trip(ids in prop::collection::hash_set(any::<u16>(), 1..=8)) {
            let registers: Vec<_> = ids.into_iter().map(RegisterId::new).collect();
            let command = GetRegister::new(&registers).unwrap();
            let mut data = vec![];
            command.emit_data(&mut data);
            prop_assert_eq!(GetRegister::parse(&data), Ok(command));
        }

        #[test]
        fn answers_survive_a_round_trip(
            values in prop::collection::hash_map(any::<u16>(), prop::collection::vec(any::<u8>(), 0..13), 0..=8),
        ) {
            let values: Vec<_> = values.iter().map(|(&id, bytes)| register_value(id, bytes)).collect();
            let data = GetRegister::emit_answer(&values);
            let mut asked: Vec<_> = values.iter().map(|value| value.register).collect();
            if asked.is_empty() { asked.push(RegisterId::new(60)); }
            let command = GetRegister::new(&asked).unwrap();
            prop_assert!(data.len() <= command.max_answer_data());
            prop_assert_eq!(command.parse_answer(&data), Ok(values));
        }

        #[test]
        fn no_input_panics(data in prop::collection::vec(any::<u8>(), 0..64)) {
            let command = GetRegister::new(&ids(&[60, 68, 0, 255])).unwrap();
            let _ = command.parse_answer(&data);
            let _ = GetType.parse_answer(&data);
            let _ = GetSerialNo.parse_answer(&data);
            for cid in 0..=255 {
                let packet = Packet { address: Address::HEAT_METER, cid: Cid::new(cid), data: &data };
                let _ = Request::parse(packet);
            }
        }
    }
}
