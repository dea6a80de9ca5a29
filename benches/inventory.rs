//! Inventories: 8,000 cameras from CSV and TOML, a query over them, and a reload that changes one.

use std::fmt::Write;

use criterion::{Criterion, criterion_group, criterion_main};
use vitrail_engine::config::{Inventory, Query, diff};

const CAMERAS: usize = 8_000;

/// As a city's export may look: two profiles with all that is known of them.
fn csv() -> String {
    let mut text = "id,name,zone,site,tags,latitude,longitude,scene_width_m,uri,main.size,main.fps,main.codec,main.kbps,\
        sub.uri,sub.size,sub.fps,sub.codec,sub.kbps,priority,pinned,masks\n"
        .to_owned();
    for i in 0..CAMERAS {
        let (a, b) = (i / 250, i % 250);
        let line = format!(
            "cam-{i},\"Rue {a}, pole {b}\",zone-{},cabinet-{},t{};ring,50.{i:05},4.{i:05},12.5,rtsp://10.0.{a}.{b}/main,1920x1080,25,\
             h264,4000,rtsp://10.0.{a}.{b}/sub,640x360,12.5,h264,400,100,false,0 0 0.2 0.5",
            i % 6,
            i / 8,
            i % 10,
        );
        // Writing to a `String` cannot fail.
        let _ = writeln!(text, "{line}");
    }
    text
}

fn read(text: &str, name: &str) -> Inventory {
    let inventory = Inventory::from_text(text, name).expect("a right inventory");
    assert_eq!((inventory.len(), inventory.problems().len()), (CAMERAS, 0));
    inventory
}

fn benches(c: &mut Criterion) {
    let csv = csv();
    let inventory = read(&csv, "c.csv");
    let toml = inventory.to_toml();
    let bad = csv.replacen(",50.", ",950.", CAMERAS / 2);
    c.bench_function("inventory/8000 cameras from CSV", |b| b.iter(|| read(&csv, "c.csv")));
    c.bench_function("inventory/8000 cameras from TOML", |b| b.iter(|| read(&toml, "c.toml")));
    c.bench_function("inventory/8000 rows of CSV, half of them wrong", |b| {
        b.iter(|| Inventory::from_text(&bad, "c.csv"))
    });
    let query =
        Query::parse("zone = zone-3 and tag in (t1, t3) and name ~ '*pole 1*'").expect("a right query");
    c.bench_function("inventory/query over 8000", |b| b.iter(|| inventory.select(&query).len()));
    let new = read(&csv.replacen("rtsp://10.0.3.7/main", "rtsp://10.0.3.7/new", 1), "c.csv");
    assert_eq!(diff(inventory.cameras(), new.cameras()).changed.len(), 1);
    c.bench_function("inventory/diff of 8000", |b| b.iter(|| diff(inventory.cameras(), new.cameras())));
}

criterion_group! {
    name = group;
    config = Criterion::default().sample_size(10).measurement_time(std::time::Duration::from_secs(2));
    targets = benches
}
criterion_main!(group);
