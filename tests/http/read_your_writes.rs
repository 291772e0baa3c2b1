//! Cross-bank read-your-writes: a commit that one bank reported is visible at every other bank.

use crate::http::{ANA, BIA, CAIO, HttpCluster};
use consorcio::limits::{COMMIT_ACKNOWLEDGED_MS_MAX, READ_WAITS_MS_MAX};
use std::time::{Duration, Instant};

const TIMES: usize = 300;

#[test]
fn a_reported_commit_is_visible_at_every_bank() {
    let cluster = HttpCluster::start_as(3, false, &[]);
    cluster.open(0, ANA, "1", "1000");
    cluster.open(1, BIA, "2", "1000");
    cluster.open(2, CAIO, "3", "0");
    let mut banks = [cluster.connect(0), cluster.connect(1), cluster.connect(2)];
    let (mut whole, mut late) = (0, 0);
    for time in 1..=TIMES {
        // The driver is a participant or not; the transfer has one source or two.
        let from_1 = if time % 2 == 0 {
            r#"{"banco":1,"cpf":"22222222222","numero":"2","valor":1},"#
        } else {
            ""
        };
        let body = format!(
            r#"{{"participantes":[{{"banco":0,"cpf":"{ANA}","numero":"1","valor":1}},{from_1}{{"banco":2,"cpf":"{CAIO}","numero":"3"}}]}}"#
        );
        whole += 1 + usize::from(time % 2 == 0);
        let began = Instant::now();
        banks[time % 3].post("/transferencia_composta", &body).is(200, r#"{"success":true}"#);
        let reported = Instant::now();
        let found = banks[2].get(&format!("/contas/{CAIO}")).json()[0]["saldo"].clone();
        // Both waits have a bound; past it, on a stalled machine, the guarantee does not hold.
        let stalled = reported - began >= Duration::from_millis(COMMIT_ACKNOWLEDGED_MS_MAX)
            || reported.elapsed() >= Duration::from_millis(READ_WAITS_MS_MAX);
        late += usize::from(stalled);
        assert!(stalled || found == whole, "after {time} transfers {found} instead of {whole}");
        let pending = banks[2].get("/pendentes");
        assert!(stalled || pending.body.trim_end() == "[]", "still pending: {pending:?}");
    }
    assert!(late < TIMES / 2, "{late} of {TIMES} were too slow to prove anything");
}
