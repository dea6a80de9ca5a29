//! Inventories: what is read, what is refused, in which words.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::fmt::Write;

use super::*;
use crate::config::{Position, StreamFacts, WallSpec};
use crate::media::{Codec, Flip, QuarterTurn, Ratio};
use crate::source::{RtspClient, Transport};

const HEADER: &str = "id,name,zone,tags,latitude,longitude,uri,main.size,main.fps,sub.uri,masks\n";

fn csv(text: &str) -> Inventory {
    Inventory::from_text(text, "c.csv").unwrap_or_else(|errors| panic!("{errors}"))
}

fn refused(text: &str) -> String {
    Inventory::from_text(text, "c.csv").expect_err("refused").to_string()
}

/// What is wrong with rows below `HEADER`, which begin on line 2.
fn wrong(rows: &str) -> String {
    let inventory = csv(&format!("{HEADER}{rows}"));
    let lines: Vec<String> = inventory.problems().iter().map(Problem::to_string).collect();
    lines.join("\n")
}

fn ids(inventory: &Inventory, query: &str) -> String {
    let found = inventory.select(&Query::parse(query).unwrap_or_else(|e| panic!("{e}")));
    found.iter().map(|c| c.id.as_str()).collect::<Vec<_>>().join(" ")
}

#[test]
fn a_row_becomes_a_camera() {
    let text = "\u{feff}# made by hand\r\n\r\nId,NAME,zone,site,tags,latitude,longitude,scene_width_m,main.uri,main.size,main.fps,main.codec,main.kbps,sub.uri,sub.size,transport,client,any_certificate,pinned,priority,still,turn,flip,masks\r\ngate-1,\"Porte \"\"Nord\"\", rue 1\",north,cab-7,\"tunnel; ring ;tunnel\",50.85,4.35,12.5,rtsps://u:p@h/1,1920x1080,12.5,h265,4000,rtsp://h/2,640x360,udp,gstreamer,yes,true,7,1,270,vertical,\"0 0 0.5 0.25; 0.7,0.7,0.3,0.3\"\r\n\r\n,,,,,,,,,,,,,,,,,,,,,,,\r\ngate-2,,,,,,,,rtsp://h/3\r\n";
    let inventory = csv(text);
    assert_eq!(inventory.problems(), []);
    let [camera, plain] = inventory.cameras() else { panic!("two cameras") };
    assert_eq!((camera.id.as_str(), camera.name.as_str()), ("gate-1", "Porte \"Nord\", rue 1"));
    assert_eq!((camera.zone.as_deref(), camera.site.as_deref()), (Some("north"), Some("cab-7")));
    assert_eq!(camera.tags, ["tunnel", "ring"]);
    assert_eq!(camera.position, Some(Position { latitude: 50.85, longitude: 4.35 }));
    assert_eq!(camera.uri().expose(), "rtsps://u:p@h/1");
    assert_eq!(camera.profiles["sub"].expose(), "rtsp://h/2");
    let rate = Ratio { num: 25, den: 2 };
    let facts = StreamFacts {
        size: Some((1920, 1080)),
        frame_rate: Some(rate),
        codec: Some(Codec::H265),
        kbps: Some(4000),
    };
    assert_eq!(camera.streams["main"], facts);
    assert_eq!(camera.streams["sub"], StreamFacts { size: Some((640, 360)), ..StreamFacts::default() });
    assert_eq!((camera.transport, camera.client), (Transport::Udp, RtspClient::Gstreamer));
    assert!(camera.any_certificate && camera.pinned && camera.still);
    assert_eq!((camera.turn.degrees(), camera.flip), (270, Flip::Vertical));
    assert_eq!((camera.priority, camera.scene_width_m, camera.masks.len()), (7, Some(12.5), 2));
    assert_eq!((plain.name.as_str(), plain.priority, plain.streams.len()), ("gate-2", 100, 0));
}

