"""Changing and destroying a cluster in a browser."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from tests.e2e.journeys import BUILD_MS, Visitor
from tests.processes import RunningHub


def test_a_cluster_gets_a_node_more_and_is_destroyed_by_its_name(running_hub: RunningHub, visitor: Visitor) -> None:
    page = visitor.page
    visitor.plans(running_hub.url, "changing")
    visitor.confirms()
    expect(visitor.success).to_be_visible(timeout=BUILD_MS)
    visitor.success.get_by_role("button", name="Close").click()

    page.get_by_role("link", name="Modify").click()
    expect(page.get_by_label("Cluster name")).to_be_disabled()
    page.get_by_role("group", name="Group node", exact=True).get_by_label("Count").fill("3")
    page.get_by_role("button", name="Plan the change").click()
    visitor.sees_status("plan_ready")
    expect(page.get_by_text(re.compile("adds 1 node: node3", re.IGNORECASE))).to_be_visible()
    visitor.confirms()
    expect(visitor.success).to_be_visible(timeout=BUILD_MS)
    visitor.success.get_by_role("button", name="Close").click()
    expect(page.get_by_role("region", name="Nodes", exact=True)).to_contain_text("node3")

    page.get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Plan the destruction").click()
    visitor.sees_status("plan_ready")
    destroy = page.get_by_role("button", name="Destroy", exact=True)
    expect(destroy).to_be_disabled()
    page.get_by_role("textbox", name=re.compile("To confirm, type")).fill("changing.sandbox.test")
    destroy.click()
    expect(page.get_by_text("This cluster is gone.")).to_be_visible(timeout=BUILD_MS)


def test_a_change_that_changes_nothing_says_so(running_hub: RunningHub, visitor: Visitor) -> None:
    page = visitor.page
    visitor.plans(running_hub.url, "the-same")
    visitor.confirms()
    expect(visitor.success).to_be_visible(timeout=BUILD_MS)
    page.goto(f"{running_hub.url}/clusters/the-same.sandbox.test/edit")
    page.get_by_role("button", name="Plan the change").click()
    page.wait_for_url("**/clusters/the-same.sandbox.test")
    visitor.sees_status("provisioning_success")
    expect(page.get_by_text("Nothing to change.").first).to_be_visible()


def test_a_cluster_that_never_was_built_is_deleted_at_once(shared_hub: RunningHub, visitor: Visitor) -> None:
    page = visitor.page
    visitor.plans(shared_hub.url, "never-built")
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Plan the destruction").click()
    expect(page.get_by_role("textbox", name=re.compile("To confirm, type"))).to_be_focused()
    page.keyboard.type("never-built.sandbox.test")
    page.keyboard.press("Enter")
    expect(page.get_by_text("This cluster is gone.")).to_be_visible()
    assert shared_hub.hub.get("/api/clusters/never-built.sandbox.test").status == 404
