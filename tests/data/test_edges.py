"""Data at the edges of what is taken: limits to the last byte, defaults, and forms of files that are rare."""

import base64
import csv
import gzip
import hashlib
import io
import logging
import struct
import sys
import threading
import warnings
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from xml.etree import ElementTree

import numpy as np
import PIL
import pytest
import requests
from PIL import Image

from fastcnn import data
from fastcnn.data import download, folder, formats, image_files, npz, preview, reader, sources, table
from fastcnn.data.image_files import ImageReader
from fastcnn.data.sources import RemoteFile
from fastcnn.shapes import DataFormatError, DTypeError, ShapeError

RANDOM = np.random.default_rng(0)
IMAGES = np.arange(4 * 3 * 5, dtype=np.uint8).reshape(4, 3, 5, 1)
LABELS = np.array([0, 1, 1, 0])


# Splits


def test_a_split_of_one_pixel():
    split = data.Split(np.full((1, 1, 1, 1), 7, np.uint8), [0])
    assert len(split) == 1 and split.classes == ("0",)


def test_all_classes_may_occur_in_another_order():
    split = data.Split(IMAGES, [0, 1, 2, 0], ["a", "b", "c"]).as_classes(["c", "b", "a"])
    assert split.labels.tolist() == [2, 1, 0, 2] and split.classes == ("c", "b", "a")


def test_defaults_of_the_parts_of_a_split():
    split = data.from_arrays(np.arange(40, dtype=np.uint8).reshape(40, 1, 1, 1), np.repeat([0, 1], [30, 10]))
    train, validation = data.train_validation_split(split)
    assert np.bincount(validation.labels).tolist() == [6, 2] and np.bincount(train.labels).tolist() == [24, 8]
    same = data.train_validation_split(split, 0.2, seed=0, stratified=True)
    assert np.array_equal(validation.images, same[1].images)


def test_the_share_of_a_part_is_below_1():
    with pytest.raises(ValueError, match=r"share is 1.0, expected a finite number of at least 0 and below 1"):
        data.train_validation_split(data.from_arrays(IMAGES, LABELS), 1.0)


def test_a_data_set_that_lacks_files_asks_for_them_at_its_first_folder(tmp_path, monkeypatch):
    asked = []

    def fetch(file, place):
        asked.append((file.name, place))
        image = file.name.endswith("images.gz")
        (place / file.name).write_bytes(idx(np.zeros((3, 2, 2) if image else 3, np.uint8)))

    names = ["train-images.gz", "train-labels.gz", "test-images.gz", "test-labels.gz"]
    files = tuple(RemoteFile(name, 1, "", ()) for name in names)
    source = sources.IdxSource(files, (2, 2), (4, 3), ("first", "second"), ("a", "b"))
    monkeypatch.setattr("fastcnn.data.fetch", fetch)
    monkeypatch.setitem(sources.SOURCES, "mnist", source)
    (tmp_path / "first").mkdir()
    loaded = data.load("mnist", tmp_path)
    assert asked == [(name, tmp_path / "first") for name in names]
    assert loaded.train.images.shape == (3, 2, 2, 1) and loaded.test.labels.tolist() == [0, 0, 0]
    monkeypatch.setitem(sources.SOURCES, "mnist", sources.IdxSource(files, (2, 2), (3, 2), ("first",), ("a", "b")))
    with pytest.raises(DataFormatError, match=r"test-labels\.gz: .* promises 3 bytes .*at most 2 in this file"):
        data.load("mnist", tmp_path)


def test_files_have_an_address_on_each_mirror():
    file, other, *_ = sources._idx_files(("https://a/", "https://b/"), [(index, "0") for index in range(4)])
    assert file.mirrors == ("https://a/train-images-idx3-ubyte.gz", "https://b/train-images-idx3-ubyte.gz")
    assert (other.name, other.size) == ("train-labels-idx1-ubyte.gz", 1)
    assert sources.SOURCES["cifar10"].archive.mirrors == ("https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",)
    assert sources.SOURCES["cifar100"].archive.mirrors == ("https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",)


# idx and CIFAR files


def idx(array):
    return struct.pack(f">{1 + array.ndim}I", 0x800 | array.ndim, *array.shape) + array.tobytes()


