//! The links between banks, as each bank reports the ones that it dials: part of `status` and
//! `ping`.

use super::language::say;
use super::output::{Paint, Tone};
use consorcio_client::{ClientError, Connection, read, sync_ms_of};
use consorcio_core::ids::BankId;
use consorcio_core::limits::{CERTIFICATE_WARNED_DAYS, DAY_US};
use consorcio_core::wire::answer::BankAnswer;
use consorcio_core::wire::request::{Local, Request};
use consorcio_system::systime;
use consorcio_words::sentences::told;
use serde_json::value::RawValue;

/// The links of one bank.
#[derive(Debug)]
pub(crate) struct Links {
    bank: BankId,
    /// The other positions of the consortium.
    others: Vec<BankAnswer<'static>>,
    /// The age of the sync under way, in milliseconds, if it is slow.
    pub sync_ms: Option<u64>,
    /// The bank's disk has no room for new transactions.
    disk_full: bool,
    /// The days to the end of the bank's certificate, if it ends soon.
    certificate_days: Option<i64>,
    /// The bank's own answer, for programs.
    pub json: Box<RawValue>,
}

impl Links {
    /// Requests the links of the bank at the other end of `connection`.
    ///
    /// # Errors
    /// As `Connection::ask_done`; `Unreadable` if the answer can't be parsed.
    pub(crate) async fn ask(connection: &mut Connection) -> Result<Links, ClientError> {
        let bank = connection.bank();
        let json = connection.ask_done(&Request::Local(Local::Banks)).await?;
        let mut others: Vec<BankAnswer<'static>> = read(bank, &json)?;
        let disk_full = others.iter().any(|place| place.bank == bank && place.disk_full);
        let own = others.iter().find(|place| place.bank == bank);
        let end_us = own.and_then(|place| place.certificate_end_us);
        let days = end_us.map(|end| end.saturating_sub(systime::wall_us()).div_euclid(DAY_US));
        let certificate_days = days.filter(|days| *days < CERTIFICATE_WARNED_DAYS);
        others.retain(|place| place.bank != bank);
        let sync_ms = sync_ms_of(bank, &json);
        Ok(Links { bank, others, sync_ms, disk_full, certificate_days, json: read(bank, &json)? })
    }

    /// A cell such as `2/3`: the number of open links.
    pub(crate) fn cell(&self) -> (Tone, String) {
        let open = self.others.iter().filter(|place| place.online).count();
        let tone = if open == self.others.len() { Tone::Good } else { Tone::Bad };
        (tone, format!("{open}/{}", self.others.len()))
    }

    /// A line for each link that is not open, with the reason; one if the bank's disk is full; and
    /// one if its certificate ends soon.
    pub(crate) fn lines(&self, paint: Paint) -> String {
        let closed = self.others.iter().filter(|place| !place.online);
        let lines = closed.map(|place| {
            let why = place.why.as_ref().map_or(String::new(), |why| format!(": {}", told(why)));
            let (bank, other, address) = (self.bank, place.bank, &place.address);
            let line = say!(
                "bank {bank} has no link to bank {other} at {address}{why}"
                    / "o banco {bank} não tem ligação com o banco {other} em {address}{why}"
            );
            format!("{}\n", paint.text(Tone::Open, &line))
        });
        let full = self.disk_full.then(|| {
            let bank = self.bank;
            let line = say!(
                "the data disk of bank {bank} is full: it takes nothing new until there is room" /
                "o disco dos dados do banco {bank} está cheio: ele não aceita nada novo até haver \
                    espaço"
            );
            format!("{}\n", paint.text(Tone::Bad, &line))
        });
        let ends = self.certificate_days.map(|days| {
            let bank = self.bank;
            let line = say!(
                "the certificate of bank {bank} ends in {days} days"
                    / "o certificado do banco {bank} termina em {days} dias"
            );
            format!("{}\n", paint.text(Tone::Bad, &line))
        });
        paint.words(lines.chain(full).chain(ends).collect())
    }
}
