"""The whole framework on another device: the same numbers as on the CPU, nothing moved that was not asked to move.

Parametrised over "sim", the GPU's kernels on the CPU, and "cuda", which is skipped where there is no GPU.
"""

from __future__ import annotations

import copy

import numpy as np
import pytest
from mistakes import complaint

import minicnn as mc
from minicnn import functional as F
from minicnn import nn, optim
from minicnn.device import device_of, to_numpy

IMAGES = np.random.default_rng(0).standard_normal((2, 3, 8, 8)).astype(np.float32)


def there(device: str, array, **options) -> mc.Tensor:
    return mc.tensor(array, **options).to(device)


def test_there_and_back(device):
    """Values, dtype and channels-last memory survive; .data is the device's own array."""
    x = mc.tensor(IMAGES, requires_grad=True)
    y = x.to(device)
    assert (y.device, y.shape, y.dtype) == (device, x.shape, x.dtype) and device_of(y.data) == device
    assert y.to(device) is y and f"device={device!r}" in repr(y)
    np.testing.assert_array_equal(y.to("cpu").numpy(), IMAGES)
    channels_last = nn.Parameter(IMAGES).to(device).data.transpose(0, 2, 3, 1)
    assert channels_last.flags.c_contiguous
    y.sum().backward()
    assert isinstance(x.grad, np.ndarray) and (x.grad == 1).all()
    assert mc.tensor([1, 2], device=device).device == device and mc.tensor(y, device="cpu").device == "cpu"
    assert mc.tensor(3.5, device=device).item() == 3.5 and mc.tensor([True, False], device=device).tolist()[0] is True


def test_sums_keep_channels_side_by_side(device):
    """A residual connection, forward and backward, must not cost the next kernel a copy."""
    x = nn.Parameter(IMAGES).to(device).detach().requires_grad_()
    y = F.relu(x) + F.relu6(x)
    y.sum().backward()
    for array in (y.data, x.grad):  # both uses of x add up in it
        assert array.transpose(0, 2, 3, 1).flags.c_contiguous


def test_nothing_becomes_numpy_by_itself(device):
    x = there(device, IMAGES)
    for convert in (np.asarray, lambda t: t.numpy(), np.sum):
        complaint(lambda convert=convert: convert(x) if convert is not np.sum else np.asarray(x), mc.DeviceError,
                  (device, ".to('cpu')"))  # fmt: skip


def test_mixed_devices(device):
    """One sentence that names both devices and shapes; single numbers come along."""
    x, here = there(device, IMAGES), mc.tensor(IMAGES)
    complaint(lambda: x + here, mc.DeviceError, ("Add", "on cpu", f"on {device}", "(2, 3, 8, 8)"))
    complaint(lambda: nn.Conv2d(3, 4, 3)(x), mc.DeviceError, ("Conv2d", f"on {device}", "on cpu"))
    complaint(lambda: F.cross_entropy(x.flatten(1), [0, 500]), mc.LabelError, ("500",))
    complaint(lambda: x > here, mc.DeviceError, ("(2, 3, 8, 8) on cpu", f"on {device}"))
    complaint(lambda: nn.Conv2d(3, 4, 3).to(device)(here), mc.DeviceError, (f"x.to({device!r})",))
    complaint(lambda: x.detach().requires_grad_().sum(0).backward(np.ones((3, 8, 8))), mc.DeviceError,
              ("a gradient on cpu", f"a tensor on {device}"))  # fmt: skip
    complaint(lambda: mc.gradcheck(F.relu, [x.to("float64").detach().requires_grad_()]), mc.errors.ArgumentError,
              ("x.to('cpu')",))  # fmt: skip
    assert bool(x.abs().sum() > 0) and not bool(0 > x.abs().max())
    for y in (x * 2, 2 / (x + 10), x - mc.tensor(1.0), mc.tensor(1.0) - x, x > 0, x == mc.tensor(0.0), -x, abs(x)):
        assert y.device == device


