//! Names with dots, made into objects: `{"a.b":1,"a.c":2}` becomes `{"a":{"b":1,"c":2}}`.

use crate::field::DocumentError;
use crate::json::Cursor;
use crate::route::root_name;
use crate::text::write_json_string;

/// An object whose members have no dots in their names, in the order in which they came.
#[derive(Default)]
struct Tree<'a> {
    members: Vec<(String, Branch<'a>)>,
}

enum Branch<'a> {
    Value(&'a str),
    Tree(Tree<'a>),
}

/// Writes the object that begins at `from` again.
///
/// # Errors
/// A name has a value and members, or comes twice.
pub(super) fn rewrite(out: &mut Vec<u8>, from: usize) -> Result<(), DocumentError> {
    let object = out.split_off(from);
    let text = String::from_utf8_lossy(&object);
    let mut tree = Tree::default();
    let mut cursor = Cursor::new(&text);
    let mut first = true;
    // It was written a moment ago, so it can be read.
    if cursor.take(b'{').is_ok() {
        while let Ok(Some(name)) = cursor.next_member(&mut first) {
            let Ok(value) = cursor.skip() else { break };
            let name = name.decode();
            let is_root = from == 0;
            tree.insert(&name, &name, value, is_root)?;
        }
    }
    tree.write(out);
    Ok(())
}

impl<'a> Tree<'a> {
    fn insert(&mut self, whole: &str, name: &str, value: &'a str, is_root: bool) -> Result<(), DocumentError> {
        let collision = || DocumentError::Collision(whole.to_owned());
        // A name with nothing before, between or behind its dots names no object; OpenSearch says so.
        let parts = if whole.split('.').any(str::is_empty) { None } else { name.split_once('.') };
        let (head, rest) = parts.map_or((name, None), |(head, rest)| (head, Some(rest)));
        let head = if is_root { root_name(head.into()).into_owned() } else { head.to_owned() };
        let known = self.members.iter_mut().find(|(other, _)| *other == head);
        match (known, rest) {
            (None, None) => self.members.push((head, Branch::Value(value))),
            (None, Some(rest)) => {
                let mut tree = Tree::default();
                tree.insert(whole, rest, value, false)?;
                self.members.push((head, Branch::Tree(tree)));
            }
            (Some((_, Branch::Tree(tree))), Some(rest)) => tree.insert(whole, rest, value, false)?,
            (Some(_), _) => return Err(collision()),
        }
        Ok(())
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.push(b'{');
        for (place, (name, branch)) in self.members.iter().enumerate() {
            if place > 0 {
                out.push(b',');
            }
            write_json_string(name, out);
            out.push(b':');
            match branch {
                Branch::Value(value) => out.extend_from_slice(value.as_bytes()),
                Branch::Tree(tree) => tree.write(out),
            }
        }
        out.push(b'}');
    }
}
