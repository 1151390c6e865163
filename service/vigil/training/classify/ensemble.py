"""Trained classifiers joined into one that answers with the mean of their probabilities."""

from collections.abc import Sequence

import torch

from vigil.errors import InvalidConfig
from vigil.vision.classifier import load_classifier
from vigil.vision.manifest import Manifest
from vigil.vision.nets.classifier import Classifier
from vigil.vision.nets.ensemble import Ensemble


def joined(manifests: Sequence[Manifest]) -> Classifier:
    """The ensemble of models, with their weights and temperatures, in evaluation mode.

    Its own temperature is 1. Raises InvalidConfig where their classes or inputs differ.
    """
    first = manifests[0]
    for other in manifests[1:]:
        if (other.classes, other.input_hw) != (first.classes, first.input_hw):
            raise InvalidConfig(
                f"{other.name!r} and {first.name!r} have other classes or another input size; "
                "only models of the same answer together"
            )
    members = [load_classifier(manifest) for manifest in manifests]
    ensemble = Ensemble([member.net for member in members])
    ensemble.temperatures.copy_(torch.stack([member.temperature for member in members]))
    return Classifier(ensemble).eval()


def architecture(manifests: Sequence[Manifest]) -> str:
    """What `build_classifier` makes the same net from."""
    return "+".join(manifest.architecture for manifest in manifests)
