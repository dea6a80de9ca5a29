//! Sign-on by an identity provider: OpenID Connect, authorization code with PKCE, state and nonce.
//! What the provider says of a person is mapped to a role; nobody is let in that no line names.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use openidconnect::core::{
    CoreAuthDisplay, CoreAuthPrompt, CoreAuthenticationFlow, CoreErrorResponseType, CoreGenderClaim,
    CoreJsonWebKey, CoreJweContentEncryptionAlgorithm, CoreJwsSigningAlgorithm, CoreProviderMetadata,
    CoreRevocableToken, CoreRevocationErrorResponse, CoreTokenIntrospectionResponse, CoreTokenType,
};
use openidconnect::{
    AccessTokenHash, AdditionalClaims, AuthorizationCode, ClientId, ClientSecret, CsrfToken,
    EmptyExtraTokenFields, EndpointMaybeSet, EndpointNotSet, EndpointSet, IdTokenFields, IssuerUrl, Nonce,
    OAuth2TokenResponse, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, Scope, StandardErrorResponse,
    StandardTokenResponse, TokenResponse,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use vitrail_engine::base::{Moment, SharedClock};

use super::secret::{self, Hash, Secret};
use super::{Account, AccountChange, LoggedIn, NewAccount, People, Role, Who, account, login};
use crate::audit::Actor;
use crate::base::{Kind, Problem, Result, blocking};

/// How long somebody may take at the provider.
const FLOW: Duration = Duration::from_secs(600);
/// People at the provider at once.
const FLOWS: usize = 1000;
/// How long the provider's description and keys are believed.
const BELIEVED: Duration = Duration::from_secs(300);
/// How long the provider may take to answer.
const ANSWER: Duration = Duration::from_secs(10);

/// The file that `oidc` in the wall file's `[control]` table names.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The provider: `https://id.example`. Plain HTTP on loopback only.
    pub issuer: String,
    /// This controller's name at the provider.
    pub client_id: String,
    /// `env:NAME` or `file:PATH`; left out where the provider gave none.
    #[serde(default)]
    pub client_secret: Option<String>,
    /// `…/api/v1/oidc/callback` at the address by which browsers come.
    pub redirect: String,
    /// What is asked for beside `openid` and `profile`.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// Adds an account at the first sign-on; otherwise an administrator adds it before.
    #[serde(default)]
    pub provision: bool,
    /// The first line that fits decides the role at each sign-on; no lines: the account's own role.
    #[serde(default)]
    pub roles: Vec<Mapping>,
    /// Further certificate authorities for the provider's own certificate, as a PEM file.
    #[serde(default)]
    pub ca: Option<PathBuf>,
}

/// A role for those of whom the provider says `value` in `claim`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mapping {
    /// Name of a claim, with dots into objects: `groups`, `realm_access.roles`.
    pub claim: String,
    /// What it must be, or hold.
    pub value: String,
    /// The role.
    pub role: Role,
    /// The zones of a zone authority.
    #[serde(default)]
    pub zones: Vec<String>,
    /// The claim that holds further zones.
    #[serde(default)]
    pub zones_claim: Option<String>,
    /// The unit.
    #[serde(default)]
    pub unit: Option<String>,
    /// The claim that holds the unit.
    #[serde(default)]
    pub unit_claim: Option<String>,
}

impl Settings {
    /// Reads the settings of a file (TOML). Paths in it are seen from its folder.
    pub fn read(path: &Path) -> Result<Settings> {
        let wrong = |text: String| Problem::invalid(path.display().to_string(), text);
        let text = std::fs::read_to_string(path).map_err(|e| wrong(format!("cannot be read: {e}")))?;
        let mut settings: Settings = toml::from_str(&text).map_err(|e| wrong(e.to_string()))?;
        let folder = path.parent().unwrap_or(Path::new(""));
        settings.ca = settings.ca.map(|ca| folder.join(ca));
        if let Some(("file", secret)) =
            settings.client_secret.as_deref().and_then(|from| from.split_once(':'))
        {
            settings.client_secret = Some(format!("file:{}", folder.join(secret).display()));
        }
        Ok(settings)
    }
}

