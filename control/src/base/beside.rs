//! Files that lie beside another and are named after it.

use std::path::{Path, PathBuf};

/// The path of the file with `ending` after all of its name: `vitrail.db` and `.key` give `vitrail.db.key`.
pub fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}
