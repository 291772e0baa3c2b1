//! A real bank is the same live, replayed, and from a snapshot.

use crate::journal::support::small;
use consorcio::bank::io::{Caller, Input, Now, Origin, Output, Past, Seq, SessionId, Start};
use consorcio::bank::record::Record;
use consorcio::bank::{Core, Identity};
use consorcio::ids::{AccountNumber, BankId, ClientKind, ClientName, TaxId, TxId};
use consorcio::journal::{
    Appender, BankReplica, Disk, JournalOptions, JournalReader, MemDisk, Recovered, Replica,
    SegmentSizes, StateView, open,
};
use consorcio::money::Money;
use consorcio::wire::reply::Reply;
use consorcio::wire::request::{NewAccount, NewClient, Request};
use consorcio::wire::token::{Digest, Seal, Vote};
use consorcio::wire::transaction::Transaction;
use consorcio_core::access::Principal;
use std::sync::Arc;

/// A bank with its journal.
pub struct Live {
    pub core: Core,
    pub appender: Appender,
    reader: JournalReader,
    slot: u64,
}

impl Live {
    /// Opens the journal on `disk`, or creates it.
    pub fn open(
        disk: impl Disk + 'static,
        options: JournalOptions,
        identity: Identity,
    ) -> (Live, Recovered) {
        let mut replica = BankReplica::new(identity);
        let (appender, reader, recovered) = open(Arc::new(disk), options, &mut replica).unwrap();
        (Live { core: replica.core, appender, reader, slot: 0 }, recovered)
    }

    /// Passes a request to the bank and journals its records; `None` if the reply must wait.
    pub fn ask(&mut self, request: Request) -> Option<Reply> {
        self.ask_as(Origin::Client, request)
    }

    fn ask_as(&mut self, origin: Origin, request: Request) -> Option<Reply> {
        let past = request.tx().filter(|tx| !self.core.knows(tx)).and_then(|tx| self.past(tx));
        let caller = Caller { session: SessionId(1), slot: self.slot + 1 };
        let output = self.happen(&Input::Request {
            caller,
            origin,
            asker: Principal::Operator,
            request,
            waited_us: 0,
            past,
        });
        output.replies.into_iter().find(|reply| reply.to == caller).map(|reply| reply.reply)
    }

    /// The journal's record of an id.
    pub fn past(&self, tx: &TxId) -> Option<Past> {
        self.reader.lookup(tx).unwrap().map(|record| Past { record })
    }

    /// Passes an input to the bank, a little later than the previous one, and journals its records.
    pub fn happen(&mut self, input: &Input) -> Output {
        self.slot += 1;
        let wall_us = 1_800_000_000_000_000 + i64::try_from(self.slot).unwrap() * 100;
        let now = Now { wall_us, shown_us: wall_us, mono_us: self.slot * 100 };
        let before = self.core.seq();
        let output = self.core.step(now, input);
        self.keep(before, &output.records);
        output
    }

    /// Journals a record that no input causes.
    pub fn record(&mut self, record: Record) {
        let before = self.core.seq();
        self.core.apply(&record);
        self.keep(before, &[record]);
    }

    fn keep(&mut self, before: Seq, records: &[Record]) {
        let mut batch = self.appender.batch();
        for (seq, record) in (before + 1..).zip(records) {
            batch.push(seq, record);
        }
        batch.end_segment_if_due(|| Box::new(self.core.freeze()));
        self.appender.append(&mut batch).unwrap();
        assert_eq!(self.core.seq(), self.appender.last());
    }
}

pub fn identity() -> Identity {
    Identity {
        bank: BankId::new(0).unwrap(),
        places: vec!["127.0.0.1:8886".into(), "127.0.0.1:8887".into()],
        seal: Seal::keyed([9; 32]),
    }
}

pub fn options() -> JournalOptions {
    JournalOptions { sizes: SegmentSizes::all(4096), snapshot_after_segments: 2, ..small() }
}

fn transfer(amount: u64) -> Arc<Transaction> {
    let text = format!(
        r#"{{"ops":[{{"bank":0,"op":"debit","account":"1-1","amount":{amount}}},{{"bank":1,"op":"credit","account":"2-2","amount":{amount}}},{{"bank":0,"op":"set","key":"storage","value":"{amount}"}},{{"bank":1,"op":"set","key":"storage","value":"{amount}"}}]}}"#
    );
    Arc::new(Transaction::parse(&text).unwrap())
}