def cifar(count, labels=1):
    records = RANDOM.integers(0, 256, (count, labels + 3072), dtype=np.uint8)
    records[:, :labels] = np.arange(count)[:, np.newaxis] % 10
    return records


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_idx_files_of_as_many_bytes_as_are_allowed(pack, tmp_path):
    path, pixels = tmp_path / "file", np.arange(60, dtype=np.uint8).reshape(5, 4, 3)
    path.write_bytes(pack(idx(pixels)))
    assert formats.read_idx_images(path, max_bytes=60).shape == (5, 4, 3, 1)
    with pytest.raises(DataFormatError, match=r"promises 60 bytes .*at most 59 in this file"):
        formats.read_idx_images(path, max_bytes=59)
    path.write_bytes(pack(idx(np.zeros(60, np.uint8))))
    assert len(formats.read_idx_labels(path, 1, max_bytes=60)) == 60
    with pytest.raises(DataFormatError, match=r"promises 60 bytes .*at most 59 in this file"):
        formats.read_idx_labels(path, 1, max_bytes=59)


def test_an_idx_file_of_one_pixel(tmp_path):
    (tmp_path / "file").write_bytes(idx(np.full((1, 1, 1), 9, np.uint8)))
    assert formats.read_idx_images(tmp_path / "file").tolist() == [[[[9]]]]


def test_a_gzipped_header_promises_what_deflate_can_hold(tmp_path):
    """1032 bytes for each that is packed, less the header itself."""
    path = tmp_path / "file"
    path.write_bytes(gzip.compress(struct.pack(">4I", 2051, 1, 1, 10**9), mtime=0))
    most = 1032 * path.stat().st_size - 16
    with pytest.raises(DataFormatError, match=f"promises 1000000000 bytes .*at most {most} in this file"):
        formats.read_idx_images(path, max_bytes=1 << 40)


def test_gzip_looks_back_over_32_kib_in_the_first_member(tmp_path):
    block = RANDOM.integers(0, 256, (1, 30, 1000), dtype=np.uint8)
    (tmp_path / "file").write_bytes(gzip.compress(idx(np.concatenate([block, block]))))
    assert np.array_equal(formats.read_idx_images(tmp_path / "file")[1, ..., 0], block[0])


def test_cifar_files_that_are_full(tmp_path):
    for name in "ab":
        (tmp_path / name).write_bytes(cifar(4).tobytes())
    images, labels = formats.read_cifar([tmp_path / "a", tmp_path / "b"], (10,), 4)
    assert images.shape == (8, 32, 32, 3) and labels.tolist() == [0, 1, 2, 3] * 2


def test_cifar_files_are_not_unpacked(tmp_path):
    raw = cifar(1)
    raw[0, :2] = 0x1F, 0x8B  # as gzip begins
    (tmp_path / "a").write_bytes(raw.tobytes())
    with pytest.raises(DataFormatError, match=r"label 31 \(largest 31\); expected 0 to 9"):
        formats.read_cifar([tmp_path / "a"], (10,), 4)


def test_an_archive_may_have_full_members_with_their_headers_and_no_more(tmp_path, monkeypatch):
    """Each of two members takes a header and up to a block of padding; a block of zeros twice ends the archive."""
    import tarfile

    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name in ("a.bin", "t.bin"):
            member = tarfile.TarInfo(name)
            member.size = 3073
            archive.addfile(member, io.BytesIO(cifar(1).tobytes()))
    raw = buffer.getvalue()[: 2 * (512 + 7 * 512) + 1024]
    (tmp_path / "file").write_bytes(raw)
    monkeypatch.setattr(formats, "_ARCHIVE_SLACK", len(raw) - 2 * (3073 + 1024))
    assert len(formats.read_cifar_archive(tmp_path / "file", "inner", [["a.bin"], ["t.bin"]], (10,), 1)) == 2
    monkeypatch.setattr(formats, "_ARCHIVE_SLACK", len(raw) - 2 * (3073 + 1024) - 1)
    with pytest.raises(DataFormatError, match=f"more than {len(raw) - 1} bytes unpacked"):
        formats.read_cifar_archive(tmp_path / "file", "inner", [["a.bin"], ["t.bin"]], (10,), 1)


# Downloads

BODY = RANDOM.bytes(1_000_000)


