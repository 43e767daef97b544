"""axe-core finds nothing on any page, in light and in dark, with everything that can be opened open."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.conftest import ROOT
from tests.e2e.journeys import BUILD_MS, Visitor
from tests.processes import RunningHub

AXE = ROOT / "node_modules/axe-core/axe.min.js"


def violations(page: Page) -> list[str]:
    """What axe-core finds on the page as it is."""
    page.evaluate("() => document.querySelectorAll('details').forEach((details) => { details.open = true; })")
    page.evaluate(f"{AXE.read_text()}; 0")
    found: dict[str, Any] = page.evaluate("() => axe.run()")
    return [f"{each['id']}: {[node['target'] for node in each['nodes']]}" for each in found["violations"]]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nobody_is_shut_out_of_any_page(shared_hub: RunningHub, browser: Browser, public_key: str, scheme: Any) -> None:
    context = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme=scheme)
    page = context.new_page()
    visitor, name = Visitor(page, public_key), f"open-to-all-{scheme}"

    visitor.opens(f"{shared_hub.url}/create-cluster")
    page.get_by_label("Cluster name").fill("X")
    visitor.submits()
    expect(page.get_by_role("alert").filter(has_text="Some values are not right")).to_be_focused()
    assert violations(page) == []

    visitor.plans(shared_hub.url, name)
    assert violations(page) == []
    visitor.confirms()
    visitor.sees_status("build_running")
    assert violations(page) == []
    expect(visitor.success).to_be_visible(timeout=BUILD_MS)
    assert violations(page) == []
    visitor.success.get_by_role("button", name="Close").click()
    page.get_by_role("button", name="Console of login1").click()
    assert violations(page) == []

    for path in ("/?list", "/api/docs", "/clusters/nobody.sandbox.test"):
        visitor.opens(f"{shared_hub.url}{path}")
        assert violations(page) == [], path
    context.close()
