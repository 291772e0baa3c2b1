//! The client: a consortium's list, options, and the connections that are kept for later.

use crate::connection::Connection;
use crate::driver::{Driver, DriverOptions};
use crate::error::ClientError;
use crate::greetings::Greetings;
use crate::observe::Observer;
use crate::options::{ClientOptions, Dialer};
use crate::reading::{read, unreadable};
use consorcio_core::ids::{BadName, BankId, TxId};
use consorcio_core::limits::BANKS_MAX;
use consorcio_core::wire::answer::AnswerPage;
use consorcio_core::wire::request::Request;
use consorcio_system::config::Consortium;
use consorcio_system::id_generator::IdGenerator;
use futures_util::future::join_all;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A client of one consortium. Clones are the same client.
///
/// It moves money by driving two-phase commit itself, with the coordinator that banks use too; it
/// keeps nothing, so a client that is lost in the middle leaves a transaction to the banks, which
/// end it by themselves.
#[derive(Clone)]
pub struct Client {
    list: Arc<Consortium>,
    dialer: Arc<Dialer>,
    /// Open connections that nobody uses, by bank.
    idle: Arc<Mutex<BTreeMap<BankId, Vec<Connection>>>>,
}

/// What one of several banks answered, or why it did not.
#[derive(Debug, Clone)]
pub struct AnswerFrom<T> {
    /// The position of the bank that is meant.
    pub bank: BankId,
    /// Where it listens, as `host:port`.
    pub address: String,
    /// Its answer, or why there is none.
    pub said: Result<T, ClientError>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("list", &self.list.to_string())
            .field("options", &self.dialer.options)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// A client of the banks in `list`; nothing is connected yet.
    pub fn new(list: Consortium, options: ClientOptions) -> Client {
        let places = list.places().len();
        let greetings = Arc::new(Greetings::default());
        let dialer = Arc::new(Dialer { options, places, greetings });
        Client { list: Arc::new(list), dialer, idle: Arc::default() }
    }

    /// A client that is connected to every bank of `list`, with the options of `ClientOptions`'s
    /// default.
    ///
    /// # Errors
    /// The first bank's that can't be reached or is not the one that is meant; `ShortList` and
    /// `TwoKeys` where the list is not the banks' own.
    pub async fn connect(list: &Consortium) -> Result<Client, ClientError> {
        let client = Client::new(list.clone(), ClientOptions::default());
        for bank in client.banks() {
            let mut connection = client.connection(bank).await?;
            connection.greet().await.map_err(|error| connection.failure(&error))?;
            client.keep(connection);
        }
        client.knows_all()?;
        Ok(client)
    }

    /// The same client with another observer; it keeps connections of its own, and what banks say
    /// of themselves is known to both.
    #[must_use]
    pub fn with_observer(&self, observer: Option<Arc<dyn Observer>>) -> Client {
        let mut dialer = Dialer::clone(&self.dialer);
        dialer.options.observer = observer;
        Client { list: Arc::clone(&self.list), dialer: Arc::new(dialer), idle: Arc::default() }
    }

    /// The list that this client was made with.
    pub fn list(&self) -> &Consortium {
        &self.list
    }

    /// The options that it was made with.
    pub fn options(&self) -> &ClientOptions {
        &self.dialer.options
    }

    /// The banks of the list, by position; those that left are none.
    pub fn banks(&self) -> Vec<BankId> {
        let banks = (0..BANKS_MAX).filter_map(BankId::new);
        banks.filter(|bank| self.list.address(*bank).is_some()).collect()
    }

    /// Where `bank` is.
    ///
    /// # Errors
    /// `NotListed`
    pub fn address(&self, bank: BankId) -> Result<&str, ClientError> {
        let not_listed = || ClientError::NotListed { bank, list: self.list.to_string() };
        self.list.address(bank).ok_or_else(not_listed)
    }

    /// May this client speak of all banks, by what those that it was connected to said?
    ///
    /// # Errors
    /// `ShortList` and `TwoKeys`, where the list is not all banks or not one consortium.
    pub fn knows_all(&self) -> Result<(), ClientError> {
        match self.short_list().or_else(|| self.two_keys()) {
            None => Ok(()),
            Some(error) => Err(error),
        }
    }

    /// `ShortList`, where a bank said that it knows more places than the list has.
    pub fn short_list(&self) -> Option<ClientError> {
        self.dialer.greetings.short_list(self.dialer.places)
    }

    /// `TwoKeys`, where two banks said that they have different keys.
    pub fn two_keys(&self) -> Option<ClientError> {
        self.dialer.greetings.two_keys()
    }

    /// A connection to `bank`: one that is kept, or a new one.
    ///
    /// # Errors
    /// `NotListed`, and `Unreachable` where none can be made.
    pub async fn connection(&self, bank: BankId) -> Result<Connection, ClientError> {
        let address = self.address(bank)?;
        match self.kept(bank) {
            Some(connection) => Ok(connection),
            None => Connection::connect(bank, address, &self.dialer).await,
        }
    }

