//! The bounds of `cliente`'s commands, and of reading step logs.

use super::{ANSWER_WITHIN_MS, LINE_BYTES_MAX, VOTE_TIMEOUT_MS};

/// A bank that was silent for the whole time-out of its vote has this part of it to answer ABORT.
pub const ABORT_ANSWER_PART: u32 = 4;
/// Files that `cliente` opens beside its connections: the standard ones, its log, the runtime's.
pub const CLIENT_FILES_BESIDE_MAX: u64 = 16;
/// The longest settings file that a program reads.
pub const SETTINGS_BYTES_MAX: u64 = 256 * 1024;
/// `cliente ping --wait` retries a bank after this pause.
pub const PING_RETRY_PAUSE_MS: u64 = 100;
/// After this, `cliente` on a terminal says which bank it waits for.
pub const WAIT_SHOWN_AFTER_MS: u64 = 1_000;
/// The line about a wait is updated this often.
pub const WAIT_SHOWN_EVERY_MS: u64 = 250;
/// Violations that `cliente audit --journals` lists for people; its JSON has more.
pub const AUDIT_SHOWN_MAX: usize = 20;
/// Undecided transactions that `cliente audit` names for each bank that gave no cut.
pub const AUDIT_BLOCKED_SHOWN_MAX: usize = 5;
/// The line of progress is updated this often in `cliente bench` and `cliente contention`.
pub const PROGRESS_EVERY_MS: u64 = 500;
/// Attempts of `cliente bench --own` to start its banks: another process may take a free port
/// before they listen on it.
pub const OWN_BANKS_START_ATTEMPTS_MAX: usize = 3;
/// A request that is due at the end of an open loop may begin this late; a later one counts as
/// behind.
pub const LOAD_GRACE_MS: u64 = 100;
/// Transactions under way at the end of a load have this long to finish.
pub const LOAD_LEAVE_MS_MAX: u64 = 2 * (VOTE_TIMEOUT_MS + ANSWER_WITHIN_MS);
/// A bank that drives replies to a client of a load within this time; twice the bank's own limit,
/// for a slow network.
pub const LOAD_EXECUTE_MS_MAX: u64 = 2 * ANSWER_WITHIN_MS;
/// The thread that paces an open loop does not sleep for less: the wake-ups cost more.
pub const LOAD_SLEEP_US_MIN: u64 = 50;

/// The pause between two cuts of `cliente contention`.
pub const CONTENTION_CUT_EVERY_MS: u64 = 250;
/// The pause between two attempts to learn outcomes after a run.
pub const CONTENTION_RETRY_PAUSE_MS: u64 = 200;
/// Cuts that did not add up, and contradictions, that a run keeps; further ones are counted only.
pub const CONTENTION_FAULTS_KEPT_MAX: usize = 20;
/// ... and how many of each are listed for people.
pub const CONTENTION_FAULTS_SHOWN_MAX: usize = 5;
/// Requests for outcomes that are sent at once over one connection.
pub const CONTENTION_STATUS_REQUESTS_MAX: usize = 500;
/// Transactions whose outcomes are verified together.
pub const CONTENTION_VERIFIED_TOGETHER_MAX: usize = 2_000;
/// Slices of time that the report of a run shows.
pub const CONTENTION_SLICES_MAX: u32 = 120;
/// The shortest slice of a run that is shown over time.
pub const CONTENTION_SLICE_MS_MIN: u64 = 250;
/// The slowest transactions of a run that its report draws.
pub const CONTENTION_DRAWN_MAX: usize = 3;
/// The ends of nodes that the report of a run lists, and marks in its charts.
pub const CONTENTION_OUTAGES_MAX: usize = 500;
/// The largest amount that one debit of a run moves, in centavos.
pub const CONTENTION_AMOUNT_MAX: u64 = 2_000;

