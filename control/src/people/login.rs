//! Logging in and out. Every login, its refusal and its end goes on record, without the password.

use std::net::IpAddr;
use std::sync::atomic::Ordering;

use serde_json::json;

use super::secret::{self, Hash, Secret};
use super::{Account, Password, People, account, session, token};
use crate::audit::{Actor, Event};
use crate::base::{Kind, Problem, Result, blocking};

/// Letters of a name that was typed, at most; more is no name.
const LONGEST_NAME: usize = 256;

/// From where somebody logs in.
#[derive(Clone, Copy, Debug, Default)]
pub struct LoginOrigin {
    /// Network address.
    pub address: Option<IpAddr>,
    /// The session that the browser had before: the new login ends it.
    pub session: Option<Hash>,
}

/// A login that just began.
#[derive(Debug)]
pub struct LoggedIn {
    /// For the cookie; kept nowhere.
    pub secret: Secret,
    /// Public id of the session.
    pub session: String,
    /// Whose.
    pub account: Account,
}

impl People {
    /// Logs somebody in by name and password.
    ///
    /// # Errors
    /// [`Kind::NotLoggedIn`], the same for unknown names, wrong passwords and disabled accounts;
    /// [`Kind::TooOften`] with the time after which to come back.
    pub async fn log_in(
        self: &std::sync::Arc<Self>,
        name: &str,
        password: Password,
        who: LoginOrigin,
    ) -> Result<LoggedIn> {
        let name: String = name.chars().take(LONGEST_NAME).collect();
        let key = secret::hash(&account::key(&name));
        self.take_try(key, &name, who).await?;
        let people = self.clone();
        let asked = name.clone();
        let found = blocking(move || people.db.read(|c| account::by_name(c, &asked))).await?;
        let (account, stored) = match found {
            Some((account, stored)) => (Some(account), stored),
            None => (None, None),
        };
        let right = self.passwords.verify(password, stored.clone()).await?;
        let account = match account {
            Some(account) if right && account.enabled => account,
            account => {
                let reason = match &account {
                    None => "unknown",
                    Some(account) if right && !account.enabled => "disabled",
                    Some(_) => "password",
                };
                self.refuse(account, &name, reason, who).await?;
                return Err(wrong());
            }
        };
        let begun = self.begin(account, stored, "password", who).await?;
        self.limits.give_back(key, who.address);
        Ok(begun)
    }

    /// Begins a session of an account whose login was checked. `stored` is the password that it was
    /// checked against: where that was changed meanwhile, the login is refused.
    pub(super) async fn begin(
        self: &std::sync::Arc<Self>,
        account: Account,
        stored: Option<String>,
        how: &'static str,
        who: LoginOrigin,
    ) -> Result<LoggedIn> {
        let people = self.clone();
        blocking(move || {
            let now = people.db.now();
            let address = who.address.map(|address| address.to_string());
            let before = who.session.map(|hash| people.find_session(&hash)).transpose()?.flatten();
            let actor = actor(&account, how, who);
            let begun = people.db.change(&actor, |transaction, events| {
                let account = account::find(transaction, account.seq)?.filter(|account| account.enabled);
                let account = account.ok_or_else(wrong)?;
                if how == "password" && account::password(transaction, account.seq)? != stored {
                    return Err(wrong());
                }
                if let Some(before) = &before {
                    transaction.execute("DELETE FROM session WHERE id = ?1", [&before.login.id])?;
                    events.push(Event { subject: Some(before.login.id.clone()), ..Event::new("logout") });
                }
                let (secret, session) = session::begin(transaction, account.seq, address.as_deref(), now)?;
                let details = json!({ "how": how });
                events.push(Event {
                    subject: Some(session.clone()),
                    details,
                    ..Event::new("login.succeeded")
                });
                let account = account::get(transaction, account.seq)?;
                Ok(LoggedIn { secret, session, account })
            })?;
            if let Some(before) = before {
                people.live.end(&before.login.id);
            }
            Ok(begun)
        })
        .await
    }

