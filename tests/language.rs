//! The language of everything that users read: no word or phrase that CONTRIBUTING.md ("How we
//! write") says to avoid, and no sentence that is too long.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test ends with a panic"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

/// Words and phrases in all their forms, what to write instead, and the words that may follow them
/// all the same.
const AVOIDED: &[(&[&str], &str, &[&str])] = &[
    (&["mend", "mends", "mended", "mending", "unmended"], "fix, correct", &[]),
    (&["told"], "reported, said, logged", &[]),
    (&["tells", "do not tell", "does not tell"], "says, reports", &[]),
    (&["meter can tell"], "has, reports", &[]),
    (&["goes on", "go on", "went on", "going on", "gone on"], "continue, resume, happen", &[]),
    (&["how it goes", "how it went"], "the state, the result", &[]),
    (&["try on", "tries on", "trying on"], "retry, try again", &[]),
    (&["comes back", "come back", "came back", "coming back"], "returns, reconnects", &[]),
    (&["comes as", "came as", "came over", "came damaged"], "arrives, is received", &[]),
    (&["yet to come"], "in the future", &[]),
    (&["program turns", "process turns"], "is running", &[]),
    (&["it wants", "broker wants", "meter wants", "program wants"], "requires, needs", &[]),
    (&["comes of", "came of"], "the result", &[]),
    (&["take away", "takes away", "took away", "taken away", "taking away"], "remove, delete", &[]),
    (&["believe", "believes", "believed"], "accept, use, treat as", &[]),
    (&["is taken for", "are taken for"], "is treated as", &[]),
    (&["not looked at"], "not checked", &[]),
    (
        &["knows nothing of", "keeps nothing of", "says nothing of"],
        "does not know, keep, mention",
        &[],
    ),
    (&["is of a newer", "is of an older", "is of version"], "is from, has", &[]),
    (&["in the network"], "on the network", &[]),
    (&["is spoken", "not spoken", "spoken here"], "supported", &[]),
    (&["odd in it", "odd about it", "what is odd"], "invalid, wrong", &[]),
    (&["be had", "was had", "were had"], "available", &[]),
    (
        &["what counts", "one that counts", "those that count", "settings that count"],
        "in effect",
        &[],
    ),
    (&["held to", "holds to", "hold to", "held against"], "must, checked against", &[]),
    (&["stands"], "is, is listed, means", &["for"]),
    (&["besides"], "also, too, in addition", &[]),
    (&["thereby", "thereof", "whereby", "wherein", "therein", "whereof"], "so, in it", &[]),
    (&["by itself", "by themselves"], "automatically", &[]),
    (&["of itself", "of its own accord", "of their own accord"], "automatically", &[]),
    (&["of which", "of whom", "whom"], "whose, or two sentences", &[]),
    (&["for so long"], "as long as, while", &[]),
    (&["in vain"], "without effect", &[]),
    (&["has held for", "have held for"], "connected for", &[]),
    (&["any more"], "no longer", &[]),
    (&["is no more", "are no more", "announced no more", "there no more"], "no longer", &["than"]),
    (&["that which", "those which", "he who", "whosoever"], "the one that, whoever", &[]),
    (&["said only once", "said once", "is said of"], "logged only once", &[]),
    (&["is asked which", "are asked which"], "kamstrup2mqtt asks", &[]),
    (&["for ever"], "forever, until it works", &[]),
    (&["anew"], "again", &[]),
];

/// Places that quote an avoided word on purpose: file, and the whole line.
const QUOTED: &[(&str, &str)] = &[
    ("CONTRIBUTING.md", "| fix, correct | mend |"),
    ("CONTRIBUTING.md", "| report, say, log, show | tell, told |"),
    ("CONTRIBUTING.md", "| continue, resume, retry | go on, try on |"),
    ("CONTRIBUTING.md", "| remove, delete | take away, taken away |"),
    ("CONTRIBUTING.md", "| accept, use, treat as | take, believe |"),
    ("CONTRIBUTING.md", "| reject, ignore, not supported | not known, not spoken |"),
    ("CONTRIBUTING.md", "| invalid, unavailable, not yet known | odd, cannot be had, none yet |"),
    ("CONTRIBUTING.md", "| must (obey a rule), is checked against (a rule) | held to |"),
    ("CONTRIBUTING.md", "| is, is listed, means | stands |"),
    ("CONTRIBUTING.md", "| also, too | besides, beside it, thereby |"),
    ("CONTRIBUTING.md", "| automatically | by itself |"),
    (
        "CONTRIBUTING.md",
        "| \"The values that …\", \"The person who …\" | \"What …\", \"Who …\", \"That which …\" as the subject of a sentence |",
    ),
    ("CONTRIBUTING.md", "| whose, or two sentences | of which, whom |"),
    ("CONTRIBUTING.md", "| as long as, while; without effect | for so long; in vain |"),
    ("CONTRIBUTING.md", "| Connected for 11 min | The connection has held for 11 min |"),
    (
        "CONTRIBUTING.md",
        "| Removed `x`: it is no longer configured | `x` is announced no more, and taken away |",
    ),
];

