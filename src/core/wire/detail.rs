//! The text beside a reason: every form that a bank writes, and a parser for each.
//!
//! On the wire and in the journal a detail is an English text for people. A program that shows it
//! in other words, such as the panel in Portuguese, parses it strictly: a text that no bank writes
//! is no detail and is shown unchanged. The ledger refuses with these details only, so a `match` on
//! `Detail` covers all of them.

use crate::ids::{AccountNumber, BankId, BankSet, RegisterKey, TaxId, Time, TxId};
use std::fmt;

macro_rules! details {
    (
        fixed { $($fixed:ident = $text:literal;)* }
        filled { $($name:ident = $head:literal $([$field:ident: $type:ty] $after:literal)+;)* }
    ) => {
        /// Why a bank refuses, or has no answer yet. Each variant stands for the text in its
        /// comment.
        #[derive(Debug, Clone, PartialEq, Eq)]
        #[expect(missing_docs, reason = "each field stands in the text of its variant")]
        pub enum Detail {
            $(#[doc = concat!("`", $text, "`")] $fixed,)*
            $(#[doc = concat!("`", $head, $("<", stringify!($field), ">", $after,)+ "`")]
            $name { $($field: $type),+ },)*
        }

        impl fmt::Display for Detail {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(Detail::$fixed => f.write_str($text),)*
                    $(Detail::$name { $($field),+ } => {
                        f.write_str($head)?;
                        $(write!(f, "{}{}", $field, $after)?;)+
                        Ok(())
                    })*
                }
            }
        }

        const FIXED: &[(&str, Detail)] = &[$(($text, Detail::$fixed)),*];

        /// The parsers of the texts with fields, the most specific ones first.
        const FILLED: &[fn(&str) -> Option<Detail>] = &[$(|text| {
            let rest = text.strip_prefix($head)?;
            $(let ($field, rest) = part::<$type>(rest, $after)?;)+
            rest.is_empty().then_some(Detail::$name { $($field),+ })
        }),*];

        #[cfg(any(test, feature = "test-gear"))]
        impl Detail {
            /// One sample of each variant.
            pub fn samples() -> Vec<Detail> {
                vec![
                    $(Detail::$fixed,)*
                    $(Detail::$name { $($field: <$type as Part>::sample()),+ },)*
                ]
            }
        }
    };
}

