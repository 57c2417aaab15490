//! What may happen to which build, decided before anything is touched.

mod refusal;

pub use refusal::Refusal;

use super::canary::Canary;
use super::layout::Role;
use super::manifest::Bad;
use super::name::BuildName;
use super::observed::{Names, State};

/// One atomic change of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    /// Points a role's link at a build.
    Point(Role, BuildName),
    /// Lets live and stage change places.
    Exchange,
}

/// Whether a create of this name starts anew or continues.
///
/// # Errors
/// A complete or archived build is never made again.
pub fn create(name: BuildName, existing: Option<State>) -> Result<(), Refusal> {
    match existing {
        None | Some(State::Incomplete) => Ok(()),
        Some(_) => Err(Refusal::Exists(name)),
    }
}

/// Whether a build is whole, so that it may listen and run.
///
/// # Errors
/// An incomplete or archived one may not.
pub fn usable(name: BuildName, state: State) -> Result<(), Refusal> {
    match state {
        State::Incomplete => Err(Refusal::Incomplete(name)),
        State::Archived => Err(Refusal::Archived(name)),
        _ => Ok(()),
    }
}

/// Whether a build may be started. An archived one gets what it needs first.
///
/// # Errors
/// An incomplete one may not.
pub fn startable(name: BuildName, state: State) -> Result<(), Refusal> {
    if state == State::Incomplete { Err(Refusal::Incomplete(name)) } else { Ok(()) }
}

/// Whether a command that takes a build out of service may have this one.
///
/// # Errors
/// The live and the staged build stay in service.
pub fn spare(verb: &'static str, name: BuildName, names: &Names) -> Result<(), Refusal> {
    match names.role(name) {
        Some(role) => Err(Refusal::Holds { name, role, verb }),
        None => Ok(()),
    }
}

/// Whether a command may end or replace a build's workers for all that a canary has to do with it.
///
/// # Errors
/// The build is the canary, or it is the one whose requests the canary shares: its own workers never find a moment in which
/// nobody asks, nor would the canary's follow them to another socket.
pub fn without_canary(verb: &'static str, name: BuildName, canary: Option<&Canary>) -> Result<(), Refusal> {
    match canary.filter(|canary| canary.name == name || canary.of == name) {
        Some(canary) => Err(Refusal::Canary { name, verb, canary: canary.name }),
        None => Ok(()),
    }
}

/// The live build, whose requests a canary may share.
///
/// # Errors
/// It is this very build, which must be a whole one; or another build is the canary already; or nothing is live.
pub fn canary(name: BuildName, state: State, names: &Names, present: Option<&Canary>) -> Result<BuildName, Refusal> {
    const VERB: &str = "canary";
    let live = names.live.ok_or(Refusal::NoHolder(Role::Live))?;
    if live == name {
        return Err(Refusal::Holds { name, role: Role::Live, verb: VERB });
    }
    usable(name, state)?;
    match present.filter(|canary| canary.name != name) {
        Some(canary) => Err(Refusal::Canary { name, verb: VERB, canary: canary.name }),
        None => Ok(live),
    }
}

/// Whether `_stage` may point to a build.
///
/// # Errors
/// Never to the live one, nor to one that cannot run.
pub fn stage(name: BuildName, state: State, names: &Names) -> Result<(), Refusal> {
    if names.live == Some(name) {
        return Err(Refusal::Holds { name, role: Role::Live, verb: "stage" });
    }
    startable(name, state)
}

/// Whether a build may get a name, for all that is known of it.
///
/// # Errors
/// It was marked bad.
pub fn good(name: BuildName, bad: Option<&Bad>) -> Result<(), Refusal> {
    bad.map_or(Ok(()), |bad| Err(Refusal::Bad { name, reason: bad.reason.clone() }))
}

/// Whether a build has workers: to answer warm-up requests, or to be replaced.
///
/// # Errors
/// None run.
pub fn running(name: BuildName, state: State) -> Result<(), Refusal> {
    usable(name, state)?;
    if state < State::Active { Err(Refusal::NotActive(name)) } else { Ok(()) }
}

