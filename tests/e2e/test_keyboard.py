"""All of the main way with a keyboard only."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.e2e.journeys import BUILD_MS, Visitor
from tests.processes import RunningHub

MOST_TABS = 120


def tab_to(page: Page, name: str) -> None:
    """Press Tab until the element with that accessible name has the focus."""
    for _ in range(MOST_TABS):
        page.keyboard.press("Tab")
        focused = page.evaluate(
            "() => { const e = document.activeElement;"
            " return (e.labels?.[0]?.textContent || e.getAttribute('aria-label') || e.textContent || '').trim(); }"
        )
        if focused == name:
            return
    raise AssertionError(f"Tab never reached “{name}”")


def test_a_cluster_is_created_with_a_keyboard_only(running_hub: RunningHub, visitor: Visitor) -> None:
    page = visitor.page
    visitor.opens(running_hub.url)
    expect(page.get_by_label("Domain")).to_have_value("sandbox.test")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    tab_to(page, "Cluster name")
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.type("by-hand")
    tab_to(page, "SSH public keys")
    page.keyboard.insert_text(visitor.public_key)
    tab_to(page, "Apply")
    page.keyboard.press("Enter")
    visitor.sees_status("plan_ready")
    tab_to(page, "OK, build it")
    page.keyboard.press("Enter")
    expect(visitor.success).to_be_visible(timeout=BUILD_MS)
    expect(visitor.success.get_by_role("button", name="Close")).to_be_focused()
    page.keyboard.press("Escape")
    expect(visitor.success).to_be_hidden()
