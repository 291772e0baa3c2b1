//! Every bound of the program, in one place.
//!
//! Past a bound the answer is a clear refusal or back-pressure, never an unbounded queue. The last
//! word of a name is its unit.

mod http;
mod login;
mod node;
mod sessions;
mod shares;
mod steps;
mod tls;
mod tools;

pub use http::*;
pub use login::*;
pub use node::*;
pub use sessions::*;
pub use shares::*;
pub use steps::*;
pub use tls::*;
pub use tools::*;

/// The longest line on the wire, for requests and replies, including its `\n`.
pub const LINE_BYTES_MAX: usize = 64 * 1024;
/// The part of a line that a list may use; the rest is for the verb, other fields, and `next`.
pub const LIST_BYTES_MAX: usize = LINE_BYTES_MAX - 2_048;
/// How much of a bad word a refusal quotes.
pub const QUOTED_BYTES_MAX: usize = 40;
/// The longest account number, register key and client kind.
pub const NAME_BYTES_MAX: usize = 64;
/// The longest value of a register.
pub const REGISTER_VALUE_BYTES_MAX: usize = 256;
/// The longest name of a client.
pub const CLIENT_NAME_BYTES_MAX: usize = 200;
/// The longest name of a person, a program or a bank.
pub const PRINCIPAL_NAME_BYTES_MAX: usize = 24;
/// The longest id of a transaction, which its driver chooses.
pub const TX_ID_BYTES_MAX: usize = 64;
/// How many names one bank's `access.toml` lists.
pub const ACCESS_NAMES_MAX: usize = 10_000;
/// How many tax numbers one name has there.
pub const ACCESS_CPFS_MAX: usize = 64;
/// The longest `access.toml` that a bank reads.
pub const ACCESS_BYTES_MAX: usize = 4 * 1024 * 1024;
/// The most operations in one transaction.
pub const OPS_MAX: usize = 64;
/// Room for the text of a transfer between two accounts, which most transactions are.
pub const TRANSACTION_BYTES_USUAL: usize = 192;
/// The most positions in a consortium.
pub const BANKS_MAX: usize = 16;
/// The most holders of one account.
pub const HOLDERS_MAX: usize = 2;
/// The most tokens in one COMMIT or ABORT: one for each bank.
pub const TOKENS_MAX: usize = BANKS_MAX;

