//! A headless Chromium over WebDriver; each test opens its own.

use crate::support::{DEADLINE, wait_until};
use fantoccini::error::{CmdError, ErrorStatus};
use fantoccini::wd::Capabilities;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tokio::runtime::{Builder, Runtime};

const SWITCHES: [&str; 11] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--window-size=1280,1000",
];

/// A browser with one window.
pub struct Browser {
    client: Client,
    runtime: Runtime,
    driver: Child,
    driver_port: u16,
}

impl Browser {
    /// Opens a browser with these preferences; none if Chromium or its driver is missing.
    pub fn open(preferences: &[(&str, Value)]) -> Option<Browser> {
        let (Some(chromium), Some(driver)) =
            (program(&["chromium", "chromium-browser"]), program(&["chromedriver"]))
        else {
            let cause = "chromium or chromedriver is missing (Debian: apt-get install chromium \
                         chromium-driver)";
            assert!(std::env::var("CONSORCIO_BROWSER").as_deref() != Ok("required"), "{cause}");
            // Not `eprintln!`, which the test harness captures.
            let _ = writeln!(std::io::stderr(), "NOT RUN: the panel in a browser: {cause}");
            return None;
        };
        let mut driver = Command::new(driver)
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver starts");
        let out = BufReader::new(driver.stdout.take().unwrap());
        let port = out.lines().map_while(Result::ok).find_map(|line| {
            let (_, port) = line.split_once("started successfully on port ")?;
            port.trim_end_matches('.').parse::<u16>().ok()
        });
        let port = port.expect("chromedriver prints its port");
        let preferences: serde_json::Map<String, Value> =
            preferences.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        let mut capabilities = Capabilities::new();
        capabilities.insert(
            "goog:chromeOptions".to_owned(),
            json!({ "binary": chromium, "args": SWITCHES, "prefs": preferences }),
        );
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let client = runtime.block_on(async {
            let mut builder = ClientBuilder::new(HttpConnector::new());
            builder.capabilities(capabilities).connect(&format!("http://127.0.0.1:{port}")).await
        });
        Some(Browser {
            client: client.expect("a session with Chromium"),
            runtime,
            driver,
            driver_port: port,
        })
    }

    pub fn go(&self, url: &str) {
        self.runtime
            .block_on(self.client.goto(url))
            .unwrap_or_else(|error| panic!("{url}: {error}"));
    }

    /// The path and query of the current page.
    pub fn path(&self) -> String {
        let url = self.runtime.block_on(self.client.current_url()).unwrap();
        url.query().map_or(url.path().to_owned(), |query| format!("{}?{query}", url.path()))
    }

    /// Waits for a page whose path begins with `begins`.
    #[track_caller]
    pub fn wait_for_path(&self, begins: &str) {
        wait_until(&format!("a page below {begins}"), || {
            self.path().starts_with(begins).then_some(())
        });
    }

    /// Clicks the element. If a refresh replaces it meanwhile, clicks the new one.
    #[track_caller]
    pub fn click(&self, css: &str) {
        wait_until(&format!("a click on {css}"), || {
            let click = async { self.client.find(Locator::Css(css)).await?.click().await };
            match self.runtime.block_on(click) {
                Err(CmdError::Standard(error))
                    if error.error == ErrorStatus::StaleElementReference =>
                {
                    None
                }
                Err(error) => panic!("{css}: {error}"),
                Ok(()) => Some(()),
            }
        });
    }

    /// Clicks the button of a form, and waits for the page that responds to the form. That page may
    /// equal the one before, so a mark on the old document tells them apart.
    #[track_caller]
    pub fn send(&self, css: &str) {
        self.script("document.documentElement.dataset.sent = '';");
        self.click(css);
        let answered =
            "return document.readyState === 'complete' && !document.querySelector('[data-sent]');";
        wait_until("the answer to the form", || {
            // During the navigation no script can run.
            let answer = self.runtime.block_on(self.client.execute(answered, Vec::new()));
            (answer.ok()? == true).then_some(())
        });
    }

    /// Replaces the content of a field by typing `text`.
    #[track_caller]
    pub fn fill(&self, css: &str, text: &str) {
        self.runtime
            .block_on(async {
                let field = self.client.find(Locator::Css(css)).await?;
                field.clear().await?;
                field.send_keys(text).await
            })
            .unwrap_or_else(|error| panic!("{css}: {error}"));
    }

    /// Selects an option of a field by its value.
    #[track_caller]
    pub fn choose(&self, css: &str, value: &str) {
        self.runtime
            .block_on(async {
                self.client.find(Locator::Css(css)).await?.select_by_value(value).await
            })
            .unwrap_or_else(|error| panic!("{css} = {value}: {error}"));
    }

    /// The rendered text of an element; empty if there is none.
    pub fn text(&self, css: &str) -> String {
        let text = self
            .runtime
            .block_on(async { self.client.find(Locator::Css(css)).await?.text().await });
        // Plain spaces, so that tests can contain the text.
        text.unwrap_or_default().replace('\u{a0}', " ")
    }

    /// Waits until the element contains `text`, without reloading the page.
    #[track_caller]
    pub fn wait_for(&self, css: &str, text: &str) {
        let mut seen = String::new();
        wait_until(&format!("{text:?} in {css}"), || {
            let now = self.text(css);
            if now != seen {
                seen.clone_from(&now);
            }
            now.contains(text).then_some(())
        });
    }

    /// Runs a script and returns its result.
    pub fn script(&self, script: &str) -> Value {
        self.runtime
            .block_on(self.client.execute(script, Vec::new()))
            .unwrap_or_else(|error| panic!("{script}: {error}"))
    }

    /// Runs a command of the DevTools protocol, for what WebDriver lacks.
    pub fn devtools(&self, command: &str, parameters: &Value) -> Value {
        let session = self.runtime.block_on(self.client.session_id()).unwrap().expect("a session");
        let body = json!({ "cmd": command, "params": parameters }).to_string();
        let mut stream =
            BufReader::new(TcpStream::connect(("127.0.0.1", self.driver_port)).unwrap());
        stream.get_ref().set_read_timeout(Some(DEADLINE)).unwrap();
        let head = format!(
            "POST /session/{session}/goog/cdp/execute HTTP/1.1\r\nHost: 127.0.0.1\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream.get_mut().write_all(format!("{head}{body}").as_bytes()).unwrap();
        let mut length = 0;
        let mut line = String::new();
        while stream.read_line(&mut line).unwrap() > 0 && line != "\r\n" {
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().unwrap();
            }
            line.clear();
        }
        let mut answer = vec![0; length];
        stream.read_exact(&mut answer).unwrap();
        let answer: Value = serde_json::from_slice(&answer).unwrap();
        assert!(answer["value"]["error"].is_null(), "{command}: {answer}");
        answer["value"].clone()
    }

    /// Sets the size of the window.
    pub fn resize(&self, width: u32, height: u32) {
        self.runtime.block_on(self.client.set_window_size(width, height)).unwrap();
    }

    /// Writes a screenshot of the page below the target folder.
    pub fn screenshot(&self, name: &str) {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("panel");
        std::fs::create_dir_all(&folder).unwrap();
        let picture = self.runtime.block_on(self.client.screenshot()).unwrap();
        std::fs::write(folder.join(format!("{name}.png")), picture).unwrap();
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Closing the session closes the window; then the driver can be killed.
        let _ = self.runtime.block_on(self.client.clone().close());
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

fn program(names: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let found = |name: &&str| {
        std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
    };
    names.iter().find_map(found)
}