#[test]
fn spreadsheets_of_countries_with_a_decimal_comma() {
    let inventory = csv("id;tags;latitude;longitude;uri;main.fps\na;\"x;y\";50,85;4,35;rtsp://h/1;12,5\n");
    let camera = &inventory.cameras()[0];
    assert_eq!(camera.position, Some(Position { latitude: 50.85, longitude: 4.35 }));
    assert_eq!((camera.tags.len(), camera.streams["main"].frame_rate), (2, Ratio::new(25, 2)));
    assert_eq!(csv("id\turi\na\trtsp://h/1\n").len(), 1);
}

#[test]
fn every_error_of_a_row_in_its_exact_words() {
    let cases = [
        (
            "a,,,,,,,,,,",
            "c.csv:2:1: camera a.uri: is missing; say where the camera is, as uri = \"rtsp://HOST/PATH\"",
        ),
        (",,,,,,rtsp://h/1,,,,", "c.csv:2:1: id: is missing; each camera of an inventory has its own id"),
        ("a,,,,95,4,rtsp://h/1,,,,", "c.csv:2:6: camera a.latitude: is out of range: -90 to 90 degrees"),
        ("a,,,,x,4,rtsp://h/1,,,,", "c.csv:2:6: camera a.latitude: \"x\" is not a number"),
        (
            "a,,,,,4,rtsp://h/1,,,,",
            "c.csv:2:7: camera a.longitude: is given without latitude; a position needs both",
        ),
        (
            "a,é,,,,,rtps://u:hunter2@h/1,,,,",
            "c.csv:2:9: camera a.uri: scheme \"rtps\" is not one that a camera can have; did you mean \"rtsp\"?",
        ),
        (
            "a,,,,,,rtsp://h/1,big,,,",
            "c.csv:2:19: camera a.main.size: \"big\" is not width and height in pixels, as \"1920x1080\" or [1920, 1080]",
        ),
        (
            "a,,,,,,rtsp://h/1,,300,,",
            "c.csv:2:20: camera a.main.fps: is out of range: 0.1 to 240 pictures per second",
        ),
        (
            "a,,,,,,rtsp://h/1,,,rtsp:///x,",
            "c.csv:2:21: camera a.sub.uri: names no host; write scheme://HOST:PORT/PATH",
        ),
        (
            "a,,,,,,rtsp://h/1,,,,0 0 2 1",
            "c.csv:2:22: camera a.masks: does not lie in the picture; x and y from 0, width and height above 0, x + width and y + height at most 1",
        ),
        (
            "a,,,,,,rtsp://h/1,,,,left",
            "c.csv:2:22: camera a.masks: \"left\" is not four numbers \"x y width height\", 0 to 1",
        ),
        (
            "a b,,,,,,rtsp://h/1,,,,",
            "c.csv:2:1: id: \"a b\" is no id; at most 64 letters, digits, -, _ and .",
        ),
        (
            "a,\"open,,,,,rtsp://h/1,,,,",
            "c.csv:2:1: camera a: a quote is not closed; a camera is one line; a quote in a text is doubled",
        ),
        (
            "a,b\rc,,,,,rtsp://h/1,,,,",
            "c.csv:2:1: has a carriage return in it; save the file with usual line ends",
        ),
        (
            "a,one, two,,,,,rtsp://h/1,,,,x,y",
            "c.csv:2:30: camera a: has 13 fields, but the header has 11; a text with a delimiter in it stands in quotes",
        ),
        (
            "a,,,,,,rtsp://h/1,,,,\na,,,,,,rtsp://h/2,,,,",
            "c.csv:3:1: camera a.id: \"a\" is already taken on line 2; give each its own id",
        ),
    ];
    for (rows, expected) in cases {
        assert_eq!(wrong(rows), expected, "for {rows}");
    }
}

