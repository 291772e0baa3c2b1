//! Runs a bank: it opens what the bank needs, runs it, and ends it in order.
//!
//! The end has three stages. Sessions and HTTP read nothing more, and answer pending requests; then
//! the links send pending messages; then the node makes everything durable and ends. Each stage
//! waits for its tasks, all of them within one deadline.

use crate::args::ServerOptions;
use crate::key::ConsortiumKey;
use crate::opening::{
    fresh_run, listen, notice, open_steplog, report_recovery, warn_of_backlog, write_atomically,
};
use crate::otel::TraceExport;
use crate::recover::{self, OpenedBank};
use crate::watchdog::{self, SignalAction};
use crate::web::{HttpSocket, HttpThread, ServedBank};
use crate::{ServerBounds, ServerState, files, folder, rights, tls};
use anyhow::{Context, bail};
use consorcio_core::access::Access;
use consorcio_core::bank::Identity;
use consorcio_core::bank::io::{Input, Start};
use consorcio_core::clock::{ClockFilter, RELEASED_US};
use consorcio_core::ids::{BankId, BankSet};
use consorcio_core::limits::{SHUTDOWN_MS_MAX, SLOW_SYNC_MS};
use consorcio_core::wire::detail::Banks;
use consorcio_node::{
    Fatal, Inbox, JournalThread, MonotonicClock, SyncAge, WallClock, Writer, machine, run,
};
use consorcio_peers::Peers;
use consorcio_steps::steplog::{Step, StepLog};
use consorcio_system::logging::LIFECYCLE_TARGET;
use consorcio_system::terminal;
use consorcio_tls::BankTls;
use std::io::{Write, stdout};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, LocalOptions};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

/// SIGXFSZ of Linux: the process wrote past the file size limit.
const FILE_SIZE_SIGNAL: i32 = 25;

/// The consumers of a bank's steps.
pub(super) struct StepOutputs {
    pub(super) steplog: StepLog,
    /// The export of spans made from steps.
    pub(super) traces: Option<TraceExport>,
}

/// Runs a bank. Sets `outputs` as soon as the step log is open.
pub(super) fn open_and_run(
    options: &ServerOptions,
    outputs: &mut Option<StepOutputs>,
) -> anyhow::Result<u8> {
    let began = Instant::now();
    let bank = options.own_bank()?;
    options.check_demo()?;
    options.check_http_host()?;
    options.check_open()?;
    let mut bounds = options.bounds.bounds()?;
    let introduce_without = options.introduced_without()?;
    let key = ConsortiumKey::of(options)?;
    let tls = tls::open(options, bank)?;
    let access = rights::open(tls.as_ref())?;
    let mut http_connections = options.http.connections_max();
    let others = options.consortium.banks().len().saturating_sub(1);
    if let Some(reduced) =
        files::fit(&mut bounds, &mut http_connections, others).map_err(anyhow::Error::msg)?
    {
        warn!("{reduced}");
    }
    let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default())?;
    // With a handler, a write past the file size limit is an error instead of the end of the
    // process.
    let _file_size = runtime.block_on(async { signal(SignalKind::from_raw(FILE_SIZE_SIGNAL)) })?;
    let listener = runtime.block_on(listen(options))?;
    let web = runtime.block_on(HttpSocket::listen(&options.http, http_connections))?;
    let port = listener.local_addr()?.port();
    let chosen = options.port == 0;
    let options = ServerOptions { port, ..options.clone() };
    let mut consortium = options.consortium.clone();
    if chosen {
        consortium = consortium.moved(bank, &options.own_address());
    }
    let identity = Identity { bank, places: consortium.to_texts(), seal: key.seal.clone() };
    let steplog = open_steplog(&options, &identity)?;
    let outputs = outputs.insert(StepOutputs { steplog: steplog.clone(), traces: None });
    outputs.traces = TraceExport::start(&identity, &steplog)?;
    steplog.flush_on_panic();
    let version = env!("CARGO_PKG_VERSION");
    let line = format!("servidor {version} bank {bank} of {consortium}");
    info!(target: LIFECYCLE_TARGET, version, bank = bank.as_u8(), %consortium, "{line} starts");
    steplog.record(Step::Start(line.into()));
    warn_of_backlog(&steplog);
    let notice_of_journal = notice(&steplog);
    let folder = folder::choose(&options.data_dir, bank, |text| notice_of_journal(&text))?;
    if let Some(exposed) = folder::exposed(&options.data_dir, &folder) {
        warn!(folder = %folder.display(), "{exposed}");
        steplog.record(Step::Fault(exposed.into()));
    }
    let opened =
        recover::open(&folder, &identity, &consortium, &key, options.moved, notice_of_journal)?;
    report_recovery(&opened, began, &steplog);
    let clock = opened.core.clock();
    let wall = ClockFilter::start(machine(), clock, RELEASED_US, options.accept_clock)?;
    let mut wall = WallClock::new(wall, notice(&steplog));
    if let Some(tls) = &tls {
        wall = wall.shown_in(tls.clock().cell());
    }
    let start = Start { introduce_without, run: fresh_run()? };
    let server =
        BankServer { options, start, bank, identity, folder, bounds, web, steplog, tls, access };
    let ended = runtime.block_on(server.run(opened, wall, listener));
    // Does not wait for a name look-up that hangs.
    runtime.shutdown_background();
    ended
}

