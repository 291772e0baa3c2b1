//! The stream of what happens (server-sent events): which transaction went a step further, and that
//! a page should look again. No page polls; while nothing happens nothing is sent but a sign of
//! life.

use crate::app::App;
use crate::call::Reader;
use crate::problem::Problem;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use consorcio_core::ids::TxId;
use consorcio_steps::steplog::FeedEvent;
use http_body_util::channel::{Channel, Sender};
use std::convert::Infallible;
use std::time::Duration;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, timeout_at};

/// What happens within this time is told at once, so that a load makes few events of many steps.
const GATHERED: Duration = Duration::from_millis(150);
/// Without anything to tell, a sign of life: whoever is gone is found by it.
const ALIVE_EVERY: Duration = Duration::from_secs(15);
/// Steps that one event tells; more of them are only a change.
const STEPS_AT_ONCE: usize = 64;
/// Events that wait for a slow reader.
const EVENTS_WAITING: usize = 4;

/// `GET /painel/eventos`
pub async fn events(State(app): State<App>, reader: Reader, headers: HeaderMap) -> Response {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("");
    let Some(place) = app.stream_place(reader.peer, host) else {
        return Problem::unavailable("Já há páginas demais ao vivo").into_response();
    };
    let Some(feed) = app.options().steplog.feed() else {
        // Without a step log there is nothing to tell from; 204 ends the browser's tries.
        return StatusCode::NO_CONTENT.into_response();
    };
    let (sender, body) = Channel::<Bytes, Infallible>::new(EVENTS_WAITING);
    tokio::spawn(async move {
        app.stop().run_until_cancelled(tell(sender, feed)).await;
        drop(place);
    });
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-store"),
        // A proxy that gathers answers, as nginx does unless told otherwise, would hold the events
        // back.
        (HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    (headers.map(|(name, value)| (name, HeaderValue::from_static(value))), Body::new(body))
        .into_response()
}

/// Tells what passes until the reader is gone, or the bank.
async fn tell(mut sender: Sender<Bytes, Infallible>, mut feed: Receiver<FeedEvent>) {
    // A comment at once, so that the reader knows that the stream is open.
    let mut text = String::from(": vivo\n\n");
    loop {
        if sender.send_data(Bytes::from(std::mem::take(&mut text))).await.is_err() {
            return;
        }
        let Some(gathered) = gather(&mut feed, ALIVE_EVERY).await else { return };
        text = gathered.text();
    }
}

/// What passed in one go.
#[derive(Debug, Default)]
struct Gathered {
    steps: Vec<(TxId, &'static str)>,
    changed: bool,
    /// There were more steps than are told.
    missed: bool,
}

/// Waits for something to happen, and then for what comes right behind it. Empty after a silence of
/// `alive_every`; `None` when nothing will come any more.
async fn gather(feed: &mut Receiver<FeedEvent>, alive_every: Duration) -> Option<Gathered> {
    let mut gathered = Gathered::default();
    let mut until = Instant::now() + alive_every;
    loop {
        let passed = match timeout_at(until, feed.recv()).await {
            Err(_) => return Some(gathered),
            Ok(Ok(passed)) => passed,
            // Too much at once to tell step by step.
            Ok(Err(RecvError::Lagged(_))) => {
                gathered.missed = true;
                FeedEvent::Other
            }
            Ok(Err(RecvError::Closed)) => return None,
        };
        if !gathered.changed {
            until = Instant::now() + GATHERED;
        }
        gathered.add(passed);
    }
}

impl Gathered {
    fn add(&mut self, passed: FeedEvent) {
        self.changed = true;
        if let FeedEvent::Transaction { tx, word } = passed {
            if self.steps.len() < STEPS_AT_ONCE {
                self.steps.push((tx, word));
            } else {
                self.missed = true;
            }
        }
    }

    fn text(&self) -> String {
        if !self.changed {
            return ": vivo\n\n".to_owned();
        }
        let mut text = String::new();
        for (tx, word) in &self.steps {
            // An id and a word of the protocol need no escape.
            text.push_str(&format!(
                "event: passo\ndata: {{\"tx\":\"{tx}\",\"passo\":\"{word}\"}}\n\n"
            ));
        }
        text.push_str(&format!("event: mudou\ndata: {{\"perdidos\":{}}}\n\n", self.missed));
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::broadcast;

    #[tokio::test]
    async fn what_comes_together_is_told_together() {
        let sender = broadcast::Sender::new(8);
        let mut feed = sender.subscribe();
        let tx = TxId::new("t1").unwrap();
        for word in ["PREPARE", "OK"] {
            sender.send(FeedEvent::Transaction { tx: tx.clone(), word }).unwrap();
        }
        let gathered = gather(&mut feed, Duration::from_millis(20)).await.unwrap();
        let text = gathered.text();
        assert!(
            text.starts_with("event: passo\ndata: {\"tx\":\"t1\",\"passo\":\"PREPARE\"}\n\n"),
            "{text}"
        );
        assert_eq!(text.matches("event: mudou").count(), 1, "{text}");
    }

    #[tokio::test]
    async fn silence_is_a_sign_of_life_and_a_flood_is_one_change() {
        let sender = broadcast::Sender::new(8);
        let mut feed = sender.subscribe();
        assert_eq!(
            gather(&mut feed, Duration::from_millis(20)).await.unwrap().text(),
            ": vivo\n\n"
        );
        for at in 0..100 {
            let tx = TxId::new(&format!("t{at}")).unwrap();
            sender.send(FeedEvent::Transaction { tx, word: "OK" }).unwrap();
        }
        let gathered = gather(&mut feed, Duration::from_millis(20)).await.unwrap();
        assert!(gathered.missed && gathered.steps.len() <= 8);
        drop(sender);
        assert!(gather(&mut feed, Duration::from_millis(20)).await.is_none());
    }
}
