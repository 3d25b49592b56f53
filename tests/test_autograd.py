"""The engine: what PyTorch users expect of backward, and what students rely on when they write a Function."""

from __future__ import annotations

import gc
import threading
import weakref

import numpy as np
import pytest

import minicnn as mc
from minicnn import functional as F
from minicnn import optim
from minicnn.autograd import grad_enabled


def leaf(values, dtype="float64"):
    return mc.tensor(values, dtype=dtype, requires_grad=True)


def test_chain_of_50000_operations():
    """The walk is iterative: memory limits the depth, not Python's recursion limit, also when the graph is dropped."""
    x = leaf(1.0)
    y = x
    for _ in range(50_000):
        y = y * 1.0
    y.backward()
    assert x.grad == 1.0
    z = x
    for _ in range(50_000):
        z = z + 1.0
    del z  # never walked: freeing it must not overflow the stack either
    gc.collect()


def test_gradients_accumulate_over_uses_and_over_backwards():
    """d(x*x + 3x)/dx = 2x + 3, and a second backward adds to .grad."""
    x = leaf([1.0, -2.0])
    for k in (1, 2):
        (x * x + 3 * x).sum().backward()
        np.testing.assert_allclose(x.grad, k * (2 * x.data + 3))


def test_diamond_reuses_no_borrowed_buffer():
    """Two branches that hand the same gradient array on must not add into each other's array."""
    x = leaf(np.ones(3))
    y = x + 0.0
    z = y + y  # Add hands the very same array to both inputs
    (z + y).sum().backward()
    np.testing.assert_array_equal(x.grad, 3 * np.ones(3))


def test_upstream_gradient_is_borrowed_not_changed():
    """backward(grad) neither changes the caller's array nor keeps it as somebody's .grad."""
    x, upstream = leaf(np.ones(3)), np.array([1.0, 2.0, 3.0])
    (x + x * 0.0).backward(upstream)
    x.grad += 100
    np.testing.assert_array_equal(upstream, [1, 2, 3])


