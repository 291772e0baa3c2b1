//! The answer to a client whose first line says which bank it means to talk to.

use crate::ServerState;
use consorcio_core::wire::answer::HelloAnswer;
use consorcio_core::wire::opening::{Hello, PROTOCOL_VERSION};
use consorcio_core::wire::{Fault, Reason};

impl ServerState {
    /// Is `hello` meant for this bank?
    ///
    /// # Errors
    /// `refused`, where the client means another bank. How many places it knows, and what it
    /// speaks, it judges itself by the answer.
    pub fn greet(&self, hello: &Hello) -> Result<(), Fault> {
        let own = self.identity.bank;
        if hello.bank == u64::from(own.as_u8()) {
            return Ok(());
        }
        let text = format!(
            "this is bank {own}, not bank {}: is the client's list that of this consortium, in \
             its order? Nothing \
             was done; the connection closes",
            hello.bank
        );
        Err(Fault { reason: Reason::Refused, text })
    }

    /// What HELLO is answered with.
    pub fn hello_json(&self) -> String {
        let hello = HelloAnswer {
            bank: self.identity.bank,
            places: self.identity.places.len(),
            version: PROTOCOL_VERSION,
            // By its public id two banks are seen to have the same key.
            key: self.identity.seal.key_id().to_string().into(),
        };
        serde_json::to_string(&hello).expect("it is plain JSON")
    }
}
