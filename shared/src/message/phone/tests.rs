//! Numbers of many countries, in the notations that people use, valid and invalid ones.

use std::sync::LazyLock;

use phonenumber::metadata::{DATABASE, Metadata};
use proptest::prelude::*;

use crate::message::phone::*;

#[test]
fn valid_numbers_of_many_countries_are_accepted() {
    #[rustfmt::skip]
    let table = [
        // Malaysia, Singapore, Indonesia, Thailand, Vietnam, the Philippines, China, Hong Kong,
        // Japan, India
        "+60123456789", "+601112345678", "+60323856789", "+6581234567", "+62812345678", "+66812345678", "+84912345678",
        "+639051234567", "+8613123456789", "+85251234567", "+819012345678", "+918123456789",
        // Great Britain, Jersey, Germany (15 digits), Austria, France, Italy (mobile, and a
        // landline's zero), Spain, Poland
        "+447400123456", "+447797712345", "+498001234567890", "+43664123456", "+33612345678", "+393123456789", "+390612345678",
        "+34612345678", "+48512345678",
        // USA, Canada, Puerto Rico, Jamaica; Russia, Kazakhstan; Brazil, Argentina, Mexico;
        // Nigeria, Kenya, South Africa
        "+12015550123", "+15062345678", "+17872345678", "+18762101234", "+79123456789", "+77710009998", "+5511961234567",
        "+5491123456789", "+522221234567", "+2348021234567", "+254712123456", "+27711234567",
        // The shortest (Saint Helena), a satellite, a free call of no country
        "+29022158", "+881612345678", "+80012345678",
    ];
    for number in table {
        assert_eq!(
            Phone::parse(number)
                .map(|phone| phone.to_string())
                .as_deref(),
            Ok(number)
        );
    }
}

#[test]
fn the_usual_notations_of_a_number_are_read() {
    let table = [
        ("+44 20 7946 0958", "+442079460958"),
        ("+44 (0)20 7946-0958", "+442079460958"),
        ("+4407400123456", "+447400123456"),
        ("  +1 (201) 555-0123\r\n", "+12015550123"),
        ("+1.201.555.0123", "+12015550123"),
        ("+49/30/123456", "+4930123456"),
        ("+60\u{a0}12-345\u{a0}6789", "+60123456789"),
        ("\u{202a}+60 12 345 6789\u{202c}", "+60123456789"),
        ("\u{3000}+60123456789\u{3000}", "+60123456789"),
        ("\u{feff}+60123456789", "+60123456789"),
        ("+39 (06) 1234 5678", "+390612345678"),
        ("+44 (0)20 7946 0958", "+442079460958"),
        ("+39 (0)6 1234 5678", "+390612345678"),
        ("(+60) 12-345 6789", "+60123456789"),
        ("tel:+60-12-345-6789", "+60123456789"),
        ("Tel: +60123456789", "+60123456789"),
        ("'+60123456789", "+60123456789"),
        ("\u{2019}+60123456789", "+60123456789"),
        ("'+60123456789'", "+60123456789"),
        ("=\"+60123456789\"", "+60123456789"),
        ("+60\u{2011}12\u{2013}345\u{2212}6789", "+60123456789"),
        ("+60\u{202f}12\u{2009}345\u{200b}6789", "+60123456789"),
        (
            "\u{feff}\u{2066}+60\u{200e}123456789\u{2069}",
            "+60123456789",
        ),
        ("+6012\u{ad}3456789", "+60123456789"),
        ("+６０１２３４５６７８９", "+60123456789"),
        ("＋60（12）345－6789", "+60123456789"),
        ("+60123456789.0", "+60123456789"),
        ("+60123456789,00", "+60123456789"),
        // A dot before the last digit of a number with other separators is one of them.
        ("+1.201.555.012.0", "+12015550120"),
    ];
    for (input, number) in table {
        assert_eq!(
            input
                .parse()
                .map(|phone: Phone| phone.to_string())
                .as_deref(),
            Ok(number),
            "{input:?}"
        );
    }
}

