//! Pages that follow their bank: two desks at once, banks that die and come back, what is
//! undecided.

use crate::panel::PanelCluster;
use crate::panel::{open_browser, wait_until};

#[test]
fn two_desks_see_the_same_at_once() {
    let (one, two) = (open_browser!(), open_browser!());
    let cluster = PanelCluster::start(3);
    cluster.open_accounts();
    one.go(&cluster.url(0, "/"));
    two.go(&cluster.url(1, "/painel/historico"));
    one.wait_for("#ao-vivo", "ao vivo");
    two.wait_for("#ao-vivo", "ao vivo");
    // A line from elsewhere; no page is loaded again.
    for window in [&one, &two] {
        window.script("window.sameWindow = true");
    }
    let said =
        cluster.banks.connect(2).ask(&format!("EXECUTE linha-1 {}", cluster.composite(5_000)));
    assert!(said.starts_with("COMMITTED linha-1 "), "{said}");
    one.wait_for("#novas", "linha-1");
    one.wait_for("#novas", "Confirmada");
    one.wait_for("#numeros", "R$ 950,00");
    two.wait_for("#historico", "linha-1");
    for window in [&one, &two] {
        assert_eq!(window.script("return window.sameWindow"), true, "the page was loaded again");
    }
}

#[test]
fn a_bank_dies_and_comes_back_under_the_page() {
    let browser = open_browser!();
    let mut cluster = PanelCluster::start(3);
    cluster.open_accounts();
    browser.go(&cluster.url(0, "/"));
    browser.wait_for("#ao-vivo", "ao vivo");
    browser.script("window.sameWindow = true");
    assert!(!browser.text("#bancos").contains("fora do ar"));
    cluster.banks.kill(2);
    browser.wait_for("#bancos", "fora do ar");
    browser.shot("banco-fora");
    // A transaction that needs the dead bank is refused in words, and nothing moves.
    let said = cluster.banks.connect(0).ask(&format!("EXECUTE sem-2 {}", cluster.composite(5_000)));
    assert!(
        said.starts_with("ABORTED ") || said.starts_with("DOUBT ") || said.starts_with("ERR "),
        "{said}"
    );
    cluster.banks.start_bank(2);
    wait_until("bank 2 online again", || {
        (!browser.text("#bancos").contains("fora do ar")).then_some(())
    });
    assert_eq!(browser.script("return window.sameWindow"), true, "the page was loaded again");

    // The page's own bank dies: it says so, and goes on by itself when the bank is back.
    cluster.banks.kill(0);
    browser.wait_for("#ao-vivo", "sem conexão");
    cluster.banks.start_bank(0);
    browser.wait_for("#ao-vivo", "ao vivo");
    let said =
        cluster.banks.connect(1).ask(&format!("EXECUTE depois {}", cluster.composite(7_000)));
    assert!(said.starts_with("COMMITTED "), "{said}");
    browser.wait_for("#novas", "depois");
    assert_eq!(browser.script("return window.sameWindow"), true, "the page was loaded again");
}

#[test]
fn what_is_undecided_is_shown_and_resolved() {
    let browser = open_browser!();
    let mut cluster = PanelCluster::start(3);
    cluster.open_accounts();
    browser.go(&cluster.url(0, "/painel/pendentes"));
    browser.wait_for("#ao-vivo", "ao vivo");
    let patient = cluster.composite(5_000).replacen("{", r#"{"patience_ms":300000,"#, 1);
    assert!(cluster.banks.connect(0).ask(&format!("PREPARE lenta {patient}")).starts_with("OK "));
    assert!(cluster.banks.connect(2).ask(&format!("PREPARE lenta {patient}")).starts_with("OK "));
    browser.wait_for("#pendentes", "lenta");
    browser.wait_for("#pendentes", "Banco 1");
    browser.wait_for("nav .count", "1");
    browser.shot("pendentes");
    // The bank that has not voted is down, so it can't be ended; nobody guesses.
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
        // The banks may have ended it by themselves before the press.
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
    browser.shot("demo");
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
    // It is a real bank again, on the same data; it is ended by the panel, since the test did not
    // start it.
    wait_until("its answer", || {
        let mut wire = crate::support::Wire::try_connect(&cluster.banks.address(1))?;
        (wire.try_ask("PING")? == "PONG").then_some(())
    });
    browser.send("[data-key='parar-1']");
    wait_until("its orderly end", || {
        browser.go(&cluster.url(0, "/painel/demo"));
        browser.text("#processos li:nth-child(2)").contains("parado").then_some(())
    });
}
