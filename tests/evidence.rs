//! Evidence from outside: keys, a manifest, its verification, and what the reference says of them.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use common::run;
use serde_json::{Value, json};
use vitrail_engine::base::SystemClock;
use vitrail_engine::evidence::{
    self, Export, FORMAT, Manifest, Range, SigningKeyFile, Subject, Verdict, Version,
};

struct Case {
    folder: tempfile::TempDir,
    manifest: String,
}

impl Case {
    /// Keys by the program, files, and a manifest by the engine, as a job does it.
    fn new() -> Case {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for (name, text) in
            [("in/gate.mkv", "source"), ("out/hls/master.m3u8", "list"), ("out/hls/1.m4s", "one")]
        {
            fs::create_dir_all(at(name).parent().unwrap()).unwrap();
            fs::write(at(name), text).unwrap();
        }
        let (code, stdout, stderr) = run(&["key", "new", at("unit.key").to_str().unwrap()]);
        assert_eq!((code, stderr.as_str()), (0, ""));
        assert!(stdout.contains("unit.key.pub"), "{stdout}");
        let export = Export {
            key: SigningKeyFile::open(&at("unit.key")).unwrap(),
            reason: "theft at the gate".into(),
            reference: "BR-2026/117".into(),
            operator: None,
            overwrite: false,
        };
        evidence::check_ready(&export, &at("out/hls")).unwrap();
        let subject = Subject {
            sources: vec![at("in/gate.mkv").into()],
            outputs: vec![at("out/hls")],
            tool: Version { name: "vitrail".into(), version: "0.1.0".into() },
            libraries: vec![Version { name: "libavcodec".into(), version: "59.37.100".into() }],
            options: json!({ "crf": 23 }),
            range: Range::default(),
            result: json!({ "pictures": 250 }),
        };
        let manifest = evidence::write(&export, subject, &*SystemClock::shared()).unwrap();
        let manifest = manifest.to_str().unwrap().to_owned();
        assert!(manifest.ends_with("out/hls.evidence.json"));
        Case { folder, manifest }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    /// `vitrail verify` with the key and the source.
    fn verify(&self) -> (i32, String) {
        let (key, source) = (self.path("unit.key.pub"), self.path("in"));
        let (code, stdout, stderr) = run(&["verify", &self.manifest, "--key", &key, "--source", &source]);
        assert_eq!(stderr, "");
        (code, stdout)
    }
}

#[test]
fn what_was_not_touched_verifies_and_what_was_is_named() {
    let case = Case::new();
    let (code, text) = case.verify();
    assert_eq!(code, 0, "{text}");
    for line in ["reason      theft at the gate", "reference   BR-2026/117", "ok          source gate.mkv"] {
        assert!(text.lines().any(|l| l == line), "{line:?} is missing in:\n{text}");
    }
    assert!(text.lines().last().unwrap().starts_with("VERIFIED"), "{text}");

    // From within its folder, as people do.
    let beside = common::vitrail(case.folder.path())
        .args(["verify", "hls.evidence.json", "--key", "../unit.key.pub", "--source", "../in"])
        .current_dir(case.path("out"))
        .output()
        .unwrap();
    assert_eq!(beside.status.code(), Some(0), "{}", String::from_utf8_lossy(&beside.stdout));

    fs::write(case.path("out/hls/1.m4s"), "onE").unwrap();
    fs::write(case.path("out/hls/2.m4s"), "two").unwrap();
    let (code, text) = case.verify();
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("changed     output hls/1.m4s: SHA-256 "), "{text}");
    assert!(text.contains("added       output hls/2.m4s: it was not there when"), "{text}");
    assert!(
        text.lines().last().unwrap().starts_with("FAILED      files that are not as they were: 2"),
        "{text}"
    );
    fs::write(case.path("out/hls/1.m4s"), "one").unwrap();
    fs::remove_file(case.path("out/hls/2.m4s")).unwrap();
    fs::remove_file(case.path("out/hls/master.m3u8")).unwrap();
    let (code, text) = case.verify();
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("missing     output hls/master.m3u8: "), "{text}");

    let manifest = fs::read_to_string(&case.manifest).unwrap();
    fs::write(&case.manifest, manifest.replace("theft", "Theft")).unwrap();
    let (code, text) = case.verify();
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("the manifest or its signature was changed after signing"), "{text}");
    assert!(!text.contains("Theft"), "what is not signed is not repeated:\n{text}");
}