/// All claims that are not standard ones.
#[derive(Debug, Serialize, Deserialize)]
struct Claims(Map<String, Value>);
impl AdditionalClaims for Claims {}

type Fields = IdTokenFields<
    Claims,
    EmptyExtraTokenFields,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJwsSigningAlgorithm,
>;
type Client = openidconnect::Client<
    Claims,
    CoreAuthDisplay,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJsonWebKey,
    CoreAuthPrompt,
    StandardErrorResponse<CoreErrorResponseType>,
    StandardTokenResponse<Fields, CoreTokenType>,
    CoreTokenIntrospectionResponse,
    CoreRevocableToken,
    CoreRevocationErrorResponse,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointMaybeSet,
    EndpointMaybeSet,
>;

/// Signatures that are taken: those of a key that only the provider has.
const SIGNATURES: [CoreJwsSigningAlgorithm; 9] = [
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha384,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha512,
    CoreJwsSigningAlgorithm::RsaSsaPssSha256,
    CoreJwsSigningAlgorithm::RsaSsaPssSha384,
    CoreJwsSigningAlgorithm::RsaSsaPssSha512,
    CoreJwsSigningAlgorithm::EcdsaP256Sha256,
    CoreJwsSigningAlgorithm::EcdsaP384Sha384,
    CoreJwsSigningAlgorithm::EdDsa,
];

/// Sign-on at one provider.
pub struct SignOn {
    settings: Settings,
    issuer: IssuerUrl,
    redirect: RedirectUrl,
    client_secret: Option<ClientSecret>,
    http: reqwest::Client,
    clock: SharedClock,
    flows: Mutex<HashMap<Hash, Flow>>,
    known: tokio::sync::Mutex<Option<(Moment, CoreProviderMetadata)>>,
}

/// Somebody who is at the provider.
struct Flow {
    state: CsrfToken,
    nonce: Nonce,
    verifier: PkceCodeVerifier,
    began: Moment,
}

/// What the provider says of somebody.
struct Person {
    subject: String,
    name: Option<String>,
    claims: Value,
}

/// What a person's claims are mapped to.
#[derive(Debug, PartialEq)]
struct Rights {
    role: Role,
    zones: Vec<String>,
    unit: Option<String>,
}

