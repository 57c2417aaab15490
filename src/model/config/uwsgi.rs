//! The section `[uwsgi]`.

use std::path::PathBuf;
use std::time::Duration;

use super::document::Document;
use super::error::Advice;
use super::kind::Kind;
use super::kinds::{count, only, plain_program, seconds, text};
use super::rule::Rule;
use super::section::Section;

/// The section `[uwsgi]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uwsgi {
    /// The uWSGI to run: the name of a program, or an absolute path, of letters, digits and `/ . _ + -`.
    /// Default: `"uwsgi"`.
    pub binary: PathBuf,
    /// The WSGI application as `package.module:callable`; without `:callable` it is `:application`,
    /// which is added here. Default: none, `None` here.
    pub module: Option<String>,
    /// Worker processes of an active build, 1 to 1024. Default: `2`.
    pub workers: u16,
    /// Threads of each worker, 1 to 1024. Default: `1`.
    pub threads: u16,
    /// The fewest workers that uWSGI keeps while the build is idle, below `workers`; 0 keeps them
    /// all. Default: `0`.
    pub cheaper: u16,
    /// Connections that may wait for a worker (the backlog of a build's sockets), 1 to 65535.
    /// Default: `100`.
    pub listen: u16,
    /// How long an activated build may take until it is ready, in seconds, 1 to 3600. Default:
    /// `60`.
    pub start_timeout: Duration,
    /// How long running requests may take when workers stop, in seconds, 1 to 3600. Default: `60`.
    pub drain_timeout: Duration,
}

impl Uwsgi {
    pub(super) fn read(section: &mut Section) -> Self {
        Uwsgi {
            binary: section.take("binary", r#""uwsgi""#, plain_program()),
            module: section.option("module", r#""shop.wsgi:application""#, module()),
            workers: section.take("workers", "2", count(1..=1024, "worker")),
            threads: section.take("threads", "1", count(1..=1024, "thread")),
            cheaper: section.take("cheaper", "0", count(0..=1023, "worker")),
            listen: section.take("listen", "100", count(1..=65535, "connection")),
            start_timeout: section.take("start_timeout", "60", seconds()),
            drain_timeout: section.take("drain_timeout", "60", seconds()),
        }
    }

    pub(super) fn check(&self, document: &mut Document) {
        // uWSGI itself refuses to start then: "invalid cheaper value: must be lower than
        // processes".
        if self.cheaper >= self.workers
            && let Some(key) = document.blame(&["uwsgi.cheaper", "uwsgi.workers"])
        {
            let workers = self.workers;
            let advice = Advice::new(format!("a number below {workers}, or 0 for off"), key, "0");
            document.refuse(key, Rule::NotBelowWorkers { workers }, advice);
        }
    }
}

fn module() -> Kind<String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_.:".contains(c);
    text("a module and its callable").and_then(move |text| only(text, allowed, "letters, digits and _ . :")).and_then(
        |text| {
            let (module, callable) = text.split_once(':').unwrap_or((&text, "application"));
            let named = module.split('.').all(|part| !part.is_empty());
            if !named || callable.is_empty() || callable.contains(':') {
                return Err(Rule::NotModule);
            }
            Ok(format!("{module}:{callable}"))
        },
    )
}
