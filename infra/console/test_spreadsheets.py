"""Spreadsheets: one is sent to, with its references and groups, and one is refused."""

import csv
import io
import re
import secrets

from harness import ConsoleTest, expect
from spreadsheets import xlsx

GUESTS = [
    ["Name", "Mobile", "Member No", "Region"],
    ["Ana", 60123456789, "M-1", "Penang"],
    ["Bo", 60123456780, 4711, "Ipoh"],
    [],
    ["Co", 12, "M-3", "Ipoh"],
    ["Ana again", 60123456789, "M-4", "Klang"],
]


class Spreadsheets(ConsoleTest):
    """A person with a spreadsheet and no program."""

    def choose(self, name, content):
        """Chooses a file."""
        file = {"name": name, "mimeType": "application/octet-stream", "buffer": content}
        self.page.get_by_label("File with the list").set_input_files(files=[file])

    def test_a_sheet_becomes_a_draft_with_references_and_groups(self):
        self.log_in("operator", "send")
        note = secrets.token_hex(4)  # a file that is uploaded again is pointed out
        self.choose("guests.xlsx", xlsx({"Notes": [], note: [["a", "b"]], "Guests": GUESTS}))
        # The first sheet is empty, and another can be chosen.
        expect(self.page.get_by_role("alert")).to_contain_text("It has no rows.")
        self.page.get_by_label("Sheet", exact=True).select_option("Guests")
        expect(self.page.get_by_label("Column with the phone numbers")).to_have_value("1")
        expect(self.page.get_by_label("Column with your references")).to_have_value("2")
        expect(self.page.get_by_label("Column with groups")).to_have_value("3")
        expect(self.page.get_by_role("region", name="First rows of the file")).to_contain_text(
            "60123456780"
        )
        self.assert_accessible()
        self.page.get_by_label("Country of numbers without +").fill("MY")
        self.page.get_by_label("Numbers that are repeated").select_option("the last row counts")
        self.page.get_by_label("Text", exact=True).fill("Dear {{name}}, doors open at 8")
        self.page.get_by_role("button", name="Upload and check").click()
        expect(self.page.get_by_text("Dear Ana again, doors")).to_be_visible()
        expect(self.page.get_by_role("button", name="Send to 2 people …")).to_be_visible()
        button = self.page.get_by_role("button", name="Download the refused rows with the reasons")
        rows = list(csv.DictReader(io.StringIO(self.downloaded(button.click))))
        # The row of the sheet, although a blank one is before it.
        self.assertEqual([(row["line"], row["given"]) for row in rows], [("5", "12")])
        id_ = re.search(r"send/([^?/]+)$", self.page.url)[1]
        recipients = self.stack.call("GET", f"/v1/schedules/{id_}/recipients?status=PENDING")
        found = {one["phone"]: (one["reference"], one["group"]) for one in recipients["recipients"]}
        self.assertEqual(
            found, {"+60123456789": ("M-4", "Klang"), "+60123456780": ("4711", "Ipoh")}
        )

    def test_an_upload_of_a_sheet_continues_after_a_reload(self):
        self.log_in("operator", "send")
        rows = [["phone", "note"]]
        rows += [[60121000000 + at, secrets.token_hex(20)] for at in range(40_000)]
        content = xlsx({"Long": rows})
        self.choose("long.xlsx", content)
        self.page.get_by_label("Country of numbers without +").fill("MY")
        self.page.get_by_label("Text", exact=True).fill("Doors open at 8")
        self.page.get_by_role("button", name="Upload and check").click()
        progress = self.page.get_by_text(re.compile(r"^[1-9]\d? % of long.xlsx"))
        expect(progress).to_be_visible(timeout=120_000)
        self.page.once("dialog", lambda dialog: dialog.accept())
        self.page.reload()
        expect(self.page.get_by_text("The page was loaded again.")).to_be_visible()
        self.page.evaluate(
            """([bytes, { name, lastModified }]) => { const transfer = new DataTransfer();
              transfer.items.add(new File([new Uint8Array(bytes)], name, { lastModified }));
              const input = document.querySelector('input[type=file]');
              input.files = transfer.files; input.dispatchEvent(new Event('change')); }""",
            [
                list(content),
                self.page.evaluate("JSON.parse(Object.values(sessionStorage)[0]).file"),
            ],
        )
        expect(self.page.get_by_role("button", name="Send to 40,000 people …")).to_be_visible(
            timeout=240_000
        )

    def test_files_that_are_not_read_are_explained(self):
        self.log_in("operator", "send")
        for name, content, text in [
            ("old.xls", b"\xd0\xcf\x11\xe0", "Save the sheet as XLSX or as CSV"),
            ("damaged.xlsx", b"PK\x03\x04", "not damaged"),
            ("large.xlsx", bytes(4_600_001), "which may have any size"),
        ]:
            self.choose(name, content)
            expect(self.page.get_by_role("alert")).to_contain_text(text)

    def test_opted_out_numbers_are_imported_from_a_sheet(self):
        self.log_in("operator", "suppressions")
        phone = 60120000000 + secrets.randbelow(10**7)
        content = xlsx({"Out": [["phone"], [phone], [12]]})
        file = {
            "name": "out.xlsx",
            "mimeType": "application/octet-stream",
            "buffer": content,
        }
        self.page.get_by_label("Country of numbers without +").fill("MY")
        self.page.get_by_label("File with numbers").set_input_files(files=[file])
        expect(self.page.get_by_text("Added: 1; known already: 0; refused: 1.")).to_be_visible()
