"""What a net looks for, as pictures: filters of its first layer, and the maps that a picture lights up."""

from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from vigil.data import F32, U8
from vigil.vision.nets.classifier import Classifier

_TILE_PX = 64
_GAP_PX = 2
_FILTERS_A_ROW = 16
_MAPS = 8  # of a stage: those that answer most


def first_filters(net: Classifier) -> U8:
    """The weights of the first convolution as a sheet of tiles (H, W, 3) BGR, each with its own contrast."""
    first = next(module for module in net.modules() if isinstance(module, nn.Conv2d))
    weights = first.weight.detach().float().cpu().numpy().transpose(0, 2, 3, 1)  # (maps, k, k, 3)
    tiles = [_tile(_contrasted(weight)) for weight in weights]
    rows = [tiles[i : i + _FILTERS_A_ROW] for i in range(0, len(tiles), _FILTERS_A_ROW)]
    return _sheet(rows)


def activation_maps(net: Classifier, picture: U8, *, device: torch.device | str = "cpu") -> U8:
    """What a picture (S, S, 3) lights up: (H, W, 3) BGR, a row for each resolution of the net.

    A row begins with the picture; then come the maps of the last layer of that resolution that answer most.
    ``net`` is in evaluation mode.
    """
    last: dict[int, Tensor] = {}  # by side: a later layer replaces an earlier one

    def keep(_: nn.Module, __: Any, output: Any) -> None:
        if isinstance(output, Tensor) and output.ndim == 4 and output.shape[2] > 1:
            last[output.shape[2]] = output[0].float().cpu()

    leaves = [module for module in net.net.modules() if not any(module.children())]
    hooks = [leaf.register_forward_hook(keep) for leaf in leaves]
    try:
        with torch.inference_mode():
            net(torch.from_numpy(picture.copy()).permute(2, 0, 1)[None].to(device))
    finally:
        for hook in hooks:
            hook.remove()
    rows = []
    for maps in last.values():  # (channels, H, W)
        best = maps.mean(dim=(1, 2)).argsort(descending=True)[:_MAPS]
        rows.append(
            [_tile(picture), *(_tile(_contrasted(maps[int(i)].numpy()[..., None])) for i in best)]
        )
    return _sheet(rows)


def _contrasted(values: F32) -> U8:
    """Values (H, W, 1 or 3) from their least, 0, to their largest, 255: (H, W, 3)."""
    spread = max(float(values.max() - values.min()), 1e-12)
    scaled: U8 = ((values - values.min()) / spread * 255).astype(np.uint8)
    return np.repeat(scaled, 3, axis=2) if scaled.shape[2] == 1 else scaled


def _tile(image: U8) -> U8:
    """An image as a tile, its pixels kept apart."""
    out = cv2.resize(image, (_TILE_PX, _TILE_PX), interpolation=cv2.INTER_NEAREST)
    return np.asarray(out, np.uint8)


def _sheet(rows: list[list[U8]]) -> U8:
    step = _TILE_PX + _GAP_PX
    sheet = np.full((len(rows) * step, max(len(row) for row in rows) * step, 3), 32, np.uint8)
    for y, row in enumerate(rows):
        for x, tile in enumerate(row):
            sheet[y * step : y * step + _TILE_PX, x * step : x * step + _TILE_PX] = tile
    return sheet
