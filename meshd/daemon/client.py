"""The command line's side of the admin API."""

from pathlib import Path
from typing import Any

import httpx2

from meshd.daemon.state import StateDirectory
from meshd.errors import NotReachable

ANSWER_SECONDS = 10.0


class AdminClient:
    """Asks the daemon that holds a state directory.

    Every method raises `NotReachable` when none answers.
    """

    def __init__(self, state_directory: Path) -> None:
        self._state = StateDirectory(state_directory)

    def mesh(self) -> dict[str, Any]:
        """Return the mesh as `meshd list --format json` shows it."""
        return self._ask("GET", "/v1/mesh").json()

    def tool(self, agent: str, tool: str) -> dict[str, Any] | None:
        """Return the schemas of a tool (agent as `[namespace/]name`), or None if there is none."""
        return self._ask("GET", "/v1/tool", {"agent": agent, "tool": tool}).json()

    def stop(self) -> int:
        """Ask the daemon to stop and return its process id."""
        return self._ask("POST", "/v1/stop").json()["pid"]

    def _ask(self, method: str, path: str, query: dict[str, str] | None = None) -> httpx2.Response:
        socket = self._state.require_daemon()
        transport = httpx2.HTTPTransport(uds=str(socket))
        try:
            with httpx2.Client(transport=transport, timeout=ANSWER_SECONDS) as http:
                return http.request(method, f"http://meshd{path}", params=query)
        except httpx2.HTTPError as error:
            raise NotReachable(
                f"the daemon of `{self._state.path}` does not answer: {error}",
                "look at its output, or start one with `meshd run`",
            ) from None
