"""People, keys, webhooks, opted-out numbers, the audit log and the carrier's limits."""

import secrets

from harness import PASSWORD, ConsoleTest, expect


class Administer(ConsoleTest):
    """What an administrator does without a program."""

    def row(self, text):
        """Returns the row of a table that has a text, on the first page or on a later one."""
        more = self.page.get_by_role("main").get_by_role("button", name="More")
        found = self.page.get_by_role("row").filter(has_text=text)
        expect(found.or_(more).first).to_be_visible()
        while found.count() == 0 and more.count() > 0:
            rows = self.page.get_by_role("row").count()
            more.click()
            self.page.wait_for_function("n => document.querySelectorAll('tr').length > n", arg=rows)
        return self.page.get_by_role("row").filter(has_text=text)

    def test_a_new_person_logs_in_and_is_disabled(self):
        self.log_in("admin", "people")
        name = f"ana-{secrets.token_hex(4)}"
        self.page.get_by_role("button", name="Add a person").click()
        self.dialog().get_by_label("Name").fill(name)
        self.dialog().get_by_label("Role").select_option("operator")
        self.dialog().get_by_role("button", name="Add a person").click()
        temporary = self.page.locator("main code").inner_text()
        other = self.new_context()
        try:
            page = self.new_page(other)
            self.open(page=page)
            self.enter(name, temporary, page)
            page.get_by_label("New password", exact=True).fill(PASSWORD)
            page.get_by_label("New password again").fill(PASSWORD)
            page.get_by_role("button", name="Change the password and log in").click()
            self.heading("Schedules", page)
            self.row(name).get_by_role("button", name="Disable").click()
            self.dialog().get_by_role("button", name="Disable").click()
            expect(self.row(name)).to_contain_text("disabled")
            expect(page.get_by_text("Your session has ended")).to_be_visible()
        finally:
            other.close()

    def test_a_key_is_made_shown_once_and_revoked(self):
        self.log_in("admin", "keys")
        name = f"shop-{secrets.token_hex(4)}"
        self.page.get_by_role("button", name="Add a key").click()
        self.dialog().get_by_label("Name of the program").fill(name)
        self.dialog().get_by_role("button", name="Add a key").click()
        # A key without a permission is of no use, and the API says so.
        expect(self.dialog().get_by_role("alert")).to_contain_text("permissions")
        self.dialog().get_by_label("schedules:read").check()
        self.dialog().get_by_role("button", name="Add a key").click()
        key = self.page.get_by_role("status").locator("code").inner_text()
        self.assertEqual(self.stack.call("GET", "/v1/auth/me", None, key)["name"], name)
        self.page.reload()
        expect(self.row(name)).to_be_visible()
        self.assertNotIn(key, self.page.content())
        self.row(name).get_by_role("button", name="Revoke").click()
        self.dialog().get_by_role("button", name="Revoke").click()
        expect(self.row(name)).to_contain_text("revoked")

    def test_a_webhook_is_made_tested_and_removed(self):
        self.log_in("admin", "webhooks")
        # A local stack accepts addresses of this machine only. Nothing listens there.
        url = f"http://127.0.0.1:9/{secrets.token_hex(4)}"
        self.page.get_by_role("button", name="Add a webhook").click()
        self.dialog().get_by_label("URL (https)").fill(url)
        self.dialog().get_by_label("schedule.finished").check()
        self.dialog().get_by_role("button", name="Add a webhook").click()
        expect(self.page.get_by_role("status").locator("code")).to_contain_text("whsec_")
        self.row(url).get_by_role("button", name="Test").click()
        expect(
            self.page.get_by_text("An event of the type webhook.test is posted.")
        ).to_be_visible()
        self.page.get_by_role("link", name=url).click()
        expect(self.row("webhook.test")).to_be_visible()
        self.page.go_back()
        self.row(url).get_by_role("button", name="Remove").click()
        self.dialog().get_by_role("button", name="Remove").click()
        expect(self.page.get_by_role("row").filter(has_text=url)).to_have_count(0)

    def test_numbers_opt_out_one_by_one_and_as_a_file(self):
        self.log_in("admin", "suppressions")
        numbers = [f"+6012{secrets.randbelow(10**7):07}" for _ in range(3)]
        self.page.get_by_role("button", name="Add a number").click()
        self.dialog().get_by_label("Phone number").fill(numbers[0])
        self.dialog().get_by_label("Reason").fill("asked by mail")
        self.dialog().get_by_role("button", name="Add a number").click()
        expect(self.row(numbers[0])).to_contain_text("asked by mail")
        content = "phone\n" + "\n".join([*numbers[1:], "12"])
        file = {"name": "out.csv", "mimeType": "text/csv", "buffer": content.encode()}
        self.page.get_by_label("File with numbers").set_input_files(files=[file])
        expect(self.page.get_by_text("Added: 2; known already: 0; refused: 1.")).to_be_visible()
        exported = self.downloaded(self.page.get_by_role("button", name="Export (CSV)").click)
        self.assertTrue(all(number in exported for number in numbers))
        self.page.get_by_role("search").get_by_label("Phone number").fill(numbers[0])
        self.page.get_by_role("button", name="Look up").click()
        expect(self.page.get_by_text(f"{numbers[0]} has opted out")).to_be_visible()
        self.page.get_by_role("button", name="Remove").click()
        self.dialog().get_by_label("Reason").fill("asked again")
        self.dialog().get_by_role("button", name="Remove").click()
        expect(self.page.get_by_text("This number has not opted out.")).to_be_visible()

    def test_the_audit_log_and_the_limits_show_a_change(self):
        self.log_in("admin", "system")
        self.page.get_by_role("button", name="Change the limits").click()
        self.dialog().get_by_label("Message parts").fill("4321")
        self.dialog().get_by_role("button", name="Save").click()
        try:
            expect(self.row("Message parts")).to_contain_text("4,321")
            self.open("audit")
            self.page.get_by_label("What", exact=True).fill("carrier.change")
            self.page.get_by_role("button", name="Find").click()
            entry = self.row("carrier.change").first
            entry.get_by_text("Before and after").click()
            expect(entry).to_contain_text("4321")
        finally:
            self.stack.call("PATCH", "/v1/carriers/main", {"parts_per_second": None})

    def test_messages_are_found_by_number(self):
        phone = f"+6012{secrets.randbelow(10**7):07}"
        made = self.schedule(recipients=[phone], message="Doors open at 8")
        self.log_in("viewer", "messages")
        # As people write numbers.
        self.page.get_by_label("Phone number").fill(f"{phone[:3]} {phone[3:5]}-{phone[5:]}")
        self.page.get_by_role("button", name="Find").click()
        expect(self.row(phone)).to_contain_text("Doors open at 8")
        self.row(phone).get_by_role("link").click()
        self.heading(made["name"])
