"""What the Train screen reads of a run's losses, and what it says about them."""

import re
from collections.abc import Callable
from pathlib import Path

from app import train
from app.losses import LossLog
from app.person import who
from app.services import Services
from leaml.config import FinetuneConfig, model_run
from tests.runs import line, put_run


def test_each_report_is_read_once(tmp_path: Path) -> None:
    file, first = tmp_path / "progress.jsonl", line(1, 2.0)
    log = LossLog(file)
    assert log.reports() == []
    file.write_text('{"stage": "captions", "step": 1, "total": 1, "figures": {}}\n' + first + line(2, 1.0)[:-9])
    assert [report["step"] for report in log.reports()] == [1]
    file.write_text(
        "?" * file.read_text().index(first) + "?" * len(first) + line(2, 1.0) + "half a li\n" + line(3, 0.5)
    )
    assert [report["step"] for report in log.reports()] == [1, 2, 3], "what was read is not looked at again"
    assert [report["step"] for report in log.reports()] == [1, 2, 3]


def test_the_legend_names_where_the_curve_ends(make_services: Callable[..., Services]) -> None:
    services = make_services()
    losses = [3.0, 1.0, 2.0, 0.4]
    put_run(services.settings.workspace, "r0001", model_run(FinetuneConfig("lora")), losses=losses)
    _, _, head, figure, *_ = train.draw(who(services, None), {})
    curve = next(part for part in figure.data if part.name == "answers")
    assert re.findall(r"answers ([\d.]+)<", head) == [f"{curve.y[-1]:.2f}"]
    assert f"{curve.y[-1]:.2f}" != f"{losses[-1]:.2f}"
