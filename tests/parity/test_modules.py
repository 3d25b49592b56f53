"""The same networks in minicnn.nn and torch.nn, with the same weights."""

from __future__ import annotations

import numpy as np
import pytest

import minicnn as mc
from minicnn import functional as F
from minicnn import models, nn

from .helpers import assert_close

torch = pytest.importorskip("torch")
tn, TF = torch.nn, torch.nn.functional


def numpy_state(module) -> dict:
    """A PyTorch module's parameters and buffers as arrays."""
    return {name: value.detach().numpy().copy() for name, value in module.state_dict().items()}


def assert_same_training(ours, theirs, batches, classes: int, label_smoothing: float = 0.0) -> None:
    """Same keys; then, from the same weights: logits, loss, every gradient, buffers after each batch, evaluation."""
    dtype = batches[0].dtype
    assert set(ours.state_dict()) == set(theirs.state_dict())
    ours.to(dtype), theirs.to(torch.float64 if dtype == np.float64 else torch.float32)
    ours.load_state_dict(numpy_state(theirs))
    rng = np.random.default_rng(3)
    for batch in batches:
        labels = rng.integers(0, classes, len(batch))
        ours.zero_grad(), theirs.zero_grad()
        x, t = mc.tensor(batch, requires_grad=True), torch.tensor(batch, requires_grad=True)
        y, u = ours(x), theirs(t)
        loss = nn.CrossEntropyLoss(label_smoothing)(y, labels)
        their_loss = tn.CrossEntropyLoss(label_smoothing=label_smoothing)(u, torch.tensor(labels))
        loss.backward(), their_loss.backward()
        assert_close(y.data, u, "logits")
        assert_close(loss.data, their_loss, "loss")
        assert_close(x.grad, t.grad, "gradient of the images")
        gradients = dict(ours.named_parameters())
        for name, parameter in theirs.named_parameters():
            assert_close(gradients[name].grad, parameter.grad, f"gradient of {name}")
        for name, buffer in ours.named_buffers():
            assert_close(buffer.data, theirs.state_dict()[name], name)
    ours.eval(), theirs.eval()
    assert_close(ours(mc.tensor(batches[0])).data, theirs(torch.tensor(batches[0])), "logits in evaluation")


def small_network(nn, flatten):
    """Most layers. What batch-norm would cancel is left out: its gradient would be rounding error in both libraries."""
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2, stride=1),
        nn.Sequential(nn.Conv2d(8, 12, 3, padding=2, dilation=2, groups=2), nn.ReLU6()),
        nn.BatchNorm2d(12, momentum=None), nn.Tanh(), nn.Conv2d(12, 12, (1, 3), groups=12),
        nn.LocalResponseNorm(3, alpha=0.5, k=2.0), nn.Sigmoid(), nn.Conv2d(12, 9, 1, bias=False),
        nn.BatchNorm2d(9, affine=False), nn.LeakyReLU(0.1), nn.BatchNorm2d(9, track_running_stats=False, eps=1e-3),
        nn.AvgPool2d(3, stride=2, padding=1, ceil_mode=True, count_include_pad=False), nn.Dropout(0.0),
        nn.AdaptiveAvgPool2d((2, 1)), flatten, nn.Linear(18, 10), nn.Tanh(), nn.Linear(10, 5, bias=False),
    )  # fmt: skip


