//! Remembers how the last connections that the broker closed have ended, and finds the pattern in
//! them.
//!
//! A broker closes a connection without a reason. It may reject the step that was sent last (a
//! publish or a subscription). It may stop. Or another program has connected with the same client
//! id. So one such end shows nothing:
//!
//! - If two of three connections end at the same step, the broker rejects that step.
//! - If three connections in a row end while nothing is being sent, another program takes them
//!   over, or a proxy ends idle connections. MQTT 3.1.1 has no packet that says so: in each case,
//!   the broker closes the connection. But a broker that is being restarted also accepts no new
//!   connection for a moment. If that was seen in between, it was not another program.

use std::collections::VecDeque;
use std::time::Duration;

use super::trail::Step;

/// How many ends are remembered.
const REMEMBERED: usize = 4;

/// A connection that lasted this long has nothing to do with those before it.
const LASTING: Duration = Duration::from_secs(60);

/// At which step each of the last connections ended.
#[derive(Debug, Default)]
pub(super) struct Endings {
    /// The last one first; `None` where nothing was under way.
    last: VecDeque<Option<Step>>,
}

/// What the ends of the last connections have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pattern<'a> {
    /// Too few for a pattern.
    Single,
    /// All at this step.
    SameStep(&'a Step),
    /// All while nothing was under way.
    Idle,
    /// Each at another step.
    Various,
}

impl Endings {
    /// The broker has closed a connection that has `lasted` this long, at this step.
    pub(super) fn add(&mut self, step: Option<&Step>, lasted: Duration) {
        if lasted >= LASTING {
            self.forget();
        }
        self.last.truncate(REMEMBERED - 1);
        self.last.push_front(step.cloned());
    }

    /// A connection ended for another reason, or the broker could not be reached: it was restarted.
    pub(super) fn forget(&mut self) {
        self.last.clear();
    }

    /// The broker, or a proxy in front of it, has closed a connection before it was accepted. It
    /// may reject a client for some time after a step, but not because of another program.
    pub(super) fn forget_idle(&mut self) {
        self.last.retain(Option::is_some);
    }

    pub(super) fn pattern(&self) -> Pattern<'_> {
        match self.last.iter().collect::<Vec<_>>().as_slice() {
            [Some(last), Some(before), ..] if last == before => Pattern::SameStep(last),
            // A slow broker may not have acknowledged the step before it either.
            [Some(last), Some(_), Some(before), ..] if last == before => Pattern::SameStep(last),
            [None, None, None, ..] => Pattern::Idle,
            [_, _, _, _] => Pattern::Various,
            _ => Pattern::Single,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_secs(1);

    fn step(filter: &str) -> Step {
        Step::Subscribe { filter: filter.to_owned() }
    }

    fn endings(steps: &[Option<&str>]) -> Endings {
        let mut endings = Endings::default();
        for of in steps {
            endings.add(of.map(step).as_ref(), SHORT);
        }
        endings
    }

    #[test]
    fn the_same_step_twice_of_three_is_rejected() {
        let a = step("a");
        assert_eq!(endings(&[Some("a")]).pattern(), Pattern::Single);
        assert_eq!(endings(&[Some("a"), Some("a")]).pattern(), Pattern::SameStep(&a));
        assert_eq!(endings(&[Some("b"), Some("a"), Some("a")]).pattern(), Pattern::SameStep(&a));
        assert_eq!(endings(&[Some("a"), Some("b")]).pattern(), Pattern::Single);
        assert_eq!(endings(&[Some("a"), Some("b"), Some("a")]).pattern(), Pattern::SameStep(&a));
        assert_eq!(endings(&[Some("a"), None, Some("a")]).pattern(), Pattern::Single);
        let various = [Some("a"), Some("b"), Some("c"), Some("d")];
        assert_eq!(endings(&various[..3]).pattern(), Pattern::Single);
        assert_eq!(endings(&various).pattern(), Pattern::Various);
        assert_eq!(endings(&[Some("a"), None, Some("b"), None]).pattern(), Pattern::Various);
    }

    #[test]
    fn another_program_takes_over_connections_in_which_nothing_is_under_way() {
        assert_eq!(endings(&[None, None]).pattern(), Pattern::Single);
        assert_eq!(endings(&[None, None, None]).pattern(), Pattern::Idle);
        assert_eq!(endings(&[Some("a"), None, None, None]).pattern(), Pattern::Idle);
    }

    #[test]
    fn a_broker_that_is_unavailable_in_between_was_restarted() {
        let mut endings = endings(&[None, None]);
        endings.forget_idle();
        endings.add(None, SHORT);
        assert_eq!(endings.pattern(), Pattern::Single);
        // A step may still be rejected.
        let a = step("a");
        endings.add(Some(&a), SHORT);
        endings.forget_idle();
        endings.add(Some(&a), SHORT);
        assert_eq!(endings.pattern(), Pattern::SameStep(&a));
    }

    #[test]
    fn a_long_connection_starts_a_new_pattern() {
        let mut endings = endings(&[None, None]);
        endings.add(None, LASTING);
        assert_eq!(endings.pattern(), Pattern::Single);
        endings.add(None, SHORT);
        endings.add(None, SHORT);
        assert_eq!(endings.pattern(), Pattern::Idle);
        endings.forget();
        assert_eq!(endings.pattern(), Pattern::Single);
    }
}
