"""Exercise 14: a network that does not learn."""

import numpy as np

from minicnn import functional as F
from minicnn import nn, random

EXERCISE = "ex14_debug_training"
VARIANT = "nesterov"


def prepare(images):
    """Pixels 0 ... 255 (uint8) as float32 between -1 and 1."""
    # as it came:
    #     return ((images - 128) / 128).astype(np.float32)
    ### BEGIN SOLUTION
    return (images.astype(np.float32) - 128) / 128
    ### END SOLUTION


class Network(nn.Module):
    """Images (N, 1, 8, 8) -> logits (N, 4)."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 3, padding=1)
        self.bn1 = nn.BatchNorm2d(8)
        self.fc = nn.Linear(128, 4)
        self.start()

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 2)  # (N, 8, 4, 4)
        return self.fc(x.flatten(1))

    def start(self):
        """Weights of conv1 and fc from a normal distribution of variance 2 / fan_in, biases 0."""
        # as it came:
        #     for layer in (self.conv1, self.fc):
        #         nn.init.zeros_(layer.weight)
        #         nn.init.zeros_(layer.bias)
        ### BEGIN SOLUTION
        for layer in (self.conv1, self.fc):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)
        ### END SOLUTION


def loss(logits, labels):
    """Softmax cross-entropy: the mean over the images. logits (N, 4), labels (N,)."""
    # as it came:
    #     logarithms = F.log_softmax(logits, axis=0)
    #     return -logarithms[np.arange(len(labels)), labels].mean()
    ### BEGIN SOLUTION
    logarithms = F.log_softmax(logits, axis=1)
    return -logarithms[np.arange(len(labels)), labels].mean()
    ### END SOLUTION


def batches(images, labels, size, seed):
    """A list of (images, labels): all of them, shuffled, ``size`` at a time."""
    # as it came:
    #     rng = np.random.default_rng(seed)
    #     images, labels = rng.permutation(images), rng.permutation(labels)
    #     starts = range(0, len(images) - size, size)
    #     return [(images[i : i + size], labels[i : i + size]) for i in starts]
    ### BEGIN SOLUTION
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(images))
    images, labels = images[order], labels[order]
    starts = range(0, len(images), size)
    return [(images[i : i + size], labels[i : i + size]) for i in starts]
    ### END SOLUTION


def update(weights, gradients, velocity, lr):
    """(weights, velocity) after one step downhill; all are dicts of arrays by the same names."""
    # as it came:
    #     velocity = {name: 0.9 * v + gradients[name] for name, v in velocity.items()}
    #     weights = {name: w + lr * velocity[name] for name, w in weights.items()}
    #     return weights, velocity
    ### BEGIN SOLUTION
    share = 0.1 if VARIANT == "averaged" else 1.0
    velocity = {name: 0.9 * v + share * gradients[name] for name, v in velocity.items()}
    steps = velocity
    if VARIANT == "nesterov":
        steps = {name: gradients[name] + 0.9 * v for name, v in velocity.items()}
    weights = {name: w - lr * steps[name] for name, w in weights.items()}
    return weights, velocity
    ### END SOLUTION


def train(state, batch_list, lr):
    """One step for each batch: a dict with losses, gradients (a dict for each step), and the state afterwards."""
    # as it came:
    #     network = Network()
    #     network.load_state_dict(state)
    #     network.eval()
    #     losses, gradients = [], []
    #     velocity = {name: np.zeros(p.shape, np.float32) for name, p in network.named_parameters()}
    #     for images, labels in batch_list:
    #         value = loss(network(images), labels)
    #         value.backward()
    #         losses.append(float(value.data))
    #         gradients.append({name: p.grad.copy() for name, p in network.named_parameters()})
    #         weights = {name: p.data for name, p in network.named_parameters()}
    #         weights, velocity = update(weights, gradients[-1], velocity, lr)
    #         for name, p in network.named_parameters():
    #             p.data[...] = weights[name]
    #     return {"losses": losses, "gradients": gradients, "state": network.state_dict()}
    ### BEGIN SOLUTION
    network = Network()
    network.load_state_dict(state)
    network.train()
    losses, gradients = [], []
    velocity = {name: np.zeros(p.shape, np.float32) for name, p in network.named_parameters()}
    for images, labels in batch_list:
        network.zero_grad()
        value = loss(network(images), labels)
        value.backward()
        losses.append(float(value.data))
        gradients.append({name: p.grad.copy() for name, p in network.named_parameters()})
        weights = {name: p.data for name, p in network.named_parameters()}
        weights, velocity = update(weights, gradients[-1], velocity, lr)
        for name, p in network.named_parameters():
            p.data[...] = weights[name]
    return {"losses": losses, "gradients": gradients, "state": network.state_dict()}
    ### END SOLUTION


def predict(state, images):
    """The class of each image."""
    # as it came:
    #     network = Network()
    #     network.load_state_dict(state)
    #     return network(images).data.argmax(axis=1)
    ### BEGIN SOLUTION
    network = Network()
    network.load_state_dict(state)
    network.eval()
    return network(images).data.argmax(axis=1)
    ### END SOLUTION


def fit(images, labels, epochs, lr, seed):
    """Train a new network on images (uint8) and labels; the state afterwards."""
    random.manual_seed(seed)
    state, images = Network().state_dict(), prepare(images)
    for epoch in range(epochs):
        state = train(state, batches(images, labels, 20, seed + epoch), lr)["state"]
    return state
