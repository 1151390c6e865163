import numpy as np
import torch

from vigil.training.classify.insight import activation_maps, first_filters
from vigil.vision.nets.classifier import build_classifier

STEP = 66  # a tile and its gap


def test_each_filter_is_a_tile_with_its_own_contrast() -> None:
    net = build_classifier("lenet5", classes=3)
    first = net.net.features[0]  # type: ignore[index,union-attr]
    with torch.no_grad():
        first.weight.zero_()  # type: ignore[union-attr,operator]
        first.weight[2, :, :, 0] = 7.0  # type: ignore[union-attr,index]
    sheet = first_filters(net)
    assert sheet.shape == (STEP, 6 * STEP, 3)
    left, right = sheet[10, 2 * STEP + 2], sheet[10, 2 * STEP + 60]
    assert (left == 255).all()  # its left column is what the third looks for
    assert (right == 0).all()


def test_a_row_for_each_resolution_begins_with_the_picture() -> None:
    net = build_classifier("cropnet", classes=3, input_px=32).eval()
    picture = np.random.default_rng(1).integers(0, 256, (32, 32, 3), np.uint8)
    sheet = activation_maps(net, picture)
    assert sheet.shape == (4 * STEP, 9 * STEP, 3)  # 32, 16, 8 and 4 px
    for row in range(4):
        shown = sheet[row * STEP : row * STEP + 64 : 2, 0:64:2]
        assert np.array_equal(shown, picture)
    assert not any(module._forward_hooks for module in net.modules())
