//! The section `[hooks]`.

use std::collections::BTreeMap;
use std::time::Duration;

use super::kinds::{commands, seconds};
use super::section::Section;
use super::values::ArgumentList;
use crate::model::change::{Action, Change, Outcome};

/// When a hook is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hook {
    /// A build is about to be made.
    BeforeCreate,
    /// A build was made, and listens.
    AfterCreate,
    /// A build is about to be staged.
    BeforeStage,
    /// A build was staged.
    AfterStage,
    /// A build is about to become live.
    BeforeSwap,
    /// A build became live.
    AfterSwap,
    /// An earlier build is live again, or a deploy was taken back.
    AfterRollback,
    /// A command that was to make, stage or swap a build has failed.
    OnFailure,
}

impl Hook {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::BeforeCreate,
        Self::AfterCreate,
        Self::BeforeStage,
        Self::AfterStage,
        Self::BeforeSwap,
        Self::AfterSwap,
        Self::AfterRollback,
        Self::OnFailure,
    ];

    /// The hook that comes before an action.
    pub fn before(action: Action) -> Option<Self> {
        match action {
            Action::Create => Some(Self::BeforeCreate),
            Action::Stage => Some(Self::BeforeStage),
            Action::Swap => Some(Self::BeforeSwap),
            _ => None,
        }
    }

    /// The hook that comes after a change. What fails within something greater is that one's failure, and what a rule refuses
    /// or waits for another command is none.
    pub fn after(change: &Change, outermost: bool) -> Option<Self> {
        use Action::{Create, Deploy, Rollback, Stage, Swap, Undo};
        let is_back = change.from.live != change.to.live;
        match (change.action, change.result) {
            (Create, Outcome::Done) => Some(Self::AfterCreate),
            (Stage, Outcome::Done) => Some(Self::AfterStage),
            (Swap, Outcome::Done) => Some(Self::AfterSwap),
            (Rollback | Undo, Outcome::Done) if is_back => Some(Self::AfterRollback),
            (Create | Deploy | Stage | Swap | Rollback, Outcome::Failed | Outcome::Undone)
                if outermost && change.code != 4 =>
            {
                Some(Self::OnFailure)
            }
            _ => None,
        }
    }

    /// Its key in `[hooks]`, and its name in what it is told.
    pub fn key(self) -> &'static str {
        match self {
            Self::BeforeCreate => "before_create",
            Self::AfterCreate => "after_create",
            Self::BeforeStage => "before_stage",
            Self::AfterStage => "after_stage",
            Self::BeforeSwap => "before_swap",
            Self::AfterSwap => "after_swap",
            Self::AfterRollback => "after_rollback",
            Self::OnFailure => "on_failure",
        }
    }
}

/// The section `[hooks]`: commands of the operator that are run when something changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hooks {
    commands: BTreeMap<Hook, Vec<ArgumentList>>,
    /// How long one of them may take, in seconds, 1 to 3600. Default: `60`.
    pub timeout: Duration,
}

impl Hooks {
    pub(super) fn read(section: &mut Section) -> Self {
        let commands = Hook::ALL.map(|hook| (hook, section.take(hook.key(), "[]", commands())));
        Hooks { commands: commands.into(), timeout: section.take("timeout", "60", seconds()) }
    }

    /// The commands of a hook, in the order in which they are run. Default: none.
    pub fn of(&self, hook: Hook) -> &[ArgumentList] {
        self.commands.get(&hook).map_or(&[], Vec::as_slice)
    }
}

#[cfg(test)]
impl Hooks {
    /// Hooks that run nothing.
    pub(super) fn none(timeout: Duration) -> Self {
        Hooks { commands: Hook::ALL.map(|hook| (hook, Vec::new())).into(), timeout }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::change::By;
    use crate::model::observed::Names;

    /// A change that ended with this code, and moved live or did not.
    fn change(action: Action, code: u8, moved: bool) -> Change {
        let live = |number| Names { live: Some(crate::model::name::BuildName::from_number(number)), stage: None };
        let (from, to) = (live(0), live(u32::from(moved)));
        let (by, result) = (By { user: "ann".into(), sudo: None }, Outcome::of(code));
        let command = String::new();
        let (build, tag, commit, reason) = (None, None, None, None);
        Change { at: 1, action, command, by, build, tag, commit, from, to, seconds: 0.0, result, code, reason }
    }

    #[test]
    fn what_is_told_of_a_change() {
        use Action::{Activate, Create, Deploy, Init, Maintenance, Migrate, Pause, Rollback, Stage, Swap, Undo};
        let of = |action, code, moved| Hook::after(&change(action, code, moved), true).map(Hook::key);
        let done = [
            (Create, Some("after_create")),
            (Stage, Some("after_stage")),
            (Swap, Some("after_swap")),
            (Rollback, Some("after_rollback")),
            (Undo, Some("after_rollback")),
        ];
        for (action, hook) in done {
            assert_eq!(of(action, 0, true), hook, "{action:?}");
        }
        // A deploy's steps tell what they do.
        for action in [Activate, Deploy, Init, Maintenance, Migrate, Pause] {
            assert_eq!(of(action, 0, true), None, "{action:?}");
        }
        assert_eq!([of(Rollback, 0, false), of(Undo, 0, false)], [None, None], "they lead nowhere");
        for action in [Create, Deploy, Stage, Swap, Rollback] {
            let failed = [1, 5, 6, 143].map(|code| of(action, code, false));
            assert_eq!(failed, [Some("on_failure"); 4], "{action:?}");
            assert_eq!([3, 4].map(|code| of(action, code, false)), [None, None], "{action:?} did not begin");
            assert_eq!(Hook::after(&change(action, 1, false), false), None, "{action:?} is part of something");
        }
        for action in [Activate, Init, Maintenance, Migrate, Pause, Undo] {
            assert_eq!(of(action, 1, false), None, "{action:?}");
        }
    }
}
