//! Recognizes a server in telnet mode by its greeting.
//!
//! A telnet server begins with commands: `FF`, then WILL (`FB`), WONT (`FC`), DO (`FD`) or DONT
//! (`FE`), then an option (RFC 854). ser2net 4.3 sends six of them: `FF FB 03 FF FD 03 FF FB 01 …`.
//! It also doubles each `FF` of an answer, and drops each `FF` of a request with the byte after it.
//! Nothing is undone here: an answer that was changed has a wrong checksum.

/// Starts a command (RFC 854).
const COMMAND: u8 = 0xFF;

/// WILL, WONT, DO and DONT (RFC 854).
const NEGOTIATIONS: std::ops::RangeInclusive<u8> = 0xFB..=0xFE;

/// IANA has assigned the options up to this number.
const LAST_OPTION: u8 = 49;

/// Looks for the greeting among the bytes of a connection.
///
/// Noise may contain a command by chance, so only two in a row count.
#[derive(Debug)]
pub(super) struct Greeting {
    /// The last six bytes, the newest last.
    last: [u8; 6],
    /// How many bytes of a command that is not yet complete have arrived.
    begun: usize,
    /// Whether nothing but commands has arrived.
    is_alone: bool,
    is_recognized: bool,
}

impl Default for Greeting {
    fn default() -> Self {
        Self { last: [0; 6], begun: 0, is_alone: true, is_recognized: false }
    }
}

impl Greeting {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.last.rotate_left(1);
            let [.., newest] = &mut self.last;
            *newest = byte;
            let (before, last) = self.last.split_at(3);
            self.is_recognized |= is_command(last) && is_command(before);
            self.begun = match self.begun {
                0 if byte == COMMAND => 1,
                1 if NEGOTIATIONS.contains(&byte) => 2,
                2 if byte <= LAST_OPTION => 0,
                // A meter may send a 0x00 at any time (5512-447 M1 p.3).
                0 if byte == 0 => 0,
                _ => {
                    self.is_alone = false;
                    0
                }
            };
        }
    }

    /// Whether the server has sent telnet commands, and nothing else has arrived.
    pub(super) fn is_alone(&self) -> bool {
        self.is_recognized && self.is_alone
    }

    /// Whether the server has sent telnet commands.
    pub(super) fn is_recognized(&self) -> bool {
        self.is_recognized
    }
}

fn is_command(bytes: &[u8]) -> bool {
    matches!(bytes, [COMMAND, negotiation, option]
        if NEGOTIATIONS.contains(negotiation) && *option <= LAST_OPTION)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_recognized(bytes: &[u8]) -> bool {
        let mut greeting = Greeting::default();
        // However the bytes arrive.
        for byte in bytes {
            greeting.push(&[*byte]);
        }
        greeting.is_recognized()
    }

    #[test]
    fn greetings_are_recognized() {
        // ser2net 4.3.11, with `telnet` and with `telnet(rfc2217)`.
        let ser2net = [0xFF, 0xFB, 3, 0xFF, 0xFD, 3, 0xFF, 0xFB, 1, 0xFF, 0xFE, 1, 0xFF, 0xFD, 0];
        assert!(is_recognized(&ser2net));
        assert!(is_recognized(&[0x00, 0xFF, 0xFB, 0x01, 0xFF, 0xFD, 0x03]), "after an idle byte");
        // After a text of the server.
        assert!(is_recognized(&[&b"port 1\r\n"[..], &ser2net].concat()));
        assert!(!is_recognized(&[0xFF, 0xFB]), "it is incomplete");
    }

    #[test]
    fn answers_and_noise_are_no_greeting() {
        assert!(!is_recognized(&[0x40, 0x3F, 0x10, 0xFF, 0xFB, 0x01, 0x0D]));
        assert!(!is_recognized(&[0xFF, 0xFF, 0xFF, 0xFE, 0xFF, 0xFE, 0xFF, 0xFF]));
        assert!(!is_recognized(&[0xFF, 0xFE, 0xFF, 0xFB, 0x01, 0x55]));
        assert!(!is_recognized(&[0xFF, 0xFB, 0x01]), "noise may look like one command");
        assert!(!is_recognized(&[0xFF, 0xFB, 0x01, 0x55, 0xFF, 0xFD, 0x03]), "not in a row");
        assert!(!is_recognized(&[0xFF, 0xFB, 0x70, 0xFF, 0xFD, 0x70]), "no such options");
        assert!(!is_recognized(&[]));
    }

    #[test]
    fn a_greeting_is_alone_until_something_else_arrives() {
        let mut greeting = Greeting::default();
        assert!(!greeting.is_alone(), "nothing has arrived");
        greeting.push(&[0x00, 0xFF, 0xFB, 0x03]);
        assert!(!greeting.is_alone(), "one command proves nothing");
        greeting.push(&[0xFF, 0xFD]);
        greeting.push(&[0x03]);
        assert!(greeting.is_alone());
        greeting.push(&[0x40]);
        assert!(!greeting.is_alone());
    }
}