OPS = {
    "arithmetic": lambda x: (x * x - x / (x * x + 1) + 2 * x).sum(),
    "broadcast": lambda x: (x * x.mean((0, 2, 3), keepdims=True) + x[:, :1]).sum(),
    "powers": lambda x: ((x.abs() + 1) ** 1.5).sqrt().log().exp().sum(),
    "extremes": lambda x: (x.max(axis=1) - x.min(axis=(2, 3)).sum() + F.maximum(x, x * 0.5)[:, 0]).sum(),
    "clip": lambda x: x.clip(-0.5, 0.5).sum() + x.var(axis=0).sum(),
    "activations": lambda x: (F.relu(x) + F.relu6(x * 4) + F.leaky_relu(x) + F.sigmoid(x) + F.tanh(x)).sum(),
    "softmax": lambda x: (F.softmax(x, 1) * F.log_softmax(x, 1)).sum(),
    "shapes": lambda x: (x.reshape(2, -1).T.flatten().unsqueeze(0).squeeze() * 2).sum(),
    "joins": lambda x: (mc.cat([x, x * 2], axis=1) * mc.stack([x, x], axis=1).reshape(2, 6, 8, 8)).sum(),
    "split": lambda x: sum((part * (i + 1)).sum() for i, part in enumerate(mc.split(x, [1, 2], axis=1))),
    "pad": lambda x: (F.pad(x, (1, 2, 0, 3), value=2.0) ** 2).sum(),
    "shuffle": lambda x: (F.channel_shuffle(F.pad(x, (0, 0, 0, 0, 0, 1)), 2) ** 3).sum(),
    "index": lambda x: (x[:, 1:, ::2] ** 2).sum() + (x[[0, 1, 0], [2, 2, 2]] ** 2).sum() + x[x > 1].sum(),
    "matmul": lambda x: (x.reshape(6, 64) @ x.reshape(6, 64).T).sum() + (x @ x).sum(),
    "linear": lambda x: F.linear(x.flatten(1), x.reshape(3, 128)[:, :64].reshape(1, 192), x[0, 0, 0, :1]).sum(),
    "conv": lambda x: (F.conv2d(x, x[:, :, :3, :3], x[0, 0, 0, :2], 2, 1) ** 2).sum(),
    "pools": lambda x: (F.max_pool2d(x, 3, 2, 1) + F.avg_pool2d(x, 3, 2, 1) + F.adaptive_avg_pool2d(x, 4)).sum(),
    "lrn": lambda x: (F.local_response_norm(x, 3, 0.5) ** 2).sum(),
    "batch_norm": lambda x: (F.batch_norm(x, None, None, training=True) ** 3).sum(),
    "dropout": lambda x: F.dropout(x, 0.5).sum() + F.dropout(x, 0.3).sum(),
    "losses": lambda x: F.cross_entropy(x.flatten(1), [3, 100], 0.1) + F.mse_loss(x, x * 0.5),
    "cast": lambda x: (x.to("float64") * 2).to("float32").sum() + x.clone().sum(),
}


@pytest.mark.parametrize("name", OPS)
def test_operations(device, name):
    """Value and gradient of every operation are the CPU's."""
    results = []
    for where in ("cpu", device):
        mc.manual_seed(3)
        x = there(where, IMAGES).requires_grad_() if where == "cpu" else there(where, IMAGES).detach().requires_grad_()
        y = OPS[name](x)
        y.backward()
        assert y.device == where and device_of(x.grad) == where
        results.append((y.item(), to_numpy(x.grad)))
    (value, grad), (other_value, other_grad) = results
    np.testing.assert_allclose(other_value, value, rtol=1e-4)
    np.testing.assert_allclose(other_grad, grad, rtol=1e-4, atol=1e-4 * np.abs(grad).max())


OPTIMIZERS = {
    "sgd": lambda p: optim.SGD(p, 0.1, momentum=0.9, weight_decay=1e-3, nesterov=True),
    "adam": lambda p: optim.Adam(p, 0.01, weight_decay=1e-3),
    "adamw": lambda p: optim.AdamW(p, 0.01),
    "rmsprop": lambda p: optim.RMSprop(p, 0.01, momentum=0.9, centered=True),
}


def network() -> nn.Module:
    mc.manual_seed(1)
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(0.3),
        nn.LocalResponseNorm(3), nn.Conv2d(6, 8, 3, groups=2), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4),
    )  # fmt: skip


