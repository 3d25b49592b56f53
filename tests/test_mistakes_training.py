"""Mistakes with optimisers, data, training, files and the command line."""

from __future__ import annotations

import os
import pathlib
import pickle
import subprocess
import sys

import numpy as np
import pytest
from mistakes import case, complaint, image

import minicnn as mc
from minicnn import cli, data, nn, optim
from minicnn.data import transforms

A, S, D = mc.ArgumentError, mc.ShapeError, mc.DataError
ROOT = pathlib.Path(__file__).parents[1]


def sgd(params=None, lr=0.1, **options):
    return optim.SGD(nn.Linear(2, 2).parameters() if params is None else params, lr, **options)


def used_up(model):
    parameters = model.parameters()
    list(parameters)
    return parameters


OPTIMISERS = [
    case("no parameters", lambda: sgd([]), A, "SGD", "no parameters", "model.parameters()"),
    case("a generator used before", lambda: sgd(used_up(nn.Linear(2, 2))), A, "no parameters", "once only"),
    case("a group of none", lambda: sgd([{"params": []}]), A, "no parameters"),
    case("the model", lambda: sgd(nn.Linear(2, 2)), A, "got Linear", "model.parameters()"),
    case("parameters without brackets", lambda: sgd(nn.Linear(2, 2).parameters), A, "got method", "model.parameters()"),
    case("named parameters", lambda: sgd(nn.Linear(2, 2).named_parameters()), A, "got tuple", "model.parameters()"),
    case("a state dict", lambda: sgd(nn.Linear(2, 2).state_dict()), A, "got str", "model.parameters()"),
    case("one parameter twice", lambda: sgd(2 * [nn.Linear(2, 2).weight]), A, "twice", "(2, 2)"),
    case("a result", lambda: sgd([nn.Linear(2, 2).weight * 2]), A, "(2, 2)", "leaves"),
    case("misspelt group", lambda: sgd([{"param": [image(2)]}]), A, "'params'", "'param'"),
    case("misspelt option", lambda: sgd([{"params": [image(2)], "learning_rate": 1}]), A, "'learning_rate'", "lr"),
    case("lr -0.1", lambda: sgd(lr=-0.1), A, "SGD", "lr", ">= 0", "-0.1"),
    case("lr NaN", lambda: sgd(lr=float("nan")), A, "lr", "finite", "nan"),
    case("lr text", lambda: sgd(lr="0.1"), A, "lr", "number", "'0.1'"),
    case("NumPy's negative lr", lambda: sgd(lr=np.float32(-1)), A, "lr", ">= 0", "-1.0"),
    case("momentum 1.5", lambda: sgd(momentum=1.5), A, "momentum", "below 1", "1.5"),
    case("nesterov alone", lambda: sgd(nesterov=True), A, "nesterov", "momentum > 0", "got 0"),
    case("betas of 1", lambda: optim.Adam([image(2)], betas=(0.9, 1.0)), A, "Adam", "betas", "below 1", "(0.9, 1.0)"),
    case("one beta", lambda: optim.AdamW([image(2)], betas=0.9), A, "AdamW", "two numbers", "0.9"),
    case("state of nothing", lambda: sgd().load_state_dict({}), mc.FileError, "SGD", "groups and state"),
    case("state of other groups", lambda: sgd().load_state_dict({"groups": [], "state": {}}), mc.FileError, "0 groups"),
    case("no steps", lambda: optim.lr_scheduler.CosineAnnealingLR(sgd(), 0), A, "T_max", ">= 1", "0"),
    case("all warm-up", lambda: optim.lr_scheduler.CosineAnnealingLR(sgd(), 5, warmup=5), A, "warmup", "5"),
    case("one milestone", lambda: optim.lr_scheduler.MultiStepLR(sgd(), 30), A, "milestones", "[30, 60]", "got 30"),
    case("schedule of a model", lambda: optim.lr_scheduler.MultiStepLR(nn.ReLU(), [3]), A, "optimiser", "ReLU"),
]

ZEROS = np.zeros((3, 1, 8, 8), np.float32)
VAL = data.digits("val")


def dataset(images=ZEROS, labels=(0, 1, 2), classes=range(10)):
    return data.ArrayDataset(images, labels, classes, "toy")


def with_nan():
    images = ZEROS.copy()
    images[1, 0, 3, 3] = np.nan
    return images


def first(*arguments, **options):
    return next(iter(data.Loader(*arguments, **options)))


