"""Manifests from texts, without a disk or an environment of the machine."""

from collections.abc import Mapping

from meshd.diagnostics.model import Diagnostic
from meshd.manifest.interpolate import Interpolation, Mode, NotReadable
from meshd.manifest.load import Manifests, combined
from meshd.manifest.read import read

ROOT = "/project"
HEAD = "apiVersion: meshd.dev/v1\nkind: Agent\nmetadata: {name: planner}\nspec:\n"


class FakeInputs:
    """Variables and files as mappings; a file whose text is None cannot be read."""

    def __init__(
        self,
        environment: Mapping[str, str] | None = None,
        files: Mapping[str, str | None] | None = None,
    ) -> None:
        self._environment = environment or {}
        self._files = files or {}

    def variable(self, name: str) -> str | None:
        return self._environment.get(name)

    def text_of(self, path: str, folder: str) -> str | None:
        name = f"{folder}/{path}"
        if name not in self._files:
            return None
        text = self._files[name]
        if text is None:
            raise NotReadable("it is not UTF-8")
        return text

    def is_file(self, path: str) -> bool:
        return path in self._files


def manifests(
    texts: Mapping[str, str] | str,
    inputs: FakeInputs | None = None,
    mode: Mode = Mode.LATER,
) -> Manifests:
    """Read texts by file name; a text alone is that of `mesh.yaml`."""
    files = {"mesh.yaml": texts} if isinstance(texts, str) else texts
    return combined(
        [read(text.encode(), name, ROOT) for name, text in files.items()],
        Interpolation(inputs or FakeInputs(), mode),
        ROOT,
    )


def agent(body: str, inputs: FakeInputs | None = None, mode: Mode = Mode.LATER) -> Manifests:
    """Read one agent whose `spec` is given, indented by two; its first line is line 5."""
    return manifests(HEAD + body, inputs, mode)


def brief(diagnostics: tuple[Diagnostic, ...]) -> list[tuple[str, int, int, str]]:
    """Return code, line, column and message of each."""
    return [
        (d.code, d.span.line if d.span else 0, d.span.column if d.span else 0, d.message)
        for d in diagnostics
    ]
