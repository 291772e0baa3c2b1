//! A malicious page that makes its visitor's browser send requests to a bank's line port.

use crate::panel::PanelCluster;
use crate::panel::open_browser;
use crate::support::wait_until;
use std::io::{Read, Write};
use std::net::TcpListener;

/// Serves an empty page; returns its address.
fn other_site() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            // A browser may open a connection ahead of time and send nothing.
            std::thread::spawn(move || {
                let mut request = [0; 4096];
                if stream.read(&mut request).is_ok_and(|bytes| bytes > 0) {
                    let page = "<!doctype html><title>other</title><iframe name=answer></iframe>";
                    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close";
                    let _ =
                        write!(stream, "{head}\r\nContent-Length: {}\r\n\r\n{page}", page.len());
                }
            });
        }
    });
    format!("http://{address}/")
}

#[test]
fn a_page_of_another_site_cannot_use_the_line_port() {
    let browser = open_browser!();
    let cluster = PanelCluster::start(1);
    cluster.open_accounts();
    let line = format!("127.0.0.1:{}", cluster.banks.port(0));
    let withdraw = |id: &str| {
        format!(
            r#"EXECUTE {id} {{"ops":[{{"bank":0,"op":"withdraw","account":"0-1","amount":1}}]}}"#
        )
    };
    browser.go(&other_site());
    let count = |named: &str| {
        let log = cluster.banks.log(0);
        log.lines().filter(|step| step.contains(" bad ") && step.contains(named)).count()
    };
    let (fetched, posted) = (withdraw("fetched"), withdraw("posted"));
    browser.script(&format!(
        "fetch('http://{line}/', {{ method: 'POST', mode: 'no-cors', body: '\\n{fetched}\\n' \
         }}).catch(() => 0);"
    ));
    wait_until("the bank refuses the fetch", || (count("not HTTP") > 0).then_some(()));
    let before = count("not HTTP");
    browser.script(&format!(
        "const form = document.createElement('form');
         form.action = 'http://{line}/'; form.method = 'post'; form.enctype = 'text/plain';
         form.target = 'answer';
         const text = document.createElement('textarea');
         text.name = 'x'; text.value = '\\n{posted}\\n';
         form.append(text); document.body.append(form); form.submit();"
    ));
    wait_until("the bank refuses the form", || (count("not HTTP") > before).then_some(()));
    browser.script(&format!("fetch('https://{line}/', {{ mode: 'no-cors' }}).catch(() => 0);"));
    wait_until("the bank refuses TLS", || (count("not TLS") > 0).then_some(()));
    let mut wire = cluster.banks.connect(0);
    for id in ["fetched", "posted"] {
        assert_eq!(wire.ask(&format!("STATUS {id}")), format!("UNKNOWN {id}"));
    }
    assert_eq!(cluster.banks.balance("0/0-1"), 100_000);
    // Sent by a real client the same line is executed.
    assert!(wire.ask(&withdraw("typed")).starts_with("COMMITTED typed"));
    assert_eq!(cluster.banks.balance("0/0-1"), 99_999);
}
