//! Refreshes during user input: no click is lost, the focus stays, and open details stay open.

use crate::panel::PanelCluster;
use crate::panel::{Browser, open_browser, wait_until};
use serde_json::json;

/// Makes the page count the responses to its refreshes.
fn count_refreshes(browser: &Browser) {
    browser.script(
        "const get = window.fetch; window.answers = 0;
         window.fetch = async (...args) => { const answer = await get(...args); window.answers \
         += 1; return answer; };",
    );
}

/// Applies `change`, and waits until the page has refreshed after it.
fn refreshed(browser: &Browser, change: impl FnOnce()) {
    let before = browser.script("return window.answers").as_u64();
    change();
    wait_until("a refresh", || {
        (browser.script("return window.answers").as_u64() > before).then_some(())
    });
}

/// Dispatches a mouse event at the centre of an element.
fn mouse(browser: &Browser, event: &str, css: &str) {
    let script = format!(
        "const at = document.querySelector(\"{css}\").getBoundingClientRect();
         return [at.x + at.width / 2, at.y + at.height / 2];"
    );
    let at = browser.script(&script);
    let parameters = json!({
        "type": event, "x": at[0], "y": at[1], "button": "left", "buttons": 1, "clickCount": 1
    });
    browser.devtools("Input.dispatchMouseEvent", &parameters);
}

fn hold(cluster: &PanelCluster, tx: &str) {
    let transaction = cluster.composite(100).replacen('{', r#"{"patience_ms":300000,"#, 1);
    assert!(
        cluster.banks.connect(0).ask(&format!("PREPARE {tx} {transaction}")).starts_with("OK ")
    );
}

#[test]
fn a_click_during_a_refresh_is_not_lost() {
    let browser = open_browser!();
    let cluster = PanelCluster::start(3);
    cluster.open_accounts();
    hold(&cluster, "m-pressed");
    browser.go(&cluster.url(0, "/painel/pendentes"));
    browser.wait_for("#ao-vivo", "ao vivo");
    browser.wait_for("#pendentes", "m-pressed");
    count_refreshes(&browser);
    let button = "[data-key='resolver-m-pressed']";
    mouse(&browser, "mousePressed", button);
    // New rows appear above and below while the mouse button is down.
    refreshed(&browser, || {
        hold(&cluster, "a-above");
        hold(&cluster, "z-below");
    });
    mouse(&browser, "mouseReleased", button);
    browser.wait_for(".note", "m-pressed");
    browser.wait_for("#pendentes", "a-above");
}

#[test]
fn the_focus_and_open_details_stay() {
    let browser = open_browser!();
    let cluster = PanelCluster::start(3);
    cluster.open_accounts();
    hold(&cluster, "m-focus");
    browser.go(&cluster.url(0, "/painel/historico"));
    browser.wait_for("#ao-vivo", "ao vivo");
    browser.wait_for("#historico", "m-focus");
    browser.script(
        "window.kept = document.querySelector(\"[data-key='m-focus']\"); window.kept.focus();",
    );
    hold(&cluster, "n-newer");
    browser.wait_for("#historico", "n-newer");
    let same =
        browser.script("return document.activeElement === window.kept && window.kept.isConnected");
    assert_eq!(same, json!(true), "the focus moved");
    // If the focused element disappears, the focus moves to its section, not to the page's top.
    browser.go(&cluster.url(0, "/painel/pendentes"));
    browser.wait_for("#ao-vivo", "ao vivo");
    browser.script("document.querySelector(\"[data-key='resolver-n-newer']\").focus()");
    assert!(cluster.banks.connect(0).ask("ABORT n-newer").starts_with("ABORTED "));
    wait_until("the row disappears", || {
        (!browser.text("#pendentes").contains("n-newer")).then_some(())
    });
    assert_eq!(browser.script("return document.activeElement.id"), json!("pendentes"));

    browser.go(&cluster.url(0, "/painel/transacoes/m-focus"));
    browser.wait_for("#ao-vivo", "ao vivo");
    browser.wait_for("#detalhes summary", "Passos");
    browser.click("#detalhes summary");
    assert_eq!(
        browser.script("return document.querySelector('#detalhes details').open"),
        json!(true)
    );
    assert!(cluster.banks.connect(0).ask("ABORT m-focus").starts_with("ABORTED "));
    browser.wait_for("#detalhes", "Abortada");
    let open = browser.script("return document.querySelector('#detalhes details').open");
    assert_eq!(open, json!(true), "the details were closed");
}

/// Long names and amounts are neither clipped nor pushed off the page.
#[test]
fn long_names_and_large_amounts_stay_on_the_page() {
    let browser = open_browser!();
    let cluster = PanelCluster::start(1);
    let mut wire = cluster.banks.connect(0);
    let name = "Construtora".repeat(18);
    let client = format!(r#"CLIENT {{"cpf":"11111111111","name":"{name}","kind":"Jurídico"}}"#);
    assert!(wire.ask(&client).starts_with("DONE "));
    let account =
        r#"ACCOUNT {"number":"0-1","holders":["11111111111"],"deposit":123456789012345678}"#;
    assert!(wire.ask(account).starts_with("DONE "));
    let deposit =
        r#"EXECUTE d1 {"ops":[{"bank":0,"op":"deposit","account":"0-1","amount":98765432109876}]}"#;
    assert!(wire.ask(deposit).starts_with("COMMITTED "));
    for width in [1280, 360] {
        browser.resize(width, 900);
        for path in
            ["/", "/painel/contas", "/painel/contas/0-1", "/painel/historico", "/painel/auditoria"]
        {
            browser.go(&cluster.url(0, path));
            browser.screenshot(&format!("largo-{width}{}", path.replace('/', "-")));
            let cut = browser.script(
                "return [...document.querySelectorAll('td.money, .numbers dd, .lead, \
                 h1')].filter((field) => {
                     const box = field.getBoundingClientRect();
                     const clipped = field.scrollWidth > field.clientWidth + 1;
                     return field.checkVisibility() && box.width > 1 && (clipped || box.right > \
                     innerWidth || box.left < 0);
                 }).map((field) => field.outerHTML)",
            );
            assert_eq!(cut, json!([]), "{path}, {width} wide");
            let over = browser.script("return document.documentElement.scrollWidth - innerWidth");
            assert!(
                over.as_i64().is_some_and(|over| over <= 0),
                "{path} at {width} is {over} px too wide"
            );
        }
    }
}
