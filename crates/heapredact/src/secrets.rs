//! What looks like a secret. Names that do are not kept, and the audit counts what does.

/// What a text looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Family {
    /// `somebody@example.org`.
    Mail,
    /// A token that says by its beginning whose it is: `ghp_…`, `AKIA…`, `eyJ…`.
    Token,
    /// A private key or a certificate in PEM, an age identity.
    Key,
    /// 13 to 19 digits with Luhn's check digit.
    Card,
    /// Eight digits or more: a telephone number, an account.
    Digits,
    /// Sixteen hexadecimal digits or more.
    Hex,
    /// `password=…`, a URL with a password, `Bearer …`.
    Credential,
    /// A word that nobody thought of: many digits and capitals in no order.
    Entropy,
}

impl Family {
    /// All of them.
    pub const ALL: [Family; 8] = [
        Family::Mail,
        Family::Token,
        Family::Key,
        Family::Card,
        Family::Digits,
        Family::Hex,
        Family::Credential,
        Family::Entropy,
    ];

    /// As reports say it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Family::Mail => "mail",
            Family::Token => "token",
            Family::Key => "key",
            Family::Card => "card",
            Family::Digits => "digits",
            Family::Hex => "hex",
            Family::Credential => "credential",
            Family::Entropy => "entropy",
        }
    }
}

/// Looks for what a family is known by.
type Look = fn(&str) -> bool;

/// What a text looks like, first the family that says most; `None` for what looks harmless.
#[must_use]
pub fn family(text: &str) -> Option<Family> {
    // Most texts lack what a family cannot do without, which costs one look at each byte.
    let (mut digits, mut signs) = (0, [false; 3]);
    for byte in text.bytes() {
        digits += usize::from(byte.is_ascii_digit());
        signs[0] |= byte == b'-';
        signs[1] |= byte == b'@';
        signs[2] |= matches!(byte, b'=' | b':' | b' ');
    }
    let long = |length: usize| text.len() >= length;
    let found: [(Family, bool, Look); 8] = [
        (Family::Key, signs[0], is_key),
        (Family::Token, long(SHORTEST_ODD), has_token),
        (Family::Credential, signs[2], has_credential),
        (Family::Mail, signs[1], has_mail),
        (Family::Card, digits >= 13, has_card),
        (Family::Hex, long(16) && digits >= 2, |text| {
            runs(text, |byte| byte.is_ascii_hexdigit()).any(is_hex)
        }),
        (Family::Digits, digits >= 8, |text| {
            runs(text, |byte| byte.is_ascii_digit()).any(|run| run.len() >= 8)
        }),
        (Family::Entropy, long(20) && digits >= 1, |text| runs(text, is_token_byte).any(is_random)),
    ];
    found.iter().find(|(_, may_be, is)| *may_be && is(text)).map(|(family, ..)| *family)
}

/// Whether a name may be one that code gave, as far as its letters tell. Stricter than [`family`]: to hide a name is no
/// harm, to show a secret is.
pub(crate) fn is_innocent(name: &str) -> bool {
    let digits_in_all = digits(name);
    name.len() <= 120
        && family(name).is_none()
        && (digits_in_all < 6
            || !runs(name, |byte| byte.is_ascii_digit()).any(|run| run.len() >= 6))
        && (digits_in_all < 2
            || !runs(name, |byte| byte.is_ascii_hexdigit())
                .any(|run| run.len() >= 8 && digits(run) >= 2))
        && (name.len() < SHORTEST_ODD || !runs(name, is_token_byte).any(is_odd))
}

/// Whether a name is one of those that [`is_innocent`] need not look at: a short identifier without digits.
pub(crate) fn is_plain_identifier(name: &[u8]) -> bool {
    (1..SHORTEST_ODD).contains(&name.len())
        && name.iter().all(|&byte| byte.is_ascii_alphabetic() || byte == b'_' || byte == b'$')
}

/// Nothing shorter is a token, or odd.
const SHORTEST_ODD: usize = 12;

const TOKENS: [&str; 32] = [
    "ghp_",
    "gho_",
    "ghu_",
    "ghs_",
    "ghr_",
    "github_pat_",
    "glpat-",
    "sk_live_",
    "sk_test_",
    "pk_live_",
    "rk_live_",
    "sk-",
    "xoxb-",
    "xoxp-",
    "xoxa-",
    "xoxr-",
    "xoxs-",
    "AKIA",
    "ASIA",
    "AIza",
    "ya29.",
    "npm_",
    "SG.",
    "shpat_",
    "whsec_",
    "hvs.",
    "dop_v1_",
    "eyJ",
    "AGE-SECRET-KEY-",
    "pypi-",
    "dckr_pat_",
    "sq0",
];

