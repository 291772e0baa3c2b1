//! The table of events: for each step the word of its event, its columns and its fields, in the
//! order of the line. The writer and the reader are generated from it, so they cannot differ.

use super::field::{FieldOut, LineField, TextKind, kind_of};
use super::parts::OtherEnd;
use super::reader::FieldReader;
use super::step::Step;
use consorcio_core::ids::{BankId, TxId};

/// The columns of a line that depend on its step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Columns<'a> {
    pub(super) tx: Option<&'a TxId>,
    pub(super) peer: Option<OtherEnd>,
}

/// A transaction id in its column.
trait TxColumn: Sized {
    fn get(&self) -> Option<&TxId>;
    fn read(tx: Option<TxId>) -> Option<Self>;
}

impl TxColumn for TxId {
    fn get(&self) -> Option<&TxId> {
        Some(self)
    }

    fn read(tx: Option<TxId>) -> Option<TxId> {
        tx
    }
}

impl TxColumn for Option<TxId> {
    fn get(&self) -> Option<&TxId> {
        self.as_ref()
    }

    fn read(tx: Option<TxId>) -> Option<Option<TxId>> {
        Some(tx)
    }
}

/// The other end of a connection in its column.
trait PeerColumn: Sized {
    fn get(&self) -> OtherEnd;
    fn read(peer: Option<OtherEnd>) -> Option<Self>;
}

impl PeerColumn for OtherEnd {
    fn get(&self) -> OtherEnd {
        *self
    }

    fn read(peer: Option<OtherEnd>) -> Option<OtherEnd> {
        peer
    }
}

/// A bank that this node sent a request to.
impl PeerColumn for BankId {
    fn get(&self) -> OtherEnd {
        OtherEnd::Bank(*self)
    }

    fn read(peer: Option<OtherEnd>) -> Option<BankId> {
        match peer? {
            OtherEnd::Bank(bank) | OtherEnd::Link(_, bank) => Some(bank),
            OtherEnd::Address(_) => None,
        }
    }
}

/// The pattern `((((), a), b), c)` for the names `a b c` of a row.
#[cfg(test)]
macro_rules! nested {
    ($inner:tt) => { $inner };
    ($inner:tt $next:ident $($rest:ident)*) => { nested!(($inner, $next) $($rest)*) };
}

/// The value, once for each name.
#[cfg(test)]
macro_rules! next {
    ($name:ident $value:expr) => {
        $value
    };
}

/// One row for each step: `Variant "event" [column] [fields]`. A field has the name or the number
/// that it has in the variant, a name for this table, and its `name=` in the line.
macro_rules! events {
    ($(
        $variant:ident $event:literal
        [$(tx = $tx_at:tt $tx:ident)? $(,)? $(peer = $peer_at:tt $peer:ident)?]
        [$($at:tt $field:ident $($name:literal)?),*];
    )*) => {
        impl Step {
            /// The words of all events.
            pub const EVENTS: &[&str] = &[$($event),*];

            /// The word of the event in the line.
            pub fn event(&self) -> &'static str {
                match self {
                    $(Step::$variant { .. } => $event,)*
                }
            }

            /// The transaction that the step concerns.
            pub fn tx(&self) -> Option<&TxId> {
                self.columns().tx
            }

            /// The other end of the connection.
            pub fn peer(&self) -> Option<OtherEnd> {
                self.columns().peer
            }

            pub(super) fn columns(&self) -> Columns<'_> {
                match self {
                    $(Step::$variant { $($tx_at: $tx,)? $($peer_at: $peer,)? .. } => {
                        let tx: &[Option<&TxId>] = &[$(TxColumn::get($tx))?];
                        let peer: &[OtherEnd] = &[$(PeerColumn::get($peer))?];
                        Columns {
                            tx: tx.first().copied().flatten(),
                            peer: peer.first().copied(),
                        }
                    })*
                }
            }

            /// Appends the fields, which follow the columns of a line with the time `at_us`.
            pub(crate) fn write_fields(&self, at_us: i64, out: &mut Vec<u8>) {
                let out = &mut FieldOut::new(out, Some(at_us));
                match self {
                    $(Step::$variant { $($at: $field,)* .. } => {
                        $(LineField::write($field, concat!("" $(, $name)?), out);)*
                    })*
                }
            }

            /// Passes each field to `each`: its name in this table, and its text with whole times.
            pub(super) fn each_field(&self, mut each: impl FnMut(&str, TextKind, &str)) {
                match self {
                    $(Step::$variant { $($at: $field,)* .. } => {
                        $({
                            let mut bytes = Vec::new();
                            let out = &mut FieldOut::new(&mut bytes, None);
                            LineField::write($field, concat!("" $(, $name)?), out);
                            let text = String::from_utf8_lossy(&bytes);
                            each(stringify!($field), kind_of($field), &text);
                        })*
                    })*
                }
            }

            /// Reads a step from the columns and fields of a line. `None` for an event that this
            /// version does not have, or has in another form.
            pub(super) fn read(
                event: &str,
                tx: Option<TxId>,
                peer: Option<OtherEnd>,
                mut words: FieldReader<'_>,
            ) -> Option<Step> {
                let step = match event {
                    $($event => Step::$variant {
                        $($tx_at: TxColumn::read(tx)?,)?
                        $($peer_at: PeerColumn::read(peer)?,)?
                        $($at: LineField::read(concat!("" $(, $name)?), &mut words)?,)*
                    },)*
                    _ => return None,
                };
                Some(step)
            }
        }

        /// Whether a line of this event may name the bank at the other end, after the address.
        /// Events that this version does not know may.
        pub(super) fn has_other_end(event: &str) -> bool {
            match event {
                $($event => !concat!("" $(, stringify!($peer))?).is_empty(),)*
                _ => true,
            }
        }

        /// Every event of the table, with a strategy that generates its steps.
        #[cfg(test)]
        pub(super) fn any_step() -> Vec<(&'static str, proptest::strategy::BoxedStrategy<Step>)> {
            use super::arbitrary::AnyField;
            use proptest::strategy::{Just, Strategy};
            vec![$(($event, {
                let made = Just(());
                $(let made = (made, next!($tx AnyField::any()));)?
                $(let made = (made, next!($peer AnyField::any()));)?
                $(let made = (made, next!($field AnyField::any()));)*
                made.prop_map(|nested!(() $($tx)? $($peer)? $($field)*)| Step::$variant {
                    $($tx_at: $tx,)? $($peer_at: $peer,)? $($at: $field,)*
                })
                .boxed()
            }),)*]
        }
    };
}

