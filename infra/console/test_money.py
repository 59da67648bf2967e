"""Prices and budgets: imported, set, shown before a list is sent, and what pauses a schedule."""

import secrets
import time
import urllib.request

from harness import ConsoleTest, expect
from spreadsheets import xlsx

PRICES = "prefix,price,name\n60,0.05,Malaysia\n6012,0.045,Malaysia Maxis\n65,0.06,Singapore\n"


class Money(ConsoleTest):
    """An administrator's prices and budgets, and who sees them."""

    def key(self):
        """Creates a key of a program; returns its name, its scope and the key."""
        name = f"shop-{secrets.token_hex(4)}"
        body = {"name": name, "permissions": ["schedules:read", "schedules:write"]}
        made = self.stack.call("POST", "/v1/api-keys", body, self.stack.administrator())
        return name, f"key:{made['id']}", made["key"]

    def import_prices(self, text, currency="EUR"):
        """Imports prices without the console."""
        token = self.stack.administrator()
        headers = {"content-type": "text/csv", "authorization": f"Bearer {token}"}
        url = f"{self.api}/v1/prices?currency={currency}"
        request = urllib.request.Request(url, text.encode(), headers, method="PUT")
        with urllib.request.urlopen(request, timeout=30):
            pass

    def restore_prices(self):
        """Leaves the prices as they are now, after the test."""
        known = self.stack.call("GET", "/v1/prices?format=json&limit=1000")
        rows = [f"{one['prefix']},{one['price']},{one['name'] or ''}" for one in known["prices"]]
        text = "\n".join(["prefix,price,name", *rows])
        self.addCleanup(self.import_prices, text, known["currency"] or "EUR")

    def choose(self, content, name="prices.csv"):
        """Chooses a file with prices."""
        buffer = content if isinstance(content, bytes) else content.encode()
        file = {"name": name, "mimeType": "text/csv", "buffer": buffer}
        label = self.page.get_by_label("File with the columns prefix, price")
        label.set_input_files(files=[file])

    def budgets(self, name):
        """Returns the rows of the budgets of somebody."""
        table = self.page.get_by_role("region", name="Budgets")
        return table.get_by_role("row").filter(has_text=name)

    def set_budget(self, scope, amount):
        """Sets a budget of message parts for a day."""
        self.page.get_by_role("button", name="Set a budget").click()
        self.dialog().get_by_label("For").fill(scope)
        self.dialog().get_by_label("Amount").fill(amount)
        self.dialog().get_by_role("button", name="Set a budget").click()

    def change_budget(self, name, amount):
        """Changes the amount of a budget."""
        self.budgets(name).get_by_role("button", name="Change").click()
        self.dialog().get_by_label("Amount").fill(amount)
        self.dialog().get_by_role("button", name="Save").click()

    def remove_budget(self, name):
        """Removes a budget."""
        self.budgets(name).get_by_role("button", name="Remove").click()
        self.dialog().get_by_role("button", name="Remove").click()
        expect(self.budgets(name)).to_have_count(0)

    def test_prices_are_imported_and_a_wrong_list_is_explained_by_line(self):
        self.restore_prices()
        self.log_in("admin", "money")
        self.heading("Prices and budgets")
        self.page.get_by_label("Currency").fill("eur")
        self.choose("prefix,price\n60,0.05\nabroad,0.1\n65,free\n60,0.06\n")
        alert = self.page.get_by_role("alert")
        expect(alert).to_contain_text("Line 3, prefix: expected the first digits")
        expect(alert).to_contain_text("Line 4, price:")
        expect(alert).to_contain_text("line 2 has it too")
        # A file that was corrected can be chosen again: a click forgets the one of before.
        label = self.page.get_by_label("File with the columns prefix, price")
        with self.page.expect_file_chooser():
            label.click()
        self.assertEqual(label.evaluate("one => one.files.length"), 0)
        self.choose("phone,price\n60,0.05\n")
        expect(alert).to_contain_text("Line 1, phone: expected only the columns")
        self.choose(xlsx({"Prices": [["prefix", "price"], [60, 1]]}), "prices.xlsx")
        expect(alert).to_contain_text("Save the sheet as CSV")
        self.assert_accessible()
        self.choose(PRICES)
        expect(self.page.get_by_text("3 prices are version")).to_be_visible()
        expect(alert).to_have_count(0)
        table = self.page.get_by_role("region", name="Prices", exact=True)
        row = table.get_by_role("row").filter(has_text="Malaysia Maxis")
        expect(row).to_contain_text("+6012")
        expect(row).to_contain_text("0.045")
        expect(self.page.get_by_text("in EUR, imported")).to_be_visible()
        self.assert_accessible_everywhere()

    def test_a_budget_is_set_changed_and_removed_with_the_keyboard(self):
        name, scope, _ = self.key()
        self.log_in("admin", "money")
        self.press(self.page.get_by_role("button", name="Set a budget"))
        self.type(self.dialog().get_by_label("For"), "somebody")
        self.type(self.dialog().get_by_label("Amount"), "ten")
        self.press(self.dialog().get_by_role("button", name="Set a budget"))
        alert = self.dialog().get_by_role("alert")
        expect(alert).to_contain_text("scope: expected system")
        expect(alert).to_contain_text("amount: expected a whole number")
        self.assert_accessible()
        # The list of the field offers people and keys by their names.
        option = self.page.locator(f"datalist option[value='{scope}']")
        self.assertEqual(option.evaluate("one => one.textContent"), f"key {name}")
        self.type(self.dialog().get_by_label("For"), scope)
        self.type(self.dialog().get_by_label("Amount"), "100")
        self.press(self.dialog().get_by_role("button", name="Set a budget"))
        expect(self.budgets(name)).to_contain_text("0 of 100 (0 %)")
        self.assert_accessible_everywhere()
        self.set_budget(scope, "100")
        expect(alert).to_contain_text("There is such a budget")
        self.dialog().get_by_role("button", name="Back").click()
        self.change_budget(name, "250")
        expect(self.budgets(name)).to_contain_text("0 of 250")
        self.press(self.budgets(name).get_by_role("button", name="Remove"))
        expect(self.dialog()).to_contain_text("Its limit ends at once")
        self.press(self.dialog().get_by_role("button", name="Remove"))
        expect(self.budgets(name)).to_have_count(0)

    def press(self, button):
        """Presses a button with the keyboard."""
        self.reach(button)
        self.page.keyboard.press("Enter")

    def type(self, field, text):
        """Replaces the text of a field with the keyboard."""
        self.reach(field)
        self.page.keyboard.press("Control+A")
        self.page.keyboard.type(text)

    def test_the_cost_is_shown_before_a_list_is_sent(self):
        self.restore_prices()
        self.import_prices(PRICES)
        made = self.schedule(
            draft=True, recipients=["+60123456789", "+60133456789", "+4915112345678"]
        )
        self.log_in("operator", f"send/{made['id']}")
        cost = "0.095 EUR, and 1 number without a price"
        facts = self.page.get_by_role("main")
        expect(facts.get_by_text(cost, exact=True)).to_be_visible()
        self.page.get_by_role("button", name="Send to 3 people …").click()
        expect(self.dialog()).to_contain_text(f"Cost: {cost}.")
        self.dialog().get_by_role("button", name="Send to 3 people").click()
        expect(self.page.get_by_text("of 0.095 EUR planned")).to_be_visible()
        self.stack.call("POST", f"/v1/schedules/{made['id']}/cancel", {})

    def test_a_budget_pauses_a_schedule_and_the_page_says_what_to_do(self):
        name, scope, key = self.key()
        body = {
            "run_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3600)),
            "message": "Doors open at 8",
            "recipients": [f"+6012{number:07}" for number in range(3_000_000, 3_000_005)],
        }
        made = self.stack.call("POST", "/v1/schedules", body, key)
        self.log_in("admin", "money")
        self.set_budget(scope, "2")
        expect(self.budgets(name)).to_contain_text("0 of 2")
        soon = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3))
        self.stack.call("PATCH", f"/v1/schedules/{made['id']}", {"run_at": soon}, key)
        self.open(f"schedules/{made['id']}")
        expect(self.page.get_by_text("Reason: budget of key:")).to_be_visible(timeout=60_000)
        expect(self.page.get_by_text("A budget is used up. Have it raised")).to_be_visible()
        self.assert_accessible_everywhere()
        notice = self.page.get_by_role("status").filter(has_text="A budget is used up")
        notice.get_by_role("link", name="Prices and budgets").click()
        self.heading("Prices and budgets")
        expect(self.budgets(name)).to_contain_text("used up")
        self.change_budget(name, "50")
        expect(self.budgets(name)).to_contain_text("of 50")
        self.open(f"schedules/{made['id']}")
        self.page.get_by_role("button", name="Resume").click()
        self.dialog().get_by_role("button", name="Resume").click()
        expect(self.page.get_by_text("Sent to 5 of 5 people.")).to_be_visible(timeout=90_000)
        self.open("money")
        self.remove_budget(name)

    def test_a_viewer_sees_prices_without_buttons(self):
        self.log_in("viewer", "money")
        expect(self.page.get_by_text("No budget holds for you.")).to_be_visible()
        self.assert_no_buttons()
        self.assert_accessible()
