//! `NODE_HEAPDUMP_OPTIONS`: parsed literally here, carried out elsewhere.

use crate::filename::NamePattern;
use crate::snapshot::{Compression, Content, Embed};
use heapcrypt::{RecipientError, Recipients};

/// What the variable says. Later tokens win; what nobody said is `None` or `false`.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct EnvironmentOptions {
    /// `signal`, `nosignal`, `signal=NAME`: the signal to answer; `Off` for none.
    pub(crate) signal: SignalChoice,
    /// `nofork`: snapshots are taken in process.
    pub(crate) in_process: bool,
    /// `fallback=inline`: a dump that nobody awaits may be taken in process when no child can be forked.
    pub(crate) fallback_inline: bool,
    /// `plain`: forked children take snapshots with V8 as it is (see `process::NameBuffers`), all of this process.
    pub(crate) plain: bool,
    /// Where files go that have no directory of their own; relative to the current directory of their time.
    pub(crate) directory: Option<String>,
    /// Who said so; `None` for nobody.
    pub(crate) directory_from: Option<DirectorySource>,
    /// `name=`: what files are called that have no name of their own.
    pub(crate) name: Option<NamePattern>,
    /// `gzip`, `zstd`.
    pub(crate) compression: Option<Compression>,
    /// `image`, `snapshot`: what the dumps are.
    pub(crate) image: bool,
    /// `low-memory=image`: an image where a snapshot would be refused for memory.
    pub(crate) image_if_no_memory: bool,
    /// `embed=all`.
    pub(crate) embed: Embed,
    /// `redact`, `redact=paths`: what all that this process writes is without.
    pub(crate) redact: Option<Hidden>,
    /// `encrypt=age1…`, which may be said again: who may read what this process writes.
    pub(crate) encrypt: Option<Result<Recipients, RecipientError>>,
    /// `workers`: one signal dumps every thread that has loaded the package.
    pub(crate) workers: bool,
    /// `announce`, `quiet`: whether dumps that nobody awaits are announced on standard error.
    pub(crate) announce: Option<bool>,
    /// Words of `heapdump-rs/register` with their values, in order; it checks them.
    pub(crate) automatic: Vec<(String, String)>,
    /// Tokens that mean nothing, in order.
    pub(crate) unrecognized: Vec<String>,
}

/// What is hidden.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Hidden {
    Texts,
    /// The paths of scripts too.
    Paths,
}

impl Hidden {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Hidden::Texts => "texts",
            Hidden::Paths => "paths",
        }
    }
}

/// Which signal asks for a dump.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SignalChoice {
    #[default]
    Usr2,
    Usr1,
    Hup,
    Quit,
    Off,
}

/// Who says where files go that have no directory of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DirectorySource {
    /// `dir=`.
    Ours,
    /// Node's `--diagnostic-dir`.
    Node,
}

impl DirectorySource {
    pub(crate) fn name(self) -> &'static str {
        match self {
            DirectorySource::Ours => "dir=",
            DirectorySource::Node => "--diagnostic-dir",
        }
    }
}

/// What `heapdump-rs/register` understands besides (`lib/register.js`).
const AUTOMATIC: [&str; 12] = [
    "oom",
    "threshold",
    "rss",
    "external",
    "cgroup",
    "growth",
    "every",
    "cooldown",
    "interval",
    "max",
    "keep",
    "report",
];

impl SignalChoice {
    fn from_name(name: &str) -> Option<SignalChoice> {
        Some(match name {
            "SIGUSR2" => SignalChoice::Usr2,
            "SIGUSR1" => SignalChoice::Usr1,
            "SIGHUP" => SignalChoice::Hup,
            "SIGQUIT" => SignalChoice::Quit,
            _ => return None,
        })
    }

    /// Its name; `None` for none.
    pub(crate) fn name(self) -> Option<&'static str> {
        Some(match self {
            SignalChoice::Usr2 => "SIGUSR2",
            SignalChoice::Usr1 => "SIGUSR1",
            SignalChoice::Hup => "SIGHUP",
            SignalChoice::Quit => "SIGQUIT",
            SignalChoice::Off => return None,
        })
    }
}

/// Splits as node-heapdump's `index.js` does (`split(/\s*,\s*/)`: white space around commas goes, outer white space
/// stays) and reads each token.
pub(crate) fn parse(text: &str) -> EnvironmentOptions {
    let mut options = EnvironmentOptions::default();
    for token in split(text) {
        let known = match token.split_once('=') {
            None => options.set_word(token),
            Some(("name", pattern)) => {
                match NamePattern::parse(pattern) {
                    Ok(pattern) => options.name = Some(pattern),
                    Err(why) => options.unrecognized.push(format!("{token} ({why})")),
                }
                true
            }
            // What is none may be a secret key, and what is not recognized is printed.
            Some(("encrypt", text)) => {
                if let Err(why) = options.encrypt_to(text) {
                    options.unrecognized.push(format!("encrypt=… ({why})"));
                }
                true
            }
            Some((name, value)) => options.set_value(name, value),
        };
        if !known {
            options.unrecognized.push(token.to_owned());
        }
    }
    options
}

