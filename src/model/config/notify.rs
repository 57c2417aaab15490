//! The section `[notify]`.

use std::fmt;

use super::hooks::Hook;
use super::kind::Kind;
use super::kinds::{choice, list, string, text};
use super::rule::Rule;
use super::section::Section;

/// The section `[notify]`: whom to tell of changes.
#[derive(Clone, PartialEq, Eq)]
pub struct Notify {
    /// The `http:` or `https:` URL to which changes are posted. Default: none.
    pub webhook: Option<String>,
    /// What requests are signed with: the header `X-Builds-Signature` is then `sha256=` and the HMAC-SHA-256 of the body.
    /// Default: none.
    pub secret: Option<String>,
    /// What is told, by the names of hooks. Default: `["after_swap", "after_rollback", "on_failure"]`.
    pub events: Vec<Hook>,
}

/// Shows whether there is a secret, and not which.
impl fmt::Debug for Notify {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (webhook, signed) = (&self.webhook, self.secret.is_some());
        f.debug_struct("Notify")
            .field("webhook", webhook)
            .field("signed", &signed)
            .field("events", &self.events)
            .finish()
    }
}

impl Notify {
    pub(super) fn read(section: &mut Section) -> Self {
        const EVENTS: &str = r#"["after_swap", "after_rollback", "on_failure"]"#;
        let hooks = Hook::ALL.map(|hook| (hook.key(), hook));
        Notify {
            webhook: section.option("webhook", r#""https://chat.example.com/hook""#, url()),
            secret: section.option("secret", r#""a long random text""#, string("a text")),
            events: section.take("events", EVENTS, list("a list of hooks", choice(&hooks))),
        }
    }
}

fn url() -> Kind<String> {
    text("an http: or https: URL").and_then(|text| {
        match ["http://", "https://"].iter().any(|start| text.starts_with(start)) {
            true => Ok(text),
            false => Err(Rule::NotUrl),
        }
    })
}