class Server(ThreadingHTTPServer):
    """Gives `body` from the asked byte on, but at most `most` bytes of it, or an answer of that status alone."""

    daemon_threads = True
    body, most, status = BODY, len(BODY), 206

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked = []

    def file(self):
        url = f"http://127.0.0.1:{self.server_port}/file.gz"
        return RemoteFile("file.gz", len(BODY), hashlib.sha256(BODY).hexdigest(), (url,))


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        first = int(self.headers["Range"].removeprefix("bytes=").removesuffix("-"))
        self.server.asked.append(first)
        self.close_connection = True
        self.send_response(self.server.status)
        rest = self.server.body[first:] if self.server.status < 300 else b""
        self.send_header("Content-Length", str(len(rest)))
        self.send_header("Content-Range", f"bytes {first}-{len(BODY) - 1}/{len(BODY)}")
        if self.server.status == 302:
            self.send_header("Location", "file:///etc/passwd")
        self.end_headers()
        self.wfile.write(rest[: self.server.most])

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with Server() as running:
        threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield running
        running.shutdown()


def test_a_download_that_is_cut_50_times_is_given_up(server, tmp_path):
    server.most = 17_000
    with pytest.raises(download.DownloadError, match=r"cut 50 times, \d+ of 1000000 bytes came"):
        download.fetch(server.file(), tmp_path)
    assert len(server.asked) == 50 and server.asked == sorted(set(server.asked))
    server.most = len(BODY)
    assert download.fetch(server.file(), tmp_path).read_bytes() == BODY and server.asked[-1] > server.asked[-2]


def test_a_download_shows_a_bar_in_terminals_alone(server, tmp_path, monkeypatch, capfd):
    download.fetch(server.file(), tmp_path / "quiet")
    assert capfd.readouterr().err == ""
    monkeypatch.setattr("fastcnn.streams.is_terminal", lambda stream: True)
    server.most = 400_000
    download.fetch(server.file(), tmp_path / "shown")
    last = capfd.readouterr().err.rstrip().split("\r")[-1]
    assert last.startswith("file.gz: 100%|") and " 1.00M/1.00M [" in last, "what came before a cut counts once"


def test_the_library_that_downloads_says_nothing_of_its_own(server, tmp_path):
    import pooch

    said = []
    handler = logging.Handler()
    handler.emit = said.append
    logger = pooch.get_logger()
    logger.setLevel("INFO")
    logger.addHandler(handler)
    try:
        download.fetch(server.file(), tmp_path)
    finally:
        logger.removeHandler(handler)
    assert not said


def test_a_file_that_is_there_is_taken_whatever_is_in_it(server, tmp_path):
    (tmp_path / "file.gz").write_bytes(b"the user's own")
    assert download.fetch(server.file(), tmp_path).read_bytes() == b"the user's own" and not server.asked


def test_wrong_bytes_are_named_also_after_a_bad_beginning(server, tmp_path):
    server.body = bytes(len(BODY))
    (tmp_path / "file.gz.part").write_bytes(b"bad")
    with pytest.raises(download.DownloadError, match="wrong bytes"):
        download.fetch(server.file(), tmp_path)
    assert server.asked == [3, 0]


def test_a_bad_beginning_is_given_up_for_the_same_mirror(server, tmp_path):
    (tmp_path / "file.gz.part").write_bytes(b"bad")
    assert download.fetch(server.file(), tmp_path).read_bytes() == BODY and server.asked == [3, 0]


def test_a_mirror_that_leads_elsewhere_is_asked_once(server, tmp_path):
    server.status = 302
    (tmp_path / "file.gz.part").write_bytes(BODY[:5])
    with pytest.raises(download.DownloadError, match="No connection adapters"):
        download.fetch(server.file(), tmp_path)
    assert server.asked == [5]


def test_a_range_that_is_refused_from_the_start(server, tmp_path):
    server.status = 416
    with pytest.raises(download.DownloadError, match="status 416 Requested Range Not Satisfiable"):
        download.fetch(server.file(), tmp_path)


def test_a_certificate_that_is_not_trusted_is_named():
    assert download._reason(requests.exceptions.SSLError("bad")) == "no trusted https connection"


# Folders and pictures


def test_problems_of_files_are_one_line_each():
    assert folder.problem(OSError(13, "Permission denied", "a.png")) == "a.png: Permission denied"
    assert folder.problem(OSError(5, "Input/output error")) == "[Errno 5] Input/output error"
    assert folder.problem(OSError("gone")) == "gone" and folder.problem(DataFormatError("bad")) == "bad"


