//! Cameras in their tables: rows to engine cameras and back. No rule is here but the tables' own.

use std::collections::{BTreeMap, HashMap};

use rusqlite::{Connection, OptionalExtension, Row, ToSql, Transaction, params};
use vitrail_engine::base::Login;
use vitrail_engine::config::{CameraSpec, Position, StreamFacts, UriText};
use vitrail_engine::media::{CameraId, Codec, Flip, QuarterTurn, Ratio, Region};
use vitrail_engine::source::{RtspClient, Transport};

use super::address::Secret;
use super::fold::fold;
use super::vault::{Key, wrong_key};
use crate::base::{Problem, Result, Utc};

/// A camera as it is stored; its addresses are without what is secret in them.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Stored {
    /// Its row.
    pub n: i64,
    pub spec: CameraSpec,
    pub onvif: Option<String>,
    pub version: i64,
    pub changed_at: Utc,
    pub has_secrets: bool,
}

/// Secrets of a camera by profile; `""` is that of every profile and of the device.
pub(super) type Secrets = BTreeMap<String, Secret>;

const COLUMNS: &str = "n, id, name, zone, site, latitude, longitude, scene_width_m, tags, masks, priority, pinned, \
     still, turn, flip, transport, client, any_certificate, onvif, version, changed_at, \
     EXISTS (SELECT 1 FROM camera_secrets s WHERE s.camera = n)";

/// Cameras by a condition, with its order: `WHERE id = ?1`.
pub(super) fn load(connection: &Connection, condition: &str, values: &[&dyn ToSql]) -> Result<Vec<Stored>> {
    let mut statement = connection.prepare_cached(&format!("SELECT {COLUMNS} FROM cameras {condition}"))?;
    let mut cameras = statement.query_map(values, camera)?.collect::<rusqlite::Result<Vec<Stored>>>()?;
    let by_row: HashMap<i64, usize> = cameras.iter().enumerate().map(|(i, c)| (c.n, i)).collect();
    const PROFILES: &str =
        "SELECT camera, name, uri, width, height, rate_num, rate_den, codec, kbps FROM camera_profiles";
    // Above so many it is quicker to read the table from end to end.
    if by_row.len() > 1000 {
        let mut statement = connection.prepare_cached(PROFILES)?;
        profiles(&mut cameras, &by_row, &mut statement.query([])?)?;
    } else if !by_row.is_empty() {
        let rows: Vec<i64> = cameras.iter().map(|c| c.n).collect();
        let rows = serde_json::to_string(&rows).unwrap_or_default();
        let sql = format!("{PROFILES} WHERE camera IN (SELECT value FROM json_each(?1))");
        let mut statement = connection.prepare_cached(&sql)?;
        profiles(&mut cameras, &by_row, &mut statement.query([rows])?)?;
    }
    Ok(cameras)
}

/// The camera of this id.
pub(super) fn one(connection: &Connection, id: &str) -> Result<Stored> {
    let mut found = load(connection, "WHERE id = ?1", &[&id])?;
    found.pop().ok_or_else(|| Problem::not_found(format!("camera {id}")))
}

