//! Messages as sentences.

/// Begins with a capital letter.
#[must_use]
pub fn capital(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

/// A message with its full stop, unless it ends with a question.
#[must_use]
pub fn sentence(message: &str) -> String {
    let end = if message.ends_with('?') { "" } else { "." };
    format!("{message}{end}")
}
