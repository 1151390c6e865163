"""What processes held over a soak, for the eye. Needs matplotlib (the extra `evaluate`)."""

import itertools
from collections.abc import Sequence
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from vigil.bench.growth import Sample

_COLOURS = {"service": "C0", "hosts": "C1", "engine": "C2", "redis": "C7"}
_PANELS = (
    ("rss_bytes", "resident memory, MB", 1e-6),
    ("descriptors", "file descriptors", 1.0),
    ("threads", "threads", 1.0),
    ("memfds", "shared-memory segments", 1.0),
)


def write_plot(samples: Sequence[Sample], path: Path) -> None:
    """One line for each process's life: where a line ends and another begins, it was killed."""
    figure = Figure(figsize=(12, 8), layout="constrained")
    ordered = sorted(samples, key=lambda sample: (sample.process, sample.pid, sample.at_s))
    for axes, (name, title, scale) in zip(figure.subplots(2, 2).flat, _PANELS, strict=True):
        labelled: set[str] = set()
        for (kind, _), group in itertools.groupby(ordered, key=lambda s: (s.process, s.pid)):
            life = list(group)
            axes.plot(
                [sample.at_s / 60 for sample in life],
                [getattr(sample.holdings, name) * scale for sample in life],
                color=_COLOURS.get(kind, "C3"),
                linewidth=1,
                label=None if kind in labelled else kind,
            )
            labelled.add(kind)
        axes.set(title=title, xlabel="minutes")
        axes.set_ylim(bottom=0)
        axes.grid(alpha=0.3)
    figure.axes[0].legend()
    FigureCanvasAgg(figure)
    figure.savefig(path)
