//! What placards say, in the languages of the region: titles, and the reasons that the engine itself
//! writes.

use std::sync::Arc;

use super::overlay::Language;

/// The title of a placard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Title {
    WaitingForPicture,
    TooOld,
    Connecting,
    Standby,
    NoPackets,
    Unchanged,
    Delayed,
    CannotDecode,
    Offline,
    Refused,
}

impl Title {
    /// The words, in capitals: short enough for a tile of a sixteenth of a screen.
    pub fn words(self, language: Language) -> &'static str {
        let [english, french, dutch] = match self {
            Title::WaitingForPicture => ["WAITING FOR PICTURE", "EN ATTENTE D'IMAGE", "WACHT OP BEELD"],
            Title::TooOld => ["PICTURE TOO OLD", "IMAGE TROP ANCIENNE", "BEELD TE OUD"],
            Title::Connecting => ["CONNECTING", "CONNEXION EN COURS", "VERBINDEN"],
            Title::Standby => ["STANDBY", "EN VEILLE", "STAND-BY"],
            Title::NoPackets => ["NO PACKETS", "AUCUNE DONNÉE", "GEEN DATA"],
            Title::Unchanged => ["PICTURE UNCHANGED", "IMAGE FIGÉE", "BEELD STAAT STIL"],
            Title::Delayed => ["DELAYED: OVERLOAD", "RETARD : SURCHARGE", "TE LAAT: OVERBELAST"],
            Title::CannotDecode => ["CANNOT DECODE", "DÉCODAGE IMPOSSIBLE", "DECODEREN MISLUKT"],
            Title::Offline => ["OFFLINE", "HORS LIGNE", "OFFLINE"],
            Title::Refused => ["REFUSED", "REFUSÉ", "GEWEIGERD"],
        };
        match language {
            Language::English => english,
            Language::French => french,
            Language::Dutch => dutch,
        }
    }
}

/// The reasons that the engine itself writes: English as its errors have them, French, Dutch.
#[rustfmt::skip]
const REASONS: &[[&str; 3]] = &[
    ["login refused", "accès refusé par la caméra", "login geweigerd"],
    ["cannot be reached", "injoignable", "niet bereikbaar"],
    ["cannot be reached, or the connection was lost", "injoignable, ou connexion perdue", "niet bereikbaar, of verbinding verbroken"],
    ["cannot be reached, or ended the stream", "injoignable, ou flux terminé par la caméra", "niet bereikbaar, of stream door camera beëindigd"],
    ["does not answer", "ne répond pas", "antwoordt niet"],
    ["the connection was lost", "connexion perdue", "verbinding verbroken"],
    ["ended the stream", "a mis fin au flux", "heeft de stream beëindigd"],
    ["is connected and went silent", "connectée, mais n'envoie plus rien", "verbonden, maar stuurt niets meer"],
    ["sent no video in time", "pas de vidéo dans le délai", "geen video binnen de tijd"],
    ["sends video without any key frame", "envoie de la vidéo sans image clé", "stuurt video zonder sleutelbeeld"],
    ["has no stream at this path; check the path", "aucun flux à ce chemin ; vérifiez le chemin", "geen stream op dit pad; controleer het pad"],
    ["has no session left; close another viewer", "plus de session libre ; fermez une autre visionneuse", "geen sessie meer vrij; sluit een andere kijker"],
    ["answered with an error", "a répondu par une erreur", "antwoordde met een fout"],
    ["forbids this stream to this user; check the user's rights", "interdit ce flux à cet utilisateur ; vérifiez ses droits", "verbiedt deze gebruiker deze stream; controleer de rechten"],
    ["asks for a user name and a password; give them in the secrets file", "demande un nom et un mot de passe ; indiquez-les dans le fichier des secrets", "vraagt een naam en een wachtwoord; zet ze in het bestand met geheimen"],
    ["refuses the user name or password; correct them in the secrets file", "nom ou mot de passe refusé ; corrigez-les dans le fichier des secrets", "naam of wachtwoord geweigerd; verbeter ze in het bestand met geheimen"],
    ["refuses the user name, password or pass phrase", "nom, mot de passe ou phrase secrète refusés", "naam, wachtwoord of wachtzin geweigerd"],
    ["refuses a login that it accepted before; it may have no session left", "refuse un accès accepté auparavant ; peut-être plus de session libre", "weigert een login die eerder goed was; misschien geen sessie meer vrij"],
    ["does not offer this stream in a way that is understood here", "n'offre pas ce flux sous une forme comprise ici", "biedt deze stream niet aan in een vorm die hier begrepen wordt"],
    ["does not send over this transport; choose the other one (tcp or udp)", "n'envoie pas par ce transport ; choisissez l'autre (tcp ou udp)", "stuurt niet over dit transport; kies het andere (tcp of udp)"],
    ["the address cannot be used", "adresse inutilisable", "adres onbruikbaar"],
    ["sent what retina does not understand", "a envoyé ce que retina ne comprend pas", "stuurde wat retina niet begrijpt"],
    ["sent what makes retina fail", "a envoyé ce qui fait échouer retina", "stuurde wat retina laat falen"],
    ["cannot be received", "réception impossible", "kan niet ontvangen worden"],
    ["cannot be read", "lecture impossible", "kan niet gelezen worden"],
    ["cannot be read on", "suite illisible", "kan niet verder gelezen worden"],
    ["end of file", "fin du fichier", "einde van het bestand"],
    ["is in no format that is understood here", "format inconnu", "formaat niet bekend"],
    ["a picture is damaged", "une image est endommagée", "een beeld is beschadigd"],
    ["a feature of this stream is not supported", "une fonction de ce flux n'est pas prise en charge", "een functie van deze stream wordt niet ondersteund"],
    ["no memory is left for its pictures", "plus de mémoire pour ses images", "geen geheugen meer voor zijn beelden"],
    ["data arrives, but no picture comes of it", "des données arrivent, mais aucune image", "er komt data, maar geen beeld"],
    ["the right to see it was withdrawn", "le droit de la voir a été retiré", "het recht om ze te zien is ingetrokken"],
    ["the grant is for another camera", "l'autorisation vaut pour une autre caméra", "de toelating geldt voor een andere camera"],
];

