//! What a key takes, as a value that reads other values.

use std::ops::Range;

use toml::Spanned;
use toml::de::DeValue;

use super::error::{Advice, Problem};
use super::rule::Rule;

pub(super) type Value<'t> = Spanned<DeValue<'t>>;

/// Reads a value of the file as a `T`, or says what to write instead.
pub(super) struct Kind<T> {
    wanted: String,
    read: Box<Read<T>>,
}

type Read<T> = dyn Fn(&Value) -> Result<T, Flaw>;

/// What is wrong with a value, and with which part of it.
pub(super) struct Flaw {
    pub at: Range<usize>,
    pub in_list: bool,
    pub fault: Fault,
}

pub(super) enum Fault {
    Type { found: &'static str, wanted: &'static str },
    Rule(Rule),
}

impl Fault {
    pub(super) fn with(self, advice: Advice) -> Problem {
        match self {
            Fault::Type { found, wanted } => Problem::WrongType { found, wanted, advice },
            Fault::Rule(rule) => Problem::Value { rule, advice },
        }
    }
}

impl Flaw {
    pub(super) fn wrong_type(value: &Value, wanted: &'static str) -> Self {
        let fault = Fault::Type { found: type_name(value.get_ref()), wanted };
        Flaw { at: value.span(), in_list: false, fault }
    }

    pub(super) fn rule(value: &Value, rule: Rule) -> Self {
        Flaw { at: value.span(), in_list: false, fault: Fault::Rule(rule) }
    }
}

pub(super) fn type_name(value: &DeValue) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

impl<T: 'static> Kind<T> {
    /// `wanted` completes the sentence "write …".
    pub(super) fn new(wanted: &str, read: impl Fn(&Value) -> Result<T, Flaw> + 'static) -> Self {
        Kind { wanted: wanted.to_string(), read: Box::new(read) }
    }

    pub(super) fn wanted(&self) -> &str {
        &self.wanted
    }

    pub(super) fn read(&self, value: &Value) -> Result<T, Flaw> {
        (self.read)(value)
    }

    /// This kind with a further rule, or turned into a more telling type.
    pub(super) fn and_then<U: 'static>(self, rule: impl Fn(T) -> Result<U, Rule> + 'static) -> Kind<U> {
        let Kind { wanted, read } = self;
        let read = move |value: &Value| rule(read(value)?).map_err(|rule| Flaw::rule(value, rule));
        Kind { wanted, read: Box::new(read) }
    }
}
