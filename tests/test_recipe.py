"""Recipes: the optimiser and the schedule that they build, running means, mixed images, augmentation, runs by name."""

from __future__ import annotations

import json

import numpy as np
import pytest
from command_line import command
from PIL import Image

import minicnn as mc
from minicnn import data, models, nn, optim, runs
from minicnn import functional as F
from minicnn.data import transforms
from minicnn.data.augmentation import AUGMENTATIONS
from minicnn.recipe import OPTIMIZERS, SCHEDULES, Recipe
from minicnn.runs import Run
from minicnn.training import Trainer


def network() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 6, 3, bias=False), nn.BatchNorm2d(6), nn.Conv2d(6, 6, 3, groups=6, bias=False))


# Optimisers and schedules --------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_recipe_builds_its_optimizer(name):
    """What is left out is the optimiser's usual value, what is given is used."""
    usual = Recipe(optimizer=name).build_optimizer(network())
    assert type(usual).__name__.lower() == name
    assert {k: usual.param_groups[0][k] for k in OPTIMIZERS[name][1]} == OPTIMIZERS[name][1]
    own = Recipe(optimizer=name, lr=0.5, weight_decay=0.25).build_optimizer(network())
    assert (own.param_groups[0]["lr"], own.param_groups[0]["weight_decay"]) == (0.5, 0.25)


@pytest.mark.parametrize("decay, decayed", [("all", [4]), ("weights", [2, 0]), ("no-depthwise", [1, 0])])
def test_what_decays(decay, decayed):
    """Of two filters, one of them depthwise, and the two parameters of a norm: how many are in groups that decay."""
    groups = Recipe(decay=decay, weight_decay=0.1).build_optimizer(network()).param_groups
    assert [len(g["params"]) if g["weight_decay"] else 0 for g in groups] == decayed


def rates(epochs=10, updates=4, **options) -> np.ndarray:
    """The rate of every update, divided by the peak rate."""
    recipe = Recipe(epochs=epochs, lr=2.0, **options)
    optimizer = recipe.build_optimizer(network())
    schedule, found = recipe.build_schedule(optimizer, updates), []
    for _ in range(epochs * updates):
        found.append(optimizer.param_groups[0]["lr"] / 2.0)
        schedule.step()
    return np.array(found)


def test_schedules_by_epochs():
    """Each schedule's rates at chosen updates, computed by hand; a warm-up does not move the milestones."""
    np.testing.assert_allclose(rates(schedule="constant", warmup=0), 1)
    np.testing.assert_allclose(rates(schedule="constant", warmup=1)[:6], [0.2, 0.4, 0.6, 0.8, 1, 1])
    for warmup in (0, 1.5):
        multi = rates(schedule="multistep", milestones=(3, 7.5), gamma=0.5, warmup=warmup)
        np.testing.assert_allclose(multi[[11, 12, 29, 30]], [1, 0.5, 0.5, 0.25])
    np.testing.assert_allclose(rates(schedule="multistep", warmup=0)[[19, 20, 29, 30]], [1, 0.1, 0.1, 0.01])
    np.testing.assert_allclose(rates(schedule="step", step_size=2, warmup=0)[[7, 8, 16]], [1, 0.1, 0.01])
    np.testing.assert_allclose(rates(schedule="exponential", gamma=0.5, warmup=0)[[4, 8, 2]], [0.5, 0.25, 0.5**0.5])
    np.testing.assert_allclose(rates(schedule="poly", warmup=0)[[0, 10, 20]], [1, 0.75, 0.5])
    np.testing.assert_allclose(rates(schedule="poly", power=2.0, warmup=0)[20], 0.25)
    np.testing.assert_allclose(rates(schedule="cosine", warmup=0)[[0, 20]], [1, 0.5])
    np.testing.assert_allclose(rates(schedule="cosine")[:4], [0.2, 0.4, 0.6, 0.8])  # one epoch, a tenth of all