DATA = [
    case("empty", lambda: dataset(np.zeros((0, 1, 8, 8)), []), D, "toy", "empty", "(0, 1, 8, 8)"),
    case("no channel axis", lambda: dataset(np.zeros((3, 8, 8))), D, "(N, C, H, W)", "(3, 8, 8)"),
    case("two labels for three", lambda: dataset(labels=[0, 1]), D, "3 images", "(2,)"),
    case("label outside", lambda: dataset(labels=[0, 1, 10]), D, "label 10 of image 2", "10 classes", "0 to 9"),
    case("fractional labels", lambda: dataset(labels=[0, 1, 1.5]), D, "float64", ".astype(int)"),
    case("NaN pixel", lambda: dataset(with_nan()), D, "1 images", "NaN", "first is image 1", "np.isfinite"),
    case("beyond float32", lambda: dataset(np.full((3, 1, 8, 8), 1e300)), D, "infinity", "first is image 0"),
    case("pixels of int64", lambda: dataset(np.full((3, 1, 8, 8), 200)), D, "int64", ".astype('uint8')"),
    case("two image sizes", lambda: dataset([np.zeros((1, 8, 8)), np.zeros((1, 9, 9))]), D, "(1, 8, 8) and (1, 9, 9)"),
    case("a number of classes", lambda: dataset(classes=10), D, "list of names", "range(10)"),
    case("unknown data", lambda: data.get_dataset("digit"), A, "'digit'", "did you mean digits?"),
    case("unknown split", lambda: data.get_dataset("digits", "dev"), A, "'dev'", "train, val, test"),
    case("batch of 0", lambda: data.Loader(VAL, 0), A, "batch_size", ">= 1", "got 0"),
    case("batch of 2.5", lambda: data.Loader(VAL, 2.5), A, "batch_size", "whole number", "2.5"),
    case("workers -1", lambda: data.Loader(VAL, workers=-1), A, "workers", ">= 0", "-1"),
    case("seed -1", lambda: data.Loader(VAL, shuffle=True, seed=-1), A, "seed", ">= 0", "-1"),
    case("loading nothing", lambda: data.Loader([]), D, "empty"),
    case("loading a name", lambda: data.Loader("digits"), D, "'digits'", "get_dataset('digits')"),
    case("drop_last drops all", lambda: data.Loader(VAL, 1000, drop_last=True), D, f"{len(VAL)} images", "1000"),
    case("no pairs", lambda: first(ZEROS), D, "dataset[0]", "(image, label)", "ndarray"),
    case("pairs without channels", lambda: first([(np.zeros((8, 8)), 0)]), D, "image 0", "(C, H, W)", "(8, 8)"),
    case("label cat", lambda: first([(ZEROS[0], "cat")]), D, "label 0", "whole number", "'cat'"),
    case("sizes in a batch", lambda: first([(np.zeros((1, 8, 8)), 0), (np.zeros((1, 9, 8)), 0)]), D, "(9, 8, 1)"),
    case("transform without rng", lambda: data.Loader(VAL, transform=lambda image: image), A, "(image, rng)"),
    case("three means for grey", lambda: first(VAL, transform=transforms.Normalize([0.5] * 3, [1] * 3)), S,
         "3 means", "1 channels"),
    case("means and deviations", lambda: transforms.Normalize([0.5], [1, 2]), S, "1 means", "2 standard deviations"),
    case("deviation 0", lambda: transforms.Normalize([0.5], [0]), A, "> 0", "[0.0]"),
    case("crop -1", lambda: transforms.PadCrop(-1), A, "PadCrop", ">= 0", "-1"),
    case("one transform", lambda: transforms.Compose(transforms.PadCrop(1)), A, "list", "PadCrop", "brackets"),
]  # fmt: skip


@pytest.mark.parametrize("call, error, says", OPTIMISERS + DATA)
def test_optimisers_and_data(call, error, says):
    """Said when the optimiser, data set or loader is made, not after an epoch; with the value, and what would fit."""
    complaint(call, error, says)


# Training -----------------------------------------------------------------------------------------------------------
def trainer(lr=0.1, classes=10, train=None, optimizer=None, **options):
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, classes))
    optimizer = optimizer or optim.SGD(model.parameters(), lr)
    return mc.Trainer(model, optimizer, data.Loader(VAL) if train is None else train, progress=False, **options)


