"""Every operation: analytic gradients against numerical ones in float64, and values against NumPy."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

import minicnn as mc
from minicnn import functional as F
from minicnn.ops.registry import FUNCTIONS, apply_op

rng = np.random.default_rng(7)


def away_from_zero(*shape):
    """Values without kinks nearby: |x| in 0.2 to 1.2, signs at random."""
    return rng.uniform(0.2, 1.2, shape) * rng.choice([-1, 1], shape)


def distinct(*shape):
    """All values differ by at least 0.1, so that no maximum is a tie."""
    return rng.permutation(int(np.prod(shape))).reshape(shape) / 10.0


x34, y34, row, column = away_from_zero(3, 4), away_from_zero(3, 4), away_from_zero(4), away_from_zero(3, 1)
image = away_from_zero(2, 4, 5, 6)
positive = rng.uniform(0.5, 2.0, (3, 4))
labels = np.array([0, 3, 1])

# name of the Function: what to check, and on what
CASES = {
    "add": (lambda a, b: a + b, [x34, row]),
    "sub": (lambda a, b: a - b, [column, x34]),
    "mul": (lambda a, b: a * b, [x34, column]),
    "div": (lambda a, b: a / b, [x34, row]),
    "neg": (lambda x: -x, [x34]),
    "pow": (lambda a, b: a**b, [positive, y34]),
    "exp": (lambda x: x.exp(), [x34]),
    "log": (lambda x: x.log(), [positive]),
    "sqrt": (lambda x: x.sqrt(), [positive]),
    "abs": (lambda x: x.abs(), [x34]),
    "maximum": (F.maximum, [x34, y34]),
    "minimum": (F.minimum, [x34, row]),
    "clip": (lambda x: x.clip(-0.7, 0.7), [x34]),
    "sum": (lambda x: x.sum((0, 2), keepdims=True), [image]),
    "mean": (lambda x: x.mean(axis=(1, -1)), [image]),
    "max": (lambda x: x.max(axis=1), [distinct(3, 4)]),
    "min": (lambda x: x.min(axis=0), [distinct(3, 4)]),
    "reshape": (lambda x: x.reshape(4, -1), [x34]),
    "transpose": (lambda x: x.transpose(0, 2, 3, 1), [image]),
    "cat": (lambda a, b: mc.cat([a, b, a], axis=1), [x34, column]),
    "pad": (lambda x: F.pad(x, (1, 2, 0, 3), value=5.0), [image]),
    "clone": (lambda x: x.clone(), [x34]),
    "move": (lambda x: apply_op("move", x, device="cpu"), [x34]),
    "cast": (lambda x: x.to("float64"), [x34]),
    "channel_shuffle": (lambda x: F.channel_shuffle(x, 2), [image]),
    "getitem": (lambda x: x[np.array([0, 2, 0]), 1:], [x34]),
    "matmul": (lambda a, b: a @ b, [away_from_zero(2, 3, 4), away_from_zero(4, 2)]),
    "linear": (F.linear, [x34, away_from_zero(2, 4), away_from_zero(2)]),
    "relu": (F.relu, [x34]),
    "relu6": (lambda x: F.relu6(x * 6), [x34]),
    "leaky_relu": (lambda x: F.leaky_relu(x, 0.1), [x34]),
    "sigmoid": (F.sigmoid, [x34]),
    "tanh": (F.tanh, [x34]),
    "softmax": (lambda x: F.softmax(x, axis=0), [x34]),
    "log_softmax": (F.log_softmax, [x34]),
    "conv2d": (lambda x, w, b: F.conv2d(x, w, b, (2, 1), (1, 0, 2, 1), (1, 2), groups=2),
               [image, away_from_zero(6, 2, 3, 2), away_from_zero(6)]),
    "max_pool2d": (lambda x: F.max_pool2d(x, 3, 2, 1, ceil_mode=True), [distinct(2, 4, 5, 6)]),
    "avg_pool2d": (lambda x: F.avg_pool2d(x, 3, 2, 1, ceil_mode=True, count_include_pad=False), [image]),
    "adaptive_avg_pool2d": (lambda x: F.adaptive_avg_pool2d(x, (2, 4)), [image]),
    "batch_norm": (lambda x, w, b: F.batch_norm(x, None, None, w, b, training=True),
                   [image, away_from_zero(4), away_from_zero(4)]),
    "batch_norm_relu": (lambda x, w, b, r: F.batch_norm(x, None, None, w, b, True, relu=6, residual=r),
                        [image, away_from_zero(4), away_from_zero(4), away_from_zero(*image.shape)]),
    "local_response_norm": (lambda x: F.local_response_norm(x, 3, 0.5, 0.75, 2.0, average=False), [image]),
    "dropout": (lambda x: F.dropout(x, 0.4), [image]),
    "cross_entropy": (lambda z: F.cross_entropy(z, labels, label_smoothing=0.1), [x34]),
    "mse_loss": (F.mse_loss, [x34, y34]),
}  # fmt: skip


def test_every_registered_function_has_a_case():
    """A new operation cannot be added without a gradient check."""
    assert set(CASES) == set(FUNCTIONS)


@pytest.mark.parametrize("name", CASES)
def test_gradient(name):
    """Backward equals central differences in float64, in the room that the environment chose."""
    function, inputs = CASES[name]
    assert mc.gradcheck(function, inputs)


@pytest.mark.parametrize("name", ["conv2d", "max_pool2d", "batch_norm", "local_response_norm", "linear", "dropout"])
def test_gradient_in_the_plain_room(name):
    """The definitions students read are right in themselves, not only equal to the fast room."""
    function, inputs = CASES[name]
    with mc.use_room("plain"):
        assert mc.gradcheck(function, inputs)


@pytest.mark.parametrize("groups, weight", [(1, (3, 4, 1, 1)), (4, (8, 1, 3, 3)), (1, (5, 4, 3, 3)), (2, (4, 2, 2, 3))])
def test_gradient_of_each_convolution_path(groups, weight):
    """Pointwise, depthwise with multiplier, full and grouped convolutions take different paths in the CPU room."""
    arrays = [image, away_from_zero(*weight), away_from_zero(weight[0])]
    assert mc.gradcheck(lambda x, w, b: F.conv2d(x, w, b, groups=groups, padding="same"), arrays)


def test_batch_norm_in_evaluation_uses_constants():
    """With running statistics the gradient has no terms through mean and variance."""
    mean, var = rng.standard_normal(4), rng.uniform(0.5, 2, 4)
    arrays = [image, away_from_zero(4), away_from_zero(4)]
    assert mc.gradcheck(lambda x, w, b: F.batch_norm(x, mean, var, w, b), arrays)


def test_reductions_equal_numpy():
    x = mc.tensor(image)
    for axis in (None, 0, -1, (0, 2, 3), (1, -1)):
        for keepdims in (False, True):
            for name in ("sum", "mean", "var", "max", "min"):
                expected = getattr(image, name)(axis=axis, keepdims=keepdims)
                actual = getattr(x, name)(axis=axis, keepdims=keepdims)
                assert actual.shape == np.shape(expected)
                np.testing.assert_allclose(actual.data, expected, rtol=1e-12)


@pytest.mark.parametrize(
    "index",
    [
        1, -1, slice(None, None, 2), (slice(1, 2), 2), (Ellipsis, 0), (None, 1), (0, slice(None), [1, 3], [0, 2]),
        np.array([1, 0, 1]), (np.array([[0, 1], [1, 1]]), 2), image > 0,
        (slice(None), np.array([True, False, True, False])),
    ],
    ids=str,
)  # fmt: skip
def test_indexing_equals_numpy_and_its_gradient_counts(index):
    """Basic and advanced indexing; an element that is picked k times gets k gradients."""
    x = mc.tensor(image, requires_grad=True)
    y = x[index]
    np.testing.assert_array_equal(y.data, image[index])
    y.sum().backward()
    counts = np.zeros(image.shape)
    np.add.at(counts, index, 1)
    np.testing.assert_array_equal(x.grad, counts)


def test_reductions_of_integers_and_booleans():
    """(predicted == labels).mean() is an accuracy, .sum() a count; bytes do not wrap round; min of bytes is no -max."""
    right = mc.tensor(np.array([1, 2, 3])) == mc.tensor(np.array([1, 2, 0]))
    assert right.sum().item() == 2 and right.mean().item() == pytest.approx(2 / 3) and right.mean().dtype == np.float32
    bytes_ = mc.tensor(np.array([200, 200, 5], np.uint8))
    assert bytes_.sum().item() == 405 and bytes_.min().item() == 5 and bytes_.max().item() == 200
    assert right.min().item() is False


def test_python_numbers_take_the_tensors_dtype():
    """An index stays an index; a float beside integers gives float32; comparisons see the rounded number."""
    index = mc.tensor(np.array([0, 1]))
    assert (index + 1).dtype == np.int64 and (2 * index).dtype == np.int64 and (index * 0.5).dtype == np.float32
    assert (mc.tensor([0.1]) == 0.1).item() and (mc.tensor([0.1], dtype="float64") == 0.1).item()
    assert F.minimum(mc.tensor([1.0], dtype="float64"), 0.5).dtype == np.float64
    assert (index * mc.tensor([0.5, 0.5])).dtype == np.float32 and ((index > 0) * 2.0).tolist() == [0.0, 2.0]


def test_cast_carries_the_gradient_back_in_the_old_dtype():
    x = mc.tensor([1.0, 2.0], requires_grad=True)
    y = x.to("float64")
    (y * y).sum().backward()
    assert y.dtype == np.float64 and x.grad.dtype == np.float32 and x.grad.tolist() == [2.0, 4.0]


def test_one_matrix_for_a_whole_batch():
    """(B, M, K) @ (K, N) folds the batch into the rows: the matrix is not copied B times, its gradient is summed."""
    a, b = rng.standard_normal((3, 2, 4)), rng.standard_normal((4, 5))
    np.testing.assert_allclose((mc.tensor(a) @ mc.tensor(b)).data, a @ b)
    assert mc.gradcheck(lambda a, b: a @ b, [a, b])


def test_shapes_of_cat_stack_split():
    a, b = mc.tensor(np.zeros((2, 3))), mc.tensor(np.ones((2, 1)))
    assert mc.cat([a, b], axis=1).shape == (2, 4)
    assert mc.stack([a, a], axis=-1).shape == (2, 3, 2)
    assert [p.shape for p in mc.split(a, 2, axis=1)] == [(2, 2), (2, 1)]
    assert [p.shape for p in a.split([1, 2], axis=1)] == [(2, 1), (2, 2)]


def test_operations_keep_channels_last_memory():
    """Element-wise results of images stay channels-last, so that the layout adapter has nothing to copy."""

    def channels_side_by_side(array):
        return array.transpose(0, 2, 3, 1).flags.c_contiguous

    x = mc.tensor(rng.standard_normal((2, 4, 5, 6)), requires_grad=True)
    with mc.use_room("cpu"):
        y = F.conv2d(x, mc.tensor(rng.standard_normal((4, 4, 3, 3))), padding=1)
        results = [y, F.relu(y), y + y, y * 2, F.max_pool2d(y, 2), F.pad(y, (1, 1))]
        results += [mc.cat([y, y], axis=1), mc.cat([y, y]), F.channel_shuffle(y, 2), F.dropout(y)]
        y[:, :, ::2].sum().backward()
    assert all(channels_side_by_side(z.data) for z in results)
    assert channels_side_by_side(x.grad)


def test_float32_sums_are_right_channels_last():
    """Sums over 64x64x56x56 values near 100 are right to 1e-6, whatever the memory layout (float32 alone is not)."""
    x = np.random.default_rng(0).uniform(100, 101, (64, 56, 56, 64)).astype(np.float32).transpose(0, 3, 1, 2)
    exact_sum, exact_var = x.sum((0, 2, 3), dtype=np.float64), x.astype(np.float64).var((0, 2, 3), ddof=1)
    t = mc.Tensor(x)
    np.testing.assert_allclose(t.sum((0, 2, 3)).data, exact_sum, rtol=1e-6)
    np.testing.assert_allclose(t.mean().data, x.mean(dtype=np.float64), rtol=1e-6)
    ones = mc.tensor(np.ones((64, 1, 1), np.float32), requires_grad=True)
    (t * ones).backward(np.ones_like(x))
    np.testing.assert_allclose(ones.grad[:, 0, 0], exact_sum, rtol=1e-6)  # un-broadcasting is a sum too
    running_mean, running_var = np.zeros(64, np.float32), np.zeros(64, np.float32)
    F.batch_norm(t, running_mean, running_var, training=True, momentum=1.0)
    np.testing.assert_allclose(running_mean, exact_sum / (x.size / 64), rtol=1e-6)
    np.testing.assert_allclose(running_var, exact_var, rtol=1e-6)


def test_nan_and_infinity_pass_in_silence():
    """No NumPy warning escapes (pytest turns warnings into errors), forward or backward; values are IEEE's."""
    x = mc.tensor(np.array([np.inf, -np.inf, np.nan, 0.0]), requires_grad=True)
    y = mc.cat([x * 0, x.sum((0,), keepdims=True), x / x, x.log(), x.exp(), F.softmax(x), x.var((0,), keepdims=True)])
    y.sum().backward()
    np.testing.assert_array_equal((x * 0).data, [np.nan, np.nan, np.nan, 0])
    np.testing.assert_array_equal(x.exp().data, [np.inf, 0, np.nan, 1])


