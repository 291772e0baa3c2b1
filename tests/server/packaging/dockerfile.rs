//! The part of a Dockerfile's grammar that is used here: comments, continued lines, stages.

use std::collections::BTreeMap;

/// A Dockerfile as its stages.
pub(super) struct Dockerfile {
    pub(super) stages: Vec<ImageStage>,
}

/// One stage: its base image, its name, and its instructions in order.
#[derive(Debug)]
pub(super) struct ImageStage {
    pub(super) from: String,
    pub(super) name: String,
    instructions: Vec<(String, String)>,
}

impl Dockerfile {
    #[track_caller]
    pub(super) fn parse(text: &str) -> Dockerfile {
        let mut stages: Vec<ImageStage> = Vec::new();
        for line in joined(text) {
            let (word, rest) = line.split_once(' ').unwrap_or((&line, ""));
            let rest = rest.trim().to_owned();
            if word == "FROM" {
                let words: Vec<&str> = rest.split_whitespace().collect();
                let name = if words.get(1) == Some(&"AS") { words[2] } else { "" };
                let (from, name) = (words[0].to_owned(), name.to_owned());
                stages.push(ImageStage { from, name, instructions: Vec::new() });
                continue;
            }
            assert!(word.bytes().all(|byte| byte.is_ascii_uppercase()), "no instruction: {line}");
            let stage = stages.last_mut().expect("FROM comes first");
            stage.instructions.push((word.to_owned(), rest));
        }
        Dockerfile { stages }
    }

    fn last(&self) -> &ImageStage {
        self.stages.last().expect("a stage")
    }

    /// The words of an instruction of the last stage in JSON form, which no shell parses.
    pub(super) fn json(&self, instruction: &str) -> Vec<String> {
        exec_form(&self.last().word(instruction))
    }

    /// The words of the health check.
    pub(super) fn health(&self) -> Vec<String> {
        let line = self.last().word("HEALTHCHECK");
        exec_form(line.split_once("CMD ").expect("HEALTHCHECK … CMD").1)
    }

    /// The variables that the image sets.
    pub(super) fn variables(&self) -> BTreeMap<String, String> {
        let lines = self.last().find("ENV");
        let pair = |line: &String| {
            let (name, value) = line.split_once('=').expect("NAME=value");
            (name.to_owned(), value.to_owned())
        };
        lines.iter().map(pair).collect()
    }
}

impl ImageStage {
    /// What follows each instruction of this kind.
    pub(super) fn find(&self, instruction: &str) -> Vec<String> {
        let found = self.instructions.iter().filter(|(word, _)| word == instruction);
        found.map(|(_, rest)| rest.clone()).collect()
    }

    /// What follows the last instruction of this kind; empty without one.
    pub(super) fn word(&self, instruction: &str) -> String {
        self.find(instruction).pop().unwrap_or_default()
    }
}

#[track_caller]
fn exec_form(text: &str) -> Vec<String> {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// The lines without comments, with continued ones joined.
fn joined(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut continues = false;
    for line in text.lines().map(str::trim) {
        if line.starts_with('#') || line.is_empty() {
            continue;
        }
        let (part, more) = match line.strip_suffix('\\') {
            Some(part) => (part.trim_end(), true),
            None => (line, false),
        };
        match lines.last_mut().filter(|_| continues) {
            Some(last) => *last = format!("{last} {part}"),
            None => lines.push(part.to_owned()),
        }
        continues = more;
    }
    lines
}
