//! Date formats of Python's `strftime`, in the C locale.

use std::str::FromStr;

use jiff::ZonedDateTime;
use jiff::fmt::strtime;
use thiserror::Error;

/// A valid date format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DateFormat {
    /// The format in the notation of `jiff`.
    translated: String,
}

/// A date format contains a directive that is not supported.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{directive}` is not supported; supported are {SUPPORTED}")]
pub struct DateFormatError {
    directive: String,
}

const SUPPORTED: &str = "%a %A %b %B %c %C %d %D %e %f %F %g %G %h %H %I %j %k %l %m %M %n %p %P \
                         %r %R %s %S %t %T %u %U %V %w %W %x %X %y %Y %z %:z %Z %%";

impl DateFormat {
    /// ISO 8601 with the offset of the zone: `2026-11-24T10:00:00+01:00`.
    #[must_use]
    pub fn iso() -> Self {
        Self { translated: "%Y-%m-%dT%H:%M:%S%:z".to_owned() }
    }

    /// Formats a time.
    #[must_use]
    pub fn write(&self, time: &ZonedDateTime) -> String {
        // The format was checked when it was parsed.
        strtime::format(&self.translated, time).unwrap_or_default()
    }
}

impl FromStr for DateFormat {
    type Err = DateFormatError;

    fn from_str(text: &str) -> Result<Self, DateFormatError> {
        let mut translated = String::with_capacity(text.len());
        let mut rest = text.chars().peekable();
        while let Some(character) = rest.next() {
            if character != '%' {
                translated.push(character);
                continue;
            }
            // Flags of glibc: `%-d` is the day without a leading zero.
            let mut option = String::new();
            while let Some(next) = rest.next_if(|next| "-_^#".contains(*next)) {
                option.push(next);
            }
            let modifier = rest.next_if(|next| matches!(next, 'E' | 'O' | ':'));
            let letter = rest.next();
            translated.push_str(match (option.as_str(), modifier, letter) {
                // `jiff` differs from the C locale here.
                ("", None | Some('E'), Some('c')) => "%a %b %e %H:%M:%S %Y",
                ("", None | Some('E'), Some('x')) => "%m/%d/%y",
                ("", None | Some('E'), Some('X')) => "%H:%M:%S",
                ("", None, Some('r')) => "%I:%M:%S %p",
                // Python's `logging` prints the two characters `%f`, which nobody wants.
                ("", None, Some('f')) => "%6f",
                ("", Some(':'), Some('z')) => "%:z",
                // E and O change nothing in the C locale.
                ("", Some('E'), Some(letter)) if "CyY".contains(letter) => {
                    translated.push('%');
                    translated.push(letter);
                    continue;
                }
                ("", Some('O'), Some(letter)) if "deHImMSuUVwWy".contains(letter) => {
                    translated.push('%');
                    translated.push(letter);
                    continue;
                }
                ("" | "-" | "_" | "^" | "#", None, Some(letter))
                    if "aAbBCdegGhHIjklmMpPsSuUVwWyYzZ".contains(letter)
                        || (option.is_empty() && "DFnRtT%".contains(letter)) =>
                {
                    translated.push('%');
                    translated.push_str(&option);
                    translated.push(letter);
                    continue;
                }
                _ => {
                    let parts = option.chars().chain(modifier).chain(letter);
                    let directive = ['%'].into_iter().chain(parts).collect();
                    return Err(DateFormatError { directive });
                }
            });
        }
        Ok(Self { translated })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(format: &str) -> String {
        let time = "2026-03-09T04:05:06.789+01:00[Europe/Copenhagen]".parse().unwrap();
        format.parse::<DateFormat>().unwrap().write(&time)
    }

    #[test]
    fn dates_are_formatted_as_in_the_samples() {
        assert_eq!(written("%Y-%m-%dT%H:%M:%S%z"), "2026-03-09T04:05:06+0100");
        assert_eq!(written("%Y-%m-%d %H:%M:%S"), "2026-03-09 04:05:06");
        assert_eq!(written("kl. %H, 100 %%"), "kl. 04, 100 %");
        assert_eq!(written(""), "");
        assert_eq!(DateFormat::iso().write(&"2026-03-09T04:05:06Z[UTC]".parse().unwrap()), {
            "2026-03-09T04:05:06+00:00"
        });
    }

    #[test]
    fn microseconds_and_the_offset_with_a_colon_are_supported() {
        assert_eq!(written("%S.%f"), "06.789000");
        assert_eq!(written("%:z"), "+01:00");
    }

    #[test]
    fn every_supported_directive_can_be_written() {
        for directive in SUPPORTED.split(' ') {
            assert_ne!(written(directive), "", "{directive}");
        }
    }

    #[test]
    fn an_unsupported_directive_is_rejected_by_name() {
        let rejected = |format: &str| format.parse::<DateFormat>().unwrap_err().to_string();
        for (format, directive) in [
            ("%Y-%Q", "`%Q`"),
            ("100 %", "`%`"),
            ("%Ed", "`%Ed`"),
            ("%-f", "`%-f`"),
            ("%é", "`%é`"),
        ] {
            assert!(rejected(format).starts_with(directive), "{}", rejected(format));
        }
        assert!(rejected("%i").ends_with("%z %:z %Z %%"), "{}", rejected("%i"));
    }

    #[test]
    fn every_directive_can_be_written_at_the_end_of_the_calendar() {
        for time in testing::times() {
            for directive in SUPPORTED.split(' ') {
                let written = directive.parse::<DateFormat>().unwrap().write(&time);
                assert_ne!(written, "", "{directive} {time}");
            }
        }
    }
}