#[test]
fn every_error_of_a_header_in_its_exact_words() {
    let known = "known: id, name, uri, transport, client, any_certificate, site, zone, tags, latitude, longitude, scene_width_m, priority, pinned, still, turn, flip, masks; and of each profile NAME.uri, NAME.size, NAME.fps, NAME.codec, NAME.kbps";
    let hint = "the first line names the columns, as id,name,zone,uri,sub.uri";
    let cases = [
        ("", format!("c.csv:1:1: has no header; {hint}")),
        ("# nothing\n\n", format!("c.csv:1:1: has no header; {hint}")),
        ("id,uri,lattitude\n", "c.csv:1:8: unknown column \"lattitude\"; did you mean \"latitude\"?".into()),
        ("id,uri,mask\n", "c.csv:1:8: unknown column \"mask\"; did you mean \"masks\"?".into()),
        ("id,uri,colour of pole\n", format!("c.csv:1:8: unknown column \"colour of pole\"; {known}")),
        ("id,name\n", format!("c.csv:1:1: has no column \"uri\"; {hint}")),
        ("name,uri\n", format!("c.csv:1:1: has no column \"id\"; {hint}")),
        ("id,uri,ID\n", "c.csv:1:8: column \"ID\" is there twice".into()),
        (
            "id,uri,mian.size\n",
            "c.csv:1:8: profile \"mian\" has no column \"mian.uri\"; a profile needs its address".into(),
        ),
        ("id,\"uri\n", "c.csv:1:1: the header: a quote is not closed; a camera is one line; a quote in a text is doubled".into()),
    ];
    for (text, expected) in cases {
        assert_eq!(refused(text), expected, "for {text}");
    }
    let refused = |text: &str| Inventory::from_text(text, "c.toml").expect_err("refused").to_string();
    assert_eq!(refused(""), "c.toml:1:1: camera: no camera; add a table [[camera]] with its id and uri");
    assert_eq!(
        refused("[[cameras]]\nid = \"a\"\n"),
        "c.toml:1:3: unknown key \"cameras\"; did you mean \"camera\"?"
    );
    assert_eq!(refused("[[camera]\n"), "c.toml:1:10: not TOML: unclosed array table, expected `]`");
    let other = Inventory::from_text("", "c.xlsx").expect_err("refused").to_string();
    assert_eq!(other, "c.xlsx:1:1: is no inventory; the name ends in .csv or .toml");
}

/// A good row of a large inventory.
fn row(i: usize) -> String {
    format!(
        "cam-{i},Camera {i},zone-{},t{};all,50.{i},4.{i},rtsp://u:hunter2@10.0.0.1/{i},1920x1080,25,rtsp://h/{i}/s,\n",
        i % 6,
        i % 10,
    )
}

#[test]
fn twenty_bad_rows_among_eight_thousand() {
    let faults: [fn(usize) -> String; 5] = [
        |i| row(i).replace(",50.", ",950."),
        |i| row(i).replace("rtsp://u", "rtps://u"),
        |i| row(i).replace("Camera", "\"Camera"),
        |i| row(i).replace("1920x1080", "1920"),
        |_| row(1),
    ];
    let (mut text, mut expected) = (HEADER.to_owned(), BTreeSet::new());
    for i in 0..8_000 {
        if i % 400 == 399 {
            expected.insert(i + 2);
            text.push_str(&faults[i / 400 % faults.len()](i));
        } else {
            text.push_str(&row(i));
        }
    }
    let inventory = csv(&text);
    assert_eq!((inventory.len(), inventory.rejected(), expected.len()), (7_980, 20, 20));
    let told: BTreeSet<usize> = inventory.problems().iter().map(|p| p.place.as_ref().unwrap().line).collect();
    assert_eq!((told, inventory.problems().len()), (expected, 20));
    let twice = inventory.problems().last().unwrap().to_string();
    assert_eq!(
        twice,
        "c.csv:8001:1: camera cam-1.id: \"cam-1\" is already taken on line 3; give each its own id"
    );
    let said: Vec<String> = inventory.problems().iter().map(Problem::to_string).collect();
    assert!(!said.join("\n").contains("hunter2") && !format!("{inventory:?}").contains("hunter2"));
    assert_eq!(inventory.zones().len(), 6);
    assert_eq!(inventory.get("cam-7999"), None, "its row is wrong");
    assert_eq!(inventory.get("cam-7998").unwrap().name, "Camera 7998");
    assert!(inventory.left_out("cam-399").is_some() && inventory.left_out("cam-1").is_none());
}

