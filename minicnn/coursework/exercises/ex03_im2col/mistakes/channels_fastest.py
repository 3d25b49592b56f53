# mistake: the numbers of a patch are in the order row, column, channel
# loses: order, convolution
# says: wrong order
# variants: circular
"""Exercise 3: im2col."""

import numpy as np

EXERCISE = "ex03_im2col"
VARIANT = "circular"


def im2col(x, kernel, stride, padding):
    """The matrix of all patches of x (N, C, H, W); task.md says how it is laid out.

    kernel (KH, KW); stride (SH, SW); padding (PH, PW): so many rows above and below, so many columns left and right.
    """
    (kh, kw), (sh, sw), (ph, pw) = kernel, stride, padding
    mode = "wrap" if VARIANT == "circular" else "constant"
    x = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)), mode=mode)
    n, c, h, w = x.shape
    oh, ow = (h - kh) // sh + 1, (w - kw) // sw + 1
    patches = np.zeros((n, oh, ow, c, kh, kw))
    for p in range(kh):
        for q in range(kw):
            seen = x[:, :, p : p + sh * (oh - 1) + 1 : sh, q : q + sw * (ow - 1) + 1 : sw]  # (N, C, OH, OW)
            patches[..., p, q] = seen.transpose(0, 2, 3, 1)
    patches = patches.transpose(0, 1, 2, 4, 5, 3)  # (N, OH, OW, KH, KW, C)
    matrix = patches.reshape(n * oh * ow, c * kh * kw)
    return matrix.T if VARIANT == "columns" else matrix


def col2im(matrix, shape, kernel, stride, padding):
    """Images of shape (N, C, H, W): every pixel is the sum of the entries of the matrix that im2col copied from it."""
    (n, c, h, w), (kh, kw), (sh, sw), (ph, pw) = shape, kernel, stride, padding
    oh, ow = (h + 2 * ph - kh) // sh + 1, (w + 2 * pw - kw) // sw + 1
    matrix = matrix.T if VARIANT == "columns" else matrix
    if VARIANT == "rows":
        patches = matrix.reshape(n, oh, ow, kh, kw, c).transpose(0, 1, 2, 5, 3, 4)
    else:
        patches = matrix.reshape(n, oh, ow, c, kh, kw)
    images = np.zeros((n, c, h + 2 * ph, w + 2 * pw))
    for p in range(kh):
        for q in range(kw):
            seen = images[:, :, p : p + sh * (oh - 1) + 1 : sh, q : q + sw * (ow - 1) + 1 : sw]  # a view
            seen += patches[..., p, q].transpose(0, 3, 1, 2)
    if VARIANT == "circular":  # what stands in the padding belongs to the other side
        tall, whole = np.zeros((n, c, h, w + 2 * pw)), np.zeros(shape)
        for i in range(h + 2 * ph):
            tall[:, :, (i - ph) % h] += images[:, :, i]
        for j in range(w + 2 * pw):
            whole[..., (j - pw) % w] += tall[..., j]
        return whole
    return images[:, :, ph : ph + h, pw : pw + w]


def conv(x, w, b, stride, padding):
    """y (N, K, OH, OW) for x (N, C, H, W), w (K, C, KH, KW) and b (K,): im2col and one product of two matrices."""
    k, kernel = w.shape[0], w.shape[2:]
    matrix = im2col(x, kernel, stride, padding)
    oh, ow = ((x.shape[2 + d] + 2 * padding[d] - kernel[d]) // stride[d] + 1 for d in range(2))
    w = w.transpose(0, 2, 3, 1) if VARIANT == "rows" else w
    if VARIANT == "columns":
        y = w.reshape(k, -1) @ matrix + b[:, None]  # (K, N OH OW)
        return y.reshape(k, len(x), oh, ow).transpose(1, 0, 2, 3)
    y = matrix @ w.reshape(k, -1).T + b  # (N OH OW, K)
    return y.reshape(len(x), oh, ow, k).transpose(0, 3, 1, 2)
