//! A changed byte, a file more or less, a name that leads elsewhere: all are found.
#![allow(clippy::unwrap_used)]

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::manifest::is_below;
use super::*;
use crate::base::SimClock;

/// A source elsewhere, a source here, a file and a ladder that were made of them, and their manifest.
struct Case {
    folder: tempfile::TempDir,
    key: SigningKeyFile,
    manifest: PathBuf,
}

/// In the order of the manifest: sources as given, outputs by name.
const FILES: [&str; 6] = [
    "recordings/gate.mp4",
    "case/here.mkv",
    "case/gate.mp4",
    "case/ladder/720p/1.m4s",
    "case/ladder/720p/2.m4s",
    "case/ladder/master.m3u8",
];

fn export(key: &SigningKeyFile) -> Export {
    Export {
        key: key.clone(),
        reason: "theft at the gate".into(),
        reference: "BR-2026/117".into(),
        operator: Some("A. Peeters".into()),
        overwrite: false,
    }
}

fn subject(folder: &Path) -> Subject {
    let version = |name: &str, version: &str| Version { name: name.into(), version: version.into() };
    Subject {
        sources: vec![folder.join(FILES[0]).into(), folder.join(FILES[1]).into()],
        outputs: vec![folder.join("case/gate.mp4"), folder.join("case/ladder")],
        tool: version("vitrail", "0.1.0"),
        libraries: vec![version("libavcodec", "59.37.100"), version("x264", "core 164")],
        options: json!({ "crf": 23.5, "masks": [[0.1, 0.30000000000000004]] }),
        range: Range::new(Some(Duration::from_millis(1500)), None),
        result: json!({ "pictures": 250 }),
    }
}

fn clock() -> std::sync::Arc<SimClock> {
    let clock = SimClock::new();
    clock.advance(Duration::from_millis(1_790_000_000_250));
    clock
}

impl Case {
    fn new() -> Case {
        let folder = tempfile::tempdir().unwrap();
        for (n, name) in FILES.iter().enumerate() {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, format!("what file {n} holds").repeat(n + 1)).unwrap();
        }
        let key = SigningKeyFile::create(&folder.path().join("unit.key")).unwrap();
        let manifest = write(&export(&key), subject(folder.path()), &*clock()).unwrap();
        Case { folder, key, manifest }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn check(&self) -> Check {
        Check {
            manifest: self.manifest.clone(),
            key: Some(self.key.public()),
            sources: vec![self.path("recordings")],
            skip_sources: false,
        }
    }

    fn findings(&self) -> Findings {
        verify(&self.check(), &mut |_| {}).unwrap()
    }

    /// The verdict, and all files that are not as they were.
    fn faults(&self) -> (Verdict, Vec<(String, FileState)>) {
        let found = self.findings();
        let wrong = found.files.into_iter().filter(|f| f.state != FileState::Ok);
        (found.verdict, wrong.map(|f| (f.name, f.state)).collect())
    }

    /// Signs other bytes with the right key: what only its owner can do.
    fn sign(&self, manifest: &[u8]) {
        fs::write(&self.manifest, manifest).unwrap();
        let signature = SignatureFile::sign(&self.key, manifest).render();
        fs::write(signature_path(&self.manifest), signature).unwrap();
    }

    fn text(&self) -> String {
        fs::read_to_string(&self.manifest).unwrap()
    }
}

/// A file's name as the manifest has it.
fn recorded(file: &str) -> &str {
    file.strip_prefix("case/").or(file.strip_prefix("recordings/")).unwrap()
}

#[test]
fn what_was_written_verifies_and_says_what_was_told() {
    let case = Case::new();
    assert_eq!(case.manifest, case.path("case/gate.mp4.evidence.json"));
    let mut progress = Progress::default();
    let found = verify(&case.check(), &mut |p| progress = p).unwrap();
    assert_eq!(found.verdict, Verdict::Verified, "{found:?}");
    assert_eq!(found.files.len(), FILES.len());
    let bytes: u64 = FILES.iter().map(|f| fs::metadata(case.path(f)).unwrap().len()).sum();
    assert_eq!((progress.bytes, progress.of), (bytes, bytes));
    let facts = found.facts.unwrap();
    assert_eq!(facts.created, "2026-09-21T14:13:20Z");
    assert_eq!((facts.range.from_ns, facts.range.to_ns), (Some(1_500_000_000), None));
    assert_eq!(facts.options, subject(case.folder.path()).options);
    assert_eq!(facts.output_folders, ["ladder"]);
    let sources: Vec<_> = facts.sources.iter().map(|f| (f.name.as_str(), f.elsewhere)).collect();
    assert_eq!(sources, [("gate.mp4", true), ("here.mkv", false)]);
    let left: Vec<_> = record::files_below(case.folder.path()).unwrap();
    assert!(!left.iter().any(|p| p.to_str().unwrap().contains(".part")), "{left:?}");
}

