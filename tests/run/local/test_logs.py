"""What trials print, and scripts as people write them: no guard, own modules, a directory of their own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tests.contracts import executor as laws
from tests.run.local import process_jobs as jobs

from krigetuner.run.local.processes import ProcessExecutor
from krigetuner.run.messages import Failed, Finished, Job, Report


def test_what_a_trial_prints_is_in_its_directory(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    executor = ProcessExecutor(1, logs=tmp_path)
    reports = jobs.results(executor, [jobs.talkative, laws.answer, jobs.killed, jobs.talkative])
    log = tmp_path / "trial_00" / "output.log"
    assert log.read_text() == "from Python\nan error\nfrom a child\n"
    assert not (tmp_path / "trial_01" / "output.log").exists()
    assert "loading a terabyte" in (tmp_path / "trial_02" / "output.log").read_text()
    assert isinstance(reports[2], Failed)
    assert f"({tmp_path}/trial_02/output.log):\nloading a terabyte" in reports[2].message
    executor.submit(Job(0, 1, "00", jobs.killed))
    again: list[Report] = []
    executor.collect(again.append, timeout=60)
    assert isinstance(again[0], Failed)
    assert "from Python" not in again[0].message
    assert log.read_text().startswith("from Python\nan error\nfrom a child\n--- attempt 2 ---\nloading a terabyte\n")
    executor.close()
    assert capfd.readouterr() == ("", "")


def test_without_a_directory_the_output_serves_the_message_only() -> None:
    executor = ProcessExecutor(1)
    *_, failed = jobs.results(executor, [jobs.talkative, jobs.talkative, jobs.killed])
    assert failed.message.endswith("The last lines of its output:\nloading a terabyte")
    executor.close()


def test_a_log_that_cannot_be_written_is_no_trials_failure(tmp_path: Path) -> None:
    (tmp_path / "trial_00" / "output.log").mkdir(parents=True)
    executor = ProcessExecutor(1, logs=tmp_path)
    assert [type(r) for r in jobs.results(executor, [jobs.talkative])] == [Finished]
    executor.close()


SCRIPT = """
import sys
sys.path.insert(0, "sources")
from dataclasses import dataclass

import mine
from krigetuner.run.messages import Execution, Job, Outcome
from krigetuner.run.local.processes import ProcessExecutor
from krigetuner.run.shared import Shared

FACTOR = 3

def scaled(x):
    return FACTOR * mine.doubled(x)

@dataclass
class Run:
    shared: Shared
    x: int

    def __call__(self, context):
        return Outcome((Execution({"loss": scaled(self.x) + self.shared.value["offset"]}),), {"argv": sys.argv})

executor = ProcessExecutor(2)
executor.submit(Job(0, 0, "0", Run(Shared({"offset": 100}), 7)))
executor.submit(Job(1, 0, "1", lambda context: Outcome((Execution({"loss": 1.0}),))))
reports = []
while len(reports) < 2:
    executor.collect(reports.append)
executor.close()
print(*sorted((r.number, r.outcome.executions[0].metrics["loss"]) for r in reports))
print([r.outcome.discovered["argv"] for r in reports if r.number == 0])
"""


@pytest.mark.parametrize("how", ["file", "text"])
def test_a_script_needs_no_guard_and_its_modules_are_found(tmp_path: Path, how: str) -> None:
    (tmp_path / "sources").mkdir()
    (tmp_path / "sources" / "mine.py").write_text("def doubled(x):\n    return 2 * x\n")
    (tmp_path / "script.py").write_text(SCRIPT)
    command = [sys.executable, "script.py"] if how == "file" else [sys.executable, "-c", SCRIPT]
    done = subprocess.run([*command, "--epochs", "3"], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.stderr == ""
    assert done.stdout.splitlines()[0] == "(0, 142) (1, 1.0)"
    assert "'--epochs', '3'" in done.stdout


def test_a_module_that_only_this_process_has_ends_the_search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "passing_module.py").write_text("def run(context):\n    raise ValueError\n")
    monkeypatch.syspath_prepend(tmp_path)
    import passing_module  # type: ignore[import-not-found]

    (tmp_path / "passing_module.py").unlink()
    executor = ProcessExecutor(1)
    (failed,) = jobs.results(executor, [passing_module.run])
    assert failed.kind == "fatal"
    assert "workers: expected that a worker process can load what the trials need" in failed.message
    assert isinstance(failed.error, ModuleNotFoundError)
    executor.close()
