import json

import pytest
from click.testing import CliRunner

from vigil.cli import main
from vigil.vision.describe import describe_classifier, describe_detector
from vigil.vision.nets.detector_net import build

# Where each figure is from:
# alexnet-grouped  the paper's section 3.5 says 60 million; 61.0 M as its layers add up, the split of two GPUs
#                  as groups (Caffe's bvlc_alexnet)
# alexnet          62.4 M: the same layers without groups
# vgg11, vgg16     133 M and 138 M: arXiv:1409.1556, table 2
# googlenet        7.0 M: bvlc_googlenet without its auxiliary heads (the paper's table 1 rounds)
# resnet*          11.7, 21.8, 25.6 M: arXiv:1512.03385's nets, as its released models have them
PARAMETERS = {
    "alexnet": 62_378_344,
    "alexnet-grouped": 60_965_224,
    "vgg11": 132_863_336,
    "vgg16": 138_357_544,
    "googlenet": 6_998_552,
    "resnet18": 11_689_512,
    "resnet34": 21_797_672,
    "resnet50": 25_557_032,
}

# Multiply-adds: arXiv:1512.03385, table 1 (1.8, 3.6 and, with the stride in the 1×1, 3.8 G; in the 3×3 4.1);
# arXiv:1409.4842, section 5 (1.5 G as designed; 1.6 as its table adds up);
# VGG-16: VGG-19 has 19.6 G (arXiv:1512.03385, figure 3), of which 1.85, 1.85 and 0.46 G are the three layers
# that VGG-16 lacks: 15.5 G.
GIGA_MULTIPLY_ADDS = {
    "vgg16": (15.4, 15.5),
    "googlenet": (1.5, 1.6),
    "resnet18": (1.8, 1.83),
    "resnet34": (3.6, 3.7),
    "resnet50": (3.8, 4.15),
}


@pytest.mark.parametrize("name", PARAMETERS)
def test_a_net_has_its_papers_number_of_weights(name: str) -> None:
    assert describe_classifier(name).parameters == PARAMETERS[name]


@pytest.mark.parametrize("name", GIGA_MULTIPLY_ADDS)
def test_a_net_has_its_papers_multiply_adds(name: str) -> None:
    low, high = GIGA_MULTIPLY_ADDS[name]
    assert low <= describe_classifier(name).multiply_adds / 1e9 <= high


@pytest.mark.parametrize("name", ["alexnet", "alexnet-grouped"])
def test_alexnet_has_the_maps_of_its_paper(name: str) -> None:
    layers = describe_classifier(name).layers
    convolutions = [layer.shape for layer in layers if layer.kind == "Conv2d"]
    assert convolutions == [
        (96, 55, 55), (256, 27, 27), (384, 13, 13), (384, 13, 13), (256, 13, 13),
    ]  # fmt: skip
    assert [layer.shape for layer in layers if layer.kind == "MaxPool2d"][-1] == (256, 6, 6)


def test_receptive_fields_are_those_that_are_published() -> None:
    # Araujo, Norris, Sim, Computing receptive fields of convolutional neural networks, Distill 2019:
    # AlexNet 195, VGG-16 212.
    def last_field(name: str, kind: str) -> int | None:
        return [layer.field_px for layer in describe_classifier(name).layers if layer.kind == kind][
            -1
        ]

    assert last_field("alexnet", "MaxPool2d") == 195
    assert last_field("vgg16", "MaxPool2d") == 212


def test_the_field_of_a_full_layer_is_the_picture() -> None:
    assert describe_classifier("vgg11").layers[-1].field_px is None


def test_joined_branches_see_as_far_as_the_farthest() -> None:
    layers = describe_classifier("googlenet").layers
    field = {layer.name: layer.field_px for layer in layers}
    # Two modules on, the field has grown by two 5×5 of stride 8, whatever branch one looks at.
    assert field["three.0.fives.1.0"] == field["three.0.ones.0"] + 4 * 8
    assert field["three.1.ones.0"] == field["three.0.fives.1.0"]


def test_a_detectors_table_adds_up() -> None:
    described = describe_detector("vigil-det-n", classes=6, input_hw=(320, 512))
    net = build("vigil-det-n", classes=6)
    assert described.parameters == sum(p.numel() for p in net.parameters())
    assert described.layers[0].shape == (32, 80, 128)


def test_the_command_prints_the_table() -> None:
    result = CliRunner().invoke(main, ["models", "describe", "lenet5", "--classes", "10"])
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[0].split()[:3] == ["LAYER", "KIND", "OUTPUT"]
    assert "0.06 M parameters" in result.stdout


def test_the_command_prints_one_json_object() -> None:
    arguments = ["models", "describe", "resnet18", "--classes", "10", "--input", "32", "--json"]
    result = CliRunner().invoke(main, arguments)
    found = json.loads(result.stdout)
    assert found["input"] == [3, 32, 32]
    assert (
        sum(layer["parameters"] for layer in found["layers"]) == found["parameters"] == 11_173_962
    )


def test_a_net_that_is_not_there_is_said_so() -> None:
    result = CliRunner().invoke(main, ["models", "describe", "resnet19"])
    assert result.exit_code == 1
    assert "resnet19" in result.output
