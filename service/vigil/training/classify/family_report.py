"""The family's table and plot: accuracy against the time that it took to learn.

The plot needs matplotlib (the extra `train`).
"""

import dataclasses
import importlib.util
import json
from collections.abc import Sequence
from pathlib import Path

from vigil.training.classify.family import Row


def write_family(folder: Path, rows: Sequence[Row]) -> list[Path]:
    """Write classifiers.json, classifiers.md and, with matplotlib, classifiers.png; gives their paths."""
    ranked = sorted(rows, key=lambda row: row.accuracy)
    paths = [folder / "classifiers.json", folder / "classifiers.md"]
    told = [dataclasses.asdict(row) for row in ranked]
    paths[0].write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    paths[1].write_text(table(ranked), encoding="utf-8")
    if importlib.util.find_spec("matplotlib"):
        paths.append(folder / "classifiers.png")
        _plot(ranked, paths[-1])
    return paths


def table(rows: Sequence[Row]) -> str:
    """The rows as Markdown."""
    heads = (
        "| classifier | test accuracy | calibration error | CPU minutes | epochs | parameters "
        "| multiply-adds |\n|---|---|---|---|---|---|---|\n"
    )
    return heads + "".join(
        f"| {row.name} | {row.accuracy:.3f} | {_or_dash(row.calibration_error)} | {row.cpu_s / 60:.2f} "
        f"| {row.epochs or '–'} | {_millions(row.parameters)} | {_millions(row.multiply_adds)} |\n"
        for row in rows
    )


def _or_dash(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _millions(count: int) -> str:
    return f"{count / 1e6:.2f} M" if count else "–"


def _plot(rows: Sequence[Row], path: Path) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # half a second
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5))
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for row in rows:
        minutes = row.cpu_s / 60
        net = row.epochs > 0
        axes.scatter(minutes, row.accuracy, s=60, marker="o" if net else "s", color=_colour(net))
        axes.annotate(
            row.name, (minutes, row.accuracy), xytext=(6, 4), textcoords="offset points", fontsize=9
        )
    axes.set_xscale("log")
    axes.set(xlabel="CPU minutes of learning (log)", ylabel="test accuracy", ylim=(0, 1))
    axes.margins(x=0.2)
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=110, bbox_inches="tight")


def _colour(net: bool) -> str:
    return "tab:blue" if net else "tab:grey"