@pytest.mark.parametrize("size", [(8,), (8, 8, 8), [8]])
def test_a_size_of_images_is_two_numbers(tmp_path, size):
    with pytest.raises(ShapeError, match="size"):
        data.from_folder(tmp_path, size=size)


def saved(tmp_path, image, name="a.png", **options):
    (tmp_path / "all").mkdir(exist_ok=True)
    image.save(tmp_path / "all" / name, **options)
    return tmp_path


def test_the_middle_of_an_image_of_the_right_height_or_width_is_cut_out_as_it_is(tmp_path):
    pixels = RANDOM.integers(0, 256, (4, 10), dtype=np.uint8)
    place = saved(tmp_path, Image.fromarray(pixels))
    assert np.array_equal(data.from_folder(place, (4, 4), grey=True, resize="crop").images[0, ..., 0], pixels[:, 3:7])
    saved(tmp_path, Image.fromarray(pixels.T.copy()))
    assert np.array_equal(data.from_folder(place, (4, 4), grey=True, resize="crop").images[0, ..., 0], pixels[:, 3:7].T)


@pytest.mark.parametrize("turned", [False, True])
def test_an_image_of_another_size_is_cut_or_filled_up_at_its_own_proportions(turned, tmp_path):
    """Of 8 columns the middle four are left, as two; or four are made of all, in two rows of four."""
    columns = np.array([9, 9, 0, 100, 100, 200, 9, 9], np.uint8)
    pixels = np.repeat(columns[np.newaxis], 4, axis=0)
    image = Image.fromarray(pixels.T.copy() if turned else pixels)
    place = saved(tmp_path, image)
    cut = data.from_folder(place, (2, 2), grey=True, resize="crop").images[0, ..., 0]
    filled = data.from_folder(place, (4, 4), grey=True, resize="pad").images[0, ..., 0]
    cut, filled = (cut.T, filled.T) if turned else (cut, filled)
    assert (cut == cut[0]).all() and 20 < cut[0, 0] < 60 and 140 < cut[0, 1] < 180
    whole = np.asarray(Image.fromarray(pixels).resize((4, 2), Image.Resampling.LANCZOS))
    assert np.array_equal(filled[1:3], whole) and not filled[[0, 3]].any()


def test_a_line_keeps_a_pixel_of_height_or_width_when_it_is_made_small(tmp_path):
    for size, expected in (((3000, 1), [[9, 9], [0, 0]]), ((1, 3000), [[9, 0], [9, 0]])):
        place = saved(tmp_path, Image.new("L", size, 9))
        assert data.from_folder(place, (2, 2), grey=True, resize="pad").images[0, ..., 0].tolist() == expected


def test_inverted_images(tmp_path):
    path = saved(tmp_path, Image.new("L", (2, 2), 5)) / "all" / "a.png"
    assert (ImageReader("predict", (2, 2, 1), invert=True).read(path) == 250).all()
    assert (ImageReader("predict", (2, 2, 1)).read(path) == 5).all()


def test_pictures_have_one_or_three_channels():
    with pytest.raises(ShapeError, match="predict: images are to have 4 channels, expected 1 or 3"):
        ImageReader("predict", (2, 2, 4))


def test_no_picture_has_less_than_a_pixel(tmp_path):
    with pytest.raises(ShapeError, match="from_folder: max_pixels is 0, expected at least 1"):
        data.from_folder(tmp_path, (2, 2), max_pixels=0)


def test_a_folder_in_the_place_of_a_picture_and_what_is_no_picture(tmp_path):
    image = ImageReader("predict", (2, 2, 1))
    with pytest.raises(DataFormatError, match=r"predict: .* is a folder, expected an image file$"):
        image.read(tmp_path)
    (tmp_path / "a.png").write_bytes(b"no picture")
    with pytest.raises(DataFormatError, match=r"cannot be read as an image \(it is none of BMP, GIF, JPEG, PNG, PPM, TIFF"):
        image.read(tmp_path / "a.png")


def test_formats_are_known_before_anything_else_has_used_them(tmp_path, monkeypatch):
    """Pillow itself knows no TIFF until somebody has asked for all its formats, or for a file that ends in .tif."""
    place = saved(tmp_path, Image.new("L", (2, 2), 7), "a.png", format="TIFF")
    monkeypatch.setattr(PIL, "TiffImagePlugin", PIL.TiffImagePlugin)  # so that it comes back
    monkeypatch.delitem(sys.modules, "PIL.TiffImagePlugin")
    monkeypatch.delitem(Image.OPEN, "TIFF")
    monkeypatch.setattr(Image, "ID", [name for name in Image.ID if name != "TIFF"])
    monkeypatch.setattr(Image, "_initialized", 1)
    assert data.from_folder(place, (2, 2), grey=True).images.max() == 7


