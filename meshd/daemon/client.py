"""The command line's side of the admin API."""

from pathlib import Path
from typing import Any

import httpx2

from meshd.daemon.state import StateDirectory
from meshd.errors import DaemonError, NotReachable

ANSWER_SECONDS = 10.0


class AdminClient:
    """Asks the daemon that holds a state directory.

    Every method raises `NotReachable` when none answers, and `DaemonError` when it refuses.
    """

    def __init__(self, state_directory: Path) -> None:
        self._state = StateDirectory(state_directory)

    def mesh(self) -> dict[str, Any]:
        """Return the mesh as `meshd list --format json` shows it."""
        return self._ask("GET", "/v1/mesh").json()

    def status(self, *, within_seconds: float = ANSWER_SECONDS) -> dict[str, Any]:
        """Return how the mesh fares, as `meshd status --format json` shows it."""
        return self._ask("GET", "/v1/status", seconds=within_seconds).json()

    def tool(self, agent: str, tool: str) -> dict[str, Any] | None:
        """Return the schemas of a tool (agent as `[namespace/]name`), or None if there is none."""
        return self._ask("GET", "/v1/tool", {"agent": agent, "tool": tool}).json()

    def reload(self) -> dict[str, Any]:
        """Let the daemon apply what the manifests say now; return what came of it, however late."""
        return self._ask("POST", "/v1/reload", seconds=None).json()

    def restart(self, agent: str) -> list[str] | None:
        """Let the daemon replace an agent's processes, however long this takes.

        Return the replicas' ids, None if there is no such agent.
        """
        return self._ask("POST", "/v1/restart", {"agent": agent}, None).json()["restarted"]

    def stop(self) -> int:
        """Ask the daemon to stop and return its process id."""
        return self._ask("POST", "/v1/stop").json()["pid"]

    def _ask(
        self,
        method: str,
        path: str,
        query: dict[str, str] | None = None,
        seconds: float | None = ANSWER_SECONDS,
    ) -> httpx2.Response:
        socket = self._state.require_daemon()
        transport = httpx2.HTTPTransport(uds=str(socket))
        timeout = httpx2.Timeout(ANSWER_SECONDS, read=seconds)
        try:
            with httpx2.Client(transport=transport, timeout=timeout) as http:
                answer = http.request(method, f"http://meshd{path}", params=query)
        except httpx2.HTTPError as error:
            raise self._silent(str(error) or type(error).__name__) from None
        if answer.status_code == 409:
            refusal = answer.json()
            raise DaemonError(refusal["error"], refusal.get("hint", ""))
        if answer.status_code >= 500:
            raise self._silent(f"status {answer.status_code}")
        return answer

    def _silent(self, why: str) -> NotReachable:
        return NotReachable(
            f"the daemon of `{self._state.path}` does not answer: {why}",
            "look at its output, or start one with `meshd run`",
        )