#[test]
fn each_way_to_end_has_its_code() {
    let case = Case::new();
    let (key, source) = (case.path("unit.key.pub"), case.path("in/gate.mkv"));
    let verify = |more: &[&str]| run(&[&["verify", case.manifest.as_str()], more].concat());
    let (code, text, _) = verify(&["--source", &source]);
    assert_eq!(code, i32::from(Verdict::Unattributed.exit_code()));
    assert!(text.contains("UNCHANGED") && text.contains("not known who signed"), "{text}");
    let (code, text, _) = verify(&["--key", &key, "--skip-source"]);
    assert_eq!(code, 0);
    assert!(
        text.contains("skipped     source gate.mkv") && text.contains("sources were not checked (1)"),
        "{text}"
    );
    let (code, text, _) = verify(&["--key", &key]);
    assert_eq!(code, 1);
    assert!(text.contains("missing     source gate.mkv: say where it is with --source PATH"), "{text}");

    let (code, _, stderr) = verify(&["--key", &case.path("unit.key")]);
    assert_eq!(code, 2);
    assert!(stderr.contains("is a private key"), "{stderr}");
    let (code, _, stderr) = run(&["verify", &case.path("nothing.evidence.json")]);
    assert_eq!(code, 4, "{stderr}");
    for named in [case.path("out/hls"), format!("{}.sig", case.manifest)] {
        let (code, _, stderr) = run(&["verify", &named]);
        assert_eq!(code, 2);
        assert!(
            stderr.contains("is not the manifest; name ") && stderr.contains("hls.evidence.json"),
            "{stderr}"
        );
    }

    let (code, text, _) = verify(&["--key", &key, "--skip-source", "--json"]);
    let found: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((code, &found["verdict"], &found["sources_skipped"]), (0, &json!("verified"), &json!(true)));
    assert_eq!(
        (&found["files"][0]["state"], &found["facts"]["reference"]),
        (&json!("skipped"), &json!("BR-2026/117"))
    );
    assert_eq!(found["signature"]["key_given"], true);
    fs::remove_file(format!("{}.sig", case.manifest)).unwrap();
    let (code, text, _) = verify(&["--key", &key, "--json"]);
    let found: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        (code, &found["verdict"], &found["signature"]["state"]),
        (1, &json!("failed"), &json!("missing"))
    );
    assert_eq!(found["facts"], Value::Null);
}

#[test]
fn keys_are_made_once_and_shown_without_what_is_secret() {
    let case = Case::new();
    let (private, public) = (case.path("unit.key"), case.path("unit.key.pub"));
    let secret = fs::read_to_string(&private).unwrap();
    let secret = secret.lines().nth(1).unwrap().split_at(22).1.to_owned();
    let (code, of_private, _) = run(&["key", "show", &private]);
    let (_, of_public, _) = run(&["key", "show", &public]);
    assert_eq!((code, &of_private), (0, &of_public));
    assert!(of_private.contains(&fs::read_to_string(&public).unwrap()));
    assert!(!of_private.contains(&secret));

    let (code, stdout, stderr) = run(&["--log", "trace", "key", "new", &private]);
    assert_eq!(code, 2);
    assert!(stderr.contains("is there already and is kept"), "{stderr}");
    assert!(!(stdout + &stderr).contains(&secret));
    fs::set_permissions(&private, fs::Permissions::from_mode(0o644)).unwrap();
    let (code, stdout, stderr) = run(&["--log", "trace", "key", "show", &private]);
    assert_eq!(code, 2);
    assert!(stderr.contains("chmod 600") && !(stdout + &stderr).contains(&secret));
    let (code, _, stderr) = run(&["key", "new", &case.path("no/folder/k")]);
    assert_eq!(code, 4, "{stderr}");
}

