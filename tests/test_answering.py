"""The real answer process: one resident model, whose values come and go with a delta."""

import re
import shutil
import sys
import time
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from leaml import answer_worker, answering
from leaml.answering import Answer, Answerer, Asked
from leaml.config import BUNDLED_MODEL, Flips
from leaml.errors import ModelError
from leaml.estimate import FACTS_TIMEOUT_S
from leaml.evaluate import predict
from leaml.models.backbone import BUNDLED_PATH, Backbone, load
from leaml.models.features import ImageFeatures
from leaml.records import AnsweredQuestion, ImageId
from leaml.selective import Delta, linear_weights, select_rows
from tests.conftest import draw

OPTIONS = ("left", "center", "right")
SLOW = """
import json, sys, time
for line in sys.stdin:
    loading, thinking = map(float, json.loads(line)["model"].split())
    time.sleep(loading)
    print(json.dumps({"loaded": True}), flush=True)
    time.sleep(thinking)
    print(json.dumps({"text": "left", "option_probabilities": [], "seconds": 0, "swap_seconds": 0}), flush=True)
"""
"""Loads and answers as slowly as its model's name says, in seconds."""


@pytest.fixture(scope="module")
def base() -> Backbone:
    """The bundled model; `make_delta` leaves it as it was."""
    return load(BUNDLED_MODEL, device="cpu")


def make_delta(backbone: Backbone, path: Path, *, seed: int, flips: Flips = "none") -> Delta:
    """Write a delta that changes a tenth of each row of every linear weight of the decoder."""
    random = torch.Generator().manual_seed(seed)
    weights = linear_weights(backbone.model, within=backbone.decoder).weights
    entries = {name: select_rows(torch.rand(w.shape, generator=random), 0.1) for name, w in weights.items()}
    resident = backbone.resident
    resident.train(entries)
    with torch.no_grad():
        for name, weight in weights.items():
            values = entries[name].gather(weight)
            noise = torch.randn(values.shape, generator=random) * values.std()
            entries[name].scatter_(weight, values + noise)
    delta = resident.capture(entries, model=BUNDLED_MODEL, flips=flips)
    resident.restore()
    delta.save(path)
    return delta


