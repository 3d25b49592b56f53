"""The contracts of the operations, one test each, named after the contract."""

from __future__ import annotations

import numpy as np
import pytest

import minicnn as mc
from minicnn import functional as F
from minicnn import nn

ROOMS = ("plain", "cpu")


@pytest.fixture(params=ROOMS)
def room(request):
    with mc.use_room(request.param):
        yield request.param


def test_max_pooling_pads_with_minus_infinity(room):
    """An image of -1 stays -1 at its border: padding with zeros would win."""
    y = F.max_pool2d(np.full((1, 1, 4, 4), -1.0), 3, 2, 1)
    np.testing.assert_array_equal(y.data, np.full((1, 1, 2, 2), -1.0))


def test_first_maximum_wins_ties(room):
    """Of equal maxima the first, row by row, receives the whole gradient."""
    x = mc.tensor(np.zeros((1, 1, 2, 2)), requires_grad=True)
    F.max_pool2d(x, 2).backward(np.ones((1, 1, 1, 1)))
    np.testing.assert_array_equal(x.grad[0, 0], [[1, 0], [0, 0]])


def test_image_of_minus_infinity_pools_to_it_and_takes_the_first_pixel(room):
    """-inf equals the padding's value, yet the gradient must fall on a real pixel."""
    x = mc.tensor(np.full((1, 1, 2, 2), -np.inf), requires_grad=True)
    y = F.max_pool2d(x, 2, padding=1)
    assert np.all(np.isneginf(y.data))
    y.backward(np.ones(y.shape))
    np.testing.assert_array_equal(x.grad[0, 0], np.ones((2, 2)))


def test_max_pooling_passes_nan_on(room):
    x = np.zeros((1, 1, 2, 4))
    x[0, 0, 1, 1] = np.nan
    y = F.max_pool2d(x, 2).data[0, 0, 0]
    assert np.isnan(y[0]) and y[1] == 0


def test_relu_passes_nan_on(room):
    """A NaN must not be hidden as 0: it is how a student finds out that training has gone wrong."""
    for function in (F.relu, F.relu6, F.leaky_relu):
        assert np.isnan(function(np.array([np.nan, 1.0])).data[0])


@pytest.mark.parametrize(
    "size, expected_floor, expected_ceil", [(112, 55, 56), (56, 27, 28), (28, 13, 14), (14, 6, 7), (13, 6, 6)]
)
def test_ceil_mode_gives_googlenets_sizes(room, size, expected_floor, expected_ceil):
    """3x3 stride 2 on even sizes: GoogLeNet's 112-56-28-14-7 needs rounding up, PyTorch's default rounds down."""
    x = np.zeros((1, 1, size, size), np.float32)
    assert F.max_pool2d(x, 3, 2).shape[2] == expected_floor
    assert F.max_pool2d(x, 3, 2, ceil_mode=True).shape[2] == expected_ceil


def test_ceil_mode_never_starts_a_window_in_the_padding(room):
    """Size 2, kernel 2, stride 3, padding 1: (2 + 2 - 2) / 3 rounded up gives a second window, without any pixel."""
    assert F.max_pool2d(np.zeros((1, 1, 2, 2)), 2, 3, 1, ceil_mode=True).shape == (1, 1, 1, 1)


def test_average_pooling_counts_padding_or_not(room):
    """Ones, padded: the corner window holds 4 pixels of 9."""
    x = np.ones((1, 1, 3, 3))
    assert F.avg_pool2d(x, 3, 3, 1).data[0, 0, 0, 0] == pytest.approx(4 / 9)
    assert F.avg_pool2d(x, 3, 3, 1, count_include_pad=False).data[0, 0, 0, 0] == 1


def test_average_pooling_never_counts_what_ceil_mode_adds(room):
    """5 pixels, kernel 2, stride 2, rounded up: the last window holds one pixel, and its mean is that pixel."""
    x = np.arange(5.0).reshape(1, 1, 1, 5)
    np.testing.assert_array_equal(F.avg_pool2d(x, (1, 2), (1, 2), ceil_mode=True).data[0, 0, 0], [0.5, 2.5, 4.0])


