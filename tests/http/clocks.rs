//! The panel with wrong clocks: its audit of all banks, and the warning about this bank's clock on
//! every page.

use crate::http::{ANA, BIA, HttpCluster};
use crate::support::{Cluster, free_ports};

const S: i64 = 1_000_000;

/// Three banks, the last of which has a clock that is `wall_us` ahead.
fn with_clock(wall_us: i64) -> HttpCluster {
    for _ in 0..5 {
        let mut cluster = Cluster::new(3, true);
        let ports = free_ports(3);
        for (bank, port) in ports.iter().enumerate() {
            cluster.add_switches(bank, &["--http", &port.to_string()]);
            cluster.set_clock(bank, if bank == 2 { wall_us } else { 0 }, 0);
        }
        if (0..3).all(|bank| cluster.try_start(bank).is_ok()) {
            let cluster = HttpCluster { banks: cluster, ports };
            cluster.linked();
            return cluster;
        }
    }
    panic!("no consortium came up in five attempts");
}

#[test]
fn the_panels_audit_works_whatever_the_clocks_show() {
    for wrong in [1_500_000, -1_500_000, 5 * S, -5 * S, 3_600 * S, -3_600 * S] {
        let cluster = with_clock(wrong);
        cluster.open(0, ANA, "a", "100");
        cluster.open(2, BIA, "b", "100");
        for bank in [0, 2, 1] {
            let page = cluster.connect(bank).get("/painel/auditoria");
            assert_eq!(page.status, 200);
            assert!(
                page.body.contains("Confere até o centavo."),
                "{wrong} at {bank}: {}",
                page.body
            );
        }
        // The cut moves all banks' commit times to the furthest: the banks behind show a warning.
        let behind = if wrong > 0 { 0 } else { 2 };
        if wrong.abs() >= 3_600 * S {
            for path in ["/", "/painel/contas", "/painel/auditoria"] {
                let page = cluster.connect(behind).get(path).body;
                assert!(
                    page.contains("à frente do relógio desta máquina: 59 min "),
                    "{path}: {page}"
                );
                let page = cluster.connect(2 - behind).get(path).body;
                assert!(!page.contains("id=\"relogio\""), "{path}: {page}");
            }
        }
    }
}

#[test]
fn every_page_warns_that_a_jump_is_not_followed() {
    let cluster = with_clock(0);
    cluster.banks.set_clock(2, (3 * 365 * 24 + 12) * 3_600 * S + 1_800 * S, 0);
    for path in ["/", "/painel/contas", "/painel/pendentes"] {
        let page = cluster.connect(2).get(path).body;
        assert!(page.contains("ainda não é seguido; faltam 1095 d 12 h."), "{path}: {page}");
        assert!(!cluster.connect(1).get(path).body.contains("id=\"relogio\""));
    }
    let page = cluster.connect(2).get("/painel/auditoria").body;
    assert!(page.contains("Confere até o centavo."), "{page}");
}