@pytest.mark.parametrize("room", ["cpu", "plain"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_every_layer_in_one_network(dtype, room, rng):
    """Protects defaults, state_dict keys, gradients and running statistics (momentum 0.1, None) over three batches."""
    torch.manual_seed(0)
    batches = [(rng.standard_normal((6, 3, 16, 15)) * scale + 1).astype(dtype) for scale in (1, 2, 0.5)]
    with mc.use_room(room):
        ours, theirs = small_network(nn, nn.Flatten()), small_network(tn, tn.Flatten())
        assert_same_training(ours, theirs, batches, 5, label_smoothing=0.1)


class TorchBlock(tn.Module):
    """He et al. 2016, figure 2, with batch-norm."""

    def __init__(self, before, filters, stride, shortcut):
        super().__init__()
        self.conv1, self.bn1 = tn.Conv2d(before, filters, 3, stride, 1, bias=False), tn.BatchNorm2d(filters)
        self.conv2, self.bn2 = tn.Conv2d(filters, filters, 3, 1, 1, bias=False), tn.BatchNorm2d(filters)
        self.shortcut, self.new = shortcut, filters - before
        if self.new and shortcut == "B":
            self.downsample = tn.Sequential(tn.Conv2d(before, filters, 1, stride, bias=False), tn.BatchNorm2d(filters))

    def forward(self, x):
        y = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        if self.new and self.shortcut == "A":
            x = TF.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 0, self.new))
        elif self.new and self.shortcut == "B":
            x = self.downsample(x)
        return torch.relu(y if self.shortcut is None else y + x)


class TorchResNet20(tn.Module):
    """He et al. 2016, section 4.2, n = 3; ``shortcut=None`` is plain-20."""

    def __init__(self, shortcut):
        super().__init__()
        self.conv1, self.bn1 = tn.Conv2d(3, 16, 3, 1, 1, bias=False), tn.BatchNorm2d(16)
        for i, (before, filters) in enumerate(((16, 16), (16, 32), (32, 64)), start=1):
            first = TorchBlock(before, filters, 1 if i == 1 else 2, shortcut)
            rest = [TorchBlock(filters, filters, 1, shortcut) for _ in range(2)]
            setattr(self, f"layer{i}", tn.Sequential(first, *rest))
        self.fc = tn.Linear(64, 10)

    def forward(self, x):
        x = torch.relu(self.bn1(self.conv1(x)))
        return self.fc(self.layer3(self.layer2(self.layer1(x))).mean((2, 3)))


@pytest.mark.parametrize("shortcut", ["A", "B", None])
def test_resnet20(shortcut, rng):
    """Protects ResNet-20 with both shortcuts, and plain-20: two training batches and an evaluation, to 1e-10."""
    torch.manual_seed(0)
    ours = models.get_model("resnet20", shortcut=shortcut) if shortcut else models.get_model("plain20")
    assert_same_training(ours, TorchResNet20(shortcut), [rng.standard_normal((4, 3, 32, 32)) for _ in range(2)], 10)


def test_resnet20_in_single_precision(rng):
    """Protects float32 inference, twenty layers deep, after running statistics of another batch were loaded."""
    torch.manual_seed(0)
    theirs = TorchResNet20("A")
    batch = rng.standard_normal((8, 3, 32, 32)).astype(np.float32)
    for _ in range(3):
        theirs(torch.tensor(batch))
    ours = models.get_model("resnet20")
    ours.load_state_dict(numpy_state(theirs))
    assert_close(ours.eval()(mc.tensor(batch)).data, theirs.eval()(torch.tensor(batch)), "logits")


class TorchLeNet5(tn.Module):
    def __init__(self):
        super().__init__()
        self.c1, self.c3, self.c5 = tn.Conv2d(1, 6, 5), tn.Conv2d(6, 16, 5), tn.Conv2d(16, 120, 5)
        self.f6, self.output = tn.Linear(120, 84), tn.Linear(84, 10)

    def forward(self, x):
        x = TF.avg_pool2d(torch.tanh(self.c1(x)), 2)
        x = torch.tanh(self.c5(TF.avg_pool2d(torch.tanh(self.c3(x)), 2))).flatten(1)
        return self.output(torch.tanh(self.f6(x)))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_lenet5(dtype, rng):
    """Protects the textbooks' LeNet-5, logits to gradients, in both precisions."""
    torch.manual_seed(0)
    ours = models.get_model("lenet5", variant="modern")
    assert_same_training(ours, TorchLeNet5(), [rng.standard_normal((5, 1, 32, 32)).astype(dtype)], 10)


