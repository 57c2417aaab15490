//! What one create leaves for the next.

use std::path::Path;

use super::Making;
use super::store::{Record, Store};
use crate::error::Result;
use crate::system::files;

impl Making<'_> {
    /// Makes spares of the packages that this build has, without which the next one has to clone them; and writes to the
    /// disk what is there by now, so that little is left for the end.
    ///
    /// # Errors
    /// The disk has an error, of which it tells only once.
    pub(super) fn prepare(&self) -> Result<()> {
        self.course.follow("spare", || {
            for kind in ["python", "node"] {
                if let Err(error) = files::together(|| self.make_spare(kind)) {
                    tracing::debug!("no spare of {kind}: {}: {}", error.what(), error.cause());
                }
            }
            if let Err(error) = self.record_packages() {
                tracing::debug!("packages are looked at in the end: {}: {}", error.what(), error.cause());
            }
            files::sync_all(self.paths.dir()).map(|()| None)
        })?;
        Ok(())
    }

    fn make_spare(&self, kind: &'static str) -> Result<()> {
        let key = self.manifest().digests.get(kind).cloned();
        let Some(key) = key else { return Ok(()) };
        let spare = Store::open(self.site, kind)?.make_spare(&self.maker, &key, self.paths.dir())?;
        spare.into_iter().for_each(|spare| self.pend(spare));
        Ok(())
    }

    /// Has a new entry, which was made of `tree`, found by later builds.
    ///
    /// # Errors
    /// It cannot be written.
    pub(super) fn made(&self, store: &Store, record: &Record, tree: &Path) -> Result<()> {
        if record.sealed {
            self.measured(tree, record.bytes);
        }
        self.pend(store.record(&self.maker, record)?);
        if self.ahead {
            store.put_by(&self.maker, record, tree)?.into_iter().for_each(|spare| self.pend(spare));
        }
        Ok(())
    }
}
