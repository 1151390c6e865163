"""Rendered stills as a training set, in the layout of the labelled data: images, labels, manifest.

Run ``python -m vigil.scene.dataset OUT --count N --seed S``; ``--side test`` draws from TEST_SEEDS.
"""

import csv
from collections.abc import Callable
from pathlib import Path

import click
import cv2
import numpy as np

from vigil.scene.palette import TEST_SEEDS, TRAIN_SEEDS
from vigil.scene.still import Still, render_still

CLASSES = ("person", "bicycle", "car", "motorcycle", "bus", "truck", "vehicle")
SIZES_PX = ((512, 288), (576, 324), (640, 360), (480, 360), (512, 384), (416, 416), (360, 480))
_LEAST_VISIBLE = 0.2
_LEAST_PX = 5.0
_FIELDS = ("file", "source", "width", "height", "boxes", "annotated_classes", "licence", "rights")


def write_training_set(
    out_dir: Path,
    count: int,
    seed: int,
    *,
    side: str = "train",
    progress: Callable[[int], None] | None = None,
) -> int:
    """Write ``count`` labelled stills; returns the number of boxes.

    Labels are YOLO text (class, cx, cy, w, h; normalised). An object is labelled where at least a
    fifth of it is visible and it is at least 5 px high and 3 px wide. Raises ValueError where seed and
    count leave the side's range of seeds.
    """
    seeds = TRAIN_SEEDS if side == "train" else TEST_SEEDS
    first = seeds.start + seed
    if seed < 0 or first + count > seeds.stop:
        raise ValueError(
            f"seed {seed} and count {count} leave the {side} range of {len(seeds)} seeds"
        )
    for folder in ("images", "labels"):
        (out_dir / folder).mkdir(parents=True, exist_ok=True)
    rows, boxes = [], 0
    for number in range(first, first + count):
        size_px = SIZES_PX[number % len(SIZES_PX)]
        still = render_still(number, width_px=size_px[0], height_px=size_px[1])
        lines = label_lines(still)
        name = f"scene_{number:07d}"
        cv2.imwrite(
            str(out_dir / "images" / f"{name}.webp"),
            still.image,
            [cv2.IMWRITE_WEBP_QUALITY, _quality(number)],
        )
        (out_dir / "labels" / f"{name}.txt").write_text("".join(f"{line}\n" for line in lines))
        rows.append(
            (
                f"{name}.webp",
                "scene",
                *size_px,
                len(lines),
                "+".join(CLASSES[:6]),
                "rendered by vigil, Apache-2.0",
                "stated",
            )
        )
        boxes += len(lines)
        if progress is not None:
            progress(number - first + 1)
    with (out_dir / "manifest.csv").open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([_FIELDS, *rows])
    (out_dir / "classes.txt").write_text("".join(f"{name}\n" for name in CLASSES))
    return boxes


def label_lines(still: Still) -> list[str]:
    """The YOLO lines of a still."""
    height, width = still.image.shape[:2]
    lines = []
    for thing in still.objects:
        x0, y0, x1, y1 = thing.xyxy
        large = (y1 - y0) * height >= _LEAST_PX and (x1 - x0) * width >= _LEAST_PX * 0.6
        if large and thing.visible >= _LEAST_VISIBLE:
            cells = ((x0 + x1) / 2, (y0 + y1) / 2, x1 - x0, y1 - y0)
            lines.append(
                f"{CLASSES.index(thing.class_name)} " + " ".join(f"{n:.5f}" for n in cells)
            )
    return lines


def _quality(number: int) -> int:
    """WebP quality: compression varies as cameras' does, the same for the same picture."""
    return int(np.random.default_rng(number).integers(45, 92))


@click.command()
@click.argument("out", type=click.Path(path_type=Path, file_okay=False))
@click.option("--count", default=1500, show_default=True, help="Pictures to render.")
@click.option("--seed", default=0, show_default=True, help="First seed within the side's range.")
@click.option("--side", type=click.Choice(["train", "test"]), default="train", show_default=True)
def main(out: Path, count: int, seed: int, side: str) -> None:
    """Render a labelled set of stills into OUT."""
    with click.progressbar(length=count, label="rendering") as bar:
        boxes = write_training_set(out, count, seed, side=side, progress=lambda _: bar.update(1))
    click.echo(f"{count} pictures, {boxes} boxes", err=True)


if __name__ == "__main__":
    main()
