//! Searching the log, as the API and `vitrail audit show` do.
#![allow(clippy::unwrap_used)]

mod support;

use support::audit_log::{Log, anna};
use vitrail_control::audit::query::{Order, list};
use vitrail_control::audit::{Actor, Event, Query};
use vitrail_control::{Utc, audit};

fn found(connection: &rusqlite::Connection, query: &Query) -> Vec<i64> {
    let (records, more) = list(connection, query, Order::OldestFirst, None, 1000).unwrap();
    assert!(!more);
    records.iter().map(|record| record.seq).collect()
}

fn some(text: &str) -> Option<String> {
    Some(text.into())
}

#[test]
fn every_filter_finds_what_it_says_and_all_of_them_together() {
    // 1 log.opened, 2..=22 events 0..=20, 23 log.closed; zone south: every third.
    let log = Log::new(21);
    let connection = audit::verify::open(&log.path("v.db")).unwrap();
    let all = Query::default();
    assert_eq!(found(&connection, &all), (1..=23).collect::<Vec<_>>());
    let is = |query: Query, expected: &[i64]| assert_eq!(found(&connection, &query), expected, "{query:?}");
    is(Query { kind: some("log.opened"), ..all.clone() }, &[1]);
    is(Query { kind: some("log.*"), ..all.clone() }, &[1, 23]);
    is(Query { kind: some("lo.*"), ..all.clone() }, &[]);
    is(Query { camera: some("cam-3"), ..all.clone() }, &[5, 12, 19]);
    is(Query { zone: some("south"), camera: some("cam-3"), ..all.clone() }, &[5]);
    is(Query { account: some("system"), ..all.clone() }, &[1, 23]);
    is(Query { incident: some("I-2026-0002"), ..all.clone() }, &[]);
    is(Query { kind: some("' OR 1=1 --"), ..all.clone() }, &[]);
    // A zone authority's zones are a limit, and records without a zone are outside of it.
    let south: Vec<i64> = (2..=22).filter(|seq| (seq - 2) % 3 == 0).collect();
    is(Query { zones: Some(vec!["south".into(), "east".into()]), ..all.clone() }, &south);
    is(Query { zones: Some(vec!["south".into()]), zone: some("north"), ..all.clone() }, &[]);
    is(Query { zones: Some(Vec::new()), ..all.clone() }, &[]);
    // From on, before.
    let (records, _) = list(&connection, &all, Order::OldestFirst, None, 100).unwrap();
    let at = |seq: usize| -> Option<Utc> { Some(records[seq - 1].at) };
    is(Query { from: at(10), to: at(13), ..all.clone() }, &[10, 11, 12]);
}

#[test]
fn pages_follow_each_other_in_both_orders() {
    let log = Log::new(21);
    let connection = audit::verify::open(&log.path("v.db")).unwrap();
    let north = Query { zone: some("north"), ..Query::default() };
    for (order, newest_first) in [(Order::OldestFirst, false), (Order::NewestFirst, true)] {
        let (mut all, mut after) = (Vec::new(), None);
        loop {
            let (records, more) = list(&connection, &north, order, after, 5).unwrap();
            all.extend(records.iter().map(|record| record.seq));
            after = all.last().copied();
            if !more {
                break;
            }
            assert_eq!(records.len(), 5);
        }
        let mut expected: Vec<i64> = (2..=22).filter(|seq| (seq - 2) % 3 != 0).collect();
        if newest_first {
            expected.reverse();
        }
        assert_eq!(all, expected);
    }
    assert!(!list(&connection, &north, Order::OldestFirst, None, 14).unwrap().1, "just as many");
}

#[test]
fn a_record_comes_back_as_it_was_written_and_an_unreadable_one_hides_no_other() {
    let log = Log::new(0);
    let event = Event {
        zone: some("north"),
        subject: some("a\n\u{1F6A8}\"\\"),
        reason: some("é ü 漢"),
        details: serde_json::json!({ "b": [1, 2.5, null], "a": { "deep": true } }),
        ..Event::new("test.all")
    };
    let by = Actor { role: None, address: None, ..anna() };
    let db = log.open();
    db.record(&by, event.clone()).unwrap();
    drop(db);
    let newest = |connection: &rusqlite::Connection| {
        list(connection, &Query { zone: some("north"), ..Query::default() }, Order::NewestFirst, None, 10)
            .unwrap()
            .0
    };
    let connection = audit::verify::open(&log.path("v.db")).unwrap();
    let records = newest(&connection);
    assert_eq!((&records[0].by, &records[0].event), (&by, &event));
    drop(connection);
    log.attack("UPDATE audit SET body = 'x' WHERE zone = 'north'");
    let connection = audit::verify::open(&log.path("v.db")).unwrap();
    let records = newest(&connection);
    assert_eq!((records.len(), records[0].event.kind.as_str()), (1, "test.all"));
    assert!(records[0].event.reason.as_ref().unwrap().contains("unreadable"));
}
