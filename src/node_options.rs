//! `--diagnostic-dir`, read as Node.js reads it: it has no public function that says what an option is set to.

/// The directory that Node.js was told for its own files. `node_options`: the variable's value; `arguments`:
/// `process.execArgv` of the thread. What comes last holds, and the command line comes after the variable (`node.cc`).
pub(crate) fn diagnostic_directory(node_options: &str, arguments: &[String]) -> Option<String> {
    let from_variable = || last_value(&split(node_options));
    last_value(arguments).or_else(from_variable)
}

fn last_value(words: &[String]) -> Option<String> {
    const NAME: &str = "--diagnostic-dir";
    let mut value = None;
    for (index, word) in words.iter().enumerate() {
        let (name, given) =
            word.split_once('=').map_or((&**word, None), |(name, given)| (name, Some(given)));
        // Underscores stand for dashes (`node_options-inl.h`).
        if name.replace('_', "-") == NAME {
            value = given.or_else(|| words.get(index + 1).map(String::as_str));
        }
    }
    // Node.js does not start with an empty one.
    value.filter(|value| !value.is_empty()).map(str::to_owned)
}

/// Words are apart by spaces; between double quotes a space is one of the word's, and a backslash is before a character
/// that is meant as it stands (`ParseNodeOptionsEnvVar` of `node_options.cc`).
fn split(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quoted = false;
    let mut rest = text.chars();
    while let Some(mut character) = rest.next() {
        match character {
            '"' => {
                quoted = !quoted;
                continue;
            }
            ' ' if !quoted => {
                words.extend(word.take());
                continue;
            }
            '\\' if quoted => character = rest.next().unwrap_or('\\'),
            _ => {}
        }
        word.get_or_insert_default().push(character);
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory(node_options: &str, arguments: &[&str]) -> Option<String> {
        let arguments: Vec<_> = arguments.iter().map(|&word| word.to_owned()).collect();
        diagnostic_directory(node_options, &arguments)
    }

    #[test]
    fn both_forms_are_read_and_the_last_one_holds() {
        assert_eq!(directory("", &["--diagnostic-dir=a"]).as_deref(), Some("a"));
        assert_eq!(directory("", &["--diagnostic-dir", "a", "-e", "1"]).as_deref(), Some("a"));
        assert_eq!(
            directory("", &["--diagnostic_dir=a", "--diagnostic-dir=b=c"]).as_deref(),
            Some("b=c")
        );
        assert_eq!(directory("", &["--diagnostic-directory=a", "--diagnostic-dir"]), None);
    }

    #[test]
    fn the_command_line_comes_after_the_variable() {
        assert_eq!(directory("--diagnostic-dir=a", &[]).as_deref(), Some("a"));
        assert_eq!(directory("--diagnostic-dir=a", &["--diagnostic-dir=b"]).as_deref(), Some("b"));
    }

    #[test]
    fn the_variable_is_quoted_as_node_does() {
        assert_eq!(directory(r#"--diagnostic-dir="/a b""#, &[]).as_deref(), Some("/a b"));
        assert_eq!(
            directory(r#"--no-warnings "--diagnostic-dir" "a\"b\\""#, &[]).as_deref(),
            Some(r#"a"b\"#)
        );
        assert_eq!(directory(r"--diagnostic-dir=C:\a --inspect", &[]).as_deref(), Some(r"C:\a"));
    }
}
