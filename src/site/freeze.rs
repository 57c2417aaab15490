//! Whether the names may be moved.

use std::fs;
use std::io;

use super::Site;
use crate::error::{Error, Result};
use crate::model::freeze::Freeze;
use crate::model::rules::Refusal;

impl Site {
    /// Who froze the site, if somebody did.
    ///
    /// # Errors
    /// The file is there and cannot be read.
    pub fn frozen(&self) -> Result<Option<Freeze>> {
        let path = self.layout.freeze();
        match fs::read(&path) {
            // Whatever it says, it freezes.
            Ok(text) => Ok(Some(Freeze::read(&String::from_utf8_lossy(&text)))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::io("read", &path)(error)),
        }
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