#[test]
fn a_file_of_nothing_but_errors_is_given_up() {
    let text = HEADER.to_owned() + &",,,,x,y,z,,,,\n".repeat(MAX_PROBLEMS);
    let inventory = csv(&text);
    assert!(inventory.is_empty() && inventory.problems().len() < MAX_PROBLEMS + 10);
    let last = inventory.problems().last().unwrap().to_string();
    assert!(last.ends_with("too much is wrong: the rest of the file was not read"), "{last}");
}

#[test]
fn toml_says_the_same_as_csv() {
    let text: String = std::iter::once(HEADER.to_owned()).chain((0..50).map(row)).collect();
    let from_csv = csv(&text);
    let toml = from_csv.to_toml();
    let from_toml = Inventory::from_text(&toml, "c.toml").unwrap_or_else(|e| panic!("{e}\n{toml}"));
    assert_eq!(from_toml.problems(), []);
    assert_eq!(diff(from_csv.cameras(), from_toml.cameras()), Changes::default());
    let bad = toml.replacen("latitude = 50.7\n", "latitude = 950.7\nlatitud = 3\n", 1);
    let inventory = Inventory::from_text(&bad, "c.toml").unwrap();
    assert_eq!((inventory.len(), inventory.rejected()), (49, 1));
    let line = bad.lines().position(|l| l == "latitud = 3").unwrap() + 1;
    let said: Vec<String> = inventory.problems().iter().map(Problem::to_string).collect();
    assert_eq!(
        said,
        [
            format!("c.toml:{}:12: camera[7].latitude: is out of range: -90 to 90 degrees", line - 1),
            format!("c.toml:{line}:1: camera[7]: unknown key \"latitud\"; did you mean \"latitude\"?"),
        ]
    );
}

#[test]
fn queries_mean_what_the_reference_says() {
    let inventory = csv("id,name,zone,site,tags,latitude,longitude,uri\n\
         n1,Tunnel Léopold II,north,cab-1,tunnel;ring,50.8600,4.3400,rtsp://h/1\n\
         n2,Gare du Nord,North,cab-1,station,50.8605,4.3610,rtsp://h/2\n\
         s1,Gare du Midi,south,,station;ring,50.8357,4.3365,rtsp://h/3\n\
         x9,\"and (so, on)\",,,,,,rtsp://h/4\n");
    for (query, expected) in [
        ("all", "n1 n2 s1 x9"),
        ("id = N1", "n1"),
        ("zone = north", "n1 n2"),
        ("ZONE=NORTH AND Tag = tunnel", "n1"),
        ("zone != north", "s1 x9"),
        ("tag = ring", "n1 s1"),
        ("tag != ring", "n2 x9"),
        ("tag in (tunnel, \"station\")", "n1 n2 s1"),
        ("not tag in (tunnel, station)", "x9"),
        ("name ~ *gare*", "n2 s1"),
        ("name ~ 'gare du ????'", "n2 s1"),
        ("name ~ 'gare du ???'", ""),
        ("name ~ *LÉOPOLD*", "n1"),
        ("name = \"and (so, on)\"", "x9"),
        ("id ~ ?1 or id = x9", "n1 s1 x9"),
        ("zone = south or zone = north and tag = tunnel", "n1 s1"),
        ("(zone = south or zone = north) and tag = station", "n2 s1"),
        ("not (zone = south or zone = north)", "x9"),
        ("not not site = cab-1", "n1 n2"),
        ("site ~ *", "n1 n2"),
        ("near 50.8357,4.3365 within 5km", "s1 n1 n2"),
        ("near 50.8600, 4.3400 within 500m", "n1"),
        ("near 50.8605,4.3610 within 2km and zone = north", "n2 n1"),
    ] {
        assert_eq!(ids(&inventory, query), expected, "for {query}");
    }
}

