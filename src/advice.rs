//! What went wrong and what to do about it, as data. It refers to settings, and becomes sentences
//! for whoever made them: by a file, on the add-on's form, or not at all.

use std::borrow::Cow;

use crate::config::Key;
use meter::RunsAs;

/// Who made the settings that advice may speak of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum MadeBy {
    /// A user who wrote a file or set variables.
    #[default]
    File,
    /// A user who filled in the add-on's form.
    Form,
    /// Home Assistant. Nobody can change them here, so advice about them is left out.
    HomeAssistant,
}

impl MadeBy {
    /// Who made those of the broker, which Home Assistant may have `supplied`.
    #[must_use]
    pub fn of_broker(runs_as: RunsAs, supplied: bool) -> Self {
        match runs_as {
            RunsAs::Program => Self::File,
            RunsAs::AddOn if supplied => Self::HomeAssistant,
            RunsAs::AddOn => Self::Form,
        }
    }

    /// Whose names the settings have.
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
    steps: Vec<Sentence>,
}

/// One sentence about what to do, or about the likely cause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sentence(Vec<Part>);

/// A part of a sentence.
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
    /// Of these parts.
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

    fn words(&self, runs_as: RunsAs) -> String {
        let words = self.0.iter().map(|part| match part {
            Part::Text(text) => text.clone(),
            Part::Setting(key) => key.called(runs_as).into(),
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

    /// Adds a sentence of what to do about it.
    #[must_use]
    pub fn then(mut self, step: Sentence) -> Self {
        self.steps.push(step);
        self
    }

    /// The sentences that are of use to whoever made the settings. None names a setting that the
    /// form does not have.
    #[must_use]
    pub fn words(&self, made_by: MadeBy) -> String {
        let what = &self.what;
        let steps = match made_by {
            MadeBy::File => self.steps(RunsAs::Program, |_| true),
            MadeBy::Form => self.steps(RunsAs::AddOn, Key::is_on_form),
            MadeBy::HomeAssistant => {
                let speaks_of_settings = self.steps.iter().any(|it| it.settings().next().is_some());
                if speaks_of_settings { Vec::new() } else { self.steps(RunsAs::AddOn, |_| true) }
            }
        };
        if made_by == MadeBy::Form && steps.is_empty() && !self.steps.is_empty() {
            return format!("{what} The broker's own log may say more.");
        }
        std::iter::once(what.to_string()).chain(steps).collect::<Vec<_>>().join(" ")
    }

    /// The sentences that name no other settings than these.
    fn steps(&self, runs_as: RunsAs, of: impl Fn(&Key) -> bool) -> Vec<String> {
        let kept = self.steps.iter().filter(|step| step.settings().all(&of));
        kept.map(|step| step.words(runs_as)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::keys;

    /// For each who may have made the settings.
    fn words(advice: &Advice) -> [String; 3] {
        [MadeBy::File, MadeBy::Form, MadeBy::HomeAssistant].map(|made_by| advice.words(made_by))
    }

    #[test]
    fn settings_have_the_names_of_who_made_them() {
        let check = sentence!["Check ", &keys::USERNAME, " and ", &keys::PASSWORD, "."];
        let advice = Advice::new("it refused user name or password.").then(check);
        assert_eq!(
            words(&advice),
            [
                "it refused user name or password. Check `mqtt.username` and `mqtt.password`.",
                "it refused user name or password. Check `username` of `mqtt` and `password` of \
                 `mqtt`.",
                "it refused user name or password.",
            ]
        );
    }

    #[test]
    fn what_names_no_setting_is_for_all() {
        let advice = Advice::new("nothing listens there.").then(sentence!["Check that it runs."]);
        let all = "nothing listens there. Check that it runs.";
        assert_eq!(words(&advice), [all, all, all]);
    }

    #[test]
    fn the_form_is_told_of_no_setting_that_it_does_not_have() {
        let advice = Advice::new("it refused the client id.").then(sentence![
            "Choose another one as ",
            &keys::CLIENT,
            "."
        ]);
        let [_, of_form, of_home_assistant] = words(&advice);
        assert_eq!(of_form, "it refused the client id. The broker's own log may say more.");
        assert_eq!(of_home_assistant, "it refused the client id.");
        let version = sentence!["If not, ", &keys::TLS_VERSION, " must not be 1.3."];
        let advice = Advice::new("it failed (a. b).").then(sentence!["Use 1.2."]).then(version);
        let [_, of_form, of_home_assistant] = words(&advice);
        assert_eq!(of_form, "it failed (a. b). Use 1.2.");
        assert_eq!(of_home_assistant, "it failed (a. b).");
    }
}
