"""Values that many jobs share: packed once, mapped by every worker, and the error for what cannot travel."""

from __future__ import annotations

import copy
import functools
import os
import pickle
import sys
import threading
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tests.run.local import process_jobs as jobs

from krigetuner.run.local.parcels import Descriptor, package, packed, unpacked
from krigetuner.run.local.pickled import pickled
from krigetuner.run.local.processes import ProcessExecutor
from krigetuner.run.messages import Context, Job, Outcome
from krigetuner.run.shared import Shared


def there_and_back(value: Any) -> Any:
    parcel = packed(value)
    descriptor = parcel.descriptor()
    return unpacked(parcel.sizes, parcel.content if descriptor is None else descriptor.number)  # type: ignore[arg-type]


def mapped(array: Any) -> bool:
    """Whether the array's memory is a file's."""
    address = array.__array_interface__["data"][0]
    for line in Path("/proc/self/maps").read_text().splitlines():
        low, high = (int(n, 16) for n in line.split()[0].split("-"))
        if low <= address < high:
            return line.endswith((".npy", "(deleted)"))
    return False


class Weighed:
    """Counts how often it is unpickled in a process."""

    times = 0

    def __init__(self, size: int) -> None:
        self.data = np.arange(size, dtype=float)

    def __setstate__(self, state: dict[str, Any]) -> None:
        type(self).times += 1
        self.__dict__.update(state)


class Sum:
    """A job that looks at shared data, and writes into its own copy."""

    def __init__(self, shared: Shared[Weighed], index: int = 0) -> None:
        self.shared, self.index = shared, index

    def __call__(self, context: Context) -> Outcome:
        data = self.shared.value.data
        seen, data[self.index] = float(data.sum()), -1.0
        return jobs.outcome(sum=seen, times=Weighed.times, pid=os.getpid(), mapped=mapped(data))


def test_arrays_are_mapped_once_for_all_jobs_and_written_in_private() -> None:
    shared = Shared(Weighed(100_000))
    executor = ProcessExecutor(2)
    reports = [r.outcome.executions[0].metrics for r in jobs.results(executor, [Sum(shared, i) for i in range(1, 7)])]
    assert all(m["times"] == 1 and m["mapped"] for m in reports)
    total = shared.value.data.sum()
    assert total == 99_999 * 50_000  # the owner's is as it was
    for number in {m["pid"] for m in reports}:
        seen = [m["sum"] for m in reports if m["pid"] == number]
        assert seen[0] == total
        assert len(set(seen)) == len(seen)  # each worker sees what it wrote itself
    executor.close()


def test_in_its_own_process_a_shared_value_is_the_object_itself() -> None:
    value = [1, 2]
    shared = Shared(value)
    assert shared.value is value
    assert pickle.loads(pickle.dumps(shared)).value == value
    assert copy.deepcopy(shared).key == shared.key


def test_a_package_names_what_is_shared_and_does_not_hold_it() -> None:
    shared = Shared(Weighed(100_000))
    found = package(Job(0, 0, "0", Sum(shared)))
    assert found.shared == {shared.key: shared}
    assert sum(found.run.sizes) < 500
    assert package(Job(0, 0, "0", found)) is found
    with pytest.raises(TypeError, match="got a package"):
        found(None)


def test_a_file_vanishes_with_what_it_holds() -> None:
    parcel = packed(np.zeros(10_000))
    assert isinstance(parcel.content, Descriptor)
    number, alive = parcel.content.number, weakref.ref(parcel.content)
    assert os.fstat(number).st_nlink == 0
    del parcel
    assert alive() is None
    with pytest.raises(OSError, match="Bad file"):
        os.fstat(number)


@pytest.mark.parametrize(
    "array",
    [
        np.arange(20_000.0),
        np.arange(40_000.0)[::2],
        np.arange(40_000.0).reshape(200, 200).T,
        np.asfortranarray(np.arange(40_000.0).reshape(200, 200))[:, ::3],
        np.arange(20_000, dtype=">i4"),
        np.array(["a", "bc"] * 5000),
        np.zeros(30_000, dtype=[("x", "f8"), ("y", "i4")]),
        np.zeros((0, 3)),
        np.float32(3),
    ],
    ids=lambda a: f"{np.asarray(a).dtype.name}-{np.shape(a)}",
)
def test_arrays_arrive_as_they_were(array: Any) -> None:
    found = there_and_back({"x": array, "again": array})
    np.testing.assert_array_equal(found["x"], array)
    assert found["x"].dtype == array.dtype
    assert found["x"] is found["again"] or np.ndim(array) == 0
    if np.ndim(array):
        found["x"][:1] = array[:1]  # it can be written


