import json
import multiprocessing
import os
import subprocess
import sys
from pathlib import Path

import pytest

from meshd.daemon.state import LONGEST_SOCKET_PATH, StateDirectory
from meshd.errors import AlreadyRunning, DaemonError, NotReachable


def test_the_socket_is_in_the_folder(tmp_path: Path) -> None:
    assert StateDirectory(tmp_path / "s").socket == tmp_path.resolve() / "s" / "admin.sock"


def test_a_path_too_long_for_a_socket_gets_a_private_folder_of_its_own(tmp_path: Path) -> None:
    deep = tmp_path / ("x" * 90) / ("y" * 90)
    state = StateDirectory(deep)
    assert len(os.fsencode(state.socket)) <= LONGEST_SOCKET_PATH
    with state.held():
        assert state.socket.parent.stat().st_mode & 0o777 == 0o700
    assert StateDirectory(deep).socket == state.socket
    assert StateDirectory(deep / "z").socket != state.socket
    state.socket.parent.rmdir()


def test_a_held_directory_is_private_and_names_its_holder(tmp_path: Path) -> None:
    state = StateDirectory(tmp_path / "deep" / "state")
    with state.held():
        assert state.path.stat().st_mode & 0o777 == 0o700
        assert json.loads((state.path / "lock").read_text()) == {"pid": os.getpid()}
    assert (state.path / "lock").read_text() == ""


def test_a_second_holder_is_told_who_holds_it(tmp_path: Path) -> None:
    state = StateDirectory(tmp_path)
    with state.held():
        # Locks belong to open files, so a second open file is as good as a second process.
        told = rf"process {os.getpid()}\).*already runs"
        with pytest.raises(AlreadyRunning, match=told) as caught, state.held():
            pytest.fail("it was held twice")
    assert "meshd stop" in caught.value.hint
    with state.held():
        pass


def hold_and_die(path: Path) -> None:
    with StateDirectory(path).held():
        os._exit(9)


def test_the_death_of_a_holder_leaves_nothing_locked(tmp_path: Path) -> None:
    process = multiprocessing.get_context("spawn").Process(target=hold_and_die, args=(tmp_path,))
    process.start()
    process.join()
    assert process.exitcode == 9
    with StateDirectory(tmp_path).held():
        pass


def test_a_stale_socket_is_removed(tmp_path: Path) -> None:
    state = StateDirectory(tmp_path)
    state.socket.touch()
    with state.held():
        assert not state.socket.exists()


def test_a_folder_that_cannot_be_made_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    state = StateDirectory(tmp_path / "file" / "state")
    with pytest.raises(DaemonError, match="cannot use the state") as caught, state.held():
        pytest.fail("it was held")
    assert "--state-dir" in caught.value.hint


def test_without_a_socket_there_is_no_daemon(tmp_path: Path) -> None:
    with pytest.raises(NotReachable, match="no daemon runs"):
        StateDirectory(tmp_path).require_daemon()


def test_a_lock_with_garbage_names_no_holder(tmp_path: Path) -> None:
    state = StateDirectory(tmp_path)
    with state.held():
        (tmp_path / "lock").write_text("garbage")
        with pytest.raises(AlreadyRunning, match="a daemon already runs"), state.held():
            pytest.fail("it was held twice")


def test_a_full_disk_is_a_clear_error(tmp_path: Path) -> None:
    # A limit on the size of files fails as a full disk does, where a file is written.
    script = (
        "import resource, signal, sys, pathlib\n"
        "from meshd.daemon.state import StateDirectory\n"
        "from meshd.errors import DaemonError\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "try:\n"
        "    with StateDirectory(pathlib.Path(sys.argv[1])).held(): pass\n"
        "except DaemonError as error:\n"
        "    print(error)\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stdout == f"cannot use the state directory `{tmp_path}`: File too large\n"


def test_a_socket_that_cannot_be_made_is_a_clear_error(tmp_path: Path) -> None:
    state = StateDirectory(tmp_path)
    state.socket.mkdir()
    with pytest.raises(DaemonError, match="cannot use the state directory"):
        state.listen()