#[test]
fn an_invalid_input_is_refused_with_what_was_expected() {
    #[rustfmt::skip]
    let table = [
        ("", "not-a-number"), (" ", "not-a-number"), ("+", "not-a-number"), ("+()", "not-a-number"), ("n/a", "not-a-number"),
        ("60123456789x", "not-a-number"), ("+6012345678O", "not-a-number"), ("++60123456789", "not-a-number"),
        ("+60123456789+60123456780", "not-a-number"), ("+60123456789,+60123456780", "not-a-number"),
        ("+60123456789 ext. 5", "not-a-number"), ("tel:", "not-a-number"), ("tel:+60123456789;ext=5", "not-a-number"), ("+1-800-FLOWERS", "not-a-number"),
        ("6.0123E+10", "digits-lost"), ("'6,0123e10", "digits-lost"), ("+6E+10", "digits-lost"), ("6.E+10", "not-a-number"), ("6E", "not-a-number"),
        ("E+10", "not-a-number"), ("+٦٠١٢٣٤٥٦٧٨٩", "not-a-number"), ("＋＋60123456789", "not-a-number"), ("\u{202e}+60123456789", "not-a-number"),
        ("0 (+60) 123456789", "not-a-number"), ("''+60123456789", "not-a-number"), ("=+60123456789", "not-a-number"), ("'", "not-a-number"),
        ("+60123456789\n+60123456780", "not-a-number"), ("+60123456789\u{2028}5", "not-a-number"), ("6012345,5", "not-a-number"),
        ("+6012345678 9 . . . . . . . . . . . . . . .", "not-a-number"), ("+60\t123456789", "not-a-number"),
        ("0123456789", "no-country-code"), ("60123456789", "no-country-code"), ("(012) 345-6789", "no-country-code"),
        ("0060123456789", "no-country-code"),
        ("+0123456789", "unknown-country-code"), ("+0060123456789", "unknown-country-code"), ("+9991234567", "unknown-country-code"),
        ("+2101234567", "unknown-country-code"), ("+2", "unknown-country-code"), ("+0", "unknown-country-code"),
        ("+60", "too-short"), ("+601234567", "too-short"), ("+1555012", "too-short"),
        ("+1201555012345", "too-long"), ("+65812345678901", "too-long"), ("+60123456789012345", "too-long"), ("+1234567890123456", "too-long"),
        ("+60992345678", "not-valid-for-country"), ("+12005550123", "not-valid-for-country"), ("+442079460958123", "too-long"),
        ("+447946095", "not-valid-for-country"), ("+60923856789", "not-valid-for-country"),
    ];
    for (input, code) in table {
        assert_eq!(
            Phone::parse(input).map_err(PhoneError::code),
            Err(code),
            "{input:?}"
        );
    }
    let message = |input| Phone::parse(input).map_err(|error| error.to_string());
    assert_eq!(
        message("+658123456789012"),
        Err("expected at most 11 digits behind +65".into())
    );
    assert_eq!(
        message("+1201555"),
        Err("expected at least 7 digits behind +1".into())
    );
    assert_eq!(
        message("+1234567890123456"),
        Err("expected at most 15 digits in all".into())
    );
    assert_eq!(
        message("0123456789"),
        Err("expected an international number: a plus sign and the country code first, such as +60123456789".into())
    );
}

#[test]
fn no_input_panics() {
    let alphabet: Vec<char> = "+++0123456789012345678901234567890  -./()x;ü\u{202a}\u{a0}٣😀\0"
        .chars()
        .collect();
    let mut state = 1_u64;
    let mut next = |below: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 33) as usize % below
    };
    for _ in 0..20_000 {
        let input: String = (0..next(45))
            .map(|_| alphabet[next(alphabet.len())])
            .collect();
        if let Ok(phone) = Phone::parse(&input) {
            assert_eq!(Phone::parse(&phone.to_string()), Ok(phone));
        }
    }
}

#[test]
fn a_phone_takes_eight_bytes_and_hides_its_digits() {
    assert_eq!(size_of::<Option<Phone>>(), 8);
    assert_eq!(
        format!("{:?}", Phone::parse("+60123456789")),
        "Ok(Phone(…))"
    );
}

