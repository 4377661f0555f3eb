//! The layers of the library, and the proof that imports point only downwards: the list below is the diagram.
//!
//! It is the source text that is read, comments and strings left out, so an inline `crate::ops::status` counts as an
//! import too.

use std::path::{Path, PathBuf};

/// From the lowest up. A module may use those of the rows above it in this list; those of one row do not know one
/// another.
const LAYERS: [&[&str]; 11] = [
    &["words"],
    &["codec"],
    &["io"],
    &["raft"],
    &["bolt", "wal", "snap"],
    &["etcd"],
    &["store"],
    &["replay"],
    &["kube"],
    &["ops"],
    &["report"],
];
/// Whose modules may know one another.
const WORDS: usize = 0;

/// Part of `src/finding.rs` by `include!`.
const INCLUDED: &str = "words/codes.rs";

#[derive(Debug, Clone, PartialEq)]
struct Token<'s> {
    line: usize,
    text: &'s str,
}

/// Identifiers, `::`, and single signs. Comments, strings, characters and lifetimes are left out.
fn tokens(source: &str) -> Vec<Token<'_>> {
    let bytes = source.as_bytes();
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || !byte.is_ascii();
    let (mut found, mut line, mut at) = (Vec::new(), 1, 0);
    while at < bytes.len() {
        let rest = &source[at..];
        let start = at;
        // What begins here is as long as this, and is it to be kept?
        let (len, keep) = if rest.starts_with("//") {
            (rest.find('\n').unwrap_or(rest.len()), false)
        } else if rest.starts_with("/*") {
            (block_comment(rest), false)
        } else if let Some(len) = string(rest) {
            (len, false)
        } else if rest.starts_with("::") {
            (2, true)
        } else if word(bytes[at]) {
            (rest.bytes().take_while(|byte| word(*byte)).count(), true)
        } else {
            (1, !bytes[at].is_ascii_whitespace())
        };
        at += len;
        if keep {
            found.push(Token { line, text: &source[start..at] });
        }
        line += source[start..at].matches('\n').count();
    }
    found
}

/// The length of the block comment that `rest` begins with. They nest.
fn block_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        let two = &rest.as_bytes()[at..rest.len().min(at + 2)];
        match two {
            b"/*" => (depth, at) = (depth + 1, at + 2),
            b"*/" => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    rest.len()
}

/// The length of the string, character or lifetime that `rest` begins with, if it begins with one.
fn string(rest: &str) -> Option<usize> {
    let bytes = rest.as_bytes();
    let prefix = ["br", "cr", "r", "b", "c"].into_iter().find(|p| {
        let after = rest.strip_prefix(p).unwrap_or_default();
        rest.starts_with(p)
            && (after.starts_with(['"', '\''])
                || p.ends_with('r') && after.trim_start_matches('#').starts_with('"'))
    });
    let from = prefix.map_or(0, str::len);
    if prefix.is_some_and(|p| p.ends_with('r')) {
        let hashes = rest[from..].bytes().take_while(|byte| *byte == b'#').count();
        let close = format!("\"{}", "#".repeat(hashes));
        let body = from + hashes + 1;
        return Some(rest[body..].find(&close).map_or(rest.len(), |end| body + end + close.len()));
    }
    let quote = *bytes.get(from)?;
    let lifetime = quote == b'\'' && bytes.get(from + 1) != Some(&b'\\') && !closes_soon(&rest[from + 1..]);
    match quote {
        b'\'' if lifetime => Some(
            1 + rest[1..].bytes().take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_').count(),
        ),
        b'"' | b'\'' => {
            let mut at = from + 1;
            while at < bytes.len() && bytes[at] != quote {
                at += if bytes[at] == b'\\' { 2 } else { 1 };
            }
            Some((at + 1).min(bytes.len()))
        }
        _ => None,
    }
}

/// Whether one character and a closing quote follow: then it is a character, not a lifetime.
fn closes_soon(rest: &str) -> bool {
    let mut chars = rest.chars();
    chars.next().is_some() && chars.next() == Some('\'')
}

