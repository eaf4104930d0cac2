//! How the schema describes the values of a setting.

/// The form of a setting's values in the schema for editors. A form is never narrower than the
/// setting's parser. It may be wider if a schema cannot know what the parser knows.
///
/// Patterns hold for the whole text. Their syntax is common to ECMAScript and Rust.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    /// A text that matches this pattern; any text if the pattern is empty. YAML's numbers and truth
    /// values are texts too.
    Text(&'static str),
    /// A text that matches this pattern. No number and no truth value does.
    Address(&'static str),
    /// A truth value, or this word.
    Switch(Option<&'static str>),
    /// A whole number in this range.
    Whole(u32, u32),
    /// Seconds from 0 to this number.
    Seconds(u32),
    /// Minutes, a time with its units, or this word.
    Interval(Option<&'static str>),
    /// A time with its units and perhaps a sign, or 0.
    Offset,
    /// One of these words, or a text that matches this pattern in lower case. Upper and lower case
    /// are the same.
    Words(&'static [&'static str], &'static str),
    /// The model of a meter.
    Model,
    /// The name of a value, or the number of a register.
    Parameter,
}