def test_maximum_hands_the_gradient_on_where_a_nan_was_chosen():
    """As in PyTorch: otherwise the parameter behind a NaN would look as if it had no part in it."""
    a = mc.tensor(np.array([np.nan, 2.0, 1.0]), requires_grad=True)
    b = mc.tensor(np.array([1.0, 2.0, 3.0]), requires_grad=True)
    F.maximum(a, b).sum().backward()
    np.testing.assert_array_equal(a.grad, [1, 0.5, 0])
    np.testing.assert_array_equal(b.grad, [1, 0.5, 1])


def test_pytorchs_keywords_are_understood():
    """dim and keepdim mean axis and keepdims, in functions and in methods."""
    x = mc.tensor(image)
    np.testing.assert_array_equal(x.sum(dim=1, keepdim=True).data, x.sum(axis=1, keepdims=True).data)
    np.testing.assert_array_equal(F.softmax(x, dim=2).data, F.softmax(x, axis=2).data)
    assert mc.cat([x, x], dim=1).shape == (2, 8, 5, 6) and mc.stack([x, x], dim=0).shape == (2, *x.shape)
    assert [p.shape[1] for p in x.split(3, dim=1)] == [3, 1] and x.argmax(dim=1).shape == (2, 5, 6)


def test_many_gradients_of_one_element_add_up():
    """Two million float32 gradients of 0.1 on one element: a float32 running sum would be off by 1.5 %."""
    w = mc.tensor([0.0], requires_grad=True)
    n = 2_000_000
    w[np.zeros(n, int)].backward(np.full(n, 0.1, np.float32))
    assert w.grad[0] == pytest.approx(200_000, rel=1e-6)


