"""Turns the library's errors into what a person sees."""

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import gradio as gr

from leaml.errors import LeamlError


class InputError(LeamlError):
    """What a person typed or pressed on the page cannot be used; nothing was changed."""


READ_S = 20
"""As long as an error stays, unless it is closed."""
P = ParamSpec("P")
R = TypeVar("R")


def shown_to_people(function: Callable[P, R]) -> Callable[P, R | dict[str, Any]]:
    """Return the function with every LeamlError shown on the page, its sentence unchanged.

    All go away by themselves: those that are forgotten would pile up over the page.
    """

    @functools.wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R | dict[str, Any]:
        try:
            return function(*args, **kwargs)
        except InputError as error:
            gr.Warning(str(error), title="")
            skip: dict[str, Any] = gr.skip()
            return skip
        except LeamlError as error:
            raise gr.Error(str(error), duration=READ_S, print_exception=False) from error

    return wrapped