fn camera(row: &Row<'_>) -> rusqlite::Result<Stored> {
    let texts = |text: String| -> Vec<String> {
        text.split(';').filter(|t| !t.is_empty()).map(str::to_owned).collect()
    };
    let masks: String = row.get("masks")?;
    let masks: Vec<[f32; 4]> = serde_json::from_str(&masks)
        .map_err(|e| rusqlite::Error::FromSqlConversionFailure(9, rusqlite::types::Type::Text, e.into()))?;
    let latitude: Option<f64> = row.get("latitude")?;
    let longitude: Option<f64> = row.get("longitude")?;
    let id: String = row.get("id")?;
    let transport: String = row.get("transport")?;
    let client: String = row.get("client")?;
    let flip: String = row.get("flip")?;
    Ok(Stored {
        n: row.get("n")?,
        spec: CameraSpec {
            id: CameraId::new(id),
            name: row.get("name")?,
            profiles: BTreeMap::new(),
            streams: BTreeMap::new(),
            transport: if transport == "udp" { Transport::Udp } else { Transport::Tcp },
            client: if client == "gstreamer" { RtspClient::Gstreamer } else { RtspClient::Auto },
            any_certificate: row.get("any_certificate")?,
            site: row.get("site")?,
            zone: row.get("zone")?,
            tags: texts(row.get("tags")?),
            position: latitude.zip(longitude).map(|(latitude, longitude)| Position { latitude, longitude }),
            scene_width_m: row.get("scene_width_m")?,
            masks: masks.iter().map(|&[x, y, width, height]| Region { x, y, width, height }).collect(),
            pinned: row.get("pinned")?,
            priority: row.get("priority")?,
            still: row.get("still")?,
            turn: QuarterTurn::from_degrees(row.get("turn")?).unwrap_or_default(),
            flip: match flip.as_str() {
                "horizontal" => Flip::Horizontal,
                "vertical" => Flip::Vertical,
                _ => Flip::None,
            },
        },
        onvif: row.get("onvif")?,
        version: row.get("version")?,
        changed_at: row.get("changed_at")?,
        has_secrets: row.get(21)?,
    })
}

fn profiles(
    cameras: &mut [Stored],
    by_row: &HashMap<i64, usize>,
    rows: &mut rusqlite::Rows<'_>,
) -> Result<()> {
    while let Some(row) = rows.next()? {
        let n: i64 = row.get(0)?;
        let Some(camera) = by_row.get(&n).and_then(|i| cameras.get_mut(*i)) else { continue };
        let name: String = row.get(1)?;
        let uri: String = row.get(2)?;
        let size: (Option<u32>, Option<u32>) = (row.get(3)?, row.get(4)?);
        let rate: (Option<u32>, Option<u32>) = (row.get(5)?, row.get(6)?);
        let codec: Option<String> = row.get(7)?;
        let facts = StreamFacts {
            size: size.0.zip(size.1),
            frame_rate: rate.0.zip(rate.1).and_then(|(num, den)| Ratio::new(num, den)),
            codec: match codec.as_deref() {
                Some("h264") => Some(Codec::H264),
                Some("h265") => Some(Codec::H265),
                _ => None,
            },
            kbps: row.get(8)?,
        };
        if facts != StreamFacts::default() {
            camera.spec.streams.insert(name.clone(), facts);
        }
        camera.spec.profiles.insert(name, UriText::new(uri));
    }
    Ok(())
}

/// Names of zones and sites, which search looks through too.
pub(super) struct Names {
    pub zones: HashMap<String, String>,
    pub sites: HashMap<String, String>,
}

impl Names {
    /// All of them.
    pub fn load(connection: &Connection) -> Result<Names> {
        let all = |table: &str| -> Result<HashMap<String, String>> {
            let mut statement = connection.prepare_cached(&format!("SELECT id, name FROM {table}"))?;
            let pairs = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
            Ok(pairs.collect::<rusqlite::Result<_>>()?)
        };
        Ok(Names { zones: all("zones")?, sites: all("sites")? })
    }

    /// What search looks through.
    fn search(&self, spec: &CameraSpec) -> String {
        let named = |id: &Option<String>, names: &HashMap<String, String>| {
            let id = id.clone().unwrap_or_default();
            let name = names.get(&id).filter(|name| **name != id).cloned().unwrap_or_default();
            format!("{id}\n{name}")
        };
        let zone = named(&spec.zone, &self.zones);
        let site = named(&spec.site, &self.sites);
        fold(&format!("{}\n{}\n{zone}\n{site}\n{}", spec.id, spec.name, spec.tags.join("\n")))
    }
}

