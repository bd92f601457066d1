"""What runs leave in the store: pseudo pairs, models, and the models' answers to the test questions."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from leaml.records import Candidate, Caption, Prediction, RunId
from leaml.store.answered import ANSWERED, Answered, not_in
from leaml.store.captions import Captions
from leaml.store.database import Database, now, record
from leaml.store.queue import Queue
from leaml.store.rounds import Rounds


@dataclass(frozen=True)
class ModelRow:
    """A trained and evaluated model.

    Attributes:
        run_id: The run that made it.
        method: One of `leaml.records.METHODS`.
        path: Its delta, relative to the workspace; empty for the base model.
        round: The loop's round.
        labels: How many labels it saw.
        pairs: How many pseudo pairs it saw, reviewed or not.
        created_at: When it was taken over; of one that was tested again, when it first was.
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

    def __init__(
        self, database: Database, queue: Queue, captions: Captions, rounds: Rounds, answered: Answered
    ) -> None:
        """Keep them in this database; new pairs join the queue and are a round, new captions join the others."""
        self._database = database
        self._queue = queue
        self._captions = captions
        self._rounds = rounds
        self._answered = answered

    def round(self) -> int:
        """Return the round that the next generator's pairs will be, from 1; another one may end before it."""
        return self._rounds.next_number()

    def ingested(self) -> set[RunId]:
        """Return the runs whose outputs are in the store."""
        return {RunId(row["run_id"]) for row in self._database.rows("SELECT run_id FROM ingested_runs")}

    def add_caption_run(self, run_id: RunId, captions: Sequence[Caption]) -> None:
        """Take over a run that ended with its captions; doing it twice changes nothing."""
        with self._database.transaction(f"take over the run {run_id}") as cursor:
            self._captions.add(captions)
            cursor.execute("INSERT OR IGNORE INTO ingested_runs VALUES (?, 'captions', ?)", [run_id, now()])

    def add_generator_run(self, run_id: RunId, candidates: Sequence[Candidate]) -> Counter[str]:
        """Take over what a generator's run wrote as the next round; pairs that are there already stay as they are.

        Which round that is was not known when the run was asked for: others may have ended since, in any order. And
        people went on meanwhile: pairs that they would not be asked about now are left out.

        Returns:
            How many pairs were left out, by `leaml.pairs.decided.OBJECTIONS`.
        """
        left_out, kept = Counter[str](), list[Candidate]()
        with self._database.transaction(f"take over the run {run_id}") as cursor:
            decided = self._answered.decided()
            number = self._rounds.of_run(run_id) or self._rounds.next_number()
            for row in candidates:
                if objection := decided.objection(row.image_id, row.question, row.answer, row.type_id):
                    left_out[objection] += 1
                else:
                    kept.append(replace(row, round=number))
            self._database.insert("candidates", kept, Candidate, cursor)
            self._queue.arrange()
            self._rounds.changed()
            cursor.execute("INSERT OR IGNORE INTO ingested_runs VALUES (?, 'generator', ?)", [run_id, now()])
        return left_out

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
        """Return the latest round's pairs that nobody has decided about, and whose question nobody has answered."""
        rows = self._database.rows(
            f"""WITH {ANSWERED} SELECT * FROM candidates c WHERE round = (FROM latest_round)
                AND id NOT IN (SELECT candidate_id FROM current_reviews WHERE action <> 'skip')
                AND {not_in("answered", "c")}
            ORDER BY id"""
        )
        return [record(Candidate, row) for row in rows]

    def generator(self) -> RunId | None:
        """Return the run whose generator wrote the latest round's pairs; None without one."""
        # Older versions gave two runs one round: the one that ended last learnt from more.
        rows = self._database.rows(
            """SELECT c.run_id FROM candidates c LEFT JOIN ingested_runs i ON i.run_id = c.run_id
            WHERE c.round = (FROM latest_round) GROUP BY c.run_id
            ORDER BY max(i."at") DESC NULLS LAST, c.run_id DESC LIMIT 1"""
        )
        return RunId(rows[0]["run_id"]) if rows else None

    def add_model(self, model: ModelRow, predictions: Sequence[Prediction]) -> None:
        """Take over a model and its answers to the test questions; doing it twice changes nothing."""
        with self._database.transaction(f"take over the run {model.run_id}") as cursor:
            if cursor.execute("SELECT 1 FROM ingested_runs WHERE run_id = ?", [model.run_id]).fetchone():
                return
            self._database.insert("models", [model], ModelRow, cursor)
            self._database.insert("predictions", predictions, Prediction, cursor, numbered_by=model.run_id)
            cursor.execute("INSERT INTO ingested_runs VALUES (?, 'model', ?)", [model.run_id, now()])

    def models(self) -> list[ModelRow]:
        """Return the models, oldest first; one that was tested again comes right after itself."""
        rows = self._database.rows("SELECT * FROM models ORDER BY created_at, run_id")
        return [record(ModelRow, row) for row in rows]

    def predictions(self, run_id: RunId) -> list[Prediction]:
        """Return a model's answers to the test questions."""
        rows = self._database.rows("SELECT * FROM predictions WHERE run_id = ? ORDER BY position", run_id)
        return [record(Prediction, row) for row in rows]
