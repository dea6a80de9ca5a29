//! Reads XML of devices into a small tree: names without their prefixes, bounded in bytes, depth and
//! number of elements, without document types and their entities.

use quick_xml::Reader;
use quick_xml::XmlVersion;
use quick_xml::events::{BytesStart, Event};

/// Bytes of an answer at most: the profiles of the largest recorders have some hundred kilobytes.
pub(super) const MAX_BYTES: usize = 1 << 20;
/// Elements within each other at most; SOAP answers have some ten.
const MAX_DEPTH: usize = 32;
/// Elements at most.
const MAX_ELEMENTS: usize = 20_000;
/// Attributes of an element at most.
const MAX_ATTRIBUTES: usize = 64;

/// An element.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Element {
    /// Its name without a prefix.
    pub name: String,
    attributes: Vec<(String, String)>,
    /// Its own text, trimmed.
    pub text: String,
    pub children: Vec<Element>,
}

impl Element {
    /// The value of an attribute, by its name without a prefix.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// The first child of a name.
    pub fn child(&self, name: &str) -> Option<&Element> {
        self.children.iter().find(|child| child.name == name)
    }

    /// The first element of a name, at any depth.
    pub fn find(&self, name: &str) -> Option<&Element> {
        self.children.iter().find_map(|child| if child.name == name { Some(child) } else { child.find(name) })
    }

    /// The text of the first element of a name, at any depth, where it has one.
    pub fn text_of(&self, name: &str) -> Option<&str> {
        self.find(name).map(|element| element.text.as_str()).filter(|text| !text.is_empty())
    }

    /// Children of a name.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Element> {
        self.children.iter().filter(move |child| child.name == name)
    }
}

/// Reads a document; gives its root, or why it is not read.
pub(super) fn parse(text: &str) -> Result<Element, &'static str> {
    const NO_XML: &str = "is no XML";
    if text.len() > MAX_BYTES {
        return Err("is too large");
    }
    let mut reader = Reader::from_str(text);
    let mut open: Vec<Element> = Vec::new();
    let mut count = 0;
    loop {
        match reader.read_event().map_err(|_| NO_XML)? {
            Event::Start(start) => {
                count += 1;
                if open.len() >= MAX_DEPTH || count > MAX_ELEMENTS {
                    return Err("has too many elements");
                }
                open.push(element(&start)?);
            }
            Event::Empty(start) => {
                count += 1;
                if count > MAX_ELEMENTS {
                    return Err("has too many elements");
                }
                let element = element(&start)?;
                match open.last_mut() {
                    Some(parent) => parent.children.push(element),
                    None => return Ok(element),
                }
            }
            Event::End(_) => {
                let mut element = open.pop().ok_or(NO_XML)?;
                let trimmed = element.text.trim();
                if trimmed.len() != element.text.len() {
                    element.text = trimmed.to_owned();
                }
                match open.last_mut() {
                    Some(parent) => parent.children.push(element),
                    None => return Ok(element),
                }
            }
            Event::Text(text) => {
                if let Some(element) = open.last_mut() {
                    element.text.push_str(&text.xml_content(XmlVersion::Implicit1_0));
                }
            }
            Event::CData(text) => {
                if let Some(element) = open.last_mut() {
                    element.text.push_str(&text.xml_content(XmlVersion::Implicit1_0));
                }
            }
            Event::GeneralRef(reference) => {
                let resolved = match &*reference {
                    "lt" => '<',
                    "gt" => '>',
                    "amp" => '&',
                    "quot" => '"',
                    "apos" => '\'',
                    _ => match reference.resolve_char_ref() {
                        Ok(Some(c)) => c,
                        // Entities of its own are a way to make much of little.
                        _ => return Err("has an unknown entity"),
                    },
                };
                if let Some(element) = open.last_mut() {
                    element.text.push(resolved);
                }
            }
            Event::DocType(_) => return Err("has a document type"),
            Event::Eof => return Err(NO_XML),
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
        }
    }
}

fn element(start: &BytesStart<'_>) -> Result<Element, &'static str> {
    let mut attributes = Vec::new();
    for attribute in start.attributes() {
        let attribute = attribute.map_err(|_| "is no XML")?;
        if attributes.len() >= MAX_ATTRIBUTES {
            return Err("has too many attributes");
        }
        let value = attribute.normalized_value(XmlVersion::Implicit1_0).map_err(|_| "is no XML")?;
        let name = attribute.key.local_name();
        attributes.push((name.as_ref().to_owned(), value.into_owned()));
    }
    Ok(Element { name: start.local_name().as_ref().to_owned(), attributes, ..Element::default() })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_texts_and_attributes_are_read() {
        let text = "<?xml version='1.0'?><!-- x --><s:a xmlns:s='urn:x'><s:b token='1&amp;2'> T&lt;&#x41;<![CDATA[&]]> </s:b><c/></s:a>";
        let root = parse(text).expect("XML");
        assert_eq!((root.name.as_str(), root.children.len()), ("a", 2));
        let b = root.child("b").expect("there");
        assert_eq!((b.text.as_str(), b.attribute("token")), ("T<A&", Some("1&2")));
        assert_eq!(root.text_of("c"), None);
    }

    #[test]
    fn hostile_documents_are_refused() {
        let bomb = "<!DOCTYPE a [<!ENTITY x \"ha\"><!ENTITY y \"&x;&x;&x;\">]><a>&y;</a>";
        assert_eq!(parse(bomb), Err("has a document type"));
        assert_eq!(parse("<a>&y;</a>"), Err("has an unknown entity"));
        assert_eq!(parse(&"<a>".repeat(100_000)), Err("has too many elements"));
        assert_eq!(parse(&format!("<a>{}</a>", "<b/>".repeat(MAX_ELEMENTS))), Err("has too many elements"));
        assert_eq!(parse(&format!("<a>{}</a>", "x".repeat(MAX_BYTES))), Err("is too large"));
        let attributes: String = (0..100).map(|i| format!(" a{i}='x'")).collect();
        assert_eq!(parse(&format!("<a{attributes}/>")), Err("has too many attributes"));
        for wrong in
            ["", "x", "<a>", "</a>", "<a></b>", "<a b></a>", "<a b='1' b='2'/>", "<a>&#0;</a>", "\u{0}"]
        {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in "\\PC{0,200}") {
            let _ = parse(&text);
        }

        #[test]
        fn never_panics_on_what_looks_like_xml(parts in proptest::collection::vec(
            prop_oneof!["<[a-z:/!?]{0,4}", "[a-z]{0,3}=['\"]", ">", "/>", "&[a-z#0-9x]{0,9};?", "<!\\[CDATA\\[", "\\]\\]>", "<!--", "-->", "[a-z ]{0,4}"], 0..40)) {
            let _ = parse(&parts.concat());
        }
    }
}
