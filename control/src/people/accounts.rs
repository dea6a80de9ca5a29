//! What administrators do with accounts, and everyone with one's own.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{
    Account, AccountChange, Language, LoginOrigin, MadeToken, NewAccount, NewToken, Password, People, Role,
    Token, account, login, password, secret, token,
};
use crate::audit::Actor;
use crate::base::{Problem, Result, blocking};

impl People {
    /// Accounts after this number, in the order in which they were added.
    pub fn accounts(&self, after: i64, limit: usize) -> Result<Vec<Account>> {
        self.db.read(|c| account::list(c, after, limit))
    }

    /// The name of every account, by its id.
    pub fn names(&self) -> Result<BTreeMap<String, String>> {
        self.db.read(|c| {
            let mut query = c.prepare_cached("SELECT seq, name FROM account")?;
            let rows = query.query_map([], |row| Ok((account::id(row.get(0)?), row.get(1)?)))?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
    }

    /// An account.
    pub fn account(&self, id: &str) -> Result<Account> {
        let seq = account::number(id)?;
        self.db.read(|c| account::get(c, seq))
    }

    /// Whether an account exists and is enabled, and what it may do now: for decisions that come
    /// without a request, such as a showing that goes on.
    pub fn standing(&self, id: &str) -> Result<Option<Account>> {
        let Ok(seq) = account::number(id) else { return Ok(None) };
        Ok(self.db.read(|c| account::find(c, seq))?.filter(|account| account.enabled))
    }

    /// Adds an account.
    pub async fn add_account(self: &Arc<Self>, mut new: NewAccount, actor: Actor) -> Result<Account> {
        account::check_name(&new.name)?;
        let stored = match new.password.take() {
            Some(word) => {
                password::check(&new.name, &word)?;
                Some(self.passwords.hash(word).await?)
            }
            None if new.subject.is_none() => {
                return Err(Problem::invalid(
                    "password",
                    "give one, or the subject at the identity provider",
                ));
            }
            None => None,
        };
        let people = self.clone();
        blocking(move || {
            let issuer = people.sign_on.as_ref().map(|sign_on| sign_on.issuer().to_owned());
            let now = people.db.now();
            people.db.change(&actor, |transaction, events| {
                account::add(transaction, events, &new, &people.settings.unit, issuer.as_deref(), stored, now)
            })
        })
        .await
    }

    /// Changes an account. A change of what it may do, or of its password, ends its logins.
    pub async fn change_account(
        self: &Arc<Self>,
        id: &str,
        mut change: AccountChange,
        actor: Actor,
    ) -> Result<Account> {
        let seq = account::number(id)?;
        let stored = match change.password.take() {
            Some(word) => {
                let name = change.name.clone();
                let people = self.clone();
                let present = blocking(move || people.db.read(|c| account::get(c, seq))).await?;
                password::check(name.as_deref().unwrap_or(&present.name), &word)?;
                Some(self.passwords.hash(word).await?)
            }
            None => None,
        };
        let people = self.clone();
        blocking(move || people.apply_change(seq, &change, stored, &actor)).await
    }

    /// Commits a change of an account, and ends its logins where it may do other things then, or
    /// has another password (`stored` is its hash).
    pub(super) fn apply_change(
        &self,
        seq: i64,
        change: &AccountChange,
        stored: Option<String>,
        actor: &Actor,
    ) -> Result<Account> {
        let new_password = stored.is_some();
        let (before, after) = self.db.change(actor, |transaction, events| {
            let (before, after) = account::change(transaction, events, seq, change, stored)?;
            if new_password || changes_rights(&before, &after) {
                transaction.execute("DELETE FROM session WHERE account = ?1", [seq])?;
            }
            Ok((before, after))
        })?;
        if new_password || changes_rights(&before, &after) {
            self.live.end_of(seq);
        }
        Ok(after)
    }

    /// Removes an account with its logins and tokens.
    pub fn remove_account(&self, id: &str, actor: &Actor) -> Result<()> {
        let seq = account::number(id)?;
        self.db.change(actor, |transaction, events| account::remove(transaction, events, seq))?;
        self.live.end_of(seq);
        Ok(())
    }

    /// Changes one's language.
    pub async fn set_language(
        self: &Arc<Self>,
        id: &str,
        language: Language,
        actor: Actor,
    ) -> Result<Account> {
        let change = AccountChange { language: Some(language), ..AccountChange::default() };
        self.change_account(id, change, actor).await
    }

    /// Changes one's own password, and ends one's other sessions. `session` is the one that stays.
    pub async fn change_password(
        self: &Arc<Self>,
        id: &str,
        session: &str,
        old: Password,
        new: Password,
        who: LoginOrigin,
        actor: Actor,
    ) -> Result<()> {
        let seq = account::number(id)?;
        let people = self.clone();
        let (account, stored) =
            blocking(move || people.db.read(|c| Ok((account::get(c, seq)?, account::password(c, seq)?))))
                .await?;
        let key = secret::hash(&account::key(&account.name));
        self.take_try(key, &account.name, who).await?;
        if !self.passwords.verify(old, stored.clone()).await? {
            self.refuse(Some(account), "", "password", who).await?;
            return Err(Problem::invalid("old", "this is not the present password").code("wrong-login"));
        }
        self.limits.give_back(key, who.address);
        password::check(&account.name, &new)?;
        let new = self.passwords.hash(new).await?;
        let people = self.clone();
        let session = session.to_owned();
        blocking(move || {
            people.db.change(&actor, |transaction, events| {
                if account::password(transaction, seq)? != stored {
                    return Err(login::wrong());
                }
                account::change(transaction, events, seq, &AccountChange::default(), Some(new))?;
                transaction.execute(
                    "DELETE FROM session WHERE account = ?1 AND id <> ?2",
                    rusqlite::params![seq, session],
                )?;
                Ok(())
            })?;
            people.live.end_sessions_of(seq, &session);
            Ok(())
        })
        .await
    }

    /// One's API tokens, after the one of this id.
    pub fn tokens(&self, id: &str, after: Option<&str>, limit: usize) -> Result<Vec<Token>> {
        let seq = account::number(id)?;
        self.db.read(|c| {
            let after = after.map_or(Ok(0), |after| token::number(c, seq, after))?;
            token::list(c, seq, after, limit)
        })
    }

    /// Makes an API token of oneself.
    pub fn add_token(&self, id: &str, role: Role, new: &NewToken, actor: &Actor) -> Result<MadeToken> {
        let seq = account::number(id)?;
        let now = self.db.now();
        self.db.change(actor, |transaction, events| token::add(transaction, events, seq, role, new, now))
    }

    /// Ends an API token of oneself.
    pub fn remove_token(&self, id: &str, token: &str, actor: &Actor) -> Result<()> {
        let seq = account::number(id)?;
        self.db.change(actor, |transaction, events| token::remove(transaction, events, seq, token))?;
        self.live.end(token);
        Ok(())
    }
}

/// Whether an account may do other things than before.
fn changes_rights(before: &Account, after: &Account) -> bool {
    (before.role, &before.zones, &before.unit, before.enabled)
        != (after.role, &after.zones, &after.unit, after.enabled)
}