/// Writes a camera: `n` where it is there already. Gives its row.
pub(super) fn save(
    transaction: &Transaction<'_>,
    names: &Names,
    n: Option<i64>,
    spec: &CameraSpec,
    onvif: Option<&str>,
    version: i64,
    now: Utc,
) -> Result<i64> {
    let tags = if spec.tags.is_empty() { String::new() } else { format!(";{};", spec.tags.join(";")) };
    let masks: Vec<[f32; 4]> = spec.masks.iter().map(|m| [m.x, m.y, m.width, m.height]).collect();
    let masks = serde_json::to_string(&masks).map_err(|e| Problem::internal("masks", e.to_string()))?;
    let values = params![
        n,
        spec.id.as_str(),
        spec.name,
        spec.zone,
        spec.site,
        spec.position.map(|p| p.latitude),
        spec.position.map(|p| p.longitude),
        spec.scene_width_m,
        tags,
        masks,
        spec.priority,
        spec.pinned,
        spec.still,
        if spec.transport == Transport::Udp { "udp" } else { "tcp" },
        if spec.client == RtspClient::Gstreamer { "gstreamer" } else { "auto" },
        spec.any_certificate,
        onvif,
        version,
        now,
        names.search(spec),
        spec.turn.degrees(),
        spec.flip.word(),
    ];
    let mut statement = transaction.prepare_cached(
        "INSERT INTO cameras (n, id, name, zone, site, latitude, longitude, scene_width_m, tags, masks, priority, pinned,
             still, transport, client, any_certificate, onvif, version, changed_at, search, turn, flip)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20,
             ?21, ?22)
         ON CONFLICT (n) DO UPDATE SET name = ?3, zone = ?4, site = ?5, latitude = ?6, longitude = ?7,
             scene_width_m = ?8, tags = ?9, masks = ?10, priority = ?11, pinned = ?12, still = ?13, transport = ?14,
             client = ?15, any_certificate = ?16, onvif = ?17, version = ?18, changed_at = ?19, search = ?20,
             turn = ?21, flip = ?22",
    )?;
    statement.execute(values)?;
    let n = n.unwrap_or_else(|| transaction.last_insert_rowid());
    transaction.prepare_cached("DELETE FROM camera_profiles WHERE camera = ?1")?.execute([n])?;
    let mut statement = transaction.prepare_cached(
        "INSERT INTO camera_profiles (camera, name, uri, width, height, rate_num, rate_den, codec, kbps)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?;
    for (name, uri) in &spec.profiles {
        let facts = spec.streams.get(name).copied().unwrap_or_default();
        let codec = facts.codec.and_then(super::row::codec_text);
        let (width, height) = facts.size.unzip();
        let (num, den) = facts.frame_rate.map(|r| (r.num, r.den)).unzip();
        statement.execute(params![n, name, uri.expose(), width, height, num, den, codec, facts.kbps])?;
    }
    Ok(n)
}

/// Writes anew what search looks through, of the cameras that a condition names.
pub(super) fn refresh_search(
    transaction: &Transaction<'_>,
    condition: &str,
    values: &[&dyn ToSql],
) -> Result<()> {
    let names = Names::load(transaction)?;
    let mut statement = transaction.prepare_cached("UPDATE cameras SET search = ?2 WHERE n = ?1")?;
    for camera in load(transaction, condition, values)? {
        statement.execute(params![camera.n, names.search(&camera.spec)])?;
    }
    Ok(())
}

/// What a sealed value belongs to.
fn about(id: &str, profile: &str, kind: &str) -> String {
    format!("camera {id}\n{profile}\n{kind}")
}

