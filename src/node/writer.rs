//! The one writer of a bank: it decides inputs, fills the batch, and holds replies and messages
//! until their records are durable.
//!
//! Architecture invariant: no clock, no socket, no thread here. Time is a parameter; `run` passes
//! batches to the journal thread and sends what is released.

use crate::queue::Queue;
use crate::release::Release;
use consorcio_core::bank::Core;
use consorcio_core::bank::io::{
    After, CoreStep, Input, MeetingNotice, Now, Outgoing, Past, Sending, Seq,
};
use consorcio_core::commit::founding::FoundingId;
use consorcio_core::ids::BankId;
use consorcio_core::limits::{
    BATCH_BYTES_ENOUGH, BATCH_RECORDS_ENOUGH, FORGOTTEN_IN_A_TICK_MAX, LAZY_SYNC_MS_MAX,
    OUTCOMES_IN_MEMORY_MIN, SNAPSHOT_COPIED_BYTES_MIN, SNAPSHOT_COPIED_PART_MAX,
    UNREADABLE_LOGGED_MS,
};
use consorcio_core::wire::Reason;
use consorcio_core::wire::detail::Detail;
use consorcio_core::wire::reply::Reply;
use consorcio_core::wire::request::Request;
use consorcio_journal::{Batch, JournalError, JournalReader, Room};
use consorcio_steps::steplog::{Entry, Step};

/// Something that may be sent or done now: every record that it depends on is durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Released {
    /// A reply to a session.
    Reply(Outgoing),
    /// A message to a peer.
    Send(Sending),
    /// The peer is told that this bank has met it with this journal.
    Meeting(BankId, FoundingId),
    /// Close the link to this peer: its answers prove nothing.
    Close(BankId),
}

/// The reason why `decide` returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DecideResult {
    /// The queue is empty.
    Drained,
    /// The slice is used up, and more inputs wait.
    More,
    /// The batch is full: it must go under sync before the next decision.
    Full,
}

/// The owner of a bank: all decisions are made here.
pub struct Writer {
    core: Core,
    past: JournalReader,
    batch: Batch,
    /// An empty batch, while none is under sync.
    spare: Option<Batch>,
    release: Release<Released>,
    /// When the first record was put into the batch; monotonic microseconds.
    batch_since_us: u64,
    /// Outcomes up to this record have been evicted from memory as far as allowed.
    forgettable: Seq,
    /// What the core had copied when the newest view for a snapshot was taken, in bytes.
    copied_before_view: u64,
    /// Steps for the step log; `None` while it is off.
    steps: Option<Vec<Entry>>,
    unreadable: Unreadable,
}

/// Limits the reports about ids whose records can't be read.
#[derive(Debug, Default)]
struct Unreadable {
    /// Requests for such ids since the last report.
    unreported: u64,
    /// The next report may be made from this moment on; monotonic microseconds.
    next_us: u64,
}

impl Writer {
    /// A writer of `core`, whose records are all durable. `batches` are two empty ones.
    pub fn new(core: Core, past: JournalReader, batches: [Batch; 2], keeps_steps: bool) -> Writer {
        let [batch, spare] = batches;
        Writer {
            release: Release::new(core.seq()),
            core,
            past,
            batch,
            spare: Some(spare),
            batch_since_us: 0,
            forgettable: 0,
            copied_before_view: 0,
            steps: keeps_steps.then(Vec::new),
            unreadable: Unreadable::default(),
        }
    }

    /// The bank after the last decision.
    pub fn core(&self) -> &Core {
        &self.core
    }

    /// Decides at most `most` inputs of `queue`; whatever is released at once goes to `out`.
    pub fn decide(
        &mut self,
        now: Now,
        queue: &mut Queue,
        most: usize,
        out: &mut Vec<Released>,
    ) -> DecideResult {
        for _ in 0..most {
            if self.is_full() {
                return if queue.is_empty() { DecideResult::Drained } else { DecideResult::Full };
            }
            let Some(waiting) = queue.pop() else { return DecideResult::Drained };
            let mut input = waiting.input;
            if let Input::Request { waited_us, .. } = &mut input {
                *waited_us = now.mono_us.saturating_sub(waiting.since_us);
            }
            self.step(now, input, out);
        }
        if queue.is_empty() { DecideResult::Drained } else { DecideResult::More }
    }

