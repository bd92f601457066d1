"""What somebody is told who is not signed in any more."""

import pytest
from fastapi import Depends, FastAPI, HTTPException
from starlette.testclient import TestClient

from app.people_text import SIGNED_OUT
from app.sign_in import say_signed_out

REASON = {"error": "Not authenticated", "auth_message": "Sign in."}


def refuse() -> None:
    raise HTTPException(401, REASON)


@pytest.fixture
def client() -> TestClient:
    server = FastAPI(exception_handlers={401: say_signed_out})
    for path in ("/config", "/gradio_api/queue/join"):
        server.post(path, dependencies=[Depends(refuse)])(lambda body: body)
    return TestClient(server)


def test_what_a_person_pressed_gets_a_sentence(client: TestClient) -> None:
    event = {"data": [], "event_data": {"act": "accept"}, "fn_index": 3}
    told = client.post("/gradio_api/queue/join", json=event)
    assert (told.status_code, told.json()) == (401, {"detail": SIGNED_OUT})
    assert client.post("/config", json=event).json() == {"detail": REASON}, "the page to sign in reads it"


@pytest.mark.parametrize("body", [{"json": {"event_data": {}}}, {"json": {"event_data": None}}, {"json": [1]}, {}])
def test_what_the_page_asks_by_itself_gets_none(client: TestClient, body: dict[str, object]) -> None:
    told = client.post("/gradio_api/queue/join", **body)  # type: ignore[arg-type]
    assert (told.status_code, told.json()) == (401, {"detail": REASON})
