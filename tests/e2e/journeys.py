"""What a person does on the pages, in their words."""

from __future__ import annotations

from dataclasses import dataclass

from playwright.sync_api import Locator, Page, expect

BUILD_MS = 90_000


@dataclass
class Visitor:
    """A person in front of one tab."""

    page: Page
    public_key: str

    def opens(self, url: str) -> None:
        """Goes to a URL and waits until the page is there."""
        self.page.goto(url)

    def fills_the_form(self, hub_url: str, name: str) -> None:
        """Opens the create form, gives the cluster a name and a key."""
        self.opens(f"{hub_url}/create-cluster")
        self.page.get_by_label("Cluster name").fill(name)
        self.page.get_by_label("SSH public keys").fill(self.public_key)

    def submits(self) -> None:
        """Presses the form's one large button."""
        self.page.get_by_role("button", name="Apply").click()

    def plans(self, hub_url: str, name: str) -> None:
        """From the form to the plan's review."""
        self.fills_the_form(hub_url, name)
        self.submits()
        self.page.wait_for_url(f"**/clusters/{name}.sandbox.test")
        self.sees_status("plan_ready")

    def confirms(self) -> None:
        """Says OK to the plan."""
        self.page.get_by_role("button", name="OK, build it").click()

    def sees_status(self, *statuses: str, timeout: float = BUILD_MS) -> None:
        """Waits until the chip on top shows one of the statuses."""
        chips = ", ".join(f'.head-line .chip[data-status="{status}"]' for status in statuses)
        self.page.wait_for_selector(chips, timeout=timeout)

    @property
    def status(self) -> Locator:
        """The chip on top of a cluster's page."""
        return self.page.locator(".head-line .chip")

    @property
    def success(self) -> Locator:
        """The success dialog."""
        return self.page.get_by_role("dialog", name="Your cluster is ready")

    def sees_no_sideways_scrolling(self) -> None:
        """The page fits into the window's width."""
        assert self.page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")

    def sees_the_field_in_error(self, label: str, message: str) -> None:
        """The field is marked, and its message is tied to it."""
        box = self.page.get_by_label(label, exact=True)
        expect(box).to_have_attribute("aria-invalid", "true")
        expect(box).to_have_accessible_description(message)
