//! Reads what a source names: all its paths, with groups unfolded and relative ones made absolute.

use std::collections::BTreeSet;

/// Every path in the code, `use` groups unfolded, `super::` and `self::` made absolute.
pub fn paths_of(code: &str, inside: &str) -> BTreeSet<String> {
    let mut paths = BTreeSet::new();
    let tokens = tokens(code);
    let mut i = 0;
    while i < tokens.len() {
        if is_word(&tokens[i]) && (i == 0 || tokens[i - 1] != "::") {
            unfold(&tokens, &mut i, "", &mut paths);
        } else {
            i += 1;
        }
    }
    paths.into_iter().map(|path| absolute(&path, inside)).collect()
}

/// Reads one path from `i` on, with its groups, and adds what it names.
fn unfold(tokens: &[String], i: &mut usize, before: &str, paths: &mut BTreeSet<String>) {
    let mut path = before.to_owned();
    loop {
        match tokens.get(*i).map(String::as_str) {
            Some("{") => {
                *i += 1;
                while let Some(token) = tokens.get(*i) {
                    match token.as_str() {
                        "}" => break,
                        "," => *i += 1,
                        _ => {
                            let start = *i;
                            unfold(tokens, i, &path, paths);
                            *i = (*i).max(start + 1);
                        }
                    }
                }
                *i += 1;
                return;
            }
            Some(word) if is_word(word) || word == "*" => {
                if !path.is_empty() {
                    path.push_str("::");
                }
                path.push_str(word);
                *i += 1;
            }
            _ => {
                paths.insert(path);
                return;
            }
        }
        if tokens.get(*i).map(String::as_str) == Some("::") {
            *i += 1;
        } else {
            paths.insert(path);
            return;
        }
    }
}

fn absolute(path: &str, inside: &str) -> String {
    let mut module: Vec<&str> = inside.trim_end_matches(".rs").split('/').collect();
    if matches!(module.last(), Some(&"mod" | &"lib")) {
        module.pop();
    }
    let mut rest = path;
    if let Some(after) = rest.strip_prefix("self::") {
        rest = after;
    } else if rest.starts_with("super::") {
        while let Some(after) = rest.strip_prefix("super::") {
            module.pop();
            rest = after;
        }
    } else {
        return path.to_owned();
    }
    // `super::` of an inline module (tests) is the file itself: then the path is one level too high,
    // which names a room where there is one and nothing otherwise.
    let mut whole = vec!["crate"];
    whole.extend(module);
    format!("{}::{rest}", whole.join("::"))
}

fn is_word(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

pub fn tokens(code: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut chars = code.chars().peekable();
    while let Some(c) = chars.next() {
        if c.is_alphanumeric() || c == '_' {
            let mut word = c.to_string();
            while let Some(next) = chars.next_if(|n| n.is_alphanumeric() || *n == '_') {
                word.push(next);
            }
            tokens.push(word);
        } else if c == ':' && chars.next_if_eq(&':').is_some() {
            tokens.push("::".into());
        } else if !c.is_whitespace() {
            tokens.push(c.to_string());
        }
    }
    tokens
}

/// The code with comments, strings and characters blanked out.
pub fn without_comments_and_strings(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut code = String::with_capacity(text.len());
    let mut i = 0;
    let at = |i: usize| chars.get(i).copied().unwrap_or('\0');
    while i < chars.len() {
        match (at(i), at(i + 1)) {
            ('/', '/') => {
                while i < chars.len() && at(i) != '\n' {
                    i += 1;
                }
            }
            ('/', '*') => {
                let mut depth = 0;
                while i < chars.len() {
                    match (at(i), at(i + 1)) {
                        ('/', '*') => (depth, i) = (depth + 1, i + 2),
                        ('*', '/') => (depth, i) = (depth - 1, i + 2),
                        _ => i += 1,
                    }
                    if depth == 0 {
                        break;
                    }
                }
                code.push(' ');
            }
            ('r', '"' | '#') if i == 0 || !(at(i - 1).is_alphanumeric() || at(i - 1) == '_') => {
                let hashes = (i + 1..).take_while(|n| at(*n) == '#').count();
                if at(i + 1 + hashes) != '"' {
                    code.push('r');
                    i += 1;
                    continue;
                }
                i += 2 + hashes;
                while i < chars.len() && !(at(i) == '"' && (i + 1..=i + hashes).all(|n| at(n) == '#')) {
                    i += 1;
                }
                i += 1 + hashes;
                code.push(' ');
            }
            ('"', _) => {
                i += 1;
                while i < chars.len() && at(i) != '"' {
                    i += if at(i) == '\\' { 2 } else { 1 };
                }
                i += 1;
                code.push(' ');
            }
            // A character; a lifetime has no quote after its first letter.
            ('\'', '\\') => {
                i += 3;
                while i < chars.len() && at(i) != '\'' {
                    i += 1;
                }
                i += 1;
            }
            ('\'', _) if at(i + 2) == '\'' => i += 3,
            (c, _) => {
                code.push(c);
                i += 1;
            }
        }
    }
    code
}
