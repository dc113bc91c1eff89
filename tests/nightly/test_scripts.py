"""Nights on the CPU, by the scripts that cron would run, against a library whose faults are known."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from fuzz.triage.known import load
from reports.stored import read_run
from tests.end_to_end.commands import PROJECT, STUCK, environment

FAULTS = ("shape",)
SIGNATURE = "functional.matmul_4bit | matmul_4bit | wrong shape | triggers: activation.dtype=bfloat16"


def night(
    root: Path, *options: str, shards: int = 1, faults: tuple[str, ...] = FAULTS, **variables: str
) -> subprocess.CompletedProcess[str]:
    """A night with few Cases of one property."""
    command = [str(PROJECT / "nightly" / "cron.sh"), str(root), "--fuzz-cases", "60", "-k", "gemv_matrix", *options]
    settings = {"PYTHON": sys.executable, "DEVICE": "cpu", "BUDGET": "40s", "SHARDS": str(shards)}
    return subprocess.run(
        command,
        env=environment(faults) | settings | variables,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=STUCK,
        check=False,
    )


def folders(root: Path) -> list[Path]:
    return sorted(path for path in root.iterdir() if path.name[0].isdigit())


def test_what_one_night_finds_the_next_one_knows(tmp_path: Path) -> None:
    first = night(tmp_path, shards=2)
    assert first.returncode == 1, first.stdout + first.stderr
    (folder,) = folders(tmp_path)
    assert sorted(path.name for path in folder.iterdir()) == ["report", "shard-0", "shard-1"]
    merged = read_run(folder / "report", print)
    assert merged.record is not None
    assert SIGNATURE in [entry["signature"] for entry in merged.record.findings]
    seeds = {record.seed for name in ("shard-0", "shard-1") if (record := read_run(folder / name, print).record)}
    assert len(seeds) == 2
    assert SIGNATURE in [row.title for row in load(tmp_path / "state" / "known_issues.toml")]

    second = night(tmp_path)
    assert second.returncode == 0, second.stdout + second.stderr
    assert len(folders(tmp_path)) == 2
    assert f"known  {SIGNATURE}" in second.stdout


def test_a_shard_that_cannot_run_is_the_status_of_the_night(tmp_path: Path) -> None:
    done = night(tmp_path, "--no-such-option")
    assert done.returncode == 4, done.stdout + done.stderr
    assert not list(tmp_path.glob("*/report"))


def test_where_no_run_makes_sense_none_is_begun(tmp_path: Path) -> None:
    done = night(tmp_path, DEVICE="cuda", CUDA_VISIBLE_DEVICES="")
    assert done.returncode == 2, done.stdout + done.stderr
    assert "no run makes sense here: GPU: cannot be used" in done.stdout
    assert folders(tmp_path) == []


def test_two_nights_at_a_time_would_share_a_gpu(tmp_path: Path) -> None:
    with (tmp_path / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = night(tmp_path)
    assert done.returncode == 2
    assert done.stderr == f"not started: an earlier night in {tmp_path} is still running\n"
    assert folders(tmp_path) == []


@pytest.mark.parametrize(
    ("script", "arguments"), [("cron.sh", []), ("install.sh", []), ("install.sh", ["venv"]), ("install.sh", ["a", "b", "c"])]
)
def test_bad_usage_is_one_line_and_status_2(tmp_path: Path, script: str, arguments: list[str]) -> None:
    done = subprocess.run([PROJECT / "nightly" / script, *arguments], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert done.stderr.startswith(f"usage: nightly/{script}")
    assert list(tmp_path.iterdir()) == []


PYTHON = """#!/usr/bin/env bash
echo "python3 $*" >> "$LOG"
if [ "$2" = venv ]; then
  mkdir -p "$4/bin"
  printf '#!/usr/bin/env bash\\necho "pip $*" >> "$LOG"\\n' > "$4/bin/pip"
  chmod +x "$4/bin/pip"
fi
"""
"""In the place of Python, so that what would be installed can be seen without an installation."""


def installed(folder: Path, release: str, **variables: str) -> list[str]:
    """The calls that install a release."""
    (folder / "bin").mkdir()
    (folder / "bin" / "python3").write_text(PYTHON, encoding="utf-8")
    (folder / "bin" / "python3").chmod(0o755)
    settings = {"PATH": f"{folder / 'bin'}:{os.environ['PATH']}", "LOG": str(folder / "log")} | variables
    subprocess.run([PROJECT / "nightly" / "install.sh", folder / "venv", release], env=settings, timeout=60, check=True)
    calls = (folder / "log").read_text(encoding="utf-8").splitlines()
    assert calls.pop(0) == f"python3 -m venv --clear {folder / 'venv'}"
    common = "pip install --quiet --disable-pip-version-check "
    assert all(call.startswith(common) for call in calls)
    return [call.removeprefix(common).replace(f"--constraint {folder / 'venv' / 'constraints.txt'}", "PINNED") for call in calls]


def test_a_release_is_installed_beside_what_is_pinned(tmp_path: Path) -> None:
    assert installed(tmp_path, "0.49.2") == ["PINNED . bitsandbytes==0.49.2"]
    pins = (tmp_path / "venv" / "constraints.txt").read_text(encoding="utf-8").splitlines()
    theirs = (PROJECT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    assert [line for line in theirs if not line.startswith("bitsandbytes==")] == pins != theirs


def test_a_wheel_replaces_the_release_whatever_it_says_of_its_version(tmp_path: Path) -> None:
    wheel = "https://example.org/bitsandbytes-1.33.7.preview-py3-none-manylinux_2_24_x86_64.whl"
    assert installed(tmp_path, wheel) == ["PINNED .", f"--no-deps --force-reinstall {wheel}"]


def test_torch_comes_from_another_index_if_one_is_named(tmp_path: Path) -> None:
    assert installed(tmp_path, "0.50.2", TORCH_INDEX="https://example.org/cpu") == [
        "PINNED --index-url https://example.org/cpu torch",
        "PINNED . bitsandbytes==0.50.2",
    ]
