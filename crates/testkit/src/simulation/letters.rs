//! Dead letters, as one process stores and reads them.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use streamdex_delivery::letter::{DeadLetter, DeadLetterStore, LetterError, LetterKey, LetterPage};
use streamdex_dynamodb::state::StateError;
use streamdex_dynamodb::{AwsError, Fault};

use super::gate::Gate;
use super::weather::Endpoint;
use super::world::World;

/// The letters, as one process reaches them.
pub(super) struct SimulatedLetters {
    pub(super) gate: Arc<Gate>,
    pub(super) world: Arc<World>,
}

const DEADLINE: Duration = Duration::from_secs(10);

impl SimulatedLetters {
    async fn call<T: Send + 'static>(
        &self,
        serve: impl FnOnce(&World) -> T + Send + 'static,
    ) -> Result<T, LetterError> {
        let world = Arc::clone(&self.world);
        let answer = self.gate.call(Endpoint::State, DEADLINE, move |refusal| match refusal {
            None => Some(serve(&world)),
            Some(_) => None,
        });
        let failed = || {
            let source = AwsError::new(Fault::Transient, "PutItem");
            LetterError::State(StateError::Aws { table: "state".to_owned(), source })
        };
        answer.await.ok().flatten().ok_or_else(failed)
    }
}

#[async_trait]
impl DeadLetterStore for SimulatedLetters {
    async fn put(&self, letters: &[DeadLetter]) -> Result<(), LetterError> {
        let (name, letters) = (self.gate.name.clone(), letters.to_vec());
        self.call(move |world| letters.iter().for_each(|letter| world.note_letter(&name, letter))).await
    }

    async fn remove(&self, letter: &DeadLetter) -> Result<bool, LetterError> {
        let (name, letter) = (self.gate.name.clone(), letter.clone());
        self.call(move |world| world.remove_letter(&name, &letter)).await
    }

    async fn list(&self, after: Option<&LetterKey>) -> Result<LetterPage, LetterError> {
        let after = after.cloned();
        self.call(move |world| LetterPage { letters: world.letters_after(after.as_ref()), ..LetterPage::default() })
            .await
    }

    async fn get(&self, key: &LetterKey) -> Result<Option<DeadLetter>, LetterError> {
        let key = key.clone();
        self.call(move |world| world.letters_after(None).into_iter().find(|letter| letter.key == key)).await
    }
}
