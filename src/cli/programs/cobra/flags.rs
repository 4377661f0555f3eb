//! Flags, as pflag reads them: anywhere among the words (`pflag/flag.go parseArgs` @ 1.0.10), and where cobra finds its
//! commands between them (`command.go Find` @ cobra 1.10).

use std::ffi::{OsStr, OsString};

use clap::Arg;

use super::place::{Place, is_switch};
use crate::cli::programs::go;

/// What a command was given.
#[derive(Default)]
pub struct Given {
    /// Values of flags by their names, in order.
    pub flags: Vec<(String, OsString)>,
    pub arguments: Vec<OsString>,
    pub help: bool,
    pub version: bool,
}

/// The command that is meant, and its words without those that name it.
pub fn find<'c>(program: Place<'c>, words: &[OsString], prefixes: bool) -> (Place<'c>, Vec<OsString>) {
    let (mut place, mut words) = (program, words.to_vec());
    while let Some(at) = first_argument(&place, &words)
        && let Some(next) = words[at].to_str().and_then(|word| place.next(word, prefixes))
    {
        words.remove(at);
        place = next;
    }
    (place, words)
}

/// Where the first word is that is neither a flag nor the value of one; cobra takes the word after a flag that it does
/// not know as its value.
pub fn first_argument(place: &Place<'_>, words: &[OsString]) -> Option<usize> {
    let mut at = 0;
    while at < words.len() {
        let word = words[at].to_string_lossy();
        let alone = |flag: Option<&Arg>| flag.is_some_and(is_switch);
        let takes_next = match word.strip_prefix('-') {
            None if word.is_empty() => false,
            None => return Some(at),
            Some("-") => return None,
            Some(rest) if rest.contains('=') => false,
            Some(rest) => match rest.strip_prefix('-') {
                Some(name) => !alone(place.long(name)),
                None => rest.chars().count() == 1 && !alone(rest.chars().next().and_then(|c| place.short(c))),
            },
        };
        at += if takes_next { 2 } else { 1 };
    }
    None
}

/// Reads the words of a command; a complaint in pflag's words if that does not go.
pub fn read(place: &Place<'_>, words: &[OsString], version: bool) -> Result<Given, String> {
    let mut given = Given::default();
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        let text = word.to_string_lossy();
        match text.strip_prefix('-') {
            None | Some("") => given.arguments.push(word.clone()),
            Some("-") => given.arguments.extend(rest.by_ref().cloned()),
            Some(name) if name.starts_with('-') => long(place, word, &mut rest, version, &mut given)?,
            Some(letters) => short(place, letters, &mut rest, version, &mut given)?,
        }
    }
    Ok(given)
}

type Rest<'w> = std::slice::Iter<'w, OsString>;

fn long(
    place: &Place<'_>,
    word: &OsStr,
    rest: &mut Rest<'_>,
    version: bool,
    given: &mut Given,
) -> Result<(), String> {
    let text = word.to_string_lossy();
    let name = text.trim_start_matches("--");
    if text.starts_with("---") || name.starts_with('=') {
        return Err(format!("bad flag syntax: {text}"));
    }
    let name = name.split('=').next().unwrap_or_default();
    let bytes = word.as_encoded_bytes();
    let value = bytes.iter().position(|byte| *byte == b'=').map(|at| go::os_string(&bytes[at + 1..]));
    if built_in(name, version, given) {
        return Ok(());
    }
    let flag = place.long(name).ok_or_else(|| format!("unknown flag: --{name}"))?;
    let value = match value {
        Some(value) => value,
        None if is_switch(flag) => "true".into(),
        None => rest.next().ok_or_else(|| format!("flag needs an argument: --{name}"))?.clone(),
    };
    take(flag, value, given)
}

fn short(
    place: &Place<'_>,
    letters: &str,
    rest: &mut Rest<'_>,
    version: bool,
    given: &mut Given,
) -> Result<(), String> {
    let mut letters = letters;
    while let Some(letter) = letters.chars().next() {
        let after = &letters[letter.len_utf8()..];
        let built = match letter {
            'h' => built_in("help", version, given),
            'v' => built_in("version", version, given),
            _ => false,
        };
        if built {
            letters = after;
            continue;
        }
        let flag =
            place.short(letter).ok_or_else(|| format!("unknown shorthand flag: {letter:?} in -{letters}"))?;
        let value = match after.strip_prefix('=') {
            Some(value) if !value.is_empty() => value.into(),
            _ if is_switch(flag) => {
                take(flag, "true".into(), given)?;
                letters = after;
                continue;
            }
            _ if !after.is_empty() => after.into(),
            _ => rest
                .next()
                .ok_or_else(|| format!("flag needs an argument: {letter:?} in -{letters}"))?
                .clone(),
        };
        return take(flag, value, given);
    }
    Ok(())
}

/// Flags that cobra adds to every command.
fn built_in(name: &str, version: bool, given: &mut Given) -> bool {
    match name {
        "help" => given.help = true,
        "version" if version => given.version = true,
        _ => return false,
    }
    true
}

fn take(flag: &Arg, value: OsString, given: &mut Given) -> Result<(), String> {
    let name = flag.get_long().unwrap_or_default().to_owned();
    let value = if is_switch(flag) {
        let text = value.to_string_lossy();
        go::bool(&text).map_err(|why| invalid(flag, &text, &why))?.to_string().into()
    } else {
        value
    };
    given.flags.push((name, value));
    Ok(())
}

/// What pflag says of a value.
pub fn invalid(flag: &Arg, value: &str, why: &str) -> String {
    let name = match (flag.get_short(), flag.get_long().unwrap_or_default()) {
        (Some(letter), name) => format!("-{letter}, --{name}"),
        (None, name) => format!("--{name}"),
    };
    format!("invalid argument {value:?} for {name:?} flag: {why}")
}
