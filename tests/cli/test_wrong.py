"""Command lines that are wrong, and problems found at work."""

import re

import pytest

from fastcnn.cli import main, parser
from tests.cli.setting import REPOSITORY, lines

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
    (["bench", "tiles", "relu"], 2, "tiles is timed alone, expected no relu"),
    (["bench", "tiles", "--threads", "2"], 2, "--threads is 2, expected 1: tiles are timed on one thread"),
    (["bench", "--choices", "LeNet9"], 1, "no convolution has 'LeNet9' in its name"),
    (["bench", "--choices", "--out", "a.png"], 2, "--layer and --out are for the ladder alone"),
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
