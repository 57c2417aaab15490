use proptest::prelude::*;

use super::*;

const DAY: u64 = 86_400;
const NOW: u64 = 1000 * DAY;

/// Build number n, complete and stopped, n days old.
fn build(number: u32) -> Candidate {
    Candidate {
        name: BuildName::from_number(number),
        state: State::Stopped,
        role: None,
        created: NOW - u64::from(number) * DAY,
        bad: false,
        target: false,
        canary: false,
        busy: false,
        foreign: false,
    }
}

fn live(number: u32) -> Candidate {
    Candidate { role: Some(Role::Live), state: State::Warm, ..build(number) }
}

fn bad(number: u32) -> Candidate {
    Candidate { bad: true, ..build(number) }
}

fn days(days: u64) -> Age {
    Age { seconds: days * DAY }
}

/// The builds in the order of the verdicts, each with its reason.
fn judged(builds: &[Candidate], keep: usize, older_than: Option<Age>) -> String {
    let verdicts = judge(builds, Limits { keep, older_than }, NOW);
    verdicts.iter().map(|(name, reason)| format!("{name} {reason:?}; ")).collect()
}

#[test]
fn the_youngest_stay_and_the_oldest_go_first() {
    let all = [live(0), build(1), build(2), build(3), build(4)];
    assert_eq!(judged(&all, 2, None), "e Beyond(2); d Beyond(2); a Role(Live); b Kept(2); c Kept(2); ");
    assert_eq!(judged(&all, 4, None).matches("Kept(4)").count(), 4);
    assert_eq!(judged(&all, 0, None).matches("Beyond(0)").count(), 4);
    assert_eq!(judged(&[], 2, None), "");
}

#[test]
fn builds_of_one_second_are_told_apart_by_name() {
    let same = [2, 1, 3].map(|number| Candidate { created: NOW, ..build(number) });
    assert_eq!(judged(&same, 2, None), "d Beyond(2); b Kept(2); c Kept(2); ");
}

#[test]
fn what_is_safe_stays_and_takes_no_place() {
    let cases = [
        (Candidate { role: Some(Role::Live), ..build(9) }, "Role(Live)"),
        (Candidate { role: Some(Role::Stage), ..build(9) }, "Role(Stage)"),
        (Candidate { role: Some(Role::Stage), bad: true, ..build(9) }, "Role(Stage)"),
        (Candidate { canary: true, bad: true, ..build(9) }, "Canary"),
        (Candidate { target: true, ..build(9) }, "Target"),
        (Candidate { busy: true, bad: true, ..build(9) }, "Busy"),
        (Candidate { state: State::Incomplete, ..build(9) }, "Incomplete"),
        (Candidate { state: State::Archived, ..build(9) }, "Archived"),
        (Candidate { foreign: true, state: State::Incomplete, ..build(9) }, "Foreign"),
    ];
    for (safe, reason) in cases {
        let said = judged(&[build(1), build(2), safe], 1, None);
        assert!(said.starts_with("c Beyond(1); b Kept(1); ") && said.contains(&format!("j {reason}")), "{said}");
    }
}

#[test]
fn a_bad_build_takes_no_place_and_goes_when_a_good_one_is_younger() {
    let all = [live(1), bad(0), bad(2), build(3), build(4)];
    assert_eq!(judged(&all, 1, None), "e Beyond(1); c Bad; a BadAndNew; b Role(Live); d Kept(1); ");
    let hours = |number, hours: u64| Candidate { created: NOW - hours * 3600, ..bad(number) };
    let all = [Candidate { created: NOW, ..live(0) }, hours(1, 23), hours(2, 24)];
    assert_eq!(judged(&all, 0, None), "c Bad; a Role(Live); b BadAndYoung(Age { seconds: 86400 }); ");
    let twelve = Age { seconds: 12 * 3600 };
    assert_eq!(judged(&all, 0, Some(twelve)), "c Bad; b Bad; a Role(Live); ");
    assert!(judged(&all, 0, Some(days(2))).starts_with("a Role(Live); b BadAndYoung(Age { seconds: 172800 }); "));
    // Nobody will continue what a deploy has given up.
    assert!(judged(&[live(0), Candidate { state: State::Incomplete, ..bad(2) }], 5, None).starts_with("c Bad; "));
    // A target that has turned out bad is none.
    assert!(judged(&[live(0), Candidate { target: true, ..bad(2) }], 5, None).starts_with("c Bad; "));
}

#[test]
fn what_is_younger_than_asked_for_stays_too() {
    let all = [live(0), build(1), build(14), build(15)];
    assert_eq!(judged(&all, 0, Some(days(15))).matches("Young(").count(), 2);
    assert!(judged(&all, 0, Some(days(15))).starts_with("p Beyond(0); a"));
    assert!(!judged(&all, 3, Some(days(1))).contains("Beyond"), "it does not lessen what is kept");
}

#[test]
fn an_age_is_a_number_and_a_unit() {
    for (text, seconds) in [("14d", 14 * DAY), ("12h", 43_200), ("5m", 300), ("7s", 7), ("0d", 0)] {
        assert_eq!(text.parse(), Ok(Age { seconds }));
    }
    for text in
        ["", "d", "14", "1.5d", "-1d", "+1d", "1w", "14 d", "99999999999999999999d", "999999999999999999d", "1é"]
    {
        assert!(text.parse::<Age>().is_err(), "{text}");
    }
    let shown = [(0, "0s"), (90, "90s"), (120, "2m"), (36 * 3600, "36h"), (2 * DAY, "2d")];
    assert!(shown.iter().all(|&(seconds, text)| Age { seconds }.to_string() == text));
}

fn sites() -> impl Strategy<Value = Vec<Candidate>> {
    let states = prop::sample::select(vec![State::Incomplete, State::Archived, State::Stopped, State::Warm]);
    let roles = prop::sample::select(vec![None, None, None, Some(Role::Live), Some(Role::Stage)]);
    let one = (states, roles, 0..20u64, any::<[bool; 5]>());
    prop::collection::vec(one, 0..12).prop_map(|rows| {
        let candidate = |(number, (state, role, age, flags)): (u32, (State, Option<Role>, u64, [bool; 5]))| Candidate {
            name: BuildName::from_number(number),
            created: NOW - age * DAY,
            state,
            role,
            bad: flags[0],
            target: flags[1],
            canary: flags[2],
            busy: flags[3],
            foreign: flags[4],
        };
        (0..).zip(rows).map(candidate).collect()
    })
}

proptest! {
    #[test]
    fn nothing_safe_ever_goes_and_enough_stay(builds in sites(), keep in 0..6usize, age in prop::option::of(0..20u64)) {
        let verdicts = judge(&builds, Limits { keep, older_than: age.map(days) }, NOW);
        prop_assert_eq!(verdicts.len(), builds.len());
        let of = |name| *builds.iter().find(|build| build.name == name).unwrap();
        let going: Vec<Candidate> = verdicts.iter().filter(|(_, why)| why.goes()).map(|(name, _)| of(*name)).collect();
        prop_assert!(going.iter().all(|build| build.role.is_none() && !build.canary && !build.busy && !build.foreign));
        let whole = |build: &Candidate| build.state > State::Archived || build.bad && build.state == State::Incomplete;
        prop_assert!(going.iter().all(|build| whole(build) && (build.bad || !build.target)));
        let good = going.iter().filter(|build| !build.bad).count();
        let kept = verdicts.iter().filter(|(_, why)| matches!(why, Reason::Kept(_))).count();
        prop_assert!(good == 0 || kept == keep);
        prop_assert!(going.is_sorted_by_key(|build| build.created));
    }
}
