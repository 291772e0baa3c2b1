//! `servidor` from its switches to its end: what is needed is opened, run, and closed in order.

use crate::args::{BadOptions, Cli, Command, Options, Switch};
use crate::chain::chain;
use crate::key::Key;
use crate::listen::bind;
use crate::operator::{self, tell};
use crate::recover::{self, Opened};
use crate::watchdog::{self, Told};
use crate::web::{Running, Served, Web};
use crate::{Bounds, Shared, files, folder};
use anyhow::{Context, bail};
use consorcio_core::bank::Identity;
use consorcio_core::bank::io::{Input, Start};
use consorcio_core::clock::{ClockFilter, RELEASED_US};
use consorcio_core::ids::{BankId, BankSet};
use consorcio_core::limits::{LISTEN_BACKLOG, SHUTDOWN_MS_MAX, SLOW_SYNC_MS};
use consorcio_core::wire::detail::Banks;
use consorcio_node::clock::{WallClock, machine};
use consorcio_node::disk::{Disk, SyncAge};
use consorcio_node::inbox::{Clock, Inbox};
use consorcio_node::run::{Fatal, run};
use consorcio_node::writer::Writer;
use consorcio_peers::Peers;
use consorcio_steps::steplog::{self, Step, StepLog};
use consorcio_system::config::make_key_file;
use std::io::{ErrorKind, Write, stdout};
use std::path::Path;
use std::pin::pin;
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, LocalOptions};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;
use tokio::time::timeout;

/// What the kernel sends a process that writes past the size a file may have (SIGXFSZ of Linux).
const FILE_SIZE_SIGNAL: i32 = 25;
/// At the end standard error has this long to take what was told.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// Own error; usage is 2.
const OWN_ERROR: u8 = 1;
const USAGE: u8 = 2;

/// Does what the switches say. Returns the program's exit code.
pub fn start(cli: Cli) -> ExitCode {
    let result = match cli.command {
        Some(Command::Key { file }) => {
            make_key_file(&file).map_err(anyhow::Error::from).map(|()| 0)
        }
        Some(Command::Journal { dir }) => print_journal(&dir),
        None => {
            exit_on_panic();
            serve(&cli.options)
        }
    };
    let code = match result {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            tell(&chain(&error));
            ExitCode::from(if error.is::<BadOptions>() { USAGE } else { OWN_ERROR })
        }
    };
    operator::flush(LAST_WORDS);
    code
}

/// A broken invariant stops the process, whatever thread or task it happened on.
fn exit_on_panic() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        before(info);
        std::process::exit(i32::from(OWN_ERROR));
    }));
}

/// Prints a journal and says at the end, on stderr, whether it is whole. Code 1 where it is not.
fn print_journal(dir: &Path) -> anyhow::Result<u8> {
    if let Err(error) = std::fs::read_dir(dir) {
        bail!("{}: this folder can't be read: {error}", dir.display());
    }
    if !consorcio_journal::is_in(dir) {
        bail!("{}: no journal is in this folder; give one like data/bank-0", dir.display());
    }
    let disk = consorcio_journal::FileDisk::read_only(dir);
    let mut out = std::io::BufWriter::new(stdout().lock());
    let dumped = consorcio_journal::dump(&disk, &mut out);
    let is_gone = |error: &std::io::Error| error.kind() == ErrorKind::BrokenPipe;
    let dumped = match (dumped, out.flush()) {
        // A reader that left early, such as `head`, has what it wanted.
        (Err(consorcio_journal::JournalError::Io { doing: "print", cause, .. }), _)
            if is_gone(&cause) =>
        {
            return Ok(0);
        }
        (_, Err(error)) if is_gone(&error) => return Ok(0),
        (_, Err(error)) => bail!("standard output could not be written: {error}"),
        (dumped, Ok(())) => dumped?,
    };
    if let Some(torn) = &dumped.torn {
        tell(&format!(
            "{torn}; it was being written when this was read or when its bank stopped, and nothing in it was promised"
        ));
    }
    for name in &dumped.indexes {
        let place = dir.join(name);
        tell(&format!(
            "{}: this index is damaged; no record is lost by that, the bank makes it again from the segments",
            place.display()
        ));
    }
    let (records, last) = (dumped.records, dumped.last);
    let found = format!("{}: {records} records, the last one is number {last}", dir.display());
    match &dumped.faults[..] {
        [] => {
            tell(&format!("{found}; all of it is as it was written"));
            Ok(0)
        }
        [first, rest @ ..] => {
            let more = if rest.is_empty() {
                String::new()
            } else {
                format!(" (and {} more places)", rest.len())
            };
            tell(&format!("{found}; DAMAGED: {first}{more}"));
            Ok(OWN_ERROR)
        }
    }
}

