"""Asks a teacher for the captions that are missing, counts what fails, and stops where too much does."""

import json
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from leaml.errors import TeacherError
from leaml.records import Caption, ImageId
from leaml.teacher.book import FAILURES_FILE, CaptionBook, append_line
from leaml.teacher.config import TeacherConfig
from leaml.teacher.described import Described, Keep
from leaml.teacher.local import describe_locally
from leaml.teacher.retry import SilentRow
from leaml.teacher.server import describe_by_server

REPORT_FILE = "caption_report.json"
TRIED_FIRST = 5
"""So many images are tried before the share that fails is looked at."""


class Teacher:
    """A teacher, with the captions of it that are known."""

    def __init__(self, config: TeacherConfig, *, known: Sequence[Caption], cache: Path, output: Path) -> None:
        """Ask by these settings.

        Args:
            config: Its source is not `recorded`.
            known: Captions of any teacher; those of this one are not asked for.
            cache: The workspace's.
            output: Of the run; failures and the report are left there.
        """
        self._config, self._cache, self._output = config, cache, output
        self._book = CaptionBook(cache, config)
        same = (caption for caption in known if (caption.teacher, caption.prompt) == (config.name, config.prompt))
        self._known = {**self._book.captions(), **{caption.image_id: caption for caption in same}}

    def captions(
        self, images: Mapping[ImageId, Path], *, tell: Callable[[int, int], None], cancelled: Callable[[], bool]
    ) -> list[Caption]:
        """Return the captions of these images, the failed ones left out.

        Args:
            images: Their files.
            tell: Hears (done, all); may raise to stop.
            cancelled: Looked at while nothing arrives.

        Raises:
            TeacherError: If more than the set share failed, or the server is gone; with the teacher's own words.
            LeamlError: If the teacher cannot be asked at all.
        """
        missing = {image_id: path for image_id, path in images.items() if image_id not in self._known}
        count = _Count(self._config, known=len(images) - len(missing))
        (self._output / FAILURES_FILE).unlink(missing_ok=True)  # what failed in an earlier attempt is asked again
        tell(count.known, len(images))
        if missing:
            with closing(self._answers(missing, self._book.keep, cancelled)) as answers:
                for described in answers:
                    self._note(described)
                    count.add(described)
                    tell(count.known + count.tried, len(images))
        tell(count.known + count.tried, len(images))  # raises where the answers ended early, by a wish to stop
        count.check_all()
        self._report(count, len(images))
        found = {**self._known, **self._book.captions()}
        return [found[image_id] for image_id in images if image_id in found]

    def _answers(
        self, images: Mapping[ImageId, Path], keep: Keep, cancelled: Callable[[], bool]
    ) -> Generator[Described, None, None]:
        if self._config.source == "local":
            return describe_locally(self._config, images, keep=keep, cache=self._cache)
        return describe_by_server(self._config, images, keep=keep, cancelled=cancelled)

    def _note(self, described: Described) -> None:
        if described.error:
            line = {"image": described.image_id, "error": described.error, "at": datetime.now(UTC).isoformat()}
            append_line(self._output / FAILURES_FILE, line)

    def _report(self, count: "_Count", images: int) -> None:
        report = {
            "teacher": self._config.name,
            "prompt": self._config.prompt,
            "images": images,
            "known_before": count.known,
            "asked": count.tried,
            "failed": count.failed,
        }
        (self._output / REPORT_FILE).write_text(json.dumps(report, indent=1))


class _Count:
    """What was tried in this attempt, and the rules that stop it."""

    def __init__(self, config: TeacherConfig, *, known: int) -> None:
        self._config, self.known = config, known
        self.tried = self.failed = 0
        self._last_error = ""
        self._silent = SilentRow(config.concurrency)

    def add(self, described: Described) -> None:
        """Count one image.

        Raises:
            TeacherError: If too many have failed, or too many in a row got no answer.
        """
        self.tried += 1
        gone = self._silent.add(described.silent)
        if described.error:
            self.failed += 1
            self._last_error = described.error
        if self.tried >= TRIED_FIRST and self.failed > 1:  # one broken image among the first says nothing yet
            # Where not one was answered the teacher is gone, however many captions there are from before.
            self._check(self.failed == self.tried)
        if gone:
            raise self._stop(f", of which the last {self._silent.length} got no answer")

    def check_all(self) -> None:
        """Look at the share once more at the end: a project may have fewer images than are tried first.

        Raises:
            TeacherError: If too many have failed.
        """
        self._check(False)

    def _check(self, gone: bool) -> None:
        everything = self.known + self.tried
        if gone or self.failed > self._config.failure_share * everything:
            raise self._stop()

    def _stop(self, silence: str = "") -> TeacherError:
        return TeacherError(
            f"{self._config.name} failed to describe {self.failed} of {self.tried} images{silence}. It said at last: "
            f"{self._last_error.rstrip('.')}. Put that right and resume the run: the captions it has are kept."
        )
