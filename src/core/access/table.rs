//! The table: which role may do what. One row for each privilege, one column for links, for every
//! name, and for each role.

use super::roles::{Role, Roles};
use crate::wire::request::{Local, Read, Request};
use crate::wire::transaction::{Action, Flow};
use Scope::{All, Consent, No, Own, OwnOrConsent};

/// Something that may be done, as a row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Privilege {
    /// PING, HELP, QUIT and BANKS.
    Talk,
    /// HELLO, which opens a client's connection.
    Greet,
    /// PEER and REGISTERS, which banks alone send.
    Peer,
    /// PREPARE, and each credit in it.
    Credit,
    /// A debit or withdrawal of a PREPARE.
    Draw,
    /// A deposit of a PREPARE.
    Deposit,
    /// A `set` of a PREPARE.
    Set,
    /// EXECUTE; its operations here are those of a PREPARE.
    Execute,
    /// COMMIT and ABORT with tokens that prove the outcome.
    Prove,
    /// COMMIT and ABORT without them, and RESOLVE.
    End,
    /// STATUS of one transaction.
    Status,
    /// CLIENT and ACCOUNT, which register.
    Register,
    /// BALANCE, and ACCOUNTS of one holder.
    Account,
    /// CLIENTS, ACCOUNTS and INFO.
    Lists,
    /// VALUE of a register.
    Value,
    /// HISTORY and PENDING, lists of transactions.
    History,
    /// SNAPSHOT without the word `accounts`.
    Totals,
    /// SNAPSHOT with the word `accounts`.
    Snapshot,
    /// Over HTTP: to register, to take cash in, and to pass it on.
    Cashier,
    /// Over HTTP: to pay cash out, and to move money.
    Move,
    /// Over HTTP: to be an outside coordinator.
    Coordinate,
    /// Over HTTP: the steps of a transaction.
    Steps,
    /// Over HTTP: what the whole bank does.
    Audit,
}

/// How far a privilege reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// To nothing at all.
    No,
    /// To what belongs to the asker: its accounts, its transactions.
    Own,
    /// To what a holder has consented to, or over a link of a trusted bank to what the owner of
    /// the transaction may do here.
    Consent,
    /// To both of these.
    OwnOrConsent,
    /// To everything there is.
    All,
}

impl Scope {
    /// Both of them together.
    #[must_use]
    pub fn or(self, other: Scope) -> Scope {
        match (self, other) {
            (All, _) | (_, All) => All,
            (No, scope) | (scope, No) => scope,
            (Own, Own) => Own,
            (Consent, Consent) => Consent,
            (Own | Consent | OwnOrConsent, Own | Consent | OwnOrConsent) => OwnOrConsent,
        }
    }

    /// Does it reach to what belongs to the asker?
    pub fn has_own(self) -> bool {
        match self {
            Own | OwnOrConsent | All => true,
            No | Consent => false,
        }
    }
}

/// Each row: over a link; every name; then the roles in the order of `Role::ALL`.
fn row(privilege: Privilege) -> [Scope; 7] {
    match privilege {
        //                       link     named    holder        teller   writer   auditor  operator
        Privilege::Talk =>
        /*  */
        {
            [All, All, All, All, All, All, All]
        }
        Privilege::Greet => [No, All, All, All, All, All, All],
        Privilege::Peer => [All, No, No, No, No, No, No],
        Privilege::Credit => [All, All, All, All, All, All, All],
        Privilege::Draw => [Consent, Consent, OwnOrConsent, All, Consent, Consent, All],
        Privilege::Deposit => [Consent, Consent, Consent, All, Consent, Consent, All],
        Privilege::Set => [Consent, Consent, Consent, Consent, All, Consent, All],
        Privilege::Execute => [No, No, All, All, All, No, All],
        Privilege::Prove => [All, All, All, All, All, All, All],
        Privilege::End => [All, Own, Own, Own, Own, Own, All],
        Privilege::Status => [All, Own, Own, All, Own, All, All],
        Privilege::Register => [No, No, No, All, No, No, All],
        Privilege::Account => [No, No, Own, All, No, All, All],
        Privilege::Lists => [No, No, No, All, No, All, All],
        Privilege::Value => [No, No, All, All, All, All, All],
        Privilege::History => [No, Own, Own, All, Own, All, All],
        Privilege::Totals => [All, No, No, No, No, All, All],
        Privilege::Snapshot => [No, No, No, No, No, All, All],
        Privilege::Cashier => [No, No, No, All, No, No, All],
        Privilege::Move => [No, No, OwnOrConsent, All, No, No, All],
        Privilege::Coordinate => [No, No, No, All, No, No, All],
        Privilege::Steps => [No, No, Own, Own, Own, All, All],
        Privilege::Audit => [No, No, No, No, No, All, All],
    }
}

impl Privilege {
    /// The privilege that a request needs; the operations of a PREPARE or EXECUTE need their own,
    /// too.
    pub fn of(request: &Request) -> Privilege {
        match request {
            Request::Prepare(..) => Privilege::Credit,
            Request::Execute(..) => Privilege::Execute,
            Request::Commit(..) | Request::Abort(..) | Request::Resolve(_) => Privilege::End,
            Request::Status(_) => Privilege::Status,
            Request::Client(_) | Request::Account(_) => Privilege::Register,
            Request::Registers { .. } | Request::Local(Local::Peer(_)) => Privilege::Peer,
            Request::Read(read) => match read {
                Read::Balance(_) | Read::Accounts { cpf: Some(_), .. } => Privilege::Account,
                Read::Clients { .. } | Read::Accounts { cpf: None, .. } | Read::Info => {
                    Privilege::Lists
                }
                Read::Value(_) => Privilege::Value,
                Read::History { .. } | Read::Pending { .. } => Privilege::History,
                Read::Snapshot { accounts: false, .. } => Privilege::Totals,
                Read::Snapshot { accounts: true, .. } => Privilege::Snapshot,
            },
            Request::Local(Local::Hello(_)) => Privilege::Greet,
            Request::Local(Local::Ping | Local::Help(_) | Local::Quit | Local::Banks) => {
                Privilege::Talk
            }
        }
    }

    /// The privilege that an operation needs at its bank.
    pub fn of_action(action: &Action) -> Privilege {
        match action {
            Action::Money { flow: Flow::Credit, .. } => Privilege::Credit,
            Action::Money { flow: Flow::Debit | Flow::Withdraw, .. } => Privilege::Draw,
            Action::Money { flow: Flow::Deposit, .. } => Privilege::Deposit,
            Action::Set { .. } => Privilege::Set,
        }
    }

    /// How far it reaches over a link.
    pub fn over_link(self) -> Scope {
        row(self)[0]
    }

    /// How far it reaches for a name with these roles, on its own connection.
    pub fn for_roles(self, roles: Roles) -> Scope {
        let [_, named, by_role @ ..] = row(self);
        let columns = Role::ALL.into_iter().zip(by_role);
        let granted = columns.filter(|(role, _)| roles.has(*role)).map(|(_, scope)| scope);
        granted.fold(named, Scope::or)
    }
}