details! {
    fixed {
        Unbalanced = "debits and credits differ";
        NotEverywhere = "a register is set once at every bank of the consortium, to one value";
        TooManyUndecided = "too many undecided transactions at this bank";
        BankSilent = "a bank was silent, and this one had not voted";
        OtherBytes = "this id was used for other bytes";
        OtherBytesMeanwhile = "the id was used for other bytes meanwhile";
        DroveForOthers = "this bank drove it without a part in it; a bank that it names knows how \
            it ended";
        OtherBytesDriven = "this id is being driven here with other bytes";
        RefusedBefore = "this bank was asked to refuse this id before";
        RefusedForOutside = "it was refused for its outside coordinator";
        NotOutside = "this id was used for a transaction without an outside coordinator";
        OutsideUndecided = "its outside coordinator has not voted; it can, or ABORT refuses for it";
        Busy = "the bank is busy; nothing was sent";
        Unreached = "no named bank can be reached; nothing was sent";
        NotVoted = "this bank has not voted on it";
        NoTokens = "no convincing tokens; this bank asks the others";
        ClockAtEnd = "the clock is at the end of the times that can be told";
        DiskFull = "its data disk is full: it has no room for the next part of its journal, and \
            takes nothing new until there is";
        Unreadable = "what this bank's journal holds of this id can't be read just now, so nobody \
            knows its outcome here; the bank's log names file and offset";
        RegistersUnknown = "this bank does not know its registers yet; it asks the others for them";
        OnLinkAlone = "REGISTERS is asked by a bank, over its link";
        NoPlace = "too many connections, try again later";
        NoProof = "its tokens prove no outcome, and it belongs to another name; nobody is asked";
    }

    filled {
        Invisible = "" [field: SingleWord] " must not hold the invisible character "
            [character: SingleWord] "";
        Untrimmed = "" [field: SingleWord] " must not begin or end with white space";
        Dots = "" [field: SingleWord] " must not be `.` or `..`";
        OwnIdsOnly = "a transaction of " [name: SingleWord] " has an id like "
            [example: SingleWord] "";
        ForeignId = "the link of bank " [bank: BankId] " begins no transaction " [tx: TxId] "";
        NoRightToMove = "" [name: SingleWord] " has no right to " [op: SingleWord]
            " account " [number: AccountNumber] " here";
        NoRightToSet = "" [name: SingleWord] " has no right to set register " [key: RegisterKey]
            " here";
        LinkCredits = "without trust the link of bank " [bank: BankId]
            " takes credits only, and no " [op: SingleWord] "";
        NotOwn = "" [tx: TxId] " belongs to another name than " [name: SingleWord] "";
        NoRight = "" [name: SingleWord] " has no right to " [verb: SingleWord] " here";
        NotMember = "bank " [bank: BankId] " is not in the consortium";
        Follows = "bank " [by: BankId] " refused" [its: RefusalText] "";
        NotNamed = "the transaction does not name this bank, " [bank: BankId] "";
        NotIntroduced = "the journal of this bank is new, so it works alone until it has met bank "
            [banks: Banks] "";
        NoAnswer = "not known yet; no answer from bank " [banks: Banks] "";
        TooManyOps = "more than " [most: usize] " operations";
        RegisterLocked = "register " [key: RegisterKey] " waits for " [tx: TxId] "";
        NoAccount = "no account " [number: AccountNumber] "";
        NotHolder = "" [cpf: TaxId] " does not hold account " [number: AccountNumber] "";
        Short = "account " [number: AccountNumber] " has " [available: i128]
            " centavos available, " [asked: i128] " are asked";
        Full = "account " [number: AccountNumber] " can't hold " [more: i128] " centavos more";
        OtherAccount = "account " [number: AccountNumber]
            " has other holders or another first deposit here";
        BadHolders = "account " [number: AccountNumber] " needs one holder, or two different ones";
        BadDeposit = "deposit " [deposit: i128] " is below zero";
        OtherClient = "client " [cpf: TaxId] " has another name or kind here";
        NoClient = "no client " [cpf: TaxId] "";
        OneIndividual = "" [cpf: TaxId] " already holds the individual account "
            [number: AccountNumber] "";
        ClientsFull = "no more clients than " [most: usize] "";
        AccountsFull = "no more accounts than " [most: usize] "";
        MovesAtMost = "in closed mode an operation moves at most " [most: u64] " centavos";
        ShareFull = "" [name: SingleWord] " has " [most: usize] " undecided transactions here, and \
            may have no more; end one first";
        WaitedLong = "waited longer than " [ms: u64] " ms, the bank is busy";
        NotNewest = "after=" [after: TxId] " is not among the newest " [most: usize] " outcomes";
        CutAhead = "" [time: Time] " is more than a second ahead of this bank's clocks";
        CutTooOld = "this bank keeps cuts from " [oldest: Time] " on";
        NotOutsides = "this " [verb: SingleWord] " is not an outside coordinator's";
        NoOutside = "" [verb: SingleWord] " does not take a transaction of an outside coordinator";
        NotOnLink = "" [verb: SingleWord] " does not go over a link between banks";
        SetsOpen = "" [count: usize] " undecided transactions set a register and do not name bank "
            [bank: BankId] "";
        OfSession = "" [verb: SingleWord] " is answered by the session";
        HeldBy = "" [key: RegisterKey] " by " [tx: TxId] "";
        Named = "" [name: SingleWord] "";
    }
}

impl Detail {
    /// The detail that `text` is; `None` if no bank writes such a text.
    pub fn parse(text: &str) -> Option<Detail> {
        let fixed =
            FIXED.iter().find(|(known, _)| *known == text).map(|(_, detail)| detail.clone());
        fixed.or_else(|| FILLED.iter().find_map(|read| read(text)))
    }
}

/// The text of another bank's refusal; may be empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusalText(pub String);

impl fmt::Display for RefusalText {
    /// With a space before it, unless it is empty.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, " {}", self.0) }
    }
}

/// One word without white space, such as a verb or a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SingleWord(pub String);

impl fmt::Display for SingleWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Positions of banks, separated by commas; may be empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Banks(pub BankSet);

