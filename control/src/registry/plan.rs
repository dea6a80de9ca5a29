//! What has to be done so that a camera becomes what is wanted, and which records that leaves. Pure.

use std::collections::BTreeSet;

use serde_json::json;
use vitrail_engine::config::{CameraSpec, UriText, changed_keys};

use super::address::{self, HIDDEN, Secret};
use super::store::{Secrets, Stored};
use crate::audit::Event;

/// A camera as it is wanted, parted from its secrets.
#[derive(Clone, Debug)]
pub(super) struct WantedCamera {
    pub spec: CameraSpec,
    /// Secrets that came with it: they replace those that are stored. None: those stay.
    pub secrets: Secrets,
    pub onvif: Option<String>,
}

impl WantedCamera {
    /// Parts the addresses of a camera from what is secret in them.
    pub fn part(mut spec: CameraSpec, onvif: Option<String>) -> WantedCamera {
        let mut secrets = Secrets::new();
        let mut without = 0;
        for (profile, uri) in &mut spec.profiles {
            let (shown, secret) = address::part(uri.expose());
            match secret {
                Some(secret) => drop(secrets.insert(profile.clone(), secret)),
                None => without += usize::from(address::takes_login(&shown)),
            }
            *uri = UriText::new(shown);
        }
        let mut logins = secrets.values().map(|secret| match secret {
            Secret::Login(login) => Some(login.clone()),
            Secret::Address(_) => None,
        });
        // One login for all of its streams is the login of the camera.
        if let Some(first) = logins.next()
            && let Some(first) = first
            && without == 0
            && logins.all(|login| login.as_ref() == Some(&first))
        {
            secrets = Secrets::from([(String::new(), Secret::Login(first))]);
        }
        WantedCamera { spec, secrets, onvif }
    }
}

/// What happens to the secrets of a camera.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum SecretStep {
    /// Nothing.
    Keep,
    /// These are stored in the place of all others.
    Set(Secrets),
    /// These are kept, because the address that others belonged to is another one now.
    Cut(Secrets),
}

/// What has to be done.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Plan {
    /// Names of the fields that change; empty for a new camera.
    pub fields: Vec<String>,
    pub secrets: SecretStep,
}

impl Plan {
    /// Nothing at all.
    pub fn is_nothing(&self) -> bool {
        self.fields.is_empty() && self.secrets == SecretStep::Keep
    }
}

/// From what is stored, with its secrets, to what is wanted.
///
/// # Errors
/// The field that cannot be stored, and why.
pub(super) fn plan(
    before: Option<(&Stored, &Secrets)>,
    wanted: &WantedCamera,
) -> Result<Plan, (String, String)> {
    for (profile, uri) in &wanted.spec.profiles {
        let uri = uri.expose();
        let known = matches!(wanted.secrets.get(profile), Some(Secret::Address(_)))
            || before.is_some_and(|(stored, _)| shown(stored, profile) == Some(uri));
        if uri.contains(HIDDEN) && !known {
            let message = format!("has {HIDDEN} in it, where something secret was cut out; write all of it");
            return Err((format!("profiles.{profile}.uri"), message));
        }
    }
    let Some((stored, kept)) = before else {
        let secrets = if wanted.secrets.is_empty() {
            SecretStep::Keep
        } else {
            SecretStep::Set(wanted.secrets.clone())
        };
        return Ok(Plan { fields: Vec::new(), secrets });
    };
    let mut fields = changed_keys(&stored.spec, &wanted.spec);
    if stored.onvif != wanted.onvif {
        fields.push("onvif".into());
    }
    let secrets = match (wanted.secrets.is_empty(), kept.is_empty()) {
        (false, _) if wanted.secrets == *kept => SecretStep::Keep,
        (false, _) => SecretStep::Set(wanted.secrets.clone()),
        (true, true) => SecretStep::Keep,
        (true, false) => {
            let left = still_valid(stored, kept, wanted);
            if left == *kept { SecretStep::Keep } else { SecretStep::Cut(left) }
        }
    };
    Ok(Plan { fields, secrets })
}

fn shown<'a>(stored: &'a Stored, profile: &str) -> Option<&'a str> {
    stored.spec.profiles.get(profile).map(UriText::expose)
}

