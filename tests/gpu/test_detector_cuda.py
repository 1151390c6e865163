import numpy as np
import pytest
import torch

from vigil.errors import UnknownModel
from vigil.vision.detector import Detector, Precision, probe
from vigil.vision.manifest import load_manifest

pytestmark = pytest.mark.gpu


@pytest.fixture(autouse=True)
def _cuda() -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")


@pytest.mark.parametrize("precision", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("name", ["vigil-det-n", "vigil-det-s"])
def test_cuda_agrees_with_the_cpu(name: str, precision: Precision) -> None:
    try:
        manifest = load_manifest(name)
    except UnknownModel:
        pytest.skip(f"{name} is not installed")
    rng = np.random.default_rng(1)
    coarse = rng.integers(0, 256, (4, 20, 32, 3), dtype=np.uint8)
    size = manifest.input_hw
    batch = coarse.repeat(size[0] // 20 + 1, 1).repeat(size[1] // 32 + 1, 2)
    batch = np.ascontiguousarray(batch[:, : size[0], : size[1]])
    agreement = probe(
        Detector(manifest, device="cuda", precision=precision), Detector(manifest), batch
    )
    assert agreement.good("float16"), agreement
