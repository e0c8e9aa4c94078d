"""The commands and their options."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from typing import Annotated

import typer

from .. import __version__
from .._errors import ConfigurationError

__all__ = ["INTERRUPTED", "app"]

INTERRUPTED = 130
"""What a shell reports for a program that Ctrl-C ended: 128 + SIGINT."""

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"chainspan {__version__}")
        raise typer.Exit


@app.callback()
def chainspan(
    *,
    _version: Annotated[
        bool,
        typer.Option("--version", metavar="", help="Show the version.", callback=_print_version, is_eager=True),
    ] = False,
) -> None:
    """See what your LLM chains do: every step becomes an OpenTelemetry span."""


@app.command()
def demo(
    *,
    otlp: Annotated[
        bool,
        typer.Option(
            "--otlp",
            metavar="",
            help="Also send the trace to a collector, and say whether it arrived: to "
            "OTEL_EXPORTER_OTLP_ENDPOINT where that is set, else to http://localhost:4318.",
        ),
    ] = False,
    endpoint: Annotated[
        str | None,
        typer.Option(
            "--endpoint",
            metavar="URL",
            help="Send it there instead. Implies --otlp.",
        ),
    ] = None,
    no_color: Annotated[
        bool, typer.Option("--no-color", metavar="", help="Print without colours, also on a terminal.")
    ] = False,
) -> None:
    """Trace a chain and an agent on this machine: no key, no network.

    Prints each step as it happens, then the trace as a tree with times and tokens.
    Exits with 1 when the trace was to be sent and did not arrive.
    """
    if find_spec("langchain_core") is None:
        typer.echo("chainspan: the demo traces LangChain, which is not installed.", err=True)
        typer.echo("Install it with: pip install 'chainspan[demo]'", err=True)
        raise typer.Exit(1)
    try:
        from ._demo import Demo  # noqa: PLC0415 - LangChain is an extra

        arrived = Demo(send=otlp or endpoint is not None, endpoint=endpoint, plain=no_color).run()
    except ConfigurationError as error:
        raise typer.BadParameter(str(error)) from error
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None
    if sys.stdout is not None:  # a program may be started without one
        sys.stdout.flush()
    raise typer.Exit(0 if arrived else 1)
