//! A headless Chromium, driven over WebDriver; each test has its own.

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
    /// Opens one with these preferences; none where Chromium or its driver is missing.
    pub fn open(preferences: &[(&str, Value)]) -> Option<Browser> {
        let (Some(chromium), Some(driver)) =
            (program(&["chromium", "chromium-browser"]), program(&["chromedriver"]))
        else {
            let told = "there is no chromium or no chromedriver here (Debian: apt-get install \
                        chromium chromium-driver)";
            assert!(std::env::var("CONSORCIO_BROWSER").as_deref() != Ok("required"), "{told}");
            // Not captured, so that whoever runs the tests sees it.
            let _ = writeln!(std::io::stderr(), "NOT RUN: the panel in a browser: {told}");
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
        let port = port.expect("chromedriver says its port");
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

    /// The path and query that the window shows.
    pub fn path(&self) -> String {
        let url = self.runtime.block_on(self.client.current_url()).unwrap();
        url.query().map_or(url.path().to_owned(), |query| format!("{}?{query}", url.path()))
    }

    /// Waits until the window shows a path that begins so.
    #[track_caller]
    pub fn wait_for_path(&self, begins: &str) {
        wait_until(&format!("a page below {begins}"), || {
            self.path().starts_with(begins).then_some(())
        });
    }

    /// Presses what `css` finds. A page that is refreshed may put another in its place meanwhile,
    /// and then nothing was pressed: the new one is.
    #[track_caller]
    pub fn click(&self, css: &str) {
        wait_until(&format!("a press of {css}"), || {
            let press = async { self.client.find(Locator::Css(css)).await?.click().await };
            match self.runtime.block_on(press) {
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

    /// Presses the button of a form that `css` finds, and waits until the form's answer is there:
    /// it may look just like the page before, and a page that is left too early sends nothing.
    #[track_caller]
    pub fn send(&self, css: &str) {
        self.script("document.documentElement.dataset.sent = '';");
        self.click(css);
        let answered =
            "return document.readyState === 'complete' && !document.querySelector('[data-sent]');";
        wait_until("the answer to the form", || {
            // While one page goes and another comes there is none to ask.
            let answer = self.runtime.block_on(self.client.execute(answered, Vec::new()));
            (answer.ok()? == true).then_some(())
        });
    }

    /// Types `text` into the field `css` finds, in place of what stands there.
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

    /// Chooses an option by its value.
    #[track_caller]
    pub fn choose(&self, css: &str, value: &str) {
        self.runtime
            .block_on(async {
                self.client.find(Locator::Css(css)).await?.select_by_value(value).await
            })
            .unwrap_or_else(|error| panic!("{css} = {value}: {error}"));
    }

    /// The text of what `css` finds, as one sees it; empty where there is none.
    pub fn text(&self, css: &str) -> String {
        let text = self
            .runtime
            .block_on(async { self.client.find(Locator::Css(css)).await?.text().await });
        // Plain spaces, so that tests can be typed.
        text.unwrap_or_default().replace('\u{a0}', " ")
    }

    /// Waits until what `css` finds says `text`, without any reload by the test.
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

    /// What a script returns.
    pub fn script(&self, script: &str) -> Value {
        self.runtime
            .block_on(self.client.execute(script, Vec::new()))
            .unwrap_or_else(|error| panic!("{script}: {error}"))
    }

    /// What Chromium's own tools answer to a command that WebDriver does not have.
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

    /// Makes the window so large.
    pub fn resize(&self, width: u32, height: u32) {
        self.runtime.block_on(self.client.set_window_size(width, height)).unwrap();
    }

    /// Leaves a picture of the page below the target folder.
    pub fn shot(&self, name: &str) {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("panel");
        std::fs::create_dir_all(&folder).unwrap();
        let picture = self.runtime.block_on(self.client.screenshot()).unwrap();
        std::fs::write(folder.join(format!("{name}.png")), picture).unwrap();
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The session closes its window; the driver goes with it.
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
