import subprocess
import sys
import tomllib
from pathlib import Path
from types import SimpleNamespace

import click
import pytest
from click.testing import CliRunner

from vigil import __version__, config
from vigil.cli import COMMANDS, main
from vigil.errors import UnknownModel


def test_help_lists_every_command_without_loading_any() -> None:
    script = (
        "import sys; from vigil.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'grpc', 'numpy', 'cv2', 'torch', 'redis', 'rich'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    for name, entry in COMMANDS.items():
        assert f"  {name} " in done.stdout
        assert entry.help in done.stdout


def leaves(
    command: click.Command, path: tuple[str, ...]
) -> list[tuple[tuple[str, ...], click.Command]]:
    if not isinstance(command, click.Group):
        return [(path, command)]
    context = click.Context(command)
    found = [(path, command)] if path else []
    for name in command.list_commands(context):
        sub = command.get_command(context, name)
        assert sub is not None
        found += leaves(sub, (*path, name))
    return found


@pytest.mark.parametrize("name", list(COMMANDS))
def test_every_command_has_help_with_an_example(name: str) -> None:
    command = main.get_command(click.Context(main), name)
    assert command is not None
    for path, leaf in leaves(command, (name,)):
        result = CliRunner().invoke(main, [*path, "--help"])
        assert result.exit_code == 0, result.output
        assert leaf.get_short_help_str(), path
        assert "Example" in result.output, path
        assert f"vigil {' '.join(path)}" in " ".join(result.output.split()), path


def test_the_version_is_shown() -> None:
    assert __version__ in CliRunner().invoke(main, ["--version"]).output


def test_an_unknown_command_is_a_usage_error() -> None:
    assert CliRunner().invoke(main, ["strem"]).exit_code == 2


def test_check_prints_the_effective_configuration(tmp_path: Path) -> None:
    path = tmp_path / "vigil.toml"
    path.write_text('[redis]\nurl = "redis://:canary@127.0.0.1/1"\n')
    result = CliRunner(env={"VIGIL_ENGINE__MAX_BATCH": "4"}).invoke(
        main, ["serve", "--check", "--config", str(path)]
    )
    assert result.exit_code == 0, result.output
    shown = tomllib.loads(result.stdout)
    assert shown["engine"]["max_batch"] == 4
    assert shown["redis"]["url"] == "redis://***@127.0.0.1/1"


def test_a_wrong_configuration_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "vigil.toml"
    path.write_text("[engine]\nmax_batches = 4\n")
    for flags in ((), ("--check",)):
        result = CliRunner().invoke(main, ["serve", *flags, "--config", str(path)])
        assert result.exit_code == 1
        assert result.stderr.count("\n") == 1
        assert "did you mean 'max_batch'?" in result.stderr


def test_serve_hands_the_configuration_over_and_exits_as_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given: list[config.Config] = []

    def serve(loaded: config.Config) -> int:
        given.append(loaded)
        return 7

    monkeypatch.setitem(sys.modules, "vigil.app", SimpleNamespace(serve=serve))  # type: ignore[misc]
    result = CliRunner(env={"VIGIL_GRPC__REFLECTION": "true"}).invoke(main, ["serve"])
    assert result.exit_code == 7
    assert given[0].grpc.reflection


def test_an_error_on_purpose_is_one_line_and_a_bug_is_not_hidden(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def raise_on_purpose(loaded: config.Config) -> int:
        raise UnknownModel("no model 'x' is installed; see `vigil models list`")

    def fail(loaded: config.Config) -> int:
        raise ZeroDivisionError

    monkeypatch.setitem(sys.modules, "vigil.app", SimpleNamespace(serve=raise_on_purpose))  # type: ignore[misc]
    result = CliRunner().invoke(main, ["serve"])
    assert result.exit_code == 1
    assert result.stderr == "Error: no model 'x' is installed; see `vigil models list`\n"
    monkeypatch.setitem(sys.modules, "vigil.app", SimpleNamespace(serve=fail))  # type: ignore[misc]
    assert isinstance(CliRunner().invoke(main, ["serve"]).exception, ZeroDivisionError)
