//! Legal bases under which an incident may be opened. Which one applies is for the person who opens it
//! (and for the lawyers of their unit) to say; this list spares typing and keeps the log searchable.
//! `docs/design/rights.md` names the sources.

use serde::Serialize;
use utoipa::ToSchema;

use crate::people::Language;

/// A provision that allows pictures to be looked at, by the word under which it is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct LegalBasis {
    /// As it stands in the database and on the wire.
    pub word: &'static str,
    /// In English.
    pub en: &'static str,
    /// In French.
    pub fr: &'static str,
    /// In Dutch.
    pub nl: &'static str,
}

/// The word for a basis that is not in the list; the text is then given with it.
pub const OTHER: &str = "other";

/// All that can be chosen. Words are never reused: old incidents name them.
pub const BASES: &[LegalBasis] = &[
    LegalBasis {
        word: "lfp-14",
        en: "Police Functions Act, 5 August 1992, art. 14: administrative police, public order, help to persons in danger; cameras under art. 25/1 to 25/8",
        fr: "Loi sur la fonction de police, 5 août 1992, art. 14 : police administrative, ordre public, assistance aux personnes en danger ; caméras selon les art. 25/1 à 25/8",
        nl: "Wet op het politieambt, 5 augustus 1992, art. 14: bestuurlijke politie, openbare orde, bijstand aan personen in gevaar; camera's volgens art. 25/1 tot 25/8",
    },
    LegalBasis {
        word: "lfp-15",
        en: "Police Functions Act, art. 15: judicial police, offences and their authors; cameras under art. 25/1 to 25/8",
        fr: "Loi sur la fonction de police, art. 15 : police judiciaire, infractions et leurs auteurs ; caméras selon les art. 25/1 à 25/8",
        nl: "Wet op het politieambt, art. 15: gerechtelijke politie, misdrijven en hun daders; camera's volgens art. 25/1 tot 25/8",
    },
    LegalBasis {
        word: "lfp-16",
        en: "Police Functions Act, art. 16: road traffic; cameras under art. 25/1 to 25/8",
        fr: "Loi sur la fonction de police, art. 16 : circulation routière ; caméras selon les art. 25/1 à 25/8",
        nl: "Wet op het politieambt, art. 16: wegverkeer; camera's volgens art. 25/1 tot 25/8",
    },
    LegalBasis {
        word: "lfp-17",
        en: "Police Functions Act, art. 17: disaster, catastrophe, accident; cameras under art. 25/1 to 25/8",
        fr: "Loi sur la fonction de police, art. 17 : calamité, catastrophe, sinistre ; caméras selon les art. 25/1 à 25/8",
        nl: "Wet op het politieambt, art. 17: ramp, onheil, schadegeval; camera's volgens art. 25/1 tot 25/8",
    },
    LegalBasis {
        word: "lfp-22",
        en: "Police Functions Act, art. 22: large gatherings; cameras under art. 25/1 to 25/8",
        fr: "Loi sur la fonction de police, art. 22 : grands rassemblements ; caméras selon les art. 25/1 à 25/8",
        nl: "Wet op het politieambt, art. 22: grote volkstoelopen; camera's volgens art. 25/1 tot 25/8",
    },
    LegalBasis {
        word: "lfp-25-7-prosecutor",
        en: "Police Functions Act, art. 25/7: written and reasoned decision of the public prosecutor (its number as the reference)",
        fr: "Loi sur la fonction de police, art. 25/7 : décision écrite et motivée du procureur du Roi (son numéro comme référence)",
        nl: "Wet op het politieambt, art. 25/7: schriftelijke en gemotiveerde beslissing van de procureur des Konings (haar nummer als referentie)",
    },
    LegalBasis {
        word: "lfp-46",
        en: "Police Functions Act, art. 46/1 and following: use of cameras that is not visible, as authorised case by case (the authorisation as the reference)",
        fr: "Loi sur la fonction de police, art. 46/1 et suivants : utilisation non visible de caméras, autorisée au cas par cas (l'autorisation comme référence)",
        nl: "Wet op het politieambt, art. 46/1 en volgende: niet-zichtbaar gebruik van camera's, geval per geval toegestaan (de toestemming als referentie)",
    },
    LegalBasis {
        word: "camera-act-5",
        en: "Camera Act, 21 March 2007, art. 5: watching an open place in real time, under control of the police",
        fr: "Loi caméras, 21 mars 2007, art. 5 : visionnage en temps réel d'un lieu ouvert, sous le contrôle des services de police",
        nl: "Camerawet, 21 maart 2007, art. 5: bekijken in real time van een niet-besloten plaats, onder toezicht van de politiediensten",
    },
    LegalBasis {
        word: "camera-act-9",
        en: "Camera Act, 21 March 2007, art. 9: pictures handed to the police or the judicial authorities by the controller of a camera",
        fr: "Loi caméras, 21 mars 2007, art. 9 : images transmises aux services de police ou aux autorités judiciaires par le responsable d'une caméra",
        nl: "Camerawet, 21 maart 2007, art. 9: beelden door de verantwoordelijke voor een camera overgemaakt aan de politiediensten of de gerechtelijke overheden",
    },
    LegalBasis {
        word: "brussels-2015",
        en: "Brussels ordinance, 28 May 2015, art. 10/3 to 10/11: the regional video protection platform",
        fr: "Ordonnance bruxelloise, 28 mai 2015, art. 10/3 à 10/11 : plate-forme bruxelloise de vidéoprotection",
        nl: "Brusselse ordonnantie, 28 mei 2015, art. 10/3 tot 10/11: Brussels videobeschermingsplatform",
    },
    LegalBasis {
        word: "civil-safety-2007",
        en: "Civil Safety Act, 15 May 2007: rescue, fire, civil protection",
        fr: "Loi relative à la sécurité civile, 15 mai 2007 : secours, incendie, protection civile",
        nl: "Wet betreffende de civiele veiligheid, 15 mei 2007: redding, brand, civiele bescherming",
    },
    LegalBasis {
        word: "emergency-planning-2019",
        en: "Royal decree on emergency planning, 22 May 2019: a declared phase of crisis management",
        fr: "Arrêté royal planification d'urgence, 22 mai 2019 : phase de gestion de crise déclenchée",
        nl: "Koninklijk besluit noodplanning, 22 mei 2019: afgekondigde fase van crisisbeheer",
    },
    LegalBasis {
        word: "data-protection-2018-2",
        en: "Data Protection Act, 30 July 2018, title 2: processing by competent authorities (Directive (EU) 2016/680)",
        fr: "Loi protection des données, 30 juillet 2018, titre 2 : traitements par les autorités compétentes (directive (UE) 2016/680)",
        nl: "Gegevensbeschermingswet, 30 juli 2018, titel 2: verwerking door de bevoegde overheden (Richtlijn (EU) 2016/680)",
    },
    LegalBasis {
        word: "gdpr-6-1-d",
        en: "GDPR, art. 6(1)(d): vital interests of a person",
        fr: "RGPD, art. 6(1)(d) : intérêts vitaux d'une personne",
        nl: "AVG, art. 6(1)(d): vitale belangen van een persoon",
    },
    LegalBasis {
        word: "gdpr-6-1-e",
        en: "GDPR, art. 6(1)(e): task carried out in the public interest",
        fr: "RGPD, art. 6(1)(e) : mission d'intérêt public",
        nl: "AVG, art. 6(1)(e): taak van algemeen belang",
    },
    LegalBasis {
        word: OTHER,
        en: "Another legal basis, in words",
        fr: "Une autre base légale, en toutes lettres",
        nl: "Een andere rechtsgrond, voluit",
    },
];

impl LegalBasis {
    /// The basis of a word.
    pub fn find(word: &str) -> Option<&'static LegalBasis> {
        BASES.iter().find(|basis| basis.word == word)
    }

    /// In a language.
    pub fn text(&self, language: Language) -> &'static str {
        match language {
            Language::En => self.en,
            Language::Fr => self.fr,
            Language::Nl => self.nl,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_basis_has_a_word_of_its_own_and_three_languages() {
        let words: BTreeSet<_> = BASES.iter().map(|b| b.word).collect();
        assert_eq!(words.len(), BASES.len());
        for basis in BASES {
            let texts: BTreeSet<_> = [Language::En, Language::Fr, Language::Nl].map(|l| basis.text(l)).into();
            assert_eq!(texts.len(), 3, "{}", basis.word);
            assert!(texts.iter().all(|text| !text.is_empty()));
            assert_eq!(LegalBasis::find(basis.word), Some(basis));
        }
        assert!(LegalBasis::find(OTHER).is_some() && LegalBasis::find("because").is_none());
    }
}