/// Why a sign-on is refused: a word for the record, and the answer.
type Refused = (&'static str, Problem);

impl SignOn {
    /// Sign-on as set. Asks the provider nothing yet.
    pub fn new(settings: Settings, clock: SharedClock) -> Result<SignOn> {
        let wrong = |what: &str, text: String| Problem::invalid(format!("sign-on: {what}"), text);
        let issuer = IssuerUrl::new(settings.issuer.clone()).map_err(|e| wrong("issuer", e.to_string()))?;
        let redirect =
            RedirectUrl::new(settings.redirect.clone()).map_err(|e| wrong("redirect", e.to_string()))?;
        if !private(issuer.url()) {
            return Err(wrong("issuer", "must be https://, or http:// on loopback".into()));
        }
        let client_secret = settings.client_secret.as_deref().map(read_secret).transpose()?;
        let mut http = reqwest::Client::builder()
            // Whoever could make the provider redirect could make this machine call others.
            .redirect(reqwest::redirect::Policy::none())
            .timeout(ANSWER);
        if let Some(path) = &settings.ca {
            let pem = std::fs::read(path).map_err(|e| wrong("ca", e.to_string()))?;
            let roots =
                reqwest::Certificate::from_pem_bundle(&pem).map_err(|e| wrong("ca", e.to_string()))?;
            http = roots.into_iter().fold(http, |http, root| http.add_root_certificate(root));
        }
        let http = http.build().map_err(|e| wrong("issuer", e.to_string()))?;
        let (flows, known) = Default::default();
        Ok(SignOn { settings, issuer, redirect, client_secret, http, clock, flows, known })
    }

    /// The provider.
    pub fn issuer(&self) -> &str {
        self.issuer.as_str()
    }

    async fn client(&self) -> Result<Client> {
        let mut known = self.known.lock().await;
        let now = self.clock.now();
        let metadata = match &*known {
            Some((at, metadata)) if now.since(*at) < BELIEVED => metadata.clone(),
            _ => {
                let asked = CoreProviderMetadata::discover_async(self.issuer.clone(), &self.http).await;
                let metadata = asked.map_err(|e| {
                    tracing::warn!(
                        "the identity provider {} does not describe itself: {e}",
                        self.issuer.as_str()
                    );
                    Problem::new(Kind::Unavailable, "identity provider", "does not answer as it should")
                        .code("oidc-provider")
                })?;
                *known = Some((now, metadata.clone()));
                metadata
            }
        };
        let id = ClientId::new(self.settings.client_id.clone());
        Ok(Client::from_provider_metadata(metadata, id, self.client_secret.clone())
            .set_redirect_uri(self.redirect.clone()))
    }

    /// Begins: where to send the browser, and the secret for its cookie.
    async fn begin(&self) -> Result<(url::Url, Secret)> {
        let client = self.client().await?;
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let mut request = client
            .authorize_url(
                CoreAuthenticationFlow::AuthorizationCode,
                CsrfToken::new_random,
                Nonce::new_random,
            )
            .add_scope(Scope::new("profile".into()))
            .set_pkce_challenge(challenge);
        for scope in &self.settings.scopes {
            request = request.add_scope(Scope::new(scope.clone()));
        }
        let (url, state, nonce) = request.url();
        let cookie = secret::make()?;
        let began = self.clock.now();
        let mut flows = self.flows.lock();
        flows.retain(|_, flow| began.since(flow.began) < FLOW);
        if flows.len() >= FLOWS {
            return Err(
                Problem::new(Kind::Unavailable, "sign-on", "many people sign on right now").retry_after(10)
            );
        }
        flows.insert(secret::hash(&cookie), Flow { state, nonce, verifier, began });
        Ok((url, cookie))
    }

    /// The sign-on that this browser began; it can be ended once.
    fn take(&self, cookie: &Hash) -> Option<Flow> {
        let flow = self.flows.lock().remove(cookie)?;
        (self.clock.now().since(flow.began) < FLOW).then_some(flow)
    }

    /// Asks the provider who came back, and checks its answer.
    async fn person(&self, flow: Flow, code: String, state: &str) -> std::result::Result<Person, Refused> {
        if !secret::equal(state, flow.state.secret()) {
            return Err(("oidc-state", refused("this answer belongs to another sign-on; start again")));
        }
        let client = self.client().await.map_err(|problem| ("oidc-provider", problem))?;
        let not_understood = |what: &'static str, error: String| {
            tracing::warn!("a sign-on is refused: {what}: {error}");
            ("oidc-token", refused("the identity provider's answer does not hold; start again"))
        };
        let answer = client
            .exchange_code(AuthorizationCode::new(code))
            .map_err(|e| not_understood("no token endpoint", e.to_string()))?
            .set_pkce_verifier(flow.verifier)
            .request_async(&self.http)
            .await
            // The error of a refused code may repeat the code: its kind is enough.
            .map_err(|e| not_understood("code", kind_of(&e).into()))?;
        let token = answer.id_token().ok_or_else(|| not_understood("answer", "has no ID token".into()))?;
        let verifier = client.id_token_verifier().set_allowed_algs(SIGNATURES);
        let claims =
            token.claims(&verifier, &flow.nonce).map_err(|e| not_understood("ID token", e.to_string()))?;
        if let Some(said) = claims.access_token_hash() {
            let key = token.signing_key(&verifier).map_err(|e| not_understood("key", e.to_string()))?;
            let algorithm = token.signing_alg().map_err(|e| not_understood("algorithm", e.to_string()))?;
            let real = AccessTokenHash::from_token(answer.access_token(), algorithm, key)
                .map_err(|e| not_understood("access token", e.to_string()))?;
            if real != *said {
                return Err(not_understood("access token", "is another one than the ID token names".into()));
            }
        }
        let name = claims.preferred_username().map(|name| name.as_str().to_owned());
        let subject = claims.subject().as_str().to_owned();
        let claims = serde_json::to_value(claims).map_err(|e| not_understood("claims", e.to_string()))?;
        Ok(Person { subject, name, claims })
    }
}

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
        who: Who,
    ) -> Result<LoggedIn> {
        let sign_on = self.sign_on()?;
        let flow = cookie.and_then(|cookie| sign_on.take(&cookie));
        let flow =
            flow.ok_or_else(|| refused("this browser began no sign-on, or too long ago; start again"))?;
        let key = secret::hash(&format!("\0oidc {:?}", who.address));
        self.take_try(key, "", who).await?;
        let found = match code {
            Some(code) => sign_on.person(flow, code, state).await,
            None => Err(("oidc-provider", refused("the identity provider let nobody in"))),
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
            Err((reason, problem)) => {
                self.refuse(None, "", reason, who).await?;
                Err(problem)
            }
        }
    }

    /// The provider may name zones that are not here; of those who speak for none that is, nobody is let in.
    fn within_registry(&self, mut rights: Rights) -> std::result::Result<Rights, Refused> {
        let known = |zone: &String| self.db.read(|c| account::is_zone(c, zone)).unwrap_or(false);
        rights.zones.retain(known);
        if rights.role == Role::ZoneAuthority && rights.zones.is_empty() {
            let text = "none of the zones that you speak for is here";
            return Err(("oidc-role", Problem::refused("sign-on", text).code("oidc-role")));
        }
        Ok(rights)
    }

    /// The account of somebody whom the provider knows, with the rights that it says.
    fn known(&self, person: Person) -> std::result::Result<Account, Refused> {
        let failed = |problem: Problem| ("oidc-account", problem);
        let sign_on = self.sign_on().map_err(failed)?;
        let rights = rights_of(&sign_on.settings.roles, &person.claims).ok_or_else(|| {
            ("oidc-role", Problem::refused("sign-on", "no role is meant for you here").code("oidc-role"))
        })?;
        let rights = rights.map(|rights| self.within_registry(rights)).transpose()?;
        let issuer = sign_on.issuer();
        let found = self.db.read(|c| account::by_subject(c, issuer, &person.subject)).map_err(failed)?;
        match (found, rights) {
            (Some(account), _) if !account.enabled => Err(("disabled", login::wrong())),
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
                Err(("oidc-unknown", Problem::refused("sign-on", text).code("oidc-unknown")))
            }
        }
    }
}

