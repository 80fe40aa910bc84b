//! Strings of a snapshot as JavaScript counts them: UTF-16 units, from JSON and back.

/// Decodes what stands between the quotation marks of a JSON string. What is no UTF-8 and no escape becomes U+FFFD, as
/// it does where a browser shows it.
pub(crate) fn decode(raw: &[u8], units: &mut Vec<u16>) {
    units.clear();
    let mut rest = raw;
    while let Some((&byte, after)) = rest.split_first() {
        if byte == b'\\' {
            rest = escape(after, units);
        } else if byte < 0x80 {
            units.push(u16::from(byte));
            rest = after;
        } else {
            rest = utf8(rest, units);
        }
    }
}

/// The same of a text that is ASCII, a byte a unit; says whether it is such a text.
pub(crate) fn decode_ascii(raw: &[u8], units: &mut Vec<u16>, text: &mut Vec<u8>) -> bool {
    if !raw.is_ascii() {
        return false;
    }
    text.clear();
    let mut rest = raw;
    while let Some(plain) = memchr::memchr(b'\\', rest) {
        text.extend_from_slice(&rest[..plain]);
        units.clear();
        rest = escape(&rest[plain + 1..], units);
        for &unit in &*units {
            match u8::try_from(unit) {
                Ok(byte) if byte.is_ascii() => text.push(byte),
                _ => return false,
            }
        }
    }
    text.extend_from_slice(rest);
    true
}

/// Appends units as the inside of a JSON string: ASCII as it is, all else as UTF-8, what JSON or UTF-8 cannot hold as
/// an escape.
pub(crate) fn encode(units: &[u16], out: &mut Vec<u8>) {
    for unit in char::decode_utf16(units.iter().copied()) {
        match unit {
            Ok('"') => out.extend_from_slice(b"\\\""),
            Ok('\\') => out.extend_from_slice(b"\\\\"),
            Ok(control @ ('\0'..' ' | '\x7f'..'\u{a0}')) => hex(control as u16, out),
            Ok(text) => out.extend_from_slice(text.encode_utf8(&mut [0; 4]).as_bytes()),
            Err(lone) => hex(lone.unpaired_surrogate(), out),
        }
    }
}

pub(crate) fn is_surrogate(unit: u16) -> bool {
    (0xd800..0xe000).contains(&unit)
}

fn hex(unit: u16, out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.extend_from_slice(b"\\u");
    for shift in [12, 8, 4, 0] {
        out.push(DIGITS[usize::from(unit >> shift & 15)]);
    }
}

/// Decodes what follows a backslash; returns what follows that.
fn escape<'a>(after: &'a [u8], units: &mut Vec<u16>) -> &'a [u8] {
    let Some((&kind, rest)) = after.split_first() else {
        units.push(u16::from(b'\\'));
        return after;
    };
    let plain = match kind {
        b'n' => b'\n',
        b't' => b'\t',
        b'r' => b'\r',
        b'b' => 8,
        b'f' => 12,
        b'u' => {
            let digits =
                rest.first_chunk::<4>().and_then(|digits| std::str::from_utf8(digits).ok());
            let unit = digits.and_then(|digits| u16::from_str_radix(digits, 16).ok());
            let Some(unit) = unit else {
                units.push(0xfffd);
                return rest;
            };
            units.push(unit);
            return &rest[4..];
        }
        0x80.. => return after,
        other => other,
    };
    units.push(u16::from(plain));
    rest
}

fn utf8<'a>(rest: &'a [u8], units: &mut Vec<u16>) -> &'a [u8] {
    let head = &rest[..rest.len().min(4)];
    let valid = match std::str::from_utf8(head) {
        Ok(text) => text,
        Err(error) => {
            let valid = &head[..error.valid_up_to()];
            if valid.is_empty() {
                units.push(0xfffd);
                return &rest[error.error_len().unwrap_or(head.len())..];
            }
            std::str::from_utf8(valid).unwrap_or_default()
        }
    };
    let Some(first) = valid.chars().next() else { return &rest[1..] };
    units.extend_from_slice(first.encode_utf16(&mut [0; 2]));
    &rest[first.len_utf8()..]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn units(raw: &[u8]) -> Vec<u16> {
        let mut units = Vec::new();
        decode(raw, &mut units);
        units
    }

    #[test]
    fn decodes_what_v8_and_others_write() {
        assert_eq!(units(br#"a\n\"\\\u00e9"#), "a\n\"\\\u{e9}".encode_utf16().collect::<Vec<_>>());
        assert_eq!(units("é😀".as_bytes()), "é😀".encode_utf16().collect::<Vec<_>>());
        assert_eq!(units(br"\ud83dx"), [0xd83d, 0x78]);
        assert_eq!(units(b"\xffx\xe2\x82"), [0xfffd, 0x78, 0xfffd]);
        assert_eq!(units(br"\u12"), [0xfffd, 0x31, 0x32]);
    }

    #[test]
    fn comes_back_as_it_was() {
        let text = [0x61, 0x22, 0x5c, 7, 0x9f, 0xe9, 0x4e00, 0xd83d, 0xde00, 0xd800, 0];
        let mut raw = Vec::new();
        encode(&text, &mut raw);
        assert_eq!(units(&raw), text);
        assert!(std::str::from_utf8(&raw).is_ok());
    }
}
