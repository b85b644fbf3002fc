"""Does what a page tells its readers to do: saves its files, types its commands, compares.

`python -m tests.docs.walkthrough PAGE…` writes what the commands printed into the pages instead;
read the difference before you commit it. A line `…` on a page stands for any number of lines.
Ports, times and process ids differ from run to run: the ports of a page stay as they are.
"""

import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.docs.pages import ROOT, Block, Command, blocks, commands
from tests.e2e.mesh import STOP_SECONDS, Mesh, kill, wait_until_ready
from tests.tools.node import npm_program

PROGRAMS = {
    "@modelcontextprotocol/inspector": [
        "MCP_INSPECTOR_SECRET_STORE=memory",
        *npm_program("inspector"),
    ],
    "meshd": [sys.executable, "-m", "meshd"],
    "python": [sys.executable],
    "pytest": [sys.executable, "-m", "pytest", "-p", "no:asyncio", "-p", "no:cacheprovider"],
}
ENDPOINT = re.compile(r"^(\S+) .*127\.0\.0\.1:(\d+)/mcp$", re.MULTILINE)
STARTS = re.compile(r"^    (meshd run examples/\S+)$", re.MULTILINE)
"""How the page of an example starts its mesh, whose output it does not show."""

PATIENCE = re.compile(r"^(checking|starting|still starting|stopping process).*…\n", re.MULTILINE)
"""What is said only where something takes long."""
VARYING = (
    (re.compile(r"[\d,]+ ms"), "? ms"),
    (re.compile(r"process \d+"), "process ?"),
    (re.compile(r"pid +restarts"), "pid restarts"),
    (re.compile(r"^(registry +\w+ +http://127\.0\.0\.1:)\d+", re.MULTILINE), r"\1?"),
    (re.compile(r"in \d+\.\d+s"), "in ?s"),
)


@dataclass(slots=True)
class Walk:
    """One reader with a folder and, at times, a mesh that runs."""

    folder: Path
    mesh: Mesh | None = None
    ports: dict[str, str] = field(default_factory=dict[str, str])
    """Ports of this run by those that the page shows."""

    def results(self, page: Path) -> Iterator[tuple[Block, Command, str]]:
        """Yield what each command of the page prints, with the page's ports."""
        for start in STARTS.findall(page.read_text(encoding="utf-8")):
            self._type(Command(start, "", 0))
        for block in blocks(page):
            if block.file:
                self._save(block)
            elif block.language == "console":
                for command in commands(block):
                    yield block, command, self._told(self._type(command))

    def end(self) -> None:
        """Stop the mesh if the page has not."""
        if self.mesh is not None:
            kill(self.mesh)
            self.mesh = None

    def _save(self, block: Block) -> None:
        file = self.folder / block.file
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(self._here(block.text), encoding="utf-8")

    def _type(self, command: Command) -> str:
        words = shlex.split(self._here(command.text))
        if words == ["make", "run"]:
            words = ["meshd", "run", "manifests/"]
        # Variables before a command, as in a shell.
        variables = [word for word in words if re.match(r"[A-Z_]+=", word)]
        program, *rest = words[len(variables) :]
        if program == "npx":
            program, *rest = rest
        typed = ["env", *variables, *PROGRAMS[program], *rest]
        if program == "meshd" and rest[0] == "run":
            return self._run(typed, command)
        done = subprocess.run(
            typed,
            check=False,
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=30,
        )
        if rest[0] == "stop" and self.mesh is not None:
            self.mesh.ended()
            self.mesh = None
        return done.stdout

    def _run(self, typed: list[str], command: Command) -> str:
        self.end()
        log = self.folder.with_suffix(".log")
        with log.open("wb") as output:
            process = subprocess.Popen(
                typed,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        mesh = Mesh(process, self.folder / ".meshd", log)
        try:
            wait_until_ready(mesh)
        except AssertionError:
            process.wait(STOP_SECONDS)
            return mesh.output
        self.mesh = mesh
        shown = dict(ENDPOINT.findall(command.output))
        self.ports = {shown.get(agent, port): port for agent, port in self._endpoints()}
        return mesh.output

    def _endpoints(self) -> Iterator[tuple[str, str]]:
        assert self.mesh is not None
        for agent in self.mesh.view()["agents"]:
            for instance in agent["instances"]:
                yield agent["name"], instance["endpoint"].rpartition(":")[2]

    def _here(self, text: str) -> str:
        return re.sub(r"(?<=127\.0\.0\.1:)\d+", lambda match: self._port(match[0]), text)

    def _port(self, shown: str) -> str:
        return self.ports.get(shown, shown)

    def _told(self, text: str) -> str:
        by_port = {port: shown for shown, port in self.ports.items()}
        ports = re.compile(r"(?<=127\.0\.0\.1:)\d+")
        text = PATIENCE.sub("", text)
        told = ports.sub(lambda match: by_port.get(match[0], match[0]), text)
        return re.sub(r"[ \t]+$", "", told, flags=re.MULTILINE).rstrip("\n") + "\n"


def same(shown: str, printed: str) -> bool:
    """Say whether a command printed what the page shows."""
    for pattern, stands_for in VARYING:
        shown, printed = pattern.sub(stands_for, shown), pattern.sub(stands_for, printed)
    parts = re.split(r"^…\n", shown.rstrip("\n") + "\n", flags=re.MULTILINE)
    pattern = r"(?:.*\n)*".join(map(re.escape, parts))
    return re.fullmatch(pattern, printed.rstrip("\n") + "\n") is not None


def prepare(page: Path, folder: Path) -> Walk:
    """Return a reader in a new folder, which holds the mesh or the examples of the page."""
    project = folder / "project"
    project.mkdir()
    needed = {ROOT: "manifests", ROOT / "examples": "examples"}
    for above, name in needed.items():
        if above in {page.parent, page.parent.parent}:
            ignored = shutil.ignore_patterns("__pycache__", ".meshd")
            shutil.copytree(ROOT / name, project / name, ignore=ignored)
    return Walk(project)


def rewrite(page: Path) -> None:
    """Write what the commands print into the page, where it is not the same."""
    text = page.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        walk = prepare(page, Path(folder))
        try:
            results = list(walk.results(page))
        finally:
            walk.end()
    for _, command, printed in reversed(results):
        if same(command.output, printed):
            continue
        if "…" in command.output or "Traceback" in printed:
            sys.stderr.write(f"{page.name}: $ {command.text}\n{printed}\n")
        else:
            before, after = text[: command.start], text[command.start + len(command.output) :]
            text = before + (printed if printed.strip() else "") + after
    page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    for name in sys.argv[1:]:
        rewrite(Path(name).resolve())