    /// Ends a session.
    pub fn log_out(&self, session: &str, actor: &Actor) -> Result<()> {
        self.db.change(actor, |transaction, events| {
            transaction.execute("DELETE FROM session WHERE id = ?1", [session])?;
            events.push(Event { subject: Some(session.into()), ..Event::new("logout") });
            Ok(())
        })?;
        self.live.end(session);
        Ok(())
    }

    /// Ends the logins whose time is over, and tells what hangs on them. To be called every few seconds.
    pub fn end_timed_out(&self) -> Result<()> {
        let now = self.db.now();
        let lifetimes = self.settings.lifetimes;
        let sessions = self.db.read(|c| session::timed_out(c, lifetimes, &self.live, now))?;
        // What hangs on them ends whether or not their end can be put on record.
        let mut first = Ok(());
        for (id, _) in &sessions {
            self.live.end(id);
        }
        for id in self.db.read(|c| token::timed_out(c, now))? {
            if !self.live.ended(&id).is_cancelled() {
                self.live.end(&id);
            }
        }
        for (id, seq) in sessions {
            let recorded = self.db.change(&Actor::system(), |transaction, events| {
                if transaction.execute("DELETE FROM session WHERE id = ?1", [&id])? > 0 {
                    let details = json!({ "account": account::id(seq) });
                    events.push(Event {
                        subject: Some(id.clone()),
                        details,
                        ..Event::new("session.expired")
                    });
                }
                Ok(())
            });
            first = first.and(recorded);
        }
        first
    }

    /// Takes a try of whoever wants to log in; the first one that is turned away goes on record.
    pub(super) async fn take_try(
        self: &std::sync::Arc<Self>,
        key: Hash,
        name: &str,
        who: LoginOrigin,
    ) -> Result<()> {
        let Err(too_often) = self.limits.take(key, who.address) else { return Ok(()) };
        if too_often.first {
            self.refuse(None, name, "too-often", who).await?;
        } else {
            self.refused.fetch_add(1, Ordering::Relaxed);
        }
        let seconds = too_often.after.as_secs_f64().ceil() as u64;
        let text = format!("too many tries; come back in {seconds} s");
        Err(Problem::new(Kind::TooOften, "login", text).code("too-often").retry_after(seconds))
    }

    /// Puts a refused login on record. Names that nobody has are hashed: people type passwords there.
    pub(super) async fn refuse(
        self: &std::sync::Arc<Self>,
        account: Option<Account>,
        name: &str,
        reason: &str,
        who: LoginOrigin,
    ) -> Result<()> {
        self.refused.fetch_add(1, Ordering::Relaxed);
        let actor = Actor {
            account: "unknown".into(),
            name: "somebody".into(),
            role: None,
            via: "login".into(),
            address: who.address.map(|address| address.to_string()),
        };
        let mut details = json!({});
        match &account {
            Some(account) => details["name"] = json!(account.name),
            None => {
                details["name_sha256"] =
                    json!(secret::public_id('n', &secret::hash(&account::key(name)))[2..])
            }
        }
        let subject = account.map(|account| account.id);
        let people = self.clone();
        let event = Event { subject, details, reason: Some(reason.into()), ..Event::new("login.refused") };
        blocking(move || people.db.record(&actor, event)).await
    }
}

/// The one answer to every login that fails: it does not tell which names exist.
pub(super) fn wrong() -> Problem {
    Problem::new(Kind::NotLoggedIn, "login", "the name or the password is wrong, or the account is disabled")
        .code("wrong-login")
}

fn actor(account: &Account, how: &str, who: LoginOrigin) -> Actor {
    Actor {
        account: account.id.clone(),
        name: account.name.clone(),
        role: Some(account.role.as_str().into()),
        via: how.into(),
        address: who.address.map(|address| address.to_string()),
    }
}
