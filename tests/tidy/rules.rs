//! The house rules for one Rust file: what may stand in it, and on what it may depend.

use crate::code::{code_of, paths_of};

/// Each module of the library, and the modules that it may use. Dependencies point one way: from the bottom of
/// this list to its top. A module that is new has no place here yet, and must be given one.
const MODULES: [(&str, &[&str]); 25] = [
    ("money", &[]),
    ("limits", &[]),
    // Of both programs: their switches, their errors, and the ends of their threads.
    ("switches", &[]),
    ("chain", &[]),
    ("threads", &[]),
    ("ids", &["limits"]),
    ("clock", &["limits", "ids"]),
    // The wire's replies carry tokens, tokens are written as text of the wire.
    ("wire", &["money", "limits", "ids", "commit"]),
    // The coordinator's messages are those that banks send each other.
    ("commit", &["money", "limits", "ids", "wire", "bank"]),
    ("ledger", &["money", "limits", "ids", "wire", "commit"]),
    ("bank", &["money", "limits", "ids", "wire", "commit", "ledger"]),
    // Where a process can be made to die; what is above calls it, the pure modules have no such place.
    ("crash", &["wire", "bank"]),
    ("journal", &["money", "limits", "ids", "threads", "wire", "commit", "bank", "crash"]),
    ("audit", &["money", "limits", "ids", "wire", "commit", "ledger", "bank", "journal"]),
    // Reads the machine's clocks.
    ("systime", &[]),
    ("steplog", &["money", "limits", "ids", "threads", "wire", "commit", "bank", "systime"]),
    // Reads what `steplog` wrote, as text: logs may be of another version than this program.
    ("trace", &[]),
    ("config", &["money", "limits", "ids"]),
    // Fresh ids need a clock and randomness, which `ids` must not touch.
    ("fresh", &["ids"]),
    ("peers", &["money", "limits", "ids", "clock", "wire", "commit", "bank", "crash", "steplog"]),
    (
        "node",
        &[
            "money", "limits", "ids", "clock", "threads", "wire", "commit", "bank", "crash", "journal",
            "systime", "steplog",
        ],
    ),
    ("panel", &["money", "limits", "ids", "wire"]),
    // It asks the bank through `node` as a session does, and touches neither the bank nor the journal.
    (
        "http",
        &[
            "money", "limits", "ids", "clock", "wire", "commit", "crash", "audit", "steplog", "trace",
            "config", "fresh", "node", "panel",
        ],
    ),
    (
        "server",
        &[
            "money", "limits", "ids", "clock", "chain", "wire", "commit", "bank", "crash", "journal",
            "systime", "steplog", "config", "peers", "node", "http",
        ],
    ),
    (
        "client",
        &[
            "money", "limits", "ids", "clock", "switches", "wire", "commit", "bank", "crash", "audit",
            "steplog", "trace", "config", "fresh",
        ],
    ),
];

/// Modules that touch no clock, no socket, no file, no randomness, no thread, no unordered map and no float.
const PURE: [&str; 8] = ["money", "ids", "limits", "clock", "wire", "commit", "ledger", "bank"];

/// What a pure module may not name, wherever it stands in a path.
const IMPURE_WORDS: [&str; 13] = [
    "Instant",
    "SystemTime",
    "tokio",
    "HashMap",
    "HashSet",
    "hashbrown",
    "rand",
    "getrandom",
    "f32",
    "f64",
    "unsafe",
    "rustix",
    "thread_local",
];

/// What a pure module may not name, as the beginning of a path.
const IMPURE_PATHS: [[&str; 2]; 7] = [
    ["std", "time"],
    ["std", "net"],
    ["std", "fs"],
    ["std", "io"],
    ["std", "env"],
    ["std", "thread"],
    ["std", "process"],
];

/// What no file may call.
const UNFINISHED: [&str; 2] = ["todo!", "unimplemented!"];

/// A longer file does more than one job.
const LINES_MAX: usize = 700;

/// Files that are longer, and how long they may get. Split them instead of adding to this list.
const LONGER: [(&str, usize); 0] = [];