/// Puts the secrets of a camera in the place of those that it has.
pub(super) fn save_secrets(
    transaction: &Transaction<'_>,
    key: &Key,
    n: i64,
    id: &str,
    secrets: &Secrets,
) -> Result<()> {
    transaction.prepare_cached("DELETE FROM camera_secrets WHERE camera = ?1")?.execute([n])?;
    let mut statement = transaction.prepare_cached(
        "INSERT INTO camera_secrets (camera, profile, kind, nonce, sealed) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    for (profile, secret) in secrets {
        let (kind, plain) = match secret {
            Secret::Login(login) => {
                let pair = serde_json::to_string(&[&login.user, &login.password]);
                (
                    "login",
                    zeroize::Zeroizing::new(
                        pair.map_err(|_| Problem::internal("credentials", "cannot be written"))?,
                    ),
                )
            }
            Secret::Address(address) => ("address", address.clone()),
        };
        let sealed = key.seal(plain.as_bytes(), &about(id, profile, kind))?;
        statement.execute(params![n, profile, kind, &sealed.nonce[..], sealed.text])?;
    }
    Ok(())
}

/// The secrets of all cameras, or of one, by row.
pub(super) fn load_secrets(
    connection: &Connection,
    key: &Key,
    only: Option<i64>,
) -> Result<HashMap<i64, Secrets>> {
    let mut statement = connection.prepare_cached(
        "SELECT s.camera, c.id, s.profile, s.kind, s.nonce, s.sealed
         FROM camera_secrets s JOIN cameras c ON c.n = s.camera WHERE ?1 IS NULL OR s.camera = ?1",
    )?;
    let mut rows = statement.query([only])?;
    let mut all: HashMap<i64, Secrets> = HashMap::new();
    while let Some(row) = rows.next()? {
        let text = |column: usize| -> rusqlite::Result<&str> { Ok(row.get_ref(column)?.as_str()?) };
        let blob = |column: usize| -> rusqlite::Result<&[u8]> { Ok(row.get_ref(column)?.as_blob()?) };
        let (id, profile, kind) = (text(1)?, text(2)?, text(3)?);
        let plain = key.unseal(blob(4)?, blob(5)?, &about(id, profile, kind));
        let secret = plain.and_then(|plain| match kind {
            "login" => {
                let [user, password]: [String; 2] = serde_json::from_slice(&plain).ok()?;
                Some(Secret::Login(Login { user, password }))
            }
            _ => Some(Secret::Address(std::str::from_utf8(&plain).ok()?.to_owned().into())),
        });
        let Some(secret) = secret else { return Err(not_opened(connection, key, id)) };
        all.entry(row.get(0)?).or_default().insert(profile.to_owned(), secret);
    }
    Ok(all)
}

/// Why a value does not open: another key by now, or a value that was tampered with.
fn not_opened(connection: &Connection, key: &Key, id: &str) -> Problem {
    match mark(connection) {
        Ok(Some(mark)) if mark.key_id != key.id() => wrong_key(key, &mark.key_id),
        _ => Problem::internal(format!("camera {id}"), "its stored credentials are damaged; set them anew"),
    }
}

/// The mark of a key, by which it is known again: its id, and a text that it sealed.
pub(super) struct Mark {
    pub key_id: String,
    pub nonce: Vec<u8>,
    pub sealed: Vec<u8>,
}

/// The mark of the key under which credentials are sealed, where there are any.
pub(super) fn mark(connection: &Connection) -> Result<Option<Mark>> {
    let mark = connection.query_row("SELECT id, nonce, sealed FROM registry_key", [], |row| {
        Ok(Mark { key_id: row.get(0)?, nonce: row.get(1)?, sealed: row.get(2)? })
    });
    Ok(mark.optional()?)
}

/// Keeps the mark of a key.
pub(super) fn save_mark(transaction: &Transaction<'_>, key: &Key) -> Result<()> {
    let mark = key.mark()?;
    transaction.execute(
        "INSERT OR REPLACE INTO registry_key (one, id, nonce, sealed) VALUES (1, ?1, ?2, ?3)",
        params![key.id(), &mark.nonce[..], mark.text],
    )?;
    Ok(())
}
