//! Refusals in Portuguese: every refusal of a ledger has a translation, and routes and pages show
//! it with the bank that refused.

use crate::http::{ANA, BIA, CAIO, HttpCluster};
use crate::support::wait_until;
use consorcio::ids::{
    AccountNumber, BankId, BankSet, ClientKind, ClientName, RegisterKey, TaxId, Time, TxId,
};
use consorcio::ledger::Ledger;
use consorcio::money::Money;
use consorcio::panel::details::in_words;
use consorcio::panel::texts::Lang;
use consorcio::server::SessionEnd;
use consorcio::wire::Fault;
use consorcio::wire::detail::Detail;
use consorcio::wire::request::{NewAccount, NewClient};
use consorcio::wire::transaction::Transaction;

fn bank(position: usize) -> BankId {
    BankId::new(position).unwrap()
}

fn client(cpf: &str, name: &str) -> NewClient {
    let (name, kind) = (ClientName::new(name).unwrap(), ClientKind::new("Físico").unwrap());
    NewClient { cpf: TaxId::new(cpf).unwrap(), name, kind }
}

fn account(number: &str, holders: &[&str], deposit: i64) -> NewAccount {
    NewAccount {
        number: AccountNumber::new(number).unwrap(),
        holders: holders.iter().map(|cpf| TaxId::new(cpf).unwrap()).collect(),
        deposit: Money(deposit),
    }
}

/// Every refusal of a ledger, except those that need four billion clients.
fn refusals() -> Vec<Fault> {
    let mut ledger = Ledger::new();
    ledger.add_client(&client("11111111111", "Ana"), Time(1));
    ledger.add_client(&client("22222222222", "Bia"), Time(2));
    ledger.open_account(&account("1-1", &["11111111111"], 100), Time(3));
    ledger.open_account(&account("2-2", &["22222222222"], i64::MAX), Time(4));
    let set = |value: &str| {
        let text = format!(
            r#"{{"ops":[{{"bank":0,"op":"set","value":"{value}"}},{{"bank":1,"op":"set","value":"{value}"}}]}}"#
        );
        Transaction::parse(&text).unwrap()
    };
    ledger.hold(bank(0), &TxId::new("t1").unwrap(), &set("1"));
    let both: BankSet = [bank(0), bank(1)].into_iter().collect();
    let mut faults: Vec<Fault> = [
        r#"{"bank":0,"op":"withdraw","account":"1-1","amount":101}"#,
        r#"{"bank":0,"op":"deposit","account":"2-2","amount":1}"#,
        r#"{"bank":0,"op":"deposit","account":"3-3","amount":1}"#,
        r#"{"bank":0,"op":"deposit","account":"1-1","cpf":"22222222222","amount":1}"#,
        r#"{"bank":0,"op":"debit","account":"1-1","amount":1}"#,
        r#"{"bank":0,"op":"set","value":"2"}"#,
        r#"{"bank":2,"op":"deposit","account":"1-1","amount":1}"#,
    ]
    .iter()
    .map(|op| {
        let transaction = Transaction::parse(&format!("{{\"ops\":[{op}]}}")).unwrap();
        ledger.check(bank(0), both, &transaction).unwrap_err()
    })
    .collect();
    faults.push(ledger.check(bank(0), both, &set("2")).unwrap_err());
    faults.push(ledger.check_client(&client("11111111111", "Eva")).unwrap_err());
    for account in [
        account("1-1", &["11111111111"], 7),
        account("4-4", &[], 0),
        account("4-4", &["11111111111"], 0),
        account("4-4", &["33333333333"], 0),
        account("4-4", &["11111111111", "22222222222"], -1),
    ] {
        faults.push(ledger.check_account(&account).unwrap_err());
    }
    assert!(ledger.locked_by(&RegisterKey::new("storage").unwrap()).is_some());
    faults
}

#[test]
fn each_refusal_of_a_ledger_has_its_own_translation() {
    let faults = refusals();
    for Fault { text, reason } in &faults {
        let detail = Detail::parse(text).unwrap_or_else(|| panic!("{reason} {text}"));
        assert!(!matches!(detail, Detail::Named { .. }), "{text}");
    }
    let mut texts: Vec<String> =
        faults.iter().map(|fault| in_words(Lang::Pt, &fault.text)).collect();
    texts.sort();
    texts.dedup();
    assert_eq!(texts.len(), faults.len(), "each has its own text: {texts:?}");
}

#[test]
fn the_refusal_of_a_full_server_has_a_translation() {
    assert_eq!(Detail::parse(SessionEnd::NoPlace.as_str()), Some(Detail::NoPlace));
}