def test_weights_go_back_to_pytorch(rng):
    """Protects the way back: minicnn's state_dict loads into PyTorch by key and dtype, and gives the same logits."""
    ours, theirs = small_network(nn, nn.Flatten()), small_network(tn, tn.Flatten())
    theirs.load_state_dict({name: torch.tensor(np.ascontiguousarray(a)) for name, a in ours.state_dict().items()})
    assert {n: str(a.dtype) for n, a in ours.state_dict().items()} == {
        n: str(t.dtype).removeprefix("torch.") for n, t in theirs.state_dict().items()
    }
    x = rng.standard_normal((2, 3, 16, 15)).astype(np.float32)
    assert_close(ours.eval()(mc.tensor(x)).data, theirs.eval()(torch.tensor(x)), "logits")


def containers(nn):
    """Modules in modules, in a list, and with parameters or buffers left out."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            inner = nn.Sequential(nn.BatchNorm2d(4), nn.ReLU())
            self.stem = nn.Sequential(nn.Conv2d(3, 4, 3), inner, nn.Conv2d(4, 4, 1, bias=False))
            self.blocks = nn.ModuleList([nn.Linear(4, 4), nn.Sequential(nn.Linear(4, 4), nn.Identity())])
            self.plain_norm = nn.BatchNorm2d(4, affine=False)
            self.no_stats = nn.BatchNorm2d(4, track_running_stats=False)

    return Net()


def test_names_in_containers():
    """Protects loading torchvision's files by key: names of nested and listed modules, in PyTorch's order."""
    ours, theirs = containers(nn), containers(tn)
    assert [n for n, _ in ours.named_parameters()] == [n for n, _ in theirs.named_parameters()]
    assert [n for n, _ in ours.named_modules()] == [n for n, _ in theirs.named_modules()]
    assert [n for n, _ in ours.named_buffers()] == [n for n, _ in theirs.named_buffers()]
    assert {n: a.shape for n, a in ours.state_dict().items()} == {n: a.shape for n, a in numpy_state(theirs).items()}


def shared(nn):
    """One layer under two names."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(4, 4)
            self.again = nn.Sequential(nn.ReLU(), self.first)

    return Net()


def test_names_of_a_shared_layer():
    """Protects files of models with a shared layer: its weights stand there under both names, yet are one parameter."""
    ours, theirs = shared(nn), shared(tn)
    assert [n for n, _ in ours.named_parameters()] == [n for n, _ in theirs.named_parameters()]
    assert set(ours.state_dict()) == set(theirs.state_dict())


def test_loss_modules(rng):
    """Protects MSELoss and CrossEntropyLoss with their defaults, and Softmax as a module."""
    x, target, labels = rng.standard_normal((4, 5)), rng.standard_normal((4, 5)), np.array([0, 4, 2, 2])
    y, t = mc.tensor(x), torch.tensor(x)
    assert_close(nn.MSELoss()(y, mc.tensor(target)).data, tn.MSELoss()(t, torch.tensor(target)))
    assert_close(nn.CrossEntropyLoss()(y, labels).data, tn.CrossEntropyLoss()(t, torch.tensor(labels)))
    assert_close(nn.Softmax(0)(y).data, tn.Softmax(0)(t))


def test_frozen_parameters_have_no_gradient(rng):
    """Protects fine-tuning: what is frozen gets no gradient, and the rest gets the same as in PyTorch."""
    torch.manual_seed(0)
    ours, theirs = small_network(nn, nn.Flatten()).to("float64"), small_network(tn, tn.Flatten()).double()
    ours.load_state_dict(numpy_state(theirs))
    for net in (ours, theirs):
        for name, parameter in net.named_parameters():
            parameter.requires_grad_(name.startswith(("18", "20")))
    x = rng.standard_normal((3, 3, 16, 15))
    F.cross_entropy(ours(mc.tensor(x)), np.array([0, 1, 2])).backward()
    TF.cross_entropy(theirs(torch.tensor(x)), torch.tensor([0, 1, 2])).backward()
    gradients = {name: p.grad for name, p in ours.named_parameters()}
    assert [n for n, g in gradients.items() if g is not None] == ["18.weight", "18.bias", "20.weight"]
    for name, parameter in theirs.named_parameters():
        assert (gradients[name] is None) == (parameter.grad is None), name
        if parameter.grad is not None:
            assert_close(gradients[name], parameter.grad, name)
