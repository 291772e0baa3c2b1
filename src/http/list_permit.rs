//! Long answers: so many are made at once, what is not read yet has a bound in bytes, and each has
//! a time in which it must be taken.
//!
//! A list of the whole bank may take much memory, which lives until the last of it is sent. A turn
//! ends when its list is made, so a caller who does not read holds up nobody who wants another;
//! past the bound of unread bytes the oldest answers are given up.

use crate::app::App;
use crate::connections::{Place, Unread};
use crate::problem::Problem;
use axum::body::{Body, Bytes, HttpBody};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use consorcio_core::limits::{HTTP_LIST_MS_MAX, HTTP_UNREAD_BYTES_MAX};
use http_body_util::combinators::BoxBody;
use hyper::body::{Frame, SizeHint};
use serde::Serialize;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Sleep, sleep};

/// What is handed to the connection at once: the next piece only when this one is on its way.
const PIECE_BYTES: usize = 64 * 1024;

/// A turn at making a long answer.
#[derive(Debug)]
pub struct ListPermit {
    app: App,
    _permit: OwnedSemaphorePermit,
}

impl ListPermit {
    /// Waits for a turn.
    ///
    /// # Errors
    /// 503 when none comes in time.
    pub async fn wait(app: &App) -> Result<ListPermit, Problem> {
        Ok(ListPermit { app: app.clone(), _permit: app.list_turn().await? })
    }

    /// The answer: 200, JSON, to be read on `place`. The turn ends here.
    pub fn json<T: Serialize>(self, value: &T, place: &Arc<Place>) -> Response {
        let text = serde_json::to_vec(value).expect("answers are plain JSON");
        let deadline = Box::pin(sleep(Duration::from_millis(HTTP_LIST_MS_MAX)));
        let unread =
            self.app.places_of_connections().unread(place, text.len(), HTTP_UNREAD_BYTES_MAX);
        let body = Long { rest: text.into(), deadline, _unread: unread };
        let mut response = Response::new(Body::new(BoxBody::new(body)));
        *response.status_mut() = StatusCode::OK;
        let kind = HeaderValue::from_static("application/json");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        response
    }
}

/// A long answer on its way.
struct Long {
    rest: Bytes,
    deadline: Pin<Box<Sleep>>,
    _unread: Unread,
}

impl HttpBody for Long {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if self.rest.is_empty() {
            return Poll::Ready(None);
        }
        if self.deadline.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Some(Err(io::ErrorKind::TimedOut.into())));
        }
        let bytes = PIECE_BYTES.min(self.rest.len());
        Poll::Ready(Some(Ok(Frame::data(self.rest.split_to(bytes)))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(u64::try_from(self.rest.len()).unwrap_or(u64::MAX))
    }
}