/// Runs a bank from its switches to its end. A start that is refused leaves its reason in the step
/// log, too.
fn serve(options: &Options) -> anyhow::Result<u8> {
    let mut steplog = None;
    let ended = open_and_run(options, &mut steplog);
    if let Err(error) = &ended
        && steplog.is_none()
    {
        tell_refused(options, &chain(error));
    }
    if let Some(steplog) = steplog {
        let text = match &ended {
            Ok(code) => format!("exit code {code}"),
            Err(error) => chain(error),
        };
        steplog.record(Step::Stop(text.into()));
        steplog.close();
    }
    // What tasks are left does not matter any more: all that was promised is durable.
    ended
}

/// The step log may be that of a bank that runs: one line is added, and nothing is rotated.
fn tell_refused(options: &Options, why: &str) {
    if options.log_steps == Switch::Off {
        return;
    }
    let places = options.consortium.to_texts();
    let log_options = steplog::Options { on: true, bytes_max: 0, keep: 0, places };
    // Where there is no log the reason stands on standard error alone.
    if let Ok(steplog) = StepLog::open(&steplog_path(options), log_options) {
        steplog.record(Step::Stop(format!("the start is refused: {why}").into()));
        steplog.close();
    }
}

/// The step log is put where its owner finds it as soon as it is open.
fn open_and_run(options: &Options, opened_log: &mut Option<StepLog>) -> anyhow::Result<u8> {
    let began = Instant::now();
    let bank = options.own_bank()?;
    options.check_demo()?;
    let mut bounds = options.bounds.bounds()?;
    let introduce_without = options.introduced_without()?;
    let key = Key::of(options)?;
    let mut http_connections = options.http.connections_max();
    let others = options.consortium.banks().len().saturating_sub(1);
    if let Some(told) =
        files::fit(&mut bounds, &mut http_connections, others).map_err(anyhow::Error::msg)?
    {
        tell(&told);
    }
    let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default())?;
    // With a handler a write past the allowed size of a file is an error that is told, and no
    // sudden death.
    let _file_size = runtime.block_on(async { signal(SignalKind::from_raw(FILE_SIZE_SIGNAL)) })?;
    let listener = runtime.block_on(listen(options))?;
    let web = runtime.block_on(Web::listen(&options.http, http_connections))?;
    let port = listener.local_addr()?.port();
    let chosen = options.port == 0;
    let options = Options { port, ..options.clone() };
    let mut consortium = options.consortium.clone();
    if chosen {
        consortium = consortium.moved(bank, &options.own_address());
    }
    let identity = Identity { bank, places: consortium.to_texts(), seal: key.seal.clone() };
    let steplog = open_steplog(&options, &identity)?;
    *opened_log = Some(steplog.clone());
    steplog.flush_on_panic();
    let version = env!("CARGO_PKG_VERSION");
    steplog.record(Step::Start(format!("servidor {version} bank {bank} of {consortium}").into()));
    tell_backlog(&steplog);
    let warn = notice(&steplog);
    let folder = folder::choose(&options.data_dir, bank, |text| warn(&text))?;
    if let Some(told) = folder::exposed(&options.data_dir, &folder) {
        tell(&told);
        steplog.record(Step::Fault(told.into()));
    }
    let opened = recover::open(&folder, &identity, &consortium, &key, options.moved, warn)?;
    tell_recovery(&opened, began, &steplog);
    let clock = opened.core.clock();
    let wall = ClockFilter::start(machine(), clock, RELEASED_US, options.accept_clock)?;
    let wall = WallClock::new(wall, notice(&steplog));
    let start = Start { introduce_without, run: fresh_run()? };
    let server = Server { options, start, bank, identity, folder, bounds, web, steplog };
    let ended = runtime.block_on(server.run(opened, wall, listener));
    // A look-up of a name that hangs is not waited for.
    runtime.shutdown_background();
    ended
}

/// Everything a bank is run with.
struct Server {
    options: Options,
    start: Start,
    bank: BankId,
    identity: Identity,
    folder: std::path::PathBuf,
    bounds: Bounds,
    web: Option<Web>,
    steplog: StepLog,
}

