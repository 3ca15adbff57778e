"""The display: which mode, what it says, and that it is drawn in a terminal."""

from __future__ import annotations

import errno
import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from krigetuner.run.progress import (
    Progress,
    Shown,
    _picture,
    duration,
    failure_reason,
    mode_for,
    number,
    show,
    tell_interrupted,
)


@pytest.mark.parametrize(
    ("verbose", "terminal", "mode"),
    [
        (None, True, "live"),
        ("auto", True, "live"),
        (None, False, "quiet"),
        ("auto", False, "quiet"),
        (1, True, "plain"),
        (2, False, "plain"),
        (True, True, "plain"),
        (0, True, "silent"),
        (False, False, "silent"),
    ],
)
def test_mode(verbose: Any, terminal: bool, mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("krigetuner.run.progress._is_interactive", lambda: terminal)
    assert mode_for(verbose) == mode


def story(progress: Progress) -> None:
    """Two trials, the second one failing."""
    progress.open()
    progress.started("0", {"units": 32, "rate": 0.00123456}, 2)
    progress.reported(0, {"val_loss": 0.75})
    progress.best(0.5, "0", {"units": 32})
    progress.ended("COMPLETED", 0.5, None)
    progress.started("1", {"units": 64}, 2)
    progress.ended("FAILED", None, "Traceback (most recent call last):\n  File x\nValueError: bad layer\n")
    progress.close("all done")


def test_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    story(Progress("plain", Shown("val_loss")))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Trial 0 (1 of 2): units=32, rate=0.0012346"
    assert lines[1].startswith("Trial 0 val_loss 0.5 after ")
    assert lines[1].endswith("best 0.5 (trial 0)")
    assert lines[2] == "Trial 1 (2 of 2): units=64"
    assert lines[4] == "Trial 1 failed: ValueError: bad layer"
    assert lines[5].endswith("all done; best val_loss 0.5 (trial 0)")
    assert len(lines) == 6


def test_quiet_tells_of_failures_and_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    story(Progress("quiet", Shown("val_loss")))
    failed, closing = capsys.readouterr().out.splitlines()
    assert failed == "Trial 1 failed: ValueError: bad layer"
    assert closing.startswith("Search ended after ")
    assert closing.endswith("all done; best val_loss 0.5 (trial 0)")


def test_an_interruption_is_told_on_the_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    tell_interrupted(["3"])
    tell_interrupted(["12", "10", "11"])
    tell_interrupted([])
    shown = capsys.readouterr()
    assert shown.out == ""
    first, second, third = shown.err.splitlines()
    assert first.startswith("Search interrupted: trial 3 was recorded as interrupted and will run first; call search()")
    assert second.startswith("Search interrupted: trials 10, 11, 12 were recorded as interrupted and will run first;")
    assert "every trial was recorded" in third


def test_silence(capsys: pytest.CaptureFixture[str]) -> None:
    story(Progress("silent", Shown("val_loss")))
    assert capsys.readouterr() == ("", "")


class Gone(io.StringIO):
    """A stream whose other end is gone: a closed pipe, a full disk, a terminal that hung up."""

    def __init__(self, reason: int) -> None:
        super().__init__()
        self.reason = reason

    def write(self, text: str) -> int:
        raise OSError(self.reason, os.strerror(self.reason))


@pytest.mark.parametrize("reason", [errno.EPIPE, errno.ENOSPC, errno.EIO])
@pytest.mark.parametrize("mode", ["quiet", "plain", "live"])
def test_a_display_that_cannot_be_written_ends_no_search(
    reason: int, mode: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdout", Gone(reason))
    monkeypatch.setattr(sys, "stderr", Gone(reason))
    story(Progress(mode, Shown("val_loss")))
    tell_interrupted(["3"])
    with pytest.raises(OSError, match=os.strerror(reason)):
        show("what somebody asked for")


def test_a_closed_output_ends_no_search(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("stdout", "stderr"):
        stream = io.StringIO()
        stream.close()
        monkeypatch.setattr(sys, name, stream)
    story(Progress("plain", Shown("val_loss")))
    tell_interrupted(["3"])


def test_characters_that_the_output_lacks_are_shown_as_escapes(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, "ascii", write_through=True))
    progress = Progress("plain", Shown("val_loss"))
    progress.open()
    progress.started("0", {"größe": "日"}, 2)
    progress.close("done")
    assert raw.getvalue().splitlines()[0] == rb"Trial 0 (1 of 2): gr\xf6\xdfe=\u65e5"
    assert raw.getvalue().endswith(b"done\n")


def test_a_live_display_outlives_its_terminal(tmp_path: Path) -> None:
    pty = pytest.importorskip("pty")
    code = (
        "import signal, sys\n"
        "signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"  # as under nohup
        "from krigetuner.run.progress import Progress, Shown\n"
        "p = Progress('live', Shown('val_loss'))\n"
        "p.open(); p.started('0', {'units': 32}, 3); sys.stdin.read()\n"
        "p.ended('FAILED', None, 'ValueError: bad'); p.close('enough')\n"
        "open(sys.argv[1], 'w').close()\n"
    )
    parent, child = pty.openpty()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "TERM": "xterm"}
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "done")],
        stdin=subprocess.PIPE,
        stdout=child,
        stderr=subprocess.DEVNULL,
        env=environment,
    )
    os.close(child)
    assert os.read(parent, 1)  # the display has begun
    os.close(parent)
    process.communicate()
    assert (tmp_path / "done").exists()