def test_the_limit_of_pillow_itself(tmp_path, monkeypatch):
    """It warns from its limit on, of which nothing is to be seen, and refuses twice as many pixels."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    place = saved(tmp_path, Image.new("L", (4, 3)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(data.from_folder(place, (2, 2))) == 1
    saved(tmp_path, Image.new("L", (7, 3)))
    with pytest.raises(DataFormatError, match=r"it takes more than 20 pixels, twice PIL\.Image\.MAX_IMAGE_PIXELS"):
        data.from_folder(place, (2, 2))


def tiff(**changes):
    """A grey image of 4 x 3 pixels in TIFF, with other tags."""
    tags = {256: 4, 257: 3, 258: 8, 259: 1, 262: 1, 277: 1} | {int(name[1:]): value for name, value in changes.items()}
    tags |= {324: 8, 325: 12} if 322 in tags else {273: 8, 279: 12}
    lines = b"".join(struct.pack("<HHII", tag, 4, 1, tags[tag]) for tag in sorted(tags))
    return b"II*\0" + struct.pack("<I", 8 + 12) + bytes(range(12)) + struct.pack("<H", len(tags)) + lines + bytes(4)


@pytest.mark.parametrize("changes", [
    {"_278": 1 << 25}, {"_322": 1 << 10, "_323": 1 << 17}, {"_322": 1 << 17, "_323": 1 << 10},
], ids=["rows of a strip", "high tile", "wide tile"])
def test_memory_of_a_tiff_is_counted_by_its_strips_and_tiles(changes, tmp_path):
    (tmp_path / "a.tif").write_bytes(tiff(**changes))
    with pytest.raises(DataFormatError, match=r"it takes 134,217,728 pixels, expected at most 67,108,864, which max_pixels"):
        ImageReader("predict", (3, 4, 1)).read(tmp_path / "a.tif")


@pytest.mark.parametrize("rows", [3, (1 << 32) - 1], ids=["rows", "all rows"])
def test_a_tiff_of_a_single_strip(rows, tmp_path):
    (tmp_path / "a.tif").write_bytes(tiff(_278=rows))
    assert ImageReader("predict", (3, 4, 1)).read(tmp_path / "a.tif").reshape(-1).tolist() == list(range(12))


def test_tags_of_tiff_may_be_numbers_or_tuples():
    assert image_files._number((5,)) == image_files._number((5, 6)) == image_files._number(5) == 5


# Notebooks


def shown(split):
    """What there is of each class: its picture, if any, and its words."""
    for cell in ElementTree.fromstring(f"<p>{split._repr_html_()}</p>").iter("td"):
        images = [base64.b64decode(image.attrib["src"].partition(",")[2]) for image in cell.iter("img")]
        yield [np.asarray(Image.open(io.BytesIO(image))) for image in images], " ".join(cell.itertext())


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_the_first_image_of_each_class_is_shown_as_it_is(channels):
    images = RANDOM.integers(0, 256, (5, 3, 1, channels), dtype=np.uint8)
    split = data.Split(images, [2, 0, 2, 0, 2], ["a", "b", "c"])
    pictures, words = zip(*shown(split), strict=True)
    assert list(words) == ["a 2", "b 0", "c 3"] and "5 images of 3 x 1 x " in split._repr_html_()
    assert [len(found) for found in pictures] == ([0, 0, 0] if channels == 2 else [1, 0, 1])
    if channels != 2:
        for found, first in ((pictures[0], 1), (pictures[2], 0)):
            assert np.array_equal(found[0], images[first, ..., 0] if channels == 1 else images[first])


@pytest.mark.parametrize("count", [1, 10, 11])
def test_ten_classes_are_shown_in_a_notebook(count):
    split = data.Split(np.zeros((count, 1, 1, 1), np.uint8), np.arange(count), [f"class {i}" for i in range(count)])
    words = [words for _, words in shown(split)]
    assert words == [f"class {i} 1" for i in range(min(count, 10))] + ["and 1 more classes"] * (count == 11)
    assert f"{count} class{'' if count == 1 else 'es'}<" in split._repr_html_()


@pytest.mark.parametrize(("values", "bytes_"), [
    ([-1.0, 0.0, 1.0], [0, 127, 255]), ([2.0, 2.0, 2.0], [0, 0, 0]), ([3.0, 5.0, 4.0], [0, 255, 127]),
    ([np.nan, 2.0, 4.0], [0, 127, 255]), ([np.inf, 2.0, 4.0], [0, 127, 255]), ([-np.inf, -4.0, -2.0], [255, 0, 127]),
])
def test_floats_from_black_to_white_in_a_notebook(values, bytes_):
    assert preview._as_bytes(np.array(values)).tolist() == bytes_


# .npz files


def test_npz_in_fortran_order_gives_the_same_images(tmp_path):
    np.savez(tmp_path / "own.npz", images=np.asfortranarray(IMAGES), labels=LABELS)
    assert np.array_equal(data.from_npz(tmp_path / "own.npz").images, IMAGES)


def test_npz_takes_a_column_of_labels(tmp_path):
    np.savez(tmp_path / "own.npz", images=IMAGES, labels=LABELS[:, np.newaxis])
    assert np.array_equal(data.from_npz(tmp_path / "own.npz").labels, LABELS)


def test_classes_that_are_given_win_over_those_of_the_file(tmp_path):
    np.savez(tmp_path / "own.npz", images=IMAGES, labels=LABELS, classes=np.array(["a", "b"]))
    assert data.from_npz(tmp_path / "own.npz", classes=["c", "d"]).classes == ("c", "d")
    assert data.from_npz(tmp_path / "own.npz").classes == ("a", "b")


def test_parts_with_images_are_listed(tmp_path):
    np.savez(tmp_path / "own.npz", x_train=IMAGES, valid_images=IMAGES, y_test=LABELS)
    assert npz.NpzFile("test", tmp_path / "own.npz").parts() == ["train", "validation"]


def test_an_array_that_packs_well_and_one_of_several_pieces(tmp_path):
    np.savez_compressed(tmp_path / "own.npz", images=np.zeros((10, 100, 100), np.uint8))
    assert data.from_npz(tmp_path / "own.npz", label=None).shape == (10, 100, 100, 1)
    pixels = RANDOM.integers(0, 256, (30, 100, 100), dtype=np.uint8)
    np.savez(tmp_path / "own.npz", images=pixels)
    assert np.array_equal(data.from_npz(tmp_path / "own.npz", label=None)[..., 0], pixels)


def with_sizes(raw, packed=None, unpacked=None):
    """The archive, whose directory says another size of its first member."""
    place = raw.index(b"PK\1\2")
    sizes = list(struct.unpack("<2I", raw[place + 20 : place + 28]))
    sizes = [old if new is None else new for old, new in zip(sizes, (packed, unpacked), strict=True)]
    return raw[: place + 20] + struct.pack("<2I", *sizes) + raw[place + 28 :]


def archive(content, method=zipfile.ZIP_STORED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as file:
        file.writestr("images.npy", content)
    return buffer.getvalue()


def test_an_array_is_no_larger_than_its_file(tmp_path):
    buffer = io.BytesIO()
    np.save(buffer, IMAGES)
    raw, path = archive(buffer.getvalue()), tmp_path / "own.npz"
    for sizes in ({"unpacked": len(buffer.getvalue()) + 1}, {"packed": 1 << 30, "unpacked": 1 << 30}):
        path.write_bytes(with_sizes(raw, **sizes))
        with pytest.raises(DataFormatError, match=f"images has {sizes['unpacked']} bytes; expected no more than the"):
            data.from_npz(path, label=None)


def test_a_packed_array_has_at_most_2_gigabytes(tmp_path):
    raw, path = archive(RANDOM.bytes(2_100_000), zipfile.ZIP_DEFLATED), tmp_path / "own.npz"
    path.write_bytes(with_sizes(raw, unpacked=(1 << 31) + 1))
    with pytest.raises(DataFormatError, match=r"images has 2147483649 bytes; expected at most 2147483648; save it with"):
        data.from_npz(path, label=None)
    path.write_bytes(with_sizes(raw, unpacked=1 << 31))
    with pytest.raises(DataFormatError, match="images starts with"):
        data.from_npz(path, label=None)


def test_all_that_is_left_of_a_file_is_read(tmp_path):
    (tmp_path / "file").write_bytes(b"0123456789")
    with npz._Bounded(tmp_path / "file") as file:
        assert file.seek(4) == 4 and file.read(None) == b"456789" and file.seek(0) == 0 and file.read() == b"0123456789"


# Tables


def lines_to(path, *lines):
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


@pytest.mark.parametrize(("options", "line"), [
    ({}, "{label},{pixels}"), ({"label": -1}, "{pixels},{label}"), ({"label": 2}, "1,2,{label},3,4"),
    ({"label": None}, "{pixels}"), ({}, '"{label}",{pixels}'),
], ids=["label first", "label last", "label within", "no labels", "quoted labels"])
def test_plain_tables_are_read_by_numpy(options, line, tmp_path, monkeypatch):
    """The csv module, which is ten times as slow, sees the first two lines alone."""
    seen, usual = [], csv.reader
    monkeypatch.setattr(table.csv, "reader", lambda texts, **more: seen.extend(texts) or usual(texts, **more))
    labels = ["cat", "dog", "ox"] * 5
    path = lines_to(tmp_path / "table.csv", *[line.format(label=label, pixels="1,2,3,4") for label in labels])
    read = data.from_csv(path, (2, 2), **options)
    assert len(seen) == 2 and len(read) == 15
    if isinstance(read, data.Split):
        assert [read.classes[label] for label in read.labels] == labels
        assert read.images.reshape(15, 4).tolist() == [[1, 2, 3, 4]] * 15


def test_a_plain_table_of_single_pixels_is_read_by_numpy(tmp_path, monkeypatch):
    seen, usual = [], csv.reader
    monkeypatch.setattr(table.csv, "reader", lambda texts, **more: seen.extend(texts) or usual(texts, **more))
    path = lines_to(tmp_path / "table.csv", *[f"{number % 3},{number}" for number in range(9)])
    assert data.from_csv(path, (1, 1)).images.reshape(-1).tolist() == list(range(9)) and len(seen) == 2
    path = lines_to(path, "1,2", "0,3", "1,4")
    assert data.from_csv(path, (1, 1)).images.reshape(-1).tolist() == [2, 3, 4] and len(seen) == 4


@pytest.mark.parametrize(("name", "expected"), [
    ('ab"', 'ab"'), ('a"b', 'a"b'), ('"a""b"', 'a"b'), ('"a, b"', "a, b"), ('" a "', "a"), ('"a"b"c"', None), ('""', None),
])
def test_quotes_within_labels_far_down(name, expected, tmp_path):
    """They mean what they mean in a line alone, whatever the lines around it are read by."""
    path = lines_to(tmp_path / "table.csv", "x,1", "y,2", "z,3", f"{name},4", "z,5", f"{name},6")
    if expected is None:
        with pytest.raises(DataFormatError, match=r"line 4 has no label|is no table of text"):
            data.from_csv(path, (1, 1))
    else:
        split = data.from_csv(path, (1, 1))
        assert [split.classes[label] for label in split.labels] == ["x", "y", "z", expected, "z", expected]
        assert split.images.reshape(-1).tolist() == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("size", [1, 20])
def test_blocks_of_lines_end_outside_quotes(size):
    rows = ['a,1\n', '"b",2\n', '"c\n', 'd",3\n', '"e""\n', 'f",4\n', '"g""""",5\n', '"h\n', '"\n', 'i,6\n']
    fault = DataFormatError
    blocks = table._Blocks(io.StringIO("".join(rows)), fault, 10)
    taken = []
    while (block := blocks.take(size))[1]:
        assert block[0] == len(taken) and "".join(block[1]).count('"') % 2 == 0
        if size == 1:
            assert len(block[1]) == 1 + sum("".join(block[1][:end]).count('"') % 2 for end in range(1, len(block[1])))
        taken += block[1]
    assert taken == rows


