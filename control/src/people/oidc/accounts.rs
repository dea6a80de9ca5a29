//! Signing on: from a browser that begins to an account that is logged in, added where the settings say so.

use std::sync::Arc;

use super::roles::{Rights, rights_of};
use super::{Person, Refused, SignOn, refused};
use crate::audit::Actor;
use crate::base::{Kind, Problem, Result, blocking};
use crate::people::secret::{self, Hash, Secret};
use crate::people::{
    Account, AccountChange, LoggedIn, LoginOrigin, NewAccount, People, Role, account, login,
};

impl People {
    /// Whether there is an identity provider.
    pub fn signs_on(&self) -> bool {
        self.sign_on.is_some()
    }

    fn sign_on(&self) -> Result<&SignOn> {
        let none =
            || Problem::new(Kind::NotFound, "sign-on", "no identity provider is set up").code("no-oidc");
        self.sign_on.as_ref().ok_or_else(none)
    }

    /// Begins a sign-on: where to send the browser, and the secret for its cookie.
    pub async fn begin_sign_on(&self) -> Result<(url::Url, Secret)> {
        self.sign_on()?.begin().await
    }

    /// Ends a sign-on with what the provider sent the browser back with, and logs its person in.
    /// `cookie` is the hash of the secret with which it began.
    pub async fn end_sign_on(
        self: &Arc<Self>,
        cookie: Option<Hash>,
        code: Option<String>,
        state: &str,
        who: LoginOrigin,
    ) -> Result<LoggedIn> {
        let sign_on = self.sign_on()?;
        let flow = cookie.and_then(|cookie| sign_on.take(&cookie));
        let flow =
            flow.ok_or_else(|| refused("this browser began no sign-on, or too long ago; start again"))?;
        let key = secret::hash(&format!("\0oidc {:?}", who.address));
        self.take_try(key, "", who).await?;
        let found = match code {
            Some(code) => sign_on.person(flow, code, state).await,
            None => Err(Refused::new("oidc-provider", refused("the identity provider let nobody in"))),
        };
        let known = match found {
            Ok(person) => {
                let people = self.clone();
                blocking(move || Ok(people.known(person))).await?
            }
            Err(refused) => Err(refused),
        };
        match known {
            Ok(account) => {
                let begun = self.begin(account, None, "oidc", who).await?;
                self.limits.give_back(key, who.address);
                Ok(begun)
            }
            Err(Refused { word, answer }) => {
                self.refuse(None, "", word, who).await?;
                Err(answer)
            }
        }
    }

    /// The provider may name zones that are not here; of those who speak for none that is, nobody is let in.
    fn within_registry(&self, mut rights: Rights) -> std::result::Result<Rights, Refused> {
        let known = |zone: &String| self.db.read(|c| account::is_zone(c, zone)).unwrap_or(false);
        rights.zones.retain(known);
        if rights.role == Role::ZoneAuthority && rights.zones.is_empty() {
            let text = "none of the zones that you speak for is here";
            return Err(not_let_in("oidc-role", text));
        }
        Ok(rights)
    }

    /// The account of somebody whom the provider knows, with the rights that it says.
    fn known(&self, person: Person) -> std::result::Result<Account, Refused> {
        let failed = |problem: Problem| Refused::new("oidc-account", problem);
        let sign_on = self.sign_on().map_err(failed)?;
        let rights = rights_of(&sign_on.settings.roles, &person.claims)
            .ok_or_else(|| not_let_in("oidc-role", "no role is meant for you here"))?;
        let rights = rights.map(|rights| self.within_registry(rights)).transpose()?;
        let issuer = sign_on.issuer();
        let found = self.db.read(|c| account::by_subject(c, issuer, &person.subject)).map_err(failed)?;
        match (found, rights) {
            (Some(account), _) if !account.enabled => Err(Refused::new("disabled", login::wrong())),
            (Some(account), None) => Ok(account),
            (Some(account), Some(rights)) => {
                let change = AccountChange {
                    role: Some(rights.role),
                    zones: Some(rights.zones),
                    unit: rights.unit,
                    ..AccountChange::default()
                };
                self.apply_change(account.seq, &change, None, &provider()).map_err(failed)
            }
            (None, Some(rights)) if sign_on.settings.provision => {
                let new = NewAccount {
                    name: person.name.unwrap_or_else(|| person.subject.clone()),
                    role: rights.role,
                    zones: rights.zones,
                    unit: rights.unit,
                    language: Default::default(),
                    password: None,
                    subject: Some(person.subject),
                };
                let unit = &self.settings.unit;
                let now = self.db.now();
                self.db
                    .change(&provider(), |transaction, events| {
                        account::add(transaction, events, &new, unit, Some(issuer), None, now)
                    })
                    .map_err(failed)
            }
            (None, _) => {
                let text =
                    "you have no account here; an administrator adds it with your subject at the provider";
                Err(not_let_in("oidc-unknown", text))
            }
        }
    }
}

/// Refused with one word for the record and for programs.
fn not_let_in(word: &'static str, text: &str) -> Refused {
    Refused::new(word, Problem::refused("sign-on", text).code(word))
}

fn provider() -> Actor {
    Actor {
        account: "system".into(),
        name: "identity provider".into(),
        role: None,
        via: "oidc".into(),
        address: None,
    }
}
