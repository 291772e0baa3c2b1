//! Golden scripts of the protocol: each file under `tests/worlds/scripts` holds requests of clients
//! and events, in text, and below them the output of the shipped core. `UPDATE_GOLDENFILES=1`
//! rewrites the output; review the diff.
//!
//! Commands; the output below each shows its effects:
//! - `let NAME 'TEXT'`: `$NAME` stands for TEXT from here on.
//! - `world banks=3`: a new consortium. `founding=yes`: its banks have no journals yet, and none
//!   runs. `deliver=no`: messages between banks wait for `deliver`.
//!   `closed=yes`: names and rights count, and a session has the name behind its bank.
//! - `access BANK 'NAME ROLE[,ROLE]… [CPF]…'… [trust=BANK]`: what a bank grants from here on;
//!   `NAME gone` ends a name.
//! - `BANK.SESSION 'LINE'`, as in `0.a 'PREPARE t1 $T'`: a client's line. `$ok0` is the newest OK
//!   token of bank 0, `$nok0` its newest NOK token, `$committed0` and `$aborted0` its newest
//!   statements, `$reading0` its newest reading of its clock.
//! - `late BANK.SESSION 'LINE'`: a client's line that waited for the limit in the queue.
//! - `outside BANK.SESSION 'PREPARE t1 {"ops":[…]}'`: an outside coordinator's PREPARE, of
//!   withdrawals at that bank; or its COMMIT or ABORT.
//! - `link FROM TO 'LINE'`: a message from one bank to another over its link, in addition to those
//!   that its core sends.
//! - `close BANK.SESSION`, `pass MS` (time, with ticks), `pause MS` (time, and one tick at its
//!   end), `deliver` (all messages between banks arrive).
//! - `crash BANK`, `restart BANK`, `start-alone BANK` (a restart without links), `connect` (all
//!   links open).
//! - `add-bank`: another bank starts, at the end of its own list. `lengthen BANK PLACES`: a bank
//!   restarts with a list of that length.
//! - `introduce-without BANK OTHER...`: from its next start on, with a new journal, BANK does not
//!   wait for OTHER.
//! - `hold-sync`: from here on records are synced only by `sync BANK`.
//! - `skew BANK MS`: sets the offset of its wall clock. `lose-disk BANK`, `copy-journal BANK`,
//!   `restore-journal BANK` (from that copy).

use crate::world::names::access_of;
use crate::world::text::{self, short_reply};
use crate::world::{Seen, World};
use consorcio_core::bank::record::Record;
use consorcio_core::commit::message::Message;
use consorcio_core::commit::proof::tokens_of;
use consorcio_core::wire::reading::Reading;
use consorcio_core::wire::reply::Reply;
use consorcio_core::wire::request::Request;
use consorcio_core::wire::token::TokenKind;
use consorcio_core::wire::transaction::Transaction;
use goldenscript::{Command, Context, Runner};
use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write as _;

struct ScriptRunner {
    world: World,
    names: BTreeMap<String, String>,
    sessions: Vec<String>,
    /// By bank, what `copy-journal` saved.
    journal_copies: BTreeMap<usize, Vec<Record>>,
    /// Messages between banks arrive at once, without `deliver`.
    delivers: bool,
}

impl ScriptRunner {
    fn new() -> ScriptRunner {
        ScriptRunner {
            world: World::new(3),
            names: BTreeMap::new(),
            sessions: Vec::new(),
            journal_copies: BTreeMap::new(),
            delivers: true,
        }
    }

    fn session(&mut self, name: &str) -> u64 {
        let at = self.sessions.iter().position(|known| known == name).unwrap_or_else(|| {
            self.sessions.push(name.to_owned());
            self.sessions.len() - 1
        });
        let session = u64::try_from(at).unwrap();
        if self.world.is_closed() {
            self.world.name_session(session, name[2..].parse().expect("a name"));
        }
        session
    }

    fn expand(&self, text: &str) -> String {
        // Longer names first, so that `$ok10` is not `$ok1` and a 0.
        let mut names: Vec<_> = self.names.iter().collect();
        names.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
        names
            .into_iter()
            .fold(text.to_owned(), |text, (name, value)| text.replace(&format!("${name}"), value))
    }