def test_leaf_gradient_is_not_an_alias_of_saved_data():
    """A Function that returns a saved or input array as gradient: changing .grad must not change that array."""

    class ReturnsItsInput(mc.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x / 2

        @staticmethod
        def backward(ctx, grad):
            return ctx.saved[0]

    x = leaf(np.ones(3))
    ReturnsItsInput.apply(x).sum().backward()
    x.grad[:] = 7
    np.testing.assert_array_equal(x.data, np.ones(3))


def test_graph_is_freed_after_use_and_kept_on_request():
    """Saved arrays die with the first backward; retain_graph=True keeps them and gives the same gradient again."""
    x = leaf(np.ones(3))
    y = (x * x).sum()
    y.backward(retain_graph=True)
    first = x.grad.copy()
    y.backward()
    np.testing.assert_array_equal(x.grad, 2 * first)
    with pytest.raises(mc.GraphError, match="retain_graph=True"):
        y.backward()


def test_graph_holds_what_a_backward_needs_and_nothing_else():
    """What was saved goes back as soon as backward has passed, though the loss is held; what was not, at once."""
    x = leaf(np.ones(3))
    doubled = x * 2  # x + x would do: no backward asks for the result
    squared = doubled * doubled  # saves `doubled`
    loss = squared.sum()
    saved, unsaved = weakref.ref(doubled.data), weakref.ref(squared.data)
    del doubled, squared
    assert saved() is not None and unsaved() is None
    loss.backward()
    assert saved() is None
    np.testing.assert_array_equal(x.grad, 8)


def test_gradient_is_no_alias_of_what_a_function_keeps_on_ctx():
    """A leaf's gradient is the user's to change; an array that a forward hung on ctx must not change with it."""

    class Keeps(mc.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.ones = np.ones_like(x)
            return x.copy()

        @staticmethod
        def backward(ctx, grad):
            return ctx.ones

    x = leaf(np.ones(3))
    y = Keeps.apply(x).sum()
    y.backward(retain_graph=True)
    x.grad[:] = 7
    x.grad = None
    y.backward()
    np.testing.assert_array_equal(x.grad, 1)


def test_no_grad_nests_decorates_and_is_per_thread():
    """No graph inside; the outer state comes back; other threads are not affected."""
    x = leaf(1.0)

    @mc.no_grad()
    def inference():
        return x * 2

    assert not inference().requires_grad
    with mc.no_grad():
        with mc.no_grad():
            pass
        assert not (x * 2).requires_grad
        results = []
        thread = threading.Thread(target=lambda: results.append((x * 2).requires_grad))
        thread.start()
        thread.join()
        assert results == [True]
    assert (x * 2).requires_grad


def test_detach_stops_the_gradient():
    x = leaf(2.0)
    (x * x.detach()).backward()
    assert x.grad == 2.0  # d(x * constant 2)/dx, not 2x = 4


def test_non_leaf_gradients_are_passed_on_unless_retained():
    x = leaf([1.0, 2.0])
    y = x * 3
    (y * y).sum().backward()
    assert y.grad is None
    y = (x * 3).retain_grad()
    (y * y).sum().backward()
    np.testing.assert_array_equal(y.grad, 2 * y.data)


def test_a_students_function_is_unbroadcast_by_the_engine():
    """A backward may return the gradient in the broadcast shape; the engine sums it to the input's."""

    class Scale(mc.Function):
        @staticmethod
        def forward(ctx, x, factor):
            ctx.save_for_backward(x, factor)
            return x * factor

        @staticmethod
        def backward(ctx, grad):
            x, factor = ctx.saved_tensors
            return grad * factor, grad * x

    x, factor = leaf(np.arange(6.0).reshape(2, 3)), leaf([[2.0], [3.0]])
    Scale.apply(x, factor).sum().backward()
    np.testing.assert_array_equal(factor.grad, [[3.0], [12.0]])
    assert mc.gradcheck(Scale.apply, [x, factor])


def test_needs_input_grad_tells_what_can_be_skipped():
    seen = []

    class Spy(mc.Function):
        @staticmethod
        def forward(ctx, a, b):
            seen.append(ctx.needs_input_grad)
            return a + b

        @staticmethod
        def backward(ctx, grad):
            return grad, None

    a, b = leaf(1.0), mc.tensor(1.0, dtype="float64")
    Spy.apply(a, b).backward()
    with mc.no_grad():
        Spy.apply(a, b)
    assert seen == [(True, False), (False, False)]
    assert a.grad == 1 and b.grad is None


def test_replace_runs_a_model_on_the_students_op():
    """The student's class is called with options in normal form, and everything is as before afterwards."""
    calls = []

    class MyMaxPool2d(mc.Function):
        @staticmethod
        def forward(ctx, x, kernel_size, stride):
            calls.append((kernel_size, stride))
            k = kernel_size[0]
            n, c, h, w = x.shape
            windows = x.reshape(n, c, h // k, k, w // k, k).transpose(0, 1, 2, 4, 3, 5)
            windows = windows.reshape(n, c, h // k, w // k, k * k)
            ctx.shape, ctx.winner = windows.shape, windows.argmax(-1)
            return windows.max(-1)

        @staticmethod
        def backward(ctx, grad):
            n, c, oh, ow, kk = ctx.shape
            k = int(kk**0.5)
            d = np.zeros(ctx.shape, grad.dtype)
            np.put_along_axis(d, ctx.winner[..., None], grad[..., None], axis=-1)
            return d.reshape(n, c, oh, ow, k, k).transpose(0, 1, 2, 4, 3, 5).reshape(n, c, oh * k, ow * k)

    x = leaf(np.random.default_rng(0).standard_normal((2, 3, 4, 4)))
    expected = F.max_pool2d(x, 2)
    expected.sum().backward()
    expected_grad, x.grad = x.grad, None
    with mc.replace("max_pool2d", MyMaxPool2d):
        y = F.max_pool2d(x, 2)
    assert calls == [((2, 2), (2, 2))]
    y.sum().backward()
    np.testing.assert_array_equal(y.data, expected.data)
    np.testing.assert_array_equal(x.grad, expected_grad)
    F.max_pool2d(x, 2)
    assert len(calls) == 1


def test_backward_from_a_leaf_itself():
    x = leaf([1.0, 2.0])
    upstream = np.array([3.0, 4.0])
    x.backward(upstream)
    x.grad[0] = 9
    np.testing.assert_array_equal(upstream, [3, 4])


def test_inputs_are_never_modified(rng):
    """No operation, forward or backward, writes into the arrays it was given."""
    x = rng.standard_normal((2, 4, 6, 6))
    w, v = rng.standard_normal((4, 4, 3, 3)), rng.uniform(1, 2, 4)
    before = [a.copy() for a in (x, w, v)]
    tx, tw, tv = (mc.Tensor(a, requires_grad=True) for a in (x, w, v))
    y = F.batch_norm(F.relu(F.conv2d(tx, tw, tv, padding=1)), None, None, tv, tv, training=True)
    y = F.local_response_norm(F.dropout(F.max_pool2d(y, 2)))
    (F.log_softmax(y.flatten(1)) ** 2).sum().backward()
    for a, b in zip((x, w, v), before):
        np.testing.assert_array_equal(a, b)


def test_no_grad_as_a_decorator_in_two_threads():
    """The decorator's one object serves both threads; neither may leave the other's gradients switched off."""
    inside, first_entered, second_done = threading.Event(), threading.Event(), threading.Event()

    @mc.no_grad()
    def first():
        first_entered.set()
        assert second_done.wait(5)

    @mc.no_grad()
    def second():
        assert first_entered.wait(5)

    def run_second():
        second()
        assert grad_enabled()
        second_done.set()
        inside.set()

    thread = threading.Thread(target=run_second)
    thread.start()
    first()
    thread.join()
    assert inside.is_set() and grad_enabled()


def test_two_leaves_never_share_one_gradient_array():
    """A backward that returns one array for both inputs: changing a.grad must not change b.grad."""

    class TwiceTheSum(mc.Function):
        @staticmethod
        def forward(ctx, a, b):
            return 2 * (a + b)

        @staticmethod
        def backward(ctx, grad):
            d = 2 * grad
            return d, d

    a, b = leaf([1.0]), leaf([1.0])
    TwiceTheSum.apply(a, b).backward()
    a.grad[:] = 9
    assert b.grad[0] == 2


def test_the_first_training_loop_that_students_write():
    """w -= lr * w.grad under no_grad changes the leaf itself, as in PyTorch; outside it is an error."""
    w = leaf([1.0, 2.0])
    same = w
    (w * w).sum().backward()
    with mc.no_grad():
        w -= 0.1 * w.grad
    assert w is same and w.requires_grad
    np.testing.assert_allclose(w.data, [0.8, 1.6])
    with pytest.raises(mc.GraphError, match="no_grad"):
        w *= 2
    y = w * 3  # a result is rebound: what a graph saved must not change
    before = y
    y += 1
    assert y is not before and before.tolist() == pytest.approx([2.4, 4.8])


def test_gradients_of_scalars_are_arrays():
    """NumPy turns 0-d sums into scalars; .grad must stay an array that can be changed in place, in every room."""
    w = leaf(2.0)
    for _ in range(2):
        (w * w + w).backward()
    assert isinstance(w.grad, np.ndarray) and w.grad == 10
    w.grad[...] = 0
    optim.SGD([w], 0.1).step()
    with mc.use_room("plain"):
        F.relu6(F.relu(w)).backward()
    assert w.grad == 1


def test_a_tensor_as_an_option_is_refused():
    """It would get no gradient, in silence."""

    class Scale(mc.Function):
        @staticmethod
        def forward(ctx, x, factor=None):
            return x * factor

    with pytest.raises(mc.ArgumentError, match="factor is a tensor.*by position"):
        Scale.apply(leaf(1.0), factor=leaf(2.0))


def test_enable_grad_inside_no_grad():
    x = leaf(1.0)
    with mc.no_grad():
        with mc.enable_grad():
            assert (x * 2).requires_grad
        assert not (x * 2).requires_grad
        assert mc.gradcheck(lambda x: x * 3, [x])  # gradcheck switches gradients on for itself
