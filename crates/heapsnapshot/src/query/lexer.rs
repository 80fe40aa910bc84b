//! The words of a condition, each with its place in the text.

use super::parser::QueryError;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Word {
    /// A name of a field, a word such as `and`, or a text without quotation marks.
    Bare(String),
    Quoted(String),
    /// An expression and its flags.
    Regex(String, String),
    /// A number with what is written at its end: a unit, or nothing.
    Number(f64, String),
    /// `@123`.
    Id(u64),
    /// `<`, `and` as `&&`, a bracket …
    Sign(&'static str),
    End,
}

#[derive(Clone, Debug)]
pub(super) struct Token {
    pub(super) word: Word,
    /// In bytes.
    pub(super) at: usize,
    pub(super) end: usize,
}

/// The longer ones first.
const SIGNS: [&str; 14] =
    ["<=", ">=", "!=", "==", "!~", "&&", "||", "<", ">", "=", "~", "!", "(", ")"];

pub(super) fn tokens(text: &str) -> Result<Vec<Token>, QueryError> {
    let mut tokens = Vec::new();
    let mut at = 0;
    loop {
        at += text[at..].len() - text[at..].trim_start().len();
        let (word, length) = next(text, at)?;
        let is_end = word == Word::End;
        tokens.push(Token { word, at, end: at + length });
        at += length;
        if is_end {
            return Ok(tokens);
        }
    }
}

fn next(text: &str, at: usize) -> Result<(Word, usize), QueryError> {
    let rest = &text[at..];
    let Some(first) = rest.chars().next() else { return Ok((Word::End, 0)) };
    if let Some(sign) = SIGNS.into_iter().find(|sign| rest.starts_with(sign)) {
        return Ok((Word::Sign(sign), sign.len()));
    }
    match first {
        '\'' | '"' => {
            let Some((quoted, length)) = quoted(rest, first) else {
                return Err(QueryError::new(text, at, format!("{first} is never closed")));
            };
            Ok((Word::Quoted(quoted), length))
        }
        '/' => {
            let Some((expression, length)) = quoted(rest, '/') else {
                return Err(QueryError::new(text, at, "/ is never closed".to_owned()));
            };
            let flags = leading(&rest[length..], |c| c.is_ascii_alphabetic());
            Ok((Word::Regex(expression, flags.to_owned()), length + flags.len()))
        }
        '@' => {
            let digits = leading(&rest[1..], |c| c.is_ascii_digit());
            match digits.parse() {
                Ok(id) => Ok((Word::Id(id), 1 + digits.len())),
                Err(_) => {
                    let what = "expected an object's id such as @123".to_owned();
                    Err(QueryError::new(text, at, what))
                }
            }
        }
        '0'..='9' => {
            let digits = leading(rest, |c| c.is_ascii_digit() || matches!(c, '.' | '_'));
            let Ok(value) = digits.replace('_', "").parse() else {
                return Err(QueryError::new(text, at, format!("'{digits}' is no number")));
            };
            let after = &rest[digits.len()..];
            let gap = after.len() - after.trim_start().len();
            let unit = leading(&after[gap..], |c| c.is_ascii_alphabetic());
            // `1 MB`, but `1 and`: only a unit belongs to the number.
            if super::parser::unit(unit).is_some() {
                return Ok((Word::Number(value, unit.to_owned()), digits.len() + gap + unit.len()));
            }
            let unit = if gap == 0 { unit } else { "" };
            Ok((Word::Number(value, unit.to_owned()), digits.len() + unit.len()))
        }
        c if is_bare(c) => {
            let word = leading(rest, is_bare);
            Ok((Word::Bare(word.to_owned()), word.len()))
        }
        other => Err(QueryError::new(text, at, format!("'{other}' means nothing here"))),
    }
}

fn is_bare(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '$' | '.' | '-' | ':')
}

fn leading(text: &str, fits: impl Fn(char) -> bool) -> &str {
    &text[..text.find(|c| !fits(c)).unwrap_or(text.len())]
}

/// What stands between two marks, and how long it is with them. A backslash keeps a mark from
/// closing; before anything else it stands for itself.
fn quoted(text: &str, mark: char) -> Option<(String, usize)> {
    let mut inner = String::new();
    let mut chars = text.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        match c {
            _ if c == mark => return Some((inner, at + c.len_utf8())),
            '\\' if chars.peek().is_some_and(|&(_, next)| next == mark) => {
                inner.push(mark);
                chars.next();
            }
            _ => inner.push(c),
        }
    }
    None
}
