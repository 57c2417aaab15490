//! Which build is the canary, as the link in its directory tells.

use super::Site;
use crate::error::{Error, Result};
use crate::model::canary::Canary;
use crate::model::name::BuildName;
use crate::model::rules;
use crate::model::slot::SlotPaths;
use crate::system::files;

impl Site {
    /// The canary, if there is one.
    ///
    /// # Errors
    /// `builds/` cannot be read, or what its workers were started with is damaged.
    pub fn canary(&self) -> Result<Option<Canary>> {
        let is_canary = |name: &BuildName| files::exists(&self.layout.build(*name).canary_ini());
        let Some(name) = self.builds()?.into_iter().find(is_canary) else { return Ok(None) };
        let (ini, link) = (self.layout.build(name).canary_of(), self.layout.build(name).canary_ini());
        let canary = files::read(&ini)?.and_then(|text| Canary::of_ini(name, &text));
        canary.map(Some).ok_or_else(|| Error::Unmet {
            problem: format!("build {name} is a canary, and nobody knows of which build"),
            cause: format!("{} is missing or damaged", ini.display()),
            next: format!("rm {} ends it, with the requests that it has", link.display()),
        })
    }

    /// The places of a canary's workers.
    pub fn canary_paths(&self, canary: &Canary) -> SlotPaths {
        let socket = self.layout.build(canary.of).slot(canary.slot).socket();
        SlotPaths::canary(self.layout.build(canary.name).dir(), socket)
    }

    /// Checks that no canary hinders a command: that the build neither is one, nor has one at its sockets.
    ///
    /// # Errors
    /// One does, or cannot be told.
    pub fn check_no_canary(&self, verb: &'static str, name: BuildName) -> Result<()> {
        Ok(rules::without_canary(verb, name, self.canary()?.as_ref())?)
    }
}
