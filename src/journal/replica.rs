//! What a journal is replayed into: a bank, live at a start, and a second one wherever a snapshot
//! is made.

use consorcio_core::bank::io::Seq;
use consorcio_core::bank::record::Record;
use consorcio_core::bank::{Core, Identity};
use consorcio_core::limits::OUTCOMES_IN_MEMORY_MIN;
use std::sync::Arc;

/// A state that records make. Equal records make equal states.
pub trait Replica: Send {
    /// Becomes the state that a snapshot holds.
    ///
    /// # Errors
    /// When the bytes are no snapshot that it knows; it is then as it was before.
    fn restore(&mut self, seq: Seq, snapshot: &[u8]) -> Result<(), String>;
    /// Makes the next record true.
    fn apply(&mut self, seq: Seq, record: &Record);
    /// What records up to this one decided is found through indexes from now on, and may be
    /// forgotten.
    fn forget(&mut self, indexed: Seq);
    /// All that `restore` needs.
    fn snapshot(&self) -> Vec<u8>;
}

/// Makes a replica without a past.
pub type MakeReplica = Arc<dyn Fn() -> Box<dyn Replica> + Send + Sync>;

/// A bank as a replica of its journal.
#[derive(Debug)]
pub struct BankReplica {
    identity: Identity,
    /// The state that records are applied to.
    pub core: Core,
}

impl BankReplica {
    /// A bank without a past.
    pub fn new(identity: Identity) -> BankReplica {
        BankReplica { core: Core::new(identity.clone()), identity }
    }

    /// Makes such replicas, for [`super::Options`].
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