impl EnvironmentOptions {
    /// Where Node.js was told to put its own files is where ours go, unless they were told otherwise.
    pub(crate) fn or_directory(mut self, of_node: Option<String>) -> EnvironmentOptions {
        if self.directory.is_none() && of_node.is_some() {
            self.directory = of_node;
            self.directory_from = Some(DirectorySource::Node);
        }
        self
    }

    /// What dumps that nobody calls for write.
    pub(crate) fn content(&self) -> Content {
        match (self.image, self.image_if_no_memory) {
            (true, _) => Content::Image(self.embed),
            (false, true) => Content::ImageIfNoMemory(self.embed),
            (false, false) => Content::Snapshot,
        }
    }

    /// Nothing takes it back: where one is wrong nothing will be written.
    fn encrypt_to(&mut self, text: &str) -> Result<(), RecipientError> {
        let recipient = Recipients::parse([text]);
        let read = recipient.as_ref().map(|_| ()).map_err(|error| *error);
        self.encrypt = Some(match (self.encrypt.take(), recipient) {
            (Some(Err(error)), _) | (_, Err(error)) => Err(error),
            (None, Ok(recipient)) => Ok(recipient),
            (Some(Ok(mut all)), Ok(recipient)) => {
                all.extend(recipient);
                Ok(all)
            }
        });
        read
    }

    fn set_word(&mut self, word: &str) -> bool {
        match word {
            "signal" => self.signal = SignalChoice::Usr2,
            "nosignal" => self.signal = SignalChoice::Off,
            "fork" => self.in_process = false,
            "nofork" => self.in_process = true,
            "plain" => self.plain = true,
            "gzip" => self.compression = Some(Compression::Gzip),
            "zstd" => self.compression = Some(Compression::Zstd),
            "image" => self.image = true,
            "snapshot" => self.image = false,
            // Nothing takes it back.
            "redact" => self.redact = self.redact.max(Some(Hidden::Texts)),
            "encrypt" => return self.encrypt_to("").is_ok(),
            "workers" => self.workers = true,
            "announce" => self.announce = Some(true),
            "quiet" => self.announce = Some(false),
            word if AUTOMATIC.contains(&word) => {
                self.automatic.push((word.to_owned(), String::new()));
            }
            _ => return false,
        }
        true
    }

    fn set_value(&mut self, name: &str, value: &str) -> bool {
        match (name, value) {
            ("dir", directory) if !directory.is_empty() => {
                self.directory = Some(directory.to_owned());
                self.directory_from = Some(DirectorySource::Ours);
            }
            ("fallback", "inline") => self.fallback_inline = true,
            ("fallback", "error") => self.fallback_inline = false,
            ("low-memory", "image") => self.image_if_no_memory = true,
            ("low-memory", "error") => self.image_if_no_memory = false,
            ("redact", "paths") => self.redact = Some(Hidden::Paths),
            // Whoever writes it wants something hidden.
            ("redact", _) => {
                self.redact = self.redact.max(Some(Hidden::Texts));
                return false;
            }
            ("embed", "all") => self.embed = Embed::All,
            ("embed", "auto") => self.embed = Embed::Auto,
            ("signal", name) => match SignalChoice::from_name(name) {
                Some(signal) => self.signal = signal,
                None => return false,
            },
            (name, value) if AUTOMATIC.contains(&name) => {
                self.automatic.push((name.to_owned(), value.to_owned()));
            }
            _ => return false,
        }
        true
    }
}

