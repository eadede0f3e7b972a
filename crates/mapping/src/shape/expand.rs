//! Names with dots, made into objects: `{"a.b":1,"a.c":2}` becomes `{"a":{"b":1,"c":2}}`.

use hashbrown::HashMap;

use crate::field::DocumentError;
use crate::json::Cursor;
use crate::route::root_name;
use crate::text::write_json_string;

/// So many parts may a name have: OpenSearch takes no deeper objects from an index of ours.
const MOST_PARTS: usize = 40;

/// An object whose members have no dots in their names, in the order in which they came.
#[derive(Default)]
struct Tree<'a> {
    members: Vec<(String, Branch<'a>)>,
    places: HashMap<String, usize>,
}

enum Branch<'a> {
    Value(&'a str),
    Tree(Tree<'a>),
}

/// Writes the object that begins at `from` again.
///
/// # Errors
/// A name has a value and members, or comes twice, or has too many parts.
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
            tree.insert(&name.decode(), value, from == 0)?;
        }
    }
    tree.write(out);
    Ok(())
}

impl<'a> Tree<'a> {
    fn insert(&mut self, name: &str, value: &'a str, is_root: bool) -> Result<(), DocumentError> {
        let collision = || DocumentError::Collision(name.to_owned());
        let parts: Vec<&str> = name.split('.').take(MOST_PARTS + 1).collect();
        if parts.len() > MOST_PARTS {
            return Err(DocumentError::TooDeep(name.to_owned()));
        }
        // A name with nothing before, between or behind its dots names no object; OpenSearch says so.
        let parts = if parts.iter().any(|part| part.is_empty()) { vec![name] } else { parts };
        let Some((last, heads)) = parts.split_last() else { return Ok(()) };
        let mut tree = self;
        for (level, head) in heads.iter().enumerate() {
            let place = tree.place(&field(head, is_root && level == 0), || Branch::Tree(Tree::default()));
            match tree.members.get_mut(place) {
                Some((_, Branch::Tree(inner))) => tree = inner,
                _ => return Err(collision()),
            }
        }
        let last = field(last, is_root && heads.is_empty());
        if tree.places.contains_key(&last) {
            return Err(collision());
        }
        tree.place(&last, || Branch::Value(value));
        Ok(())
    }

    /// The place of a member, which is made where there is none.
    fn place(&mut self, name: &str, make: impl FnOnce() -> Branch<'a>) -> usize {
        if let Some(place) = self.places.get(name) {
            return *place;
        }
        let place = self.members.len();
        self.members.push((name.to_owned(), make()));
        self.places.insert(name.to_owned(), place);
        place
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

fn field(part: &str, is_root: bool) -> String {
    if is_root { root_name(part.into()).into_owned() } else { part.to_owned() }
}
