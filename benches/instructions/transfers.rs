//! The transfers of all rows: one debit and one credit at two of three banks, under ids of 22
//! letters.

use consorcio_core::bank::Identity;
use consorcio_core::ids::{AccountNumber, BankId, Time, TxId};
use consorcio_core::money::Money;
use consorcio_core::wire::request::Request;
use consorcio_core::wire::token::{Seal, Token, Vote};
use consorcio_core::wire::transaction::{Action, Flow, Op, Transaction};
use consorcio_system::id_generator::IdGenerator;
use std::sync::Arc;

/// A transfer between bank 0 and bank 1.
pub struct Transfer {
    /// Its id, in order of the numbers.
    pub tx: TxId,
    /// The debit and the credit.
    pub transaction: Arc<Transaction>,
}

impl Transfer {
    /// Transfer `number`; every other one is from bank 1 to bank 0.
    pub fn new(number: u64) -> Transfer {
        let transaction = Transaction::from_ops(ops(number), None).expect("a legal transaction");
        Transfer { tx: id(number), transaction: Arc::new(transaction) }
    }

    /// The request for a bank's vote on it.
    pub fn prepare(&self) -> Request {
        Request::Prepare(self.tx.clone(), Arc::clone(&self.transaction))
    }

    /// The request that a bank drives it.
    pub fn execute(&self) -> Request {
        Request::Execute(self.tx.clone(), Arc::clone(&self.transaction))
    }

    /// The vote of another bank than bank 0, a little after `time`.
    pub fn vote(&self, bank: BankId, time: Time) -> Token {
        let digest = Some(*self.transaction.digest());
        seal().token(bank, Vote::Ok, &self.tx, digest, Time(time.0 + 15))
    }

    /// The request to commit it, with the vote of bank 0 and that of bank 1.
    pub fn commit(&self, own: Token) -> Request {
        Request::Commit(self.tx.clone(), vec![own, self.vote(bank(1), own.time)])
    }
}

/// The id of transfer `number`: ten of them in each millisecond.
pub fn id(number: u64) -> TxId {
    ids(number).at(1_795_000_000_000 + number / 10)
}

/// A generator whose next id has this number.
pub fn ids(number: u64) -> IdGenerator {
    IdGenerator::seeded(0x15_e0_7b_21, 0x2f_0c_00 + number)
}

/// The operations of transfer `number`.
pub fn ops(number: u64) -> [Op; 2] {
    let accounts = crate::bank::ACCOUNTS;
    let op = |at, flow, account: String| {
        let account = AccountNumber::new(&account).expect("a legal number");
        let amount = Money(1 + i64::try_from(number % 100).unwrap_or(0));
        Op { bank: bank(at), action: Action::Money { flow, account, cpf: None, amount } }
    };
    let (here, there) = (account(number * 7_919 % accounts), account(number * 104_729 % accounts));
    if number.is_multiple_of(2) {
        [op(0, Flow::Debit, here), op(1, Flow::Credit, there)]
    } else {
        [op(1, Flow::Debit, there), op(0, Flow::Credit, here)]
    }
}

/// The number of the account at position `number`.
pub fn account(number: u64) -> String {
    format!("{number:05}-{}", number % 10)
}

/// The bank at this position.
pub fn bank(position: usize) -> BankId {
    BankId::new(position).expect("a position of three")
}

/// Bank 0 of three.
pub fn identity() -> Identity {
    let places = ["127.0.0.1:8886", "127.0.0.1:8887", "127.0.0.1:8888"];
    Identity { bank: bank(0), places: places.map(str::to_owned).to_vec(), seal: seal() }
}

/// The key of the consortium.
pub fn seal() -> Seal {
    Seal::keyed([7; 32])
}
