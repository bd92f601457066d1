"""What runs leave in the store: pseudo pairs, models, and the models' answers to the test questions."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from leaml.captions import Captions
from leaml.database import Database, now, record
from leaml.queue import Queue
from leaml.records import Candidate, Caption, Prediction, RunId
from leaml.rounds import Rounds


@dataclass(frozen=True)
class ModelRow:
    """A trained and evaluated model.

    Attributes:
        run_id: The run that made it.
        method: One of `leaml.records.METHODS`.
        path: Its delta, relative to the workspace; empty for the base model.
        round: The loop's round.
        labels: How many labels it saw.
        pairs: How many pseudo pairs it saw.
        created_at: When it was taken over.
    """

    run_id: RunId
    method: str
    path: str
    round: int
    labels: int
    pairs: int
    created_at: datetime


class Results:
    """The results of ended runs. Each is taken over once, all of it or nothing."""

    def __init__(self, database: Database, queue: Queue, captions: Captions, rounds: Rounds) -> None:
        """Keep them in this database; new pairs join the queue and are a round, new captions join the others."""
        self._database = database
        self._queue = queue
        self._captions = captions
        self._rounds = rounds

    def round(self) -> int:
        """Return the round that a new generator would belong to, from 1."""
        rows = self._database.rows("SELECT count(*) AS runs FROM ingested_runs WHERE kind = 'generator'")
        return int(rows[0]["runs"]) + 1

    def ingested(self) -> set[RunId]:
        """Return the runs whose outputs are in the store."""
        return {RunId(row["run_id"]) for row in self._database.rows("SELECT run_id FROM ingested_runs")}

    def add_caption_run(self, run_id: RunId, captions: Sequence[Caption]) -> None:
        """Take over a run that ended with its captions; doing it twice changes nothing."""
        with self._database.transaction(f"take over the run {run_id}") as cursor:
            self._captions.add(captions)
            cursor.execute("INSERT OR IGNORE INTO ingested_runs VALUES (?, 'captions', ?)", [run_id, now()])

    def add_generator_run(self, run_id: RunId, candidates: Sequence[Candidate]) -> None:
        """Take over what a generator's run wrote; doing it twice changes nothing."""
        with self._database.transaction(f"take over the run {run_id}") as cursor:
            self._database.insert("candidates", candidates, Candidate, cursor)
            self._queue.arrange()
            self._rounds.changed()
            cursor.execute("INSERT OR IGNORE INTO ingested_runs VALUES (?, 'generator', ?)", [run_id, now()])

    def candidates(self, *, run_id: RunId | None = None) -> list[Candidate]:
        """Return the pseudo pairs of one run, or all."""
        query = "SELECT * FROM candidates WHERE ? IS NULL OR run_id = ? ORDER BY id"
        return [record(Candidate, row) for row in self._database.rows(query, run_id, run_id)]

    def doubtful_pairs(self, type_id: str, *, disagreement: float, limit: int) -> list[Candidate]:
        """Return the latest round's pairs of a question type with each option's probability, the most doubtful first.

        Doubt is the normalised entropy of these probabilities, and what they give to other answers than the pair's,
        times `disagreement`.
        """
        query = """SELECT * FROM candidates WHERE round = (FROM latest_round) AND type_id = ? AND len(options) > 1
            AND len(option_probabilities) = len(options)
            ORDER BY list_sum([p * ln(p) FOR p IN option_probabilities IF p > 0]) / ln(len(options))
                + ? * coalesce(agreement, 1.0), id LIMIT ?"""
        return [record(Candidate, row) for row in self._database.rows(query, type_id, disagreement, limit)]

    def candidate_count(self) -> int:
        """Return how many pseudo pairs there are, of all rounds."""
        return int(self._database.rows("SELECT count(*) AS pairs FROM candidates")[0]["pairs"])

    def pseudo_pairs(self) -> list[Candidate]:
        """Return the latest round's pairs that nobody has decided about, and whose question nobody labelled since."""
        rows = self._database.rows(
            """SELECT * FROM candidates c WHERE round = (FROM latest_round)
                AND id NOT IN (SELECT candidate_id FROM current_reviews WHERE action <> 'skip')
                AND NOT EXISTS (SELECT 1 FROM current_labels l
                    WHERE l.image_id = c.image_id AND (l.question = c.question OR l.type_id = c.type_id))
            ORDER BY id"""
        )
        return [record(Candidate, row) for row in rows]

    def generator(self) -> RunId | None:
        """Return the run whose generator wrote the latest round's pairs; None without one."""
        rows = self._database.rows("SELECT min(run_id) AS run FROM candidates WHERE round = (FROM latest_round)")
        return None if rows[0]["run"] is None else RunId(rows[0]["run"])

    def add_model(self, model: ModelRow, predictions: Sequence[Prediction]) -> None:
        """Take over a model and its answers to the test questions; doing it twice changes nothing."""
        with self._database.transaction(f"take over the run {model.run_id}") as cursor:
            if cursor.execute("SELECT 1 FROM ingested_runs WHERE run_id = ?", [model.run_id]).fetchone():
                return
            self._database.insert("models", [model], ModelRow, cursor)
            self._database.insert("predictions", predictions, Prediction, cursor, numbered_by=model.run_id)
            cursor.execute("INSERT INTO ingested_runs VALUES (?, 'model', ?)", [model.run_id, now()])

    def models(self) -> list[ModelRow]:
        """Return the models, oldest first."""
        rows = self._database.rows("SELECT * FROM models ORDER BY created_at, run_id")
        return [record(ModelRow, row) for row in rows]

    def predictions(self, run_id: RunId) -> list[Prediction]:
        """Return a model's answers to the test questions."""
        rows = self._database.rows("SELECT * FROM predictions WHERE run_id = ? ORDER BY position", run_id)
        return [record(Prediction, row) for row in rows]
