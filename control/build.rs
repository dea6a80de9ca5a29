//! Lets the program follow its page: what `web/` was built to is embedded, and cargo does not look there by
//! itself.

use std::fs::{self, File};
use std::path::Path;
use std::time::SystemTime;

/// Where `make web` leaves the page, from this package.
const PAGE: &str = "../web/dist";

fn main() {
    let page = Path::new(PAGE);
    // A folder that is missing would count as changed at every build; an old and empty one does not.
    if !page.exists() && fs::create_dir_all(page).is_ok() {
        let _ = File::open(page).and_then(|folder| folder.set_modified(SystemTime::UNIX_EPOCH));
    }
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed={PAGE}");
    let release = std::env::var("PROFILE").is_ok_and(|profile| profile == "release");
    if release && !page.join("index.html").exists() {
        println!(
            "cargo:warning=the program is built without the controller's page: `make web` builds the page into web/dist, then build again"
        );
    }
}