def steps(model: nn.Module, optimizer, count: int) -> list[float]:
    losses = []
    for i in range(count):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(mc.tensor(IMAGES * (i + 1)).to(model.device)), [i % 4, 3])
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_training_steps(device, name):
    """Losses, weights, running statistics: the CPU's to rounding; and moving in the middle changes nothing."""
    trained = []
    for first, second in (("cpu", "cpu"), (device, device), ("cpu", device), (device, "cpu")):
        model = network().to(first)
        mc.manual_seed(2)
        optimizer = OPTIMIZERS[name](model.parameters())
        losses = steps(model, optimizer, 2)
        losses += steps(model.to(second), optimizer, 2)
        assert {device_of(a) for a in model.state_dict().values()} == {second}
        trained.append((losses, {k: to_numpy(v) for k, v in model.state_dict().items()}))
    for losses, state in trained[1:]:
        np.testing.assert_allclose(losses, trained[0][0], rtol=1e-4)
        for key, array in state.items():
            np.testing.assert_allclose(array, trained[0][1][key], rtol=1e-3, atol=1e-5, err_msg=key)


def test_weights_cross_devices(device, tmp_path):
    """Saved from one device, loaded on another; a model of a device takes NumPy's arrays, and the other way round."""
    model, other = network().to(device), network()
    nn.init.normal_(model[0].weight)
    mc.save(model, tmp_path / "w.safetensors")
    other.load_state_dict(mc.load(tmp_path / "w.safetensors"))
    np.testing.assert_array_equal(other[0].weight.numpy(), model[0].weight.cpu().numpy())
    nn.init.ones_(other[0].weight)
    model.load_state_dict(other.state_dict())
    assert model.device == device and (model[0].weight.cpu().numpy() == 1).all()
    again = copy.deepcopy(model)
    assert again.device == device and (again[0].weight.cpu().numpy() == 1).all()


def test_half_a_run_on_each_device(device, tmp_path):
    """A checkpoint written on one device is gone on from on another, with the running means of the weights."""
    from minicnn import data

    images = np.random.default_rng(1).standard_normal((12, 3, 8, 8)).astype(np.float32)
    loader = data.Loader(data.ArrayDataset(images, np.arange(12) % 4, range(4)), 4)
    rows = []
    for first, second in (("cpu", "cpu"), (device, "cpu"), ("cpu", device)):
        folder = tmp_path / f"{first}-{second}"
        for epochs, where in ((1, first), (2, second)):
            model = network().to(where)
            mc.manual_seed(5)
            trainer = mc.Trainer(
                model, optim.SGD(model.parameters(), 0.05, momentum=0.9), loader, loader, out=folder, progress=False,
                ema=0.9, clip_norm=1.0,
            )  # fmt: skip
            if epochs == 2:
                trainer.resume()
            result = trainer.fit(1)
        rows.append([row["train_loss"] for row in result])
    np.testing.assert_allclose(rows[1:], [rows[0]] * 2, rtol=1e-4)


def test_a_students_function_on_a_device(device):
    """Plain arrays of the device come in; a NumPy array coming out of it is an error that says where it should be."""

    class Square(mc.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx, grad):
            return 2 * ctx.saved[0] * grad

    class Lost(Square):
        @staticmethod
        def backward(ctx, grad):
            return np.ones(grad.shape, np.float32)

    x = there(device, IMAGES).detach().requires_grad_()
    Square.apply(x).sum().backward()
    np.testing.assert_allclose(to_numpy(x.grad), 2 * IMAGES)
    complaint(lambda: Lost.apply(x).sum().backward(), mc.DeviceError, ("Lost.backward", "on cpu", device))


def test_summary_and_anomaly_on_a_device(device):
    """A table needs shapes only; the first NaN is found and named."""
    model = network().to(device)
    assert mc.summary(model, (3, 8, 8), show=False).total_params == network().num_parameters()
    x = there(device, IMAGES)
    with mc.detect_anomaly():
        complaint(lambda: (x * 0).log(), mc.AnomalyError, ("Log made -inf at index (0, 0, 0, 0)",))
