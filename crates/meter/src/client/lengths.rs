//! How long the answers to the last requests were. The next answer with the same registers is as
//! long, because a meter sends each register in the same number of bytes.

use kmp::register::RegisterId;

/// How many requests are remembered: more than a poll has that reads every known register.
const KEPT: usize = 8;

/// The lengths of the last answers. They outlive the stream, because each poll makes the same
/// requests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Lengths([Option<Length>; KEPT]);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Length {
    /// The number of registers, and the sum of the squares of their numbers: their order changes.
    registers: (usize, u64),
    /// The data bytes of the answer, without stuffing.
    data: usize,
}

fn key(registers: &[RegisterId]) -> (usize, u64) {
    let sum = registers.iter().fold(0_u64, |sum, id| {
        let id = u64::from(id.get());
        sum.saturating_add(id.saturating_mul(id))
    });
    (registers.len(), sum)
}

impl Lengths {
    pub(super) const NONE: Self = Self([None; KEPT]);

    /// Notes the answer to a request for these registers.
    pub(super) fn note(&mut self, registers: &[RegisterId], data: usize) {
        if registers.is_empty() {
            return;
        }
        let registers = key(registers);
        let is_same = |length: &Option<Length>| length.is_none_or(|it| it.registers == registers);
        let place = self.0.iter().position(is_same).unwrap_or(KEPT.saturating_sub(1));
        if let Some(before) = self.0.get_mut(..=place) {
            before.rotate_right(1);
        }
        let [first, ..] = &mut self.0;
        *first = Some(Length { registers, data });
    }

    /// The data bytes of the last answer to a request for these registers.
    pub(super) fn of(&self, registers: &[RegisterId]) -> Option<usize> {
        let registers = key(registers);
        let lengths = self.0.iter().flatten();
        lengths.filter(|length| length.registers == registers).map(|length| length.data).next()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_answers_are_remembered_whatever_the_order() {
        let ids = |ids: &[u16]| ids.iter().map(|id| RegisterId::new(*id)).collect::<Vec<_>>();
        let mut lengths = Lengths::default();
        lengths.note(&[], 4);
        assert_eq!(lengths, Lengths::default());
        lengths.note(&ids(&[60, 68]), 18);
        assert_eq!(lengths.of(&ids(&[68, 60])), Some(18));
        assert_eq!(lengths.of(&ids(&[60])), None);
        lengths.note(&ids(&[68, 60]), 16);
        assert_eq!(lengths.of(&ids(&[60, 68])), Some(16));
        for id in 100..107 {
            lengths.note(&ids(&[id]), 9);
        }
        assert_eq!(lengths.of(&ids(&[60, 68])), Some(16));
        lengths.note(&ids(&[107]), 9);
        assert_eq!(lengths.of(&ids(&[60, 68])), None);
        assert_eq!(lengths.of(&ids(&[100])), Some(9));
    }
}
