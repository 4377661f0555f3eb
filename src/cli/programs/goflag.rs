//! Flags as Go's package `flag` reads them: with one dash or two, before the first word that is none
//! (`flag.go parseOne` @ go1.26).

use std::ffi::OsString;

use super::go;

/// A flag that a program has.
pub struct Flag {
    pub name: &'static str,
    /// Whether it stands for true when it is given without a value.
    pub switch: bool,
}

/// What was given: values by their flags' names, in order, and the words after them.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Given {
    flags: Vec<(&'static str, OsString)>,
    pub arguments: Vec<OsString>,
}

impl Given {
    /// The value of a flag: the last, if it was given more than once.
    pub fn value(&self, name: &str) -> Option<&OsString> {
        self.flags.iter().rev().find(|(flag, _)| *flag == name).map(|(_, value)| value)
    }

    pub fn is_set(&self, name: &str) -> bool {
        self.value(name).is_some_and(|value| value == "true")
    }
}

/// Why the words could not be read.
#[derive(Debug, PartialEq, Eq)]
pub enum Wrong {
    /// Help was asked for.
    Help,
    Said(String),
}

pub fn read(flags: &[Flag], words: &[OsString]) -> Result<Given, Wrong> {
    let said = |what: String| Err(Wrong::Said(what));
    let mut given = Given::default();
    let mut rest = words.iter();
    while let Some(word) = rest.as_slice().first() {
        let text = word.to_string_lossy().into_owned();
        if !text.starts_with('-') || text == "-" {
            break;
        }
        rest.next();
        if text == "--" {
            break;
        }
        let dashes = if text.starts_with("--") { 2 } else { 1 };
        let after = &text[dashes..];
        if after.is_empty() || after.starts_with(['-', '=']) {
            return said(format!("bad flag syntax: {text}"));
        }
        let name = after.split('=').next().unwrap_or_default();
        let bytes = word.as_encoded_bytes();
        let value = bytes.iter().position(|byte| *byte == b'=').map(|at| go::os_string(&bytes[at + 1..]));
        let Some(flag) = flags.iter().find(|flag| flag.name == name) else {
            if name == "help" || name == "h" {
                return Err(Wrong::Help);
            }
            return said(format!("flag provided but not defined: -{name}"));
        };
        let value = match value {
            Some(value) if flag.switch => {
                let text = value.to_string_lossy();
                let Ok(value) = go::bool(&text) else {
                    return said(format!("invalid boolean value {text:?} for -{name}: parse error"));
                };
                value.to_string().into()
            }
            Some(value) => value,
            None if flag.switch => "true".into(),
            None => match rest.next() {
                Some(value) => value.clone(),
                None => return said(format!("flag needs an argument: -{name}")),
            },
        };
        given.flags.push((flag.name, value));
    }
    given.arguments = rest.as_slice().to_vec();
    Ok(given)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(words: &[&str]) -> Result<Given, Wrong> {
        let flags = [Flag { name: "raw", switch: true }, Flag { name: "wal-dir", switch: false }];
        read(&flags, &words.iter().map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn one_dash_is_as_good_as_two_and_flags_end_at_the_first_other_word() {
        let given = of(&["-raw", "--wal-dir", "a", "-wal-dir=b", "d", "-raw=false"]).unwrap();
        assert!(given.is_set("raw") && given.value("wal-dir").unwrap() == "b");
        assert_eq!(given.arguments, ["d", "-raw=false"]);
        assert_eq!(of(&["--", "-raw"]).unwrap().arguments, ["-raw"]);
        assert_eq!(of(&["-"]).unwrap().arguments, ["-"]);
    }

    #[test]
    fn what_is_wrong_is_said_as_go_says_it() {
        for (words, due) in [
            (["-foo"], "flag provided but not defined: -foo"),
            (["--=x"], "bad flag syntax: --=x"),
            (["-wal-dir"], "flag needs an argument: -wal-dir"),
            (["-raw=x"], "invalid boolean value \"x\" for -raw: parse error"),
        ] {
            assert_eq!(of(&words), Err(Wrong::Said(due.to_owned())));
        }
        assert_eq!((of(&["-h"]), of(&["--help"])), (Err(Wrong::Help), Err(Wrong::Help)));
    }
}