#[test]
fn routes_translate_the_refusals_of_banks() {
    let cluster = HttpCluster::start(2);
    cluster.open(0, ANA, "1", "10");
    cluster.open(1, BIA, "2", "5.25");
    let mut http = cluster.connect(0);
    let details = |answer: &serde_json::Value| answer["detalhes"].as_str().unwrap_or("").to_owned();
    let other = format!(r#"{{"cpf":"{ANA}","nome":"Eva","tipo":"Físico"}}"#);
    let answer = http.post_as("outro", "/criar_cliente", &other).is_error(400, "já existe");
    assert_eq!(details(&answer), format!("o cliente {ANA} já existe aqui com outro nome ou tipo"));
    for (holder, number, text) in [
        (ANA, "3", format!("{ANA} já tem a conta individual 1")),
        (CAIO, "3", format!("o cliente {CAIO} não existe")),
    ] {
        let account = format!(r#"{{"cpf":"{holder}","numero":"{number}"}}"#);
        let answer = http.post("/criar_conta", &account).is_error(400, "não é permitido");
        assert_eq!(details(&answer), text);
    }
    let account = format!(r#"{{"cpf":"{ANA}","numero":"1","saldo_inicial":7}}"#);
    let answer = http.post_as("outra", "/criar_conta", &account).is_error(400, "conta já existe");
    assert_eq!(
        details(&answer),
        "a conta 1 já existe aqui com outros titulares ou outro depósito inicial"
    );

    // The bank that refused and the bank that drove show the same cause.
    let too_much = format!(
        r#"{{"participantes":[{{"banco":1,"cpf":"{BIA}","numero":"2","valor":1234.5}},{{"banco":0,"cpf":"{ANA}","numero":"1"}}]}}"#
    );
    http.post_as("muito", "/transferencia_composta", &too_much).is_error(400, "falhou");
    let text = "saldo insuficiente (a conta 2 tem R$ 5,25 disponíveis, são pedidos R$ 1.234,50)";
    for (bank, refused_at) in [(0, "no banco 1"), (1, "neste banco")] {
        let history = cluster.connect(bank).get("/historico").json();
        assert_eq!(details(&history[0]), format!("Transação falhou {refused_at}: {text}"));
        let one = cluster.connect(bank).get("/transacoes/muito").json();
        assert_eq!((details(&one).as_str(), &one["banco"]), (text, &1.into()));
    }
}

/// A bank's vote as the page of a transaction shows it.
fn vote(cluster: &HttpCluster, seen_at: usize, tx: &str, bank: usize) -> String {
    let page = cluster.connect(seen_at).get(&format!("/painel/transacoes/{tx}")).body;
    let from = page.find("<ul class=\"banks\">").unwrap_or_else(|| panic!("no votes in {page}"));
    let bank =
        page[from..].split("<li>").find(|line| line.starts_with(&format!("<strong>Banco {bank}<")));
    let badge =
        bank.and_then(|line| line.split("badge ").nth(1)?.split_once('>')?.1.split('<').next());
    badge.unwrap_or_else(|| panic!("no badge in {page}")).to_owned()
}

#[test]
fn only_the_banks_that_refused_are_shown_as_refusing() {
    let cluster = HttpCluster::start(3);
    for (bank, cpf) in [ANA, BIA, CAIO].into_iter().enumerate() {
        cluster.open(bank, cpf, "1", "10");
    }
    let ops = |amounts: [u32; 2]| {
        let debit = |bank: usize| {
            format!(r#"{{"bank":{bank},"op":"debit","account":"1","amount":{}}}"#, amounts[bank])
        };
        let sum = amounts[0] + amounts[1];
        format!(
            r#"{{"ops":[{},{},{{"bank":2,"op":"credit","account":"1","amount":{sum}}}]}}"#,
            debit(0),
            debit(1)
        )
    };
    let execute = |bank: usize, tx: &str, amounts| {
        let reply = cluster.banks.connect(bank).ask(&format!("EXECUTE {tx} {}", ops(amounts)));
        assert!(reply.starts_with("ABORTED "), "{reply}");
    };
    // Bank 0 drives, and refuses because bank 1 does; bank 2 has voted OK.
    execute(0, "conduzida", [100, 5_000]);
    // Both banks refuse: each receives its own PREPARE.
    for bank in [0, 1] {
        let reply =
            cluster.banks.connect(bank).ask(&format!("PREPARE ambos {}", ops([5_000, 5_000])));
        assert!(reply.starts_with("NOK "), "{reply}");
    }
    // Bank 2 drives; bank 0 votes OK.
    execute(2, "de-fora", [100, 5_000]);
    for seen_at in 0..3 {
        for (tx, votes) in [
            ("conduzida", ["não votou, abortada", "recusou", "OK"]),
            ("de-fora", ["OK", "recusou", "não votou, abortada"]),
        ] {
            // The other banks learn the outcome a moment later.
            wait_until(&format!("{tx} with {votes:?}, seen at bank {seen_at}"), || {
                ([0, 1, 2].map(|bank| vote(&cluster, seen_at, tx, bank)) == votes).then_some(())
            });
            let page = cluster.connect(seen_at).get(&format!("/painel/transacoes/{tx}")).body;
            let cause = "Banco 1: a conta 1 tem R$ 10,00 disponíveis, são pedidos R$ 50,00";
            assert!(page.contains(cause), "seen at bank {seen_at}: {page}");
        }
        let both = [0, 1, 2].map(|bank| vote(&cluster, seen_at, "ambos", bank));
        assert_eq!(both, ["recusou", "recusou", "não votou"], "seen at bank {seen_at}");
    }
}