@pytest.fixture(scope="module")
def delta(base: Backbone, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The file of a delta of the bundled model."""
    path = tmp_path_factory.mktemp("run") / "model.safetensors"
    make_delta(base, path, seed=0)
    return str(path)


@pytest.fixture(scope="module")
def answerer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Answerer]:
    """One answer process for all tests, as in the app."""
    folder = tmp_path_factory.mktemp("answers")
    found = Answerer(cache=folder / "cache", log=folder / "answers.log")
    yield found
    found.close()


@pytest.fixture
def ask(answerer: Answerer, tmp_path: Path) -> Callable[..., list[Answer]]:
    """Ask models where the disc is."""
    picture = draw(tmp_path / "disc.png", 1)

    def answers(*models: Asked) -> list[Answer]:
        return answerer.ask(models, image_id="disc", image=picture, question="Where is the disc?", options=OPTIONS)

    return answers


def test_the_adapter_goes_off_and_on_exactly(ask, delta):
    on, off, base, again, still = ask(
        Asked(delta), Asked(delta, adapter=False), Asked(BUNDLED_MODEL), Asked(delta), Asked(delta)
    )
    assert sum(on.option_probabilities) == pytest.approx(1)
    assert on.option_probabilities != pytest.approx(off.option_probabilities, abs=1e-3)
    assert base.option_probabilities == off.option_probabilities
    assert base.text == off.text
    assert again.option_probabilities == still.option_probabilities == on.option_probabilities
    assert again.text == on.text


def test_values_are_swapped_only_where_they_differ(ask, delta):
    ask(Asked(BUNDLED_MODEL))
    models = (Asked(BUNDLED_MODEL), Asked(delta, adapter=False), Asked(delta), Asked(delta), Asked(BUNDLED_MODEL))
    swapped = [answer.swap_seconds > 0 for answer in ask(*models)]
    assert swapped == [False, False, True, False, True]
    assert all(answer.seconds > 0 for answer in ask(*models))


def test_a_model_that_learnt_from_mirrored_pictures_is_asked_about_them_too(ask, base, delta, tmp_path):
    mirrored = tmp_path / "mirrored.safetensors"
    make_delta(base, mirrored, seed=0, flips="both")
    plain, own, off = ask(Asked(delta), Asked(str(mirrored)), Asked(str(mirrored), adapter=False))
    base.resident.apply(Delta.load(Path(delta)))
    features = ImageFeatures(base, tmp_path / "features")
    features.add({ImageId("disc"): tmp_path / "disc.png"})
    question = AnsweredQuestion(ImageId("disc"), "Where is the disc?", OPTIONS, "left")
    (found,) = predict(base, features, [question], lambda *_: None, "both")
    base.resident.restore()
    assert own.option_probabilities == pytest.approx(found.option_probabilities, abs=1e-4)
    assert own.option_probabilities != pytest.approx(plain.option_probabilities, abs=1e-3)
    assert off.option_probabilities == ask(Asked(BUNDLED_MODEL))[0].option_probabilities


def test_one_delta_takes_the_place_of_another(ask, base, delta, tmp_path):
    other = tmp_path / "other.safetensors"
    make_delta(base, other, seed=1)
    first, second, again, plain = ask(Asked(delta), Asked(str(other)), Asked(delta), Asked(str(other), adapter=False))
    assert first.option_probabilities != pytest.approx(second.option_probabilities, abs=1e-3)
    assert again.option_probabilities == first.option_probabilities
    assert plain.option_probabilities == ask(Asked(BUNDLED_MODEL))[0].option_probabilities


def test_a_missing_a_damaged_and_a_foreign_delta_say_so_and_the_process_goes_on(ask, base, delta, tmp_path):
    before = ask(Asked(delta))[0].option_probabilities
    missing, damaged, foreign = (tmp_path / f"{name}.safetensors" for name in ("missing", "damaged", "foreign"))
    with pytest.raises(ModelError, match=r"Cannot read .*missing\.safetensors.*Make it again"):
        ask(Asked(str(missing)))
    shutil.copyfile(delta, damaged)
    with damaged.open("r+b") as file:
        file.truncate(damaged.stat().st_size // 2)
    with pytest.raises(ModelError, match=r"Cannot read .*damaged\.safetensors.*Make it again"):
        ask(Asked(str(damaged)))
    own = Delta.load(Path(delta))
    Delta(own.entries, own.values, "0" * 64, own.base_dtype, own.about).save(foreign)
    with pytest.raises(ModelError, match="belongs to another base model"):
        ask(Asked(str(foreign)))
    after = ask(Asked(delta))[0]
    assert (after.option_probabilities, after.swap_seconds) == (before, 0), "refused before anything was changed"


def test_a_model_that_was_saved_whole_does_not_pretend_to_have_its_adapter_off(ask):
    with pytest.raises(ModelError, match=r"saved whole by an earlier version.*Train it again"):
        ask(Asked(str(BUNDLED_PATH), adapter=False))


@pytest.fixture
def slow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Answerer]:
    """An answerer of which loading may take 20 seconds, and an answer one."""
    monkeypatch.setattr(answering, "WORKER", (sys.executable, "-c", SLOW))
    monkeypatch.setattr(answering, "LOAD_S", 20.0)
    monkeypatch.setattr(answering, "ANSWER_S", 1.0)
    found = Answerer(cache=tmp_path / "cache", log=tmp_path / "answers.log")
    yield found
    found.close()


def ask_slow(answerer: Answerer, *models: str) -> list[str]:
    asked = [Asked(model) for model in models]
    found = answerer.ask(asked, image_id="disc", image=Path("disc.png"), question="Where?", options=())
    return [answer.text for answer in found]


def test_a_model_may_take_longer_to_load_than_to_answer(slow: Answerer) -> None:
    assert ask_slow(slow, "2 0", "0 0") == ["left", "left"]
    began = time.monotonic()
    with pytest.raises(ModelError, match=r"'0 60' gave no answer.*Try again"):
        ask_slow(slow, "0 60")
    assert time.monotonic() - began < 20
    assert ask_slow(slow, "0 0") == ["left"], "another process answers"


def test_who_closes_does_not_wait_for_an_answer_and_nobody_is_answered_after_it(slow: Answerer) -> None:
    with ThreadPoolExecutor(2) as people:
        waiting = [people.submit(ask_slow, slow, "15 0") for _ in range(2)]
        while slow._process is None:
            time.sleep(0.01)
        began = time.monotonic()
        slow.close()
        assert time.monotonic() - began < 10
        for one in waiting:
            with pytest.raises(ModelError, match=r"gave no answer|is being stopped"):
                one.result(10)
    with pytest.raises(ModelError, match="is being stopped"):
        ask_slow(slow, "0 0")
    assert slow._process is None


def is_gone(answerer: Answerer) -> bool:
    """Wait until there is no process any more."""
    until = time.monotonic() + 20
    while answerer._process is not None and time.monotonic() < until:
        time.sleep(0.01)
    return answerer._process is None


def test_a_model_leaves_its_memory_to_training_and_is_loaded_again_by_the_next_question(slow: Answerer) -> None:
    slow.release()
    assert ask_slow(slow, "0 0") == ["left"] and slow._process is not None
    slow.release()
    assert slow._process is None
    assert ask_slow(slow, "0 0") == ["left"]


def test_who_is_being_answered_has_the_answer_before_the_memory_is_left(slow: Answerer) -> None:
    with ThreadPoolExecutor(1) as people:
        waiting = people.submit(ask_slow, slow, "2 0", "0 0")
        while slow._process is None:
            time.sleep(0.01)
        began = time.monotonic()
        slow.release()
        assert time.monotonic() - began < 1 and not waiting.done(), "nobody waits"
        assert waiting.result(30) == ["left", "left"]
    assert is_gone(slow)


def test_a_model_that_nobody_asks_is_not_kept(slow: Answerer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answering, "IDLE_S", 0.2)
    assert ask_slow(slow, "0 0") == ["left"] and is_gone(slow)
    monkeypatch.setattr(answering, "IDLE_S", 1.0)
    assert ask_slow(slow, "0 0") == ["left"]
    process = slow._process
    assert ask_slow(slow, "1.5 0") == ["left"] and slow._process is process is not None, "its time begins anew"


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory. Tried to allocate"), MemoryError()])
def test_no_memory_left_is_a_sentence_and_what_was_loaded_is_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    def full(*_: object) -> None:
        raise error

    monkeypatch.setattr(answer_worker, "_resident", {("large", torch.float32): "half swapped"})
    monkeypatch.setattr(answer_worker, "answer", full)
    reply = answer_worker.answer_or_error({"model": "large"}, tmp_path, lambda: None)
    assert re.match(r"There is not enough memory for the model 'large'.*Ask again when no run", reply["error"])
    assert answer_worker._resident == {}


def test_the_limits_fit_a_large_model() -> None:
    assert answering.LOAD_S >= FACTS_TIMEOUT_S > answering.ANSWER_S == 120


def test_a_model_is_gone_before_another_one_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    gone: list[bool] = []
    monkeypatch.setattr(answer_worker, "_resident", {})
    first = weakref.ref(answer_worker._base(BUNDLED_MODEL, torch.float32).model)
    assert first() is answer_worker._base(BUNDLED_MODEL, torch.float32).model, "it is loaded once"

    def look(name: str, *, dtype: torch.dtype) -> Backbone:
        gone.append(first() is None)
        return load(name, dtype=dtype)

    monkeypatch.setattr(answer_worker, "load", look)
    answer_worker._base(BUNDLED_MODEL, torch.bfloat16)
    assert gone == [True], "two of them may not fit into the memory"
