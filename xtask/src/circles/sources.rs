//! The files of a crate, and the paths of the crate that each of them names.
//!
//! A path counts everywhere: in a `use`, in an expression, a type or a macro's arguments. Tests (`#[cfg(test)]`) are
//! excluded, and so is a `pub use` whose name the file does not need itself: it only re-exports.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens;
use syn::{Attribute, Item, ItemMod, ItemUse, UseTree, Visibility};

/// The names of the modules from the crate's root to some place.
pub(super) type ModulePath = Vec<String>;

/// One file of a crate.
#[derive(Debug)]
pub(super) struct SourceFile {
    pub(super) path: PathBuf,
    pub(super) modules: Vec<Module>,
}

/// A module; an inline one shares its file with the module around it.
#[derive(Debug, Default)]
pub(super) struct Module {
    pub(super) path: ModulePath,
    /// What a `use` brings into the module, by the name it has there.
    pub(super) imports: BTreeMap<String, ModulePath>,
    /// The names of `imports` that are only shown to others, unless the module needs them too.
    pub(super) shown: BTreeSet<String>,
    /// The modules that a `use` brings in whole.
    pub(super) globs: Vec<ModulePath>,
    /// The items that the module defines.
    pub(super) defined: BTreeSet<String>,
    /// The paths that begin with `crate`, `self`, `super` or a module declared here, from the crate's root.
    pub(super) named: Vec<ModulePath>,
    /// Every identifier outside a `use`.
    pub(super) identifiers: BTreeSet<String>,
    children: BTreeSet<String>,
}

/// A file that a `mod` declares, still to be read.
struct Declared {
    module: ModulePath,
    /// Where the files of its own children are.
    folder: PathBuf,
    file: PathBuf,
}

/// Reads the crate whose first file is `root`.
pub(super) fn read(root: &Path) -> anyhow::Result<Vec<SourceFile>> {
    let folder = root.parent().context("a file without a folder")?.to_owned();
    let mut waiting = vec![Declared { module: ModulePath::new(), folder, file: root.to_owned() }];
    let mut files = Vec::new();
    while let Some(declared) = waiting.pop() {
        let shown = declared.file.display();
        let text = fs::read_to_string(&declared.file).with_context(|| format!("reading {shown}"))?;
        let parsed = syn::parse_file(&text).with_context(|| format!("parsing {shown}"))?;
        let mut file = SourceFile { path: declared.file.clone(), modules: Vec::new() };
        read_module(parsed.items, &declared.module, &declared.folder, &mut file, &mut waiting)?;
        files.push(file);
    }
    Ok(files)
}

fn read_module(
    items: Vec<Item>,
    path: &[String],
    folder: &Path,
    file: &mut SourceFile,
    waiting: &mut Vec<Declared>,
) -> anyhow::Result<()> {
    let items: Vec<Item> = items.into_iter().filter(|item| !attributes(item).iter().any(is_test)).collect();
    let mut module = Module { path: path.to_owned(), ..Module::default() };
    module.children = items.iter().filter_map(child_name).collect();
    for item in items {
        match item {
            Item::Mod(inner) => {
                let name = inner.ident.to_string();
                let inner_path = joined(path, &name);
                let inner_folder = folder.join(&name);
                match inner.content {
                    Some((_, items)) => read_module(items, &inner_path, &inner_folder, file, waiting)?,
                    // A file that another crate shares is not among those of this one.
                    None if inner.attrs.iter().any(|attribute| attribute.path().is_ident("path")) => {}
                    None => waiting.push(declared(&inner, inner_path, folder, inner_folder)?),
                }
            }
            Item::Use(import) => module.import(&import),
            other => {
                module.defined.extend(defined_name(&other));
                module.name_all(other.into_token_stream());
            }
        }
    }
    file.modules.push(module);
    Ok(())
}

/// `a.rs`, or `a/mod.rs`.
fn declared(module: &ItemMod, path: ModulePath, folder: &Path, inner: PathBuf) -> anyhow::Result<Declared> {
    let name = module.ident.to_string();
    let candidates = [folder.join(format!("{name}.rs")), inner.join("mod.rs")];
    match candidates.into_iter().find(|file| file.exists()) {
        Some(file) => Ok(Declared { module: path, folder: inner, file }),
        None => bail!("the file of module {name} is not in {}", folder.display()),
    }
}

