//! The text of a step: `2026-11-22T05:38:51.123456Z vote tx=… peer=… detail…`, columns aligned a
//! bit, and `-` where there is no transaction or no peer. No file here.

use super::step::{Ending, Entry, Load, Said, Step, Who, verb};
use consorcio_core::ids::{BankId, BankSet};
use consorcio_core::limits::STEP_TEXT_BYTES_MAX;
use std::io::Write;
use std::net::{IpAddr, SocketAddr};

const EVENT_WIDTH: usize = 10;
const TX_WIDTH: usize = 27;
const PEER_WIDTH: usize = 21;

/// Makes lines; remembers the text of the current second, which most lines share.
#[derive(Debug)]
pub(super) struct Formatter {
    places: Vec<String>,
    second: i64,
    second_text: String,
}

impl Formatter {
    /// A formatter that names banks by the addresses in `places`.
    pub(super) fn new(places: Vec<String>) -> Formatter {
        Formatter { places, second: i64::MIN, second_text: String::new() }
    }

    /// Adds the line of `entry` to `out`, its `\n` included.
    pub(super) fn write(&mut self, out: &mut Vec<u8>, entry: &Entry) {
        self.time(out, entry.at_us);
        out.push(b' ');
        padded(out, EVENT_WIDTH, |out| word(out, entry.step.event()));
        padded(out, TX_WIDTH, |out| {
            word(out, "tx=");
            word(out, entry.step.tx().map_or("-", |tx| tx.as_str()));
        });
        padded(out, PEER_WIDTH, |out| {
            word(out, "peer=");
            match entry.step.who() {
                None => word(out, "-"),
                Some(who) => self.peer(out, who),
            }
        });
        if let Some(Who::Link(_, bank) | Who::Bank(bank)) = entry.step.who() {
            field(out, "bank=", bank.as_u8().into());
        }
        detail(out, &entry.step);
        while out.last() == Some(&b' ') {
            out.pop();
        }
        out.push(b'\n');
    }

    /// The address at the other end.
    pub(super) fn peer(&self, out: &mut Vec<u8>, who: Who) {
        match who {
            Who::Address(address) | Who::Link(address, _) => socket(out, address),
            Who::Bank(bank) => {
                word(out, self.places.get(bank.index()).map_or("-", String::as_str));
            }
        }
    }

    /// The time's column.
    pub(super) fn time(&mut self, out: &mut Vec<u8>, at_us: i64) {
        let (second, micros) = (at_us.div_euclid(1_000_000), at_us.rem_euclid(1_000_000));
        if second != self.second {
            // Outside of what a calendar can say, the number itself is better than no line.
            self.second_text = jiff::Timestamp::from_second(second).map_or_else(
                |_| second.to_string(),
                |at| at.to_string().trim_end_matches('Z').to_owned(),
            );
            self.second = second;
        }
        word(out, &self.second_text);
        let mut digits = *b".000000Z";
        let mut rest = micros.unsigned_abs();
        for digit in digits[1..7].iter_mut().rev() {
            *digit = b'0' + u8::try_from(rest % 10).unwrap_or(0);
            rest /= 10;
        }
        out.extend_from_slice(&digits);
    }
}

