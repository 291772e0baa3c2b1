//! Who is linked with whom, as each bank tells it of the links that it dials: with `status` and
//! `ping`.

use super::output::{Paint, Tone};
use consorcio_client::{ClientError, Connection, read, sync_ms_of};
use consorcio_core::ids::BankId;
use consorcio_core::wire::answer::BankAnswer;
use consorcio_core::wire::request::{Local, Request};
use serde_json::value::RawValue;

/// The links of one bank.
#[derive(Debug)]
pub struct Links {
    bank: BankId,
    /// To the other places.
    others: Vec<BankAnswer<'static>>,
    /// How long the bank's disk has not finished a sync, where that takes long.
    pub sync_ms: Option<u64>,
    /// The bank's disk has no room for what is new.
    disk_full: bool,
    /// As the bank told it, for programs.
    pub json: Box<RawValue>,
}

impl Links {
    /// Asks the bank at the other end of `connection`.
    ///
    /// # Errors
    /// As `Connection::ask_done`, and when the answer can't be read.
    pub async fn ask(connection: &mut Connection) -> Result<Links, ClientError> {
        let bank = connection.bank();
        let json = connection.ask_done(&Request::Local(Local::Banks)).await?;
        let mut others: Vec<BankAnswer<'static>> = read(bank, &json)?;
        let disk_full = others.iter().any(|place| place.bank == bank && place.disk_full);
        others.retain(|place| place.bank != bank);
        let sync_ms = sync_ms_of(bank, &json);
        Ok(Links { bank, others, sync_ms, disk_full, json: read(bank, &json)? })
    }

    /// `2/3`: how many of them are open.
    pub fn cell(&self) -> (Tone, String) {
        let open = self.others.iter().filter(|place| place.online).count();
        let tone = if open == self.others.len() { Tone::Good } else { Tone::Bad };
        (tone, format!("{open}/{}", self.others.len()))
    }

    /// A line for each that is not open, and why; and one where the bank takes nothing new.
    pub fn lines(&self, paint: Paint) -> String {
        let shut = self.others.iter().filter(|place| !place.online);
        let lines = shut.map(|place| {
            let why = place.why.as_ref().map_or(String::new(), |why| format!(": {why}"));
            let line = format!(
                "bank {} has no link to bank {} at {}{why}",
                self.bank, place.bank, place.address
            );
            format!("{}\n", paint.text(Tone::Open, &line))
        });
        let full = self.disk_full.then(|| {
            let bank = self.bank;
            let line = format!(
                "the data disk of bank {bank} is full: it takes nothing new until there is room"
            );
            format!("{}\n", paint.text(Tone::Bad, &line))
        });
        paint.words(lines.chain(full).collect())
    }
}
