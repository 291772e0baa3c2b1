//! The verbs: one table, from which their names, their kinds and HELP are generated.

use std::fmt;

/// What a verb is about, for code that treats all verbs of one kind alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VerbKind {
    /// One transaction, named by its id.
    Transaction,
    /// Registers a client or an account.
    Registration,
    /// Reads the bank's books.
    Read,
    /// Sent by one bank to another; rejected from clients.
    Link,
    /// Answered by the session, without the bank.
    Local,
}

macro_rules! verbs {
    ($($verb:ident $name:literal $kind:ident $form:literal $brief:literal $more:literal;)+) => {
        /// The first word of a request.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Verb {
            $(#[doc = concat!("`", $name, "`")] $verb,)+
        }

        impl Verb {
            /// All verbs, in the order of HELP.
            pub const ALL: &[Verb] = &[$(Verb::$verb,)+];

            /// The verb as it is typed.
            pub fn name(self) -> &'static str {
                match self {
                    $(Verb::$verb => $name,)+
                }
            }

            /// What the verb is about.
            pub fn kind(self) -> VerbKind {
                match self {
                    $(Verb::$verb => VerbKind::$kind,)+
                }
            }

            /// The words after it, as HELP shows them; empty if there are none.
            pub(in crate::wire) fn form(self) -> &'static str {
                match self {
                    $(Verb::$verb => $form,)+
                }
            }

            /// What it does, for its line in the list of HELP.
            pub(in crate::wire) fn brief(self) -> &'static str {
                match self {
                    $(Verb::$verb => $brief,)+
                }
            }

            /// What a person must know to type it: paragraphs, one a line.
            pub(in crate::wire) fn more(self) -> &'static str {
                match self {
                    $(Verb::$verb => $more,)+
                }
            }
        }
    };
}

