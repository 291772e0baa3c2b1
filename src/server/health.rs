//! `servidor --health`: asks the bank that runs with these settings whether it works, as a health
//! check of a container does.
//!
//! It sends INFO, which passes the whole bank: its queue, its writer, and, while a sync is under
//! way, that sync. So a bank whose disk hangs does not pass.

use crate::args::{BadOptions, ServerOptions};
use crate::listen::address;
use crate::run_command::print;
use crate::tls;
use anyhow::{Context, bail};
use consorcio_core::ids::BankId;
use consorcio_core::limits::{CLIENT_TIMEOUT_MS, LINE_BYTES_MAX};
use consorcio_core::wire::answer::InfoAnswer;
use consorcio_tls::BankTls;
use consorcio_words::sentences::told;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt};
use tokio::runtime::Builder;
use tokio::time::timeout;

const WITHIN: Duration = Duration::from_millis(CLIENT_TIMEOUT_MS);

/// Asks the bank, and prints one sentence.
///
/// # Errors
/// When it does not answer within the time limit, or another bank answers.
pub(crate) fn ask(options: &ServerOptions) -> anyhow::Result<bool> {
    if options.port == 0 {
        return Err(BadOptions::new("--health needs the port of the bank: give --port").into());
    }
    let bank = options.own_bank()?;
    let address = reached_at(&options.host, options.port);
    let began = Instant::now();
    if let Some(tls) = tls::open(options, bank)? {
        ask_over_tls(&tls, bank, &address)
            .with_context(|| format!("bank {bank} at {address} does not work"))?;
        let took = began.elapsed().as_micros();
        let found = format!("bank {bank} works on {address}: answer after {took} µs");
        return print(&(told(&found) + "\n"));
    }
    let line = info(&address).with_context(|| format!("bank {bank} at {address} does not work"))?;
    let Some(answer) = line.strip_prefix("DONE ") else {
        bail!("bank {bank} at {address} does not work: it answers {:?}", line.trim_end());
    };
    let info: InfoAnswer<'_> = serde_json::from_str(answer)
        .with_context(|| format!("what listens on {address} is no bank of this version"))?;
    if info.bank != bank {
        bail!("bank {} listens on {address}, and not bank {bank}; see --port", info.bank);
    }
    let (undecided, took) = (info.undecided, began.elapsed().as_micros());
    let found =
        format!("bank {bank} works on {address}: {undecided} undecided, answer after {took} µs");
    print(&(told(&found) + "\n"))
}

/// Asks for the state of a transaction that does not exist, with the bank's own certificate: a link
/// may ask that, and the answer has passed the whole bank.
fn ask_over_tls(tls: &BankTls, bank: BankId, address: &str) -> anyhow::Result<()> {
    let asked = async {
        let socket = tokio::net::TcpStream::connect(address).await.context("no connection")?;
        let (mut stream, _) = tls.dialer().connect(bank, socket).await?;
        stream.write_all(b"STATUS servidor-health\n").await?;
        let mut line = String::new();
        let room = u64::try_from(LINE_BYTES_MAX).unwrap_or(u64::MAX);
        tokio::io::BufReader::new(stream.take(room)).read_line(&mut line).await?;
        if !line.starts_with("UNKNOWN ") {
            bail!("it answers {:?}", line.trim_end());
        }
        Ok(())
    };
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match timeout(WITHIN, asked).await {
            Ok(asked) => asked,
            Err(_) => bail!("no answer within {} s", WITHIN.as_secs()),
        }
    })
}

/// The answer to INFO, one line.
fn info(address: &str) -> anyhow::Result<String> {
    let until = Instant::now() + WITHIN;
    let left = || match until.saturating_duration_since(Instant::now()) {
        Duration::ZERO => bail!("no answer within {} s", WITHIN.as_secs()),
        left => Ok(left),
    };
    let mut last = None;
    for at in address.to_socket_addrs()? {
        match TcpStream::connect_timeout(&at, left()?) {
            Ok(mut stream) => {
                stream.set_write_timeout(Some(left()?))?;
                stream.write_all(b"INFO\n")?;
                return read_line(&stream, left);
            }
            Err(error) => last = Some(error),
        }
    }
    match last {
        Some(error) => Err(error).context("no connection"),
        None => bail!("the name has no address"),
    }
}

/// One line, complete within the time that `left` says.
fn read_line(
    stream: &TcpStream,
    left: impl Fn() -> anyhow::Result<Duration>,
) -> anyhow::Result<String> {
    let room = u64::try_from(LINE_BYTES_MAX).unwrap_or(u64::MAX);
    let mut reader = BufReader::new(stream.take(room));
    let mut line = Vec::new();
    while line.last() != Some(&b'\n') {
        stream.set_read_timeout(Some(left()?))?;
        let read = match reader.fill_buf() {
            // The next round says that the time is over.
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                continue;
            }
            read => read.context("its answer can't be read")?,
        };
        if read.is_empty() {
            bail!("it closed the connection without an answer");
        }
        let end = read.iter().position(|byte| *byte == b'\n').map_or(read.len(), |at| at + 1);
        line.extend_from_slice(&read[..end]);
        reader.consume(end);
    }
    String::from_utf8(line).context("its answer is no text")
}

/// A bank that listens on all addresses is asked on loopback.
fn reached_at(host: &str, port: u16) -> String {
    match host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
        Ok(IpAddr::V4(ip)) if ip.is_unspecified() => {
            address(&Ipv4Addr::LOCALHOST.to_string(), port)
        }
        Ok(IpAddr::V6(ip)) if ip.is_unspecified() => {
            address(&Ipv6Addr::LOCALHOST.to_string(), port)
        }
        Ok(_) | Err(_) => address(host, port),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bank_on_all_addresses_is_asked_on_loopback() {
        for (host, reached) in [
            ("0.0.0.0", "127.0.0.1:8886"),
            ("::", "[::1]:8886"),
            ("[::]", "[::1]:8886"),
            ("10.0.0.1", "10.0.0.1:8886"),
            ("banco-0", "banco-0:8886"),
        ] {
            assert_eq!(reached_at(host, 8886), reached);
        }
    }
}
