//! Accounts, roles, sessions, API tokens and sign-on: who calls, and what that role may do.

pub mod account;
mod accounts;
mod caller;
mod limit;
mod login;
pub mod oidc;
mod password;
mod role;
pub mod secret;
mod session;
mod setup;
mod token;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

pub use account::{Account, AccountChange, Language, NewAccount};
pub use caller::Caller;
pub use login::{LoggedIn, LoginOrigin};
pub use password::{Password, SHORTEST};
pub use role::{Permission, Role};
pub use secret::Secret;
pub use session::{Lifetimes, LiveLogins, Login};
pub use token::{MadeToken, NewToken, Token};

use crate::base::{Kind, Problem, Result, Utc};
use crate::db::Database;
use secret::Hash;

/// How often a login is read anew where others end at the same moment.
const READS: usize = 16;

/// What is set for people.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The unit of new accounts.
    pub unit: String,
    /// When logins end by themselves.
    pub lifetimes: Lifetimes,
    /// Browsers come over TLS: cookies are marked so.
    pub secure: bool,
    /// The origin by which browsers come, where that is not the host that they call (a proxy
    /// before it): `https://wall.example`.
    pub origin: Option<String>,
    /// Sign-on by an identity provider.
    pub oidc: Option<oidc::Settings>,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            unit: "control-room".into(),
            lifetimes: Lifetimes::default(),
            secure: false,
            origin: None,
            oidc: None,
        }
    }
}

/// The people of a controller.
pub struct People {
    db: Arc<Database>,
    settings: Settings,
    live: LiveLogins,
    passwords: password::Passwords,
    limits: limit::Limits,
    sign_on: Option<oidc::SignOn>,
    refused: AtomicU64,
}

/// A login that was found, with what a token is limited to.
pub(crate) struct FoundLogin {
    login: Login,
    permissions: Option<Vec<Permission>>,
}

impl People {
    /// The people of this database.
    pub fn new(db: Arc<Database>, settings: Settings) -> Result<People> {
        let limits = limit::Limits::new(db.clock().clone());
        let sign_on =
            settings.oidc.clone().map(|set| oidc::SignOn::new(set, db.clock().clone())).transpose()?;
        Ok(People {
            db,
            settings,
            live: LiveLogins::default(),
            passwords: Default::default(),
            limits,
            sign_on,
            refused: AtomicU64::new(0),
        })
    }

    /// What is set.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The logins that are in use: what hangs on one asks here for its end.
    pub fn sessions(&self) -> &LiveLogins {
        &self.live
    }

    /// Logins that were refused since the start.
    pub fn refused(&self) -> u64 {
        self.refused.load(std::sync::atomic::Ordering::Relaxed)
    }

    /// The session of a cookie's secret, where it stands.
    pub(crate) fn find_session(&self, hash: &Hash) -> Result<Option<FoundLogin>> {
        self.find(|| {
            let now = self.db.now();
            let found = self.db.read(|c| session::find(c, hash, self.settings.lifetimes, &self.live, now))?;
            Ok(found.map(|(id, account, seen)| (id, account, None, seen)))
        })
    }

    /// The API token of a secret, where it stands.
    pub(crate) fn find_token(&self, hash: &Hash) -> Result<Option<FoundLogin>> {
        self.find(|| {
            let found = self.db.read(|c| token::find(c, hash, self.db.now()))?;
            Ok(found.map(|f| (f.id, f.account, f.permissions, f.used_at)))
        })
    }

    /// Reads a login and enters it among the live ones, so that its end cannot fall between both.
    fn find(
        &self,
        read: impl Fn() -> Result<Option<(String, Account, Option<Vec<Permission>>, Utc)>>,
    ) -> Result<Option<FoundLogin>> {
        for _ in 0..READS {
            let endings = self.live.endings();
            let Some((id, account, permissions, written)) = read()? else { return Ok(None) };
            let now = self.db.now();
            let Some(entered) = self.live.enter(&id, account.seq, written, now, endings) else { continue };
            if entered.write {
                session::write_seen(&self.db, &id, now);
            }
            return Ok(Some(FoundLogin { login: Login { id, account, ended: entered.ended }, permissions }));
        }
        let busy = "many logins end right now; try again";
        Err(Problem::new(Kind::Unavailable, "login", busy).retry_after(1))
    }
}