#[test]
fn a_number_without_a_plus_sign_is_read_if_it_can_be_no_other() {
    #[rustfmt::skip]
    let table = [
        ("MY", "60123456789", Ok("+60123456789")), ("MY", "6012-345 6789", Ok("+60123456789")), ("MY", "'60123456789", Ok("+60123456789")),
        ("MY", "60123456789.0", Ok("+60123456789")), ("MY", "123456789.0", Ok("+60123456789")), ("MY", "60 (0)12 345 6789", Ok("+60123456789")),
        ("MY", "6.01235E+10", Err("digits-lost")), ("MY", "６０１２３４５６７８９", Ok("+60123456789")), ("MY", "=\"0123456789\"", Ok("+60123456789")),
        ("SG", "6581234567", Ok("+6581234567")), ("SG", "81234567", Ok("+6581234567")), ("PH", "639051234567", Ok("+639051234567")),
        ("US", "12015550123", Ok("+12015550123")), ("GB", "447400123456", Ok("+447400123456")), ("IN", "918123456789", Ok("+918123456789")),
        // National and international are the same.
        ("US", "1 201 555 0123", Ok("+12015550123")),
        // The country code is also an area code: Leer (0491), and an area of Indonesia (0628).
        ("DE", "491711234567", Err("ambiguous-number")), ("DE", "0491711234567", Ok("+49491711234567")), ("DE", "+491711234567", Ok("+491711234567")),
        ("ID", "62812345678", Err("ambiguous-number")), ("ID", "6281234567890", Ok("+6281234567890")), ("ID", "0812345678", Ok("+62812345678")),
        // 00 is read as what it means in writing, also where other digits are dialed before a country code.
        ("US", "0060123456789", Ok("+60123456789")), ("SG", "0060123456789", Ok("+60123456789")), ("SG", "001 60 12 345 6789", Ok("+60123456789")),
        ("JP", "010 60 12 345 6789", Ok("+60123456789")), ("HK", "0060 12 345 6789", Ok("+60123456789")),
        // Another country's code needs a plus sign.
        ("MY", "6581234567", Err("not-valid-for-country")), ("MY", "+0123456789", Err("unknown-country-code")),
    ];
    for (code, input, expected) in table {
        let region = Region::parse(code);
        let parsed = Phone::parse_in(input, region.as_ref());
        let parsed = parsed.map(|phone| phone.to_string());
        assert_eq!(
            parsed.as_deref().map_err(|error| error.code()),
            expected,
            "{code} {input}"
        );
    }
}

#[test]
fn an_ambiguous_number_may_be_only_one_of_mobile_numbers() {
    for (code, input, expected) in [
        ("DE", "491711234567", Some("+491711234567")),
        ("ID", "62812345678", Some("+62812345678")),
        ("DE", "4930123456", None),
        ("DE", "x", None),
    ] {
        let region = Region::parse(code).unwrap();
        let read = Phone::parse_mobile_in(input, &region).map(|phone| phone.to_string());
        assert_eq!(read.as_deref(), expected, "{code} {input}");
    }
}

#[test]
fn a_number_is_suggested_for_a_refused_input_that_lacks_a_plus_sign() {
    for (code, input, expected) in [
        (None, "60123456789", Some("+60123456789")),
        (None, "0060123456789", Some("+60123456789")),
        (None, "+0060123456789", Some("+60123456789")),
        (None, "0123456789", None),
        (None, "60123456789x", None),
        (None, "6.01235E+10", None),
        (None, "6012345", None),
        (Some("MY"), "6581234567", Some("+6581234567")),
        (Some("MY"), "+0123456789", Some("+60123456789")),
        (Some("MY"), "0123", None),
    ] {
        let region = code.and_then(Region::parse);
        assert!(Phone::parse_in(input, region.as_ref()).is_err(), "{input}");
        let suggested = Phone::suggest(input, region.as_ref()).map(|phone| phone.to_string());
        assert_eq!(suggested.as_deref(), expected, "{code:?} {input}");
    }
}

#[test]
fn mobile_numbers_are_told_from_others() {
    for (number, expected) in [
        ("+60123456789", true),
        ("+60323856789", false),
        ("+6581234567", true),
        ("+6561234567", false),
        ("+447400123456", true),
        ("+442079460958", false),
        ("+491711234567", true),
        ("+4930123456", false),
        // The zero belongs to the number.
        ("+2250123456789", true),
        ("+390612345678", false),
        // North America has the same ranges for both.
        ("+12015550123", true),
        ("+18762101234", true),
        // Toll-free, premium rate, shared cost, personal, of no country.
        ("+18002345678", false),
        ("+19002345678", false),
        ("+601800123456", false),
        ("+491801234567", false),
        ("+447012345678", false),
        ("+80012345678", false),
    ] {
        let phone = Phone::parse(number).map(|phone| phone.can_be_mobile());
        assert_eq!(phone, Ok(expected), "{number}");
    }
}

/// Returns valid numbers: an example of each kind in each region, with a region of its code.
fn examples() -> &'static [(Phone, Region)] {
    static EXAMPLES: LazyLock<Vec<(Phone, Region)>> = LazyLock::new(|| {
        let codes = (1..1000).filter_map(|code| DATABASE.by_code(&code));
        let of_region = |metadata: &Metadata| {
            let region = Region::parse(metadata.id())?;
            let (code, kinds) = (metadata.country_code(), metadata.descriptors());
            let kinds = [kinds.mobile(), kinds.fixed_line(), kinds.toll_free()];
            let numbers = kinds
                .into_iter()
                .flatten()
                .filter_map(|kind| kind.example());
            let number = |national: &str| Phone::parse(&format!("+{code}{national}")).ok();
            Some(
                numbers
                    .filter_map(number)
                    .map(|phone| (phone, region.clone()))
                    .collect(),
            )
        };
        codes
            .flatten()
            .filter_map(of_region)
            .flat_map(|numbers: Vec<_>| numbers)
            .collect()
    });
    assert!(EXAMPLES.len() > 500);
    &EXAMPLES
}

