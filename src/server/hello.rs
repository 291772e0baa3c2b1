//! HELLO: a client names the bank that it means to reach in its first line.

use crate::ServerState;
use consorcio_core::wire::answer::HelloAnswer;
use consorcio_core::wire::opening::{Hello, PROTOCOL_VERSION};
use consorcio_core::wire::{Fault, Reason};

impl ServerState {
    /// Checks that `hello` is meant for this bank.
    ///
    /// # Errors
    /// `refused` if the client means another bank. The client itself compares the length of the
    /// list and the version of the protocol with the answer.
    pub(crate) fn greet(&self, hello: &Hello) -> Result<(), Fault> {
        let own = self.identity.bank;
        if hello.bank == u64::from(own.as_u8()) {
            return Ok(());
        }
        let text = format!(
            "this is bank {own}, not bank {}: is the client's list that of this consortium, in \
             its order? Nothing was done; the connection closes",
            hello.bank
        );
        Err(Fault { reason: Reason::Refused, text })
    }

    /// The JSON of the answer to HELLO.
    pub(crate) fn hello_json(&self) -> String {
        let hello = HelloAnswer {
            bank: self.identity.bank,
            places: self.identity.places.len(),
            version: PROTOCOL_VERSION,
            // The public id shows whether two banks have the same key.
            key: self.identity.seal.key_id().to_string().into(),
        };
        serde_json::to_string(&hello).expect("it is plain JSON")
    }
}
