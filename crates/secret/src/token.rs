//! The token by which somebody is known: an agent, a node, an operator.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// Shorter ones can be guessed.
const CHARS_MIN: usize = 16;
/// Longer ones are no tokens.
const CHARS_MAX: usize = 1_024;

/// A secret that is compared in a time that tells nothing about it.
pub struct Token(Zeroizing<Box<[u8]>>);

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token")
    }
}

impl Token {
    /// Reads the file, or makes it with a new token that only its owner can read.
    pub fn open(file: &Path) -> io::Result<Self> {
        match fs::read_to_string(file).map(Zeroizing::new) {
            Ok(text) => Self::checked(&text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::make(file),
            Err(error) => Err(error),
        }
    }

    fn make(file: &Path) -> io::Result<Self> {
        if let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            fs::create_dir_all(folder)?;
        }
        let token = Zeroizing::new(format!(
            "{:032x}{:032x}",
            rand::random::<u128>(),
            rand::random::<u128>()
        ));
        let mut options = OpenOptions::new();
        let made = options.write(true).create_new(true).mode(0o600).open(file);
        let mut made = made?;
        made.write_all(token.as_bytes())?;
        made.write_all(b"\n")?;
        Self::checked(&token)
    }

    fn checked(text: &str) -> io::Result<Self> {
        let token = text.trim();
        let visible = token.bytes().all(|b| b.is_ascii_graphic());
        if !visible || !(CHARS_MIN..=CHARS_MAX).contains(&token.len()) {
            let rule =
                format!("holds no token: one line of {CHARS_MIN} to {CHARS_MAX} visible ASCII characters");
            return Err(io::Error::new(io::ErrorKind::InvalidData, rule));
        }
        Ok(Self(Zeroizing::new(token.as_bytes().into())))
    }

    /// Whether another file holds the same.
    pub fn same_as(&self, other: &Self) -> bool {
        self.is(&other.0)
    }

    /// Whether it is this one.
    pub fn is(&self, sent: &[u8]) -> bool {
        self.0.ct_eq(sent).into()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_token_is_made_once_for_its_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("var/agent.token");
        Token::open(&file).unwrap();
        let text = fs::read_to_string(&file).unwrap();
        assert_eq!(text.trim().len(), 64, "{text}");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        let token = Token::open(&file).unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), text);
        assert!(token.is(text.trim().as_bytes()));
        for wrong in ["", "x", &text, &text.trim()[1..], &format!("{}0", text.trim())] {
            assert!(!token.is(wrong.as_bytes()), "{wrong:?}");
        }
    }

    #[test]
    fn a_file_without_a_token_is_refused_and_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("agent.token");
        for text in [
            "",
            "\n",
            "short",
            "two words are no token",
            "a\u{e9}bcdefghijklmnop",
        ] {
            fs::write(&file, text).unwrap();
            assert!(Token::open(&file).is_err(), "{text:?}");
            assert_eq!(fs::read_to_string(&file).unwrap(), text);
        }
    }
}
