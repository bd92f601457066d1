"""Reads what a run has reported, backwards from its end, where the state of a run is."""

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

BLOCK = 1 << 13
"""Bytes that are read at once from the end: some 50 reports, more than a look at a run needs."""


def newest_reports(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the reports, the last one first, and read no more of the file than is asked for.

    A file may have a report for each of many thousand images, and every open page looks at every run each second.
    """
    try:
        with path.open("rb") as file:
            end, rest = file.seek(0, os.SEEK_END), b""
            while end:
                start = max(0, end - BLOCK)
                file.seek(start)
                first, *lines = (file.read(end - start) + rest).split(b"\n")
                yield from whole_reports(reversed(lines))
                end, rest = start, first  # the first line may begin in the block before
            yield from whole_reports([rest])
    except OSError:
        return


def whole_reports(lines: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    """Yield the reports among some lines; one that a full disk cut matters less than what is said next."""
    for line in lines:
        try:
            report = json.loads(line)
        except ValueError:
            continue
        if isinstance(report, dict):
            yield report
