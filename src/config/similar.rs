//! Similar texts.

/// The known text that is most similar to a misspelled one; `None` if all differ by more than
/// one or two typing errors.
pub(super) fn most_like<'a>(text: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let text = text.to_ascii_lowercase();
    let distance = |known: &str| strsim::damerau_levenshtein(&text, &known.to_ascii_lowercase());
    let slips = |known: &str| if known.len() < 6 { 1 } else { 2 };
    let near = known.map(|known| (distance(known), known));
    let near = near.filter(|(distance, known)| *distance <= slips(known));
    near.min_by_key(|(distance, _)| *distance).map(|(_, known)| known)
}
