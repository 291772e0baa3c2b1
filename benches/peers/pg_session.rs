//! A session with a PostgreSQL server: the subset of its wire protocol (version 3) that the
//! comparison needs.
//!
//! A general client would wait for each statement; here a transfer's statements take one write and
//! one round trip, as in this project's own protocol.

use anyhow::{Context, Result, bail, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const VERSION_3_0: i32 = 196_608;

pub struct PgSession {
    stream: TcpStream,
    output: Vec<u8>,
    input: Vec<u8>,
    /// What the answer that has begun holds so far.
    partial: QueryAnswer,
}

/// The server's answer up to its next "ready".
#[derive(Debug, Default)]
pub struct QueryAnswer {
    /// The first error, if any.
    pub error: Option<String>,
    /// The first column of the last row.
    pub value: Option<String>,
}

impl QueryAnswer {
    /// The answer, unless it has an error.
    pub fn ok(self) -> Result<QueryAnswer> {
        match self.error {
            Some(error) => bail!("PostgreSQL: {error}"),
            None => Ok(self),
        }
    }
}

impl PgSession {
    /// Connects over loopback to the database `postgres` as the user `postgres`, without a
    /// password.
    pub async fn connect(port: u16) -> Result<PgSession> {
        let stream = TcpStream::connect(("127.0.0.1", port))
            .await
            .with_context(|| format!("port {port}"))?;
        stream.set_nodelay(true)?;
        let partial = QueryAnswer::default();
        let mut session = PgSession { stream, output: Vec::new(), input: Vec::new(), partial };
        let text = b"user\0postgres\0database\0postgres\0\0";
        session.output.extend(length(text.len() + 8)?.to_be_bytes());
        session.output.extend(VERSION_3_0.to_be_bytes());
        session.output.extend(text);
        session.answer().await?.ok()?;
        Ok(session)
    }

    /// Connects, and prepares the statements of a transfer: `begin` and `move`.
    pub async fn ready(port: u16) -> Result<PgSession> {
        let mut session = PgSession::connect(port).await?;
        // As long as a driver waits for a vote.
        session.run("SET lock_timeout = '2s'").await?.ok()?;
        session.prepare("begin", "BEGIN").await?;
        session.prepare("move", "UPDATE account SET balance = balance + $1 WHERE id = $2").await?;
        Ok(session)
    }

    /// Runs `sql` and waits for the answer.
    pub async fn run(&mut self, sql: &str) -> Result<QueryAnswer> {
        self.query(sql)?;
        self.answer().await
    }

    /// Queues `sql`, without parameters.
    pub fn query(&mut self, sql: &str) -> Result<()> {
        self.message(b'Q', |body| text(body, sql))
    }

    /// Prepares `sql` under `name`, and waits for the answer.
    pub async fn prepare(&mut self, name: &str, sql: &str) -> Result<()> {
        self.parse(name, sql)?;
        self.sync()?;
        self.answer().await?.ok()?;
        Ok(())
    }

    /// Queues the preparation of `sql` under `name`.
    pub fn parse(&mut self, name: &str, sql: &str) -> Result<()> {
        self.message(b'P', |body| {
            text(body, name);
            text(body, sql);
            body.extend(0_i16.to_be_bytes());
        })
    }

    /// Queues the execution of the statement `name`, with binary parameters.
    pub fn execute(&mut self, name: &str, parameters: &[&[u8]]) -> Result<()> {
        let count = i16::try_from(parameters.len())?;
        let lengths: Vec<i32> =
            parameters.iter().map(|one| length(one.len())).collect::<Result<_>>()?;
        self.message(b'B', |body| {
            text(body, "");
            text(body, name);
            // All parameters are binary.
            body.extend(1_i16.to_be_bytes());
            body.extend(1_i16.to_be_bytes());
            body.extend(count.to_be_bytes());
            for (parameter, length) in parameters.iter().zip(&lengths) {
                body.extend(length.to_be_bytes());
                body.extend(*parameter);
            }
            body.extend(0_i16.to_be_bytes());
        })?;
        self.message(b'E', |body| {
            text(body, "");
            body.extend(0_i32.to_be_bytes());
        })
    }

    /// Queues the end of a series of `parse` and `execute`, to which the server answers "ready".
    pub fn sync(&mut self) -> Result<()> {
        self.message(b'S', |_| {})
    }

    /// Sends all queued messages in one write, and reads up to the next "ready".
    pub async fn answer(&mut self) -> Result<QueryAnswer> {
        self.answers().await?.pop().context("no answer")
    }

    /// Sends all queued messages in one write, and waits for answers: one or more.
    pub async fn answers(&mut self) -> Result<Vec<QueryAnswer>> {
        self.stream.write_all(&self.output).await?;
        self.output.clear();
        let mut answers = Vec::new();
        loop {
            let mut begin = 0;
            while let Some((kind, body, end)) = first_message(&self.input[begin..])? {
                match kind {
                    b'E' if self.partial.error.is_none() => self.partial.error = Some(words(body)),
                    b'D' => self.partial.value = first_column(body),
                    b'R' => ensure!(body == [0; 4], "PostgreSQL wants a password"),
                    b'Z' => answers.push(std::mem::take(&mut self.partial)),
                    // Notices, parameters, completions.
                    _ => {}
                }
                begin += end;
            }
            self.input.drain(..begin);
            if !answers.is_empty() {
                return Ok(answers);
            }
            ensure!(
                self.stream.read_buf(&mut self.input).await? > 0,
                "PostgreSQL closed the connection"
            );
        }
    }

    fn message(&mut self, kind: u8, write: impl FnOnce(&mut Vec<u8>)) -> Result<()> {
        self.output.push(kind);
        let begin = self.output.len();
        self.output.extend([0; 4]);
        write(&mut self.output);
        let length = length(self.output.len() - begin)?;
        self.output[begin..begin + 4].copy_from_slice(&length.to_be_bytes());
        Ok(())
    }
}

fn length(length: usize) -> Result<i32> {
    Ok(i32::try_from(length)?)
}

fn text(body: &mut Vec<u8>, text: &str) {
    body.extend(text.as_bytes());
    body.push(0);
}

/// The kind of the first message, its body, and the offset of the next one; `None` if it is
/// incomplete.
fn first_message(input: &[u8]) -> Result<Option<(u8, &[u8], usize)>> {
    let Some((&[kind, a, b, c, d], _)) = input.split_first_chunk() else { return Ok(None) };
    let end = 1 + usize::try_from(u32::from_be_bytes([a, b, c, d]))?;
    ensure!(end >= 5, "PostgreSQL sent a message without a length");
    Ok(input.get(5..end).map(|body| (kind, body, end)))
}

/// The text of an error: its code and its message.
fn words(body: &[u8]) -> String {
    let fields = body.split(|byte| *byte == 0).filter_map(|field| field.split_first());
    let parts = fields.filter(|(kind, _)| matches!(kind, b'C' | b'M'));
    parts.map(|(_, text)| String::from_utf8_lossy(text).into_owned()).collect::<Vec<_>>().join(" ")
}

/// The first column of a row, as text.
fn first_column(body: &[u8]) -> Option<String> {
    let (length, rest) = body.get(2..)?.split_first_chunk::<4>()?;
    let length = usize::try_from(i32::from_be_bytes(*length)).ok()?;
    Some(String::from_utf8_lossy(rest.get(..length)?).into_owned())
}
