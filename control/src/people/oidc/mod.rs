//! Sign-on by an identity provider: OpenID Connect, authorization code with PKCE, state and nonce.
//! What the provider says of a person is mapped to a role; nobody is let in that no line names.

mod accounts;
mod roles;
mod settings;

use std::collections::HashMap;
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
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use vitrail_engine::base::{Moment, SharedClock};

use super::secret::{self, Hash, Secret};
use crate::base::{Kind, Problem, Result};
use settings::{private, read_secret};

pub use settings::{Mapping, Settings};

/// How long somebody may take at the provider.
const FLOW: Duration = Duration::from_secs(600);
/// People at the provider at once.
const FLOWS: usize = 1000;
/// How long the provider's description and keys are believed.
const BELIEVED: Duration = Duration::from_secs(300);
/// How long the provider may take to answer.
const ANSWER: Duration = Duration::from_secs(10);

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

/// Why a sign-on is refused.
struct Refused {
    /// As it stands in the record.
    word: &'static str,
    answer: Problem,
}

impl Refused {
    fn new(word: &'static str, answer: Problem) -> Refused {
        Refused { word, answer }
    }
}

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
            return Err(Refused::new(
                "oidc-state",
                refused("this answer belongs to another sign-on; start again"),
            ));
        }
        let client = self.client().await.map_err(|problem| Refused::new("oidc-provider", problem))?;
        let not_understood = |what: &'static str, error: String| -> Refused {
            tracing::warn!("a sign-on is refused: {what}: {error}");
            Refused::new("oidc-token", refused("the identity provider's answer does not hold; start again"))
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

fn refused(text: &str) -> Problem {
    Problem::new(Kind::NotLoggedIn, "sign-on", text).code("sign-on")
}
