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
    family_of(text, &Signs::of(text))
}

fn family_of(text: &str, signs: &Signs) -> Option<Family> {
    let long = |length: usize| text.len() >= length;
    let found: [(Family, bool, Look); 8] = [
        (Family::Key, signs.dash, is_key),
        (Family::Token, long(SHORTEST_ODD), has_token),
        (Family::Credential, signs.assigns || signs.space && long(22), has_credential),
        (Family::Mail, signs.at, has_mail),
        (Family::Card, signs.digits >= 13, has_card),
        (Family::Hex, long(16) && signs.digits >= 2, |text| {
            runs(text, |byte| byte.is_ascii_hexdigit()).any(is_hex)
        }),
        (Family::Digits, signs.digits >= 8, |text| {
            runs(text, |byte| byte.is_ascii_digit()).any(|run| run.len() >= 8)
        }),
        (Family::Entropy, long(20) && signs.digits >= 1, |text| {
            runs(text, is_token_byte).any(is_random)
        }),
    ];
    found.iter().find(|(_, may_be, is)| *may_be && is(text)).map(|(family, ..)| *family)
}

/// What a family cannot do without, which most texts lack: one look at each byte.
struct Signs {
    digits: usize,
    dash: bool,
    at: bool,
    /// `=` or `:`.
    assigns: bool,
    space: bool,
}

impl Signs {
    fn of(text: &str) -> Signs {
        let (mut digits, mut seen) = (0, 0);
        for byte in text.bytes() {
            let sign = SIGNS[usize::from(byte)];
            digits += usize::from(sign & 1);
            seen |= sign;
        }
        let has = |sign: u8| seen & sign != 0;
        Signs { digits, dash: has(2), at: has(4), assigns: has(8), space: has(16) }
    }
}

const SIGNS: [u8; 256] = {
    let mut signs = [0; 256];
    let mut digit = b'0';
    while digit <= b'9' {
        signs[digit as usize] = 1;
        digit += 1;
    }
    signs[b'-' as usize] = 2;
    signs[b'@' as usize] = 4;
    signs[b'=' as usize] = 8;
    signs[b':' as usize] = 8;
    signs[b' ' as usize] = 16;
    signs
};

/// Whether a name may be one that code gave, as far as its letters tell. Stricter than [`family`]: to hide a name is no
/// harm, to show a secret is.
pub(crate) fn is_innocent(name: &str) -> bool {
    let signs = Signs::of(name);
    name.len() <= 120
        && family_of(name, &signs).is_none()
        && (signs.digits < 6 || !runs(name, |byte| byte.is_ascii_digit()).any(|run| run.len() >= 6))
        && (signs.digits < 2
            || !runs(name, |byte| byte.is_ascii_hexdigit())
                .any(|run| run.len() >= 8 && digits(run) >= 2))
        && (name.len() < SHORTEST_ODD || !has_odd(name))
}

/// Whether a name is one of those that [`is_innocent`] need not look at: a short identifier without digits.
pub(crate) fn is_plain_identifier(name: &[u8]) -> bool {
    (1..SHORTEST_ODD).contains(&name.len())
        && name.iter().all(|&byte| byte.is_ascii_alphabetic() || byte == b'_' || byte == b'$')
}

/// Nothing shorter is a token, or odd.
const SHORTEST_ODD: usize = 12;

/// How tokens begin that begin with this letter.
fn tokens(first: u8) -> &'static [&'static str] {
    match first {
        b'g' => &["ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-"],
        b's' => &["sk_live_", "sk_test_", "sk-", "shpat_", "sq0"],
        b'p' => &["pk_live_", "pypi-"],
        b'r' => &["rk_live_"],
        b'x' => &["xoxb-", "xoxp-", "xoxa-", "xoxr-", "xoxs-"],
        b'A' => &["AKIA", "ASIA", "AIza", "AGE-SECRET-KEY-"],
        b'y' => &["ya29."],
        b'n' => &["npm_"],
        b'S' => &["SG."],
        b'w' => &["whsec_"],
        b'h' => &["hvs."],
        b'd' => &["dop_v1_", "dckr_pat_"],
        b'e' => &["eyJ"],
        _ => &[],
    }
}

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
            && tokens(bytes[at])
                .iter()
                .any(|token| bytes[at..].strip_prefix(token.as_bytes()).is_some_and(is_token))
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
    let valued = |lower: &str, word: &str| {
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
    let in_url = |lower: &str| {
        lower.match_indices("://").any(|(at, _)| {
            let authority = lower[at + 3..].split(['/', ' ', '?', '#']).next().unwrap_or_default();
            authority
                .split_once('@')
                .is_some_and(|(user, host)| user.contains(':') && !host.is_empty())
        })
    };
    let assigns = || {
        let lower = text.to_ascii_lowercase();
        WORDS.iter().any(|word| valued(&lower, word)) || in_url(&lower)
    };
    text.bytes().any(|byte| matches!(byte, b'=' | b':')) && assigns() || has_bearer(text)
}

