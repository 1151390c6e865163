"""`vigil doctor`: what is wrong here, and what to do about it."""

import os
from pathlib import Path

import click

from vigil.cli.output import echo_json
from vigil.doctor.examination import examine
from vigil.doctor.finding import Level

_COLOURS = {Level.OK: "green", Level.WARNING: "yellow", Level.PROBLEM: "red"}


@click.command(epilog="Example: vigil doctor --config /etc/vigil/vigil.toml")
@click.option(
    "--config",
    "config_path",
    type=click.Path(path_type=Path),
    help="The service's configuration; its environment is read, too.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
def doctor(config_path: Path | None, as_json: bool) -> None:
    """Check configuration, state, Redis, model, decoder, ports, disk, clock and limits.

    Run it as the user and in the place of the service, which may run or not. Changes nothing. Exit
    status 1 where there is a problem; warnings alone are 0.
    """
    findings = []
    for finding in examine(config_path, os.environ):
        findings.append(finding)
        if not as_json:
            level = click.style(f"{finding.level:<8}", fg=_COLOURS[finding.level])
            click.echo(f"{level} {finding.check:<13} {finding.found}")
            if finding.advice:
                click.echo(f"{'':<22} -> {finding.advice}")
    healthy = all(finding.level is not Level.PROBLEM for finding in findings)
    if as_json:
        echo_json({"ok": healthy, "findings": [finding._asdict() for finding in findings]})
    raise SystemExit(0 if healthy else 1)
