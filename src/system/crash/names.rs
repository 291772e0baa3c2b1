//! The parts of which the names of crash points consist. `points` maps the core's types to them.

macro_rules! names {
    ($(#[$doc:meta])* $what:ident: $($item:ident $name:literal $means:literal)+) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $what {
            $(#[doc = $means] $item,)+
        }

        impl $what {
            /// Every value, in the order above.
            pub const ALL: &[$what] = &[$($what::$item,)+];

            /// Its name in those of points.
            pub fn name(self) -> &'static str {
                match self {
                    $($what::$item => $name,)+
                }
            }
        }
    };
}

names! {
    /// A kind of durable record; a vote, an outcome and an outside vote that say yes are others
    /// than those that say no.
    RecordKind:
    Mark "mark" "No record: how far those before were synced."
    Consortium "consortium" "The consortium's list."
    VotedOk "voted-ok" "A vote OK."
    VotedNok "voted-nok" "A vote NOK on a transaction's bytes."
    Refused "refused" "A refusal of an id alone."
    Committed "committed" "The outcome of a vote OK: committed."
    Aborted "aborted" "The outcome of a vote OK: aborted."
    Executed "executed" "Vote and commit in one."
    ClientAdded "client" "A client."
    AccountOpened "account" "An account."
    ClockMoved "clock" "The clock, moved for a cut."
    Stopped "stopped" "This bank forgot a promise."
    KeyKnown "key" "The consortium's key, by its id."
    RegistersLearned "registers" "Registers that another bank told."
    Founded "founded" "The founding id of the journal."
    Met "met" "Another bank's founding id."
    Introduced "introduced" "All other banks have met this one."
    OutsideCommitted "outside-committed" "An outside coordinator's OK."
    OutsideAborted "outside-aborted" "An outside coordinator's NOK."
    DroveCommitted "drove-committed" "What was driven without a part in it: committed."
    DroveAborted "drove-aborted" "The same: aborted."
}

names! {
    /// How far a batch is on its way to the disk.
    Stage:
    Decided "decided" "Nothing of it is written."
    Torn "torn" "Half of it is written."
    Written "written" "It is written, and not synced."
    Synced "synced" "It is synced; what waited for it has not left."
}

names! {
    /// What a bank replies.
    ReplyPoint:
    Ok "ok" "`OK`"
    Nok "nok" "`NOK`"
    Committed "committed" "`COMMITTED`"
    Aborted "aborted" "`ABORTED`, for a vote."
    Tombstone "tombstone" "`ABORTED`, for a refusal of the id alone."
    Doubt "doubt" "`DOUBT`"
    Unknown "unknown" "`UNKNOWN`"
    Registration "registration" "`DONE`, for a client that was registered."
    Cut "cut" "`DONE`, to SNAPSHOT."
    Welcome "welcome" "`DONE`, to the first PEER of a link."
    Seen "seen" "`DONE`, to any other PEER."
    Registers "registers" "`DONE`, to REGISTERS."
    Done "done" "`DONE`, to all else."
    Refused "refused" "`REFUSED`"
    Err "err" "`ERR`"
    Pong "pong" "`PONG`"
    Bye "bye" "`BYE`"
}

names! {
    /// What `cliente` asks of a bank.
    ClientRequestPoint:
    Prepare "prepare" "`PREPARE`"
    Commit "commit" "`COMMIT`, as a driver or by `cliente resolve`."
    Abort "abort" "`ABORT`"
    Execute "execute" "`EXECUTE`"
    Registration "registration" "`CLIENT` or `ACCOUNT`"
    Question "question" "What changes nothing."
}

names! {
    /// A step that is neither a record's nor a message's.
    Step:
    RecoveryBegun "recovery-begun" "The journal is about to be read."
    RecoveryRead "recovery-read" "The journal was read; the bank has not begun to work."
    Started "started" "The bank knows what it left undecided, and its questions wait."
    SegmentWritten "segment-written" "The next segment is zeroed, and has not its name."
    SegmentNamed "segment-named" "The next segment has its name, and its folder is not synced."
    SegmentRolled "segment-rolled" "A segment is full, and nothing is written to the next."
    IndexWritten "index-written" "A full segment's index is written, and has not its name."
    IndexNamed "index-named" "A full segment's index has its name."
    MergeWritten "merge-written" "The merged index of segments is written, and has not its name."
    MergeNamed "merge-named" "It has its name, and its folder is not synced."
    MergeUsed "merge-used" "It is in use; those that it was made of are still there."
    MergeRemoved "merge-removed" "One of those that it was made of is removed."
    SnapshotWritten "snapshot-written" "A snapshot is written, and has not its name."
    SnapshotNamed "snapshot-named" "A snapshot has its name; those that it replaces are there."
    LinkDialled "link-dialled" "A bank is connected to another, and has said nothing."
    LinkOpen "link-open" "A link is open, and nothing was sent over it."
    HttpAnswering "http-answering" "The answer to a route is made, and has not left."
    HttpAnswered "http-answered" "HTTP has written to a socket."
    ClientConnected "client-connected" "`cliente` is connected to a bank of a transaction."
    ClientReady "client-ready" "`cliente` is connected to all of them, and has sent nothing."
    ClientAllOk "client-all-ok" "`cliente` has the last OK, and has sent no COMMIT."
}