def test_every_schedule_trains(tmp_path):
    """All of them through the trainer, on plain networks; plateau is told the accuracy after each epoch."""
    assert len(SCHEDULES) == 7
    for schedule in SCHEDULES:
        mc.manual_seed(0)
        recipe = Recipe(epochs=3, schedule=schedule, patience=0 if schedule == "plateau" else None)
        model = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
        loader = data.Loader(data.digits("val"), 64)
        optimizer = recipe.build_optimizer(model)
        trainer = Trainer(
            model, optimizer, loader, loader, schedule=recipe.build_schedule(optimizer, len(loader)), progress=False
        )
        trainer.fit(3)
        assert trainer.schedule.t == (3 if schedule == "plateau" else 9)


def test_plateau_without_validation_is_an_error():
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    sgd = optim.SGD(model.parameters(), 0.1)
    with pytest.raises(mc.ArgumentError, match="ReduceLROnPlateau looks at validation results; pass val="):
        Trainer(model, sgd, data.Loader(data.digits("val")), schedule=optim.lr_scheduler.ReduceLROnPlateau(sgd))


def test_every_model_with_a_paper_has_its_recipe():
    """All but LeNet-5; each builds its optimiser and schedule; of CIFAR's the rate falls at 32,000 and 48,000 of 64,000
    iterations."""
    without = []
    for name in models.list_models():
        try:
            recipe = models.recipe(name)
        except mc.ArgumentError:
            without.append(name)
            continue
        optimizer = recipe.build_optimizer(network())
        recipe.build_schedule(optimizer, updates=10)
        assert optimizer.param_groups[0]["weight_decay"] == recipe.weight_decay
    assert without == ["lenet5"]
    cifar = models.recipe("resnet56")
    iterations = 45_000 / cifar.batch_size
    for epochs, wanted in ((cifar.milestones[0], 32_000), (cifar.milestones[1], 48_000), (cifar.epochs, 64_000)):
        assert epochs * iterations == pytest.approx(wanted, rel=1e-3)


def test_replacing_an_optimizer_or_schedule_takes_its_options_along():
    """Of a paper's recipe: another schedule needs no milestones, Adam does not take SGD's rate; what is given stays."""
    paper = models.recipe("resnet20")
    assert paper.with_options(schedule="cosine").milestones is None
    adam = paper.with_options(optimizer="adam", weight_decay=0.3)
    assert (adam.lr, adam.weight_decay, adam.schedule, adam.milestones) == (None, 0.3, "multistep", paper.milestones)
    assert models.recipe("mobilenet_v2").with_options(optimizer="sgd").alpha is None
    assert paper.with_options(lr=0.5, optimizer="sgd").lr == 0.5 and paper.with_options() == paper


