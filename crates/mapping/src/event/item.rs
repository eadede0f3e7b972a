//! Items: DynamoDB JSON in, an [`Image`] and its document out, in one pass.

use super::value::Reader;
use crate::change::RecordProblem;
use crate::image::{Attribute, AttributeProblem, Image, is_special};
use crate::json::Fault;
use crate::names::{has_duplicates, keep_last};

/// Reads one item (`{"pk": {"S": "…"}, …}`).
///
/// # Errors
/// It is no map of attributes. A problem inside an attribute is in [`Image::problem`].
pub fn read_item(text: &str) -> Result<Image<'_>, RecordProblem> {
    let mut reader = Reader::new(text);
    let mut image = Image::default();
    let read = reader.image(&mut image, None).and_then(|()| reader.cursor.end());
    read.map_err(|fault| RecordProblem::malformed(fault, reader.cursor.since(0)))?;
    image.written = reader.out.into();
    Ok(image)
}

impl<'a> Image<'a> {
    /// Reads the text of one item. If the text is not an item, the image has a problem.
    pub fn of_item(text: &'a str) -> Image<'a> {
        read_item(text).unwrap_or_else(|_| {
            let mut image = Image::default();
            image.set_unreadable();
            image
        })
    }
}

impl<'a> Reader<'a> {
    /// Reads a map of attributes into an empty image; `null` has no attributes. What is there as it is in `other`, the other
    /// image of the same record, and in the same order, is not looked into again.
    ///
    /// # Errors
    /// [`Fault::Shape`] where it is no map of attributes.
    pub(crate) fn image(&mut self, image: &mut Image<'a>, other: Option<&Image<'a>>) -> Result<(), Fault> {
        if self.cursor.peek()? == b'n' && self.cursor.take_text("null") {
            return Ok(());
        }
        self.cursor.open(b'{')?;
        let from = self.out.len();
        self.out.push(b'{');
        let (mut first, mut in_one_piece) = (true, true);
        image.has_special_names = other.is_some_and(|other| other.has_special_names);
        let mut others = other.map(|other| other.attributes.as_slice()).unwrap_or_default();
        // While the names are in the order of the other image, which has none twice, none comes twice here.
        let mut in_step = other.is_some();
        while self.cursor.next_of(b'}', &mut first)? {
            if let Some((other, after)) = others.split_first()
                && self.cursor.take_text(other.source)
            {
                image.attributes.push(other.clone());
                (others, in_one_piece) = (after, false);
                continue;
            }
            if self.out.len() > from + 1 {
                self.out.push(b',');
            }
            self.cursor.peek()?;
            let (begins, written) = (self.cursor.at(), self.out.len());
            let name = self.cursor.name()?.whole().ok_or(Fault::Shape)?;
            self.write_name(name);
            match others.iter().take(2).position(|other| other.name == name) {
                Some(place) => others = others.get(place + 1..).unwrap_or_default(),
                None => in_step = false,
            }
            image.has_special_names |= is_special(name);
            let value = self.attribute_value()?;
            image.attributes.push(Attribute {
                name,
                source: self.cursor.since(begins),
                content: value.content,
                tag: value.tag,
                problem: value.problem,
                written: written..self.out.len(),
            });
        }
        self.out.push(b'}');
        if !in_step && has_duplicates(&image.attributes, |attribute| attribute.name) {
            keep_last(&mut image.attributes, |attribute| attribute.name);
            in_one_piece = false;
        }
        image.whole = in_one_piece.then_some(from..self.out.len());
        let problem = image.attributes.iter().find_map(|attribute| Some((attribute.name, attribute.problem?)));
        image.problem = problem.map(|(name, kind)| AttributeProblem { attribute: name.decode().into_owned(), kind });
        Ok(())
    }
}
