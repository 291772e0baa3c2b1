//! Failures of commands: the message for the user, and the exit code.

use super::language::{Lang, lang, say};
use consorcio_client::ClientError;
use consorcio_core::ids::BankId;
use consorcio_core::wire::Reason;
use consorcio_system::config::Consortium;
use consorcio_words::sentences::told;
use consorcio_words::{details, reasons};

/// Why a command failed. The text names the object and, if possible, what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Failure {
    /// A fault of this program, or of its machine.
    #[error("{}", told(.0))]
    Own(String),
    /// The command line is wrong.
    #[error("{}", told(.0))]
    Usage(String),
    /// A bank can't be reached, or went silent.
    #[error("{}", told(.0))]
    NoConnection(String),
    /// A bank's process replies, but its disk does not.
    #[error("{}", told(.0))]
    DiskHangs(String),
    /// A bank refused the request.
    #[error("{}", told(text))]
    Refused {
        /// The reason on the wire, if a bank gave one.
        reason: Option<Reason>,
        text: String,
    },
    /// A transaction was aborted.
    #[error("{}", told(.0))]
    Aborted(String),
    /// A transaction's outcome is not known yet.
    #[error("{}", told(.0))]
    Doubt(String),
    /// The command was interrupted by Ctrl-C.
    #[error("{}", told(.0))]
    Interrupted(String),
}

impl Failure {
    /// The failure of an error of the client of `list`, with a text that says what to do.
    pub(crate) fn of(list: &Consortium, error: ClientError) -> Failure {
        let words = told(&error.to_string());
        match error {
            ClientError::Unreachable { bank, address, why } => {
                Failure::NoConnection(unreachable(list, bank, &address, &told(&why)))
            }
            ClientError::Untrusted { .. } => Failure::NoConnection(words),
            ClientError::DiskHangs { bank, ms } => disk_hangs(bank, ms),
            ClientError::NoBank { bank, address, says } => {
                Failure::NoConnection(no_bank(bank, &address, &says))
            }
            ClientError::OtherBank { bank, address, says } => {
                Failure::Usage(other_bank(bank, &address, &says))
            }
            ClientError::Declined { reason, .. } => {
                Failure::Refused { reason: Some(reason), text: words }
            }
            ClientError::Refused { bank, reason, text } => refused(bank, reason, &text),
            ClientError::NotAsked { .. } => Failure::NoConnection(say!(
                "{words}; is it a bank, and of this version?"
                    / "{words}; é um banco, e desta versão?"
            )),
            ClientError::Unreadable { bank, begins } => Failure::NoConnection(say!(
                "bank {bank} answers what this cliente can't read ({begins:?}); is it a bank, \
                    and of this version?"
                    / "o banco {bank} responde o que este cliente não sabe ler ({begins:?}); é um \
                    banco, e desta versão?"
            )),
            ClientError::NotListed { .. } => Failure::Usage(say!(
                "{words}; positions count from 0" / "{words}; as posições contam de 0"
            )),
            ClientError::ShortList { bank, listed, known } => Failure::Usage(say!(
                "--consortium names {listed} of the consortium's places, and bank {bank} knows \
                    {known}: name all of them, in the banks' order"
                    / "--consortium nomeia {listed} dos lugares do consórcio, e o banco {bank} \
                    conhece {known}: nomeie todos, na ordem dos bancos"
            )),
            ClientError::TwoKeys { .. } => Failure::Usage(say!(
                "{words}: they are not one consortium; give both the same key file"
                    / "{words}: não são um só consórcio; dê aos dois o mesmo arquivo de chave"
            )),
            ClientError::Illegal(text) => Failure::Usage(text),
            ClientError::Aborted { .. } => Failure::Aborted(words),
            ClientError::InDoubt { .. } => Failure::Doubt(words),
            ClientError::NothingDone { .. } => Failure::NoConnection(words),
            ClientError::NoRandomness(_) => Failure::Own(words),
        }
    }

    /// The `code` of the error in `--json`.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Failure::Own(_) => "own-error",
            Failure::Usage(_) => "usage",
            Failure::NoConnection(_) => "no-connection",
            Failure::DiskHangs(_) => "disk-hangs",
            Failure::Refused { .. } => "refused",
            Failure::Aborted(_) => "aborted",
            Failure::Doubt(_) => "not-known-yet",
            Failure::Interrupted(_) => "interrupted",
        }
    }

    /// The state of a bank whose answer is this failure, in one word or two.
    pub(crate) fn state(&self) -> &'static str {
        match self {
            Failure::DiskHangs(_) => "disk hangs",
            Failure::Own(_)
            | Failure::Usage(_)
            | Failure::NoConnection(_)
            | Failure::Refused { .. }
            | Failure::Aborted(_)
            | Failure::Doubt(_)
            | Failure::Interrupted(_) => "offline",
        }
    }

    /// The exit code of the program.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Failure::Own(_) => 1,
            Failure::Usage(_) => 2,
            Failure::NoConnection(_) | Failure::DiskHangs(_) => 3,
            Failure::Refused { .. } | Failure::Aborted(_) => 4,
            Failure::Doubt(_) => 5,
            Failure::Interrupted(_) => 130,
        }
    }
}

