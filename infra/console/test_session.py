"""Logging in and out: the first login, a wrong password, an expired session, two tabs."""

import unittest

from harness import PASSWORD, ConsoleTest, code_of, expect


class Session(ConsoleTest):
    """The session of a person."""

    def test_the_first_login_changes_the_password(self):
        name, temporary = self.person("operator")
        self.open()
        self.enter(name, temporary)
        expect(self.page.get_by_text("This password is temporary")).to_be_visible()
        submit = self.page.get_by_role("button", name="Change the password and log in")
        self.page.get_by_label("New password", exact=True).fill("short")
        self.page.get_by_label("New password again").fill("short")
        submit.click()
        expect(self.page.get_by_role("alert")).to_contain_text("at least 12 characters")
        self.page.get_by_label("New password", exact=True).fill(PASSWORD)
        submit.click()
        expect(self.page.get_by_role("alert")).to_contain_text("differ")
        self.page.get_by_label("New password again").fill(PASSWORD)
        submit.click()
        self.heading("Schedules")
        # The new password is the one that counts from now on.
        self.page.get_by_role("button", name="Log out", exact=True).click()
        expect(self.page.get_by_text("You are logged out.")).to_be_visible()
        self.enter(name, PASSWORD)
        self.heading("Schedules")

    def test_a_wrong_password_is_refused_and_names_no_account(self):
        name, _ = self.person("viewer")
        self.open()
        self.enter(name, "not the password")
        refused = self.page.get_by_role("alert")
        expect(refused).to_be_visible()
        text = refused.inner_text()
        self.enter(f"{name}-none", "not the password")
        expect(self.page.get_by_role("button", name="Log in")).to_be_enabled()
        self.assertEqual(self.page.get_by_role("alert").inner_text(), text)

    def test_a_second_factor_is_set_up_and_asked_for(self):
        name = self.log_in("operator", "account")
        self.page.get_by_role("button", name="Set up").click()
        dialog = self.page.get_by_role("dialog")
        dialog.get_by_label("Current password").fill(PASSWORD)
        dialog.get_by_role("button", name="Continue").click()
        expect(self.page.get_by_role("img", name="QR code")).to_be_visible()
        secret = self.page.get_by_text("Or type this secret").locator("code").inner_text()
        self.page.locator("input[name=code]").fill(code_of(secret))
        self.page.get_by_role("button", name="Enable").click()
        expect(self.page.locator(".codes code")).to_have_count(10)
        codes = self.page.locator(".codes code").all_inner_texts()
        self.assert_accessible()
        self.page.get_by_role("button", name="I have kept them").click()
        expect(self.page.get_by_text("Recovery codes left")).to_be_visible()
        self.page.get_by_role("button", name="Log out", exact=True).click()
        self.enter(name, PASSWORD)
        self.page.locator("input[name=code]").fill(codes[0].upper())
        self.page.get_by_role("button", name="Log in").click()
        self.heading("Account")

    def test_one_of_several_sessions_is_ended(self):
        name = self.log_in("viewer", "account")
        device = self.new_context()
        try:
            elsewhere = self.new_page(device)
            self.open(page=elsewhere)
            self.enter(name, PASSWORD, elsewhere)
            self.heading("Schedules", elsewhere)
            self.page.reload()
            table = self.page.get_by_role("table", name="Sessions")
            expect(table.get_by_text("this one")).to_be_visible()
            table.get_by_role("button", name="End").click()
            expect(table.get_by_role("button", name="End")).to_have_count(0)
            elsewhere.reload()
            expect(elsewhere.get_by_role("button", name="Log in")).to_be_visible()
        finally:
            device.close()

    def test_a_reload_continues_the_session_without_a_token_in_the_page(self):
        self.log_in("operator")
        self.page.reload()
        self.heading("Schedules")
        stored = self.page.evaluate(
            "JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])"
        )
        self.assertEqual(stored, '[{},{},""]')
        [refresh] = [one for one in self.context.cookies() if one["name"] == "sms_refresh"]
        self.assertTrue(refresh["httpOnly"] and refresh["sameSite"] == "Strict", refresh)

    def test_an_ended_session_leads_to_the_login_and_back(self):
        name = self.log_in("operator", "account")
        # An administrator ends it, as a logout on another device would.
        users = self.stack.call("GET", "/v1/users?limit=200", None, self.stack.administrator())
        [user] = [one for one in users["users"] if one["username"] == name]
        self.stack.call(
            "PATCH", f"/v1/users/{user['id']}", {"disabled": True}, self.stack.administrator()
        )
        self.page.get_by_role("link", name="Schedules").first.click()
        expect(self.page.get_by_text("Your session has ended")).to_be_visible()
        self.stack.call(
            "PATCH", f"/v1/users/{user['id']}", {"disabled": False}, self.stack.administrator()
        )
        self.enter(name, PASSWORD)
        self.heading("Schedules")

    def test_two_tabs_share_a_session_and_end_together(self):
        self.log_in("operator")
        other = self.new_page(self.context)
        # Both exchange the same cookie at the same time.
        self.open(page=other)
        self.page.reload()
        self.heading("Schedules", other)
        self.heading("Schedules")
        self.page.get_by_role("button", name="Log out", exact=True).click()
        expect(other.get_by_text("You have logged out in another tab")).to_be_visible()

    def test_without_local_logins_the_page_says_what_to_do(self):
        self.log_in("operator", "schedules")
        issuer = "http://127.0.0.1:9/realms/shop"
        switched_off = {"LOCAL_LOGIN": "false", "OIDC_ISSUER": issuer, "OIDC_AUDIENCE": "sms"}
        with self.stack.deployed_with("Api", **switched_off):
            # The session of before ends, and a new tab has no form that could not work.
            for begin in (self.page.get_by_role("link", name="Messages").click, self.open):
                begin()
                expect(self.page.get_by_text("LocalLogin=false")).to_be_visible()
                expect(self.page.get_by_text(issuer)).to_be_visible()
                expect(self.page.get_by_text("with an API key of yours")).to_be_visible()
                expect(self.page.get_by_label("Password")).to_have_count(0)
                self.page.reload()
            self.assert_accessible_everywhere()
        self.page.reload()
        self.heading("Schedules")

    def test_a_person_logs_out_everywhere(self):
        name = self.log_in("operator")
        device = self.new_context()
        try:
            elsewhere = self.new_page(device)
            self.open(page=elsewhere)
            self.enter(name, PASSWORD, elsewhere)
            self.heading("Schedules", elsewhere)
            self.open("account")
            self.page.get_by_role("button", name="Log out everywhere").click()
            self.page.get_by_role("dialog").get_by_role("button", name="Log out everywhere").click()
            expect(self.page.get_by_text("You are logged out.")).to_be_visible()
            # Its next call finds that the session has ended.
            expect(elsewhere.get_by_text("Your session has ended")).to_be_visible()
        finally:
            device.close()


if __name__ == "__main__":
    unittest.main()