#[test]
fn without_a_key_nothing_is_said_about_who_signed() {
    let case = Case::new();
    let found = verify(&Check { key: None, ..case.check() }, &mut |_| {}).unwrap();
    assert_eq!((found.verdict, found.verdict.exit_code()), (Verdict::Unattributed, 6));
    // Someone else makes all of it anew, with a key of their own.
    fs::write(case.path("case/gate.mp4"), "another story").unwrap();
    let theirs = SigningKeyFile::create(&case.path("theirs.key")).unwrap();
    let forged = Export { overwrite: true, ..export(&theirs) };
    write(&forged, subject(case.folder.path()), &*clock()).unwrap();
    let found = verify(&Check { key: None, ..case.check() }, &mut |_| {}).unwrap();
    assert_eq!(found.verdict, Verdict::Unattributed);
    let found = case.findings();
    assert_eq!((found.verdict, found.signature.state), (Verdict::Failed, SignatureState::Bad));
    assert!(found.signature.trouble.unwrap().contains(&theirs.public().id()));
}

#[test]
fn sources_may_be_left_out_elsewhere_or_named() {
    let case = Case::new();
    let with = |sources: Vec<PathBuf>, skip_sources| {
        verify(&Check { sources, skip_sources, ..case.check() }, &mut |_| {}).unwrap()
    };
    let skipped = with(vec![], true);
    assert_eq!((skipped.verdict, skipped.sources_skipped), (Verdict::Verified, true));
    assert_eq!(skipped.files[0].state, FileState::Skipped);
    let missing = with(vec![], false);
    // `case/gate.mp4` has the source's name, and is not taken for it.
    assert_eq!((missing.verdict, missing.files[0].state), (Verdict::Failed, FileState::Missing));
    assert_eq!(with(vec![case.path("recordings/gate.mp4")], false).verdict, Verdict::Verified);
    assert_eq!(with(vec![case.path("case")], false).files[0].state, FileState::Changed);
}

#[test]
fn every_byte_of_manifest_and_signature_counts() {
    let case = Case::new();
    for path in [case.manifest.clone(), signature_path(&case.manifest)] {
        let right = fs::read(&path).unwrap();
        for at in 0..right.len() {
            let mut wrong = right.clone();
            wrong[at] ^= 1 << (at % 8);
            fs::write(&path, &wrong).unwrap();
            for key in [Some(case.key.public()), None] {
                let found = verify(&Check { key, ..case.check() }, &mut |_| {}).unwrap();
                assert_eq!(found.verdict, Verdict::Failed, "byte {at} of {}", path.display());
                assert_eq!(found.signature.state, SignatureState::Bad);
                assert!(found.files.is_empty() && found.facts.is_none() && found.signature.trouble.is_some());
            }
        }
        for wrong in [&right[..right.len() - 1], &[&right[..], b"\n"].concat(), b""] {
            fs::write(&path, wrong).unwrap();
            assert_eq!(case.findings().verdict, Verdict::Failed);
        }
        fs::write(&path, &right).unwrap();
    }
    assert_eq!(case.findings().verdict, Verdict::Verified, "the comparison itself is right");
    fs::remove_file(signature_path(&case.manifest)).unwrap();
    assert_eq!(case.findings().signature.state, SignatureState::Missing);
    fs::remove_file(&case.manifest).unwrap();
    assert_eq!(verify(&case.check(), &mut |_| {}).unwrap_err().kind(), ErrorKind::Io);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_changed_byte_of_any_file_is_found_and_named(which in 0..FILES.len(), at: prop::sample::Index, flip in 1u8..) {
        let case = Case::new();
        let path = case.path(FILES[which]);
        let mut bytes = fs::read(&path).unwrap();
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        fs::write(&path, bytes).unwrap();
        let wrong = vec![(recorded(FILES[which]).to_owned(), FileState::Changed)];
        prop_assert_eq!(case.faults(), (Verdict::Failed, wrong));
    }

    #[test]
    fn files_cut_lengthened_removed_renamed_or_swapped_are_found(which in 0..FILES.len(), other in 0..FILES.len(), what in 0..5) {
        let case = Case::new();
        let path = case.path(FILES[which]);
        let name = recorded(FILES[which]).to_owned();
        let mut bytes = fs::read(&path).unwrap();
        let mut wrong = vec![(name, if what < 2 { FileState::Changed } else { FileState::Missing })];
        match what {
            0 => { bytes.pop(); fs::write(&path, bytes).unwrap(); }
            1 => { bytes.push(0); fs::write(&path, bytes).unwrap(); }
            2 => fs::remove_file(&path).unwrap(),
            3 => {
                fs::rename(&path, path.with_extension("renamed")).unwrap();
                if FILES[which].contains("ladder") {
                    let renamed = Path::new(recorded(FILES[which])).with_extension("renamed");
                    wrong.push((renamed.to_str().unwrap().to_owned(), FileState::Added));
                }
            }
            _ => {
                let other = FILES[if other == which { (which + 1) % FILES.len() } else { other }];
                let (kept, taken) = (case.path("kept"), case.path(other));
                fs::rename(&path, &kept).unwrap();
                fs::rename(&taken, &path).unwrap();
                fs::rename(&kept, &taken).unwrap();
                wrong = FILES.iter().filter(|f| **f == FILES[which] || **f == other)
                    .map(|f| (recorded(f).to_owned(), FileState::Changed)).collect();
            }
        }
        prop_assert_eq!(case.faults(), (Verdict::Failed, wrong));
    }

    #[test]
    fn no_bytes_make_the_readers_fall_over(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(Manifest::parse(&bytes).is_err());
        prop_assert!(SignatureFile::parse(&bytes).is_none());
    }
}

