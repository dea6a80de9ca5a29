//! How long a registry of 8,000 cameras takes for what is done with it. Prints figures and asserts no
//! times: `cargo test -p vitrail-control --test registry_figures -- --ignored --nocapture`.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::fmt::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use vitrail_control::audit::Ledger;
use vitrail_control::db::Database;
use vitrail_control::registry::{Author, Format, ImportOptions, KeySource, Registry, Search};
use vitrail_engine::base::{Login, SystemClock};

const CAMERAS: usize = 8_000;
const ROUNDS: usize = 40;

const STREETS: [&str; 8] = [
    "Chaussée de Wavre",
    "Rue de l'École",
    "Place Sainte-Catherine",
    "Avenue Louise",
    "Quai des Péniches",
    "Boulevard Anspach",
    "Gare du Midi",
    "Kanaal Zuid",
];
const ZONES: [&str; 6] = ["north", "south", "east", "west", "centre", "canal"];

fn inventory() -> String {
    let mut text = String::from(
        "id,name,zone,site,tags,latitude,longitude,scene_width_m,main.uri,main.size,main.fps,main.codec,main.kbps,sub.uri,sub.size,sub.fps,sub.codec,sub.kbps\n",
    );
    for n in 0..CAMERAS {
        let (street, zone) = (STREETS[n % STREETS.len()], ZONES[n * ZONES.len() / CAMERAS]);
        let (host, number) =
            (format!("10.{}.{}.{}", n / 60_000, n / 250 % 250, n % 250 + 1), n / STREETS.len() + 1);
        let (latitude, longitude) = (50.80 + (n % 97) as f64 * 0.001, 4.30 + (n % 89) as f64 * 0.001);
        let login = format!("op{n}:secret-{n}@");
        writeln!(
            text,
            "cam-{n:05},{street} {number},{zone},site-{:04},{};h264,{latitude:.4},{longitude:.4},24,\
             rtsp://{login}{host}:554/main,1920x1080,25,h264,4000,rtsp://{login}{host}:554/sub,640x360,25/2,h264,400",
            n / 16,
            if n % 5 == 0 { "tunnel" } else { "street" },
        )
        .unwrap();
    }
    text
}

/// Median and 95th percentile, in milliseconds.
fn figures(mut times: Vec<Duration>) -> (f64, f64) {
    times.sort();
    let at = |part: f64| times[((times.len() - 1) as f64 * part).round() as usize].as_secs_f64() * 1e3;
    (at(0.5), at(0.95))
}

fn timed<T>(what: &str, f: impl FnOnce() -> T) -> T {
    let begun = Instant::now();
    let value = f();
    println!("{what:<58} {:>9.1} ms", begun.elapsed().as_secs_f64() * 1e3);
    value
}

fn repeated(what: &str, mut f: impl FnMut() -> usize) {
    let found = f();
    let times = (0..ROUNDS).map(|_| {
        let begun = Instant::now();
        assert_eq!(f(), found);
        begun.elapsed()
    });
    let (median, p95) = figures(times.collect());
    println!("{what:<58} {median:>9.2} ms, p95 {p95:.2} ms ({found} found)");
}

