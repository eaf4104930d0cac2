//! Which meters may be asked for their logs.

use kmp::model::Model;

/// Whether a meter may be asked for its logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Its model is known to answer: captured frames of a 303 or 603 exist.
    Known,
    /// It has logs, and may answer like a 603. It is asked only after the user has asked for the
    /// history. An unknown command costs a meter that does not answer 1.6 s, and nothing else that
    /// is known (5512-447 M1 p.4).
    Untried,
    /// No public way to read its logs is known.
    NoWay,
}

impl Access {
    /// How a meter that is one of these models may be asked; none if the model is not known.
    #[must_use]
    pub fn of(models: &[Model]) -> Self {
        let all =
            |of: &[Model]| !models.is_empty() && models.iter().all(|model| of.contains(model));
        if all(&[Model::Multical303, Model::Multical603]) {
            Self::Known
        } else if all(&[
            Model::Multical21,
            Model::Multical302,
            Model::Multical402,
            Model::Multical601,
            Model::Multical602,
            Model::Multical801,
        ]) {
            Self::NoWay
        } else {
            Self::Untried
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_two_models_are_known_to_answer() {
        for model in Model::ALL {
            let expected = match model.number() {
                303 | 603 => Access::Known,
                403 | 803 => Access::Untried,
                _ => Access::NoWay,
            };
            assert_eq!(Access::of(&[model]), expected, "{model:?}");
        }
        assert_eq!(Access::of(&[]), Access::Untried);
        // As registers suggest them.
        let newest = [Model::Multical603, Model::Multical803, Model::Multical303];
        assert_eq!(Access::of(&newest), Access::Untried);
        assert_eq!(Access::of(&[Model::Multical403, Model::Multical302]), Access::Untried);
        let older = [Model::Multical402, Model::Multical602, Model::Multical601];
        assert_eq!(Access::of(&older), Access::NoWay);
    }
}
