//! The simulated cameras as an inventory file: zones, sites, tags, places and streams.

use std::fmt::Write;

use vitrail_engine::media::{Codec, Ratio};

use crate::cameras::Cameras;
use crate::scene::KINDS;
use crate::{Profile, Simulator};

/// The first line of the file, by which a later run knows that it may be replaced.
pub(crate) const FIRST_LINE: &str = "# Simulated cameras, written by vitrail cameras";
/// The zones, in the order in which the sites are dealt to them.
const ZONES: [&str; 6] = ["north", "south", "east", "west", "centre", "canal"];
/// Cameras of one site, with consecutive numbers.
const PER_SITE: u16 = 16;
/// What the built-in scenes show, in the order of their kinds, and how wide that is in metres.
const SCENES: [(&str, u32); KINDS] =
    [("street", 24), ("crossing", 32), ("car-park", 40), ("platform", 18), ("night-road", 28)];
/// Of the middle of the map, in degrees: sites lie on a grid around it.
const MIDDLE: (f64, f64) = (50.8467, 4.3525);
/// Between two sites, in degrees: some 300 m.
const STEP: (f64, f64) = (0.0027, 0.0043);
/// Sites in a row of the grid.
const SITES_IN_ROW: u16 = 25;

impl Simulator {
    /// An inventory (CSV) of all cameras, with the addresses at which they answer on this machine.
    /// Without the login, which belongs in a file of secrets.
    pub fn inventory(&self) -> String {
        let mut out = format!("{FIRST_LINE}\nid,name,zone,site,tags,latitude,longitude,scene_width_m");
        for profile in ["main", "sub"] {
            for key in ["uri", "size", "fps", "codec", "kbps"] {
                let _ = write!(out, ",{profile}.{key}");
            }
        }
        out.push('\n');
        for number in self.numbers() {
            self.row(number, &mut out);
        }
        out
    }

    /// Whether this is the text of an inventory that [`inventory`](Simulator::inventory) gave.
    pub fn is_inventory(text: &str) -> bool {
        text.lines().next() == Some(FIRST_LINE)
    }

    fn row(&self, number: u16, out: &mut String) {
        let cameras = self.cameras();
        let (site, sites) = ((number - 1) / PER_SITE, self.numbers().end().div_ceil(PER_SITE));
        let zone = ZONES[usize::from(site) * ZONES.len() / usize::from(sites)];
        let codec = match cameras.codec(number) {
            Codec::H265 => "h265",
            _ => "h264",
        };
        let (scene, width) = match cameras.scene_kind(number) {
            Some(kind) => (SCENES[kind].0, SCENES[kind].1.to_string()),
            None => ("clip", String::new()),
        };
        let rows = sites.div_ceil(SITES_IN_ROW);
        let (row, column) = (site / SITES_IN_ROW, site % SITES_IN_ROW);
        let place =
            |middle: f64, step: f64, at: u16, of: u16| middle + step * (f64::from(at) - f64::from(of) / 2.0);
        // Cameras of a site look out from one place, some metres apart.
        let aside = f64::from((number - 1) % PER_SITE) * 0.00002;
        // Writing to a `String` cannot fail.
        let _ = write!(
            out,
            "cam-{number:05},{scene} {number},{zone},site-{:04},{scene};{codec},{:.5},{:.5},{width}",
            site + 1,
            place(MIDDLE.0, STEP.0, row, rows) + aside,
            place(MIDDLE.1, STEP.1, column, SITES_IN_ROW) + aside,
        );
        for profile in [Profile::Main, Profile::Sub] {
            let spec = cameras.config.spec(profile);
            let fps = match spec.rate {
                Ratio { num, den: 1 } => num.to_string(),
                Ratio { num, den } => format!("{num}/{den}"),
            };
            let uri = self.local_uri(number, profile);
            let _ = write!(out, ",{uri},{}x{},{fps},{codec},{}", spec.width, spec.height, spec.kbps);
        }
        out.push('\n');
    }
}

impl Cameras {
    pub(crate) fn codec(&self, camera: u16) -> Codec {
        self.config.codecs[(usize::from(camera) - 1) % self.config.codecs.len()]
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::{BTreeMap, BTreeSet};

    use crate::{Config, Simulator};

    #[test]
    fn every_camera_has_a_row_and_every_zone_its_sites() {
        let folder = tempfile::tempdir().unwrap();
        let config = Config {
            cameras: 1000,
            prepare: vec![],
            cache: Some(folder.path().to_owned()),
            login: crate::Login::parse("viewer:secret"),
            ..Config::default()
        };
        let simulator = Simulator::start(config).unwrap();
        let text = simulator.inventory();
        assert!(Simulator::is_inventory(&text) && !Simulator::is_inventory("id,uri\n"));
        assert!(!text.contains("secret"));
        let mut lines = text.lines().skip(1).map(|l| l.split(',').collect::<Vec<_>>());
        let header = lines.next().unwrap();
        let column = |name: &str| header.iter().position(|c| *c == name).unwrap();
        let rows: Vec<Vec<&str>> = lines.collect();
        assert_eq!(rows.len(), 1000);
        assert!(rows.iter().all(|row| row.len() == header.len()));
        let (mut sites, mut zones) = (BTreeMap::<&str, BTreeSet<&str>>::new(), BTreeMap::new());
        for row in &rows {
            sites.entry(row[column("site")]).or_default().insert(row[column("zone")]);
            *zones.entry(row[column("zone")]).or_insert(0) += 1;
        }
        assert_eq!((sites.len(), zones.len()), (63, 6));
        assert!(sites.values().all(|zones| zones.len() == 1), "a site is in one zone");
        assert!(zones.values().all(|&count| (120..=200).contains(&count)), "{zones:?}");
        let last = &rows[999];
        let uri = format!("rtsp://{}/cam/1000/sub", simulator.address());
        assert_eq!((last[column("id")], last[column("sub.uri")]), ("cam-01000", uri.as_str()));
        assert_eq!(
            ["sub.size", "sub.fps", "sub.codec", "sub.kbps"].map(|name| last[column(name)]),
            ["640x360", "25/2", "h265", "400"]
        );
    }
}