def test_fewer_epochs_squeeze_the_schedule():
    """At the same part of the way the rate is the same, whatever the schedule."""
    for options in (
        {"schedule": "exponential", "gamma": 0.9}, {"schedule": "step", "step_size": 20, "gamma": 0.5},
        {"schedule": "multistep", "milestones": (30, 50)}, {"schedule": "cosine"}, {"schedule": "poly"},
    ):  # fmt: skip
        recipe, ends = Recipe(epochs=60, lr=1.0, **{"warmup": 0, **options}), []
        for one in (recipe, recipe.in_epochs(12)):
            optimizer = one.build_optimizer(network())
            schedule, rates = one.build_schedule(optimizer, updates=5), []
            for _ in range(one.epochs * 5):
                rates.append(optimizer.param_groups[0]["lr"])
                schedule.step()
            ends.append(rates[:: one.epochs * 5 // 12])
        np.testing.assert_allclose(*ends, rtol=1e-6)
    assert Recipe(epochs=60, warmup=10).in_epochs(12).warmup == 2
    assert Recipe(schedule="plateau", epochs=60, patience=10).in_epochs(12).patience == 2


@pytest.mark.compiled
def test_the_papers_recipe_on_the_command_line(tmp_path, capsys):
    """``--recipe paper``: other options override it, fewer epochs squeeze it, and LeNet-5 says that it has none."""
    options = "--epochs 1 --data digits --recipe paper --batch-size 512 --lr 0.001".split()
    assert command("train", "--model", "preact_resnet20", *options, "--out", tmp_path / "r") == 0
    note = json.loads((tmp_path / "r" / "run.json").read_text())
    assert (note["epochs"], note["batch_size"], note["lr"], note["schedule"]) == (1, 512, 0.001, "multistep")
    assert note["milestones"] == pytest.approx([0.5, 0.75]) and note["warmup"] == pytest.approx(1.14 / 182)
    capsys.readouterr()
    assert command("train", "--model", "lenet5", "--recipe", "paper") == 2
    assert "there is no paper's recipe for 'lenet5'" in capsys.readouterr().err


# Running means -------------------------------------------------------------------------------------------------------
def test_running_means_by_hand():
    """With the warm-up rule: the first update copies, then 2/11, 3/12, ... up to decay."""
    model = nn.Linear(1, 1, bias=False)
    average, expected = optim.EMA(model, decay=0.24), None
    for t, w in enumerate([5.0, -1.0, 2.0, 7.0]):
        model.weight.data[...] = w
        average.update()
        d = min(0.24, (1 + t) / (10 + t))
        expected = w if expected is None else d * expected + (1 - d) * w
        assert average.averages["weight"].item() == pytest.approx(expected, rel=1e-6)


def test_running_means_are_what_is_validated_and_saved(tmp_path):
    """Validation, last and best weights are the means; the model itself goes on with its own weights."""
    mc.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 10))
    loader = data.Loader(data.digits("val"), 32, shuffle=True)
    trainer = Trainer(model, optim.SGD(model.parameters(), 0.1), loader, loader, ema=0.9, out=tmp_path, progress=False)
    accuracy = trainer.fit(2)[-1]["val_accuracy"]
    own = {k: v.copy() for k, v in model.state_dict().items()}
    saved = mc.load(tmp_path / "last.safetensors")
    assert not np.array_equal(saved["0.weight"], own["0.weight"])
    assert not np.array_equal(saved["1.running_mean"], own["1.running_mean"])
    assert saved["1.num_batches_tracked"] == own["1.num_batches_tracked"] == 12
    assert trainer.evaluate(loader).accuracy == accuracy
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, own[name])
    model.load_state_dict(saved)
    assert mc.training.evaluate(model, loader).accuracy == accuracy


def test_running_means_are_taken_back_after_an_error():
    model = nn.Linear(1, 1)
    average = optim.EMA(model)
    average.averages["weight"][...] = 9.0
    before = model.weight.item()
    with pytest.raises(KeyError), average.applied():
        assert model.weight.item() == 9.0
        raise KeyError
    assert model.weight.item() == before


@pytest.mark.parametrize("saved", [
    {}, {"t": 1, "averages": {}}, {"t": -1, "averages": {"weight": np.ones((1, 1)), "bias": np.ones(1)}},
    {"t": 1, "averages": {"weight": np.ones((1, 2)), "bias": np.ones(1)}},
    {"t": 1, "averages": {"weight": np.ones((1, 1)), "bias": np.ones(1), "more": np.ones(1)}},
])  # fmt: skip
def test_running_means_refuse_what_does_not_fit(saved):
    average = optim.EMA(nn.Linear(1, 1))
    before = {k: v.copy() for k, v in average.averages.items()}
    with pytest.raises((mc.FileError, mc.ArgumentError)):
        average.load_state_dict(saved)
    assert average.t == 0
    for name, array in before.items():
        np.testing.assert_array_equal(average.averages[name], array)


