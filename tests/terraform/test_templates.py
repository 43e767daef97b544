"""A cluster template is data; what is wrong with one is said with its file and key."""

from __future__ import annotations

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from app.terraform.templates import Module, TemplateError, load_template, load_templates, load_usable_templates

SMALL = """
title = "Small"
{extra}
[module]
source = "local"
path = "module"
versions = ["1"]
default_version = "1"
[providers.openstack]
source = "terraform-provider-openstack/openstack"
version = "3.4.0"
[[parameters]]
name = "cluster_name"
title = "Name"
required = true
[[parameters]]
name = "guest_passwd"
title = "Password"
default = ""
secret = true
"""


def write(root: Path, text: str = SMALL, *, extra: str = "", name: str = "small") -> Path:
    folder = root / name
    (folder / "module").mkdir(parents=True)
    (folder / "template.toml").write_text(text.replace("{extra}", extra))
    (folder / "main.tf.json.j2").write_text("{}")
    (folder / "module" / "main.tf").write_text("")
    return folder


def test_templates_are_found_by_folder(tmp_path: Path) -> None:
    write(tmp_path, name="one")
    write(tmp_path, name="two")
    (tmp_path / "no-template").mkdir()
    assert list(load_templates(tmp_path)) == ["one", "two"]


def test_a_missing_folder_of_templates_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(TemplateError, match="no such folder"):
        load_templates(tmp_path / "none")


def test_a_template_says_what_it_declares(tmp_path: Path) -> None:
    template = load_template(write(tmp_path))
    assert template.secret_names == {"guest_passwd"}
    assert template.required_providers == {
        "openstack": {"source": "terraform-provider-openstack/openstack", "version": "= 3.4.0"}
    }
    assert template.module_folder == tmp_path / "small" / "module"
    assert template.provisioning_limit_minutes == 60


@pytest.mark.parametrize("none", ['probes = "none"', "probes = []", ""])
def test_probes_can_be_switched_off(tmp_path: Path, none: str) -> None:
    assert load_template(write(tmp_path, extra=none)).probes == ()


@pytest.mark.parametrize(
    ("extra", "named"),
    [
        ("provisioning_limit_minutes = 0", "provisioning_limit_minutes"),
        ('colour = "red"', "colour"),
        ('probes = [{ name = "x", url = "ftp://x" }]', "probes.0.url"),
        (
            'tag_requirements = { mgmt = { ram_mb = "much", vcpus = 1, root_disk_gb = 1 } }',
            "tag_requirements.mgmt.ram_mb",
        ),
        ("default_parameters = { colour = 1 }", "default_parameters are not declared: colour"),
        ('name = "other"', "name: not settable"),
        ("title = 3", "template.toml"),
    ],
)
def test_an_error_names_the_file_and_the_key(tmp_path: Path, extra: str, named: str) -> None:
    folder = write(tmp_path, extra=extra)
    with pytest.raises(TemplateError) as caught:
        load_template(folder)
    assert named in str(caught.value)
    assert str(folder / "template.toml") in str(caught.value)


def test_a_provider_version_must_be_exact(tmp_path: Path) -> None:
    with pytest.raises(TemplateError, match=r"providers\.openstack\.version"):
        load_template(write(tmp_path, SMALL.replace('"3.4.0"', '">= 3.4"')))


def test_a_parameter_is_declared_once(tmp_path: Path) -> None:
    with pytest.raises(TemplateError, match="declared twice: cluster_name"):
        load_template(write(tmp_path, SMALL.replace("guest_passwd", "cluster_name")))


def test_a_module_outside_the_template_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TemplateError, match="inside the template's folder"):
        load_template(write(tmp_path, SMALL.replace('path = "module"', 'path = "../module"')))


def test_a_template_without_configuration_or_module_is_refused(tmp_path: Path) -> None:
    folder = write(tmp_path)
    (folder / "module" / "main.tf").unlink()
    with pytest.raises(TemplateError, match=r"module\.path"):
        load_template(folder)
    (folder / "main.tf.json.j2").unlink()
    with pytest.raises(TemplateError, match=r"main\.tf\.json\.j2: missing"):
        load_template(folder)


def test_a_git_module_is_fetched_at_its_release_into_a_private_copy() -> None:
    module = Module(
        source="git", url="https://git.example/mc.git", path="openstack", versions=("15.6.1",), default_version="15.6.1"
    )
    assert module.source_of("15.6.1") == "git::https://git.example/mc.git//openstack?ref=15.6.1"
    with pytest.raises(TemplateError, match=r"no version '16'; it has 15\.6\.1"):
        module.source_of("16")


@pytest.mark.parametrize("wrong", [{"url": "ssh://x"}, {"default_version": "2"}])
def test_a_git_module_needs_https_and_a_version_that_exists(wrong: dict[str, str]) -> None:
    with pytest.raises(ValueError):
        Module.model_validate({"source": "git", "url": "https://x", "versions": ["1"], "default_version": "1"} | wrong)


def test_parameters_are_completed_with_declared_defaults(tmp_path: Path) -> None:
    template = load_template(write(tmp_path))
    assert template.complete_parameters({"cluster_name": "a"}) == {"cluster_name": "a", "guest_passwd": ""}
    with pytest.raises(TemplateError, match="needs a value for cluster_name"):
        template.complete_parameters({})
    with pytest.raises(TemplateError, match="has no parameter colour"):
        template.complete_parameters({"cluster_name": "a", "colour": 1})


def test_a_probe_knows_its_address() -> None:
    probes = load_template(Path(__file__).parents[2] / "terraform_templates" / "sandbox").probes
    assert [(probe.name, probe.url_for("a.b")) for probe in probes] == [
        ("jupyterhub", "https://jupyter.a.b:8443/hub/login"),
        ("freeipa", "https://ipa.a.b:8443/ipa/ui/"),
    ]


BROKEN = {
    "title": "no title",
    "toml": "title = ",
    "unknown": SMALL.replace("{extra}", 'nonsense = "x"'),
    "encoding": "\udcff",
}


@pytest.mark.parametrize("broken", BROKEN)
def test_a_template_that_cannot_be_used_is_left_out_and_the_others_stay(tmp_path: Path, broken: str) -> None:
    write(tmp_path, name="good")
    folder = write(tmp_path, name="broken")
    (folder / "template.toml").write_text(BROKEN[broken], errors="surrogateescape")
    (write(tmp_path, name="without-configuration") / "main.tf.json.j2").unlink()
    with capture_logs() as logged:
        assert list(load_usable_templates(tmp_path)) == ["good"]
    assert [each["template"] for each in logged] == ["broken", "without-configuration"]
    assert str(folder / "template.toml") in logged[0]["reason"]
    with pytest.raises(TemplateError):
        load_templates(tmp_path)


def test_a_missing_folder_of_templates_is_no_broken_template(tmp_path: Path) -> None:
    with pytest.raises(TemplateError, match="no such folder"):
        load_usable_templates(tmp_path / "none")
