//! What a view for a snapshot costs a bank with many accounts and undecided transactions.

use crate::scale::bank::{CPF, MeasuredBank, ops};
use crate::scale::{cpu_time, figure, is_full, size};
use std::time::Duration;

/// The bytes that one request may copy while a view is held: one chunk of each kind of rows, and
/// the lists around it.
const COPIED_BYTES_MAX: u64 = 64 * 1024;

/// How many views are taken to time one.
const VIEWS: u32 = 1_000;

#[test]
fn a_view_stops_no_decision_whatever_the_size() {
    let (mut bank, accounts, undecided) =
        (MeasuredBank::new(), size(5_000, 1_000_000), size(2_000, 100_000));
    for n in 0..accounts {
        let cpf = format!("1{n:010}");
        bank.done(&format!(r#"CLIENT {{"cpf":"{cpf}","name":"Client","kind":"F"}}"#));
        bank.done(&format!(r#"ACCOUNT {{"number":"a{n}","holders":["{cpf}"],"deposit":100}}"#));
    }
    bank.prepare(undecided, true);
    let expected = bank.core.to_snapshot();

    // One takes less than the clock of processor times shows.
    let began = cpu_time();
    (0..VIEWS).for_each(|_| drop(bank.core.freeze()));
    let took = (cpu_time() - began) / VIEWS;
    let view = bank.core.freeze();
    figure("a view for a snapshot", format_args!("{took:?}"));
    assert!(!is_full() || took < Duration::from_millis(1), "the view took {took:?}");

    let (mut longest, mut most) = (Duration::ZERO, 0);
    for n in 0..2_000 {
        let account = n * 7_919 % accounts;
        let deposit = format!(r#"{{"bank":0,"op":"deposit","account":"a{account}","amount":1}}"#);
        for line in [
            format!(r#"EXECUTE e{n} {{"ops":[{deposit}]}}"#),
            format!("PREPARE n{n} {}", ops(true)),
            format!("ABORT q{n}"),
            format!(r#"CLIENT {{"cpf":"2{n:010}","name":"New","kind":"F"}}"#),
            format!(r#"ACCOUNT {{"number":"n{n}","holders":["2{n:010}","{CPF}"]}}"#),
        ] {
            let copied = bank.core.copied_bytes();
            let began = cpu_time();
            bank.request(1, &line);
            longest = longest.max(cpu_time() - began);
            most = most.max(bank.core.copied_bytes() - copied);
        }
    }
    figure("a request while a view is held", format_args!("{longest:?}, {most} bytes copied"));
    assert!(most <= COPIED_BYTES_MAX, "one request copied {most} bytes");
    assert!(!is_full() || longest < Duration::from_millis(5), "a request took {longest:?}");
    let copied = bank.core.copied_bytes();
    figure("copied in all", format_args!("{copied} of {} bytes", bank.core.shared_bytes()));

    let began = cpu_time();
    let mut written = Vec::new();
    let whole = view.write(&mut |piece| {
        written.extend_from_slice(piece);
        std::ops::ControlFlow::Continue(())
    });
    figure("writing the view", format_args!("{:?}", cpu_time() - began));
    assert!(whole.is_continue() && written == expected, "the view changed");
}
