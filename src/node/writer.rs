//! The one writer of a bank: decides what waits, fills the batch, and holds what must wait for it.
//!
//! Architecture invariant: no clock, no socket, no thread here. Time comes in; who runs it (`run`) carries batches
//! to the disk and what may leave to where it goes.

use crate::bank::Core;
use crate::bank::io::{CoreStep, Input, Now, Outgoing, Past, Sending, Seq};
use crate::ids::{BankId, TxId};
use crate::journal::{Batch, JournalError, Reader};
use crate::limits::{
    BATCH_BYTES_MAX, BATCH_RECORDS_MAX, FORGOTTEN_IN_A_TICK_MAX, LAZY_SYNC_MS_MAX, LINE_BYTES_MAX,
    OUTCOMES_IN_MEMORY_MIN, STEP_BYTES_MAX, STEP_ITEMS_MAX,
};
use crate::node::queue::Queue;
use crate::node::release::Release;
use crate::steplog::{Entry, Step};

/// So much of a batch is kept for what one decision makes: a share of a backlog, or a few records of the longest
/// transactions.
const BATCH_BYTES_ENOUGH: usize = BATCH_BYTES_MAX - STEP_BYTES_MAX - 2 * LINE_BYTES_MAX;
const BATCH_RECORDS_ENOUGH: usize = BATCH_RECORDS_MAX - STEP_ITEMS_MAX;

const _: () = assert!(BATCH_BYTES_ENOUGH > BATCH_BYTES_MAX / 2);

/// Something that may leave: all that it rests on is durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Leaving {
    /// A reply to a session.
    Reply(Outgoing),
    /// A message to a peer.
    Send(Sending),
    /// The link to this peer is to be closed: what comes over it proves nothing.
    Close(BankId),
}

/// What became of the inputs that waited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// None is left.
    Drained,
    /// There are more.
    More,
    /// There are more, but the batch is full: it must go under sync first.
    Full,
}

/// The one writer of a bank.
pub struct Writer {
    core: Core,
    past: Reader,
    batch: Batch,
    /// Its buffers, while no batch is under sync.
    spare: Option<Batch>,
    release: Release<Leaving>,
    /// When the oldest record of the batch was made; monotonic microseconds.
    batch_since_us: u64,
    /// Records up to this one were told to be forgettable.
    forgettable: Seq,
    /// Steps for the log; `None` when nothing is told.
    steps: Option<Vec<Entry>>,
}

impl Writer {
    /// The writer of `core`, whose records are all durable. `batches` are two empty ones.
    pub fn new(core: Core, past: Reader, batches: [Batch; 2], tells_steps: bool) -> Writer {
        let [batch, spare] = batches;
        Writer {
            release: Release::new(core.seq()),
            core,
            past,
            batch,
            spare: Some(spare),
            batch_since_us: 0,
            forgettable: 0,
            steps: tells_steps.then(Vec::new),
        }
    }

    /// The bank.
    pub fn core(&self) -> &Core {
        &self.core
    }

    /// Decides at most `most` of what waits in `queue`; what may leave at once goes to `out`.
    ///
    /// # Errors
    /// When the journal can't be read.
    pub fn decide(
        &mut self,
        now: Now,
        queue: &mut Queue,
        most: usize,
        out: &mut Vec<Leaving>,
    ) -> Result<Turn, JournalError> {
        for _ in 0..most {
            if self.is_full() {
                return Ok(if queue.is_empty() { Turn::Drained } else { Turn::Full });
            }
            let Some(waiting) = queue.pop() else { return Ok(Turn::Drained) };
            let mut input = waiting.input;
            if let Input::Request { waited_us, .. } = &mut input {
                *waited_us = now.mono_us.saturating_sub(waiting.since_us);
            }
            self.step(now, input, out)?;
        }
        Ok(if queue.is_empty() { Turn::Drained } else { Turn::More })
    }

