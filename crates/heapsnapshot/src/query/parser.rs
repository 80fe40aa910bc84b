//! From text to a condition.
//!
//! ```text
//! condition  = all { "or" all }
//! all        = one { "and" one }
//! one        = "not" one | "(" condition ")" | "detached" | field sign value
//! ```

use super::condition::{Condition, NumberField, Order, Term, TextField};
use super::lexer::{Token, Word, tokens};
use super::pattern::Pattern;

/// Why a text is no condition, with the place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}\n  {text}\n  {}^", " ".repeat(*column))]
pub struct QueryError {
    message: String,
    text: String,
    /// In characters, from 0.
    column: usize,
}

/// So many brackets and `not` may be within each other.
const DEEPEST: usize = 100;

const FIELDS: &str = "shallow, retained, distance, edges, id, name, class, kind or detached";

impl QueryError {
    pub(super) fn new(text: &str, at: usize, message: String) -> Self {
        let before = text.get(..at).unwrap_or(text);
        // A line feed would move what the mark points at.
        let text = text.replace(|c: char| c.is_control(), " ");
        QueryError { message, text, column: before.chars().count() }
    }

    /// What is wrong, in a line.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Where, in characters from 0.
    #[must_use]
    pub fn column(&self) -> usize {
        self.column
    }
}

impl std::str::FromStr for Condition {
    type Err = QueryError;

    fn from_str(text: &str) -> Result<Self, QueryError> {
        let mut parser = Parser { text, tokens: tokens(text)?, next: 0, depth: 0 };
        let term = parser.condition()?;
        match parser.peek().word {
            Word::End => Ok(Condition(term)),
            _ => Err(parser.expected("'and' or 'or'")),
        }
    }
}

/// How many bytes a unit stands for: as DevTools, 1 kB is 1000 bytes.
pub(super) fn unit(name: &str) -> Option<f64> {
    Some(match name.to_ascii_lowercase().as_str() {
        "b" => 1.0,
        "k" | "kb" => 1e3,
        "m" | "mb" => 1e6,
        "g" | "gb" => 1e9,
        "kib" => 1024.0,
        "mib" => 1024.0 * 1024.0,
        "gib" => 1024.0 * 1024.0 * 1024.0,
        _ => return None,
    })
}

struct Parser<'a> {
    text: &'a str,
    /// At least the end.
    tokens: Vec<Token>,
    next: usize,
    depth: usize,
}

