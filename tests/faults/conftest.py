"""Planted failures: each fault's test is seen to fail where the mechanism that it is about is taken out."""

import functools
import importlib
import os
import re
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.saboteur import sitecustomize as saboteur

_SABOTEUR = Path(saboteur.__file__).parent


@dataclass(frozen=True, slots=True)
class Planted:
    """What is taken out, and what the test then has to say."""

    orders: tuple[str, ...]
    caught: str  # a regular expression; the failed assertion's text has it

    @classmethod
    def of(cls, *orders: str, caught: str) -> "Planted":
        return cls(orders, caught)

    def judge(self, error: AssertionError | None) -> None:
        """Fail unless the test failed for what it is about."""
        if error is None:
            pytest.fail(f"the planted failure went unnoticed: {'; '.join(self.orders)}")
        text = str(error)
        if not re.search(self.caught, text):
            raise AssertionError(f"failed, but not for {self.caught!r}") from error
        print(f"caught: {text.splitlines()[0]}")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    marker = metafunc.definition.get_closest_marker("planted")
    if marker is not None:
        failure = Planted.of(*marker.args, **marker.kwargs)
        metafunc.parametrize("planted", [None, failure], ids=["sound", "planted"], indirect=True)


def _arm(monkeypatch: pytest.MonkeyPatch, *orders: str) -> None:
    """Have every process that is started from now on obey these orders, too."""
    standing = os.environ.get(saboteur.ORDERS, "").splitlines()
    if not standing:
        paths = [str(_SABOTEUR), *filter(None, [os.environ.get("PYTHONPATH")])]
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
    monkeypatch.setenv(saboteur.ORDERS, "\n".join([*standing, *orders]))


@pytest.fixture(autouse=True)
def planted(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Planted | None:
    """Takes the mechanism out of this process and of all that it starts while the test lasts."""
    failure: Planted | None = getattr(request, "param", None)
    if failure is not None:
        _arm(monkeypatch, *failure.orders)
        for order in failure.orders:
            module = importlib.import_module(saboteur.module_of(order))
            saboteur.obey(order, module, monkeypatch.setattr)
    return failure


@pytest.fixture
def inject(planted: Planted | None, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Puts a fault that no camera can be made to show into the processes that are started afterwards.

    An order as those of planted failures; it holds in the sound run and in the planted one.
    """
    return functools.partial(_arm, monkeypatch)


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, Any, Any]:
    failure = pyfuncitem.funcargs.get("planted")
    if failure is None:
        return (yield)
    error = None
    try:
        yield
    except AssertionError as caught:
        error = caught
    failure.judge(error)
    return True
