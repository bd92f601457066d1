"""Sentences of the Project screen about bringing images in, and about the project's questions."""

QUESTIONS_FIRST = "This project asks nothing yet. First write its questions, under “The questions of this project”."
SAME_PROJECT = "Under this project's name the images join it, and it keeps its questions."
MORE_QUESTIONS = "More questions, if any, one a line: the question, then its answers, each after a |"


def other_answers(question: str) -> str:
    """Say that a typed question is there with other answers."""
    return (
        f"This project asks “{question}” already, and its answers or how to decide differ from what you typed. Nothing "
        "was imported. Leave the question out here, or change it under “The questions of this project”."
    )