impl fmt::Display for Banks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, bank) in self.0.iter().enumerate() {
            write!(f, "{}{bank}", if at == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

/// A type that can stand for a field of a text.
trait Part: Sized {
    fn read(text: &str) -> Option<Self>;

    #[cfg(any(test, feature = "test-gear"))]
    fn sample() -> Self;
}

/// Parses the field that ends before `after` (an empty `after` is the end of the text), and returns
/// the rest behind it.
fn part<'a, P: Part>(text: &'a str, after: &str) -> Option<(P, &'a str)> {
    let (mine, rest) = if after.is_empty() { (text, "") } else { text.split_once(after)? };
    Some((P::read(mine)?, rest))
}

macro_rules! parts {
    ($($type:ty, $sample:expr, |$text:ident| $read:expr;)*) => {$(
        impl Part for $type {
            fn read($text: &str) -> Option<Self> {
                $read
            }

            #[cfg(any(test, feature = "test-gear"))]
            fn sample() -> Self {
                $sample
            }
        }
    )*};
}

parts! {
    AccountNumber, AccountNumber::new("12345-6").expect("it is legal"),
        |text| AccountNumber::new(text).ok();
    TaxId, TaxId::new("12345678900").expect("it is legal"), |text| TaxId::new(text).ok();
    TxId, TxId::new("t1").expect("it is legal"), |text| TxId::new(text).ok();
    RegisterKey, RegisterKey::new("storage").expect("it is legal"),
        |text| RegisterKey::new(text).ok();
    BankId, BankId::new(1).expect("it is legal"), |text| BankId::new(number(text)?);
    usize, 64, |text| number(text);
    u64, 500, |text| number(text);
    i128, 123_456, |text| number(text);
    Time, Time(1_795_330_616_883_189), |text| number(text).map(Time);
    Banks, Banks([0, 2].into_iter().filter_map(BankId::new).collect()), |text| banks(text);
    SingleWord, SingleWord("RESOLVE".into()), |text| {
        let is_word = !text.is_empty() && !text.contains(char::is_whitespace);
        is_word.then(|| SingleWord(text.to_owned()))
    };
    RefusalText, RefusalText("no account 1-1".into()), |text| match text.strip_prefix(' ') {
        Some(words) => (!words.is_empty()).then(|| RefusalText(words.to_owned())),
        None => text.is_empty().then(|| RefusalText(String::new())),
    };
}

/// A whole number in the one form that banks write: no plus sign, no leading zero.
fn number<N: std::str::FromStr + fmt::Display>(text: &str) -> Option<N> {
    text.parse().ok().filter(|number: &N| number.to_string() == text)
}

fn banks(text: &str) -> Option<Banks> {
    let read: Option<BankSet> = match text {
        "" => Some(BankSet::EMPTY),
        list => list.split(", ").map(BankId::read).collect(),
    };
    read.map(Banks).filter(|banks| banks.to_string() == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_detail_is_parsed_back_from_its_text() {
        for detail in Detail::samples() {
            assert_eq!(Detail::parse(&detail.to_string()), Some(detail.clone()), "{detail}");
        }
        let none = Detail::NoAnswer { banks: Banks(BankSet::EMPTY) };
        assert_eq!(Detail::parse(&none.to_string()), Some(none));
        let bare = Detail::Follows { by: BankId::sample(), its: RefusalText(String::new()) };
        assert_eq!(
            (bare.to_string().as_str(), Detail::parse("bank 1 refused")),
            ("bank 1 refused", Some(bare))
        );
    }

    #[test]
    fn texts_of_the_wire_are_parsed() {
        for text in [
            "account 12345-6 has 79950 centavos available, 500000 are asked",
            "account a's can't hold 7 centavos more",
            "11111111111 already holds the individual account 12345-6",
            "bank 15 is not in the consortium",
            "not known yet; no answer from bank 1, 2",
            "storage by t1",
        ] {
            assert_eq!(Detail::parse(text).map(|detail| detail.to_string()).as_deref(), Some(text));
        }
    }

    #[test]
    fn a_text_that_no_bank_writes_is_no_detail() {
        for text in [
            "",
            "the moon is full",
            "no account",
            "no account a b",
            "account a has +1 centavos available, 2 are asked",
            "account a has 01 centavos available, 2 are asked",
            "account a has 1 centavos available, 2 are asked!",
            "bank 16 is not in the consortium",
            "bank 1 refusedly",
            "bank 1 refused ",
            "not known yet; no answer from bank 2, 1",
            "debits and credits differ ",
        ] {
            assert_eq!(Detail::parse(text), None, "{text}");
        }
    }
}
