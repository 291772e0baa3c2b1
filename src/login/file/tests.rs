//! Tests of the file of credentials.

use super::*;
use std::os::unix::fs::PermissionsExt as _;

const HOUR: i64 = 3_600 * 1_000_000;

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

#[test]
fn tokens_and_passwords_are_kept_and_none_is_readable() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("credentials.toml");
    assert_eq!(Credentials::read(&path).unwrap(), Credentials::default());
    let (secret, hash) = (Secret::generate().unwrap(), "$argon2id$v=19$m=1,t=1,p=1$a$b");
    Credentials::change(&path, |all| {
        all.add_token(&secret, name("caixa1"), Time(HOUR), Time(3 * HOUR));
        all.set_password(name("ana"), hash.into(), Time(2 * HOUR));
    })
    .unwrap();
    let read = Credentials::read(&path).unwrap();
    let of = |now| read.of_token(&secret, Time(now)).map(|of| (of.value.to_string(), of.made));
    assert_eq!(of(HOUR), Some(("caixa1".into(), Time(HOUR))));
    assert_eq!((of(3 * HOUR - 1).is_some(), of(3 * HOUR)), (true, None), "it expires");
    assert_eq!(read.of_token(&Secret::generate().unwrap(), Time(HOUR)), None);
    assert_eq!(read.password_of(&name("ana")), Some(Dated { value: hash, made: Time(2 * HOUR) }));
    assert_eq!(read.password_of(&name("caixa1")), None);
    assert_eq!(read.tokens_of(&name("caixa1")).collect::<Vec<_>>(), [(Time(HOUR), Time(3 * HOUR))]);
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(!text.contains(&secret.reveal()), "{text}");
    let mode = std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);

    let removed = Credentials::change(&path, |all| all.remove_tokens(&name("caixa1"))).unwrap();
    assert_eq!((removed, Credentials::read(&path).unwrap().tokens.len()), (1, 0));
    assert_eq!(Credentials::change(&path, |all| all.remove_password(&name("ana"))).unwrap(), 1);
    // The next token takes the place of those that have expired.
    Credentials::change(&path, |all| {
        all.add_token(&secret, name("caixa1"), Time(HOUR), Time(2 * HOUR));
        all.add_token(&Secret::generate().unwrap(), name("b"), Time(2 * HOUR), Time(3 * HOUR));
    })
    .unwrap();
    assert_eq!(Credentials::read(&path).unwrap().tokens.len(), 1);
}

#[test]
fn changes_at_once_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = &folder.path().join("credentials.toml");
    std::thread::scope(|scope| {
        for number in 0..8 {
            scope.spawn(move || {
                let secret = Secret::generate().unwrap();
                let name = name(&format!("n{number}x"));
                Credentials::change(path, |all| all.add_token(&secret, name, Time(0), Time(HOUR)))
                    .unwrap();
            });
        }
    });
    assert_eq!(Credentials::read(path).unwrap().tokens.len(), 8);
}

#[test]
fn a_file_that_makes_no_sense_is_refused_with_words() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("credentials.toml");
    let read = |text: &str, mode: u32| {
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        Credentials::read(&path).map_err(|error| error.to_string())
    };
    let digits = "0".repeat(64);
    let token = format!(
        "[[token]]\nname = \"ana\"\nfingerprint = \"{digits}\"\n\
         made = 2026-11-30T21:00:00Z\nexpires = 2026-12-30T21:00:00Z\n"
    );
    assert!(read(&token, 0o600).is_ok());
    for (text, mode, expected) in [
        (token.clone(), 0o640, "chmod 600"),
        (token.clone(), 0o602, "chmod 600"),
        (token.replace("ana", "Ana"), 0o600, "line 2"),
        (token.replace("name", "nome"), 0o600, "nome"),
        (token.replace(&digits, "00"), 0o600, "64 hex digits"),
        (token.replace("21:00:00Z", "21:00:00"), 0o600, "no time in UTC"),
        (format!("{token}{token}"), 0o600, "twice"),
        ("[[password]]\nname=\"a\"\nhash=\"x\"\nmade=2026-11-30T21:00:00Z".into(), 0o600, "argon2"),
        ("[[token]\n".into(), 0o600, "line 1"),
        ("#".repeat(CREDENTIALS_BYTES_MAX + 1), 0o600, "longer than"),
    ] {
        let error = read(&text, mode).expect_err(&text[..text.len().min(300)]);
        assert!(error.contains(expected), "{expected:?} in {error}");
        let unchanged = Credentials::change(&path, |_| ());
        assert!(unchanged.is_err(), "a file that can't be read is not written over");
    }
}
