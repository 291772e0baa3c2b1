//! The event stream of the panel (server-sent events): which transaction made a step, and when a
//! page should reload its live parts. No page polls; an idle stream sends only comments to keep it
//! alive.

use crate::app::App;
use crate::call::Requester;
use crate::problem::Problem;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use consorcio_core::access::{Principal, Privilege, Scope};
use consorcio_core::ids::TxId;
use consorcio_core::limits::{
    HTTP_EVENT_ALIVE_MS, HTTP_EVENT_GATHER_MS, HTTP_EVENT_STEPS_MAX, HTTP_EVENTS_WAITING_MAX,
};
use consorcio_steps::steplog::FeedEvent;
use http_body_util::channel::{Channel, Sender};
use std::convert::Infallible;
use std::time::Duration;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, timeout_at};

/// `GET /painel/eventos`: the event stream.
pub(crate) async fn events(
    State(app): State<App>,
    reader: Requester,
    headers: HeaderMap,
) -> Response {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("");
    let Some(permit) = app.stream_permit(reader.peer, host) else {
        return Problem::unavailable("Já há páginas demais ao vivo").into_response();
    };
    let Some(feed) = app.options().steplog.feed() else {
        // Events come from the step log, which is off; 204 makes the browser stop trying.
        return StatusCode::NO_CONTENT.into_response();
    };
    let (sender, body) = Channel::<Bytes, Infallible>::new(HTTP_EVENTS_WAITING_MAX);
    tokio::spawn(async move {
        let may_go_on = || app.may_stream(&headers);
        app.stop().run_until_cancelled(stream(sender, feed, may_go_on)).await;
        drop(permit);
    });
    let answered = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-store"),
        // Keeps a buffering proxy, such as nginx by default, from delaying events.
        (HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    (answered.map(|(name, value)| (name, HeaderValue::from_static(value))), Body::new(body))
        .into_response()
}

impl App {
    /// Whether the stream of these headers may go on: in closed mode it ends with its session, or
    /// with the right to it. It is no activity.
    fn may_stream(&self, headers: &HeaderMap) -> bool {
        let Some(log_ins) = self.log_ins() else { return true };
        let access = self.access().get();
        log_ins.person(headers, (&access, self.certificate_now()), false).is_some_and(|person| {
            access.scope(&Principal::Named(person.name), Privilege::Audit) != Scope::No
        })
    }
}

/// Sends events until the client or the bank ends, or it may not go on.
async fn stream(
    mut sender: Sender<Bytes, Infallible>,
    mut feed: Receiver<FeedEvent>,
    may_go_on: impl Fn() -> bool,
) {
    // An immediate comment shows the client that the stream is open.
    let mut text = String::from(": vivo\n\n");
    let alive_every = Duration::from_millis(HTTP_EVENT_ALIVE_MS);
    loop {
        if !may_go_on() {
            return;
        }
        if sender.send_data(Bytes::from(std::mem::take(&mut text))).await.is_err() {
            return;
        }
        let Some(gathered) = gather(&mut feed, alive_every).await else { return };
        text = gathered.text();
    }
}

/// The steps of one event.
#[derive(Debug, Default)]
struct Gathered {
    steps: Vec<(TxId, &'static str)>,
    changed: bool,
    /// Further steps happened that `steps` does not have.
    missed: bool,
}

/// Waits for a step, then gathers those that follow within `HTTP_EVENT_GATHER_MS`. Empty after a
/// silence of `alive_every`; `None` when the feed has ended.
async fn gather(feed: &mut Receiver<FeedEvent>, alive_every: Duration) -> Option<Gathered> {
    let mut gathered = Gathered::default();
    let mut until = Instant::now() + alive_every;
    loop {
        let passed = match timeout_at(until, feed.recv()).await {
            Err(_) => return Some(gathered),
            Ok(Ok(passed)) => passed,
            // The feed dropped steps.
            Ok(Err(RecvError::Lagged(_))) => {
                gathered.missed = true;
                FeedEvent::Other
            }
            Ok(Err(RecvError::Closed)) => return None,
        };
        if !gathered.changed {
            until = Instant::now() + Duration::from_millis(HTTP_EVENT_GATHER_MS);
        }
        gathered.add(passed);
    }
}

impl Gathered {
    fn add(&mut self, passed: FeedEvent) {
        self.changed = true;
        if let FeedEvent::Transaction { tx, word } = passed {
            if self.steps.len() < HTTP_EVENT_STEPS_MAX {
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
            // Neither an id nor a verb needs escaping.
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
    async fn steps_in_quick_succession_make_one_event() {
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
    async fn silence_sends_a_comment_and_a_flood_sends_one_change() {
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
