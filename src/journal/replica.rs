//! The state that a journal is replayed into: the live bank at a start, and a second one when a
//! snapshot is made.

use consorcio_core::bank::io::Seq;
use consorcio_core::bank::record::Record;
use consorcio_core::bank::{Core, Identity};
use consorcio_core::limits::OUTCOMES_IN_MEMORY_MIN;
use std::sync::Arc;

/// A state built from records. Equal records build equal states.
pub trait Replica: Send {
    /// Replaces the state by that of a snapshot.
    ///
    /// # Errors
    /// If the bytes are no valid snapshot; the state is then unchanged.
    fn restore(&mut self, seq: Seq, snapshot: &[u8]) -> Result<(), String>;
    /// Applies the next record.
    fn apply(&mut self, seq: Seq, record: &Record);
    /// Outcomes of records up to this one are found in indexes from now on, and may be dropped.
    fn forget(&mut self, indexed: Seq);
    /// Serializes all that `restore` needs.
    fn snapshot(&self) -> Vec<u8>;
}

/// Creates an empty replica.
pub type MakeReplica = Arc<dyn Fn() -> Box<dyn Replica> + Send + Sync>;

/// A bank as a replica of its journal.
#[derive(Debug)]
pub struct BankReplica {
    identity: Identity,
    /// The bank that records are applied to.
    pub core: Core,
}

impl BankReplica {
    /// A replica of an empty journal.
    pub fn new(identity: Identity) -> BankReplica {
        BankReplica { core: Core::new(identity.clone()), identity }
    }

    /// A function that creates such replicas, for [`super::JournalOptions`].
    pub fn maker(identity: Identity) -> MakeReplica {
        Arc::new(move || Box::new(BankReplica::new(identity.clone())))
    }
}

impl Replica for BankReplica {
    fn restore(&mut self, _seq: Seq, snapshot: &[u8]) -> Result<(), String> {
        self.core = Core::from_snapshot(self.identity.clone(), snapshot)?;
        Ok(())
    }

    fn apply(&mut self, _seq: Seq, record: &Record) {
        self.core.apply(record);
    }

    fn forget(&mut self, indexed: Seq) {
        self.core.forget_outcomes(indexed, OUTCOMES_IN_MEMORY_MIN);
    }

    fn snapshot(&self) -> Vec<u8> {
        self.core.to_snapshot()
    }
}
