"""Question types as they come in, typed or in a file: what they must be like, their ids, which are there already."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from itertools import count

from leaml.errors import ImportDataError
from leaml.prompts import SEPARATOR, normalise_answer, takes_several, without_several
from leaml.records import Project, QuestionType


def slug(text: str, *, between: str) -> str:
    """Return a text in lower case with each character that is no letter and no digit replaced, and none at its ends."""
    return "".join(letter if letter.isalnum() else between for letter in text.lower()).strip(between)


def question_id(question: str, taken: Collection[str]) -> str:
    """Return a short id for a question that is not taken, of its last words, which tell questions apart best."""
    words = slug(without_several(question), between=" ").split()
    return _free("_".join(words[-3:]) or "question", taken)


def by_words(types: Iterable[QuestionType]) -> dict[str, QuestionType]:
    """Return question types by their questions as these are compared (`normalise_answer`), the first of those alike."""
    found: dict[str, QuestionType] = {}
    for kind in types:
        found.setdefault(normalise_answer(kind.question), kind)
    return found


def with_types(project: Project, coming: Sequence[QuestionType]) -> Project:
    """Return the project with the question types that it lacks.

    One in the same words is there already: it stays with its id and its answers, which people may have changed. One in
    other words whose id is taken gets another id.
    """
    kinds = list(project.question_types)
    for kind in coming:
        if normalise_answer(kind.question) not in by_words(kinds):
            kinds.append(replace(kind, id=_free(kind.id, {known.id for known in kinds})))
    return replace(project, question_types=tuple(kinds))


def check_question(kind: QuestionType, above: Sequence[QuestionType], where: str) -> None:
    """Refuse a question type that could not be asked and answered, or that stands above already.

    Args:
        kind: The question type.
        above: Those before it in the same list.
        where: Where it stands, to begin the sentence.

    Raises:
        ImportDataError: If it is refused.
    """
    if fault := _fault(kind, above):
        raise ImportDataError(f"{where} {fault}")


def _fault(kind: QuestionType, above: Sequence[QuestionType]) -> str | None:
    options, alike = kind.options, by_words(above).get(normalise_answer(kind.question))
    if not kind.id or not kind.question:
        return "has an empty id or question. Write one."
    if alike:
        return f"has the question “{kind.question}”, and “{alike.question}” is there already. Remove one of the two."
    if len(options) == 1:
        return f"has one answer only, “{options[0]}”. Write two or more to choose from, or none for an answer in words."
    if not all(options):
        return "has an answer without a letter. Write it, or take it out."
    if barred := next((words for words in (kind.question, *options) if "|" in words), None):
        return f"has “{barred}” with a |, which stands between answers. Write it without."
    if twice := _first_alike(options):
        return f"has the answers “{twice[0]}” and “{twice[1]}”: one of them is there already. Remove one of the two."
    if takes_several(kind.question) and any(SEPARATOR.strip() in option for option in options):
        return "takes several answers, which are kept with a semicolon between, so none of them may hold one."
    return None


def _first_alike(options: Sequence[str]) -> tuple[str, str] | None:
    seen: dict[str, str] = {}
    for option in options:
        if (words := normalise_answer(option)) in seen:
            return seen[words], option
        seen[words] = option
    return None


def _free(name: str, taken: Collection[str]) -> str:
    """Return the name, or the first with a number behind it that is not taken."""
    names = (name if number == 1 else f"{name}_{number}" for number in count(1))
    return next(found for found in names if found not in taken)