/// What the first fitting line gives; `Some(None)` where there are no lines.
fn rights_of(lines: &[Mapping], claims: &Value) -> Option<Option<Rights>> {
    if lines.is_empty() {
        return Some(None);
    }
    let line = lines.iter().find(|line| words(claims, &line.claim).contains(&line.value.as_str()))?;
    let mut zones = line.zones.clone();
    if let Some(claim) = &line.zones_claim {
        zones.extend(words(claims, claim).into_iter().map(str::to_owned));
    }
    zones.sort();
    zones.dedup();
    let said = line
        .unit_claim
        .as_ref()
        .and_then(|claim| words(claims, claim).first().map(|unit| (*unit).to_owned()));
    Some(Some(Rights { role: line.role, zones, unit: said.or_else(|| line.unit.clone()) }))
}

/// The words of a claim: one, or a list.
fn words<'a>(claims: &'a Value, claim: &str) -> Vec<&'a str> {
    let whole = claims.get(claim);
    let found = whole.or_else(|| claim.split('.').try_fold(claims, |value, part| value.get(part)));
    match found {
        Some(Value::String(word)) => vec![word],
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

fn refused(text: &str) -> Problem {
    Problem::new(Kind::NotLoggedIn, "sign-on", text).code("sign-on")
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

fn kind_of<A, B: openidconnect::ErrorResponse>(error: &openidconnect::RequestTokenError<A, B>) -> &'static str
where
    A: std::error::Error + 'static,
{
    match error {
        openidconnect::RequestTokenError::ServerResponse(_) => "refused by the provider",
        openidconnect::RequestTokenError::Request(_) => "the provider was not reached",
        openidconnect::RequestTokenError::Parse(..) => "an answer that is none",
        openidconnect::RequestTokenError::Other(_) => "an answer that does not hold",
    }
}

fn private(url: &url::Url) -> bool {
    match url.scheme() {
        "https" => true,
        "http" => match url.host() {
            Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
            Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
            Some(url::Host::Domain(name)) => name == "localhost",
            None => false,
        },
        _ => false,
    }
}

/// A secret from the environment or a file: never from the wall file itself.
fn read_secret(from: &str) -> Result<ClientSecret> {
    let wrong = |text: String| Problem::invalid("sign-on: client_secret", text);
    let text = match from.split_once(':') {
        Some(("env", name)) => std::env::var(name).map_err(|e| wrong(format!("{name}: {e}")))?,
        Some(("file", path)) => std::fs::read_to_string(path).map_err(|e| wrong(format!("{path}: {e}")))?,
        _ => return Err(wrong("write env:NAME or file:PATH".into())),
    };
    Ok(ClientSecret::new(text.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn line(claim: &str, value: &str, role: Role) -> Mapping {
        let (zones, zones_claim, unit, unit_claim) = Default::default();
        Mapping { claim: claim.into(), value: value.into(), role, zones, zones_claim, unit, unit_claim }
    }

    #[test]
    fn the_first_line_that_fits_decides_and_nobody_else_is_let_in() {
        let lines = [
            Mapping {
                zones: vec!["north".into()],
                zones_claim: Some("police.zones".into()),
                unit_claim: Some("unit".into()),
                unit: Some("usual".into()),
                ..line("realm.roles", "authority", Role::ZoneAuthority)
            },
            line("groups", "watch", Role::Operator),
        ];
        let claims = json!({ "groups": ["x", "watch"], "realm": { "roles": "authority" },
                             "police": { "zones": ["south", "north", 7] }, "unit": "hq" });
        let rights = rights_of(&lines, &claims).flatten().expect("fits");
        assert_eq!(
            rights,
            Rights {
                role: Role::ZoneAuthority,
                zones: vec!["north".into(), "south".into()],
                unit: Some("hq".into())
            }
        );
        let claims = json!({ "groups": ["watch"], "realm": { "roles": "authority2" } });
        assert_eq!(rights_of(&lines, &claims).flatten().map(|r| r.role), Some(Role::Operator));
        assert_eq!(rights_of(&lines, &json!({ "groups": "watchers" })), None);
        assert_eq!(rights_of(&[], &claims), Some(None));
        assert_eq!(
            words(&json!({ "https://a.b/c": "d" }), "https://a.b/c"),
            ["d"],
            "dots in a claim's own name"
        );
    }

    #[test]
    fn providers_are_reached_privately_and_secrets_stay_out_of_the_wall_file() {
        let private = |text: &str| private(&text.parse().expect("a URL"));
        assert!(
            private("https://id.example") && private("http://127.0.0.1:1") && private("http://localhost")
        );
        assert!(!private("http://id.example") && !private("http://10.0.0.1") && !private("ftp://localhost"));
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("oidc.toml");
        let text = "issuer = 'https://id.example'\nclient_id = 'vitrail'\nredirect = 'https://w.example/api/v1/oidc/callback'\n\
                    client_secret = 'file:secret'\n[[roles]]\nclaim = 'groups'\nvalue = 'watch'\nrole = 'operator'\n";
        std::fs::write(&file, text).expect("written");
        std::fs::write(folder.path().join("secret"), "s3cret\n").expect("written");
        let settings = Settings::read(&file).expect("reads");
        let from = settings.client_secret.expect("one");
        assert_eq!(read_secret(&from).expect("reads").secret(), "s3cret");
        assert!(settings.roles[0].role == Role::Operator && !settings.provision);
        std::fs::write(&file, format!("{text}\ntypo = 1")).expect("written");
        assert!(Settings::read(&file).is_err());
        assert!(read_secret("hunter2").is_err() && read_secret("env:VITRAIL_NO_SUCH_VARIABLE").is_err());
    }
}