# Mix-up --------------------------------------------------------------------------------------------------------------
def test_mixed_loss_is_the_cross_entropy_of_mixed_targets():
    """Equation 1: the images are the weighted means, and the loss is that of the equally weighted one-hot targets."""
    rng = np.random.default_rng(0)
    images, labels = rng.standard_normal((8, 2, 3, 3)), rng.integers(0, 5, 8)
    mixed = data.MixUp(0.7)(images, labels, np.random.default_rng(3))
    one_hot = np.eye(5)[labels]
    targets = mixed.share * one_hot + (1 - mixed.share) * np.eye(5)[mixed.other_labels]
    assert 0.5 <= mixed.share < 1
    flat, given = images.reshape(8, -1), mixed.images.reshape(8, -1)
    partner = (given - mixed.share * flat) / (1 - mixed.share)  # must be the batch's images in another order
    order = [int(np.abs(flat - row).sum(1).argmin()) for row in partner]
    np.testing.assert_allclose(partner, flat[order], atol=1e-9)
    assert sorted(order) == list(range(8)) and (labels[order] == mixed.other_labels).all()
    logits = mc.tensor(rng.standard_normal((8, 5)))
    expected = -(targets * F.log_softmax(logits, 1).data).sum(1).mean()
    assert mixed.loss(F.cross_entropy, logits).item() == pytest.approx(expected, rel=1e-12)


def test_mixing_is_the_same_again_and_differs_by_batch():
    """Same place in the training, same mixture; another batch or epoch, another one."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    trainer = Trainer(model, optim.SGD(model.parameters(), 0.1), data.Loader(data.digits("val")), mixup=1.0)
    images, labels = next(iter(trainer.train))
    first, again = trainer._mix(images, labels), trainer._mix(images, labels)
    np.testing.assert_array_equal(first.images, again.images)
    trainer._batches_done = 1
    assert trainer._mix(images, labels).share != first.share


def test_training_with_mixed_images_learns():
    mc.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    loader = data.Loader(data.digits("val"), 32, shuffle=True)
    trainer = Trainer(model, optim.Adam(model.parameters(), 0.01), loader, loader, mixup=0.4, progress=False)
    assert trainer.fit(20)[-1]["val_accuracy"] > 0.95


# Augmentation --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_augmentations_keep_the_size(name):
    """Every augmentation gives images of the size it says, in testing too, and changes them unless it is "none"."""
    rng = np.random.default_rng(0)
    for channels in (1, 3):
        image = rng.random((channels, 24, 32)).astype(np.float32)
        augmentation = AUGMENTATIONS[name](channels, 24, 32)
        both = transforms.Compose([*augmentation.before, *augmentation.after])
        changed = [both(image, np.random.default_rng(i)) for i in range(5)]
        assert {c.shape[1:] for c in changed} == {augmentation.size}
        assert transforms.Compose(augmentation.testing)(image, rng).shape[1:] == augmentation.size
        assert all(np.array_equal(c, image) for c in changed) == (name == "none")


def test_digits_are_not_mirrored_photographs_are(tmp_path):
    pictures(tmp_path / "pictures")
    digits = runs.loaders(Run("lenet5", "digits", Recipe()), nn.Identity())["train"].transform
    photographs = runs.loaders(Run("lenet5", f"folder:{tmp_path / 'pictures'}", Recipe()), nn.Identity())[
        "train"
    ].transform
    assert "RandomFlip" not in repr(digits) and "PadCrop" in repr(digits)
    assert "RandomFlip" in repr(photographs) and "PadCrop" in repr(photographs)


# Runs ----------------------------------------------------------------------------------------------------------------
def pictures(folder, size=(16, 16)):
    """Two classes, ten pictures each."""
    for label, grey in (("dark", 40), ("light", 200)):
        (folder / label).mkdir(parents=True)
        for i in range(10):
            Image.new("RGB", size, (grey + i, grey, grey)).save(folder / label / f"{i}.png")


@pytest.fixture
def tiny():
    """A model of one's own, for the command line."""

    @models.register_model("tiny-recipe-test", num_classes=10)
    def build(num_classes, in_channels):
        return nn.Sequential(nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(16 * in_channels, num_classes))

    yield "tiny-recipe-test"
    del models.registry._MODELS["tiny-recipe-test"]