#[test]
fn distances_on_earth() {
    let at = |latitude, longitude| Position { latitude, longitude };
    // A degree of a great circle is 111,195 m on the sphere.
    assert!((at(0.0, 0.0).metres_to(&at(0.0, 1.0)) - 111_195.0).abs() < 1.0);
    assert!((at(50.0, 4.0).metres_to(&at(51.0, 4.0)) - 111_195.0).abs() < 1.0);
    assert!((at(0.0, 179.5).metres_to(&at(0.0, -179.5)) - 111_195.0).abs() < 1.0);
    assert_eq!(at(50.0, 4.0).metres_to(&at(50.0, 4.0)), 0.0);
}

#[test]
fn every_error_of_a_query_in_its_exact_words() {
    let field = "expected id, name, zone, site, tag, near, not, all or \"(\"";
    let cases = [
        ("", format!("is empty; {field}, at character 1 of the query")),
        ("zone", "expected \"=\", \"!=\", \"~\" or \"in\" after zone, at character 5 of the query\n  zone\n      ^".into()),
        ("zone = ", "expected a value, at character 7 of the query\n  zone = \n        ^".into()),
        ("zone = and", "expected a value; and as a value is written \"and\", at character 8 of the query\n  zone = and\n         ^".into()),
        ("zone = a b", "expected \"and\", \"or\" or the end, but here is a word, at character 10 of the query\n  zone = a b\n           ^".into()),
        ("(zone = a", "this \"(\" is not closed, at character 1 of the query\n  (zone = a\n  ^".into()),
        ("zone = a)", "closes what was never opened, at character 9 of the query\n  zone = a)\n          ^".into()),
        ("zone = 'a", "this quote is not closed, at character 8 of the query\n  zone = 'a\n         ^".into()),
        ("tags = a", "cameras have no such field; did you mean \"tag\"?, at character 1 of the query\n  tags = a\n  ^".into()),
        ("zone = é && tag = b", "write \"and\", at character 10 of the query\n  zone = é && tag = b\n           ^".into()),
        ("near 95,4 within 1km", "expected a latitude, -90 to 90, at character 6 of the query\n  near 95,4 within 1km\n       ^".into()),
        ("near 5,4 within 1", "expected a distance with its unit, as 500m or 2km, at character 17 of the query\n  near 5,4 within 1\n                  ^".into()),
        ("tag in a", "expected \"(\" after in, at character 8 of the query\n  tag in a\n         ^".into()),
        ("name = rtsp://u:hunter2@h x", "expected \"and\", \"or\" or the end, but here is a word, at character 27 of the query".into()),
    ];
    for (query, expected) in cases {
        assert_eq!(Query::parse(query).expect_err("refused").to_string(), expected, "for {query}");
    }
    let deep = "(".repeat(5_000);
    assert!(Query::parse(&deep[..4_000]).unwrap_err().message().contains("nested deeper"));
    assert!(Query::parse(&deep).unwrap_err().message().contains("longer than"));
}

/// A folder with a wall file and an inventory `c.csv`.
fn wall(cameras: &str, wall: &str) -> Result<(WallSpec, tempfile::TempDir), String> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("c.csv"), cameras).unwrap();
    let file = folder.path().join("wall.toml");
    std::fs::write(&file, wall).unwrap();
    let strip = |text: String| text.replace(&format!("{}/", folder.path().display()), "");
    match WallSpec::load(&file) {
        Ok(spec) => Ok((spec, folder)),
        Err(errors) => Err(strip(errors.to_string())),
    }
}

fn shown(spec: &WallSpec) -> Vec<Vec<&str>> {
    spec.scene.regions.iter().map(|r| r.tiles.iter().map(id_of).collect()).collect()
}

fn id_of(tile: &crate::scene::TileWish) -> &str {
    tile.camera.as_ref().map_or("-", |c| c.as_str())
}

fn hundred() -> String {
    let mut text = "id,zone,tags,latitude,longitude,uri\n".to_owned();
    for i in 0..100 {
        let zone = ["north", "south"][i % 2];
        writeln!(text, "c{i},{zone},t{},50.{:03},4.3,rtsp://h/{i}", i % 10, 800 + i).unwrap();
    }
    text
}

