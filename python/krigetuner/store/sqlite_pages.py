"""Rows of an SQLite file's tables without rowid, taken from its pages one by one, where its trees are broken.

The layout is that of https://www.sqlite.org/fileformat2.html: sections 1.6 (b-tree pages), 1.5 (cells), 2.1 (records),
4.1 (the write-ahead log).
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from pathlib import Path

LEAF, INTERIOR = 0x0A, 0x02
"""The two kinds of pages that hold such rows."""

LONGEST = 2**28
"""Bytes of the longest row that is believed."""

WIDTHS = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}
"""Bytes of an integer, by its serial type."""

LOG_HEAD, FRAME_HEAD = 32, 24
"""Bytes before a write-ahead log's first frame, and before the page of each."""

Cell = int | float | bytes | str | None


def lay_out(log: Path, path: Path) -> None:
    """Writes the pages that stand in a write-ahead log to a file, the latest of each, as far as there are any.

    What the log's present round has not overwritten is of earlier rounds, each with a first salt one higher than the
    one before it: older pages, where there are no newer ones.
    """
    data = log.read_bytes()
    size, salt = int.from_bytes(data[8:12], "big"), int.from_bytes(data[16:20], "big")
    if size < 512 or size & (size - 1):
        return
    starts = range(LOG_HEAD, len(data) - FRAME_HEAD - size + 1, FRAME_HEAD + size)
    frames = [(*struct.unpack_from(">3I", data, at), at + FRAME_HEAD) for at in starts]
    last = max((pages for _, pages, its, _ in frames if its == salt), default=0)  # of the file, said at each commit
    with path.open("r+b") as file:
        for number, _, _, at in sorted(frames, key=lambda frame: (frame[2] - salt - 1) % 2**32):  # this round last
            if 0 < number <= last:
                file.seek((number - 1) * size)
                file.write(data[at : at + size])


def rows_of_pages(path: Path) -> Iterator[list[Cell]]:
    """Every row that stands whole on its pages, in no order; text that is no UTF-8 is left as bytes."""
    with path.open("rb") as file:
        if path.stat().st_size < 512:
            return
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            size = int.from_bytes(data[16:18], "big")
            size = 65536 if size == 1 else size
            if size < 512 or size & (size - 1):
                size = 4096
            reader = _Pages(data, size, size - data[20])
            for number in range(1, len(data) // size + 1):
                yield from reader.rows(number)


class _Pages:
    """The pages of one file.

    Args:
        data: the file.
        size: bytes of a page.
        usable: those of them that SQLite uses.
    """

    def __init__(self, data: mmap.mmap, size: int, usable: int) -> None:
        self._data, self._size, self._usable = data, size, usable
        self._most = (usable - 12) * 64 // 255 - 23
        self._least = (usable - 12) * 32 // 255 - 23

    def rows(self, number: int) -> Iterator[list[Cell]]:
        """The rows of one page."""
        page = self._page(number)
        start = 100 if number == 1 else 0
        kind = page[start]
        if kind not in (LEAF, INTERIOR):
            return
        count = int.from_bytes(page[start + 3 : start + 5], "big")
        first = start + (8 if kind == LEAF else 12)
        for place in range(first, min(first + 2 * count, self._usable - 1), 2):
            cell = int.from_bytes(page[place : place + 2], "big")
            try:
                yield _record(self._payload(page, cell + (4 if kind == INTERIOR else 0)))
            except (IndexError, ValueError, struct.error):
                continue  # a damaged cell

    def _page(self, number: int) -> bytes:
        page = self._data[(number - 1) * self._size : number * self._size]
        if number < 1 or len(page) < self._size:
            raise ValueError("no such page")
        return page

    def _payload(self, page: bytes, place: int) -> bytes:
        """The bytes of a row, those on its overflow pages too."""
        length, place = _varint(page, place)
        if not 0 < length < LONGEST:
            raise ValueError("no length")
        local = length
        if length > self._most:
            local = self._least + (length - self._least) % (self._usable - 4)
            local = local if local <= self._most else self._least
        parts = [page[place : place + local]]
        following = int.from_bytes(page[place + local : place + local + 4], "big")
        missing = length - local
        while missing > 0:
            page = self._page(following)
            following = int.from_bytes(page[:4], "big")
            parts.append(page[4 : min(self._usable, 4 + missing)])
            missing -= self._usable - 4
        whole = b"".join(parts)
        if len(whole) != length:
            raise ValueError("cut off")
        return whole


def _varint(data: bytes, place: int) -> tuple[int, int]:
    """A number of one to nine bytes, and the place behind it."""
    value = 0
    for i in range(9):
        byte = data[place + i]
        if i == 8:
            return value << 8 | byte, place + 9
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, place + i + 1
    raise ValueError("no number")


def _record(payload: bytes) -> list[Cell]:
    """The values of a record."""
    end, place = _varint(payload, 0)
    body, row = end, list[Cell]()
    while place < end:
        kind, place = _varint(payload, place)
        value, body = _value(payload, body, kind)
        row.append(value)
    if body != len(payload):
        raise ValueError("no record")
    return row


def _value(payload: bytes, place: int, kind: int) -> tuple[Cell, int]:
    """A value by its serial type, and the place behind it."""
    if kind in WIDTHS:
        end = place + WIDTHS[kind]
        return int.from_bytes(payload[place:end], "big", signed=True), end
    if kind == 7:
        return struct.unpack_from(">d", payload, place)[0], place + 8
    if kind in (0, 8, 9):
        return (None if kind == 0 else kind - 8), place
    if kind < 12:
        raise ValueError("a reserved type")
    end = place + (kind - 12) // 2
    data = payload[place:end]
    if kind % 2 == 0:
        return data, end
    try:
        return data.decode(), end
    except UnicodeDecodeError:
        return data, end
