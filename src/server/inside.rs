//! Sessions inside this process: what other threads ask of the bank, HTTP above all.
//!
//! Each ask is a session of its own with one request. So it takes the very way that a line takes, through the same
//! queue and with its steps told, and none waits for another's reply. It needs no place: asks have a bound of
//! their own. Not here: who asks, and what about.

use crate::bank::io::{Caller, Input};
use crate::crash;
use crate::node::ask::Ask;
use crate::server::Shared;
use crate::server::seat::Seat;
use crate::steplog::{Step, Who};
use crate::wire::reply::Reply;
use crate::wire::request::Request;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;
use tokio::sync::mpsc::Receiver;

/// Serves asks until nobody can ask any more. A full queue lets them wait, as it does those who send lines.
pub async fn serve(shared: Rc<Shared>, mut asks: Receiver<Ask>) {
    while let Some(ask) = asks.recv().await {
        poll_fn(|cx| {
            if shared.inbox.fill(|queue| queue.room()) > 0 {
                Poll::Ready(())
            } else {
                shared.inbox.wait_for_room(cx.waker());
                Poll::Pending
            }
        })
        .await;
        take(&shared, ask);
    }
}

fn take(shared: &Rc<Shared>, ask: Ask) {
    let who = Who::Address(ask.peer);
    crash::received(&ask.request, ask.origin);
    shared.story.tell(|| Step::of_request(&ask.request, who));
    if ask.request == Request::Banks {
        tell(shared, ask, Reply::Done(shared.banks_json()));
        return;
    }
    let since_us = shared.now_us();
    let seat = shared.seats.borrow_mut().open(ask.peer, None, since_us);
    let slot = seat.state.borrow_mut().slots.take(0, 0);
    let caller = Caller { session: seat.id, slot };
    let request = ask.request.clone();
    let input = Input::Request { caller, origin: ask.origin, request, waited_us: 0, past: None };
    shared.inbox.fill(|queue| queue.push(since_us, input));
    let shared = shared.clone();
    tokio::task::spawn_local(async move {
        let reply = reply(&seat).await;
        shared.seats.borrow_mut().close(&seat);
        shared.session_ended.notify_one();
        tell(&shared, ask, reply);
    });
}

/// The reply to the one request of `seat`.
async fn reply(seat: &Seat) -> Reply {
    poll_fn(|cx| {
        let mut state = seat.state.borrow_mut();
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

fn tell(shared: &Shared, ask: Ask, reply: Reply) {
    shared.story.tell(|| Step::of_reply(&reply, Who::Address(ask.peer)));
    shared.story.flush();
    // Who asked may have gone; what was asked is done all the same.
    let _ = ask.reply.send(reply);
}
