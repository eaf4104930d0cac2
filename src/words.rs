//! Makes sentences of messages: capitals and full stops.

/// The text with a capital letter at the start.
#[must_use]
pub(crate) fn capital(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

/// The message with a full stop, unless it ends with a question mark.
#[must_use]
pub(crate) fn sentence(message: &str) -> String {
    let end = if message.ends_with('?') { "" } else { "." };
    format!("{message}{end}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_has_no_full_stop() {
        assert_eq!(sentence("`x` is unknown"), "`x` is unknown.");
        let question = "`x` is unknown; did you mean `y`?";
        assert_eq!(sentence(question), question);
    }

    #[test]
    fn only_the_first_letter_is_a_capital() {
        assert_eq!(capital("fix it, A"), "Fix it, A");
        assert_eq!(capital(""), "");
    }
}
