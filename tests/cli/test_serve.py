import os
import signal
import socket
import subprocess
import sys

import pytest

from myna.cli.app import run
from myna.cli.serve import is_loopback, listen


def call(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["myna", "serve", *map(str, arguments)])
    return run()


def test_a_port_that_is_taken_is_one_line_and_status_2(monkeypatch, capsys, tmp_path):
    monkeypatch.delenv("MYNA_DATA", raising=False)
    monkeypatch.chdir(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert call(monkeypatch, "--port", port) == 2
    error = capsys.readouterr().err
    assert error == f"myna: 127.0.0.1:{port}: cannot listen there: Address already in use; choose another --port\n"


@pytest.mark.parametrize("module", ["fastapi", "uvicorn", "python_multipart"])
def test_what_is_not_installed_is_named_with_the_command_that_installs_it(monkeypatch, capsys, module):
    monkeypatch.setitem(sys.modules, module, None)
    assert call(monkeypatch) == 2
    error = capsys.readouterr().err
    assert error == f"myna: serve needs {module}; in Myna's checkout: pip install '.[web]'\n"


def test_a_model_that_is_nowhere_is_told_before_anything_is_served(monkeypatch, capsys):
    assert call(monkeypatch, "--math-model", "nowhere") == 2
    assert "nowhere: neither a folder nor a run" in capsys.readouterr().err


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "0", ""])
def test_all_addresses_at_once_are_one_line_and_status_2(monkeypatch, capsys, tmp_path, host):
    assert call(monkeypatch, "--host", host, "--port", 0) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error == (f"myna: --host: {host!r} stands for all addresses of this machine; name the one that others use")


@pytest.mark.parametrize("host", ["192.0.2.1", "no.such.host.invalid"])
def test_an_address_of_another_machine_is_one_line_and_status_2(monkeypatch, capsys, tmp_path, host):
    monkeypatch.delenv("MYNA_DATA", raising=False)
    monkeypatch.chdir(tmp_path)
    assert call(monkeypatch, "--host", host, "--port", 0) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"myna: {host}:0: cannot listen there: ")
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("myna.example", False)],
)
def test_whether_other_machines_reach_it(host, expected):
    assert is_loopback(host) is expected


def test_it_listens_at_an_address_alone():
    with listen("127.0.0.1", 0) as listener:
        assert listener.getsockname()[0] == "127.0.0.1"


@pytest.mark.slow
def test_ctrl_c_stops_it_cleanly(tmp_path):
    environment = {**os.environ, "MYNA_RUNS": str(tmp_path), "PYTHONUNBUFFERED": "1"}
    environment.pop("MYNA_DATA", None)
    command = [sys.executable, "-m", "myna", "serve", "--port", "0"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=tmp_path, env=environment, **pipes) as server:
        assert server.stdout.readline().startswith("Myna is at http://127.0.0.1:")
        server.send_signal(signal.SIGINT)
        try:
            out, error = server.communicate(timeout=120)
        finally:
            server.kill()  # for which this block would wait for ever
    assert (server.returncode, out, error) == (0, "stopped\n", "")