/// The most words in a sentence for users. CONTRIBUTING.md asks for 25, and a list may have a few
/// more.
const LONGEST: usize = 28;

/// A text that somebody reads, and the line of the file in which it begins.
struct Text {
    file: String,
    line: usize,
    content: String,
}

/// A word in lower case, its line, and whether only white space is between it and the word before.
struct Word {
    text: String,
    line: usize,
    follows: bool,
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// All files of a folder of the repository, and of those in it, with one of these extensions.
fn files(folder: &str, extensions: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(root().join(folder)).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let path = format!("{folder}/{name}");
        if root().join(&path).is_dir() {
            found.extend(files(&path, extensions));
        } else if extensions.iter().any(|extension| name.ends_with(extension)) {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn whole(file: &str) -> Text {
    let content =
        fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
    Text { file: file.to_owned(), line: 1, content }
}

/// Documents for users.
fn documents() -> Vec<Text> {
    let addon = "kamstrup2mqtt-addon";
    let mut all = vec!["README.md".to_owned(), "CHANGELOG.md".into(), "SECURITY.md".into()];
    all.extend(["README.md", "DOCS.md", "CHANGELOG.md"].map(|name| format!("{addon}/{name}")));
    all.extend(files("docs", &[".md"]));
    all.iter().map(|file| whole(file)).collect()
}

/// Everything else that users read as it is in the repository.
fn other_files() -> Vec<Text> {
    let mut all = vec![
        "ARCHITECTURE.md".to_owned(),
        "CONTRIBUTING.md".into(),
        "compose.yaml".into(),
        "kamstrup2mqtt.example.yaml".into(),
        "kamstrup2mqtt-addon/next.yaml".into(),
        "kamstrup2mqtt-addon/translations/en.yaml".into(),
    ];
    all.extend(files("templates", &[".html", ".js"]));
    all.extend(files("contrib", &[".service"]));
    all.extend(files("packaging/debian", &[".service", ".conf", "postinst", "postrm"]));
    all.extend(files(".github/ISSUE_TEMPLATE", &[".yml"]));
    all.extend(files("src/web", &["openapi.json"]));
    all.iter().map(|file| whole(file)).collect()
}

/// The help of all commands.
fn help() -> Vec<Text> {
    let mut command = kamstrup2mqtt::cli::command();
    command.build();
    let mut all = vec![(String::new(), command.render_long_help())];
    for command in command.get_subcommands_mut() {
        all.push((format!(" {}", command.get_name()), command.render_long_help()));
    }
    let text = |(name, help): (String, clap::builder::StyledStr)| Text {
        file: format!("kamstrup2mqtt{name} --help"),
        line: 1,
        content: help.to_string(),
    };
    all.into_iter().map(text).collect()
}

/// The texts in the code of the program, without its tests.
fn texts_in_code() -> Vec<Text> {
    let mut all = Vec::new();
    for folder in ["src", "crates"] {
        for file in files(folder, &[".rs"]) {
            let is_test = file.split('/').any(|part| {
                ["tests", "tests.rs", "testing", "benches", "examples", "fuzz"].contains(&part)
            });
            if !is_test {
                let code = fs::read_to_string(root().join(&file)).unwrap();
                all.extend(literals(&code).into_iter().map(|(line, content)| Text {
                    file: file.clone(),
                    line,
                    content,
                }));
            }
        }
    }
    all
}

/// The string literals of Rust code with their lines, but for items behind `#[cfg(test)]`.
fn literals(code: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut rest = code;
    let mut depth = 0_usize;
    // The depth at which an item of tests began, and whether its body has.
    let mut test: Option<(usize, bool)> = None;
    let line = |rest: &str| code[..code.len() - rest.len()].matches('\n').count() + 1;
    while let Some(next) = rest.chars().next() {
        if rest.starts_with("//") {
            rest = &rest[rest.find('\n').unwrap_or(rest.len())..];
        } else if rest.starts_with("#[cfg(test") || rest.starts_with("#[cfg(all(test") {
            test = test.or(Some((depth, false)));
            rest = &rest[1..];
        } else if let Some(end) = literal_end(rest) {
            if test.is_none() {
                found.push((line(rest), unescaped(&rest[..end])));
            }
            rest = &rest[end..];
        } else if next == '\'' {
            // A character, or a lifetime.
            let mut after = rest.chars().skip(1);
            let skipped = match (after.next(), after.next()) {
                (Some('\\'), _) => rest[3..].find('\'').unwrap() + 4,
                (Some(one), Some('\'')) => one.len_utf8() + 2,
                _ => 1,
            };
            rest = &rest[skipped..];
        } else {
            match (next, test) {
                ('{', _) => {
                    depth += 1;
                    test = test.map(|(begin, _)| (begin, true));
                }
                ('}', _) => {
                    depth -= 1;
                    test = test.filter(|(begin, _)| depth > *begin);
                }
                (';', Some((begin, false))) if depth == begin => test = None,
                _ => {}
            }
            rest = &rest[next.len_utf8()..];
        }
    }
    found
}

/// Where the string literal ends that the code begins with, if it begins with one.
fn literal_end(code: &str) -> Option<usize> {
    if let Some(raw) = code.strip_prefix('r') {
        let hashes = raw.len() - raw.trim_start_matches('#').len();
        let inside = raw[hashes..].strip_prefix('"')?;
        let close = format!("\"{}", "#".repeat(hashes));
        return Some(1 + hashes + 1 + inside.find(&close)? + close.len());
    }
    let inside = code.strip_prefix('"')?;
    let mut is_escaped = false;
    for (at, c) in inside.char_indices() {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '"' => return Some(at + 2),
            _ => {}
        }
    }
    None
}

/// A literal without its escapes: a line that continues has its end, so that lines can be counted.
fn unescaped(literal: &str) -> String {
    literal.replace("\\\n", "\n").replace("\\n", " ").replace('\\', "")
}

fn words(text: &Text) -> Vec<Word> {
    let mut words: Vec<Word> = Vec::new();
    let (mut line, mut follows, mut is_inside) = (text.line, false, false);
    for c in text.content.chars() {
        if c.is_alphanumeric() || "'’-_".contains(c) {
            if !is_inside {
                words.push(Word { text: String::new(), line, follows });
            }
            words.last_mut().unwrap().text.extend(c.to_lowercase());
            (is_inside, follows) = (true, true);
        } else {
            line += usize::from(c == '\n');
            follows &= c.is_whitespace();
            is_inside = false;
        }
    }
    words
}

/// A phrase in words, what to write instead, and the words that may follow it all the same.
struct Phrase {
    form: &'static str,
    words: Vec<&'static str>,
    instead: &'static str,
    unless: &'static [&'static str],
}

/// The avoided phrases by their first words.
fn phrases() -> BTreeMap<&'static str, Vec<Phrase>> {
    let mut phrases: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for &(forms, instead, unless) in AVOIDED {
        for form in forms {
            let words: Vec<_> = form.split(' ').collect();
            phrases.entry(words[0]).or_default().push(Phrase { form, words, instead, unless });
        }
    }
    phrases
}