/// The modules of the crate that a file uses: `crate::x`, `crate::{x, y::z}`, and `super::` where it reaches the top.
/// `depth` is how many modules the file lies below the crate: 1 for `src/raft.rs` and `src/wal/mod.rs`.
fn uses<'s>(tokens: &[Token<'s>], depth: usize) -> Vec<Token<'s>> {
    let text = |i: usize| tokens.get(i).map_or("", |token| token.text);
    let (mut found, mut braces, mut inline) = (Vec::new(), 0usize, Vec::new());
    let mut i = 0;
    while i < tokens.len() {
        match text(i) {
            "{" => {
                if i > 1 && text(i - 2) == "mod" {
                    inline.push(braces);
                }
                braces += 1;
            }
            "}" => {
                braces -= 1;
                if inline.last() == Some(&braces) {
                    inline.pop();
                }
            }
            // A path begins here, unless it is the middle of one.
            "crate" | "super" if i == 0 || text(i - 1) != "::" => {
                let (start, mut up) = (i, 0);
                while text(i) == "super" && text(i + 1) == "::" {
                    (up, i) = (up + 1, i + 2);
                }
                let absolute = text(i) == "crate" && text(i + 1) == "::";
                if absolute {
                    i += 2;
                }
                if absolute || up > 0 && up == depth + inline.len() {
                    found.extend(heads(&tokens[i..]));
                }
                if i > start {
                    continue;
                }
            }
            _ => {}
        }
        i += 1;
    }
    found
}

/// The first names of a path, or of each path in the braces that it begins with.
fn heads<'s>(tokens: &[Token<'s>]) -> Vec<Token<'s>> {
    if tokens.first().is_none_or(|token| token.text != "{") {
        return tokens.first().cloned().into_iter().collect();
    }
    let (mut found, mut depth) = (Vec::new(), 0);
    for (i, token) in tokens.iter().enumerate() {
        match token.text {
            "{" => depth += 1,
            "}" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            break;
        }
        let begins = i > 0 && matches!(tokens[i - 1].text, "{" | ",");
        if depth == 1 && begins && token.text != "," {
            found.push(token.clone());
        }
    }
    found
}

fn row(module: &str) -> Option<usize> {
    LAYERS.iter().position(|row| row.contains(&module))
}

/// What `lib.rs` says: its modules, and for each name it re-exports the module that it comes from.
fn library(lib: &str) -> (Vec<&str>, Vec<(&str, &str)>) {
    let tokens = tokens(lib);
    let (mut modules, mut names) = (Vec::new(), Vec::new());
    for (i, token) in tokens.iter().enumerate() {
        match token.text {
            "mod" => modules.push(tokens[i + 1].text),
            "use" => {
                let end = tokens[i..].iter().position(|token| token.text == ";").unwrap() + i;
                names.extend(tokens[i + 2..end].iter().map(|name| (name.text, tokens[i + 1].text)));
            }
            _ => {}
        }
    }
    (modules, names)
}

/// Every use in a file of `module` that points the wrong way.
fn violations(
    file: &str,
    module: &str,
    depth: usize,
    source: &str,
    reexports: &[(&str, &str)],
) -> Vec<String> {
    let home = row(module).unwrap_or_else(|| panic!("{file}: `{module}` is in no layer"));
    let mut wrong = Vec::new();
    for used in uses(&tokens(source), depth) {
        let target =
            reexports.iter().find(|(name, _)| *name == used.text).map_or(used.text, |(_, from)| *from);
        let fine = match row(target) {
            Some(there) => target == module || there < home || there == home && home == WORDS,
            None => false,
        };
        if !fine {
            wrong.push(format!("{file}:{}: `{module}` uses `{}`", used.line, used.text));
        }
    }
    wrong
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// Every source file, as its path below `src`, and its text.
fn sources() -> Vec<(String, String)> {
    let (mut dirs, mut found) = (vec![root()], Vec::new());
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                dirs.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
                found.push((name, std::fs::read_to_string(path).unwrap()));
            }
        }
    }
    found.sort();
    assert!(found.len() > 50, "only {} files", found.len());
    found
}

/// How many modules a file lies below its crate, and the first of them: `wal/mod.rs` and `wal.rs` give 1,
/// `wal/log.rs` 2.
fn place(file: &str) -> (usize, &str) {
    let path = file.trim_end_matches(".rs").trim_end_matches("/mod");
    (path.split('/').count(), path.split('/').next().unwrap())
}

fn is_binary(file: &str) -> bool {
    file == "main.rs" || file.starts_with("cli/")
}

