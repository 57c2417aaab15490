//! Whether the names may be moved.

use super::Site;
use crate::error::Result;
use crate::model::freeze::Freeze;
use crate::model::rules::Refusal;
use crate::system::files;

impl Site {
    /// Who froze the site, if somebody did.
    ///
    /// # Errors
    /// The file is there and cannot be read.
    pub fn frozen(&self) -> Result<Option<Freeze>> {
        Ok(files::read(&self.layout.freeze())?.map(|text| Freeze::read(&text)))
    }

    /// Checks that the names may be moved, to what they have not been yet. Under their lock the answer holds until it is
    /// dropped.
    ///
    /// # Errors
    /// Somebody has frozen the site.
    pub fn check_thawed(&self) -> Result<()> {
        self.frozen()?.map_or(Ok(()), |freeze| Err(Refusal::Frozen(freeze).into()))
    }
}
