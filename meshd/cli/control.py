"""`meshd reload`, `restart` and `stop`: what the daemon is told to do."""

import asyncio
from pathlib import Path

from meshd.cli.output import fail, say, show_json
from meshd.cli.patience import saying
from meshd.cli.standing import change_lines
from meshd.cli.target import BadRequest, meant
from meshd.cli.values import seconds
from meshd.clock import SystemClock
from meshd.daemon.client import AdminClient
from meshd.daemon.linux import is_alive
from meshd.domain.names import agent_key
from meshd.errors import DaemonError

GOOD_RESULTS = ("applied", "unchanged")


def reload(state_directory: Path, style: str) -> int:
    """Let the daemon apply the manifests; print what came of it."""
    with saying("reloading …"):
        outcome = AdminClient(state_directory).reload()
    result: str = outcome["result"]
    if result == "starting":
        raise DaemonError("the mesh is still starting", "wait for it with `meshd wait`")
    if style == "json":
        show_json(outcome)
    else:
        if outcome["report"]:
            say(outcome["report"] + "\n")
        for line in change_lines(outcome["changes"]):
            say(line)
        say(f"reload: {result}")
    return 0 if result in GOOD_RESULTS else 1


def restart(name: str, state_directory: Path) -> int:
    """Let the daemon replace the processes of an agent."""
    admin = AdminClient(state_directory)
    agent = name.removeprefix("default/")
    with saying(f"restarting {agent} …"):
        replicas = admin.restart(agent)
    if replicas is None:
        known = [agent_key(each["name"], each["namespace"]) for each in admin.mesh()["agents"]]
        raise BadRequest(f"no agent `{agent}` runs here{meant(agent, known)}")
    if replicas:
        say(f"restarted {', '.join(replicas)}")
    else:
        say(f"agent `{agent}` has no instances")
    return 0


def stop(state_directory: Path, timeout: str) -> int:
    """Ask the daemon to stop and wait for its end."""
    timeout_seconds = seconds(timeout, "--timeout")
    pid = AdminClient(state_directory).stop()
    with saying(f"stopping process {pid}: what it is doing may finish …"):
        ended = asyncio.run(_ended(pid, timeout_seconds))
    if not ended:
        fail(f"process {pid} has not ended within {timeout}")
        return 3
    say(f"stopped (process {pid})")
    return 0


async def _ended(pid: int, timeout_seconds: float) -> bool:
    clock = SystemClock()
    deadline = clock.monotonic() + timeout_seconds
    while is_alive(pid):
        if clock.monotonic() > deadline:
            return False
        await clock.sleep(0.05)
    return True
