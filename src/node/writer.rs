//! The one writer of a bank: decides what waits, fills the batch, and holds what must wait for it.
//!
//! Architecture invariant: no clock, no socket, no thread here. Time comes in; who runs it (`run`)
//! carries batches to the disk and what may leave to where it goes.

use crate::queue::Queue;
use crate::release::Release;
use consorcio_core::bank::Core;
use consorcio_core::bank::io::{
    After, CoreStep, Input, MeetingNotice, Now, Outgoing, Past, Sending, Seq,
};
use consorcio_core::commit::founding::FoundingId;
use consorcio_core::ids::BankId;
use consorcio_core::limits::{
    BATCH_BYTES_MAX, BATCH_RECORDS_MAX, FORGOTTEN_IN_A_TICK_MAX, LAZY_SYNC_MS_MAX, LINE_BYTES_MAX,
    OUTCOMES_IN_MEMORY_MIN, STEP_BYTES_MAX, STEP_ITEMS_MAX, UNREADABLE_LOGGED_MS,
};
use consorcio_core::wire::Reason;
use consorcio_core::wire::detail::Detail;
use consorcio_core::wire::reply::Reply;
use consorcio_core::wire::request::Request;
use consorcio_journal::{Batch, JournalError, JournalReader, Room};
use consorcio_steps::steplog::{Entry, Step};

/// So much of a batch is kept for what one decision makes: a share of a backlog, or a few records
/// of the longest transactions.
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
    /// This bank has met this peer with this journal.
    Met(BankId, FoundingId),
    /// The link to this peer is to be closed: what comes over it proves nothing.
    Close(BankId),
}

/// What became of the inputs that waited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DecideTurn {
    /// All inputs are decided.
    Drained,
    /// More inputs wait for the next turn.
    More,
    /// There are more, but the batch is full: it must go under sync first.
    Full,
}

/// The one writer of a bank.
pub struct Writer {
    core: Core,
    past: JournalReader,
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
    unreadable: Unreadable,
}

/// Ids that were asked for and whose records can't be read.
#[derive(Debug, Default)]
struct Unreadable {
    /// How often that was met and not told.
    untold: u64,
    /// From this moment on the next one is told; monotonic microseconds.
    next_us: u64,
}

impl Writer {
    /// The writer of `core`, whose records are all durable. `batches` are two empty ones.
    pub fn new(core: Core, past: JournalReader, batches: [Batch; 2], tells_steps: bool) -> Writer {
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
            unreadable: Unreadable::default(),
        }
    }

    /// The bank, as it is after the last decision.
    pub fn core(&self) -> &Core {
        &self.core
    }

    /// Decides at most `most` of what waits in `queue`; what may leave at once goes to `out`.
    pub fn decide(
        &mut self,
        now: Now,
        queue: &mut Queue,
        most: usize,
        out: &mut Vec<Leaving>,
    ) -> DecideTurn {
        for _ in 0..most {
            if self.is_full() {
                return if queue.is_empty() { DecideTurn::Drained } else { DecideTurn::Full };
            }
            let Some(waiting) = queue.pop() else { return DecideTurn::Drained };
            let mut input = waiting.input;
            if let Input::Request { waited_us, .. } = &mut input {
                *waited_us = now.mono_us.saturating_sub(waiting.since_us);
            }
            self.step(now, input, out);
        }
        if queue.is_empty() { DecideTurn::Drained } else { DecideTurn::More }
    }

    /// Decides one input, ahead of all that waits.
    pub fn step(&mut self, now: Now, mut input: Input, out: &mut Vec<Leaving>) {
        let known = match self.look_up(&mut input) {
            Ok(known) => known,
            Err(error) => {
                self.tell_unreadable(now, &mut input, &error);
                match &mut input {
                    Input::Request { caller, .. } => {
                        let reply = Reply::Err(Reason::Unreadable, Detail::Unreadable.to_string());
                        self.release.leave(
                            0,
                            Leaving::Reply(Outgoing { to: *caller, reply, after: After::Now }),
                            out,
                        );
                        return;
                    }
                    // Nothing can follow from it: it is as if the peer had been silent.
                    Input::Answer { reply, .. } => *reply = None,
                    // What can't be read is unknown, and never a promise that was forgotten.
                    Input::PeerShows { .. } => return,
                    Input::Closed(_)
                    | Input::PeerUp(_)
                    | Input::PeerDown(_)
                    | Input::PeerFounded { .. }
                    | Input::PeerMet { .. }
                    | Input::Tick
                    | Input::Started(_) => {}
                }
                true
            }
        };
        if let Input::Request { caller, request, .. } = &input
            && let Some(reply) = self.no_room_for(request, known)
        {
            self.release.leave(
                0,
                Leaving::Reply(Outgoing { to: *caller, reply, after: After::Now }),
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
                steps.push(Entry { at_us: now.wall_us, step: Step::of_record(record, seq) });
            }
        }
        if let Some(steps) = &mut self.steps {
            let entry = |step| Entry { at_us: now.wall_us, step: Step::of_core(step) };
            steps.extend(output.steps.iter().map(entry));
        }
        let unproved = output.steps.iter().filter_map(CoreStep::closes);
        out.extend(unproved.map(Leaving::Close));
        for reply in output.replies {
            self.release.leave(reply.after.seq(), Leaving::Reply(reply), out);
        }
        for MeetingNotice { peer, founding, after } in output.met {
            self.release.leave(after.seq(), Leaving::Met(peer, founding), out);
        }
        for sending in output.sends {
            self.release.leave(sending.after.seq(), Leaving::Send(sending), out);
        }
    }

    /// When the batch must go under sync, in monotonic microseconds: at once (0) if anyone waits
    /// for it or it is full, and soon if it has any record. `None` while there is nothing to sync
    /// or a sync is under way.
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

    /// Does the journal's disk have room for what is new?
    pub fn has_room(&self) -> bool {
        self.past.room(self.core.undecided()) == Room::Anything
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

    /// Adds what the journal knows of the input's transaction, where memory does not. Is it known?
    ///
    /// # Errors
    /// When its record can't be read: then nobody knows whether this bank voted on it, and nothing
    /// may be decided.
    fn look_up(&self, input: &mut Input) -> Result<bool, JournalError> {
        let Some((tx, past)) = input.about() else { return Ok(false) };
        if self.core.knows(tx) {
            return Ok(true);
        }
        *past = self.past.lookup(tx)?.map(|record| Past { record });
        Ok(past.is_some())
    }

    /// Tells the operator, the first time at the terminal too, and the log at most once a second.
    fn tell_unreadable(&mut self, now: Now, input: &mut Input, error: &JournalError) {
        let Unreadable { untold, next_us } = &mut self.unreadable;
        if now.mono_us < *next_us {
            *untold += 1;
            return;
        }
        let id = input.about().map_or("an id", |(tx, _)| tx.as_str());
        let text = format!(
            "what the journal holds of {id} can't be read, so this bank does not vote on it: \
             {error} ({untold} more \
             requests met such an id since the last line)"
        );
        if *next_us == 0 {
            self.past.notice(&text);
        } else if let Some(steps) = &mut self.steps {
            steps.push(Entry { at_us: now.wall_us, step: Step::Fault(text.into()) });
        }
        (*untold, *next_us) = (0, now.mono_us + UNREADABLE_LOGGED_MS * 1_000);
    }

    /// The refusal of what the journal has no room for. What is known, and reads, have a place.
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
            // A record that refuses an id for ever.
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
