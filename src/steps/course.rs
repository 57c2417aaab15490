//! The course of a create or a deploy: which step ran when, for the line that an operator reads and the record that stays.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::Note;
use crate::error::Result;
use crate::model::course::{self, Span};
use crate::model::manifest::StepRecord;
use crate::system::signals;
use crate::system::terminal::Row;

/// What has run so far.
pub struct Course {
    began: Instant,
    spans: Mutex<Vec<Span>>,
    reused: Mutex<BTreeSet<&'static str>>,
    rows: Mutex<BTreeMap<&'static str, Row>>,
    waiting: Mutex<Vec<(&'static str, Row)>>,
}

impl Course {
    /// One that begins now, with steps that nobody has planned.
    pub fn begin() -> Self {
        Self::of([])
    }

    /// One that begins now, with all its steps in sight, in the order in which they will be done.
    pub fn of(steps: impl IntoIterator<Item = &'static str>) -> Self {
        Self {
            began: Instant::now(),
            spans: Mutex::default(),
            reused: Mutex::default(),
            rows: Mutex::default(),
            waiting: Mutex::new(steps.into_iter().map(|name| (name, Row::wait(name))).collect()),
        }
    }

    /// The time since the begin.
    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// Does a step, notes when it ran, and tells what it did if it did something.
    ///
    /// # Errors
    /// That of the step.
    pub fn follow(&self, name: &'static str, step: impl FnOnce() -> Result<Note>) -> Result<StepRecord> {
        let row = self.start(name);
        self.rows.lock().unwrap_or_else(PoisonError::into_inner).insert(name, row.clone());
        let began = self.elapsed();
        let done = step();
        row.end();
        let took = self.elapsed().saturating_sub(began);
        let reused = self.reused.lock().unwrap_or_else(PoisonError::into_inner).contains(name);
        let note = done.as_ref().map_or_else(|error| Some(error.what()), Clone::clone);
        let span = Span { name, began, took, note, reused, failed: done.is_err() };
        self.spans.lock().unwrap_or_else(PoisonError::into_inner).push(span);
        let told = match &done {
            Ok(note) => note.as_deref(),
            // Another step has failed, or somebody has had enough.
            Err(_) if signals::check().is_err() => Some("stopped"),
            Err(_) => Some("failed"),
        };
        if let Some(told) = told {
            tracing::info!("{name:<8} {told} ({:.2} s)", took.as_secs_f64());
        }
        if done.is_err() {
            self.forget_waiting();
        }
        done?;
        Ok(StepRecord { name: name.into(), began: Some(began.as_secs_f64()), seconds: took.as_secs_f64() })
    }

    /// The row of a step that runs from now on.
    fn start(&self, name: &'static str) -> Row {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        match waiting.iter().position(|(planned, _)| *planned == name) {
            Some(number) => {
                let (_, row) = waiting.remove(number);
                row.start();
                row
            }
            None => Row::begin(name),
        }
    }

    /// Takes the rows away of what will not be done.
    fn forget_waiting(&self) {
        for (_, row) in self.waiting.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            row.end();
        }
    }

    /// The row on the terminal of a step that runs.
    pub fn row(&self, name: &str) -> Row {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned().unwrap_or_default()
    }

    /// All that has run, for a trace viewer.
    pub fn trace(&self, title: &str) -> Value {
        course::trace(title, &self.spans.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Notes that a step has taken what an earlier build has.
    pub fn reuse(&self, name: &'static str) {
        self.reused.lock().unwrap_or_else(PoisonError::into_inner).insert(name);
    }
}

impl Drop for Course {
    fn drop(&mut self) {
        self.forget_waiting();
    }
}
