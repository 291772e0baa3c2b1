//! Generated fields for tests: any value that a step may hold, in the form that a line preserves.

use super::field::CpfEnd;
use super::ops::LoggedOps;
use super::parts::{Load, LoggedOutcome, OkCount, Ordinal, OtherEnd, ReplySummary, RequestId};
use consorcio_core::access::Name;
use consorcio_core::bank::io::DoubtCause;
use consorcio_core::commit::founding::FoundingId;
use consorcio_core::ids::{AccountNumber, BankId, BankSet, Time, TxId};
use consorcio_core::limits::BANKS_MAX;
use consorcio_core::wire::Reason;
use consorcio_core::wire::token::KeyId;
use consorcio_core::wire::verb::Verb;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use std::net::SocketAddr;
use std::num::NonZeroU64;

/// A field with a strategy that generates it.
pub(super) trait AnyField: Sized + std::fmt::Debug {
    fn any() -> BoxedStrategy<Self>;
}

macro_rules! any {
    ($($kind:ty: $strategy:expr;)*) => {
        $(impl AnyField for $kind {
            fn any() -> BoxedStrategy<$kind> {
                $strategy.boxed()
            }
        })*
    };
}

fn reason() -> impl Strategy<Value = Reason> {
    select(&Reason::ALL[..])
}

fn numbered() -> impl Strategy<Value = NonZeroU64> {
    (1..=u64::MAX).prop_filter_map("not 0", NonZeroU64::new)
}

any! {
    u64: any::<u64>();
    usize: any::<usize>();
    bool: any::<bool>();
    (usize, usize): any::<(usize, usize)>();
    Time: any::<i64>().prop_map(Time);
    Option<Time>: proptest::option::of(Time::any());
    Option<Box<Name>>: proptest::option::of(
        "[a-z][a-z0-9]{0,20}".prop_filter_map("a name", |name| Name::new(&name).ok().map(Box::new)),
    );
    BankId: (0..BANKS_MAX).prop_filter_map("a bank", BankId::new);
    BankSet: vec(BankId::any(), 0..4).prop_map(|banks| banks.into_iter().collect());
    Option<SocketAddr>: proptest::option::of(socket());
    TxId: "[a-z0-9]{1,40}".prop_filter_map("an id", |id| TxId::new(&id).ok());
    Option<TxId>: proptest::option::of(TxId::any());
    // Lines of this version always have their numbers.
    Ordinal: numbered().prop_map(Some);
    Option<RequestId>: (any::<u16>(), numbered()).prop_map(|(port, n)| Some(RequestId { port, n }));
    // Any text, but for spaces around it; `bank=` would be parsed as a column.
    Box<str>: "(n=3 |by=1 |limit |OK |)[ -~éß]{0,30}"
        .prop_filter("no column", |text| !text.trim().starts_with("bank="))
        .prop_filter("no operations", |text| !text.trim().starts_with('['))
        .prop_map(|text| text.trim().into());
    Verb: select(Verb::ALL);
    Option<Verb>: proptest::option::of(Verb::any());
    Reason: reason();
    Option<Reason>: proptest::option::of(reason());
    DoubtCause: select(&super::field::DOUBT_CAUSES[..]);
    AccountNumber: Just(AccountNumber::new("12345-6").unwrap());
    KeyId: any::<[u8; 8]>().prop_map(KeyId);
    FoundingId: any::<[u8; 16]>().prop_map(FoundingId::new);
    CpfEnd: "[0-9]{11}".prop_map(|cpf| CpfEnd::of(&cpf));
    Load: prop_oneof![
        Just(Load::Nothing),
        (any::<usize>(), BankSet::any()).prop_map(|(ops, banks)| Load::Ops(ops, banks)),
        (any::<usize>(), BankSet::any()).prop_map(|(ops, banks)| Load::OpsOutside(ops, banks)),
        any::<usize>().prop_map(Load::Tokens),
    ];
    LoggedOps: prop_oneof![
        Just(LoggedOps::Unnamed),
        "[!-Z^-~ ·]{0,30}".prop_map(|text| LoggedOps::Text(text.into())),
    ];
    OkCount: any::<(usize, usize)>().prop_map(|(oks, banks)| OkCount(oks, banks));
    LoggedOutcome: prop_oneof![
        Time::any().prop_map(LoggedOutcome::Committed),
        (BankId::any(), reason()).prop_map(|(by, reason)| LoggedOutcome::Aborted(by, reason)),
        (Time::any(), proptest::option::of(reason()))
            .prop_map(|(time, refusal)| LoggedOutcome::Outside(time, refusal)),
        BankSet::any().prop_map(LoggedOutcome::Unknown),
        Just(LoggedOutcome::Unreached),
    ];
    ReplySummary: (
        select(&super::phrases::REPLY_WORDS[..]),
        proptest::option::of(BankId::any()),
        Option::<Time>::any(),
        proptest::option::of(reason()),
    )
        .prop_map(|(word, by, time, reason)| ReplySummary { word, by, time, reason });
    Option<ReplySummary>: proptest::option::of(ReplySummary::any());
    OtherEnd: prop_oneof![
        socket().prop_map(OtherEnd::Address),
        (socket(), BankId::any()).prop_map(|(address, bank)| OtherEnd::Link(address, bank)),
        // The list of the tests has names in place of addresses.
        BankId::any().prop_map(OtherEnd::Bank),
    ];
}

fn socket() -> impl Strategy<Value = SocketAddr> {
    let v4 = any::<([u8; 4], u16)>().prop_map(SocketAddr::from);
    let v6 = any::<([u16; 8], u16)>().prop_map(SocketAddr::from);
    prop_oneof![v4, v6]
}
