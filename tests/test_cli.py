"""The commands: what they do, what they leave alone, and how they end."""

from __future__ import annotations

import csv
import errno
import hashlib
import io
import json
import math
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

import krigetuner as kt
from krigetuner.cli import main


class Quick(kt.RandomSearch):
    """Trials that cost nothing; the third fails."""

    def run_trial(self, trial: Any, *args: Any, **fit: Any) -> Any:
        if trial.trial_id == "2":
            raise ValueError("it broke\nbadly")
        return {"val_loss": float(trial.hyperparameters.get("x")), "size": 2.0}


def build(hp: Any) -> None:
    hp.Int("x", 1, 100)
    hp.Choice("kind", ["a", "b"])


def searched(directory: Path, **kwargs: Any) -> Path:
    """A finished study."""
    tuner = Quick(build, "val_loss", max_trials=5, seed=1, directory=directory, project_name="p", **kwargs)
    tuner.search(verbose=0)
    tuner.oracle.close()
    return directory / "p"


def keras_tuner_project(root: Path) -> Path:
    """A small project of KerasTuner, one file of it cut off."""
    space = [
        {"class_name": "Int", "config": {"name": "x", "min_value": 1, "max_value": 100, "step": 1}},
        {"class_name": "Choice", "config": {"name": "kind", "values": ["a", "b"]}},
    ]
    for number in range(3):
        observations = [{"value": [float(number)], "step": 0}]
        trial = {
            "trial_id": str(number),
            "hyperparameters": {"space": space, "values": {"x": number + 1, "kind": "b"}},
            "metrics": {"metrics": {"val_loss": {"direction": "min", "observations": observations}}},
            "score": float(number),
            "best_step": 0,
            "status": "COMPLETED",
            "message": None,
        }
        (root / f"trial_{number}").mkdir(parents=True)
        (root / f"trial_{number}/trial.json").write_text(json.dumps(trial)[: 100 if number == 1 else None])
        (root / f"trial_{number}/checkpoint.weights.h5").write_bytes(b"weights")
    (root / "oracle.json").write_text(json.dumps({"hyperparameters": {"space": space, "values": {}}}))
    return root