fn has_token(text: &str) -> bool {
    let bytes = text.as_bytes();
    let is_token = |rest: &[u8]| {
        let (mut length, mut marked) = (0, false);
        for &byte in rest.iter().take_while(|&&byte| is_token_byte(byte) || byte == b'.') {
            length += 1;
            marked |= byte.is_ascii_digit() || byte.is_ascii_uppercase();
        }
        length >= 10 && marked
    };
    // A token begins where a word does.
    (0..bytes.len().saturating_sub(10)).any(|at| {
        (at == 0 || !bytes[at - 1].is_ascii_alphanumeric())
            && TOKENS.iter().any(|token| {
                bytes[at] == token.as_bytes()[0]
                    && bytes[at..].strip_prefix(token.as_bytes()).is_some_and(is_token)
            })
    })
}

fn is_key(text: &str) -> bool {
    text.contains("PRIVATE KEY-----") || text.contains("AGE-SECRET-KEY-1")
}

fn has_credential(text: &str) -> bool {
    const WORDS: [&str; 9] = [
        "password",
        "passwd",
        "secret",
        "token",
        "apikey",
        "api_key",
        "api-key",
        "authorization",
        "pwd",
    ];
    let lower = text.to_ascii_lowercase();
    let valued = |word: &str| {
        lower.match_indices(word).any(|(at, _)| {
            let rest = lower[at + word.len()..].trim_start_matches(['"', '\'', ' ']);
            let Some(value) = rest.strip_prefix(['=', ':']) else { return false };
            let value = value.trim_start_matches(['"', '\'', ' ']);
            value
                .bytes()
                .take_while(|&byte| byte > b' ' && !b"\"'&;,(){}[]".contains(&byte))
                .count()
                >= 6
        })
    };
    let in_url = || {
        lower.match_indices("://").any(|(at, _)| {
            let authority = lower[at + 3..].split(['/', ' ', '?', '#']).next().unwrap_or_default();
            authority
                .split_once('@')
                .is_some_and(|(user, host)| user.contains(':') && !host.is_empty())
        })
    };
    let bearer = || {
        ["bearer ", "basic "].iter().any(|word| {
            lower.match_indices(word).any(|(at, _)| {
                let mut rest = lower[at + word.len()..]
                    .bytes()
                    .take_while(|&byte| is_token_byte(byte) || byte == b'.');
                rest.by_ref().take(16).filter(u8::is_ascii_alphanumeric).count() >= 16
            })
        })
    };
    WORDS.iter().any(|word| valued(word)) || in_url() || bearer()
}

fn has_mail(text: &str) -> bool {
    let part = |byte: u8| byte.is_ascii_alphanumeric() || b"._%+-".contains(&byte);
    text.match_indices('@').any(|(at, _)| {
        let user = text[..at].bytes().rev().take_while(|&byte| part(byte)).count();
        let host = text[at + 1..].bytes().take_while(|&byte| part(byte)).count();
        let host = text.get(at + 1..at + 1 + host).unwrap_or_default();
        let top = host.trim_end_matches('.').rsplit_once('.').map_or("", |(_, top)| top);
        user >= 1 && top.len() >= 2 && top.bytes().all(|byte| byte.is_ascii_alphabetic())
    })
}

/// Digits, in groups or not.
fn has_card(text: &str) -> bool {
    let mut rest = text;
    while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
        rest = &rest[start..];
        let length = rest
            .bytes()
            .take_while(|byte| byte.is_ascii_digit() || matches!(byte, b' ' | b'-'))
            .count();
        let (run, after) = rest.split_at(length);
        let digits: Vec<u32> = run.chars().filter_map(|c| c.to_digit(10)).collect();
        if (13..=19).contains(&digits.len())
            && luhn(&digits)
            && digits.iter().any(|&digit| digit != digits[0])
        {
            return true;
        }
        rest = after;
    }
    false
}