impl Server {
    async fn run(
        mut self,
        opened: Opened,
        wall: WallClock,
        listener: TcpListener,
    ) -> anyhow::Result<u8> {
        let Opened { core, appender, reader, recovered } = opened;
        let wake = Arc::new(Notify::new());
        let inbox = Rc::new(Inbox::new(Clock::start(), wake.clone()));
        let batches = [reader.batch(), reader.batch()];
        let founding = core.founding().context("a journal that was opened has a founding id")?;
        let (met, unmet) = (core.met(), core.unmet().minus(self.start.introduce_without));
        let (introduced, knows_registers) = (core.is_introduced(), core.knows_registers());
        let writer = Writer::new(core, reader, batches, self.steplog.is_on());
        let disk = Disk::start(appender, wake)?;
        let sync_age = disk.sync_age();
        let mut signals = watchdog::start(self.steplog.clone(), sync_age.clone())?;
        let peers = Peers::new(self.identity.clone(), founding, self.steplog.clone());
        let met = met.into_iter().enumerate();
        met.filter_map(|(at, founding)| BankId::new(at).zip(founding))
            .for_each(|(bank, it)| peers.met(bank, it));
        let (steplog, bounds) = (self.steplog.clone(), self.bounds.clone());
        let shared =
            Shared::new(inbox.clone(), steplog, peers.clone(), self.identity.clone(), bounds);
        shared.looks_at(sync_age.clone());
        shared.gate.set(introduced, knows_registers);
        inbox.offer(Input::Started(self.start));
        start_links(&peers, &shared, &inbox);
        let accepting = tokio::task::spawn_local(shared.clone().accept(listener));
        tokio::task::spawn_local(shared.clone().sweep());
        let telling = shared.clone();
        tokio::task::spawn_local(async move { telling.step_logger.flush_in_time().await });
        let http = self.start_http(&shared, sync_age.clone())?;
        self.tell_ready(recovered.fresh)?;
        self.tell_unmet(&shared, unmet);
        let delivering = shared.clone();
        let node = run(writer, disk, &inbox, wall, &self.steplog, |out, writer| {
            delivering.deliver(out, writer)
        });
        let mut node = pin!(node);
        let first = loop {
            tokio::select! {
                biased;
                ended = &mut node => return fatal(ended.err()),
                signal = signals.next() => match signal {
                    Told::Reopen => self.steplog.reopen(),
                    Told::End(name) => break name,
                }
            }
        };
        self.steplog.record(Step::Stop(
            format!("{first}: what was asked is answered, then this bank ends").into(),
        ));
        accepting.abort();
        let ending = async {
            let http = async {
                if let Some(http) = http {
                    http.end().await;
                }
            };
            // What HTTP still asks is answered like any line's request; then no more comes from
            // there.
            tokio::join!(shared.end_sessions(), http);
            shared.end_sessions().await;
            peers.shutdown();
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

    /// Tells the operator whom a bank with a new journal waits for.
    fn tell_unmet(&self, shared: &Shared, unmet: BankSet) {
        if !unmet.is_empty() {
            shared.introduced.set(false);
            tell(&format!(
                "bank {} has a new journal, so it works alone until it has met bank {}; --introduce-without N leaves \
                 out one that is down",
                self.bank,
                Banks(unmet)
            ));
        }
    }

    /// Starts HTTP where it is asked for.
    fn start_http(
        &mut self,
        shared: &Rc<Shared>,
        sync_age: Arc<SyncAge>,
    ) -> anyhow::Result<Option<Running>> {
        let Some(web) = self.web.take() else { return Ok(None) };
        let log_dir = self.options.log_dir.clone();
        let served = Served { identity: &self.identity, steplog: &self.steplog, log_dir, sync_age };
        web.start(served, shared).map(Some)
    }

    /// `fresh`: the folder held no journal, which who expected one should see.
    fn tell_ready(&self, fresh: bool) -> anyhow::Result<()> {
        let address = self.options.own_address();
        if let Some(file) = &self.options.port_file {
            write_atomically(file, &format!("{}\n", self.options.port))
                .with_context(|| format!("the port file {}", file.display()))?;
        }
        let key = self.identity.seal.key_id();
        let places = self.identity.places.len();
        let data = self.folder.display();
        let new = if fresh { ", new" } else { "" };
        let line = format!(
            "bank {} ready on {address} ({places} places, key {key}, data {data}{new})",
            self.bank
        );
        self.steplog.record(Step::Ready(line.as_str().into()));
        // A closed stdout is no reason for a bank not to work.
        let _ = writeln!(stdout(), "servidor: {line}").and_then(|()| stdout().flush());
        Ok(())
    }
}

/// Links to the other banks, whose answers go to the node.
fn start_links(peers: &Peers, shared: &Rc<Shared>, inbox: &Rc<Inbox>) {
    let told = inbox.clone();
    let (barrier, gate) = (shared.barrier.clone(), shared.gate.clone());
    let opening = gate.clone();
    tokio::task::spawn_local(async move { opening.open_in_time().await });
    let to_node = move |inputs: &mut Vec<Input>| {
        barrier.heard(inputs);
        let up = |input: &Input| if let Input::PeerUp(bank) = input { Some(*bank) } else { None };
        let up: Vec<BankId> = inputs.iter().filter_map(up).collect();
        told.offer_all(inputs);
        up.into_iter().for_each(|bank| gate.heard(bank));
    };
    for link in peers.links(to_node) {
        tokio::task::spawn_local(link);
    }
}

/// The end, or what keeps it from coming.
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
            tell("some sessions did not end in time, they are cut off");
            Ok(0)
        }
    }
}

