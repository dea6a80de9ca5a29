//! What placards say, in the languages of the region.

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
            Title::CannotDecode,
            Title::Offline,
            Title::Refused,
        ];
        for language in [Language::English, Language::French, Language::Dutch] {
            let words: std::collections::HashSet<_> = titles.iter().map(|t| t.words(language)).collect();
            assert_eq!(words.len(), titles.len(), "{language:?}");
        }
    }
}
