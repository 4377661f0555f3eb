//! What the library promises to those who build on it, as a list that is kept in the tree: a change to it is seen in review, and is
//! never an accident. `UPDATE=1 cargo test --test public_api` writes the list anew.
//!
//! It is read from the sources: every public item that is reached through public modules, its public fields and variants, its public
//! methods and the traits written out for it. What derives give is not listed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use quote::{ToTokens, quote};
use syn::{Attribute, Fields, ImplItem, Item, ItemImpl, Signature, TraitItem, UseTree, Visibility};

/// The list so far.
struct Api {
    lines: BTreeSet<String>,
}

fn is_public(vis: &Visibility) -> bool {
    matches!(vis, Visibility::Public(_))
}

/// Whether an item is no part of the library: a test, or what the documentation does not show.
fn is_left_out(attrs: &[Attribute]) -> bool {
    attrs.iter().any(|attr| {
        let text = attr.to_token_stream().to_string();
        text.contains("cfg (test)") || text.contains("doc (hidden)")
    })
}

/// Tokens as one line, spaced as rustfmt would.
fn line(tokens: impl ToTokens) -> String {
    let mut text = tokens.to_token_stream().to_string();
    let spaced = [
        (" :: ", "::"),
        (":: ", "::"),
        (" < ", "<"),
        (" <", "<"),
        ("< ", "<"),
        (" >", ">"),
        (" , ", ", "),
        (" ,", ","),
        (" : ", ": "),
        ("& ", "&"),
        ("( ", "("),
        (" )", ")"),
        (" (", "("),
        ("[ ", "["),
        (" ]", "]"),
        ("' ", "'"),
        ("- >", "->"),
        ("->(", "-> ("),
        ("* ", "*"),
        (",)", ")"),
    ];
    for (from, to) in spaced {
        text = text.replace(from, to);
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn signature(sig: &Signature) -> String {
    line(sig)
}

impl Api {
    fn add(&mut self, line: String) {
        self.lines.insert(line);
    }

    fn fields(&mut self, path: &str, fields: &Fields) {
        for (i, field) in fields.iter().enumerate().filter(|(_, field)| is_public(&field.vis)) {
            let name = field.ident.as_ref().map_or_else(|| i.to_string(), ToString::to_string);
            self.add(format!("{path}.{name}: {}", line(&field.ty)));
        }
    }

    fn items(&mut self, items: &[Item], module: &str, file: &Path) {
        for item in items {
            self.item(item, module, file);
        }
    }

    fn item(&mut self, item: &Item, module: &str, file: &Path) {
        match item {
            Item::Mod(inner) if is_public(&inner.vis) && !is_left_out(&inner.attrs) => {
                let path = format!("{module}::{}", inner.ident);
                self.add(format!("mod {path}"));
                match &inner.content {
                    Some((_, items)) => self.items(items, &path, file),
                    None => self.file(&module_file(file, &inner.ident.to_string()), &path),
                }
            }
            Item::Fn(f) if is_public(&f.vis) && !is_left_out(&f.attrs) => {
                self.add(format!("{module}: {}", signature(&f.sig)));
            }
            Item::Struct(s) if is_public(&s.vis) && !is_left_out(&s.attrs) => {
                let path = format!("{module}::{}", s.ident);
                let open = if s.attrs.iter().any(|a| a.path().is_ident("non_exhaustive")) {
                    "non_exhaustive "
                } else {
                    ""
                };
                self.add(format!("{open}struct {path}{}", line(&s.generics)));
                self.fields(&path, &s.fields);
            }
            Item::Enum(e) if is_public(&e.vis) && !is_left_out(&e.attrs) => {
                let path = format!("{module}::{}", e.ident);
                let open = if e.attrs.iter().any(|a| a.path().is_ident("non_exhaustive")) {
                    "non_exhaustive "
                } else {
                    ""
                };
                self.add(format!("{open}enum {path}{}", line(&e.generics)));
                for variant in &e.variants {
                    let (name, mut fields) = (&variant.ident, variant.fields.clone());
                    fields.iter_mut().for_each(|field| field.attrs.clear());
                    self.add(format!("{path}::{}", line(quote!(#name #fields))));
                }
            }
            Item::Trait(t) if is_public(&t.vis) && !is_left_out(&t.attrs) => {
                let path = format!("{module}::{}", t.ident);
                self.add(format!("trait {path}{}", line(&t.generics)));
                for inner in &t.items {
                    if let TraitItem::Fn(f) = inner {
                        self.add(format!("{path}: {}", signature(&f.sig)));
                    }
                }
            }
            Item::Const(c) if is_public(&c.vis) => {
                self.add(format!("const {module}::{}: {}", c.ident, line(&c.ty)))
            }
            Item::Type(t) if is_public(&t.vis) => {
                self.add(format!("type {module}::{} = {}", t.ident, line(&t.ty)))
            }
            Item::Use(u) if is_public(&u.vis) && !is_left_out(&u.attrs) => {
                self.reexports(&u.tree, String::new(), module)
            }
            Item::Impl(i) => self.methods(i, module),
            _ => {}
        }
    }

    fn reexports(&mut self, tree: &UseTree, from: String, module: &str) {
        match tree {
            UseTree::Path(path) => self.reexports(&path.tree, format!("{from}{}::", path.ident), module),
            UseTree::Name(name) => self.add(format!("use {module}::{} = {from}{}", name.ident, name.ident)),
            UseTree::Rename(name) => {
                self.add(format!("use {module}::{} = {from}{}", name.rename, name.ident))
            }
            UseTree::Glob(_) => self.add(format!("use {module}::* = {from}*")),
            UseTree::Group(group) => {
                group.items.iter().for_each(|tree| self.reexports(tree, from.clone(), module));
            }
        }
    }

    fn methods(&mut self, block: &ItemImpl, module: &str) {
        let of = line(&block.self_ty);
        if let Some((_, of_trait, _)) = &block.trait_ {
            self.add(format!("{module}: impl {} for {of}", line(of_trait)));
            return;
        }
        for item in &block.items {
            match item {
                ImplItem::Fn(f) if is_public(&f.vis) && !is_left_out(&f.attrs) => {
                    self.add(format!("{module}::{of}: {}", signature(&f.sig)));
                }
                ImplItem::Const(c) if is_public(&c.vis) => {
                    self.add(format!("{module}::{of}: const {}: {}", c.ident, line(&c.ty)))
                }
                _ => {}
            }
        }
    }

    fn file(&mut self, file: &Path, module: &str) {
        let text = std::fs::read_to_string(file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        let parsed = syn::parse_file(&text).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        self.items(&parsed.items, module, file);
    }
}

/// Where the module `name` is that is declared in `file`.
fn module_file(file: &Path, name: &str) -> PathBuf {
    let stem = file.file_stem().unwrap().to_str().unwrap();
    let dir = file.parent().unwrap();
    let dir = if matches!(stem, "lib" | "mod") { dir.to_path_buf() } else { dir.join(stem) };
    let flat = dir.join(format!("{name}.rs"));
    if flat.exists() { flat } else { dir.join(name).join("mod.rs") }
}

#[test]
fn the_public_api_is_the_one_that_is_written_down() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut api = Api { lines: BTreeSet::new() };
    api.file(&root.join("src/lib.rs"), "coldbolt");
    let list = api.lines.into_iter().collect::<Vec<_>>().join("\n") + "\n";
    assert!(list.lines().count() > 500, "only {} items were found", list.lines().count());
    let kept = root.join("tests/public_api.txt");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&kept, &list).unwrap();
    }
    let before = std::fs::read_to_string(&kept).unwrap_or_default();
    let only = |one: &str, other: &str| -> Vec<String> {
        let other: BTreeSet<&str> = other.lines().collect();
        one.lines().filter(|line| !other.contains(line)).map(str::to_owned).collect()
    };
    let (gone, new) = (only(&before, &list), only(&list, &before));
    assert!(
        gone.is_empty() && new.is_empty(),
        "the public API has changed; if that is meant: UPDATE=1 cargo test --test public_api\ngone:\n  {}\nnew:\n  {}",
        gone.join("\n  "),
        new.join("\n  ")
    );
}

/// Two types of one name are told apart by their path only, and a reader of an error or a signature sees none. Those that stay are of two
/// formats that give them that name, and are always written with their module.
#[test]
fn each_name_of_a_public_type_stands_for_one_type() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut api = Api { lines: BTreeSet::new() };
    api.file(&root.join("src/lib.rs"), "coldbolt");
    let mut paths: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in &api.lines {
        let words: Vec<&str> = line.split([' ', '<']).collect();
        if let ["struct" | "enum" | "trait" | "type" | "union", path, ..] = words[..] {
            let name = path.rsplit("::").next().unwrap();
            paths.entry(name.to_owned()).or_default().push(path.to_owned());
        }
    }
    assert!(paths.len() > 200, "{} types were found", paths.len());
    let twice: Vec<_> = paths.into_iter().filter(|(_, paths)| paths.len() > 1).collect();
    assert_eq!(twice, [], "types of one name");
}
