//! The baseline of `scripts/compare.sh`: the same transfers between two PostgreSQL servers, by
//! PREPARE TRANSACTION.
//!
//! Each client has one session with each server and one transfer under way. It sends `BEGIN`, one
//! `UPDATE` and `PREPARE TRANSACTION` to both at once, each in one write, and when both are
//! prepared `COMMIT PREPARED` to both at once. If one account is hot, its server prepares before
//! the other one. No log of decisions is written, which a real coordinator would need: that favours
//! PostgreSQL. A deadlock across the servers ends by `lock_timeout`, since neither detects it.

mod session;

use anyhow::{Context, Result, bail};
use clap::Parser;
use hdrhistogram::Histogram;
use session::PgSession;
use std::cell::RefCell;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::task::LocalSet;

/// Centavos in each account at the beginning.
const OPENING: i64 = 100_000_000;

/// Transfers between two PostgreSQL servers on this machine, by PREPARE TRANSACTION.
#[derive(Debug, Clone, Parser)]
struct ComparisonArguments {
    /// The ports of the two servers.
    #[arg(long, value_delimiter = ',', required = true)]
    ports: Vec<u16>,
    /// Clients at work at the same time.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=1000))]
    clients: u32,
    /// Measured time, in seconds.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Warm-up before it, in seconds.
    #[arg(long, default_value_t = 1)]
    warmup: u64,
    /// Accounts at each server.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(i32).range(1..))]
    accounts: i32,
    /// Make one account of the first server part of every transfer.
    #[arg(long)]
    hot: bool,
    /// The argument that `cargo bench` passes to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
}

/// The counters of all clients.
struct BenchTally {
    committed: u64,
    not_committed: u64,
    prepared_us: Histogram<u64>,
    committed_us: Histogram<u64>,
}

#[derive(Clone, Copy)]
struct BenchPlan {
    begin: Instant,
    end: Instant,
}

