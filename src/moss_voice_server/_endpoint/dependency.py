"""Dependency: `authorize` as FastAPI sees it, with the parameter for the token request filled in."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import Any, get_args, get_type_hints

from ..endpoint import TokenRequest
from ..errors import InvalidArgument


def dependency(authorize: Callable[..., Any], token_request: Any) -> Callable[..., Any]:
    """The same dependency, in which `token_request` is the annotation of the parameter that is annotated `TokenRequest`.

    Raises:
        InvalidArgument: a parameter of the other frameworks' `authorize` has no annotation, or an annotation cannot be
            evaluated.
    """
    function = _undecorated(authorize)
    kind = _Dependency
    if inspect.isgeneratorfunction(inspect.unwrap(function)):
        kind = _GeneratorDependency
    elif inspect.isasyncgenfunction(inspect.unwrap(function)):
        kind = _AsyncGeneratorDependency
    elif inspect.iscoroutinefunction(function):
        kind = _AsyncDependency
    return kind(authorize, _signature(authorize, token_request))


class _Dependency:
    """Calls authorize, and equals it, so that `app.dependency_overrides[authorize]` works. FastAPI runs it on a thread."""

    def __init__(self, authorize: Callable[..., Any], signature: inspect.Signature) -> None:
        self.authorize = authorize
        self.__signature__ = signature
        try:
            self._hash = hash(authorize)
        except TypeError:  # then it cannot be a key of the overrides
            self._hash = id(authorize)

    def __call__(self, **arguments: Any) -> Any:
        return self.authorize(**arguments)

    def __eq__(self, other: object) -> bool:
        return self.authorize == (other.authorize if isinstance(other, _Dependency) else other)

    def __hash__(self) -> int:
        return self._hash


class _AsyncDependency(_Dependency):
    """The same; FastAPI awaits it."""

    async def __call__(self, **arguments: Any) -> Any:
        return await self.authorize(**arguments)


class _GeneratorDependency(_Dependency):
    """The same, for an authorize that yields: FastAPI runs the rest of it after the request."""

    def __call__(self, **arguments: Any) -> Any:
        with contextmanager(self.authorize)(**arguments) as admission:
            yield admission


class _AsyncGeneratorDependency(_Dependency):
    """The same, async."""

    async def __call__(self, **arguments: Any) -> Any:
        async with asynccontextmanager(self.authorize)(**arguments) as admission:
            yield admission


def _undecorated(authorize: Callable[..., Any]) -> Any:
    """The function itself: without `partial`, and of an object its `__call__`."""
    call: Any = authorize
    while isinstance(call, partial):
        call = call.func
    return call if inspect.isroutine(call) else call.__call__


def _signature(authorize: Callable[..., Any], token_request: Any) -> inspect.Signature:
    given: set[str] = set()
    call: Any = authorize
    while isinstance(call, partial):
        # What the application has bound is not a parameter any more: a client could set it in the query.
        given |= call.keywords.keys()
        call = call.func
    try:
        hints = get_type_hints(_undecorated(authorize), include_extras=True)
        signature = inspect.signature(authorize)
    except Exception as failure:  # noqa: BLE001  # an annotation is evaluated, which may raise anything
        raise InvalidArgument(
            f"authorize's parameters cannot be read: {failure}",
            field="authorize",
            remedy="pass a function whose annotations name what its module imports at run time",
        ) from None
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