def test_lines_that_are_all_too_short_are_no_images(tmp_path):
    path = lines_to(tmp_path / "table.csv", "1,2,3", "1,4,5", "1,6", "1,7")
    with pytest.raises(DataFormatError, match=r"line 3 has 2 values, expected 3: a label and 2 pixels; label=None reads"):
        data.from_csv(path, (1, 2))
    path = lines_to(tmp_path / "table.csv", "1,2,3", "1,4,5", "1,6,7,8")
    with pytest.raises(DataFormatError, match=r"line 3 has 4 values, expected 3: a label and 2 pixels$"):
        data.from_csv(path, (1, 2))
    with pytest.raises(DataFormatError, match=r"line 1 has 3 values, expected 2 pixels$"):
        data.from_csv(path, (1, 2), label=None)


@pytest.mark.parametrize("short", ["1,2", "1", "1,2,3"])
def test_lines_that_end_before_or_with_the_label(short, tmp_path):
    path = lines_to(tmp_path / "table.csv", "1,2,a,3,4", "1,2,b,3,4", "1,2,c,3,4", short)
    with pytest.raises(DataFormatError, match=f"line 4 has {len(short.split(','))} values, expected 5"):
        data.from_csv(path, (2, 2), label=2)


def test_pixels_that_are_written_as_floats(tmp_path):
    path = lines_to(tmp_path / "table.csv", "a,0.0,1.0,254.0,255.0")
    assert data.from_csv(path).images.reshape(-1).tolist() == [0, 1, 254, 255]


