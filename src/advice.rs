//! What went wrong and what to do about it, as data that refers to settings. When the data becomes
//! a sentence, it names the settings as the user knows them: from a file, or from the app's
//! form. If Home Assistant has made the settings, sentences about them are left out.

use std::borrow::Cow;

use crate::config::Key;
use meter::RunsAs;

/// Who made the settings that advice may mention.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum MadeBy {
    /// A user who wrote a file or set variables.
    #[default]
    File,
    /// A user who filled in the app's form.
    Form,
    /// Home Assistant. Nobody can change them here, so advice about them is left out.
    HomeAssistant,
}

impl MadeBy {
    /// Who made the settings of the broker, which Home Assistant may have `supplied`.
    #[must_use]
    pub fn of_broker(runs_as: RunsAs, supplied: bool) -> Self {
        match runs_as {
            RunsAs::Program => Self::File,
            RunsAs::AddOn if supplied => Self::HomeAssistant,
            RunsAs::AddOn => Self::Form,
        }
    }

    /// Whose names of the settings to use.
    #[must_use]
    pub fn runs_as(self) -> RunsAs {
        match self {
            Self::File => RunsAs::Program,
            Self::Form | Self::HomeAssistant => RunsAs::AddOn,
        }
    }
}

/// What went wrong, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advice {
    what: Cow<'static, str>,
    steps: Vec<Step>,
}

/// A sentence, and its only reader if it is not for everybody.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Step {
    only_for: Option<RunsAs>,
    sentence: Sentence,
}

/// A sentence about what to do, or about the likely cause. It is shown as a whole or not at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sentence(Vec<Part>);

/// A part of a [`Sentence`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// Words.
    Text(Cow<'static, str>),
    /// The name of a setting.
    Setting(&'static Key),
}

impl From<&'static str> for Part {
    fn from(text: &'static str) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for Part {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}

impl<T> From<&'static crate::config::Setting<T>> for Part {
    fn from(setting: &'static crate::config::Setting<T>) -> Self {
        Self::Setting(setting)
    }
}

/// A sentence of words and settings.
macro_rules! sentence {
    ($($part:expr),+ $(,)?) => {
        $crate::advice::Sentence::new(vec![$($crate::advice::Part::from($part)),+])
    };
}
pub(crate) use sentence;

impl Sentence {
    /// Joins these parts.
    #[must_use]
    pub fn new(parts: Vec<Part>) -> Self {
        Self(parts)
    }

    fn settings(&self) -> impl Iterator<Item = &'static Key> {
        self.0.iter().filter_map(|part| match part {
            Part::Setting(key) => Some(*key),
            Part::Text(_) => None,
        })
    }

    /// Of several settings in one group of the form, the last names the group. A setting with a
    /// label of its own is called by that.
    fn words(&self, runs_as: RunsAs, label: impl Fn(&Key) -> Option<String>) -> String {
        let last = self.settings().last();
        let words = self.0.iter().map(|part| match part {
            Part::Text(text) => text.clone(),
            Part::Setting(key) => match (label(key), last) {
                (Some(label), _) => format!("\"{label}\"").into(),
                (None, Some(last)) if *last != **key && last.is_beside(key) => {
                    key.called_briefly(runs_as).into()
                }
                (None, _) => key.called(runs_as).into(),
            },
        });
        words.collect()
    }
}

impl Advice {
    /// What happened, in one sentence with its full stop.
    #[must_use]
    pub fn new(what: impl Into<Cow<'static, str>>) -> Self {
        Self { what: what.into(), steps: Vec::new() }
    }

    /// Adds a sentence about what to do.
    #[must_use]
    pub fn then(mut self, step: Sentence) -> Self {
        self.steps.push(Step { only_for: None, sentence: step });
        self
    }

    /// Adds a sentence that only these readers need.
    #[must_use]
    pub fn then_for(mut self, reader: RunsAs, step: Sentence) -> Self {
        self.steps.push(Step { only_for: Some(reader), sentence: step });
        self
    }

    /// Adds a sentence that depends on what its reader can do.
    #[must_use]
    pub fn then_by_reader(self, words: impl Fn(RunsAs) -> &'static str) -> Self {
        [RunsAs::Program, RunsAs::AddOn].into_iter().fold(self, |advice, reader| {
            advice.then_for(reader, Sentence::new(vec![words(reader).into()]))
        })
    }

