"""Sending a list: a messy file, the numbers before it is sent, and watching it to the end."""

import csv
import io
import re
import secrets
from datetime import datetime, timedelta, timezone

from harness import ConsoleTest, expect

MESSY = (
    'Name;Mobile;City\r\nAna;012-345 6789;"Kuala\r\nLumpur"\r\n\r\n'
    '"Bo ""B"" Lee";60123456780;Ipoh\r\n'
    "Co;12;Penang\r\nAna again;+60 12 345 6789;Klang\r\nDé;not a number;Muar\r\n"
)


class Send(ConsoleTest):
    """A person with a list and no program."""

    def setUp(self):
        """Makes the simulated carrier deliver each message."""
        super().setUp()
        before = self.carrier("GET")
        self.addCleanup(
            self.carrier, "PATCH", {name: before[name] for name in ("undeliv", "expired")}
        )
        self.carrier("PATCH", {"undeliv": 0, "expired": 0})

    def choose(self, name, content):
        """Chooses a file."""
        file = {"name": name, "mimeType": "text/csv", "buffer": content}
        self.page.get_by_label("File with the list").set_input_files(files=[file])

    def test_a_messy_file_is_sent_and_watched_to_the_end(self):
        self.log_in("operator", "send")
        name = f"Doors {secrets.token_hex(4)}"
        self.choose("list.csv", MESSY.encode("windows-1252"))
        expect(self.page.get_by_label("Column with the phone numbers")).to_have_value("1")
        expect(self.page.get_by_label("Encoding")).to_have_value("windows-1252")
        expect(self.page.get_by_role("region", name="First rows of the file")).to_contain_text(
            'Bo "B" Lee'
        )
        self.page.get_by_label("Country of numbers without +").fill("MY")
        text = self.page.get_by_label("Text", exact=True)
        text.fill("Dear , doors open at 8 – be early")
        text.evaluate("area => area.setSelectionRange(5, 5)")
        self.page.get_by_role("button", name="name", exact=True).click()
        expect(self.page.get_by_text("“–” (U+2013)")).to_be_visible()
        self.page.get_by_role("button", name="Replace them").click()
        expect(text).to_have_value("Dear {{name}}, doors open at 8 - be early")
        self.page.get_by_label("Name", exact=True).fill(name)
        until = datetime.now(timezone(timedelta(hours=8))) + timedelta(minutes=40)
        self.page.get_by_label("Nothing is sent after").fill(until.strftime("%Y-%m-%dT%H:%M"))
        self.page.get_by_role("button", name="Upload and check").click()
        self.heading(name)
        expect(self.page.get_by_role("heading", name="What would be sent")).to_be_visible()
        expect(self.page.get_by_text('Dear Bo "B" Lee, doors')).to_be_visible()
        self.assert_refused_rows()
        self.page.get_by_role("button", name="Send to 2 people …").click()
        dialog = self.page.get_by_role("dialog")
        expect(dialog).to_contain_text("2 people get this text, in 2 parts: at once.")
        dialog.get_by_role("button", name="Send to 2 people", exact=True).click()
        expect(self.page.get_by_text("Sent to 2 of 2 people.")).to_be_visible(timeout=120_000)
        expect(self.page.get_by_text("Finished", exact=True).first).to_be_visible(timeout=120_000)
        expect(self.page.get_by_text("delivered 2")).to_be_visible()
        id_ = re.search(r"schedules/([^?/]+)$", self.page.url)[1]
        recipients = self.stack.call("GET", f"/v1/schedules/{id_}/recipients")["recipients"]
        sent = {one["phone"]: one["sends"] for one in recipients if one["phone"]}
        self.assertEqual(sent, {"+60123456789": 1, "+60123456780": 1})

    def assert_refused_rows(self):
        """Checks the table of refused rows: lines as an editor counts them."""
        expect(self.page.get_by_text("2 rows were refused.")).to_be_visible()
        button = self.page.get_by_role("button", name="Download the refused rows with the reasons")
        rows = list(csv.DictReader(io.StringIO(self.downloaded(button.click))))
        self.assertEqual(
            [(row["line"], row["given"]) for row in rows], [("6", "12"), ("8", "not a number")]
        )
        self.assertTrue(all(row["reason"] for row in rows), rows)

    def test_the_length_of_texts_is_that_of_the_api(self):
        self.log_in("operator", "send")
        texts = [
            "a" * 160,
            "a" * 161,
            "a" * 306,
            "a" * 307,
            "€" * 80,
            "a" + "€" * 80,
            "é" * 160,
            "ç",
            "“quoted”",
            "ü" * 70 + "č",
            "😀" * 35,
            "😀" * 36,
            "a" * 66 + "😀" * 40,
            "[~]^\\|" * 14,
            "a\n\nb",
            "ΔΦΓΛΩΠΨΣΘΞ",
            "^" * 77 + "a" * 153,
        ]
        for text in texts:
            self.page.get_by_label("Text", exact=True).fill(text)
            shown = self.page.locator("[data-count]").get_attribute("data-count")
            body = {
                "run_at": "2027-01-01T00:00:00Z",
                "message": text,
                "recipients": ["+60123456789"],
            }
            told = self.stack.call("POST", "/v1/schedules?dry_run=true", body)
            self.assertEqual(shown.split()[::2], [told["encoding"], str(told["parts"])], text)
            if told["longest"]:
                self.assertEqual(shown.split()[1], str(told["longest"]["units"]), text)

    def test_a_file_that_was_uploaded_today_is_pointed_out(self):
        content = f"phone\n+6012{secrets.randbelow(10**7):07}\n".encode()
        self.log_in("operator", "send")
        for uploaded in range(2):
            self.choose("again.csv", content)
            expect(self.page.get_by_text("The first row names the columns.")).to_be_visible()
            expect(self.page.get_by_text("The same file was uploaded")).to_have_count(uploaded)
            self.page.get_by_label("Text", exact=True).fill("Doors open at 8")
            self.page.get_by_role("button", name="Upload and check").click()
            expect(self.page.get_by_role("button", name="Send to 1 person …")).to_be_visible()
            self.open("send")

    def test_a_list_of_100_000_rows_survives_a_reload(self):
        rows = 100_000
        unique = secrets.token_hex(4)  # a file that is uploaded again is pointed out
        # Long rows, so that there are several pieces.
        lines = [f"+6012{1_000_000 + at},Person {at},{unique * 5}" for at in range(rows)]
        content = ("phone,name,note\n" + "\n".join(lines)).encode()
        self.log_in("operator", "send")
        self.choose("long.csv", content)
        self.page.get_by_label("Text", exact=True).fill("Dear {{name}}, doors open at 8")
        self.page.get_by_role("button", name="Upload and check").click()
        expect(self.page.get_by_text(re.compile(r"^[1-9]\d? % of long.csv"))).to_be_visible(
            timeout=120_000
        )
        # The page answers while it uploads: a frame takes no longer than a person notices.
        slowest = self.page.evaluate(
            """() => new Promise((resolve) => {
              let [last, slowest, frames] = [performance.now(), 0, 0];
              const frame = (now) => {
                slowest = Math.max(slowest, now - last); last = now; frames += 1;
                if (frames < 60) requestAnimationFrame(frame); else resolve(slowest); };
              requestAnimationFrame(frame); })"""
        )
        self.assertLess(slowest, 500)
        self.page.once("dialog", lambda dialog: dialog.accept())
        self.page.reload()
        expect(self.page.get_by_text("The page was loaded again.")).to_be_visible()
        before = self.page.evaluate("JSON.parse(Object.values(sessionStorage)[0]).sums.rows")
        self.assertTrue(0 < before < rows, before)
        self.choose_again(content)
        expect(self.page.get_by_role("button", name="Send to 100,000 people …")).to_be_visible(
            timeout=240_000
        )

    def choose_again(self, content):
        """Chooses the file of before, with the time of its last change."""
        self.page.evaluate(
            """([text, known]) => { const transfer = new DataTransfer();
              const { name, lastModified } = known;
              transfer.items.add(new File([text], name, { lastModified }));
              const input = document.querySelector('input[type=file]');
              input.files = transfer.files; input.dispatchEvent(new Event('change')); }""",
            [
                content.decode(),
                self.page.evaluate("JSON.parse(Object.values(sessionStorage)[0]).file"),
            ],
        )

    def test_a_draft_is_checked_at_another_time_and_text(self):
        self.log_in("operator", "send")
        self.choose("one.csv", b"phone\n+60123456789\n")
        self.page.get_by_label("Text", exact=True).fill("Doors open at 8")
        self.page.get_by_label("At a time").check()
        self.page.get_by_label("Date and time").fill("2027-03-01T09:00")
        self.page.get_by_label("Time zone").select_option("Europe/Berlin")
        expect(
            self.page.get_by_text("Monday, 1 March 2027 at 09:00 (Europe/Berlin)")
        ).to_be_visible()
        self.page.get_by_role("button", name="Upload and check").click()
        expect(self.page.get_by_role("button", name="Send to 1 person …")).to_be_visible()
        expect(self.page.get_by_text("09:00 (Europe/Berlin)").first).to_be_visible()
        dialog = self.page.get_by_role("dialog")
        self.page.get_by_role("button", name="Change the text").click()
        dialog.get_by_label("Text", exact=True).fill("Doors open at 9")
        dialog.get_by_role("button", name="Save").click()
        expect(self.page.get_by_text("Doors open at 9").first).to_be_visible()
        self.page.get_by_role("button", name="Send to 1 person …").click()
        expect(dialog).to_contain_text(
            "1 person gets this text, in 1 part: Monday, 1 March 2027 at 09:00 (Europe/Berlin)."
        )
        dialog.get_by_role("button", name="Send to 1 person", exact=True).click()
        expect(self.page.get_by_role("button", name="Pause")).to_be_visible()
        id_ = re.search(r"schedules/([^?/]+)$", self.page.url)[1]
        made = self.stack.call("GET", f"/v1/schedules/{id_}")
        self.assertEqual(
            (made["run_at"][:16], made["message"]), ("2027-03-01T08:00", "Doors open at 9")
        )
        self.stack.call("POST", f"/v1/schedules/{id_}/cancel", {})
