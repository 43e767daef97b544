"""What the figures were measured on; neither names nor paths of the machine."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path

from app.settings import ROOT
from app.terraform.engine import find_engine
from app.terraform.mirror import read_mirror
from tests.bench.place import cache


def describe() -> dict[str, str]:
    """Machine, programs and versions, in the order in which they are shown."""
    engine = find_engine(None, os.environ.get("PATH"))
    providers = ", ".join(sorted(f"{each.source.rpartition('/')[2]} {each.version}" for each in read_mirror(cache())))
    return {
        "When": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "Commit": _commit(),
        "Processor": f"{len(os.sched_getaffinity(0))} cores of {_processor()}",
        "Memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.1f} GiB",
        "System": f"{platform.system()} {platform.release().split('-')[0]}",
        "Python": platform.python_version(),
        "Terraform": f"{engine.version} ({engine.origin})",
        "Providers": providers,
        "Priority": f"nice {os.nice(0)}",
        "Load before the run": load(),
    }


def load() -> str:
    """How busy the machine is: absolute figures are worth little where others work on it."""
    return f"{os.getloadavg()[0]:.1f} (1 minute)"


def _commit() -> str:
    def git(*arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
        return done.stdout.strip()

    changed = git("status", "--porcelain", "--", "app", "templates", "static/src", "terraform_templates")
    return (git("rev-parse", "--short", "HEAD") or "unknown") + (" with changes" if changed else "")


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()