    /// The sentences that help whoever made the settings. None names a setting that the form lacks.
    #[must_use]
    pub fn words(&self, made_by: MadeBy) -> String {
        let what = &self.what;
        let steps = match made_by {
            MadeBy::File => self.steps(RunsAs::Program, |_| true),
            MadeBy::Form => self.steps(RunsAs::AddOn, Key::is_on_form),
            MadeBy::HomeAssistant => {
                let names_settings =
                    self.steps.iter().any(|it| it.sentence.settings().next().is_some());
                if names_settings { Vec::new() } else { self.steps(RunsAs::AddOn, |_| true) }
            }
        };
        if made_by == MadeBy::Form && steps.is_empty() && !self.steps.is_empty() {
            return format!("{what} The broker's log may say more.");
        }
        std::iter::once(what.to_string()).chain(steps).collect::<Vec<_>>().join(" ")
    }

    /// The same for a user who fills in fields with labels. A setting without a field is called as in
    /// the file.
    #[must_use]
    pub(crate) fn words_at_fields(&self, label: impl Fn(&Key) -> Option<String>) -> String {
        let steps = self.sentences(RunsAs::Program).map(|it| it.words(RunsAs::Program, &label));
        std::iter::once(self.what.to_string()).chain(steps).collect::<Vec<_>>().join(" ")
    }

    /// The sentences that name only `allowed` settings.
    fn steps(&self, runs_as: RunsAs, allowed: impl Fn(&Key) -> bool) -> Vec<String> {
        let kept = self.sentences(runs_as).filter(|sentence| sentence.settings().all(&allowed));
        kept.map(|sentence| sentence.words(runs_as, |_| None)).collect()
    }

    /// The sentences for these readers.
    fn sentences(&self, runs_as: RunsAs) -> impl Iterator<Item = &Sentence> {
        let of_reader =
            self.steps.iter().filter(move |step| step.only_for.is_none_or(|only| only == runs_as));
        of_reader.map(|step| &step.sentence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::keys;

    /// The words for each maker of the settings.
    fn words(advice: &Advice) -> [String; 3] {
        [MadeBy::File, MadeBy::Form, MadeBy::HomeAssistant].map(|made_by| advice.words(made_by))
    }

    #[test]
    fn settings_are_named_as_their_maker_knows_them() {
        let check = sentence!["Check ", &keys::USERNAME, " and ", &keys::PASSWORD, "."];
        let advice = Advice::new("it rejected the password.").then(check);
        assert_eq!(
            words(&advice),
            [
                "it rejected the password. Check `mqtt.username` and `mqtt.password`.",
                "it rejected the password. Check \"User name\" and \"Password\" under \"Own MQTT \
                 broker\".",
                "it rejected the password.",
            ]
        );
    }

    #[test]
    fn advice_that_names_no_setting_is_for_everybody() {
        let advice = Advice::new("it is silent.").then(sentence!["Check that it is running."]);
        let all = "it is silent. Check that it is running.";
        assert_eq!(words(&advice), [all, all, all]);
    }

    /// A user of the app cannot change limits.
    #[test]
    fn advice_may_depend_on_its_reader() {
        let hint = meter::cause::shortage_hint;
        let advice = Advice::new("it has no memory.").then_by_reader(hint);
        let [of_file, of_form, of_home_assistant] = words(&advice);
        assert!(
            of_file.starts_with("it has no memory. Raise the limits") && of_file.contains("ulimit")
        );
        assert!(of_form.starts_with("it has no memory. Restart") && !of_form.contains("limit"));
        assert_eq!(of_form, of_home_assistant);
    }

    #[test]
    fn advice_for_the_form_names_only_settings_of_the_form() {
        let advice = Advice::new("it rejected the client id.").then(sentence![
            "Set ",
            &keys::CLIENT,
            " to another one."
        ]);
        let [_, of_form, of_home_assistant] = words(&advice);
        assert_eq!(of_form, "it rejected the client id. The broker's log may say more.");
        assert_eq!(of_home_assistant, "it rejected the client id.");
        let version = sentence!["If not, ", &keys::TLS_VERSION, " must not be 1.3."];
        let advice = Advice::new("it failed (a. b).").then(sentence!["Use 1.2."]).then(version);
        let [_, of_form, of_home_assistant] = words(&advice);
        assert_eq!(of_form, "it failed (a. b). Use 1.2.");
        assert_eq!(of_home_assistant, "it failed (a. b).");
    }
}
