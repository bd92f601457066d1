"""Services on a small drawn project, without a browser."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.services import Services
from app.settings import Settings
from tests.drawn import fill


@pytest.fixture
def make_services(tmp_path: Path) -> Iterator[Callable[..., Services]]:
    """Open services on a workspace filled with the drawn project; arguments go to `fill`."""
    opened: list[Services] = []

    def make(*, filled: bool = True, **arguments: int) -> Services:
        workspace = tmp_path / f"work{len(opened)}"
        if filled:
            fill(workspace, **arguments)
        opened.append(Services.open(Settings(workspace=workspace, sample=False, label_budget=6)))
        return opened[-1]

    yield make
    for services in opened:
        services.close()
