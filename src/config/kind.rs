//! What the values of a setting look like.

/// The form of a setting's values in the schema for editors. A form is never narrower than the
/// setting's parser. It may be wider, where a schema cannot know what the parser knows.
///
/// Patterns hold for the whole text. Their syntax is common to ECMAScript and Rust.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    /// A text of this pattern; any, where the pattern is empty. YAML's numbers and truth values are
    /// texts too.
    Text(&'static str),
    /// A text of this pattern, which no number and no truth value has.
    Address(&'static str),
    /// A truth value, or this word.
    Switch(Option<&'static str>),
    /// A whole number from the first to the second.
    Whole(u32, u32),
    /// Seconds from 0 to this.
    Seconds(u32),
    /// Minutes, or a time with its units.
    Interval,
    /// Words to choose from, and a pattern in lower case of what else is accepted. Upper and lower
    /// case are the same.
    Words(&'static [&'static str], &'static str),
    /// The model of a meter.
    Model,
    /// The name of a value, or the number of a register.
    Parameter,
}