    /// Prints what happened since the last call, and stores the tokens of replies as names.
    fn print(&mut self, out: &mut String) {
        loop {
            for seen in std::mem::take(&mut self.world.seen) {
                self.print_one(seen, out);
            }
            if !self.delivers || self.world.flights.is_empty() {
                return;
            }
            self.world.deliver(0);
        }
    }

    fn print_one(&mut self, seen: Seen, out: &mut String) {
        let line = match seen {
            Seen::Reply { bank, caller, reply } => {
                let name = &self.sessions[usize::try_from(caller.session.0).unwrap()];
                let line = format!(
                    "{bank}.{} < {}",
                    name.rsplit('.').next().unwrap(),
                    short_reply(&reply)
                );
                self.learn(&reply);
                line
            }
            Seen::Lost { .. } | Seen::DiskFailed { .. } => return,
            seen @ (Seen::Sent { .. }
            | Seen::Answered { .. }
            | Seen::Recorded { .. }
            | Seen::Step { .. }
            | Seen::Stopped { .. }) => text::line(&seen),
        };
        writeln!(out, "{line}").unwrap();
    }

    fn learn(&mut self, reply: &Reply) {
        for token in tokens_of(reply) {
            let kind = match token.kind {
                TokenKind::Ok => "ok",
                TokenKind::No => "nok",
                TokenKind::Committed => "committed",
                TokenKind::Aborted => "aborted",
            };
            self.names.insert(format!("{kind}{}", token.bank), token.to_string());
        }
        if let Reply::Done(json) = reply
            && let Some(reading) = text::reading(json).and_then(Reading::parse)
        {
            self.names.insert(format!("reading{}", reading.bank), reading.to_string());
        }
    }

    fn bank(text: &str) -> Result<usize, Box<dyn Error>> {
        Ok(text.parse()?)
    }
}

impl Runner for ScriptRunner {
    type Command = Command;

