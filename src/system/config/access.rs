//! `access.toml`: what each name was granted at one bank, and which banks it trusts.
//!
//! A key before the first table is `trust`; each table is a name. Whatever is at fault is told with
//! its line, and then nothing of the file counts.

use consorcio_core::access::{Access, Grant, Name, Role};
use consorcio_core::ids::{BankId, BankSet, TaxId, Time};
use consorcio_core::limits::{ACCESS_BYTES_MAX, ACCESS_CPFS_MAX, ACCESS_NAMES_MAX};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use toml::Spanned;
use toml::de::{DeTable, DeValue};
use toml::value::Datetime;

/// The name of the file in the folder of `--tls`.
pub const ACCESS_FILE: &str = "access.toml";

/// Why the file does not count.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// The file is not there, is no file, or can't be read.
    #[error("{0} can't be read: {1}")]
    Io(PathBuf, io::Error),
    /// The file is too long, or no text.
    #[error("{0} must be a UTF-8 text of at most {ACCESS_BYTES_MAX} bytes")]
    NoText(PathBuf),
    /// A line is at fault.
    #[error("{0}:{1}: {2}")]
    Line(PathBuf, usize, AccessFault),
}

/// What is at fault in a line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AccessFault {
    /// The text does not follow the grammar of TOML, or has a name twice.
    #[error("this is no TOML: {0}")]
    NoToml(String),
    /// A key before the first table that has no meaning.
    #[error("{0} is no key of this file: it has trust, and a table for each name, like [titular1]")]
    UnknownKey(String),
    /// A table whose name is no legal name.
    #[error("[{0}] is no name: {1}")]
    BadName(String, String),
    /// A key of a table that has no meaning.
    #[error("{0} is no key of a name: those are roles, cpf, since and gone")]
    UnknownField(String),
    /// A role that does not exist.
    #[error("there is no role {0}: give holder, teller, writer, auditor or operator")]
    UnknownRole(String),
    /// A role that a bank would have.
    #[error("{0} is a bank: its table has since alone")]
    RolesOfBank(Name),
    /// A value of another type.
    #[error("{0} must be a list of texts, like {1}")]
    NoList(&'static str, &'static str),
    /// A tax number that is none.
    #[error("cpf {0} is no tax number: give 11 digits, or for companies 14 of A-Z and 0-9")]
    BadCpf(String),
    /// A day that is none.
    #[error("{0} must be a day, like 2026-11-28 without quotes")]
    NoDay(&'static str),
    /// A position that is none.
    #[error("trust must be a list of positions of banks from 0 to 15, like [1, 2]")]
    BadTrust,
    /// More than a bank keeps.
    #[error("more than {0} {1} are not possible")]
    TooMany(usize, &'static str),
}

/// A fault, and the offset of the text that is at fault.
type Faulty<T> = Result<T, (usize, AccessFault)>;

/// Reads the file of this path.
///
/// # Errors
/// If it can't be read, or a line of it is at fault.
pub fn read_access(path: &Path) -> Result<Access, AccessError> {
    let fault = |error| AccessError::Io(path.to_owned(), error);
    // To open a pipe is to wait for whoever writes to it.
    if !std::fs::metadata(path).map_err(fault)?.is_file() {
        return Err(AccessError::NoText(path.to_owned()));
    }
    let mut bytes = Vec::new();
    let most = u64::try_from(ACCESS_BYTES_MAX).unwrap_or(u64::MAX);
    File::open(path).map_err(fault)?.take(most + 1).read_to_end(&mut bytes).map_err(fault)?;
    let text = String::from_utf8(bytes).ok().filter(|text| text.len() <= ACCESS_BYTES_MAX);
    let text = text.ok_or_else(|| AccessError::NoText(path.to_owned()))?;
    parse_access(&text).map_err(|(line, fault)| AccessError::Line(path.to_owned(), line, fault))
}

/// Reads the file's text.
///
/// # Errors
/// The first line that is at fault, and why.
pub fn parse_access(text: &str) -> Result<Access, (usize, AccessFault)> {
    let line = |offset: usize| text.get(..offset).unwrap_or(text).matches('\n').count() + 1;
    let table = DeTable::parse(text).map_err(|error| {
        let offset = error.span().map_or(0, |span| span.start);
        (line(offset), AccessFault::NoToml(error.message().to_owned()))
    })?;
    let mut keys: Vec<_> = table.get_ref().iter().collect();
    keys.sort_by_key(|(key, _)| key.span().start);
    let (mut grants, mut trust) = (Vec::new(), BankSet::EMPTY);
    for (key, value) in keys {
        let name: &str = key.get_ref();
        let at = key.span().start;
        let read = match value.get_ref() {
            DeValue::Table(own) => read_grant(name, at, own).map(|grant| grants.push(grant)),
            _ if name == "trust" => banks(at, value).map(|banks| trust = banks),
            _ => Err((at, AccessFault::UnknownKey(name.to_owned()))),
        };
        read.map_err(|(offset, fault)| (line(offset), fault))?;
        if grants.len() > ACCESS_NAMES_MAX {
            return Err((line(at), AccessFault::TooMany(ACCESS_NAMES_MAX, "names")));
        }
    }
    // The grammar allows no table twice.
    let twice = |name: Name| (1, AccessFault::NoToml(format!("{name} is there twice")));
    Access::new(grants, trust).map_err(twice)
}

fn read_grant(name: &str, at: usize, table: &DeTable<'_>) -> Faulty<Grant> {
    let bad = |why: &dyn std::fmt::Display| AccessFault::BadName(name.to_owned(), why.to_string());
    let mut grant = Grant::of(Name::new(name).map_err(|why| (at, bad(&why)))?);
    for (key, value) in table {
        let at = key.span().start;
        match key.get_ref().as_ref() {
            "roles" | "cpf" if grant.name.as_bank().is_some() => {
                return Err((at, AccessFault::RolesOfBank(grant.name)));
            }
            "roles" => {
                for word in words(at, "roles", "[\"holder\"]", value)? {
                    let role = Role::parse(word);
                    let role = role.ok_or((at, AccessFault::UnknownRole(word.to_owned())))?;
                    grant.roles = grant.roles.with(role);
                }
            }
            "cpf" => {
                for word in words(at, "cpf", "[\"11111111111\"]", value)? {
                    let cpf = TaxId::new(word);
                    grant.cpfs.push(cpf.map_err(|_| (at, AccessFault::BadCpf(word.to_owned())))?);
                }
                if grant.cpfs.len() > ACCESS_CPFS_MAX {
                    return Err((at, AccessFault::TooMany(ACCESS_CPFS_MAX, "cpf")));
                }
            }
            "since" => grant.since = Some(day(at, "since", value)?),
            "gone" => grant.gone = day(at, "gone", value).map(|_| true)?,
            other => return Err((at, AccessFault::UnknownField(other.to_owned()))),
        }
    }
    Ok(grant)
}

fn words<'v>(
    at: usize,
    key: &'static str,
    example: &'static str,
    value: &'v Spanned<DeValue<'_>>,
) -> Faulty<Vec<&'v str>> {
    let fault = || (at, AccessFault::NoList(key, example));
    let DeValue::Array(items) = value.get_ref() else { return Err(fault()) };
    let word = |item: &'v Spanned<DeValue<'_>>| match item.get_ref() {
        DeValue::String(text) => Ok(&**text),
        _ => Err(fault()),
    };
    items.iter().map(word).collect()
}