@pytest.mark.compiled
def test_a_linear_layer_copies_no_weight():
    """The weight of VGG's first linear layer has 400 MB: forward and backward allocate gradients, no second weight."""
    rng = np.random.default_rng(0)
    weight = mc.tensor(rng.standard_normal((2000, 1000)).astype(np.float32), requires_grad=True)
    x = mc.tensor(rng.standard_normal((2, 1000)).astype(np.float32), requires_grad=True)
    F.linear(x, weight).sum().backward()  # compiles
    tracemalloc.start()
    y = F.linear(x, weight).sum()
    forward = tracemalloc.get_traced_memory()[1]
    weight.grad = None
    tracemalloc.reset_peak()
    y.backward()
    backward = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert forward < weight.data.nbytes / 10 and backward < 1.5 * weight.data.nbytes


@pytest.mark.parametrize("option", ["kernel_size", "stride", "dilation"])
@pytest.mark.parametrize("good, bad", [(1, True), (1, 1.0), ((1, 1), (1, True)), ((1, 1), (1.0, 1)), (1, 0), (1, -1)])
def test_what_equals_a_good_option_may_still_be_a_bad_one(option, good, bad):
    """1 == True == 1.0, so whoever remembers what passed, or looks at ints first, must not let the others through."""
    x = mc.tensor(np.ones((1, 1, 4, 4), np.float32))
    assert F.max_pool2d(x, **{"kernel_size": 1, option: good}).shape == x.shape
    with pytest.raises(mc.ArgumentError, match=option):
        F.max_pool2d(x, **{"kernel_size": 1, option: bad})


def test_all_dtypes_that_meet_are_named():
    """Three dtypes at once: whoever reads the message sees all that must be converted."""
    x, weight, bias = (
        mc.tensor(np.ones(s), dtype=d) for s, d in (((2, 3), "float32"), ((4, 3), "float64"), (4, "float16"))
    )
    with pytest.raises(mc.DtypeError, match="float16 and float32 and float64"):
        apply_op("linear", x, weight, bias)
