//! Finds the log files of each node, such as `servidor-8886.log` and its rotated files, in any
//! number of folders. Only lines at the beginning of a file are parsed, which name the bank.

use super::TraceError;
use super::blocks::{Blocks, lines};
use crate::line::{LogLine, Step};
use consorcio_core::limits::TRACE_HEAD_BYTES;
use consorcio_words::Lang;
use consorcio_words::process::lang;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The log of one node, all its files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeLog {
    /// The name of the node, from its file: `servidor-8886` or `cliente-1`.
    pub name: String,
    /// The files of its log, oldest first.
    pub files: Vec<PathBuf>,
    /// Its position in the consortium, if the log has it.
    pub bank: Option<u8>,
    /// The address at that position.
    pub address: Option<String>,
}

impl NodeLog {
    /// Whether it is the log of a bank, by its lines or by its name.
    pub fn is_of_a_bank(&self) -> bool {
        self.bank.is_some() || self.name.starts_with("servidor")
    }

    /// The time of its first line, if older lines were rotated away, in microseconds since 1970.
    pub(super) fn cut_at_us(&self) -> Option<i64> {
        let mut blocks = Blocks::open(self.files.first()?, 0).ok()?;
        let (offset, block) = blocks.next().ok()??;
        let mut first = None;
        lines(offset, block, |_, line| {
            first = LogLine::parse(line).map(|line| (line.at_us, line.event == "start"));
            first.is_none()
        });
        first.filter(|(_, is_start)| !is_start).map(|(at_us, _)| at_us)
    }
}

/// The logs of all nodes that were found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logs {
    /// One log for each node, by name.
    pub nodes: Vec<NodeLog>,
    folders: Vec<PathBuf>,
}

impl Logs {
    /// Finds the logs in these folders; a path may also be that of a file.
    ///
    /// # Errors
    /// If a folder can't be read, or none holds a log.
    pub fn open(folders: &[PathBuf]) -> Result<Logs, TraceError> {
        let mut found: BTreeMap<(String, PathBuf), Vec<(u32, PathBuf)>> = BTreeMap::new();
        for folder in folders {
            for path in files_in(folder)? {
                let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
                let Some((node, older)) = name.as_deref().and_then(node_of) else { continue };
                let home = path.parent().map_or_else(PathBuf::new, Path::to_owned);
                let files = found.entry((node, home)).or_default();
                match files.iter_mut().find(|(number, _)| *number == older) {
                    // The plain one of two is about to be removed.
                    Some((_, other)) if path.extension().is_some_and(|end| end == "zst") => {
                        *other = path;
                    }
                    Some(_) => {}
                    None => files.push((older, path)),
                }
            }
        }
        if found.is_empty() {
            return Err(TraceError::NoLogs(in_words(folders)));
        }
        let mut nodes = Vec::new();
        let names: Vec<String> = found.keys().map(|(name, _)| name.clone()).collect();
        for ((name, home), mut files) in found {
            files.sort_by_key(|(older, _)| std::cmp::Reverse(*older));
            let files: Vec<PathBuf> = files.into_iter().map(|(_, path)| path).collect();
            // Banks on different machines may have the same port: then the folder is part of the
            // name.
            let alone = names.iter().filter(|other| **other == name).count() == 1;
            let name = if alone { name } else { format!("{name} ({})", home.display()) };
            let (bank, address) = identity(&files);
            nodes.push(NodeLog { name, files, bank, address });
        }
        Ok(Logs { nodes, folders: folders.to_vec() })
    }

    /// The logs that are in the same folders now.
    ///
    /// # Errors
    /// As of `open`.
    pub(super) fn found_anew(&self) -> Result<Logs, TraceError> {
        Logs::open(&self.folders)
    }

    /// The log of a bank: the one that names it, or the only one of a server on the port of this
    /// address that names none.
    pub(super) fn of_bank(&self, bank: u8, address: Option<&str>) -> Option<&NodeLog> {
        let named = self.nodes.iter().find(|log| log.bank == Some(bank));
        named.or_else(|| {
            let (_, port) = address?.rsplit_once(':')?;
            let name = format!("servidor-{port}");
            self.nodes.iter().find(|log| log.bank.is_none() && log.name == name)
        })
    }

    /// The size of all files, in bytes.
    pub fn bytes(&self) -> u64 {
        let files = self.nodes.iter().flat_map(|node| &node.files);
        files.filter_map(|path| Some(path.metadata().ok()?.len())).sum()
    }

    /// Which logs have lost older lines, for people; empty if none has.
    pub(super) fn cuts_in_words(&self) -> String {
        let cut = |node: &NodeLog| {
            let at = jiff::Timestamp::from_microsecond(node.cut_at_us()?).ok()?;
            let name = &node.name;
            Some(match lang() {
                Lang::En => format!("; lines of {name} before {at:.6} were rotated away"),
                Lang::Pt => format!("; as linhas de {name} antes de {at:.6} já não existem"),
            })
        };
        self.nodes.iter().filter_map(cut).collect()
    }