/// Everything that a running bank needs.
struct BankServer {
    options: ServerOptions,
    start: Start,
    bank: BankId,
    identity: Identity,
    folder: std::path::PathBuf,
    bounds: ServerBounds,
    web: Option<HttpSocket>,
    steplog: StepLog,
    /// What it shows and whom it admits, in closed mode.
    tls: Option<BankTls>,
    /// What names may do here, in closed mode, until it is granted.
    access: Option<Access>,
}

impl BankServer {
    async fn run(
        mut self,
        opened: OpenedBank,
        wall: WallClock,
        listener: TcpListener,
    ) -> anyhow::Result<u8> {
        let OpenedBank { core, appender, reader, recovered } = opened;
        let wake = Arc::new(Notify::new());
        let inbox = Rc::new(Inbox::new(MonotonicClock::start(), wake.clone()));
        let batches = [reader.batch(), reader.batch()];
        let founding = core.founding().context("a journal that was opened has a founding id")?;
        let (met, unmet) = (core.met(), core.unmet().minus(self.start.introduce_without));
        let (introduced, knows_registers) = (core.is_introduced(), core.knows_registers());
        let writer = Writer::new(core, reader, batches, self.steplog.is_on());
        let disk = JournalThread::start(appender, wake)?;
        let sync_age = disk.sync_age();
        let mut signals = watchdog::start(self.steplog.clone(), sync_age.clone())?;
        let peers =
            Peers::new(self.identity.clone(), founding, self.steplog.clone(), self.tls.clone());
        let met = met.into_iter().enumerate();
        met.filter_map(|(at, founding)| BankId::new(at).zip(founding))
            .for_each(|(bank, founding)| peers.met(bank, founding));
        let (steplog, bounds) = (self.steplog.clone(), self.bounds.clone());
        let (own, tls) = (self.identity.clone(), self.tls.clone());
        let shared = ServerState::new(inbox.clone(), steplog, peers.clone(), own, bounds, tls);
        shared.set_sync_age(sync_age.clone());
        shared.gate.set(introduced, knows_registers);
        inbox.offer(Input::Started(self.start));
        if let Some(access) = self.access.take() {
            shared.grant(access);
        }
        let watched = (self.tls.as_ref(), &self.steplog);
        let stages = Stages::start(&peers, &shared, &inbox, listener, watched);
        let http = self.start_http(&shared, sync_age.clone())?;
        self.report_ready(recovered.fresh)?;
        self.report_unmet(&shared, unmet);
        let delivering = shared.clone();
        let node = run(writer, disk, &inbox, wall, &self.steplog, |out, writer| {
            delivering.deliver(out, writer)
        });
        let mut node = pin!(node);
        let signal = loop {
            tokio::select! {
                biased;
                ended = &mut node => return fatal(ended.err()),
                signal = signals.next() => match signal {
                    SignalAction::Reopen => {
                        self.steplog.reopen();
                        tls::reload(self.tls.as_ref(), &self.steplog);
                        rights::reload(self.tls.as_ref(), &shared, &self.steplog);
                    }
                    SignalAction::End(name) => break name,
                }
            }
        };
        let text = format!("{signal}: what was asked is answered, then this bank ends");
        info!(signal, "{text}");
        self.steplog.record(Step::Stop(text.into()));
        let ending = async {
            stages.end(&peers, &shared, http).await;
            inbox.stop();
            std::future::pending::<()>().await;
        };
        let ended = async {
            tokio::select! {
                ended = &mut node => ended.map(|_| 0),
                () = ending => Ok(0),
            }
        };
        in_time(ended, &sync_age).await
    }

    /// Informs the operator which banks a bank with a new journal waits for.
    fn report_unmet(&self, shared: &ServerState, unmet: BankSet) {
        if !unmet.is_empty() {
            shared.introduced.set(false);
            let (bank, unmet) = (self.bank, Banks(unmet));
            warn!(
                bank = bank.as_u8(),
                %unmet,
                "bank {bank} has a new journal, so it works alone until it has met bank {unmet}; \
                 --introduce-without N leaves out one that is down"
            );
        }
    }

    /// Starts HTTP if it is enabled.
    fn start_http(
        &mut self,
        shared: &Rc<ServerState>,
        sync_age: Arc<SyncAge>,
    ) -> anyhow::Result<Option<HttpThread>> {
        let Some(web) = self.web.take() else { return Ok(None) };
        let log_dir = self.options.log_dir.clone();
        let (identity, steplog, tls) = (&self.identity, &self.steplog, self.tls.as_ref());
        let served = ServedBank { identity, steplog, log_dir, sync_age, tls };
        web.start(served, shared).map(Some)
    }