impl Module {
    fn import(&mut self, import: &ItemUse) {
        let only_shown = !matches!(import.vis, Visibility::Inherited);
        self.import_tree(&import.tree, ModulePath::new(), only_shown);
    }

    fn import_tree(&mut self, tree: &UseTree, mut before: ModulePath, only_shown: bool) {
        match tree {
            UseTree::Path(path) => {
                before.push(path.ident.to_string());
                self.import_tree(&path.tree, before, only_shown);
            }
            UseTree::Group(group) => {
                group.items.iter().for_each(|tree| self.import_tree(tree, before.clone(), only_shown));
            }
            UseTree::Name(name) => {
                let last = name.ident.to_string();
                // `use a::b::{self}` brings in `b`.
                let name = if last == "self" { before.last().cloned().unwrap_or_default() } else { last.clone() };
                if last != "self" {
                    before.push(last);
                }
                self.import_as(name, &before, only_shown);
            }
            UseTree::Rename(rename) => {
                before.push(rename.ident.to_string());
                self.import_as(rename.rename.to_string(), &before, only_shown);
            }
            UseTree::Glob(_) => self.globs.extend(self.absolute(&before)),
        }
    }

    fn import_as(&mut self, name: String, path: &[String], only_shown: bool) {
        let Some(path) = self.absolute(path) else { return };
        if only_shown {
            self.shown.insert(name.clone());
        }
        self.imports.insert(name, path);
    }

    /// Notes every identifier, and every path of the crate, in some code.
    fn name_all(&mut self, tokens: TokenStream) {
        let mut path = ModulePath::new();
        let mut tokens = tokens.into_iter().peekable();
        while let Some(token) = tokens.next() {
            match token {
                TokenTree::Ident(identifier) => {
                    path.push(identifier.to_string());
                    self.identifiers.insert(identifier.to_string());
                    let mut colons = 0;
                    while tokens
                        .next_if(|next| matches!(next, TokenTree::Punct(mark) if mark.as_char() == ':'))
                        .is_some()
                    {
                        colons += 1;
                    }
                    if colons != 2 {
                        self.name(std::mem::take(&mut path));
                    }
                }
                TokenTree::Group(group) => {
                    // `use a::{b, c}` in a function: `a` is enough.
                    self.name(std::mem::take(&mut path));
                    self.name_all(group.stream());
                }
                TokenTree::Punct(_) | TokenTree::Literal(_) => path.clear(),
            }
        }
    }

    /// A single word is a receiver, as `self`, or a part of a visibility, as in `pub(super)`.
    fn name(&mut self, path: ModulePath) {
        if path.len() > 1 {
            self.named.extend(self.absolute(&path));
        }
    }

    /// A path from the crate's root; `None` for one that leads to another crate, or to a name of the module itself.
    fn absolute(&self, path: &[String]) -> Option<ModulePath> {
        let (first, rest) = path.split_first()?;
        let mut from = match first.as_str() {
            "crate" => ModulePath::new(),
            "self" => self.path.clone(),
            "super" => self.path.split_last()?.1.to_owned(),
            child if self.children.contains(child) => joined(&self.path, child),
            _ => return None,
        };
        for name in rest {
            if name == "super" {
                from.pop();
            } else {
                from.push(name.clone());
            }
        }
        Some(from)
    }
}

fn joined(path: &[String], name: &str) -> ModulePath {
    path.iter().cloned().chain([name.to_owned()]).collect()
}

fn child_name(item: &Item) -> Option<String> {
    match item {
        Item::Mod(module) => Some(module.ident.to_string()),
        _ => None,
    }
}

fn defined_name(item: &Item) -> Option<String> {
    let name = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::Type(item) => &item.ident,
        Item::Macro(item) => item.ident.as_ref()?,
        _ => return None,
    };
    Some(name.to_string())
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// `#[cfg(test)]`, also among other conditions.
fn is_test(attribute: &Attribute) -> bool {
    let names_test = |tokens: &TokenStream| {
        tokens.clone().into_iter().any(|token| matches!(token, TokenTree::Ident(name) if name == "test"))
    };
    attribute.path().is_ident("cfg") && attribute.meta.require_list().is_ok_and(|list| names_test(&list.tokens))
}
