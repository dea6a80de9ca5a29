//! The values of `turn` and `flip`: how a camera's picture is set upright.

use super::leaf::{Value, refuse, word, words};
use super::read::Leaf;
use super::report::Report;
use crate::media::{Flip, QuarterTurn};
use toml::de::DeValue;

impl Leaf for QuarterTurn {
    fn kind() -> String {
        "degrees clockwise: 0, 90, 180 or 270".into()
    }
    fn read(value: &Value<'_>, key: &str, report: &mut Report<'_>) -> Option<QuarterTurn> {
        let degrees: Option<u32> = match value.get_ref() {
            DeValue::Integer(number) => u32::from_str_radix(number.as_str(), number.radix()).ok(),
            // A cell of a table of text.
            DeValue::String(text) => text.trim().parse().ok(),
            _ => return refuse(value, key, &Self::kind(), report),
        };
        let turn = degrees.and_then(QuarterTurn::from_degrees);
        if turn.is_none() {
            report.add(&value.span(), key, format!("must be {}", Self::kind()));
        }
        turn
    }
}

words! {
    Flip: "none" => Flip::None, "horizontal" => Flip::Horizontal, "vertical" => Flip::Vertical;
}
