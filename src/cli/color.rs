//! Colour, where it helps a person at a terminal: how grave a finding is, a verdict, what came and what went.

use std::io::{self, IsTerminal};
use std::sync::OnceLock;

use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};
use clap::ValueEnum;
use coldbolt::ops::verify::Verdict;

/// When there is colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ColorWhen {
    /// On a terminal, unless NO_COLOR is set or TERM is dumb.
    Auto,
    Always,
    Never,
}

/// Whether standard output gets colour, and whether standard error does.
static CHOSEN: OnceLock<[bool; 2]> = OnceLock::new();

/// Sets when there is colour; before that there is none.
pub fn choose(when: ColorWhen) {
    // What the variable means; anstream takes any value for "force".
    let forced_off = std::env::var_os("CLICOLOR_FORCE").is_some_and(|value| value == "0");
    let is = |choice: ColorChoice, terminal: bool| choice != ColorChoice::Never && (terminal || !forced_off);
    let (out, err) = (io::stdout(), io::stderr());
    let chosen = match when {
        ColorWhen::Auto => {
            [is(AutoStream::choice(&out), out.is_terminal()), is(AutoStream::choice(&err), err.is_terminal())]
        }
        ColorWhen::Always => [true; 2],
        ColorWhen::Never => [false; 2],
    };
    _ = CHOSEN.set(chosen);
}

fn painted(on: bool, style: Style, text: &str) -> String {
    if on { format!("{style}{text}{style:#}") } else { text.to_owned() }
}

fn out(style: Style, text: &str) -> String {
    painted(CHOSEN.get().is_some_and(|[out, _]| *out), style, text)
}

fn of(color: AnsiColor) -> Style {
    color.on_default()
}

/// What a line of a difference begins with.
pub fn sign(sign: char) -> String {
    let style = match sign {
        '+' => of(AnsiColor::Green),
        '-' => of(AnsiColor::Red),
        '~' => of(AnsiColor::Yellow),
        _ => of(AnsiColor::Magenta),
    };
    out(style, sign.encode_utf8(&mut [0; 4]))
}

/// A verdict, in words.
pub fn verdict(verdict: Verdict, words: &str) -> String {
    let style = match verdict {
        Verdict::Good => of(AnsiColor::Green),
        Verdict::Bad => of(AnsiColor::Red).bold(),
        Verdict::Inconclusive | Verdict::Unreadable => of(AnsiColor::Yellow).bold(),
    };
    out(style, words)
}

/// The word of a severity in an answer.
pub fn severity(word: &str) -> String {
    out(style_of(word), word)
}

/// A line of standard error, whose first word may say how grave it is.
pub fn said(line: &str) -> String {
    let on = CHOSEN.get().is_some_and(|[_, err]| *err);
    match line.split_once(": ") {
        Some((word, rest)) if on => format!("{}: {rest}", painted(on, style_of(word), word)),
        _ => line.to_owned(),
    }
}

fn style_of(word: &str) -> Style {
    match word {
        "damage" | "Error" | "error" => of(AnsiColor::Red).bold(),
        "warning" => of(AnsiColor::Yellow).bold(),
        "note" => of(AnsiColor::Cyan),
        _ => Style::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_how_grave_it_is_has_colour() {
        assert_eq!(painted(true, style_of("damage"), "damage"), "\u{1b}[1m\u{1b}[31mdamage\u{1b}[0m");
        assert_eq!(painted(true, style_of("backup.db"), "backup.db"), "backup.db");
        assert_eq!(painted(false, style_of("damage"), "damage"), "damage");
    }
}