    /// Where they are, for people.
    pub fn in_words(&self) -> String {
        let files: usize = self.nodes.iter().map(|node| node.files.len()).sum();
        let nodes = self.nodes.iter().map(|node| node.name.as_str()).collect::<Vec<_>>().join(", ");
        let folders = in_words(&self.folders);
        match (lang(), files) {
            (Lang::En, 1) => format!("1 file in {folders} ({nodes})"),
            (Lang::En, _) => format!("{files} files in {folders} ({nodes})"),
            (Lang::Pt, 1) => format!("1 arquivo em {folders} ({nodes})"),
            (Lang::Pt, _) => format!("{files} arquivos em {folders} ({nodes})"),
        }
    }
}

fn in_words(folders: &[PathBuf]) -> String {
    folders.iter().map(|folder| folder.display().to_string()).collect::<Vec<_>>().join(", ")
}

fn files_in(folder: &Path) -> Result<Vec<PathBuf>, TraceError> {
    let failed = |source| TraceError::Unreadable { path: folder.to_owned(), source };
    if folder.is_file() {
        return Ok(vec![folder.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in folder.read_dir().map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.is_file() {
            files.push(path);
        }
    }
    Ok(files)
}

/// Parses a file name: `servidor-8886.log.2.zst` belongs to the node `servidor-8886`, and is two
/// rotations old.
fn node_of(name: &str) -> Option<(String, u32)> {
    if let Some(node) = name.strip_suffix(".log") {
        return Some((node.to_owned(), 0));
    }
    let (name, older) = name.strip_suffix(".zst").unwrap_or(name).rsplit_once('.')?;
    Some((name.strip_suffix(".log")?.to_owned(), older.parse().ok()?))
}

/// The bank that wrote these files, and its address, from the first line of a file that has them.
fn identity(files: &[PathBuf]) -> (Option<u8>, Option<String>) {
    for path in files.iter().rev() {
        // A file that can't be read is reported when it is needed.
        let Ok(mut blocks) = Blocks::open(path, 0) else { continue };
        let mut known = (None, None);
        while let Ok(Some((offset, block))) = blocks.next() {
            let goes_on = lines(offset, block, |at, line| {
                match LogLine::parse(line).and_then(|line| line.step()) {
                    Some(Step::Start(text) | Step::Node(text)) => known = position(&text),
                    Some(Step::Consortium(bank, ..)) if known.0.is_none() => {
                        known.0 = Some(bank.as_u8());
                    }
                    _ => {}
                }
                known.0.is_none() && at < TRACE_HEAD_BYTES
            });
            if !goes_on || offset >= TRACE_HEAD_BYTES {
                break;
            }
        }
        if known.0.is_some() {
            return known;
        }
    }
    (None, None)
}

/// Parses `servidor 0.1.0 bank 2 of 127.0.0.1:8886,127.0.0.1:8887,-`.
fn position(detail: &str) -> (Option<u8>, Option<String>) {
    let Some((_, identity)) = detail.split_once(" bank ") else { return (None, None) };
    let Some((bank, list)) = identity.split_once(" of ") else { return (None, None) };
    let Ok(bank) = bank.parse::<u8>() else { return (None, None) };
    let address = list.trim().split(',').nth(bank.into()).filter(|address| address.contains(':'));
    (Some(bank), address.map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_are_parsed() {
        assert_eq!(node_of("servidor-8886.log"), Some(("servidor-8886".into(), 0)));
        assert_eq!(node_of("cliente-a.b.log.12"), Some(("cliente-a.b".into(), 12)));
        assert_eq!(node_of("servidor-8886.log.12.zst"), Some(("servidor-8886".into(), 12)));
        for name in [
            "x.log.zst",
            "x.log.1.zst.tmp",
            "servidor-8886",
            "x.log.gz",
            "x.log.",
            "notes.txt",
            "log",
        ] {
            assert_eq!(node_of(name), None, "{name}");
        }
    }

    #[test]
    fn a_start_names_the_bank() {
        let detail = "servidor 0.1.0 bank 2 of 127.0.0.1:8886,127.0.0.1:8887,10.0.0.1:8888";
        assert_eq!(position(detail), (Some(2), Some("10.0.0.1:8888".into())));
        assert_eq!(position("cliente-1 transfer"), (None, None));
    }

    #[test]
    fn rotated_files_are_oldest_first_and_equal_names_get_their_folder() {
        let dir = tempfile::tempdir().unwrap();
        for (folder, names) in
            [("a", ["s-1.log", "s-1.log.2", "s-1.log.10"]), ("b", ["s-1.log", "c-1.log", "x"])]
        {
            std::fs::create_dir(dir.path().join(folder)).unwrap();
            names
                .iter()
                .for_each(|name| std::fs::write(dir.path().join(folder).join(name), "").unwrap());
        }
        let logs = Logs::open(&[dir.path().join("a"), dir.path().join("b")]).unwrap();
        let names: Vec<&str> = logs.nodes.iter().map(|node| node.name.as_str()).collect();
        assert_eq!(names.len(), 3);
        assert!(
            names[0] == "c-1" && names[1].starts_with("s-1 (") && names[2].ends_with("/b)"),
            "{names:?}"
        );
        let files = &logs.nodes[1].files;
        assert!(files[0].ends_with("s-1.log.10") && files[2].ends_with("s-1.log"), "{files:?}");
        let none = Logs::open(&[dir.path().to_owned()]).unwrap_err();
        assert!(none.to_string().contains("no step log"), "{none}");
    }
}
