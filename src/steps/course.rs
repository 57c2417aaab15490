//! The course of a create: which step ran when, for the line that an operator reads and the record that stays.

use std::time::{Duration, Instant};

use super::Note;
use crate::error::Result;
use crate::model::manifest::StepRecord;

/// What has run so far.
pub struct Course {
    began: Instant,
}

impl Course {
    /// That of a create which begins now.
    pub fn begin() -> Self {
        Self { began: Instant::now() }
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
        let began = self.elapsed();
        let note = step()?;
        let took = self.elapsed().saturating_sub(began);
        if let Some(note) = note {
            tracing::info!("{name:<8} {note} ({:.2} s)", took.as_secs_f64());
        }
        Ok(StepRecord { name: name.into(), began: Some(began.as_secs_f64()), seconds: took.as_secs_f64() })
    }
}
