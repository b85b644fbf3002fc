"""The requests that an instance makes to its registry, over one pooled HTTP client."""

import json
from types import TracebackType
from typing import Any, Literal, Self, cast

import httpx2

from meshd.domain.spec import JsonValue
from meshd.errors import RegistrationRefused, RegistryAway

TIMEOUT_SECONDS = 5.0
INCARNATION_HEADER = "X-Meshd-Incarnation"

Standing = Literal["unchanged", "changed", "unknown"]
"""What a short heartbeat learns: nothing new, other wiring, or that it has to register."""
_JSON = {"Content-Type": "application/json"}
_STANDINGS: dict[int, Standing] = {200: "unchanged", 202: "changed", 410: "unknown"}


class RegistryClient:
    """Speaks to one registry for all instances of a process; belongs to one event loop."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self._http = httpx2.AsyncClient(
            timeout=TIMEOUT_SECONDS,
            # Who runs a registry behind a proxy names the proxy's address: those of the environment
            # are for the outside.
            trust_env=False,
            follow_redirects=False,
            # Without redirects only https needs the certificates, which take 40 ms to load.
            verify=not url.startswith("http://"),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._http.aclose()

    async def beat(self, instance: str, incarnation: int) -> Standing:
        """Send a short heartbeat.

        Raises:
            RegistryAway: it cannot be reached, or cannot answer now.

        """
        response = await self._send("HEAD", f"/heartbeat/{instance}", incarnation)
        standing = _STANDINGS.get(response.status_code)
        if standing is None:
            raise RegistryAway(f"it answers a heartbeat with HTTP {response.status_code}")
        return standing

    async def register(self, body: dict[str, Any]) -> JsonValue:
        """Send a full heartbeat and return the answer, which is not checked.

        Raises:
            RegistryAway: it cannot be reached, or cannot answer now.
            RegistrationRefused: it does not take the registration; the text says why.

        """
        response = await self._send("POST", "/heartbeat", content=_written(body))
        answer = _json(response)
        if response.status_code in (400, 403) or (
            response.status_code == 200 and _text(answer, "status") == "error"
        ):
            reason = _text(answer, "message") or _text(answer, "error")
            raise RegistrationRefused(reason or f"HTTP {response.status_code} without a reason")
        if response.status_code not in (200, 201):
            raise RegistryAway(f"it answers a registration with HTTP {response.status_code}")
        return answer

    async def leave(self, instance: str, incarnation: int, reason: str = "") -> None:
        """End a registration.

        Raises:
            RegistryAway: it cannot be reached.

        """
        query = {"reason": reason} if reason else None
        await self._send("DELETE", f"/agents/{instance}", incarnation, params=query)

    async def _send(
        self, method: str, path: str, incarnation: int | None = None, **more: Any
    ) -> httpx2.Response:
        headers = _JSON if incarnation is None else {INCARNATION_HEADER: str(incarnation)}
        try:
            return await self._http.request(method, f"{self.url}{path}", headers=headers, **more)
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise RegistryAway(str(error) or type(error).__name__) from None


def _written(body: dict[str, Any]) -> bytes:
    try:
        return json.dumps(body, separators=(",", ":"), allow_nan=False).encode()
    except (ValueError, TypeError) as error:
        raise RegistrationRefused(f"it cannot be written as JSON: {error}") from None


def _json(response: httpx2.Response) -> JsonValue:
    try:
        return response.json()
    except (ValueError, RecursionError):
        return None


def _text(answer: JsonValue, name: str) -> str:
    fields = cast("dict[str, JsonValue]", answer) if isinstance(answer, dict) else {}
    found = fields.get(name)
    return found if isinstance(found, str) else ""