    /// Keeps a connection for later, where the options say so and it owes no answer.
    pub fn keep(&self, mut connection: Connection) {
        if self.dialer.options.idle_connections_max > 0 && connection.is_idle() {
            let mut idle = self.lock();
            let kept = idle.entry(connection.bank()).or_default();
            if kept.len() < self.dialer.options.idle_connections_max {
                kept.push(connection);
            }
        }
    }

    fn kept(&self, bank: BankId) -> Option<Connection> {
        let mut idle = self.lock();
        let kept = idle.get_mut(&bank)?;
        // Those that the bank closed meanwhile go.
        std::iter::from_fn(|| kept.pop()).find_map(|mut connection| {
            let is_open = connection.is_idle();
            is_open.then_some(connection)
        })
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<BankId, Vec<Connection>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks one bank, and gives the JSON of its DONE.
    ///
    /// # Errors
    /// `NotListed`, what keeps the bank from answering, or `Refused` with the bank's words.
    pub async fn ask(&self, bank: BankId, request: &Request) -> Result<String, ClientError> {
        let mut connection = self.connection(bank).await?;
        let json = connection.ask_done(request).await?;
        self.keep(connection);
        Ok(json)
    }

    /// Asks one bank for a list, page after page; `request` makes the request for what follows
    /// after a key. Items are as the bank wrote them.
    ///
    /// # Errors
    /// As `ask`; `Unreadable` for a page or a key that can't be read.
    pub async fn ask_list(
        &self,
        bank: BankId,
        request: impl Fn(Option<&str>) -> Result<Request, BadName>,
    ) -> Result<Vec<Box<RawValue>>, ClientError> {
        let mut connection = self.connection(bank).await?;
        let mut all = Vec::new();
        let mut next: Option<String> = None;
        loop {
            let asked = request(next.as_deref());
            let asked = asked.map_err(|_| unreadable(bank, next.as_deref().unwrap_or_default()))?;
            let json = connection.ask_done(&asked).await?;
            let page = AnswerPage::parse(&json).map_err(|_| unreadable(bank, &json))?;
            all.extend(page.items);
            // A bank that names the same key for ever would keep us here for ever.
            if page.next.is_none() || page.next == next {
                self.keep(connection);
                return Ok(all);
            }
            next = page.next;
        }
    }

    /// Asks several banks at the same time, and gives their answers in the same order.
    pub async fn ask_each<T, F>(
        &self,
        banks: &[BankId],
        question: impl Fn(BankId) -> F,
    ) -> Vec<AnswerFrom<T>>
    where
        F: Future<Output = Result<T, ClientError>>,
    {
        let said = join_all(banks.iter().map(|bank| question(*bank))).await;
        let answer = |(bank, said): (&BankId, _)| AnswerFrom {
            bank: *bank,
            address: self.list.address(*bank).unwrap_or("-").to_owned(),
            said,
        };
        banks.iter().zip(said).map(answer).collect()
    }

    /// Asks one bank, and reads its DONE as a `T`.
    pub(crate) async fn view<T: serde::de::DeserializeOwned>(
        &self,
        bank: BankId,
        request: &Request,
    ) -> Result<T, ClientError> {
        read(bank, &self.ask(bank, request).await?)
    }

    /// A driver of transactions to all banks, with connections of its own. `T` is what its caller
    /// knows transactions by.
    pub fn driver<T: Copy>(&self, options: DriverOptions) -> Driver<T> {
        self.driver_with(options, |_| None)
    }

    /// The same, with connections that are kept.
    pub(crate) fn driver_of_kept<T: Copy>(&self, options: DriverOptions) -> Driver<T> {
        self.driver_with(options, |bank| self.kept(bank))
    }

    fn driver_with<T: Copy>(
        &self,
        options: DriverOptions,
        open: impl Fn(BankId) -> Option<Connection>,
    ) -> Driver<T> {
        let link = |bank: BankId| {
            let address = self.list.address(bank).unwrap_or("-").to_owned();
            (bank, address, open(bank))
        };
        let banks = self.banks();
        Driver::new(Arc::clone(&self.dialer), options, banks.into_iter().map(link))
    }

    /// How long the disk of `bank` has not finished a sync, in milliseconds, where that is so and
    /// the bank still says it.
    pub async fn slow_sync_ms(&self, bank: BankId) -> Option<u64> {
        let address = self.list.address(bank)?;
        crate::connection::slow_sync_ms(bank, address, &self.dialer).await
    }

    /// A new id for a transaction, of this moment.
    ///
    /// # Errors
    /// `NoRandomness`
    pub fn new_tx(&self) -> Result<TxId, ClientError> {
        let ids = IdGenerator::new();
        let ids = ids.map_err(|error| ClientError::NoRandomness(error.to_string()));
        Ok(ids?.now())
    }
}
