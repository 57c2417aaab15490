//! The course of a create: which step ran when, for the line that an operator reads and the record that stays.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::Note;
use crate::error::Result;
use crate::model::course::{self, Span};
use crate::model::manifest::StepRecord;
use crate::system::terminal::Row;

/// What has run so far.
pub struct Course {
    began: Instant,
    spans: Mutex<Vec<Span>>,
    reused: Mutex<BTreeSet<&'static str>>,
    rows: Mutex<BTreeMap<&'static str, Row>>,
}

impl Course {
    /// That of a create which begins now.
    pub fn begin() -> Self {
        Self { began: Instant::now(), spans: Mutex::default(), reused: Mutex::default(), rows: Mutex::default() }
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
        let row = Row::begin(name);
        self.rows.lock().unwrap_or_else(PoisonError::into_inner).insert(name, row.clone());
        let began = self.elapsed();
        let done = step();
        row.end();
        let took = self.elapsed().saturating_sub(began);
        let reused = self.reused.lock().unwrap_or_else(PoisonError::into_inner).contains(name);
        let note = done.as_ref().map_or_else(|error| Some(error.what()), Clone::clone);
        let span = Span { name, began, took, note, reused, failed: done.is_err() };
        self.spans.lock().unwrap_or_else(PoisonError::into_inner).push(span);
        if let Some(note) = done? {
            tracing::info!("{name:<8} {note} ({:.2} s)", took.as_secs_f64());
        }
        Ok(StepRecord { name: name.into(), began: Some(began.as_secs_f64()), seconds: took.as_secs_f64() })
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