#[expect(clippy::too_many_lines, reason = "a flat table: one arm a step")]
pub(super) fn detail(out: &mut Vec<u8>, step: &Step) {
    match step {
        Step::Start(words) | Step::Ready(words) | Step::Fault(words) | Step::Stop(words) => {
            text(out, words)
        }
        Step::Recover { records, seq, undecided, took_us, text: words } => {
            field(out, "records=", *records);
            field(out, "seq=", *seq);
            field(out, "undecided=", wide(*undecided));
            field(out, "took_us=", *took_us);
            text(out, words);
        }
        Step::Dialled(_, address) => {
            next(out, "from=");
            socket(out, *address);
        }
        Step::Connect(_) | Step::Drive(_) | Step::GaveUp(_) => {}
        Step::Disconnect(_, words) | Step::LinkDown(_, words) => text(out, words),
        Step::Receive { verb, load: carried, .. } => {
            next(out, verb);
            load(out, *carried);
        }
        Step::Bad(_, reason, words) => {
            next(out, reason.as_str());
            text(out, words);
        }
        Step::Vote { time, seq, load: carried, refusal, .. } => {
            match refusal {
                None => next(out, "OK"),
                Some((reason, _)) => {
                    next(out, "NOK");
                    next(out, reason.as_str());
                }
            }
            signed(out, "time=", time.0);
            load(out, *carried);
            field(out, "seq=", *seq);
            if let Some((_, words)) = refusal {
                text(out, words);
            }
        }
        Step::Refuse { time, reason, seq, .. } => {
            next(out, reason.as_str());
            signed(out, "time=", time.0);
            field(out, "seq=", *seq);
        }
        Step::Outcome { ending: end, seq, voted, .. } => {
            ending(out, *end);
            if let Some(time) = voted {
                signed(out, "voted=", time.0);
            }
            field(out, "seq=", *seq);
        }
        Step::Drove { ending: end, seq, .. } => {
            ending(out, *end);
            field(out, "seq=", *seq);
        }
        // Numbers that name people stay out of a log that many may read; the journal has them.
        Step::Client(cpf, seq) => {
            next(out, "cpf=..");
            word(out, cpf.as_str().get(cpf.as_str().len().saturating_sub(4)..).unwrap_or(""));
            field(out, "seq=", *seq);
        }
        Step::Account(number, seq) => {
            next(out, "number=");
            word(out, number.as_str());
            field(out, "seq=", *seq);
        }
        Step::Consortium(bank, places, seq) => {
            field(out, "bank=", bank.as_u8().into());
            field(out, "places=", wide(*places));
            field(out, "seq=", *seq);
        }
        Step::Key(key, seq) => {
            next(out, "id=");
            word(out, &key.to_string());
            field(out, "seq=", *seq);
        }
        Step::Registers(count, last, seq) => {
            field(out, "learned=", wide(*count));
            next(out, if *last { "last=yes" } else { "last=no" });
            field(out, "seq=", *seq);
        }
        Step::Founded(founding, introduced, seq) => {
            next(out, "id=");
            word(out, &founding.to_string());
            next(out, if *introduced { "introduced=yes" } else { "introduced=no" });
            field(out, "seq=", *seq);
        }
        Step::Met(bank, founding, seq) => {
            field(out, "bank=", bank.as_u8().into());
            next(out, "id=");
            word(out, &founding.to_string());
            field(out, "seq=", *seq);
        }
        Step::Introduced(without, seq) => {
            banks(out, "without=", *without);
            field(out, "seq=", *seq);
        }
        Step::Clock(time, seq) => {
            signed(out, "time=", time.0);
            field(out, "seq=", *seq);
        }
        Step::Send { verb: asked, load: carried, .. } => {
            next(out, verb(*asked));
            load(out, *carried);
        }
        Step::Query { verb, load: carried, .. } => {
            next(out, verb);
            load(out, *carried);
        }
        Step::Reply { said: words, .. } | Step::Heard { said: words, .. } => said(out, words),
        Step::Answer { verb: asked, said: words, .. } => {
            next(out, verb(*asked));
            match words {
                Some(words) => said(out, words),
                None => next(out, "none"),
            }
        }
        Step::Doubt(_, cause) => next(out, cause.as_str()),
        Step::Timeout(_, silent) => banks(out, "silent=", *silent),
        Step::Verdict { ending: end, oks, banks, .. } => {
            ending(out, *end);
            field(out, "oks=", wide(*oks));
            word(out, "/");
            number(out, wide(*banks));
        }
        Step::Sync { upto, records, bytes, took_us } => {
            field(out, "upto=", *upto);
            field(out, "records=", wide(*records));
            field(out, "bytes=", wide(*bytes));
            field(out, "took_us=", *took_us);
        }
        Step::LinkUp(_, took_us) => field(out, "took_us=", *took_us),
        Step::Known(_, time) => signed(out, "time=", time.0),
    }
}

