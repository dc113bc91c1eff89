"""`python -m fuzz doctor` as a user runs it, on machines that lack something."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from .commands import PROJECT, Ended, environment, python

BLOCKED = """
import sys
for name in {names}:
    sys.modules[name] = None
from fuzz.__main__ import main
sys.exit(main(["doctor", "--device", "cpu"]))
"""


def marks(done: Ended) -> dict[str, str]:
    """Subject and mark of each line."""
    lines = [line for line in done.output.splitlines() if line[:6] in {"ok    ", "no    ", "warn  "}]
    return {line[6:].split("  ")[0]: line[:6].strip() for line in lines}


def doctor_without(folder: Path, package: str) -> Ended:
    """Run it where importing `package` fails as if it were not installed."""
    (folder / package).mkdir()
    (folder / package / "__init__.py").write_text(f"raise ModuleNotFoundError(\"No module named '{package}'\")\n", encoding="utf-8")
    paths = os.pathsep.join(filter(None, (str(folder), os.environ.get("PYTHONPATH"))))
    done = subprocess.run(
        [sys.executable, "-m", "fuzz", "doctor"],
        cwd=PROJECT,
        env=environment([]) | {"PYTHONPATH": paths},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    return Ended(done.returncode, done.stdout + done.stderr, 0.0)


def test_the_cpu_is_enough_and_every_line_is_aligned() -> None:
    done = python("-m", "fuzz", "doctor", "--device", "cpu")
    assert done.status == 0, done.output
    found = marks(done)
    assert found["bitsandbytes"] == "ok"
    assert found["known issues"] == found["corpus"] == found["reports"] == "ok"
    assert found["native library"] == "no", "the stand-in has none"
    assert found["calibration"] == "warn", "nobody has calibrated the stand-in"
    *lines, last = done.output.splitlines()
    assert last == "a run makes sense here: pytest fuzz/ --fuzz-device cpu"
    starts = {len(line) - len(line[6:].partition("  ")[2].lstrip()) for line in lines}
    assert len(starts) == 1, f"the texts begin in columns {starts}"
    assert len(lines) < 24, "it is more than a screen"


@pytest.mark.parametrize("package", ["bitsandbytes", "torch"])
def test_without_a_package_that_a_child_needs_no_run_makes_sense(tmp_path: Path, package: str) -> None:
    done = doctor_without(tmp_path, package)
    assert done.status == 1, done.output
    assert marks(done)["bitsandbytes"] == "no"
    last = done.output.splitlines()[-1]
    assert last.startswith("no run makes sense here: ")
    assert f"No module named '{package}'" in last


def test_without_packaging_it_still_says_what_is_missing() -> None:
    done = python("-c", BLOCKED.format(names=("packaging", "torch", "hypothesis")))
    assert done.status == 1, done.output
    assert marks(done)["packaging"] == "no"
    assert done.output.splitlines()[-1].startswith("no run makes sense here: packaging: not installed")


def test_what_cannot_be_read_or_written_is_all_said_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("[[", encoding="utf-8")
    (tmp_path / "bad.json").write_text("{", encoding="utf-8")
    options: list[str | Path] = ["--reports-dir", tmp_path / "file", "--known-issues", tmp_path / "file", "--corpus", tmp_path]
    done = python("-m", "fuzz", "doctor", "--device", "cpu", *options)
    assert done.status == 1, done.output
    found = marks(done)
    assert [found[name] for name in ("reports", "known issues", "corpus")] == ["no", "no", "no"]
    last = done.output.splitlines()[-1]
    assert all(f"{name}: " in last for name in ("reports", "known issues", "corpus"))


def test_bad_usage_is_status_2() -> None:
    assert python("-m", "fuzz", "doctor", "--device", "tpu").status == 2
    assert python("-m", "fuzz", "doctor", "--fuzz-device", "cpu").status == 2