/// Each avoided phrase in a text: its line, the phrase, and what to write instead.
fn avoided(
    phrases: &BTreeMap<&str, Vec<Phrase>>,
    text: &Text,
) -> Vec<(usize, &'static str, &'static str)> {
    let words = words(text);
    let mut found = Vec::new();
    for at in 0..words.len() {
        for phrase in phrases.get(words[at].text.as_str()).into_iter().flatten() {
            let end = at + phrase.words.len();
            let is_here = end <= words.len()
                && words[at..end].iter().zip(&phrase.words).all(|(word, part)| word.text == *part)
                && words[at + 1..end].iter().all(|word| word.follows);
            let next = words.get(end).filter(|next| next.follows);
            if is_here && !next.is_some_and(|next| phrase.unless.contains(&next.text.as_str())) {
                found.push((words[at].line, phrase.form, phrase.instead));
            }
        }
    }
    found
}

#[test]
fn no_text_has_a_word_that_the_style_page_avoids() {
    let mut all = documents();
    all.extend(other_files());
    all.extend(help());
    all.extend(texts_in_code());
    assert!(all.len() > 2_000, "only {} texts", all.len());
    let mut used = BTreeSet::new();
    let mut wrong = String::new();
    let phrases = phrases();
    for text in &all {
        for (line, phrase, instead) in avoided(&phrases, text) {
            let shown = text.content.lines().nth(line - text.line).unwrap_or_default();
            if let Some(place) = QUOTED.iter().find(|place| **place == (text.file.as_str(), shown))
            {
                used.insert(place);
            } else {
                writeln!(wrong, "{}:{line}: `{phrase}`: write {instead}", text.file).unwrap();
            }
        }
    }
    let unused: Vec<_> = QUOTED.iter().filter(|place| !used.contains(*place)).collect();
    assert!(unused.is_empty(), "these places quote no avoided word: {unused:#?}");
    assert!(wrong.is_empty(), "{} places:\n{wrong}", wrong.lines().count());
}

