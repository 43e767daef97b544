"""A cluster's folder is private, its module its own, and a prepared init is as good as a real one."""

from __future__ import annotations

import json
import shutil
import stat
from pathlib import Path

import pytest

from app.terraform.commands import init_command
from app.terraform.execution import Launch, launch
from app.terraform.templates import ClusterTemplate, load_template
from app.terraform.workspace import InitCache, prepare_workspace
from tests.terraform.conftest import Workbench
from tests.terraform.test_templates import write

VERSION = "1.2.3"


@pytest.fixture
def template(tmp_path: Path) -> ClusterTemplate:
    folder = write(tmp_path / "templates")
    (folder / "module" / "sub").mkdir()
    (folder / "module" / "sub" / "file.tf").write_text("# one")
    return load_template(folder)


def test_everything_in_the_folder_is_for_its_owner_only(tmp_path: Path, template: ClusterTemplate) -> None:
    cluster = tmp_path / "clusters" / "a.b"
    prepare_workspace(cluster, template, b"{}")
    assert (cluster / "main.tf.json").read_bytes() == b"{}"
    assert (cluster / "module" / "sub" / "file.tf").read_text() == "# one"
    for path in [cluster, *cluster.rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


def test_what_is_unchanged_is_not_written_again(tmp_path: Path, template: ClusterTemplate) -> None:
    cluster = tmp_path / "c"
    prepare_workspace(cluster, template, b"{}")
    before = {path: path.stat().st_ino for path in cluster.rglob("*") if path.is_file()}
    prepare_workspace(cluster, template, b"{}")
    assert {path: path.stat().st_ino for path in cluster.rglob("*") if path.is_file()} == before


def test_the_copy_follows_the_template_and_keeps_what_terraform_wrote(
    tmp_path: Path, template: ClusterTemplate
) -> None:
    cluster = tmp_path / "c"
    prepare_workspace(cluster, template, b"{}")
    (cluster / "module" / "archive.zip").write_bytes(b"passwords")
    (cluster / "module" / "planted.tf").write_text("# not ours")
    (cluster / "module" / "main.tf").write_text("# tampered with")
    assert template.module_folder is not None
    (template.module_folder / "sub" / "file.tf").write_text("# two")
    prepare_workspace(cluster, template, b"{}")
    assert (cluster / "module" / "sub" / "file.tf").read_text() == "# two"
    assert (cluster / "module" / "main.tf").read_text() == ""
    assert (cluster / "module" / "archive.zip").exists()
    assert not (cluster / "module" / "planted.tf").exists()


def test_two_clusters_share_no_file(tmp_path: Path, template: ClusterTemplate) -> None:
    for name in ("one", "two"):
        prepare_workspace(tmp_path / name, template, b"{}")
    files = [path.resolve() for name in ("one", "two") for path in (tmp_path / name).rglob("*") if path.is_file()]
    assert len({path.stat().st_ino for path in files}) == len(files)
    assert not [path for path in files if path.is_relative_to(template.root)]


@pytest.fixture
def cache(workbench: Workbench) -> InitCache:
    """A cache, and a mirror with a provider that init installs without ever running it."""
    package = workbench.root / "mirror" / "host.example" / "acme" / "thing" / VERSION / "linux_amd64"
    package.mkdir(parents=True)
    (package / f"terraform-provider-thing_v{VERSION}").write_text("never run")
    configuration = workbench.root / "terraform.tfrc"
    mirror = workbench.root / "mirror"
    configuration.write_text(f'provider_installation {{\n filesystem_mirror {{\n path = "{mirror}"\n }}\n}}\n')
    workbench.environment["TF_CLI_CONFIG_FILE"] = str(configuration)
    return InitCache(workbench.root / "cache", "1.11.4", mirror)


def configure(workbench: Workbench, template: ClusterTemplate, name: str, version: str = VERSION) -> Path:
    required = {"required_providers": {"thing": {"source": "host.example/acme/thing", "version": version}}}
    main = {"terraform": required, "module": {"cluster": {"source": "./module"}}, "output": {"name": {"value": name}}}
    cluster = workbench.root / "clusters" / name
    prepare_workspace(cluster, template, json.dumps(main).encode())
    return cluster


def initialise(workbench: Workbench, cluster: Path) -> str:
    """A real init in `cluster`; returns its outcome."""
    workbench.operations += 1
    folder = workbench.root / f"operation{workbench.operations}"
    launch(Launch(folder, cluster, workbench.engine, workbench.environment, [init_command()]))
    return workbench.finish(folder).state


def test_a_prepared_init_stands_for_a_real_one(
    workbench: Workbench, template: ClusterTemplate, cache: InitCache
) -> None:
    first = configure(workbench, template, "first")
    assert cache.restore(first) is False
    assert initialise(workbench, first) == "succeeded"
    cache.keep(first)
    assert cache.restore(first) is True  # its own
    second = configure(workbench, template, "second")
    assert cache.restore(second) is True
    for name in (".terraform.lock.hcl", ".terraform/modules/modules.json"):
        assert (second / name).read_bytes() == (first / name).read_bytes()
    cache.keep(second)
    assert len(list(cache.root.iterdir())) == 1


def test_whatever_init_depends_on_asks_for_a_real_one(
    workbench: Workbench, template: ClusterTemplate, cache: InitCache
) -> None:
    first = configure(workbench, template, "first")
    initialise(workbench, first)
    cache.keep(first)
    assert InitCache(cache.root, "1.12.0", cache.providers).restore(configure(workbench, template, "a")) is False
    assert cache.restore(configure(workbench, template, "b", version=">= 1.0.0")) is False
    assert template.module_folder is not None
    (template.module_folder / "more.tf").write_text("# more")
    assert cache.restore(configure(workbench, template, "c")) is False
    again = configure(workbench, template, "first")
    assert cache.restore(again) is False
    assert not (again / ".terraform.lock.hcl").exists()


def test_a_prepared_init_whose_provider_is_gone_is_not_used(
    workbench: Workbench, template: ClusterTemplate, cache: InitCache
) -> None:
    first = configure(workbench, template, "first")
    initialise(workbench, first)
    cache.keep(first)
    shutil.rmtree(workbench.root / "mirror")
    assert cache.restore(first) is False
    assert cache.restore(configure(workbench, template, "second")) is False


def test_a_refused_prepared_init_is_forgotten(
    workbench: Workbench, template: ClusterTemplate, cache: InitCache
) -> None:
    first = configure(workbench, template, "first")
    initialise(workbench, first)
    cache.keep(first)
    cache.discard(first)
    assert cache.restore(configure(workbench, template, "second")) is False


def test_nothing_is_kept_of_an_init_that_made_nothing(
    workbench: Workbench, template: ClusterTemplate, cache: InitCache
) -> None:
    cache.keep(configure(workbench, template, "never"))
    assert not cache.root.exists()


def test_a_full_disk_costs_the_prepared_init_and_nothing_else(
    workbench: Workbench, template: ClusterTemplate, cache: InitCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = configure(workbench, template, "first")
    initialise(workbench, first)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "copy2", full)
        cache.keep(first)
    assert list(cache.root.iterdir()) == []
    assert cache.restore(first) is True
    assert cache.restore(configure(workbench, template, "second")) is False


def test_a_damaged_cache_is_a_missing_one(workbench: Workbench, template: ClusterTemplate, cache: InitCache) -> None:
    first = configure(workbench, template, "first")
    initialise(workbench, first)
    cache.keep(first)
    (next(cache.root.iterdir()) / ".terraform.lock.hcl").unlink()
    second = configure(workbench, template, "second")
    assert cache.restore(second) is False
    assert not (second / ".terraform").exists()
