//! Texts of an image, harmless on a terminal and on one line.

use core::fmt::{Display, Formatter, Result, Write};

/// Shows bytes up to the first zero.
pub struct Text<'a>(
    /// As they are in the image.
    pub &'a [u8],
);

impl Display for Text<'_> {
    fn fmt(&self, to: &mut Formatter<'_>) -> Result {
        let end = self.0.iter().position(|&byte| byte == 0).unwrap_or(self.0.len());
        for chunk in self.0.get(..end).unwrap_or_default().utf8_chunks() {
            for character in chunk.valid().chars() {
                if character.is_control() {
                    write!(to, "{}", character.escape_default())?;
                } else {
                    to.write_char(character)?;
                }
            }
            for byte in chunk.invalid() {
                write!(to, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

/// Shows bytes as hexadecimal digits.
pub struct Hex<'a>(
    /// Any.
    pub &'a [u8],
);

impl Display for Hex<'_> {
    fn fmt(&self, to: &mut Formatter<'_>) -> Result {
        self.0.iter().try_for_each(|byte| write!(to, "{byte:02x}"))
    }
}
