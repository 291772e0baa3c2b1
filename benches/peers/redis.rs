//! Transfers inside one Redis server, each one call of a script, which Redis runs alone.
//!
//! The script refuses a debit that the account does not hold, as banks do. With `appendfsync
//! always` the server answers once the change is on disk; it syncs once for all requests that it
//! read together. There is no other server: nothing here commits at two places.

use crate::pipeline::{TransferPipe, run_all};
use crate::tally::{SharedTally, TransferEnd};
use crate::{ComparisonArguments, OPENING};
use anyhow::{Context, Result, bail, ensure};
use std::fmt::Display;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const TRANSFER: &str = "\
    if tonumber(redis.call('GET', KEYS[1])) < tonumber(ARGV[1]) then return 0 end \
    redis.call('DECRBY', KEYS[1], ARGV[1]) redis.call('INCRBY', KEYS[2], ARGV[1]) return 1";

const OPEN: &str = "for i = 1, ARGV[1] do redis.call('SET', 'account:' .. i, ARGV[2]) end return 1";

const SUM: &str = "local sum = 0 for i = 1, ARGV[1] do \
    sum = sum + tonumber(redis.call('GET', 'account:' .. i)) end return sum";

/// Returns the sum of all balances afterwards.
pub async fn measure(
    arguments: &ComparisonArguments,
    port: u16,
    tally: &SharedTally,
) -> Result<i64> {
    let mut server = RedisPipe::connect(port, "").await?;
    for (setting, wanted) in [("appendonly", "yes"), ("appendfsync", "always")] {
        server.queue_request(&[&"CONFIG", &"GET", &setting]);
        let answer = server.answer().await?;
        ensure!(answer.lines().last() == Some(wanted), "{setting} is not {wanted}");
    }
    let accounts = arguments.accounts;
    server.queue_request(&[&"FLUSHALL"]);
    server.answer().await?;
    server.queue_request(&[&"EVAL", &OPEN, &0, &accounts, &OPENING]);
    server.answer().await?;
    server.queue_request(&[&"SCRIPT", &"LOAD", &TRANSFER]);
    let script = server.answer().await?;
    let mut pipes = Vec::new();
    for _ in 0..arguments.clients {
        pipes.push(RedisPipe::connect(port, &script).await?);
    }
    run_all(arguments, pipes, tally).await?;
    server.queue_request(&[&"EVAL", &SUM, &0, &accounts]);
    Ok(server.answer().await?.parse()?)
}

struct RedisPipe {
    stream: TcpStream,
    script: String,
    output: Vec<u8>,
    input: Vec<u8>,
}

impl RedisPipe {
    async fn connect(port: u16, script: &str) -> Result<RedisPipe> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await;
        let stream = stream.with_context(|| format!("port {port}"))?;
        stream.set_nodelay(true)?;
        let script = script.to_owned();
        Ok(RedisPipe { stream, script, output: Vec::new(), input: Vec::new() })
    }

    fn queue_request(&mut self, words: &[&dyn Display]) {
        self.output.extend(format!("*{}\r\n", words.len()).bytes());
        for word in words {
            let word = word.to_string();
            self.output.extend(format!("${}\r\n{word}\r\n", word.len()).bytes());
        }
    }

    /// Sends what is queued, and waits for one answer; its parts are lines.
    async fn answer(&mut self) -> Result<String> {
        self.stream.write_all(&self.output).await?;
        self.output.clear();
        loop {
            if let Some((text, end)) = first_answer(&self.input)? {
                self.input.drain(..end);
                return Ok(text);
            }
            self.read().await?;
        }
    }

    async fn read(&mut self) -> Result<()> {
        ensure!(self.stream.read_buf(&mut self.input).await? > 0, "Redis closed the connection");
        Ok(())
    }
}

impl TransferPipe for RedisPipe {
    fn queue(&mut self, from: i32, to: i32, amount: i64) -> Result<()> {
        let script = std::mem::take(&mut self.script);
        let (from, to) = (format!("account:{from}"), format!("account:{to}"));
        self.queue_request(&[&"EVALSHA", &script, &2, &from, &to, &amount]);
        self.script = script;
        Ok(())
    }

    async fn answers(&mut self) -> Result<Vec<TransferEnd>> {
        let mut ends = vec![transfer_end(&self.answer().await?)?];
        let mut begin = 0;
        while let Some((text, end)) = first_answer(&self.input[begin..])? {
            ends.push(transfer_end(&text)?);
            begin += end;
        }
        self.input.drain(..begin);
        Ok(ends)
    }
}

fn transfer_end(answer: &str) -> Result<TransferEnd> {
    match answer {
        "1" => Ok(TransferEnd::Committed { prepared: None }),
        "0" => Ok(TransferEnd::NotCommitted),
        other => bail!("Redis: {other}"),
    }
}

/// The text of the first answer, and the offset of the next one; `None` if it is incomplete. The
/// parts of an array are lines.
fn first_answer(input: &[u8]) -> Result<Option<(String, usize)>> {
    let Some(line) = input.windows(2).position(|two| two == b"\r\n") else { return Ok(None) };
    let Some((kind, text)) = input[..line].split_first() else { bail!("Redis sent an empty line") };
    let text = std::str::from_utf8(text)?;
    let after = line + 2;
    match kind {
        b':' | b'+' => Ok(Some((text.to_owned(), after))),
        b'-' => bail!("Redis: {text}"),
        b'$' => {
            let end = after + text.parse::<usize>()?;
            let Some(body) = input.get(after..end + 2) else { return Ok(None) };
            let body = std::str::from_utf8(&body[..body.len() - 2])?;
            Ok(Some((body.to_owned(), end + 2)))
        }
        b'*' => {
            let (mut parts, mut at) = (Vec::new(), after);
            for _ in 0..text.parse::<usize>()? {
                let Some((part, end)) = first_answer(&input[at..])? else { return Ok(None) };
                parts.push(part);
                at += end;
            }
            Ok(Some((parts.join("\n"), at)))
        }
        _ => bail!("Redis sent an answer of unknown kind"),
    }
}
