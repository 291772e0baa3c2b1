//! One value of each page, in both languages.

use super::*;

pub(super) const NASTY: &str = "<script>alert(1)</script>\"'&";

pub(super) fn frame(lang: Lang, here: Page) -> Frame {
    let path = format!("{}?a=1&b=2", here.path());
    Frame {
        lang,
        bank: 0,
        address: "127.0.0.1:8886".into(),
        here,
        path,
        demo: true,
        undecided: 2,
        clock: None,
        done: None,
        visitor: Visitor::Anybody,
    }
}

pub(super) fn banks() -> Vec<BankView> {
    let bank = |position: u8, online: bool| BankView {
        position,
        address: format!("127.0.0.1:{}", 8886 + u16::from(position)),
        online,
        this: position == 0,
        latency: (online && position > 0).then(|| "0,084 ms".into()),
    };
    vec![bank(0, true), bank(1, true), bank(2, false)]
}

pub(super) fn row(tx: &str, state: TxState, summary: &str) -> TxRow {
    let reason = (state == TxState::Aborted).then_some("Saldo insuficiente.");
    let amount = Some(Total(123_456));
    TxRow {
        tx: tx.into(),
        when: "22/11/2026 08:51:07".into(),
        state,
        reason,
        summary: summary.into(),
        amount,
    }
}

pub(super) fn rows() -> Vec<TxRow> {
    vec![
        row("019a8c2e-transf-7", TxState::Undecided, "0/12345-6 → 1/45678-0"),
        row("019a8c2e-transf-6", TxState::Committed, NASTY),
        row("019a8c2e-transf-5", TxState::Aborted, "0/12345-6 + 1/45678-0 → 2/78910-0"),
        row("t1", TxState::Unknown, ""),
    ]
}

pub(super) fn legs() -> Vec<LegView> {
    let leg = |bank: u8, what: &'static str, on: &str, amount: i128| LegView {
        bank,
        address: format!("127.0.0.1:{}", 8886 + u16::from(bank)),
        what,
        on: on.into(),
        cpf: (bank == 1).then(|| "111.111.111-11".into()),
        amount: Some(Total(amount)),
        value: None,
    };
    let mut set = leg(2, "define", "storage", 0);
    (set.amount, set.value) = (None, Some(NASTY.into()));
    vec![
        leg(0, "débito", "12345-6", -20_000),
        leg(1, "débito", "45678-0", -30_000),
        leg(2, "crédito", "78910-0", 50_000),
        set,
    ]
}

pub(super) fn account() -> AccountRow {
    AccountRow {
        number: "12345-6".into(),
        holders: vec![
            ("Maria Souza".into(), "111.111.111-11".into()),
            (NASTY.into(), "222.222.222-22".into()),
        ],
        balance: Money(123_456_789),
        held: Money(5_000),
    }
}

pub(super) fn wrong(value: &str, error: &str) -> FormField {
    FormField { value: value.into(), error: Some(error.into()) }
}

pub(super) fn participant(bank: u8) -> ParticipantForm {
    ParticipantForm {
        bank: Some(bank),
        cpf: FormField::of("11111111111"),
        number: FormField::of("12345-6"),
        ..Default::default()
    }
}

pub(super) fn figures(balances: i128) -> AuditFigures {
    AuditFigures {
        balances: Total(balances),
        cash_in: Total(balances + 500),
        cash_out: Total(500),
        transfers_in: Total(70),
        transfers_out: Total(70),
    }
}

