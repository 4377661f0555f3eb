//! A command among those of a program, with what cobra knows of it.

use clap::{Arg, ArgAction, Command};

/// A command, with those that lead to it.
#[derive(Clone)]
pub struct Place<'c> {
    /// From the program down to the command itself.
    path: Vec<&'c Command>,
}

impl<'c> Place<'c> {
    pub fn root(program: &'c Command) -> Place<'c> {
        Place { path: vec![program] }
    }

    pub fn is_root(&self) -> bool {
        self.path.len() == 1
    }

    pub fn top(&self) -> Place<'c> {
        Place { path: self.path.iter().take(1).copied().collect() }
    }

    pub fn command(&self) -> &'c Command {
        self.path[self.path.len() - 1]
    }

    /// The commands below, by name.
    pub fn below(&self) -> Vec<&'c Command> {
        let mut below: Vec<_> = self.command().get_subcommands().filter(|c| !c.is_hide_set()).collect();
        below.sort_by_key(|command| command.get_name());
        below
    }

    /// The command below that is meant, also by the beginning of its name if only one of those in the help begins so.
    pub fn next(&self, word: &str, prefixes: bool) -> Option<Place<'c>> {
        let all: Vec<_> = self.command().get_subcommands().collect();
        let named = |command: &&&Command| command.get_name_and_visible_aliases().contains(&word);
        let begins = |command: &&&Command| !command.is_hide_set() && command.get_name().starts_with(word);
        let begun: Vec<_> = all.iter().filter(|_| prefixes).filter(begins).collect();
        let found = all.iter().find(named).or(match begun.as_slice() {
            [one] => Some(*one),
            _ => None,
        })?;
        Some(Place { path: self.path.iter().chain([found]).copied().collect() })
    }

    /// The words that lead to it, as `etcdutl snapshot status`.
    pub fn words(&self) -> String {
        self.path.iter().map(|command| command.get_name()).collect::<Vec<_>>().join(" ")
    }

    /// Its names, without the program's.
    pub fn names(&self) -> impl Iterator<Item = &'c str> {
        self.path.iter().skip(1).map(|command| command.get_name())
    }

    /// Whether it only holds other commands.
    pub fn is_group(&self) -> bool {
        self.command().has_subcommands()
    }

    /// Flags that it declares, by name.
    pub fn local(&self) -> Vec<&'c Arg> {
        sorted(flags(self.command()))
    }

    /// Flags that those above declare for it.
    pub fn inherited(&self) -> Vec<&'c Arg> {
        let above = self.path.iter().rev().skip(1);
        sorted(above.flat_map(|command| flags(command)).filter(|flag| flag.is_global_set()))
    }

    pub fn long(&self, name: &str) -> Option<&'c Arg> {
        let mut all = self.local().into_iter().chain(self.inherited());
        all.find(|flag| flag.get_long() == Some(name))
    }

    pub fn short(&self, letter: char) -> Option<&'c Arg> {
        let mut all = self.local().into_iter().chain(self.inherited());
        all.find(|flag| flag.get_short() == Some(letter))
    }

    /// How many arguments it takes; `None` if it does not say.
    pub fn takes(&self) -> Option<(usize, usize)> {
        let positional: Vec<_> = self.command().get_positionals().collect();
        let last = positional.last()?;
        let many = matches!(last.get_action(), ArgAction::Append);
        let least = positional.iter().filter(|arg| arg.is_required_set()).count();
        let least = match last.get_num_args() {
            Some(range) if many && last.is_required_set() => least - 1 + range.min_values().max(1),
            _ => least,
        };
        Some((least, if many { usize::MAX } else { positional.len() }))
    }
}

/// Whether a flag stands for true when it is given without a value.
pub fn is_switch(flag: &Arg) -> bool {
    matches!(flag.get_action(), ArgAction::SetTrue | ArgAction::SetFalse)
}

fn flags(command: &Command) -> impl Iterator<Item = &Arg> {
    command.get_arguments().filter(|arg| !arg.is_positional() && arg.get_long().is_some())
}

fn sorted<'c>(flags: impl Iterator<Item = &'c Arg>) -> Vec<&'c Arg> {
    let mut flags: Vec<_> = flags.collect();
    flags.sort_by_key(|flag| flag.get_long());
    flags
}
