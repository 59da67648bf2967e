"""The functions' logs after the use of the console: they have no token, number or text."""

import os
import secrets

import logs
from harness import PASSWORD, ROOT, ConsoleTest, expect
from processes import Processes
from spreadsheets import xlsx


class Logs(ConsoleTest):
    """What a person types, and what the browser keeps of a session."""

    def test_logs_have_no_token_number_or_text(self):
        tokens = []
        self.page.on("response", lambda answer: tokens.extend(self.tokens_of(answer)))
        self.log_in("operator", "send")
        tokens.extend(cookie["value"] for cookie in self.context.cookies())
        # Numbers without neighbours, so that no other test has them.
        numbers = [f"60129{secrets.randbelow(10**6):06}" for _ in range(3)]
        text, reference = f"Private {secrets.token_hex(8)}", f"R{secrets.token_hex(8)}"
        rows = [
            ["phone", "reference"],
            [int(numbers[0]), reference],
            [int(numbers[1]), "b"],
        ]
        file = {
            "name": "private.xlsx",
            "mimeType": "application/octet-stream",
            "buffer": xlsx({"Private": rows}),
        }
        self.page.get_by_label("File with the list").set_input_files(files=[file])
        self.page.get_by_label("Country of numbers without +").fill("MY")
        self.page.get_by_label("Text", exact=True).fill(text)
        self.page.get_by_role("button", name="Upload and check").click()
        expect(self.page.get_by_role("button", name="Send to 2 people …")).to_be_visible()
        preview = self.page.get_by_label("Phone number")
        preview.fill(f"+{numbers[0]}")
        preview.press("Enter")
        expect(self.page.get_by_role("row").filter(has_text=numbers[1])).to_have_count(0)
        self.open("messages")
        for typed in numbers:
            self.page.get_by_label("Phone number").fill(f"+{typed}")
            self.page.get_by_role("button", name="Find").click()
            expect(self.page.get_by_text("Loading …")).to_have_count(0)
        self.page.get_by_role("button", name="Log out", exact=True).click()
        expect(self.page.get_by_text("You are logged out.")).to_be_visible()
        self.assertGreaterEqual(len(set(tokens)), 2, "the tokens were not seen")
        lines = logs.lines(Processes(ROOT / os.environ.get("STATE", ".local")))
        self.assertTrue(any("/v1/spreadsheets/convert" in line for line in lines))
        private = [*set(tokens), *numbers, text, reference, PASSWORD]
        found = [line for line in lines if any(one in line for one in private)]
        self.assertEqual(found, [])

    def tokens_of(self, answer):
        """Returns the access token of an answer."""
        if not answer.url.endswith(("/v1/auth/login", "/v1/auth/refresh")) or not answer.ok:
            return []
        return [answer.json()["access_token"]]