/// The longest patience that a transaction may have.
pub const PATIENCE_MS_MAX: u32 = 300_000;
/// An outside coordinator that has not voted for this long counts as refusing.
pub const OUTSIDE_VOTE_MS_MAX: u64 = 300_000;
/// A bank asks the others about an undecided transaction after this time.
pub const RESOLVE_AFTER_MS: u64 = 3_000;
/// A driver sends ABORT to a silent bank after this time.
pub const VOTE_TIMEOUT_MS: u64 = 2_000;
/// The time that `cliente` gives a bank to connect and to answer, unless `--timeout` sets another.
/// Requests that make the bank wait get `ANSWER_WITHIN_MS` more.
pub const CLIENT_TIMEOUT_MS: u64 = 2_000;
/// The time to find out whether the disk of a bank hangs that does not answer a client; the end of
/// the time that the bank has to answer.
pub const CLIENT_WHY_MS_MAX: u64 = 500;
/// How many characters a client quotes of an answer that it can't read.
pub const CLIENT_QUOTED_CHARS_MAX: usize = 60;
/// How many idle connections to one bank a client keeps, by default.
pub const CLIENT_IDLE_CONNECTIONS_MAX: usize = 4;
/// How many accounts a load generator opens at once at a bank: two requests each, within
/// `SESSION_REQUESTS_MAX`.
pub const LOAD_SETUP_TOGETHER: u32 = 256;
/// How often a client of a load generator checks for overdue replies.
pub const LOAD_TICK_MS: u64 = 100;
/// A load generator gives up on a bank that is silent for this long during setup or checks.
pub const LOAD_SILENCE_MS_MAX: u64 = 10_000;
/// The time within which a reply comes that needs other banks, a lock or a cut.
pub const ANSWER_WITHIN_MS: u64 = 3_000;
/// HTTP delays COMMITTED until the other banks have acknowledged the commit, but at most for this
/// time after the verdict.
pub const COMMIT_ACKNOWLEDGED_MS_MAX: u64 = 500;
/// HTTP delays a read for outcomes that the bank is asking for, at most for this time.
pub const READ_WAITS_MS_MAX: u64 = 250;
/// A PREPARE or EXECUTE that waited this long before its first decision gets a NOK `limit`.
pub const QUEUE_WAIT_MS_MAX: u64 = 1_000;
/// While the next of them has waited this long, the bank reads no more requests.
pub const QUEUE_FULL_MS: u64 = QUEUE_WAIT_MS_MAX / 8;
/// The time within which a record is synced that no reply waits for.
pub const LAZY_SYNC_MS_MAX: u64 = 5;
/// The largest step ahead of the wall clock that is followed at once.
pub const CLOCK_STEP_US_MAX: i64 = 1_000_000;
/// The largest jump ahead of the wall clock that is caught up; a larger one is ignored until a
/// restart.
pub const CLOCK_FOLLOWED_US_MAX: i64 = 24 * 3_600 * 1_000_000;
/// While it catches up, a bank's clock runs so many times as fast ...
pub const CLOCK_CATCH_UP_RATE: i64 = 60;
/// ... for at most this much time between two readings.
pub const CLOCK_READ_EVERY_US_MAX: i64 = 10_000_000;
/// A bank starts with a wall clock at most this far past the newest time in its journal: 400 days
/// ...
pub const CLOCK_UNUSED_US_MAX: i64 = 400 * 24 * 3_600 * 1_000_000;
/// ... and a bank with a new journal at most this far past the release of its version: 20 years.
pub const CLOCK_NEW_JOURNAL_US_MAX: i64 = 20 * 365 * 24 * 3_600 * 1_000_000;
/// Commit times that are further than this from the wall clock are reported.
pub const CLOCK_REPORTED_US_MIN: i64 = CLOCK_STEP_US_MAX;
/// A SNAPSHOT without a reading moves no clock further than this past the wall clock.
pub const SNAPSHOT_AHEAD_MS_MAX: u64 = 1_000;
/// How long a bank keeps the history that cuts need ...
pub const CUT_KEPT_MS: u64 = 60_000;
/// ... and how much memory that may take.
pub const CUT_BYTES_MAX: usize = 256 * 1024 * 1024;
/// How often older history is dropped.
pub const CUT_MARK_EVERY_US: u64 = 1_000_000;

/// The most unanswered questions to one peer.
pub const QUESTIONS_UNDER_WAY_MAX: usize = 512;
/// The first pause before an unreachable peer is dialled again ...
pub const BACKOFF_MS_MIN: u64 = 50;
/// ... and the longest.
pub const BACKOFF_MS_MAX: u64 = 1_000;
/// The time for each step of opening a link: the connection, and two requests. So a SYN that is
/// lost and sent again after a second, or a distant bank, does not prevent a link.
pub const PEER_STEP_MS_MAX: u64 = 3_000;
/// How long after a start requests that concern other banks wait for links ...
pub const LINKS_WAIT_MS_MAX: u64 = 250;
/// ... and, at a bank with a new journal, how long they wait for its introduction before they are
/// refused.
pub const INTRODUCTION_WAIT_MS_MAX: u64 = 500;
/// How long messages wait for a link that is being opened; then they are answered with nothing.
pub const PEER_DIAL_WAIT_MS_MAX: u64 = 1_000;
/// The time for answers on links at the end of the process.
pub const PEER_STOP_MS_MAX: u64 = 1_000;
/// How often the round trip of a link is measured.
pub const PEER_PING_MS: u64 = 1_000;
/// How often, at most, a peer is sent a later vote of its own that this bank knows.
pub const PEER_NOTIFY_MS: u64 = 100;
/// The most bytes in one write to a peer.
pub const PEER_WRITE_BYTES_MAX: usize = 256 * 1024;
/// How many messages wait for one peer's link; past it the oldest is dropped.
pub const PEER_QUEUE_MAX: usize = 16_384;
/// A link whose peer owes an answer for this long is closed.
pub const PEER_SILENCE_MS_MAX: u64 = 3_000;

