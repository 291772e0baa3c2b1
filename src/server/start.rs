//! `servidor` from its switches to its end: what is needed is opened, run, and closed in order.

use crate::bank::Identity;
use crate::bank::io::Input;
use crate::commit::token::Seal;
use crate::config::{make_key_file, read_key_file};
use crate::http;
use crate::ids::BankId;
use crate::journal;
use crate::limits::SHUTDOWN_MS_MAX;
use crate::node::disk::Disk;
use crate::node::inbox::{Clock, Inbox};
use crate::node::run::{Fatal, run};
use crate::node::writer::Writer;
use crate::peers::Peers;
use crate::server::args::{BadOptions, Cli, Command, Options, Switch};
use crate::server::recover::{self, Opened};
use crate::server::{Bounds, Shared, inside};
use crate::steplog::{self, Step, StepLog};
use anyhow::Context;
use rustix::process::{Resource, getrlimit, setrlimit};
use std::io::{ErrorKind, Write, stdout};
use std::path::Path;
use std::pin::pin;
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, LocalOptions};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Notify;
use tokio::time::timeout;

/// File descriptors for all but sessions: journal, logs, links, connections that are being refused.
const OTHER_FILES: u64 = 512;

/// Own error; usage is 2.
const OWN_ERROR: u8 = 1;
const USAGE: u8 = 2;

/// Does what the switches say. Returns the program's exit code.
pub fn start(cli: Cli) -> ExitCode {
    let result = match cli.command {
        Some(Command::Key { file }) => make_key_file(&file).map_err(anyhow::Error::from).map(|()| 0),
        Some(Command::Journal { dir }) => print_journal(&dir).map(|()| 0),
        None => {
            exit_on_panic();
            serve(&cli.options)
        }
    };
    match result {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            tell(&format!("{error:#}"));
            ExitCode::from(if error.is::<BadOptions>() { USAGE } else { OWN_ERROR })
        }
    }
}

/// One line for the operator. Nothing can be done where stderr is gone.
fn tell(text: &str) {
    let _ = writeln!(std::io::stderr(), "servidor: {text}");
}

/// A broken invariant stops the process, whatever thread or task it happened on.
fn exit_on_panic() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        before(info);
        std::process::exit(i32::from(OWN_ERROR));
    }));
}

fn print_journal(dir: &Path) -> anyhow::Result<()> {
    let disk = journal::FileDisk::read_only(dir);
    let mut out = std::io::BufWriter::new(stdout().lock());
    let dumped = journal::dump(&disk, &mut out);
    out.flush()?;
    dumped?;
    Ok(())
}

fn serve(options: &Options) -> anyhow::Result<u8> {
    let began = Instant::now();
    let bank = options.own_bank()?;
    options.check_demo()?;
    let mut bounds = options.bounds.bounds()?;
    let seal = match &options.key_file {
        Some(file) => Seal::keyed(read_key_file(file)?),
        None => {
            options.check_loopback()?;
            Seal::none()
        }
    };
    let http_files = options.http.http.as_ref().map_or(0, |_| options.http.bounds().connections);
    fit_file_limit(&mut bounds, http_files);
    let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default())?;
    let listener = runtime.block_on(listen(options))?;
    let http_listener = options.http.http.as_deref().map(listen_http).transpose()?;
    let port = listener.local_addr()?.port();
    let chosen = options.port == 0;
    let options = Options { port, ..options.clone() };
    let mut consortium = options.consortium.clone();
    if chosen {
        consortium = consortium.moved(bank, &options.own_address());
    }
    let identity = Identity { bank, places: consortium.to_texts(), seal };
    let steplog = open_steplog(&options, &identity)?;
    steplog.flush_on_panic();
    let version = env!("CARGO_PKG_VERSION");
    steplog.record(Step::Start(format!("servidor {version} bank {bank} of {consortium}").into()));
    let folder = options.data_dir.join(port.to_string());
    let opened = recover::open(&folder, &identity, &consortium, notice(&steplog));
    let opened = opened.inspect_err(|error| {
        steplog.record(Step::Fault(format!("{error:#}").into()));
    })?;
    tell_recovery(&opened, began, &steplog);
    let server = Server { options, bank, identity, folder, bounds, http_listener, steplog: steplog.clone() };
    let ended = runtime.block_on(server.run(opened, listener));
    let text = match &ended {
        Ok(code) => format!("exit code {code}"),
        Err(error) => format!("{error:#}"),
    };
    steplog.record(Step::Stop(text.into()));
    steplog.close();
    // What tasks are left does not matter any more: all that was promised is durable.
    ended
}