#[test]
fn files_that_were_added_and_links_are_found() {
    let case = Case::new();
    fs::write(case.path("case/beside.txt"), "the folder of the manifest may hold other things").unwrap();
    assert_eq!(case.findings().verdict, Verdict::Verified);
    fs::create_dir(case.path("case/ladder/new")).unwrap();
    fs::write(case.path("case/ladder/new/3.m4s"), "").unwrap();
    let added = vec![("ladder/new/3.m4s".to_owned(), FileState::Added)];
    assert_eq!(case.faults(), (Verdict::Failed, added));
    fs::remove_file(case.path("case/ladder/new/3.m4s")).unwrap();
    // Its name is told whole, though the manifest has no such one.
    let odd = case.path("case/ladder").join(OsStr::from_bytes(b"caf\xe9.m4s"));
    fs::write(&odd, "").unwrap();
    let added = vec![("ladder/caf%E9.m4s".to_owned(), FileState::Added)];
    assert_eq!(case.faults(), (Verdict::Failed, added));
    fs::remove_file(odd).unwrap();
    // The same content behind a link is not what was recorded: it can be exchanged at any time.
    let (file, moved) = (case.path("case/ladder/720p"), case.path("moved"));
    fs::rename(&file, &moved).unwrap();
    symlink(&moved, &file).unwrap();
    let (verdict, wrong) = case.faults();
    assert_eq!(verdict, Verdict::Failed);
    assert!(wrong.contains(&("ladder/720p/1.m4s".into(), FileState::Changed)), "{wrong:?}");
}

#[test]
fn a_folder_that_took_a_files_place_and_a_pipe_do_not_stop_it() {
    let case = Case::new();
    fs::remove_file(case.path("case/gate.mp4")).unwrap();
    fs::create_dir(case.path("case/gate.mp4")).unwrap();
    let pipe = case.path("case/ladder/720p/1.m4s");
    fs::remove_file(&pipe).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let changed = |name: &str| (name.to_owned(), FileState::Changed);
    assert_eq!(case.faults(), (Verdict::Failed, vec![changed("gate.mp4"), changed("ladder/720p/1.m4s")]));
}

#[test]
fn names_stay_below_their_folder() {
    for name in ["a", "a/b.mp4", "…", "..a", "a..b", "a b", ".hidden"] {
        assert!(is_below(name.as_bytes()), "{name}");
    }
    for name in ["", "/etc/passwd", "../x", "a/../../x", "a/..", "./a", "a//b", "a/", "a\0b", ".", ".."] {
        assert!(!is_below(name.as_bytes()), "{name}");
    }
}

