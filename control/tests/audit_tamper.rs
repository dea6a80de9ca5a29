//! Every way to tamper with the log is found, and named by its record: in a database and in an export,
//! by somebody who drops the triggers first.
#![allow(clippy::unwrap_used)]

mod support;

use rusqlite::{Connection, params};
use sha2::{Digest, Sha256};
use support::audit_log::{Log, anna, copy, event, faults, trusted};
use vitrail_control::audit::chain;
use vitrail_control::audit::verify::{Check, Fault, Verdict, verify};
use vitrail_control::audit::{Ledger, Query, Record};
use vitrail_control::base::unhex;

/// Records of a log with 40 events: 1 opens it, 42 closes it. Checkpoints at 1, 11, 21, 31, 41, 42.
const EVENTS: usize = 40;

#[test]
fn a_log_that_nobody_touched_is_verified() {
    let log = Log::new(EVENTS);
    let findings = log.check("v.db", true, true);
    assert_eq!(findings.verdict, Verdict::Verified, "{findings:#?}");
    assert_eq!((findings.records, findings.first, findings.last), (42, Some(1), Some(42)));
    assert_eq!(trusted(&findings), [(1, 42)]);
    assert_eq!((findings.signatures, findings.file_signatures), (7, 6));
    assert_eq!(log.check("v.db", false, true).verdict, Verdict::Unattributed);
    let lines = log.export();
    assert_eq!(log.check_lines(&lines).verdict, Verdict::Verified);
    assert_eq!(log.check("x.jsonl", true, true).verdict, Verdict::Verified);
    assert_eq!(log.check("x.jsonl", false, false).verdict, Verdict::Unattributed);
    // A copy that nobody has open is read as it lies there, and nothing appears beside it.
    let apart = tempfile::tempdir().unwrap();
    copy(&log.path("v.db"), &apart.path().join("copy.db"));
    let check = Check { file: apart.path().join("copy.db"), keys: vec![log.key.clone()], checkpoints: None };
    assert_eq!(verify(&check, &mut |_, _| {}).unwrap().verdict, Verdict::Verified);
    assert_eq!(std::fs::read_dir(apart.path()).unwrap().count(), 1);
}