/// `Bearer`, or `Basic`, and sixteen letters and digits on end.
fn has_bearer(text: &str) -> bool {
    let bytes = text.as_bytes();
    let ends_with = |text: &[u8], word: &[u8]| {
        text.len() >= word.len() && text[text.len() - word.len()..].eq_ignore_ascii_case(word)
    };
    memchr::memchr_iter(b' ', bytes).any(|at| {
        (ends_with(&bytes[..at], b"bearer") || ends_with(&bytes[..at], b"basic"))
            && bytes[at + 1..].iter().take_while(|byte| byte.is_ascii_alphanumeric()).count() >= 16
    })
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

const fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'+' | b'/' | b'=' | b'$')
}

fn is_hex(run: &[u8]) -> bool {
    run.len() >= 16 && digits(run) >= 2
}

/// Letters and digits as chance has them.
fn is_random(run: &[u8]) -> bool {
    let often = |percent| changes(run) * 100 >= run.len() * percent;
    run.len() >= 20 && (digits(run) >= 1 && often(50) || digits(run) >= 3 && often(42))
}

/// The same of any run of a name, with less to go by: no name is so, or has seven consonants on end; abbreviations of code are shorter.
fn has_odd(name: &str) -> bool {
    let mut run = Run::default();
    name.bytes().any(|byte| run.is_ended_by(byte)) || run.is_odd()
}

#[derive(Default)]
struct Run {
    length: u32,
    digits: u32,
    /// How often small letters, capitals and digits take turns.
    changes: u32,
    before: u8,
    consonants: u32,
    is_unspeakable: bool,
}

impl Run {
    /// Whether it is one, and odd, that ends here.
    #[inline]
    fn is_ended_by(&mut self, byte: u8) -> bool {
        let what = BYTES[usize::from(byte)];
        if what == 0 {
            return std::mem::take(self).is_odd();
        }
        let kind = what & 7;
        self.length += 1;
        self.digits += u32::from(what & DIGIT != 0);
        self.changes += u32::from(kind != self.before && kind != 0 && self.before != 0);
        self.before = kind;
        self.consonants = if what & CONSONANT != 0 { self.consonants + 1 } else { 0 };
        self.is_unspeakable |= self.consonants >= 7;
        false
    }

    fn is_odd(&self) -> bool {
        let often = |percent| self.changes * 100 >= self.length * percent;
        self.length as usize >= SHORTEST_ODD && (often(55) || self.digits >= 3 && often(35))
            || self.length >= 16 && self.is_unspeakable
    }
}

/// What a token may be made of: a small letter, a capital, a digit, or something else.
const BYTES: [u8; 256] = {
    let mut bytes = [0; 256];
    let mut byte = 0_u8;
    while byte < 0x80 {
        bytes[byte as usize] = match byte {
            b'a' | b'e' | b'i' | b'o' | b'u' | b'y' => 1,
            b'a'..=b'z' => 1 | CONSONANT,
            b'A'..=b'Z' => 2,
            b'0'..=b'9' => DIGIT,
            byte if is_token_byte(byte) => 8,
            _ => 0,
        };
        byte += 1;
    }
    bytes
};
const DIGIT: u8 = 4;
const CONSONANT: u8 = 16;

fn digits(run: &[u8]) -> usize {
    run.iter().filter(|byte| byte.is_ascii_digit()).count()
}

/// How often small letters, capitals and digits take turns.
fn changes(run: &[u8]) -> usize {
    let kind = |byte: u8| match byte {
        b'a'..=b'z' => 1_u8,
        b'A'..=b'Z' => 2,
        b'0'..=b'9' => 4,
        _ => 0,
    };
    let mut before = 0;
    run.iter()
        .filter(|&&byte| {
            let kind = kind(byte);
            let differs = kind != before && kind != 0 && before != 0;
            before = kind;
            differs
        })
        .count()
}

fn runs(text: &str, belongs: impl Fn(u8) -> bool) -> impl Iterator<Item = &[u8]> {
    text.as_bytes().split(move |&byte| !belongs(byte)).filter(|run| !run.is_empty())
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
