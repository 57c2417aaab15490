//! The kinds of value that the keys take.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use toml::de::{DeArray, DeValue};

use super::kind::{Flaw, Kind};
use super::paths::stay_inside;
use super::rule::Rule;
use super::values::{ArgumentList, Decimal, Listen};

pub(super) fn boolean() -> Kind<bool> {
    Kind::new("true or false", |value| {
        value.get_ref().as_bool().ok_or_else(|| Flaw::wrong_type(value, "true or false"))
    })
}

pub(super) fn int(range: RangeInclusive<u16>) -> Kind<u16> {
    number("a number", range, "")
}

/// A number of things; `unit` names one of them.
pub(super) fn count(range: RangeInclusive<u16>, unit: &'static str) -> Kind<u16> {
    number("a number", range, unit)
}

pub(super) fn seconds() -> Kind<Duration> {
    number("a number of seconds", 1..=3600, "second").and_then(|seconds| Ok(Duration::from_secs(seconds.into())))
}

fn number(noun: &str, range: RangeInclusive<u16>, unit: &'static str) -> Kind<u16> {
    let (least, most) = (*range.start(), *range.end());
    Kind::new(&format!("{noun} from {least} to {most}"), move |value| {
        let Some(integer) = value.get_ref().as_integer() else {
            return Err(Flaw::wrong_type(value, "a whole number"));
        };
        let digits = integer.as_str();
        // TOML bounds no integer; one that fits no i64 is too large, or too small, all the same.
        let nearest = if digits.starts_with('-') { i64::MIN } else { i64::MAX };
        let number = i64::from_str_radix(digits, integer.radix()).unwrap_or(nearest);
        match u16::try_from(number) {
            Ok(number) if range.contains(&number) => Ok(number),
            _ if number > i64::from(most) => Err(Flaw::rule(value, Rule::Above { most, unit })),
            _ => Err(Flaw::rule(value, Rule::Below { least, unit })),
        }
    })
}

/// A number with or without a fraction.
pub(super) fn decimal(range: RangeInclusive<u16>) -> Kind<Decimal> {
    let (least, most) = (*range.start(), *range.end());
    Kind::new(&format!("a number from {least} to {most}"), move |value| {
        let text = match value.get_ref() {
            DeValue::Integer(integer) => integer.to_string(),
            DeValue::Float(float) => float.as_str().to_owned(),
            _ => return Err(Flaw::wrong_type(value, "a number")),
        };
        match text.parse::<f64>() {
            Ok(number) if (least.into()..=most.into()).contains(&number) => Ok(Decimal::new(number)),
            Ok(number) if number > most.into() => Err(Flaw::rule(value, Rule::Above { most, unit: "" })),
            _ => Err(Flaw::rule(value, Rule::Below { least, unit: "" })),
        }
    })
}

/// A string that the system takes as an argument or a variable: empty or not, but free of NUL.
pub(super) fn string(wanted: &str) -> Kind<String> {
    Kind::new(wanted, |value| match value.get_ref() {
        DeValue::String(text) => Ok(text.clone().into_owned()),
        _ => Err(Flaw::wrong_type(value, "a string")),
    })
    .and_then(|text| only(text, |c| c != '\0', "characters other than NUL"))
}

/// A string of one line with something in it.
pub(super) fn text(wanted: &str) -> Kind<String> {
    string(wanted).and_then(|text| match text.as_str() {
        "" => Err(Rule::Empty),
        _ => only(text, |c| !c.is_control(), "printable characters"),
    })
}

/// `text`, if it consists of `allowed` characters, which `name` names.
pub(super) fn only<S: AsRef<str>>(text: S, allowed: impl Fn(char) -> bool, name: &'static str) -> Result<S, Rule> {
    match text.as_ref().chars().find(|&c| !allowed(c)) {
        Some(character) => Err(Rule::Character { character, allowed: name }),
        None => Ok(text),
    }
}

pub(super) fn choice<T: Copy + 'static>(choices: &[(&'static str, T)]) -> Kind<T> {
    let choices = choices.to_vec();
    let names: Vec<_> = choices.iter().map(|(name, _)| format!("{name:?}")).collect();
    string(&names.join(" or ")).and_then(move |text| {
        let choice = choices.iter().find(|(name, _)| *name == text);
        choice.map(|&(_, choice)| choice).ok_or(Rule::NoChoice)
    })
}

pub(super) fn path() -> Kind<PathBuf> {
    text("a path").and_then(|text| Ok(PathBuf::from(text)))
}

pub(super) fn absolute() -> Kind<PathBuf> {
    text("an absolute path").and_then(|text| match PathBuf::from(text) {
        path if path.is_absolute() => Ok(path),
        _ => Err(Rule::NotAbsolute),
    })
}

/// A program that is written into uWSGI's configuration and a shell script, so its characters are plain: a name that is
/// looked up when it is run, or an absolute path.
pub(super) fn plain_program() -> Kind<PathBuf> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "/._+-".contains(c);
    text("a program").and_then(move |text| only(text, allowed, "letters, digits and / . _ + -")).and_then(|text| {
        match PathBuf::from(text) {
            path if path.is_absolute() || path.components().count() == 1 => Ok(path),
            _ => Err(Rule::NotProgram),
        }
    })
}

/// A path in the source, seen from its top.
pub(super) fn inside() -> Kind<PathBuf> {
    text("a path inside the source").and_then(|text| stay_inside(text.as_ref()).ok_or(Rule::NotInside))
}

pub(super) fn listen() -> Kind<Listen> {
    let wanted = "a PORT, ADDRESS:PORT or [IPV6]:PORT";
    let port = int(1..=65535);
    let address = text(wanted).and_then(|text| Listen::parse(&text).ok_or(Rule::NotListen));
    Kind::new(wanted, move |value| match value.get_ref() {
        DeValue::Integer(_) => Ok(Listen { address: None, port: port.read(value)? }),
        _ => address.read(value),
    })
}

pub(super) fn argument_list() -> Kind<ArgumentList> {
    list("a program and its arguments as a list", string("an argument"))
        .and_then(|words| ArgumentList::new(words).ok_or(Rule::NoProgram))
}

pub(super) fn commands() -> Kind<Vec<ArgumentList>> {
    list("a list of commands, each a list of a program and its arguments", argument_list())
}

pub(super) fn list<T: 'static>(wanted: &str, item: Kind<T>) -> Kind<Vec<T>> {
    Kind::new(wanted, move |value| match value.get_ref() {
        DeValue::Array(items) => read_items(&item, items),
        _ => Err(Flaw::wrong_type(value, "a list")),
    })
}

/// A list, or an item on its own, which stands for a list of one.
pub(super) fn one_or_more<T: 'static>(wanted: &str, item: Kind<T>) -> Kind<Vec<T>> {
    Kind::new(wanted, move |value| match value.get_ref() {
        DeValue::Array(items) => read_items(&item, items),
        _ => Ok(vec![item.read(value)?]),
    })
}

fn read_items<T: 'static>(item: &Kind<T>, values: &DeArray) -> Result<Vec<T>, Flaw> {
    let in_list = |flaw| Flaw { in_list: true, ..flaw };
    values.iter().map(|value| item.read(value).map_err(in_list)).collect()
}

pub(super) fn not_empty<T>(items: Vec<T>) -> Result<Vec<T>, Rule> {
    if items.is_empty() { Err(Rule::Empty) } else { Ok(items) }
}
