//! `redact`: a snapshot without its texts, and what is left in one.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use heapcrypt::Recipients;
use heapredact::{Audit, Key, Options, Redactor};
use heapsnapshot::{NodeKind, Snapshot, StringIndex};
use serde::Serialize;

use crate::args::Redact;
use crate::error::{Error, Result};
use crate::reporters::{json, text};
use crate::session::Session;

pub(crate) fn run(args: &Redact, session: &mut Session<'_>) -> Result<u8> {
    if let Some(file) = &args.audit {
        return audit(file, args, session);
    }
    let (Some(input), Some(output)) = (&args.input, &args.output) else {
        return Err(Error::Usage("redact wants a snapshot and a file to write".to_owned()));
    };
    let (key, given_key) = key(args)?;
    let id = key.id();
    let options = Options { key, given_key, hide_paths: args.paths };
    let recipients = recipients(args, output)?;
    let reader = session.unpacked(input)?;
    let redactor = Redactor::new(options);
    let bytes = write_whole(output, &recipients, |file| copy(input, reader, redactor, file))?;
    if args.json {
        json::write(
            session.out,
            "redact",
            &Written { file: output.display().to_string(), bytes, key_id: id },
        )?;
        return Ok(crate::EXIT_FINE);
    }
    writeln!(session.out, "{}: {}, redacted with key {id}", output.display(), text::size(bytes))?;
    Ok(crate::EXIT_FINE)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Written {
    file: String,
    bytes: u64,
    key_id: String,
}

/// To whom it is encrypted; the name says that too, so that nobody takes the one for the other.
fn recipients(args: &Redact, output: &Path) -> Result<Recipients> {
    let recipients = Recipients::parse(&args.encrypt_to)
        .map_err(|error| Error::Usage(format!("--encrypt-to: {error}")))?;
    match (is_sealed(output), recipients.is_empty()) {
        (true, true) => Err(Error::Usage(format!(
            "{}: a name that ends in .age wants a recipient: --encrypt-to age1…",
            output.display()
        ))),
        (false, false) => Err(Error::Usage(format!(
            "{}: the name of an encrypted file ends in .age",
            output.display()
        ))),
        _ => Ok(recipients),
    }
}

fn is_sealed(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "age")
}

/// The key, and whether it was given.
fn key(args: &Redact) -> Result<(Key, bool)> {
    let given = match (&args.key, &args.key_file) {
        (Some(text), _) => text.as_bytes().to_vec(),
        (None, Some(path)) => {
            let bytes =
                std::fs::read(path).map_err(|source| Error::File { path: path.clone(), source })?;
            bytes.trim_ascii_end().to_vec()
        }
        (None, None) => {
            let mut random = [0; 32];
            getrandom::fill(&mut random)
                .map_err(|error| Error::Usage(format!("no random key can be had: {error}")))?;
            return Ok((Key::new(&random), false));
        }
    };
    if given.len() < Key::SHORTEST {
        let wanted = Key::SHORTEST;
        return Err(Error::Usage(format!(
            "the key has {} bytes: {wanted} are wanted, and random ones (openssl rand -hex 32), or texts can be guessed",
            given.len()
        )));
    }
    Ok((Key::new(&given), true))
}

fn copy(
    input: &Path,
    mut reader: impl Read,
    mut redactor: Redactor,
    file: &mut dyn Write,
) -> Result<()> {
    let failed = |source| Error::Redact { path: input.to_owned(), source };
    let mut chunk = vec![0; 256 << 10];
    let mut out = Vec::new();
    loop {
        let length = match reader.read(&mut chunk) {
            Ok(0) => break,
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(source) => return Err(Error::File { path: input.to_owned(), source }),
        };
        redactor.push(&chunk[..length], &mut out).map_err(failed)?;
        file.write_all(&out)?;
        out.clear();
    }
    redactor.finish().map_err(failed)
}