fn split(text: &str) -> impl Iterator<Item = &str> {
    let pieces = text.split(',').count();
    text.split(',')
        .enumerate()
        .map(move |(index, piece)| {
            let piece = if index > 0 { piece.trim_start() } else { piece };
            if index + 1 < pieces { piece.trim_end() } else { piece }
        })
        .filter(|token| !token.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_means_sigusr2_and_fork() {
        let options = parse("");
        assert_eq!((options.signal, options.in_process), (SignalChoice::Usr2, false));
        assert!(options.unrecognized.is_empty());
    }

    #[test]
    fn later_tokens_win() {
        assert_eq!(parse("nosignal,signal").signal, SignalChoice::Usr2);
        assert_eq!(parse("signal , nosignal").signal, SignalChoice::Off);
        assert!(!parse("nofork,fork").in_process);
    }

    #[test]
    fn plain_is_a_word_of_its_own() {
        assert!(parse("gzip,plain").plain && !parse("gzip").plain);
        assert_eq!(parse("plain=1").unrecognized, ["plain=1"]);
    }

    #[test]
    fn dumps_are_announced_if_somebody_says_so() {
        assert_eq!(parse("gzip").announce, None);
        assert_eq!(parse("quiet,announce").announce, Some(true));
        assert_eq!(parse("announce,quiet").announce, Some(false));
    }

    #[test]
    fn white_space_goes_around_commas_only() {
        assert_eq!(parse(" nosignal").unrecognized, [" nosignal"]);
        assert_eq!(parse("nofork ,, bogus").unrecognized, ["bogus"]);
    }

    #[test]
    fn values_are_read() {
        let options = parse("dir=/a b/c,gzip,workers,fallback=inline,signal=SIGUSR1");
        assert_eq!(options.directory.as_deref(), Some("/a b/c"));
        assert_eq!(options.compression, Some(Compression::Gzip));
        assert_eq!(options.signal, SignalChoice::Usr1);
        assert!(options.workers && options.fallback_inline);
    }

    #[test]
    fn a_wrong_name_says_what_is_allowed() {
        let options = parse("name={pid}-{host},name={x}");
        assert_eq!(options.name.as_ref().map(NamePattern::text), Some("{pid}-{host}"));
        let [wrong] = &options.unrecognized[..] else { panic!("one of them") };
        assert!(wrong.starts_with("name={x} (") && wrong.contains("{title}"), "{wrong}");
    }

    #[test]
    fn the_directory_of_node_comes_after_ours() {
        let told = |text| parse(text).or_directory(Some("/node".to_owned()));
        let (ours, nodes) = (told("dir=/ours"), told("gzip"));
        assert_eq!(ours.directory.as_deref(), Some("/ours"));
        assert_eq!(ours.directory_from, Some(DirectorySource::Ours));
        assert_eq!(nodes.directory.as_deref(), Some("/node"));
        assert_eq!(nodes.directory_from, Some(DirectorySource::Node));
        assert_eq!(parse("gzip").or_directory(None).directory_from, None);
    }

    #[test]
    fn what_register_understands_is_passed_on() {
        let options = parse("oom,threshold=80%,rss=x");
        let automatic: Vec<_> =
            options.automatic.iter().map(|(name, value)| (&**name, &**value)).collect();
        assert_eq!(automatic, [("oom", ""), ("threshold", "80%"), ("rss", "x")]);
        assert!(options.unrecognized.is_empty());
    }

    #[test]
    fn what_is_redacted_stays_so() {
        assert_eq!(parse("gzip").redact, None);
        assert_eq!(parse("redact").redact, Some(Hidden::Texts));
        assert_eq!(parse("redact=paths,redact").redact, Some(Hidden::Paths));
        let wrong = parse("redact=no");
        assert_eq!(
            (wrong.redact, &wrong.unrecognized[..]),
            (Some(Hidden::Texts), &["redact=no".to_owned()][..])
        );
    }

    #[test]
    fn what_is_encrypted_stays_so() {
        let (one, two) = (heapcrypt::generate().recipient, heapcrypt::generate().recipient);
        let told = |text: &str| parse(text).encrypt;
        assert_eq!(told("gzip"), None);
        let texts = |text: &str| told(text).map(|encrypt| encrypt.map(|all| all.texts()));
        assert_eq!(texts(&format!("encrypt={one}")), Some(Ok(vec![one.clone()])));
        let both = format!("encrypt={one},encrypt={two}");
        assert_eq!(texts(&both), Some(Ok(vec![one.clone(), two])));
        let wrong = parse(&format!("encrypt={},encrypt={one}", &one[..40]));
        assert!(matches!(wrong.encrypt, Some(Err(_))) && wrong.unrecognized.len() == 1);
        assert!(matches!(told("encrypt"), Some(Err(_))));
        let secret = heapcrypt::generate().identity;
        let [said] = &parse(&format!("encrypt={secret}")).unrecognized[..] else { panic!("one") };
        assert!(said.contains("secret key") && !said.contains(&secret[20..]), "{said}");
    }

    #[test]
    fn images_are_asked_for_by_words_of_their_own() {
        assert_eq!(parse("gzip").content(), Content::Snapshot);
        assert_eq!(parse("image").content(), Content::Image(Embed::Auto));
        assert_eq!(parse("embed=all,image").content(), Content::Image(Embed::All));
        let low = Content::ImageIfNoMemory(Embed::Auto);
        assert_eq!(parse("low-memory=image").content(), low);
        assert_eq!(parse("image,low-memory=image,snapshot").content(), low);
        assert_eq!(parse("low-memory=image,low-memory=error").content(), Content::Snapshot);
        let wrong = ["low-memory=x", "embed=none", "image=1", "low-memory"];
        assert_eq!(parse(&wrong.join(",")).unrecognized, wrong);
    }

    #[test]
    fn wrong_values_are_not_recognized() {
        assert_eq!(
            parse("signal=SIGKILL,dir=,fallback=x").unrecognized,
            ["signal=SIGKILL", "dir=", "fallback=x"]
        );
    }
}
