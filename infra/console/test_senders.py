"""Senders: registered, chosen, refused, and those of a key."""

import secrets

from harness import ConsoleTest, expect


class Senders(ConsoleTest):
    """Who may send in which name."""

    def register(self, sender, note):
        """Registers a sender with the dialog."""
        self.page.get_by_role("button", name="Register a sender").click()
        self.dialog().get_by_label("Sender").fill(sender)
        self.dialog().get_by_label("Note").fill(note)
        self.dialog().get_by_role("button", name="Register a sender").click()

    def rows(self, sender):
        """Returns the rows of a registered sender."""
        table = self.page.get_by_role("region", name="Senders")
        return table.get_by_role("row").filter(has_text=sender)

    def test_only_a_registered_sender_is_chosen_by_an_operator(self):
        sender = f"Shop{secrets.token_hex(2)}"
        self.log_in("admin", "system")
        self.register("no sender!", "")
        expect(self.dialog().get_by_role("alert")).to_contain_text("up to 11 letters and digits")
        self.assert_accessible()
        self.dialog().get_by_label("Sender").fill(sender)
        self.dialog().get_by_label("Note").fill("parcels")
        self.dialog().get_by_role("button", name="Register a sender").click()
        expect(self.rows(sender)).to_contain_text("parcels")
        self.assert_accessible_everywhere()
        operator = self.another_person("operator", "send")
        file = {"name": "one.csv", "mimeType": "text/csv", "buffer": b"phone\n+60123456789\n"}
        operator.get_by_label("File with the list").set_input_files(files=[file])
        operator.get_by_label("Text", exact=True).fill("Your parcel is here")
        operator.get_by_label("Sender").fill("MyBank")
        operator.get_by_role("button", name="Upload and check").click()
        alert = operator.get_by_role("alert")
        expect(alert).to_contain_text("sender: This sender is not registered")
        # The form offers those that are.
        expect(operator.locator(f"datalist option[value='{sender}']")).to_have_count(1)
        operator.get_by_label("Sender").fill(sender)
        operator.get_by_role("button", name="Upload and check").click()
        expect(operator.get_by_role("button", name="Send to 1 person …")).to_be_visible()
        expect(operator.get_by_role("definition").filter(has_text=sender)).to_be_visible()
        self.reach(self.rows(sender).get_by_role("button", name="Remove"))
        self.page.keyboard.press("Enter")
        expect(self.dialog()).to_contain_text("Those that have it keep it.")
        self.reach(self.dialog().get_by_role("button", name="Remove"))
        self.page.keyboard.press("Enter")
        expect(self.rows(sender)).to_have_count(0)

    def test_a_key_sends_with_its_own_senders_only(self):
        own, name = f"Key{secrets.token_hex(2)}", f"shop-{secrets.token_hex(4)}"
        self.log_in("admin", "keys")
        self.page.get_by_role("button", name="Add a key").click()
        self.dialog().get_by_label("Name of the program").fill(name)
        self.dialog().get_by_label("schedules:write").check()
        self.dialog().get_by_label("Senders", exact=True).fill("no sender!")
        self.dialog().get_by_role("button", name="Add a key").click()
        expect(self.dialog().get_by_role("alert")).to_contain_text("allowed_senders")
        self.dialog().get_by_label("Senders", exact=True).fill(f"{own},12345")
        self.dialog().get_by_role("button", name="Add a key").click()
        key = self.page.get_by_role("status").locator("code").inner_text()
        row = self.page.get_by_role("row").filter(has_text=name)
        expect(row).to_contain_text(f"12345, {own}")
        self.assert_accessible()
        body = {
            "run_at": "2027-03-01T09:00:00Z",
            "message": "Your parcel is here",
            "recipients": ["+60123456789"],
            "draft": True,
        }
        made = self.stack.call("POST", "/v1/schedules", {**body, "sender": own}, key)
        self.assertEqual(made["sender"], own)
        with self.assertRaisesRegex(SystemExit, "sender-not-allowed"):
            self.stack.call("POST", "/v1/schedules", {**body, "sender": "Other"}, key)

    def test_a_viewer_sees_the_senders_without_buttons(self):
        sender = f"Shop{secrets.token_hex(2)}"
        path, token = f"/v1/senders/{sender}", self.stack.administrator()
        self.stack.call("PUT", path, {"note": "parcels"}, token)
        self.addCleanup(self.stack.call, "DELETE", path, None, token)
        self.log_in("viewer", "system")
        expect(self.rows(sender)).to_contain_text("parcels")
        self.assert_no_buttons()
        self.assert_accessible()
