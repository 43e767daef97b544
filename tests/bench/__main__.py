"""`python -m tests.bench`: run the benchmarks, print the figures beside their goals."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import click

from tests.bench import building, machine, report, resting, web
from tests.bench.place import open_place
from tests.bench.report import Chapter

Bench = Callable[[Path, bool], Chapter]


def _at_a_place(bench: Callable[..., Chapter], many: int | None = None, few: int | None = None) -> Bench:
    """A bench that takes place on a fresh hub with a cloud, `many` times (`few` when it has to be quick)."""

    def run(folder: Path, quick: bool) -> Chapter:
        with open_place(folder) as place:
            times = few if quick else many
            return bench(place) if times is None else bench(place, times)

    return run


def _in_a_folder(bench: Callable[[Path, int], Chapter], many: int, few: int) -> Bench:
    def run(folder: Path, quick: bool) -> Chapter:
        folder.mkdir()
        return bench(folder, few if quick else many)

    return run


BENCHES: dict[str, Bench] = {
    "plan": _at_a_place(building.plans, 9, 2),
    "apply": _at_a_place(building.applies, 5, 1),
    "first-output": _at_a_place(building.first_output, 9, 2),
    "status": _in_a_folder(web.status, 20, 4),
    "silence": _in_a_folder(web.status_amid_silence, 20, 4),
    "list": _in_a_folder(web.listing, 50, 10),
    "memory": _at_a_place(resting.memory),
    "start": _in_a_folder(resting.start, 7, 2),
    "creates": _at_a_place(building.many_creates),
}


@click.command()
@click.option("--only", multiple=True, type=click.Choice(list(BENCHES)), help="Run this one alone; may be repeated.")
@click.option("--quick", is_flag=True, help="Few repetitions: to see that it runs, not to judge by.")
@click.option("--write", is_flag=True, help="Write docs/benchmarks.md (a full run alone).")
@click.option("--strict", is_flag=True, help="Exit with 1 if a goal is missed.")
def main(only: tuple[str, ...], quick: bool, write: bool, strict: bool) -> None:
    """Measure the hub against its goals."""
    if write and (only or quick):
        raise click.UsageError("--write needs a full run: neither --only nor --quick")
    described = machine.describe()
    chapters = []
    with tempfile.TemporaryDirectory(prefix="mchub-bench-") as folder:
        for name in only or BENCHES:
            began = time.monotonic()
            click.echo(f"{name} ...", err=True)
            chapters.append(BENCHES[name](Path(folder) / name, quick))
            for figure in chapters[-1].figures:
                click.echo(f"  {figure.subject}: {figure.measured} {figure.verdict}", err=True)
            click.echo(f"  took {time.monotonic() - began:.0f} s", err=True)
    described["Load after it"] = machine.load()
    click.echo("\n".join(f"{name}: {value}" for name, value in described.items()))
    click.echo("\n" + report.table(chapters))
    if write:
        report.PAGE.write_text(report.page(described, chapters))
        click.echo("\nWritten: docs/benchmarks.md")
    missed = report.missed(chapters)
    click.echo(f"\n{len(missed)} goals missed{': ' + '; '.join(each.subject for each in missed) if missed else '.'}")
    if strict and missed:
        sys.exit(1)


if __name__ == "__main__":
    main()