/// A reason in a language of the region. What stands before or after a colon (`H.264: a picture is
/// damaged`) is looked up by itself; what is not in the table, such as a library's own words, stays as
/// it is.
pub(super) fn reason(text: &Arc<str>, language: Language) -> Arc<str> {
    let column = match language {
        Language::English => return text.clone(),
        Language::French => 1,
        Language::Dutch => 2,
    };
    let find = |part: &str| REASONS.iter().find(|row| row[0] == part).map(|row| row[column]);
    if let Some(whole) = find(text) {
        return whole.into();
    }
    match text.split_once(": ") {
        Some((head, tail)) if find(head).is_some() || find(tail).is_some() => {
            format!("{}: {}", find(head).unwrap_or(head), find(tail).unwrap_or(tail)).into()
        }
        _ => text.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_title_has_words_of_its_own_in_every_language() {
        let titles = [
            Title::WaitingForPicture,
            Title::TooOld,
            Title::Connecting,
            Title::Standby,
            Title::NoPackets,
            Title::Unchanged,
            Title::Delayed,
            Title::CannotDecode,
            Title::Offline,
            Title::Refused,
        ];
        for language in [Language::English, Language::French, Language::Dutch] {
            let words: std::collections::HashSet<_> = titles.iter().map(|t| t.words(language)).collect();
            assert_eq!(words.len(), titles.len(), "{language:?}");
        }
    }

    #[test]
    fn reasons_are_translated_and_free_text_is_not() {
        let said = |text: &str, language| reason(&text.into(), language).to_string();
        assert_eq!(said("cannot be reached", Language::English), "cannot be reached");
        assert_eq!(said("cannot be reached", Language::French), "injoignable");
        assert_eq!(said("H.264: a picture is damaged", Language::Dutch), "H.264: een beeld is beschadigd");
        assert_eq!(
            said("login refused: refuses the user name, password or pass phrase", Language::Dutch),
            "login geweigerd: naam, wachtwoord of wachtzin geweigerd"
        );
        for free in ["zone Montgomery has not agreed", "Could not open resource: x", ""] {
            assert_eq!(said(free, Language::French), free);
        }
    }

    /// The table is keyed by what other rooms write: a change there must come here, too.
    #[test]
    fn every_reason_is_still_written_somewhere() {
        let src = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut sources = String::new();
        for file in [
            "source/mod.rs",
            "source/rtsp.rs",
            "source/rtsp_gst.rs",
            "source/gst_uri.rs",
            "source/file.rs",
            "ingest/watchdog.rs",
            "ingest/supervisor.rs",
            "ingest/meter.rs",
            "decode/camera.rs",
            "decode/libav.rs",
            "wall/liveness.rs",
        ] {
            sources += &std::fs::read_to_string(src.join(file)).expect("a source of the engine");
        }
        for [english, french, dutch] in REASONS {
            let written =
                sources.contains(&format!("\"{english}\"")) || sources.contains(&format!("\"{english}: "));
            assert!(written, "nothing writes {english:?} any more");
            assert!(!french.is_empty() && !dutch.is_empty() && french != english && dutch != english);
        }
        let keys: std::collections::HashSet<_> = REASONS.iter().map(|row| row[0]).collect();
        assert_eq!(keys.len(), REASONS.len());
    }
}