    fn run(&mut self, command: &Command, _: &Context) -> Result<String, Box<dyn Error>> {
        let mut out = String::new();
        let mut args = command.consume_args();
        let mut next = || args.next_pos().map(str::to_owned).ok_or("an argument is missing");
        match command.name.as_str() {
            "world" => {
                let banks = args.take_key("banks").map_or(Ok(3), str::parse)?;
                let delivers = args.take_key("deliver").is_none_or(|deliver| deliver == "yes");
                let mut world = if args.take_key("founding").is_some() {
                    World::unfounded(banks)
                } else {
                    World::new(banks)
                };
                if args.take_key("closed").is_some() {
                    world.close_mode();
                }
                *self = ScriptRunner { world, delivers, ..ScriptRunner::new() };
            }
            "let" => {
                let (name, text) = (next()?, next()?);
                if text.starts_with('{') {
                    Transaction::parse(&text).map_err(|fault| fault.text)?;
                }
                self.names.insert(name, text);
            }
            "access" => {
                let bank = ScriptRunner::bank(&next()?)?;
                let trust: Option<usize> = args.take_key("trust").map(str::parse).transpose()?;
                let grants: Vec<&str> = std::iter::from_fn(|| args.next_pos()).collect();
                self.world.grant(bank, access_of(&grants, trust.as_slice()));
            }
            "close" => {
                let name = next()?;
                let session = self.session(&name);
                self.world.close(ScriptRunner::bank(&name[..1])?, session);
            }
            "late" => {
                let (name, line) = (next()?, self.expand(&next()?));
                let session = consorcio_core::bank::io::SessionId(self.session(&name));
                let request = Request::parse(&line).map_err(|fault| fault.text)?;
                let origin = consorcio_core::bank::io::Origin::Client;
                self.world.request(
                    ScriptRunner::bank(&name[..1])?,
                    session,
                    origin,
                    request,
                    consorcio_core::limits::QUEUE_WAIT_MS_MAX * 1_000,
                );
            }
            "outside" => {
                let (name, line) = (next()?, self.expand(&next()?));
                let (session, bank) = (self.session(&name), ScriptRunner::bank(&name[..1])?);
                if let Some(reply) = self.world.outside(bank, session, &line) {
                    writeln!(out, "{name} < {}", short_reply(&reply))?;
                }
            }
            "link" => {
                let (from, to) = (ScriptRunner::bank(&next()?)?, ScriptRunner::bank(&next()?)?);
                let message =
                    match Request::parse(&self.expand(&next()?)).map_err(|fault| fault.text)? {
                        Request::Prepare(tx, transaction) => Message::Prepare(tx, transaction),
                        Request::Commit(tx, tokens) => Message::Commit(tx, tokens),
                        Request::Abort(tx, token) => Message::Abort(tx, token),
                        Request::Resolve(tx) => Message::Resolve(tx),
                        other => return Err(format!("banks do not send {}", other.verb()).into()),
                    };
                self.world.send(from, to, message);
            }
            "pass" => {
                let mut left: u64 = next()?.parse()?;
                while left > 0 {
                    let step = left.min(10);
                    self.world.pass(step * 1_000);
                    left -= step;
                    for bank in 0..self.world.nodes.len() {
                        self.world.tick(bank);
                    }
                    self.print(&mut out);
                }
            }
            // As for a stopped process: time passes without ticks.
            "pause" => {
                self.world.pass(next()?.parse::<u64>()? * 1_000);
                for bank in 0..self.world.nodes.len() {
                    self.world.tick(bank);
                }
            }
            "deliver" => {
                let before = std::mem::replace(&mut self.delivers, true);
                self.print(&mut out);
                self.delivers = before;
            }
            "crash" => self.world.crash(ScriptRunner::bank(&next()?)?),
            "restart" => {
                self.world.restart(ScriptRunner::bank(&next()?)?);
                self.print(&mut out);
                self.world.connect_all();
            }
            "add-bank" => {
                let bank = self.world.add_bank();
                self.world.restart(bank);
                self.print(&mut out);
                self.world.connect_all();
            }
            "lengthen" => {
                let (bank, places) = (ScriptRunner::bank(&next()?)?, next()?.parse()?);
                self.world.crash(bank);
                self.world.lengthen_list(bank, places);
                self.world.restart(bank);
                self.print(&mut out);
                self.world.connect_all();
            }
            "lose-disk" => self.world.lose_disk(ScriptRunner::bank(&next()?)?),
            "introduce-without" => {
                let bank = ScriptRunner::bank(&next()?)?;
                let others: Result<Vec<usize>, _> =
                    std::iter::from_fn(|| args.next_pos()).map(ScriptRunner::bank).collect();
                self.world.introduce_without(bank, &others?);
            }
            "start-alone" => self.world.restart(ScriptRunner::bank(&next()?)?),
            "connect" => self.world.connect_all(),
            "hold-sync" => self.world.eager_sync = false,
            "sync" => self.world.sync(ScriptRunner::bank(&next()?)?),
            "skew" => {
                let (bank, ms) = (ScriptRunner::bank(&next()?)?, next()?.parse::<i64>()?);
                self.world.nodes[bank].skew_us = ms * 1_000;
            }
            "copy-journal" => {
                let bank = ScriptRunner::bank(&next()?)?;
                self.journal_copies.insert(bank, self.world.nodes[bank].journal.clone());
            }
            "restore-journal" => {
                let bank = ScriptRunner::bank(&next()?)?;
                let journal = self.journal_copies.get(&bank).cloned().unwrap_or_default();
                self.world.replace_journal(bank, journal);
            }
            name if name.contains('.') => {
                let name = name.to_owned();
                let line = self.expand(&next()?);
                let (session, bank) = (self.session(&name), ScriptRunner::bank(&name[..1])?);
                if let Some(reply) = self.world.line(bank, session, &line) {
                    writeln!(out, "{name} < {}", short_reply(&reply))?;
                }
            }
            other => return Err(format!("no command {other}").into()),
        }
        args.reject_next()?;
        self.print(&mut out);
        self.world.audit();
        Ok(out)
    }
}

#[test]
fn golden_scripts() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts");
    let mut files: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 10, "the folder of scripts is incomplete");
    for file in files {
        goldenscript::run(&mut ScriptRunner::new(), &file)
            .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    }
}
