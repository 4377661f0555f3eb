//! The layers of the library, and the proof that imports point only downwards: the list below is the diagram. Inside a
//! room, too, no two files need each other, and no text of the library speaks the command line's language. What is too
//! long or too deep is in a list with its reason.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

/// From the lowest up. A module may use those of the rows above it in this list; those of one row do not know one
/// another.
const LAYERS: [&[&str]; 11] = [
    &["words"],
    &["codec"],
    &["io"],
    &["raft"],
    &["bolt", "wal", "snap", "sqlite"],
    &["etcd"],
    &["store"],
    &["replay"],
    &["kube", "live"],
    &["ops"],
    &["report"],
];

/// Flags of etcd itself, which the library may name: a message is etcd's own, or tells how a member was started.
const ETCDS: [&str; 12] = [
    "--data-dir",
    "--election-timeout",
    "--experimental-enable-lease-checkpoint-persist",
    "--heartbeat-interval",
    "--initial-advertise-peer-urls",
    "--initial-cluster",
    "--initial-cluster-token",
    "--listen-peer-urls",
    "--max-learners",
    "--name",
    "--skip-hash-check",
    "--wal-dir",
];
/// Its remedies are read by people who look a code up on the command line.
const EXPLAINED: &str = "words/codes.rs";

/// The one file that may be unsafe.
const MAP: (&str, &str) = ("io/map.rs", "unsafe");

/// The only files that know which system they are built for: what differs is behind functions there.
const SYSTEMS: [&str; 2] = ["io/os/", "cli/signals/"];
/// How a file shows that it does.
const OF_A_SYSTEM: [&str; 7] =
    ["rustix", "file_guard", "winapi_util", "signal_hook", "ctrlc", "unix", "windows"];

const LONGEST_LINE: usize = 110;
const LONGEST_COMMENT: usize = 120;
/// A message is one literal, so that it can be searched for: a line may be longer for one of so many characters.
const MESSAGE: usize = 60;
const LONGEST_FILE: usize = 500;
const LONGEST_FUNCTION: usize = 60;
const DEEPEST: usize = 4;
/// `ops` is at most one of so many parts: what it holds beyond verbs belongs to the layer that it is about.
const VERBS: usize = 5;

/// An exception, and why it is one.
type Exception = (&'static str, &'static str);

const LINES: &[Exception] = &[];
const FILES: &[Exception] = &[("wal/tests.rs", "tests of one reader, each a few lines")];
const FUNCTIONS: &[Exception] = &[];
const NESTED: &[Exception] = &[];
const CIRCLES: &[Exception] = &[];
const FOLDERS: &[Exception] = &[];

// ---- reading ------------------------------------------------------------------------------------------------------

/// A source file, as far as it is asked about: tokens cannot be shared between tests, what is found in them can.
struct File {
    /// Its path below `src`.
    name: String,
    text: String,
    /// The modules that it declares, other than inline ones.
    declared: Vec<String>,
    all: Walk,
    without_tests: Walk,
    functions: Functions,
}

impl File {
    fn new(name: &str, text: &str) -> File {
        let tokens: TokenStream = text.parse().unwrap_or_else(|error| panic!("{name}: {error}"));
        let mut file = File {
            name: name.to_owned(),
            text: text.to_owned(),
            declared: declared(tokens.clone()),
            all: Walk::over(tokens.clone(), Reach::All),
            without_tests: Walk::over(TokenStream::new(), Reach::NoTests),
            functions: Functions { file: name.to_owned(), ..Functions::default() },
        };
        if !file.is_test() {
            file.without_tests = Walk::over(tokens.clone(), Reach::NoTests);
            file.functions.visit_file(&syn::parse2(tokens).unwrap());
        }
        file
    }

    /// The module it is: `wal/mod.rs` and `wal.rs` are `wal`, `wal/log.rs` is `wal`, `log`.
    fn module(&self) -> Vec<&str> {
        let path = self.name.trim_end_matches(".rs").trim_end_matches("/mod");
        if matches!(path, "lib" | "main") { Vec::new() } else { path.split('/').collect() }
    }

    fn is_binary(&self) -> bool {
        self.name == "main.rs" || self.name.starts_with("cli/")
    }

