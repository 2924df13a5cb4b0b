"""``nars storage``: a proxy in front of the database of a search, for hundreds of workers."""

from __future__ import annotations

import click

from nars.cli.commands import StoppedError
from nars.cli.options.values import quiet_optuna


@click.command("storage")
@click.option(
    "--storage",
    help="The database, such as postgresql://user@host/name, or @FILE with it; by default NARS_STORAGE.",
)
@click.option("--host", default="localhost", show_default=True, help="Address to listen on.")
@click.option(
    "--port", type=click.IntRange(1, 65535), default=13000, show_default=True, help="Port to listen on."
)
def storage_command(storage: str | None, host: str, port: int) -> None:
    """Serve the database of a search to hundreds of workers through a few connections.

    Its address as a storage is grpc://HOST:PORT. It asks nobody for a password.

    Example: nars storage --storage postgresql://nars@db/nars, then nars search --storage grpc://localhost:13000
    """
    from nars.runs.passwords import given
    from nars.runs.proxy import serve

    quiet_optuna()
    storage = given(storage)
    if storage is None:
        raise click.UsageError("Missing option '--storage', or NARS_STORAGE.")
    try:
        serve(storage, host, port, lambda line: click.echo(line, err=True))
    except KeyboardInterrupt:
        raise StoppedError("stopped serving; workers wait until the same command serves again") from None
