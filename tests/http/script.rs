//! `scripts/banks.sh` starts three banks with HTTP, and stops them together.

use crate::http::client::HttpConnection;
use crate::support::{Process, free_ports_in_a_row, servidor_path, wait_until};
use std::path::Path;
use std::process::Command;

/// The running script. When a test fails, dropping it stops its banks.
struct Script(Process);

impl Drop for Script {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // It may have ended already.
            let _ = Command::new("kill").args(["-TERM", &self.0.pid().to_string()]).status();
            self.0.wait();
        }
    }
}

/// Starts the script through the command `shell`, waits until its banks are ready, and returns
/// their first HTTP port too.
fn start(folder: &Path, shell: &[&str]) -> (Script, u16) {
    // Another process may take a port between its choice and its use; then others are chosen.
    for _ in 0..5 {
        let port = free_ports_in_a_row(6);
        let http = port + 3;
        let mut script = Script(Process::start(&mut command(folder, port, http, shell)));
        if (0..3).all(|_| script.0.wait_for("ready on").is_ok()) {
            return (script, http);
        }
    }
    panic!("the banks did not come up in five attempts");
}

fn command(folder: &Path, port: u16, http: u16, shell: &[&str]) -> Command {
    let mut command = Command::new(shell[0]);
    command.args(&shell[1..]).arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/banks.sh"));
    command.current_dir(folder);
    command.env("CONSORCIO_PORT", port.to_string()).env("CONSORCIO_HTTP_PORT", http.to_string());
    command.env("CONSORCIO_PROGRAMS", Path::new(servidor_path()).parent().unwrap());
    command
}

#[test]
fn three_banks_run_until_they_are_interrupted() {
    let folder = tempfile::tempdir().unwrap();
    let (mut script, http) = start(folder.path(), &["sh", "-c", "exec \"$0\""]);
    for bank in 0..3 {
        let mut connection = HttpConnection::open(http + bank);
        connection.get("/status").is(200, r#"{"status":"ok"}"#);
        wait_until("all banks are linked", || {
            (connection.get("/bancos_on").json().as_array()?.len() == 3).then_some(())
        });
    }
    script.0.interrupt();
    assert_eq!(script.0.wait(), Some(130));
    assert_all_gone(http);
}

/// In closed mode each line that the script prints can be typed as it is.
#[test]
fn three_banks_in_closed_mode_are_one_command() {
    let folder = tempfile::tempdir().unwrap();
    let (mut script, http) = start(folder.path(), &["sh", "-c", "exec \"$0\" --secure"]);
    let printed: Vec<String> = script.0.seen().iter().map(|line| line.trim().to_owned()).collect();
    let typed: Vec<&String> = printed
        .iter()
        .filter(|line| line.starts_with("cliente") || line.starts_with("cd "))
        .collect();
    assert!(typed.len() >= 7, "{printed:?}");
    let lines = typed.iter().map(|line| format!("{line} &&\n")).collect::<String>() + "true";
    let programs = Path::new(servidor_path()).parent().unwrap().display().to_string();
    let path = format!("{programs}:{}", std::env::var("PATH").unwrap_or_default());
    let ran = Command::new("sh").args(["-c", &lines]).env("PATH", path).env("LC_ALL", "C").output();
    let ran = ran.unwrap();
    assert!(ran.status.success(), "{ran:?}");
    script.0.interrupt();
    assert_eq!(script.0.wait(), Some(130));
    assert_all_gone(http);
}

/// The script handles signals even if its parent ignores them, as `nohup` does.
#[test]
fn three_banks_end_even_if_the_parent_ignores_signals() {
    let folder = tempfile::tempdir().unwrap();
    let ignoring = ["sh", "-c", "trap '' INT HUP; exec \"$0\""];
    let (mut script, http) = start(folder.path(), &ignoring);
    script.0.interrupt();
    assert_eq!(script.0.wait(), Some(130));
    assert_all_gone(http);
    // Other ports mean other banks, which need another folder.
    let folder = tempfile::tempdir().unwrap();
    let (mut script, http) = start(folder.path(), &ignoring);
    script.0.terminate();
    assert_eq!(script.0.wait(), Some(143));
    assert_all_gone(http);
}

fn assert_all_gone(http: u16) {
    for bank in 0..3 {
        assert!(HttpConnection::try_open(http + bank).is_none(), "bank {bank} still runs");
    }
}
