//! Every bound of the program, in one place.
//!
//! What is past a bound meets a clear refusal or back-pressure, never an unbounded queue. Times
//! carry their unit as the last word of the name.

mod sessions;
mod tools;

pub use sessions::*;
pub use tools::*;

/// Longest line on the wire, requests and replies alike, its `\n` included.
pub const LINE_BYTES_MAX: usize = 64 * 1024;
/// What a list may take of a line, with room for the verb, what is beside the list, and `next`.
pub const LIST_BYTES_MAX: usize = LINE_BYTES_MAX - 2_048;
/// What a refusal quotes of a word that it does not take.
pub const QUOTED_BYTES_MAX: usize = 40;
/// Longest account number, register key and client kind.
pub const NAME_BYTES_MAX: usize = 64;
/// Longest value of a register.
pub const REGISTER_VALUE_BYTES_MAX: usize = 256;
/// Longest name of a client.
pub const CLIENT_NAME_BYTES_MAX: usize = 200;
/// Longest id of a transaction, chosen by its driver.
pub const TX_ID_BYTES_MAX: usize = 64;
/// Most operations in one transaction.
pub const OPS_MAX: usize = 64;
/// Most places in a consortium.
pub const BANKS_MAX: usize = 16;
/// Most holders of one account.
pub const HOLDERS_MAX: usize = 2;
/// Most tokens that one COMMIT or ABORT carries: one a bank.
pub const TOKENS_MAX: usize = BANKS_MAX;

/// Longest patience a transaction may ask for.
pub const PATIENCE_MS_MAX: u32 = 300_000;
/// An outside coordinator that has not voted on its transaction for this long is taken to refuse
/// it.
pub const OUTSIDE_VOTE_MS_MAX: u64 = 300_000;
/// A bank asks the others about an undecided transaction once it is this old.
pub const RESOLVE_AFTER_MS: u64 = 3_000;
/// A driver gives up on a silent bank after this long.
pub const VOTE_TIMEOUT_MS: u64 = 2_000;
/// `cliente` gives a bank this long to connect and to answer, unless `--timeout` says otherwise; to
/// what a bank may wait for itself, `ANSWER_WITHIN_MS` more.
pub const CLIENT_TIMEOUT_MS: u64 = 2_000;
/// A bank that did not answer a client in time is asked within this time whether its disk hangs.
pub const CLIENT_WHY_MS_MAX: u64 = 1_000;
/// Characters that a client quotes of an answer which it can't read.
pub const CLIENT_QUOTED_CHARS_MAX: usize = 60;
/// Connections to one bank that a client keeps for later, unless told otherwise.
pub const CLIENT_IDLE_CONNECTIONS_MAX: usize = 4;
/// Accounts that a load generator opens at once at a bank: two requests each, within
/// `SESSION_REQUESTS_MAX`.
pub const LOAD_SETUP_TOGETHER: u32 = 256;
/// A client of a load generator looks this often whether something is overdue.
pub const LOAD_TICK_MS: u64 = 100;
/// A load generator gives up a bank that answers nothing for this long while it prepares or checks.
pub const LOAD_SILENCE_MS_MAX: u64 = 10_000;
/// A reply that needs other banks, a lock or a cut comes within this time.
pub const ANSWER_WITHIN_MS: u64 = 3_000;
/// Over HTTP a commit is told once the other banks have heard of it, but no later than this after
/// its verdict.
pub const COMMIT_HEARD_MS_MAX: u64 = 500;
/// Over HTTP a read waits this long, at most, for outcomes that the bank is asking the others for.
pub const READ_WAITS_MS_MAX: u64 = 250;
/// A PREPARE or EXECUTE that waited this long before it was first decided is voted NOK `limit`.
pub const QUEUE_WAIT_MS_MAX: u64 = 500;
/// A record that no reply waits for is synced within this time.
pub const LAZY_SYNC_MS_MAX: u64 = 5;
/// A step of the wall clock ahead that is followed at once.
pub const CLOCK_STEP_US_MAX: i64 = 1_000_000;
/// A larger one is caught up where it is at most this; what is more is not followed until a
/// restart.
pub const CLOCK_FOLLOWED_US_MAX: i64 = 24 * 3_600 * 1_000_000;
/// Catching up, a bank's clock runs so many times as fast.
pub const CLOCK_CATCH_UP_RATE: i64 = 60;
/// ... by at most this much time that passed between two readings.
pub const CLOCK_READ_EVERY_US_MAX: i64 = 10_000_000;
/// A bank starts by a wall clock that shows at most this much more than the newest time in its
/// journal: 400 days.
pub const CLOCK_UNUSED_US_MAX: i64 = 400 * 24 * 3_600 * 1_000_000;
/// ... and one with a new journal by a clock at most this far past the release of its version: 20
/// years.
pub const CLOCK_NEW_JOURNAL_US_MAX: i64 = 20 * 365 * 24 * 3_600 * 1_000_000;
/// Commit times that are further than this from the wall clock are told.
pub const CLOCK_TOLD_US_MIN: i64 = CLOCK_STEP_US_MAX;
/// A SNAPSHOT without a proof moves no clock further than this past the wall clock.
pub const SNAPSHOT_AHEAD_MS_MAX: u64 = 1_000;
/// A bank keeps what it needs to answer a cut for this long.
pub const CUT_KEPT_MS: u64 = 60_000;
/// ... and in at most this much memory.
pub const CUT_BYTES_MAX: usize = 256 * 1024 * 1024;
/// What is older is given up this often.
pub const CUT_MARK_EVERY_US: u64 = 1_000_000;

