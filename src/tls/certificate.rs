//! What stands in a certificate: its one name, and the times between which it counts.

use consorcio_core::access::{Name, Principal};
use consorcio_core::ids::BankId;
use rustls::pki_types::CertificateDer;

/// The domain of a consortium's names; `internal` is reserved for private use.
pub const DOMAIN: &str = "consorcio.internal";
/// The domain of the names of people and programs.
pub const CLIENT_DOMAIN: &str = "client.consorcio.internal";

/// The DNS name in the certificate of a bank.
pub fn bank_host(bank: BankId) -> String {
    format!("{}.{DOMAIN}", Name::of_bank(bank))
}

/// What this program reads of a certificate. It has no signature, so it proves nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// Its DNS names, in their order.
    pub names: Vec<String>,
    /// When it begins to count, in microseconds since 1970.
    pub begin_us: i64,
    /// When it counts no more, in microseconds since 1970.
    pub end_us: i64,
}

impl Certificate {
    /// Reads a certificate; `None` if it is none.
    pub fn read(der: &CertificateDer<'_>) -> Option<Certificate> {
        let end_entity = webpki::EndEntityCert::try_from(der).ok()?;
        let names = end_entity.valid_dns_names().map(str::to_owned).collect();
        let (begin_us, end_us) = validity(der)?;
        Some(Certificate { names, begin_us, end_us })
    }

    /// Whose certificate it is: the one DNS name tells it. `None` for several, or any other name.
    pub fn principal(&self) -> Option<Principal> {
        let [name] = self.names.as_slice() else { return None };
        if let Some(client) = name.strip_suffix(CLIENT_DOMAIN).and_then(|n| n.strip_suffix('.')) {
            // A bank is never a client, whatever its certificate says.
            let name = Name::new(client).ok().filter(|name| name.as_bank().is_none());
            return name.map(Principal::Named);
        }
        let bank = name.strip_suffix(DOMAIN)?.strip_suffix('.')?;
        Some(Principal::Bank(Name::new(bank).ok()?.as_bank()?))
    }

    /// Its names as one text.
    pub(crate) fn named(&self) -> String {
        if self.names.is_empty() { "no name".to_owned() } else { self.names.join(", ") }
    }
}

/// A time in microseconds since 1970, for people.
pub fn date(us: i64) -> String {
    let time = jiff::Timestamp::from_second(us.div_euclid(1_000_000));
    time.map_or_else(|_| us.to_string(), |time| time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string())
}

/// The times of `Validity`, the fifth part of a certificate (RFC 5280, 4.1).
fn validity(certificate: &[u8]) -> Option<(i64, i64)> {
    const SEQUENCE: u8 = 0x30;
    const VERSION: u8 = 0xa0;
    const SERIAL: u8 = 0x02;
    let mut outer = certificate;
    let mut whole = value(&mut outer, SEQUENCE)?;
    let mut signed = value(&mut whole, SEQUENCE)?;
    value(&mut signed, VERSION)?;
    value(&mut signed, SERIAL)?;
    value(&mut signed, SEQUENCE)?;
    value(&mut signed, SEQUENCE)?;
    let mut validity = value(&mut signed, SEQUENCE)?;
    Some((time(&mut validity)?, time(&mut validity)?))
}

/// Takes the value with this tag from the beginning of `der`.
fn value<'a>(der: &mut &'a [u8], tag: u8) -> Option<&'a [u8]> {
    let (found, rest) = der.split_first()?;
    let (first, mut rest) = rest.split_first()?;
    let mut length = usize::from(*first);
    if length >= 0x80 {
        // The number of bytes of the length; a certificate has less than 64 KiB.
        let (digits, after) = rest.split_at_checked(length - 0x80).filter(|(d, _)| d.len() <= 2)?;
        length = digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit));
        rest = after;
    }
    let (value, after) = rest.split_at_checked(length)?;
    *der = after;
    (*found == tag).then_some(value)
}

/// Takes a `UTCTime` or `GeneralizedTime`, both in UTC with seconds; in microseconds since 1970.
fn time(der: &mut &[u8]) -> Option<i64> {
    const UTC_TIME: u8 = 0x17;
    const GENERALIZED_TIME: u8 = 0x18;
    let tag = *der.first()?;
    let text = std::str::from_utf8(value(der, tag)?).ok()?.strip_suffix('Z')?;
    let text = match tag {
        // RFC 5280: two digits from 50 on are of the last century.
        UTC_TIME if text.get(..2)? < "50" => format!("20{text}"),
        UTC_TIME => format!("19{text}"),
        GENERALIZED_TIME => text.to_owned(),
        _ => return None,
    };
    let time = jiff::Timestamp::strptime("%Y%m%d%H%M%S%z", text + "+0000").ok()?;
    Some(time.as_microsecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(names: &[&str]) -> Option<Principal> {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        Certificate { names, begin_us: 0, end_us: 0 }.principal()
    }

    #[test]
    fn one_name_tells_whose_certificate_it_is() {
        let named = |name: &str| Some(Principal::Named(Name::new(name).expect("a name")));
        assert_eq!(
            of(&["bank-2.consorcio.internal"]),
            Some(Principal::Bank(BankId::new(2).unwrap()))
        );
        assert_eq!(of(&["titular1.client.consorcio.internal"]), named("titular1"));
        assert_eq!(of(&["caixa1-2.client.consorcio.internal"]), named("caixa1-2"));
        for none in [
            &[][..],
            &["bank-2.client.consorcio.internal"],
            &["titular1.consorcio.internal"],
            &["bank-16.consorcio.internal"],
            &["a.bank-2.consorcio.internal"],
            &["a.b.client.consorcio.internal"],
            &["bank-2.consorcio.internal.example"],
            &["xbank-2xconsorcio.internal"],
            &["bank-2.consorcio.internal", "bank-1.consorcio.internal"],
            &["Bank-2.consorcio.internal"],
        ] {
            assert_eq!(of(none), None, "{none:?}");
        }
    }

    #[test]
    fn times_are_read_in_both_forms() {
        let read = |tag: u8, text: &str| {
            let mut der = vec![tag, u8::try_from(text.len()).unwrap()];
            der.extend_from_slice(text.as_bytes());
            time(&mut der.as_slice()).map(date)
        };
        assert_eq!(read(0x17, "261130202900Z").as_deref(), Some("2026-11-30 20:29:00 UTC"));
        assert_eq!(read(0x17, "500101000000Z").as_deref(), Some("1950-01-01 00:00:00 UTC"));
        assert_eq!(read(0x18, "20510101000000Z").as_deref(), Some("2051-01-01 00:00:00 UTC"));
        for bad in ["2611302029Z", "261130202900", "269930202900Z", "", "é61130202900Z"] {
            assert_eq!(read(0x17, bad), None, "{bad}");
        }
        assert_eq!(read(0x16, "261130202900Z"), None);
    }

    #[test]
    fn what_is_no_certificate_is_none() {
        for bad in [&b""[..], b"\x30", b"\x30\x80", b"\x30\x82\xff\xff", b"\x30\x84\0\0\0\x01\0"] {
            assert_eq!(validity(bad), None, "{bad:?}");
            assert_eq!(Certificate::read(&CertificateDer::from(bad)), None);
        }
    }
}
