//! Monitoring: liveness, readiness, and metrics in the text format of Prometheus.

use crate::app::App;
use crate::call::Requester;
use crate::problem::{Problem, json, text_of};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use consorcio_core::limits::{HTTP_METRICS_MS_MAX, HTTP_READY_MS_MAX};
use consorcio_core::wire::answer::{BankAnswer, InfoAnswer};
use consorcio_core::wire::request::{Local, Read, Request};
use std::fmt::{Display, Write};
use std::time::Duration;
use tokio::time::timeout;

/// `GET /healthz`: 200 while the process answers.
pub(crate) async fn healthz() -> Response {
    json(StatusCode::OK, &serde_json::json!({ "status": "ok" }))
}

/// `GET /readyz`: 200 if the bank answers a read, which implies that its disk syncs.
pub(crate) async fn readyz(State(app): State<App>, reader: Requester) -> Result<Response, Problem> {
    let late = || Problem::late(app.late(false));
    if app.slow_disk_ms().is_some() {
        return Err(late());
    }
    let within = Duration::from_millis(HTTP_READY_MS_MAX);
    let _info: InfoAnswer<'static> =
        timeout(within, app.read(reader.peer, Request::Read(Read::Info)))
            .await
            .map_err(|_| late())??;
    Ok(json(StatusCode::OK, &serde_json::json!({ "status": "pronto" })))
}

/// `GET /metrics`: the figures of HTTP and links, and those of the bank if it answers in time.
pub(crate) async fn metrics(State(app): State<App>, reader: Requester) -> Response {
    let info = match app.slow_disk_ms() {
        Some(_) => None,
        None => {
            let within = Duration::from_millis(HTTP_METRICS_MS_MAX);
            timeout(within, app.read::<InfoAnswer<'static>>(reader.peer, Request::Read(Read::Info)))
                .await
                .ok()
                .and_then(Result::ok)
        }
    };
    let within = Duration::from_millis(HTTP_METRICS_MS_MAX);
    let banks = timeout(
        within,
        app.read::<Vec<BankAnswer<'static>>>(reader.peer, Request::Local(Local::Banks)),
    )
    .await;
    let page = page(&app, info.as_ref(), &banks.ok().and_then(Result::ok).unwrap_or_default());
    text_of(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", page)
}

fn page(app: &App, info: Option<&InfoAnswer<'static>>, banks: &[BankAnswer<'static>]) -> String {
    let mut page = MetricsPage(String::new());
    if let Some(info) = info {
        figures(&mut page, info);
    }
    page.one(
        "answered",
        "gauge",
        "Whether the bank told its figures for this page; without them its disk or its queue \
        keeps it.",
        u8::from(info.is_some()),
    );
    let age_ms = app.options().sync_age.ms().unwrap_or(0);
    page.one(
        "sync_age_seconds",
        "gauge",
        "Seconds since the sync of the data disk began that is under way; 0 while there is none.",
        format_args!("{}.{:03}", age_ms / 1_000, age_ms % 1_000),
    );
    if let Some(end_us) = banks.iter().find_map(|bank| bank.certificate_end_us) {
        page.one(
            "certificate_end_timestamp_seconds",
            "gauge",
            "When the certificate of this bank ends, in closed mode; seconds since 1970.",
            end_us.div_euclid(1_000_000),
        );
    }
    page.head("bank_online", "gauge", "Whether the link to a bank is open.");
    for bank in banks {
        page.line("bank_online", &format!("bank=\"{}\"", bank.bank), u8::from(bank.online));
    }
    page.head("bank_round_trip_microseconds", "gauge", "The newest round trip to a bank.");
    for bank in banks {
        if let Some(latency_us) = bank.latency_us {
            page.line(
                "bank_round_trip_microseconds",
                &format!("bank=\"{}\"", bank.bank),
                latency_us,
            );
        }
    }
    page.head("http_responses_total", "counter", "Answers over HTTP by route and status.");
    for ((route, status), count) in app.counts().all() {
        page.line("http_responses_total", &format!("route=\"{route}\",status=\"{status}\""), count);
    }
    page.0
}

/// The figures of the bank itself.
fn figures(page: &mut MetricsPage, info: &InfoAnswer<'static>) {
    page.one(
        "transactions_committed_total",
        "counter",
        "Transactions committed at this bank.",
        info.committed,
    );
    page.one(
        "transactions_aborted_total",
        "counter",
        "Transactions aborted at this bank.",
        info.aborted,
    );
    page.one(
        "transactions_undecided",
        "gauge",
        "Transactions that wait for an outcome.",
        info.undecided,
    );
    page.one("clients", "gauge", "Clients of this bank.", info.clients);
    page.one("accounts", "gauge", "Accounts of this bank.", info.accounts);
    page.one(
        "balance_centavos",
        "gauge",
        "Money on all accounts, in centavos.",
        info.balance_total,
    );
    page.one(
        "held_centavos",
        "gauge",
        "Money that undecided transactions hold, in centavos.",
        info.held_total,
    );
    page.one(
        "incoming_centavos",
        "gauge",
        "Money that is awaited, in centavos.",
        info.incoming_total,
    );
    page.one("uptime_seconds", "gauge", "Seconds since this bank was started.", info.uptime_s);
}

/// Lines in the text format of Prometheus. All names and labels are our own, so none needs
/// escaping.
struct MetricsPage(String);

impl MetricsPage {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        let text = format!("# HELP consorcio_{name} {help}\n# TYPE consorcio_{name} {kind}\n");
        self.0.push_str(&text);
    }

    fn line(&mut self, name: &str, labels: &str, value: impl Display) {
        // Writing to a String can't fail.
        let _ = writeln!(self.0, "consorcio_{name}{{{labels}}} {value}");
    }

    fn one(&mut self, name: &str, kind: &str, help: &str, value: impl Display) {
        self.head(name, kind, help);
        let _ = writeln!(self.0, "consorcio_{name} {value}");
    }
}