TRAINING = [
    case("0 epochs", lambda: trainer().fit(0), A, "epochs", ">= 1", "got 0"),
    case("1.5 epochs", lambda: trainer().fit(1.5), A, "epochs", "whole number", "1.5"),
    case("another model's optimiser", lambda: trainer(optimizer=sgd()), A, "SGD", "2 parameters", "model.parameters()"),
    case("a data set for a loader", lambda: trainer(train=VAL), A, "train", "ArrayDataset", "data.Loader(train, 64)"),
    case("a class for a model", lambda: mc.Trainer(nn.Linear, sgd(), []), A, "model", "Linear(...)"),
    case("no optimiser", lambda: mc.Trainer(nn.Linear(2, 2), None, []), A, "optimizer", "None"),
    case("no batches", lambda: trainer(train=iter(())).fit(1), D, "epoch 1", "no batch"),
    case("no batches to validate", lambda: trainer().evaluate(iter(())), D, "no batch"),
    case("too few outputs", lambda: trainer(classes=5).fit(1), mc.LabelError, "5 logits", "0 to 4"),
    case("summary of a size", lambda: mc.summary(nn.Conv2d(3, 4, 3), 224), S, "(channels, height, width)", "224"),
    case("summary without channels", lambda: mc.summary(nn.Conv2d(3, 4, 3), (8, 8)), S, "(8, 8)"),
    case("summary of height -8", lambda: mc.summary(nn.ReLU(), (3, -8, 8)), A, "height", ">= 1", "-8"),
    case("summary of a name", lambda: mc.summary("resnet20"), A, "'resnet20'"),
    case("summary of a class", lambda: mc.summary(nn.ReLU), A, "ReLU(...)"),
    case("summary of grey", lambda: mc.summary(nn.Sequential(nn.Conv2d(3, 4, 3)), (1, 8, 8)), S,
         "0 = Conv2d", "has 1 channels", "takes 3", "input_size=(1, 8, 8)"),
    case("unknown room", lambda: mc.use_room("gpu"), A, "'gpu'", "'plain', 'cpu'"),
    case("no threads", lambda: mc.set_num_threads(0), A, ">= 1", "got 0"),
]  # fmt: skip


@pytest.mark.parametrize("call, error, says", TRAINING)
def test_training(call, error, says):
    """A training that cannot begin, or would teach nothing."""
    complaint(call, error, says)


def test_exploding_learning_rate_keeps_finished_epochs(tmp_path):
    """DivergedError tells epoch and rate; weights and metrics of the epochs before are whole, and finite."""
    run = trainer(out=tmp_path / "run")
    run.fit(1)
    kept = {p.name: p.read_bytes() for p in (tmp_path / "run").iterdir() if p.suffix != ".png"}
    run.optimizer.param_groups[0]["lr"] = 1e38
    complaint(lambda: run.fit(3), mc.DivergedError, ("in epoch 2", "1e+38", "try 1e+37", "NaN in the data"))
    assert {p.name: p.read_bytes() for p in (tmp_path / "run").iterdir() if p.suffix != ".png"} == kept
    assert sorted(kept) == ["best.safetensors", "checkpoint.safetensors", "last.safetensors", "metrics.csv"]
    assert all(np.isfinite(v).all() for v in mc.load(tmp_path / "run/last.safetensors").values())


def test_weights_broken_by_the_last_step_are_not_saved(tmp_path):
    """The loss of the only batch is finite; the step after it is not. That must be seen before anything is written."""
    run = trainer(lr=1e38, train=data.Loader(VAL, len(VAL)), out=tmp_path / "run")
    run.optimizer.param_groups[0]["weight_decay"] = 1e5
    complaint(lambda: run.fit(1), mc.DivergedError, ("1.weight", "epoch 1", "1e+38"))
    assert list((tmp_path / "run").iterdir()) == []


def test_unusable_run_folder_is_found_before_training(tmp_path):
    """Not after the first epoch, whose work would be lost."""
    (tmp_path / "file").write_text("")
    run = trainer(out=tmp_path / "file" / "run")
    complaint(lambda: run.fit(1), mc.FileError, ("cannot write", "file/run", "choose another path"))
    assert run.rows == []


# Files --------------------------------------------------------------------------------------------------------------
class Bomb:
    """Unpickling it would make a folder."""

    def __init__(self, target: pathlib.Path) -> None:
        self.target = target

    def __reduce__(self):
        return os.mkdir, (str(self.target),)


