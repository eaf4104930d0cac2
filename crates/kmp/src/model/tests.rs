use std::collections::BTreeSet;
use std::string::ToString;

use super::*;
use crate::message::SoftwareRevision;

#[test]
fn a_model_is_found_by_its_number() {
    for model in Model::ALL {
        assert_eq!(Model::from_number(model.number()), Some(model));
    }
    assert_eq!(Model::from_number(604), None);
    assert_eq!(Model::Multical403.to_string(), "MULTICAL 403");
}

/// Every listed register is in the table of registers. Lists are sorted, without duplicates.
#[test]
fn every_known_register_is_in_the_table() {
    for known in KNOWN {
        let lists = known.list.map_or([&[][..], &[]], |list| {
            assert!(!list.source.is_empty());
            [list.printed, list.illegible]
        });
        for list in [lists[0], lists[1], known.seen] {
            assert!(list.is_sorted_by(|a, b| a < b), "{:?}", known.model);
            for id in list {
                assert!(RegisterId::new(*id).info().is_some(), "{:?} {id}", known.model);
            }
        }
        let [printed, illegible] = lists.map(|list| list.iter().collect::<BTreeSet<_>>());
        assert!(printed.is_disjoint(&illegible));
    }
}

#[test]
fn presence_names_the_kind_of_evidence() {
    let presence = |model: Model, id| model.presence(RegisterId::new(id));
    assert_eq!(presence(Model::Multical402, 60), Presence::Seen);
    assert_eq!(presence(Model::Multical402, 155), Presence::Listed);
    assert_eq!(presence(Model::Multical402, 266), Presence::NotListed);
    assert_eq!(presence(Model::Multical402, 104), Presence::Unknown);
    assert_eq!(presence(Model::Multical403, 1), Presence::NotListed);
    assert_eq!(presence(Model::Multical403, 155), Presence::Unknown);
    assert_eq!(presence(Model::Multical803, 60), Presence::Unknown);
    assert_eq!(presence(Model::Multical801, 171), Presence::Listed);
    assert_eq!(presence(Model::Multical601, 171), Presence::NotListed);
}

#[test]
fn a_601_is_identified_by_its_type() {
    let of = |code| {
        Model::by_type(MeterType { code, revision: SoftwareRevision { letter: 6, number: 1 } })
    };
    for code in [0x0001, 0x0004, 0x0005, 0x1501] {
        assert_eq!(of(code), Some(Model::Multical601), "{code:#06x}");
    }
    for code in [0x0000, 0x0002, 0x0217, 0x0901, 0x1601] {
        assert_eq!(of(code), None, "{code:#06x}");
    }
}

#[test]
fn a_type_code_may_spell_a_number() {
    let of = |code| {
        let revision = SoftwareRevision { letter: 1, number: 1 };
        Model::spelled_by(MeterType { code, revision }).map(Model::number)
    };
    assert_eq!(of(0x0603), Some(603));
    assert_eq!(of(0x0021), Some(21));
    for code in [0x0000, 0x0001, 0x0217, 0x0604, 0x1501, 0x4031, 0x060A, 0x0193, 0xFFFF] {
        assert_eq!(of(code), None, "{code:#06x}");
    }
}

fn guess(has: &[u16], has_not: &[u16]) -> std::vec::Vec<u16> {
    let likely = Model::guess(|register| match register.get() {
        id if has.contains(&id) => Some(true),
        id if has_not.contains(&id) => Some(false),
        _ => None,
    });
    let models = likely.map_or(&[][..], |likely| likely.models);
    models.iter().map(|model| model.number()).collect()
}

#[test]
fn registers_distinguish_generations() {
    assert_eq!(guess(&[68], &[60, 63, 141, 266, 292, 348, 369]), [21]);
    assert_eq!(guess(&[68, 292], &[60, 63, 141, 266, 348, 369]), [21]);
    // A meter that is configured to count only cooling.
    assert_eq!(guess(&[63, 68, 141, 266], &[60, 348, 369]), [403]);
    assert!(guess(&[68], &[60, 141, 266, 348, 369]).is_empty());
    assert_eq!(guess(&[60, 68, 141, 266], &[348, 369]), [403]);
    assert_eq!(guess(&[60, 68, 266], &[141, 348, 369]), [302]);
    assert_eq!(guess(&[60, 68, 266], &[348, 369]), [403, 302]);
    assert_eq!(guess(&[60, 68, 348], &[]), [603, 803, 303]);
    assert_eq!(guess(&[60, 68, 348, 266], &[141]), [603, 803, 303]);
    assert_eq!(guess(&[60, 68, 141], &[266, 348, 369]), [402, 602, 601, 801]);
    // A register decides nothing if it is not known whether the meter has it.
    assert!(guess(&[60, 68, 141], &[266, 348]).is_empty());
    assert!(guess(&[68], &[266]).is_empty());
    assert!(guess(&[], &[60, 68]).is_empty());
}

/// A missing register decides only if no present one contradicts it.
#[test]
fn present_registers_take_precedence_over_missing_ones() {
    // High-resolution heat energy: not a water meter.
    assert!(guess(&[68, 266], &[60, 63, 141, 348, 369]).is_empty());
    assert!(guess(&[68, 266, 292], &[60, 63]).is_empty());
    // A water temperature is enough evidence, unless the meter counts heat.
    assert_eq!(guess(&[292], &[]), [21]);
    assert_eq!(guess(&[60, 68, 141, 266, 292], &[348, 369]), [403]);
    // Nothing is known of 348 and 369, and a 603 has 266 too.
    assert_eq!(guess(&[60, 68, 266], &[141]), [302, 603, 803, 303]);
    assert_eq!(guess(&[60, 68, 266], &[]), [403, 302, 603, 803, 303]);
    // Only a 403 is known to have both of these.
    assert_eq!(guess(&[60, 68, 141, 266], &[]), [403]);
    // No source says whether a 403 has 348.
    assert_eq!(guess(&[60, 68, 141, 266, 348], &[369]), [603, 803, 303, 403]);
}

/// At least one register of the evidence for a guess is present or missing as it says.
#[test]
fn each_guess_has_evidence() {
    let states = [None, Some(true), Some(false)];
    let count = Model::DISTINGUISHING.iter().fold(1_usize, |count, _| count * states.len());
    for number in 0..count {
        let state = |register| {
            let index = Model::DISTINGUISHING.iter().position(|one| *one == register).unwrap();
            states[number / states.len().pow(u32::try_from(index).unwrap()) % states.len()]
        };
        let Some(likely) = Model::guess(state) else { continue };
        assert!(!likely.models.is_empty());
        let present = likely.present.iter().any(|register| state(*register) == Some(true));
        let absent = likely.absent.iter().any(|register| state(*register) == Some(false));
        assert!(present || absent, "{likely:?}");
    }
}

/// A model's own list leads to a guess that includes it, for models whose list is public.
#[test]
fn each_public_list_leads_to_its_model() {
    for model in [Model::Multical302, Model::Multical402, Model::Multical601] {
        let likely = Model::guess(|register| match model.presence(register) {
            Presence::Seen | Presence::Listed => Some(true),
            Presence::NotListed => Some(false),
            Presence::Unknown => None,
        });
        let models = likely.unwrap().models;
        assert!(models.contains(&model), "{model}: {models:?}");
    }
}
