//! The texts of the page and the names in Home Assistant in five languages, and the choice of a
//! visitor's language.
//!
//! Each table has a row for each text. A row without one of the languages does not compile. The
//! program's own error messages are English, on the page as in the log.

/// A language of the page and of the names in Home Assistant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    English,
    Dutch,
    Danish,
    Swedish,
    German,
}

impl Language {
    pub(crate) const ALL: [Self; 5] =
        [Self::English, Self::Dutch, Self::Danish, Self::Swedish, Self::German];

    /// The best of the visitor's languages, by the header `Accept-Language`; English if the page
    /// has none of them.
    pub(crate) fn accepted(header: Option<&str>) -> Self {
        let mut best = (0, Self::English);
        for wish in header.unwrap_or_default().split(',').take(MOST_WISHES) {
            let (tag, weight) = wish.split_once(';').unwrap_or((wish, "q=1"));
            let Some(language) = Self::of_tag(tag.trim()) else { continue };
            let weight = thousandths(weight).unwrap_or_default();
            // Of two with the same weight, the first one is used.
            if weight > best.0 {
                best = (weight, language);
            }
        }
        best.1
    }

    /// `de` is German.
    pub(crate) fn by_tag(tag: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|language| language.tag().eq_ignore_ascii_case(tag))
    }

    /// `de` and `de-CH` are German.
    fn of_tag(tag: &str) -> Option<Self> {
        Self::by_tag(tag.split('-').next()?)
    }

    /// Its BCP 47 tag.
    pub(crate) fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Dutch => "nl",
            Self::Danish => "da",
            Self::Swedish => "sv",
            Self::German => "de",
        }
    }

    /// The texts in this language.
    pub(crate) fn words(self) -> &'static Words {
        match self {
            Self::English => &Words::ENGLISH,
            Self::Dutch => &Words::DUTCH,
            Self::Danish => &Words::DANISH,
            Self::Swedish => &Words::SWEDISH,
            Self::German => &Words::GERMAN,
        }
    }

    /// The names in Home Assistant in this language.
    pub(crate) fn names(self) -> &'static Names {
        match self {
            Self::English => &Names::ENGLISH,
            Self::Dutch => &Names::DUTCH,
            Self::Danish => &Names::DANISH,
            Self::Swedish => &Names::SWEDISH,
            Self::German => &Names::GERMAN,
        }
    }

    /// The texts of the setup page in this language.
    pub(crate) fn setup_words(self) -> &'static SetupWords {
        match self {
            Self::English => &SetupWords::ENGLISH,
            Self::Dutch => &SetupWords::DUTCH,
            Self::Danish => &SetupWords::DANISH,
            Self::Swedish => &SetupWords::SWEDISH,
            Self::German => &SetupWords::GERMAN,
        }
    }

    /// A number as people write it: all but English have a decimal comma.
    pub(crate) fn number(self, text: &str) -> String {
        let is_number = text.chars().all(|c| c.is_ascii_digit() || ".-".contains(c))
            && text.matches('.').count() <= 1
            && text.trim_start_matches('-').find('-').is_none();
        if is_number && self != Self::English { text.replace('.', ",") } else { text.to_owned() }
    }
}

/// Only this many languages are considered. Browsers send a handful.
const MOST_WISHES: usize = 32;

/// `q=0.8` is 800.
fn thousandths(parameter: &str) -> Option<u16> {
    let weight = parameter.trim().strip_prefix("q=")?.trim();
    let (whole, part) = weight.split_once('.').unwrap_or((weight, ""));
    match whole {
        "1" => Some(1000),
        "0" if part.len() <= 3 => format!("{part:0<3}").parse().ok(),
        _ => None,
    }
}

/// `text` with each `{name}` in it replaced.
pub(crate) fn fill(text: &str, values: &[(&str, &str)]) -> String {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, name, after)) = placeholder(rest) {
        filled.push_str(before);
        let value = values.iter().find(|(known, _)| *known == name);
        filled.push_str(value.map_or("", |(_, value)| value));
        rest = after;
    }
    filled.push_str(rest);
    filled
}

/// The text before the first `{name}`, the name, and the text after it.
pub(crate) fn placeholder(text: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = text.split_once('{')?;
    let (name, after) = rest.split_once('}')?;
    Some((before, name, after))
}