/// Everything a bank is run with.
struct Server {
    options: Options,
    bank: BankId,
    identity: Identity,
    folder: std::path::PathBuf,
    bounds: Bounds,
    http_listener: Option<std::net::TcpListener>,
    steplog: StepLog,
}

impl Server {
    async fn run(mut self, opened: Opened, listener: TcpListener) -> anyhow::Result<u8> {
        let mut signals = Signals::new()?;
        let Opened { core, appender, reader, .. } = opened;
        let wake = Arc::new(Notify::new());
        let inbox = Rc::new(Inbox::new(Clock::start(), wake.clone()));
        let batches = [reader.batch(), reader.batch()];
        let writer = Writer::new(core, reader, batches, self.steplog.is_on());
        let disk = Disk::start(appender, wake)?;
        let peers = Peers::new(self.identity.clone(), self.steplog.clone());
        let shared = Shared::new(
            inbox.clone(),
            self.steplog.clone(),
            peers.clone(),
            self.identity.clone(),
            self.bounds.clone(),
        );
        inbox.offer(Input::Started);
        let told = inbox.clone();
        let settling = shared.settling.clone();
        let to_node = move |inputs: &mut Vec<Input>| {
            settling.heard(inputs);
            told.offer_all(inputs);
        };
        for link in peers.links(to_node) {
            tokio::task::spawn_local(link);
        }
        let accepting = tokio::task::spawn_local(shared.clone().accept(listener));
        tokio::task::spawn_local(shared.clone().sweep());
        let telling = shared.clone();
        tokio::task::spawn_local(async move { telling.story.flush_in_time().await });
        let http = self.start_http(&shared)?;
        self.tell_ready()?;
        let delivering = shared.clone();
        let node = run(writer, disk, &inbox, &self.steplog, |out, writer| delivering.deliver(out, writer));
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
        self.steplog
            .record(Step::Stop(format!("{first}: what was asked is answered, then this bank ends").into()));
        accepting.abort();
        let ending = async {
            let http = async {
                if let Some(http) = http {
                    http.end().await;
                }
            };
            // What HTTP still asks is answered like any line's request; then no more comes from there.
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
                code = signals.second() => Ok(code),
            }
        };
        match timeout(Duration::from_millis(SHUTDOWN_MS_MAX), ended).await {
            Ok(ended) => Ok(ended?),
            Err(_) => {
                tell("some sessions did not end in time, they are cut off");
                Ok(0)
            }
        }
    }

    /// Starts HTTP where it is asked for.
    fn start_http(&mut self, shared: &Rc<Shared>) -> anyhow::Result<Option<http::Running>> {
        let Some(listener) = self.http_listener.take() else { return Ok(None) };
        let address = listener.local_addr()?;
        let demo = self.options.http.demo.as_deref();
        let demo = demo.map(|folder| http::Demo::join(folder, self.bank, &self.identity.places));
        let demo = demo.transpose().context("the demonstration can't be joined; see --demo")?;
        let options = http::Options {
            bank: self.bank,
            places: self.identity.places.clone(),
            on_loopback: address.ip().to_canonical().is_loopback() || address.ip().is_unspecified(),
            hosts: self.options.http.http_host.clone(),
            origins: self.options.http.http_origin.clone(),
            steplog: self.steplog.clone(),
            log_dir: self.options.log_dir.clone(),
            demo,
            bounds: self.options.http.bounds(),
        };
        *shared.http.borrow_mut() = Some(self.told_http(address));
        let (running, asks) = http::start(listener, options).context("HTTP can't be started")?;
        tokio::task::spawn_local(inside::serve(shared.clone(), asks));
        let line = format!("bank {} serves http://{address}/", self.bank);
        self.steplog.record(Step::Ready(line.as_str().into()));
        let _ = writeln!(stdout(), "servidor: {line}");
        Ok(Some(running))
    }

    /// Where others find this bank's HTTP: on all addresses of the machine it is found where the bank's lines are.
    fn told_http(&self, address: std::net::SocketAddr) -> String {
        let own = self.identity.places.get(self.bank.index()).map_or("", String::as_str);
        match own.rsplit_once(':') {
            Some((host, _)) if address.ip().is_unspecified() => format!("{host}:{}", address.port()),
            Some(_) | None => address.to_string(),
        }
    }

    fn tell_ready(&self) -> anyhow::Result<()> {
        let address = self.options.own_address();
        if let Some(file) = &self.options.port_file {
            write_atomically(file, &format!("{}\n", self.options.port))
                .with_context(|| format!("the port file {}", file.display()))?;
        }
        let key = if self.identity.seal.is_keyed() { "key" } else { "no key" };
        let places = self.identity.places.len();
        let data = self.folder.display();
        let line = format!("bank {} ready on {address} ({places} places, {key}, data {data})", self.bank);
        self.steplog.record(Step::Ready(line.as_str().into()));
        // A closed stdout is no reason for a bank not to work.
        let _ = writeln!(stdout(), "servidor: {line}").and_then(|()| stdout().flush());
        Ok(())
    }
}