#[test]
fn imports_point_down_only() {
    let sources = sources();
    let (_, lib) = sources.iter().find(|(file, _)| file == "lib.rs").unwrap();
    let (_, reexports) = library(lib);
    let mut wrong = Vec::new();
    for (file, source) in
        sources.iter().filter(|(file, _)| !is_binary(file) && file != "lib.rs" && file != INCLUDED)
    {
        let (depth, module) = place(file);
        wrong.extend(violations(file, module, depth, source, &reexports));
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn every_module_is_in_exactly_one_layer() {
    let lib = std::fs::read_to_string(root().join("lib.rs")).unwrap();
    let (mut modules, _) = library(&lib);
    let mut layered = LAYERS.concat();
    modules.sort_unstable();
    layered.sort_unstable();
    assert_eq!(modules, layered, "the modules of lib.rs, and those of LAYERS");
}

#[test]
fn the_command_line_sees_only_the_public_library() {
    for (file, source) in sources().iter().filter(|(file, _)| is_binary(file)) {
        let tokens = tokens(source);
        let depth = if file == "main.rs" { 0 } else { place(file).0 };
        for used in uses(&tokens, depth) {
            assert_eq!(used.text, "cli", "{file}:{}: a path to something else of the binary", used.line);
        }
    }
    let main = std::fs::read_to_string(root().join("main.rs")).unwrap();
    assert_eq!(library(&main).0, ["cli"], "the modules of main.rs");
    for (file, source) in sources() {
        let aside = tokens(&source)
            .windows(4)
            .any(|at| [at[0].text, at[1].text, at[2].text, at[3].text] == ["#", "[", "path", "="]);
        assert!(!aside, "{file}: takes a module from another place");
    }
}

#[test]
fn nothing_is_unsafe_but_the_map() {
    for (file, source) in sources().into_iter().filter(|(file, _)| file != "io/map.rs") {
        let found = tokens(&source).into_iter().find(|token| token.text == "unsafe");
        assert_eq!(found, None, "{file}");
    }
}

#[test]
fn every_file_says_what_it_is() {
    for (file, source) in sources() {
        let exempt = file == INCLUDED || file.starts_with("cli/");
        assert!(exempt || source.starts_with("//! "), "{file}: begins without a //! line");
    }
}

#[test]
fn a_wrong_import_is_found_however_it_is_written() {
    let wrong = |module: &str, depth, source: &str| {
        violations("x.rs", module, depth, source, &[("Error", "words")]).len()
    };
    // Downwards, sideways inside the lowest row, into oneself, and what is only said.
    for good in [
        "use crate::io::Source;",
        "use crate::{words::error::Result, Error, raft};",
        "use super::frame::Frame; use crate::wal::name;",
        "/// [`ops`](crate::ops)\n// crate::ops\n/* crate::ops /* crate::etcd */ crate::ops */ fn f() {}",
        r##"const S: &str = "crate::ops \" crate::ops"; const R: &str = r#"" crate::ops"#; const C: char = '"'; fn f<'a>(_: &'a str) {}"##,
        "mod tests { use super::super::frame; } pub(crate) fn f() {}",
    ] {
        assert_eq!(wrong("wal", 2, good), 0, "{good}");
    }
    assert_eq!(wrong("words", 2, "use super::finding::Code; use super::monitor;"), 0);
    assert_eq!(wrong("wal", 1, "#[cfg(test)] mod tests { use super::*; }"), 0);
    // Upwards, sideways, unknown.
    for bad in [
        "use crate::etcd::DataDir;",
        "use crate::bolt::Db;",
        "use crate::nowhere::X;",
        "use crate::{io::{self, ops}, ops::{status, hashkv}};",
        "fn f() { let c = '\\''; let d = '\"'; crate::ops::status(); }",
        "use super::super::snap::file;",
        "fn f() { if x { } } use super::super::snap::file;",
        "mod inner { use super::super::super::etcd; }",
        "fn f(b: bool) -> crate::etcd::Kv { if b {} }",
    ] {
        assert_eq!(wrong("wal", 2, bad), 1, "{bad}");
    }
    assert_eq!(wrong("words", 1, "use super::io;"), 1);
    assert_eq!(wrong("io", 1, "mod a { mod b {} } mod tests { use super::super::raft; }"), 1);
}