/// Questions under way to one peer.
pub const QUESTIONS_UNDER_WAY_MAX: usize = 512;
/// First wait before a peer that could not be reached is dialled again.
pub const BACKOFF_MS_MIN: u64 = 50;
/// ... and the longest.
pub const BACKOFF_MS_MAX: u64 = 1_000;
/// Each step of making a link, the connection and its two questions, comes within this time: so a
/// lost SYN, which is sent again after a second, or a far bank does not keep a link from being
/// made.
pub const PEER_STEP_MS_MAX: u64 = 3_000;
/// After a start, what concerns other banks waits so long for links to them.
pub const LINKS_WAIT_MS_MAX: u64 = 250;
/// ... and at a bank with a new journal so long for the others to meet it, before it is answered
/// that they have not.
pub const INTRODUCTION_WAIT_MS_MAX: u64 = 500;
/// Messages wait this long for a link that is being made; then they are answered with nothing until
/// it is.
pub const PEER_DIAL_WAIT_MS_MAX: u64 = 1_000;
/// At the end of the process what was sent over a link is answered within this time.
pub const PEER_STOP_MS_MAX: u64 = 1_000;
/// A link's round trip is measured this often.
pub const PEER_PING_MS: u64 = 1_000;
/// A peer is told at most this often of a later vote of its own that this bank knows.
pub const PEER_TELL_MS: u64 = 100;
/// What is put together for one write to a peer.
pub const PEER_WRITE_BYTES_MAX: usize = 256 * 1024;
/// Messages that wait for one peer's link before the oldest is dropped.
pub const PEER_QUEUE_MAX: usize = 16_384;
/// A peer that owes an answer for this long has its link closed.
pub const PEER_SILENCE_MS_MAX: u64 = 3_000;

/// Votes of a peer that it is shown at once: the newest known, and the newest known when the last
/// link ended.
pub const PEER_VOTES_SHOWN_MAX: usize = 2;

/// Sessions of one bank.
pub const SESSIONS_MAX: usize = 10_000;
/// ... of which this many are kept for banks.
pub const SESSIONS_FOR_BANKS: usize = 64;
/// Connections that the kernel holds until they are accepted; it may allow fewer
/// (net.core.somaxconn).
pub const LISTEN_BACKLOG: u32 = 4_096;
/// Unanswered input of one session.
pub const SESSION_INPUT_BYTES_MAX: usize = 1024 * 1024;
/// Unread output of one session.
pub const SESSION_OUTPUT_BYTES_MAX: usize = 1024 * 1024;
/// Unanswered requests of one session.
pub const SESSION_REQUESTS_MAX: usize = 1_024;
/// Input and output of all sessions together.
pub const SESSIONS_BYTES_MAX: usize = 512 * 1024 * 1024;
/// A session that has not taken its replies for this long is closed.
pub const SESSION_UNREAD_MS_MAX: u64 = 30_000;
/// A session that has sent nothing for this long is closed while all places are taken.
pub const SESSION_IDLE_MS_MAX: u64 = 300_000;

