"""Services on a small drawn project, without a browser."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from app.services import Services
from app.settings import Settings
from leaml.records import Role
from leaml.store import Store
from tests.drawn import fill

PASSWORD = "correct horse"


@pytest.fixture
def make_services(tmp_path: Path) -> Iterator[Callable[..., Services]]:
    """Open services on a workspace filled with the drawn project; arguments go to `fill`.

    Each role in `users` gets a user who is named like it, and has `PASSWORD`.
    """
    opened: list[Services] = []

    def make(*, filled: bool = True, users: Sequence[Role] = (), **arguments: int) -> Services:
        workspace = tmp_path / f"work{len(opened)}"
        if filled:
            fill(workspace, **arguments)
        for role in users:
            with Store.open(workspace) as store:
                store.users.add(role, role, PASSWORD)
        opened.append(Services.open(Settings(workspace=workspace, sample=False, label_budget=6)))
        return opened[-1]

    yield make
    for services in opened:
        services.close()