    /// Decides one input, before those in the queue.
    pub fn step(&mut self, now: Now, mut input: Input, out: &mut Vec<Released>) {
        let known = match self.look_up(&mut input) {
            Ok(known) => known,
            Err(error) => {
                self.report_unreadable(now, &mut input, &error);
                match &mut input {
                    Input::Request { caller, .. } => {
                        let reply = Reply::Err(Reason::Unreadable, Detail::Unreadable.to_string());
                        self.release.submit(
                            0,
                            Released::Reply(Outgoing { to: *caller, reply, after: After::Now }),
                            out,
                        );
                        return;
                    }
                    // It can have no effect: the peer counts as silent.
                    Input::Answer { reply, .. } => *reply = None,
                    // An unreadable record is no proof of a forgotten vote.
                    Input::PeerShows { .. } => return,
                    Input::Closed(_)
                    | Input::PeerUp(_)
                    | Input::PeerDown(_)
                    | Input::PeerFounded { .. }
                    | Input::PeerMet { .. }
                    | Input::Tick
                    | Input::AccessChanged(_)
                    | Input::Started(_) => {}
                }
                true
            }
        };
        if let Input::Request { caller, request, .. } = &input
            && let Some(reply) = self.no_room_for(request, known)
        {
            self.release.submit(
                0,
                Released::Reply(Outgoing { to: *caller, reply, after: After::Now }),
                out,
            );
            return;
        }
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
                let step = Step::of_record(record, seq, |tx| self.core.ended_transaction(tx));
                steps.push(Entry { at_us: now.wall_us, step });
            }
        }
        if let Some(steps) = &mut self.steps {
            let entry = |step| Entry { at_us: now.wall_us, step: Step::of_core(step) };
            steps.extend(output.steps.iter().map(entry));
        }
        let unproved = output.steps.iter().filter_map(CoreStep::closes);
        out.extend(unproved.map(Released::Close));
        for reply in output.replies {
            self.release.submit(reply.after.seq(), Released::Reply(reply), out);
        }
        for MeetingNotice { peer, founding, after } in output.met {
            self.release.submit(after.seq(), Released::Meeting(peer, founding), out);
        }
        for sending in output.sends {
            self.release.submit(sending.after.seq(), Released::Send(sending), out);
        }
    }

    /// When the batch must go under sync, in monotonic microseconds: at once (0) if it is full or a
    /// reply waits for it, and within `LAZY_SYNC_MS_MAX` if it has any record. `None` while there
    /// is nothing to sync or a sync is under way.
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

    /// Does a reply or message wait for a sync? Then one is under way, or due at once.
    pub fn is_waited_for(&self) -> bool {
        !self.release.is_empty()
    }

    /// Does the journal's disk have room for new transactions?
    pub fn has_room(&self) -> bool {
        self.past.room(self.core.undecided()) == Room::Anything
    }

    /// Are all records durable?
    pub fn is_synced(&self) -> bool {
        self.batch.is_empty() && self.spare.is_some()
    }

    /// Takes the batch, to be written and synced; `None` if it is empty or a sync is under way.
    pub fn take_batch(&mut self) -> Option<Batch> {
        if self.batch.is_empty() {
            return None;
        }
        let spare = self.spare.take()?;
        self.release.began(self.core.seq());
        let (core, copied) = (&self.core, &mut self.copied_before_view);
        self.batch.end_segment_if_due(|| {
            *copied = core.copied_bytes();
            Box::new(core.freeze())
        });
        Some(std::mem::replace(&mut self.batch, spare))
    }

    /// `batch`, taken before, is durable; whatever waited for it goes to `out`.
    pub fn synced(&mut self, mut batch: Batch, out: &mut Vec<Released>) {
        assert!(self.spare.is_none(), "a batch was under sync");
        batch.clear();
        self.spare = Some(batch);
        self.release.ended(out);
        if self.past.holds_view() {
            self.bound_copies();
        }
    }

    /// Gives up the snapshot under way once the rows that were copied for it take too much memory.
    fn bound_copies(&self) {
        let copied = self.core.copied_bytes() - self.copied_before_view;
        let part = self.core.shared_bytes() / SNAPSHOT_COPIED_PART_MAX;
        if copied > part.max(SNAPSHOT_COPIED_BYTES_MIN) {
            self.past.give_up_snapshot();
        }
    }

    /// The steps to be logged; the caller takes them.
    pub fn steps(&mut self) -> Option<&mut Vec<Entry>> {
        self.steps.as_mut()
    }

    /// Must the batch go under sync before the next decision?
    pub fn is_full(&self) -> bool {
        self.batch.len() >= BATCH_RECORDS_ENOUGH || self.batch.bytes() >= BATCH_BYTES_ENOUGH
    }

    /// Adds the journal's record of the input's transaction, where memory has none. Returns whether
    /// the transaction is known.
    ///
    /// # Errors
    /// When its record can't be read: whether this bank voted on it is then unknown, so nothing may
    /// be decided.
    fn look_up(&self, input: &mut Input) -> Result<bool, JournalError> {
        let Some((tx, past)) = input.about() else { return Ok(false) };
        if self.core.knows(tx) {
            return Ok(true);
        }
        *past = self.past.lookup(tx)?.map(|record| Past { record });
        Ok(past.is_some())
    }

    /// Reports an unreadable record: the first one to the operator, later ones to the step log, at
    /// most one line a second.
    fn report_unreadable(&mut self, now: Now, input: &mut Input, error: &JournalError) {
        let Unreadable { unreported, next_us } = &mut self.unreadable;
        if now.mono_us < *next_us {
            *unreported += 1;
            return;
        }
        let id = input.about().map_or("an id", |(tx, _)| tx.as_str());
        let text = format!(
            "what the journal holds of {id} can't be read, so this bank does not vote on it: \
             {error} ({unreported} more \
             requests met such an id since the last line)"
        );
        if *next_us == 0 {
            self.past.notice(&text);
        } else if let Some(steps) = &mut self.steps {
            steps.push(Entry { at_us: now.wall_us, step: Step::Fault(text.into()) });
        }
        (*unreported, *next_us) = (0, now.mono_us + UNREADABLE_LOGGED_MS * 1_000);
    }

    /// The refusal of a request that the journal has no room for. Reads and known transactions
    /// always have room.
    fn no_room_for(&self, request: &Request, known: bool) -> Option<Reply> {
        let room = self.past.room(self.core.undecided());
        if room == Room::Anything || known {
            return None;
        }
        let text = || Detail::DiskFull.to_string();
        match request {
            Request::Prepare(..) | Request::Execute(..) => {
                Some(Reply::Err(Reason::DiskFull, text()))
            }
            Request::Client(_) | Request::Account(_) => {
                Some(Reply::Refused(Reason::DiskFull, text()))
            }
            // The record that permanently refuses an id.
            Request::Abort(..) | Request::Resolve(_) => {
                (room == Room::Outcomes).then(|| Reply::Err(Reason::DiskFull, text()))
            }
            Request::Commit(..)
            | Request::Status(_)
            | Request::Read(_)
            | Request::Registers { .. }
            | Request::Local(_) => None,
        }
    }

    /// Evicts outcomes from memory that the journal's index finds.
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
