"""Loggers: what they wrote, read back by the tools that they write for."""

import struct
import time

import numpy as np
import pytest

import fastcnn
from fastcnn import data, extras, models, optim
from fastcnn.training import Callback, Checkpoint, Logger, MLflowLogger, TensorBoardLogger, WandbLogger

DIGITS = data.load("digits")
TRAIN, TEST = DIGITS.train.subset(64), DIGITS.test.subset(32)
NAMES = {"train_loss", "train_accuracy", "test_loss", "test_accuracy", "learning_rate", "seconds", "images_per_second"}


def fit(*callbacks, epochs=2, **options):
    model = models.create("strided_cnn", (8, 8, 1), 10)
    optimizer = optim.SGD(model.parameters(), 0.1, momentum=0.9)
    return fastcnn.fit(model, TRAIN, **{"validation": TEST, **options}, optimizer=optimizer, batch_size=32, epochs=epochs,
                       callbacks=callbacks, progress=False)


class Kept(Logger):
    """Keeps what it is given."""

    def __init__(self):
        self.opened, self.logged, self.closed = [], [], []

    def open(self, run, settings):
        self.opened.append((self.run_id, settings))
        self.run_id = self.run_id or "run 1"

    def log(self, name, value, step):
        self.logged.append((name, value, step))

    def close(self, complete):
        self.closed.append(complete)


class Ended(Callback):
    def on_epoch_end(self, run, record):
        raise MemoryError


def values(history, name):
    return [(record["epoch"], record[name]) for record in history]


def test_a_logger_gets_every_number_with_its_name_and_epoch_and_the_settings():
    kept = Kept()
    history = fit(kept)
    assert kept.logged == [(name, value, record["epoch"]) for record in history for name, value in record.items()
                           if name != "epoch"]
    (none, settings), = kept.opened
    assert none is None and kept.closed == [True] and set(map(type, settings.values())) <= {str, int, float, bool}
    assert settings["optimizer.kind"] == "SGD" and settings["optimizer.momentum"] == 0.9 and settings["batch_size"] == 32
    assert settings["epochs"] == 2 and "classes" not in settings


def test_what_was_not_measured_is_not_logged():
    kept = Kept()
    fit(kept, epochs=1, validation=None)
    assert {name for name, _, _ in kept.logged} == {name for name in NAMES if not name.startswith("test")}


def test_an_error_closes_the_logger_as_not_complete():
    kept = Kept()
    with pytest.raises(MemoryError):
        fit(kept, Ended())
    assert kept.closed == [False]


def test_a_resumed_run_goes_on_with_the_tracked_one_and_a_new_one_does_not(tmp_path):
    kept = Kept()
    fit(kept, Checkpoint(tmp_path), epochs=1)
    resumed = Kept()
    fit(resumed, epochs=3, resume=tmp_path)
    assert resumed.opened[0][0] == "run 1" and {step for _, _, step in resumed.logged} == {2, 3}
    fit(kept, epochs=1)
    assert [run_id for run_id, _ in kept.opened] == [None, None]


def test_an_unfinished_logger_says_what_is_missing():
    with pytest.raises(NotImplementedError, match=r"^Logger cannot begin: define open\(self, run, settings\)$"):
        fit(Logger())
    with pytest.raises(NotImplementedError, match=r"define log\(self, name, value, step\)"):
        Logger().log("train_loss", 1.0, 1)


@pytest.mark.parametrize(("name", "make"), [
    ("tensorboard", lambda: TensorBoardLogger("runs")), ("mlflow", MLflowLogger), ("wandb", WandbLogger)])
def test_without_its_package_a_logger_names_the_extra(name, make, monkeypatch):
    monkeypatch.setitem(extras.EXTRAS, name, extras.EXTRAS[name]._replace(module="absent"))
    with pytest.raises(ImportError, match=rf"^\w+Logger needs \w+: pip install 'fastcnn\[{name}\]'$"):
        make()