/// Even the owner of the key cannot make a manifest that reads a file outside, or that two readers
/// understand in two ways.
#[test]
fn a_signed_manifest_with_tricks_is_refused() {
    let case = Case::new();
    let text = case.text();
    let own = |from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        text.replacen(from, to, 1)
    };
    let mut twice: Value = serde_json::from_str(&text).unwrap();
    let again = twice["outputs"][0].clone();
    twice["outputs"].as_array_mut().unwrap().push(again);
    let mut none: Value = serde_json::from_str(&text).unwrap();
    none["sources"] = json!([]);
    let tricks = [
        (own("\"here.mkv\"", "\"../recordings/gate.mp4\""), "leads out"),
        (own("\"here.mkv\"", "\"/etc/passwd\""), "leads out"),
        (own("\"ladder/master.m3u8\"", "\"ladder/../../recordings/gate.mp4\""), "leads out"),
        (own("    \"ladder\"\n", "    \"..\"\n"), "leads out"),
        (own("\"reason\"", "\"reason\": \"x\", \"reason\""), "comes twice"),
        (own("\"pictures\"", "\"pictures\": 1, \"\\u0070ictures\""), "comes twice"),
        (own("\"crf\"", "\"crf\": {}, \"crf\""), "comes twice"),
        (own("\"reason\"", "\"approved\": true, \"reason\""), "unknown field"),
        (own("\"elsewhere\"", "\"optional\": true, \"elsewhere\""), "unknown field"),
        (own("\"theft at the gate\"", "\" \""), "empty"),
        (own("2026-09-21T14:13:20Z", "2026-09-21T14:13:20+02:00"), "no time in UTC"),
        (own("\"sha256\": \"", "\"sha256\": \"0"), "SHA-256"),
        (own("vitrail-evidence/1", "vitrail-license/1"), "not that of evidence"),
        (own("\"format\": \"vitrail-evidence/1\",", ""), "missing field"),
        (own(&case.key.public().id(), &"0".repeat(64)), "another key"),
        (format!("\u{feff}{text}"), "cannot be read"),
        (format!("{text}{{}}"), "cannot be read"),
        (format!("{}1", "[".repeat(100_000)), "cannot be read"),
        (twice.to_string(), "twice"),
        (none.to_string(), "no source"),
    ];
    for (manifest, why) in tricks {
        case.sign(manifest.as_bytes());
        let found = case.findings();
        assert_eq!((found.verdict, found.files.len()), (Verdict::Failed, 0), "{why}");
        let trouble = found.signature.trouble.unwrap();
        assert!(trouble.contains(why), "{trouble:?} does not say {why:?}");
    }
    case.sign(b"\xff\xfe");
    assert!(case.findings().signature.trouble.unwrap().contains("UTF-8"));
    case.sign(own("vitrail-evidence/1", "vitrail-evidence/3").as_bytes());
    assert_eq!(verify(&case.check(), &mut |_| {}).unwrap_err().kind(), ErrorKind::Unsupported);
    case.sign(text.as_bytes());
    assert_eq!(case.findings().verdict, Verdict::Verified);
}

#[test]
fn a_job_without_reason_reference_or_room_fails_before_it_begins() {
    let case = Case::new();
    let output = case.path("case/new.mp4");
    let refused = |export: &Export, output: &Path| check_ready(export, output).unwrap_err().to_string();
    assert!(check_ready(&export(&case.key), &output).is_ok());
    for text in ["", " \n"] {
        let empty = Export { reason: text.into(), ..export(&case.key) };
        assert!(refused(&empty, &output).starts_with("reason: is empty"));
        let empty = Export { reference: text.into(), ..export(&case.key) };
        assert!(refused(&empty, &output).starts_with("reference: is empty"));
        assert!(write(&empty, subject(case.folder.path()), &*clock()).is_err());
    }
    // What is there is kept unless told otherwise.
    let before = case.text();
    assert!(refused(&export(&case.key), &case.path("case/gate.mp4")).contains("--overwrite"));
    assert!(write(&export(&case.key), subject(case.folder.path()), &*clock()).is_err());
    assert_eq!(case.text(), before);
    let replace = Export { overwrite: true, ..export(&case.key) };
    assert!(check_ready(&replace, &case.path("case/gate.mp4")).is_ok());
}

