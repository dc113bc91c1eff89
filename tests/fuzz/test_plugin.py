"""Options and exit statuses, as a user meets them. Each test runs pytest on `fuzz/` and stops before anything is fuzzed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]


def run(*arguments: str, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "fuzz/", "-p", "no:cacheprovider", *arguments]
    return subprocess.run(
        command, cwd=PROJECT, capture_output=True, text=True, timeout=120, check=False, env={**os.environ, **(environment or {})}
    )


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--fuzz-budget", "10x"], "'10x' is not a duration; write 30s, 10m or 2h"),
        (["--fuzz-budget", "0s"], "'0s' is not a duration"),
        (["--fuzz-watchdog", "soon"], "'soon' is not a duration"),
        (["--fuzz-device", "tpu"], "invalid choice: 'tpu'"),
        (["--fuzz-seed", "one"], "invalid int value: 'one'"),
        (["--known-issues", "no/such/file.toml"], "cannot read the known-issues file no/such/file.toml"),
        (["--reports-dir", "README.md/below"], "cannot write to the reports directory README.md/below"),
    ],
)
def test_bad_options_are_usage_errors_in_one_sentence(arguments: list[str], sentence: str) -> None:
    done = run(*arguments)
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    (line,) = [line for line in (done.stdout + done.stderr).splitlines() if sentence in line]
    assert "ERROR" in line or "error" in line


def test_a_typo_in_the_known_issues_file_is_a_usage_error(tmp_path: Path) -> None:
    file = tmp_path / "known.toml"
    file.write_text('[[issue]]\nsignatur = "x"\n', encoding="utf-8")
    done = run("--known-issues", str(file))
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "issue 1 has an unknown key 'signatur'" in done.stderr + done.stdout


def test_cuda_without_a_gpu_is_a_usage_error_and_not_a_skip(tmp_path: Path) -> None:
    done = run("--fuzz-device", "cuda", "--reports-dir", str(tmp_path), environment={"CUDA_VISIBLE_DEVICES": ""})
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "ERROR: no usable GPU: " in done.stderr + done.stdout


def test_collecting_only_starts_nothing(tmp_path: Path) -> None:
    done = run("--collect-only", "-q", "--reports-dir", str(tmp_path / "out"))
    assert done.returncode == 0
    assert "test_gemv_and_matrix_paths_agree" in done.stdout
    assert not (tmp_path / "out").exists()


def test_the_harness_s_own_tests_are_not_collected_with_the_properties() -> None:
    assert "tests/" not in run("--collect-only", "-q").stdout


def test_a_library_that_cannot_be_imported_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "bitsandbytes.py").write_text("raise ImportError('its library does not load')\n", encoding="utf-8")
    done = run("--fuzz-device", "cpu", "--reports-dir", str(tmp_path / "out"), environment={"PYTHONPATH": str(tmp_path)})
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "its library does not load" in done.stderr + done.stdout


def test_importing_the_plugin_imports_neither_torch_nor_bitsandbytes() -> None:
    code = "import sys, fuzz.plugin, strategies.cases; sys.exit('torch' in sys.modules or 'bitsandbytes' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=PROJECT, check=False).returncode == 0
