//! The state that a journal is replayed into, and views of it for snapshots.

use consorcio_core::bank::io::Seq;
use consorcio_core::bank::record::Record;
use consorcio_core::bank::{Core, FrozenBank, Identity, PieceSink};
use consorcio_core::limits::OUTCOMES_IN_MEMORY_MIN;
use std::ops::ControlFlow;

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
    /// The state as it is now; records that are applied later don't change it. Its cost must not
    /// grow with the state.
    fn freeze(&self) -> Box<dyn StateView>;
}

/// A state as of one record.
pub trait StateView: Send {
    /// The number of its last record.
    fn seq(&self) -> Seq;
    /// Serializes all that `restore` needs, in pieces, until `sink` breaks.
    fn write(self: Box<Self>, sink: &mut PieceSink<'_>) -> ControlFlow<()>;
}

impl StateView for FrozenBank {
    fn seq(&self) -> Seq {
        FrozenBank::seq(self)
    }

    fn write(self: Box<Self>, sink: &mut PieceSink<'_>) -> ControlFlow<()> {
        FrozenBank::write(*self, sink)
    }
}

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
}

impl Replica for BankReplica {
    fn restore(&mut self, seq: Seq, snapshot: &[u8]) -> Result<(), String> {
        let core = Core::from_snapshot(self.identity.clone(), snapshot)?;
        let found = core.seq();
        if found != seq {
            return Err(format!("it holds the bank as of record {found}, and not {seq}"));
        }
        self.core = core;
        Ok(())
    }

    fn apply(&mut self, _seq: Seq, record: &Record) {
        self.core.apply(record);
    }

    fn forget(&mut self, indexed: Seq) {
        self.core.forget_outcomes(indexed, OUTCOMES_IN_MEMORY_MIN);
    }

    fn freeze(&self) -> Box<dyn StateView> {
        Box::new(self.core.freeze())
    }
}