fn ending(out: &mut Vec<u8>, ending: Ending) {
    match ending {
        Ending::Committed(time) => {
            next(out, "COMMITTED");
            signed(out, "time=", time.0);
        }
        Ending::Aborted(by, reason) => {
            next(out, "ABORTED");
            next(out, reason.as_str());
            field(out, "by=", by.as_u8().into());
        }
        Ending::Outside(time, refusal) => {
            match refusal {
                None => next(out, "COMMITTED"),
                Some(reason) => {
                    next(out, "ABORTED");
                    next(out, reason.as_str());
                }
            }
            signed(out, "time=", time.0);
            next(out, "by=outside");
        }
        Ending::Unknown(silent) => {
            next(out, "UNKNOWN");
            banks(out, "silent=", silent);
        }
        Ending::Unreached => next(out, "UNREACHED"),
    }
}

fn said(out: &mut Vec<u8>, said: &Said) {
    next(out, said.word);
    if let Some(reason) = said.reason {
        next(out, reason.as_str());
    }
    if let Some(time) = said.time {
        signed(out, "time=", time.0);
    }
    if let Some(by) = said.by {
        field(out, "by=", by.as_u8().into());
    }
    if let Some(words) = &said.text {
        text(out, words);
    }
}

fn load(out: &mut Vec<u8>, load: Load) {
    match load {
        Load::Nothing => {}
        Load::Ops(count, at) => {
            field(out, "ops=", wide(count));
            banks(out, "banks=", at);
        }
        Load::OpsOutside(count, at) => {
            field(out, "ops=", wide(count));
            banks(out, "banks=", at);
            next(out, "outside");
        }
        Load::Tokens(count) => field(out, "tokens=", wide(count)),
    }
}

fn banks(out: &mut Vec<u8>, name: &str, banks: BankSet) {
    next(out, name);
    let mut first = true;
    for bank in banks.iter().map(BankId::as_u8) {
        if !first {
            out.push(b',');
        }
        number(out, bank.into());
        first = false;
    }
    if first {
        out.push(b'-');
    }
}

fn socket(out: &mut Vec<u8>, address: SocketAddr) {
    match address.ip() {
        IpAddr::V4(ip) => {
            for (at, octet) in ip.octets().into_iter().enumerate() {
                if at > 0 {
                    out.push(b'.');
                }
                number(out, octet.into());
            }
        }
        // Rarer, and its short form is not ours to write twice. A Vec takes any write.
        IpAddr::V6(ip) => write!(out, "[{ip}]").unwrap_or(()),
    }
    out.push(b':');
    number(out, address.port().into());
}

/// Words for people, kept to one line and to a bound.
fn text(out: &mut Vec<u8>, words: &str) {
    if words.is_empty() {
        return;
    }
    out.push(b' ');
    let mut room = STEP_TEXT_BYTES_MAX;
    for char in words.chars() {
        let char = if char.is_control() { ' ' } else { char };
        let mut bytes = [0; 4];
        let bytes = char.encode_utf8(&mut bytes);
        if bytes.len() > room {
            word(out, "...");
            return;
        }
        room -= bytes.len();
        word(out, bytes);
    }
}

fn padded(out: &mut Vec<u8>, width: usize, write: impl FnOnce(&mut Vec<u8>)) {
    let end = out.len() + width;
    write(out);
    // One space at least, so that a long word does not run into the next.
    let end = end.max(out.len()) + 1;
    out.resize(end, b' ');
}

fn word(out: &mut Vec<u8>, word: &str) {
    out.extend_from_slice(word.as_bytes());
}

/// A further word, after a space unless the column before left one.
fn next(out: &mut Vec<u8>, text: &str) {
    if out.last() != Some(&b' ') {
        out.push(b' ');
    }
    word(out, text);
}

fn field(out: &mut Vec<u8>, name: &str, value: u64) {
    next(out, name);
    number(out, value);
}

fn signed(out: &mut Vec<u8>, name: &str, value: i64) {
    next(out, name);
    if value < 0 {
        out.push(b'-');
    }
    number(out, value.unsigned_abs());
}

fn wide(value: usize) -> u64 {
    u64::try_from(value).unwrap_or(u64::MAX)
}

fn number(out: &mut Vec<u8>, mut value: u64) {
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + u8::try_from(value % 10).unwrap_or(0);
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}
