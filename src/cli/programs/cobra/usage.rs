//! Help, as cobra prints it (`command.go defaultUsageFunc`, `pflag/flag.go FlagUsages` @ cobra 1.10).

use clap::{Arg, Command};

use super::place::{Place, is_switch};

/// How the help of a command goes; `version` if there is a flag for that.
pub fn usage(place: &Place<'_>, version: bool) -> String {
    let command = place.command();
    let mut text = "Usage:".to_owned();
    if place.is_group() {
        text += &format!("\n  {} [command]", place.words());
    } else {
        text += &format!("\n  {}", use_line(place));
    }
    let aliases: Vec<_> = command.get_visible_aliases().collect();
    if !aliases.is_empty() {
        text += &format!("\n\nAliases:\n  {}, {}", command.get_name(), aliases.join(", "));
    }
    let below = place.below();
    if !below.is_empty() {
        text += "\n\nAvailable Commands:";
        let width = below.iter().map(|command| command.get_name().len()).max().unwrap_or(0).max(11);
        for command in below {
            text += &format!("\n  {:width$} {}", command.get_name(), short(command));
        }
    }
    let mut rows: Vec<_> = place.local().into_iter().filter(|flag| !flag.is_hide_set()).map(row).collect();
    let name = command.get_name();
    rows.push(("help".to_owned(), "  -h, --help".to_owned(), format!("help for {name}")));
    if version && place.is_root() {
        rows.push(("version".to_owned(), "  -v, --version".to_owned(), format!("version for {name}")));
    }
    rows.sort();
    text += &format!("\n\nFlags:\n{}", table(&rows));
    let rows: Vec<_> = place.inherited().into_iter().filter(|flag| !flag.is_hide_set()).map(row).collect();
    if !rows.is_empty() {
        text += &format!("\n\nGlobal Flags:\n{}", table(&rows));
    }
    if place.is_group() {
        let words = place.words();
        text += &format!("\n\nUse \"{words} [command] --help\" for more information about a command.");
    }
    text + "\n"
}

/// What a command is about, and how it is used.
pub fn help(place: &Place<'_>, version: bool) -> String {
    let command = place.command();
    let about = command.get_long_about().or(command.get_about()).map(ToString::to_string);
    format!("{}\n\n{}", about.unwrap_or_default().trim_end(), usage(place, version))
}

fn short(command: &Command) -> String {
    command.get_about().map(ToString::to_string).unwrap_or_default()
}

/// A command with its arguments: by the name it is to be shown with, if it has one.
fn use_line(place: &Place<'_>) -> String {
    let command = place.command();
    let words = place.words();
    if let Some(shown) = command.get_display_name() {
        let above = words.strip_suffix(command.get_name()).unwrap_or_default();
        return format!("{above}{shown}");
    }
    let named = command.get_positionals().filter_map(|arg| Some(arg.get_value_names()?.first()?.to_string()));
    std::iter::once(words).chain(named).chain(["[flags]".to_owned()]).collect::<Vec<_>>().join(" ")
}

/// A flag: its name, how it is given, and what it means.
fn row(flag: &Arg) -> (String, String, String) {
    let name = flag.get_long().unwrap_or_default();
    let mut given = match flag.get_short() {
        Some(letter) => format!("  -{letter}, --{name}"),
        None => format!("      --{name}"),
    };
    let kind = flag.get_value_names().and_then(|names| names.first()).map(ToString::to_string);
    let kind = kind.filter(|_| !is_switch(flag));
    if let Some(kind) = &kind {
        given += &format!(" {kind}");
    }
    let mut means = flag.get_long_help().or(flag.get_help()).map(ToString::to_string).unwrap_or_default();
    let default = flag.get_default_values().first().map(|value| value.to_string_lossy());
    if let Some(default) = default.filter(|value| !["", "0", "0s", "false"].contains(&value.as_ref())) {
        means += &match kind.as_deref() {
            Some("string") => format!(" (default {default:?})"),
            Some("strings") => format!(" (default [{default}])"),
            _ => format!(" (default {default})"),
        };
    }
    (name.to_owned(), given, means)
}

fn table(rows: &[(String, String, String)]) -> String {
    let width = rows.iter().map(|(_, given, _)| given.len()).max().unwrap_or(0);
    // Of a flag that has no help the line ends in spaces, but for the last one.
    let lines = rows.iter().map(|(_, given, means)| format!("{given:width$}   {means}"));
    lines.collect::<Vec<_>>().join("\n").trim_end().to_owned()
}