#[test]
fn nothing_is_written_where_a_file_is_missing_or_out_of_place() {
    let case = Case::new();
    let fresh = Export { overwrite: true, ..export(&case.key) };
    let base = subject(case.folder.path());
    let output = case.path("case/new.mp4");
    fs::write(&output, "new").unwrap();
    symlink(&output, case.path("case/link.mp4")).unwrap();
    let wrong = [
        (vec![case.path("case/nothing.mp4")], base.sources.clone(), "is not there"),
        (vec![case.path("case/link.mp4")], base.sources.clone(), "is a link"),
        (vec![output.clone(), case.path(FILES[0])], base.sources.clone(), "outside the folder"),
        (vec![output.clone()], vec![case.path("nothing").into()], "cannot be found"),
        (vec![output.clone()], vec![case.path("recordings").into()], "is a folder"),
        (vec![output.clone()], vec![], "needs a source"),
    ];
    for (outputs, sources, why) in wrong {
        let error = write(&fresh, Subject { outputs, sources, ..base.clone() }, &*clock()).unwrap_err();
        assert!(error.to_string().contains(why), "{error}");
    }
    assert!(!manifest_path(&output).unwrap().exists());
    assert!(!signature_path(&manifest_path(&output).unwrap()).exists());
}

#[test]
fn whoever_waits_sees_how_far_it_is_and_may_stop_it() {
    let case = Case::new();
    let export = Export { overwrite: true, ..export(&case.key) };
    let before = (case.text(), fs::read(signature_path(&case.manifest)).unwrap());
    let stop = Shutdown::new();
    let mut seen = Vec::new();
    let mut look = |p: Progress| {
        seen.push(p);
        if seen.len() == 3 {
            stop.cancel();
        }
    };
    let stopped = write_watched(&export, subject(case.folder.path()), &*clock(), &stop, &mut look).unwrap();
    assert_eq!((stopped, seen.len()), (None, 3), "it ends at the file at which it was told to");
    assert!(seen[2].bytes > seen[1].bytes && seen[2].bytes < seen[2].of);
    assert_eq!(
        (case.text(), fs::read(signature_path(&case.manifest)).unwrap()),
        before,
        "nothing is replaced"
    );
    let mut last = Progress::default();
    let whole =
        write_watched(&export, subject(case.folder.path()), &*clock(), &Shutdown::new(), &mut |p| last = p);
    assert_eq!((whole.unwrap(), last.bytes), (Some(case.manifest.clone()), last.of));
    assert_eq!(case.findings().verdict, Verdict::Verified);
}

#[test]
fn a_source_that_is_still_written_to_is_no_evidence() {
    let case = Case::new();
    let export = Export { overwrite: true, ..export(&case.key) };
    let mut grow = |_| fs::write(case.path(FILES[0]), "more and more and more").unwrap();
    let error = write_watched(&export, subject(case.folder.path()), &*clock(), &Shutdown::new(), &mut grow)
        .unwrap_err();
    assert!(error.to_string().contains("was written to while it was read"), "{error}");
}

#[test]
fn sources_of_several_folders_keep_apart() {
    let case = Case::new();
    for place in ["zones/north", "zones/south"] {
        fs::create_dir_all(case.path(place)).unwrap();
        fs::write(case.path(place).join("1.mp4"), place).unwrap();
    }
    let (north, south) = (case.path("zones/north/1.mp4"), case.path("zones/south/1.mp4"));
    let sources = [north.clone(), south, north].map(Into::into).to_vec();
    let export = Export { overwrite: true, ..export(&case.key) };
    write(&export, Subject { sources, ..subject(case.folder.path()) }, &*clock()).unwrap();
    let found = verify(&Check { sources: vec![case.path("zones")], ..case.check() }, &mut |_| {}).unwrap();
    let names: Vec<_> = found.files.iter().take(3).map(|f| f.name.as_str()).collect();
    assert_eq!(
        (found.verdict, &names[..]),
        (Verdict::Verified, &["north/1.mp4", "south/1.mp4", "gate.mp4"][..])
    );
}

