//! Sessions inside this process: requests from other threads, such as HTTP's.
//!
//! Each ask is a session of its own with one request. So it is handled like any line, in the same
//! queue and step log, and no ask waits for the reply of another one. It needs no permit, since
//! asks have a bound of their own.

use crate::ServerState;
use crate::session_table::{SessionEntry, SessionPeer};
use consorcio_core::bank::io::{Caller, Input};
use consorcio_core::limits::{COMMIT_ACKNOWLEDGED_MS_MAX, READ_WAITS_MS_MAX};
use consorcio_core::wire::reply::Reply;
use consorcio_core::wire::request::{Local, Read, Request};
use consorcio_node::{Ask, Queue};
use consorcio_steps::steplog::{OtherEnd, Step};
use consorcio_system::crash;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;
use tokio::sync::mpsc::Receiver;
use tokio::time::timeout;

/// Serves asks until all askers are dropped. A full queue delays asks, like lines.
pub(crate) async fn serve(shared: Rc<ServerState>, mut asks: Receiver<Ask>) {
    // Asks have no lines to count: here `n` counts all asks.
    let mut n = 0;
    while let Some(ask) = asks.recv().await {
        n += 1;
        if !reads(&ask.request) {
            let ticket = shared.gate.ticket();
            if shared.gate.holds(ticket, &ask.request, shared.now_us()) {
                // The next ask does not wait behind it. The number of these tasks is bounded by
                // asks.
                let shared = shared.clone();
                tokio::task::spawn_local(async move {
                    wait_for_gate(&shared, ticket, &ask.request).await;
                    wait_for_room(&shared).await;
                    take(&shared, ask, n, Queue::push);
                });
                continue;
            }
            wait_for_room(&shared).await;
            take(&shared, ask, n, Queue::push);
        } else if let Some(questions) = shared.barrier.questions() {
            // The client may have received an outcome at another bank that this bank is still
            // asking for.
            let shared = shared.clone();
            tokio::task::spawn_local(async move {
                let answered = timeout(
                    Duration::from_millis(READ_WAITS_MS_MAX),
                    shared.barrier.answered(questions),
                );
                // If a bank is silent, the read shows what is known here.
                let _ = answered.await;
                wait_for_room(&shared).await;
                take(&shared, ask, n, Queue::push_behind_peers);
            });
        } else {
            wait_for_room(&shared).await;
            take(&shared, ask, n, Queue::push_behind_peers);
        }
    }
}

/// Waits until the gate lets `request` pass.
async fn wait_for_gate(shared: &ServerState, ticket: u64, request: &Request) {
    poll_fn(|cx| {
        if shared.gate.holds(ticket, request, shared.now_us()) {
            shared.gate.wait(ticket, cx.waker());
            Poll::Pending
        } else {
            Poll::Ready(())
        }
    })
    .await;
    shared.gate.leave(ticket);
}

/// Waits until the bank's queue has room.
async fn wait_for_room(shared: &ServerState) {
    poll_fn(|cx| {
        if shared.inbox.room() > 0 {
            Poll::Ready(())
        } else {
            shared.inbox.wait_for_room(cx.waker());
            Poll::Pending
        }
    })
    .await;
}

/// Does it read effects of transactions? A SNAPSHOT does its own waiting in the core.
fn reads(request: &Request) -> bool {
    match request {
        Request::Read(Read::Snapshot { .. }) => false,
        Request::Status(_) | Request::Read(_) => true,
        Request::Prepare(..)
        | Request::Commit(..)
        | Request::Abort(..)
        | Request::Resolve(_)
        | Request::Execute(..)
        | Request::Client(_)
        | Request::Account(_)
        | Request::Registers { .. }
        | Request::Local(_) => false,
    }
}

fn take(shared: &Rc<ServerState>, ask: Ask, n: u64, push: fn(&mut Queue, u64, Input)) {
    let client = OtherEnd::Address(ask.peer);
    crash::received(&ask.request, ask.origin);
    shared.step_logger.record(|| Step::of_request(&ask.request, client, n).asked_by(&ask.asker));
    if ask.request == Request::Local(Local::Banks) {
        answer(shared, ask, n, Reply::Done(shared.banks_json()));
        return;
    }
    let since_us = shared.now_us();
    let peer = SessionPeer::inside(ask.peer, ask.asker.clone());
    let entry = shared.sessions.borrow_mut().open(peer, None, since_us);
    let slot = entry.state.borrow_mut().slots.take(0, 0);
    let caller = Caller { session: entry.id, slot };
    let request = ask.request.clone();
    let driven = if let Request::Execute(tx, _) = &request { Some(tx) } else { None };
    let watch = driven.map(|tx| shared.barrier.watch(tx));
    let input = Input::Request {
        caller,
        origin: ask.origin,
        asker: ask.asker.clone(),
        request,
        waited_us: 0,
        past: None,
    };
    shared.inbox.fill(|queue| push(queue, since_us, input));
    let tasks = shared.tasks.clone();
    let shared = shared.clone();
    tasks.spawn_local(async move {
        let reply = reply(&entry).await;
        shared.sessions.borrow_mut().close(&entry);
        // Cross-bank read-your-writes for HTTP: COMMITTED is delayed until every peer has
        // acknowledged it, within a bound.
        if let (Some(watch), Reply::Committed(..)) = (watch, &reply) {
            let acknowledged =
                timeout(Duration::from_millis(COMMIT_ACKNOWLEDGED_MS_MAX), watch.answered());
            // A silent bank learns the commit later.
            let _ = acknowledged.await;
        }
        answer(&shared, ask, n, reply);
    });
}

/// Waits for the reply to the one request of `entry`.
async fn reply(entry: &SessionEntry) -> Reply {
    poll_fn(|cx| {
        let mut state = entry.state.borrow_mut();
        match state.slots.pop_ready() {
            Some(reply) => Poll::Ready(reply),
            None => {
                state.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    })
    .await
}

fn answer(shared: &ServerState, ask: Ask, n: u64, reply: Reply) {
    shared.step_logger.record(|| Step::of_reply(&reply, OtherEnd::Address(ask.peer), n));
    shared.step_logger.flush();
    // The asker may be gone; the request is carried out all the same.
    let _ = ask.reply.send(reply);
}
