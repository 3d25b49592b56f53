"""What the cpu room promises beyond agreeing with plain on ordinary numbers: NaN, sums, threads, wrong input."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("numba")

from minicnn import kernels  # noqa: E402

KERNELS, STATISTIC = kernels.KERNELS, kernels.layout.STATISTIC
DEPTHWISE = ["conv2d depthwise", "conv2d_input_grad depthwise", "conv2d_weight_grad depthwise"]


def normal(*shape, dtype=np.float64, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def examples(dtype=np.float64, size=6, c=4, n=2):
    """name -> one ordinary call of every kernel."""
    x, g = normal(n, c, size, size, dtype=dtype), normal(n, c, size, size, dtype=dtype, seed=1)
    pooled = normal(n, c, size // 2, size // 2, dtype=dtype, seed=2)
    weight, bias = normal(c, c, 3, 3, dtype=dtype, seed=3), normal(c, dtype=dtype, seed=4)
    conv, pool = ((1, 1), (1, 1, 1, 1), (1, 1)), ((2, 2), (2, 2), (0, 0, 0, 0))
    out = (size // 2, size // 2)
    index = KERNELS["max_pool2d"].function("plain")(x, *pool, (1, 1), out)[1]
    mean, var = x.mean((0, 2, 3), dtype=np.float64), x.var((0, 2, 3), dtype=np.float64)
    logits, labels = normal(5, 7, dtype=dtype), np.arange(5)
    return {
        "conv2d": (x, weight, bias, *conv, 1),
        "conv2d_input_grad": (g, weight, (size, size), *conv, 1),
        "conv2d_weight_grad": (g, x, (3, 3), *conv, 1),
        "im2col": (x, (3, 3), *conv),
        "col2im": (normal(n * size * size, 9 * c, dtype=dtype), x.shape, (3, 3), *conv),
        "matmul": (x[0], g[0], False, True),
        "max_pool2d": (x, *pool, (1, 1), out),
        "max_pool2d_backward": (pooled, index, (size, size), *pool, (1, 1)),
        "avg_pool2d": (x, *pool, out, True),
        "avg_pool2d_backward": (pooled, (size, size), *pool, True),
        "adaptive_avg_pool2d": (x, (4, 1)),
        "adaptive_avg_pool2d_backward": (pooled, (size, size)),
        "channel_sum": (x,),
        "channel_stats": (x,),
        "batch_norm": (x, mean, var, bias, bias, 1e-5),
        "batch_norm_backward": (g, x, mean, var, bias, 1e-5, True),
        "batch_norm_relu": (x, mean, var, bias, bias, g, 1e-5, 6.0),
        "batch_norm_relu_backward": (g, x, mean, var, bias, bias, 1e-5, True, 6.0),
        "local_response_norm": (x, 3, 0.1, 0.75, 2.0),
        "local_response_norm_backward": (g, x, 3, 0.1, 0.75, 2.0),
        "relu": (x,),
        "relu_backward": (g, x),
        "relu6": (x,),
        "relu6_backward": (g, x),
        "leaky_relu": (x, 0.1),
        "leaky_relu_backward": (g, x, 0.1),
        "softmax_cross_entropy": (logits, labels, 0.1),
        "softmax_cross_entropy_backward": (logits[:, 0].copy(), np.abs(logits), labels, 0.1),
        "dropout": (x, 0.5, 1, 2),
        "sgd_update": (x, g, normal(*x.shape, dtype=dtype, seed=5), 0.1, 0.9, 0.01, True),
        "adam_update": (x, g, g.copy(), np.abs(x), 0.1, 0.9, 0.99, 1e-8, 0.01, 3, False),
        "rmsprop_update": (x, g, 1 + g * g, g / 2, g.copy(), 0.1, 0.9, 1e-3, 0.01, 0.9, True),
    }


def run(name, room, args):
    """Results and in-place changes of one call on copies of ``args``."""
    used = [np.copy(a) if isinstance(a, np.ndarray) else a for a in args]
    with kernels.use_room(room), np.errstate(all="ignore"):
        out = KERNELS[name](*used)
    out = out if isinstance(out, tuple) else (out,)
    return [a for a in (*out, *used) if isinstance(a, np.ndarray)]


def depthwise(args):
    """The same convolution call with one filter per channel (multiplier 1)."""
    first, second, *rest = args
    weights = second[:, :1].copy() if second.shape[2:] == (3, 3) else second
    return first, weights, *rest[:-1], first.shape[1]


def test_every_kernel_has_an_example():
    """The tests below walk ``examples``; a kernel that is missing there would not be tested."""
    assert examples().keys() == KERNELS.keys()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", [*KERNELS, *DEPTHWISE])
def test_nan_and_infinity_spread_as_in_plain(name, value):
    """fastmath must not assume them away, and zeros of a padding must not meet them where plain has no product."""
    name, _, variant = name.partition(" ")
    args = examples()[name]
    args = depthwise(args) if variant else args
    for position, array in enumerate(args):
        if isinstance(array, np.ndarray) and array.dtype.kind == "f":
            poisoned = array.copy()
            poisoned.flat[[0, array.size // 2]] = value
            changed = (*args[:position], poisoned, *args[position + 1 :])
            for got, want in zip(run(name, "cpu", changed), run(name, "plain", changed), strict=True):
                np.testing.assert_allclose(got, want, rtol=1e-10, atol=1e-10, err_msg=f"{name}, argument {position}")


def test_float32_sums_keep_their_digits():
    """Summed in float32 channels-last, 200,000 values near 100 lose digits; a variance was once 8.7 % off."""
    x = np.random.default_rng(0).uniform(100, 101, (64, 56, 56, 64)).astype(np.float32).transpose(0, 3, 1, 2)
    exact = x.astype(np.float64)
    with kernels.use_room("cpu"):
        mean, var = kernels.channel_stats(x)
        total = kernels.channel_sum(x)
        ones = np.ones(64, np.float32)
        _, dweight, dbias = kernels.batch_norm_backward(x, x, mean, var, ones, 1e-5, True)
    np.testing.assert_allclose(total, exact.sum((0, 2, 3)), rtol=1e-6)
    np.testing.assert_allclose(mean, exact.mean((0, 2, 3)), rtol=1e-6)
    np.testing.assert_allclose(var, exact.var((0, 2, 3)), rtol=1e-6)
    np.testing.assert_allclose(dbias, exact.sum((0, 2, 3)), rtol=1e-6)
    # sum of x * xhat = pixels * var / std, as the xhat sum to 0
    pixels = x.size / 64
    np.testing.assert_allclose(dweight, pixels * exact.var((0, 2, 3)) / np.sqrt(exact.var((0, 2, 3)) + 1e-5), rtol=1e-6)


@pytest.fixture
def threads_restored():
    before = kernels.get_num_threads()
    yield
    kernels.set_num_threads(before)


MATMULS = {  # large enough for several tasks in each of the ways to cut it
    "matmul by rows": (normal(1, 300, 40), normal(1, 40, 50), False, False),
    "matmul by columns": (normal(1, 3, 40), normal(1, 300, 40), False, True),
    "matmul by inner": (normal(1, 4, 400), normal(1, 400, 50), False, False),
}


@pytest.mark.parametrize("name", [*KERNELS, *MATMULS])
def test_results_do_not_depend_on_threads(name, threads_restored):
    """Work is cut by shapes and partial sums are added in a fixed order: a run repeats, bit by bit, on any machine."""
    import numba

    if numba.config.NUMBA_NUM_THREADS < 2:
        pytest.skip("Numba started with one thread")
    args = MATMULS.get(name) or examples(np.float32, size=20, c=8, n=3)[name]
    name = name.partition(" ")[0]
    kernels.set_num_threads(1)
    one = run(name, "cpu", args)
    kernels.set_num_threads(2)
    for a, b in zip(one, run(name, "cpu", args), strict=True):
        assert np.array_equal(a, b)


def test_too_many_threads_is_an_error_that_names_the_remedy(threads_restored):
    """Numba fixes its maximum at the start; the message must say how to raise it."""
    import numba

    most = numba.config.NUMBA_NUM_THREADS
    with pytest.raises(ValueError, match=rf"{most}.*NUMBA_NUM_THREADS"):
        kernels.set_num_threads(most + 1)


def test_threads_hold_in_other_python_threads(threads_restored):
    """Numba keeps the number per Python thread; ours must hold for a data loader's or a notebook's thread, too."""
    import threading

    import numba

    kernels.set_num_threads(1)
    seen = []

    def work():
        run("relu", "cpu", examples()["relu"])
        seen.append(numba.get_num_threads())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [1]


def resized(array, axis):
    """The array with one slice less along an axis, and with one more."""
    return np.delete(array, -1, axis), np.concatenate([array, array.take([-1], axis)], axis)


@pytest.mark.parametrize("name", [name for name, kernel in KERNELS.items() if len(kernel.roles) > 1])
def test_wrong_shapes_raise(name):
    """Compiled code does not check its indices: a shape that does not fit must never reach it.

    Each array in turn gets one slice less or more along each axis. Some calls still make sense (a smaller batch, a
    wider kernel): the plain room says so, and then the answers must be equal.
    """
    args = examples()[name]
    refused = set()
    for position in range(len(KERNELS[name].roles)):
        for axis in range(args[position].ndim):
            for array in resized(args[position], axis):
                changed = (*args[:position], array, *args[position + 1 :])
                try:
                    results = run(name, "cpu", changed)
                except (ValueError, IndexError):  # IndexError: a label that is no class
                    refused.add(position)
                    continue
                for got, want in zip(results, run(name, "plain", changed), strict=True):
                    np.testing.assert_allclose(got, want, rtol=1e-10, atol=1e-10, err_msg=f"{position}, {array.shape}")
    assert refused == set(range(len(KERNELS[name].roles)))


@pytest.mark.parametrize("room", ["plain", "cpu"])
@pytest.mark.parametrize("name", [name for name, kernel in KERNELS.items() if len(kernel.roles) > 1])
def test_wrong_types_raise(name, room):
    """Float32 with float64 and a missing array are refused in both rooms; only statistics may differ in dtype."""
    kernel, args = KERNELS[name], examples(np.float32)[name]
    floating = [i for i in range(len(kernel.roles)) if args[i].dtype == np.float32]
    for position, role in enumerate(kernel.roles):
        if position in floating and len(floating) > 1:
            changed = (*args[:position], args[position].astype(np.float64), *args[position + 1 :])
            with kernels.use_room(room), pytest.raises(TypeError, match="float64"):
                kernel(*changed)
        elif position not in floating:
            assert role == STATISTIC or args[position].dtype.kind == "i"
        if position not in kernel.optional:
            with kernels.use_room(room), pytest.raises(TypeError, match="NoneType"):
                kernel(*args[:position], None, *args[position + 1 :])


@pytest.mark.parametrize("grad_size, fits", [(3, True), (4, True), (2, False), (5, False)])
@pytest.mark.parametrize("name", ["max_pool2d_backward", "avg_pool2d_backward"])
def test_pooling_gradient_has_a_pooled_size(name, grad_size, fits):
    """7 pixels under 2x2 windows are 3, or 4 with ceil_mode; any other gradient belongs to another image."""
    grad = normal(1, 1, grad_size, grad_size)
    index = (np.zeros(grad.shape, np.int32),) if name.startswith("max") else ()
    options = ((1, 1),) if name.startswith("max") else (True,)
    args = (grad, *index, (7, 7), (2, 2), (2, 2), (0, 0, 0, 0), *options)
    if fits:
        np.testing.assert_allclose(run(name, "cpu", args)[0], run(name, "plain", args)[0])
    else:
        with pytest.raises(ValueError, match="pooled"):
            run(name, "cpu", args)


@pytest.mark.parametrize("label", [7, -8])
def test_labels_out_of_range_raise(label):
    """A label beyond the classes would read, and in the backward write, beyond the row."""
    labels, p = np.array([0, label]), np.full((2, 7), 1 / 7)
    for name, args in (
        ("softmax_cross_entropy", (p, labels, 0.0)),
        ("softmax_cross_entropy_backward", (np.ones(2), p, labels, 0.0)),
    ):
        with kernels.use_room("cpu"), pytest.raises(IndexError, match="7 classes"):
            KERNELS[name](*args)


@pytest.mark.parametrize("fault", ["in the kernel", "before it"])
def test_a_failure_leaves_the_room_to_other_threads(fault, monkeypatch):
    """One launch at a time is a lock: whoever fails inside must let go of it, or the next thread waits forever."""
    import threading

    from minicnn.kernels import cpu

    if fault == "in the kernel":
        with kernels.use_room("cpu"), pytest.raises(IndexError):
            kernels.softmax_cross_entropy(np.zeros((2, 7)), np.array([0, 7]), 0.0)
    else:
        monkeypatch.setenv("MINICNN_KEEP_MB", "much")
        monkeypatch.setattr(cpu, "_prepared", False)
        with kernels.use_room("cpu"), pytest.raises(ValueError, match="MINICNN_KEEP_MB"):
            kernels.relu(np.zeros(2))
        monkeypatch.undo()
    done = []
    thread = threading.Thread(target=lambda: done.append(run("relu", "cpu", (np.array([-1.0, 2.0]),))), daemon=True)
    thread.start()
    thread.join(60)
    assert len(done) == 1
    assert cpu.jit.running is None