/// What is wrong with the Rust file at `path` (from the project's folder, with `/`).
pub fn faults(path: &str, text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    if !text.starts_with("//!") {
        faults.push(format!("{path}: must begin with `//!`, which says what lives here and what does not"));
    }
    let lines_max = LONGER.iter().find(|(long, _)| *long == path).map_or(LINES_MAX, |(_, max)| *max);
    if text.lines().count() > lines_max {
        faults.push(format!("{path}: longer than {lines_max} lines"));
    }
    let module = module_of(path);
    let may_use = match module {
        None => None,
        Some(module) => {
            let known = MODULES.iter().find(|(name, _)| *name == module);
            if known.is_none() {
                faults.push(format!("{path}: the module {module} has no place among MODULES of tests/tidy"));
            }
            known.map(|(_, may_use)| *may_use)
        }
    };
    let is_pure = module.is_some_and(|module| PURE.contains(&module));
    for (line, path_here) in paths_of(&code_of(text)) {
        let words: Vec<&str> = path_here.iter().map(String::as_str).collect();
        let shown = words.join("::");
        if words.last().is_some_and(|word| UNFINISHED.contains(word)) {
            faults.push(format!("{path}:{line}: {shown} is not finished"));
        }
        if is_pure && is_impure(&words) {
            faults.push(format!("{path}:{line}: {shown} in a pure module"));
        }
        if let (Some(module), Some(may_use), ["crate", used, ..]) = (module, may_use, &words[..])
            && *used != module
            && MODULES.iter().any(|(name, _)| name == used)
            && !may_use.contains(used)
        {
            faults.push(format!("{path}:{line}: {module} may not use {used}: dependencies point one way"));
        }
    }
    faults
}

fn is_impure(words: &[&str]) -> bool {
    let starts = |start: &[&str; 2]| {
        let [library, module] = start;
        words.len() > 1 && (words[0] == *library || words[0] == "core") && words[1] == *module
    };
    words.iter().any(|word| IMPURE_WORDS.contains(word)) || IMPURE_PATHS.iter().any(starts)
}