/// HTTP connections of one bank.
pub const HTTP_CONNECTIONS_MAX: usize = 1_024;
/// Requests to the bank that HTTP has under way; the next ones wait.
pub const HTTP_ASKS_MAX: usize = 1_024;
/// Lists of the whole bank that HTTP makes at once: each may take much memory.
pub const HTTP_LISTS_MAX: usize = 4;
/// Lists that are made and not read yet, in bytes together; past it the oldest are given up.
pub const HTTP_UNREAD_BYTES_MAX: usize = 256 * 1024 * 1024;
/// ... and each must be taken within this time.
pub const HTTP_LIST_MS_MAX: u64 = 60_000;
/// Pages of one bank that follow it live at once.
pub const HTTP_STREAMS_MAX: usize = 256;
/// ... of which so many for one name or address of the bank, asked for from one address.
pub const HTTP_STREAMS_OF_HOST_MAX: usize = 32;
/// The body of an HTTP request.
pub const HTTP_BODY_BYTES_MAX: usize = 64 * 1024;
/// The head of an HTTP request: its first line and all headers.
pub const HTTP_HEAD_BYTES_MAX: usize = 16 * 1024;
/// The value of `Idempotency-Key`.
pub const HTTP_KEY_BYTES_MAX: usize = 255;
/// Attempts under one key, where those before were refused for passing reasons.
pub const HTTP_KEY_ATTEMPTS_MAX: u32 = 32;
/// Undecided transactions on one page of a list.
pub const HTTP_PENDING_PAGE_MAX: usize = 100;
/// Headers of an HTTP request.
pub const HTTP_HEADERS_MAX: usize = 64;
/// The head of an HTTP request comes within this time, or its connection is closed; so is one that
/// is idle.
pub const HTTP_HEAD_MS_MAX: u64 = 10_000;
/// ... and so does its body.
pub const HTTP_BODY_MS_MAX: u64 = 10_000;
/// An HTTP connection that has not taken a byte of its response for this long is closed.
pub const HTTP_UNREAD_MS_MAX: u64 = 30_000;
/// Another bank that HTTP asks over a line answers within this time.
pub const HTTP_LINE_MS_MAX: u64 = 3_500;
/// A request over HTTP waits so long for the bank, at most.
pub const HTTP_ANSWER_MS_MAX: u64 = 5_000;
/// Prometheus waits so long for the bank's figures; what is not told by then is left out.
pub const HTTP_METRICS_MS_MAX: u64 = 1_000;
/// A bank that does not answer within this time is not ready.
pub const HTTP_READY_MS_MAX: u64 = 2_000;
/// Who was answered 503 or 504 may ask again after this.
pub const HTTP_RETRY_AFTER_S: u16 = 5;
/// At the end of the process HTTP requests under way are answered within this time.
pub const HTTP_SHUTDOWN_MS_MAX: u64 = 4_000;

/// Requests that wait for the bank's writer.
pub const QUEUE_MAX: usize = 16_384;
/// Records in one batch.
pub const BATCH_RECORDS_MAX: usize = 4_096;
/// Bytes in one batch.
pub const BATCH_BYTES_MAX: usize = 1024 * 1024;
/// What one decision takes on of work that grows with what others left behind, such as the
/// transactions of a session that ended or the timers that are due: so many things, each of which
/// makes one record at most. The rest follows in later decisions.
pub const STEP_ITEMS_MAX: usize = 512;
/// ... and so many bytes of records. A single thing may make one record of the longest transaction.
pub const STEP_BYTES_MAX: usize = 3 * LINE_BYTES_MAX;
/// No record of an outcome is longer; one of a vote has its transaction besides.
pub const OUTCOME_RECORD_BYTES_MAX: usize = 384;
/// Outcomes that memory lets go in one tick.
pub const FORGOTTEN_IN_A_TICK_MAX: usize = 4_096;
/// Words that a bank keeps beside a refusal which it took over from another bank.
pub const REFUSAL_TEXT_BYTES_MAX: usize = 1_024;
/// Accounts, or registers, that one page of a cut looks at.
pub const CUT_PAGE_ITEMS_MAX: usize = 2_400;
/// Undecided transactions of one bank.
pub const UNDECIDED_MAX: usize = 1_000_000;
/// ... and their memory.
pub const UNDECIDED_BYTES_MAX: usize = 1024 * 1024 * 1024;
/// Outcomes whose operations stay in memory, for HISTORY.
pub const HISTORY_MAX: usize = 1_000;
/// Outcomes that stay in memory at least, so that repeats are answered without a read.
pub const OUTCOMES_IN_MEMORY_MIN: usize = 65_536;

