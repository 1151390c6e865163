"""A data set of grey pictures with white boxes on them, small enough to train on in a test."""

from pathlib import Path

import cv2
import numpy as np

from vigil.training.recipe import DataSet, Recipe, Stage


def write_set(root: Path, *, count: int = 6) -> Path:
    """Pictures of 64×48 px with one white box each, a person."""
    for folder in ("images", "labels"):
        (root / folder).mkdir(parents=True)
    rows = ["file,source,width,height,boxes,annotated_classes,licence,rights"]
    names = "person+bicycle+car+motorcycle+bus+truck"
    for i in range(count):
        image = np.full((48, 64, 3), 90 + 5 * i, np.uint8)
        x, y = 8 + 4 * i, 6 + 2 * i
        image[y : y + 24, x : x + 16] = 250
        cv2.imwrite(str(root / "images" / f"{i}.png"), image)
        box = f"0 {(x + 8) / 64} {(y + 12) / 48} {16 / 64} {24 / 48}\n"
        (root / "labels" / f"{i}.txt").write_text(box)
        rows.append(f"{i}.png,tiny,64,48,1,{names},none,stated")
    (root / "manifest.csv").write_text("\n".join(rows) + "\n")
    return root


def recipe(root: Path, *, steps: int, rate: float = 1e-3) -> Recipe:
    """Two stages, the second on larger canvases."""
    common = {"learning_rate": rate, "final_learning_rate": rate / 2, "pixels_per_batch": 8 * 4096}
    return Recipe(
        architecture="vigil-det-n",
        data=(DataSet(path=str(root)),),
        test_hw=(64, 96),
        stages=(
            Stage(name="small", steps=steps // 2, shapes_hw=((64, 64),), **common),
            Stage(name="large", steps=steps - steps // 2, shapes_hw=((64, 96),), **common),
        ),
    )