/// The failure of a bank's refusal or ERR, with a text of one sentence.
pub(crate) fn refused(bank: BankId, reason: Reason, text: &str) -> Failure {
    let detail = details::in_words(lang(), text);
    let text = match reason {
        Reason::DiskFull => say!(
            "bank {bank}: its data disk is full; nothing was recorded there. Free some space on \
                it, and try again"
                / "banco {bank}: o disco dos dados está cheio; nada foi registrado ali. Libere \
                espaço nele, e tente de novo"
        ),
        Reason::NotIntroduced => say!(
            "nothing was recorded at bank {bank}: {detail}"
                / "nada foi registrado no banco {bank}: {detail}"
        ),
        Reason::InsufficientFunds
        | Reason::UnknownAccount
        | Reason::UnknownClient
        | Reason::NotHolder
        | Reason::Locked
        | Reason::Unbalanced
        | Reason::DuplicateId
        | Reason::AlreadyExists
        | Reason::Malformed
        | Reason::Limit
        | Reason::Expired
        | Reason::Refused
        | Reason::Unreachable
        | Reason::Unreadable
        | Reason::NotAllowed => {
            // The sentence has this reason already.
            let why = match reason {
                Reason::Refused if !detail.is_empty() => detail,
                reason => reason_in_words(reason, text),
            };
            say!("bank {bank} refused: {why}" / "o banco {bank} recusou: {why}")
        }
    };
    Failure::Refused { reason: Some(reason), text }
}

/// A reason with its detail, amounts in reais: `insufficient-funds: account 1 has R$ 5,00 available
/// …`.
pub(crate) fn reason_in_words(reason: Reason, text: &str) -> String {
    let name = match lang() {
        Lang::En => reason.as_str(),
        Lang::Pt => reasons::phrase(reason),
    };
    match details::in_words(lang(), text) {
        detail if detail.is_empty() => name.to_owned(),
        detail => format!("{name}: {detail}"),
    }
}

/// The text for a bank that can't be reached, which says what to do.
pub(crate) fn unreachable(list: &Consortium, bank: BankId, address: &str, why: &str) -> String {
    let start = start_command(list, address);
    say!(
        "bank {bank} at {address} can't be reached ({why}); is it running? Start it with: {start}"
            / "o banco {bank} em {address} não pode ser alcançado ({why}); ele está rodando? \
            Inicie-o com: {start}"
    )
}

/// The command that starts the bank at `address`, without other switches that it may have been
/// started with.
pub(crate) fn start_command(list: &Consortium, address: &str) -> String {
    let (host, port) = address.rsplit_once(':').unwrap_or(("127.0.0.1", address));
    let host = if host == "127.0.0.1" { String::new() } else { format!(" --host {host}") };
    let list = list.to_string();
    let list = match list.as_str() {
        Consortium::DEFAULT => String::new(),
        list => format!(" --consortium {list}"),
    };
    format!("servidor{host} --port {port}{list}")
}

/// The failure of a bank whose disk has not finished a sync for `ms`.
pub(crate) fn disk_hangs(bank: BankId, ms: u64) -> Failure {
    let seconds = ms / 1_000;
    Failure::DiskHangs(say!(
        "bank {bank}: its disk has not answered for {seconds} s; what it holds can be read again \
            once it does"
            / "banco {bank}: o disco não responde há {seconds} s; o que ele guarda pode ser lido \
            de novo quando responder"
    ))
}

/// The text for another bank at a bank's address, which says what to do; `text` is that bank's.
pub(crate) fn other_bank(bank: BankId, address: &str, text: &str) -> String {
    // The rest of the text is about the connection.
    let text = told(text.split(": ").next().unwrap_or(text));
    say!(
        "--consortium is not the banks' own list: it names {address} as bank {bank}, which says: \
            {text}. Nothing was executed there"
            / "--consortium não é a lista dos bancos: ela nomeia {address} como banco {bank}, \
            que diz: {text}. Nada foi executado ali"
    )
}

/// The text for another program at a bank's address, which says what to do; `output` is from that
/// program.
pub(crate) fn no_bank(bank: BankId, address: &str, output: &str) -> String {
    say!(
        "what answers at {address} is no bank (it says {output:?}); --consortium names it as bank \
            {bank}: check the list, and what listens on that port"
            / "o que responde em {address} não é um banco (diz {output:?}); --consortium o \
            nomeia como banco {bank}: confira a lista, e o que escuta nessa porta"
    )
}
