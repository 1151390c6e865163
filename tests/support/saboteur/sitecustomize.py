"""Takes a mechanism out of Python processes: the planted failure of a fault's test.

Python imports this by its name in every process that is started with this folder in PYTHONPATH. An order
is ``module:attribute = expression``, evaluated in the module once that is loaded, with what it replaces as
``original``. `tests/faults/conftest.py` gives the orders; standard library only.
"""

import importlib.abc
import os
import sys
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

ORDERS = "SABOTAGE"  # environment variable: one order a line


def module_of(order: str) -> str:
    return order.partition(":")[0].strip()


def obey(order: str, module: ModuleType, put: Callable[[Any, str, Any], None] = setattr) -> None:
    """Replace what the order names."""
    place, _, expression = order.partition(":")[2].partition("=")
    *owners, name = place.strip().split(".")
    owner: Any = module
    for each in owners:
        owner = getattr(owner, each)
    scope = {**vars(module), "original": getattr(owner, name)}
    put(owner, name, eval(expression.strip(), scope))


class _Saboteur(importlib.abc.MetaPathFinder):
    def __init__(self, orders: Sequence[str]) -> None:
        self._orders = orders

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        mine = [order for order in self._orders if module_of(order) == name]
        spec = PathFinder.find_spec(name, path, target) if mine else None
        if spec is None or spec.loader is None:
            return None
        load = spec.loader.exec_module

        def load_and_obey(module: ModuleType) -> None:
            load(module)
            for order in mine:
                obey(order, module)

        spec.loader.exec_module = load_and_obey  # type: ignore[method-assign]
        return spec


if os.environ.get(ORDERS):
    sys.meta_path.insert(0, _Saboteur(os.environ[ORDERS].splitlines()))
