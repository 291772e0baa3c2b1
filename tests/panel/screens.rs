//! Every screen: its results and its refusals.

use crate::panel::PanelCluster;
use crate::panel::{Browser, open_browser, wait_until};
use serde_json::json;

#[test]
fn every_screen_works() {
    let browser = open_browser!();
    let cluster = PanelCluster::start(3);
    browser.go(&cluster.url(0, "/"));
    browser.wait_for("#novas", "Nada por aqui ainda.");
    browser.wait_for("#ao-vivo", "ao vivo");
    browser.screenshot("inicio-vazio");

    // Register a client, open her account with a deposit, and check the pages that show them.
    browser.click("nav a[href='/painel/cliente']");
    browser.fill("#cpf", "111.111.111-10");
    browser.fill("#nome", "Maria d'Água <b>&amp;");
    browser.send("main button");
    browser.wait_for(".note.good", "Cliente cadastrado.");
    browser.fill("#cpf", "11111111110");
    browser.fill("#numero", "0-1");
    browser.fill("#deposito", "1.234,56");
    browser.send("main button");
    browser.wait_for(".note.good", "Conta aberta.");
    browser.wait_for("#extrato", "R$ 1.234,56");
    browser.wait_for("#extrato", "Maria d'Água <b>&amp;");
    browser.wait_for("#extrato table", "Abertura");
    browser.go(&cluster.url(0, "/painel/caixa"));
    browser.click("input[value=sacar]");
    browser.fill("#cpf", "11111111110");
    browser.fill("#numero", "0-1");
    browser.fill("#valor", "34,56");
    browser.send("main form button");
    browser.wait_for(".note.good", "Saque feito.");
    browser.wait_for("#extrato dl", "R$ 1.200,00");
    browser.screenshot("extrato");

    browser.go(&cluster.url(0, "/painel/contas"));
    browser.wait_for("#contas", "111.111.111-10");
    browser.screenshot("contas");
    browser.click("[data-copiar='0-1']");
    browser.wait_for("[data-copiar='0-1']", "Copiado");
    browser.fill("#busca", "ninguém");
    browser.click(".search button");
    browser.wait_for("#contas", "Nenhuma conta corresponde");
    browser.click(".search a");
    browser.wait_for("#contas", "0-1");

    // A composite over three banks: form, confirmation, and live outcome.
    cluster.banks.open_account(1, "1-1", "11111111111", "1000");
    cluster.banks.open_account(2, "2-1", "11111111112", "1000");
    browser.go(&cluster.url(0, "/painel/transacao"));
    browser.click("button[value=adicionar]");
    browser.choose("#banco0", "0");
    browser.fill("#cpf0", "11111111110");
    browser.fill("#numero0", "0-1");
    browser.fill("#valor0", "200");
    browser.choose("#banco1", "1");
    browser.fill("#cpf1", "11111111111");
    browser.fill("#numero1", "1-1");
    browser.fill("#valor1", "300,50");
    browser.choose("#destino_banco", "2");
    browser.fill("#destino_cpf", "11111111112");
    browser.fill("#destino_numero", "2-1");
    browser.screenshot("transacao");
    browser.click("button[value=resumo]");
    browser.wait_for("h1", "Confira a transação");
    browser.wait_for(".verdict", "R$ 500,50");
    browser.screenshot("resumo");
    browser.click("button[value=confirmar]");
    browser.wait_for("#detalhes", "Efetivada");
    browser.wait_for("#detalhes", "R$ 500,50");
    browser.screenshot("detalhes");
    assert_eq!(cluster.banks.balance("2/2-1"), 150_050);

    browser.go(&cluster.url(0, "/painel/historico?situacao=efetivada"));
    browser.wait_for("#historico", "0/0-1 + 1/1-1 → 2/2-1");
    browser.screenshot("historico");
    browser.go(&cluster.url(0, "/painel/historico?situacao=aberta"));
    browser.wait_for("#historico", "Nenhuma transação com esta situação.");
    browser.go(&cluster.url(0, "/painel/auditoria"));
    browser.wait_for("main", "Confere até o centavo.");
    browser.wait_for("tfoot", "R$ 3.200,00");
    browser.screenshot("auditoria");
    browser.go(&cluster.url(0, "/painel/pendentes"));
    browser.wait_for("#pendentes", "Nenhuma transação em aberto");

    // Switching the language keeps the page, and applies to later pages.
    browser.click(".top .right a");
    browser.wait_for("h1", "Pending");
    browser.go(&cluster.url(0, "/"));
    browser.wait_for("h1", "Overview");
    browser.click(".top .right a");
    browser.wait_for("h1", "Início");
    browser.wait_for("#novas", "Efetivada");
    browser.screenshot("inicio");
    check_narrow_window(&browser, &cluster);
}