#[test]
#[ignore = "prints figures"]
fn eight_thousand_cameras() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vitrail.db");
    let source = KeySource::File(folder.path().join("key"));
    let open = || {
        let ledger = Ledger::signed(&path, None).unwrap();
        let db = Database::open(&path, ledger, SystemClock::shared()).unwrap();
        (db.clone(), Registry::open(db, &source).unwrap())
    };
    let (db, registry) = open();
    let text = inventory();
    let by = Author::system();
    let how = |dry_run, remove| ImportOptions { format: Format::Csv, dry_run, remove };
    let take = |text: &str, dry_run, remove| registry.import(&by, text, how(dry_run, remove)).unwrap();

    println!("{CAMERAS} cameras, {} kB of CSV", text.len() / 1000);
    let report = timed("import, dry run", || take(&text, true, true));
    assert_eq!((report.added_count, report.left_out_count), (CAMERAS, 0));
    timed("import, all added, with credentials and records", || take(&text, false, true));
    let report = timed("import of the same again", || take(&text, false, true));
    assert_eq!(report.unchanged_count, CAMERAS);
    let changed = text.replace(",24,", ",25,");
    let report = timed("import, all changed", || take(&changed, false, true));
    assert_eq!(report.changed_count, CAMERAS);
    let exported = timed("export as CSV", || registry.export(Format::Csv).unwrap());
    assert_eq!(exported.lines().count(), CAMERAS + 1);
    timed("export as GeoJSON", || registry.export(Format::Geojson).unwrap());

    let mut specs = Vec::new();
    repeated("camera_specs, logins opened", || {
        specs = registry.camera_specs().unwrap();
        specs.len()
    });
    assert!(specs.iter().all(|spec| spec.uri().expose().contains("secret-")));
    repeated("camera_spec, one", || usize::from(registry.camera_spec("cam-04711").unwrap().is_some()));
    repeated("map", || registry.map().unwrap().len());
    let find = |q: &str, limit| {
        let search = Search { q: Some(q.into()), ..Search::default() };
        registry.search(&search, None, limit).unwrap().len()
    };
    for (what, q, limit) in [
        ("search \"\", page of 100", "", 101),
        ("search \"\", page of 1000", "", 1001),
        ("search \"ecole\", page of 100", "ecole", 101),
        ("search \"ecole\", page of 1000", "ecole", 1001),
        ("search \"cam-07999\"", "cam-07999", 101),
        ("search \"sainte cath 999 canal\"", "sainte cath 999 canal", 101),
        ("search \"a\", page of 1000", "a", 1001),
        ("search \"nowhere\" (the whole table)", "nowhere", 101),
    ] {
        repeated(what, || find(q, limit));
    }
    let tagged = Search { tag: Some("tunnel".into()), zone: Some("canal".into()), ..Search::default() };
    repeated("zone and tag, page of 1000", || registry.search(&tagged, None, 1001).unwrap().len());
    full_text(&db);

    let n = std::cell::Cell::new(0);
    repeated("change one camera, on record and on the disk", || {
        n.set(n.get() + 1);
        let id = format!("cam-{:05}", n.get());
        let version = registry.camera(&id).unwrap().version;
        let said = serde_json::json!({ "name": format!("Changed {}", n.get()) });
        registry.change_camera(&by, &id, Some(version), said.as_object().unwrap()).unwrap();
        1
    });
    registry.set_login(&by, "cam-00001", Login { user: "u".into(), password: "p".into() }).unwrap();
    drop((registry, db));
    let (_, registry) = timed("open database and registry", open);
    assert_eq!(timed("first camera_specs after that", || registry.camera_specs().unwrap().len()), CAMERAS);
    let (size, log) = (std::fs::metadata(&path).unwrap().len(), folder.path().join("vitrail.db-wal"));
    let log = std::fs::metadata(log).map_or(0, |m| m.len());
    println!("database {} kB, its log {} kB", size / 1000, log / 1000);
}

/// The same queries by an FTS5 index with prefixes, to compare with.
fn full_text(db: &Arc<Database>) {
    let other = rusqlite::Connection::open_in_memory().unwrap();
    other.execute_batch("CREATE VIRTUAL TABLE found USING fts5(search, tokenize='unicode61 remove_diacritics 2', prefix='1 2 3')").unwrap();
    db.read(|connection| {
        let mut statement = connection.prepare("SELECT n, id, search FROM cameras")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let (n, search): (i64, String) = (row.get(0)?, row.get(2)?);
            other
                .execute("INSERT INTO found (rowid, search) VALUES (?1, ?2)", rusqlite::params![n, search])?;
        }
        Ok(())
    })
    .unwrap();
    for (what, query) in [
        ("\"ecole\"", "ecole*"),
        ("\"cam-07999\"", "\"cam 07999\"*"),
        ("\"a\"", "a*"),
        ("\"nowhere\"", "nowhere*"),
    ] {
        let mut statement =
            other.prepare("SELECT rowid FROM found WHERE found MATCH ?1 ORDER BY rowid LIMIT 1001").unwrap();
        repeated(&format!("FTS5 {what}, the rows alone, 1000"), || {
            statement.query_map([query], |row| row.get::<_, i64>(0)).unwrap().count()
        });
    }
}
