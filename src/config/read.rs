//! Reads files as text: the configuration, and secrets that have a file of their own.

use std::path::Path;

use crate::file::bytes;

/// In bytes. No configuration is longer, so a longer file was named by mistake.
const LONGEST: u64 = 1024 * 1024;

/// The longest secret that MQTT can send, in bytes.
const LONGEST_SECRET: u64 = 65_535;

/// The bytes of a configuration, if there are not too many. The error is a clause in words.
pub(super) fn configuration(path: &Path) -> Result<Option<Vec<u8>>, String> {
    bytes(path, LONGEST)
}

/// Their text. The error is a clause in words.
pub(super) fn text(bytes: Option<Vec<u8>>) -> Result<String, String> {
    let bytes = bytes.ok_or("it is longer than 1 MiB; no configuration is that long".to_owned())?;
    if bytes.starts_with(&[0xFF, 0xFE]) || bytes.starts_with(&[0xFE, 0xFF]) {
        return Err("it is UTF-16 text; save it as UTF-8".to_owned());
    }
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let before = error.as_bytes().iter().take(valid);
        let line = before.filter(|byte| **byte == b'\n').count().saturating_add(1);
        format!("it is not UTF-8 text: line {line} has a character in another encoding; save it as UTF-8")
    })
}

/// A secret that is alone in a file, without the line ends after it, and without the byte order
/// mark that editors on Windows put before it. A file of several lines was named by mistake, or
/// holds more than the secret: no line of it is certainly meant.
pub(super) fn secret(path: &Path) -> Result<String, String> {
    // Five more for the byte order mark and the line end.
    let too_long = || format!("it has more than {LONGEST_SECRET} bytes");
    let bytes = bytes(path, LONGEST_SECRET.saturating_add(5))?.ok_or_else(too_long)?;
    let mut text = String::from_utf8(bytes).map_err(|_| "it is not UTF-8 text".to_owned())?;
    if text.starts_with('\u{FEFF}') {
        text.remove(0);
    }
    while text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    let lines = text.split('\n').count();
    if lines > 1 {
        return Err(format!("it has {lines} lines"));
    }
    match u64::try_from(text.len()) {
        Ok(0) => Err("it is empty".to_owned()),
        Ok(1..=LONGEST_SECRET) => Ok(text),
        _ => Err(too_long()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn secrets_are_one_line_and_lose_its_end() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("secret");
        let read = |bytes: &[u8]| {
            fs::write(&path, bytes).unwrap();
            secret(&path)
        };
        for (bytes, expected) in [
            ("hunter2", "hunter2"),
            ("hunter2\n", "hunter2"),
            ("hunter2\r\n", "hunter2"),
            ("hunter2\n\n", "hunter2"),
            ("hunter2\r\n\r\n", "hunter2"),
            (" 007 \n", " 007 "),
            // Editors on Windows put a byte order mark before the text.
            ("\u{FEFF}hunter2\r\n", "hunter2"),
            ("\u{FEFF}\u{FEFF}hunter2", "\u{FEFF}hunter2"),
        ] {
            assert_eq!(read(bytes.as_bytes()).as_deref(), Ok(expected));
        }
        for (bytes, lines) in
            [("user\nhunter2\n", 2), ("hunter2\r\nold\r\n", 2), ("\nhunter2", 2), ("a\n\nb", 3)]
        {
            assert_eq!(read(bytes.as_bytes()), Err(format!("it has {lines} lines")));
        }
        let longest = "x".repeat(65_535);
        assert_eq!(read(format!("{longest}\r\n").as_bytes()), Ok(longest.clone()));
        let too_long = Err("it has more than 65535 bytes".to_owned());
        assert_eq!(read(format!("{longest}x").as_bytes()), too_long);
        assert_eq!(read(format!("{longest}xxxxxx").as_bytes()), too_long);
        assert_eq!(read(format!("\u{FEFF}{longest}\r\n").as_bytes()), Ok(longest.clone()));
        assert_eq!(read(format!("\u{FEFF}{longest}x").as_bytes()), too_long);
        for nothing in ["", "\n", "\r\n", "\u{FEFF}", "\u{FEFF}\r\n"] {
            assert_eq!(read(nothing.as_bytes()), Err("it is empty".to_owned()));
        }
        assert_eq!(read(b"\xFF"), Err("it is not UTF-8 text".to_owned()));
        fs::remove_file(&path).unwrap();
        assert_eq!(secret(&path), Err("there is no such file".to_owned()));
    }
}