/// SQL, the faults that it must bring and what stays proven.
type Attack = (&'static str, &'static [(Fault, Option<i64>)], &'static [(i64, i64)]);

#[test]
fn every_attack_on_a_database_is_found_and_named() {
    use Fault::*;
    let attacks: &[Attack] = &[
        // Edit.
        ("UPDATE audit SET body = replace(body, 'Anna', 'Nina') WHERE seq = 17", &[(Changed, Some(17))], &[(1, 16), (18, 42)]),
        ("UPDATE audit SET body = 'nothing' WHERE seq = 17", &[(Changed, Some(17)), (Changed, Some(17))], &[(1, 16), (18, 42)]),
        ("UPDATE audit SET salt = zeroblob(16) WHERE seq = 17", &[(Changed, Some(17))], &[(1, 16), (18, 42)]),
        ("UPDATE audit SET digest = zeroblob(32) WHERE seq = 17", &[(Index, Some(17))], &[(1, 42)]),
        ("UPDATE audit SET body = replace(body, 'Anna', 'Nina'), digest = zeroblob(32) WHERE seq = 17", &[(Changed, Some(17))], &[(1, 11), (18, 42)]),
        // Its hash, too: two records do not fit any more.
        ("UPDATE audit SET hash = zeroblob(32) WHERE seq = 17", &[(Changed, Some(17)), (Changed, Some(18))], &[(1, 11), (19, 42)]),
        ("UPDATE audit SET hash = x'00' WHERE seq = 17", &[(Changed, Some(17))], &[(1, 11), (19, 42)]),
        // So that a search does not find it.
        ("UPDATE audit SET zone = NULL, camera = 'cam-9' WHERE seq = 17", &[(Index, Some(17))], &[(1, 42)]),
        ("UPDATE audit SET at = at + 1 WHERE seq = 17", &[(Index, Some(17))], &[(1, 42)]),
        // Delete.
        ("DELETE FROM audit WHERE seq = 17", &[(Removed, Some(17))], &[(1, 11), (19, 42)]),
        ("DELETE FROM audit WHERE seq BETWEEN 5 AND 25", &[(Removed, Some(5))], &[(1, 1), (27, 42)]),
        ("DELETE FROM audit WHERE seq = 1", &[(Removed, Some(1))], &[(3, 42)]),
        ("DELETE FROM audit WHERE seq = 17; UPDATE audit SET seq = seq - 1 WHERE seq > 17", &[(Removed, Some(17))], &[(1, 11), (19, 42)]),
        // Reorder.
        ("UPDATE audit SET seq = 1000 WHERE seq = 17; UPDATE audit SET seq = 17 WHERE seq = 18; UPDATE audit SET seq = 18 WHERE seq = 1000",
         &[(Reordered, Some(17)), (Reordered, Some(18))], &[(1, 11), (20, 42)]),
        ("UPDATE audit SET seq = 1000 WHERE seq = 15; UPDATE audit SET seq = 15 WHERE seq = 28; UPDATE audit SET seq = 28 WHERE seq = 1000",
         &[(Reordered, Some(15)), (Reordered, Some(28))], &[(1, 11), (17, 21), (30, 42)]),
        // Truncate, with and without the signatures that tell.
        ("DELETE FROM audit WHERE seq > 35", &[(Truncated, Some(36))], &[(1, 31)]),
        ("DELETE FROM audit WHERE seq > 35; DELETE FROM audit_head", &[(Unsigned, None), (Truncated, Some(36))], &[(1, 31)]),
        ("DELETE FROM audit WHERE seq > 35; DELETE FROM audit_head; DELETE FROM audit_checkpoint WHERE seq > 35", &[(Unsigned, None), (Unsigned, Some(32))], &[(1, 31)]),
        ("DELETE FROM audit WHERE seq > 35; UPDATE audit_head SET seq = 35, hash = (SELECT hash FROM audit WHERE seq = 35); DELETE FROM audit_checkpoint WHERE seq > 35",
         &[(Unsigned, Some(32)), (Unsigned, Some(35))], &[(1, 31)]),
        ("DELETE FROM audit; DELETE FROM audit_head; DELETE FROM audit_checkpoint", &[(Unsigned, None)], &[]),
        // An old head put back by somebody who took it from the file of checkpoints or a copy.
        ("UPDATE audit_head SET (seq, at, hash, signature) = (SELECT seq, at, hash, signature FROM audit_checkpoint WHERE seq = 31);
          DELETE FROM audit_checkpoint WHERE seq > 31", &[(Inserted, Some(32))], &[(1, 31)]),
        // Insert.
        ("INSERT INTO audit SELECT 43, at, kind, actor, zone, camera, screen, incident, agreement, replace(body, '\"seq\":42', '\"seq\":43'), salt, digest, hash FROM audit WHERE seq = 42",
         &[(Changed, Some(43)), (Inserted, Some(43))], &[(1, 42)]),
        ("UPDATE audit SET seq = -seq - 1 WHERE seq >= 17; UPDATE audit SET seq = -seq WHERE seq < 0;
          INSERT INTO audit SELECT 17, at, kind, actor, zone, camera, screen, incident, agreement, replace(body, '\"seq\":16', '\"seq\":17'), salt, digest, hash FROM audit WHERE seq = 16",
         &[(Changed, Some(17)), (Inserted, Some(17))], &[(1, 11), (18, 42)]),
        // Signatures.
        ("UPDATE audit_checkpoint SET signature = (SELECT signature FROM audit_head) WHERE seq = 21", &[(Unsigned, Some(21))], &[(1, 42)]),
        ("UPDATE audit_checkpoint SET at = at + 1 WHERE seq = 21", &[(Unsigned, Some(21))], &[(1, 42)]),
        ("UPDATE audit_head SET key_id = 'mine'", &[(OtherKey, Some(42))], &[(1, 42)]),
        ("DROP TABLE audit_head; DROP TABLE audit_checkpoint; DROP TABLE audit_key", &[(Unsigned, None)], &[]),
    ];
    for (sql, expected, proven) in attacks {
        let log = Log::new(EVENTS);
        // The constraints go, too.
        log.attack(
            "CREATE TABLE loose AS SELECT * FROM audit; DROP TABLE audit; ALTER TABLE loose RENAME TO audit",
        );
        let untouched = log_findings(&log);
        assert_eq!(untouched, (Verdict::Verified, vec![], vec![(1, 42)]));
        Connection::open(log.path("v.db")).unwrap().execute_batch(sql).unwrap();
        let findings = log_findings(&log);
        assert_eq!(
            findings,
            (Verdict::Failed, expected.to_vec(), proven.to_vec()),
            "{sql}\n{:#?}",
            log.verify().faults
        );
    }
}

/// The verdict, what is wrong where, and what can be trusted.
type Found = (Verdict, Vec<(Fault, Option<i64>)>, Vec<(i64, i64)>);

fn log_findings(log: &Log) -> Found {
    let findings = log.verify();
    (findings.verdict, faults(&findings), trusted(&findings))
}

/// Makes every record from `from` on anew, so that all hashes fit: what somebody can do without the key.
fn remake(log: &Log, from: i64, edit: impl Fn(&str) -> String) {
    let connection = Connection::open(log.path("v.db")).unwrap();
    let mut previous: [u8; 32] =
        connection.query_row("SELECT hash FROM audit WHERE seq = ?1", [from - 1], |row| row.get(0)).unwrap();
    let rows: Vec<(i64, String, [u8; 16])> = connection
        .prepare("SELECT seq, body, salt FROM audit WHERE seq >= ?1 ORDER BY seq")
        .unwrap()
        .query_map([from], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .unwrap()
        .collect::<rusqlite::Result<_>>()
        .unwrap();
    for (seq, body, salt) in rows {
        let body = edit(&body);
        let digest = chain::digest(&salt, body.as_bytes());
        previous = chain::link(&previous, &digest);
        let sql = "UPDATE audit SET body = ?2, digest = ?3, hash = ?4 WHERE seq = ?1";
        connection.execute(sql, params![seq, body, digest, previous]).unwrap();
    }
}

#[test]
fn records_that_were_made_anew_without_the_key_are_found() {
    let log = Log::new(EVENTS);
    log.attack("");
    remake(&log, 17, |body| body.replace("Anna", "Nina"));
    let findings = log.verify();
    let remade: Vec<_> = [21, 31, 41, 42, 42].map(|seq| (Fault::Remade, Some(seq))).into();
    assert_eq!(faults(&findings), remade);
    assert_eq!(trusted(&findings), [(1, 11)]);

    // The head and the checkpoints made anew as well, with a key of one's own: everything fits.
    let other = Log::new(1);
    let signer =
        chain::Signer::new(vitrail_engine::evidence::SigningKeyFile::open(&other.path("v.db.key")).unwrap());
    let connection = Connection::open(log.path("v.db")).unwrap();
    for (seq, why) in [(1, "start"), (11, "count"), (21, "count"), (31, "count"), (41, "count"), (42, "stop")]
    {
        let (at, hash) = connection
            .query_row("SELECT at, hash FROM audit WHERE seq = ?1", [seq], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .unwrap();
        let head = chain::Head::sign(&signer, seq, at, hash, why);
        let sql =
            "UPDATE audit_checkpoint SET at = ?2, hash = ?3, key_id = ?4, signature = ?5 WHERE seq = ?1";
        connection.execute(sql, params![seq, head.at, head.hash, head.key_id, head.signature]).unwrap();
        let sql = "UPDATE audit_head SET at = ?2, hash = ?3, key_id = ?4, signature = ?5 WHERE seq = ?1";
        connection.execute(sql, params![seq, head.at, head.hash, head.key_id, head.signature]).unwrap();
    }
    connection
        .execute("UPDATE audit_key SET id = ?1, public = ?2", params![signer.id, signer.public().base64()])
        .unwrap();
    drop(connection);
    assert_eq!(
        log.check("v.db", false, false).verdict,
        Verdict::Unattributed,
        "anybody could have made this"
    );
    let findings = log.verify();
    assert_eq!((findings.verdict, faults(&findings)), (Verdict::Failed, vec![(Fault::OtherKey, Some(1))]));
    assert_eq!(trusted(&findings), []);
    // Without the key, the checkpoint file still tells.
    let findings = log.check("v.db", false, true);
    assert_eq!((findings.verdict, faults(&findings)), (Verdict::Failed, vec![(Fault::RolledBack, None)]));
}

#[test]
fn a_database_that_was_set_back_is_found_by_the_checkpoint_file() {
    let log = Log::new(EVENTS);
    copy(&log.path("v.db"), &log.path("old.db"));
    log.append(30);
    copy(&log.path("old.db"), &log.path("v.db"));
    assert_eq!(log.verify().verdict, Verdict::Verified, "an old copy is sound in itself");
    let findings = log.check("v.db", true, true);
    assert_eq!((findings.verdict, faults(&findings)), (Verdict::Failed, vec![(Fault::RolledBack, Some(43))]));
    assert_eq!(findings.faults[0].to, Some(74));

    // The controller notices at its start, goes on, and says so for ever.
    let db = log.open();
    assert!(db.log_state().expect_err("operators see it").reason.contains("record 74"));
    drop(db);
    log.append(40);
    let findings = log.verify();
    assert_eq!((findings.verdict, faults(&findings)), (Verdict::Failed, vec![(Fault::Told, Some(43))]));
    let findings = log.check("v.db", true, true);
    let forked: Vec<_> = faults(&findings);
    assert!(
        forked.contains(&(Fault::Told, Some(43))) && forked.contains(&(Fault::RolledBack, Some(74))),
        "{forked:?}"
    );
    let told = log.open();
    let count = "SELECT count(*) FROM audit WHERE kind = 'log.rolled-back'";
    let count: i64 = told.read(|c| Ok(c.query_row(count, [], |row| row.get(0))?)).unwrap();
    assert_eq!(count, 1, "once");
    assert_eq!(told.log_state(), Ok(()));
}

#[test]
fn what_was_tampered_with_goes_on_record_at_the_next_start_and_while_it_runs() {
    let log = Log::new(EVENTS);
    log.attack("DELETE FROM audit WHERE seq > 38");
    let db = log.open();
    let trouble = db.log_state().expect_err("operators see it");
    assert!(trouble.reason.contains("records 39 to 42 are missing"), "{trouble}");
    // The head of the new records covers the gap; what the log tells of it stays.
    db.record(&anna(), event(1)).unwrap();
    let findings = db.verify(&mut |_, _| {}).unwrap();
    assert!(faults(&findings).contains(&(Fault::Told, Some(39))), "{findings:#?}");

    // Somebody else writes while it runs.
    let connection = Connection::open(log.path("v.db")).unwrap();
    connection.execute("DELETE FROM audit WHERE seq = (SELECT max(seq) FROM audit)", []).unwrap();
    db.record(&anna(), event(2)).unwrap();
    let kinds = "SELECT group_concat(kind, ' ') FROM (SELECT kind FROM audit WHERE seq > 38 ORDER BY seq)";
    let kinds: String = db.read(|c| Ok(c.query_row(kinds, [], |row| row.get(0))?)).unwrap();
    assert_eq!(kinds, "log.broken log.rolled-back log.opened log.broken showing.started");
}

#[test]
fn a_key_that_was_lost_is_replaced_by_a_person_and_the_log_says_so() {
    let log = Log::new(5);
    std::fs::remove_file(log.path("v.db.key")).unwrap();
    let refused = Ledger::signed(&log.path("v.db"), None).map(drop).expect_err("not by itself");
    assert!(refused.detail.contains("put it back"), "{refused}");
    std::fs::rename(log.path("v.db.key.pub"), log.path("old.pub")).unwrap();
    log.append(5);
    assert_eq!(log.verify().verdict, Verdict::Failed, "the new key was not given");
    let new = vitrail_engine::evidence::PublicKey::read(&log.path("v.db.key.pub")).unwrap();
    let check = Check {
        file: log.path("v.db"),
        keys: vec![log.key.clone(), new],
        checkpoints: Some(log.path("heads.jsonl")),
    };
    let findings = verify(&check, &mut |_, _| {}).unwrap();
    assert_eq!(findings.verdict, Verdict::Verified, "{findings:#?}");
    assert!(
        findings.notes.iter().any(|note| note.contains("record 8: the key that signs was replaced")),
        "{findings:#?}"
    );
}

/// A change of lines, the faults that it must bring.
type LineAttack = (fn(&mut Vec<String>), &'static [(Fault, Option<i64>)]);

#[test]
fn every_attack_on_an_export_is_found_and_named() {
    use Fault::*;
    let attacks: &[LineAttack] = &[
        (|l| l[16] = l[16].replace("Anna", "Nina"), &[(Changed, Some(17))]),
        (|l| l[16] = "{}".into(), &[(Changed, None), (Removed, Some(17))]),
        (|l| drop(l.remove(16)), &[(Removed, Some(17))]),
        (|l| drop(l.drain(3..20)), &[(Removed, Some(4))]),
        (|l| drop(l.remove(0)), &[(Removed, Some(1))]),
        (|l| l.swap(16, 17), &[(Reordered, Some(17))]),
        (|l| l.swap(10, 30), &[(Reordered, Some(11))]),
        (|l| l.insert(17, l[16].clone()), &[(Inserted, Some(17))]),
        (
            |l| {
                l.insert(
                    42,
                    l[41].replace("\"seq\":42", "\"seq\":43").replace("\\\"seq\\\":42", "\\\"seq\\\":43"),
                )
            },
            &[(Changed, Some(43)), (Inserted, Some(43))],
        ),
        (|l| l.push(l[3].clone()), &[(Truncated, None)]),
        // The end: with the last line, without it, and with one that fits.
        (|l| drop(l.pop()), &[(Truncated, None)]),
        (|l| l.truncate(30), &[(Truncated, None)]),
        (|l| drop(l.drain(30..42)), &[(Truncated, Some(31))]),
        (
            |l| {
                l.drain(31..42);
                l[31] = l[31].replace("\"last\":42", "\"last\":31");
            },
            &[(Unsigned, Some(31)), (Truncated, Some(32))],
        ),
        // Signatures.
        (|l| l[42] = l[42].replace("\"why\":\"stop\"", "\"why\":\"stop\",\"x\":1"), &[]),
        (|l| l[42] = l[42].replacen("\"signature\":\"", "\"signature\":\"AAAA", 1), &[(Unsigned, Some(42))]),
        (
            |l| l[42] = l[42].replacen(&"0".repeat(64), &"1".repeat(64), 1),
            &[(Changed, Some(1)), (Changed, Some(1))],
        ),
    ];
    let log = Log::new(EVENTS);
    let whole = log.export();
    assert_eq!(whole.len(), 43);
    for (index, (attack, expected)) in attacks.iter().enumerate() {
        let mut lines = whole.clone();
        attack(&mut lines);
        assert_ne!(lines, whole, "attack {index} did nothing");
        let findings = log.check_lines(&lines);
        let found = faults(&findings);
        if expected.is_empty() {
            // What is not signed may change: `why` is a note.
            continue;
        }
        assert_eq!(findings.verdict, Verdict::Failed, "attack {index}");
        for fault in *expected {
            assert!(found.contains(fault), "attack {index}: {fault:?} in {:#?}", findings.faults);
        }
    }
}

#[test]
fn a_part_of_the_log_is_verified_and_tells_nothing_of_the_rest() {
    let log = Log::new(EVENTS);
    let south = Query { zones: Some(vec!["south".into()]), ..Query::default() };
    let lines = log.export_of(south);
    let text = lines.join("\n");
    assert!(text.contains("south") && !text.contains("north"), "only what may be read");
    let findings = log.check_lines(&lines);
    assert_eq!((findings.verdict, findings.withheld), (Verdict::Verified, 42 - 14), "{findings:#?}");
    assert_eq!(trusted(&findings), [(1, 42)]);
    // A digest that was changed, a whole line that was made a digest, a body in the place of a digest.
    let digest = lines.iter().position(|line| line.contains("\"digest\"")).unwrap();
    let mut changed = lines.clone();
    let at = changed[digest].find("digest\":\"").unwrap() + 9;
    let other = if &changed[digest][at..=at] == "0" { "1" } else { "0" };
    changed[digest].replace_range(at..=at, other);
    assert_eq!(log.check_lines(&changed).faults[0].what, Fault::Changed);

    // A time: from the middle, to the next signature.
    let whole = log.export();
    let record = |line: &str| -> Record {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        serde_json::from_str(line["body"].as_str().unwrap()).unwrap()
    };
    let (from, to) = (record(&whole[14]).at, record(&whole[24]).at);
    let lines = log.export_of(Query { from: Some(from), to: Some(to), ..Query::default() });
    let findings = log.check_lines(&lines);
    assert_eq!((findings.verdict, findings.first, findings.last), (Verdict::Verified, Some(15), Some(31)));
    assert_eq!((findings.withheld, trusted(&findings)), (7, vec![(15, 31)]));
    assert_eq!(
        log.check("x.jsonl", true, true).verdict,
        Verdict::Verified,
        "the file knows of more, and that is no fault"
    );
}

#[test]
fn somebody_else_can_verify_it_from_the_page_alone() {
    // Nothing of this program but the export: the sums by sha2, the signature by its key.
    let log = Log::new(EVENTS);
    let lines: Vec<serde_json::Value> =
        log.export().iter().map(|l| serde_json::from_str(l).unwrap()).collect();
    let (end, records) = lines.split_last().unwrap();
    let bytes = |v: &serde_json::Value| unhex::<32>(v.as_str().unwrap()).unwrap();
    let mut hash = bytes(&end["previous"]);
    for record in records {
        let salt = unhex::<16>(record["salt"].as_str().unwrap()).unwrap();
        let digest = Sha256::digest([&salt, record["body"].as_str().unwrap().as_bytes()].concat());
        hash = Sha256::digest([&hash[..], &digest[..]].concat()).into();
        assert_eq!(hash, bytes(&record["hash"]));
    }
    let head = &end["head"];
    let (seq, at) = (head["seq"].as_i64().unwrap(), head["at"].as_str().unwrap());
    let statement = format!("vitrail-audit-head/1\n{seq}\n{at}\n{}\n", head["hash"].as_str().unwrap());
    assert_eq!(hash, bytes(&head["hash"]));
    std::fs::write(log.path("head.txt"), statement).unwrap();
    let decode = std::process::Command::new("bash")
        .arg("-c")
        .arg("echo \"$1\" | base64 -d > head.sig && openssl pkeyutl -verify -pubin -inkey v.db.key.pub -rawin -in head.txt -sigfile head.sig")
        .args(["_", head["signature"].as_str().unwrap()])
        .current_dir(log.folder.path())
        .output()
        .unwrap();
    assert!(decode.status.success(), "{decode:?}");
}

mod any_byte {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

        #[test]
        fn of_a_body_that_was_changed_is_found(seq in 1i64..=42, place in any::<prop::sample::Index>(), by in 1u8..=255) {
            // One log for all cases: each is put back.
            static LOG: std::sync::LazyLock<Log> = std::sync::LazyLock::new(|| {
                let log = Log::new(EVENTS);
                log.attack("CREATE TABLE loose (seq, at, kind, actor, zone, camera, screen, incident, agreement, body, salt, digest, hash);
                    INSERT INTO loose SELECT * FROM audit; DROP TABLE audit; ALTER TABLE loose RENAME TO audit");
                log
            });
            let connection = Connection::open(LOG.path("v.db")).unwrap();
            let body: String = connection.query_row("SELECT body FROM audit WHERE seq = ?1", [seq], |row| row.get(0)).unwrap();
            let mut bytes = body.clone().into_bytes();
            let place = place.index(bytes.len());
            bytes[place] ^= by;
            let set = |value: &dyn rusqlite::ToSql| {
                connection.execute("UPDATE audit SET body = ?2 WHERE seq = ?1", params![seq, value]).unwrap();
            };
            // As text where it is text still, else as bytes.
            match String::from_utf8(bytes) {
                Ok(text) => set(&text),
                Err(bytes) => set(&bytes.into_bytes()),
            }
            let findings = LOG.verify();
            set(&body);
            prop_assert_eq!(findings.verdict, Verdict::Failed);
            // A digit of the number within: the body is then that of another record.
            let found = [Fault::Changed, Fault::Reordered].map(|fault| (fault, Some(seq)));
            prop_assert!(faults(&findings).iter().any(|fault| found.contains(fault)), "{:?}", findings.faults);
            prop_assert_eq!(LOG.verify().verdict, Verdict::Verified);
        }
    }
}
