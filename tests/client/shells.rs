//! The shell completions and man pages that `cliente` generates.

use super::manners::run_alone;
use serde_json::Value;
use std::process::Command;

#[test]
fn shells_get_completions() {
    let folder = tempfile::TempDir::new().unwrap();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = run_alone(&["completions", shell], folder.path()).expect_code(0).stdout;
        for word in ["transfer", "transferir", "--consortium", "ping"] {
            // fish lists switches without their dashes.
            let word = if shell == "fish" { word.trim_start_matches('-') } else { word };
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
    // Run with the bash of this machine.
    let script = run_alone(&["completions", "bash"], folder.path()).stdout;
    std::fs::write(folder.path().join("cliente.bash"), script).unwrap();
    let line = "source ./cliente.bash; COMP_WORDS=(cliente transferi); COMP_CWORD=1; \
                _cliente cliente transferi cliente; echo \"${COMPREPLY[@]}\"";
    let bash = Command::new("bash").args(["-c", line]).current_dir(folder.path()).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&bash.stdout).trim(), "transferir", "{bash:?}");
    let document =
        run_alone(&["completions", "zsh", "--json"], folder.path()).expect_code(0).stdout;
    let document: Value = serde_json::from_str(&document).unwrap();
    assert!(document["script"].as_str().unwrap().starts_with("#compdef cliente"));
}

#[test]
fn there_are_man_pages() {
    let folder = tempfile::TempDir::new().unwrap();
    let page = run_alone(&["man"], folder.path()).expect_code(0).stdout;
    for part in [".TH cliente 1", ".SH SYNOPSIS", ".SH EXAMPLES", "transferir", "Exit codes"] {
        assert!(page.contains(part), "{part}: {page}");
    }
    let page = run_alone(&["man", "conta", "abrir"], folder.path()).expect_code(0).stdout;
    assert!(page.contains("cliente\\-account\\-open") && page.contains(".SH EXAMPLES"), "{page}");
    run_alone(&["man", "--dir", "pages/man1"], folder.path())
        .expect_code(0)
        .expect("cliente-transfer.1");
    let written =
        std::fs::read_to_string(folder.path().join("pages/man1/cliente-account-open.1")).unwrap();
    assert_eq!(written, page);
    std::fs::write(folder.path().join("taken"), "").unwrap();
    let ran = run_alone(&["man", "--dir", "taken"], folder.path()).expect_code(1);
    assert!(ran.stderr.contains("taken"), "{ran:?}");
}
