//! Which characters of a text that others chose may be shown.

/// Whether a character changes neither the terminal nor the order of the text around it. A name that
/// others chose could otherwise look like something else.
#[must_use]
pub fn is_harmless(character: char) -> bool {
    !character.is_control()
        && !matches!(
            character,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_that_reorder_others_are_not_shown() {
        let text = "a\u{202e}b\u{2066}c\u{200f}d\u{1b}e\u{2028}f é π";
        assert_eq!(text.chars().filter(|c| is_harmless(*c)).collect::<String>(), "abcdef é π");
    }
}
