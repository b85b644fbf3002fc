"""A callable that is served as a resource or a prompt: its arguments come as text."""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from meshd.domain.signature import ToolSignature
from meshd.domain.spec import JsonValue
from meshd.errors import ArgumentsRejected, CallError, ToolFailed
from meshd.runtime.raised import described, log_raised
from meshd.runtime.tool import ends_the_call
from meshd.runtime.workers import Workers


class OfferBody(Protocol):
    """A callable with its schemas compiled, as the loader makes it."""

    @property
    def signature(self) -> ToolSignature:
        """Return the schemas and the mode."""
        ...

    def validate_texts(self, arguments: Mapping[str, str]) -> Any:
        """Return the arguments converted, or raise `ArgumentsRejected`."""
        ...

    def invoke(self, bound: Any, injected: Mapping[str, Any]) -> Any:
        """Call the callable."""
        ...

    def dump(self, value: Any) -> JsonValue:
        """Return the result as JSON values, or raise `ResultRejected`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """How clients see a resource or a prompt."""

    body: OfferBody
    name: str
    uri: str = ""
    mime_type: str | None = None


class RunningOffer:
    """A resource or a prompt of a running agent."""

    def __init__(self, agent: str, offer: Offer, workers: Workers) -> None:
        self.offer = offer
        self.signature = offer.body.signature
        self._agent = agent
        self._workers = workers

    async def read(self, texts: Mapping[str, str], given: Mapping[str, Any]) -> Any:
        """Return text and bytes as they are, all else as the loader dumps it.

        Raises:
            CallError: whatever went wrong.

        """
        body = self.offer.body
        try:
            bound = body.validate_texts(texts)
            value = await self._value(bound, given)
            return value if isinstance(value, str | bytes) else body.dump(value)
        except ArgumentsRejected:
            raise
        except CallError as error:
            raise ToolFailed(str(error), provider=self._agent) from error
        # The user's callable ends here: whatever it raised becomes an answer, SystemExit too.
        except BaseException as error:
            if ends_the_call(error):
                raise
            log_raised(f"{self.offer.name} of {self._agent}", error)
            raise ToolFailed(described(error), provider=self._agent) from error

    async def _value(self, bound: Any, given: Mapping[str, Any]) -> Any:
        body, mode = self.offer.body, self.signature.mode
        if mode.is_generator:
            chunks = body.invoke(bound, given)
            if not mode.is_async:
                chunks = self._workers.iterate(chunks)
            return [chunk async for chunk in chunks]
        if mode.is_async:
            return await body.invoke(bound, given)
        value = await self._workers.run(lambda: body.invoke(bound, given))
        return await value if inspect.isawaitable(value) else value
