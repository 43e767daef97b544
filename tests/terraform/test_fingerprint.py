"""A plan is bound to all that it was made from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest

from app.terraform.fingerprint import Fingerprint, differences, of_trees, take


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "cluster"
    (folder / "module" / "sub").mkdir(parents=True)
    (folder / ".terraform" / "modules" / "m" / ".git").mkdir(parents=True)
    for name in ("main.tf.json", ".terraform.lock.hcl", "terraform.tfstate", "plan", "module/sub/main.tf"):
        (folder / name).write_text(name)
    return folder


def changed(name: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_text("other")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (changed("main.tf.json"), "the configuration (main.tf.json) changed"),
        (changed("module/sub/main.tf"), "the module's files changed"),
        (changed("module/archive.zip"), "the module's files changed"),
        (changed(".terraform/modules/m/main.tf"), "the module's files changed"),
        (changed(".terraform.lock.hcl"), "the lock file of the providers changed"),
        (changed("terraform.tfstate"), "the Terraform state moved"),
        (changed("plan"), "the plan file changed"),
        (lambda folder: (folder / "plan").unlink(), "the plan file changed"),
        (lambda folder: (folder / "module/link").symlink_to("/etc"), "the module's files changed"),
    ],
)
def test_whatever_changes_is_named(folder: Path, change: Callable[[Path], object], words: str) -> None:
    before = take(folder, folder / "plan", "cloud")
    change(folder)
    assert differences(before, take(folder, folder / "plan", "cloud")) == [words]


def test_another_cloud_is_named(folder: Path) -> None:
    one, other = (take(folder, folder / "plan", cloud) for cloud in ("a", "b"))
    assert differences(one, other) == ["the credential is of another cloud or project"]


def test_nothing_changed_is_no_difference_and_git_does_not_count(folder: Path) -> None:
    before = take(folder, folder / "plan", "cloud")
    (folder / ".terraform/modules/m/.git/index").write_text("x")
    (folder / "another-log").write_text("x")
    assert differences(before, take(folder, folder / "plan", "cloud")) == []


def test_a_state_that_is_kept_elsewhere_is_given(folder: Path) -> None:
    kept = (folder / "terraform.tfstate").read_bytes()
    assert take(folder, folder / "plan", "c") == take(folder, folder / "plan", "c", state=kept)
    assert differences(take(folder, folder / "plan", "c"), take(folder, folder / "plan", "c", state=b"x"))


def test_a_renamed_file_is_another_tree(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    one = of_trees(tmp_path)
    (tmp_path / "a").rename(tmp_path / "b")
    assert of_trees(tmp_path) != one
    assert len(one) == 64


def test_it_survives_being_written_down(folder: Path) -> None:
    fingerprint = take(folder, folder / "plan", "cloud")
    assert Fingerprint.from_json(fingerprint.as_json()) == fingerprint
    assert set(asdict(fingerprint)) == {"plan", "main_tf", "module", "lock", "state", "cloud"}


@pytest.mark.parametrize("text", ["", "{}", "[]", "3"])
def test_what_is_no_fingerprint_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        Fingerprint.from_json(text)