fn main() -> ExitCode {
    let arguments = ComparisonArguments::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let ran = runtime
        .map_err(Into::into)
        .and_then(|runtime| LocalSet::new().block_on(&runtime, measure(&arguments)));
    match ran {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("postgres: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn measure(arguments: &ComparisonArguments) -> Result<()> {
    let mut servers = Vec::new();
    for port in &arguments.ports {
        let mut server = PgSession::connect(*port).await?;
        set_up(&mut server, arguments.accounts).await?;
        servers.push(server);
    }
    let tally = Rc::new(RefCell::new(BenchTally {
        committed: 0,
        not_committed: 0,
        prepared_us: Histogram::new(3)?,
        committed_us: Histogram::new(3)?,
    }));
    let mut clients = Vec::new();
    for number in 0..arguments.clients {
        clients.push(BenchClient::connect(arguments, number, Rc::clone(&tally)).await?);
    }
    let begin = Instant::now() + Duration::from_secs(arguments.warmup);
    let plan = BenchPlan { begin, end: begin + Duration::from_secs(arguments.seconds) };
    let running: Vec<_> =
        clients.into_iter().map(|client| tokio::task::spawn_local(client.run(plan))).collect();
    for client in running {
        client.await??;
    }
    let mut total = 0;
    for server in &mut servers {
        total += number(server, "SELECT sum(balance) FROM account").await?;
        total += number(server, "SELECT count(*) FROM pg_prepared_xacts").await?;
    }
    let conserved = total == 2 * i64::from(arguments.accounts) * OPENING;
    print(arguments, &tally.borrow(), conserved);
    if conserved { Ok(()) } else { bail!("money was made or lost, or is still prepared") }
}

/// Creates the accounts. The fill factor leaves room for new versions of rows in their page, which
/// is fastest in PostgreSQL.
async fn set_up(server: &mut PgSession, accounts: i32) -> Result<()> {
    for sql in [
        "DROP TABLE IF EXISTS account",
        "CREATE TABLE account (id int PRIMARY KEY, balance bigint NOT NULL CHECK (balance >= 0)) \
         WITH (fillfactor = 50)",
        &format!("INSERT INTO account SELECT id, {OPENING} FROM generate_series(1, {accounts}) id"),
        "VACUUM ANALYZE account",
        "CHECKPOINT",
    ] {
        server.run(sql).await?.ok().with_context(|| sql.to_owned())?;
    }
    Ok(())
}

async fn number(server: &mut PgSession, sql: &str) -> Result<i64> {
    let value = server.run(sql).await?.ok()?.value.context("no row")?;
    Ok(value.parse()?)
}

/// A client, with a session at each server.
struct BenchClient {
    first: PgSession,
    second: PgSession,
    name: String,
    accounts: i32,
    hot: bool,
    random: u64,
    count: u64,
    tally: Rc<RefCell<BenchTally>>,
}

impl BenchClient {
    async fn connect(
        arguments: &ComparisonArguments,
        number: u32,
        tally: Rc<RefCell<BenchTally>>,
    ) -> Result<BenchClient> {
        let [first, second] = arguments.ports[..] else { bail!("--ports takes two") };
        Ok(BenchClient {
            first: ready_session(first).await?,
            second: ready_session(second).await?,
            name: format!("{number}"),
            accounts: arguments.accounts,
            hot: arguments.hot,
            random: getrandom::u64()? | 1,
            count: 0,
            tally,
        })
    }

    /// Transfers until the plan's end.
    async fn run(mut self, plan: BenchPlan) -> Result<()> {
        loop {
            let began = Instant::now();
            if began >= plan.end {
                return Ok(());
            }
            let prepared = self.transfer().await?;
            let ended = Instant::now();
            if (plan.begin..plan.end).contains(&ended) {
                let mut tally = self.tally.borrow_mut();
                match prepared {
                    Some(prepared) => {
                        tally.committed += 1;
                        tally.prepared_us.record(micros(prepared - began))?;
                        tally.committed_us.record(micros(ended - began))?;
                    }
                    None => tally.not_committed += 1,
                }
            }
        }
    }

    /// Runs a transfer, and returns when it was prepared at both servers; `None` if one of them
    /// refused.
    async fn transfer(&mut self) -> Result<Option<Instant>> {
        self.count += 1;
        let id = format!("{}-{}", self.name, self.count);
        let amount = 1 + i64::from(self.below(100));
        let amount = if self.below(2) == 0 { amount } else { -amount };
        let from = if self.hot { 1 } else { 1 + self.below(self.accounts) };
        let to = 1 + self.below(self.accounts);
        move_money(&mut self.first, &id, from, -amount)?;
        move_money(&mut self.second, &id, to, amount)?;
        let (first, second) = if self.hot {
            // The transfer that holds the hot row must not wait: in parallel, the two servers would
            // often deadlock.
            let first = self.first.answer().await?;
            (first, self.second.answer().await?)
        } else {
            let (first, second) = tokio::join!(self.first.answer(), self.second.answer());
            (first?, second?)
        };
        let prepared = Instant::now();
        let is_prepared = first.error.is_none() && second.error.is_none();
        for (session, error) in [(&mut self.first, first.error), (&mut self.second, second.error)] {
            match error {
                None if is_prepared => session.query(&format!("COMMIT PREPARED '{id}'"))?,
                None => session.query(&format!("ROLLBACK PREPARED '{id}'"))?,
                // Another transfer holds the row (55P03, 40P01): no error.
                Some(error) if error.starts_with("55P03") || error.starts_with("40P01") => {
                    session.query("ROLLBACK")?;
                }
                Some(error) => bail!("PostgreSQL: {error}"),
            }
        }
        let (first, second) = tokio::join!(self.first.answer(), self.second.answer());
        first?.ok()?;
        second?.ok()?;
        Ok(is_prepared.then_some(prepared))
    }

    /// A random number below `bound`, by the generator of `cliente bench`.
    fn below(&mut self, bound: i32) -> i32 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let bound = u64::try_from(bound).unwrap_or(1).max(1);
        i32::try_from((self.random >> 11) % bound).unwrap_or(0)
    }
}

/// A session with its statements prepared.
async fn ready_session(port: u16) -> Result<PgSession> {
    let mut session = PgSession::connect(port).await?;
    // As long as a driver waits for a vote.
    session.run("SET lock_timeout = '2s'").await?.ok()?;
    session.prepare("begin", "BEGIN").await?;
    session.prepare("move", "UPDATE account SET balance = balance + $1 WHERE id = $2").await?;
    Ok(session)
}

/// Queues one server's statements up to its vote, for one write.
fn move_money(session: &mut PgSession, id: &str, account: i32, amount: i64) -> Result<()> {
    session.execute("begin", &[])?;
    session.execute("move", &[&amount.to_be_bytes(), &account.to_be_bytes()])?;
    // The name of a prepared transaction can't be a parameter.
    session.parse("", &format!("PREPARE TRANSACTION '{id}'"))?;
    session.execute("", &[])?;
    session.sync()
}

fn micros(took: Duration) -> u64 {
    u64::try_from(took.as_micros()).unwrap_or(u64::MAX)
}

/// Prints headings as `cliente bench --csv`, and the time until both were prepared.
fn print(arguments: &ComparisonArguments, tally: &BenchTally, conserved: bool) {
    let (prepared, committed) = (&tally.prepared_us, &tally.committed_us);
    println!(
        "clients,seconds,accounts,hot,committed,committed_per_s,not_committed,p50_us,p99_us,max_us,\
         prepared_p50_us,prepared_p99_us,prepared_max_us,conserved"
    );
    println!(
        "{},{},{},{},{},{},{},{},{},{},{},{},{},{conserved}",
        arguments.clients,
        arguments.seconds,
        arguments.accounts,
        arguments.hot,
        tally.committed,
        tally.committed / arguments.seconds.max(1),
        tally.not_committed,
        committed.value_at_quantile(0.5),
        committed.value_at_quantile(0.99),
        committed.max(),
        prepared.value_at_quantile(0.5),
        prepared.value_at_quantile(0.99),
        prepared.max()
    );
}