/// Bytes of a line of a batch; a raw request of a shell may be as long as any request.
pub const SHELL_LINE_BYTES_MAX: usize = LINE_BYTES_MAX;
/// Lines of one reply to a raw request; only HELP has several.
pub const SHELL_REPLY_LINES_MAX: usize = 1_000;
/// Lines of earlier shells that a shell offers again.
pub const SHELL_HISTORY_LINES_MAX: usize = 1_000;
/// Accounts of each bank that a shell completes.
pub const SHELL_ACCOUNTS_KNOWN_MAX: usize = 1_000;
/// Undecided and decided transactions of each bank that a shell completes, so many of either.
pub const SHELL_TRANSACTIONS_KNOWN_MAX: usize = 50;

/// Lines of one transaction that a timeline keeps: questions that are repeated for days add
/// nothing.
pub const TRACE_LINES_MAX: usize = 20_000;
/// The sync of a record is searched for within this many bytes of log after its line.
pub const TRACE_SYNC_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Log before and after a transaction's lines that is searched for events of the node.
pub const TRACE_AROUND_BYTES: u64 = 64 * 1024;
/// One read of a step log.
pub const TRACE_BLOCK_BYTES: usize = 1024 * 1024;
/// The beginning of a step log that is searched for the bank's position.
pub const TRACE_HEAD_BYTES: u64 = 256 * 1024;
/// A clock that goes back by more than this between two lines of a file was set back; lines of
/// one process are out of order by less, since several threads record them.
pub const TRACE_SET_BACK_US_MIN: i64 = 500_000;
/// Transactions under way that a scan remembers for each node. At the bound the oldest half is
/// forgotten: their ends are millions of lines away, or not in this log.
pub const TRACE_OPEN_MAX: usize = 1_000_000;
/// Logs that are followed are polled this often.
pub const FOLLOW_EVERY_MS: u64 = 50;
/// ... and new ones are looked for this often.
pub const FOLLOW_FIND_EVERY_MS: u64 = 1_000;
/// A step is shown once it is this old: another node may write an earlier one so much later.
pub const FOLLOW_HOLD_US: i64 = 100_000;
/// Steps that wait for earlier ones; beyond that the oldest does not wait.
pub const FOLLOW_HELD_MAX: usize = 50_000;
/// One read of a log that is followed.
pub const FOLLOW_READ_BYTES_MAX: usize = 256 * 1024;
/// A line of a log that is longer is left out; no node writes one.
pub const FOLLOW_LINE_BYTES_MAX: usize = 64 * 1024;
/// Transactions of an account that `cliente monitor` remembers, to show their other steps.
pub const MONITOR_TRANSACTIONS_MAX: usize = 10_000;
/// `cliente top` reads step logs this often ...
pub const TOP_STEPS_EVERY_MS: u64 = 100;
/// ... and each time so many pieces; where more is left it goes on at the ends of the logs.
pub const TOP_READS_MAX: usize = 16;
/// Requests under way of each bank that `cliente top` remembers.
pub const TOP_OPEN_MAX: usize = 20_000;
/// Samples of which `cliente top` draws the throughput.
pub const TOP_HISTORY_MAX: usize = 600;
/// Candidates for each result of a scan: the log of another node may correct the rank of one.
pub const TRACE_CANDIDATES_PER_RESULT: usize = 4;
/// ... and undecided candidates, at least, whose timelines are made.
pub const TRACE_DOUBTFUL_MAX: usize = 500;
/// How often logs are read that are rotated meanwhile.
pub const TRACE_READS_MAX: usize = 4;
/// Events that a drawing shows; it counts the rest.
pub const DRAWING_ROWS_MAX: usize = 600;
/// A wait of at least this long is marked in a drawing.
pub const DRAWING_WAIT_US_MIN: i64 = 50_000;
/// Characters of a text in a drawing, where there is room.
pub const DRAWING_TEXT_CHARS_MAX: usize = 96;
/// A COMMIT of a client with many transactions waits at most so long for another message to its
/// bank. 64 clients with one transaction each take 4 ms for one, so that nearly all COMMITs find
/// one; with 1 ms few did, and that changed nothing.
pub const COMMIT_WAIT_MS_MAX: u64 = 8;