events! {
    Start "start" [] [0 words];
    Node "node" [] [0 words];
    Ready "ready" [] [0 words];
    Recover "recover" [] [
        records records "records=", seq seq "seq=", undecided undecided "undecided=",
        took_us took_us "took_us=", text text
    ];
    Connect "connect" [peer = 0 peer] [1 from "from="];
    Disconnect "disconnect" [peer = 0 peer] [1 why];
    Receive "recv" [tx = tx tx, peer = peer peer] [
        verb verb, load load, n n "n=", by asker "by=", ops operations
    ];
    Bad "bad" [peer = 0 peer] [1 reason, 2 text];
    Vote "vote" [tx = tx tx] [
        refusal vote, time time "time=", load load, seq seq "seq=", ops operations, text text
    ];
    Refuse "refuse" [tx = tx tx] [reason reason, time time "time=", seq seq "seq="];
    Outcome "outcome" [tx = tx tx] [
        ending outcome, voted voted "voted=", seq seq "seq=", ops operations
    ];
    Drove "drove" [tx = tx tx] [ending outcome, seq seq "seq=", ops operations];
    Client "client" [] [0 cpf "cpf=..", 1 seq "seq="];
    Account "account" [] [0 account "number=", 1 seq "seq="];
    Consortium "consortium" [] [0 bank "bank=", 1 places "places=", 2 seq "seq="];
    Key "key" [] [0 key "id=", 1 seq "seq="];
    Registers "registers" [] [0 learned "learned=", 1 last "last=", 2 seq "seq="];
    Founded "founded" [] [0 founding "id=", 1 introduced "introduced=", 2 seq "seq="];
    Met "met" [] [0 bank "bank=", 1 founding "id=", 2 seq "seq="];
    Introduced "introduced" [] [0 without "without=", 1 seq "seq="];
    Clock "clock" [] [0 time "time=", 1 seq "seq="];
    Send "send" [tx = tx tx, peer = to peer] [verb verb, load load, id id, ops operations];
    Ask "ask" [tx = tx tx, peer = to peer] [verb verb, load load, id id];
    Reply "reply" [tx = tx tx, peer = peer peer] [summary reply, n n "n=", text text];
    Answer "answer" [tx = tx tx, peer = from peer] [verb verb, summary reply, id id, text text];
    Doubt "doubt" [tx = 0 tx] [1 cause];
    Drive "drive" [tx = 0 tx] [];
    Timeout "timeout" [tx = 0 tx] [1 silent "silent="];
    GaveUp "gave-up" [tx = 0 tx] [];
    Count "count" [tx = tx tx, peer = from from] [oks count];
    Verdict "verdict" [tx = tx tx] [ending outcome, oks oks "oks="];
    Sync "sync" [] [
        upto upto "upto=", records records "records=", bytes bytes "bytes=",
        took_us took_us "took_us="
    ];
    LinkUp "link-up" [peer = 0 peer] [1 took_us "took_us="];
    LinkDown "link-down" [peer = 0 peer] [1 why];
    Known "known" [peer = 0 peer] [1 time "time="];
    Fault "fault" [] [0 text];
    Stop "stop" [] [0 text];
}
