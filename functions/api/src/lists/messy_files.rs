//! CSV files as people and spreadsheets write them: each is understood, or refused with a reason.

use shared::message::{phone::Region, template::Template};

use crate::lists::{options::NumberTypes, tests::entries, *};

const A: &str = "+60123456789";
const B: &str = "+60123456780";

fn list(text: &str, options: Options) -> List {
    List {
        bytes: text.to_owned().into(),
        format: Some(Format::Csv),
        gzip: false,
        options,
        entries: Arc::default(),
    }
}

fn malaysia() -> Options {
    Options {
        region: Region::parse("MY"),
        ..Options::default()
    }
}

/// Returns the code, the position and the text of the error that refuses a whole list.
async fn refusal(list: List) -> (&'static str, Option<u32>, String) {
    let mut reading = list.read();
    while reading.chunks.recv().await.is_some() {}
    match reading.end.await.unwrap() {
        Err(ApiError::Invalid(mut errors, 1)) => {
            let error = errors.remove(0);
            (error.code, error.position, error.detail)
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn messy_files_are_understood() {
    #[rustfmt::skip]
    let table: Vec<(&str, Vec<&str>)> = vec![
        // The line in which Excel names the separator.
        ("sep=;\r\nname;phone\r\nDoe, J;012-345 6789\r\n", vec![A]),
        ("\u{feff}SEP=;\nphone;name\n0123456789;A\nx;B\n", vec![A, "4 x not-a-number"]),
        ("\"sep=|\"\nname|phone\nA;B|0123456789\n", vec![A]),
        ("sep=\t\nname\tphone\nA\t0123456789\n", vec![A]),
        ("sep=,\n0123456789\n0123456780\n", vec![A, B]),
        // Empty rows and columns, before, between and behind the others.
        (";;\n\nname;phone;\nA;0123456789;;\n;;;\n \u{a0}; ;\"\"\nB;0123456780\n;;\n;;\n", vec![A, B]),
        ("0123456789;;\n0123456780;;\n;;\n", vec![A, B]),
        ("phone\n\u{a0}\n0123456789\n\t\n", vec![A]),
        // A row without a number, but with something else, is no empty row.
        ("name;phone\nA;\nB;0123456789\n", vec!["2  not-a-number", A]),
        // Names in a header: white space, byte order marks, quotes, other languages.
        ("name,\" Phone \"\nA,0123456789\n", vec![A]),
        ("\u{feff}\" phone\u{a0}\";name\n0123456789;A\n", vec![A]),
        ("name,'Phone'\nA,0123456789\n", vec![A]),
        ("name,Mobile Phone\nA,0123456789\n", vec![A]),
        ("Name;Handy-Nr.\nA;0123456789\n", vec![A]),
        ("nama;Nomor  Telefon\nA;0123456789\n", vec![A]),
        ("MSISDN,name\n0123456789,A\n", vec![A]),
        ("Tel.:\n0123456789\n", vec![A]),
        ("名前,電話番号\nA,0123456789\n", vec![A]),
        ("имя;ТЕЛЕФОН\nA;0123456789\n", vec![A]),
        ("Name,Phone 1 - Value\nA,0123456789\n", vec![A]),
        // `phone` outweighs the others.
        ("tel,phone,mobile\n1,0123456789,2\n", vec![A]),
        // Numbers as spreadsheets write them.
        ("phone\n'0123456789\n60123456780.0\n6.01235E+10\n=\"0123456789\"\n", vec![A, B, "4 6.01235E+10 digits-lost", A]),
        ("phone\n\"\u{feff}0123456789\"\n\u{202a}+60 12\u{2011}345 6780\u{202c}\n", vec![A, B]),
    ];
    for (text, expected) in table {
        assert_eq!(entries(list(text, malaysia())).await, expected, "{text:?}");
    }
}

#[tokio::test]
async fn a_quoted_first_line_is_a_header_and_no_json() {
    for text in [
        "\"Mobile\"\n\"0123456789\"\n",
        "\"sep=;\"\n\"Mobile\";\n0123456789;\n",
    ] {
        let list = List {
            format: None,
            ..list(text, malaysia())
        };
        assert_eq!(entries(list).await, [A], "{text:?}");
    }
}

#[tokio::test]
async fn a_file_whose_column_is_not_certain_is_refused_with_advice() {
    #[rustfmt::skip]
    let table = [
        // No header.
        (None, "Ana,+60123456789\nBen,+60123456780\n", "no-phone-column", 1, "is the header missing? The column 2 has a phone number: give column=2"),
        (None, "Tel,0123456789\n", "no-phone-column", 1, "give column=2"),
        (None, "0123456789,0123456780\n", "no-phone-column", 1, "Several columns have phone numbers"),
        (Some("mobile"), "Ana,0123456789\n", "no-phone-column", 1, "expected a column `mobile`"),
        // A title above the header, whose first column might have other numbers.
        (None, "\nCustomers 2027;;\nid;name;phone\n123456789;Ana;0123456789\n", "no-phone-column", 2, "found: Customers 2027, , "),
        (None, "name,address\n", "no-phone-column", 1, "2 columns, found: name, address"),
        // Several columns with numbers.
        (None, "name,Mobile,Tel.\nAna,0123456789,0323856789\n", "ambiguous-column", 1, "found: `Mobile` (2), `Tel.` (3)"),
    ];
    for (column, text, code, position, advice) in table {
        let options = Options {
            column: column.map(str::to_owned),
            ..malaysia()
        };
        let (found, at, detail) = refusal(list(text, options)).await;
        assert_eq!((found, at), (code, Some(position)), "{text:?}");
        assert!(detail.contains(advice), "{text:?}: {detail}");
    }
}

#[tokio::test]
async fn a_first_line_in_the_selected_column_is_an_entry_if_it_has_digits() {
    for (text, expected) in [
        ("A,0123456789\n", A),
        ("A,０１２３４５６７８９\n", A),
        ("name,Phone 1\nA,0123456789\n", A),
        ("name,Kontakt\nA,0123456789\n", A),
    ] {
        let options = Options {
            column: Some("2".to_owned()),
            ..malaysia()
        };
        assert_eq!(entries(list(text, options)).await, [expected], "{text:?}");
    }
}

#[tokio::test]
async fn the_columns_of_variables_are_found_in_a_messy_header() {
    let template = Template::parse("Hi {{first_name}}").unwrap().unwrap();
    let options = Options {
        variables: AcceptedVariables::Of(Arc::new(template)),
        ..malaysia()
    };
    let text = "sep=;\n\u{a0}First Name ;Mobile;;\nAna;0123456789;;\n;;;\n";
    let expected = [r#"+60123456789 1 {"first_name":"Ana"}"#];
    assert_eq!(entries(list(text, options)).await, expected);
}

#[tokio::test]
async fn a_list_of_mobile_numbers_refuses_others() {
    let options = Options {
        types: Some(NumberTypes::Mobile),
        ..malaysia()
    };
    let text = "phone\n0123456789\n03-2385 6789\n+12015550123\n+18002345678\n";
    let expected = [
        A,
        "3 03-2385 6789 not-mobile",
        "+12015550123",
        "5 +18002345678 not-mobile",
    ];
    assert_eq!(entries(list(text, options)).await, expected);
}

#[tokio::test]
async fn the_columns_of_names_are_found_or_missed_with_advice() {
    let options = |reference: Option<&str>, group: Option<&str>| Options {
        reference_column: reference.map(str::to_owned),
        group_column: group.map(str::to_owned),
        variables: AcceptedVariables::Any,
        ..malaysia()
    };
    let text = "sep=;\n\u{a0}Patient  ID ;Mobile;\"Store\";\n00123;0123456789; Penang ;\n;;;\n";
    #[rustfmt::skip]
    let found = [
        (None, None, A),
        (Some("patient id"), None, "+60123456789 0  r=00123"),
        (Some("1"), Some("store"), "+60123456789 0  r=00123 g=Penang"),
        // A column behind the last one is empty.
        (Some("9"), None, A),
    ];
    for (reference, group, expected) in found {
        let list = list(text, options(reference, group));
        assert_eq!(entries(list).await, [expected], "{reference:?} {group:?}");
    }
    for (reference, advice) in [
        ("Patient", "as reference_column says"),
        ("Mobile", "other than the one with the phone numbers"),
        ("2", "found: Patient  ID, Mobile, Store, "),
    ] {
        let (code, at, detail) = refusal(list(text, options(Some(reference), None))).await;
        assert_eq!((code, at), ("no-such-column", Some(2)), "{reference}");
        assert!(detail.contains(advice), "{detail}");
    }
}
