//! How programs made with Go's cobra take their words, what they print as help, and what they say of wrong words. What
//! a program has is declared for clap, from which cobra's layout is made: a command's about is cobra's `Short`, the
//! name of a value its type, positional arguments how many it takes.

mod flags;
mod place;
mod usage;

use std::error::Error;
use std::ffi::OsString;
use std::io::{self, Write};

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, Command, CommandFactory, FromArgMatches};

use self::flags::{Given, first_argument};
use self::place::Place;

/// What differs between such programs.
#[derive(Clone, Copy, Default)]
pub struct Ways {
    /// The beginning of a command's name stands for it.
    pub prefixes: bool,
    /// What cobra says of wrong words, the program says once more.
    pub twice: bool,
    /// It is also an answer, on standard output.
    pub aloud: bool,
    /// Help is how a command is used, not what it is about.
    pub terse: bool,
    /// What its flag `--version` says, if it has one.
    pub version: Option<&'static str>,
}

/// The words as `T` has them, in the ways of a program; else the exit code, after help or a complaint in cobra's words.
pub fn parse_as<T: CommandFactory + FromArgMatches>(
    program: &'static str,
    ways: Ways,
    words: &[OsString],
) -> Result<T, u8> {
    let command = command::<T>(program);
    let wrong = match read(&command, ways, words) {
        Read::Words(place, given) => match typed(&command, &place, &given) {
            Ok(typed) => return Ok(typed),
            Err(what) => Wrong { what, usage: Some(usage::usage(&place, ways.version.is_some())) },
        },
        Read::Print(text) => {
            let _ = write!(io::stdout(), "{text}");
            return Err(0);
        }
        Read::NoTopic(text) => {
            let _ = write!(io::stderr(), "{text}");
            return Err(0);
        }
        Read::Wrong(wrong) => wrong,
    };
    let Wrong { what, usage } = wrong;
    let more = usage.unwrap_or_else(|| format!("Run '{program} --help' for usage."));
    let again = if ways.twice { format!("Error: {what}\n") } else { String::new() };
    let _ = write!(io::stderr(), "Error: {what}\n{more}\n{again}");
    if ways.aloud {
        let _ = writeln!(io::stdout(), "{what}");
    }
    Err(1)
}

/// The program as it is declared, with the command that cobra adds.
pub fn command<T: CommandFactory>(program: &'static str) -> Command {
    let topic = Arg::new("command").num_args(0..);
    let help = Command::new("help").about("Help about any command").display_name("help [command] [flags]");
    let command = T::command().name(program).bin_name(program).disable_help_subcommand(true);
    command.subcommand(help.arg(topic))
}

/// The words that are neither flags nor their values, the first of them: where a command could be that is not declared.
pub fn leading<T: CommandFactory>(program: &'static str, words: &[OsString]) -> Vec<String> {
    let command = command::<T>(program);
    let (place, mut rest) = flags::find(Place::root(&command), words, false);
    let mut named: Vec<_> = place.names().map(str::to_owned).collect();
    while let Some(at) = first_argument(&place, &rest).filter(|_| named.len() < 2) {
        named.push(rest.remove(at).to_string_lossy().into_owned());
    }
    named
}

/// What becomes of the words.
enum Read<'c> {
    /// A command is to be run.
    Words(Place<'c>, Given),
    /// Something is only to be printed.
    Print(String),
    /// Help for what is not there.
    NoTopic(String),
    Wrong(Wrong),
}

struct Wrong {
    what: String,
    usage: Option<String>,
}