def digests(directory: Path, database: bool = True) -> dict[str, str]:
    files = [p for p in directory.rglob("*") if p.is_file() and (database or not p.name.startswith("study.sqlite"))]
    return {str(p.relative_to(directory)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def test_show(tmp_path: Path, capsys: Any) -> None:
    project = searched(tmp_path)
    before = digests(project)
    assert main(["show", str(project), "--trials", "2"]) == 0
    text = capsys.readouterr().out
    assert "p: random search, val_loss (min)" in text
    assert "5 trials: 4 completed, 1 failed" in text
    assert "ended: max_trials: all 5 trials have been run" in text
    assert "Best trials, 2 of 4" in text
    assert "Last failure, trial 2: ValueError: it broke" in text
    assert "x (Int) min_value=1, max_value=100" in text
    assert digests(project) == before


def test_show_a_study_that_runs_and_one_in_another_database(tmp_path: Path, capsys: Any) -> None:
    url = f"sqlite:///{tmp_path / 'all.sqlite'}"
    tuner = Quick(build, "val_loss", directory=tmp_path, project_name="p", storage=url)
    tuner.oracle.create_trial("tuner0")
    assert main(["show", str(tmp_path / "p"), "--storage", url]) == 0
    assert "1 trials: 1 running" in capsys.readouterr().out
    assert main(["show", url]) == 1
    assert "got the URL of a database; give that as --storage URL" in capsys.readouterr().err


def test_export_csv(tmp_path: Path, capsys: Any) -> None:
    project = searched(tmp_path)
    assert main(["export", "--format", "csv", str(project)]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["trial_id"] for row in rows] == ["0", "1", "2", "3", "4"]
    assert rows[0]["val_loss"] == rows[0]["score"]
    target = tmp_path / "table.csv"
    assert main(["export", "--format", "csv", str(project), "--to", str(target), "--history"]) == 0
    assert len(target.read_text().splitlines()) == 5
    assert main(["export", "--format", "csv", str(project), "--to", str(target)]) == 1
    assert "expected a file that is not there yet" in capsys.readouterr().err


def test_a_table_that_cannot_be_written_leaves_no_file(
    tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pandas

    def full(self: Any, path: Any, **_: Any) -> None:
        Path(path).write_text("trial_id")
        raise OSError(errno.ENOSPC, "No space left on device")

    project, target = searched(tmp_path), tmp_path / "table.csv"
    command = ["export", "--format", "csv", str(project), "--to", str(target)]
    with monkeypatch.context() as patched:
        patched.setattr(pandas.DataFrame, "to_csv", full)
        assert main(command) == 1
    assert "No space left on device" in capsys.readouterr().err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["p"]
    assert main(command) == 0


def test_a_table_of_values_that_are_no_unicode(tmp_path: Path, capsys: Any) -> None:
    tuner = Quick(lambda hp: hp.Choice("file", ["a\udcff"]) and hp.Choice("x", [1]), "val_loss", 1, directory=tmp_path)
    tuner.search(verbose=0)
    tuner.oracle.close()
    target = tmp_path / "table.csv"
    assert main(["export", "--format", "csv", str(tmp_path / "untitled_project"), "--to", str(target)]) == 0
    assert [row["file"] for row in csv.DictReader(target.read_text("utf-8").splitlines())] == [r"a\udcff"]


def test_show_in_a_terminal_that_lacks_characters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tuner = Quick(lambda hp: hp.Choice("x", [1, 2]) and hp.Choice("ö", ["é"]), "val_loss", 2, directory=tmp_path)
    tuner.search(verbose=0)
    tuner.oracle.close()
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, "ascii", write_through=True))
    assert main(["show", str(tmp_path / "untitled_project")]) == 0
    assert rb"\xf6=\xe9" in raw.getvalue()


def test_export_for_keras_tuner(tmp_path: Path, capsys: Any) -> None:
    project = searched(tmp_path)
    before = digests(project)
    target = tmp_path / "out/there"
    command = ["export", "--format", "keras-tuner", str(project), "--to"]
    assert main([*command, str(target)]) == 0
    assert "exported 5 trials" in capsys.readouterr().out
    assert sorted(p.name for p in target.iterdir()) == [
        "oracle.json",
        *[f"trial_{n}" for n in range(5)],
        "tuner0.json",
    ]
    for bad in (str(target), str(project / "inside"), str(project)):
        assert main([*command, bad]) == 1
        assert capsys.readouterr().err.count("\n") == 1
    assert main(command[:-1]) == 1
    assert "--to NEW_DIRECTORY" in capsys.readouterr().err
    assert digests(project) == before
    assert not list(tmp_path.rglob(".writing-*"))


def test_export_of_executions_that_diverged_both_ways(tmp_path: Path, capsys: Any) -> None:
    class Diverging(Quick):
        def run_trial(self, trial: Any, *args: Any, **fit: Any) -> Any:
            return [{"val_loss": 1.0, "gain": math.inf}, {"val_loss": 2.0, "gain": -math.inf}]

    tuner = Diverging(build, "val_loss", max_trials=1, directory=tmp_path, project_name="p")
    tuner.search(verbose=0)
    tuner.oracle.close()
    target = tmp_path / "there"
    assert main(["export", "--format", "keras-tuner", str(tmp_path / "p"), "--to", str(target)]) == 0
    metrics = json.loads((target / "trial_0/trial.json").read_text())["metrics"]["metrics"]
    assert metrics["val_loss"]["observations"][0]["value"] == [1.0, 2.0]
    assert math.isnan(metrics["gain"]["observations"][0]["value"][0])


def test_import_beside_the_files(tmp_path: Path, capsys: Any) -> None:
    root = keras_tuner_project(tmp_path / "p")
    before = digests(root)
    assert main(["show", str(root)]) == 0
    assert "2 trials: 2 completed" in capsys.readouterr().out
    assert digests(root) == before
    assert main(["import", str(root)]) == 0
    out, err = capsys.readouterr()
    assert "imported 2 trials of KerasTuner's: 2 completed, 1 unreadable" in out
    assert err.startswith("warning: ")
    assert "trial_1/trial.json: expected JSON" in err
    assert digests(root, database=False) == before
    assert main(["import", str(root)]) == 1
    assert "expected a directory without a study" in capsys.readouterr().err
    tuner = Quick(build, "val_loss", max_trials=4, directory=tmp_path, project_name="p", keep_checkpoints="best")
    assert [t.score for t in tuner.oracle.get_best_trials(5)] == [0.0, 2.0]
    tuner.search(verbose=0)
    assert sorted(tuner.oracle.trials) == ["0", "2", "3", "4"]  # 1 has a directory that nothing may be written to
    assert digests(root, database=False).items() >= before.items()


def test_import_into_a_new_directory(tmp_path: Path, capsys: Any) -> None:
    root = keras_tuner_project(tmp_path / "p")
    before = digests(root)
    assert main(["import", str(root), "--to", str(tmp_path / "q")]) == 0
    assert digests(root) == before
    assert (tmp_path / "q/trial_0/checkpoint.weights.h5").read_bytes() == b"weights"
    assert not (tmp_path / "q/trial_0/trial.json").exists()
    capsys.readouterr()
    assert main(["import", str(root), "--to", str(tmp_path / "q")]) == 1
    assert "absent or empty" in capsys.readouterr().err
    tuner = Quick(build, "val_loss", directory=tmp_path, project_name="q", overwrite=True)
    assert not tuner.oracle.trials
    assert not (tmp_path / "q/trial_0").exists()


@pytest.mark.parametrize("command", [["show"], ["import"], ["export", "--format", "csv"]])
def test_a_directory_that_is_none(tmp_path: Path, capsys: Any, command: list[str]) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad/study.sqlite").write_bytes(b"not a database at all, not at all" * 100)
    for name in ("absent", "empty", "bad"):
        assert main([*command, str(tmp_path / name)]) == 1
        out, err = capsys.readouterr()
        assert out == ""
        assert err.startswith("krigetuner: ")
        assert err.count("\n") == 1
        assert str(tmp_path / name) in err
    assert list((tmp_path / "empty").iterdir()) == []
    assert not (tmp_path / "absent").exists()


def test_the_study_file_instead_of_its_directory(tmp_path: Path, capsys: Any) -> None:
    project = searched(tmp_path)
    assert main(["show", str(project / "study.sqlite")]) == 1
    assert "expected a project's directory, got a file; give the directory that holds it" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["shwo"], ["export", "p"], ["export", "p", "--format", "xml"], ["show"]])
