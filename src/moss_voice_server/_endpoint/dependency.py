"""Dependency: the signature that FastAPI reads of `authorize`, with the token request filled in."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any, get_args, get_type_hints

from ..endpoint import TokenRequest
from ..errors import InvalidArgument


def undecorated(authorize: Callable[..., Any]) -> Any:
    """The function itself: without `partial`, and of an object its `__call__`."""
    call: Any = authorize
    while isinstance(call, partial):
        call = call.func
    return call if inspect.isroutine(call) else call.__call__


def dependency_signature(authorize: Callable[..., Any], token_request: Any) -> inspect.Signature:
    """The signature of `authorize`, in which `token_request` is the annotation of the parameter for it.

    Raises:
        InvalidArgument: a parameter of the other frameworks' `authorize` has no annotation.
    """
    given: set[str] = set()
    call: Any = authorize
    while isinstance(call, partial):
        # What the application has bound is not a parameter any more: a client could set it in the query.
        given |= call.keywords.keys()
        call = call.func
    hints = get_type_hints(undecorated(authorize), include_extras=True)
    signature = inspect.signature(authorize)
    for name in ("request", "token_request"):
        # The arguments of the other frameworks' authorize. FastAPI would read both from the query and refuse every request.
        parameter = signature.parameters.get(name)
        if parameter and parameter.default is parameter.empty and name not in hints and name not in given:
            raise InvalidArgument(
                f"authorize's parameter {name} has no annotation, and FastAPI resolves parameters by annotation",
                field="authorize",
                remedy="write request: Request and token_request: TokenRequest",
            )
    return signature.replace(
        parameters=[
            parameter.replace(
                annotation=token_request
                if _is_token_request(hints.get(name))
                else hints.get(name, parameter.annotation)
            )
            for name, parameter in signature.parameters.items()
            if name not in given
        ]
    )


def _is_token_request(hint: Any) -> bool:
    """Whether it is `TokenRequest`, also in `| None` or `Annotated`: FastAPI itself would parse the body into it, unchecked."""
    return hint is TokenRequest or TokenRequest in get_args(hint)