def test_options_reach_the_training(tmp_path, tiny, capsys):
    """Everything given on the command line is in the run's note, and none of it changes on resuming."""
    options = (
        "--epochs 3 --optimizer rmsprop --momentum 0.5 --schedule multistep --milestones 1,2.5 --ema 0.9 --lr 0.01"
    )
    assert command("train", "--model", tiny, *options.split(), "--mixup", "0.2", "--out", tmp_path / "r") == 0
    note = json.loads((tmp_path / "r" / "run.json").read_text())
    assert (note["model"], note["data"], note["seed"], note["optimizer"]) == (tiny, "digits", 0, "rmsprop")
    assert (note["milestones"], note["ema"], note["mixup"], note["momentum"]) == ([1.0, 2.5], 0.9, 0.2, 0.5)
    best = (tmp_path / "r" / "best.safetensors").read_bytes()
    capsys.readouterr()
    assert command("train", "--resume", "--out", tmp_path / "r") == 0
    assert "test accuracy" in capsys.readouterr().out and (tmp_path / "r" / "best.safetensors").read_bytes() == best
    assert command("train", "--resume", "--out", tmp_path / "r", "--milestones", "1,2") == 2
    assert "--milestones is [1.0, 2.0], but the run" in capsys.readouterr().err
    assert command("train", "--resume", "--out", tmp_path / "r", "--gamma", "0.5") == 2
    assert "began with its default" in capsys.readouterr().err


def test_pictures_of_ones_own_in_several_sizes(tmp_path, tiny, capsys):
    """--size, and --skip-unreadable, which lists what was left out and is remembered on resuming."""
    pictures(tmp_path / "p", (20, 16))
    Image.new("RGB", (40, 30)).save(tmp_path / "p" / "dark" / "large.png")
    (tmp_path / "p" / "light" / "2.png").write_bytes(b"no picture")
    train = ("train", "--model", tiny, "--data", f"folder:{tmp_path / 'p'}", "--epochs", 1, "--out", tmp_path / "r")
    assert command(*train) == 2
    assert "2.png cannot be read" in capsys.readouterr().err
    assert command(*train, "--skip-unreadable") == 2
    assert "size=" in capsys.readouterr().err and not (tmp_path / "r").exists()
    assert command(*train, "--skip-unreadable", "--size", 12) == 0
    told = capsys.readouterr()
    assert "left out 1 pictures that cannot be read:" in told.err and "light/2.png" in told.err
    assert "images 3x12x12" in told.out
    assert command("train", "--resume", "--out", tmp_path / "r") == 0


@pytest.mark.parametrize("text", ["{", "[]", '{"model": "resnet20"}'])
def test_a_damaged_note_is_named(tmp_path, capsys, text):
    (tmp_path / "run.json").write_text(text)
    assert command("train", "--resume", "--out", tmp_path) == 2
    assert "run.json is damaged" in capsys.readouterr().err


def test_a_run_without_a_checkpoint_begins_anew(tmp_path, tiny, capsys):
    """Killed in its first epoch: the note is there, nothing else; resuming gives the undisturbed run's weights."""
    options = ("train", "--model", tiny, "--epochs", 1, "--seed", 3)
    assert command(*options, "--out", tmp_path / "a") == 0
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "run.json").write_bytes((tmp_path / "a" / "run.json").read_bytes())
    assert command("train", "--resume", "--out", tmp_path / "b") == 0
    assert "begins anew" in capsys.readouterr().err
    one, two = (mc.load(tmp_path / run / "last.safetensors") for run in "ab")
    assert one.keys() == two.keys() and all(np.array_equal(one[k], two[k]) for k in one)
    assert command("train", "--resume", "--out", tmp_path / "a", "--recipe", "paper") == 2
    assert "--recipe is for the beginning" in capsys.readouterr().err
    assert command("train", "--resume", "--out", tmp_path / "a", "--option", "x=3") == 2
    assert "--option is" in capsys.readouterr().err


def test_mixing_bytes_is_refused():
    """A share of 0.9 as a byte would be 0: the other image alone."""
    with pytest.raises(mc.DtypeError, match="uint8.*/ 255"):
        data.MixUp(0.2)(np.zeros((2, 1, 2, 2), np.uint8), np.array([0, 1]), np.random.default_rng(0))