/// A bank with clients, commits, refusals, tombstones and one undecided transaction.
pub fn live(disk: &MemDisk) -> Live {
    let (live, _) = Live::open(disk.clone(), options(), identity());
    busy(live)
}

/// The bank after clients, commits, refusals, tombstones and one undecided transaction.
pub fn busy(mut live: Live) -> Live {
    let cpf = TaxId::new("12345678900").unwrap();
    let client = NewClient {
        cpf: cpf.clone(),
        name: ClientName::new("Pessoa 1").unwrap(),
        kind: ClientKind::new("Físico").unwrap(),
    };
    assert!(matches!(live.ask(Request::Client(client)), Some(Reply::Done(_))));
    let number = AccountNumber::new("1-1").unwrap();
    let account = NewAccount { number, holders: vec![cpf], deposit: Money(100_000) };
    assert!(matches!(live.ask(Request::Account(account)), Some(Reply::Done(_))));
    let (mut committed, mut refused) = (0, 0);
    for n in 1..=200u64 {
        let tx = TxId::new(&format!("t{n}")).unwrap();
        if n % 10 == 0 {
            live.ask(Request::Resolve(tx.clone()));
        }
        let transaction = transfer(n * 10);
        match live.ask(Request::Prepare(tx.clone(), Arc::clone(&transaction))) {
            Some(Reply::Ok(_, own)) if n < 200 - 1 => {
                let seal = identity().seal;
                let peer = BankId::new(1).unwrap();
                let theirs = seal.token(peer, Vote::Ok, &tx, Some(*transaction.digest()), own.time);
                let reply = live.ask(Request::Commit(tx, vec![own, theirs]));
                assert!(matches!(reply, Some(Reply::Committed(..))), "{reply:?}");
                committed += 1;
            }
            Some(Reply::Ok(..)) => {}
            Some(Reply::Nok(..)) => refused += 1,
            reply => panic!("{reply:?}"),
        }
    }
    assert!(committed > 50 && refused > 20 && live.core.undecided() <= 1, "{committed} {refused}");
    live
}

#[test]
fn a_bank_is_the_same_live_replayed_and_from_a_snapshot() {
    let disk = MemDisk::new();
    let live = live(&disk);
    live.core.check_invariants();
    let open_again = |options: JournalOptions| {
        let (Live { core, reader, .. }, recovered) = Live::open(disk.copy(), options, identity());
        (core, reader, recovered)
    };
    let (core, reader, recovered) = open_again(options());
    assert!(recovered.snapshot.is_some_and(|seq| seq > 100), "{recovered}");
    assert!(core.same_as(&live.core), "the bank from a snapshot differs");
    core.check_invariants();
    // Outcomes that left memory are found.
    let old = TxId::new("t1").unwrap();
    assert!(!core.knows(&old));
    assert_eq!(reader.lookup(&old).unwrap().unwrap().decides(), Some(&old));
    // The same from all records.
    for name in disk.list().unwrap() {
        if name.starts_with("snapshot-") {
            disk.remove(&name).unwrap();
        }
    }
    let (core, _, recovered) = open_again(options());
    assert_eq!((recovered.snapshot, recovered.records), (None, live.core.seq()));
    assert!(core.same_as(&live.core), "the bank from all records differs");
}