#[test]
fn keys_are_kept_from_others_and_shown_nowhere() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("unit.key");
    let key = SigningKeyFile::create(&path).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o600);
    let text = fs::read_to_string(&path).unwrap();
    let secret = text.lines().nth(1).unwrap().to_owned();
    assert_eq!(secret.len(), 64);
    assert!(!format!("{key:?} {:?}", export(&key)).contains(&secret[22..]));
    assert_eq!(SigningKeyFile::open(&path).unwrap().public(), key.public());
    assert_eq!(PublicKey::read(&public_path(&path)).unwrap(), key.public());
    assert_ne!(SigningKeyFile::create(&folder.path().join("two")).unwrap().public(), key.public());
    // Nothing is replaced, not even a public key alone.
    assert!(SigningKeyFile::create(&path).unwrap_err().to_string().contains("is kept"));
    let lone = folder.path().join("lone");
    fs::write(public_path(&lone), "x").unwrap();
    assert!(SigningKeyFile::create(&lone).is_err() && !lone.exists());

    for open in [0o640, 0o604, 0o620, 0o601] {
        fs::set_permissions(&path, fs::Permissions::from_mode(open)).unwrap();
        let error = SigningKeyFile::open(&path).unwrap_err();
        assert_eq!((error.kind(), error.message().contains("chmod 600")), (ErrorKind::Config, true));
    }
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let wrong = [
        text.replace("PRIVATE KEY", "RSA PRIVATE KEY"),
        text.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY"),
        text.replace(&secret, &secret[..60]),
        text.replace(&secret, &format!("{secret}\n{secret}")),
        text.replace("MC4", "MC5"),
        text.replace("-----END PRIVATE KEY-----", ""),
        "x".repeat(100_000),
        String::new(),
        fs::read_to_string(public_path(&path)).unwrap(),
    ];
    for wrong in wrong {
        fs::write(&path, &wrong).unwrap();
        let shown = SigningKeyFile::open(&path).unwrap_err().to_string();
        assert!(!shown.contains(&secret[..20]) && !shown.contains(&secret[40..]), "{shown}");
    }
    fs::write(&path, text.replace('\n', "\r\n")).unwrap();
    assert!(SigningKeyFile::open(&path).is_ok(), "a file that went through Windows");
    fs::write(&path, &text).unwrap();
    let error = PublicKey::read(&path).unwrap_err().to_string();
    assert!(error.contains("private key") && !error.contains(&secret[..20]), "{error}");
}

/// OpenSSL reads the keys, verifies the signature, finds the same id, and its own keys sign here.
#[test]
fn openssl_agrees() {
    let openssl = |args: &[&str], folder: &Path| {
        std::process::Command::new("openssl").args(args).current_dir(folder).output()
    };
    let case = Case::new();
    let here = case.folder.path();
    if openssl(&["version"], here).is_err() {
        println!("skipped: openssl is not installed");
        return;
    }
    let run = |args: &str| openssl(&args.split(' ').collect::<Vec<_>>(), here).unwrap();
    let public = run("pkey -in unit.key -pubout");
    assert!(public.status.success());
    assert_eq!(public.stdout, fs::read(here.join("unit.key.pub")).unwrap());
    fs::write(here.join("der"), run("pkey -pubin -in unit.key.pub -outform DER").stdout).unwrap();
    let id = String::from_utf8(run("dgst -sha256 -r der").stdout).unwrap();
    assert!(id.starts_with(&case.key.public().id()), "{id}");

    let sig = fs::read_to_string(signature_path(&case.manifest)).unwrap();
    let line = sig.lines().find_map(|l| l.strip_prefix("signature: ")).unwrap();
    fs::write(here.join("sig.b64"), line).unwrap();
    fs::write(here.join("sig.bin"), run("base64 -d -A -in sig.b64").stdout).unwrap();
    let verify =
        "pkeyutl -verify -pubin -inkey unit.key.pub -rawin -sigfile sig.bin -in case/gate.mp4.evidence.json";
    let found = run(verify);
    assert!(found.status.success(), "{found:?}");
    let mut text = case.text();
    text.push(' ');
    fs::write(&case.manifest, text).unwrap();
    assert!(!run(verify).status.success(), "openssl must find the byte more");

    assert!(run("genpkey -algorithm ed25519 -out theirs.key").status.success());
    fs::set_permissions(here.join("theirs.key"), fs::Permissions::from_mode(0o600)).unwrap();
    let theirs = SigningKeyFile::open(&here.join("theirs.key")).unwrap();
    fs::write(here.join("theirs.pub"), run("pkey -in theirs.key -pubout").stdout).unwrap();
    assert_eq!(PublicKey::read(&here.join("theirs.pub")).unwrap(), theirs.public());
}