#[test]
fn a_wall_names_cameras_of_its_inventory() {
    let file = "[wall]\ninventory = \"c.csv\"\nstandby = \"tag = t7\"\n\
        [[camera]]\nid = \"own\"\nuri = \"rtsp://h/own\"\n\
        [[screen]]\nid = \"a\"\ngrid = \"2x2\"\ncameras = \"zone = south and tag in (t1, t3)\"\n\
        [[screen]]\nid = \"b\"\ngrid = \"2x1\"\ncameras = [\"c50\", \"own\"]\n\
        [[screen]]\nid = \"c\"\ngrid = \"2x2\"\n\
        [[screen]]\nid = \"d\"\ngrid = \"2x1\"\ncameras = \"near 50.850,4.3 within 1km\"\n\
        [[tile]]\non = \"c\"\ncamera = \"c0\"\n\
        [[tile]]\non = \"c\"\nquery = \"tag = t0\"\n\
        [[tile]]\non = \"c\"\nquery = \"tag = t0\"\n\
        [[tile]]\non = \"c\"\nquery = \"tag = none\"\n";
    let (spec, folder) = wall(&hundred(), file).unwrap();
    let expected: [&[&str]; 4] =
        [&["c1", "c3", "c11", "c13"], &["c50", "own"], &["c0", "c10", "c20", "-"], &["c50", "c51"]];
    let shown = shown(&spec);
    assert_eq!(shown[..3], expected[..3]);
    assert_eq!(shown[3][0], "c50");
    let open: Vec<&str> = spec.cameras.iter().map(|c| c.id.as_str()).collect();
    // Shown ones and those on standby, in the order of the inventory.
    let mut wanted: Vec<&str> = shown.concat().into_iter().filter(|id| *id != "-").collect();
    wanted.extend(["c7", "c17", "c27", "c37", "c47", "c57", "c67", "c77", "c87", "c97"]);
    wanted.sort_unstable();
    wanted.dedup();
    let mut sorted = open.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, wanted);
    assert_eq!(open[..4], ["own", "c0", "c1", "c3"]);
    assert_eq!(spec.inventory.len(), 101);
    let warnings: Vec<&str> = spec.warnings.iter().map(|w| w.key.as_str()).collect();
    assert_eq!(warnings, ["tile[3].query"]);
    assert_eq!(spec.sources(), [folder.path().join("wall.toml"), folder.path().join("c.csv")]);
}

#[test]
fn all_may_stand_by() {
    let file = "[wall]\ninventory = [\"c.csv\"]\nstandby = \"all\"\n[[screen]]\ngrid = \"4x4\"\n";
    let (spec, _folder) = wall(&hundred(), file).unwrap();
    assert_eq!((spec.cameras.len(), spec.scene.regions[0].tiles.len()), (100, 16));
    let (spec, _folder) = wall(&hundred(), &file.replace("standby = \"all\"\n", "")).unwrap();
    assert_eq!(spec.cameras.len(), 16);
}

#[test]
fn a_bad_row_is_left_out_and_a_bad_file_refuses_the_wall() {
    let file = "[wall]\ninventory = \"c.csv\"\n[[screen]]\ngrid = \"2x2\"\n";
    let bad = hundred().replace("rtsp://h/5\n", "rtps://h/5\n");
    let (spec, _folder) = wall(&bad, file).unwrap();
    assert_eq!((spec.inventory.len(), spec.warnings.len()), (99, 1));
    let named = format!("{file}cameras = [\"c5\", \"c6\"]\n");
    assert_eq!(
        wall(&bad, &named).expect_err("refused"),
        "wall.toml:5:12: screen[0].cameras[0]: camera \"c5\" is left out: its row is wrong; see c.csv:7:1"
    );
    assert_eq!(
        wall("id,uri,mask\n", &named).expect_err("refused"),
        "c.csv:1:8: unknown column \"mask\"; did you mean \"masks\"?"
    );
    let own = "[[camera]]\nid = \"c7\"\nuri = \"rtsp://h/7\"\n";
    let (spec, _folder) = wall(&hundred(), &format!("{file}{own}")).unwrap();
    let said = spec.warnings[0].to_string();
    assert!(
        said.contains("c.csv:9:1: camera c7.id: \"c7\" is already taken in ")
            && said.contains("wall.toml, line 6"),
        "{said}"
    );
    assert_eq!(spec.inventory.get("c7").unwrap().uri().expose(), "rtsp://h/7");
}

