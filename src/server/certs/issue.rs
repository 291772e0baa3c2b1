//! Makes certificates and their keys, and writes them to files.

use anyhow::{Context, bail};
use consorcio_core::limits::{CERTIFICATE_CA_DAYS, CERTIFICATE_EARLY_MINUTES};
use consorcio_system::systime;
use consorcio_tls::date;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, NameConstraints, PKCS_ECDSA_P256_SHA256, SerialNumber,
};
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// What a certificate is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Both ends of links, and a bank's port.
    Bank,
    /// HTTP of a bank, by names of its own.
    Http,
    /// Lines of a person or program.
    Client,
}

/// A CA that can make certificates.
pub(super) struct Authority(Issuer<'static, KeyPair>);

impl Authority {
    /// Makes a CA, for names in `domain` if one is given. With `renew` it stands beside the one
    /// before: its certificate is appended, and its key replaces the other one.
    pub(super) fn make(
        dir: &Path,
        name: &str,
        domain: Option<&str>,
        renew: bool,
    ) -> anyhow::Result<()> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let mut params = parameters(name, &key);
        (params.not_before, params.not_after) = counts(CERTIFICATE_CA_DAYS);
        if let Some(domain) = domain {
            let permitted_subtrees = vec![GeneralSubtree::DnsName(domain.to_owned())];
            let excluded_subtrees = Vec::new();
            params.name_constraints =
                Some(NameConstraints { permitted_subtrees, excluded_subtrees });
        }
        let certificate = params.self_signed(&key)?.pem();
        let path = dir.join(format!("{name}.crt"));
        let before =
            if renew { std::fs::read_to_string(&path).unwrap_or_default() } else { String::new() };
        write(&dir.join(format!("{name}.key")), &key.serialize_pem(), renew)?;
        write(&path, &(before + &certificate), renew)
    }

    /// Reads the key of a CA.
    pub(super) fn open(dir: &Path, name: &str) -> anyhow::Result<Authority> {
        let path = dir.join(format!("{name}.key"));
        let pem = match std::fs::read_to_string(&path) {
            Ok(pem) => pem,
            Err(error) if error.kind() == ErrorKind::NotFound => bail!(
                "{} is not there; servidor certs ca makes the CAs, and --dir names their folder",
                path.display()
            ),
            Err(error) => return Err(error).with_context(|| path.display().to_string()),
        };
        let key = KeyPair::from_pem(&pem)
            .with_context(|| format!("{} holds no private key of a CA", path.display()))?;
        let params = parameters(name, &key);
        Ok(Authority(Issuer::new(params, key)))
    }

    /// Makes a key and the certificate of these names.
    pub(super) fn sign(
        &self,
        name: &str,
        names: &[String],
        purpose: Purpose,
        days: i64,
    ) -> anyhow::Result<SignedPair> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let mut params = CertificateParams::new(names.to_vec())
            .with_context(|| format!("{} is no name for a certificate", names.join(", ")))?;
        params.distinguished_name.remove(DnType::CommonName);
        params.distinguished_name.push(DnType::CommonName, name);
        (params.not_before, params.not_after) = counts(days);
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = match purpose {
            Purpose::Bank => {
                vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth]
            }
            Purpose::Http => vec![ExtendedKeyUsagePurpose::ServerAuth],
            Purpose::Client => vec![ExtendedKeyUsagePurpose::ClientAuth],
        };
        params.serial_number = Some(serial_number()?);
        let end_us = params.not_after.unix_timestamp().saturating_mul(1_000_000);
        let certificate = params.signed_by(&key, &self.0)?.pem();
        Ok(SignedPair {
            name: name.to_owned(),
            key: key.serialize_pem(),
            certificate,
            until: date(end_us),
        })
    }
}

/// A certificate and its key, in PEM, not on disk yet.
pub(super) struct SignedPair {
    name: String,
    key: String,
    certificate: String,
    /// Until when it counts, for people.
    pub(super) until: String,
}

impl SignedPair {
    /// Checks that its files are not there, unless they are to be replaced.
    pub(super) fn check(&self, dir: &Path, renew: bool) -> anyhow::Result<()> {
        [".key", ".crt"].iter().try_for_each(|end| check_new(&self.path(dir, end), renew))
    }

    /// Writes `NAME.crt` and `NAME.key`; with `renew` they replace those that are there.
    pub(super) fn write(&self, dir: &Path, renew: bool) -> anyhow::Result<()> {
        write(&self.path(dir, ".key"), &self.key, renew)?;
        write(&self.path(dir, ".crt"), &self.certificate, renew)
    }

    fn path(&self, dir: &Path, end: &str) -> PathBuf {
        dir.join(format!("{}{end}", self.name))
    }
}

/// What stands in the certificate of a CA: its name follows from its key, so that the key alone is
/// needed to make certificates.
fn parameters(name: &str, key: &KeyPair) -> CertificateParams {
    let id = blake3::hash(key.public_key_raw()).to_hex();
    let mut params = CertificateParams::default();
    params.distinguished_name.remove(DnType::CommonName);
    params.distinguished_name.push(DnType::CommonName, format!("consorcio {name} {}", &id[..16]));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

/// From when to when a certificate counts that is made now.
fn counts<T: From<SystemTime>>(days: i64) -> (T, T) {
    let now_us = u64::try_from(systime::wall_us()).unwrap_or(0);
    let now = SystemTime::UNIX_EPOCH + Duration::from_micros(now_us);
    let seconds = |number: i64, each: u64| {
        Duration::from_secs(u64::try_from(number).unwrap_or(0).saturating_mul(each))
    };
    let early = seconds(CERTIFICATE_EARLY_MINUTES, 60);
    (T::from(now - early), T::from(now + seconds(days, 24 * 3_600)))
}

/// 16 random bytes, of which the first bit is 0: a serial number is positive.
fn serial_number() -> anyhow::Result<SerialNumber> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)
        .map_err(|error| anyhow::anyhow!("the system gives no random bytes: {error}"))?;
    bytes[0] = bytes[0] & 0x7f | 0x40;
    Ok(SerialNumber::from_slice(&bytes))
}

fn check_new(path: &Path, replace: bool) -> anyhow::Result<()> {
    if !replace && std::fs::symlink_metadata(path).is_ok() {
        bail!("{} is there already, and is not overwritten; --renew replaces it", path.display());
    }
    Ok(())
}

/// Writes a file that only its owner can read, whole or not at all. Without `replace` one that is
/// there stays.
fn write(path: &Path, text: &str, replace: bool) -> anyhow::Result<()> {
    let at = || path.display().to_string();
    check_new(path, replace)?;
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let aside = path.with_file_name(name);
    // What an interrupted run left.
    let _ = std::fs::remove_file(&aside);
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&aside);
    let mut file: File = file.with_context(at)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).with_context(at)?;
    std::fs::rename(&aside, path).with_context(at)
}