def test_the_picture_shows_the_running_and_the_best_trial() -> None:
    from rich.console import Console

    shown = Shown("val_loss", total=5, ended=2, best_score=0.25, best_trial="1", best_values={"units": 16, "old": 1})
    shown.trial_id, shown.values, shown.epoch, shown.metrics = "2", {"units": 64}, 3, {"loss": 1.0, "val_loss": 0.5}
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(_picture(shown))
    text = console.export_text()
    assert "Trial 3 of 5" in text
    assert "best val_loss 0.25 (trial 1)" in text
    assert ["units", "64", "16"] in [line.split() for line in text.splitlines()]
    assert ["old", "-", "1"] in [line.split() for line in text.splitlines()]
    assert "epoch 4: val_loss 0.5  loss 1" in text


def test_a_terminal_sees_the_live_display() -> None:
    pty = pytest.importorskip("pty")
    code = (
        "import select, sys\n"
        "from krigetuner.run.progress import Progress, Shown, mode_for\n"
        "p = Progress(mode_for(None), Shown('val_loss'))\n"
        "p.open(); p.started('0', {'units': 32}, 3); select.select([sys.stdin], [], [], 60)\n"
        "p.ended('FAILED', None, 'ValueError: bad [layer]'); p.close('enough')\n"
    )
    parent, child = pty.openpty()
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "TERM": "xterm",
        "COLUMNS": "100",
    }
    command = [sys.executable, "-c", code]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=child, stderr=child, env=environment)
    os.close(child)
    seen = b""
    while True:
        if b"units" in seen and process.stdin is not None:
            process.stdin.close()  # the trial is shown, so it may end
        try:
            chunk = os.read(parent, 4096)
        except OSError:
            break
        if not chunk:
            break
        seen += chunk
    os.close(parent)
    assert process.wait(60) == 0, seen.decode()
    text = seen.decode()
    assert "Trial 1 of 3" in text
    assert "hyperparameter" in text
    assert "Trial 0 failed: ValueError: bad [layer]" in text
    assert "enough" in text


def test_texts() -> None:
    assert [number(v) for v in (0.123456789, 3, "adam", True, 1e-7)] == ["0.12346", "3", "adam", "True", "1e-07"]
    assert [duration(s) for s in (3.21, 65.0, 7380.0)] == ["3.2s", "1m 05s", "2h 03m"]
    assert failure_reason(None) == ""
    assert (
        failure_reason("Traceback (most recent call last)\n  x\nValueError: first\n  more detail\n")
        == "ValueError: first"
    )


def test_a_reason_of_a_million_characters_is_shown_in_part() -> None:
    assert failure_reason("ValueError: " + "x" * 1_000_000) == "ValueError: " + "x" * 488 + " ..."
