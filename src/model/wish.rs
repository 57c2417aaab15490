//! What an operator asks of a new build.

use serde::{Deserialize, Serialize};

use super::tag::Tag;

/// What a create is to make.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wish {
    /// The tag; by default what git calls the source.
    pub tag: Option<Tag>,
    /// The commit to take; by default the files as they are.
    #[serde(rename = "ref")]
    pub reference: Option<String>,
    /// Whether all is to be made anew, whatever earlier builds have.
    #[serde(default)]
    pub fresh: bool,
}
