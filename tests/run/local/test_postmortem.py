"""Why a worker died, in words."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from krigetuner.run.local.postmortem import LINES, cause, last_lines, last_lines_of

REPORT = """epoch 1
Fatal Python error: Segmentation fault

Thread 0x00007f2fca9ff6c0 (most recent call first):
  File "threading.py", line 331 in wait

Current thread 0x00007f2fcb000000 (most recent call first):
  File "script.py", line 7 in build
  File "worker_process.py", line 1 in main

Extension modules: numpy (total: 1)
"""


def lines_of(path: Path, text: str, start: int = 0) -> str:
    path.write_text(text)
    number = os.open(path, os.O_RDONLY)
    try:
        return last_lines(number, start)
    finally:
        os.close(number)


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (-signal.SIGSEGV, "SIGSEGV (a fault of native code)"),
        (-signal.SIGKILL, "SIGKILL (killed from outside, perhaps because the memory ran out)"),
        (-signal.SIGUSR1, "SIGUSR1 (User defined signal 1)"),
        (-signal.SIGRTMIN - 3, f"signal {signal.SIGRTMIN + 3}"),
        (3, "by itself with exit code 3"),
    ],
)
def test_what_ended_a_process(code: int, text: str) -> None:
    assert text in cause(code)
    assert cause(code, 1.5).startswith("trial_timeout: expected the trial to end within 1.5 s")


def test_a_fault_shows_what_its_thread_was_doing(tmp_path: Path) -> None:
    assert lines_of(tmp_path / "log", REPORT).splitlines() == [
        "epoch 1",
        "Fatal Python error: Segmentation fault",
        "",
        "Current thread 0x00007f2fcb000000 (most recent call first):",
        '  File "script.py", line 7 in build',
        '  File "worker_process.py", line 1 in main',
    ]


def test_the_end_of_a_long_output(tmp_path: Path) -> None:
    text = "".join(f"line {i}\n" for i in range(50_000)) + "1/3\r2/3\r3/3 loss 0.5\n" + "x" * 500
    lines = lines_of(tmp_path / "log", text).splitlines()
    assert len(lines) == LINES
    assert lines[-3:-1] == ["line 49999", "3/3 loss 0.5"]
    assert len(lines[-1]) < 500


def test_a_log_without_lines_leaves_the_word_to_the_workers_own_file(tmp_path: Path) -> None:
    log, own = tmp_path / "output.log", tmp_path / "own"
    log.write_text("an earlier attempt\n")
    own.write_bytes(b"no such module\xff\n")
    number = os.open(own, os.O_RDONLY)
    assert last_lines_of(log, 0, number) == "an earlier attempt"
    assert last_lines_of(log, log.stat().st_size, number) == "no such module\ufffd"
    assert last_lines_of(tmp_path / "absent", 0, number) == "no such module\ufffd"
    os.close(number)
