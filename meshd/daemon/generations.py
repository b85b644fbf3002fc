"""Generations of a mesh: from what the manifests say now to what runs, and never half of it.

A generation is loaded in new processes, linked whole, and only then served. Where something is
wrong the last good generation goes on: wholly if the mesh as such is in disorder, and for single
agents if only their documents or their code are. Nothing is remembered about what changed; each
time all is compared with what runs, so that a missed event does no harm.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from meshd.clock import SystemClock
from meshd.daemon.link import Signatures, link_mesh, require
from meshd.daemon.replica import Replica, Run
from meshd.daemon.source import Reading
from meshd.daemon.stages import Stages
from meshd.daemon.supervisor import RefusedByProcess, Supervisor
from meshd.daemon.watch import fingerprint
from meshd.diagnostics.model import Diagnostic, has_errors, in_file_order
from meshd.domain.spec import MeshSpec
from meshd.errors import DaemonError, InvalidInput
from meshd.manifest.partial import merged
from meshd.plan.diff import ProcessChanges, changes
from meshd.plan.model import Plan
from meshd.plan.processes import ProcessSpec, processes


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """One applied version of the manifests."""

    number: int
    mesh: MeshSpec
    processes: tuple[ProcessSpec, ...]
    signatures: Signatures
    plan: Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of applying what the manifests say: diagnostics tell what was left as it was."""

    result: Literal["applied", "unchanged", "partly applied", "invalid"]
    diagnostics: tuple[Diagnostic, ...] = ()
    sources: Mapping[str, str]
    changes: ProcessChanges | None = None

    def in_words(self) -> Iterator[str]:
        """Yield what was done, process by process."""
        if self.changes is None:
            return
        yield from (f"started `{name}`" for name in self.changes.started)
        yield from (f"stopped `{name}`" for name in self.changes.stopped)
        for name, reasons in self.changes.restarted.items():
            yield f"replaced `{name}`: {', '.join(reasons)}"
        yield from (f"changed the replicas of `{name}`" for name in self.changes.rescaled)


@dataclass(frozen=True, slots=True)
class _Started:
    """A process loaded anew, or why it could not be."""

    spec: ProcessSpec
    replica: Replica
    run: Run | None
    problems: tuple[Diagnostic, ...] = ()


