"""A detector's net as steps of our own kernels: which convolution writes which map, and in which order.

The kernels, and what a step's fields mean: `cpp/net.cpp`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from torch import nn

from vigil.vision.native.convolutions import Constants, Whole
from vigil.vision.native.filters import LANES, round_up
from vigil.vision.native.maps import LEVELS, PAIRED_LEVELS, Map, Workspace
from vigil.vision.native.steps import Copy, Does, Ending, Pool, Sizes, Step
from vigil.vision.native.winograd import Pairs, Squares, winograd
from vigil.vision.nets.blocks import Bottleneck, ConvNorm, PyramidPool
from vigil.vision.nets.detector_net import PIXEL_MEAN, PIXEL_SCALE, STRIDES, DetectorNet


class Plan:
    """The steps of one net for one input shape.

    In 8 bits with ``ranges`` of its activations, else in bfloat16; ``net`` is folded. Raises ValueError on a
    net that the kernels cannot run.
    """

    def __init__(
        self, net: DetectorNet, *, input_hw: tuple[int, int], ranges: Mapping[str, float] | None
    ) -> None:
        if net.classes + 4 > LANES:
            raise ValueError(f"{net.classes} classes: the kernels take up to {LANES - 4}")
        self.input_hw = input_hw
        self._space, self._constants = Workspace(ranges), Constants()
        self._layers: list[Whole | Pairs | Squares | Step] = []
        self._cells = 0
        picture = self._picture(*input_hw)
        grey = self._space.bytes if ranges else 0
        self._lay_out(net, picture)
        self.steps = list(self._steps())
        self.sizes = Sizes(
            image=input_hw[0] * input_hw[1] * 3,
            space=self._space.bytes,
            grey=grey,
            mean=PIXEL_MEAN,
            classes=net.classes,
            cells=self._cells,
        )

    def _steps(self) -> Iterator[Step]:
        """In order; all 3×3 convolutions have their terms in one place."""
        spread = (layer for layer in self._layers if isinstance(layer, Pairs | Squares))
        terms = self._space.place(max(layer.terms_bytes for layer in spread))
        for layer in self._layers:
            if isinstance(layer, Step):
                yield layer
            else:
                yield from layer.steps() if isinstance(layer, Whole) else layer.steps(terms)

    def _lay_out(self, net: DetectorNet, picture: Map) -> None:
        height, width = picture.height // 4, picture.width // 4
        stem = self._space.map(height, width, net.stem.conv.out_channels, "stages.0")
        self._convolve(net.stem.conv, picture, stem)
        x, features = stem, []
        for index, stage in enumerate(net.stages):
            for place, part in enumerate(stage.children()):
                if isinstance(part, Bottleneck):
                    name = f"stages.{index}.{place}.reduce"
                    within = self._convolved(part.reduce, x, name, levels=PAIRED_LEVELS)
                    self._convolve(part.expand.conv, within, x, ending=Ending.ADD_TO)
                else:
                    x = self._convolved(part, x, f"stages.{index}")
            features.append(x)
        features[3] = self._pooled(net.context, features[3])
        merged: list[Map] = []
        below: Map | None = None
        for level in (2, 1, 0):
            joined = self._joined(net.laterals[level], features[level + 1], level, below)
            name = f"merges.{level}"
            merge = self._convolved(net.merges[level], joined, name, levels=PAIRED_LEVELS)
            merged.insert(0, merge)
            if level:
                below = self._coarse(net.reductions[level - 1], merge, level - 1)
        for level, (head, x) in enumerate(zip(net.heads, merged, strict=True)):
            self._head(head, x, level)

    def _picture(self, height: int, width: int) -> Map:
        """Where the stem reads the picture, with two pixels above and to the left: the stem's padding."""
        whole, pixel = self._space.whole, 3 * self._space.element
        down = round_up((width + 4) * pixel, 64)
        first = self._space.place(down * (height + 4)) + 2 * down + 2 * pixel
        target = Map(
            first, down, pixel, height, width, PIXEL_SCALE, zero=PIXEL_MEAN if whole else 0
        )

        copy = Copy(row=width * 3, output=first, down=down, rows=height, mean=PIXEL_MEAN)
        self._layers.append(Step(does=Does.COPY_BYTES if whole else Does.COPY_HALVES, copy=copy))
        return target

    def _pooled(self, pool: PyramidPool, x: Map) -> Map:
        """Three pools of the whole map, beside what they are of."""
        half = pool.reduce.conv.out_channels
        quarter = half * self._space.element
        if half % LANES:
            raise ValueError(f"{half} pooled channels: the kernels take multiples of {LANES}")
        whole = self._space.map(x.height, x.width, 4 * half, "context.reduce")
        self._convolve(pool.reduce.conv, x, whole)
        scratch = self._space.place(x.height * x.width * quarter)
        step = Step(
            does=Does.POOL_BYTES if self._space.whole else Does.POOL_HALVES,
            pool=Pool(whole.first, whole.down, whole.right, scratch, x.height, x.width, quarter),
        )
        self._layers.append(step)
        return self._convolved(pool.join, whole, "context.join")

    def _joined(self, lateral: nn.Module, feature: Map, level: int, below: Map | None) -> Map:
        conv, name = _conv_of(lateral), f"pyramid.{level}"
        height, width, levels = feature.height, feature.width, PAIRED_LEVELS
        target = self._space.map(height, width, conv.out_channels, name, levels=levels)
        ending = Ending.ONTO_BELOW if below else Ending.STORE
        self._convolve(conv, feature, target, ending=ending, below=below)
        return target

    def _coarse(self, reduction: nn.Module, x: Map, level: int) -> Map:
        """What is added to a finer level."""
        conv = _conv_of(reduction)
        target = self._space.floats(x.height, x.width, conv.out_channels, f"pyramid.{level}")
        self._convolve(conv, x, target, ending=Ending.FLOATS)
        return target

    def _head(self, head: nn.Module, x: Map, level: int) -> None:
        for place, part in enumerate(head.children()):
            if isinstance(part, ConvNorm):
                x = self._convolved(part, x, f"heads.{level}.{place}")
            else:
                self._convolve(
                    _conv_of(part), x, replace(x, scale=1.0), ending=Ending.BOXES, level=level
                )
        self._cells += x.height * x.width

    def _convolved(self, part: nn.Module, x: Map, name: str, *, levels: int = LEVELS) -> Map:
        """A convolution and ReLU, to a map of its own."""
        conv = _conv_of(part)
        stride = int(conv.stride[0])
        height, width = x.height // stride, x.width // stride
        target = self._space.map(height, width, conv.out_channels, name, levels=levels)
        self._convolve(conv, x, target)
        return target

    def _convolve(
        self,
        conv: nn.Conv2d,
        x: Map,
        target: Map,
        *,
        ending: Ending = Ending.STORE,
        below: Map | None = None,
        level: int = 0,
    ) -> None:
        """A layer that writes a map, or adds to it what is there already."""
        space, constants = self._space, self._constants
        if conv.kernel_size == (3, 3) and conv.stride == (1, 1):
            self._layers.append(
                winograd(conv, x, target, space=space, constants=constants, ending=ending)
            )
            return
        cells = (self._cells, STRIDES[level])
        self._layers.append(
            Whole(
                conv,
                x,
                target,
                space=space,
                constants=constants,
                ending=ending,
                below=below,
                cells=cells,
            )
        )


def _conv_of(part: nn.Module) -> nn.Conv2d:
    conv = part.conv if isinstance(part, ConvNorm) else part
    assert isinstance(conv, nn.Conv2d)
    return conv
