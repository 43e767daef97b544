"""Creating a cluster in a browser: from the empty hub to the success dialog, and what may go wrong on the form."""

from __future__ import annotations

import re

from playwright.sync_api import Browser, expect

from tests.e2e.journeys import BUILD_MS, Visitor
from tests.processes import RunningHub, wait_until


def test_a_newcomer_is_led_from_the_empty_hub_to_a_ready_cluster(running_hub: RunningHub, visitor: Visitor) -> None:
    page = visitor.page
    visitor.opens(running_hub.url)
    expect(page).to_have_url(f"{running_hub.url}/create-cluster")
    expect(page.get_by_label("Domain")).to_have_value("sandbox.test")
    expect(page.get_by_role("row", name=re.compile("Instances"))).to_contain_text("4")
    page.get_by_label("SSH public keys").fill(visitor.public_key)
    visitor.submits()

    visitor.sees_status("plan_ready")
    expect(page.get_by_text(re.compile("adds 4 nodes", re.IGNORECASE))).to_be_visible()
    page.locator("summary", has_text='openstack_compute_instance_v2.host["login1"]').click()
    expect(page.get_by_role("region", name=re.compile("Changes of .*login1"))).to_contain_text("flavor")
    visitor.confirms()

    visitor.sees_status("build_running")
    expect(page.get_by_role("progressbar", name="Progress of the build")).to_be_visible()
    expect(page.get_by_role("log")).to_contain_text("Creating...")
    visitor.sees_status("provisioning_running", "provisioning_success")
    expect(page.get_by_role("region", name="Nodes", exact=True)).to_contain_text("login1")

    expect(visitor.success).to_be_visible(timeout=BUILD_MS)
    expect(visitor.success.get_by_role("link", name="JupyterHub")).to_have_attribute(
        "href", re.compile("^https://jupyter")
    )
    expect(visitor.success.get_by_role("link", name="FreeIPA")).to_have_attribute("href", re.compile("^https://ipa"))
    expect(visitor.success).to_contain_text("ssh centos@127.")
    expect(visitor.success).to_contain_text("ipa.cluster.sandbox.test")
    visitor.success.get_by_role("button", name="Show the passwords").click()
    expect(visitor.success.get_by_text("Guests")).to_be_visible()
    visitor.success.get_by_role("button", name="Close").click()

    page.reload()
    visitor.sees_status("provisioning_success")
    expect(page.get_by_role("heading", name="How to connect")).to_be_visible()
    expect(visitor.success).to_be_hidden()
    visitor.opens(running_hub.url)
    expect(page.get_by_role("row", name=re.compile("cluster.sandbox.test"))).to_contain_text("Ready")


def test_what_is_wrong_is_said_at_its_field_and_on_top_with_a_link(shared_hub: RunningHub, visitor: Visitor) -> None:
    page = visitor.page
    visitor.opens(f"{shared_hub.url}/create-cluster")
    page.get_by_label("Cluster name").fill("Not A Name")
    page.get_by_label("SSH public keys").fill("no key at all")
    page.get_by_role("group", name="Group mgmt", exact=True).get_by_label("Count").fill("-1")
    visitor.submits()

    summary = page.get_by_role("alert").filter(has_text="Some values are not right")
    expect(summary).to_be_focused()
    visitor.sees_the_field_in_error("Cluster name", re.compile("lower-case letter"))
    visitor.sees_the_field_in_error("SSH public keys", re.compile("must be an SSH public key"))
    summary.get_by_role("link", name=re.compile("Cluster name")).click()
    expect(page.get_by_label("Cluster name")).to_be_focused()
    expect(page.get_by_label("Cluster name")).to_have_value("Not A Name")
    count = page.get_by_role("group", name="Group mgmt", exact=True).get_by_label("Count")
    expect(count).to_have_attribute("aria-invalid", "true")
    assert shared_hub.hub.get("/api/clusters/Not%20A%20Name.sandbox.test").status == 404