/// How many votes of a peer are sent to it at once: the newest known, and the newest known when the
/// last link ended.
pub const PEER_VOTES_SENT_MAX: usize = 2;

/// The most sessions of one bank ...
pub const SESSIONS_MAX: usize = 10_000;
/// ... of which this many are reserved for banks.
pub const SESSIONS_FOR_BANKS: usize = 64;
/// How many connections the kernel queues until they are accepted; it may allow fewer
/// (net.core.somaxconn).
pub const LISTEN_BACKLOG: u32 = 4_096;
/// The unanswered input of one session.
pub const SESSION_INPUT_BYTES_MAX: usize = 1024 * 1024;
/// The unread output of one session.
pub const SESSION_OUTPUT_BYTES_MAX: usize = 1024 * 1024;
/// The unanswered requests of one session.
pub const SESSION_REQUESTS_MAX: usize = 1_024;
/// The input and output of all sessions together.
pub const SESSIONS_BYTES_MAX: usize = 512 * 1024 * 1024;
/// A session that has not read its replies for this long is closed.
pub const SESSION_UNREAD_MS_MAX: u64 = 30_000;
/// A session that has sent nothing for this long is evicted while the session table is full.
pub const SESSION_IDLE_MS_MAX: u64 = 300_000;

/// The HTTP connections of one bank.
pub const HTTP_CONNECTIONS_MAX: usize = 1_024;
/// The unanswered requests of HTTP to its bank; further ones wait.
pub const HTTP_REQUESTS_MAX: usize = 1_024;
/// How many lists of the whole bank HTTP builds at once, since each may take much memory.
pub const HTTP_LISTS_MAX: usize = 4;
/// The memory of lists that are built and not read yet; past it the oldest are dropped ...
pub const HTTP_UNREAD_BYTES_MAX: usize = 256 * 1024 * 1024;
/// ... and each must be read within this time.
pub const HTTP_LIST_MS_MAX: u64 = 60_000;
/// How many pages of one bank can subscribe to events at once ...
pub const HTTP_STREAMS_MAX: usize = 256;
/// ... of which so many for one host name, from one address.
pub const HTTP_STREAMS_OF_HOST_MAX: usize = 32;
/// The longest body of an HTTP request.
pub const HTTP_BODY_BYTES_MAX: usize = 64 * 1024;
/// The longest head of an HTTP request: its first line and all headers.
pub const HTTP_HEAD_BYTES_MAX: usize = 16 * 1024;
/// The longest value of `Idempotency-Key`.
pub const HTTP_KEY_BYTES_MAX: usize = 255;
/// How many attempts under one key are made, if earlier ones were refused for temporary reasons.
pub const HTTP_KEY_ATTEMPTS_MAX: u32 = 32;
/// How many undecided transactions one page lists.
pub const HTTP_PENDING_PAGE_MAX: usize = 100;
/// The most headers of an HTTP request.
pub const HTTP_HEADERS_MAX: usize = 64;
/// The time for the head of an HTTP request; then its connection is closed, as is an idle one ...
pub const HTTP_HEAD_MS_MAX: u64 = 10_000;
/// ... and the time for its body.
pub const HTTP_BODY_MS_MAX: u64 = 10_000;
/// An HTTP connection that has not read a byte of its response for this long is closed.
pub const HTTP_UNREAD_MS_MAX: u64 = 30_000;
/// The time for another bank to answer HTTP over a line.
pub const HTTP_LINE_MS_MAX: u64 = 3_500;
/// How long a request over HTTP waits for the bank in total.
pub const HTTP_ANSWER_MS_MAX: u64 = 5_000;
/// How long Prometheus waits for the bank's figures; later ones are left out.
pub const HTTP_METRICS_MS_MAX: u64 = 1_000;
/// A bank that does not answer within this time is not ready.
pub const HTTP_READY_MS_MAX: u64 = 2_000;
/// The `Retry-After` of a 503 or 504.
pub const HTTP_RETRY_AFTER_S: u16 = 5;
/// The time for unanswered HTTP requests at the end of the process.
pub const HTTP_SHUTDOWN_MS_MAX: u64 = 4_000;