    /// `fresh`: the folder held no journal, which the operator may not expect.
    fn report_ready(&self, fresh: bool) -> anyhow::Result<()> {
        let address = self.options.own_address();
        if let Some(file) = &self.options.port_file {
            write_atomically(file, &format!("{}\n", self.options.port))
                .with_context(|| format!("the port file {}", file.display()))?;
        }
        let (bank, key) = (self.bank, self.identity.seal.key_id());
        let places = self.identity.places.len();
        let data = self.folder.display();
        let new = match (fresh, self.tls.is_some()) {
            (false, false) => "",
            (true, false) => ", new",
            (false, true) => ", over TLS",
            (true, true) => ", new, over TLS",
        };
        let line = format!(
            "bank {bank} ready on {address} ({places} places, key {key}, data {data}{new})"
        );
        let number = bank.as_u8();
        info!(target: LIFECYCLE_TARGET, bank = number, address, %data, fresh, "{line}");
        self.steplog.record(Step::Ready(line.as_str().into()));
        // A bank also works with a closed stdout.
        let _ = writeln!(stdout(), "{}", terminal::output_line("servidor", &line))
            .and_then(|()| stdout().flush());
        Ok(())
    }
}

/// The tasks beside the node, by the stage of the end that awaits them.
struct Stages {
    links: TaskTracker,
    services: TaskTracker,
    /// Cancelled once all sessions and links have ended.
    end_services: CancellationToken,
}

impl Stages {
    fn start(
        peers: &Peers,
        shared: &Rc<ServerState>,
        inbox: &Rc<Inbox>,
        listener: TcpListener,
        (tls, steplog): (Option<&BankTls>, &StepLog),
    ) -> Stages {
        let (links, services) = (TaskTracker::new(), TaskTracker::new());
        let end_services = CancellationToken::new();
        start_links(&links, peers, shared, inbox);
        shared.tasks.spawn_local(shared.clone().accept(listener));
        let serve = |service| {
            services.spawn_local(end_services.clone().run_until_cancelled_owned(service));
        };
        let sweeping = shared.clone().sweep();
        let (logging, opening) = (shared.clone(), shared.gate.clone());
        let flushing = async move { logging.step_logger.flush_in_time().await };
        serve(Box::pin(sweeping) as std::pin::Pin<Box<dyn Future<Output = ()>>>);
        serve(Box::pin(flushing));
        if let Some(tls) = tls {
            serve(Box::pin(tls::warn_in_time(tls.clone(), steplog.clone())));
        }
        serve(Box::pin(async move { opening.open_in_time().await }));
        Stages { links, services, end_services }
    }

    async fn end(self, peers: &Peers, shared: &ServerState, http: Option<HttpThread>) {
        let http = async {
            if let Some(http) = http {
                http.end().await;
            }
        };
        // Requests of HTTP are sessions, too; once HTTP has ended there are no new ones.
        tokio::join!(shared.end_sessions(), http);
        shared.end_sessions().await;
        peers.shutdown();
        self.links.close();
        self.links.wait().await;
        self.end_services.cancel();
        self.services.close();
        self.services.wait().await;
    }
}

/// Starts the links to the other banks; their inputs go to the node.
fn start_links(links: &TaskTracker, peers: &Peers, shared: &Rc<ServerState>, inbox: &Rc<Inbox>) {
    let inbox = inbox.clone();
    let (barrier, gate) = (shared.barrier.clone(), shared.gate.clone());
    let to_node = move |inputs: &mut Vec<Input>| {
        barrier.answers_arrived(inputs);
        let up = |input: &Input| if let Input::PeerUp(bank) = input { Some(*bank) } else { None };
        let up: Vec<BankId> = inputs.iter().filter_map(up).collect();
        inbox.offer_all(inputs);
        up.into_iter().for_each(|bank| gate.link_opened(bank));
    };
    for link in peers.links(to_node) {
        links.spawn_local(link);
    }
}

/// Waits for the end within the deadline.
async fn in_time(
    ended: impl Future<Output = Result<u8, Fatal>>,
    sync_age: &SyncAge,
) -> anyhow::Result<u8> {
    match timeout(Duration::from_millis(SHUTDOWN_MS_MAX), ended).await {
        Ok(ended) => Ok(ended?),
        Err(_) if sync_age.ms().is_some_and(|age| age >= SLOW_SYNC_MS) => {
            bail!(
                "the data disk does not finish a sync; what was not acknowledged may not be on it"
            )
        }
        Err(_) => {
            warn!("some sessions did not end in time, they are cut off");
            Ok(0)
        }
    }
}

fn fatal(error: Option<Fatal>) -> anyhow::Result<u8> {
    match error {
        Some(error) => Err(error.into()),
        None => Ok(0),
    }
}
