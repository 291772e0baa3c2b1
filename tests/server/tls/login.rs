//! Tokens of programs and log-ins of people, over HTTPS.

use super::client::TlsClient;
use super::{ACCESS, LINE, SecureBanks, folder_of, told_by};
use crate::support::{ProgramRun, free_ports, servidor_path, signal};
use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::{Command, Stdio};

const HOST: &str = "bank-0.consorcio.internal";
const PASSWORD: &str = "correto cavalo bateria";

/// One bank with HTTP, an account of `titular1` with 10,00 and one of somebody else, and a password
/// of each of `titular1` and `caixa1`.
struct WebBank {
    banks: SecureBanks,
    port: String,
}

/// What a browser keeps, and the last answer.
#[derive(Default)]
struct CookieBrowser {
    cookies: BTreeMap<String, String>,
    /// The name of the certificate that it shows.
    certificate: Option<&'static str>,
}

struct HttpsAnswer {
    status: u16,
    head: String,
    body: String,
}

impl WebBank {
    fn start() -> WebBank {
        let mut banks = SecureBanks::new(1);
        let port = free_ports(1)[0].to_string();
        banks.cluster.add_switches(0, &["--http", &port]);
        let mut web = WebBank { banks, port };
        for name in ["titular1", "caixa1"] {
            web.password(name, PASSWORD).expect_code(0);
        }
        web.banks.cluster.start_bank(0);
        let mut caixa = web.banks.dial(0, "caixa1", LINE);
        for (cpf, account) in [("11111111111", "1"), ("22222222222", "2")] {
            for line in [
                format!(r#"CLIENT {{"cpf":"{cpf}","name":"Pessoa","kind":"F"}}"#),
                format!(r#"ACCOUNT {{"number":"{account}","holders":["{cpf}"],"deposit":1000}}"#),
            ] {
                assert!(caixa.ask(&line).unwrap().starts_with("DONE"), "{line}");
            }
        }
        web
    }

    /// Runs `servidor` with the folder of the bank, and `input` on its standard input.
    fn servidor(&self, arguments: &[&str], input: &str) -> ProgramRun {
        let mut command = Command::new(servidor_path());
        command.current_dir(self.banks.cluster.path()).args(arguments);
        command.env("LC_ALL", "C").env("CONSORCIO_TLS", folder_of(0));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // It may have refused its arguments and ended.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        ProgramRun::of(arguments, &child.wait_with_output().unwrap())
    }

    fn password(&self, name: &str, password: &str) -> ProgramRun {
        self.servidor(&["password", name], &format!("{password}\n"))
    }

    /// Makes a token; the bank takes it.
    fn token(&self, name: &str, more: &[&str]) -> String {
        let made = self.servidor(&[&["token", name], more].concat(), "").expect_code(0);
        self.hang_up();
        made.stdout.trim().to_owned()
    }

    fn hang_up(&self) {
        let read = || self.banks.cluster.log(0).matches("is read again: it lists").count();
        let before = read();
        signal("HUP", self.banks.cluster.pid(0));
        crate::support::wait_until("the files are read again", || (read() > before).then_some(()));
    }

    fn send(&self, certificate: Option<&str>, request: &str) -> HttpsAnswer {
        let folder = self.banks.file("");
        let address = format!("127.0.0.1:{}", self.port);
        let mut client = TlsClient::dial(&address, &folder, certificate, 0, &[b"http/1.1"]);
        client.send(request.as_bytes()).unwrap();
        let answer = client.rest();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.unwrap_or_else(|| panic!("no status: {answer}"));
        HttpsAnswer { status, head: head.to_owned(), body: body.to_owned() }
    }

    /// A JSON route with these headers.
    fn route(&self, method: &str, path: &str, headers: &[String], body: &str) -> HttpsAnswer {
        let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
        self.send(
            None,
            &format!(
                "{method} {path} HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n{headers}\
                 Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            ),
        )
    }
}

impl CookieBrowser {
    fn cookie_header(&self) -> String {
        if self.cookies.is_empty() {
            return String::new();
        }
        let all: Vec<String> =
            self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        format!("Cookie: {}\r\n", all.join("; "))
    }

    fn get(&mut self, web: &WebBank, path: &str) -> HttpsAnswer {
        let cookies = self.cookie_header();
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n{cookies}\
             Accept: text/html\r\n\r\n"
        );
        let answer = web.send(self.certificate, &request);
        self.keep(&answer);
        answer
    }

    /// Submits a form from a page of this origin; `None` sends no Origin.
    fn post(&mut self, web: &WebBank, path: &str, origin: Option<&str>, form: &str) -> HttpsAnswer {
        let origin = origin.map_or_else(String::new, |origin| format!("Origin: {origin}\r\n"));
        let cookies = self.cookie_header();
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n{cookies}{origin}\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
            form.len()
        );
        let answer = web.send(self.certificate, &request);
        self.keep(&answer);
        answer
    }

    fn keep(&mut self, answer: &HttpsAnswer) {
        for line in answer.head.lines() {
            let Some(cookie) = line.strip_prefix("set-cookie: ") else { continue };
            let (pair, attributes) = cookie.split_once(';').unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            if attributes.contains("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
    }

    /// Fills in the form to log in.
    fn log_in(&mut self, web: &WebBank, name: &str, password: &str) -> HttpsAnswer {
        let page = self.get(web, "/painel/entrar?volta=/painel/contas");
        let password = password.replace(' ', "+");
        let token = page.form_token();
        let form = format!("sessao={token}&nome={name}&senha={password}&volta=%2Fpainel%2Fcontas");
        self.post(web, "/painel/entrar", Some(&format!("https://{HOST}")), &form)
    }

    fn session(&self) -> Option<&String> {
        self.cookies.get("__Host-consorcio-0")
    }
}

impl HttpsAnswer {
    /// The token in the forms of a page.
    #[track_caller]
    fn form_token(&self) -> String {
        let rest = self.body.split("name=\"sessao\" value=\"").nth(1).expect(&self.body);
        rest.split('"').next().unwrap().to_owned()
    }

    fn location(&self) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix("location: "))
    }
}

fn bearer(token: &str) -> Vec<String> {
    vec![format!("Authorization: Bearer {token}")]
}

#[test]
fn a_program_proves_its_name_by_a_token() {
    let web = WebBank::start();
    let none = web.route("GET", "/clientes", &[], "");
    assert_eq!(none.status, 401, "{}", none.body);
    assert!(none.head.contains("www-authenticate: Bearer"), "{}", none.head);
    let (teller, holder) = (web.token("caixa1", &[]), web.token("titular1", &[]));
    assert_eq!(
        (teller.len(), web.route("GET", "/clientes", &bearer(&teller), "").status),
        (64, 200)
    );
    let refused = web.route("GET", "/clientes", &bearer(&holder), "");
    assert_eq!(refused.status, 403, "{}", refused.body);
    assert_eq!(web.route("GET", "/contas/11111111111", &bearer(&holder), "").status, 200);
    assert_eq!(web.route("GET", "/contas/22222222222", &bearer(&holder), "").status, 403);
    // A wrong token is not replaced by a certificate, and a cookie is none.
    let wrong = "0".repeat(64);
    for headers in [bearer(&wrong), bearer(""), vec!["Authorization: Basic YTpi".into()]] {
        let answer = web.route("GET", "/clientes", &headers, "");
        assert_eq!(answer.status, 401, "{headers:?}: {}", answer.body);
    }
    let mut browser = CookieBrowser::default();
    assert_eq!(browser.log_in(&web, "caixa1", PASSWORD).status, 303);
    assert_eq!(
        web.route("GET", "/clientes", &[browser.cookie_header().trim().into()], "").status,
        401
    );
    // Routes that tell nothing need no name.
    for path in ["/status", "/healthz", "/readyz", "/openapi.json"] {
        assert_eq!(web.route("GET", path, &[], "").status, 200, "{path}");
    }

    web.servidor(&["token", "caixa1", "--remove"], "").expect_code(0);
    assert_eq!(web.route("GET", "/clientes", &bearer(&teller), "").status, 200, "before SIGHUP");
    web.hang_up();
    assert_eq!(web.route("GET", "/clientes", &bearer(&teller), "").status, 401);
    let again = web.servidor(&["token", "caixa1", "--remove"], "");
    assert!(again.code != Some(0) && told_by(&again).contains("has no token"), "{again:?}");
    // A damaged file leaves the former one in force.
    let file = web.banks.cluster.path().join(folder_of(0)).join("credentials.toml");
    let good = std::fs::read_to_string(&file).unwrap();
    assert!(!good.contains(&holder), "{good}");
    std::fs::write(&file, good.replace("name", "nome")).unwrap();
    web.hang_up();
    assert_eq!(web.route("GET", "/contas/11111111111", &bearer(&holder), "").status, 200);
    web.banks.wait_logged(0, "tokens and passwords of before stay in force");
    std::fs::write(&file, good).unwrap();
    // A `since` that is later ends what was made before.
    let access = format!("{ACCESS}since = 2999-01-01\n");
    web.banks.grant(0, &access.replace("[caixa1]", "since = 2999-01-01\n[caixa1]"));
    web.hang_up();
    assert_eq!(web.route("GET", "/contas/11111111111", &bearer(&holder), "").status, 401);
}

#[test]
fn a_person_logs_in_sees_their_own_and_logs_out() {
    let web = WebBank::start();
    let mut browser = CookieBrowser::default();
    let sent = browser.get(&web, "/painel/contas?x=1");
    assert_eq!(sent.status, 303);
    assert_eq!(sent.location(), Some("/painel/entrar?volta=%2Fpainel%2Fcontas%3Fx%3D1"));
    let logged_in = browser.log_in(&web, "titular1", PASSWORD);
    assert_eq!((logged_in.status, logged_in.location()), (303, Some("/painel/contas")));
    let session = browser.session().unwrap().clone();
    let cookie = logged_in.head.lines().find(|line| line.contains(&session)).unwrap();
    for attribute in ["Secure", "HttpOnly", "SameSite=Strict", "Path=/"] {
        assert!(cookie.contains(attribute), "{cookie}");
    }
    let own = browser.get(&web, "/painel/contas");
    assert_eq!(own.status, 200, "{}", own.body);
    assert!(own.body.contains("/painel/contas/1\"") && !own.body.contains("/painel/contas/2\""));
    assert!(own.body.contains("titular1") && !own.body.contains("/painel/auditoria"), "the menu");
    assert_eq!(browser.get(&web, "/painel/contas/1").status, 200);
    assert_ne!(browser.get(&web, "/painel/contas/2").status, 200);
    assert_eq!(browser.get(&web, "/painel/auditoria").status, 403);
    assert_eq!(browser.get(&web, "/").location(), Some("/painel/contas"));
    // A log-in replaces the browser's session.
    assert_eq!(browser.log_in(&web, "caixa1", PASSWORD).status, 303);
    let mut old = CookieBrowser::default();
    old.cookies.insert("__Host-consorcio-0".into(), session);
    assert_eq!(old.get(&web, "/painel/contas").status, 303);
    assert_eq!(browser.get(&web, "/").status, 200);
    assert_eq!(browser.get(&web, "/painel/auditoria").status, 200);

    let token = browser.get(&web, "/painel/contas").form_token();
    let kept = browser.session().unwrap().clone();
    let form = format!("sessao={token}");
    let out = browser.post(&web, "/painel/sair", Some(&format!("https://{HOST}")), &form);
    assert_eq!((out.status, out.location()), (303, Some("/painel/entrar")));
    assert_eq!(browser.session(), None);
    browser.cookies.insert("__Host-consorcio-0".into(), kept);
    assert_eq!(browser.get(&web, "/painel/contas").status, 303, "the cookie is worth nothing now");
    web.banks.wait_logged(0, "titular1 has logged in to the panel");
}

#[test]
fn a_form_counts_only_from_a_page_of_the_same_session() {
    let web = WebBank::start();
    let mut browser = CookieBrowser::default();
    assert_eq!(browser.log_in(&web, "caixa1", PASSWORD).status, 303);
    let own = format!("https://{HOST}");
    let page = browser.get(&web, "/painel/cliente");
    let token = page.form_token();
    let form = |token: &str| format!("sessao={token}&cpf=333.333.333-33&nome=Ana&tipo=F");
    let mut other = CookieBrowser::default();
    assert_eq!(other.log_in(&web, "caixa1", PASSWORD).status, 303);
    let foreign = other.get(&web, "/painel/cliente").form_token();
    for (origin, form) in [
        (Some("https://evil.example"), form(&token)),
        (Some(&*format!("http://{HOST}")), form(&token)),
        (Some("null"), form(&token)),
        (None, form(&token)),
        (Some(&*own), form("")),
        (Some(&*own), form(&foreign)),
    ] {
        let refused = browser.post(&web, "/painel/cliente", origin, &form);
        assert_eq!(refused.status, 403, "{origin:?} {form}: {}", refused.body);
    }
    let mut nobody = CookieBrowser::default();
    assert_eq!(nobody.post(&web, "/painel/cliente", Some(&own), &form(&token)).status, 401);
    let done = browser.post(&web, "/painel/cliente", Some(&own), &form(&token));
    assert_eq!(done.status, 303, "{}", done.body);
    // The form to log in, too: its token goes with a cookie of the browser.
    let entry = nobody.get(&web, "/painel/entrar").form_token();
    let log_in = format!("sessao={entry}&nome=caixa1&senha={}", PASSWORD.replace(' ', "+"));
    let mut stranger = CookieBrowser::default();
    assert_eq!(stranger.post(&web, "/painel/entrar", Some(&own), &log_in).status, 403);
    assert_eq!(nobody.post(&web, "/painel/entrar", None, &log_in).status, 403);
    assert_eq!(nobody.session(), None);
    // Another panel's name is refused, and so is a bare address.
    for host in ["127.0.0.1", "bank-1.consorcio.internal", "localhost"] {
        let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        assert_eq!(web.send(None, &request).status, 403, "{host}");
    }
}

#[test]
fn guessing_is_slow_and_tells_nothing() {
    let web = WebBank::start();
    let mut guesser = CookieBrowser::default();
    let words = |answer: &HttpsAnswer| {
        let text = answer.body.split("role=\"alert\">").nth(1).unwrap_or("").to_owned();
        text.split('<').next().unwrap_or("").to_owned()
    };
    let wrong = guesser.log_in(&web, "titular1", "errado errado errado");
    let unknown = guesser.log_in(&web, "ninguem", "errado errado errado");
    assert_eq!((wrong.status, unknown.status), (401, 401));
    assert_eq!(words(&wrong), words(&unknown), "neither says which was wrong");
    assert!(!words(&wrong).is_empty());
    for _ in 0..4 {
        assert_eq!(guesser.log_in(&web, "titular1", "outro errado errado").status, 401);
    }
    let slowed = guesser.log_in(&web, "titular1", PASSWORD);
    assert_eq!(slowed.status, 429, "the right password, too");
    assert!(slowed.head.contains("retry-after: "), "{}", slowed.head);
    assert_eq!(guesser.session(), None);
    web.banks.wait_logged(0, "log-in of titular1: too many tries");
    // Another name from this address still may.
    assert_eq!(CookieBrowser::default().log_in(&web, "caixa1", PASSWORD).status, 303);
}

#[test]
fn a_certificate_logs_in_to_the_panel_and_then_counts_no_more() {
    let web = WebBank::start();
    let mut browser = CookieBrowser { certificate: Some("titular1"), ..CookieBrowser::default() };
    // It opens no page by itself: a browser shows it to every site's requests.
    assert_eq!(browser.get(&web, "/painel/contas").status, 303);
    let page = browser.get(&web, "/painel/entrar");
    assert!(page.body.contains("<strong>titular1</strong>"), "{}", page.body);
    let form = format!("sessao={}&certificado=sim", page.form_token());
    let own = format!("https://{HOST}");
    assert_eq!(browser.post(&web, "/painel/entrar", Some(&own), &form).status, 303);
    assert_eq!(browser.get(&web, "/painel/contas").status, 200);
    // Without the certificate the form of it logs nobody in.
    let mut other = CookieBrowser::default();
    let token = other.get(&web, "/painel/entrar").form_token();
    let form = format!("sessao={token}&certificado=sim&nome=titular1");
    assert_eq!(other.post(&web, "/painel/entrar", Some(&own), &form).status, 401);
}

#[test]
fn a_name_or_password_that_is_taken_away_ends_its_sessions() {
    let web = WebBank::start();
    let mut browsers: Vec<CookieBrowser> = (0..3).map(|_| CookieBrowser::default()).collect();
    for (browser, name) in browsers.iter_mut().zip(["titular1", "caixa1", "titular1"]) {
        assert_eq!(browser.log_in(&web, name, PASSWORD).status, 303);
    }
    // A password is replaced: sessions that the old one began end.
    web.password("caixa1", "outra senha bem longa").expect_code(0);
    web.hang_up();
    assert_eq!(browsers[1].get(&web, "/painel/contas").status, 303);
    assert_eq!(browsers[0].get(&web, "/painel/contas").status, 200);
    assert_eq!(CookieBrowser::default().log_in(&web, "caixa1", PASSWORD).status, 401);
    assert_eq!(
        CookieBrowser::default().log_in(&web, "caixa1", "outra senha bem longa").status,
        303
    );
    let without = ACCESS.split("[caixa1]").nth(1).unwrap();
    web.banks.grant(0, &format!("[caixa1]{without}"));
    web.hang_up();
    assert_eq!(browsers[0].get(&web, "/painel/contas").status, 303);
    assert_eq!(CookieBrowser::default().log_in(&web, "titular1", PASSWORD).status, 401);
    for (input, expected) in [("curta\n", "characters"), ("", "characters"), ("a\nb\n", "one line")]
    {
        let refused = web.servidor(&["password", "titular1"], input);
        assert!(refused.code != Some(0) && told_by(&refused).contains(expected), "{refused:?}");
    }
    let made = web.servidor(&["password", "titular1", "--generate"], "").expect_code(0);
    assert_eq!(made.stdout.trim().len(), 32);
}