fn banks(at: usize, value: &Spanned<DeValue<'_>>) -> Faulty<BankSet> {
    let fault = || (at, AccessFault::BadTrust);
    let DeValue::Array(items) = value.get_ref() else { return Err(fault()) };
    let bank = |item: &Spanned<DeValue<'_>>| match item.get_ref() {
        DeValue::Integer(number) => {
            let position = usize::from_str_radix(number.as_str(), number.radix()).ok();
            position.and_then(BankId::new).ok_or_else(fault)
        }
        _ => Err(fault()),
    };
    items.iter().map(bank).collect()
}

/// The first moment of a day, in UTC.
fn day(at: usize, key: &'static str, value: &Spanned<DeValue<'_>>) -> Faulty<Time> {
    let fault = || (at, AccessFault::NoDay(key));
    let DeValue::Datetime(Datetime { date: Some(date), time: None, offset: None }) =
        value.get_ref()
    else {
        return Err(fault());
    };
    Time::of_day(i32::from(date.year), date.month, date.day).ok_or_else(fault)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &str) -> (usize, AccessFault) {
        parse_access(text).expect_err(text)
    }

    #[test]
    fn each_name_gets_what_its_table_says() {
        let text = "trust = [1, 0x2]\n\n[titular1]\nroles = [\"holder\", \"writer\"]\n\
            cpf = [\"11111111111\", \"12345678000199\"]\nsince = 2026-11-28\n\
            [ana]\ngone = 2026-12-01\n[bank-1]\nsince = 1970-01-02\n[caixa-0]\n";
        let access = parse_access(text).expect("a right file");
        let titular = access.grant("titular1").expect("it is listed");
        assert_eq!(titular.roles, [Role::Holder, Role::Writer].into_iter().collect());
        assert_eq!(titular.cpfs.len(), 2);
        assert_eq!(titular.since, Some(Time(1_795_824_000_000_000)));
        assert!(access.grant("ana").is_some_and(|grant| grant.gone) && !access.lists("ana"));
        assert_eq!(
            access.grant("bank-1").and_then(|grant| grant.since),
            Some(Time(86_400_000_000))
        );
        assert_eq!(access.grants().len(), 4);
        let trusted: Vec<usize> =
            (0..16).filter(|at| BankId::new(*at).is_some_and(|bank| access.trusts(bank))).collect();
        assert_eq!(trusted, [1, 2]);
        assert_eq!(parse_access("").expect("an empty file"), Access::default());
    }

    #[test]
    fn a_fault_is_told_with_its_line() {
        for (text, line, begin) in [
            ("[a]\nroles = [\"holder\",\n\"boss\"]", 2, "there is no role boss: give holder,"),
            ("[a]\n[b]\n[a]\n", 3, "this is no TOML: "),
            ("[a]\nroles = \n", 2, "this is no TOML: "),
            ("[a]\nroles = []\nroles = []\n", 3, "this is no TOML: "),
            ("[a]\n[Ana]\n", 2, "[Ana] is no name: "),
            ("[bank-99]\n", 1, "[bank-99] is no name: "),
            ("[a]\nrole = []\n", 2, "role is no key of a name"),
            ("[a]\nroles = \"holder\"\n", 2, "roles must be a list of texts"),
            ("[a]\ncpf = [11111111111]\n", 2, "cpf must be a list of texts"),
            ("[a]\ncpf = [\"1\"]\n", 2, "cpf 1 is no tax number"),
            ("[a]\nsince = \"2026-11-28\"\n", 2, "since must be a day"),
            ("[a]\nsince = 2026-11-28T00:00:00Z\n", 2, "since must be a day"),
            ("[a]\ngone = true\n", 2, "gone must be a day"),
            ("\ntrust = [16]\n", 2, "trust must be a list of positions"),
            ("trust = 1\n", 1, "trust must be a list of positions"),
            ("titular1 = 1\n", 1, "titular1 is no key of this file"),
            ("[bank-1]\nroles = [\"operator\"]\n", 2, "bank-1 is a bank"),
            ("[a.b]\n", 1, "b is no key of a name"),
        ] {
            let (at, why) = fault(text);
            assert_eq!(at, line, "{text:?}: {why}");
            assert!(why.to_string().starts_with(begin), "{text:?}: {why}");
        }
    }

    #[test]
    fn the_file_is_bounded() {
        let many: String = (0..=ACCESS_NAMES_MAX).map(|n| format!("[a{n}]\n")).collect();
        assert_eq!(fault(&many).1, AccessFault::TooMany(ACCESS_NAMES_MAX, "names"));
        let cpfs = vec!["\"11111111111\""; ACCESS_CPFS_MAX + 1].join(",");
        let text = format!("[a]\ncpf = [{cpfs}]\n");
        assert_eq!(fault(&text), (2, AccessFault::TooMany(ACCESS_CPFS_MAX, "cpf")));
    }

    #[test]
    fn what_is_no_readable_file_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(ACCESS_FILE);
        let read = || read_access(&path).expect_err("no access").to_string();
        assert!(read().contains("can't be read"));
        std::fs::write(&path, [0xff, 0xfe]).expect("a file");
        assert!(read().contains("must be a UTF-8 text"));
        std::fs::write(&path, vec![b'#'; ACCESS_BYTES_MAX + 1]).expect("a file");
        assert!(read().contains("must be a UTF-8 text"));
        std::fs::write(&path, "[a]\n\n[b]\nroles = [\"x\"]\n").expect("a file");
        let text = read();
        assert!(
            text.ends_with(
                "access.toml:4: there is no role x: give holder, teller, writer, \
            auditor or operator"
            ),
            "{text}"
        );
        assert!(read_access(folder.path()).expect_err("a folder").to_string().contains("UTF-8"));
        std::fs::write(&path, "trust = [0]\n").expect("a file");
        assert!(read_access(&path).expect("a right file").trusts(BankId::new(0).expect("a bank")));
    }
}
