//! Removes dead letters whose documents are right.

use streamdex_sink::read::HeldIndex;

use super::{Job, Report, Scope};
use crate::fault::Fault;
use crate::letters::{Check, Open};
use crate::look::AT_ONCE;

impl Job {
    /// Removes the letters whose documents are what their items give now. A letter that names no item is settled when the
    /// whole index is equal.
    pub(super) async fn remove_healed_letters(&self, held: &[HeldIndex], report: &mut Report) -> Result<(), Fault> {
        let check = Check { mirror: &self.mirror, held, term: self.term() };
        let mut after = None;
        loop {
            let (letters, next) = self.mirror.letters_after(after.as_ref(), self.term()).await?;
            let letters: Vec<Open> = letters.into_iter().filter_map(Open::of).collect();
            for letters in letters.chunks(AT_ONCE) {
                let wrong = check.wrong(letters).await?;
                for (place, open) in letters.iter().enumerate() {
                    if !wrong.contains(&place) && check.remove(&open.letter).await? {
                        report.healed += 1;
                    }
                }
            }
            after = next;
            if after.is_none() {
                break;
            }
        }
        if self.settings.scope == Scope::Full && report.is_equal() {
            for letter in &self.knowledge.letters.nameless {
                report.healed += u64::from(check.remove(letter).await?);
            }
        }
        Ok(())
    }
}
