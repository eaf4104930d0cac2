//! States that are reported only when they change.

/// The last state that was reported.
#[derive(Debug, Clone)]
pub struct News<T>(Option<T>);

impl<T> Default for News<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T: PartialEq> News<T> {
    /// Starts with a state that needs no report.
    pub fn known(state: T) -> Self {
        Self(Some(state))
    }

    /// Whether a state differs from the last one and must be reported. Remembers it as the last one.
    pub fn is_new(&mut self, state: T) -> bool {
        let is_new = self.0.as_ref() != Some(&state);
        self.0 = Some(state);
        is_new
    }

    /// Forgets the last state, so that the next one is reported. Returns whether there was one.
    pub fn forget(&mut self) -> bool {
        self.0.take().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_new_when_it_differs_from_the_one_before() {
        let mut news = News::default();
        let new: Vec<bool> = [1, 1, 2, 1].into_iter().map(|state| news.is_new(state)).collect();
        assert_eq!(new, [true, false, true, true]);
        assert!(news.forget() && !news.forget());
        assert!(news.is_new(1));
        assert!(!News::known(1).is_new(1));
    }
}
