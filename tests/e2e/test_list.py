"""The list of clusters in a browser."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from tests.e2e.journeys import Visitor
from tests.processes import RunningHub


def test_the_list_follows_what_happens_without_a_reload(running_hub: RunningHub, visitor: Visitor) -> None:
    page = visitor.page
    visitor.plans(running_hub.url, "followed")
    visitor.opens(running_hub.url)
    row = page.get_by_role("row", name=re.compile("followed.sandbox.test"))
    expect(row).to_contain_text("Plan to review")
    expect(row.locator("time")).to_have_text(re.compile("second|now|minute"))
    page.evaluate("() => { window.theSamePage = true; }")
    assert running_hub.hub.delete("/api/clusters/followed.sandbox.test/plan").status == 204
    expect(row).to_contain_text("Created", timeout=15_000)
    expect(row.locator("time")).to_have_text(re.compile("second|now|minute"))
    assert running_hub.hub.delete("/api/clusters/followed.sandbox.test?confirm=followed.sandbox.test").status == 204
    expect(page.get_by_text("No cluster yet.")).to_be_visible(timeout=15_000)
    assert page.evaluate("() => window.theSamePage")


def test_a_dropped_first_plan_leaves_what_was_typed(shared_hub: RunningHub, visitor: Visitor) -> None:
    page = visitor.page
    visitor.plans(shared_hub.url, "dropped")
    page.get_by_role("button", name="Drop this plan").click()
    visitor.sees_status("created")
    expect(page.get_by_text("The plan was dropped.").first).to_be_visible()
    page.get_by_role("link", name="Edit and plan again").locator("visible=true").click()
    expect(page.get_by_label("SSH public keys")).to_have_value(visitor.public_key)
    page.get_by_role("button", name="Plan the change").click()
    visitor.sees_status("plan_ready")