def test_tensorboard_reads_what_was_written(tmp_path):
    pytest.importorskip("tensorboardX", reason="writes the event files")
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator", reason="reads event files")
    history = fit(TensorBoardLogger(tmp_path / "run"), Checkpoint(tmp_path / "states"))
    again = fit(TensorBoardLogger(tmp_path / "run"), epochs=3, resume=tmp_path / "states")
    events = reader.EventAccumulator(str(tmp_path / "run")).Reload()
    assert set(events.Tags()["scalars"]) == NAMES
    for name in NAMES:
        assert [event.step for event in events.Scalars(name)] == [1, 2, 3]
        assert [event.value for event in events.Scalars(name)] == [np.float32(value) for _, value in values(again, name)]
    assert again[:2] == history
    text = events.Tensors("settings/text_summary")[0].tensor_proto.string_val[0].decode()
    assert "optimizer.kind: SGD" in text and "batch_size: 32" in text


def test_tensorboard_hides_epochs_that_a_resumed_run_trains_again(tmp_path):
    pytest.importorskip("tensorboardX", reason="writes the event files")
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator", reason="reads event files")
    fit(TensorBoardLogger(tmp_path / "run"), Checkpoint(tmp_path / "states"), epochs=1)
    fit(TensorBoardLogger(tmp_path / "run"), epochs=3, resume=tmp_path / "states")
    fit(TensorBoardLogger(tmp_path / "run"), epochs=3, resume=tmp_path / "states")
    events = reader.EventAccumulator(str(tmp_path / "run")).Reload()
    assert [event.step for event in events.Scalars("train_loss")] == [1, 2, 3]


def test_mlflow_reads_what_was_written(tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow", reason="the client that reads the runs")
    pytest.importorskip("sqlalchemy", reason="the store in a file")
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    monkeypatch.chdir(tmp_path)  # where MLflow makes a folder for other files
    logger = MLflowLogger("digits", tracking_uri=uri, name="first")
    fit(logger, Checkpoint(tmp_path / "states"), epochs=1)
    again = fit(MLflowLogger("digits", tracking_uri=uri), epochs=2, resume=tmp_path / "states")
    client = mlflow.MlflowClient(uri)
    run, = client.search_runs([client.get_experiment_by_name("digits").experiment_id])
    assert run.info.run_id == logger.run_id and run.info.status == "FINISHED" and run.info.run_name == "first"
    assert run.data.params["optimizer.momentum"] == "0.9" and set(run.data.metrics) == NAMES
    for name in NAMES:
        found = [(metric.step, metric.value) for metric in client.get_metric_history(logger.run_id, name)]
        assert found == values(again, name)
    with pytest.raises(MemoryError):
        fit(MLflowLogger("digits", tracking_uri=uri), Ended())
    states = {run.info.status for run in client.search_runs(run.info.experiment_id.split())}
    assert states == {"FINISHED", "KILLED"}


def records_of(path, kind):
    """The records of a run's file: blocks in the format of LevelDB's log, each record whole in one of them."""
    content, position = path.read_bytes(), 7
    assert content[:4] == b":W&B" and len(content) < 1 << 15
    while position < len(content):
        length, = struct.unpack_from("<H", content, position + 4)
        record = kind()
        record.ParseFromString(content[position + 7:position + 7 + length])
        position += 7 + length
        yield record


def written(path, kind):
    """All records of a run, which another process may still be writing when the run has ended."""
    deadline = time.monotonic() + 20
    while not (records := list(records_of(path, kind))) or not records[-1].HasField("exit"):
        assert time.monotonic() < deadline, f"{len(records)} records, none of them the exit"
        time.sleep(0.1)
    return records


def test_wandb_writes_a_run_without_a_network(tmp_path, monkeypatch):
    pytest.importorskip("wandb", reason="writes the runs")
    from wandb.proto.wandb_internal_pb2 import Record

    for name, value in {"WANDB_SILENT": "true", "WANDB_ERROR_REPORTING": "false"}.items():
        monkeypatch.setenv(name, value)
    history = fit(WandbLogger("digits", folder=tmp_path, name="first"))
    path, = tmp_path.glob("wandb/offline-run-*/*.wandb")
    records = written(path, Record)
    run, = (record.run for record in records if record.HasField("run"))
    config = {item.key: item.value_json for item in run.config.update}
    assert (run.project, run.display_name) == ("digits", "first") and config["optimizer.kind"] == '"SGD"'
    rows = [{item.key or item.nested_key[0]: float(item.value_json) for item in record.history.item}
            for record in records if record.HasField("history")]
    assert [{name: row[name] for name in NAMES} for row in rows] == [
        {name: pytest.approx(record[name]) for name in NAMES} for record in history]
    assert [row["_step"] for row in rows] == [1, 2]
