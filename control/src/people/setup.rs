//! The first start: a token that the terminal shows lets one person make the first administrator.

use std::sync::Arc;

use super::secret::{self, Secret};
use super::{Account, LoginOrigin, NewAccount, Password, People, Role, account, password};
use crate::audit::{Actor, Event};
use crate::base::{Kind, Problem, Result, blocking};

/// The name under which tries with the token are counted.
const TRIES: &str = "\0setup";

impl People {
    /// Whether nobody has an account yet.
    pub fn needs_setup(&self) -> Result<bool> {
        self.db.read(|c| Ok(account::count(c)? == 0))
    }

    /// Makes a new one-time token where nobody has an account yet; the one before ends. Show it on
    /// the terminal, and nowhere else.
    pub fn setup_token(&self) -> Result<Option<Secret>> {
        if !self.needs_setup()? {
            return Ok(None);
        }
        let secret = secret::make()?;
        self.db.change(&Actor::system(), |transaction, events| {
            transaction.execute(
                "INSERT INTO setup (id, hash) VALUES (1, ?1) ON CONFLICT (id) DO UPDATE SET hash = excluded.hash",
                [secret::hash(&secret)],
            )?;
            events.push(Event::new("setup.offered"));
            Ok(())
        })?;
        Ok(Some(secret))
    }

    /// Makes the first administrator with the one-time token, which ends by it.
    pub async fn set_up(
        self: &Arc<Self>,
        token: &str,
        name: &str,
        word: Password,
        who: LoginOrigin,
    ) -> Result<Account> {
        let key = secret::hash(TRIES);
        self.take_try(key, TRIES, who).await?;
        let presented = secret::hash(token);
        let people = self.clone();
        blocking(move || people.db.read(|c| check(c, &presented))).await?;
        account::check_name(name)?;
        password::check(name, &word)?;
        let stored = self.passwords.hash(word).await?;
        let new = NewAccount {
            name: name.to_owned(),
            role: Role::Administrator,
            zones: Vec::new(),
            unit: None,
            language: Default::default(),
            password: None,
            subject: None,
        };
        let actor = Actor {
            account: "setup".into(),
            name: new.name.trim().into(),
            role: None,
            via: "setup token".into(),
            address: who.address.map(|address| address.to_string()),
        };
        let people = self.clone();
        let account = blocking(move || {
            let now = people.db.now();
            people.db.change(&actor, |transaction, events| {
                check(transaction, &presented)?;
                transaction.execute("DELETE FROM setup", [])?;
                account::add(transaction, events, &new, &people.settings.unit, None, Some(stored), now)
            })
        })
        .await?;
        self.limits.give_back(key, who.address);
        Ok(account)
    }
}

fn check(connection: &rusqlite::Connection, presented: &secret::Hash) -> Result<()> {
    use rusqlite::OptionalExtension;
    use subtle::ConstantTimeEq;
    if account::count(connection)? > 0 {
        return Err(Problem::conflict("setup", "this was done already; log in").code("set-up"));
    }
    let stored: Option<secret::Hash> =
        connection.query_row("SELECT hash FROM setup", [], |row| row.get(0)).optional()?;
    let right = stored.is_some_and(|stored| stored.ct_eq(presented).into());
    if right {
        return Ok(());
    }
    let text = "this is not the token that the terminal shows; each start of the program shows a new one";
    Err(Problem::new(Kind::NotLoggedIn, "setup", text).code("wrong-token"))
}
