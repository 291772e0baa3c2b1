//! Long responses: the number made at once is bounded, the unread bytes of all are bounded, and
//! each must be read within a time-out.
//!
//! A list of the whole bank may take much memory until its last byte is sent. Its permit ends when
//! the list is made, so a client that does not read does not block other lists. Past the bound of
//! unread bytes the oldest responses are aborted.

use crate::app::App;
use crate::connections::{ConnectionSlot, UnreadBody};
use crate::problem::Problem;
use axum::body::{Body, Bytes, HttpBody};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use consorcio_core::limits::{HTTP_CHUNK_BYTES, HTTP_LIST_MS_MAX, HTTP_UNREAD_BYTES_MAX};
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

/// The permit to make one long response.
#[derive(Debug)]
pub(crate) struct ListPermit {
    app: App,
    _permit: OwnedSemaphorePermit,
}

impl ListPermit {
    /// Waits for a permit.
    ///
    /// # Errors
    /// 503 when none is free in time.
    pub(crate) async fn wait(app: &App) -> Result<ListPermit, Problem> {
        Ok(ListPermit { app: app.clone(), _permit: app.list_permit().await? })
    }

    /// A response with status 200 and JSON, sent over the connection of `slot`. Ends the permit.
    pub(crate) fn json<T: Serialize>(self, value: &T, slot: &Arc<ConnectionSlot>) -> Response {
        let text = serde_json::to_vec(value).expect("answers are plain JSON");
        let deadline = Box::pin(sleep(Duration::from_millis(HTTP_LIST_MS_MAX)));
        let unread = self.app.connections().track_unread(slot, text.len(), HTTP_UNREAD_BYTES_MAX);
        let body = LongBody { rest: text.into(), deadline, _unread: unread };
        let mut response = Response::new(Body::new(BoxBody::new(body)));
        *response.status_mut() = StatusCode::OK;
        let content_type = HeaderValue::from_static("application/json");
        response.headers_mut().insert(header::CONTENT_TYPE, content_type);
        response
    }
}

/// The body of a long response, sent in chunks.
struct LongBody {
    rest: Bytes,
    deadline: Pin<Box<Sleep>>,
    _unread: UnreadBody,
}

impl HttpBody for LongBody {
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
        let bytes = HTTP_CHUNK_BYTES.min(self.rest.len());
        Poll::Ready(Some(Ok(Frame::data(self.rest.split_to(bytes)))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(u64::try_from(self.rest.len()).unwrap_or(u64::MAX))
    }
}
