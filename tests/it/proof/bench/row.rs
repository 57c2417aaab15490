//! A row of the table: what is measured, beside what, and what it must reach.

use serde_json::{Value, json};

/// What is asked of a measurement.
#[derive(Clone, Copy)]
pub struct Row {
    pub what: &'static str,
    /// What it stands beside; empty where a figure has to reach a bound alone.
    pub rival: &'static str,
    pub unit: Unit,
    pub required: Required,
}

/// What samples count.
#[derive(Clone, Copy)]
pub enum Unit {
    Seconds,
    Milliseconds,
    Megabytes,
    RequestsPerSecond,
}

/// What the medians of a row must reach.
#[derive(Clone, Copy)]
pub enum Required {
    /// So many times faster than the rival, by the time that both take.
    Faster(f64),
    /// At most so many times what the rival takes.
    AtMostTimes(f64),
    /// At least so many times what the rival brings.
    AtLeastTimes(f64),
    /// At most so much more than the rival, in the row's unit.
    AtMostMore(f64),
    /// At most so much, in the row's unit.
    AtMost(f64),
}

/// What became of a row.
pub enum Outcome {
    /// All samples, in the order in which they were taken.
    Measured { ours: Vec<f64>, rivals: Vec<f64> },
    /// Why this machine cannot measure it.
    NotMeasured(String),
    /// What went wrong.
    Failed(String),
}

impl Unit {
    fn name(self) -> &'static str {
        match self {
            Self::Seconds => "s",
            Self::Milliseconds => "ms",
            Self::Megabytes => "MB",
            Self::RequestsPerSecond => "requests/s",
        }
    }

    fn tell(self, amount: f64) -> String {
        let places = match self {
            Self::Seconds => 2,
            Self::Milliseconds | Self::Megabytes => 1,
            Self::RequestsPerSecond => 0,
        };
        format!("{amount:.places$} {}", self.name())
    }
}

impl Required {
    /// What the medians make of the requirement, and whether that is enough.
    fn judge(self, ours: f64, rivals: f64) -> (f64, bool) {
        match self {
            Self::Faster(least) => (rivals / ours, rivals / ours >= least),
            Self::AtMostTimes(most) => (ours / rivals, ours / rivals <= most),
            Self::AtLeastTimes(least) => (ours / rivals, ours / rivals >= least),
            Self::AtMostMore(most) => (ours - rivals, ours - rivals <= most),
            Self::AtMost(most) => (ours, ours <= most),
        }
    }

    fn tell_ratio(self, ratio: f64, unit: Unit) -> String {
        match self {
            Self::Faster(_) => format!("{ratio:.2} times faster"),
            Self::AtMostTimes(_) | Self::AtLeastTimes(_) => format!("{ratio:.2} times"),
            Self::AtMostMore(_) => format!("{} more", unit.tell(ratio)),
            Self::AtMost(_) => String::new(),
        }
    }

    fn tell(self, unit: Unit) -> String {
        match self {
            Self::Faster(least) => format!("at least {least} times faster"),
            Self::AtMostTimes(most) => format!("at most {most} times"),
            Self::AtLeastTimes(least) => format!("at least {least} times"),
            Self::AtMostMore(most) => format!("at most {most} {} more", unit.name()),
            Self::AtMost(most) => format!("at most {most} {}", unit.name()),
        }
    }
}

pub const HEADER: [&str; 7] = ["what", "beside", "ours", "rival", "ratio", "required", "ok?"];

impl Row {
    /// The line of the table.
    pub fn cells(&self, outcome: &Outcome) -> Vec<String> {
        let required = self.required.tell(self.unit);
        let measured = match outcome {
            Outcome::Measured { ours, rivals } => {
                let (own, rival) = (median(ours), median(rivals));
                let (ratio, enough) = self.required.judge(own, rival);
                let rival = if rivals.is_empty() { String::new() } else { self.unit.tell(rival) };
                let ratio = self.required.tell_ratio(ratio, self.unit);
                [self.unit.tell(own), rival, ratio, required, if enough { "yes" } else { "NO" }.into()]
            }
            Outcome::NotMeasured(_) => ["", "", "", &required, "not measured"].map(str::to_owned),
            Outcome::Failed(_) => ["", "", "", &required, "FAILED"].map(str::to_owned),
        };
        [self.what, self.rival].map(str::to_owned).into_iter().chain(measured).collect()
    }

    /// Whether the requirement is missed. What is not measured neither passes nor misses.
    pub fn missed(&self, outcome: &Outcome) -> bool {
        match outcome {
            Outcome::Measured { ours, rivals } => !self.required.judge(median(ours), median(rivals)).1,
            Outcome::NotMeasured(_) => false,
            Outcome::Failed(_) => true,
        }
    }

    /// The row with all its samples.
    pub fn json(&self, outcome: &Outcome) -> Value {
        let mut row = json!({
            "what": self.what, "rival": self.rival, "unit": self.unit.name(), "required": self.required.tell(self.unit),
        });
        let more = match outcome {
            Outcome::Measured { ours, rivals } => json!({
                "ours": ours, "rivals": rivals, "median_ours": median(ours), "median_rival": median(rivals),
                "ratio": self.required.judge(median(ours), median(rivals)).0, "ok": !self.missed(outcome),
            }),
            Outcome::NotMeasured(why) => json!({"not_measured": why}),
            Outcome::Failed(why) => json!({"failed": why, "ok": false}),
        };
        row.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        row
    }
}

/// The middle of samples, 0 where there are none.
pub fn median(samples: &[f64]) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    match (sorted.len(), sorted.len() / 2) {
        (0, _) => 0.0,
        (length, middle) if length % 2 == 0 => f64::midpoint(sorted[middle - 1], sorted[middle]),
        (_, middle) => sorted[middle],
    }
}