class Generations:
    """Applies readings of the manifests, one at a time."""

    def __init__(
        self,
        supervisor: Supervisor,
        *,
        prepare: Callable[[MeshSpec], Awaitable[None]],
        allow_unresolved: bool,
    ) -> None:
        """Take what supervises; `prepare` is awaited before processes of a mesh are started."""
        self.current: Generation | None = None
        self.last: Outcome | None = None
        """What came of the last reading."""
        self._supervisor = supervisor
        self._prepare = prepare
        self._allow_unresolved = allow_unresolved
        self._one_at_a_time = asyncio.Lock()
        self._suspects: set[Path] = set()
        """The files of processes that could not be loaded at the last reading."""

    def files(self) -> dict[Path, str]:
        """Return the user's files that what runs was loaded from, or failed to be, as they were."""
        known = {file: held for run in self._supervisor.runs() for file, held in run.files.items()}
        return {**fingerprint(self._suspects - known.keys()), **known}

    async def start(self, reading: Reading, stages: Stages) -> Outcome:
        """Apply the first reading.

        Raises:
            InvalidInput: anything is wrong; nothing runs.
            DaemonError: a process died before it was ready.

        """
        async with self._one_at_a_time:
            mesh = reading.manifests.mesh
            if mesh is None or has_errors(reading.diagnostics):
                raise InvalidInput(reading.diagnostics)
            outcome = await self._advance(mesh, reading, (), stages, strict=True)
            self.last = outcome
            return outcome

    async def apply(self, reading: Reading) -> Outcome:
        """Apply a later reading as far as it is good; what is not good stays as it was."""
        async with self._one_at_a_time:
            outcome = await self._apply(reading)
            self.last = outcome
            return outcome

    async def restart(self, agents: Collection[str]) -> list[str]:
        """Replace every process that serves one of the agents; return the replicas' ids.

        Raises:
            InvalidInput, DaemonError: one cannot be started again; the old one goes on.

        """
        async with self._one_at_a_time:
            restarted: list[str] = []
            for listed in list(self._supervisor.replicas.values()):
                for one in list(listed):
                    if any(agent.key in agents for agent in one.spec.agents):
                        await self._supervisor.replace(one.spec, one)
                        restarted.append(one.id)
            return restarted

    async def _apply(self, reading: Reading) -> Outcome:
        current = self.current
        assert current is not None  # noqa: S101  (`start` comes first)
        sources = reading.manifests.sources
        mesh = merged(reading.manifests, current.mesh)
        if mesh is None:
            return Outcome(result="invalid", diagnostics=reading.diagnostics, sources=sources)
        touched = self._touched(current, mesh)
        try:
            stages = Stages(SystemClock())
            return await self._advance(mesh, reading, touched, stages, strict=False)
        except InvalidInput as error:
            found = in_file_order((*reading.diagnostics, *error.diagnostics))
            return Outcome(result="invalid", diagnostics=found, sources=sources)

    def _touched(self, current: Generation, mesh: MeshSpec) -> set[str]:
        """Return the processes whose files are not what they were when they were loaded."""
        if mesh.registry_url != current.mesh.registry_url:
            return {spec.name for spec in current.processes}
        return {
            run.spec.name for run in self._supervisor.runs() if fingerprint(run.files) != run.files
        }

    async def _advance(
        self,
        mesh: MeshSpec,
        reading: Reading,
        touched: Collection[str],
        stages: Stages,
        *,
        strict: bool,
    ) -> Outcome:
        old = self.current
        self._suspects.clear()
        wanted = processes(mesh)
        planned = changes(old.processes if old else (), wanted, touched)
        fresh = [spec for spec in wanted if spec.name in (*planned.started, *planned.restarted)]
        await self._prepare(mesh)
        with stages.stage("configure"):
            started = await asyncio.gather(*(self._load(spec) for spec in fresh))
        try:
            problems = [problem for one in started for problem in one.problems]
            if strict:
                require((*reading.diagnostics, *problems))
            mesh = self._without(mesh, [one for one in started if one.run is None])
            signatures = self._signatures(mesh, started)
            plan, found = link_mesh(mesh, signatures, allow_unresolved=self._allow_unresolved)
            require((*found, *problems) if has_errors(found) else found)
        except BaseException:
            await asyncio.gather(*(self._discard(one) for one in started))
            raise
        with stages.stage("serve"):
            failed = await self._serve(started, strict=strict)
        if failed:
            problems += [problem for one in failed for problem in one.problems]
            mesh = self._without(mesh, failed)
            plan, _ = link_mesh(mesh, self._signatures(mesh, started), allow_unresolved=True)
        await self._stop_and_scale(processes(mesh), planned)
        bad = {one.spec.name for one in (*started, *failed) if one.run is None}
        done = _without(planned, bad)
        self.current = Generation(
            number=(old.number if old else 0) + bool(done or old is None),
            mesh=mesh,
            processes=processes(mesh),
            signatures=signatures,
            plan=plan,
        )
        diagnostics = in_file_order((*reading.diagnostics, *problems, *found))
        return Outcome(
            result=_result(done, diagnostics),
            diagnostics=diagnostics,
            sources=reading.manifests.sources,
            changes=done,
        )

    async def _load(self, spec: ProcessSpec) -> _Started:
        """Load the first replica of a process; one without any is loaded for its signatures."""
        listed = self._supervisor.replicas.get(spec.name, [])
        one = listed[0] if listed else Replica(spec, 1)
        try:
            run = await self._supervisor.load(spec, one)
        except RefusedByProcess as error:
            self._suspects.update(map(Path, error.files))
            return _Started(spec, one, None, error.diagnostics)
        except InvalidInput as error:
            return _Started(spec, one, None, error.diagnostics)
        except DaemonError as error:
            return _Started(spec, one, None, (_died(spec, error),))
        return _Started(spec, one, run, run.loaded.result().warnings)

    async def _serve(self, started: Sequence[_Started], *, strict: bool) -> list[_Started]:
        """Let everything that was loaded serve; return what could not."""
        results = await asyncio.gather(
            *(self._serve_one(one) for one in started if one.run is not None)
        )
        failed = [one for one in results if one is not None]
        if failed and strict:
            raise InvalidInput(in_file_order(problem for one in failed for problem in one.problems))
        return failed

    async def _serve_one(self, one: _Started) -> _Started | None:
        spec = one.spec
        if spec.replicas == 0:
            await self._discard(one)
            return None
        try:
            await self._supervisor.replace(spec, one.replica, one.run)
            for other in self._others(spec, one.replica):
                await self._supervisor.replace(spec, other)
        except InvalidInput as error:
            return _Started(spec, one.replica, None, error.diagnostics)
        except DaemonError as error:
            return _Started(spec, one.replica, None, (_died(spec, error),))
        return None

    def _others(self, spec: ProcessSpec, first: Replica) -> list[Replica]:
        """Return all replicas but the first that the process is to have, new ones included."""
        present = {one.number: one for one in self._supervisor.replicas.get(spec.name, [])}
        present.pop(first.number, None)
        return [present.get(n) or Replica(spec, n) for n in range(2, spec.replicas + 1)]

    async def _stop_and_scale(
        self, wanted: tuple[ProcessSpec, ...], planned: ProcessChanges
    ) -> None:
        kept = {spec.name: spec for spec in wanted}
        for name, listed in list(self._supervisor.replicas.items()):
            spec = kept.get(name)
            limit = spec.replicas if spec else 0
            excess = [one for one in listed if one.number > limit]
            reason = "there are fewer replicas" if spec else "it is in no manifest any more"
            await asyncio.gather(*(self._supervisor.stop(one, reason) for one in excess))
        for name in planned.rescaled:
            spec = kept[name]
            present = {one.number for one in self._supervisor.replicas.get(name, [])}
            for number in range(1, spec.replicas + 1):
                if number not in present:
                    one = Replica(spec, number)
                    await self._supervisor.replace(spec, one)
        self._supervisor.close_unused_ports()

    def _without(self, mesh: MeshSpec, failed: Sequence[_Started]) -> MeshSpec:
        """Return the mesh with the last good version of the agents of failed processes.

        Raises:
            InvalidInput: an agent would have to run in two processes, or in none that is known.

        """
        if not failed:
            return mesh
        names = {one.spec.name for one in failed}
        bad = {agent.key for one in failed for agent in one.spec.agents}
        before = self.current.processes if self.current else ()
        old = tuple(agent for spec in before if spec.name in names for agent in spec.agents)
        elsewhere = {agent.key for agent in mesh.agents} - bad
        if any(agent.key in elsewhere for agent in old):
            raise InvalidInput(tuple(problem for one in failed for problem in one.problems))
        kept = tuple(agent for agent in mesh.agents if agent.key not in bad)
        return replace(mesh, agents=(*kept, *old))

    def _signatures(self, mesh: MeshSpec, started: Sequence[_Started]) -> Signatures:
        known = dict(self.current.signatures) if self.current else {}
        for one in started:
            if one.run is not None:
                known |= one.run.loaded.result().signatures
        present = {agent.key for agent in mesh.agents}
        return {key: tools for key, tools in known.items() if key in present}

    async def _discard(self, one: _Started) -> None:
        if one.run is not None:
            await self._supervisor.discard(one.replica, one.run)


def _without(planned: ProcessChanges, bad: Collection[str]) -> ProcessChanges:
    """Return the changes without those of processes that stayed as they were."""
    return replace(
        planned,
        started=tuple(name for name in planned.started if name not in bad),
        restarted={name: why for name, why in planned.restarted.items() if name not in bad},
        rescaled=tuple(name for name in planned.rescaled if name not in bad),
    )


def _result(
    done: ProcessChanges, diagnostics: tuple[Diagnostic, ...]
) -> Literal["applied", "unchanged", "partly applied", "invalid"]:
    if has_errors(diagnostics):
        return "partly applied" if done else "invalid"
    return "applied" if done else "unchanged"


def _died(spec: ProcessSpec, error: DaemonError) -> Diagnostic:
    agent = spec.agents[0]
    return Diagnostic(
        code="M405",
        message=str(error),
        span=agent.origin,
        hint=error.hint,
    )