/// An outside coordinator's decision is found after it left memory and snapshot; a hold without a
/// decision is in the snapshot, and waits.
#[test]
fn an_outside_coordinators_votes_and_holds_are_kept() {
    let disk = MemDisk::new();
    let mut live = live(&disk);
    let [held, paid, kept] = ["held", "paid", "kept"].map(|id| TxId::new(id).unwrap());
    let commit = |tx: &TxId| Request::Commit(tx.clone(), Vec::new());
    let abort = |tx: &TxId| Request::Abort(tx.clone(), None);
    let cash =
        Transaction::parse(r#"{"ops":[{"bank":0,"op":"withdraw","account":"1-1","amount":5}]}"#)
            .unwrap();
    let cash = Arc::new(Transaction::with_outside(BankId::new(0).unwrap(), cash.ops()).unwrap());
    for tx in [&held, &paid, &kept] {
        let reply = live.ask_as(Origin::Outside, Request::Prepare(tx.clone(), Arc::clone(&cash)));
        assert!(matches!(reply, Some(Reply::Ok(..))), "{reply:?}");
    }
    let committed = live.ask_as(Origin::Outside, commit(&paid));
    assert!(matches!(committed, Some(Reply::Committed(..))), "{committed:?}");
    let aborted = live.ask_as(Origin::Outside, abort(&kept));
    assert!(matches!(aborted, Some(Reply::Aborted(..))), "{aborted:?}");
    let decided = live.core.seq();
    let deposit = r#"{"ops":[{"bank":0,"op":"deposit","account":"1-1","amount":1}]}"#;
    let deposit = Arc::new(Transaction::parse(deposit).unwrap());
    for n in 0..200 {
        let tx = TxId::new(&format!("d{n}")).unwrap();
        live.ask(Request::Execute(tx, Arc::clone(&deposit)));
    }

    let (mut again, recovered) = Live::open(disk.copy(), options(), identity());
    assert!(recovered.snapshot.is_some_and(|seq| seq > decided), "{recovered}");
    assert!(again.core.same_as(&live.core));
    again.happen(&Input::Started(Start::default()));
    assert!(again.core.knows(&held) && !again.core.knows(&paid) && !again.core.knows(&kept));
    for request in [commit(&paid), abort(&paid)] {
        assert_eq!(again.ask_as(Origin::Outside, request.clone()), committed);
        assert_eq!(again.ask(request), committed);
    }
    for request in [commit(&kept), abort(&kept)] {
        assert_eq!(again.ask_as(Origin::Outside, request), aborted);
    }
    assert!(matches!(again.ask(commit(&held)), Some(Reply::Doubt(..))));
    assert!(matches!(again.ask_as(Origin::Outside, commit(&held)), Some(Reply::Committed(..))));
    again.core.check_invariants();
}

/// Replays records, and keeps a digest of the snapshots at every one of them.
struct Digesting {
    replica: BankReplica,
    digest: Digest,
}

impl Replica for Digesting {
    fn restore(&mut self, seq: Seq, snapshot: &[u8]) -> Result<(), String> {
        self.replica.restore(seq, snapshot)
    }

    fn apply(&mut self, seq: Seq, record: &Record) {
        self.replica.apply(seq, record);
        let bytes = self.replica.core.to_snapshot();
        let both = format!("{:?} {:?}", self.digest, Digest::of(&bytes));
        self.digest = Digest::of(both.as_bytes());
    }

    fn forget(&mut self, indexed: Seq) {
        self.replica.forget(indexed);
    }

    fn freeze(&self) -> Box<dyn StateView> {
        self.replica.freeze()
    }
}

#[test]
fn a_snapshot_has_the_bytes_that_former_programs_wrote() {
    let disk = MemDisk::new();
    let mut live = live(&disk);
    let [cpf, other] = ["22222222222", "AB12CD34EF56GH"].map(|cpf| TaxId::new(cpf).unwrap());
    for (cpf, name) in [(&cpf, "Clara"), (&other, "Uma empresa cujo nome é comprido")] {
        let (name, kind) = (ClientName::new(name).unwrap(), ClientKind::new("Jurídico").unwrap());
        live.ask(Request::Client(NewClient { cpf: cpf.clone(), name, kind })).unwrap();
    }
    for (number, holders) in
        [("7", vec![cpf.clone()]), ("8-a-number-of-more-than-twenty-four-bytes", vec![other, cpf])]
    {
        let number = AccountNumber::new(number).unwrap();
        live.ask(Request::Account(NewAccount { number, holders, deposit: Money(5) })).unwrap();
    }
    for n in 0..5 {
        let tx = TxId::new(&format!("left-{n}")).unwrap();
        let transaction = transfer(1 + n);
        live.ask(Request::Prepare(tx, transaction)).unwrap();
    }
    let full = disk.copy();
    for name in disk.list().unwrap() {
        if name.starts_with("snapshot-") {
            full.remove(&name).unwrap();
        }
    }
    let replica = BankReplica::new(identity());
    let mut digesting = Digesting { replica, digest: Digest::of(b"") };
    open(Arc::new(full), small(), &mut digesting).unwrap();
    let digest = "f679637d02132fe724030b9134c756dc61faecbb1ea7c154802c71a43593cb3b";
    assert_eq!(
        format!("{:?} of {}", digesting.digest, live.core.seq()),
        format!("{digest} of 345")
    );
}