/// In a window as narrow as a telephone no page scrolls sideways, and the menu opens.
fn check_narrow_window(browser: &Browser, cluster: &PanelCluster) {
    browser.resize(400, 850);
    for path in [
        "/",
        "/painel/contas",
        "/painel/contas/0-1",
        "/painel/historico",
        "/painel/transacao",
        "/painel/caixa",
        "/painel/cliente",
        "/painel/conta",
        "/painel/pendentes",
        "/painel/auditoria",
        "/painel/demo",
    ] {
        browser.go(&cluster.url(0, path));
        let (wide, window) = (
            browser.script("return document.documentElement.scrollWidth"),
            browser.script("return innerWidth"),
        );
        assert!(wide.as_i64() <= window.as_i64(), "{path} is {wide} wide in a window of {window}");
    }
    browser.go(&cluster.url(0, "/"));
    browser.screenshot("inicio-estreito");
    browser.click(".menu summary");
    browser.click("nav a[href='/painel/transacao']");
    browser.wait_for("h1", "Fazer transação");
    browser.screenshot("transacao-estreita");
}

#[test]
fn each_refusal_is_shown_beside_its_field() {
    let browser = open_browser!();
    let cluster = PanelCluster::start(2);
    cluster.open_accounts();

    browser.go(&cluster.url(0, "/painel/cliente"));
    browser.send("main button");
    browser.wait_for("#sobre-cpf", "Preencha este campo.");
    browser.wait_for("#sobre-nome", "Preencha este campo.");
    browser.fill("#cpf", "123");
    browser.fill("#nome", "Maria");
    browser.send("main button");
    browser.wait_for("#sobre-cpf", "O CPF tem 11 dígitos");
    browser.fill("#cpf", "11111111110");
    browser.send("main button");
    browser.wait_for("#sobre-cpf", "Já existe, com outros dados.");
    assert_eq!(
        browser.script("return document.getElementById('nome').value"),
        json!("Maria"),
        "the form keeps its input"
    );

    browser.go(&cluster.url(0, "/painel/conta"));
    for (cpf, number, second, deposit, field, words) in [
        ("99999999999", "9-1", "", "", "cpf", "Este cliente não existe"),
        ("11111111110", "9-1", "", "", "cpf", "já tem uma conta individual"),
        ("11111111110", "9-1", "11111111110", "", "cpf2", "precisa ser outra pessoa"),
        ("11111111110", "9-1", "99999999999", "", "cpf2", "Este cliente não existe"),
        ("11111111110", "..", "", "", "numero", "De 1 a 64"),
        ("11111111110", "9-1", "", "1,234", "deposito", "Digite um valor"),
    ] {
        browser.fill("#cpf", cpf);
        browser.fill("#numero", number);
        browser.fill("#cpf2", second);
        browser.fill("#deposito", deposit);
        browser.send("main button");
        browser.wait_for(&format!("#sobre-{field}.erro"), words);
    }

    browser.go(&cluster.url(0, "/painel/caixa"));
    for (operation, cpf, number, amount, field, words) in [
        ("sacar", "11111111110", "0-1", "9.999,00", "valor", "Saldo insuficiente."),
        ("depositar", "11111111110", "8-8", "1", "numero", "Esta conta não existe"),
        ("depositar", "99999999999", "0-1", "1", "cpf", "não é titular"),
        ("depositar", "11111111110", "0-1", "0", "valor", "maior que zero"),
        ("depositar", "11111111110", "0-1", "-5", "valor", "Digite um valor"),
        ("depositar", "11111111110", "0-1", "0,001", "valor", "Digite um valor"),
        ("depositar", "11111111110", "0-1", "99999999999999999999", "valor", "Digite um valor"),
    ] {
        browser.click(&format!("input[value={operation}]"));
        browser.fill("#cpf", cpf);
        browser.fill("#numero", number);
        browser.fill("#valor", amount);
        browser.send("main form button");
        browser.wait_for(&format!("#sobre-{field}.erro"), words);
    }
    browser.screenshot("recusa");

    // A form that is sent twice is executed once.
    let twice = browser.script(
        "const form = new URLSearchParams({operacao: 'depositar', tx: 'uma-vez', cpf: \
         '11111111110', numero: '0-1', valor: '7'});
         for (const _ of [1, 2]) {
             const ask = new XMLHttpRequest();
             ask.open('POST', '/painel/caixa', false);
             ask.setRequestHeader('content-type', 'application/x-www-form-urlencoded');
             ask.send(form.toString());
             if (ask.status !== 200) return ask.status;
         }
         return document.querySelector('input[name=tx]').value.length",
    );
    assert!(twice.as_u64().is_some_and(|length| (10..=64).contains(&length)), "{twice}");
    assert_eq!(cluster.banks.balance("0/0-1"), 100_700);

    // The form of a transaction checks its fields, the banks refuse the rest, and the form keeps
    // its input.
    browser.go(&cluster.url(0, "/painel/transacao"));
    browser.click("button[value=resumo]");
    browser.wait_for("#sobre-cpf0", "Preencha este campo.");
    browser.wait_for("#sobre-valor0", "Preencha este campo.");
    browser.fill("#cpf0", "11111111110");
    browser.fill("#numero0", "0-1");
    browser.fill("#valor0", "5.000,00");
    browser.choose("#destino_banco", "1");
    browser.fill("#destino_cpf", "11111111111");
    browser.fill("#destino_numero", "1-1");
    browser.click("button[value=resumo]");
    browser.wait_for("h1", "Confira a transação");
    browser.click("button[value=confirmar]");
    browser.wait_for("#detalhes", "Abortada");
    browser.wait_for("#detalhes", "Saldo insuficiente.");
    browser.screenshot("abortada");
    browser.click("#detalhes .actions a");
    browser.wait_for("h1", "Fazer transação");
    assert_eq!(browser.script("return document.getElementById('valor0').value"), json!("5.000,00"));
    assert_eq!(browser.script("return document.getElementById('destino_banco').value"), json!("1"));

    browser.go(&cluster.url(0, "/painel/contas/8-8"));
    browser.wait_for("main", "Conta não encontrada");
    browser.go(&cluster.url(0, "/painel/transacoes/nunca-vista"));
    browser.wait_for("#detalhes", "não conhece esta transação");
    assert_eq!(cluster.banks.balance("0/0-1"), 100_700, "no refusal moved money");
}

