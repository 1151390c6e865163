"""Labelled pictures of a classifier: a folder for each class, a CSV, or CIFAR-10's subset."""

import csv
import hashlib
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from vigil.training.labels import UnusableDataSet
from vigil.vision.crop import draw_square

_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".webp"}


@dataclass(frozen=True, slots=True)
class Example:
    """One labelled picture. Pictures of one ``group`` (a camera, a track) are never split up."""

    place: str  # for people: a path, or where in an archive
    label: int
    group: str
    encoded: bytes | None = None  # where the picture is in an archive; else it is read from place


@dataclass(frozen=True, slots=True)
class ExampleSet:
    """Examples and the names of their classes."""

    classes: tuple[str, ...]
    examples: tuple[Example, ...]

    @property
    def labels(self) -> NDArray[np.int64]:
        """The label of every example (N,)."""
        return np.array([example.label for example in self.examples], np.int64)

    def only(self, examples: Sequence[Example]) -> "ExampleSet":
        """Some of the examples, with all of the classes."""
        return replace(self, examples=tuple(examples))


def read_examples(path: Path, *, group_pattern: str = "", least_classes: int = 2) -> ExampleSet:
    """A folder that has a folder for each class, or a CSV with the columns file, class and, at will, group.

    ``group_pattern`` is a regular expression: what its first parentheses match of a file's name is its
    group. Without group or pattern every picture is a group of its own. Raises UnusableDataSet.
    """
    rows = _csv_rows(path) if path.suffix == ".csv" else _folder_rows(path)
    if not rows:
        raise UnusableDataSet(
            f"{path} has no labelled pictures: name a folder with a folder of pictures for each class, "
            "or a .csv with the columns file and class"
        )
    classes = tuple(sorted({name for _, name, _ in rows}))
    if len(classes) < least_classes:
        raise UnusableDataSet(f"{path} has the one class {classes[0]!r}; a classifier needs two")
    index = {name: i for i, name in enumerate(classes)}
    pattern = _compiled(group_pattern)
    examples = [
        Example(str(file), index[name], group or _group(file, pattern))
        for file, name, group in rows
    ]
    return ExampleSet(classes, tuple(examples))


