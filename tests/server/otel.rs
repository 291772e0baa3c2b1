//! OpenTelemetry: banks export transactions as traces to a collector in this test.

use crate::support::{Cluster, Process, wait_until};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// A collector that keeps all received spans, with the position of the bank that sent them.
struct Collector {
    address: String,
    spans: Arc<Mutex<Vec<(i64, Span)>>>,
}

impl Collector {
    fn start() -> Collector {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let spans = Arc::<Mutex<Vec<(i64, Span)>>>::default();
        let received = spans.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let body = receive_request(stream.unwrap());
                let request = ExportTraceServiceRequest::decode(&body[..]).unwrap();
                for resource in request.resource_spans {
                    let attributes = resource.resource.unwrap().attributes;
                    let bank = number(&attributes, "consorcio.bank");
                    let all = resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
                    received.lock().unwrap().extend(all.map(|span| (bank, span)));
                }
            }
        });
        Collector { address, spans }
    }

    /// The spans of a transaction, by bank.
    fn of(&self, tx: &str) -> Vec<(i64, Span)> {
        let spans = self.spans.lock().unwrap();
        let of = |(_, span): &&(i64, Span)| text(&span.attributes, "consorcio.tx") == tx;
        spans.iter().filter(of).cloned().collect()
    }
}

/// Reads a request, responds 200, and returns the body.
fn receive_request(mut stream: TcpStream) -> Vec<u8> {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut length = 0;
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    assert_eq!(line, "POST /v1/traces HTTP/1.1\r\n");
    while line != "\r\n" {
        line.clear();
        reader.read_line(&mut line).unwrap();
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").unwrap();
    body
}

fn find<'a>(attributes: &'a [KeyValue], key: &str) -> &'a Value {
    let found = attributes.iter().find(|attribute| attribute.key == key);
    found.and_then(|found| found.value.as_ref()?.value.as_ref()).unwrap()
}

fn text<'a>(attributes: &'a [KeyValue], key: &str) -> &'a str {
    match find(attributes, key) {
        Value::StringValue(text) => text,
        other => panic!("{key} is {other:?}"),
    }
}

fn number(attributes: &[KeyValue], key: &str) -> i64 {
    match find(attributes, key) {
        Value::IntValue(number) => *number,
        other => panic!("{key} is {other:?}"),
    }
}

#[test]
fn a_transfer_across_two_banks_is_one_trace_with_spans_of_both() {
    let collector = Collector::start();
    let cluster = Cluster::new(3, true);
    let start = |bank| {
        let mut command = cluster.servidor(bank);
        command.env("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.address);
        let mut process = Process::start(&mut command);
        process.expect_line("ready on");
        process
    };
    let mut banks: Vec<Process> = (0..3).map(start).collect();
    cluster.wait_introduced(0);
    cluster.open_account(0, "1", "12345678900", "10,00");
    cluster.open_account(1, "2", "98765432100", "10,00");
    let ops = concat!(
        r#"{"ops":[{"bank":0,"op":"withdraw","account":"1","amount":300},"#,
        r#"{"bank":1,"op":"deposit","account":"2","amount":300}]}"#
    );
    let reply = cluster.connect(0).ask(&format!("EXECUTE traced {ops}"));
    assert!(reply.starts_with("COMMITTED traced "), "{reply}");
    let whole = |spans: &[(i64, Span)], of| {
        let is_whole = |(bank, span): &&(i64, Span)| *bank == of && span.name == "transaction";
        spans.iter().find(is_whole).map(|(_, span)| span.clone())
    };
    let (first, second, spans) = wait_until("both banks export the transaction", || {
        let spans = collector.of("traced");
        Some((whole(&spans, 0)?, whole(&spans, 1)?, spans))
    });
    assert!(spans.iter().all(|(_, span)| span.trace_id == first.trace_id), "{spans:#?}");
    assert!(spans.iter().all(|(bank, _)| *bank < 2), "the third bank is no participant");
    assert_eq!(first.parent_span_id, b"");
    assert_eq!(second.parent_span_id, first.span_id, "the first bank sent PREPARE to the second");
    for bank in [&first, &second] {
        assert_eq!(text(&bank.attributes, "consorcio.detail"), "COMMITTED");
        let parts = spans.iter().filter(|(_, span)| span.parent_span_id == bank.span_id);
        let parts: Vec<&Span> =
            parts.map(|(_, span)| span).filter(|span| span.name != "transaction").collect();
        for name in ["queue", "vote", "sync", "reply"] {
            let part = parts.iter().find(|part| part.name == name);
            let part = part.unwrap_or_else(|| panic!("no {name} in {parts:#?}"));
            assert!(bank.start_time_unix_nano <= part.start_time_unix_nano);
            assert!(part.start_time_unix_nano <= part.end_time_unix_nano);
            assert!(part.end_time_unix_nano <= bank.end_time_unix_nano);
        }
    }
    // Spans that are still buffered are exported at the end.
    banks.iter().for_each(Process::terminate);
    banks.iter_mut().for_each(|bank| assert_eq!(bank.wait(), Some(0), "{:?}", bank.seen()));
}

#[test]
fn an_unreachable_collector_stops_nothing_and_is_reported_once() {
    let unused = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let cluster = Cluster::new(1, true);
    let mut command = cluster.servidor(0);
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{unused}"));
    let mut bank = Process::start(&mut command);
    bank.expect_line("ready on");
    cluster.open_account(0, "1", "12345678900", "10,00");
    let execute = |tx| {
        let ops = r#"{"ops":[{"bank":0,"op":"deposit","account":"1","amount":300}]}"#;
        let reply = cluster.connect(0).ask(&format!("EXECUTE {tx} {ops}"));
        assert!(reply.starts_with("COMMITTED "), "{reply}");
    };
    execute("first");
    bank.expect_line("spans could not be exported");
    execute("second");
    bank.terminate();
    assert_eq!(bank.wait(), Some(0), "{:?}", bank.seen());
    let complaints = bank.seen().iter().filter(|line| line.contains("could not be exported"));
    assert_eq!(complaints.count(), 1, "{:?}", bank.seen());
}
