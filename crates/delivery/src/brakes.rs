//! The brakes of indices in the state table: a process that starts later begins braked, with one probe, and does not make
//! dead letters of fifty more documents first.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use aws_sdk_dynamodb::types::AttributeValue;
use streamdex_config::TableArn;
use streamdex_dynamodb::state::{
    Extent, Item, Partition, SortKey, StateError, StateTable, check_format, of_number, stored, text,
};
use streamdex_dynamodb::time::now;
use streamdex_sink::{Braked, Learned};

/// The records of brakes that a group keeps in the state table, with those of the tables that are written from.
///
/// A record can be out of date, by a write that came late or a process that ended before it wrote. A false "braked"
/// costs one probe; a missing record only means that the brake trips again.
#[derive(Debug)]
pub struct BrakeRecords {
    table: StateTable,
    /// One for each table.
    partitions: Vec<String>,
    /// The concrete names that are on record as braked, as far as this process knows.
    on_record: Mutex<BTreeSet<String>>,
}

// === impl BrakeRecords ===

impl BrakeRecords {
    /// The records of `table`'s group, with those of these tables. No request is made.
    pub fn new<'a>(table: StateTable, sources: impl IntoIterator<Item = &'a TableArn>) -> BrakeRecords {
        let partition = |source: &TableArn| Partition::Follow { group: table.group(), table: source.as_str() }.key();
        let partitions = sources.into_iter().map(partition).collect();
        BrakeRecords { table, partitions, on_record: Mutex::default() }
    }

    /// Puts the brakes on that earlier processes left.
    ///
    /// # Errors
    /// A call failed, or a record is in a newer format.
    pub async fn recall(&self, learned: &Learned) -> Result<(), StateError> {
        for partition in &self.partitions {
            for item in self.table.query(partition, Extent::Prefix(SortKey::BRAKE_PREFIX)).await? {
                let Some(sort_key) = text(&item, "sk") else { continue };
                let SortKey::Brake { concrete } = SortKey::parse(sort_key) else { continue };
                check_format(&item, sort_key)?;
                if item.get("braked").and_then(|braked| braked.as_bool().ok()) == Some(&true) {
                    learned.brake(concrete.as_str().into());
                    self.on_record().insert(concrete);
                }
            }
        }
        Ok(())
    }

    /// Records the brakes as they are now: nothing is written where nothing has changed.
    ///
    /// # Errors
    /// A call failed; the next call tries again.
    pub async fn keep(&self, learned: &Learned) -> Result<(), StateError> {
        let braked = learned.braked();
        for brake in &braked {
            if !self.on_record().contains(&*brake.concrete) {
                self.put(&brake.concrete, Some(brake)).await?;
                self.on_record().insert(brake.concrete.to_string());
            }
        }
        // Those that this process knew as braked, and that have accepted a document since.
        let is_lifted = |concrete: &String| braked.iter().all(|brake| *brake.concrete != **concrete);
        let lifted: Vec<String> = self.on_record().iter().filter(|concrete| is_lifted(concrete)).cloned().collect();
        for concrete in lifted {
            self.put(&concrete, None).await?;
            self.on_record().remove(&concrete);
        }
        Ok(())
    }

    async fn put(&self, concrete: &str, brake: Option<&Braked>) -> Result<(), StateError> {
        let refused = brake.map_or(0, |brake| u64::try_from(brake.refused).unwrap_or(u64::MAX));
        let sort_key = SortKey::Brake { concrete: concrete.to_owned() }.text();
        for partition in &self.partitions {
            let attributes = Item::from([
                ("braked".to_owned(), AttributeValue::Bool(brake.is_some())),
                ("refused".to_owned(), of_number(refused)),
                ("at".to_owned(), of_number(now())),
            ]);
            self.table.put(stored(partition, sort_key.clone(), attributes)).await?;
        }
        Ok(())
    }

    fn on_record(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.on_record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