#[test]
fn the_search_sees_phrases_in_literals_and_across_lines() {
    let code = r##"
        fn a<'a>(c: char) -> bool { c == '"' || c == '\'' } // "mended"
        const A: &str = "It was taken \
                         away, or mended. In\nvain";
        const B: &str = r#"whom "it" stands for, that it stands"#;
        #[cfg(test)]
        mod tests { const C: &str = "mended {"; }
        #[cfg(test)]
        mod others;
        const D: &str = "it stands. For all that, no more in, vain";
    "##;
    let phrases = phrases();
    let found: Vec<_> = literals(code)
        .into_iter()
        .flat_map(|(line, content)| avoided(&phrases, &Text { file: String::new(), line, content }))
        .map(|(line, phrase, _)| (line, phrase))
        .collect();
    let expected = [
        (3, "taken away"),
        (4, "mended"),
        (4, "in vain"),
        (5, "whom"),
        (5, "stands"),
        (10, "stands"),
    ];
    assert_eq!(found, expected);
}

/// Every Markdown file of the repository.
fn markdown() -> Vec<Text> {
    let mut all = Vec::new();
    for entry in fs::read_dir(root()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "md") {
            all.push(path.file_name().unwrap().to_str().unwrap().to_owned());
        }
    }
    for folder in ["crates", "docs", "kamstrup2mqtt-addon", "packaging", "src", "tests"] {
        all.extend(files(folder, &[".md"]));
    }
    all.iter().map(|file| whole(file)).collect()
}

/// The lines of a document's tables that are not a whole row: a row must be on one line, indented
/// as the row above it, with as many cells.
fn broken_rows(document: &Text) -> Vec<(usize, String)> {
    // A row's indentation and number of cells. GitHub counts a `|` in code too, unless it is
    // escaped.
    let row = |line: &str| {
        let text = line.trim();
        let is_whole = text.len() > 1 && text.starts_with('|') && text.ends_with('|');
        let cells = text.replace("\\|", "").matches('|').count();
        is_whole.then_some((line.len() - line.trim_start().len(), cells))
    };
    let is_delimiter = |line: &str| line.contains("--") && line.chars().all(|c| " |:-".contains(c));
    let mut broken = Vec::new();
    let mut table: Option<((usize, usize), usize)> = None;
    let mut is_code = false;
    for (number, line) in (document.line..).zip(document.content.lines()) {
        is_code ^= line.trim().starts_with("```");
        if is_code || line.trim().is_empty() {
            table = None;
            continue;
        }
        let is_right = match (table, row(line)) {
            (None, None) => !line.trim().starts_with('|'),
            (Some((first, rows)), Some(this)) => {
                table = Some((first, rows + 1));
                this == first && (rows == 1) == is_delimiter(line)
            }
            (None, Some(first)) => {
                table = Some((first, 1));
                true
            }
            (Some(_), None) => false,
        };
        if !is_right {
            broken.push((number, line.to_owned()));
        }
    }
    broken
}