/// The secrets that may stay. A login is told to the machine that an address names: whoever points a
/// camera to another machine must bring the login, or could have it sent to a machine of their own.
fn still_valid(stored: &Stored, kept: &Secrets, wanted: &WantedCamera) -> Secrets {
    let hosts = |spec: &CameraSpec, onvif: &Option<String>| -> BTreeSet<String> {
        let profiles = spec.profiles.values().map(UriText::expose);
        profiles.chain(onvif.as_deref()).filter_map(address::host).collect()
    };
    let (old, new) = (hosts(&stored.spec, &stored.onvif), hosts(&wanted.spec, &wanted.onvif));
    let same_machines = new.is_subset(&old);
    let stays = |profile: &str, secret: &Secret| match secret {
        Secret::Login(_) => {
            same_machines && (profile.is_empty() || wanted.spec.profiles.contains_key(profile))
        }
        Secret::Address(_) => {
            wanted.spec.profiles.get(profile).is_some_and(|uri| shown(stored, profile) == Some(uri.expose()))
        }
    };
    kept.iter()
        .filter(|(profile, secret)| stays(profile, secret))
        .map(|(p, s)| (p.clone(), s.clone()))
        .collect()
}

/// The records of a camera that was added or changed.
pub(super) fn events(
    before: Option<&Stored>,
    wanted: &WantedCamera,
    plan: &Plan,
    version: i64,
) -> Vec<Event> {
    let spec = &wanted.spec;
    let event = |kind: &str, details: serde_json::Value| Event {
        zone: spec.zone.clone(),
        camera: Some(spec.id.to_string()),
        details,
        ..Event::new(kind)
    };
    let masks = |spec: &CameraSpec| -> Vec<serde_json::Value> {
        // Written as texts of f32, so that 0.2 is 0.2 in the log.
        spec.masks.iter().map(|m| json!(format!("{} {} {} {}", m.x, m.y, m.width, m.height))).collect()
    };
    let mut events = Vec::new();
    match before {
        None => events.push(event("camera.added", json!({ "name": spec.name, "masks": masks(spec) }))),
        Some(stored) => {
            let others: Vec<&String> = plan.fields.iter().filter(|f| *f != "masks").collect();
            if !others.is_empty() {
                let mut details = json!({ "fields": others, "version": version });
                if stored.spec.zone != spec.zone {
                    details["zone_before"] = json!(stored.spec.zone);
                    // Whoever speaks for the zone that it leaves reads of it too.
                    let left = json!({ "zone_after": spec.zone, "version": version });
                    let left = Event { zone: stored.spec.zone.clone(), ..event("camera.left-zone", left) };
                    events.extend(stored.spec.zone.is_some().then_some(left));
                }
                events.push(event("camera.changed", details));
            }
            if plan.fields.iter().any(|f| f == "masks") {
                let details =
                    json!({ "before": masks(&stored.spec), "after": masks(spec), "version": version });
                events.push(event("camera.masks-changed", details));
            }
        }
    }
    match &plan.secrets {
        SecretStep::Keep => {}
        SecretStep::Set(_) => events.push(event("camera.credentials-set", serde_json::Value::Null)),
        SecretStep::Cut(left) => {
            let details = json!({ "why": "the address is another one", "all": left.is_empty() });
            events.push(event("camera.credentials-removed", details));
        }
    }
    events
}

#[cfg(test)]
mod tests {
    use vitrail_engine::base::Login;

    use super::*;
    use crate::base::Utc;
    use crate::registry::row;

    fn spec(main: &str, sub: Option<&str>) -> CameraSpec {
        let mut cells =
            row::Cells::from([("id".to_owned(), "a".to_owned()), ("main.uri".into(), main.into())]);
        if let Some(sub) = sub {
            cells.insert("sub.uri".into(), sub.into());
        }
        row::check_one(&cells).expect("a camera")
    }

    fn stored(main: &str, sub: Option<&str>) -> (Stored, Secrets) {
        let wanted = WantedCamera::part(spec(main, sub), None);
        let stored = Stored {
            n: 1,
            spec: wanted.spec,
            onvif: None,
            version: 1,
            changed_at: Utc(0),
            has_secrets: false,
        };
        (stored, wanted.secrets)
    }

    fn step(before: &(Stored, Secrets), wanted: WantedCamera) -> SecretStep {
        plan(Some((&before.0, &before.1)), &wanted).expect("a plan").secrets
    }

