"""The command line: what it prints, what it writes, how it ends."""

import gzip
import itertools
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numba import njit

import fastcnn
from fastcnn import data, doctor, extras, functional, ladder, models, plot, training, verification
from fastcnn.cli import main, output, parser, recipes
from fastcnn.cli import train as train_command
from fastcnn.nn.inspect import memory, summary
from fastcnn.optim import optimizers, schedules
from fastcnn.training.augment import AUGMENTATIONS
from fastcnn.training.history import KEYS
from fastcnn.warmup import compiling

REPOSITORY = Path(__file__).parent.parent
QUICK = ["train", "digits", "--model", "strided_cnn", "--batch-size", "64", "--lr", "0.001",
         "--schedule", "none"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Folder of a finished run of two epochs."""
    folder = tmp_path_factory.mktemp("runs") / "finished"
    assert main([*QUICK, "--epochs", "2", "--out", str(folder)]) == 0
    return folder


def lines(text):
    return [line for line in text.splitlines() if line]


# Starting


def test_help_imports_neither_numpy_nor_numba():
    for arguments in (["--help"], ["train", "--help"], ["--version"]):
        done = subprocess.run([sys.executable, "-X", "importtime", "-m", "fastcnn", *arguments], capture_output=True,
                              text=True, check=True)
        imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
        assert "fastcnn.cli.parser" in imported
        assert not {name for name in imported if name.partition(".")[0] in ("numpy", "numba", "llvmlite", "pooch", "tqdm")}


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"fastcnn {fastcnn.__version__}\n"


def test_help_lists_what_the_library_knows():
    assert tuple(recipes.RECIPES) == data.names()
    assert models.names() == recipes.MODELS
    assert tuple(name.replace("none", "") or None for name in recipes.AUGMENTATIONS) == AUGMENTATIONS
    assert recipes.OPTIMIZERS.keys() == {name.lower() for name in optimizers.__all__}
    known = {name.removesuffix("LR").lower() for name in schedules.__all__} - {"schedule"}
    assert set(recipes.SCHEDULES) == {"none", *known}


def test_recipes_fit_their_data_sets():
    for recipe in recipes.RECIPES.values():
        assert models.create(recipe.model, recipe.image, recipe.classes).num_parameters() > 0
    digits = data.load("digits")
    assert recipes.RECIPES["digits"].image == digits.train.images.shape[1:]
    assert recipes.RECIPES["digits"].classes == len(digits.classes)


@pytest.mark.parametrize("optimizer", recipes.OPTIMIZERS)
def test_every_optimizer_and_schedule_can_be_made(optimizer):
    for schedule in recipes.SCHEDULES:
        settings = {**vars(recipes.RECIPES["digits"]), "optimizer": optimizer, "schedule": schedule, "epochs": 1}
        made = train_command.parts(settings, (8, 8, 1), 10)
        assert type(made["optimizer"]).__name__.lower() == optimizer
        assert made["schedule"].lr(0, 10, 0.1, 10) >= 0


# Training


def test_a_run_writes_exactly_its_files(finished):
    names = sorted(path.name for path in finished.iterdir())
    assert names == ["checkpoint-00000023.safetensors", "checkpoint-00000046.safetensors", "curves.png", "history.jsonl",
                     "model.safetensors"]
    records = [json.loads(line) for line in (finished / "history.jsonl").read_text().splitlines()]
    assert [record["epoch"] for record in records] == [1, 2]
    assert all(tuple(record) == KEYS for record in records)
    assert (finished / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_what_a_run_prints(capsys):
    assert main([*QUICK, "--epochs", "1", "--seed", "3", "--threads", "1"]) == 0
    fastcnn.set_num_threads(fastcnn.kernels.jit.threads.available())
    printed = capsys.readouterr()
    out, progress = lines(printed.out), lines(printed.err)
    assert out[0] == "data     digits: 1,442 training and 355 test images of 8 x 8 x 1, 10 classes"
    assert re.fullmatch(r"model    strided_cnn: [\d,]+ parameters", out[1])
    assert out[2] == ("training 1 epochs of batch size 64, adam, lr 0.001, schedule none, augment none, seed 3")
    assert re.fullmatch(r"machine  1 threads, \d+ float32 lanes", out[3])
    assert re.fullmatch(r"memory   \d+\.\d .iB for a step(, \d+\.\d .iB free)?", out[4])
    assert out[5] == "writing  nothing; --out DIR keeps the model"
    assert re.fullmatch(r"test accuracy \d+\.\d\d%, loss \d\.\d{4}, \d+\.\d s of training", out[6])
    assert re.match(r"  1/1 +\d\.\d{4} +\d+\.\d\d% ", progress[-1])


def test_resumed_run_gives_the_same_bits(finished, tmp_path, capsys):
    assert main([*QUICK, "--epochs", "1", "--out", str(tmp_path)]) == 0
    assert main(["train", "digits", "--epochs", "2", "--out", str(tmp_path), "--resume"]) == 0
    assert f"resuming {tmp_path}, which has 1 of 2 epochs" in capsys.readouterr().out
    assert (tmp_path / "model.safetensors").read_bytes() == (finished / "model.safetensors").read_bytes()


@pytest.mark.parametrize("content", ["nothing", "no folder", "model", "other"])
def test_resuming_where_no_run_is_makes_nothing(content, finished, tmp_path, capsys):
    folder = tmp_path / "typo"
    if content != "no folder":
        folder.mkdir()
    if content in ("model", "other"):
        (folder / ("model.safetensors" if content == "model" else "notes.txt")).write_bytes(b"x")
    before = sorted(tmp_path.rglob("*"))
    assert main([*QUICK, "--epochs", "1", "--out", str(folder), "--resume"]) == 1
    assert f"--out {folder} holds no run to go on with" in only_line(capsys)
    assert sorted(tmp_path.rglob("*")) == before


def test_curves_of_a_run_whose_validation_was_not_finite(finished, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    lines_before = (finished / "history.jsonl").read_text().splitlines()
    records = [{**json.loads(line), "test_loss": value} for line, value in zip(lines_before, (None, 0.5), strict=True)]
    (tmp_path / "history.jsonl").write_text(training.History(records).json_lines() + training.History(
        [{**records[1], "epoch": 3, "test_loss": float("nan"), "train_loss": float("inf")}]).json_lines())
    (tmp_path / "model.safetensors").write_bytes((finished / "model.safetensors").read_bytes())
    assert main(["plot", "curves", str(tmp_path)]) == 0
    assert (tmp_path / "curves.png").exists() and "NaN" not in (tmp_path / "history.jsonl").read_text()


def test_a_run_that_has_no_checkpoint_yet_begins_again(tmp_path, capsys):
    (tmp_path / "history.jsonl").touch()
    assert main([*QUICK, "--epochs", "1", "--out", str(tmp_path), "--resume"]) == 0
    assert f"resuming {tmp_path}, which has no checkpoint yet: from its beginning" in capsys.readouterr().out


def test_more_epochs_keep_the_schedule_of_a_run(tmp_path):
    assert main([*QUICK, "--epochs", "2", "--schedule", "multistep", "--out", str(tmp_path)]) == 0
    assert main(["train", "digits", "--epochs", "3", "--out", str(tmp_path), "--resume"]) == 0
    records = [json.loads(line) for line in (tmp_path / "history.jsonl").read_text().splitlines()]
    assert [record["learning_rate"] for record in records] == pytest.approx([1e-3, 1e-5, 1e-5])


def test_a_damaged_checkpoint_is_passed_over(tmp_path, capsys):
    assert main([*QUICK, "--epochs", "2", "--out", str(tmp_path)]) == 0
    newest = tmp_path / "checkpoint-00000046.safetensors"
    newest.write_bytes(newest.read_bytes()[:-100])
    capsys.readouterr()
    assert main(["train", "digits", "--out", str(tmp_path), "--resume"]) == 0
    assert "which has 1 of 2 epochs" in capsys.readouterr().out


def test_an_existing_run_is_not_overwritten(finished, capsys):
    before = {path.name: path.read_bytes() for path in finished.iterdir()}
    assert main([*QUICK, "--out", str(finished)]) == 1
    assert "already holds a run" in only_line(capsys)
    assert {path.name: path.read_bytes() for path in finished.iterdir()} == before


def test_a_resumed_run_keeps_its_settings(finished, capsys):
    assert main(["train", "digits", "--lr", "0.5", "--model", "lenet5", "--out", str(finished), "--resume"]) == 2
    text = lines(capsys.readouterr().err)[-1]
    assert "--lr is 0.5, expected 0.001 as the run was begun" in text
    assert "--model is 'lenet5', expected 'strided_cnn'" in text


def test_ctrl_c_saves_and_says_how_to_go_on(tmp_path, monkeypatch, capsys):
    class Interrupter(training.Callback):
        def on_batch_end(self, run):
            if run.step == 30:
                os.kill(os.getpid(), signal.SIGINT)

    usual = train_command._callbacks
    monkeypatch.setattr(train_command, "_callbacks", lambda *arguments: [Interrupter(), *usual(*arguments)])
    assert main([*QUICK, "--epochs", "3", "--out", str(tmp_path)]) == 130
    assert lines(capsys.readouterr().err)[-1] == (
        f"interrupted in epoch 2 of 3; go on with: fastcnn train digits --out {tmp_path} --resume")
    assert (tmp_path / "checkpoint-00000030.safetensors").exists()
    assert (tmp_path / "model.safetensors").exists()


def test_a_loss_that_is_not_finite_ends_in_one_line(capsys):
    assert main([*QUICK, "--optimizer", "sgd", "--lr", "1e30", "--epochs", "1"]) == 1
    assert re.search(r"fastcnn: fit: .* is not finite in epoch 1, step \d+; .*layer", capsys.readouterr().err)


# Use of a model


def test_evaluate(finished, capsys):
    assert main(["evaluate", str(finished / "model.safetensors"), "digits"]) == 0
    last = json.loads((finished / "history.jsonl").read_text().splitlines()[-1])
    expected = f"test accuracy {last['test_accuracy']:.2%}, loss {last['test_loss']:.4f}, 355 images of digits\n"
    assert capsys.readouterr().out == expected


def test_predict_image_files(finished, tmp_path, capsys):
    from PIL import Image

    digits = data.load("digits").test
    grey = Image.fromarray(digits.images[0, ..., 0])
    grey.save(tmp_path / "grey.png")
    Image.fromarray(255 - digits.images[0, ..., 0]).save(tmp_path / "dark.png")
    grey.resize((40, 40), Image.Resampling.NEAREST).convert("RGB").save(tmp_path / "large.jpg", quality=95)
    model = str(finished / "model.safetensors")
    assert main(["predict", model, str(tmp_path / "grey.png"), str(tmp_path / "large.jpg"), "--top", "2"]) == 0
    first, second = lines(capsys.readouterr().out)
    assert main(["predict", model, str(tmp_path / "dark.png"), "--invert", "--top", "2"]) == 0
    assert lines(capsys.readouterr().out)[0].split()[1:] == first.split()[1:]
    probability = fastcnn.predict(fastcnn.load(model), digits.images[:1])[0]
    best = probability.argmax()
    assert re.fullmatch(rf".*grey\.png +{best} {probability[best]:.1%}, \d [\d.]+%", first)
    assert re.search(rf"large\.jpg +{best} ", second)


def test_predict_test_images(finished, capsys):
    model = str(finished / "model.safetensors")
    assert main(["predict", model, "--dataset", "digits", "--index", "3", "17", "--top", "1"]) == 0
    labels = data.load("digits").test.labels
    out = lines(capsys.readouterr().out)
    assert [line.split()[0] for line in out] == ["3", "17"]
    assert all(line.endswith(f"; truth {labels[index]}") for line, index in zip(out, (3, 17), strict=True))


@pytest.mark.parametrize("name", recipes.MODELS)
def test_summary_of_every_model(name, capsys):
    assert main(["summary", name]) == 0
    assert "multiply-adds" in capsys.readouterr().out


def test_models_are_listed_with_their_parameters(capsys):
    assert main(["models"]) == 0
    head, *rows = lines(capsys.readouterr().out)
    assert head.split()[:2] == ["name", "parameters"]
    assert [row.split()[0] for row in rows] == list(models.names())
    for row in rows:
        name, parameters, shape, text = re.fullmatch(r"(\w+) +([\d,]+)  ([\dx ]*\d)  +(.+)", row).groups()
        model = models.create(name, tuple(map(int, shape.split(" x "))), 10)
        assert parameters == f"{model.num_parameters():,}" and text == models.describe(name)


def test_summary_of_a_file_and_of_another_shape(finished, capsys):
    assert main(["summary", str(finished / "model.safetensors")]) == 0
    assert "4 x 4 x 12" in capsys.readouterr().out
    assert main(["summary", "lenet5", "--input-shape", "32,32,3", "--classes", "7"]) == 0
    assert "Linear(84, 7)" in capsys.readouterr().out


def test_summary_tells_the_memory_of_training(monkeypatch, capsys):
    monkeypatch.setattr(summary, "free_memory", lambda: 1 << 30)
    said = []
    for options in ([], ["--batch-size", "64"], ["--optimizer", "sgd"]):
        assert main(["summary", "lenet5", *options]) == 0
        said.append(capsys.readouterr().out.splitlines()[-3:])
    usual, smaller, sgd = said
    assert "training on batches of 128 takes" in usual[0] and "optimizer 482.1 KiB" in usual[1]
    assert "training on batches of 64 takes" in smaller[0]
    assert "optimizer 241.0 KiB" in sgd[1]
    assert usual[2] == "batches of up to 16,384 fit into the 1.0 GiB that are free here"


def test_train_tells_its_memory_and_refuses_what_does_not_fit(monkeypatch, capsys):
    monkeypatch.setattr(memory, "free_memory", lambda: 20 << 20)
    one = ["--threads", "1"]  # each thread has working memory of its own
    assert main(["train", "digits", "--epochs", "1", *one]) == 0
    assert re.search(r"^memory   \d\.\d MiB for a step, 20\.0 MiB free$", capsys.readouterr().out, re.MULTILINE)
    assert main(["train", "digits", "--batch-size", "1000", *one]) == 1
    said = only_line(capsys)
    assert re.search(r"size 1000 takes \d+\.\d MiB for a step, 20\.0 MiB free; expected --batch-size 256 or less", said)
    monkeypatch.setattr(memory, "free_memory", lambda: 1000)
    assert main(["train", "digits", *one]) == 1
    fastcnn.set_num_threads(fastcnn.kernels.jit.threads.available())
    assert only_line(capsys).endswith("expected a smaller --batch-size or --model")


def test_train_refuses_a_batch_that_the_system_does_not_promise(monkeypatch, capsys):
    def refuse(*_):
        raise MemoryError

    monkeypatch.setattr(memory, "forecast", refuse)
    monkeypatch.setattr(memory, "free_memory", lambda: None)
    assert main(["train", "digits"]) == 1
    expected = "fastcnn: batch size 64 takes more than there is for a step; expected a smaller --batch-size or --model"
    assert only_line(capsys) == expected


# Wrong command lines


def only_line(capsys):
    """The only line on stderr besides progress."""
    printed = capsys.readouterr()
    said = [line for line in lines(printed.err) if not line.startswith("compil")]
    assert len(said) == 1, printed.err
    assert said[0].startswith("fastcnn: ")
    return said[0]


# What the command line got wrong: 2. What was found at work: 1.
WRONG = [
    ([], 2, "where an error comes from."),
    (["dance"], 2, "there is no command 'dance', expected one of train, evaluate"),
    (["evalute"], 2, "did you mean 'evaluate'?"),
    (["train"], 2, "required: DATASET"),
    (["train", "digits", "--epoch-s", "0"], 2, "there is no --epoch-s; did you mean '--epochs'?"),
    (["train", "digits", "--epochs", "0"], 2, "--epochs: '0', expected a whole number of at least 1"),
    (["train", "digits", "--epochs", "1.5"], 2, "--epochs: '1.5', expected a whole number"),
    (["train", "digits", "--lr", "nan"], 2, "--lr: 'nan', expected a positive number"),
    (["train", "digits", "--lr", "-1"], 2, "--lr: '-1', expected a positive number"),
    (["train", "digits", "--seed", "-1"], 2, "--seed: '-1', expected a whole number from 0 to"),
    (["train", "digits", "--seed", str(1 << 63)], 2, "expected a whole number from 0 to 2**63 - 1"),
    (["train", "digits", "--optimizer", "sdg"], 2, "--optimizer: 'sdg', expected one of sgd, adam, adamw, adamax, "
     "rmsprop, adagrad, adadelta, lion; "
                                                   "did you mean 'sgd'?"),
    (["train", "digits", "--schedule", "random"], 2, "--schedule: 'random', expected one of none, step"),
    (["train", "digits", "--augment", "mixup"], 2, "--augment: 'mixup', expected one of none, crop-flip"),
    (["train", "digits", "--resume"], 2, "--resume needs --out DIR"),
    (["train", "imagenet"], 2, "DATASET is 'imagenet', expected one of digits, mnist"),
    (["train", "minst"], 2, "did you mean 'mnist'?"),
    (["train", "digits", "--size", "8,8"], 2, "--size is for data of your own, not for digits"),
    (["train", "digits", "--model", "resnet21"], 2, "--model: 'resnet21', expected one of lenet5"),
    (["train", "digits", "--model", "lenet-5"], 2, "did you mean 'lenet5'?"),
    (["train", "digits", "--threads", "9999"], 2, "--threads is 9999, expected 1 to"),
    (["train", "digits", "--out", "README.md"], 1, "--out README.md is a file, expected a folder"),
    (["train", "digits", "--out", "{run}"], 1, "already holds a run"),
    (["train", "digits", "--lr", "0.5", "--out", "{run}", "--resume"], 2, "--lr is 0.5, expected 0.001 as the run was"),
    (["evaluate", "none.safetensors", "digits"], 1, "no file none.safetensors"),
    (["evaluate", "README.md", "digits"], 1, "README.md is damaged or no safetensors file"),
    (["evaluate", ".", "digits"], 1, "path is the folder ., expected a file"),
    (["evaluate", "{model}", "imagenet"], 2, "DATASET is 'imagenet', expected one of digits, mnist"),
    (["evaluate", "{model}", "README.md"], 2, "README.md, expected a folder of images, a table (.csv"),
    (["evaluate", "{model}", "digits", "--threads", "9999"], 2, "--threads is 9999, expected 1 to"),
    (["evaluate", "{model}", "digits", "--batch-size", "0"], 2, "--batch-size: '0', expected"),
    (["predict", "model.safetensors"], 2, "either image files are needed, or --index with --dataset"),
    (["predict", "model.safetensors", "--index", "1"], 2, "--index needs --dataset"),
    (["predict", "model.safetensors", "a.png", "--index", "1", "--dataset", "digits"], 2, "either image files are needed"),
    (["predict", "{model}", "none.png"], 1, "none.png: No such file"),
    (["predict", "{model}", "README.md"], 1, "README.md cannot be read as an image"),
    (["predict", "{model}", "tests"], 1, "tests has no image files"),
    (["predict", "{model}", "--dataset", "digits", "--index", "355"], 2, "--index is 355, expected 0 to 354"),
    (["summary", "lenet5", "--input-shape", "28x28"], 2, "--input-shape: '28x28', expected"),
    (["summary", "alexnet"], 2, "MODEL is 'alexnet', expected a file that train wrote or one of lenet5"),
    (["summary", "resnet-20"], 2, "did you mean 'resnet20'?"),
    (["summary", "alexnet.safetensors"], 1, "no file alexnet.safetensors"),
    (["summary", "vgg", "--input-shape", "2,2,1"], 2, "--input-shape is (2, 2, 1), expected larger images for vgg"),
    (["summary", "{model}", "--input-shape", "8,8,3"], 2, "--input-shape is (8, 8, 3), which the model does not take (x"),
    (["profile", "{model}", "--input-shape", "8,8,3"], 2, "--input-shape is (8, 8, 3), which the model does not take (x"),
    (["profile", "alexnet"], 2, "MODEL is 'alexnet', expected a file that train wrote or one of lenet5"),
    (["profile", "lenet5", "--repeats", "0"], 2, "--repeats: '0', expected a whole number of at least 1"),
    (["plot", "curves"], 2, "required: DIR"),
    (["plot", "painting", "."], 2, "argument PICTURE: 'painting', expected one of curves, filters"),
    (["plot", "curve", "."], 2, "did you mean 'curves'?"),
    (["plot", "curves", ".", "--format", "jpg"], 2, "--format: 'jpg', expected one of png, svg, pdf"),
    (["plot", "curves", "none"], 1, "none is no folder, expected one that train wrote"),
    (["plot", "curves", "tests"], 1, "there is no file tests/model.safetensors"),
    (["plot", "saliency", "{run}", "--index", "355"], 2, "--index is 355, expected 0 to 354"),
    (["plot", "filters", "{run}", "--layer", "conv1"], 2, "--layer is 'conv1', expected a Conv2D: one of 0, 3"),
    (["plot", "gradcam", "{run}", "--layer", "00"], 2, "--layer is '00', expected one that gives images: 0, 1, 2, 3"),
    (["plot", "features", "{run}", "--layer", "99"], 2, "--layer is '99', expected one of 0, 1, 2"),
    (["warmup", "lenet"], 2, "MODEL: 'lenet', expected one of lenet5"),
    (["verify", "no-such-row"], 2, "no row has 'no-such-row' in its name"),
    (["verify", "linear", "--threads", "9999"], 2, "--threads is 9999, expected 1 to"),
    (["bench", "linaer"], 2, "did you mean 'linear'?"),
    (["bench", "ladder", "relu"], 2, "ladder is timed alone, expected no relu"),
    (["bench", "relu", "--layer", "1,4,4,1,1"], 2, "--layer is for the ladder alone, expected: fastcnn bench ladder"),
    (["bench", "relu", "--out", "a.png"], 2, "--out is for the ladder alone"),
    (["bench", "ladder", "--layer", "8,8,1"], 2, "--layer: '8,8,1', expected five sizes such as 64,32,32,64,64"),
    (["bench", "ladder", "--layer", "1,8,8,1,0"], 2, "--layer: '0', expected a whole number of at least 1"),
    (["bench", "ladder", "--out", "a.docx"], 2, "--out: 'a.docx', expected a name that ends in .png, .svg or .pdf"),
]


@pytest.mark.parametrize("arguments, code, pattern", WRONG, ids=[" ".join(row[0]) or "nothing" for row in WRONG])
def test_wrong_command_lines(arguments, code, pattern, finished, monkeypatch, capsys):
    monkeypatch.chdir(REPOSITORY)
    arguments = [argument.replace("{model}", str(finished / "model.safetensors")).replace("{run}", str(finished))
                 for argument in arguments]
    assert main(arguments) == code
    printed = capsys.readouterr()
    said = [line for line in lines(printed.err) if not line.startswith("compil")]
    assert pattern in said[-1] and "Traceback" not in printed.err
    if arguments:  # without any, help says what there is
        assert len(said) == (2 if code == 2 else 1)  # how the command is used, and what is wrong
        assert said[-1].startswith("fastcnn") and ": create: " not in said[-1]
        assert code == 1 or said[0].startswith("usage: fastcnn ")


def test_without_arguments_the_commands_are_listed(capsys):
    assert main([]) == 2
    printed = capsys.readouterr()
    assert printed.out == "" and all(re.search(rf"^ +{name} ", printed.err, re.MULTILINE) for name in parser._COMMANDS)


# Results for programs


def records(capsys, arguments, code=0):
    """What a command prints with --json, and the lines on stderr."""
    assert main([*arguments, "--json"]) == code
    printed = capsys.readouterr()
    return [json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
            for line in printed.out.splitlines()], lines(printed.err)


def test_json_of_evaluate(finished, capsys):
    model = str(finished / "model.safetensors")
    (found,), _ = records(capsys, ["evaluate", model, "digits", "--report"])
    expected = fastcnn.evaluate(fastcnn.load(model), data.load("digits").test)
    assert {key: found[key] for key in ("model", "dataset", "images", "loss", "accuracy")} == {
        "model": model, "dataset": "digits", "images": 355, **expected}
    assert [row["class"] for row in found["classes"]] == [*"0123456789", "mean"] and 0.9 < found["top_5_accuracy"] <= 1


def test_json_of_predict(finished, capsys):
    model = str(finished / "model.safetensors")
    found, _ = records(capsys, ["predict", model, "--dataset", "digits", "--index", "3", "17", "--top", "2"])
    digits = data.load("digits").test
    expected = fastcnn.predict(fastcnn.load(model), digits.images[[3, 17]])
    for record, index, probabilities in zip(found, (3, 17), expected, strict=True):
        best = int(probabilities.argmax())
        assert len(record["likeliest"]) == 2
        assert (record["image"], record["truth"]) == (str(index), str(digits.labels[index]))
        assert record["likeliest"][0] == {"class": str(best), "probability": float(probabilities[best])}


def test_json_of_summary_and_profile(finished, capsys):
    model = str(finished / "model.safetensors")
    (found,), _ = records(capsys, ["summary", model])
    assert found["parameters"] == sum(layer["parameters"] for layer in found["layers"])
    assert found["layers"][0]["name"] == "0" and found["layers"][0]["output_shape"] == [4, 4, 12]
    assert found["training_memory"]["peak"] > 0 and found["input_shape"] == [8, 8, 1]
    (found,), _ = records(capsys, ["profile", model, "--batch-size", "8", "--repeats", "1"])
    assert found["batch_size"] == 8 and found["step_seconds"] > 0 and found["layers"][0]["forward"] > 0


def test_json_of_bench_and_verify(capsys):
    found, said = records(capsys, ["bench", "global_avg_pool2d_backward"])
    assert found and all(row["operation"] == "global_avg_pool2d_backward" and row["unit"] == "bytes/s" and row["seconds"] > 0
                         for row in found)
    assert any("reference: how many times as long plain numpy takes" in line for line in said)
    found, said = records(capsys, ["verify", "global_avg_pool2d_backward"])
    assert [(row["row"], row["failures"]) for row in found] == [("global_avg_pool2d_backward", [])]
    assert found[0]["passed"] > 3 and said[-1].startswith(f"{found[0]['passed']} checks passed, 0 failed, 1 rows")


LADDER = "bench", "ladder", "--layer", "1,5,6,3,4", "--threads"
RUNGS = ("numpy reference", None), ("textbook loops", 1), ("textbook loops", 2), ("register tile", 2), ("Winograd", 2)


@pytest.fixture
def threads_set():
    """Let the command set the number of threads for one test."""
    before = fastcnn.get_num_threads()
    yield
    fastcnn.set_num_threads(before)


@pytest.mark.usefixtures("threads_set")
@pytest.mark.parametrize("threads", ["1", "2"])
def test_json_of_the_ladder(threads, tmp_path, capsys):
    path = tmp_path / "ladder.png"
    (*found, picture), said = records(capsys, [*LADDER, threads, "--out", str(path)])
    said = [line for line in said if not line.startswith("compil")]
    expected = RUNGS if threads == "2" else [(name, count and 1) for name, count in RUNGS if (name, count) != RUNGS[2]]
    assert [(rung["rung"], rung["threads"]) for rung in found] == list(expected)
    assert all(rung["rate"] * rung["seconds"] == pytest.approx(2 * 5 * 6 * 4 * 27) for rung in found)
    for above, rung in itertools.pairwise(found):
        assert rung["times_as_fast_as_above"] == pytest.approx(above["seconds"] / rung["seconds"])
    assert picture == {"picture": "ladder", "path": str(path)} and path.stat().st_size > 1000
    assert said[0].startswith("3x3 convolution of 1 image of 5x6, 3 to 4 channels")
    assert doctor.cpu_name() in said[1] and f"{threads} thread" in said[1]


@pytest.mark.usefixtures("threads_set")
def test_the_ladder_fits_80_columns_and_checks_before_it_times(capsys, monkeypatch):
    assert main([*LADDER, "2"]) == 0
    printed = lines(capsys.readouterr().out)
    assert max(map(len, printed[2:])) < 80 and printed[2].split()[:2] == ["rung", "threads"] and len(printed) == 11
    wrong = functional.loops.forward
    monkeypatch.setattr(functional.loops, "forward", lambda x, *others: wrong(2 * x, *others))
    assert main([*LADDER, "2"]) == 1
    assert "expected" in only_line(capsys)


@pytest.mark.usefixtures("threads_set")
def test_the_ladder_without_matplotlib(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(extras.EXTRAS, "plot", extras.EXTRAS["plot"]._replace(module="absent"))
    monkeypatch.setattr(ladder, "climb", lambda layer: pytest.fail("it is measured first"))
    assert main([*LADDER, "2", "--out", str(tmp_path / "ladder.png")]) == 1
    assert only_line(capsys) == "fastcnn: drawing of pictures needs matplotlib: pip install 'fastcnn[plot]'"


def test_json_of_verify_has_the_failures(monkeypatch, capsys):
    monkeypatch.setattr(verification.Trial, "run", lambda trial: 1 / 0)
    (found,), _ = records(capsys, ["verify", "global_avg_pool2d_backward"], code=1)
    assert found["failures"] and all("ZeroDivisionError" in failure for failure in found["failures"])
    assert main(["verify", "global_avg_pool2d_backward", "--quiet"]) == 1
    assert "FAILED" in lines(capsys.readouterr().out)[0]


def test_json_of_models_doctor_plot_warmup_and_train(finished, tmp_path, capsys):
    found, _ = records(capsys, ["models"])
    assert [row["name"] for row in found] == list(models.names())
    found, _ = records(capsys, ["doctor"])
    assert {"subject", "text", "fix", "broken"} == set(found[0])
    found, _ = records(capsys, ["plot", "filters", str(finished), "--out", str(tmp_path)])
    assert found == [{"picture": "filters", "path": str(tmp_path / "filters.png")}]
    found, _ = records(capsys, ["warmup", "strided_cnn"])
    assert found[0]["models"] == ["strided_cnn"]
    (found,), said = records(capsys, [*QUICK, "--epochs", "1", "--out", str(tmp_path / "run")])
    assert found["epoch"] == 1 and found["model"] == str(tmp_path / "run" / "model.safetensors")
    assert said[0].startswith("data     digits")


def test_json_has_null_for_what_is_no_number():
    plain = output._plain({"a": np.float32("nan"), "b": [np.inf, (np.int64(3), np.array([1.5, -np.inf]))], 3: Path("x"),
                           "c": True, "d": None})
    assert plain == {"a": None, "b": [None, [3, [1.5, None]]], "3": "x", "c": True, "d": None}
    assert json.dumps(plain, allow_nan=False)


def test_quiet_leaves_results_alone(finished, tmp_path, capsys):
    model = str(finished / "model.safetensors")
    for arguments, expected in (
            (["evaluate", model, "digits"], 1), (["predict", model, "--dataset", "digits", "--index", "1", "2"], 2),
            (["bench", "global_avg_pool2d_backward"], 1), (["verify", "global_avg_pool2d_backward"], 0),
            ([*QUICK, "--epochs", "1"], 1), (["plot", "filters", str(finished), "--out", str(tmp_path)], 1)):
        assert main([*arguments, "--quiet"]) == 0
        printed = capsys.readouterr()
        assert (len(lines(printed.out)), printed.err) == (expected, ""), arguments


# Pictures and profiles


def test_every_picture(finished, tmp_path, capsys):
    assert main(["plot", "all", str(finished), "--out", str(tmp_path / "pictures")]) == 0
    expected = [f"{name}.{'svg' if name == 'architecture' else 'png'}" for name in recipes.PICTURES]
    assert lines(capsys.readouterr().out) == [str(tmp_path / "pictures" / name) for name in expected]
    assert sorted(path.name for path in (tmp_path / "pictures").iterdir()) == sorted(expected)


def test_pictures_of_a_layer_and_of_chosen_images(finished, tmp_path, capsys):
    options = ["--layer", "3", "--format", "svg", "--dataset", "digits", "--index", "5", "7", "--out", str(tmp_path)]
    assert main(["plot", "filters", "features", "gradcam", str(finished), *options]) == 0
    assert "layer 3: Conv2D(12, 24, 3" in re.sub(r"<!-- (.*?) -->", r"\1", (tmp_path / "features.svg").read_text())


def test_plot_without_a_data_set(finished, tmp_path, capsys):
    (tmp_path / "model.safetensors").write_bytes((finished / "model.safetensors").read_bytes())
    (tmp_path / "history.jsonl").write_text("[1,")
    assert main(["plot", "confusion", str(tmp_path)]) == 2
    said = lines(capsys.readouterr().err)[-1]
    assert said == f"fastcnn plot: error: {tmp_path} does not tell its data set, expected --dataset"
    assert main(["plot", "curves", str(tmp_path)]) == 1
    assert "history.jsonl is damaged" in only_line(capsys)
    for line in ("[1]", "{}", '{"epoch": 1}', "3"):
        (tmp_path / "history.jsonl").write_text(f"{line}\n")
        assert main(["plot", "curves", str(tmp_path)]) == 1
        assert "history.jsonl is damaged: line 1 is no epoch, expected an object with epoch, " in only_line(capsys)
    assert main(["plot", "filters", str(tmp_path)]) == 0


def test_plot_without_matplotlib(finished, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(extras.EXTRAS, "plot", extras.EXTRAS["plot"]._replace(module="absent"))
    assert main(["plot", "filters", str(finished), "--out", str(tmp_path)]) == 1
    assert only_line(capsys) == "fastcnn: drawing of pictures needs matplotlib: pip install 'fastcnn[plot]'"
    assert main(["plot", "architecture", str(finished), "--out", str(tmp_path)]) == 0


def test_profile(finished, capsys):
    assert main(["profile", str(finished / "model.safetensors"), "--batch-size", "8", "--repeats", "2"]) == 0
    out = lines(capsys.readouterr().out)
    assert out[0].split()[:3] == ["name", "layer", "output"] and out[2].split()[1].startswith("Conv2D(1,")
    assert re.search(r"whole step of 8 images, neighbours fused: [\d.]+ ms, [\d,]+ images/s, \d+% of .* GFLOP/s", out[-1])


def test_report_of_each_class(finished, capsys):
    assert main(["evaluate", str(finished / "model.safetensors"), "digits", "--report"]) == 0
    out = lines(capsys.readouterr().out)
    assert [line.split()[0] for line in out[1:13]] == ["class", *"0123456789", "mean"]
    assert out[-1].startswith("the true class is among the five likeliest: ")


def test_missing_data_without_a_network(tmp_path, monkeypatch, capsys):
    def refuse(file, folder):
        raise data.DownloadError(f"{file.name}: no mirror gave the file (offline)")

    monkeypatch.setattr(data, "fetch", refuse)
    assert main(["train", "mnist", "--data-dir", str(tmp_path)]) == 1
    assert "no mirror gave the file" in only_line(capsys)


def test_truncated_data(tmp_path, capsys):
    folder = tmp_path / "mnist"
    folder.mkdir()
    for name in ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"):
        (folder / f"{name}.gz").write_bytes(gzip.compress(b"\0\0\x08\x01\0\0\0\x05\1\2\3\4\5")[:-6])
    assert main(["train", "mnist", "--data-dir", str(tmp_path)]) == 1
    assert "train-labels-idx1-ubyte.gz" in only_line(capsys)


def test_a_model_for_other_images(finished, tmp_path, capsys):
    fastcnn.save(models.create("two_conv", (28, 28, 1), 10), tmp_path / "other.safetensors")
    assert main(["evaluate", str(tmp_path / "other.safetensors"), "digits"]) == 1
    assert "digits has images of shape (8, 8, 1), the model takes (28, 28, 1)" in only_line(capsys)
    fastcnn.save(models.create("two_conv", (8, 8, 1), 3), tmp_path / "three.safetensors")
    assert main(["evaluate", str(tmp_path / "three.safetensors"), "digits"]) == 1
    assert "digits has 10 classes, the model tells 3 apart" in only_line(capsys)


def test_missing_extra_says_what_to_install(finished, monkeypatch, capsys):
    monkeypatch.setitem(extras.EXTRAS, "image", extras.EXTRAS["image"]._replace(module="absent"))
    assert main(["predict", str(finished / "model.safetensors"), "image.png"]) == 1
    assert only_line(capsys) == "fastcnn: reading of image files needs pillow: pip install 'fastcnn[image]'"


def test_debug_shows_the_traceback(monkeypatch):
    monkeypatch.setenv("FASTCNN_DEBUG", "1")
    with pytest.raises(ValueError, match="imagenet"):
        main(["train", "imagenet"])


def test_a_bug_is_not_hidden(monkeypatch):
    monkeypatch.setattr(models, "names", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        main(["summary", "lenet5"])


# The machine


def test_doctor(capsys, tmp_path):
    assert main(["doctor", "--data-dir", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    for subject in ("versions", "CPU", "threads", "layer", "cache", "memory", "data", "extras"):
        assert re.search(rf"^{subject} ", out, re.MULTILINE)
    assert "mnist, fashion-mnist, cifar10, cifar100: downloaded to there on first use" in out
    assert lines(out)[-1] == "all is well"


def test_doctor_names_what_is_broken_and_the_fix(monkeypatch, capsys):
    monkeypatch.setattr(doctor.cache, "is_private", lambda: False)
    monkeypatch.setattr(doctor.threads, "quota", lambda: 1.5)
    monkeypatch.setattr(extras, "is_installed", lambda name: name != "plot")
    assert main(["doctor"]) == 1
    out = capsys.readouterr().out
    assert "BROKEN: " in out
    assert "FASTCNN_CACHE" in out
    assert "container quota of 1.5 CPUs" in out
    assert "pip install 'fastcnn[plot]'" in out
    assert lines(out)[-1] == "1 to repair"


def test_doctor_explains_the_threading_layer(monkeypatch):
    monkeypatch.setattr(doctor.threads, "layer", lambda: "workqueue")
    finding = next(finding for finding in doctor.examine() if finding.subject == "layer")
    assert "one Python thread at a time" in finding.text
    monkeypatch.setattr(doctor.numba, "get_num_threads", lambda: (_ for _ in ()).throw(ValueError("No threading layer")))
    finding = next(finding for finding in doctor.examine() if finding.subject == "layer")
    assert finding.broken
    assert "NUMBA_THREADING_LAYER" in finding.fix


def test_warmup(capsys):
    assert main(["warmup", "strided_cnn"]) == 0
    assert main(["warmup", "strided_cnn"]) == 0
    printed = capsys.readouterr()
    assert lines(printed.out)[-1] == "nothing to compile: the kernels of strided_cnn were ready"


def test_compilation_is_announced_in_plain_lines(capsys):
    inner = njit(lambda x: x + 1)
    outer = njit(lambda x: inner(x) + 1)
    with compiling() as compilation:
        assert outer(1) == 3
    assert compilation.kernels == 1
    begun, done = lines(capsys.readouterr().err)
    assert begun == "compiling kernels, once on this machine, for a minute or so ..."
    assert re.fullmatch(r"compiled 1 kernel in \d+\.\d s", done)


def test_compilation_is_announced_in_a_terminal(capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    with compiling():
        njit(lambda x: x + 2)(1)
    shown = capsys.readouterr().err
    assert "\r\x1b[2Kcompiling kernels, once on this machine: 1, <lambda> (0 s)" in shown
    assert shown.endswith(" s\n")


def test_nothing_is_announced_where_nothing_is_compiled(capsys):
    with compiling():
        pass
    assert capsys.readouterr().err == ""


def test_verify(capsys):
    assert main(["verify", "linear"]) == 0
    assert re.fullmatch(r"\d+ checks passed, 0 failed, \d+ rows, \d+ s", lines(capsys.readouterr().out)[-1])


# Curves


def test_curves(tmp_path):
    history = [{"epoch": epoch, "train_loss": 1 / epoch, "train_accuracy": 1 - 1 / epoch, "test_loss": None,
                "test_accuracy": None} for epoch in (1, 2, 3)]
    plot.curves(history, tmp_path / "curves.png")
    assert [path.name for path in tmp_path.iterdir()] == ["curves.png"]
    with pytest.raises(ValueError, match="history is empty"):
        plot.curves([], tmp_path / "none.png")


def test_curves_without_matplotlib(tmp_path, monkeypatch):
    monkeypatch.setitem(extras.EXTRAS, "plot", extras.EXTRAS["plot"]._replace(module="absent"))
    with pytest.raises(extras.MissingExtraError, match=r"pip install 'fastcnn\[plot\]'"):
        plot.curves([{}], tmp_path / "curves.png")