/// A table of texts, as one struct for each language.
macro_rules! catalogue {
    ($($key:ident: $english:literal, $dutch:literal, $danish:literal, $swedish:literal, $german:literal;)*) => {
        /// The texts of this table in one language.
        #[derive(Debug)]
        pub(crate) struct Words {
            $(pub(crate) $key: &'static str,)*
        }

        impl Words {
            pub(crate) const ENGLISH: Self = Self { $($key: $english,)* };
            pub(crate) const DUTCH: Self = Self { $($key: $dutch,)* };
            pub(crate) const DANISH: Self = Self { $($key: $danish,)* };
            pub(crate) const SWEDISH: Self = Self { $($key: $swedish,)* };
            pub(crate) const GERMAN: Self = Self { $($key: $german,)* };

            #[cfg(test)]
            pub(crate) fn all(&self) -> Vec<(&'static str, &'static str)> {
                vec![$((stringify!($key), self.$key),)*]
            }
        }
    };
}

mod catalogue;
mod names;
mod registers;
mod setup;

pub(crate) use self::catalogue::Words;
pub(crate) use self::names::Words as Names;
pub(crate) use self::setup::Words as SetupWords;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn placeholders(text: &str) -> BTreeSet<&str> {
        let mut names = BTreeSet::new();
        let mut rest = text;
        while let Some((_, name, after)) = placeholder(rest) {
            names.insert(name);
            rest = after;
        }
        names
    }

    /// Those of all tables, each with its name.
    fn texts(language: Language) -> Vec<(&'static str, &'static str)> {
        let names = language.names().all();
        [language.words().all(), language.setup_words().all(), names].concat()
    }

    #[test]
    fn every_language_has_every_text_with_the_same_placeholders() {
        let english = texts(Language::English);
        assert!(english.len() > 100, "{}", english.len());
        for language in Language::ALL {
            for ((key, english), (_, own)) in english.iter().zip(texts(language)) {
                assert!(!own.trim().is_empty(), "{key} in {language:?}");
                assert_eq!(own.trim(), own, "{key} in {language:?}");
                assert_eq!(placeholders(own), placeholders(english), "{key} in {language:?}");
                // A translated sentence is a sentence too. A date is none.
                if *key == "day_short" {
                    continue;
                }
                assert_eq!(own.ends_with('.'), english.ends_with('.'), "{key} in {language:?}");
                assert_eq!(own.ends_with('?'), english.ends_with('?'), "{key} in {language:?}");
            }
        }
    }

    /// No sentence is left in English by mistake.
    #[test]
    fn sentences_are_translated() {
        let english = texts(Language::English);
        for language in Language::ALL.into_iter().filter(|language| *language != Language::English)
        {
            for ((key, english), (_, own)) in english.iter().zip(texts(language)) {
                assert!(!english.ends_with('.') || own != *english, "{key} in {language:?}");
            }
        }
    }

    /// On a phone, or with several meters, a part may be elsewhere than on a wide window.
    #[test]
    fn no_text_says_where_another_part_is() {
        let words = [
            "above",
            "below",
            "beside",
            "next to",
            "on the left",
            "on the right",
            "hierboven",
            "hieronder",
            "hiernaast",
            "bovenaan",
            "onderaan",
            "links",
            "rechts",
            "ovenfor",
            "nedenfor",
            "øverst",
            "nederst",
            "ved siden af",
            "ovan",
            "nedan",
            "längst",
            "bredvid",
            "oben",
            "unten",
            "daneben",
            "nebenan",
        ];
        let is_letter = |c: char| c.is_alphabetic() || c == ' ';
        for language in Language::ALL {
            for (name, text) in texts(language) {
                let plain = format!(" {} ", text.to_lowercase().replace(|c| !is_letter(c), " "));
                let place = words.iter().find(|place| plain.contains(&format!(" {place} ")));
                assert_eq!(place, None, "{name}, {language:?}: {text}");
            }
        }
    }

    #[test]
    fn a_visitor_gets_the_best_language_that_the_page_has() {
        let accepted = |header| Language::accepted(Some(header));
        assert_eq!(Language::accepted(None), Language::English);
        assert_eq!(accepted(""), Language::English);
        assert_eq!(accepted("de"), Language::German);
        assert_eq!(accepted("de-CH, fr;q=0.9, en;q=0.8"), Language::German);
        assert_eq!(accepted("fr-FR,fr;q=0.9,nl;q=0.7,en;q=0.5"), Language::Dutch);
        assert_eq!(accepted("en;q=0.5, sv;q=0.8 ,da;q=0.75"), Language::Swedish);
        assert_eq!(accepted("DA-dk"), Language::Danish);
        assert_eq!(accepted("fr, *;q=0.5"), Language::English);
        assert_eq!(accepted("nl;q=0"), Language::English);
        assert_eq!(accepted("nl;q=x, de;q=0.001"), Language::German);
        assert_eq!(accepted("nl;q=0.12345"), Language::English);
        // A very long header costs no time.
        let many = "fr,".repeat(1000) + "nl";
        assert_eq!(accepted(&many), Language::English);
    }

    #[test]
    fn placeholders_are_filled() {
        assert_eq!(fill("Read {time} ago.", &[("time", "5 s")]), "Read 5 s ago.");
        assert_eq!(fill("{hits} of {asked}", &[("asked", "{hits}"), ("hits", "1")]), "1 of {hits}");
        assert_eq!(fill("none", &[("time", "5 s")]), "none");
        assert_eq!(fill("{unknown}!", &[]), "!");
        assert_eq!(fill("half {open", &[]), "half {open");
    }

    #[test]
    fn numbers_are_written_as_people_write_them() {
        assert_eq!(Language::English.number("0.128"), "0.128");
        assert_eq!(Language::German.number("0.128"), "0,128");
        assert_eq!(Language::Dutch.number("-3.5"), "-3,5");
        assert_eq!(Language::Danish.number("2026-01-31"), "2026-01-31");
        assert_eq!(Language::Swedish.number("1.2.3"), "1.2.3");
        assert_eq!(Language::Swedish.number("302 v1.2"), "302 v1.2");
    }
}
