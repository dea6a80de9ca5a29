//! Folds text for search: small letters, without accents, so that `ecole` finds `École`.

use icu_normalizer::DecomposingNormalizerBorrowed;

/// Small letters without accents and ligatures; other signs stay as they are.
pub fn fold(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    if text.is_ascii() {
        out.push_str(text);
        out.make_ascii_lowercase();
        return out;
    }
    let normalizer = DecomposingNormalizerBorrowed::new_nfkd();
    for c in normalizer.normalize_iter(text.chars().flat_map(char::to_lowercase)) {
        match c {
            // Combining marks: what is left of an accent after decomposition.
            '\u{300}'..='\u{36f}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}' => {}
            // Letters that Unicode does not take apart.
            'ß' => out.push_str("ss"),
            'æ' => out.push_str("ae"),
            'œ' => out.push_str("oe"),
            'ø' => out.push('o'),
            'đ' => out.push('d'),
            'ł' => out.push('l'),
            '’' => out.push('\''),
            c => out.push(c),
        }
    }
    out
}

/// The words of a query, folded, at most `limit` of them.
pub fn words(query: &str, limit: usize) -> Vec<String> {
    query.split_whitespace().take(limit).map(fold).filter(|word| !word.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accents_case_and_ligatures_do_not_matter() {
        assert_eq!(fold("École du Sacré-Cœur"), "ecole du sacre-coeur");
        assert_eq!(fold("e\u{301}cole ÉCOLE"), "ecole ecole");
        assert_eq!(fold("Straße Łódź Ångström"), "strasse lodz angstrom");
        assert_eq!(fold("Gate 3 (N/S)"), "gate 3 (n/s)");
        assert_eq!(words("  École  N ", 8), ["ecole", "n"]);
        assert_eq!(words("a b c", 2), ["a", "b"]);
    }
}