    /// Decides one input, ahead of all that waits.
    ///
    /// # Errors
    /// When the journal can't be read.
    pub fn step(&mut self, now: Now, mut input: Input, out: &mut Vec<Leaving>) -> Result<(), JournalError> {
        self.look_up(&mut input)?;
        if let Input::Tick = input {
            self.forget();
        }
        let before = self.core.seq();
        let output = self.core.step(now, &input);
        if !output.records.is_empty() && self.batch.is_empty() {
            self.batch_since_us = now.mono_us;
        }
        for (record, seq) in output.records.iter().zip(before + 1..) {
            self.batch.push(seq, record);
            if let Some(steps) = &mut self.steps {
                steps.push(Entry { at_us: now.wall_us, step: Step::of_record(record, seq) });
            }
        }
        if let Some(steps) = &mut self.steps {
            let entry = |step| Entry { at_us: now.wall_us, step: Step::of_core(step) };
            steps.extend(output.steps.iter().map(entry));
        }
        let unproved = output.steps.iter().filter_map(CoreStep::unproved);
        out.extend(unproved.map(Leaving::Close));
        for reply in output.replies {
            self.release.leave(reply.after, Leaving::Reply(reply), out);
        }
        for sending in output.sends {
            self.release.leave(sending.after, Leaving::Send(sending), out);
        }
        Ok(())
    }

    /// When the batch must go under sync, in monotonic microseconds: at once (0) if anyone waits for it or it is
    /// full, and soon if it has any record. `None` while there is nothing to sync or a sync is under way.
    pub fn sync_due_us(&self) -> Option<u64> {
        if self.batch.is_empty() || self.spare.is_none() {
            None
        } else if self.release.needs_sync() || self.is_full() || self.core.stopped().is_some() {
            Some(0)
        } else {
            Some(self.batch_since_us + LAZY_SYNC_MS_MAX * 1_000)
        }
    }

    /// Every record up to this one is synced.
    pub fn durable(&self) -> Seq {
        self.release.durable()
    }

    /// Does anything wait for a sync? Then one is under way, or due at once.
    pub fn is_waited_for(&self) -> bool {
        !self.release.is_empty()
    }

    /// Has it nothing that is not durable?
    pub fn is_synced(&self) -> bool {
        self.batch.is_empty() && self.spare.is_some()
    }

    /// Takes the batch, to be written and synced; `None` while another one is.
    pub fn take_batch(&mut self) -> Option<Batch> {
        if self.batch.is_empty() {
            return None;
        }
        let spare = self.spare.take()?;
        self.release.began(self.core.seq());
        Some(std::mem::replace(&mut self.batch, spare))
    }

    /// `batch`, taken before, is durable; what waited for it goes to `out`.
    pub fn synced(&mut self, mut batch: Batch, out: &mut Vec<Leaving>) {
        assert!(self.spare.is_none(), "a batch was under sync");
        batch.clear();
        self.spare = Some(batch);
        self.release.ended(out);
    }

    /// Steps that happened since they were last taken.
    pub fn steps(&mut self) -> Option<&mut Vec<Entry>> {
        self.steps.as_mut()
    }

    /// Must the batch go under sync before anything more is decided?
    pub fn is_full(&self) -> bool {
        self.batch.len() >= BATCH_RECORDS_ENOUGH || self.batch.bytes() >= BATCH_BYTES_ENOUGH
    }

    /// Adds what the journal knows of the input's transaction, where memory does not.
    fn look_up(&self, input: &mut Input) -> Result<(), JournalError> {
        let (tx, past): (&TxId, _) = match input {
            Input::Request { request, past, .. } => match request.tx() {
                Some(tx) => (tx, past),
                None => return Ok(()),
            },
            Input::Answer { asked, past, .. } => (&asked.tx, past),
            Input::PeerShows { tx, past, .. } => (tx, past),
            Input::Closed(_) | Input::PeerUp(_) | Input::PeerDown(_) | Input::Tick | Input::Started => {
                return Ok(());
            }
        };
        if !self.core.knows(tx) {
            *past = self.past.lookup(tx)?.map(|record| Past { record });
        }
        Ok(())
    }

    /// Memory may forget what the journal's index finds.
    fn forget(&mut self) {
        let indexed = self.past.indexed_up_to();
        if indexed > self.forgettable {
            let most = FORGOTTEN_IN_A_TICK_MAX;
            if !self.core.forget_some_outcomes(indexed, OUTCOMES_IN_MEMORY_MIN, most) {
                self.forgettable = indexed;
            }
        }
    }
}
