//! Sessions inside this process: what other threads ask of the bank, HTTP above all.
//!
//! Each ask is a session of its own with one request. So it takes the very way that a line takes,
//! through the same queue and into the step log, and none waits for another's reply. It needs no
//! place: asks have a bound of their own. Not here: who asks, and what about.

use crate::ServerState;
use crate::session_table::SessionEntry;
use consorcio_core::bank::io::{Caller, Input};
use consorcio_core::limits::{COMMIT_ACKNOWLEDGED_MS_MAX, READ_WAITS_MS_MAX};
use consorcio_core::wire::reply::Reply;
use consorcio_core::wire::request::{Local, Read, Request};
use consorcio_node::ask::Ask;
use consorcio_node::queue::Queue;
use consorcio_steps::steplog::{OtherEnd, Step};
use consorcio_system::crash;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;
use tokio::sync::mpsc::Receiver;
use tokio::time::timeout;

/// Serves asks until nobody can ask any more. A full queue lets them wait, as it does those who
/// send lines.
pub async fn serve(shared: Rc<ServerState>, mut asks: Receiver<Ask>) {
    // They have no lines to count: here `n` is the number among all that was asked inside.
    let mut n = 0;
    while let Some(ask) = asks.recv().await {
        n += 1;
        if !reads(&ask.request) {
            let who = shared.gate.ticket();
            if shared.gate.holds(who, &ask.request, shared.now_us()) {
                // Others do not wait behind it; there are no more of these than asks.
                let shared = shared.clone();
                tokio::task::spawn_local(async move {
                    gate(&shared, who, &ask.request).await;
                    room(&shared).await;
                    take(&shared, ask, n, Queue::push);
                });
                continue;
            }
            room(&shared).await;
            take(&shared, ask, n, Queue::push);
        } else if let Some(questions) = shared.barrier.questions() {
            // An outcome that this bank is asking for may be one that its reader was told
            // elsewhere.
            let shared = shared.clone();
            tokio::task::spawn_local(async move {
                let answered = timeout(
                    Duration::from_millis(READ_WAITS_MS_MAX),
                    shared.barrier.answered(questions),
                );
                // Where a bank is silent, what is known here is shown.
                let _ = answered.await;
                room(&shared).await;
                take(&shared, ask, n, Queue::push_behind_peers);
            });
        } else {
            room(&shared).await;
            take(&shared, ask, n, Queue::push_behind_peers);
        }
    }
}

/// Waits, as `who`, for the banks that `request` may concern.
async fn gate(shared: &ServerState, who: u64, request: &Request) {
    poll_fn(|cx| {
        if shared.gate.holds(who, request, shared.now_us()) {
            shared.gate.wait(who, cx.waker());
            Poll::Pending
        } else {
            Poll::Ready(())
        }
    })
    .await;
    shared.gate.leave(who);
}

/// Waits until the bank's queue takes another.
async fn room(shared: &ServerState) {
    poll_fn(|cx| {
        if shared.inbox.fill(|queue| queue.room()) > 0 {
            Poll::Ready(())
        } else {
            shared.inbox.wait_for_room(cx.waker());
            Poll::Pending
        }
    })
    .await;
}

/// Does it show what transactions made of the books? A SNAPSHOT waits by itself for what it shows.
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
    let who = OtherEnd::Address(ask.peer);
    crash::received(&ask.request, ask.origin);
    shared.step_logger.record(|| Step::of_request(&ask.request, who, n));
    if ask.request == Request::Local(Local::Banks) {
        answer(shared, ask, n, Reply::Done(shared.banks_json()));
        return;
    }
    let since_us = shared.now_us();
    let entry = shared.sessions.borrow_mut().open(ask.peer, None, since_us);
    let slot = entry.state.borrow_mut().slots.take(0, 0);
    let caller = Caller { session: entry.id, slot };
    let request = ask.request.clone();
    let driven = if let Request::Execute(tx, _) = &request { Some(tx) } else { None };
    let watch = driven.map(|tx| shared.barrier.watch(tx));
    let input = Input::Request { caller, origin: ask.origin, request, waited_us: 0, past: None };
    shared.inbox.fill(|queue| push(queue, since_us, input));
    let tasks = shared.tasks.clone();
    let shared = shared.clone();
    tasks.spawn_local(async move {
        let reply = reply(&entry).await;
        shared.sessions.borrow_mut().close(&entry);
        // Cross-bank read-your-writes for HTTP: COMMITTED is delayed until every peer has
        // acknowledged it, or for a moment.
        if let (Some(watch), Reply::Committed(..)) = (watch, &reply) {
            let heard =
                timeout(Duration::from_millis(COMMIT_ACKNOWLEDGED_MS_MAX), watch.answered());
            // A bank that is silent now learns it later; what is committed stays so.
            let _ = heard.await;
        }
        answer(&shared, ask, n, reply);
    });
}

/// The reply to the one request of `entry`.
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
    // Who asked may have gone; what was asked is done all the same.
    let _ = ask.reply.send(reply);
}
