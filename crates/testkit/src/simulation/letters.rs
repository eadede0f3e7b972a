//! Dead letters, as one worker stores them.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use streamdex_delivery::letter::{DeadLetter, DeadLetterStore, LetterError, LetterKey, LetterPage};
use streamdex_dynamodb::state::StateError;
use streamdex_dynamodb::{AwsError, Fault};

use super::gate::Gate;
use super::weather::Endpoint;
use super::world::World;

/// The letters, as one worker reaches them.
pub(super) struct SimulatedLetters {
    pub(super) gate: Arc<Gate>,
    pub(super) world: Arc<World>,
}

const DEADLINE: Duration = Duration::from_secs(10);

#[async_trait]
impl DeadLetterStore for SimulatedLetters {
    async fn put(&self, letters: &[DeadLetter]) -> Result<(), LetterError> {
        let failed = || {
            let source = AwsError::new(Fault::Transient, "TransactWriteItems");
            LetterError::State(StateError::Aws { table: "state".to_owned(), source })
        };
        let (world, name) = (Arc::clone(&self.world), self.gate.name.clone());
        let records: Vec<String> = letters.iter().map(|letter| letter.key.record.clone()).collect();
        let answer = self.gate.call(Endpoint::State, DEADLINE, move |refusal| {
            if refusal.is_none() {
                records.iter().for_each(|record| world.note_letter(&name, record));
            }
            refusal.is_none()
        });
        if answer.await == Ok(true) { Ok(()) } else { Err(failed()) }
    }

    async fn list(&self, _after: Option<&LetterKey>) -> Result<LetterPage, LetterError> {
        Ok(LetterPage::default())
    }

    async fn remove(&self, _letter: &DeadLetter) -> Result<bool, LetterError> {
        Ok(false)
    }

    async fn get(&self, _key: &LetterKey) -> Result<Option<DeadLetter>, LetterError> {
        Ok(None)
    }
}