def test_objects_frames_and_nesting_arrive() -> None:
    frame = pd.DataFrame({"a": np.arange(20_000.0), "b": ["x", "y"] * 10_000})
    found = there_and_back([frame, np.array([{1: 2}, None], dtype=object), Shared(frame)])
    pd.testing.assert_frame_equal(found[0], frame)
    assert list(found[1]) == [{1: 2}, None]
    pd.testing.assert_frame_equal(found[2].value, frame)


@pytest.mark.parametrize("mode", ["r", "r+", "c"])
def test_maps_of_files_travel_by_name(tmp_path: Path, mode: Any) -> None:
    path = tmp_path / "data.npy"
    np.save(path, np.arange(40_000.0).reshape(200, 200))
    array = np.load(path, mmap_mode=mode)
    if mode != "r":
        array[1, 1] = -5.0
    for part in (array, array[20:40], array.T, array[:, ::2]):
        stream = pickled(part, lambda buffer: None)
        found = there_and_back(part)
        np.testing.assert_array_equal(found, part)
        contiguous = part.flags.c_contiguous or part.flags.f_contiguous
        assert (b"opened_map" in stream) == (mode != "c" and contiguous)
        assert mapped(found) or mode == "c" or not contiguous
    path.unlink()
    np.testing.assert_array_equal(there_and_back(array), array)


class Hyper:
    def __init__(self) -> None:
        self.lock = threading.Lock()


class Tuner:
    """Refers to itself through a part that could travel."""

    def __init__(self) -> None:
        self.oracle = type("Oracle", (), {})()
        self.oracle.tuner = self
        self.data = np.zeros(10)
        self.hypermodel: Any = Hyper()


class Search:
    def __init__(self, tuner: Any, *args: Any, **kwargs: Any) -> None:
        self.tuner, self.args, self.kwargs = tuner, args, kwargs


def build_with(lock: Any) -> Any:
    def build(hp: Any) -> Any:
        return lock

    return build


def test_the_error_names_the_attribute_that_cannot_travel() -> None:
    lock, other = threading.Lock(), Tuner()
    other.hypermodel = build_with(lock)
    partial = functools.partial(print, lock)
    cases: list[tuple[Any, str, str]] = [
        (Search(Tuner()), "tuner.hypermodel.lock", "__getstate__"),
        (Search(other), "tuner.hypermodel (variable 'lock')", "__getstate__"),
        (Search(None, 1, [2, lock]), "args[1][1]", "__getstate__"),
        (Search(None, callbacks=[partial]), "kwargs['callbacks'][0][0]", ""),
        (Search(None, x=(n for n in range(3))), "kwargs['x']", "pass arrays"),
        (Search(None, x=sys._getframe()), "kwargs['x']", "build it inside"),
        ({"x": lock}, "x", "search without workers"),
        (build_with(lock), "build (variable 'lock')", ""),
        (lock, "the trial", "_thread.lock"),
    ]
    for value, path, advice in cases:
        with pytest.raises(TypeError) as caught:
            pickled(value, lambda buffer: None)
        assert str(caught.value).startswith(f"{path}: expected something that can be sent to a worker process, got")
        assert advice in str(caught.value)


def test_submit_says_it_before_anything_runs() -> None:
    executor = ProcessExecutor(1)
    with pytest.raises(TypeError, match=r"^tuner\.hypermodel\.lock: expected"):
        executor.submit(Job(0, 0, "0", Sum(Shared(Search(Tuner())))))  # type: ignore[arg-type]
    assert executor.collect(lambda report: None) == 0
    executor.close()


def test_no_room_for_the_data(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "absent"))
    with pytest.raises(RuntimeError, match=r"TMPDIR: expected room for .* MB that the workers share"):
        packed(np.zeros(100_000))
