"""A grown net says what the small one said, and can learn with what it has more."""

from dataclasses import replace

import pytest
import torch

from vigil.errors import DamagedModel
from vigil.training.grow import grow
from vigil.vision.nets.detector_net import ARCHITECTURES, DetectorNet, build

CLASSES = 3


def small_net() -> DetectorNet:
    """A net whose norms have seen pictures, so that their statistics matter."""
    torch.manual_seed(1)
    net = build("vigil-det-n", classes=CLASSES)
    for _ in range(3):
        net(torch.randint(0, 256, (2, 3, 64, 96), dtype=torch.uint8))
    return net.eval()


def test_a_grown_net_says_what_the_small_one_said() -> None:
    small = small_net()
    large = build("vigil-det-s", classes=CLASSES)
    grow(large, small)
    images = torch.randint(0, 256, (2, 3, 64, 96), dtype=torch.uint8)
    with torch.no_grad():
        told, expected = large.eval()(images), small(images)
    torch.testing.assert_close(told.logits, expected.logits, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(told.distances, expected.distances, rtol=1e-4, atol=1e-4)


def test_the_new_channels_get_gradients() -> None:
    small = small_net()
    large = build("vigil-det-s", classes=CLASSES)
    grow(large, small)
    large.train()
    said = large(torch.randint(0, 256, (2, 3, 64, 96), dtype=torch.uint8))
    (said.logits.sum() + said.distances.sum()).backward()
    last = large.heads[0][-1]
    assert last.weight.grad is not None
    assert last.weight.grad[:, ARCHITECTURES["vigil-det-n"].pyramid_channels[0] :].abs().sum() > 0


def test_a_larger_net_cannot_be_put_into_a_smaller_one() -> None:
    with pytest.raises(DamagedModel, match="smaller net"):
        grow(small_net(), build("vigil-det-s", classes=CLASSES))


def test_nets_of_other_blocks_are_refused() -> None:
    deep = DetectorNet(replace(ARCHITECTURES["vigil-det-s"], blocks=(2, 1, 2, 2)), classes=CLASSES)
    with pytest.raises(DamagedModel, match="same blocks"):
        grow(deep, small_net())