/// How many requests wait for the bank's writer.
pub const QUEUE_MAX: usize = 16_384;
/// The most records in one batch.
pub const BATCH_RECORDS_MAX: usize = 4_096;
/// The most bytes in one batch.
pub const BATCH_BYTES_MAX: usize = 1024 * 1024;
/// How many items one decision processes whose number others determine, such as the transactions of
/// a session that ended or the timers that are due. Each makes one record at most; the rest follows
/// in later decisions ...
pub const STEP_ITEMS_MAX: usize = 512;
/// ... and how many bytes of records. A single item may make one record of the longest transaction.
pub const STEP_BYTES_MAX: usize = 3 * LINE_BYTES_MAX;
/// The longest record of an outcome; that of a vote has its transaction besides.
pub const OUTCOME_RECORD_BYTES_MAX: usize = 384;
/// How many outcomes are dropped from memory in one tick.
pub const FORGOTTEN_IN_A_TICK_MAX: usize = 4_096;
/// How much text a bank keeps of a refusal that it took over from another bank.
pub const REFUSAL_TEXT_BYTES_MAX: usize = 1_024;
/// How many undecided transactions of others one page of PENDING skips, for a name that sees only
/// its own.
pub const PENDING_PAGE_ITEMS_MAX: usize = 1_024;
/// How many accounts, or registers, one page of a cut scans.
pub const CUT_PAGE_ITEMS_MAX: usize = 2_400;
/// How many outcomes keep their operations in memory, for HISTORY.
pub const HISTORY_MAX: usize = 1_000;
/// How many outcomes stay in memory at least, so that repeated requests need no disk read.
pub const OUTCOMES_IN_MEMORY_MIN: usize = 65_536;