def test_padding_of_four_sides(room):
    """(top, bottom, left, right), as TensorFlow's "same" needs it for stride 2."""
    x = np.ones((1, 1, 2, 2))
    y = F.conv2d(x, np.ones((1, 1, 1, 1)), padding=(1, 0, 0, 2)).data[0, 0]
    np.testing.assert_array_equal(y, [[0, 0, 0, 0], [1, 1, 0, 0], [1, 1, 0, 0]])
    assert F.max_pool2d(x, 3, 1, padding=(1, 0, 0, 1)).shape == (1, 1, 1, 1)


def test_padding_same_keeps_the_size(room):
    """Even kernels put the larger half at the end, as PyTorch does."""
    x = np.arange(4.0).reshape(1, 1, 1, 4)
    y = F.conv2d(x, np.array([1.0, 10.0]).reshape(1, 1, 1, 2), padding="same").data[0, 0, 0]
    np.testing.assert_array_equal(y, [10, 21, 32, 3])


def test_three_by_three_stride_two_on_an_even_input(room):
    """The last row and column of the padded image go unused; forward and gradient agree about that."""
    x = mc.tensor(np.ones((1, 1, 4, 4)), requires_grad=True)
    y = F.conv2d(x, np.ones((1, 1, 3, 3)), stride=2, padding=1)
    np.testing.assert_array_equal(y.data[0, 0], [[4, 6], [6, 9]])
    y.backward(np.ones(y.shape))
    np.testing.assert_array_equal(x.grad[0, 0], [[1, 2, 1, 1], [2, 4, 2, 2], [1, 2, 1, 1], [1, 2, 1, 1]])


def test_cross_entropy_subtracts_each_rows_own_maximum(room):
    """A row of huge logits must not make exp overflow, nor a row of tiny ones underflow to log 0."""
    logits = np.array([[1e4, 0.0, -1e4], [-1e4, -1e4, -1e4 - 1]])
    loss = F.cross_entropy(mc.tensor(logits, dtype="float32"), [0, 2])
    assert loss.item() == pytest.approx((0 + np.log(2 * np.e + 1)) / 2, rel=1e-6)


def test_batch_norm_normalises_with_the_biased_and_records_the_unbiased_variance(room):
    x = np.array([0.0, 2.0]).reshape(2, 1, 1, 1)  # biased variance 1, unbiased 2
    mean, var = np.zeros(1), np.ones(1)
    y = F.batch_norm(x, mean, var, training=True, momentum=0.5, eps=0.0)
    np.testing.assert_allclose(y.data.ravel(), [-1, 1])
    np.testing.assert_allclose([mean[0], var[0]], [0.5, 1.5])  # halfway to mean 1, variance 2


def test_batch_norm_in_evaluation_leaves_the_statistics_alone(room):
    layer = nn.BatchNorm2d(3).eval()
    before = {k: v.copy() for k, v in layer.state_dict().items()}
    layer(np.random.default_rng(0).standard_normal((4, 3, 2, 2)).astype(np.float32))
    for k, v in layer.state_dict().items():
        np.testing.assert_array_equal(v, before[k])


def test_lrn_of_the_paper_sums_and_pytorchs_averages(room):
    """average=False is Krizhevsky's formula with k=2; average=True divides alpha by the size."""
    x = np.arange(1.0, 7.0).reshape(1, 6, 1, 1)
    y = F.local_response_norm(x, 5, alpha=0.1, beta=0.75, k=2.0, average=False).data.ravel()
    for c in range(6):
        window = x.ravel()[max(0, c - 2) : c + 3]
        assert y[c] == pytest.approx(x.ravel()[c] / (2 + 0.1 * np.sum(window**2)) ** 0.75)
    z = F.local_response_norm(x, 5, alpha=0.5, beta=0.75, k=2.0).data.ravel()
    np.testing.assert_allclose(z, y)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 6, 9])
