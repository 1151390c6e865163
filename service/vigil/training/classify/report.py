"""What a run came to, as one JSON file and as text: accuracy, recalls, confusion matrix, calibration."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vigil.training.classify.judge import Judgement


def report(
    classes: Sequence[str], *, before: Judgement, after: Judgement, temperature: float
) -> dict[str, Any]:
    """The report of validation, before and after the temperature was fitted."""
    return {
        "accuracy": round(after.accuracy, 4),
        "balanced_accuracy": round(after.balanced_accuracy, 4),
        "recall": {
            label: None if np.isnan(recall) else round(float(recall), 4)
            for label, recall in zip(classes, after.recalls, strict=True)
        },
        "confusion": after.confusion.tolist(),
        "temperature": round(temperature, 4),
        "calibration_error": round(after.calibration_error, 4),
        "calibration_error_uncalibrated": round(before.calibration_error, 4),
        "log_loss": round(after.log_loss, 4),
        "log_loss_uncalibrated": round(before.log_loss, 4),
    }


def write_report(
    folder: Path, name: str, described: dict[str, Any], pictures: Sequence[Path]
) -> None:
    """Write report.json, and report.md with the pictures, into a run's folder."""
    text = json.dumps(described, indent=2, ensure_ascii=False)
    (folder / "report.json").write_text(text + "\n", encoding="utf-8")
    (folder / "report.md").write_text(_page(folder, name, described, pictures), encoding="utf-8")


def _page(folder: Path, name: str, described: dict[str, Any], pictures: Sequence[Path]) -> str:
    recalls = [
        f"| {label} | {'–' if recall is None else format(recall, '.3f')} |"
        for label, recall in described["recall"].items()
    ]
    before, after = described["calibration_error_uncalibrated"], described["calibration_error"]
    fitted = f"temperature {described['temperature']:.2f}"
    lines = [
        f"# {name}\n",
        f"Validation: {_right(described)}; {fitted}, calibration error {before:.3f} to {after:.3f}.\n",
    ]
    if "test" in described:
        test = described["test"]
        lines.append(f"Test: {_right(test)} of {test['pictures']} pictures.\n")
    if "baselines" in described:
        lines += [*_comparison(described), ""]
    lines += ["| class | recall |\n|---|---|", *recalls, ""]
    lines += [
        f"## {path.stem}\n\n![{path.stem}]({path.relative_to(folder)})\n" for path in pictures
    ]
    return "\n".join(lines)


def _right(described: dict[str, Any]) -> str:
    return f"accuracy {described['accuracy']:.3f}, balanced {described['balanced_accuracy']:.3f}"


def _comparison(described: dict[str, Any]) -> list[str]:
    """The net beside the baselines, all judged on the same pictures."""
    own = described.get("test", described)["accuracy"]
    rows = [
        f"| {baseline.replace('_', ' ')} on {given} | {found:.3f} |"
        for given, accuracies in described["baselines"].items()
        for baseline, found in accuracies.items()
    ]
    return ["| classifier | accuracy |\n|---|---|", f"| **this net** | {own:.3f} |", *rows]


def summary(classes: Sequence[str], described: dict[str, Any]) -> list[str]:
    """A report in a few lines, the confusion matrix first."""
    before, after = described["calibration_error_uncalibrated"], described["calibration_error"]
    lines = [
        *confusion_text(classes, described["confusion"]).splitlines(),
        _right(described),
        f"temperature {described['temperature']:.2f}: calibration error {before:.3f} to {after:.3f}",
    ]
    if "test" in described:
        test = described["test"]
        lines.append(f"test: {_right(test)} of {test['pictures']} pictures")
    for given, accuracies in described.get("baselines", {}).items():
        told = ", ".join(f"{name.replace('_', ' ')} {a:.3f}" for name, a in accuracies.items())
        lines.append(f"from {given}: {told}")
    return lines


def confusion_text(classes: Sequence[str], confusion: Sequence[Sequence[int]]) -> str:
    """The confusion matrix for people: a row is a truth, a column an answer."""
    names = max(len(label) for label in classes)
    width = max(4, *(len(str(count)) for row in confusion for count in row))
    heads = " ".join(label[:width].rjust(width) for label in classes)
    rows = [
        f"{label.ljust(names)}  " + " ".join(str(count).rjust(width) for count in row)
        for label, row in zip(classes, confusion, strict=True)
    ]
    return "\n".join([f"{' ' * names}  {heads}", *rows])