/// The size of the first journal segment. Each later one has twice the size of the one before, up
/// to the full size.
pub const FIRST_SEGMENT_BYTES: u64 = 1024 * 1024;
/// The size of a full journal segment.
pub const SEGMENT_BYTES: u64 = 64 * 1024 * 1024;
/// How many files of full segments and of their indexes stay open, half of them each, so that an
/// old outcome is found even if the process may open no more files.
pub const JOURNAL_FILES_OPEN_MAX: usize = 256;
/// So many indexes of one tier are merged into one of the next: a look-up searches fewer than this
/// in each tier.
pub const INDEX_FAN_OUT: u64 = 8;
/// The memory of the filters of all indexes: 2 bytes for each id. For the largest, which do not
/// fit, a page is read instead.
pub const INDEX_FILTER_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// How many entries a merge of indexes processes at a time: about 1 MiB, written and synced.
pub const INDEX_MERGE_STEP_ENTRIES: u64 = 64 * 1024;
/// If the disk has no room for the next segment and the current one has no more than this left, a
/// bank accepts nothing new ...
pub const JOURNAL_LEFT_FOR_NEW_BYTES: u64 = 4 * 1024 * 1024;
/// ... and with no more than this left, it does not refuse unknown ids either: the rest is for
/// outcomes.
pub const JOURNAL_LEFT_FOR_UNKNOWN_BYTES: u64 = 2 * 1024 * 1024;
/// Both grow by this for each undecided transaction: the record of its outcome, in a batch of its
/// own.
pub const OUTCOME_BATCH_BYTES_MAX: u64 = 512;
/// How many full segments keep their ids in memory until their index is written; further ones are
/// read from disk again.
pub const CLOSED_SEGMENTS_IN_MEMORY_MAX: usize = 4;
/// How many segments are prepared and not in use yet.
pub const SEGMENTS_ORDERED_MAX: usize = 4;
/// How often the appender checks whether the next segment is ready, or can't be created.
pub const SEGMENT_POLL_MS: u64 = 10;
/// How much of a new segment is written and synced at once, so that no append waits long behind it.
pub const SEGMENT_ZEROED_BYTES: u64 = 256 * 1024;
/// How much of a segment is read at once.
pub const SEGMENT_WINDOW_BYTES: usize = 1024 * 1024;
/// How much of a file is written at once that is renamed when it is complete.
pub const WHOLE_FILE_CHUNK_BYTES: usize = 1024 * 1024;
/// How much of a snapshot is made at a time, about.
pub const SNAPSHOT_PIECE_BYTES: usize = 64 * 1024;
/// A snapshot is given up when more than this part of the bank's rows was copied for it ...
pub const SNAPSHOT_COPIED_PART_MAX: u64 = 4;
/// ... and more than this.
pub const SNAPSHOT_COPIED_BYTES_MIN: u64 = 16 * 1024 * 1024;
/// Where a snapshot is due, a segment ends once less than this part of it is left.
pub const SEGMENT_END_PART: u64 = 16;
/// How often the next segment is tried again after the disk was full.
pub const SEGMENT_RETRY_MS: u64 = 1_000;
/// The niceness of the thread that maintains full segments.
pub const HISTORY_NICENESS: i32 = 10;
/// How often, at most, unreadable records are logged.
pub const UNREADABLE_LOGGED_MS: u64 = 1_000;
/// A transaction that stays the oldest undecided one for this long is reported to the operator.
pub const DOUBT_REPORTED_MS_MIN: u64 = 5_000;
/// The pause between two looks at the oldest undecided transaction, for the operator.
pub const DOUBT_CHECK_EVERY_MS: u64 = 500;
/// Addresses of clients that are reported to the operator, once each, when they first connect.
pub const NEW_CLIENTS_REPORTED_MAX: usize = 256;
/// A sync of the data disk that takes this long is reported to the operator.
pub const SLOW_SYNC_MS: u64 = 1_000;
/// How many flushes of steps wait for the thread that makes spans; more are dropped.
pub const OTEL_BATCHES_MAX: usize = 256;
/// How many transactions have open spans.
pub const OTEL_TRANSACTIONS_MAX: usize = 10_000;
/// The most spans in one request to a collector.
pub const OTEL_SPANS_MAX: usize = 512;
/// How often spans are sent ...
pub const OTEL_EXPORT_EVERY_MS: u64 = 1_000;
/// ... and the time for a collector's answer.
pub const OTEL_EXPORT_MS_MAX: u64 = 5_000;
/// The longest answer of a collector; a longer one is an error.
pub const OTEL_ANSWER_BYTES_MAX: usize = 64 * 1024;
/// The span of a transaction without any event for this long is ended.
pub const OTEL_IDLE_US_MAX: i64 = 10_000_000;
/// How many warnings and notices wait for a slow standard error; more are counted and dropped.
pub const OPERATOR_LINES_MAX: usize = 256;
/// The same for steps on standard error; their file has all of them.
pub const LIVE_STEP_LINES_MAX: usize = 8_192;

/// The longest time for an orderly shutdown.
pub const SHUTDOWN_MS_MAX: u64 = 10_000;
/// A thread that does not end within this time is abandoned.
pub const THREAD_END_MS_MAX: u64 = 2_000;
/// The shortest time between two ticks of a bank.
pub const TICK_US: u64 = 10_000;
/// How long after the deadline of a shutdown the process is ended by force.
pub const SHUTDOWN_OVERTIME_MS: u64 = 5_000;
/// How long the end of a process waits for standard error to take the last lines ...
pub const LAST_LINES_MS_MAX: u64 = 500;
/// ... and how long if it must end at once.
pub const LAST_LINES_AT_ONCE_MS_MAX: u64 = 100;
/// How many signals wait for the bank.
pub const SIGNALS_MAX: usize = 4;
/// How often the age of the current sync is checked.
pub const SYNC_AGE_CHECK_MS: u64 = 250;