def read_archive(path: Path, *, part: str) -> ExampleSet:
    """A part (train, test) of an .npz with classes, <part>_offsets, <part>_jpeg and <part>_labels."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            offsets = archive[f"{part}_offsets"]
            encoded: bytes = archive[f"{part}_jpeg"].tobytes()
            labels = archive[f"{part}_labels"]
            classes = tuple(str(name) for name in archive["classes"])
    except (OSError, KeyError, ValueError) as error:
        raise UnusableDataSet(f"{path} is no archive of JPEG pictures ({error})") from error
    examples = [
        Example(f"{part}/{i}", int(label), f"{part}/{i}", encoded[offsets[i] : offsets[i + 1]])
        for i, label in enumerate(labels)
    ]
    return ExampleSet(classes, tuple(examples))


def split_by_group(
    data: ExampleSet, *, val_share: float, seed: int
) -> tuple[ExampleSet, ExampleSet]:
    """Training and validation parts that share no group.

    Groups are drawn by lot, those with the rarest class first, and go to validation as long as it has less
    than its share of that class. Raises UnusableDataSet where a class would be in one part only.
    """
    by_group: dict[str, list[Example]] = defaultdict(list)
    for example in data.examples:
        by_group[example.group].append(example)
    totals = np.bincount(data.labels, minlength=len(data.classes))
    order = np.random.default_rng(seed).permutation(sorted(by_group))
    rarest = {
        name: min((e.label for e in by_group[name]), key=lambda c: totals[c]) for name in by_group
    }
    held = np.zeros(len(data.classes))
    validation: set[str] = set()
    for name in sorted(order, key=lambda group: totals[rarest[group]]):
        if held[rarest[name]] + 0.5 <= val_share * totals[rarest[name]]:
            validation.add(str(name))
            for example in by_group[name]:
                held[example.label] += 1
    parts = (
        data.only([e for e in data.examples if e.group not in validation]),
        data.only([e for e in data.examples if e.group in validation]),
    )
    for part, called in zip(parts, ("training", "validation"), strict=True):
        missing = set(range(len(data.classes))) - set(part.labels.tolist())
        if missing:
            names = ", ".join(data.classes[i] for i in sorted(missing))
            raise UnusableDataSet(
                f"no {called} pictures of {names}: its groups are too few to be split; add pictures "
                "from another camera, or change the share or the groups"
            )
    return parts


def read_calibration(
    path: Path, classes: tuple[str, ...], *, group_pattern: str = ""
) -> tuple[ExampleSet, ExampleSet]:
    """A labelled set in halves that share no group: to calibrate by, and to judge by at the very end.

    A group's half is decided by its name alone, so it is the same in every run. Raises UnusableDataSet
    where the set has other classes than these, or a half lacks one.
    """
    data = read_examples(path, group_pattern=group_pattern)
    if data.classes != classes:
        raise UnusableDataSet(
            f"{path} has the classes {', '.join(data.classes)}, what is learnt has {', '.join(classes)}; "
            "give a set with the same"
        )
    parts: tuple[list[Example], list[Example]] = ([], [])
    for example in data.examples:
        digest = hashlib.md5(example.group.encode(), usedforsecurity=False).digest()
        parts[digest[-1] % 2].append(example)
    halves = data.only(parts[0]), data.only(parts[1])
    for half in halves:
        missing = set(range(len(classes))) - set(half.labels.tolist())
        if missing:
            names = ", ".join(classes[i] for i in sorted(missing))
            raise UnusableDataSet(f"a half of {path} has no {names}; add pictures of other groups")
    return halves


@dataclass(frozen=True, slots=True)
class Parts:
    """Pictures to learn from, to choose by and, where there are such, to judge by at the very end."""

    training: ExampleSet
    validation: ExampleSet
    test: ExampleSet | None


def read_parts(
    path: Path, *, group_pattern: str = "", val_share: float, test_share: float = 0.0, seed: int
) -> Parts:
    """A labelled set in parts that share no group; an archive's part `test` is its test part.

    ``test_share`` and ``val_share`` are of the whole, archives aside. Raises UnusableDataSet.
    """
    if path.suffix == ".npz":
        learnt, held = split_by_group(
            read_archive(path, part="train"), val_share=val_share, seed=seed
        )
        return Parts(learnt, held, read_archive(path, part="test"))
    rest, test = read_examples(path, group_pattern=group_pattern), None
    if test_share > 0:
        rest, test = split_by_group(rest, val_share=test_share, seed=seed + 1)
        val_share = val_share / (1.0 - test_share)
    return Parts(*split_by_group(rest, val_share=val_share, seed=seed), test)


def read_pixels(data: ExampleSet, *, input_px: int) -> NDArray[np.uint8]:
    """Every picture, letterboxed to a square: (N, input_px, input_px, 3) uint8 BGR, in memory."""
    pixels = np.empty((len(data.examples), input_px, input_px, 3), np.uint8)
    for i, example in enumerate(data.examples):
        if example.encoded is None:
            image = cv2.imread(example.place, cv2.IMREAD_COLOR)
        else:
            image = cv2.imdecode(np.frombuffer(example.encoded, np.uint8), cv2.IMREAD_COLOR)
        if image is None:
            raise UnusableDataSet(f"{example.place} is no picture that can be read; remove it")
        draw_square(np.asarray(image, np.uint8), pixels[i])
    return pixels


def _folder_rows(root: Path) -> list[tuple[Path, str, str]]:
    return [
        (file, folder.name, "")
        for folder in sorted(root.iterdir() if root.is_dir() else [])
        if folder.is_dir()
        for file in sorted(folder.rglob("*"))
        if file.suffix.lower() in _SUFFIXES
    ]


def _csv_rows(path: Path) -> list[tuple[Path, str, str]]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return [
                (path.parent / row["file"], row["class"], row.get("group") or "")
                for row in csv.DictReader(file)
            ]
    except (OSError, KeyError) as error:
        raise UnusableDataSet(f"{path} needs the columns file and class ({error})") from error


def _compiled(pattern: str) -> re.Pattern[str] | None:
    try:
        compiled = re.compile(pattern) if pattern else None
    except re.error as error:
        raise UnusableDataSet(f"{pattern!r} is no regular expression ({error})") from error
    if compiled is not None and compiled.groups < 1:
        raise UnusableDataSet(f"{pattern!r} has no parentheses around what names the group")
    return compiled


def _group(file: Path, pattern: re.Pattern[str] | None) -> str:
    found = pattern.search(file.name) if pattern is not None else None
    return found.group(1) if found else str(file)