#[test]
fn forms_work_without_javascript() {
    let off = [("profile.managed_default_content_settings.javascript", json!(2))];
    let Some(browser) = Browser::open(&off) else { return };
    let cluster = PanelCluster::start(2);
    cluster.open_accounts();
    browser.go(&cluster.url(0, "/painel/caixa"));
    browser.fill("#cpf", "11111111110");
    browser.fill("#numero", "0-1");
    browser.fill("#valor", "10,00");
    browser.send("main form button");
    browser.wait_for("#extrato", "R$ 1.010,00");
    assert_eq!(browser.text("#ao-vivo"), "", "no live indicator");
    browser.go(&cluster.url(0, "/painel/transacao"));
    browser.click("button[value=adicionar]");
    browser.wait_for("#origens", "Origem 2");
    browser.fill("#cpf1", "11111111110");
    browser.click("button[value=remover-0]");
    browser.wait_for_path("/painel/transacao");
    wait_until("one source less", || {
        let shown = browser.text("#origens");
        (shown.contains("Origem 1") && !shown.contains("Origem 2")).then_some(())
    });
    browser.fill("#numero0", "0-1");
    browser.fill("#valor0", "10");
    browser.choose("#destino_banco", "1");
    browser.fill("#destino_cpf", "11111111111");
    browser.fill("#destino_numero", "1-1");
    browser.click("button[value=resumo]");
    browser.wait_for("h1", "Confira a transação");
    browser.click("button[value=confirmar]");
    browser.wait_for_path("/painel/transacoes/");
    wait_until("the transfer", || (cluster.banks.balance("1/1-1") == 101_000).then_some(()));
}