def test_two_groups_of_one_name_are_refused_before_one_is_lost(shared_hub: RunningHub, visitor: Visitor) -> None:
    page = visitor.page
    visitor.fills_the_form(shared_hub.url, "twice")
    page.get_by_role("button", name="Add a group").click()
    expect(page.get_by_role("group", name="Group node-a", exact=True).get_by_label("Name")).to_be_focused()
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.type("node")
    visitor.submits()
    expect(page.get_by_role("alert").filter(has_text="Two groups are called")).to_be_focused()


def test_what_was_typed_is_there_again_after_a_reload(shared_hub: RunningHub, visitor: Visitor) -> None:
    page = visitor.page
    visitor.fills_the_form(shared_hub.url, "half-done")
    page.get_by_label("Guests' password").fill("do not keep me")
    wait_until(lambda: "half-done" in page.evaluate("JSON.stringify(localStorage)"), "the draft is kept")
    assert "do not keep me" not in page.evaluate("JSON.stringify(localStorage)")
    page.reload()
    expect(page.get_by_label("Cluster name")).to_have_value("half-done")
    expect(page.get_by_label("SSH public keys")).to_have_value(visitor.public_key)
    page.get_by_role("button", name="Start over").click()
    expect(page.get_by_label("Cluster name")).to_have_value("cluster")


def test_a_flavor_too_small_for_a_tag_cannot_be_chosen_and_says_why(shared_hub: RunningHub, visitor: Visitor) -> None:
    visitor.opens(f"{shared_hub.url}/create-cluster")
    flavors = visitor.page.get_by_role("group", name="Group mgmt", exact=True).get_by_label("Flavor")
    small = flavors.locator("option", has_text="p2-3gb")
    expect(small).to_be_disabled()
    expect(small).to_contain_text("mgmt needs 6 GB of RAM")


def test_the_quota_table_follows_what_is_typed(shared_hub: RunningHub, visitor: Visitor) -> None:
    page = visitor.page
    visitor.opens(f"{shared_hub.url}/create-cluster")
    row = page.get_by_role("row", name=re.compile("^Instances"))
    expect(row).to_contain_text("4")
    page.get_by_role("group", name="Group node", exact=True).get_by_label("Count").fill("900")
    expect(row).to_contain_text("902")
    expect(page.get_by_text("This cluster does not fit into what is free.")).to_be_visible()


def test_a_double_click_creates_one_cluster(shared_hub: RunningHub, visitor: Visitor) -> None:
    page, posts = visitor.page, []
    page.on("request", lambda request: posts.append(request.url) if request.method == "POST" else None)
    visitor.fills_the_form(shared_hub.url, "only-once")
    page.get_by_role("button", name="Apply").dblclick()
    visitor.sees_status("plan_ready")
    assert len(posts) == 1


def test_a_cloud_that_is_down_is_said_and_loses_nothing(running_hub: RunningHub, visitor: Visitor) -> None:
    page = visitor.page
    running_hub.sandbox.kill()
    visitor.fills_the_form(running_hub.url, "patient")
    expect(page.get_by_text("The cloud did not answer as it should")).to_be_visible()
    visitor.submits()
    expect(page.get_by_role("alert").filter(has_text="The cloud did not answer")).to_be_focused()
    expect(page.get_by_label("Cluster name")).to_have_value("patient")
    running_hub.sandbox = running_hub.sandbox.restart()
    offer = "/api/available-resources?project=default"
    wait_until(lambda: running_hub.hub.get(offer).status == 200, "the hub hears the cloud again")
    visitor.submits()
    visitor.sees_status("plan_ready")


def test_the_form_fits_a_phone(shared_hub: RunningHub, browser: Browser, public_key: str) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    visitor = Visitor(context.new_page(), public_key)
    visitor.opens(f"{shared_hub.url}/create-cluster")
    expect(visitor.page.get_by_role("row", name=re.compile("^Instances"))).to_be_visible()
    visitor.sees_no_sideways_scrolling()
    context.close()
