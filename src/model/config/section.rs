//! One section of a file. Its keys are taken one by one; what is left then is unknown.

use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use super::document::Document;
use super::error::{Advice, Problem};
use super::kind::{Flaw, Kind, Value};
use super::kinds::path;
use super::paths::resolve;
use super::unknown::{Unknown, shown_key};

pub(super) struct Section<'d, 't> {
    document: &'d mut Document<'t>,
    name: &'static str,
    entries: DeTable<'t>,
    known: Vec<&'static str>,
}

impl<'d, 't> Section<'d, 't> {
    pub(super) fn new(document: &'d mut Document<'t>, name: &'static str, entries: DeTable<'t>) -> Self {
        Section { document, name, entries, known: Vec::new() }
    }

    /// The keys that have been asked for, and the entries that nobody asked for.
    pub(super) fn close(self) -> (Vec<&'static str>, Vec<Unknown>) {
        let unknown = self.entries.iter().map(|(key, _)| Unknown::new(Some(self.name), key));
        (self.known, unknown.collect())
    }

    /// The directory of the file.
    pub(super) fn dir(&self) -> &'t Path {
        self.document.dir()
    }

    /// The value of `key`, or else its `default`, which is written in TOML as an operator would
    /// write it and is the example in errors too.
    pub(super) fn take<T: 'static>(&mut self, key: &'static str, default: &'static str, kind: Kind<T>) -> T {
        self.read(key, default, &kind).unwrap_or_else(|| {
            let default = DeValue::parse(default).ok();
            let value = default.and_then(|value| kind.read(&value).ok());
            value.expect("a default is a value of its own kind")
        })
    }

    /// The value of `key`, if the file gives one. `example` is one, written in TOML.
    pub(super) fn option<T: 'static>(&mut self, key: &'static str, example: &'static str, kind: Kind<T>) -> Option<T> {
        self.read(key, example, &kind)
    }

    fn read<T: 'static>(&mut self, key: &'static str, example: &str, kind: &Kind<T>) -> Option<T> {
        self.known.push(key);
        let value = self.entries.remove(key)?;
        let full_key = format!("{}.{key}", self.name);
        self.document.note(&full_key, value.span());
        let Flaw { at, in_list, fault } = match kind.read(&value) {
            Ok(value) => return Some(value),
            Err(flaw) => flaw,
        };
        // A table is spread over lines: its span is that of its header.
        let shown = if holds_table(value.get_ref()) { None } else { self.document.show(at.clone(), in_list) };
        let problem = fault.with(Advice::new(kind.wanted(), key, example));
        self.document.push(Some(at), Some(full_key), shown, problem);
        None
    }

    /// A path that starts at the directory of the file.
    pub(super) fn path(&mut self, key: &'static str, default: &'static str) -> PathBuf {
        resolve(self.dir(), &self.take(key, default, path()))
    }

    pub(super) fn optional_path(&mut self, key: &'static str, example: &'static str) -> Option<PathBuf> {
        Some(resolve(self.dir(), &self.option(key, example, path())?))
    }

    /// A program: a name that is looked up when it is run, or a path that starts at the directory
    /// of the file.
    pub(super) fn program(&mut self, key: &'static str, default: &'static str) -> PathBuf {
        let program = self.take(key, default, path());
        if program.as_os_str().as_encoded_bytes().contains(&b'/') { resolve(self.dir(), &program) } else { program }
    }

    /// All entries, for a section whose keys are the operator's to choose.
    pub(super) fn drain(&mut self) -> DeTable<'t> {
        std::mem::take(&mut self.entries)
    }

    /// Refuses `key` without showing its value.
    pub(super) fn refuse_secret(&mut self, key: &str, at: Range<usize>, problem: Problem) {
        let key = format!("{}.{}", self.name, shown_key(key));
        self.document.push(Some(at), Some(key), None, problem);
    }
}

fn holds_table(value: &DeValue) -> bool {
    match value {
        DeValue::Table(_) => true,
        DeValue::Array(items) => items.iter().any(|item: &Value| holds_table(item.get_ref())),
        _ => false,
    }
}