/// What is written around a number, from the outside to the inside.
const AROUND: [&[(&str, &str)]; 4] = [
    &[
        ("", ""),
        (" ", "\t"),
        ("\u{202a}", "\u{202c}"),
        ("\u{feff}", ""),
        ("\u{2066}", "\u{2069}\u{200f}"),
    ],
    &[
        ("", ""),
        ("'", ""),
        ("\u{2019}", ""),
        ("'", "'"),
        ("=\"", "\""),
    ],
    &[("", ""), ("\u{200e}", " "), ("\u{a0}", "\u{200b}")],
    &[("", ""), ("tel:", ""), ("Tel: ", "")],
];
/// What is written between digits; a dot before the last zero would be one of a decimal.
const BETWEEN: [&str; 14] = [
    " ", "-", "/", "(", ") ", "\u{2011}", "\u{2012}", "\u{2212}", "\u{a0}", "\u{202f}", "\u{200b}",
    "\u{202d}", "\u{ad}", "\u{30fc}",
];

/// Writes a number in another notation.
fn decorated(number: &str, choices: &[proptest::sample::Index], is_wide: bool) -> String {
    let wide = |character: char| match character {
        '+' => '＋',
        '0'..='9' => char::from_u32(character as u32 - 0x30 + 0xff10).unwrap(),
        other => other,
    };
    let mut characters: Vec<String> = number
        .chars()
        .map(|character| if is_wide { wide(character) } else { character }.to_string())
        .collect();
    let (around, between) = choices.split_at(AROUND.len());
    for choice in between {
        let at = choice.index(characters.len());
        characters[at].push_str(BETWEEN[choice.index(BETWEEN.len())]);
    }
    let body = characters.concat();
    let layers = AROUND.iter().zip(around).rev();
    layers.fold(body, |body, (layer, choice)| {
        let (before, behind) = layer[choice.index(layer.len())];
        format!("{before}{body}{behind}")
    })
}

proptest! {
    #[test]
    fn any_text_is_refused_or_written_in_e164(text in "\\PC{0,40}|[+0-9 ()./-]{0,40}|\\+(1|44|60|65|49)[0-9]{5,12}", at: proptest::sample::Index) {
        let regions = ["MY", "US", "GB", "IT", "RU", "DE", "AR", "MX"];
        for region in [None, Region::parse(regions[at.index(regions.len())])] {
            let Ok(phone) = Phone::parse_in(&text, region.as_ref()) else { continue };
            let written = phone.to_string();
            prop_assert!(written.len() <= 16 && written.starts_with('+'), "{}", written);
            prop_assert_eq!(Phone::parse(&written), Ok(phone), "{} is read as it was written", written);
        }
    }

    /// Whatever is around and between the digits, the number stays the same, and an invalid one invalid.
    #[test]
    fn no_notation_changes_a_number(
        at: proptest::sample::Index,
        digits in "[1-9][0-9]{4,14}",
        choices in proptest::collection::vec(any::<proptest::sample::Index>(), 4..12),
        is_wide: bool,
        has_plus: bool,
    ) {
        let (phone, region) = &examples()[at.index(examples().len())];
        let e164 = phone.to_string();
        let sign = if has_plus { "+" } else { "" };
        for number in [e164.clone(), e164[1..].to_owned(), format!("{sign}{digits}"), format!("00{digits}"), format!("0{digits}")] {
            let written = decorated(&number, &choices, is_wide);
            for region in [None, Some(region)] {
                prop_assert_eq!(Phone::parse_in(&written, region), Phone::parse_in(&number, region), "{} {}", number, written.escape_unicode());
            }
        }
        prop_assert_eq!(Phone::parse(&decorated(&e164, &choices, is_wide)), Ok(*phone));
    }

    /// An international number whose plus sign is missing is never read as another one.
    #[test]
    fn a_missing_plus_sign_leads_to_no_other_number(at: proptest::sample::Index, last in 0..1000_u32) {
        let (phone, region) = &examples()[at.index(examples().len())];
        let e164 = phone.to_string();
        let number = format!("{}{last:03}", &e164[..e164.len() - 3]);
        let Ok(phone) = Phone::parse(&number) else { return Ok(()) };
        prop_assume!(phone.to_string() == number);
        let read = Phone::parse_in(&number[1..], Some(region));
        prop_assert!(read == Ok(phone) || read == Err(PhoneError::Ambiguous), "{} {:?}", number, read);
        prop_assert_eq!(Phone::suggest(&number[1..], None), Some(phone));
    }
}