/// The first journal segment's size. Each later one has twice the size of the one before, up to the
/// full size.
pub const FIRST_SEGMENT_BYTES: u64 = 1024 * 1024;
/// A full journal segment's size.
pub const SEGMENT_BYTES: u64 = 64 * 1024 * 1024;
/// Files of full segments that stay open, and of their indexes, half of them each, so that an old
/// outcome is found when the process may open no more.
pub const JOURNAL_FILES_OPEN_MAX: usize = 256;
/// So many indexes of one tier become one of the next: of each tier a look-up asks fewer than this.
pub const INDEX_FAN_OUT: u64 = 8;
/// Memory of the filters of all indexes: 2 bytes an id. Of those that do not fit, the largest, a
/// page is read instead.
pub const INDEX_FILTER_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Entries that a merge of indexes takes at a time: about 1 MiB, written and synced.
pub const INDEX_MERGE_STEP_ENTRIES: u64 = 64 * 1024;
/// Where the disk has no room for the next segment, and the one in use has no more than this left,
/// a bank takes nothing new.
pub const JOURNAL_LEFT_FOR_NEW_BYTES: u64 = 4 * 1024 * 1024;
/// ... and with no more than this, it does not refuse ids that it never met either: what is left is
/// for outcomes.
pub const JOURNAL_LEFT_FOR_UNKNOWN_BYTES: u64 = 2 * 1024 * 1024;
/// Both are this much more for each undecided transaction: the record of its outcome, in a batch of
/// its own.
pub const OUTCOME_BATCH_BYTES_MAX: u64 = 512;
/// Full segments whose ids wait in memory until their index is made; those of further ones are read
/// from the segment again.
pub const CLOSED_SEGMENTS_IN_MEMORY_MAX: usize = 4;
/// Segments that are ordered from the thread that makes them, and not taken yet.
pub const SEGMENTS_ORDERED_MAX: usize = 4;
/// The appender looks this often whether the next segment is there, or can't be made.
pub const SEGMENT_POLL_MS: u64 = 10;
/// What is written and synced at once of a new segment, so that no append waits long behind it.
pub const SEGMENT_ZEROED_BYTES: u64 = 256 * 1024;
/// What is read of a segment at once.
pub const SEGMENT_WINDOW_BYTES: usize = 1024 * 1024;
/// What is written at once of a file that gets its name when it is whole.
pub const WHOLE_FILE_CHUNK_BYTES: usize = 1024 * 1024;
/// Where there was no room for the next segment, it is tried again this often.
pub const SEGMENT_RETRY_MS: u64 = 1_000;
/// The step log is told at most this often of ids whose records can't be read.
pub const UNREADABLE_TOLD_MS: u64 = 1_000;
/// A sync of the data disk that takes this long is told to the operator.
pub const SLOW_SYNC_MS: u64 = 1_000;
/// Memory of recorded steps that are not written yet; past it steps are counted and dropped.
pub const STEP_MEMORY_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Who records a step waits this long where that memory is full, once; then steps are dropped until
/// some are written.
pub const STEP_ROOM_MS_MAX: u64 = 500;
/// Steps that a watcher may be behind before it is told that some were missed.
pub const STEP_FEED_MAX: usize = 1024;
/// A recorded step is written within this time, so that a reader sees it within 100 ms.
pub const STEP_FLUSH_MS: u64 = 25;
/// A step is written once it is so old, by its own time: until then an older one may come.
pub const STEP_HOLD_MS: i64 = 20;
/// Steps are not held for longer than this, even where their thread keeps an older one.
pub const STEP_HELD_MS_MAX: i64 = 1_000;
/// A step of a session is handed to the step log within this time.
pub const STORY_MS_MAX: u64 = 10;
/// Lines that the step log writes at once.
pub const STEP_CHUNK_BYTES_MAX: usize = 256 * 1024;
/// Words for people in one step.
pub const STEP_TEXT_BYTES_MAX: usize = 400;
/// Flushes of steps that wait for the thread that makes spans of them; more are dropped.
pub const OTEL_BATCHES_MAX: usize = 256;
/// Transactions of which spans are open.
pub const OTEL_TRANSACTIONS_MAX: usize = 10_000;
/// Spans in one request to a collector.
pub const OTEL_SPANS_MAX: usize = 512;
/// Spans are sent this often ...
pub const OTEL_EXPORT_EVERY_MS: u64 = 1_000;
/// ... and a collector has so long for a request.
pub const OTEL_EXPORT_MS_MAX: u64 = 5_000;
/// A collector's answer; one that is longer is an error.
pub const OTEL_ANSWER_BYTES_MAX: usize = 64 * 1024;
/// A transaction of which nothing is heard for so long has its span ended.
pub const OTEL_IDLE_US_MAX: i64 = 10_000_000;
/// Lines of warnings and notices that wait for a slow standard error; more are counted and dropped.
pub const OPERATOR_LINES_MAX: usize = 256;
/// The same of steps that are shown live; their file has them all.
pub const LIVE_STEP_LINES_MAX: usize = 8_192;
/// A step log's file is rotated at this size, unless told otherwise.
pub const STEP_LOG_BYTES_DEFAULT: u64 = 64 * 1024 * 1024;
/// ... and so many older files stay.
pub const STEP_LOG_KEEP_DEFAULT: usize = 8;