fn fatal(error: Option<Fatal>) -> anyhow::Result<u8> {
    match error {
        Some(error) => Err(error.into()),
        None => Ok(0),
    }
}

async fn listen(options: &Options) -> anyhow::Result<TcpListener> {
    let address = options.own_address();
    TcpListener::bind(&address).await.map_err(|error| {
        let (port, what) = (options.port, anyhow::Error::new(error));
        match what.downcast_ref::<std::io::Error>().map(std::io::Error::kind) {
            Some(ErrorKind::AddrInUse) => what
                .context(format!("port {port} is taken; another one is given by --port (and --consortium)")),
            Some(ErrorKind::PermissionDenied) => {
                what.context(format!("port {port} is not allowed; another one is given by --port"))
            }
            Some(_) | None => what.context(format!("can't listen on {address}; see --host and --port")),
        }
    })
}

fn listen_http(address: &str) -> anyhow::Result<std::net::TcpListener> {
    std::net::TcpListener::bind(address)
        .with_context(|| format!("HTTP can't listen on {address}; see --http"))
}

fn open_steplog(options: &Options, identity: &Identity) -> anyhow::Result<StepLog> {
    let path = options.log_dir.join(format!("servidor-{}.log", options.port));
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
fn notice(steplog: &StepLog) -> journal::Notice {
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

/// Asks for as many file descriptors as sessions may need. Where there are fewer, there are fewer sessions.
/// `http_files` are for HTTP.
fn fit_file_limit(bounds: &mut Bounds, http_files: usize) {
    let others = OTHER_FILES + u64::try_from(http_files).unwrap_or(0);
    let wanted = u64::try_from(bounds.sessions).unwrap_or(u64::MAX) + others;
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= wanted) {
        return;
    }
    limit.current = Some(limit.maximum.map_or(wanted, |maximum| maximum.min(wanted)));
    let allowed = match setrlimit(Resource::Nofile, limit) {
        Ok(()) => limit.current.unwrap_or(wanted),
        Err(_) => getrlimit(Resource::Nofile).current.unwrap_or(wanted),
    };
    if allowed < wanted {
        let sessions = usize::try_from(allowed.saturating_sub(others)).unwrap_or(bounds.sessions);
        let sessions = sessions.max(2).min(bounds.sessions);
        tell(&format!(
            "only {allowed} open files are allowed, so there are places for {sessions} sessions and not for {}; \
             ulimit -n {wanted} allows all",
            bounds.sessions
        ));
        bounds.sessions = sessions;
        bounds.for_banks = bounds.for_banks.min(sessions / 2);
    }
}

/// A reader of the file sees all of it, or no file.
fn write_atomically(path: &Path, text: &str) -> std::io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".tmp");
    let aside = path.with_file_name(name);
    std::fs::write(&aside, text)?;
    std::fs::rename(&aside, path)
}

/// What a signal asks for.
enum Told {
    /// Open the step log anew.
    Reopen,
    /// End; the signal's name.
    End(&'static str),
}

struct Signals {
    term: Signal,
    int: Signal,
    hup: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Signals> {
        Ok(Signals {
            term: signal(SignalKind::terminate())?,
            int: signal(SignalKind::interrupt())?,
            hup: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Told {
        tokio::select! {
            _ = self.term.recv() => Told::End("SIGTERM"),
            _ = self.int.recv() => Told::End("SIGINT"),
            _ = self.hup.recv() => Told::Reopen,
        }
    }

    /// The exit code that a second signal asks for.
    async fn second(&mut self) -> u8 {
        tokio::select! {
            _ = self.term.recv() => 143,
            _ = self.int.recv() => 130,
        }
    }
}