/// `command.go ExecuteC` and `execute`.
fn read<'c>(program: &'c Command, ways: Ways, words: &[OsString]) -> Read<'c> {
    let version = ways.version.is_some();
    let help = |place: &Place<'_>| {
        Read::Print(if ways.terse { usage::usage(place, version) } else { usage::help(place, version) })
    };
    let (place, rest) = flags::find(Place::root(program), words, ways.prefixes);
    if let Some(what) = unknown_command(&place, &rest) {
        return Read::Wrong(Wrong { what, usage: None });
    }
    let wrong = |what| Read::Wrong(Wrong { what, usage: Some(usage::usage(&place, version)) });
    let given = match flags::read(&place, &rest, version && place.is_root()) {
        Ok(given) => given,
        Err(what) => return wrong(what),
    };
    if given.help {
        return help(&place);
    }
    if given.version {
        let version = ways.version.unwrap_or_default();
        return Read::Print(format!("{} version {version}\n", place.words()));
    }
    if place.is_group() {
        return help(&place);
    }
    if place.names().eq(["help"]) {
        let (topic, rest) = flags::find(place.top(), &given.arguments, ways.prefixes);
        if unknown_command(&topic, &rest).is_none() {
            return help(&topic);
        }
        let words: Vec<_> = given.arguments.iter().map(|word| format!("`{}`", word.display())).collect();
        // What is printed without being run has no flag for help yet.
        let usage: Vec<_> = usage::usage(&topic.top(), false).lines().map(str::to_owned).collect();
        let usage: Vec<_> = usage.into_iter().filter(|line| !line.starts_with("  -h, --help ")).collect();
        return Read::NoTopic(format!("Unknown help topic [{}]\n{}\n", words.join(" "), usage.join("\n")));
    }
    if let Some(what) = wrong_number(&place, given.arguments.len()) {
        return wrong(what);
    }
    match missing(&place, &given) {
        Some(what) => wrong(what),
        None => Read::Words(place, given),
    }
}

/// `args.go legacyArgs`: only the program itself says that it has no such command.
fn unknown_command(place: &Place<'_>, words: &[OsString]) -> Option<String> {
    let word = words.get(first_argument(place, words)?).filter(|_| place.is_root())?;
    let word = word.to_string_lossy();
    let below = place.below();
    let near = |command: &&&Command| {
        let (typed, name) = (word.to_lowercase(), command.get_name());
        distance(&typed, name) <= 2 || name.starts_with(&typed)
    };
    let near: String =
        below.iter().filter(near).map(|command| format!("\t{}\n", command.get_name())).collect();
    let near = if near.is_empty() { near } else { format!("\n\nDid you mean this?\n{near}") };
    Some(format!("unknown command {word:?} for {:?}{near}", place.words()))
}

/// How many letters must be changed, put in or taken out to make one word of the other.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.chars().enumerate() {
            let above = row[j + 1];
            row[j + 1] = (diagonal + usize::from(from != to)).min(above + 1).min(row[j] + 1);
            diagonal = above;
        }
    }
    row.last().copied().unwrap_or(0)
}

/// `args.go ExactArgs`, `MinimumNArgs`, `MaximumNArgs`, `RangeArgs`.
fn wrong_number(place: &Place<'_>, received: usize) -> Option<String> {
    let (least, most) = place.takes()?;
    let wrong = received < least || received > most;
    wrong.then(|| match (least, most) {
        (least, usize::MAX) => format!("requires at least {least} arg(s), only received {received}"),
        (least, most) if least == most => format!("accepts {least} arg(s), received {received}"),
        (0, most) => format!("accepts at most {most} arg(s), received {received}"),
        _ => format!("accepts between {least} and {most} arg(s), received {received}"),
    })
}

fn missing(place: &Place<'_>, given: &Given) -> Option<String> {
    let set = |name: &str| given.flags.iter().any(|(set, _)| set == name);
    let required = place.local().into_iter().filter(|flag| flag.is_required_set());
    let missing: Vec<_> = required.filter_map(Arg::get_long).filter(|name| !set(name)).collect();
    (!missing.is_empty()).then(|| format!("required flag(s) \"{}\" not set", missing.join("\", \"")))
}

/// What was given, by clap's types. A flag that is given twice counts as it is given last.
fn typed<T: FromArgMatches>(command: &Command, place: &Place<'_>, given: &Given) -> Result<T, String> {
    let mut words: Vec<OsString> = vec![command.get_name().into()];
    words.extend(place.names().map(OsString::from));
    for (at, (name, value)) in given.flags.iter().enumerate() {
        let flag = place.long(name);
        let again = given.flags.iter().skip(at + 1).any(|(later, _)| later == name);
        let many = flag.is_some_and(|flag| matches!(flag.get_action(), ArgAction::Append));
        if again && !many {
            continue;
        }
        let turned = match flag.map(Arg::get_action) {
            Some(ArgAction::SetTrue) => "true",
            // One that is true from the beginning.
            Some(ArgAction::SetFalse) => "false",
            _ => {
                words.push([format!("--{name}=").into(), value.clone()].into_iter().collect());
                continue;
            }
        };
        if value == turned {
            words.push(format!("--{name}").into());
        }
    }
    if place.takes().is_some() {
        words.push("--".into());
        words.extend(given.arguments.iter().cloned());
    }
    let parsed =
        command.clone().try_get_matches_from(words).and_then(|matches| T::from_arg_matches(&matches));
    parsed.map_err(|error| said(place, &error))
}