#[test]
fn files_that_are_no_inventories() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c.csv");
    let said = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        Inventory::load(&[&path]).expect_err("refused").to_string()
    };
    assert!(said(b"\xff\xfei\0d\0").ends_with("c.csv: is UTF-16; save it as \"CSV UTF-8\""));
    let latin = b"id,uri,name\na,rtsp://h/1,x\nb,rtsp://h/2,Caf\xe9\n";
    assert!(said(latin).ends_with("c.csv: is not UTF-8 text, first on line 3; save it as \"CSV UTF-8\""));
    let missing = Inventory::load(&[folder.path().join("none.csv")]).expect_err("missing").to_string();
    assert!(
        missing.ends_with("none.csv: cannot be read: No such file or directory (os error 2)"),
        "{missing}"
    );
}

#[test]
fn a_reload_touches_only_what_changed() {
    let old = csv(&hundred());
    let edited = hundred()
        .replace("rtsp://h/3\n", "rtsp://h/3new\n")
        .replace("c4,north,t4", "c4,east,t4")
        .replace("c5,south,t5,50.805,4.3,rtsp://h/5\n", "")
        + "c100,north,t0,50.9,4.3,rtsp://h/100\n";
    let new = csv(&edited);
    let changes = diff(old.cameras(), new.cameras());
    assert_eq!(changes.added.iter().map(|c| c.id.as_str()).collect::<Vec<_>>(), ["c100"]);
    assert_eq!(changes.removed, ["c5".into()]);
    let changed: Vec<(&str, &[Field])> =
        changes.changed.iter().map(|c| (c.camera.id.as_str(), &c.fields[..])).collect();
    assert_eq!(changed, [("c3", &[Field::Address("main".into())][..]), ("c4", &[Field::Zone][..])]);
    assert_eq!(diff(old.cameras(), old.cameras()), Changes::default());
}

#[test]
fn each_field_of_a_camera_is_told_apart() {
    let base = csv("id,uri\na,rtsp://h/1\n").cameras()[0].clone();
    let told = |edit: fn(&mut CameraSpec)| {
        let mut camera = base.clone();
        edit(&mut camera);
        diff(std::slice::from_ref(&base), &[camera]).changed.remove(0).fields
    };
    assert_eq!(told(|c| c.name = "x".into()), [Field::Name]);
    assert_eq!(told(|c| c.any_certificate = true), [Field::Connection]);
    assert_eq!(told(|c| c.transport = Transport::Udp), [Field::Connection]);
    assert_eq!(told(|c| c.site = Some("x".into())), [Field::Site]);
    assert_eq!(told(|c| c.tags = vec!["x".into()]), [Field::Tags]);
    assert_eq!(told(|c| c.scene_width_m = Some(1.0)), [Field::Place]);
    assert_eq!(told(|c| c.masks = vec![crate::media::Region::WHOLE]), [Field::Masks]);
    assert_eq!(told(|c| c.priority = 1), [Field::Priority]);
    assert_eq!(told(|c| c.still = true), [Field::Still]);
    assert_eq!(told(|c| c.flip = Flip::Horizontal), [Field::Turn]);
    assert_eq!(told(|c| c.turn = QuarterTurn::from_degrees(90).unwrap()), [Field::Turn]);
    let sub =
        |c: &mut CameraSpec| drop(c.profiles.insert("sub".into(), crate::config::UriText::new("rtsp://h/2")));
    assert_eq!(told(sub), [Field::Address("sub".into())]);
    assert_eq!(told(|c| c.streams = [("main".to_owned(), StreamFacts::default())].into()), [Field::Streams]);
}
