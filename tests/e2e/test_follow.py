"""A cluster's page while something happens to it: failure, reload, a second tab, a lost connection."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import BrowserContext, expect

from tests.e2e.journeys import BUILD_MS, Visitor
from tests.processes import RunningHub, wait_until


def test_a_build_that_fails_half_way_says_why_and_can_go_on(running_hub: RunningHub, visitor: Visitor) -> None:
    page, admin = visitor.page, running_hub.sandbox.admin
    admin.fault("status", method="POST", path="*/os-volume_attachments", status=403, message="Not today.", times=1)
    visitor.plans(running_hub.url, "half-way")
    visitor.confirms()
    visitor.sees_status("build_error")
    failure = page.get_by_role("region", name="The build stopped")
    expect(failure).to_contain_text("Not today.")
    expect(failure).to_contain_text("attached")
    progress = page.get_by_role("table", name="Progress of each resource")
    expect(progress.get_by_role("row", name=re.compile("attached.*Not today"))).to_contain_text("failed")
    expect(progress.get_by_role("row", name=re.compile('instance_v2.host."login1"'))).to_contain_text("done")
    expect(page.get_by_role("region", name="Nodes", exact=True)).to_contain_text("running")
    expect(page.get_by_role("log")).to_contain_text("Error:")

    failure.get_by_role("button", name="Plan again", exact=True).click()
    visitor.sees_status("plan_ready")
    visitor.confirms()
    expect(visitor.success).to_be_visible(timeout=BUILD_MS)


def test_a_reload_shows_the_truth_and_the_whole_log_once(running_hub: RunningHub, visitor: Visitor) -> None:
    page = visitor.page
    running_hub.sandbox.admin.tune(boot_seconds=6)
    visitor.plans(running_hub.url, "reloaded")
    visitor.confirms()
    visitor.sees_status("build_running")
    expect(page.get_by_role("log")).to_contain_text("Creating...")
    page.reload()
    visitor.sees_status("build_running")
    expect(page.get_by_role("progressbar", name="Progress of the build")).to_be_visible()
    visitor.sees_status("provisioning_running", "provisioning_success")

    operations = running_hub.hub.get("/api/clusters/reloaded.sandbox.test/operations").json["items"]
    log = running_hub.hub.get(f"/api/clusters/reloaded.sandbox.test/operations/{operations[0]['id']}/log").body
    written = len([line for line in log.decode().split("\n") if line.strip()])
    wait_until(lambda: page.locator(".log-line").count() == written, f"{written} lines are shown")


def test_a_plan_that_was_decided_in_another_tab_cannot_be_applied(
    shared_hub: RunningHub, visitor: Visitor, context: BrowserContext
) -> None:
    visitor.plans(shared_hub.url, "two-tabs")
    other = Visitor(context.new_page(), visitor.public_key)
    other.opens(visitor.page.url)
    other.sees_status("plan_ready")
    # The other tab does not hear of anything from now on, as if it had slept.
    other.page.route("**/status", lambda route: route.abort())
    visitor.page.get_by_role("button", name="Drop this plan").click()
    visitor.sees_status("created")
    other.confirms()
    expect(other.page.get_by_role("alert").filter(has_text="The plan is stale")).to_be_focused()


def test_what_one_tab_starts_the_other_tab_shows(
    shared_hub: RunningHub, visitor: Visitor, context: BrowserContext
) -> None:
    visitor.plans(shared_hub.url, "both-tabs")
    other = Visitor(context.new_page(), visitor.public_key)
    other.opens(visitor.page.url)
    other.sees_status("plan_ready")
    visitor.confirms()
    other.sees_status("build_running", "provisioning_running", "provisioning_success")
    other.sees_status("provisioning_success")
    visitor.sees_status("provisioning_success")


def test_a_lost_connection_is_said_and_heals(shared_hub: RunningHub, visitor: Visitor, context: BrowserContext) -> None:
    visitor.plans(shared_hub.url, "offline")
    context.set_offline(True)
    notice = visitor.page.get_by_text("The connection to the hub is lost")
    expect(notice).to_be_visible(timeout=15_000)
    context.set_offline(False)
    expect(notice).to_be_hidden(timeout=15_000)
    expect(visitor.page.get_by_role("button", name="OK, build it")).to_be_enabled()


def test_a_build_that_is_cancelled_ends_and_can_be_planned_again(running_hub: RunningHub, visitor: Visitor) -> None:
    page = visitor.page
    running_hub.sandbox.admin.tune(boot_seconds=4)
    visitor.plans(running_hub.url, "cancelled")
    visitor.confirms()
    visitor.sees_status("build_running")
    expect(page.get_by_role("log")).to_contain_text("Creating...")
    page.get_by_role("button", name="Cancel").click()
    visitor.sees_status("build_error")
    expect(page.get_by_role("region", name="The build stopped")).to_be_visible()
    expect(page.get_by_role("button", name="Plan again", exact=True)).to_be_enabled()


@pytest.mark.parametrize("width", [390, 1440])
def test_a_cluster_that_is_gone_says_so(shared_hub: RunningHub, visitor: Visitor, width: int) -> None:
    visitor.page.set_viewport_size({"width": width, "height": 900})
    answer = visitor.page.goto(f"{shared_hub.url}/clusters/nobody.sandbox.test")
    assert answer is not None
    assert answer.status == 404
    expect(visitor.page.get_by_role("heading", name="Not found")).to_be_visible()
    visitor.sees_no_sideways_scrolling()
