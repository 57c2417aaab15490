//! The webhook: what is told of changes waits in a directory, from which a program of its own posts it, so that nobody who
//! changes something waits for a network. That program is Python's, which every site has: it knows TLS and trusts whom the
//! host trusts.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;

use super::Site;
use crate::error::Result;
use crate::model::config::Hook;
use crate::system::files::{self, Mode};
use crate::system::process::Run;

const DELIVER: &str = include_str!("deliver.py");

impl Site {
    /// Whether the webhook is told of this.
    pub(super) fn is_notified(&self, hook: Hook) -> bool {
        self.config.notify.webhook.is_some() && self.config.notify.events.contains(&hook)
    }

    /// Has an event posted. What cannot be written, or posted at all, is told of here; the rest is in `logs/notify.log`.
    pub(super) fn notify(&self, hook: Hook, event: &Value) {
        let Some(webhook) = self.config.notify.webhook.as_deref().filter(|_| self.is_notified(hook)) else { return };
        if let Err(error) = self.post(webhook, event) {
            tracing::warn!("the webhook is not told of {}: {}: {}", hook.key(), error.what(), error.cause());
        }
    }

    fn post(&self, webhook: &str, event: &Value) -> Result<()> {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let outbox = self.layout.outbox();
        files::private_directory(&outbox, 0o700)?;
        files::sweep(std::slice::from_ref(&outbox));
        files::private_directory(&self.layout.logs(), 0o750)?;
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
        let (process, number) = (std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let name = format!("{since}-{process}-{number}.json");
        files::write(&outbox.join(&name), event.to_string().as_bytes(), Mode::Private)?;
        let secret = self.config.notify.secret.as_deref().unwrap_or_default();
        let deliver = Run::new(&self.config.python.interpreter).args(["-c", DELIVER]).arg(&outbox).arg(name);
        let deliver = deliver.variables([("BUILDS_WEBHOOK", webhook), ("BUILDS_SECRET", secret)]);
        deliver.detached(&self.layout.logs().join("notify.log")).map(drop)?;
        Ok(())
    }
}