def test_tables_of_a_single_line(tmp_path):
    assert data.from_csv(lines_to(tmp_path / "a.csv", "3,1,2,3,4")).images.shape == (1, 2, 2, 1)
    counted = ",".join(map(str, range(9)))
    split = data.from_csv(lines_to(tmp_path / "b.csv", f"what,{counted}"))
    assert split.classes == ("what",) and split.images.reshape(-1).tolist() == list(range(9))


def test_names_of_columns_with_the_label_last(tmp_path):
    counted = ",".join(map(str, range(9)))
    split = data.from_csv(lines_to(tmp_path / "a.csv", f"{counted},what", f"{counted},1", f"{counted},0"), label=-1)
    assert split.labels.tolist() == [1, 0]
    with pytest.raises(DataFormatError, match="line 2 has 9 values, expected 10"):
        data.from_csv(lines_to(tmp_path / "b.csv", f"{counted},what", counted), label=9)


@pytest.mark.parametrize("shape", [(2,), (1, 2, 2, 1), [4]])
def test_the_shape_of_a_tables_images_has_two_or_three_sizes(shape, tmp_path):
    with pytest.raises(ShapeError, match=r"from_csv: shape is .*, expected \(H, W\) or \(H, W, C\)"):
        data.from_csv(tmp_path / "a.csv", shape)
    with pytest.raises(ShapeError, match="from_csv: shape is 0, expected at least 1"):
        data.from_csv(tmp_path / "a.csv", (2, 0))