/// The library's module that a file belongs to; `lib.rs` and files outside of the library belong to none.
fn module_of(path: &str) -> Option<&str> {
    let inside = path.strip_prefix("src/core/").or_else(|| path.strip_prefix("src/"))?;
    let module = inside.split('/').next().unwrap_or(inside);
    let module = module.strip_suffix(".rs").unwrap_or(module);
    (module != "lib").then_some(module)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "//! A file.\n";

    #[track_caller]
    fn bites(path: &str, code: &str, named: &str) {
        let found = faults(path, &format!("{HEAD}{code}"));
        assert!(found.iter().any(|fault| fault.contains(named)), "{path} {code}: {named:?} not in {found:?}");
        assert!(found.iter().all(|fault| fault.starts_with(path)), "{found:?}");
    }

    #[track_caller]
    fn passes(path: &str, code: &str) {
        assert_eq!(faults(path, &format!("{HEAD}{code}")), [""; 0]);
    }

    #[test]
    fn a_pure_module_touches_nothing() {
        for (code, named) in [
            ("use std::time::Duration;", "std::time::Duration"),
            ("use std::{fmt, time::Instant};", "std::time::Instant"),
            ("use std::{collections::{BTreeMap, HashMap}};", "HashMap"),
            ("type Set = std::collections::HashSet<u8>;", "HashSet"),
            ("fn now() -> SystemTime { SystemTime::now() }", "SystemTime"),
            ("fn now() { core::time::Duration::ZERO; }", "core::time"),
            ("use std::net::TcpStream;", "std::net"),
            ("fn read() { std::fs::read(name) }", "std::fs"),
            ("fn start() { std::thread::spawn(work) }", "std::thread"),
            ("fn ask() { std::env::var(name) }", "std::env"),
            ("use tokio::sync::Notify;", "tokio"),
            ("fn f() { getrandom::fill(&mut bytes) }", "getrandom"),
            ("fn f() { rand::random() }", "rand"),
            ("fn half(x: f64) -> f64 { x }", "f64"),
            ("const X: f32 = 1;", "f32"),
            ("fn f() { unsafe { g() } }", "unsafe"),
        ] {
            for path in
                ["src/core/money.rs", "src/core/ids.rs", "src/core/bank/deep/file.rs", "src/core/wire/mod.rs"]
            {
                bites(path, code, named);
            }
            passes("src/journal/file.rs", code);
        }
        passes(
            "src/core/bank/mod.rs",
            "// no tokio, no std::fs, no f64\nconst X: &str = \"HashMap, unsafe\";",
        );
        passes(
            "src/core/bank/mod.rs",
            "use std::collections::{BTreeMap, BTreeSet};\nconst V: &str = env!(name);",
        );
    }

    #[test]
    fn every_pure_module_is_looked_at() {
        for module in PURE {
            bites(&format!("src/{module}/x.rs"), "use tokio::net;", "pure");
        }
    }

    #[test]
    fn dependencies_point_one_way() {
        for (path, used) in [
            ("src/core/bank/x.rs", "node"),
            ("src/core/bank/x.rs", "journal"),
            ("src/core/commit/x.rs", "peers"),
            ("src/core/wire/x.rs", "bank"),
            ("src/core/wire/x.rs", "server"),
            ("src/core/ledger/x.rs", "bank"),
            ("src/core/ledger/x.rs", "steplog"),
            ("src/core/money.rs", "ids"),
            ("src/journal/x.rs", "node"),
            ("src/journal/x.rs", "steplog"),
            ("src/steplog/x.rs", "node"),
            ("src/peers/x.rs", "server"),
            ("src/node/x.rs", "server"),
            ("src/node/x.rs", "peers"),
            ("src/server/x.rs", "client"),
            ("src/client/x.rs", "server"),
            ("src/client/x.rs", "journal"),
        ] {
            let named = format!("may not use {used}");
            bites(path, &format!("use crate::{used}::Thing;"), &named);
            bites(path, &format!("use crate::{{limits, {used}}};"), &named);
            bites(path, &format!("fn f() {{ crate::{used}::g() }}"), &named);
        }
        passes("src/core/bank/x.rs", "use crate::ledger::Ledger;\nuse crate::bank::io::Input;");
        passes("src/server/x.rs", "use crate::node::run;\nuse crate::{peers::Peers, journal};");
        passes("tests/x.rs", "use consorcio::node::run;");
    }

    /// The table is drawn from the bottom up: a module uses those above it, but for the one knot of `wire`, `commit`
    /// and `bank`, which its lines explain.
    #[test]
    fn the_table_itself_points_one_way() {
        let place = |module: &str| MODULES.iter().position(|(name, _)| *name == module);
        for (at, (module, may_use)) in MODULES.iter().enumerate() {
            for used in *may_use {
                let knot = matches!((*module, *used), ("wire", "commit") | ("commit", "bank"));
                assert!(place(used).is_some_and(|used| used < at) || knot, "{module} uses {used}");
            }
        }
        assert!(PURE.iter().all(|module| place(module).is_some()));
    }

    #[test]
    fn a_new_module_needs_a_place() {
        bites("src/helpers/mod.rs", "", "has no place");
        bites("src/helpers.rs", "", "has no place");
        passes("src/lib.rs", "pub mod helpers;");
    }

    #[test]
    fn nothing_is_left_unfinished() {
        bites("src/server/x.rs", "fn f() { todo!() }", "todo");
        bites("tests/x.rs", "fn f() { unimplemented!(\"later\") }", "unimplemented");
        bites("src/server/x.rs", "fn f() { std::todo![] }", "todo");
        passes("src/server/x.rs", "// todo!\nfn f(todo: u8) -> bool { todo != 1 }");
    }

    #[test]
    fn a_file_begins_with_what_it_is() {
        let found = faults("src/server/x.rs", "use std::fmt;\n//! Late.\n");
        assert!(found[0].contains("must begin with `//!`"), "{found:?}");
    }

    #[test]
    fn a_file_has_an_end() {
        let lines = |count: usize| "//! x\n".repeat(count);
        assert_eq!(faults("src/server/x.rs", &lines(LINES_MAX)), [""; 0]);
        assert!(faults("src/server/x.rs", &lines(LINES_MAX + 1))[0].contains("longer than 700"));
        for (long, max) in LONGER {
            assert_eq!(faults(long, &lines(max)), [""; 0]);
            assert!(faults(long, &lines(max + 1))[0].contains("longer than"));
        }
    }
}
