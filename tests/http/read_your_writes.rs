//! Whoever is told of a commit by one bank and goes on to another finds it there at once.

use crate::http::{ANA, BIA, CAIO, HttpCluster};
use consorcio::limits::{COMMIT_ACKNOWLEDGED_MS_MAX, READ_WAITS_MS_MAX};
use std::time::{Duration, Instant};

const TIMES: usize = 300;

#[test]
fn a_commit_is_found_at_every_bank_by_who_was_told_of_it() {
    let cluster = HttpCluster::start_as(3, false, &[]);
    cluster.open(0, ANA, "1", "1000");
    cluster.open(1, BIA, "2", "1000");
    cluster.open(2, CAIO, "3", "0");
    let mut banks = [cluster.connect(0), cluster.connect(1), cluster.connect(2)];
    let (mut whole, mut late) = (0, 0);
    for time in 1..=TIMES {
        // A bank that takes part drives, or one that does not; from one bank or from two.
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
        let told = Instant::now();
        let found = banks[2].get(&format!("/contas/{CAIO}")).json()[0]["saldo"].clone();
        // Nobody is waited for longer than that: on a machine that stands still for so long nothing
        // is promised.
        let stood_still = told - began >= Duration::from_millis(COMMIT_ACKNOWLEDGED_MS_MAX)
            || told.elapsed() >= Duration::from_millis(READ_WAITS_MS_MAX);
        late += usize::from(stood_still);
        assert!(stood_still || found == whole, "after {time} transfers {found} instead of {whole}");
        let pending = banks[2].get("/pendentes");
        assert!(
            stood_still || pending.body.trim_end() == "[]",
            "what is decided stays: {pending:?}"
        );
    }
    assert!(late < TIMES / 2, "{late} of {TIMES} were too slow to say anything");
}
