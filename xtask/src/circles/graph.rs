//! The graph of files that use each other, and its circles.

use std::collections::{BTreeMap, BTreeSet};

use petgraph::algo::tarjan_scc;
use petgraph::graphmap::DiGraphMap;

use super::sources::{Module, ModulePath, SourceFile};

/// Pairs of files, by their places in the list: the first uses the second.
pub(super) type Uses = BTreeSet<(usize, usize)>;

/// Files that use each other, directly or through others.
#[derive(Debug)]
pub(super) struct Circle {
    pub(super) files: BTreeSet<usize>,
    pub(super) uses: Uses,
}

/// A `use` can lead to another `use`; longer chains than this are a mistake of ours.
const LONGEST_CHAIN: usize = 16;

/// All modules of a crate by their paths, with the file that holds each.
struct Modules<'a>(BTreeMap<&'a [String], (usize, &'a Module)>);

/// Which file uses which.
pub(super) fn uses(files: &[SourceFile]) -> Uses {
    let all = files.iter().enumerate();
    let modules =
        Modules(all.flat_map(|(at, file)| file.modules.iter().map(move |m| (m.path.as_slice(), (at, m)))).collect());
    let mut uses = Uses::new();
    for (user, module) in modules.0.values() {
        let needed = |name: &String| !module.shown.contains(name) || module.identifiers.contains(name);
        let imports = module.imports.iter().filter(|(name, _)| needed(name)).map(|(_, path)| path);
        let targets = imports.chain(&module.globs).chain(&module.named);
        uses.extend(targets.filter_map(|path| modules.file_of(path, 0)).map(|used| (*user, used)));
    }
    uses.retain(|(user, used)| user != used);
    uses
}

/// The circles in a graph.
pub(super) fn circles(uses: &Uses) -> Vec<Circle> {
    let graph: DiGraphMap<usize, ()> = DiGraphMap::from_edges(uses.iter().copied());
    let circles = tarjan_scc(&graph).into_iter().filter(|files| files.len() > 1).map(|files| {
        let files: BTreeSet<usize> = files.into_iter().collect();
        let within = |(user, used): &&(usize, usize)| files.contains(user) && files.contains(used);
        let uses = uses.iter().filter(within).copied().collect();
        Circle { files, uses }
    });
    circles.collect()
}

impl Modules<'_> {
    /// The file that holds what a path names, followed through every `use` on the way.
    fn file_of(&self, path: &[String], depth: usize) -> Option<usize> {
        if depth > LONGEST_CHAIN {
            return None;
        }
        let (module, rest) = (0..=path.len()).rev().find_map(|length| {
            let (module, rest) = path.split_at_checked(length)?;
            Some((self.0.get(module)?, rest))
        })?;
        let (file, module) = module;
        let Some((name, behind)) = rest.split_first() else { return Some(*file) };
        if module.defined.contains(name) {
            return Some(*file);
        }
        if let Some(imported) = module.imports.get(name) {
            let whole: ModulePath = imported.iter().chain(behind).cloned().collect();
            return self.file_of(&whole, depth + 1);
        }
        let brought_in = |glob: &ModulePath| {
            let (holder, inside) = self.0.get(glob.as_slice())?;
            inside.defined.contains(name).then_some(*holder)
        };
        module.globs.iter().find_map(brought_in).or(Some(*file))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::circles::sources;

    /// The names of the files in each circle of a crate with these files.
    fn circles_of(texts: &[(&str, &str)]) -> Vec<Vec<String>> {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in texts {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let files = sources::read(&folder.path().join("lib.rs")).unwrap();
        let name = |file: &usize| files[*file].path.strip_prefix(folder.path()).unwrap().display().to_string();
        let circles = circles(&uses(&files));
        circles
            .iter()
            .map(|circle| {
                let mut names: Vec<String> = circle.files.iter().map(name).collect();
                names.sort();
                names
            })
            .collect()
    }

    #[test]
    fn a_planted_circle_is_found_wherever_the_paths_stand() {
        let lib = ("lib.rs", "mod a; mod b; pub use a::A;");
        let b = ("b.rs", "use crate::A; pub struct B(A);");
        let planted = [
            "pub struct A; use crate::b::B; fn f(_: B) {}",
            "pub struct A; fn f() -> crate::b::B { loop {} }",
            "pub struct A; fn f() { log!(value = super::b::B::new()) }",
            "pub struct A; #[error(known = crate::b::LIMIT)] struct E;",
            "pub struct A; fn f() { use crate::b::{B, C}; }",
        ];
        for a in planted {
            assert_eq!(circles_of(&[lib, ("a.rs", a), b]), [["a.rs", "b.rs"]], "{a}");
        }
        assert!(circles_of(&[lib, ("a.rs", "pub struct A;"), b]).is_empty());
    }

    #[test]
    fn three_files_and_a_folder_make_one_circle_too() {
        let found = circles_of(&[
            ("lib.rs", "mod a;"),
            ("a/mod.rs", "mod b; mod c; use self::b::B; pub struct A(B);"),
            ("a/b.rs", "use super::c::C; pub struct B(C);"),
            ("a/c.rs", "use super::A; pub struct C(Box<A>);"),
        ]);
        assert_eq!(found, [["a/b.rs", "a/c.rs", "a/mod.rs"]]);
    }

    #[test]
    fn what_a_folder_only_shows_is_no_use_of_it() {
        let b = ("a/b.rs", "use super::Shared; pub struct B(Shared);");
        let shows = ("a.rs", "mod b; pub use self::b::B; pub struct Shared;");
        assert!(circles_of(&[("lib.rs", "mod a;"), shows, b]).is_empty());
        let needs = ("a.rs", "mod b; pub use self::b::B; pub struct Shared; fn f(_: B) {}");
        assert_eq!(circles_of(&[("lib.rs", "mod a;"), needs, b]), [["a.rs", "a/b.rs"]]);
    }

    #[test]
    fn tests_do_not_count() {
        let a = ("a.rs", "pub struct A; #[cfg(test)] mod tests { use crate::b::B; }");
        assert!(
            circles_of(&[("lib.rs", "mod a; mod b;"), a, ("b.rs", "use crate::a::A; pub struct B(A);")]).is_empty()
        );
    }
}
