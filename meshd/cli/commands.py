"""From the words of a command to the module that does its work, imported when it runs."""

from meshd.cli.parser import Arguments
from meshd.settings import without_pydantic_plugins


def run(given: Arguments) -> int:
    """`meshd run`."""
    from meshd.cli import run

    options = run.Options(
        state_dir=given.state_dir,
        allow=tuple(given.allow),
        grace=given.grace,
        registry_port=given.registry_port,
        allow_unresolved=given.allow_unresolved,
        insecure=given.insecure,
        in_process=given.in_process,
        detached=given.detached,
        verbose=given.verbose,
    )
    if given.detach:
        from meshd.cli.detach import run_detached

        return run_detached(given.words, given.paths, options)
    return run.run(given.paths, options)


def run_agent(given: Arguments) -> int:
    """`meshd agent run`."""
    from meshd.cli import agent

    options = agent.Options(
        registry=given.join,
        allow=tuple(given.allow),
        grace=given.grace,
        insecure=given.insecure,
        verbose=given.verbose,
    )
    return agent.run(given.agent, given.paths, options)


def serve_registry(given: Arguments) -> int:
    """`meshd registry serve`."""
    from meshd.cli import registry
    from meshd.daemon.registry import RegistryOptions

    options = RegistryOptions(
        host=given.host,
        port=given.port,
        store=given.store,
        state_dir=given.state_dir,
        insecure=given.insecure,
    )
    return registry.serve(options, verbose=given.verbose)


def validate(given: Arguments) -> int:
    """`meshd validate`."""
    without_pydantic_plugins()
    from meshd.cli import validate

    return validate.validate(given.paths, given.format)


def inputs(given: Arguments) -> int:
    """`meshd inputs`."""
    from meshd.cli import validate

    return validate.inputs(given.paths, given.format)


def explain(given: Arguments) -> int:
    """`meshd explain`."""
    from meshd.cli import explain

    return explain.explain(given.tool, given.paths, given.state_dir, given.format)


def schema(_: Arguments) -> int:
    """`meshd schema`."""
    from meshd.cli.output import show
    from meshd.manifest.schema import schema_text

    show(schema_text().rstrip("\n"))
    return 0


def list_mesh(given: Arguments) -> int:
    """`meshd list`."""
    from meshd.cli import mesh

    return mesh.show_mesh(given.state_dir, given.format)


def status(given: Arguments) -> int:
    """`meshd status`."""
    from meshd.cli import status

    return status.show_status(given.state_dir, given.format)


def logs(given: Arguments) -> int:
    """`meshd logs`."""
    from meshd.cli import logs

    request = logs.Request(tuple(given.names), given.lines, follow=given.follow)
    return logs.show_logs(request, given.state_dir, given.format)


def call(given: Arguments) -> int:
    """`meshd call`."""
    from meshd.cli import call

    request = call.Request(given.tool, tuple(given.arguments), given.json, given.timeout)
    return call.call(request, given.state_dir, given.format)


def wait(given: Arguments) -> int:
    """`meshd wait`."""
    from meshd.cli import wait

    return wait.wait(given.state_dir, given.timeout)


def reload(given: Arguments) -> int:
    """`meshd reload`."""
    from meshd.cli import control

    return control.reload(given.state_dir, given.format)


def restart(given: Arguments) -> int:
    """`meshd restart`."""
    from meshd.cli import control

    return control.restart(given.agent, given.state_dir)


def stop(given: Arguments) -> int:
    """`meshd stop`."""
    from meshd.cli import control

    return control.stop(given.state_dir, given.timeout)
