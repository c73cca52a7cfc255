"""The verb `myna serve`."""

from __future__ import annotations

import errno
import ipaddress
import socket
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated

import typer

from myna.cli.options import Data

if TYPE_CHECKING:
    from myna.birds.naming import Namer
    from myna.mathqa.solver import Solver

_BACKLOG = 512
"""Connections that may wait to be taken up."""


def serve(
    host: Annotated[str, typer.Option(help="Address to listen at; the default is this machine alone.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen at; 0 takes a free one.")] = 8000,
    math_model: Annotated[
        str | None, typer.Option(help="Run or model that solves problems, by name or folder; else the shipped one.")
    ] = None,
    birds_model: Annotated[
        str | None, typer.Option(help="Run or model that names photos, by name or folder; else the shipped one.")
    ] = None,
    data: Data = None,
) -> None:
    """Serve all of this as a local web page.

    Solve word problems, name birds in photos, watch runs. Ctrl-C stops it.

    Example: myna serve --port 8080
    """
    from myna.errors import UserError

    try:
        import fastapi  # noqa: F401
        import python_multipart  # noqa: F401
        import uvicorn
    except ImportError as error:
        raise UserError(f"serve needs {error.name}; in Myna's checkout: pip install '.[web]'") from None
    from myna import runs
    from myna.web.app import LOCAL_HOSTS, create_app
    from myna.web.site import find_examples

    solver_folder = runs.find(math_model) if math_model else None
    namer_folder = runs.find(birds_model) if birds_model else None

    def load_solver() -> Solver:
        from myna.mathqa.solver import Solver

        return Solver.load(solver_folder, data)

    def load_namer() -> Namer:
        from myna.birds.naming import Namer

        return Namer.load(namer_folder)

    app = create_app(
        solver=load_solver,
        namer=load_namer,
        runs=runs.runs_folder(),
        examples=find_examples(data),
        hosts=(*LOCAL_HOSTS, host),
    )

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            # Not before: only now does Ctrl-C stop it as it should.
            shown = f"[{host}]" if ":" in host else host
            typer.echo(f"Myna is at http://{shown}:{listener.getsockname()[1]} (Ctrl-C stops it)")
            if not is_loopback(host):
                typer.echo(f"myna: {host} can be reached from other machines; there is no password", err=True)

    with listen(host, port) as listener, suppress(KeyboardInterrupt):
        config = uvicorn.Config(app, log_level="warning", ws="none", timeout_graceful_shutdown=3)
        Server(config).run(sockets=[listener])
    typer.echo("stopped")


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens at an address.

    Raises:
        UserError: it is taken, not an address of this machine, or stands for all of them.
    """
    from myna.errors import UserError

    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    # A server that has just been stopped leaves its port behind for a minute.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        is_wildcard = ipaddress.ip_address(listener.getsockname()[0]).is_unspecified
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        hint = "; choose another --port" if error.errno == errno.EADDRINUSE else ""
        raise UserError(f"{host}:{port}: cannot listen there: {error.strerror}{hint}") from None
    if is_wildcard:
        listener.close()
        # Who may ask is told by the name that is asked for, and nobody asks for this one.
        raise UserError(f"--host: {host!r} stands for all addresses of this machine; name the one that others use")
    return listener


def is_loopback(host: str) -> bool:
    """Return whether a server that listens at an address is reached from this machine alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