def test_how_long_a_line_may_be_where_nobody_has_counted_its_pixels(tmp_path):
    """64 characters for each of 16,384 pixels, and 65,536 more."""
    with pytest.raises(DataFormatError, match="line 1 has more than 1,114,112 characters"):
        data.from_csv(lines_to(tmp_path / "a.csv", "5" * 1_114_112))


def test_a_gzipped_table_unpacks_to_64_times_its_size_and_a_megabyte(tmp_path):
    raw = gzip.compress((b"1" + b",2" * 300 + b"\n") * 9999, mtime=0)
    (tmp_path / "a.csv.gz").write_bytes(raw)
    with pytest.raises(DataFormatError, match=f"more than {(1 << 20) + 64 * len(raw)} bytes unpacked"):
        data.from_csv(tmp_path / "a.csv.gz", (1, 300))


def test_a_reader_gives_as_many_bytes_as_are_allowed(tmp_path):
    (tmp_path / "a").write_bytes(b"12345")

    def fault(came, expected):
        return DataFormatError(f"{came}; expected {expected}")

    for most in (5, 4):
        with open(tmp_path / "a", "rb") as file:
            opened = reader.Reader(file, most, fault, packed=False)
            if most == 5:
                assert opened.piece(9) == b"12345" and opened.piece(9) == b""
            else:
                with pytest.raises(DataFormatError, match="more than 4 bytes unpacked"):
                    opened.piece(9)


# Arrays


def test_weights_of_given_classes_and_their_limits():
    split = data.from_arrays(IMAGES, LABELS, ["a", "b", "c"])
    assert data.class_weights(split, 5).tolist() == [1, 1, 0, 0, 0] and data.class_weights(split).tolist() == [1, 1, 0]
    with pytest.raises(DTypeError, match=r"class_weights: num_classes is 2\.5"):
        data.class_weights(LABELS, 2.5)
