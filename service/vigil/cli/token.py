"""`vigil token`: who may ask the service, and for what. Works on the state directory, service or not."""

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import click

from vigil.cli.output import echo_json
from vigil.config import load
from vigil.store.tokens import Role, TokenFile

F = TypeVar("F", bound=Callable[..., Any])


def _config_option(command: F) -> F:
    return click.option(
        "--config",
        "config_path",
        type=click.Path(path_type=Path),
        help="The service's configuration, for its state.path.",
    )(command)


def _tokens(config_path: Path | None) -> TokenFile:
    return TokenFile(Path(load(config_path, os.environ).state.path))


@click.group(epilog="Example: vigil token add wall --role viewer")
def token() -> None:
    """Make, list and revoke the tokens of a service.

    Once there is a token, every call needs one. A running service sees each change at the next call.
    """


@token.command(epilog="Example: vigil token add site-a --role admin --prefix a-")
@click.argument("name")
@click.option(
    "--role",
    type=click.Choice([role.value for role in Role]),
    default=Role.VIEWER.value,
    show_default=True,
    help="viewer sees, operator also analyses and judges, admin also changes streams.",
)
@click.option(
    "--prefix", "prefixes", multiple=True, help="Only streams whose ids begin so; repeat."
)
@click.option(
    "--days",
    type=click.FloatRange(min=0, min_open=True),
    help="How long it is good for; else ever.",
)
@_config_option
def add(
    name: str,
    role: str,
    prefixes: tuple[str, ...],
    days: float | None,
    config_path: Path | None,
) -> None:
    """Make a token and print its secret, this once."""
    lasts_s = None if days is None else days * 86400
    tokens = _tokens(config_path)
    click.echo(tokens.add(name, role=Role(role), prefixes=prefixes, lasts_s=lasts_s))
    click.echo("keep it: only its hash is stored. Clients: VIGIL_TOKEN=…", err=True)


@token.command("list", epilog="Example: vigil token list --json")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@_config_option
def list_(as_json: bool, config_path: Path | None) -> None:
    """Show every token, without its secret."""
    rows: list[dict[str, Any]] = [
        {
            "name": each.name,
            "role": each.role.value,
            "prefixes": list(each.prefixes),
            "created_at": _time(each.created_at_s),
            "expires_at": _time(each.expires_at_s),
        }
        for each in _tokens(config_path).all()
    ]
    if as_json:
        echo_json({"tokens": rows})
        return
    for row in rows:
        streams = ", ".join(f"{prefix}*" for prefix in row["prefixes"]) or "all streams"
        until = f"  until {row['expires_at']}" if row["expires_at"] else ""
        click.echo(f"{row['name']:20} {row['role']:8} {streams:24} {row['created_at']}{until}")


def _time(utc_s: float | None) -> str | None:
    return None if utc_s is None else datetime.fromtimestamp(utc_s, UTC).isoformat("T", "seconds")


@token.command(epilog="Example: vigil token revoke wall")
@click.argument("name")
@_config_option
def revoke(name: str, config_path: Path | None) -> None:
    """Take a token away."""
    _tokens(config_path).revoke(name)