impl Parser<'_> {
    fn condition(&mut self) -> Result<Term, QueryError> {
        let mut term = self.all()?;
        while self.take_word("or") || self.take_sign("||") {
            term = Term::Or(Box::new(term), Box::new(self.all()?));
        }
        Ok(term)
    }

    fn all(&mut self) -> Result<Term, QueryError> {
        let mut term = self.one()?;
        while self.take_word("and") || self.take_sign("&&") {
            term = Term::And(Box::new(term), Box::new(self.one()?));
        }
        Ok(term)
    }

    fn one(&mut self) -> Result<Term, QueryError> {
        self.depth += 1;
        if self.depth > DEEPEST {
            let message = format!("more than {DEEPEST} brackets within each other");
            return Err(QueryError::new(self.text, self.peek().at, message));
        }
        let term = if self.take_word("not") || self.take_sign("!") {
            Term::Not(Box::new(self.one()?))
        } else if self.take_sign("(") {
            let term = self.condition()?;
            if !self.take_sign(")") {
                return Err(self.expected("')'"));
            }
            term
        } else {
            self.comparison()?
        };
        self.depth -= 1;
        Ok(term)
    }

    fn comparison(&mut self) -> Result<Term, QueryError> {
        let Word::Bare(name) = self.peek().word.clone() else {
            return Err(self.expected(&format!("a field: {FIELDS}")));
        };
        let number = |parser: &mut Self, field| {
            parser.next += 1;
            parser.number(&name, field)
        };
        let text = |parser: &mut Self, field| {
            parser.next += 1;
            parser.pattern(&name, field)
        };
        match name.to_ascii_lowercase().as_str() {
            "shallow" => number(self, NumberField::Shallow),
            "retained" => number(self, NumberField::Retained),
            "distance" => number(self, NumberField::Distance),
            "edges" => number(self, NumberField::Edges),
            "id" => number(self, NumberField::Id),
            "name" => text(self, TextField::Name),
            "class" => text(self, TextField::Class),
            "kind" => text(self, TextField::Kind),
            "detached" => {
                self.next += 1;
                self.detached()
            }
            _ => Err(self.wrong(&format!("there is no field '{name}': expected {FIELDS}"))),
        }
    }

    fn number(&mut self, name: &str, field: NumberField) -> Result<Term, QueryError> {
        const SIGNS: [(&str, Order); 7] = [
            ("<", Order::Less),
            ("<=", Order::AtMost),
            ("=", Order::Equal),
            ("==", Order::Equal),
            ("!=", Order::Unequal),
            (">=", Order::AtLeast),
            (">", Order::More),
        ];
        let found = SIGNS.into_iter().find(|&(sign, _)| self.take_sign(sign));
        let Some((_, order)) = found else {
            return Err(self.expected(&format!("<, <=, =, !=, >= or > after '{name}'")));
        };
        let is_size = matches!(field, NumberField::Shallow | NumberField::Retained);
        let value = match (self.peek().word.clone(), field) {
            (Word::Id(id), NumberField::Id) =>
            {
                #[expect(clippy::cast_precision_loss, reason = "compared as JavaScript does")]
                Some(id as f64)
            }
            (Word::Number(value, name), _) if name.is_empty() => Some(value),
            (Word::Number(value, name), _) if is_size => unit(&name).map(|unit| value * unit),
            _ => None,
        };
        let Some(value) = value else {
            return Err(self.expected(match field {
                NumberField::Id => "an object's id such as @123",
                _ if is_size => "a size such as 1MB, 64KiB or 500",
                _ => "a number",
            }));
        };
        self.next += 1;
        Ok(Term::Compare(field, order, value))
    }

    fn pattern(&mut self, name: &str, field: TextField) -> Result<Term, QueryError> {
        let signs = ["=", "==", "~", "!=", "!~"];
        let Some(sign) = signs.into_iter().find(|sign| self.take_sign(sign)) else {
            return Err(self.expected(&format!("=, !=, ~ or !~ after '{name}'")));
        };
        let exact = |text: &str| {
            if sign.ends_with('~') { Pattern::contains(text) } else { Pattern::is(text) }
        };
        let pattern = match &self.peek().word {
            Word::Quoted(text) | Word::Bare(text) => exact(text),
            Word::Regex(expression, flags) => {
                Pattern::matches(expression, flags).map_err(|message| self.wrong(&message))?
            }
            _ => return Err(self.expected("a text such as 'Session' or /^Sess/i")),
        };
        self.next += 1;
        let term = Term::Text(field, pattern);
        Ok(if sign.starts_with('!') { Term::Not(Box::new(term)) } else { term })
    }

    /// `detached` alone, or with `= true` or `= false`.
    fn detached(&mut self) -> Result<Term, QueryError> {
        let signs = ["=", "==", "!="];
        let Some(sign) = signs.into_iter().find(|sign| self.take_sign(sign)) else {
            return Ok(Term::Detached);
        };
        let yes = if self.take_word("true") {
            true
        } else if self.take_word("false") {
            false
        } else {
            return Err(self.expected("true or false"));
        };
        let is_plain = yes == (sign != "!=");
        Ok(if is_plain { Term::Detached } else { Term::Not(Box::new(Term::Detached)) })
    }

    fn peek(&self) -> &Token {
        // The last one is the end, and nothing goes beyond it.
        let last = self.tokens.len() - 1;
        &self.tokens[self.next.min(last)]
    }

    fn take_word(&mut self, word: &str) -> bool {
        let taken =
            matches!(&self.peek().word, Word::Bare(text) if text.eq_ignore_ascii_case(word));
        self.next += usize::from(taken);
        taken
    }

    fn take_sign(&mut self, sign: &str) -> bool {
        let taken = matches!(self.peek().word, Word::Sign(found) if found == sign);
        self.next += usize::from(taken);
        taken
    }

    fn wrong(&self, message: &str) -> QueryError {
        QueryError::new(self.text, self.peek().at, message.to_owned())
    }

    fn expected(&self, what: &str) -> QueryError {
        let token = self.peek();
        let found = match token.word {
            Word::End => "the end".to_owned(),
            _ => format!("'{}'", self.text.get(token.at..token.end).unwrap_or_default()),
        };
        self.wrong(&format!("expected {what}, found {found}"))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]

    use super::*;

    fn error(text: &str) -> (String, usize) {
        let error = text.parse::<Condition>().unwrap_err();
        (error.message().to_owned(), error.column())
    }

    #[test]
    fn all_forms_are_read() {
        for text in [
            "retained > 1MB and edges > 100",
            "shallow<=1.5 KiB or (distance >= 3 && not detached)",
            "class ~ Session and name != 'it\\'s' and kind = closure",
            "id = @27 || id = 27 or class = /^A\\/b$/i",
            "!detached = false and detached != true",
            "RETAINED > 1_000_000 AND Kind = \"object\"",
        ] {
            text.parse::<Condition>().unwrap();
        }
    }

    #[test]
    fn errors_say_what_was_expected_and_where() {
        let size = "expected a size such as 1MB, 64KiB or 500, found";
        assert_eq!(error("retained > x"), (format!("{size} 'x'"), 11));
        assert_eq!(error("retained > 5 apples").0, "expected 'and' or 'or', found 'apples'");
        assert_eq!(error("retained > 5apples"), (format!("{size} '5apples'"), 11));
        assert_eq!(error("edges > 1MB").0, "expected a number, found '1MB'");
        assert_eq!(error("ümlaut = 1 and").1, 0);
        assert_eq!(error("class = 'é' and retaind > 1").1, 16);
        assert_eq!(error("class > 5").0, "expected =, !=, ~ or !~ after 'class', found '>'");
        assert_eq!(error("(edges > 1").0, "expected ')', found the end");
        assert_eq!(error("name = 'x").0, "' is never closed");
        assert_eq!(error("").0, format!("expected a field: {FIELDS}, found the end"));
        assert_eq!(error("id = @x").0, "expected an object's id such as @123");
        assert_eq!(error("class = /(/").1, 8);
        assert_eq!(error("edges # 1"), ("'#' means nothing here".to_owned(), 6));
        assert!(error(&"(".repeat(9999)).0.contains("brackets"));
        let shown = "retained > x".parse::<Condition>().unwrap_err().to_string();
        assert!(shown.ends_with("\n  retained > x\n             ^"), "{shown}");
    }
}