// Relations between the bounds.
const _: () = {
    assert!(VOTE_TIMEOUT_MS < RESOLVE_AFTER_MS, "a driver gives up before the banks begin to ask");
    assert!(SESSIONS_FOR_BANKS < SESSIONS_MAX);
    // The operations of every transaction fit a list: a quote in a name or value takes two bytes in
    // JSON, and 64 is more than the rest of an operation.
    assert!(OPS_MAX * (64 + 2 * NAME_BYTES_MAX + 2 * REGISTER_VALUE_BYTES_MAX) < LIST_BYTES_MAX);
    assert!(LINE_BYTES_MAX <= SESSION_INPUT_BYTES_MAX);
    assert!(LINE_BYTES_MAX <= SESSION_OUTPUT_BYTES_MAX);
    assert!(SEGMENT_BYTES > 2 * BATCH_BYTES_MAX as u64);
    assert!(STEP_ITEMS_MAX * OUTCOME_RECORD_BYTES_MAX <= STEP_BYTES_MAX);
    assert!(
        STEP_ITEMS_MAX < HISTORY_MAX,
        "all outcomes of one decision are in the history when waiters are woken"
    );
    assert!(
        STEP_BYTES_MAX + LINE_BYTES_MAX < BATCH_BYTES_MAX / 2
            && STEP_ITEMS_MAX < BATCH_RECORDS_MAX / 2
    );
    assert!(
        JOURNAL_LEFT_FOR_UNKNOWN_BYTES >= 2 * BATCH_BYTES_MAX as u64,
        "two batches may be unwritten"
    );
    assert!(
        OUTCOME_BATCH_BYTES_MAX >= OUTCOME_RECORD_BYTES_MAX as u64 + 64,
        "two headers and the padding"
    );
    assert!(
        JOURNAL_LEFT_FOR_NEW_BYTES >= JOURNAL_LEFT_FOR_UNKNOWN_BYTES + 2 * BATCH_BYTES_MAX as u64
    );
    assert!(BANKS_MAX <= 16, "a set of banks is 16 bits");
    assert!(
        PEER_DIAL_WAIT_MS_MAX < VOTE_TIMEOUT_MS,
        "a driver learns of a silent address before it times out"
    );
    assert!(
        STEP_HANDOVER_MS_MAX + 2 * STEP_FLUSH_MS + STEP_HOLD_MS.unsigned_abs() <= 80,
        "the rest is for writing"
    );
    assert!(
        STEP_HANDOVER_MS_MAX <= STEP_HOLD_MS.unsigned_abs(),
        "a session passes a step on before it is due to be written"
    );
    assert!(HTTP_SHUTDOWN_MS_MAX > ANSWER_WITHIN_MS && HTTP_SHUTDOWN_MS_MAX < SHUTDOWN_MS_MAX);
    assert!(
        HTTP_ANSWER_MS_MAX
            > ANSWER_WITHIN_MS
                + COMMIT_ACKNOWLEDGED_MS_MAX
                + INTRODUCTION_WAIT_MS_MAX
                + READ_WAITS_MS_MAX,
        "HTTP outlasts the bank's longest answer"
    );
    assert!(HTTP_LINE_MS_MAX > ANSWER_WITHIN_MS, "HTTP outlasts the bank's longest answer");
    assert!(HTTP_SHUTDOWN_MS_MAX > ANSWER_WITHIN_MS + COMMIT_ACKNOWLEDGED_MS_MAX);
    assert!(RESOLVE_AFTER_MS <= PATIENCE_MS_MAX as u64);
};
