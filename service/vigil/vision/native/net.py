"""A detector's net that our own kernels run."""

import ctypes
import weakref
from pathlib import Path

import torch
from torch import Tensor, nn

from vigil.vision.native.plan import Plan
from vigil.vision.native.steps import Sizes, Step

_POINTER, _INT = ctypes.c_void_p, ctypes.c_int


class Kernels:
    """The shared library. Raises OSError where the file is none, ValueError where it is of other sources."""

    def __init__(self, path: Path) -> None:
        library = ctypes.CDLL(str(path))
        try:
            self.new, self.delete = library.vigil_net_new, library.vigil_net_delete
            self.infer, step_bytes = library.vigil_net_infer, library.vigil_step_bytes
        except AttributeError as error:
            raise ValueError(f"{path.name}: {error}") from error
        if step_bytes() != ctypes.sizeof(Step):
            raise ValueError(f"a step has {step_bytes()} bytes there, {ctypes.sizeof(Step)} here")
        self.new.argtypes = (_POINTER, _INT, ctypes.POINTER(Sizes))
        self.new.restype = _POINTER
        self.delete.argtypes, self.delete.restype = (_POINTER,), None
        self.infer.argtypes = (_POINTER, _POINTER, _INT, _POINTER, _POINTER, _INT)
        self.infer.restype = _INT


class NativeNet(nn.Module):
    """What an `InferenceNet` computes, by our kernels. Any number of threads may call it at once.

    A batch's pictures are shared out among as many threads as torch takes for an operation: in the engine's
    lanes that is one.
    """

    form = "native"

    def __init__(self, kernels: Kernels, plan: Plan) -> None:
        super().__init__()
        self._kernels, self._plan = kernels, plan  # the weights are the plan's
        steps = (Step * len(plan.steps))(*plan.steps)
        self._net = kernels.new(steps, len(steps), plan.sizes)
        if not self._net:
            raise MemoryError
        weakref.finalize(self, kernels.delete, self._net)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """uint8 BGR (B, H, W, 3) to logits (B, A, C) and boxes (B, A, 4) float32 xyxy px."""
        picture = (*self._plan.input_hw, 3)
        if images.shape[1:] != picture or images.dtype != torch.uint8:
            raise ValueError(f"{tuple(images.shape)} {images.dtype}: give (B, {picture}) uint8")
        images = images.contiguous()
        count = len(images)
        logits = torch.empty(count, self._plan.sizes.cells, self._plan.sizes.classes)
        boxes = torch.empty(count, self._plan.sizes.cells, 4)
        failed = self._kernels.infer(
            self._net, images.data_ptr(), count, logits.data_ptr(), boxes.data_ptr(),
            torch.get_num_threads(),
        )  # fmt: skip
        if failed:
            raise MemoryError(f"no room for {self._plan.sizes.space} bytes of maps, or no thread")
        return logits, boxes