FILES = [
    ("missing.npz", lambda p: mc.load(p), ("no file",)),
    ("weights.h5", lambda p: (p.write_bytes(b"\x89HDF"), mc.load(p)), (".safetensors, .npz, and PyTorch's .pth",)),
    ("weights.h5", lambda p: mc.save({"w": image(2)}, p), (".safetensors or .npz", "not in .h5")),
    ("weights", lambda p: mc.save({}, p), (".safetensors or .npz",)),
    ("folder.npz", lambda p: (p.mkdir(), mc.load(p)), ("is a folder", "weights.safetensors")),
    ("folder.npz", lambda p: (p.mkdir(), mc.save({}, p)), ("is a folder", "weights.safetensors")),
    ("half.npz", lambda p: (p.write_bytes(saved(p)[:200]), mc.load(p)), ("damaged", ".npz")),
    ("half.safetensors", lambda p: (p.write_bytes(saved(p)[:-8]), mc.load(p)), ("damaged", ".safetensors")),
    ("empty.safetensors", lambda p: (p.write_bytes(b""), mc.load(p)), ("damaged", ".safetensors")),
    ("nameless.npz", lambda p: (save_npy(p), mc.load(p)), ("one array without a name", ".npy")),
    ("bomb.npz", lambda p: (p.write_bytes(pickle.dumps(Bomb(p.parent / "boom"))), mc.load(p)), ("damaged", ".npz")),
    ("objects.npz", lambda p: (np.savez(p, w=np.array([{}])), mc.load(p)), ("damaged", ".npz", "allow_pickle=False")),
    ("a.npz", lambda p: mc.save({"w": "text"}, p), ("w is no array", "str")),
    ("a.safetensors", lambda p: mc.save({"w": [[1, 2], [3]]}, p), ("w is no array", "ragged")),
    ("a.npz", lambda p: (p.touch(), mc.save({"w": image(2)}, p / "b.npz")), ("cannot write", "choose another path")),
]


def save_npy(path: pathlib.Path) -> None:
    with open(path, "wb") as file:
        np.save(file, np.zeros(3))


def saved(path: pathlib.Path) -> bytes:
    mc.save({"weight": np.zeros((30, 30))}, path)
    return path.read_bytes()


@pytest.mark.parametrize("name, call, says", FILES)
def test_files(name, call, says, tmp_path):
    """A file that cannot be read or written: its path, what is wrong; nothing half-written, no code run."""
    complaint(lambda: call(tmp_path / name), mc.FileError, (str(tmp_path / name), *says))
    assert [p.name for p in tmp_path.iterdir()] in ([], [name]), "something was left behind"


def test_saving_the_wrong_way_round():
    """save(path, model), and things that are no state dict."""
    complaint(lambda: mc.save("w.npz", nn.Linear(2, 2)), A, ("got Linear", "save(model, path)"))
    complaint(lambda: mc.save([image(2)], "w.npz"), A, ("got list", "save(model, path)"))
    complaint(lambda: mc.load(None), A, ("NoneType", "load(path)"))


def test_failed_save_keeps_the_old_file(tmp_path):
    """An error while writing loses nothing that was there."""
    path = tmp_path / "w.npz"
    before = saved(path)
    complaint(lambda: mc.save({"weight": np.zeros(2), "text": "x"}, path), mc.FileError)
    assert path.read_bytes() == before