/// The names after a build has become live: the old live build is stage then.
///
/// # Errors
/// Only a ready build may, and only where there is a live one to change places with.
pub fn swap(name: BuildName, state: State, names: &Names) -> Result<Names, Refusal> {
    let live = names.live.ok_or(Refusal::NoHolder(Role::Live))?;
    if live == name {
        return Ok(*names);
    }
    usable(name, state)?;
    if state < State::Ready {
        return Err(Refusal::NotReady(name, state));
    }
    Ok(Names { live: Some(name), stage: Some(live) })
}

/// The shortest way from some names to others on which live and stage differ at every instant.
pub fn moves(from: Names, to: Names) -> Vec<Move> {
    let point = |role, name: Option<BuildName>| name.map(|name| Move::Point(role, name));
    let mut moves = Vec::new();
    let mut stage = from.stage;
    if from.live.is_none() {
        moves.extend(point(Role::Live, to.live));
    } else if from.live != to.live {
        if from.stage != to.live {
            moves.extend(point(Role::Stage, to.live));
        }
        moves.push(Move::Exchange);
        stage = from.live;
    }
    if stage != to.stage {
        moves.extend(point(Role::Stage, to.stage));
    }
    moves
}

/// Whether an archive of `name` may share files with `basis`.
///
/// # Errors
/// The basis must be another build, and complete.
pub fn basis(name: BuildName, basis: BuildName, state: State) -> Result<(), Refusal> {
    if basis == name || matches!(state, State::Incomplete | State::Archived) {
        return Err(Refusal::BadBasis(basis));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::slot::Slot;

    const A: BuildName = BuildName::FIRST;

    fn b() -> BuildName {
        BuildName::from_number(1)
    }

    fn names() -> Names {
        Names { live: Some(A), stage: Some(b()) }
    }

    #[test]
    fn a_swap_wants_a_ready_build() {
        let c = BuildName::from_number(2);
        let live = |name| Names { live: Some(name), stage: Some(A) };
        let cases = [
            (A, State::Warm, Ok(names())),
            (A, State::Down, Ok(names())),
            (b(), State::Ready, Ok(live(b()))),
            (b(), State::Warm, Ok(live(b()))),
            (c, State::Ready, Ok(live(c))),
            (b(), State::Active, Err(Refusal::NotReady(b(), State::Active))),
            (b(), State::Listening, Err(Refusal::NotReady(b(), State::Listening))),
            (b(), State::Incomplete, Err(Refusal::Incomplete(b()))),
            (b(), State::Archived, Err(Refusal::Archived(b()))),
        ];
        for (name, state, expected) in cases {
            assert_eq!(swap(name, state, &names()), expected, "{name} {state}");
        }
        assert_eq!(swap(A, State::Ready, &Names::default()), Err(Refusal::NoHolder(Role::Live)));
    }

    #[test]
    fn names_move_the_shortest_way() {
        let of = |live: u32, stage: u32| Names {
            live: Some(BuildName::from_number(live)),
            stage: Some(BuildName::from_number(stage)),
        };
        let stage = |number| Move::Point(Role::Stage, BuildName::from_number(number));
        let cases = [
            (of(0, 1), of(0, 1), vec![]),
            (of(0, 1), of(1, 0), vec![Move::Exchange]),
            (of(0, 1), of(0, 2), vec![stage(2)]),
            (of(0, 1), of(2, 0), vec![stage(2), Move::Exchange]),
            (of(2, 0), of(0, 1), vec![Move::Exchange, stage(1)]),
            (Names::default(), of(0, 1), vec![Move::Point(Role::Live, A), stage(1)]),
            (Names { live: Some(A), stage: None }, of(0, 1), vec![stage(1)]),
        ];
        for (from, to, expected) in cases {
            assert_eq!(moves(from, to), expected, "{from:?} {to:?}");
        }
    }

    #[test]
    fn live_and_stage_differ_after_every_move() {
        let all =
            || (0..4).flat_map(|live| (0..4).map(move |stage| (live, stage))).filter(|(live, stage)| live != stage);
        for (from, to) in all().flat_map(|from| all().map(move |to| (from, to))) {
            let of = |(live, stage)| Names {
                live: Some(BuildName::from_number(live)),
                stage: Some(BuildName::from_number(stage)),
            };
            let mut now = of(from);
            for step in moves(of(from), of(to)) {
                match step {
                    Move::Exchange => now = Names { live: now.stage, stage: now.live },
                    Move::Point(Role::Live, name) => now.live = Some(name),
                    Move::Point(Role::Stage, name) => now.stage = Some(name),
                }
                assert_ne!(now.live, now.stage, "{from:?} {to:?}");
            }
            assert_eq!(now, of(to));
        }
    }

    #[test]
    fn live_and_stage_stay_in_service() {
        assert_eq!(spare("rm", A, &names()), Err(Refusal::Holds { name: A, role: Role::Live, verb: "rm" }));
        assert_eq!(spare("rm", b(), &names()), Err(Refusal::Holds { name: b(), role: Role::Stage, verb: "rm" }));
        assert_eq!(spare("rm", BuildName::from_number(2), &names()), Ok(()));
    }

    #[test]
    fn a_canary_hinders_its_build_and_the_one_that_it_helps() {
        let [c, d] = [2, 3].map(BuildName::from_number);
        let present = Canary { name: c, of: A, slot: Slot::First, workers: 1 };
        let refused = |name| Err(Refusal::Canary { name, verb: "restart", canary: c });
        for (name, expected) in [(A, refused(A)), (c, refused(c)), (b(), Ok(())), (d, Ok(()))] {
            assert_eq!(without_canary("restart", name, Some(&present)), expected);
            assert_eq!(without_canary("restart", name, None), Ok(()));
        }
    }

    #[test]
    fn one_build_beside_the_live_one_may_be_the_canary() {
        let [c, d] = [2, 3].map(BuildName::from_number);
        let present = Canary { name: c, of: A, slot: Slot::First, workers: 1 };
        let holds = Refusal::Holds { name: A, role: Role::Live, verb: "canary" };
        assert_eq!(canary(b(), State::Warm, &names(), None), Ok(A), "the staged one, too");
        assert_eq!(canary(c, State::Stopped, &names(), Some(&present)), Ok(A), "it may change");
        assert_eq!(canary(A, State::Warm, &names(), None), Err(holds));
        assert_eq!(canary(c, State::Incomplete, &names(), None), Err(Refusal::Incomplete(c)));
        let other = Refusal::Canary { name: d, verb: "canary", canary: c };
        assert_eq!(canary(d, State::Warm, &names(), Some(&present)), Err(other));
        assert_eq!(canary(c, State::Warm, &Names::default(), None), Err(Refusal::NoHolder(Role::Live)));
    }

    #[test]
    fn stage_takes_any_whole_build_but_the_live_one() {
        let live = Refusal::Holds { name: A, role: Role::Live, verb: "stage" };
        assert_eq!(stage(A, State::Warm, &names()), Err(live));
        assert_eq!(stage(b(), State::Stopped, &names()), Ok(()));
        assert_eq!(stage(b(), State::Archived, &names()), Ok(()));
        assert_eq!(stage(b(), State::Incomplete, &names()), Err(Refusal::Incomplete(b())));
    }

    #[test]
    fn a_create_continues_what_was_interrupted_and_nothing_else() {
        assert_eq!(create(A, None), Ok(()));
        assert_eq!(create(A, Some(State::Incomplete)), Ok(()));
        for state in [State::Archived, State::Stopped, State::Down, State::Listening, State::Warm] {
            assert_eq!(create(A, Some(state)), Err(Refusal::Exists(A)), "{state}");
        }
    }

    #[test]
    fn a_bad_build_gets_no_name() {
        let bad = Bad { at: 1, reason: "500 at /cart".into() };
        assert_eq!(good(A, None), Ok(()));
        assert_eq!(good(A, Some(&bad)), Err(Refusal::Bad { name: A, reason: bad.reason.clone() }));
    }

    #[test]
    fn warmup_wants_workers() {
        assert_eq!(running(A, State::Listening), Err(Refusal::NotActive(A)));
        assert_eq!(running(A, State::Active), Ok(()));
    }

    #[test]
    fn a_basis_is_another_complete_build() {
        assert_eq!(basis(A, b(), State::Warm), Ok(()));
        assert_eq!(basis(A, A, State::Warm), Err(Refusal::BadBasis(A)));
        assert_eq!(basis(A, b(), State::Archived), Err(Refusal::BadBasis(b())));
    }
}
