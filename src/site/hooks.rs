//! The operator's own commands, and what they are told of a change.

use serde_json::{Value, json};

use super::Site;
use crate::error::{Error, Result};
use crate::model::change::Change;
use crate::model::config::Hook;
use crate::model::name::BuildName;
use crate::system::process::Run;
use crate::system::{files, signals};

impl Site {
    /// Whether anybody is to be asked or told.
    pub(super) fn has_hook(&self, hook: Hook) -> bool {
        !self.config.hooks.of(hook).is_empty() || self.is_notified(hook)
    }

    /// Runs the commands of a hook that comes before a change, which each of them can forbid.
    ///
    /// # Errors
    /// One does not end well; those behind it are not run.
    pub(super) fn ask_hooks(&self, hook: Hook, change: &Change) -> Result<()> {
        // How it ends is not known yet.
        let mut event = self.event(hook, change);
        for key in ["seconds", "result", "code", "reason"] {
            event[key] = Value::Null;
        }
        self.notify(hook, &event);
        self.run_hook(hook, change.build, &event).map_err(|error| Error::Unmet {
            problem: format!("hooks.{} forbids it: {}", hook.key(), error.what()),
            cause: error.cause(),
            next: error.next(),
        })
    }

    /// Runs the commands of a hook that comes after a change. They cannot undo it: one that fails is told of, and those behind
    /// it are not run.
    pub(super) fn tell_hooks(&self, hook: Hook, change: &Change) {
        if !self.has_hook(hook) {
            return;
        }
        let event = self.event(hook, change);
        self.notify(hook, &event);
        // A signal that ends the command is one of the things to be told.
        if let Err(error) = signals::shielded(|| self.run_hook(hook, change.build, &event)) {
            tracing::warn!("hooks.{} failed: {}: {}", hook.key(), error.what(), error.cause());
        }
    }

    /// What is told of a change.
    fn event(&self, hook: Hook, change: &Change) -> Value {
        let mut event = json!(change);
        event["event"] = json!(hook.key());
        event["site"] = json!(self.config.site.name);
        event
    }

    fn run_hook(&self, hook: Hook, build: Option<BuildName>, event: &Value) -> Result<()> {
        let commands = self.config.hooks.of(hook);
        if commands.is_empty() {
            return Ok(());
        }
        let text = event.to_string();
        let plain = |key: &str| event[key].as_str().unwrap_or_default().to_owned();
        let variables = [
            ("BUILDS_EVENT", text.clone()),
            ("BUILDS_HOOK", plain("event")),
            ("BUILDS_SITE", plain("site")),
            ("BUILDS_BUILD", plain("build")),
            ("BUILDS_TAG", plain("tag")),
        ];
        files::private_directory(&self.layout.logs(), 0o750)?;
        let log = self.layout.hook_log(build, hook.key());
        for command in commands {
            let run = Run::list(command.as_slice()).text(&text).variables(variables.clone());
            tracing::info!("hook     {}: {}", hook.key(), run.line());
            let run = run.directory(self.file.parent().unwrap_or(self.layout.root()));
            run.limit("hooks.timeout", self.config.hooks.timeout).logged(&log)?;
        }
        Ok(())
    }
}