    fn is_test(&self) -> bool {
        self.name.ends_with("/tests.rs") || self.name.contains("/tests/")
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// Every source file.
fn sources() -> &'static [File] {
    static SOURCES: OnceLock<Vec<File>> = OnceLock::new();
    SOURCES.get_or_init(read_sources)
}

fn read_sources() -> Vec<File> {
    let (mut dirs, mut found) = (vec![root()], Vec::new());
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                dirs.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
                found.push(File::new(&name, &std::fs::read_to_string(path).unwrap()));
            }
        }
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    assert!(found.len() > 50, "only {} files", found.len());
    found
}

/// A path of at least two names, as it is written; braces are multiplied out.
#[derive(Debug, Clone, PartialEq)]
struct Used {
    line: usize,
    /// How many inline modules it stands in.
    inline: usize,
    names: Vec<String>,
    /// Whether it is in a `pub use`.
    exported: bool,
}

/// What is to be read of a file: all of it, or without its `#[cfg(test)] mod`.
#[derive(Clone, Copy, PartialEq)]
enum Reach {
    All,
    NoTests,
}

/// Walks over tokens, comments left out: they are none, and doc comments are attributes.
struct Walk {
    reach: Reach,
    inline: usize,
    used: Vec<Used>,
    /// Literals outside doc comments, with their lines.
    literals: Vec<(usize, usize, String)>,
    words: Vec<(usize, String)>,
}

impl Walk {
    fn over(tokens: TokenStream, reach: Reach) -> Walk {
        let mut walk = Walk { reach, inline: 0, used: Vec::new(), literals: Vec::new(), words: Vec::new() };
        walk.stream(tokens);
        walk
    }

    fn stream(&mut self, stream: TokenStream) {
        let tokens: Vec<TokenTree> = stream.into_iter().collect();
        let mut at = 0;
        while at < tokens.len() {
            at = self.token(&tokens, at);
        }
    }

    /// Takes in what begins at `at`, and gives where the next begins.
    fn token(&mut self, tokens: &[TokenTree], at: usize) -> usize {
        match &tokens[at] {
            TokenTree::Ident(word) if *word == "mod" && block(tokens, at + 2).is_some() => {
                let test = at >= 2 && tokens[at - 1].to_string().replace(' ', "") == "[cfg(test)]";
                if self.reach == Reach::All || !test {
                    self.inline += 1;
                    self.stream(block(tokens, at + 2).unwrap());
                    self.inline -= 1;
                }
                at + 3
            }
            TokenTree::Ident(word) if *word == "use" => {
                let exported = at > 0
                    && !matches!(&tokens[at - 1], TokenTree::Punct(_))
                    && ["pub", "(crate)", "(super)"].contains(&tokens[at - 1].to_string().as_str());
                self.path(tokens, at + 1, &[], exported)
            }
            TokenTree::Ident(_) => self.path(tokens, at, &[], false),
            TokenTree::Group(group)
                if is_doc(group.stream()) && matches!(punct(tokens, at.wrapping_sub(1)), '#' | '!') =>
            {
                at + 1
            }
            TokenTree::Group(group) => {
                self.stream(group.stream());
                at + 1
            }
            TokenTree::Literal(literal) => {
                let span = literal.span();
                self.literals.push((span.start().line, span.end().line, literal.to_string()));
                at + 1
            }
            TokenTree::Punct(_) => at + 1,
        }
    }

    /// Takes in the path that begins at `at`, each of those in its braces by itself.
    fn path(&mut self, tokens: &[TokenTree], mut at: usize, prefix: &[String], exported: bool) -> usize {
        let mut names = prefix.to_vec();
        let mut line = 0;
        loop {
            match tokens.get(at) {
                Some(TokenTree::Ident(name)) => {
                    line = name.span().start().line;
                    // `include!` is another word than a field of that name.
                    let called = if punct(tokens, at + 1) == '!' { "!" } else { "" };
                    self.words.push((line, format!("{name}{called}")));
                    names.push(name.to_string());
                    at += 1;
                }
                Some(TokenTree::Punct(star)) if star.as_char() == '*' && !names.is_empty() => {
                    line = star.span().start().line;
                    names.push("*".to_owned());
                    at += 1;
                }
                Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => {
                    let inside: Vec<TokenTree> = group.stream().into_iter().collect();
                    let mut from = 0;
                    while from < inside.len() {
                        from = self.path(&inside, from, &names, exported);
                        while from < inside.len() && punct(&inside, from) != ',' {
                            from += 1;
                        }
                        from += 1;
                    }
                    return at + 1;
                }
                // `::<`, and whatever else is no path.
                _ => {
                    at += usize::from(names.len() == prefix.len());
                    break;
                }
            }
            if punct(tokens, at) == ':' && punct(tokens, at + 1) == ':' {
                at += 2;
            } else {
                break;
            }
        }
        if names.len() > 1 {
            self.used.push(Used { line, inline: self.inline, names, exported });
        }
        at
    }
}