    fn login(user: &str) -> Secret {
        Secret::Login(Login { user: user.into(), password: "hunter2".into() })
    }

    #[test]
    fn one_login_for_all_streams_is_the_camera_s() {
        let of = |main, sub| WantedCamera::part(spec(main, sub), None).secrets;
        let one = Secrets::from([(String::new(), login("u"))]);
        assert_eq!(of("rtsp://u:hunter2@h/1", Some("rtsp://u:hunter2@h/2")), one);
        assert_eq!(of("rtsp://u:hunter2@h/1", Some("udp://239.1.1.1:5004")), one);
        assert_eq!(of("rtsp://u:hunter2@h/1", Some("rtsp://h/2")).keys().collect::<Vec<_>>(), ["main"]);
        assert_eq!(of("rtsp://u:hunter2@h/1", Some("rtsp://v:hunter2@h/2")).len(), 2);
        assert!(of("rtsp://h/1", None).is_empty());
    }

    #[test]
    fn a_login_is_never_sent_to_a_machine_that_it_was_not_given_for() {
        let before = stored("rtsp://u:hunter2@10.0.0.1/1", Some("rtsp://u:hunter2@10.0.0.1/2"));
        let to = |main: &str| step(&before, WantedCamera::part(spec(main, Some("rtsp://10.0.0.1/2")), None));
        assert_eq!(to("rtsp://10.0.0.1/1"), SecretStep::Keep);
        assert_eq!(to("rtsp://10.0.0.1:8554/other"), SecretStep::Keep);
        assert_eq!(to("rtsp://10.6.6.6/1"), SecretStep::Cut(Secrets::new()));
        let device =
            WantedCamera::part(spec("rtsp://10.0.0.1/1", None), Some("http://10.6.6.6/onvif".into()));
        assert_eq!(step(&before, device), SecretStep::Cut(Secrets::new()));
        let own = Secrets::from([(String::new(), login("v"))]);
        assert_eq!(
            step(&before, WantedCamera::part(spec("rtsp://v:hunter2@10.6.6.6/1", None), None)),
            SecretStep::Set(own)
        );
    }

    #[test]
    fn a_whole_address_is_kept_while_what_is_shown_of_it_is_the_same() {
        let before = stored("rtsp://10.0.0.1/live?pwd=hunter2", None);
        let shown = before.0.spec.profiles["main"].expose().to_owned();
        assert_eq!(step(&before, WantedCamera::part(spec(&shown, None), None)), SecretStep::Keep);
        assert_eq!(
            step(&before, WantedCamera::part(spec("rtsp://10.0.0.1/live", None), None)),
            SecretStep::Cut(Secrets::new())
        );
        let other = WantedCamera::part(spec("rtsp://10.0.0.1/other?…", None), None);
        assert!(plan(Some((&before.0, &before.1)), &other).is_err(), "nobody knows what was hidden there");
        assert!(plan(None, &WantedCamera::part(spec(&shown, None), None)).is_err());
    }

    #[test]
    fn every_change_is_named_and_masks_have_a_record_of_their_own() {
        let mut before = stored("rtsp://10.0.0.1/1", None);
        before.0.spec.zone = Some("south".into());
        let mut wanted = WantedCamera::part(spec("rtsp://10.0.0.1/2", None), None);
        wanted.spec.name = "Gate".into();
        wanted.spec.zone = Some("north".into());
        wanted.spec.masks = vec![vitrail_engine::media::Region { x: 0.0, y: 0.0, width: 0.2, height: 0.5 }];
        let plan = plan(Some((&before.0, &before.1)), &wanted).expect("a plan");
        assert_eq!(plan.fields, ["name", "zone", "masks", "profiles.main.uri"]);
        let events = events(Some(&before.0), &wanted, &plan, 2);
        let kinds: Vec<&str> = events.iter().map(|e| e.kind.as_str()).collect();
        assert_eq!(kinds, ["camera.left-zone", "camera.changed", "camera.masks-changed"]);
        assert_eq!(events[0].zone.as_deref(), Some("south"), "where it was");
        assert_eq!(events[1].details["fields"], serde_json::json!(["name", "zone", "profiles.main.uri"]));
        assert_eq!(events[2].details["after"], serde_json::json!(["0 0 0.2 0.5"]));
    }
}