/// Random bytes, others at each start.
fn fresh_run() -> anyhow::Result<[u8; 16]> {
    let mut run = [0; 16];
    getrandom::fill(&mut run)
        .map_err(|error| anyhow::anyhow!("the system gives no random bytes: {error}"))?;
    Ok(run)
}

fn fatal(error: Option<Fatal>) -> anyhow::Result<u8> {
    match error {
        Some(error) => Err(error.into()),
        None => Ok(0),
    }
}

async fn listen(options: &Options) -> anyhow::Result<TcpListener> {
    let address = options.own_address();
    bind(&address).await.map_err(|error| {
        let (port, what) = (options.port, anyhow::Error::new(error));
        match what.downcast_ref::<std::io::Error>().map(std::io::Error::kind) {
            Some(ErrorKind::AddrInUse) => what.context(format!(
                "port {port} is taken; another one is given by --port (and --consortium)"
            )),
            Some(ErrorKind::PermissionDenied) => {
                what.context(format!("port {port} is not allowed; another one is given by --port"))
            }
            Some(_) | None => {
                what.context(format!("can't listen on {address}; see --host and --port"))
            }
        }
    })
}

/// The kernel's own bound may be lower; on systems that do not tell it nothing is said.
fn tell_backlog(steplog: &StepLog) {
    let Ok(text) = std::fs::read_to_string("/proc/sys/net/core/somaxconn") else { return };
    if let Some(text) = text.trim().parse().ok().and_then(backlog_warning) {
        tell(&text);
        steplog.record(Step::Fault(text.into()));
    }
}

fn backlog_warning(somaxconn: u32) -> Option<String> {
    (somaxconn < LISTEN_BACKLOG).then(|| {
        format!(
            "the kernel queues {somaxconn} connections and not {LISTEN_BACKLOG}: of a larger burst some wait a \
             second; sysctl net.core.somaxconn={LISTEN_BACKLOG} allows all"
        )
    })
}

fn steplog_path(options: &Options) -> std::path::PathBuf {
    options.log_dir.join(format!("servidor-{}.log", options.port))
}

fn open_steplog(options: &Options, identity: &Identity) -> anyhow::Result<StepLog> {
    let path = steplog_path(options);
    if options.log_steps == Switch::On {
        steplog::make_folder(&options.log_dir)
            .with_context(|| format!("the folder {}", options.log_dir.display()))?;
    }
    let log_options = steplog::Options {
        on: options.log_steps == Switch::On,
        bytes_max: options.log_max_size,
        keep: options.log_keep,
        places: identity.places.clone(),
    };
    Ok(StepLog::open(&path, log_options)?)
}

/// What the journal's threads have to say.
fn notice(steplog: &StepLog) -> consorcio_journal::NoticeSink {
    let steplog = steplog.clone();
    Arc::new(move |text| {
        tell(text);
        steplog.record(Step::Fault(text.into()));
    })
}

fn tell_recovery(opened: &Opened, began: Instant, steplog: &StepLog) {
    let recovered = &opened.recovered;
    for warning in &recovered.warnings {
        tell(warning);
        steplog.record(Step::Fault(warning.as_str().into()));
    }
    if !recovered.fresh {
        tell(&format!("recovered {recovered}; {} undecided", opened.core.undecided()));
    }
    steplog.record(Step::Recover {
        records: recovered.records,
        seq: opened.core.seq(),
        undecided: opened.core.undecided(),
        took_us: u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX),
        text: recovered.to_string().into(),
    });
}

/// A reader of the file sees all of it, or no file. What is there and is no file of ours, a device
/// or a link, is left alone.
fn write_atomically(path: &Path, text: &str) -> std::io::Result<()> {
    if std::fs::symlink_metadata(path).is_ok_and(|found| !found.is_file()) {
        return Err(std::io::Error::other("it is there, and no regular file; name another one"));
    }
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".tmp");
    let aside = path.with_file_name(name);
    std::fs::write(&aside, text)?;
    std::fs::rename(&aside, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_that_queues_fewer_connections_is_told() {
        assert_eq!(backlog_warning(LISTEN_BACKLOG), None);
        let told = backlog_warning(128).unwrap();
        assert!(told.contains("128") && told.contains("somaxconn=4096"), "{told}");
    }
}