def test_a_command_that_is_none(arguments: list[str], capsys: Any) -> None:
    with pytest.raises(SystemExit) as error:
        main(arguments)
    assert error.value.code == 2
    assert "usage: krigetuner" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--help"], ["import", "--help"], ["export", "-h"]])
def test_help_has_examples(arguments: list[str], capsys: Any) -> None:
    with pytest.raises(SystemExit) as error:
        main(arguments)
    assert error.value.code == 0
    assert "krigetuner export my_dir/my_project --format keras-tuner" in capsys.readouterr().out


def test_versions(capsys: Any) -> None:
    assert main(["versions"]) == 0
    assert capsys.readouterr().out.startswith("python")


def test_as_a_process(tmp_path: Path) -> None:
    project = searched(tmp_path)

    def run(*arguments: str, **kwargs: Any) -> Any:
        return subprocess.run([sys.executable, "-m", "krigetuner", *arguments], text=True, check=False, **kwargs)

    found = run("show", str(project), capture_output=True)
    assert (found.returncode, found.stderr) == (0, "")
    assert "Best trials, 4 of 4" in found.stdout
    found = run("show", str(tmp_path / "absent"), capture_output=True)
    assert (found.returncode, found.stdout) == (1, "")
    assert "Traceback" not in found.stderr
    with subprocess.Popen(["true"], stdin=subprocess.PIPE) as reader:  # gone before anything is written
        reader.wait()
        found = run("show", str(project), stdout=reader.stdin, stderr=subprocess.PIPE)
    assert (found.returncode, found.stderr) == (0, "")


def test_the_command_is_installed() -> None:
    found = [e.value for e in metadata.entry_points(group="console_scripts") if e.name == "krigetuner"]
    assert set(found) <= {"krigetuner.cli:main"}
    text = (Path(__file__).parent.parent / "pyproject.toml").read_text()
    assert 'krigetuner = "krigetuner.cli:main"' in text
