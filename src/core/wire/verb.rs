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
    ($($verb:ident $name:literal $kind:ident $help:literal;)+) => {
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

            /// Its line of HELP: its form, and what it does.
            pub fn help(self) -> &'static str {
                match self {
                    $(Verb::$verb => $help,)+
                }
            }
        }
    };
}

verbs! {
    Prepare "PREPARE" Transaction
        "PREPARE <tx> <transaction>: asks for this bank's vote; OK <tx> <token> or NOK <tx> \
        <token> <reason> [text]";
    Commit "COMMIT" Transaction
        "COMMIT <tx> [<token> ...]: with every bank's OK token it commits at once, without them \
        this bank asks the others; COMMITTED <tx> <time> <token>, ABORTED <tx> <token> <reason> \
        or DOUBT <tx> <text>";
    Abort "ABORT" Transaction
        "ABORT <tx> [<token>]: refuses if this bank has not voted; after that it needs one bank's \
        NOK token, or this bank asks the others; ABORTED, COMMITTED or DOUBT";
    Resolve "RESOLVE" Transaction
        "RESOLVE <tx>: this bank's vote or the outcome; a bank that has not voted refuses for \
        ever; OK, ABORTED or COMMITTED";
    Status "STATUS" Transaction
        "STATUS <tx>: as RESOLVE, but only looks and changes nothing; UNKNOWN, OK, ABORTED or \
        COMMITTED";
    Execute "EXECUTE" Transaction
        "EXECUTE <tx> <transaction>: this bank drives the transaction at all its banks; \
        COMMITTED, ABORTED or DOUBT";
    Client "CLIENT" Registration
        "CLIENT {\"cpf\":\"12345678900\",\"name\":\"Pessoa 1\",\"kind\":\"Físico\"}: registers a \
        client";
    Account "ACCOUNT" Registration
        "ACCOUNT {\"number\":\"12345-6\",\"holders\":[\"12345678900\"],\"deposit\":100000}: opens \
        an account; deposit in centavos, may be left out";
    Clients "CLIENTS" Read
        "CLIENTS [after=<cpf>]: the clients of this bank";
    Accounts "ACCOUNTS" Read
        "ACCOUNTS [cpf] [after=<number>]: the accounts of this bank, or of one holder";
    Balance "BALANCE" Read
        "BALANCE <number>: balance, held, available and incoming of an account, in centavos";
    Value "VALUE" Read
        "VALUE [key]: a register, storage where none is named; waits while an undecided \
        transaction locks it";
    History "HISTORY" Read
        "HISTORY [n] [after=<tx>]: the newest outcomes, newest first";
    Pending "PENDING" Read
        "PENDING [after=<tx>]: transactions undecided here, and the banks that keep them so";
    Banks "BANKS" Local
        "BANKS: the consortium, and who is online";
    Info "INFO" Read
        "INFO: this bank in numbers";
    Snapshot "SNAPSHOT" Read
        "SNAPSHOT [<time> [<reading>]] [accounts] [after=<key>]: the bank's totals as of that \
        commit time, with accounts also each balance and register; a time that is ahead of this \
        bank needs another bank's reading, from its INFO";
    Registers "REGISTERS" Link
        "REGISTERS <bank> <nonce> [after=<key>]: a bank that comes later asks for the registers, \
        over its link";
    Peer "PEER" Local
        "PEER ...: opens a link between banks";
    Hello "HELLO" Local
        "HELLO {\"bank\":0,\"places\":3,\"version\":1}: a client's first line, says which bank it \
        means; another bank answers ERR and closes";
    Ping "PING" Local
        "PING: PONG";
    Help "HELP" Local
        "HELP: this";
    Quit "QUIT" Local
        "QUIT: BYE, and the connection closes";
}

impl Verb {
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