# Command line -------------------------------------------------------------------------------------------------------
TRAIN = "train --model resnet20"
COMMANDS = [
    ("trian", ("'trian'", "--help")),
    ("train", ("--model",)),
    ("train --model resnet21", ("'resnet21'", "resnet20")),
    (f"{TRAIN} --data minst", ("'minst'", "did you mean mnist?")),
    (f"{TRAIN} --epoch 3", ("--epoch", "--epochs")),
    (f"{TRAIN} --epochs 0", ("--epochs", ">= 1", "0")),
    (f"{TRAIN} --epochs two", ("--epochs", "'two'", "integer")),
    (f"{TRAIN} --lr nan", ("lr", "finite", "nan")),
    (f"{TRAIN} --lr -1", ("lr", ">= 0", "-1")),
    (f"{TRAIN} --batch-size 0", ("--batch-size", ">= 1", "0")),
    (f"{TRAIN} --seed -1", ("seed", ">= 0", "-1")),
    (f"{TRAIN} --device gpu", ("'gpu'", "'cuda'", "'cpu'")),
    (f"{TRAIN} --threads 0", ("threads", ">= 1", "0")),
    (f"{TRAIN} --out file/run", ("file/run", "choose another path")),
    (f"{TRAIN} --out /", ("'/'", "runs/mine")),
    ("train --model lenet", ("'lenet'", "lenet5")),
    ("demo extra", ("extra",)),
    (f"{TRAIN} --accumulate 0", ("--accumulate", ">= 1", "0")),
    (f"{TRAIN} --checkpoint-every 0", ("checkpoint_every", ">= 1", "0")),
    (f"{TRAIN} --clip-norm 0", ("clip_norm", "> 0")),
    (f"{TRAIN} --clip-norm -1", ("clip_norm", "-1")),
    (f"{TRAIN} --label-smoothing 2", ("label_smoothing", "2.0")),
    (f"{TRAIN} --resume --out nowhere", ("no checkpoint to go on from", "nowhere")),
    ("train --resume", ("--resume", "--out")),
    (f"{TRAIN} --optimizer sdg", ("'sdg'", "'sgd'", "'adamw'")),
    (f"{TRAIN} --optimizer adam --momentum 0.5", ("--momentum", "sgd or rmsprop", "not to adam")),
    (f"{TRAIN} --optimizer adam --nesterov", ("--nesterov", "sgd", "not to adam")),
    (f"{TRAIN} --milestones 3,4", ("--milestones", "multistep", "not to cosine")),
    (f"{TRAIN} --schedule multistep --milestones 3;4", ("--milestones", "'3;4'", "80,120")),
    (f"{TRAIN} --schedule multistep --milestones -3,4", ("--milestones", "-3")),
    (f"{TRAIN} --schedule step --gamma 0", ("--gamma", "> 0")),
    (f"{TRAIN} --schedule plateau --patience -1", ("patience", ">= 0", "-1")),
    (f"{TRAIN} --warmup 20", ("--warmup", "20 epochs")),
    (f"{TRAIN} --mixup 0", ("alpha", "> 0")),
    (f"{TRAIN} --ema 1", ("decay", "below 1", "0.999")),
    (f"{TRAIN} --weight-decay -1", ("weight_decay", "-1")),
    (f"{TRAIN} --augment flip", ("'flip'", "'shift-flip'")),
    (f"{TRAIN} --size 64", ("digits", "'size'")),
]


@pytest.mark.parametrize("command, says", COMMANDS)
def test_command_line(command, says, tmp_path, monkeypatch, capsys):
    """One line that says what is wrong and how to mend it, exit status 2, no run folder."""
    monkeypatch.setenv("MINICNN_ROOM", "plain")  # the cpu room may report that it compiles
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(SystemExit) as stopped:
        cli.main(command.split())
    lines = capsys.readouterr().err.splitlines()
    assert stopped.value.code == 2
    assert len(lines) == 1 and lines[0].startswith("minicnn: ")
    for words in says:
        assert words in lines[0]
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


@pytest.mark.compiled
def test_diverging_command_leaves_no_empty_folder(tmp_path, monkeypatch, capsys):
    """A rate that explodes in the first epoch: the last line says so, and there is no run to keep."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stopped:
        cli.main("train --model resnet20 --lr 1e30 --batch-size 256 --out run".split())
    last = capsys.readouterr().err.splitlines()[-1]
    assert stopped.value.code == 2
    assert last.startswith("minicnn: ") and "epoch 1" in last and "learning rate" in last
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("variables, command, says", [
    ({"MINICNN_ROOM": "nonsense"}, ["doctor"], ("MINICNN_ROOM", "'nonsense'", "'plain', 'cpu'")),
    ({"MINICNN_ROOM": "cpu"}, ["demo", "--threads", "100000"], ("100000", "NUMBA_NUM_THREADS")),
])  # fmt: skip
def test_environment(variables, command, says, tmp_path):
    """A real process: a room that does not exist, more threads than there are; one line, status 2, no traceback."""
    pytest.importorskip("numba")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **variables}
    done = subprocess.run(
        [sys.executable, "-m", "minicnn", *command], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1 and done.stderr.startswith("minicnn: ")
    for words in says:
        assert words in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_notebooks_show_the_reader_own_lines_only():
    """IPython calls _render_traceback_: the student's frame and the message; no frame of minicnn or of its kernels."""
    with pytest.raises(mc.ShapeError) as caught:
        nn.Sequential(nn.Conv2d(3, 4, 3))(image(1, 5, 8, 8))
    shown = "\n".join(caught.value._render_traceback_())
    assert "nn.Sequential(nn.Conv2d(3, 4, 3))(image(1, 5, 8, 8))" in shown
    assert shown.count("File ") == 1
    assert shown.endswith(f"ShapeError: {caught.value}")