fn punct(tokens: &[TokenTree], at: usize) -> char {
    match tokens.get(at) {
        Some(TokenTree::Punct(punct)) => punct.as_char(),
        _ => ' ',
    }
}

fn block(tokens: &[TokenTree], at: usize) -> Option<TokenStream> {
    match tokens.get(at) {
        Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => Some(group.stream()),
        _ => None,
    }
}

fn is_doc(stream: TokenStream) -> bool {
    matches!(stream.into_iter().next(), Some(TokenTree::Ident(word)) if word == "doc")
}

fn declared(tokens: TokenStream) -> Vec<String> {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    (2..tokens.len())
        .filter(|at| tokens[at - 2].to_string() == "mod" && punct(&tokens, *at) == ';')
        .map(|at| tokens[at - 1].to_string())
        .collect()
}

// ---- layers -------------------------------------------------------------------------------------------------------

fn row(module: &str) -> Option<usize> {
    LAYERS.iter().position(|row| row.contains(&module))
}

/// A path from the root of the crate: `crate`, `super` and `self` gone. `None` for what is of another crate, or local.
fn absolute(file: &File, used: &Used, children: &[String]) -> Option<Vec<String>> {
    let mut home: Vec<String> = file.module().into_iter().map(str::to_owned).collect();
    home.extend((0..used.inline).map(|_| "(inline)".to_owned()));
    let mut names = used.names.as_slice();
    match names.first()?.as_str() {
        "crate" => home.clear(),
        "self" => {}
        "super" => {
            while let Some(("super", rest)) = names.split_first().map(|(first, rest)| (first.as_str(), rest))
            {
                home.pop();
                names = rest;
            }
            home.extend(names.iter().cloned());
            return Some(home);
        }
        first if used.inline == 0 && children.iter().any(|child| child == first) => {
            home.extend(names.iter().cloned());
            return Some(home);
        }
        _ => return None,
    }
    home.extend(names[1..].iter().cloned());
    Some(home)
}

/// For each name that `lib.rs` re-exports the module that it comes from.
fn reexports(lib: &File) -> BTreeMap<String, String> {
    lib.all.used.iter().map(|used| (used.names.last().unwrap().clone(), used.names[0].clone())).collect()
}

/// Every use in a file that points the wrong way.
fn violations(file: &File, reexports: &BTreeMap<String, String>) -> Vec<String> {
    let module = file.module()[0];
    let home = row(module).unwrap_or_else(|| panic!("{}: `{module}` is in no layer", file.name));
    let mut wrong = Vec::new();
    for used in &file.all.used {
        let Some(path) = absolute(file, used, &[]) else { continue };
        let Some(first) = path.first().filter(|first| *first != "*") else { continue };
        let target = reexports.get(first).unwrap_or(first);
        if target != module && row(target).is_none_or(|there| there >= home) {
            wrong.push(format!("{}:{}: `{module}` uses `{first}`", file.name, used.line));
        }
    }
    wrong
}