/// Every page with content, by name.
#[expect(clippy::too_many_lines, reason = "a flat table: one entry a page")]
pub(super) fn pages(lang: Lang) -> Vec<(&'static str, String)> {
    let of = |page| frame(lang, page);
    let audit_row = |bank: u8, figures| AuditRow {
        bank,
        address: format!("127.0.0.1:{}", 8886 + u16::from(bank)),
        figures,
    };
    let audit = |verdict, rows: Vec<AuditRow>, sum| Audit {
        f: of(Page::Audit),
        time: "22/11/2026 08:51:07.123456".into(),
        verdict,
        rows,
        sum,
    };
    let summed = AuditFigures {
        balances: Total(300_000),
        cash_in: Total(301_500),
        cash_out: Total(1_500),
        transfers_in: Total(210),
        transfers_out: Total(210),
    };
    let process =
        |bank, state| ProcessRow { bank, address: "127.0.0.1:8886".into(), state, this: false };
    vec![
        (
            "inicio",
            Home {
                f: of(Page::Home),
                clients: 3,
                accounts: 4,
                money: Total(123_456_789),
                held: Total(5_000),
                banks: banks(),
                newest: rows(),
            }
            .render()
            .unwrap(),
        ),
        (
            "inicio-vazio",
            Home {
                f: of(Page::Home),
                clients: 0,
                accounts: 0,
                money: Total(0),
                held: Total(0),
                banks: banks(),
                newest: vec![],
            }
            .render()
            .unwrap(),
        ),
        (
            "contas",
            Accounts {
                f: of(Page::Accounts),
                search: NASTY.into(),
                rows: vec![account(), account()],
                next: Some("/painel/contas?depois=1".into()),
            }
            .render()
            .unwrap(),
        ),
        (
            "contas-vazio",
            Accounts { f: of(Page::Accounts), search: String::new(), rows: vec![], next: None }
                .render()
                .unwrap(),
        ),
        (
            "extrato",
            Statement {
                f: of(Page::Accounts),
                account: account(),
                available: Money(123_451_789),
                incoming: Money(0),
                entries: vec![
                    EntryView {
                        when: "22/11/2026 08:51:07".into(),
                        tx: Some("t1".into()),
                        what: "débito",
                        amount: Total(-5_000),
                        after: Total(95_000),
                    },
                    EntryView {
                        when: "22/11/2026 08:50:00".into(),
                        tx: None,
                        what: "abertura",
                        amount: Total(100_000),
                        after: Total(100_000),
                    },
                ],
                before: Some(Total(0)),
            }
            .render()
            .unwrap(),
        ),
        (
            "historico",
            History {
                f: of(Page::History),
                filter: Some(TxState::Aborted),
                rows: rows(),
                first: false,
                more_pending: None,
                ends_early: true,
                next: Some("/painel/historico?depois=t1".into()),
            }
            .render()
            .unwrap(),
        ),
        (
            "detalhes",
            Transaction {
                f: of(Page::History),
                row: row("t1", TxState::Aborted, ""),
                legs: Some(legs()),
                votes: vec![
                    VoteView {
                        bank: 0,
                        address: "127.0.0.1:8886".into(),
                        words: "OK",
                        class: "ok",
                    },
                    VoteView {
                        bank: 1,
                        address: "127.0.0.1:8887".into(),
                        words: "recusou",
                        class: "nok",
                    },
                    VoteView {
                        bank: 2,
                        address: "127.0.0.1:8888".into(),
                        words: "não responde",
                        class: "espera",
                    },
                ],
                detail: Some(NASTY.into()),
                picture: Some("/painel/transacoes/t1.svg".into()),
                steps: vec![("08:51:07.000123".into(), "servidor-8886".into(), NASTY.into())],
                again: Some("/painel/transacao?banco=0".into()),
            }
            .render()
            .unwrap(),
        ),
        (
            "cliente",
            NewClient {
                f: of(Page::NewClient),
                cpf: wrong(NASTY, "O CPF tem 11 dígitos."),
                name: FormField::of(NASTY),
                kind: FormField::of("Físico"),
            }
            .render()
            .unwrap(),
        ),
        (
            "conta",
            NewAccount {
                f: of(Page::NewAccount),
                cpf: FormField::of("1"),
                number: FormField::default(),
                second_cpf: FormField::default(),
                deposit: wrong("x", NASTY),
            }
            .render()
            .unwrap(),
        ),
        (
            "caixa",
            Cash {
                f: of(Page::Cash),
                tx: "t1".into(),
                withdraw: true,
                cpf: FormField::of("1"),
                number: FormField::of("12345-6"),
                amount: wrong("9.999,00", "Saldo insuficiente."),
            }
            .render()
            .unwrap(),
        ),
        (
            "transacao",
            Transact {
                f: of(Page::Transact),
                banks: banks(),
                sources: vec![
                    participant(0),
                    ParticipantForm {
                        amount: wrong(NASTY, "Digite um valor."),
                        bank_error: Some("Não existe.".into()),
                        ..participant(1)
                    },
                ],
                destination: participant(2),
                error: Some(NASTY.into()),
            }
            .render()
            .unwrap(),
        ),
        (
            "resumo",
            Summary {
                f: of(Page::Transact),
                tx: "t1".into(),
                legs: legs(),
                total: Total(50_000),
                fields: vec![("cpf".into(), NASTY.into())],
            }
            .render()
            .unwrap(),
        ),
        (
            "pendentes",
            Pending {
                f: of(Page::Pending),
                first: true,
                next: None,
                rows: vec![PendingRow {
                    tx: "t1".into(),
                    since: "22/11/2026 08:51:07".into(),
                    kept_by: vec!["Banco 1".into(), NASTY.into()],
                    legs: legs(),
                }],
                resolved: Some(Resolved {
                    tx: "t0".into(),
                    state: TxState::Undecided,
                    words: NASTY.into(),
                }),
            }
            .render()
            .unwrap(),
        ),
        (
            "pendentes-vazio",
            Pending { f: of(Page::Pending), rows: vec![], resolved: None, first: true, next: None }
                .render()
                .unwrap(),
        ),
        (
            "auditoria",
            audit(
                AuditVerdict::AddsUp,
                (0..3).map(|bank| audit_row(bank, Ok(figures(100_000)))).collect(),
                Some(summed),
            )
            .render()
            .unwrap(),
        ),
        (
            "auditoria-falta",
            audit(
                AuditVerdict::Missing,
                vec![audit_row(0, Ok(figures(100_000))), audit_row(1, Err(NASTY.into()))],
                None,
            )
            .render()
            .unwrap(),
        ),
        ("auditoria-errada", audit(AuditVerdict::Wrong, vec![], None).render().unwrap()),
        ("auditoria-saiu", audit(AuditVerdict::LeftMayHold, vec![], None).render().unwrap()),
        (
            "demo",
            Demo {
                f: of(Page::Demo),
                rows: vec![
                    process(0, ProcessState::Running),
                    process(1, ProcessState::Paused),
                    process(2, ProcessState::Down),
                ],
            }
            .render()
            .unwrap(),
        ),
        (
            "erro",
            Failed { f: of(Page::Home), title: NASTY.into(), words: NASTY.into() }
                .render()
                .unwrap(),
        ),
    ]
}