#[test]
fn a_table_row_that_was_wrapped_is_found() {
    let content = "| a | b |\n|---|---|\n| one \\| or `two` | three |\n\n1. Item:\n\n   \
                   | Field | Enter |\n   |---|---|\n   | \"Gas\" | in kWh, as gas\n   |\n   | \
                   costs | \"Use an entity\n   with price\"; converts |\n| x | y |\n   | x |\n\n\
                   ```\n| code\n```\n";
    let document = Text { file: String::new(), line: 1, content: content.to_owned() };
    let found: Vec<_> = broken_rows(&document).into_iter().map(|(line, _)| line).collect();
    assert_eq!(found, [9, 10, 11, 12, 13, 14]);
}

#[test]
fn each_row_of_a_table_is_on_one_line() {
    let mut broken = String::new();
    let all = markdown();
    assert!(all.len() > 20, "only {} documents", all.len());
    for document in &all {
        for (line, text) in broken_rows(document) {
            writeln!(broken, "{}:{line}: {text}", document.file).unwrap();
        }
    }
    assert!(broken.is_empty(), "these rows are broken:\n{broken}");
}

/// The sentences of a Markdown document with their lines. Headings, tables and code have none.
fn sentences(document: &Text) -> Vec<(usize, String)> {
    let mut all = Vec::new();
    let mut block: Option<(usize, String)> = None;
    let mut is_code = false;
    for (number, line) in (document.line..).zip(document.content.lines().chain([""])) {
        let text = line.trim();
        let is_item = text.starts_with("- ")
            || text.split_once(". ").is_some_and(|(number, _)| number.parse::<u8>().is_ok());
        let is_fence = text.starts_with("```");
        let is_prose = !is_code && !is_fence && !text.is_empty() && !text.starts_with(['#', '|']);
        is_code ^= is_fence;
        if (!is_prose || is_item)
            && let Some((first, text)) = block.take()
        {
            all.extend(split(&text).into_iter().map(|sentence| (first, sentence)));
        }
        if is_prose {
            let (_, all) = block.get_or_insert_with(|| (number, String::new()));
            all.push_str(text);
            all.push(' ');
        }
    }
    all
}

/// A paragraph in sentences. Code is one word, and so is the target of a link.
fn split(paragraph: &str) -> Vec<String> {
    let mut plain = String::new();
    for (number, part) in paragraph.split('`').enumerate() {
        plain.push_str(if number % 2 == 0 { part } else { "code" });
    }
    let mut parts = plain.split("](");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        text.push_str(part.split_once(')').map_or("", |(_, after)| after));
    }
    let mut sentences = vec![String::new()];
    for word in text.split_whitespace() {
        let sentence = sentences.last_mut().unwrap();
        sentence.push_str(word);
        sentence.push(' ');
        if word.trim_end_matches(['*', '"', ')']).ends_with(['.', '!', '?', ':', ';']) {
            sentences.push(String::new());
        }
    }
    sentences
}

#[test]
fn sentences_are_split_at_their_ends() {
    let content = "# A heading\n\nOne `code. here` and\na [link](a.b). Two:\n\n- three\n- four. Five\n\n\
                   ```\nno sentence\n```\n| no | sentence |\n";
    let document = Text { file: String::new(), line: 1, content: content.to_owned() };
    let found: Vec<_> = sentences(&document)
        .into_iter()
        .map(|(line, sentence)| (line, sentence.trim().to_owned()))
        .filter(|(_, sentence)| !sentence.is_empty())
        .collect();
    let expected =
        [(3, "One code and a [link."), (3, "Two:"), (6, "- three"), (7, "- four."), (7, "Five")];
    assert_eq!(found, expected.map(|(line, text)| (line, text.to_owned())));
}

#[test]
fn sentences_for_users_are_short() {
    let mut long = String::new();
    let mut count = 0;
    for document in documents() {
        for (line, sentence) in sentences(&document) {
            count += 1;
            let words =
                sentence.split_whitespace().filter(|word| word.contains(char::is_alphanumeric));
            let words = words.count();
            if words > LONGEST {
                writeln!(long, "{}:{line}: {words} words: {sentence}", document.file).unwrap();
            }
        }
    }
    assert!(count > 1_000, "only {count} sentences");
    assert!(long.is_empty(), "more than {LONGEST} words in:\n{long}");
}
