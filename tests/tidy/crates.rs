//! The crates below `src` and their dependencies, by their manifests and by ARCHITECTURE's table.

/// The dependencies of a crate, without those of its tests.
pub struct Manifest {
    /// The crates of this project, without their prefix, sorted.
    pub ours: Vec<String>,
    pub others: Vec<String>,
}

/// Parses a manifest. A line `name.workspace = true` or `name = …` below `[dependencies]` is a
/// dependency.
pub fn read(manifest: &str) -> Manifest {
    let mut names: Vec<&str> = manifest
        .lines()
        .skip_while(|line| *line != "[dependencies]")
        .skip(1)
        .take_while(|line| !line.starts_with('['))
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once(" = "))
        .map(|(name, _)| name.strip_suffix(".workspace").unwrap_or(name))
        .collect();
    names.sort_unstable();
    let prefix = "consorcio-";
    let (ours, others): (Vec<&str>, Vec<&str>) =
        names.iter().partition(|name| name.starts_with(prefix));
    Manifest {
        ours: ours.iter().map(|name| name[prefix.len()..].to_owned()).collect(),
        others: others.iter().map(|name| (*name).to_owned()).collect(),
    }
}

/// The rows of the table of crates in a page: a crate's name, and the crates that it uses, sorted.
///
/// A row is ``| `name` | what it is | `used`, `used` |``.
pub fn table(page: &str) -> Vec<(String, Vec<String>)> {
    let row = |line: &str| {
        let cells: Vec<&str> = line.strip_prefix("| [`")?.split(" | ").collect();
        let [name, _, used] = cells[..] else { return None };
        let mut used: Vec<String> = used.split('`').skip(1).step_by(2).map(str::to_owned).collect();
        used.sort_unstable();
        Some((name.split('`').next()?.to_owned(), used))
    };
    let lines = page.lines().skip_while(|line| *line != "| crate | what it is | uses |");
    lines.take_while(|line| line.starts_with('|')).filter_map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manifests_and_tables_are_parsed() {
        let manifest = read(
            "[package]\nname = \"x\"\n[dependencies]\n# why\nserde.workspace = \
             true\nconsorcio-core.workspace = true\n\
             http = { version = \"1\" }\n\n[dev-dependencies]\ntempfile.workspace = true\n",
        );
        assert_eq!(
            (manifest.ours, manifest.others),
            (vec!["core".to_owned()], vec!["http".to_owned(), "serde".to_owned()])
        );
        let page = "| a | b |\n\n| crate | what it is | uses |\n| --- | --- | --- |\n\
                    | [`core`](x) | pure | |\n| [`node`](y) | one `bank` | `journal`, `core` \
                    |\n\n| [`z`](z) | | |\n";
        let rows = table(page);
        assert_eq!(rows.len(), 2);
        assert_eq!(rows[0], ("core".to_owned(), vec![]));
        assert_eq!(rows[1], ("node".to_owned(), vec!["core".to_owned(), "journal".to_owned()]));
    }
}