/// A complaint of clap about a value in cobra's words.
fn said(place: &Place<'_>, error: &clap::Error) -> String {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => text.clone(),
        _ => String::new(),
    };
    let (arg, value) = (text(ContextKind::InvalidArg), text(ContextKind::InvalidValue));
    let first =
        || error.to_string().trim_start_matches("error: ").lines().next().unwrap_or_default().to_owned();
    let why = error.source().map_or_else(first, ToString::to_string);
    let name = arg.trim_start_matches('-').split([' ', '=']).next().unwrap_or_default();
    match (error.kind(), place.long(name)) {
        (ErrorKind::InvalidValue, None) => format!("invalid argument {value:?} for {:?}", place.words()),
        (_, Some(flag)) => flags::invalid(flag, &value, &why),
        _ => why,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, clap::Parser)]
    struct Cli {
        #[command(subcommand)]
        command: Sub,
        /// how
        #[arg(short, long, global = true, default_value = "simple", value_name = "string")]
        write_out: String,
    }

    #[derive(Debug, clap::Subcommand)]
    enum Sub {
        /// Shows
        Show {
            #[arg(value_name = "<file>")]
            file: OsString,
            #[arg(long, value_parser = crate::cli::programs::go::int, default_value = "0")]
            rev: i64,
            #[arg(long)]
            all: bool,
        },
        /// Hides
        Hide,
    }

    const WAYS: Ways = Ways { prefixes: true, twice: true, aloud: false, terse: true, version: None };

    fn wrong(words: &[&str]) -> String {
        let words: Vec<OsString> = words.iter().map(OsString::from).collect();
        let command = command::<Cli>("p");
        match read(&command, WAYS, &words) {
            Read::Wrong(wrong) => wrong.what,
            Read::Words(place, given) => match typed::<Cli>(&command, &place, &given) {
                Ok(cli) => format!("{cli:?}"),
                Err(what) => what,
            },
            Read::Print(text) | Read::NoTopic(text) => text,
        }
    }

    #[test]
    fn flags_are_taken_anywhere_and_names_by_their_beginning() {
        let due = r#"Cli { command: Show { file: "f", rev: 16, all: true }, write_out: "json" }"#;
        for words in [
            &["-w", "json", "show", "f", "--rev=0x10", "--all"][..],
            &["--write-out", "x", "s", "-wjson", "--all", "f", "--rev", "16"],
            &["sh", "--rev", "1", "--all=T", "--rev", "16", "-w=json", "--", "f"],
        ] {
            assert_eq!(wrong(words), due);
        }
    }

    #[test]
    fn what_is_wrong_is_said_as_cobra_says_it() {
        for (words, due) in [
            (&["shwo", "f"][..], "unknown command \"shwo\" for \"p\"\n\nDid you mean this?\n\tshow\n"),
            (&["show"], "accepts 1 arg(s), received 0"),
            (&["show", "f", "--no"], "unknown flag: --no"),
            (&["show", "f", "-xw"], "unknown shorthand flag: 'x' in -xw"),
            (&["show", "f", "--rev"], "flag needs an argument: --rev"),
            (&["show", "f", "-w"], "flag needs an argument: 'w' in -w"),
            (&["show", "f", "---w"], "bad flag syntax: ---w"),
            (
                &["show", "f", "--rev", "y"],
                "invalid argument \"y\" for \"--rev\" flag: strconv.ParseInt: parsing \"y\": invalid syntax",
            ),
            (
                &["show", "f", "--all=y"],
                "invalid argument \"y\" for \"--all\" flag: strconv.ParseBool: parsing \"y\": invalid syntax",
            ),
        ] {
            assert_eq!(wrong(words), due);
        }
        assert_eq!(wrong(&["hide", "what", "ever"]), "Cli { command: Hide, write_out: \"simple\" }");
    }
}
