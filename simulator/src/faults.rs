//! What can go wrong with a camera, on command.

use std::fmt;
use std::str::FromStr;

use parking_lot::RwLock;

/// How a camera refuses a session too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// 453 Not Enough Bandwidth.
    Bandwidth,
    /// 401 Unauthorized, although the password is right.
    Unauthorized,
    /// 503 Service Unavailable.
    Unavailable,
}

/// A fault of one camera: it holds for both of its streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// Connected and answering, but neither RTP nor RTCP is sent.
    Silent,
    /// From the next key frame on, a valid stream whose picture does not change.
    Freeze,
    /// So many percent of the RTP packets are left out.
    Loss(u8),
    /// Every fifth RTP packet is sent after its successor.
    Reorder,
    /// Bytes within slices are overwritten, in half of the pictures.
    Corrupt,
    /// Connections are closed, and new ones at their first request.
    Drop,
    /// 401 to right credentials.
    Auth,
    /// SETUP is refused as by a camera that has no session left.
    Sessions(Refusal),
    /// From the next key frame on half the width and height, with new parameter sets.
    Resize,
    /// No parameter sets in the SDP, in the stream only.
    NoSprop,
    /// Timestamps are one hour ahead.
    Jump,
}

impl Fault {
    /// The names that the control port knows, with what they do.
    pub const NAMES: [(&str, &str); 11] = [
        ("silent", "connected, but sends nothing"),
        ("freeze", "the picture does not change (from the next key frame)"),
        ("loss P%", "leaves out P percent of the packets"),
        ("reorder", "swaps every fifth packet with the next"),
        ("corrupt", "overwrites bytes in half of the pictures"),
        ("drop", "closes connections and refuses new ones"),
        ("auth", "401 to the right password"),
        ("sessions [453|401|503]", "no session left: refuses SETUP"),
        ("resize", "half the size, new parameter sets (from the next key frame)"),
        ("no-sprop", "no parameter sets in the SDP"),
        ("jump", "timestamps one hour ahead"),
    ];

    fn same_kind(&self, other: &Fault) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Fault::Silent => "silent",
            Fault::Freeze => "freeze",
            Fault::Loss(percent) => return write!(f, "loss {percent}%"),
            Fault::Reorder => "reorder",
            Fault::Corrupt => "corrupt",
            Fault::Drop => "drop",
            Fault::Auth => "auth",
            Fault::Sessions(Refusal::Bandwidth) => "sessions 453",
            Fault::Sessions(Refusal::Unauthorized) => "sessions 401",
            Fault::Sessions(Refusal::Unavailable) => "sessions 503",
            Fault::Resize => "resize",
            Fault::NoSprop => "no-sprop",
            Fault::Jump => "jump",
        })
    }
}

impl FromStr for Fault {
    type Err = String;

    fn from_str(text: &str) -> Result<Fault, String> {
        let mut words = text.split_whitespace();
        let (name, value) = (words.next().unwrap_or_default(), words.next());
        let plain = |fault: Fault| match value {
            None => Ok(fault),
            Some(value) => Err(format!("{name} takes no value, not {value:?}")),
        };
        match name {
            "silent" => plain(Fault::Silent),
            "freeze" => plain(Fault::Freeze),
            "loss" => match value.map(|v| v.trim_end_matches('%').parse::<u8>()) {
                Some(Ok(percent)) if percent <= 100 => Ok(Fault::Loss(percent)),
                None => Ok(Fault::Loss(5)),
                Some(_) => Err("loss takes a percentage from 0 to 100".to_owned()),
            },
            "reorder" => plain(Fault::Reorder),
            "corrupt" => plain(Fault::Corrupt),
            "drop" => plain(Fault::Drop),
            "auth" => plain(Fault::Auth),
            "sessions" => match value {
                None | Some("453") => Ok(Fault::Sessions(Refusal::Bandwidth)),
                Some("401") => Ok(Fault::Sessions(Refusal::Unauthorized)),
                Some("503") => Ok(Fault::Sessions(Refusal::Unavailable)),
                Some(_) => Err("sessions takes 453, 401 or 503".to_owned()),
            },
            "resize" => plain(Fault::Resize),
            "no-sprop" => plain(Fault::NoSprop),
            "jump" => plain(Fault::Jump),
            _ => Err(format!("there is no fault {name:?}")),
        }
    }
}

/// The faults of one camera that are on.
#[derive(Debug, Default)]
pub(crate) struct Faults(RwLock<Vec<Fault>>);

impl Faults {
    pub fn on(&self, fault: Fault) {
        let mut list = self.0.write();
        list.retain(|f| !f.same_kind(&fault));
        list.push(fault);
    }
    pub fn off(&self, fault: Fault) {
        self.0.write().retain(|f| !f.same_kind(&fault));
    }
    pub fn clear(&self) {
        self.0.write().clear();
    }
    pub fn list(&self) -> Vec<Fault> {
        self.0.read().clone()
    }
    pub fn has(&self, fault: Fault) -> bool {
        self.0.read().iter().any(|f| f.same_kind(&fault))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back() {
        for (name, _) in Fault::NAMES {
            let word = name.split(' ').next().unwrap_or_default();
            let fault: Fault = word.parse().expect("every listed name is known");
            assert_eq!(fault.to_string().parse(), Ok(fault));
        }
        assert_eq!("loss 30%".parse(), Ok(Fault::Loss(30)));
        assert!("loss 101".parse::<Fault>().is_err() && "silent 3".parse::<Fault>().is_err());
    }

    #[test]
    fn one_of_a_kind() {
        let faults = Faults::default();
        faults.on(Fault::Loss(5));
        faults.on(Fault::Loss(9));
        faults.on(Fault::Jump);
        assert_eq!(faults.list(), [Fault::Loss(9), Fault::Jump]);
        faults.off(Fault::Loss(0));
        assert_eq!(faults.list(), [Fault::Jump]);
    }
}