/// Every key of an object and of those in it, with dots; options and results are the job's own.
fn fields(prefix: &str, value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                let name = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
                found.insert(name.clone());
                if !["options", "result", "facts"].contains(&name.as_str()) {
                    fields(&name, value, found);
                }
            }
        }
        Value::Array(list) => list.iter().for_each(|value| fields(prefix, value, found)),
        _ => {}
    }
}

/// The first column of the table below a heading.
fn rows(page: &str, heading: &str) -> BTreeSet<String> {
    let (_, section) = page.split_once(&format!("\n## {heading}\n")).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let cells = section.lines().filter_map(|l| l.strip_prefix("| ")?.split(" | ").next());
    cells.skip(1).map(|cell| cell.trim_matches('`').to_owned()).collect()
}

#[test]
fn the_reference_has_every_field_and_exit_code() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/ref/evidence.md");
    let page = fs::read_to_string(page).unwrap();
    let case = Case::new();
    let manifest: Value = serde_json::from_slice(&fs::read(&case.manifest).unwrap()).unwrap();
    let mut found = BTreeSet::new();
    fields("", &manifest, &mut found);
    assert_eq!(rows(&page, "The manifest"), found);

    let (_, text, _) = run(&["verify", &case.manifest, "--json"]);
    let mut found = BTreeSet::new();
    fields("", &serde_json::from_str(&text).unwrap(), &mut found);
    assert_eq!(rows(&page, "`--json`"), found);

    let codes = rows(&page, "Exit codes");
    let verdicts = [Verdict::Verified, Verdict::Unattributed, Verdict::Failed, Verdict::Unreadable];
    let mut known: BTreeSet<String> = verdicts.iter().map(|v| v.exit_code().to_string()).collect();
    known.extend(["2", "3"].map(String::from));
    assert_eq!(codes, known);
    for verdict in verdicts {
        let name = serde_json::to_value(verdict).unwrap();
        let row = format!("| {} | `{}` | ", verdict.exit_code(), name.as_str().unwrap());
        assert!(page.contains(&row), "{row}");
    }
    assert!(page.contains(FORMAT));
    // The example of the page is a manifest, and its signature has the form that is written.
    let example = page.split("```json\n").nth(1).unwrap().split("```").next().unwrap();
    let _: Manifest = serde_json::from_str(example).unwrap();
    let sig = fs::read_to_string(format!("{}.sig", case.manifest)).unwrap();
    for line in sig.lines() {
        let key = line.split_once(": ").map_or(line, |(key, _)| key);
        assert!(page.contains(&format!("\n{key}")), "{key}");
    }
}

/// The commands of the page, as they stand there, run by a shell in the manifest's folder.
#[test]
fn the_openssl_commands_of_the_reference_work() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/ref/evidence.md");
    let page = fs::read_to_string(page).unwrap();
    let commands = page.split("```sh\n").nth(1).unwrap().split("```").next().unwrap();
    if std::process::Command::new("openssl").arg("version").output().is_err() {
        println!("skipped: openssl is not installed");
        return;
    }
    let case = Case::new();
    let folder = PathBuf::from(case.path("out"));
    fs::copy(case.path("unit.key.pub"), folder.join("unit.key.pub")).unwrap();
    for name in ["hls.evidence.json", "hls.evidence.json.sig"] {
        fs::copy(folder.join(name), folder.join(name.replacen("hls", "gate.mp4", 1))).unwrap();
    }
    let shell = || {
        let out =
            std::process::Command::new("sh").args(["-ec", commands]).current_dir(&folder).output().unwrap();
        (out.status.success(), String::from_utf8_lossy(&out.stdout).into_owned())
    };
    let (good, text) = shell();
    assert!(good && text.contains("Signature Verified Successfully"), "{text}");
    let id = serde_json::from_slice::<Value>(&fs::read(&case.manifest).unwrap()).unwrap()["key_id"].clone();
    assert!(text.contains(id.as_str().unwrap()), "{text}");
    let manifest = folder.join("gate.mp4.evidence.json");
    fs::write(&manifest, fs::read_to_string(&manifest).unwrap() + " ").unwrap();
    assert!(!shell().0, "openssl must find the byte more");
}
