"""Everything that is known of one number: found, exported, erased."""

import json
import secrets
import time

from harness import ConsoleTest, expect


class OneNumber(ConsoleTest):
    """A person asks what is known, and that it is forgotten."""

    def setUp(self):
        """Makes the simulated carrier deliver each message."""
        super().setUp()
        before = self.carrier("GET")
        names = ("undeliv", "expired", "odd")
        self.addCleanup(self.carrier, "PATCH", {name: before[name] for name in names})
        self.carrier("PATCH", dict.fromkeys(names, 0))
        self.phone = f"+6012{secrets.randbelow(10**7):07}"
        self.name = f"Ana {secrets.token_hex(6)}"

    def written(self, **fields):
        """Creates a schedule that writes to the person; returns it."""
        recipients = [{"phone": self.phone, "vars": {"name": self.name}}]
        return self.schedule(recipients=recipients, message="Dear {{name}}, hello", **fields)

    def delivered(self):
        """Sends a message to the number, and waits until it is delivered."""
        soon = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 2))
        made = self.written(run_at=soon)
        deadline = time.monotonic() + 90
        while self.state(made) != "finished":
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.5)

    def find(self):
        """Looks the number up, as a person writes it."""
        self.page.get_by_label("Phone number").fill(f"{self.phone[:3]} {self.phone[3:]}")
        self.page.get_by_role("button", name="Find").click()

    def exported(self):
        """Returns what the export downloads."""
        button = self.page.get_by_role("button", name="Export all that is known")
        return json.loads(self.downloaded(button.click))

    def test_a_number_is_exported_and_erased(self):
        self.delivered()
        self.written()
        self.log_in("admin", "messages")
        self.find()
        rows = self.page.get_by_role("row").filter(has_text=self.phone)
        expect(rows).to_have_count(2)
        person = self.exported()
        self.assertEqual(person["phone"], self.phone)
        texts = [one["text"] for one in person["messages"]]
        self.assertEqual(texts, [f"Dear {self.name}, hello"] * 2)
        self.assert_accessible_everywhere()
        # The keyboard is enough, and the number has to be typed again.
        self.reach(self.page.get_by_role("button", name="Erase this number"))
        self.page.keyboard.press("Enter")
        erase = self.dialog().get_by_role("button", name="Erase it for ever")
        self.assert_accessible()
        self.dialog().get_by_label("The number again").fill(self.phone[:-1])
        erase.click()
        expect(self.dialog()).to_be_visible()
        self.assertEqual(self.stored(), 2)
        self.dialog().get_by_label("The number again").fill(self.phone)
        self.reach(erase)
        self.page.keyboard.press("Enter")
        expect(self.page.get_by_text("Erased: 2; cancelled before: 1.")).to_be_visible()
        self.assert_accessible()
        # Nothing of the person is found any more, here or in the database.
        expect(rows).to_have_count(0)
        self.find()
        expect(self.page.get_by_role("row").filter(has_text="erased")).to_have_count(2)
        expect(self.page.get_by_role("main")).not_to_contain_text(self.name)
        messages = self.exported()["messages"]
        self.assertEqual([one["phone"] for one in messages], [None] * 2)
        self.assertNotIn(self.name, json.dumps(messages))
        self.assertEqual(self.stored(), 0)

    def test_an_erased_number_is_opted_out_if_wanted(self):
        self.log_in("admin", f"messages?phone=%2B{self.phone[1:]}")
        expect(self.page.get_by_text("No message matches.")).to_be_visible()
        self.page.get_by_role("button", name="Erase this number").click()
        self.dialog().get_by_label("List of opted out numbers").select_option("add")
        self.dialog().get_by_label("The number again").fill(self.phone)
        self.dialog().get_by_role("button", name="Erase it for ever").click()
        expect(self.page.get_by_text("Erased: 0; cancelled before: 0.")).to_be_visible()
        expect(self.page.get_by_text("stays in the list of opted out numbers")).to_be_visible()
        found = self.stack.call("GET", f"/v1/suppressions/{self.phone}")
        self.assertEqual(found["phone"], self.phone)

    def test_an_operator_and_a_viewer_neither_export_nor_erase(self):
        self.written()
        path = f"messages?phone=%2B{self.phone[1:]}"
        self.log_in("viewer", path)
        operator = self.another_person("operator", path)
        for page in (self.page, operator):
            expect(page.get_by_role("row").filter(has_text=self.phone)).to_have_count(1)
            names = page.get_by_role("main").get_by_role("button").all_inner_texts()
            self.assertEqual(names, ["Find"])

    def stored(self):
        """Returns how many recipients in the database have the number."""
        sql = f"SELECT COUNT(*) FROM recipients WHERE phone = '{self.phone}'"
        [[count]] = self.stack.rows(sql)
        return int(count)
