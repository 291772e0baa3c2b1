//! The client: the list of a consortium, options, and idle connections.

use crate::connection::Connection;
use crate::driver::{Driver, DriverOptions};
use crate::error::ClientError;
use crate::hello::HelloAnswers;
use crate::observe::{ClientEvent, Observer};
use crate::options::{ClientOptions, Dialer};
use crate::reading::{read, unreadable};
use consorcio_core::access::Name;
use consorcio_core::ids::{BadName, BankId, TxId};
use consorcio_core::limits::BANKS_MAX;
use consorcio_core::wire::answer::AnswerPage;
use consorcio_core::wire::request::Request;
use consorcio_system::config::Consortium;
use consorcio_system::id_generator::IdGenerator;
use consorcio_tls::TlsDialer;
use futures_util::future::join_all;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A client of one consortium. Clones are the same client.
///
/// It drives two-phase commit itself, with the same coordinator as banks. It stores nothing: if a
/// client crashes during a transaction, the banks finish it by themselves.
#[derive(Clone)]
pub struct Client {
    list: Arc<Consortium>,
    dialer: Arc<Dialer>,
    /// Idle connections, by bank.
    idle: Arc<Mutex<BTreeMap<BankId, Vec<Connection>>>>,
}

/// The answer of one of several banks, or why there is none.
#[derive(Debug, Clone)]
pub struct AnswerFrom<T> {
    /// The position of the bank.
    pub bank: BankId,
    /// Where it listens, as `host:port`.
    pub address: String,
    /// The answer, or why there is none.
    pub result: Result<T, ClientError>,
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
        let hello_answers = Arc::new(HelloAnswers::default());
        let dialer = Arc::new(Dialer { options, places, hello_answers });
        Client { list: Arc::new(list), dialer, idle: Arc::default() }
    }

    /// A client that is connected to every bank of `list`, with default options.
    ///
    /// # Errors
    /// The error of the first bank that can't be reached or is another one than listed; `ShortList`
    /// and `TwoKeys` if the list differs from that of the banks.
    pub async fn connect(list: &Consortium) -> Result<Client, ClientError> {
        let client = Client::new(list.clone(), ClientOptions::default());
        for bank in client.banks() {
            let mut connection = client.connection(bank).await?;
            connection.complete_handshake().await.map_err(|error| connection.failure(&error))?;
            client.keep(connection);
        }
        client.knows_all()?;
        Ok(client)
    }

    /// The same client with another observer. It has connections of its own; both share the answers
    /// to HELLO.
    #[must_use]
    pub fn with_observer(&self, observer: Option<Arc<dyn Observer>>) -> Client {
        let mut dialer = Dialer::clone(&self.dialer);
        dialer.options.observer = observer;
        Client { list: Arc::clone(&self.list), dialer: Arc::new(dialer), idle: Arc::default() }
    }

    /// The list of banks that this client was made with.
    pub fn list(&self) -> &Consortium {
        &self.list
    }

    /// The options that this client was made with.
    pub fn options(&self) -> &ClientOptions {
        &self.dialer.options
    }

    /// The banks of the list, by position, without those that left.
    pub fn banks(&self) -> Vec<BankId> {
        let banks = (0..BANKS_MAX).filter_map(BankId::new);
        banks.filter(|bank| self.list.address(*bank).is_some()).collect()
    }

    /// The address of `bank`.
    ///
    /// # Errors
    /// `NotListed`
    pub fn address(&self, bank: BankId) -> Result<&str, ClientError> {
        let not_listed = || ClientError::NotListed { bank, list: self.list.to_string() };
        self.list.address(bank).ok_or_else(not_listed)
    }

    /// Checks that the list has all banks of one consortium, by the answers to HELLO so far.
    ///
    /// # Errors
    /// `ShortList` and `TwoKeys`, if the list lacks banks or names two consortiums.
    pub fn knows_all(&self) -> Result<(), ClientError> {
        match self.short_list().or_else(|| self.two_keys()) {
            None => Ok(()),
            Some(error) => Err(error),
        }
    }

    /// `ShortList`, if a bank's own list has more positions than this one.
    pub fn short_list(&self) -> Option<ClientError> {
        self.dialer.hello_answers.short_list(self.dialer.places)
    }

    /// `TwoKeys`, if two banks have different keys.
    pub fn two_keys(&self) -> Option<ClientError> {
        self.dialer.hello_answers.two_keys()
    }

    /// A connection to `bank`: an idle one, or a new one.
    ///
    /// # Errors
    /// `NotListed`, and `Unreachable` if none can be made.
    pub async fn connection(&self, bank: BankId) -> Result<Connection, ClientError> {
        let address = self.address(bank)?;
        match self.kept(bank) {
            Some(connection) => Ok(connection),
            None => {
                self.dialer.observe(&ClientEvent::Connecting(bank));
                Connection::connect(bank, address, &self.dialer).await
            }
        }
    }

    /// Returns a connection for reuse. It is dropped if replies are owed over it, or the limit of
    /// idle connections is reached.
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
        // Drop connections that the bank has closed meanwhile.
        std::iter::from_fn(|| kept.pop()).find_map(|mut connection| {
            let is_open = connection.is_idle();
            is_open.then_some(connection)
        })
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<BankId, Vec<Connection>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a request to one bank, and returns the JSON of its DONE.
    ///
    /// # Errors
    /// `NotListed`, the error that kept the bank from replying, or `Refused` with the bank's text.
    pub async fn ask(&self, bank: BankId, request: &Request) -> Result<String, ClientError> {
        let mut connection = self.connection(bank).await?;
        let json = connection.ask_done(request).await?;
        self.keep(connection);
        Ok(json)
    }

    /// Requests a list of one bank, page by page; `request` makes the request for the page after a
    /// key. Items are as the bank wrote them.
    ///
    /// # Errors
    /// As `ask`; `Unreadable` for a page or a key that can't be parsed.
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
            // A bank that repeats the same key must not make this loop endless.
            if page.next.is_none() || page.next == next {
                self.keep(connection);
                return Ok(all);
            }
            next = page.next;
        }
    }

    /// Asks several banks concurrently, and returns their answers in the same order.
    pub async fn ask_each<T, F>(
        &self,
        banks: &[BankId],
        question: impl Fn(BankId) -> F,
    ) -> Vec<AnswerFrom<T>>
    where
        F: Future<Output = Result<T, ClientError>>,
    {
        let results = join_all(banks.iter().map(|bank| question(*bank))).await;
        let answer = |(bank, result): (&BankId, _)| AnswerFrom {
            bank: *bank,
            address: self.list.address(*bank).unwrap_or("-").to_owned(),
            result,
        };
        banks.iter().zip(results).map(answer).collect()
    }

    /// Sends a request to one bank, and parses its DONE as a `T`.
    pub(crate) async fn view<T: serde::de::DeserializeOwned>(
        &self,
        bank: BankId,
        request: &Request,
    ) -> Result<T, ClientError> {
        read(bank, &self.ask(bank, request).await?)
    }

    /// A driver of transactions to all banks, with connections of its own. `T` is the tag by which
    /// the caller identifies transactions.
    pub fn driver<T: Copy>(&self, options: DriverOptions) -> Driver<T> {
        self.driver_with(options, |_| None)
    }

    /// A driver that reuses idle connections.
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

    /// The age of the sync under way at `bank`, in milliseconds, if it is slow and the bank still
    /// replies.
    pub async fn slow_sync_ms(&self, bank: BankId) -> Option<u64> {
        let address = self.list.address(bank)?;
        crate::connection::slow_sync_ms(bank, address, &self.dialer).await
    }

    /// A new id for a transaction, with the current time. Over TLS it begins with the name of this
    /// client, as banks in closed mode ask.
    ///
    /// # Errors
    /// `NoRandomness`
    pub fn new_tx(&self) -> Result<TxId, ClientError> {
        let ids = IdGenerator::new();
        let ids = ids.map_err(|error| ClientError::NoRandomness(error.to_string()));
        Ok(ids?.owned_by(self.name()).now())
    }

    /// The name that ids of its transactions begin with, in closed mode.
    pub fn name(&self) -> Option<Name> {
        self.dialer.options.tls.as_ref().map(TlsDialer::name)
    }
}
