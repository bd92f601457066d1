"""What the app does not answer, whoever asks, around an app that answers everything."""

import pytest
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient

from app.own_page import OwnPage

IMAGE = "/srv/leaml/workspace/images/a%20b.png"
ELSEWHERE = "https://elsewhere.example/x"


@pytest.fixture
def client() -> TestClient:
    return TestClient(OwnPage(PlainTextResponse("answered"), local=True), base_url="http://127.0.0.1:7860")


@pytest.mark.parametrize(
    "path",
    [
        f"file={ELSEWHERE}",
        f"file%3D{ELSEWHERE}",
        "file=%68ttps%3A%2F%2Felsewhere.example",
        f"%66ile={ELSEWHERE}",
        f"file/{ELSEWHERE}",
        "file=HTTP://elsewhere.example",
        f"proxy={ELSEWHERE}",
        f"%70roxy%3D{ELSEWHERE}",
        "upload",
        "upload/",
        "uploa%64",
        "upload_progress?upload_id=x",
        "process_recording",
    ],
)
def test_nothing_is_fetched_from_elsewhere_or_taken_in(client: TestClient, path: str) -> None:
    for prefix in ("", "/behind/a/proxy"):
        for method in ("GET", "HEAD", "POST"):
            assert client.request(method, f"{prefix}/gradio_api/{path}").status_code == 403
    assert "shows its own images alone" in client.get(f"/gradio_api/{path}").text


@pytest.mark.parametrize(
    "path",
    ["/", "/config", f"/gradio_api/file={IMAGE}", "/gradio_api/queue/join", f"/?next={ELSEWHERE}", "/static/proxy="],
)
def test_the_rest_is_answered(client: TestClient, path: str) -> None:
    assert client.get(path).text == "answered"