#[test]
fn imports_point_down_only() {
    let sources = sources();
    let reexports = reexports(sources.iter().find(|file| file.name == "lib.rs").unwrap());
    let library = sources.iter().filter(|file| !file.is_binary() && file.name != "lib.rs");
    let wrong: Vec<String> = library.flat_map(|file| violations(file, &reexports)).collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn every_module_is_in_exactly_one_layer() {
    let sources = sources();
    let mut modules = sources.iter().find(|file| file.name == "lib.rs").unwrap().declared.clone();
    let mut layered = LAYERS.concat();
    modules.sort_unstable();
    layered.sort_unstable();
    assert_eq!(modules, layered, "the modules of lib.rs, and those of LAYERS");
}

#[test]
fn the_command_line_sees_only_the_public_library() {
    for file in sources().iter().filter(|file| file.is_binary()) {
        for used in &file.all.used {
            let Some(path) = absolute(file, used, &[]) else { continue };
            let own = path.first().is_none_or(|first| first == "cli" || first == "(inline)" || first == "*");
            assert!(own, "{}:{}: a path to something else of the binary", file.name, used.line);
        }
    }
    let main = File::new("main.rs", &std::fs::read_to_string(root().join("main.rs")).unwrap());
    assert_eq!(main.declared, ["cli"], "the modules of main.rs");
}

/// A front end prints text of a file only as its type does, and JSON only by `codec::json`: both escape.
#[test]
fn nothing_that_prints_goes_around_what_escapes() {
    let around =
        [".raw()", "Told::raw", "serde_json::to_writer", "serde_json::to_vec", "serde_json::to_string"];
    let prints = |file: &&File| file.is_binary() || file.name.starts_with("report/");
    for file in sources().iter().filter(prints) {
        for word in around {
            assert!(!file.text.contains(word), "{}: {word}", file.name);
        }
    }
}

#[test]
fn nothing_is_unsafe_but_the_map_and_nothing_comes_from_another_place() {
    for file in sources() {
        let words = &file.all.words;
        for word in ["unsafe", "include!"].into_iter().filter(|word| (file.name.as_str(), *word) != MAP) {
            let found = words.iter().find(|(_, found)| found == word);
            assert_eq!(found, None, "{}", file.name);
        }
        assert!(!file.text.contains("#[path"), "{}: takes a module from another place", file.name);
    }
}

#[test]
fn what_differs_between_systems_is_in_one_place() {
    let elsewhere = |file: &&File| !SYSTEMS.iter().any(|there| file.name.starts_with(there));
    let mut found = Vec::new();
    for file in sources().iter().filter(elsewhere) {
        let walk = &file.without_tests;
        let words = walk.words.iter().map(|(line, word)| (line, word.as_str()));
        // `a.windows(2)` is no system: a path or an attribute is.
        let known = |word: &str, line: usize| {
            let of_std = ["unix", "windows"].contains(&word);
            let paths = walk.used.iter().filter(|used| used.line == line);
            let in_path = paths.filter(|used| used.names.iter().any(|name| name == word)).count() > 0;
            !of_std || in_path || file.text.lines().nth(line - 1).is_some_and(|line| line.contains("cfg"))
        };
        let of_a_system = words.filter(|(line, word)| OF_A_SYSTEM.contains(word) && known(word, **line));
        found.extend(of_a_system.map(|(line, word)| format!("{}:{line}: {word}", file.name)));
        let asks = walk.words.iter().filter(|(_, word)| word == "target_os");
        found.extend(asks.map(|(line, _)| format!("{}:{line}: target_os", file.name)));
    }
    assert!(found.is_empty(), "{} know a system:\n{}", found.len(), found.join("\n"));
    assert!(sources().iter().any(|file| !elsewhere(&file)), "the list of places is wrong");
}

#[test]
fn every_file_says_what_it_is() {
    for file in sources() {
        let exempt = file.name.starts_with("cli/");
        assert!(exempt || file.text.starts_with("//! "), "{}: begins without a //! line", file.name);
    }
}

// ---- circles ------------------------------------------------------------------------------------------------------

/// Who uses what is in whom. Test code is left out, and so is what a parent has of its children by declaring and
/// re-exporting them: whoever uses a re-exported name uses the file it comes from. So a parent may gather and pass on,
/// or call, what its children make; a child that in turn needs something that stands in the parent's own file closes a
/// circle, for then neither can be read without the other.
struct Graph {
    /// Of the library and of the binary, whose root is `main.rs`.
    modules: BTreeMap<(bool, Vec<String>), usize>,
    edges: Vec<BTreeMap<usize, usize>>,
}

impl Graph {
    fn new(files: &[File]) -> Graph {
        let module = |file: &File| file.module().into_iter().map(str::to_owned).collect::<Vec<_>>();
        let modules =
            files.iter().enumerate().map(|(i, file)| ((file.is_binary(), module(file)), i)).collect();
        let mut graph = Graph { modules, edges: vec![BTreeMap::new(); files.len()] };
        let passed: Vec<_> = files.iter().map(|file| graph.passed_on(file)).collect();
        for (from, file) in files.iter().enumerate() {
            for used in file.without_tests.used.iter().filter(|used| !used.exported) {
                let Some(path) = absolute(file, used, &file.declared) else { continue };
                if let Some(to) = graph.owner(file.is_binary(), path, &passed).filter(|to| *to != from) {
                    graph.edges[from].entry(to).or_insert(used.line);
                }
            }
        }
        graph
    }

    /// The names that a file re-exports, and where they come from.
    fn passed_on(&self, file: &File) -> BTreeMap<String, Vec<String>> {
        let exported = file.without_tests.used.iter().filter(|used| used.exported);
        exported
            .filter_map(|used| Some((used.names.last()?.clone(), absolute(file, used, &file.declared)?)))
            .collect()
    }

    /// The file in which that stands.
    fn owner(
        &self,
        binary: bool,
        mut path: Vec<String>,
        passed: &[BTreeMap<String, Vec<String>>],
    ) -> Option<usize> {
        path.retain(|name| name != "(inline)");
        for _ in 0..8 {
            let len = (0..=path.len()).rev().find(|len| self.at(binary, &path[..*len]).is_some())?;
            let file = self.at(binary, &path[..len])?;
            match path.get(len).and_then(|name| passed[file].get(name)) {
                Some(from) => path = from.iter().chain(&path[len + 1..]).cloned().collect(),
                None => return Some(file),
            }
        }
        None
    }

    fn at(&self, binary: bool, module: &[String]) -> Option<usize> {
        self.modules.get(&(binary, module.to_vec())).copied()
    }

    /// Every group of nodes that need one another, each with one way round.
    fn circles(edges: &[BTreeSet<usize>]) -> Vec<Vec<usize>> {
        let reach = |from: usize| {
            let (mut seen, mut todo) = (BTreeSet::new(), vec![from]);
            while let Some(node) = todo.pop() {
                todo.extend(edges[node].iter().copied().filter(|next| seen.insert(*next)));
            }
            seen
        };
        let all: Vec<BTreeSet<usize>> = (0..edges.len()).map(reach).collect();
        let mut circles = Vec::new();
        let mut told = BTreeSet::new();
        for node in 0..edges.len() {
            if all[node].contains(&node) && told.insert(node) {
                let group: Vec<usize> =
                    (0..edges.len()).filter(|n| all[node].contains(n) && all[*n].contains(&node)).collect();
                told.extend(group.iter().copied());
                circles.push(group);
            }
        }
        circles
    }
}

#[test]
fn no_two_files_need_each_other() {
    let files = sources();
    let graph = Graph::new(files);
    let plain: Vec<BTreeSet<usize>> = graph.edges.iter().map(|to| to.keys().copied().collect()).collect();
    let mut wrong = BTreeMap::new();
    for group in Graph::circles(&plain) {
        let names: Vec<&str> = group.iter().map(|i| files[*i].name.as_str()).collect();
        let inside = group.iter().flat_map(|from| {
            let to = graph.edges[*from].iter().filter(|(to, _)| group.contains(to));
            to.map(|(to, line)| format!("    {}:{line} -> {}", files[*from].name, files[*to].name))
        });
        // A circle of many is called by its folder.
        let first = names[0].rsplit_once('/').map_or("", |(folder, _)| folder);
        let name = if names.len() > 4 { format!("{first}/*") } else { names.join(" ") };
        wrong.insert(name, inside.collect::<Vec<_>>().join("\n"));
    }
    hold("a circle of files", wrong, CIRCLES);
}

#[test]
fn no_two_folders_need_each_other() {
    let files = sources();
    let graph = Graph::new(files);
    // Each folder against its siblings: what is inside of one counts as the folder.
    let mut rooms: BTreeMap<&str, BTreeMap<String, BTreeMap<String, String>>> = BTreeMap::new();
    for (from, to) in graph.edges.iter().enumerate() {
        for (to, line) in to {
            let (a, b) = (&files[from].name, &files[*to].name);
            let common = a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count();
            let room = a[..common].rfind('/').map_or("", |at| &a[..=at]);
            let part = |name: &str| name[room.len()..].split('/').next().unwrap().to_owned();
            let said = format!("    {a}:{line} -> {b}");
            rooms.entry(room).or_default().entry(part(a)).or_default().entry(part(b)).or_insert(said);
        }
    }
    let mut wrong = BTreeMap::new();
    for (room, edges) in rooms {
        let mut names: Vec<&String> = edges.keys().chain(edges.values().flat_map(BTreeMap::keys)).collect();
        names.retain(|name| !name.ends_with(".rs"));
        names.sort();
        names.dedup();
        let index = |name: &String| names.iter().position(|n| *n == name);
        let plain: Vec<BTreeSet<usize>> = names
            .iter()
            .map(|name| edges.get(*name).into_iter().flat_map(|to| to.keys().filter_map(index)).collect())
            .collect();
        for group in Graph::circles(&plain) {
            let group: Vec<&String> = group.into_iter().map(|i| names[i]).collect();
            let said = group.iter().flat_map(|a| group.iter().filter_map(|b| edges.get(*a)?.get(*b)));
            let said: Vec<&str> = said.map(String::as_str).collect();
            let list: Vec<String> = group.iter().map(|name| format!("{room}{name}")).collect();
            wrong.insert(list.join(" "), said.join("\n"));
        }
    }
    hold("a circle of folders", wrong, FOLDERS);
}

// ---- words --------------------------------------------------------------------------------------------------------

/// The flags and commands of the command line that a text names.
fn commands(text: &str) -> Vec<String> {
    let word =
        |text: &str| text.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '-').collect::<String>();
    let begins = |text: &str| text.starts_with(|c: char| c.is_ascii_lowercase());
    let flags =
        text.match_indices("--").filter(|(at, _)| !text[..*at].ends_with('-') && begins(&text[at + 2..]));
    let flags = flags.map(|(at, _)| word(&text[at..])).filter(|flag| !ETCDS.contains(&flag.as_str()));
    let own = text.match_indices("`coldbolt ").map(|(at, name)| word(&text[at + name.len()..]));
    flags.chain(own).collect()
}

