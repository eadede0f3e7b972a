//! Dead letters of a delivery: makes them and stores them as they arise.

use bytes::Bytes;
use streamdex_dynamodb::time::now;
use streamdex_mapping::batch::{RECORD_ORDINAL, operation_ordinal};
use streamdex_mapping::{Action, Address, DocumentId, Operation, OperationHandle, Role};
use streamdex_sink::writer::Refusal;
use tokio::sync::mpsc;

use super::Delivery;
use crate::bounds::Bounds;
use crate::fault::DeliveryFault;
use crate::letter::{DeadLetter, FORMAT, LetterAddress, LetterKey, LetterRole};
use crate::page::{LetterOrigin, Page, RefusedRecord};

/// What is kept of an operation while the writer has it: enough for its dead letter.
pub(super) struct Sent {
    pub(super) handle: OperationHandle,
    origin: LetterOrigin,
    /// Which of its record's operations it is.
    place: usize,
    address: Address,
    version: u64,
    role: Role,
    /// An archive copy cannot be read again, so its letter keeps it.
    archive: Option<Bytes>,
}

/// So many dead letters are stored at once.
const LETTERS: usize = 100;

// === impl Delivery ===

impl Delivery {
    /// Stores letters as they arrive, until the last one. Returns what was stored.
    pub(super) async fn store_arriving<T>(
        &self,
        arriving: &mut mpsc::Receiver<T>,
        letter: impl Fn(&T) -> Option<DeadLetter>,
        bounds: &Bounds,
    ) -> (Vec<T>, Option<DeliveryFault>) {
        let (mut stored, mut batch) = (Vec::new(), Vec::new());
        while arriving.recv_many(&mut batch, LETTERS).await > 0 {
            let letters: Vec<DeadLetter> = batch.iter().filter_map(&letter).collect();
            if let Err(fault) = self.store(&letters, bounds).await {
                return (stored, Some(fault));
            }
            stored.append(&mut batch);
        }
        (stored, None)
    }

    async fn store(&self, letters: &[DeadLetter], bounds: &Bounds) -> Result<(), DeliveryFault> {
        if letters.is_empty() {
            return Ok(());
        }
        self.attempts().make(bounds.storing(), "store dead letters", || self.letters.put(letters)).await?;
        for letter in letters {
            tracing::warn!(letter = %letter.key, reason = letter.reason, error = letter.error, "dead letter");
        }
        Ok(())
    }

    pub(super) fn record_letter(&self, page: &Page, refused: &RefusedRecord) -> DeadLetter {
        let address = refused.address.as_ref().map(|address| self.letter_address(address));
        DeadLetter {
            address,
            reason: refused.reason.to_owned(),
            error: refused.error.clone(),
            ..self.letter(&page.letter_origin(refused.record), RECORD_ORDINAL)
        }
    }

    pub(super) fn operation_letter(&self, sent: &Sent, refusal: &Refusal) -> DeadLetter {
        let letter = DeadLetter {
            role: LetterRole::from(sent.role),
            address: Some(self.letter_address(&sent.address)),
            version: Some(sent.version),
            reason: refusal.error_type.clone(),
            error: refusal.message.clone(),
            ..self.letter(&sent.origin, operation_ordinal(sent.place))
        };
        match &sent.archive {
            Some(document) => letter.with_document(document),
            None => letter,
        }
    }

    fn letter(&self, origin: &LetterOrigin, ordinal: u32) -> DeadLetter {
        let meta = &origin.meta;
        let key = LetterKey { stream: String::from(&*origin.stream), record: origin.identity().to_owned(), ordinal };
        DeadLetter {
            format: FORMAT,
            key,
            table: self.table.clone(),
            at: now(),
            created: meta.created.map(|created| u64::from(created.seconds())),
            keys: Some(meta.keys.clone()).filter(|keys| !keys.is_empty()),
            role: LetterRole::Live,
            address: None,
            version: None,
            reason: String::new(),
            error: String::new(),
            document: None,
            document_omitted: false,
        }
    }

    fn letter_address(&self, address: &Address) -> LetterAddress {
        LetterAddress {
            index: address.index.as_str().to_owned(),
            generation: self.indices.target(&address.index).map(|target| target.generation),
            id: DocumentId::as_str(&address.id).to_owned(),
            routing: address.routing.as_deref().map(str::to_owned),
        }
    }
}

// === impl Sent ===

impl Sent {
    pub(super) fn of(page: &Page, handle: OperationHandle, operation: &Operation) -> Sent {
        let (record, place) = page.batch.origin(handle).unwrap_or_default();
        let archive = match (&operation.action, operation.role) {
            (Action::Index(document), Role::Archive) => Some(document.clone()),
            _ => None,
        };
        Sent {
            handle,
            origin: page.letter_origin(record),
            place,
            address: operation.address.clone(),
            version: operation.version.get(),
            role: operation.role,
            archive,
        }
    }
}
