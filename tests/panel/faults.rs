//! Live pages: two windows at once, killed and restarted banks, undecided transactions, the demo's
//! controls.

use crate::panel::PanelCluster;
use crate::panel::{open_browser, wait_until};

#[test]
fn two_windows_update_at_once() {
    let (one, two) = (open_browser!(), open_browser!());
    let cluster = PanelCluster::start(3);
    cluster.open_accounts();
    one.go(&cluster.url(0, "/"));
    two.go(&cluster.url(1, "/painel/historico"));
    one.wait_for("#ao-vivo", "ao vivo");
    two.wait_for("#ao-vivo", "ao vivo");
    // A transaction of another client must appear without a reload.
    for window in [&one, &two] {
        window.script("window.sameWindow = true");
    }
    let reply =
        cluster.banks.connect(2).ask(&format!("EXECUTE linha-1 {}", cluster.composite(5_000)));
    assert!(reply.starts_with("COMMITTED linha-1 "), "{reply}");
    one.wait_for("#novas", "linha-1");
    one.wait_for("#novas", "Efetivada");
    one.wait_for("#numeros", "R$ 950,00");
    two.wait_for("#historico", "linha-1");
    for window in [&one, &two] {
        assert_eq!(window.script("return window.sameWindow"), true, "the page was loaded again");
    }
}

#[test]
fn the_page_follows_killed_and_restarted_banks() {
    let browser = open_browser!();
    let mut cluster = PanelCluster::start(3);
    cluster.open_accounts();
    browser.go(&cluster.url(0, "/"));
    browser.wait_for("#ao-vivo", "ao vivo");
    browser.script("window.sameWindow = true");
    assert!(!browser.text("#bancos").contains("fora do ar"));
    cluster.banks.kill(2);
    browser.wait_for("#bancos", "fora do ar");
    browser.screenshot("banco-fora");
    // A transaction that needs the killed bank does not commit.
    let reply =
        cluster.banks.connect(0).ask(&format!("EXECUTE sem-2 {}", cluster.composite(5_000)));
    assert!(
        reply.starts_with("ABORTED ") || reply.starts_with("DOUBT ") || reply.starts_with("ERR "),
        "{reply}"
    );
    cluster.banks.start_bank(2);
    wait_until("bank 2 online again", || {
        (!browser.text("#bancos").contains("fora do ar")).then_some(())
    });
    assert_eq!(browser.script("return window.sameWindow"), true, "the page was loaded again");

    // The page's own bank is killed: the page shows that, and reconnects when the bank is back.
    cluster.banks.kill(0);
    browser.wait_for("#ao-vivo", "sem conexão");
    cluster.banks.start_bank(0);
    browser.wait_for("#ao-vivo", "ao vivo");
    let reply =
        cluster.banks.connect(1).ask(&format!("EXECUTE depois {}", cluster.composite(7_000)));
    assert!(reply.starts_with("COMMITTED "), "{reply}");
    browser.wait_for("#novas", "depois");
    assert_eq!(browser.script("return window.sameWindow"), true, "the page was loaded again");
}

#[test]
fn undecided_transactions_are_shown_and_resolved() {
    let browser = open_browser!();
    let mut cluster = PanelCluster::start(3);
    cluster.open_accounts();
    browser.go(&cluster.url(0, "/painel/pendentes"));
    browser.wait_for("#ao-vivo", "ao vivo");
    let transaction = cluster.composite(5_000).replacen("{", r#"{"patience_ms":300000,"#, 1);
    assert!(
        cluster.banks.connect(0).ask(&format!("PREPARE lenta {transaction}")).starts_with("OK ")
    );
    assert!(
        cluster.banks.connect(2).ask(&format!("PREPARE lenta {transaction}")).starts_with("OK ")
    );
    browser.wait_for("#pendentes", "lenta");
    browser.wait_for("#pendentes", "Banco 1");
    browser.wait_for("nav .count", "1");
    browser.screenshot("pendentes");
    // Bank 1, which has not voted, is down, so the transaction cannot be resolved.
    cluster.banks.kill(1);
    browser.send("#pendentes button");
    browser.wait_for(".note.open", "Ainda em aberto.");
    cluster.banks.start_bank(1);
    wait_until("the resolution", || {
        browser.go(&cluster.url(0, "/painel/pendentes"));
        if browser.text("#pendentes").contains("lenta") {
            browser.send("#pendentes button");
            return browser.text(".note").contains("Abortada em todos os bancos.").then_some(());
        }
        // The banks may have decided it before the click.
        Some(())
    });
    browser.go(&cluster.url(0, "/painel/transacoes/lenta"));
    browser.wait_for("#detalhes", "Abortada");
    assert_eq!(cluster.banks.balance("0/0-1"), 100_000);
}

#[test]
fn a_demonstration_acts_on_real_processes() {
    let browser = open_browser!();
    let mut cluster = PanelCluster::start(2);
    browser.go(&cluster.url(0, "/painel/demo"));
    browser.wait_for("#processos", "rodando");
    browser.screenshot("demo");
    browser.send("[data-key='congelar-1']");
    browser.wait_for("#processos li:nth-child(2)", "congelado");
    browser.send("[data-key='descongelar-1']");
    browser.wait_for("#processos li:nth-child(2)", "rodando");
    browser.send("[data-key='matar-1']");
    cluster.banks.wait_killed(1);
    browser.go(&cluster.url(0, "/painel/demo"));
    browser.wait_for("#processos li:nth-child(2)", "parado");
    browser.send("[data-key='religar-1']");
    wait_until("the bank that was started again", || {
        browser.go(&cluster.url(0, "/painel/demo"));
        browser.text("#processos li:nth-child(2)").contains("rodando").then_some(())
    });
    // The panel started this process, not the test, so the panel must stop it.
    wait_until("a reply of the restarted bank", || {
        let mut wire = crate::support::Wire::try_connect(&cluster.banks.address(1))?;
        (wire.try_ask("PING")? == "PONG").then_some(())
    });
    browser.send("[data-key='parar-1']");
    wait_until("the end of the bank", || {
        browser.go(&cluster.url(0, "/painel/demo"));
        browser.text("#processos li:nth-child(2)").contains("parado").then_some(())
    });
}
