"""Operations outlive the hub, say truly how they ended, and end when asked to."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from app.terraform import runner
from app.terraform.commands import apply_commands, init_command, plan_commands
from app.terraform.execution import (
    EXIT,
    AlreadyRunningError,
    Command,
    ExecutionError,
    OutcomeState,
    environment,
    is_running,
    outcome,
    remaining_commands,
)
from app.terraform.processes import interrupt, kill, terraform_pid
from app.terraform.progress import ProgressReader, ResourceState
from tests.terraform.conftest import Workbench, wait_until

QUICK = 'resource "terraform_data" "quick" { input = "x" }'


def slow(gate: Path) -> str:
    """A resource whose creation begins by touching `gate`.begun and lasts until `gate` exists."""
    return f"""
    resource "terraform_data" "slow" {{
      provisioner "local-exec" {{
        command = "touch {gate}.begun; while [ ! -e {gate} ]; do sleep 0.02; done"
      }}
    }}
    """


def begin_slow_apply(workbench: Workbench) -> tuple[Path, Path]:
    """An apply that is held in the middle: its folder, and the file that lets it go on."""
    gate = workbench.root / "gate"
    workbench.configure(slow(gate))
    planned, planning = workbench.plan()
    assert planning.state is OutcomeState.SUCCEEDED
    folder = workbench.start(apply_commands(planned / "plan"))
    wait_until(Path(f"{gate}.begun").exists, "the creation's beginning")
    return folder, gate


def runner_of(folder: Path) -> int:
    """The runner's process number: the parent of the operation's Terraform."""
    terraform = terraform_pid(folder)
    assert terraform is not None
    return int(Path(f"/proc/{terraform}/stat").read_text().rpartition(")")[2].split()[1])


def kill_at_once(number: int) -> None:
    os.kill(number, signal.SIGKILL)
    wait_until(lambda: not Path(f"/proc/{number}").exists() or _is_zombie(number), "the process's end")


def _is_zombie(number: int) -> bool:
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_a_plan_writes_its_log_its_exit_file_and_what_show_prints(workbench: Workbench) -> None:
    workbench.configure(QUICK)
    folder, planning = workbench.plan()
    assert (planning.state, planning.exit_code, planning.last_command) == (OutcomeState.SUCCEEDED, 0, "show")
    assert json.loads((folder / "plan.json").read_bytes())["resource_changes"][0]["address"] == "terraform_data.quick"
    assert b'"type":"change_summary"' in (folder / "log").read_bytes()
    recorded = json.loads((folder / EXIT).read_bytes())
    assert [(each["name"], each["exit_code"]) for each in recorded["commands"]] == [
        ("init", 0),
        ("plan", 0),
        ("show", 0),
    ]
    assert recorded["complete"] is True


def test_everything_an_operation_writes_is_for_its_owner_only(workbench: Workbench) -> None:
    workbench.configure(QUICK)
    folder, _ = workbench.plan()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert modes == dict.fromkeys(("log", "job.json", "exit.json", "plan", "plan.json"), 0o600)


def test_a_failed_plan_is_failed_with_its_diagnostic_and_runs_nothing_after(workbench: Workbench) -> None:
    workbench.configure('resource "terraform_data" "bad" { input = file("/no/such/file") }')
    folder, planning = workbench.plan()
    assert (planning.state, planning.exit_code, planning.last_command) == (OutcomeState.FAILED, 1, "plan")
    assert "Invalid function argument" in [each.summary for each in planning.diagnostics]
    assert not (folder / "plan.json").exists()


def test_a_failure_without_machine_readable_output_still_says_why(workbench: Workbench) -> None:
    workbench.configure('terraform { required_version = ">= 99" }')
    folder = workbench.start([Command("init", ("-input=false", "-no-color"))])
    ending = workbench.finish(folder)
    assert ending.state is OutcomeState.FAILED
    assert "required_version" in ending.diagnostics[-1].detail


def test_init_is_machine_readable_only_where_terraform_knows_it() -> None:
    assert "-json" in init_command("1.15.0-dev").arguments
    assert "-json" not in init_command("1.5.7").arguments


def test_an_engine_that_cannot_start_is_a_failure_with_a_diagnostic(workbench: Workbench) -> None:
    workbench.configure(QUICK)
    workbench.engine = workbench.root / "no-such-terraform"
    _, planning = workbench.plan()
    assert (planning.state, planning.exit_code) == (OutcomeState.FAILED, runner.CANNOT_START)
    assert "could not be started" in planning.diagnostics[0].summary


def test_a_plan_without_init_says_that_it_needs_one(workbench: Workbench) -> None:
    workbench.configure('module "m" { source = "./m" }')
    (workbench.work / "m").mkdir()
    (workbench.work / "m" / "main.tf").write_text(QUICK)
    _, without = workbench.plan(init=False)
    assert without.needs_init
    _, with_init = workbench.plan(init=True)
    assert (with_init.state, with_init.needs_init) == (OutcomeState.SUCCEEDED, False)


def test_two_launches_in_one_folder_are_refused(workbench: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.terraform.execution._LOCK_PATIENCE_SECONDS", 0.05)
    folder, gate = begin_slow_apply(workbench)
    with pytest.raises(AlreadyRunningError):
        workbench.start(apply_commands(folder / "plan"), folder)
    gate.touch()
    assert workbench.finish(folder).state is OutcomeState.SUCCEEDED


def test_a_runner_that_cannot_be_started_is_an_error(workbench: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    workbench.configure(QUICK)
    with pytest.raises(ExecutionError, match="could not be started"):
        workbench.start()
    assert not is_running(workbench.root / "operation1")


def test_no_child_of_the_hub_is_left_to_be_a_zombie(workbench: Workbench) -> None:
    folder, gate = begin_slow_apply(workbench)
    number = runner_of(folder)
    assert os.getsid(number) == number
    assert os.getsid(number) != os.getsid(0)
    with pytest.raises(ChildProcessError):
        os.waitpid(number, os.WNOHANG)
    gate.touch()
    workbench.finish(folder)


def test_terraform_gets_a_lower_priority_than_the_hub(workbench: Workbench) -> None:
    folder, gate = begin_slow_apply(workbench)
    terraform = terraform_pid(folder)
    assert terraform is not None
    assert os.getpriority(os.PRIO_PROCESS, terraform) - os.getpriority(os.PRIO_PROCESS, 0) == runner.NICENESS
    gate.touch()
    workbench.finish(folder)


def test_another_process_sees_whether_it_runs(workbench: Workbench) -> None:
    folder, gate = begin_slow_apply(workbench)
    question = (
        "import sys, pathlib; from app.terraform.execution import is_running; "
        "print(is_running(pathlib.Path(sys.argv[1])))"
    )

    def elsewhere() -> str:
        asked = [sys.executable, "-c", question, str(folder)]
        return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()

    assert elsewhere() == "True"
    gate.touch()
    workbench.finish(folder)
    assert elsewhere() == "False"


def test_no_log_means_that_nothing_runs(tmp_path: Path) -> None:
    assert is_running(tmp_path) is False
    assert outcome(tmp_path).state is OutcomeState.INTERRUPTED


def test_after_kill_9_of_the_runner_terraform_goes_on_and_its_log_tells_the_outcome(workbench: Workbench) -> None:
    folder, gate = begin_slow_apply(workbench)
    kill_at_once(runner_of(folder))
    assert is_running(folder)
    assert terraform_pid(folder) is not None
    gate.touch()
    ending = workbench.finish(folder)
    assert (ending.state, ending.exit_code) == (OutcomeState.SUCCEEDED, None)
    assert (workbench.work / "terraform.tfstate").exists()
    assert remaining_commands(folder) == ()


def test_a_second_reader_adopts_a_running_operation_from_the_first_byte(workbench: Workbench) -> None:
    folder, gate = begin_slow_apply(workbench)
    kill_at_once(runner_of(folder))
    adopter = ProgressReader()
    adopter.feed((folder / "log").read_bytes())
    assert [each.state for each in adopter.resources] == [ResourceState.RUNNING]
    seen = (folder / "log").stat().st_size
    gate.touch()
    workbench.finish(folder)
    adopter.feed((folder / "log").read_bytes()[seen:])
    assert [each.state for each in adopter.resources] == [ResourceState.DONE]


def test_after_kill_9_of_runner_and_terraform_it_is_interrupted(workbench: Workbench) -> None:
    folder, _ = begin_slow_apply(workbench)
    terraform = terraform_pid(folder)
    assert terraform is not None
    kill_at_once(runner_of(folder))
    kill_at_once(terraform)
    assert workbench.finish(folder).state is OutcomeState.INTERRUPTED
    assert remaining_commands(folder) == ()  # an apply is never repeated


def test_after_kill_9_of_terraform_alone_it_is_interrupted(workbench: Workbench) -> None:
    folder, _ = begin_slow_apply(workbench)
    terraform = terraform_pid(folder)
    assert terraform is not None
    kill_at_once(terraform)
    ending = workbench.finish(folder)
    assert (ending.state, ending.exit_code) == (OutcomeState.INTERRUPTED, -signal.SIGKILL)


def test_the_lock_is_free_when_terraform_has_ended(workbench: Workbench) -> None:
    folder, gate = begin_slow_apply(workbench)
    terraform = terraform_pid(folder)
    assert terraform is not None
    kill_at_once(runner_of(folder))
    gate.touch()
    wait_until(lambda: _is_zombie(terraform), "Terraform's end")
    wait_until(lambda: not is_running(folder), "the free lock", seconds=1)


def test_commands_that_a_dead_runner_left_are_repeated_in_the_same_folder(workbench: Workbench) -> None:
    workbench.configure(QUICK)
    folder, planning = workbench.plan()
    assert planning.state is OutcomeState.SUCCEEDED
    # As a runner leaves it that is killed while Terraform plans: plan begun, never recorded as ended, show not begun.
    recorded = json.loads((folder / EXIT).read_bytes())
    recorded["commands"] = recorded["commands"][:2]
    recorded["commands"][1]["exit_code"] = None
    recorded["complete"] = False
    runner.write_json(folder / EXIT, recorded)
    (folder / "plan.json").unlink()
    assert outcome(folder).state is OutcomeState.SUCCEEDED
    left = remaining_commands(folder)
    assert [command.name for command in left] == ["show"]
    workbench.start(left, folder)
    assert workbench.finish(folder).state is OutcomeState.SUCCEEDED
    assert (folder / "plan.json").stat().st_size > 0
    assert [each["name"] for each in json.loads((folder / EXIT).read_bytes())["commands"]] == ["init", "plan", "show"]


def test_what_a_runner_never_began_remains(workbench: Workbench) -> None:
    workbench.configure(QUICK)
    folder, _ = workbench.plan()
    (folder / EXIT).write_text('{"commands": [{"na')  # cut short by a crash of the machine
    (folder / "log").write_bytes(b"")
    assert outcome(folder).state is OutcomeState.INTERRUPTED
    assert [command.name for command in remaining_commands(folder)] == ["init", "plan", "show"]


def test_an_interrupt_ends_terraform_gracefully_and_the_state_is_written(workbench: Workbench) -> None:
    folder, _ = begin_slow_apply(workbench)
    assert interrupt(folder) is True
    ending = workbench.finish(folder, cancelled=True)
    assert (ending.state, ending.exit_code) == (OutcomeState.CANCELLED, 1)
    state = json.loads((workbench.work / "terraform.tfstate").read_bytes())
    assert state["resources"][0]["instances"][0]["status"] == "tainted"


def test_an_interrupt_lets_no_further_command_begin(workbench: Workbench) -> None:
    gate = workbench.root / "gate"
    program = workbench.root / "first"
    program.write_text(f"#!/bin/sh\ntouch {gate}.begun\nwhile [ ! -e {gate} ]; do sleep 0.02; done\n")
    program.chmod(0o755)
    workbench.work.mkdir()
    workbench.engine = program
    folder = workbench.start([Command("init"), Command("plan")])
    wait_until(Path(f"{gate}.begun").exists, "the first command")
    (folder / "cancel").touch()
    gate.touch()
    ending = workbench.finish(folder)
    assert (ending.state, ending.last_command) == (OutcomeState.CANCELLED, "init")


def test_an_apply_that_was_done_is_succeeded_even_if_a_cancel_was_asked_for(workbench: Workbench) -> None:
    workbench.configure(QUICK)
    folder = workbench.plan_and_apply()
    assert outcome(folder, cancelled=True).state is OutcomeState.SUCCEEDED


def test_a_kill_ends_runner_and_terraform(workbench: Workbench) -> None:
    folder, _ = begin_slow_apply(workbench)
    numbers = [runner_of(folder), terraform_pid(folder)]
    assert kill(folder) is True
    assert not is_running(folder)
    assert all(_is_zombie(number) for number in numbers if number)
    assert outcome(folder, cancelled=True).state is OutcomeState.CANCELLED


def test_a_kill_after_the_runner_died_ends_terraform(workbench: Workbench) -> None:
    folder, _ = begin_slow_apply(workbench)
    kill_at_once(runner_of(folder))
    assert kill(folder) is True
    assert not is_running(folder)


def test_what_ended_is_neither_interrupted_nor_killed(workbench: Workbench) -> None:
    workbench.configure(QUICK)
    folder, _ = workbench.plan()
    assert interrupt(folder) is False
    assert kill(folder) is False
    assert kill(workbench.root / "never-was") is False
    assert terraform_pid(folder) is None


def test_a_recycled_process_number_is_never_hit(workbench: Workbench) -> None:
    """Whatever numbers an operation once had, only a process that writes to its log is signalled."""
    workbench.configure(QUICK)
    folder, _ = workbench.plan()
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as bystander:
        kill(folder)
        interrupt(folder)
        assert bystander.poll() is None
        bystander.kill()


def test_a_child_gets_only_what_is_on_the_list() -> None:
    allowed = {"PATH": "/bin", "HOME": "/h", "TF_CLI_CONFIG_FILE": "/c", "https_proxy": "p", "SSL_CERT_FILE": "/ca"}
    hubs_own = {
        "OS_PASSWORD": "hub's",
        "MCHUB_SECRET_KEYS": "k",
        "TF_LOG": "trace",
        "TF_VAR_x": "1",
        "LD_PRELOAD": "evil",
    }
    credential = {"OS_AUTH_URL": "http://cloud", "OS_PASSWORD": "project's"}
    passed = environment({**allowed, **hubs_own}, {**credential, "LD_PRELOAD": "evil"})
    assert passed == {**allowed, **credential, "TF_IN_AUTOMATION": "1", "CHECKPOINT_DISABLE": "1"}


def test_terraform_runs_in_that_environment_and_no_secret_is_in_files_or_arguments(
    workbench: Workbench,
) -> None:
    workbench.environment["OS_PASSWORD"] = "never-on-disk-1234"
    folder, gate = begin_slow_apply(workbench)
    terraform = terraform_pid(folder)
    assert terraform is not None
    given = dict(pair.split("=", 1) for pair in Path(f"/proc/{terraform}/environ").read_text().rstrip("\0").split("\0"))
    for name in ("LC_CTYPE", "PWD"):  # Python sets the one where the locale is C, a shell the other
        given.pop(name, None)
    assert given == workbench.environment
    for number in (terraform, runner_of(folder)):
        assert b"never-on-disk" not in Path(f"/proc/{number}/cmdline").read_bytes()
    gate.touch()
    workbench.finish(folder)
    everything = [path for path in workbench.root.rglob("*") if path.is_file()]
    assert everything
    assert not [path for path in everything if b"never-on-disk" in path.read_bytes()]


def test_a_destroy_plan_leaves_nothing(workbench: Workbench) -> None:
    workbench.configure(QUICK)
    workbench.plan_and_apply()
    applied = workbench.plan_and_apply(destroy=True, init=False, refresh=False)
    assert json.loads((workbench.work / "terraform.tfstate").read_bytes())["resources"] == []
    reader = ProgressReader()
    reader.feed((applied / "log").read_bytes())
    assert reader.change_summary is not None
    assert (reader.change_summary.operation, reader.change_summary.remove) == ("apply", 1) or (
        reader.change_summary.operation == "destroy"
    )


def test_the_state_can_be_pulled_even_after_a_failed_apply(workbench: Workbench) -> None:
    workbench.configure('resource "terraform_data" "bad" {\n provisioner "local-exec" { command = "exit 3" }\n}')
    planned, _ = workbench.plan()
    folder = workbench.start(apply_commands(planned / "plan", pull_state=True))
    ending = workbench.finish(folder)
    assert (ending.state, ending.exit_code) == (OutcomeState.FAILED, 1)
    assert "local-exec provisioner error" in [each.summary for each in ending.diagnostics]
    assert json.loads((folder / "state.json").read_bytes())["resources"][0]["name"] == "bad"


def test_targets_and_parallelism_reach_terraform(tmp_path: Path) -> None:
    plan = plan_commands(tmp_path, init=False, targets=["a.b", 'c.d["e"]'], parallelism=3)[0]
    assert plan.arguments[-2:] == ("-target=a.b", '-target=c.d["e"]')
    assert "-parallelism=3" in plan.arguments


@pytest.mark.filterwarnings("ignore:The 'warn' method is deprecated:DeprecationWarning")  # python-terraform's own
def test_the_runner_records_commands_run_in_this_process_too(tmp_path: Path) -> None:
    """The runner's own loop, without the process around it."""
    program = tmp_path / "program"
    program.write_text('#!/bin/sh\n[ "$1" = fail ] && exit 3\necho "$1"\n')
    program.chmod(0o755)
    commands = [
        {"name": "first", "arguments": [], "capture": "out", "after_failure": False},
        {"name": "fail", "arguments": [], "capture": "none", "after_failure": False},
        {"name": "skipped", "arguments": [], "capture": "none", "after_failure": False},
        {"name": "always", "arguments": [], "capture": "last", "after_failure": True},
    ]
    job = {"working_directory": str(tmp_path), "engine": str(program), "commands": commands}
    runner.write_json(tmp_path / "job.json", job)
    assert runner.run_job(tmp_path) == 3
    assert (tmp_path / "out").read_text() == "first\n"
    recorded = json.loads((tmp_path / EXIT).read_bytes())["commands"]
    assert [(each["name"], each["exit_code"]) for each in recorded] == [("first", 0), ("fail", 3), ("always", 0)]
    assert all(each["ended_at"].endswith("Z") for each in recorded)


def test_a_launch_leaves_no_open_description_in_the_hub(workbench: Workbench) -> None:
    workbench.configure(QUICK)
    before = len(list(Path("/proc/self/fd").iterdir()))
    folder = workbench.start()
    workbench.finish(folder)
    assert len(list(Path("/proc/self/fd").iterdir())) == before