def test_lrn_windows_of_odd_and_even_size(room, size):
    """The window reaches from c - size//2 to c + (size-1)//2; also where it is wider than all channels."""
    x = np.random.default_rng(0).standard_normal((2, 5, 2, 2))
    y = F.local_response_norm(x, size, alpha=1.0, beta=0.5, k=1.0, average=False).data
    for c in range(5):
        window = x[:, max(0, c - size // 2) : c + (size - 1) // 2 + 1]
        np.testing.assert_allclose(y[:, c], x[:, c] / np.sqrt(1 + (window**2).sum(1)))


def test_dropout_draws_the_same_bits_in_every_room_and_on_resume():
    """The bits are a function of (seed, offset, position): equal rooms, and equal after setting the state again."""
    x = np.ones((2, 3, 4, 5), np.float32)
    results = []
    for room in ROOMS:
        mc.manual_seed(3)
        with mc.use_room(room):
            F.dropout(x)  # the first call's bits are gone
            state = mc.random.state.get()
            results.append(F.dropout(x).data)
            mc.random.state.set(state)
            results.append(F.dropout(x).data)
    for other in results[1:]:
        np.testing.assert_array_equal(results[0], other)


def test_dropout_scales_what_it_keeps(room):
    """A tenth is dropped, the rest divided by 0.9: the mean stays; p=0 and evaluation change nothing; p=1 drops all."""
    x = np.ones(100_000, np.float32)
    y = F.dropout(x, 0.1).data
    assert set(np.unique(y)) == {0.0, np.float32(1 / 0.9)} and abs((y == 0).mean() - 0.1) < 0.005
    assert F.dropout(x, 0.0).data is x and F.dropout(x, 0.5, training=False).data is x
    assert not F.dropout(x, 1.0).data.any()


def test_dropouts_backward_uses_the_forwards_bits(room):
    x = mc.tensor(np.ones((4, 4, 3, 3), np.float32), requires_grad=True)
    y = F.dropout(x)
    y.backward(np.ones_like(y.data))
    np.testing.assert_array_equal(x.grad, y.data)


def test_channel_shuffle_transposes_groups():
    """Channels (0 1 2 | 3 4 5) of two groups become 0 3 1 4 2 5."""
    x = np.arange(6.0).reshape(1, 6, 1, 1)
    assert F.channel_shuffle(x, 2).data.ravel().tolist() == [0, 3, 1, 4, 2, 5]


def test_groups_split_channels_like_two_towers(room):
    """groups=2 equals two convolutions on the halves, side by side (AlexNet's two GPUs)."""
    r = np.random.default_rng(0)
    x, w = r.standard_normal((2, 4, 5, 5)), r.standard_normal((6, 2, 3, 3))
    y = F.conv2d(x, w, groups=2).data
    halves = [F.conv2d(x[:, 2 * g : 2 * g + 2], w[3 * g : 3 * g + 3]).data for g in (0, 1)]
    np.testing.assert_allclose(y, np.concatenate(halves, axis=1), rtol=1e-12)


def test_flatten_follows_the_logical_order_whatever_the_memory(room):
    """Channels-last memory must not leak into flatten: weights of torchvision's first linear layers depend on it."""
    x = np.arange(24.0).reshape(1, 2, 3, 4)
    last = np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    np.testing.assert_array_equal(mc.Tensor(last).flatten(1).data[0], np.arange(24.0))


def test_empty_batches_pass_through(room):
    """A batch of no images gives no outputs, of the right shape, forward and backward."""
    x = mc.tensor(np.zeros((0, 4, 6, 6), np.float32), requires_grad=True)
    w = mc.tensor(np.ones((8, 4, 3, 3), np.float32), requires_grad=True)
    v = mc.tensor(np.ones((2, 72), np.float32), requires_grad=True)
    y = F.linear(F.max_pool2d(F.relu(F.conv2d(x, w, padding=1)), 2).flatten(1), v)
    assert y.shape == (0, 2)
    y.sum().backward()
    assert v.grad.shape == v.shape and not v.grad.any()
    assert x.grad.shape == x.shape and not w.grad.any()
