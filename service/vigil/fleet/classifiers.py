"""The classifiers that second stages may name, as hosts and metrics know them."""

from collections.abc import Iterable

from vigil.ipc.messages import ClassifierInfo
from vigil.vision.manifest import Manifest

LEAST_CROP_PX = 64  # a side of a crop's slot


def classifier_infos(manifests: Iterable[Manifest]) -> tuple[ClassifierInfo, ...]:
    """What hosts are told of the engine's classifiers; their labels are counted one after the other."""
    infos: list[ClassifierInfo] = []
    first = 0
    for manifest in manifests:
        infos.append(
            ClassifierInfo(
                name=manifest.name,
                classes=manifest.classes,
                input_px=manifest.input_height_px,
                first_label=first,
            )
        )
        first += len(manifest.classes)
    return tuple(infos)


def label_names(infos: Iterable[ClassifierInfo]) -> tuple[tuple[str, str], ...]:
    """Classifier and class of every label, in the order in which they are counted."""
    return tuple((info.name, label) for info in infos for label in info.classes)


def crop_px(infos: Iterable[ClassifierInfo]) -> int:
    """A side of the slots that any of the classifiers' crops fits in."""
    return max((info.input_px for info in infos), default=LEAST_CROP_PX)
