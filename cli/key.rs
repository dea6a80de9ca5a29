//! `vitrail key`: makes and shows the keys that sign evidence.

use std::path::PathBuf;

use vitrail_engine::Result;
use vitrail_engine::evidence::{PublicKey, SigningKeyFile, public_path};

use crate::terminal::shown_path;

/// Make and show the keys that sign evidence
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand)]
enum Action {
    /// Make a pair: FILE, which only its owner can read, and FILE.pub for those who verify
    New {
        /// The private key to write (PEM); never replaces a file
        file: PathBuf,
    },
    /// Show id and public key of a key file, private or public
    Show {
        /// A file that `key new` or `openssl genpkey -algorithm ed25519` made
        file: PathBuf,
    },
}

/// Makes or shows a key; never shows a private one.
pub fn run(args: &Args) -> Result<()> {
    match &args.action {
        Action::New { file } => {
            let key = SigningKeyFile::create(file)?;
            println!(
                "private key  {}  (signs; keep it secret, and a copy in a safe place)",
                shown_path(file)
            );
            println!("public key   {}  (verifies; give it away)", shown_path(&public_path(file)));
            println!("key id       {}", key.public().id());
        }
        Action::Show { file } => {
            let public = PublicKey::read(file).or_else(|_| SigningKeyFile::open(file).map(|k| k.public()))?;
            println!("key id       {}\n{}", public.id(), public.pem().trim_end());
        }
    }
    Ok(())
}