fn luhn(digits: &[u32]) -> bool {
    let doubled = |(at, &digit): (usize, &u32)| match (at % 2, digit) {
        (0, digit) => digit,
        (_, 5..) => digit * 2 - 9,
        _ => digit * 2,
    };
    digits.iter().rev().enumerate().map(doubled).sum::<u32>().is_multiple_of(10)
}

fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'+' | b'/' | b'=' | b'$')
}

fn is_hex(run: &str) -> bool {
    run.len() >= 16 && digits(run) >= 2
}

/// Letters and digits as chance has them.
fn is_random(run: &str) -> bool {
    let often = |percent| changes(run) * 100 >= run.len() * percent;
    run.len() >= 20 && (digits(run) >= 1 && often(50) || digits(run) >= 3 && often(42))
}

/// The same, with less to go by: no name is so.
fn is_odd(run: &str) -> bool {
    let length = run.len();
    let often = |percent| changes(run) * 100 >= length * percent;
    length >= SHORTEST_ODD && (often(55) || digits(run) >= 3 && often(35))
        || length >= 16 && !run.is_empty() && is_unspeakable(run)
}

/// Seven consonants on end; abbreviations of code are shorter.
fn is_unspeakable(run: &str) -> bool {
    let mut consonants = 0;
    run.bytes().any(|byte| {
        let is_vowel = matches!(byte, b'a' | b'e' | b'i' | b'o' | b'u' | b'y');
        consonants = if byte.is_ascii_lowercase() && !is_vowel { consonants + 1 } else { 0 };
        consonants >= 7
    })
}

fn digits(run: &str) -> usize {
    run.bytes().filter(u8::is_ascii_digit).count()
}

/// How often small letters, capitals and digits take turns.
fn changes(run: &str) -> usize {
    let kind = |byte: u8| match byte {
        b'a'..=b'z' => 1,
        b'A'..=b'Z' => 2,
        b'0'..=b'9' => 3,
        _ => 0,
    };
    let bytes = run.as_bytes();
    bytes
        .windows(2)
        .filter(|pair| kind(pair[0]) != kind(pair[1]) && kind(pair[0]) * kind(pair[1]) != 0)
        .count()
}

fn runs(text: &str, belongs: fn(u8) -> bool) -> impl Iterator<Item = &str> {
    text.split(move |c: char| !c.is_ascii() || !belongs(c as u8)).filter(|run| !run.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_secrets() {
        for (text, expected) in [
            ("write to ann.smith+x@mail.example.org!", Family::Mail),
            ("ghp_16C7e42F292c6912E7710c838347Ae178B4a", Family::Token),
            ("token eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc", Family::Token),
            ("-----BEGIN RSA PRIVATE KEY-----", Family::Key),
            ("4111 1111 1111 1111", Family::Card),
            ("call 0049301234567", Family::Digits),
            ("postgres://app:hunter22@db/x", Family::Credential),
            ("password=hunter22", Family::Credential),
            ("0f1e2d3c4b5a69788796a5b4c3d2e1f0", Family::Hex),
            ("q7Zx9TbW2mKc4VfR8sLd", Family::Entropy),
        ] {
            assert_eq!(family(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn leaves_ordinary_text_alone() {
        for text in [
            "hello world",
            "getOwnPropertyDescriptors",
            "2026-07-31",
            "/usr/lib/node_modules/x.js",
            "v22.1.0",
            "a@b",
        ] {
            assert_eq!(family(text), None, "{text}");
        }
    }

    #[test]
    fn names_of_code_are_innocent() {
        for name in [
            "kMaxEventTargetListenersWarned",
            "SafePromiseAllReturnVoid",
            "Int32Array",
            "sha512_256",
            "XMLHttpRequest",
            "AliasedBigInt64Array",
            "UV_UDP_REUSEADDR",
            "base64urlWrite",
            "HTTP2ServerRequest",
            "ERR_HTTP2_INVALID_HEADER_VALUE",
            "CallFunction_ReceiverIsNotNullOrUndefined_Baseline_Compact",
            "getUint8Array",
            "deadbeef",
            "x509CertificateFields",
        ] {
            assert!(is_innocent(name), "{name}");
        }
    }

    #[test]
    fn names_made_of_data_are_not() {
        for name in [
            "m0f1e2d3c4b5a6978",
            "user_1234567",
            "a1b2c3d4",
            "k3jH9xQ2mZ7w",
            "xkqpwzvbtrmnfghj",
            "ann@example.org",
        ] {
            assert!(!is_innocent(name), "{name}");
        }
    }
}
