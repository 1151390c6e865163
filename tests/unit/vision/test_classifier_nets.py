from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from vigil.errors import UnknownModel
from vigil.training.classify.initialise import initialise
from vigil.vision.nets import resnet, resnet9
from vigil.vision.nets.blocks import Bottleneck, ConvNorm, PyramidPool
from vigil.vision.nets.classifier import FAMILIES, Classifier, build_classifier
from vigil.vision.nets.ensemble import Ensemble
from vigil.vision.nets.googlenet import Inception, Widths
from vigil.vision.nets.lenet import LeNet5, ScaledTanh, Subsample, TableConv
from vigil.vision.nets.response_norm import ResponseNorm

CLASSES = 4


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def pictures(count: int, px: int) -> Tensor:
    generator = torch.Generator().manual_seed(3)
    return torch.randint(0, 256, (count, 3, px, px), dtype=torch.uint8, generator=generator)


def branch(channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels)
    )


def linear() -> nn.Sequential:
    return nn.Sequential(nn.Flatten(), nn.Linear(8, 3))


def own_logits(outputs: Tensor | tuple[Tensor, ...]) -> Tensor:
    return outputs[0] if isinstance(outputs, tuple) else outputs


@pytest.mark.parametrize("name", FAMILIES)
def test_every_net_overfits_32_pictures(name: str) -> None:
    """Noise with labels drawn by lot: nothing but remembering helps."""
    torch.manual_seed(1)
    side = max(FAMILIES[name].least_px, 20)
    net = build_classifier(name, classes=CLASSES, input_px=side, dropout=0.0).train()
    initialise(net, "xavier" if name == "lenet5" else "he")
    images, labels = pictures(32, side), torch.arange(32) % CLASSES
    optimiser = torch.optim.Adam(net.parameters(), lr=3e-3 if name == "lenet5" else 5e-4)
    for _ in range(80):
        outputs = net(images)
        if bool((own_logits(outputs).argmax(1) == labels).all()):
            return
        every = outputs if isinstance(outputs, tuple) else (outputs,)
        loss = torch.stack([nn.functional.cross_entropy(one, labels) for one in every]).sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    pytest.fail(f"{name} did not learn 32 pictures by heart in 80 steps")


@pytest.mark.parametrize("name", FAMILIES)
def test_a_net_takes_the_class_count_and_a_batch_of_one(name: str) -> None:
    net = build_classifier(name, classes=7, input_px=32).eval()
    with torch.inference_mode():
        chances = net.probabilities(pictures(1, 32))
    assert chances.shape == (1, 7)
    assert float(chances.sum()) == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (ScaledTanh(), (2, 3, 4, 4)),
        (Subsample(3), (2, 3, 4, 4)),
        (ConvNorm(2, 3), (2, 2, 4, 4)),
        (Bottleneck(4), (2, 4, 3, 3)),
        (PyramidPool(4), (1, 4, 6, 6)),
        (Inception(3, Widths(2, 2, 2, 2, 2, 2), norm=True), (2, 3, 4, 4)),
        (resnet.Residual(branch(3), nn.Identity()), (2, 3, 4, 4)),
        (resnet9.Residual(2), (2, 2, 4, 4)),
        (Ensemble([linear(), linear()]), (2, 2, 2, 2)),
        (ResponseNorm(alpha=0.3, k=2.0), (2, 7, 3, 3)),
        (TableConv(((0, 1), (1, 2), (0, 1, 2)), 3), (1, 3, 7, 7)),
    ],
)
def test_gradients_of_our_own_layers_are_the_numerical_ones(
    layer: nn.Module, shape: tuple[int, ...]
) -> None:
    """ReLUs and maxima have a slope everywhere but where two values are equal: drawn numbers hit none."""
    torch.manual_seed(5)
    layer = layer.double().train()
    for norm in layer.modules():
        if isinstance(norm, nn.BatchNorm2d):
            nn.init.uniform_(norm.weight, 0.5, 1.5)  # a residual branch would begin at zero
    names = [name for name, _ in layer.named_parameters()]
    x = torch.randn(shape, dtype=torch.float64, requires_grad=True)

    def call(x: Tensor, *values: Tensor) -> Tensor:
        out: Tensor = torch.func.functional_call(layer, dict(zip(names, values, strict=True)), x)
        return out

    assert torch.autograd.gradcheck(call, (x, *layer.parameters()))


def test_our_response_norm_is_that_of_torch() -> None:
    x = 40.0 * torch.randn(2, 9, 4, 4)
    theirs = nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2.0)
    torch.testing.assert_close(ResponseNorm(alpha=1e-4, k=2.0)(x), theirs(x))


def test_lenet_has_the_60000_weights_of_its_paper() -> None:
    net = LeNet5(classes=10, channels=1)
    output_layer = 84 * 10 + 10
    assert sum(p.numel() for p in net.parameters()) - output_layer == 60_000


def test_a_map_of_the_table_sees_only_its_inputs() -> None:
    conv = TableConv(((0, 2),), 3)
    x = torch.zeros(1, 3, 5, 5)
    x[0, 1] = 100.0
    assert float(conv(x).detach().abs().sum()) == 0.0


def test_auxiliary_heads_speak_only_in_training() -> None:
    net = build_classifier("googlenet", classes=3, input_px=32)
    assert len(net.train()(pictures(2, 32))) == 3
    assert isinstance(net.eval()(pictures(2, 32)), Tensor)


def test_a_pyramid_answers_for_a_picture_and_its_mirror_image_alike() -> None:
    net = build_classifier("pyramidnet-n", classes=3, input_px=64).eval()
    images = pictures(2, 64)
    images[:, :, :, :32] = 0
    with torch.inference_mode():
        torch.testing.assert_close(net(images), net(images.flip(3)))
        assert net(images).shape == (2, 3)
        one_by_one = torch.cat([net(images[:1]), net(images[1:])])
    torch.testing.assert_close(net(images), one_by_one)
    with pytest.raises(UnknownModel, match="take 96"):
        build_classifier("pyramidnet-n", classes=3, input_px=100)


def test_temperature_softens_and_keeps_the_order() -> None:
    net = build_classifier("cropnet", classes=3, input_px=32).eval()
    images = pictures(4, 32)
    sharp = net.probabilities(images)
    net.temperature.fill_(4.0)
    soft = net.probabilities(images)
    assert torch.equal(sharp.argsort(1), soft.argsort(1))
    assert bool((soft.max(1).values < sharp.max(1).values).all())


def test_the_temperature_is_saved_with_the_weights() -> None:
    assert "temperature" in Classifier(nn.Identity()).state_dict()


def test_an_unknown_net_is_refused_with_the_names_that_there_are() -> None:
    with pytest.raises(UnknownModel, match="resnet50"):
        build_classifier("resnet51", classes=2)
    with pytest.raises(UnknownModel, match="at least 32 px"):
        build_classifier("vgg16", classes=2, input_px=16)