/// The file is there whole or not at all, for its owner alone. Returns its length.
fn write_whole(
    path: &Path,
    recipients: &Recipients,
    write: impl FnOnce(&mut dyn Write) -> Result<()>,
) -> Result<u64> {
    let failed = |source| Error::File { path: path.to_owned(), source };
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.partial", std::process::id()));
    let partial = Partial(path.with_file_name(name));
    let file = create(&partial.0).map_err(failed)?;
    let mut file = BufWriter::with_capacity(1 << 20, file);
    if recipients.is_empty() {
        packed(path, &mut file, write)?;
    } else {
        let mut sealer = recipients.seal(&mut file)?;
        packed(&path.with_extension(""), &mut sealer, write)?;
        sealer.finish()?;
    }
    let file = file.into_inner().map_err(|error| failed(error.into_error()))?;
    file.sync_all().map_err(failed)?;
    std::fs::rename(&partial.0, path).map_err(failed)?;
    Ok(file.metadata().map_err(failed)?.len())
}

/// Compressed as the name says.
fn packed(
    path: &Path,
    mut file: &mut dyn Write,
    write: impl FnOnce(&mut dyn Write) -> Result<()>,
) -> Result<()> {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("gz") => {
            let mut encoder = flate2::write::GzEncoder::new(&mut file, flate2::Compression::new(1));
            write(&mut encoder)?;
            encoder.finish()?;
        }
        Some("zst") => {
            let mut encoder = zstd::Encoder::new(&mut file, 1)?;
            encoder.include_checksum(true)?;
            write(&mut encoder)?;
            encoder.finish()?;
        }
        _ => write(&mut file)?,
    }
    Ok(())
}

/// A file that is gone when nobody gave it its name.
struct Partial(PathBuf);

impl Drop for Partial {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AuditAnswer {
    redaction: Option<heapsnapshot::Redaction>,
    strings: u64,
    found: u64,
    threshold: u64,
    families: Vec<FamilyRow>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FamilyRow {
    family: &'static str,
    place: &'static str,
    strings: u64,
    units: u64,
    samples: Vec<String>,
}

fn audit(file: &Path, args: &Redact, session: &mut Session<'_>) -> Result<u8> {
    let snapshot = session.load(file, false)?;
    let audit = look_at(&snapshot);
    let families = audit.findings().map(|(family, place, finding)| FamilyRow {
        family: family.name(),
        place,
        strings: finding.strings,
        units: finding.units,
        samples: finding.samples.clone(),
    });
    let answer = AuditAnswer {
        redaction: snapshot.redaction().cloned(),
        strings: audit.looked_at(),
        found: audit.total(),
        threshold: args.threshold,
        families: families.collect(),
    };
    let code = if answer.found > args.threshold { crate::EXIT_FINDINGS } else { crate::EXIT_FINE };
    if args.json {
        json::write(session.out, "redact", &answer)?;
        return Ok(code);
    }
    let how = answer
        .redaction
        .as_ref()
        .map_or_else(|| "not redacted".to_owned(), super::validate::redacted);
    let heading = format!(
        "{} of {} strings look like a secret; {how}",
        text::number(answer.found),
        text::number(answer.strings)
    );
    text::title(session.out, &heading)?;
    if !answer.families.is_empty() {
        let rows = answer.families.iter().map(|row| {
            let samples = text::name(&row.samples.join(", "));
            vec![row.family.to_owned(), row.place.to_owned(), text::number(row.strings), samples]
        });
        writeln!(
            session.out,
            "{}",
            text::table(&["Looks like", "In", "Strings", "Such as"], rows.collect())
        )?;
    }
    Ok(code)
}

/// Shows every string that something refers to once, as a text or as a name.
fn look_at(snapshot: &Snapshot) -> Audit {
    const TEXT: u8 = 1;
    const NAME: u8 = 2;
    let mut usages = vec![0_u8; snapshot.strings().len()];
    let mut used = |index: StringIndex, how: u8| {
        if let Some(usage) = usages.get_mut(index.0 as usize) {
            *usage |= how;
        }
    };
    for node in snapshot.nodes() {
        let is_text = matches!(snapshot.kind(node), NodeKind::String | NodeKind::RegExp);
        used(snapshot.name_index(node), if is_text { TEXT } else { NAME });
        for edge in snapshot.edges(node) {
            if let Some(name) = snapshot.edge_name_index(edge) {
                used(name, NAME);
            }
        }
    }
    let mut audit = Audit::new();
    for (at, usage) in usages.iter().enumerate() {
        let text = || snapshot.strings().get(StringIndex(u32::try_from(at).unwrap_or(u32::MAX)));
        if usage & TEXT != 0 {
            audit.look(&text(), "text");
        }
        if usage & NAME != 0 {
            audit.look(&text(), "name");
        }
    }
    audit
}