#[test]
fn no_text_of_the_library_names_a_flag_or_a_command() {
    let mut wrong = Vec::new();
    for file in sources().iter().filter(|file| !file.is_binary() && file.name != EXPLAINED) {
        for (line, _, literal) in &file.without_tests.literals {
            let found = commands(literal).into_iter();
            wrong.extend(found.map(|word| format!("{}:{line}: names `{word}`: use a Hint", file.name)));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn flags_and_commands_are_known_wherever_they_stand() {
    for (text, due) in [
        ("say --etcd-version", vec!["--etcd-version"]),
        ("use `coldbolt wal dump` or --no-wal", vec!["--no-wal", "wal"]),
        ("--initial-cluster has a, --max-learners", vec![]),
        ("---- a line ---- this coldbolt knows -- a dash", vec![]),
    ] {
        assert_eq!(commands(text), due, "{text}");
    }
    let file = File::new(
        "x.rs",
        "/// --flag\nfn f() { g(\"--said\"); } // --flag\n#[cfg(test)] mod tests { const A: &str = \"--test\"; }",
    );
    assert_eq!(file.without_tests.literals, [(2, 2, "\"--said\"".to_owned())]);
}

// ---- sizes --------------------------------------------------------------------------------------------------------

/// Fails with all that is wrong and no exception, and with each exception that is none.
fn hold(what: &str, wrong: BTreeMap<String, String>, exceptions: &[Exception]) {
    let listed: BTreeMap<&str, &str> = exceptions.iter().copied().collect();
    let unlisted = wrong.iter().filter(|(name, _)| !listed.contains_key(name.as_str()));
    let mut lines: Vec<String> = unlisted.map(|(name, said)| format!("{what}: {name}\n{said}")).collect();
    let idle = listed.keys().filter(|name| !wrong.contains_key(**name));
    lines.extend(idle.map(|name| format!("{what}: {name} is no exception any more: take it off the list")));
    assert!(listed.values().all(|why| why.len() > 10), "an exception has a reason");
    assert!(lines.is_empty(), "\n{}", lines.join("\n"));
}

#[test]
fn lines_are_short() {
    let mut wrong = BTreeMap::new();
    for file in sources() {
        let literals = &file.all.literals;
        let mut diagram = false;
        for (line, text) in (1..).zip(file.text.lines()) {
            let comment = text.trim_start().starts_with("//");
            let said = text.trim_start_matches(['/', '!', ' ']);
            diagram = comment && (said.starts_with("```text") || diagram && !said.starts_with("```"));
            // A row of a table or a diagram cannot be broken.
            if diagram || comment && said.starts_with('|') {
                continue;
            }
            let limit = if comment { LONGEST_COMMENT } else { LONGEST_LINE };
            let message = |(first, last, text): &&(usize, usize, String)| {
                (*first..=*last).contains(&line) && text.len() > MESSAGE
            };
            let len = text.chars().count();
            if len > limit && !literals.iter().any(|literal| message(&literal)) {
                let said: &mut String = wrong.entry(file.name.clone()).or_default();
                *said += &format!("    line {line}: {len} characters, at most {limit}\n");
            }
        }
    }
    hold("long lines", wrong, LINES);
}

#[test]
fn files_are_short() {
    let files = sources();
    let long = files.iter().map(|file| (&file.name, file.text.lines().count()));
    let long = long.filter(|(_, lines)| *lines > LONGEST_FILE);
    let wrong =
        long.map(|(name, lines)| (name.clone(), format!("    {lines} lines, at most {LONGEST_FILE}")));
    hold("a long file", wrong.collect(), FILES);
}

/// Functions that are long or deep. Their names are `FILE::NAME`.
#[derive(Default)]
struct Functions {
    file: String,
    long: BTreeMap<String, String>,
    deep: BTreeMap<String, String>,
}

impl Functions {
    fn function(&mut self, name: &syn::Ident, whole: proc_macro2::Span, body: &syn::Block) {
        let (first, last) = (name.span().start().line, whole.end().line);
        let lines = last + 1 - first;
        let at = format!("{}::{name}", self.file);
        if lines > LONGEST_FUNCTION {
            let said = format!("    line {first}: {lines} lines, at most {LONGEST_FUNCTION}");
            self.long.insert(at.clone(), said);
        }
        let mut depth = Depth::default();
        depth.visit_block(body);
        if depth.deepest > DEEPEST {
            let said = format!("    line {}: {} deep, at most {DEEPEST}", depth.line, depth.deepest);
            self.deep.insert(at, said);
        }
    }
}

impl<'ast> Visit<'ast> for Functions {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.function(&item.sig.ident, item.span(), &item.block);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.function(&item.sig.ident, item.span(), &item.block);
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        let test = item
            .attrs
            .iter()
            .any(|attr| matches!(&attr.meta, syn::Meta::List(list) if list.path.is_ident("cfg")));
        if !test {
            visit::visit_item_mod(self, item);
        }
    }
}

/// How deep conditions, matches, loops and closures of several lines lie in one another; `else if` is as deep as its `if`.
#[derive(Default)]
struct Depth {
    now: usize,
    deepest: usize,
    line: usize,
}

impl Depth {
    fn deeper(&mut self, line: usize, inside: impl FnOnce(&mut Depth)) {
        self.now += 1;
        if self.now > self.deepest {
            (self.deepest, self.line) = (self.now, line);
        }
        inside(self);
        self.now -= 1;
    }

    fn branch(&mut self, branch: &syn::ExprIf) {
        let line = branch.if_token.span.start().line;
        self.visit_expr(&branch.cond);
        self.deeper(line, |depth| depth.visit_block(&branch.then_branch));
        match branch.else_branch.as_ref().map(|(_, other)| &**other) {
            Some(syn::Expr::If(next)) => self.branch(next),
            Some(other) => self.deeper(line, |depth| visit::visit_expr(depth, other)),
            None => {}
        }
    }
}

impl<'ast> Visit<'ast> for Depth {
    fn visit_expr(&mut self, expr: &'ast syn::Expr) {
        let line = expr.span().start().line;
        match expr {
            syn::Expr::If(branch) => self.branch(branch),
            syn::Expr::Match(_) | syn::Expr::ForLoop(_) | syn::Expr::While(_) | syn::Expr::Loop(_) => {
                self.deeper(line, |depth| visit::visit_expr(depth, expr));
            }
            syn::Expr::Closure(closure) if matches!(&*closure.body, syn::Expr::Block(_)) => {
                self.deeper(line, |depth| visit::visit_expr(depth, expr));
            }
            _ => visit::visit_expr(self, expr),
        }
    }

    fn visit_item_fn(&mut self, _: &'ast syn::ItemFn) {}
}

fn functions(which: impl Fn(&Functions) -> &BTreeMap<String, String>) -> BTreeMap<String, String> {
    sources().iter().flat_map(|file| which(&file.functions).clone()).collect()
}

#[test]
fn the_verbs_are_at_most_a_fifth() {
    let lines =
        |files: &mut dyn Iterator<Item = &File>| files.map(|file| file.text.lines().count()).sum::<usize>();
    let all = lines(&mut sources().iter());
    let verbs = lines(&mut sources().iter().filter(|file| file.name.starts_with("ops/")));
    assert!(
        verbs * VERBS <= all,
        "ops has {verbs} of {all} lines: what of it does a lower layer know how to do?"
    );
}

#[test]
fn functions_are_short() {
    hold("a long function", functions(|found| &found.long), FUNCTIONS);
}

#[test]
fn functions_are_flat() {
    hold("a deep function", functions(|found| &found.deep), NESTED);
}

#[test]
fn a_wrong_import_is_found_however_it_is_written() {
    let reexports = BTreeMap::from([("Error".to_owned(), "words".to_owned())]);
    let wrong = |name: &str, source: &str| violations(&File::new(name, source), &reexports).len();
    // Downwards, into oneself, and what is only said.
    for good in [
        "use crate::io::Source;",
        "use crate::{words::error::Result, Error, raft};",
        "use super::frame::Frame; use crate::wal::name;",
        "/// [`ops`](crate::ops)\n// crate::ops\n/* crate::ops /* crate::etcd */ crate::ops */ fn f() {}",
        r##"const S: &str = "crate::ops \" crate::ops"; const R: &str = r#"" crate::ops"#; const C: char = '"';"##,
        "mod tests { use super::super::frame; } pub(crate) fn f() {}",
        "#[cfg(test)] mod tests { use super::*; }",
    ] {
        assert_eq!(wrong("wal/log.rs", good), 0, "{good}");
    }
    assert_eq!(wrong("words/error.rs", "use super::finding::Code; use super::monitor;"), 0);
    // Upwards, sideways, unknown.
    for bad in [
        "use crate::etcd::DataDir;",
        "use crate::bolt::Db;",
        "use crate::nowhere::X;",
        "use crate::{io::{self}, ops::status};",
        "fn f() { let c = '\\''; let d = '\"'; crate::ops::status(); }",
        "fn f() { format!(\"{}\", crate::ops::status()); }",
        "use super::super::snap::file;",
        "fn f() { if x { } } use super::super::snap::file;",
        "mod inner { use super::super::super::etcd; }",
        "fn f(b: bool) -> crate::etcd::Kv { if b {} }",
    ] {
        assert_eq!(wrong("wal/log.rs", bad), 1, "{bad}");
    }
    assert_eq!(wrong("words/error.rs", "use super::super::io;"), 1);
}

#[test]
fn a_circle_is_found_and_what_is_passed_on_is_none() {
    let circles = |files: &[(&str, &str)]| {
        let files: Vec<File> = files.iter().map(|(name, text)| File::new(name, text)).collect();
        let graph = Graph::new(&files);
        let plain: Vec<BTreeSet<usize>> = graph.edges.iter().map(|to| to.keys().copied().collect()).collect();
        Graph::circles(&plain).len()
    };
    let lib = ("lib.rs", "mod a; pub use a::X;");
    let both =
        [("a/b.rs", "use super::c::C; pub struct B;"), ("a/c.rs", "fn f() { super::b::B; } pub struct C;")];
    assert_eq!(circles(&[lib, ("a/mod.rs", "mod b; mod c;"), both[0], both[1]]), 1);
    // By way of the name under which the parent, or the crate, passes it on.
    let parent = ("a/mod.rs", "mod b; mod c; pub use self::b::B; pub use c::{X, C};");
    let by_name = [("a/b.rs", "use super::C; pub struct B;"), ("a/c.rs", "use crate::a::B; pub struct C;")];
    assert_eq!(circles(&[lib, parent, by_name[0], by_name[1]]), 1);
    assert_eq!(
        circles(&[lib, parent, ("a/b.rs", "use super::C; pub struct B;"), ("a/c.rs", "pub struct C;")]),
        0
    );
    // A parent calls its child, which needs what stands in the parent.
    let calls = ("a/mod.rs", "mod b; fn f() { b::f(); } pub struct P;");
    assert_eq!(circles(&[lib, calls, ("a/b.rs", "use super::P;")]), 1);
    assert_eq!(circles(&[lib, calls, ("a/b.rs", "#[cfg(test)] mod tests { use super::super::P; }")]), 0);
    assert_eq!(circles(&[lib, ("a/mod.rs", "mod b; pub struct P;"), ("a/b.rs", "use super::P;")]), 0);
}

#[test]
fn what_is_long_or_deep_is_found() {
    let deep = "fn f() { for a in b { if c { match d { _ => { while e { if g { h(); } } } } } } }\n";
    let long = format!("fn g() {{\n{}}}\n", "    h();\n".repeat(60));
    let mut found = Functions { file: "x.rs".to_owned(), ..Functions::default() };
    found.visit_file(&syn::parse_str(&(deep.to_owned() + &long)).unwrap());
    assert_eq!(found.deep.keys().collect::<Vec<_>>(), ["x.rs::f"]);
    assert_eq!(found.long.keys().collect::<Vec<_>>(), ["x.rs::g"]);
}

/// A target that its manifest lacks is never built.
#[test]
fn every_fuzz_target_is_in_its_manifest() {
    let fuzz = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz");
    let manifest = std::fs::read_to_string(format!("{fuzz}/Cargo.toml")).unwrap();
    for entry in std::fs::read_dir(format!("{fuzz}/fuzz_targets")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(manifest.contains(&format!("path = \"fuzz_targets/{name}\"\n")), "{name}");
    }
}