/// An orderly end takes at most this long.
pub const SHUTDOWN_MS_MAX: u64 = 10_000;
/// A thread whose end does not come in this time is left behind.
pub const THREAD_END_MS_MAX: u64 = 2_000;
/// A bank is told that time passed when something of it is due, at most this often.
pub const TICK_US: u64 = 10_000;
/// An orderly end that does not come has this long after its deadline; then the process ends.
pub const SHUTDOWN_OVERTIME_MS: u64 = 5_000;
/// At its end a process waits this long for standard error to take the last lines ...
pub const LAST_LINES_MS_MAX: u64 = 500;
/// ... and this long where it was told to end at once.
pub const LAST_LINES_AT_ONCE_MS_MAX: u64 = 100;
/// Signals that wait for the bank.
pub const SIGNALS_MAX: usize = 4;
/// How often the age of the sync under way is read.
pub const SYNC_AGE_CHECK_MS: u64 = 250;

// What must hold between the bounds.
const _: () = {
    assert!(VOTE_TIMEOUT_MS < RESOLVE_AFTER_MS, "a driver gives up before the banks begin to ask");
    assert!(SESSIONS_FOR_BANKS < SESSIONS_MAX);
    // The operations of every transaction fit a list. A quote in a name or value is two bytes of
    // JSON, and 64 is more than the rest of an operation.
    assert!(OPS_MAX * (64 + 2 * NAME_BYTES_MAX + 2 * REGISTER_VALUE_BYTES_MAX) < LIST_BYTES_MAX);
    assert!(LINE_BYTES_MAX <= SESSION_INPUT_BYTES_MAX);
    assert!(LINE_BYTES_MAX <= SESSION_OUTPUT_BYTES_MAX);
    assert!(SEGMENT_BYTES > 2 * BATCH_BYTES_MAX as u64);
    assert!(STEP_ITEMS_MAX * OUTCOME_RECORD_BYTES_MAX <= STEP_BYTES_MAX);
    assert!(
        STEP_ITEMS_MAX < HISTORY_MAX,
        "what one step decides stands in the history when waiters are woken"
    );
    assert!(
        STEP_BYTES_MAX + LINE_BYTES_MAX < BATCH_BYTES_MAX / 2
            && STEP_ITEMS_MAX < BATCH_RECORDS_MAX / 2
    );
    assert!(
        JOURNAL_LEFT_FOR_UNKNOWN_BYTES >= 2 * BATCH_BYTES_MAX as u64,
        "two batches may be on their way"
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
        "a driver hears of a silent address before it gives up"
    );
    assert!(
        STORY_MS_MAX + 2 * STEP_FLUSH_MS + STEP_HOLD_MS.unsigned_abs() <= 80,
        "the rest is for the writing"
    );
    assert!(
        STORY_MS_MAX <= STEP_HOLD_MS.unsigned_abs(),
        "what a session tells comes before its time to be written"
    );
    assert!(HTTP_SHUTDOWN_MS_MAX > ANSWER_WITHIN_MS && HTTP_SHUTDOWN_MS_MAX < SHUTDOWN_MS_MAX);
    assert!(
        HTTP_ANSWER_MS_MAX
            > ANSWER_WITHIN_MS + COMMIT_HEARD_MS_MAX + INTRODUCTION_WAIT_MS_MAX + READ_WAITS_MS_MAX,
        "a bank that answers in time is heard"
    );
    assert!(HTTP_LINE_MS_MAX > ANSWER_WITHIN_MS, "a bank that answers in time is heard");
    assert!(HTTP_SHUTDOWN_MS_MAX > ANSWER_WITHIN_MS + COMMIT_HEARD_MS_MAX);
    assert!(RESOLVE_AFTER_MS <= PATIENCE_MS_MAX as u64);
};
