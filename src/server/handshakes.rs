//! TLS handshakes of connections that were just accepted. They take no place of a session: a
//! connection gets one once it is known who is at its other end.

use crate::ServerState;
use crate::session_table::SessionPeer;
use consorcio_core::limits::{TLS_HANDSHAKES_MAX, TLS_HANDSHAKES_OF_ADDRESS_MAX};
use consorcio_core::wire::Reason;
use consorcio_core::wire::reply::Reply;
use consorcio_steps::steplog::{OtherEnd, Step};
use consorcio_tls::{Admitted, BankTls, PeerStream, PortKind, RefusedPeer};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use tokio::net::TcpStream;

/// The answer to plain text.
const NO_TLS: &str =
    "this bank is in closed mode: it speaks TLS alone (cliente --tls DIR --as NAME)";

/// The handshakes under way, in closed mode.
#[derive(Debug)]
pub(crate) struct Handshakes {
    tls: BankTls,
    under_way: HandshakeCounts,
}

/// One handshake under way; it counts until it is dropped.
#[derive(Debug)]
struct HandshakePermit {
    under_way: HandshakeCounts,
    address: IpAddr,
}

impl Handshakes {
    /// None is under way yet.
    pub(crate) fn new(tls: BankTls) -> Handshakes {
        Handshakes { tls, under_way: Rc::default() }
    }

    /// The time by which certificates are judged, in microseconds since 1970.
    pub(crate) fn now_us(&self) -> i64 {
        self.tls.clock().now_us()
    }

    /// When the bank's own certificate ends, in microseconds since 1970.
    pub(crate) fn end_us(&self) -> i64 {
        self.tls.end_us()
    }
}

/// The handshakes under way by address; without addresses that have none.
type HandshakeCounts = Rc<RefCell<BTreeMap<IpAddr, usize>>>;

impl HandshakePermit {
    /// The right to begin one; runs over the addresses that have some, at most as many as
    /// handshakes.
    fn begin(
        under_way: &HandshakeCounts,
        address: IpAddr,
    ) -> Result<HandshakePermit, &'static str> {
        let mut counts = under_way.borrow_mut();
        if counts.values().sum::<usize>() >= TLS_HANDSHAKES_MAX {
            return Err("too many TLS handshakes are under way");
        }
        let of_address = counts.entry(address).or_default();
        if *of_address >= TLS_HANDSHAKES_OF_ADDRESS_MAX {
            return Err("too many TLS handshakes of this address are under way");
        }
        *of_address += 1;
        Ok(HandshakePermit { under_way: Rc::clone(under_way), address })
    }
}

impl Drop for HandshakePermit {
    fn drop(&mut self) {
        let mut under_way = self.under_way.borrow_mut();
        if let Some(of_address) = under_way.get_mut(&self.address) {
            *of_address -= 1;
            if *of_address == 0 {
                under_way.remove(&self.address);
            }
        }
    }
}

impl ServerState {
    /// Runs the handshake of a connection in a task of its own; then it gets a session.
    pub(crate) fn shake_hands(
        self: &Rc<ServerState>,
        handshakes: &Handshakes,
        stream: TcpStream,
        peer: SocketAddr,
    ) {
        let permit = match HandshakePermit::begin(&handshakes.under_way, peer.ip().to_canonical()) {
            Ok(permit) => permit,
            Err(why) => return self.report_refused(peer, why.to_owned()),
        };
        let (shared, tls) = (Rc::clone(self), handshakes.tls.clone());
        self.tasks.spawn_local(async move {
            let accepting = tls.accept(stream, PortKind::Lines);
            let accepted = shared.stop.run_until_cancelled(accepting).await;
            drop(permit);
            match accepted {
                Some(Ok(Admitted { stream, principal: Some(principal), begin_us, end_us })) => {
                    let end = SessionPeer {
                        address: peer,
                        principal,
                        certificate_begin_us: begin_us,
                        certificate_end_us: end_us,
                    };
                    match shared.admits(&end) {
                        Ok(()) => shared.admit(stream, end),
                        Err(denied) => {
                            let (why, stream) = (denied.to_string(), Some(stream));
                            let refused = RefusedPeer { why, stream, speaks_tls: true };
                            shared.turn_away(peer, refused, Reason::NotAllowed).await;
                        }
                    }
                }
                // Only HTTP admits without a name.
                Some(Ok(Admitted { principal: None, .. })) | None => {}
                Some(Err(refused)) => shared.turn_away(peer, refused, Reason::Refused).await,
            }
        });
    }

    /// Tells both ends why a peer is refused: for what it shows (`Refused`), or for its name
    /// (`NotAllowed`).
    async fn turn_away(&self, peer: SocketAddr, refused: RefusedPeer, reason: Reason) {
        let RefusedPeer { why, stream, speaks_tls } = refused;
        self.report_refused(peer, why.clone());
        let Some(mut stream) = stream else { return };
        let told = match &stream {
            PeerStream::Plain(_) if speaks_tls => None,
            PeerStream::Plain(_) => Some(Reply::Err(Reason::Malformed, NO_TLS.to_owned())),
            PeerStream::Tls(_) => Some(Reply::Err(reason, why)),
        };
        if let Some(told) = told {
            let mut line = Vec::new();
            told.write_to(&mut line);
            stream.write_now(&line);
        }
        self.linger(stream).await;
    }

    fn report_refused(&self, peer: SocketAddr, why: String) {
        tracing::info!(%peer, "{peer} is refused: {why}");
        self.step_logger.record(|| Step::Bad(OtherEnd::Address(peer), Reason::Refused, why.into()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handshakes_are_bounded_for_each_address_and_for_all() {
        let under_way = HandshakeCounts::default();
        let begin = |address: IpAddr| HandshakePermit::begin(&under_way, address);
        let address = |number: u8| IpAddr::from([10, 0, 0, number]);
        let mut of_one = Vec::new();
        for _ in 0..TLS_HANDSHAKES_OF_ADDRESS_MAX {
            of_one.push(begin(address(1)).expect("there is room"));
        }
        assert!(begin(address(1)).is_err());
        let mut others = Vec::new();
        for number in 2.. {
            match (0..TLS_HANDSHAKES_OF_ADDRESS_MAX).map(|_| begin(address(number))).collect() {
                Ok::<Vec<_>, _>(all) => others.push(all),
                Err(_) => break,
            }
        }
        let most = TLS_HANDSHAKES_MAX / TLS_HANDSHAKES_OF_ADDRESS_MAX;
        assert_eq!(others.len(), most - 1);
        drop(of_one);
        assert_eq!(under_way.borrow().len(), most - 1);
        assert!(begin(address(1)).is_ok());
    }
}
