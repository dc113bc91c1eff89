"""Options and exit statuses, as a user meets them. Each test runs pytest on `fuzz/`; most stop before anything is fuzzed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fuzz import plugin
from fuzz.campaign.profile import RARELY
from fuzz.campaign.session import Options
from strategies.cases import cases
from tests.end_to_end.commands import environment as standin
from tests.reports.helpers import finding

PROJECT = Path(__file__).resolve().parents[2]


def run(*arguments: str, environment: dict[str, str] | None = None, target: str = "fuzz/") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", target, "-p", "no:cacheprovider", *arguments]
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
        (["--fuzz-profile", "quick"], "invalid choice: 'quick'"),
        (["--fuzz-cases", "0"], "--fuzz-cases is 0, not a whole number above 0"),
        (["--fuzz-cases", "many"], "invalid int value: 'many'"),
        (["--known-issues", "no/such/file.toml"], "cannot read the known-issues file no/such/file.toml"),
        (["--reports-dir", "README.md/below"], "cannot write to the reports directory README.md/below"),
    ],
)
def test_bad_options_are_usage_errors_in_one_sentence(arguments: list[str], sentence: str) -> None:
    done = run(*arguments)
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    (line,) = [line for line in (done.stdout + done.stderr).splitlines() if sentence in line]
    assert "ERROR" in line or "error" in line


def test_with_workers_a_bad_option_is_one_usage_error_too() -> None:
    done = run("-n", "2", "--fuzz-budget", "10x")
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert (done.stdout + done.stderr).count("ERROR: '10x' is not a duration; write 30s, 10m or 2h") == 1


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('[[issue]]\nsignatur = "x"\n', "issue 1: unknown key 'signatur'; known are signature, "),
        ("[[issue]", "is not TOML: "),
    ],
)
def test_a_mistake_in_the_known_issues_file_is_a_usage_error(tmp_path: Path, text: str, sentence: str) -> None:
    file = tmp_path / "known.toml"
    file.write_text(text, encoding="utf-8")
    done = run("--known-issues", str(file))
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    (line,) = [line for line in (done.stdout + done.stderr).splitlines() if sentence in line]
    assert line.startswith("ERROR: ")
    assert str(file) in line


def test_a_file_of_the_corpus_that_is_no_case_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"format_version": 1, "colour": "red"}', encoding="utf-8")
    done = run("--corpus", str(tmp_path))
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert f"ERROR: {tmp_path / 'a.json'} is not a Case: unknown field colour" in done.stderr + done.stdout


def test_the_files_of_the_project_are_the_defaults() -> None:
    """Were one of them malformed, nobody could run anything."""
    done = run("--collect-only", "-q", "--fuzz-cases", "1")
    assert done.returncode == 0
    help_text = run("--help").stdout
    assert all(f"--{option}" in help_text for option in ("fuzz-cases", "corpus", "known-issues"))


EXPIRED = """[[issue]]
title = "a row that was never looked at again"
surfaces = ["functional.gemv_4bit"]
symptoms = ["hang"]
triggers = {{ "bias" = true }}
link = "unreported"
versions = ">=0.48"
reason = "a test"
expires = 2024-01-01
device = "{device}"
"""


@pytest.mark.parametrize(("device", "status"), [("cpu", 1), ("cuda", 0)])
def test_a_row_that_has_expired_here_fails_the_run_and_is_named(tmp_path: Path, device: str, status: int) -> None:
    file = tmp_path / "known.toml"
    file.write_text(EXPIRED.format(device=device), encoding="utf-8")
    arguments = ["--fuzz-device", "cpu", "--known-issues", str(file), "--reports-dir", str(tmp_path / "out")]
    done = run(*arguments, environment=standin(()), target="fuzz/test_known_issues.py")
    assert done.returncode == status, done.stdout
    sentence = "a row that was never looked at again expired on 2024-01-01: look whether it is still there, then renew the row"
    assert (sentence in done.stdout) is bool(status)


def test_a_number_of_cases_ends_a_run_long_before_its_budget_and_the_corpus_is_among_them(tmp_path: Path) -> None:
    (tmp_path / "corpus").mkdir()
    for name in ("a", "b"):
        case = {"format_version": 1, "weight": {"in_features": 64}, "bias": name == "a"}
        (tmp_path / "corpus" / f"{name}.json").write_text(json.dumps(case), encoding="utf-8")
    (tmp_path / "known.toml").write_text("", encoding="utf-8")
    began = time.monotonic()
    arguments = ["--fuzz-device", "cpu", "--fuzz-budget", "10m", "--fuzz-cases", "20", "--reports-dir", str(tmp_path / "out")]
    files = ["--known-issues", str(tmp_path / "known.toml"), "--corpus", str(tmp_path / "corpus")]
    done = run(*arguments, *files, environment=standin(()), target="fuzz/test_gemv_matrix.py")
    assert done.returncode == 0, done.stdout
    assert time.monotonic() - began < 100
    record = json.loads((tmp_path / "out" / "run.json").read_text(encoding="utf-8"))
    assert 20 <= record["cases"] <= 28
    assert record["stop_reason"] == "cases"
    assert f"page: {tmp_path / 'out' / 'index.html'}" in done.stdout.splitlines()
    assert (tmp_path / "out" / "index.html").is_file()


def test_a_page_that_cannot_be_written_is_one_line_and_changes_neither_results_nor_status(tmp_path: Path) -> None:
    (tmp_path / "out" / "index.html").mkdir(parents=True)
    (tmp_path / "known.toml").write_text("", encoding="utf-8")
    arguments = ["--fuzz-device", "cpu", "--known-issues", str(tmp_path / "known.toml"), "--reports-dir", str(tmp_path / "out")]
    done = run(*arguments, environment=standin(()), target="fuzz/test_known_issues.py")
    assert done.returncode == 0, done.stdout
    (line,) = [line for line in done.stdout.splitlines() if "no page of this run" in line]
    assert line.startswith("warning: there is no page of this run, its results are written: cannot write ")
    assert json.loads((tmp_path / "out" / "run.json").read_text(encoding="utf-8"))["format_version"] == 3


def test_cuda_without_a_gpu_is_a_usage_error_and_not_a_skip(tmp_path: Path) -> None:
    done = run("--fuzz-device", "cuda", "--reports-dir", str(tmp_path), environment={"CUDA_VISIBLE_DEVICES": ""})
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "ERROR: no usable GPU: " in done.stderr + done.stdout


def test_collecting_only_starts_nothing(tmp_path: Path) -> None:
    done = run("--collect-only", "-q", "--reports-dir", str(tmp_path / "out"))
    assert done.returncode == 0
    assert "test_gemv_and_matrix_paths_agree" in done.stdout
    assert "test_no_known_issue_has_expired" in done.stdout
    assert not (tmp_path / "out").exists()


SLOW = {
    "test_compiled_calls_compute_what_they_do_without",
    "test_ops_keep_to_their_schemas_and_fake_kernels",
    "test_triton_functions_do_what_the_ops_are_for",
}


@pytest.mark.parametrize(
    ("arguments", "target", "collected"),
    [
        ([], "fuzz/", set()),
        (["--fuzz-profile", "smoke"], "fuzz/", set()),
        (["--fuzz-budget", "299s"], "fuzz/", set()),
        (["--fuzz-budget", "5m"], "fuzz/", SLOW),
        (["--fuzz-profile", "nightly"], "fuzz/", SLOW),
        (["--fuzz-profile", "deep"], "fuzz/", SLOW),
        (["-k", "opcheck or compiled or triton"], "fuzz/", SLOW),
        ([], "fuzz/test_compiled_calls.py", {"test_compiled_calls_compute_what_they_do_without"}),
    ],
)
def test_slow_properties_are_searched_where_the_profile_or_the_command_asks_for_them(
    arguments: list[str], target: str, collected: set[str]
) -> None:
    output = run("--collect-only", "-q", *arguments, target=target).stdout
    assert {name for name in SLOW if name in output} == collected
    assert ("test_gradients" in output) is (target == "fuzz/" and "-k" not in arguments)


GIANT = "test_giants_are_as_right_as_what_they_are_made_of"


@pytest.mark.parametrize(
    ("arguments", "target", "giants", "others"),
    [
        ([], "fuzz/", False, True),
        (["--fuzz-profile", "deep"], "fuzz/", False, True),
        (["--fuzz-profile", "giant"], "fuzz/", True, False),
        ([], "fuzz/test_giants.py", True, False),
        (["--fuzz-profile", "giant"], "fuzz/test_gradients.py", False, True),
    ],
)
def test_giants_are_searched_alone(arguments: list[str], target: str, giants: bool, others: bool) -> None:  # noqa: FBT001
    output = run("--collect-only", "-q", *arguments, target=target).stdout
    assert (GIANT in output) is giants
    assert ("test_gradients" in output) is others
    assert ("test_no_known_issue_has_expired" in output) is (target == "fuzz/")


def test_a_property_of_gpus_is_skipped_on_a_cpu_and_says_why(tmp_path: Path) -> None:
    arguments = [
        "--fuzz-device",
        "cpu",
        "--fuzz-budget",
        "30s",
        "--fuzz-cases",
        "5",
        "--known-issues",
        "/dev/null",
        "--corpus",
        "/dev/null",
    ]
    files = ["--reports-dir", str(tmp_path / "out"), "-rs"]
    done = run(*arguments, *files, environment=standin(()), target="fuzz/test_graph_replay.py")
    assert done.returncode == 0, done.stdout
    assert "1 skipped" in done.stdout
    assert "it is about GPUs, and this run has none" in done.stdout
    assert json.loads((tmp_path / "out" / "run.json").read_text(encoding="utf-8"))["cases"] == 0


def test_explicit_options_go_before_the_profile(pytestconfig: pytest.Config, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(pytestconfig.option, "reports_dir", tmp_path)

    def options(profile: str, budget: str | None, watchdog: str | None) -> Options:
        for name, value in {"fuzz_profile": profile, "fuzz_budget": budget, "fuzz_watchdog": watchdog}.items():
            monkeypatch.setattr(pytestconfig.option, name, value)
        return plugin.options_of(pytestconfig)

    plain, given = options("deep", None, None), options("deep", "10m", "5s")
    assert (plain.budget, plain.watchdog, plain.large) == (7200.0, 180.0, True)
    assert (given.budget, given.watchdog, given.large) == (600.0, 5.0, True)
    assert not options("default", None, None).large


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


@pytest.fixture
def nightly(pytestconfig: pytest.Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """A profile that includes slow properties."""
    monkeypatch.setattr(pytestconfig.option, "fuzz_profile", "nightly")


@pytest.mark.usefixtures("nightly")
@pytest.mark.draws(cases(), share=4)
def test_a_property_draws_and_has_the_share_that_its_marker_says(request: pytest.FixtureRequest) -> None:
    stated = plugin.property_of(request.node)
    assert (stated.name, stated.share) == (request.node.nodeid, 4)


@pytest.mark.usefixtures("nightly")
@pytest.mark.draws(cases())
def test_a_property_has_one_share_where_nothing_else_is_said(request: pytest.FixtureRequest) -> None:
    assert plugin.property_of(request.node).share == 1


@pytest.mark.draws(cases(), share=2)
def test_elsewhere_it_is_drawn_more_often_than_slow_ones(request: pytest.FixtureRequest) -> None:
    assert plugin.property_of(request.node).share == 2 * RARELY


@pytest.mark.draws(cases(), share=2, slow=True)
def test_and_slow_ones_are_not(request: pytest.FixtureRequest) -> None:
    assert plugin.property_of(request.node).share == 2


@pytest.mark.draws(cases(), share=0)
def test_a_share_of_nothing_is_a_usage_error(request: pytest.FixtureRequest) -> None:
    with pytest.raises(pytest.UsageError, match="has a share of 0, not a whole number above 0"):
        plugin.property_of(request.node)


def test_a_property_that_does_not_say_what_it_draws_is_a_usage_error(request: pytest.FixtureRequest) -> None:
    with pytest.raises(pytest.UsageError, match="uses the fixture campaign without saying what it draws"):
        plugin.property_of(request.node)


def test_nothing_that_a_library_says_begins_a_line() -> None:
    """A runner of GitHub Actions obeys lines that begin with two colons."""
    said = plugin.describe(finding(expected="a\n::error::b", got="c\r\n ::add-mask::d"))
    assert [line.partition(":")[0] for line in said.splitlines()[1:]] == ["expected", "got", "script"]
