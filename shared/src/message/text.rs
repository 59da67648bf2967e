//! How many SMS parts a text takes, which is what the carrier bills. GSM 03.38 as in 3GPP TS 23.038 section 6.2.1 (no national
//! shift tables: carriers seldom have them), and UCS-2 as it is in use, that is UTF-16, for everything else.

/// Parts that a text may take: a longer one is a mistake more often than a wish, and the ids of ten fit into `recipients.message_id`.
pub const MAX_PARTS: usize = 10;

/// Octets of a part are 140: 160 septets or 70 code units. The header that joins several parts takes 6 octets of each.
const GSM: Room = Room {
    alone: 160,
    joined: 153,
};
const UCS2: Room = Room {
    alone: 70,
    joined: 67,
};

/// The default alphabet in the order of its codes, without the escape (0x1B).
const GSM_BASIC: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà";

/// The extension table: each takes an escape before it, so two septets.
const GSM_EXTENSION: &str = "\u{c}^{}\\[~]|€";

/// How many units fit into a part.
struct Room {
    alone: usize,
    joined: usize,
}

/// How a text travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// GSM 03.38, in septets.
    Gsm7,
    /// UCS-2, in UTF-16 code units.
    Ucs2,
}

/// The words for an encoding in the API; none where it may differ from text to text.
pub const ENCODINGS: [Option<&str>; 3] = [
    Some(Encoding::Gsm7.as_str()),
    Some(Encoding::Ucs2.as_str()),
    None,
];

impl Encoding {
    /// The name in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gsm7 => "GSM-7",
            Self::Ucs2 => "UCS-2",
        }
    }
}

/// What a text costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parts {
    /// How it travels.
    pub encoding: Encoding,
    /// Its length in septets or UTF-16 code units.
    pub units: usize,
    /// Parts that are sent and billed; 1 for an empty text.
    pub parts: usize,
    /// The first character that GSM 03.38 lacks: without it and its like the text might take fewer parts.
    pub forced_by: Option<char>,
}

/// Counts the parts of a text.
pub fn parts(text: &str) -> Parts {
    let forced_by = text.chars().find(|&character| septets(character).is_none());
    let (encoding, room) = if forced_by.is_some() {
        (Encoding::Ucs2, UCS2)
    } else {
        (Encoding::Gsm7, GSM)
    };
    let sizes = text.chars().map(|character| match encoding {
        Encoding::Gsm7 => septets(character).unwrap_or_default(),
        Encoding::Ucs2 => character.len_utf16(),
    });
    let units = sizes.clone().sum();
    let parts = if units <= room.alone {
        1
    } else {
        joined_parts(sizes, room.joined)
    };
    Parts {
        encoding,
        units,
        parts,
        forced_by,
    }
}

/// A character of two units that meets the last unit of a part moves to the next part whole, so this is not a mere division.
fn joined_parts(sizes: impl Iterator<Item = usize>, room: usize) -> usize {
    let (parts, _) = sizes.fold((1, 0), |(parts, used), size| {
        if used + size > room {
            (parts + 1, size)
        } else {
            (parts, used + size)
        }
    });
    parts
}

/// Septets of one character, none if the alphabet lacks it.
fn septets(character: char) -> Option<usize> {
    if character.is_ascii_alphanumeric() || GSM_BASIC.contains(character) {
        Some(1)
    } else if GSM_EXTENSION.contains(character) {
        Some(2)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_alphabet_has_its_127_characters_and_10_more() {
        assert_eq!(
            (GSM_BASIC.chars().count(), GSM_EXTENSION.chars().count()),
            (127, 10)
        );
        assert!(
            GSM_BASIC
                .chars()
                .all(|character| septets(character) == Some(1))
        );
        assert!(
            GSM_EXTENSION
                .chars()
                .all(|character| septets(character) == Some(2))
        );
    }

    #[test]
    fn a_text_is_counted_as_the_carrier_counts_it() {
        use Encoding::{Gsm7, Ucs2};
        let a = |count| "a".repeat(count);
        let han = |count| "漢".repeat(count);
        #[rustfmt::skip]
        let table = [
            // text, encoding, units, parts, forced by
            (String::new(), Gsm7, 0, 1, None),
            ("Hello World!\r\n@£¥ÄÖñü_ΔΩ".into(), Gsm7, 24, 1, None),
            (a(160), Gsm7, 160, 1, None),
            (a(161), Gsm7, 161, 2, None),
            (a(306), Gsm7, 306, 2, None),
            (a(307), Gsm7, 307, 3, None),
            ("€".repeat(80), Gsm7, 160, 1, None),
            ("€".repeat(81), Gsm7, 162, 2, None),
            (a(159) + "€", Gsm7, 161, 2, None),
            (a(152) + "€" + &a(152), Gsm7, 306, 3, None),       // € would straddle 153: 152 + 153 + 1
            (a(151) + "€" + &a(153), Gsm7, 306, 2, None),       // € ends with 153
            ("[]{}\\~^|\u{c}".into(), Gsm7, 18, 1, None),
            (han(70), Ucs2, 70, 1, Some('漢')),
            (han(71), Ucs2, 71, 2, Some('漢')),
            (han(134), Ucs2, 134, 2, Some('漢')),
            (han(135), Ucs2, 135, 3, Some('漢')),
            (a(69) + "😀", Ucs2, 71, 2, Some('😀')),             // alone 70 units, and an emoji is two
            (a(68) + "😀", Ucs2, 70, 1, Some('😀')),
            (a(66) + "😀" + &a(66), Ucs2, 134, 3, Some('😀')),   // the pair would straddle 67: 66 + 67 + 1
            (a(65) + "😀" + &a(67), Ucs2, 134, 2, Some('😀')),
            ("👩‍👩‍👧".into(), Ucs2, 8, 1, Some('👩')),
            ("çÇ`".into(), Ucs2, 3, 1, Some('ç')),              // only the upper case is in the alphabet
            ("don’t".into(), Ucs2, 5, 1, Some('’')),
            ("tab\t".into(), Ucs2, 4, 1, Some('\t')),
            ("café €5".into(), Gsm7, 8, 1, None),
            ("cafe\u{301}".into(), Ucs2, 5, 1, Some('\u{301}')), // a combining accent is a character of its own
        ];
        for (text, encoding, units, count, forced_by) in table {
            assert_eq!(
                parts(&text),
                Parts {
                    encoding,
                    units,
                    parts: count,
                    forced_by
                },
                "{text:?}"
            );
        }
    }
}