verbs! {
    Prepare "PREPARE" Transaction "<tx> <transaction>"
        "asks for this bank's vote on a transaction"
        "Replies: OK <tx> <token>, or NOK <tx> <token> <reason> [text].\n\
        <tx> is 1 to 64 of A-Z a-z 0-9 . _ -, new for each transaction; a NOK uses it up.\n\
        The transaction is the same JSON at every bank it names. op is debit, credit, deposit, \
        withdraw or set; amount is in centavos; debits and credits must balance; cpf may be given \
        and must then be a holder. A register is set once at every bank, to one value.\n\
        By hand, type the same line in one window for each bank, then COMMIT t1 in one of them:\n\
        PREPARE t1 {\"ops\":[{\"bank\":0,\"op\":\"debit\",\"account\":\"12345-6\",\
        \"amount\":20000},{\"bank\":1,\"op\":\"credit\",\"account\":\"78910-0\",\
        \"amount\":20000}],\"patience_ms\":60000}\n\
        Without patience_ms (at most 300000) the second window has 3 s, and closing a window ends \
        the wait at once: then the banks find the outcome by themselves.\n\
        A PREPARE of one bank alone can only commit: its OK is the decision.\n\
        Reasons: insufficient-funds unknown-account unknown-client not-holder locked unbalanced \
        duplicate-id already-exists malformed limit expired refused unreachable not-introduced \
        disk-full unreadable not-allowed";
    Commit "COMMIT" Transaction "<tx> [<token> ...]"
        "commits a transaction that every bank voted OK on"
        "With every bank's OK token it commits at once. COMMIT without tokens runs the \
        termination: this bank asks the others, and before the last PREPARE it aborts.\n\
        Replies: COMMITTED <tx> <time> <token>, ABORTED <tx> <token> <reason>, or DOUBT <tx> \
        <text>.\n\
        A bank that learned an outcome by asking sends it on to the others.";
    Abort "ABORT" Transaction "<tx> [<token>]"
        "refuses a transaction that is not committed yet"
        "Without a token it refuses if this bank has not voted; if it has, it asks the others. \
        With one bank's NOK token it aborts.\n\
        Replies: ABORTED, COMMITTED or DOUBT. It ends a patience at any time.";
    Resolve "RESOLVE" Transaction "<tx>"
        "this bank's vote or the outcome; it refuses if it has not voted"
        "Replies: OK, ABORTED or COMMITTED.\n\
        RESOLVE t1 refuses where the bank has not voted, for ever; STATUS t1 only looks. RESOLVE \
        at a prepared bank asks nobody; COMMIT without tokens does.";
    Status "STATUS" Transaction "<tx>"
        "this bank's vote or the outcome; it changes nothing"
        "Replies: UNKNOWN, OK, ABORTED or COMMITTED.";
    Execute "EXECUTE" Transaction "<tx> <transaction>"
        "this bank drives the transaction at all the banks it names"
        "The transaction is that of PREPARE; see HELP PREPARE.\n\
        Replies: COMMITTED, ABORTED or DOUBT.";
    Client "CLIENT" Registration "<client>"
        "registers a client"
        "The same again changes nothing. For example:\n\
        CLIENT {\"cpf\":\"12345678900\",\"name\":\"Pessoa 1\",\"kind\":\"Físico\"}";
    Account "ACCOUNT" Registration "<account>"
        "opens an account"
        "The same again changes nothing. The deposit is in centavos, and may be left out. For \
        example:\n\
        ACCOUNT {\"number\":\"12345-6\",\"holders\":[\"12345678900\"],\"deposit\":100000}";
    Clients "CLIENTS" Read "[after=<cpf>]"
        "the clients of this bank"
        "A list that does not fit in a line ends with {\"next\":...}: ask again with after=.";
    Accounts "ACCOUNTS" Read "[cpf] [after=<number>]"
        "the accounts of this bank, or of one holder"
        "A list that does not fit in a line ends with {\"next\":...}: ask again with after=.";
    Balance "BALANCE" Read "<number>"
        "balance, held, available and incoming of an account"
        "Amounts are in centavos.";
    Value "VALUE" Read "[key]"
        "a register; storage where none is named"
        "It waits while an undecided transaction locks the register, 3 s at most.";
    History "HISTORY" Read "[n] [after=<tx>]"
        "the newest outcomes, newest first"
        "The newest 1000 are kept; n is how many to show.";
    Pending "PENDING" Read "[after=<tx>]"
        "undecided transactions, and the banks that keep them so"
        "A bank whose vote is missing is in waiting_for.";
    Banks "BANKS" Local ""
        "the consortium, and which banks are online"
        "Each position has its address, and the state of this bank's link to it.";
    Info "INFO" Read ""
        "this bank in numbers"
        "Sums are in centavos; time is this bank's commit time in microseconds since 1970.";
    Snapshot "SNAPSHOT" Read "[<time> [<reading>]] [accounts] [after=<key>]"
        "this bank's totals as of a commit time"
        "With accounts also each balance and register. A time that is ahead of this bank needs \
        another bank's reading, from its INFO.";
    Registers "REGISTERS" Link "<bank> <nonce> [after=<key>]"
        "between banks: the registers, for a bank that comes later"
        "A bank sends it over its link; it is refused from a client.";
    Peer "PEER" Local "<hello>"
        "between banks: opens a link"
        "Only a program that holds the consortium's key can open one.";
    Hello "HELLO" Local "{\"bank\":0,\"places\":3,\"version\":1}"
        "says which bank a client means; another bank closes"
        "A client's first line, which a person may leave out. places is how many banks the \
        client's list has.";
    Ping "PING" Local ""
        "answered with PONG"
        "It has no other effect.";
    Help "HELP" Local "[verb]"
        "this list, or all about one verb"
        "The one request whose reply has several lines: they begin with HELP, and DONE ends them.";
    Quit "QUIT" Local ""
        "ends the connection, after all earlier replies"
        "Answered with BYE.";
}

impl Verb {
    /// Whether banks alone send it: it is left out of the list of HELP.
    pub(in crate::wire) fn is_between_banks(self) -> bool {
        matches!(self, Verb::Registers | Verb::Peer)
    }

    /// Reads a verb from a word; `None` if there is no such verb. Verbs are in upper case.
    pub fn read(word: &str) -> Option<Verb> {
        Verb::ALL.iter().copied().find(|verb| verb.name() == word)
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
