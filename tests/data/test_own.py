"""Data of one's own: arrays, folders of images, tables, parts and weights."""

import gzip
import os
import resource
import struct
import tracemalloc

import numpy as np
import pytest
from PIL import Image

import fastcnn
from fastcnn import data, extras
from fastcnn.data import image_files

PIXELS = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)


def test_arrays_of_grey_images_and_numbers():
    split = data.from_arrays(PIXELS, [1, 0])
    assert split.images.shape == (2, 3, 4, 1) and split.labels.tolist() == [1, 0] and split.classes == ("0", "1")
    assert np.shares_memory(split.images, PIXELS)


def test_arrays_with_names():
    split = data.from_arrays(PIXELS, ["dog", "cat"])
    assert split.classes == ("cat", "dog") and split.labels.tolist() == [1, 0]
    split = data.from_arrays(PIXELS, np.array(["dog", "cat"]), ["dog", "cow", "cat"])
    assert split.classes == ("dog", "cow", "cat") and split.labels.tolist() == [0, 2]


@pytest.fixture
def folder(tmp_path):
    """Two red images and a green one, of another size."""
    for name, colour, size in (("red/b.png", (255, 0, 0), (4, 3)), ("red/a.png", (250, 0, 0), (4, 3)),
                               ("green/deep/c.bmp", (0, 255, 0), (40, 30))):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", size, colour).save(tmp_path / name)
    return tmp_path


def test_folder(folder):
    split = data.from_folder(folder, (3, 4))
    assert split.classes == ("green", "red") and split.labels.tolist() == [0, 1, 1]
    assert split.images.shape == (3, 3, 4, 3)
    assert split.images[:, 1, 1].tolist() == [[0, 255, 0], [250, 0, 0], [255, 0, 0]]


def test_folder_in_grey(folder):
    split = data.from_folder(folder, (3, 4), grey=True)
    assert split.images.shape == (3, 3, 4, 1) and split.images[0, 0, 0, 0] == 150


def test_folder_without_pillow(folder, monkeypatch):
    monkeypatch.setitem(extras.EXTRAS, "image", extras.EXTRAS["image"]._replace(module="absent"))
    with pytest.raises(extras.MissingExtraError, match=r"pip install 'fastcnn\[image\]'"):
        data.from_folder(folder, (3, 4))


@pytest.mark.parametrize("text, options", [
    ("1,0,10,20,30\n0,40,50,60,70\n", {}),
    ("label,a,b,c,d\n1,0,10,20,30\n\n0,40,50,60,70", {}),
    ("a,b,c,d,label\r\n0,10,20,30,1\r\n40,50,60,70,0\r\n", {"label": -1}),
    ("\ufeffa,b,truth,c,d\n0,10,1,20,30\n40,50,0,60,70\n", {"label": "truth"}),
], ids=["plain", "named", "last", "by name"])
def test_csv(text, options, tmp_path):
    (tmp_path / "table.csv").write_text(text, encoding="utf-8")
    split = data.from_csv(tmp_path / "table.csv", (2, 2), **options)
    assert split.images.reshape(2, 4).tolist() == [[0, 10, 20, 30], [40, 50, 60, 70]]
    assert split.images.shape == (2, 2, 2, 1) and split.labels.tolist() == [1, 0]


def test_csv_with_words_for_classes(tmp_path):
    (tmp_path / "table.csv").write_text("dog,0,1,2\ncat,3,4,5\n")
    split = data.from_csv(tmp_path / "table.csv", (1, 1, 3))
    assert split.classes == ("cat", "dog") and split.labels.tolist() == [1, 0] and split.images.shape == (2, 1, 1, 3)


def numbered(labels):
    """Images that say their own number."""
    return data.from_arrays(np.arange(len(labels), dtype=np.float32).reshape(-1, 1, 1, 1), labels, ["a", "b", "c"])


def test_parts_are_stratified_and_follow_from_the_seed():
    labels = np.repeat([0, 1, 2], [70, 20, 10])
    train, validation = data.train_validation_split(numbered(labels), 0.1, seed=3)
    assert np.bincount(train.labels).tolist() == [63, 18, 9] and np.bincount(validation.labels).tolist() == [7, 2, 1]
    numbers = np.concatenate([train.images.reshape(-1), validation.images.reshape(-1)])
    assert sorted(numbers) == list(range(100)) and (np.diff(train.images.reshape(-1)) > 0).all()
    again = data.train_validation_split(numbered(labels), 0.1, seed=3)[1]
    other = data.train_validation_split(numbered(labels), 0.1, seed=4)[1]
    assert np.array_equal(again.images, validation.images) and not np.array_equal(other.images, validation.images)


def test_parts_without_strata():
    train, validation = data.train_validation_split(numbered(np.repeat([0, 1], [99, 1])), 0.25, stratified=False)
    assert (len(train), len(validation)) == (75, 25) and validation.classes == ("a", "b", "c")


def test_small_classes_are_in_both_parts():
    train, validation = data.train_validation_split(numbered([0, 0, 1, 1, 2]), 0.1)
    assert sorted(validation.labels) == [0, 1] and sorted(train.labels) == [0, 1, 2]


def test_class_weights():
    assert data.class_weights([0, 0, 0, 1]) == pytest.approx([4 / 6, 2])
    assert data.class_weights([0, 2], 4) == pytest.approx([1, 0, 1, 0])
    assert data.class_weights(numbered([0, 0, 1])) == pytest.approx([0.75, 1.5, 0])


@pytest.mark.parametrize("call, error, message", [
    (lambda: data.class_weights([0.5, 1.0]), fastcnn.DTypeError, "class_weights: labels are float64, expected integers"),
    (lambda: data.class_weights([[0, 1]]), fastcnn.ShapeError, "labels have shape (1, 2), expected (N,) with N of at least"),
    (lambda: data.class_weights(np.zeros(0, int)), fastcnn.ShapeError, "labels have shape (0,), expected (N,) with N"),
    (lambda: data.class_weights([0, 2], 2), ValueError, "class_weights: labels hold 0 to 2, expected 0 to 1"),
    (lambda: data.class_weights([-1, 1], 2), ValueError, "class_weights: labels hold -1 to 1, expected 0 to 1"),
    (lambda: data.class_weights([0], 0), fastcnn.ShapeError, "class_weights: num_classes is 0"),
    (lambda: data.train_validation_split((PIXELS, [1, 0])), fastcnn.DTypeError, "split is a tuple, expected a Split; data."),
    (lambda: data.train_validation_split(numbered([0, 1]), 1), ValueError, "share is 1"),
    (lambda: data.train_validation_split(numbered([0, 0, 1, 1]), 0), ValueError, "share is 0 of 4 images, which leaves one"),
    (lambda: data.from_arrays(PIXELS, ["dog", "cat"], ["dgo", "cat"]), ValueError,
     "from_arrays: label 'dog' is unknown, expected one of dgo, cat"),
    (lambda: data.from_folder("/nowhere", (3, 4)), FileNotFoundError, "from_folder: there is no folder /nowhere"),
])
def test_refused_arguments(call, error, message):
    with pytest.raises(error) as caught:
        call()
    assert message in str(caught.value)


def test_a_single_image_of_a_class_goes_where_the_share_says():
    train, validation = data.train_validation_split(numbered([0, 0, 1]), 0.6)
    assert train.labels.tolist() == [0] and validation.labels.tolist() == [0, 1]
    assert data.class_weights([0, 0], 1).tolist() == [1]


def test_one_class_cannot_be_stratified_otherwise():
    with pytest.raises(ValueError, match=r"leaves one part empty; expected a share that gives both parts images$"):
        data.train_validation_split(numbered([1]))


def test_two_images_of_a_class_are_in_both_parts_whatever_the_share():
    for share in (0.01, 0.99):
        train, validation = data.train_validation_split(numbered([0, 0]), share)
        assert len(train) == len(validation) == 1


def test_objects_that_are_names():
    split = data.from_arrays(PIXELS, np.array(["dog", "cat"], object))
    assert split.classes == ("cat", "dog") and split.labels.tolist() == [1, 0]
    with pytest.raises(fastcnn.DTypeError, match="labels are object, expected integers"):
        data.from_arrays(PIXELS, np.array(["dog", None], object))


def test_a_class_that_comes_twice_is_refused():
    with pytest.raises(ValueError, match=r"classes is \['cat', 'dog', 'cat'\], expected each name once"):
        data.from_arrays(PIXELS, ["dog", "cat"], ["cat", "dog", "cat"])


def test_hidden_files_are_no_images(folder):
    (folder / "red" / "._a.png").write_bytes(b"what other systems note about a.png")
    with pytest.warns(UserWarning, match="hidden files"):
        assert len(data.from_folder(folder, (3, 4))) == 3


@pytest.mark.parametrize("text, options, labels, classes", [
    ("1,0,10,20,30\n0,40,50,60,70\n", {"classes": ["cat", "dog"]}, [1, 0], ("cat", "dog")),
    ("7,0,10,20,30\n3,40,50,60,70\n", {"classes": ["3", "7"]}, [1, 0], ("3", "7")),
    ('"dog, old",0,10,20,30\n"cat",40,50,60,70\n', {}, [1, 0], ("cat", "dog, old")),
], ids=["numbers of classes", "classes that are numbers", "quoted"])
def test_labels_of_a_table(text, options, labels, classes, tmp_path):
    (tmp_path / "table.csv").write_text(text)
    split = data.from_csv(tmp_path / "table.csv", (2, 2), **options)
    assert split.images.reshape(2, 4).tolist() == [[0, 10, 20, 30], [40, 50, 60, 70]]
    assert split.labels.tolist() == labels and split.classes == classes


@pytest.mark.parametrize("first", ["label,0,1,2,3,4,5,6,7,8\n", "0,1,2,3,4,5,6,7,8,9\n"])
def test_columns_that_pandas_counted_are_no_image(first, tmp_path):
    (tmp_path / "table.csv").write_text(first + "1" + 9 * ",5" + "\n0" + 9 * ",6")
    assert data.from_csv(tmp_path / "table.csv", (3, 3)).labels.tolist() == [1, 0]


@pytest.mark.parametrize("text, message", [
    ("1,0,10,20,30\n,40,50,60,70\n", "line 2 has no label in column 0"),
    ("1,0,10,20,30\n0,40,,60,70\n", "line 2: could not convert string to float: ''; expected pixels"),
    ('"dog,0,10,20,30\n"cat",40,50,60,70\n', "is no table of text"),
], ids=["no label", "no pixel", "open quote"])
def test_unfit_tables(text, message, tmp_path):
    (tmp_path / "table.csv").write_text(text)
    with pytest.raises(fastcnn.DataFormatError, match=message):
        data.from_csv(tmp_path / "table.csv", (2, 2))


def test_unfit_shape_of_a_table(tmp_path):
    with pytest.raises(fastcnn.ShapeError, match=r"shape is 4, expected \(H, W\) or \(H, W, C\)"):
        data.from_csv(tmp_path / "table.csv", 4)


def test_one_image_of_each_class_cannot_be_stratified():
    with pytest.raises(ValueError, match=r"of 3 images, which leaves one part empty; .*, or stratified=False"):
        data.train_validation_split(numbered([0, 1, 2]))


def test_images_of_16_and_of_32_bits(tmp_path):
    (tmp_path / "grey").mkdir()
    Image.fromarray(np.array([[0x0000, 0x1234], [0x80FF, 0xFFFF]], np.uint16)).save(tmp_path / "grey" / "a.png")
    assert data.from_folder(tmp_path, (2, 2)).images[0, ..., 1].tolist() == [[0, 0x12], [0x80, 0xFF]]
    assert data.from_folder(tmp_path, (2, 2), grey=True).images[0, ..., 0].tolist() == [[0, 0x12], [0x80, 0xFF]]
    Image.fromarray(np.full((2, 2), 0.5, np.float32)).save(tmp_path / "grey" / "b.tif")
    with pytest.raises(fastcnn.DataFormatError, match=r"b\.tif cannot be read as an image \(its pixels have 32 bits"):
        data.from_folder(tmp_path, (2, 2))


def test_transparency_and_palettes(tmp_path):
    (tmp_path / "all").mkdir()
    colours = np.array([[[10, 20, 30, 0], [40, 50, 60, 255]]], np.uint8)
    Image.fromarray(colours).save(tmp_path / "all" / "a.png")
    Image.fromarray(colours[..., :3]).quantize(2).save(tmp_path / "all" / "b.gif")
    assert data.from_folder(tmp_path, (1, 2)).images.tolist() == [[[[10, 20, 30], [40, 50, 60]]]] * 2


def test_images_of_several_sizes_are_no_array():
    with pytest.raises(fastcnn.ShapeError, match=r"from_arrays: images or labels make no array .* images of one size"):
        data.from_arrays([np.zeros((4, 4)), np.zeros((5, 4))], [0, 1])


# Tables


def table(path, *lines):
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def ramp(first, count=9):
    return ",".join(map(str, range(first, first + count)))


@pytest.mark.parametrize("lines, options, count", [
    ((f"7,{ramp(0)}", f"3,{ramp(5)}"), {}, 2),
    ((f"7,{ramp(1)}", f"3,{ramp(5)}"), {}, 2),
    ((f"cat,{ramp(0)}", f"dog,{ramp(5)}"), {}, 2),
    ((f"{ramp(0)},4", f"{ramp(5)},3"), {"label": -1}, 2),
    ((f"{ramp(1)}", f"{ramp(5)}"), {"label": None}, 2),
    ((f"label,{ramp(0)}", f"dog,{ramp(5)}"), {}, 1),
    ((f"what,{ramp(0)}", f"1,{ramp(5)}"), {}, 1),
    ((ramp(0, 10), f"1,{ramp(5)}"), {}, 1),
    ((ramp(0, 9), ramp(5)), {"label": None}, 1),
], ids=["ramp from 0", "ramp from 1", "ramp of a named class", "label last", "no labels", "names", "name over numbers",
        "counted columns", "counted columns, no labels"])
def test_an_image_that_is_a_ramp_is_no_head(lines, options, count, tmp_path):
    read = data.from_csv(table(tmp_path / "table.csv", *lines), (3, 3), **options)
    assert len(read) == count
    images = read if isinstance(read, np.ndarray) else read.images
    assert images[-1].reshape(-1).tolist() == list(range(5, 14))


def test_columns_beyond_a_byte_are_counted_ones(tmp_path):
    lines = f"kind,{ramp(0, 300)}", "cat" + ",5" * 300, "dog" + ",6" * 300
    assert data.from_csv(table(tmp_path / "table.csv", *lines), (10, 30)).classes == ("cat", "dog")


@pytest.mark.parametrize("name", ["label", "Label", "class", "target", "y"])
def test_the_head_names_the_column_of_the_label(name, tmp_path):
    path = table(tmp_path / "table.csv", f"a,b,{name},c,d", "1,2,5,3,4", "6,7,0,8,9")
    split = data.from_csv(path, (2, 2))
    assert split.labels.tolist() == [5, 0] and split.images.reshape(2, 4).tolist() == [[1, 2, 3, 4], [6, 7, 8, 9]]
    assert data.from_csv(path, (2, 2), label=0).labels.tolist() == [1, 6]


def test_labels_that_are_written_as_floats(tmp_path):
    path = table(tmp_path / "table.csv", "10.0,1", "2.0,2", "1.0,3", "2.,4")
    split = data.from_csv(path, (1, 1))
    assert split.labels.tolist() == [10, 2, 1, 2] and len(split.classes) == 11
    assert data.from_csv(path, (1, 1), classes=["1", "2", "10"]).labels.tolist() == [2, 1, 0, 1]


def test_table_without_labels(tmp_path):
    path = table(tmp_path / "test.csv", "pixel0,pixel1", "1,2", "3,4")
    images = data.from_csv(path, (1, 2), label=None)
    assert images.dtype == np.uint8 and images.shape == (2, 1, 2, 1) and images.reshape(-1).tolist() == [1, 2, 3, 4]
    with pytest.raises(fastcnn.DataFormatError, match=r"line 2 has 2 values, expected 3: a label .*; label=None reads a"):
        data.from_csv(path, (1, 2))


@pytest.mark.parametrize("pack", [gzip.compress, lambda raw: gzip.compress(raw[:9]) + gzip.compress(raw[9:])])
def test_gzipped_table(pack, tmp_path):
    (tmp_path / "table.csv.gz").write_bytes(pack(b"label,a,b\ndog,1,2\ncat,3,4\n"))
    split = data.from_csv(tmp_path / "table.csv.gz", (1, 2))
    assert split.classes == ("cat", "dog") and split.images.reshape(-1).tolist() == [1, 2, 3, 4]


def test_long_tables_of_every_kind_of_line(tmp_path):
    """Several blocks, some of plain numbers and some not, give what each line alone gives."""
    random = np.random.default_rng(0)
    pixels, labels = random.integers(0, 256, (600, 300)), random.integers(0, 4, 600)
    names = np.array(["plain", '"quoted, old"', '"quoted"', "übel"])
    as_float = np.arange(600) % 250 == 170
    lines = [f"{names[label]}," + ",".join(f"{pixel:.1f}" if floats else str(pixel) for pixel in row)
             + "\n" * (1 + number % 299 // 298)
             for number, (label, row, floats) in enumerate(zip(labels, pixels, as_float, strict=True))]
    split = data.from_csv(table(tmp_path / "table.csv", *lines), (10, 30))
    assert np.array_equal(split.images.reshape(600, 300), pixels)
    assert [split.classes[label] for label in split.labels] == [names[label].strip('"') for label in labels]
    last = [",".join([*line.split(",")[-300:], f"{label}"]) for line, label in zip(lines, labels, strict=True)]
    split = data.from_csv(table(tmp_path / "table.csv", *[line.replace("\n", "") for line in last]), (10, 30), label=-1)
    assert np.array_equal(split.images.reshape(600, 300), pixels) and np.array_equal(split.labels, labels)


@pytest.mark.parametrize("lines", [
    ('5" pipe,1,2,3,4', "cat,5,6,7,8", "dog,9,8,7,6", '6" pipe,5,4,3,2'),
    ("", "", "cat,1,2,3,4", "", "dog,5,6,7,8"),
    ("\r", "label,a,b,c,d", "\r", "", "cat,1,2,3,4"),
    (",,,,", "cat,1,2,3,4", "dog,5,6,7,8"),
], ids=["odd quotes", "empty lines", "empty lines before names", "commas alone"])
def test_no_image_is_lost_whatever_a_table_begins_with(lines, tmp_path):
    split = data.from_csv(table(tmp_path / "table.csv", *lines), (2, 2))
    rows = [line.split(",") for line in lines if line.strip(",\r") and "label" not in line]
    assert [split.classes[label] for label in split.labels] == [name for name, *_ in rows]
    assert split.images.reshape(-1, 4).tolist() == [[int(pixel) for pixel in pixels] for _, *pixels in rows]


def test_a_column_of_labels_behind_the_last_is_refused(tmp_path):
    path = table(tmp_path / "table.csv", "1,2,3,4,5", "6,7,8,9,0")
    for label in (5, 6):
        with pytest.raises(fastcnn.DataFormatError, match=rf"line 1 has 5 values, expected a label in column {label}$"):
            data.from_csv(path, (2, 2), label=label)
    assert data.from_csv(path, (2, 2), label=4).labels.tolist() == [5, 0]
    with pytest.raises(fastcnn.ShapeError, match="label is -2"):
        data.from_csv(path, (2, 2), label=-2)


@pytest.mark.parametrize("count, shape", [(1, (1, 1, 1)), (3, (1, 1, 3)), (4, (2, 2, 1)), (9, (3, 3, 1)), (12, (2, 2, 3))])
def test_without_a_shape_images_are_square(count, shape, tmp_path):
    path = table(tmp_path / "table.csv", *["1" + ",5" * count] * 2)
    assert data.from_csv(path).images.shape == (2, *shape)


@pytest.mark.parametrize("count", [0, 2, 5, 6, 13])
def test_pixels_that_make_no_square(count, tmp_path):
    path = table(tmp_path / "table.csv", *["1" + ",5" * count] * 2)
    with pytest.raises(fastcnn.DataFormatError, match=f"has {count} pixels in its first line, which make no square image"):
        data.from_csv(path)


@pytest.mark.parametrize("last, count", [(255, 3), (256, 2)])
def test_a_first_line_that_counts_beyond_a_byte_is_no_image(last, count, tmp_path):
    lines = f"kind,{ramp(last - 255, 256)}", "cat" + ",5" * 256, "dog" + ",6" * 256
    assert len(data.from_csv(table(tmp_path / "table.csv", *lines), (16, 16))) == count


def test_names_that_count_from_1(tmp_path):
    path = table(tmp_path / "table.csv", f"label,{ramp(1)}", f"dog,{ramp(5)}")
    assert data.from_csv(path, (3, 3)).classes == ("dog",)


def test_a_first_line_with_one_cell_that_is_no_number_is_an_unfit_image(tmp_path):
    path = table(tmp_path / "table.csv", "1,2,x,4,5", "6,7,8,9,0")
    with pytest.raises(fastcnn.DataFormatError, match="line 1: could not convert string to float: 'x'"):
        data.from_csv(path, (2, 2))


@pytest.mark.parametrize("place", range(5))
def test_labels_in_any_column(place, tmp_path):
    rows = [[str(5 * line + cell) for cell in range(4)] for line in range(5)]
    lines = [",".join([*row[:place], f"{line}", *row[place:]]) for line, row in enumerate(rows)]
    split = data.from_csv(table(tmp_path / "table.csv", *lines), (2, 2), label=place)
    assert split.labels.tolist() == [0, 1, 2, 3, 4]
    assert split.images.reshape(5, 4).tolist() == [[int(cell) for cell in row] for row in rows]


def test_quotes_and_line_breaks_in_labels(tmp_path):
    names = "cat", "dog", 'big "red\nbarn', 'do"g', " a, b", "'"
    rows = ['cat,1', '"dog",2', '"big ""red\nbarn",3', '"do""g",4', '" a, b",5', "',6"]
    split = data.from_csv(table(tmp_path / "table.csv", *rows), (1, 1))
    assert [split.classes[label] for label in split.labels] == [name.strip() for name in names]
    assert split.images.reshape(-1).tolist() == [1, 2, 3, 4, 5, 6]
    split = data.from_csv(table(tmp_path / "table.csv", *reversed(rows)), (1, 1))
    assert [split.classes[label] for label in split.labels] == [name.strip() for name in reversed(names)]


def test_how_many_labels_may_differ(tmp_path, monkeypatch):
    monkeypatch.setattr("fastcnn.data.table.MAX_CLASSES", 3)
    path = table(tmp_path / "table.csv", "a,1", "b,2", "c,3", "a,4")
    assert data.from_csv(path, (1, 1)).classes == ("a", "b", "c")
    with pytest.raises(fastcnn.DataFormatError, match="more than 3 different labels"):
        data.from_csv(table(path, "a,1", "b,2", "c,3", "d,4"), (1, 1))


@pytest.mark.parametrize("text, options, message", [
    ("", {}, "has no images, expected a line for each"),
    ("\n\n", {}, "has no images, expected a line for each"),
    ("label,a,b\n", {}, "has no images, expected a line for each"),
    ("a,b,c\n1,2,3\n", {"label": "d"}, "has no column 'd' in its first line, expected one of a, b, c"),
], ids=["nothing", "empty lines", "names alone", "another name"])
def test_tables_without_images_or_without_the_column(text, options, message, tmp_path):
    (tmp_path / "table.csv").write_text(text)
    with pytest.raises(fastcnn.DataFormatError, match=message):
        data.from_csv(tmp_path / "table.csv", (1, 2), **options)


def test_eight_numbers_that_count_are_an_image(tmp_path):
    path = table(tmp_path / "table.csv", ramp(0, 8), ramp(5, 8))
    assert data.from_csv(path, (2, 4), label=None).shape == (2, 2, 4, 1)


def test_how_many_lines_may_be_empty(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("1,2\n0,3\n" + "\n" * 100_000)
    assert len(data.from_csv(path, (1, 1))) == 2
    path.write_text("1,2\n0,3\n" + "\n" * 100_001)
    with pytest.raises(fastcnn.DataFormatError, match="more than 100,000 empty lines"):
        data.from_csv(path, (1, 1))


def test_how_long_a_line_may_be(tmp_path):
    path = table(tmp_path / "table.csv", " " * 65_595 + "1,2")
    assert data.from_csv(path, (1, 1)).labels.tolist() == [1]
    with pytest.raises(fastcnn.DataFormatError, match="line 1 has more than 65,600 characters"):
        data.from_csv(table(path, " " * 65_596 + "1,22"), (1, 1))


@pytest.mark.parametrize("bad, message", [
    ("1" + ",5" * 299 + ",256", "has pixel 256, expected whole numbers"),
    ("1" + ",5" * 299 + ",-1", "has pixel -1, expected whole numbers"),
    ("1" + ",5" * 299 + ",0.5", r"has pixel 0\.5, expected whole numbers"),
    ("1" + ",5" * 299 + ",x", "could not convert string to float: 'x'"),
    ("1" + ",5" * 299, "has 300 values, expected 301"),
    ("" + ",5" * 300, "has no label in column 0"),
])
def test_a_bad_line_far_down_is_named(bad, message, tmp_path):
    path = table(tmp_path / "table.csv", *["1" + ",7" * 300] * 400, bad, "1" + ",7" * 300)
    with pytest.raises(fastcnn.DataFormatError, match=f"line 401[ :].*{message}|line 401 {message}"):
        data.from_csv(path, (10, 30))


@pytest.mark.parametrize("raw, message", [
    (b"1,2\n" + b"9" * (1 << 18), "line 2 has more than 65,6.. characters"),
    (b"1,2\n" + b'"' + b"1,2\n" * (1 << 17), "is no table of text"),
    (b"1,2\n" + b"\n" * 600_000, "more than 100,000 empty lines"),
    (b"".join(b"%d,2\n" % number for number in range(10**9, 10**9 + 70_000)), "more than 65,536 different labels"),
    (gzip.compress((b"1" + b",2" * 300 + b"\n") * 9999), "more than [0-9]+ bytes unpacked"),
    (gzip.compress((b"1" + b",2" * 300 + b"\n") * 9)[:-9], "the gzip data ends early"),
    ("1,2\n".encode("utf-16"), "is no table of text"),
], ids=["long line", "open quote", "empty lines", "labels", "bomb", "cut", "utf-16"])
def test_hostile_tables_end_early(raw, message, tmp_path):
    (tmp_path / "table.csv").write_bytes(raw)
    if len(raw) < 1 << 19:  # slow
        tracemalloc.start()
    try:
        with pytest.raises(fastcnn.DataFormatError, match=message):
            data.from_csv(tmp_path / "table.csv", (1, 300) if b"\x1f\x8b" in raw else (1, 1))
        assert not tracemalloc.is_tracing() or tracemalloc.get_traced_memory()[1] < 2 * len(raw) + (16 << 20)
    finally:
        tracemalloc.stop()


# Folders


def picture(path, size=(4, 3), colour=(250, 0, 0), **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path, **options)
    return path


@pytest.mark.parametrize("place", ["cat/.ipynb_checkpoints/a.png", "cat/.thumbnails/a.png", "cat/.Trash-1000/files/a.png",
                                   "cat/@eaDir/a.png/thumb.jpg", "__MACOSX/cat/a.png", "cat/__MACOSX/a.png",
                                   "$RECYCLE.BIN/a.png", ".git/a.png", "lost+found/a.png"])
def test_folders_of_the_system_are_no_images(place, tmp_path):
    picture(tmp_path / "cat" / "good.png")
    picture(tmp_path / place, colour=(0, 0, 250))
    with pytest.warns(UserWarning, match=r"left out hidden folders or folders of the system \(1\)$"):
        split = data.from_folder(tmp_path, (3, 4))
    assert split.classes == ("cat",) and split.images[:, 0, 0].tolist() == [[250, 0, 0]]


def test_what_is_left_out_is_counted(tmp_path):
    picture(tmp_path / "cat" / "good.png")
    for name in ("cat/Thumbs.db", "cat/.DS_Store", "cat/a.heic", "cat/b.HEIC", "cat/LICENSE", "notes.txt"):
        (tmp_path / name).write_bytes(b"no image")
    (tmp_path / "cat" / "lost.png").symlink_to(tmp_path / "nowhere.png")
    os.mkfifo(tmp_path / "cat" / "pipe.png")
    with pytest.warns(UserWarning) as said:
        assert len(data.from_folder(tmp_path, (3, 4))) == 1
    assert [str(one.message) for one in said] == [
        f"from_folder: {tmp_path}: left out files outside the sub-folders (1), files that end in .heic (2), "
        "files without an ending (1), hidden files (2), links that lead nowhere (1), pipes or devices (1)"]
    assert said[0].filename == __file__


def test_nothing_is_said_where_nothing_is_left_out(tmp_path, recwarn):
    picture(tmp_path / "cat" / "good.png")
    data.from_folder(tmp_path, (3, 4))
    assert not recwarn.list


@pytest.mark.parametrize("ending", [".jfif", ".jpe", ".JPG", ".pnm", ".tiff", ".webp"])
def test_every_ending_of_a_format_is_read(ending, tmp_path):
    picture(tmp_path / "cat" / f"a{ending}")
    assert len(data.from_folder(tmp_path, (3, 4))) == 1


def test_all_endings_of_the_formats_are_known():
    Image.init()
    theirs = {ending for ending, name in Image.registered_extensions().items() if name in (*image_files.FORMATS, "MPO")}
    assert theirs - {".pfm"} == image_files.ENDINGS  # of 32 bits


def test_linked_folders_are_followed_once(tmp_path):
    picture(tmp_path / "elsewhere" / "deep" / "a.png")
    picture(tmp_path / "data" / "cat" / "b.png")
    (tmp_path / "data" / "cat" / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "data" / "dog").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "circle").symlink_to(tmp_path / "elsewhere")
    with pytest.warns(UserWarning, match=r"left out linked folders that were read already \(2\)$"):
        split = data.from_folder(tmp_path / "data", (3, 4))
    assert split.classes == ("cat", "dog") and split.labels.tolist() == [0, 0, 1]


def test_classes_of_a_folder_are_those_given(tmp_path):
    picture(tmp_path / "red" / "a.png", colour=(250, 0, 0))
    picture(tmp_path / "blue" / "a.png", colour=(0, 0, 250))
    (tmp_path / "green").mkdir()
    picture(tmp_path / "grey" / "a.png")
    with pytest.warns(UserWarning, match=r"left out sub-folders that classes does not name \(1\); no images of green"):
        split = data.from_folder(tmp_path, (3, 4), classes=["green", "red", "white", "blue"])
    assert split.classes == ("green", "red", "white", "blue") and split.labels.tolist() == [1, 3]
    assert split.images[:, 0, 0].tolist() == [[250, 0, 0], [0, 0, 250]]


def test_a_sub_folder_without_images(tmp_path):
    picture(tmp_path / "red" / "a.png")
    (tmp_path / "green").mkdir()
    with pytest.raises(fastcnn.DataFormatError, match=r"green has no image files, .*; classes=\[\.\.\.\] allows a class"):
        data.from_folder(tmp_path, (3, 4))
    with pytest.raises(fastcnn.DataFormatError, match="has no image files of the classes green, blue, expected some"):
        data.from_folder(tmp_path, (3, 4), classes=["green", "blue"])


def test_a_folder_without_sub_folders(tmp_path):
    picture(tmp_path / "a.png")
    with pytest.raises(fastcnn.DataFormatError, match="has no sub-folders, expected one for each class with its images"):
        data.from_folder(tmp_path, (3, 4))


@pytest.mark.parametrize("classes", ["red", [], ["red", "red"]])
def test_unfit_classes_of_a_folder(classes, tmp_path):
    with pytest.raises(ValueError, match=r"from_folder: classes is .*, expected a list of names, each once"):
        data.from_folder(tmp_path, (3, 4), classes=classes)


def test_files_that_cannot_be_read_are_all_named_or_left_out(tmp_path):
    picture(tmp_path / "cat" / "b.png", colour=(250, 0, 0))
    picture(tmp_path / "dog" / "b.png", colour=(0, 250, 0))
    for name in ("cat/a.png", "cat/c.jpg", "dog/a.png"):
        (tmp_path / name).write_bytes((tmp_path / "cat" / "b.png").read_bytes()[:40])
    with pytest.raises(fastcnn.DataFormatError) as caught:
        data.from_folder(tmp_path, (3, 4))
    assert all(str(tmp_path / name) in str(caught.value) for name in ("cat/a.png", "cat/c.jpg", "dog/a.png"))
    assert str(caught.value).endswith("; on_error='skip' leaves them out")
    with pytest.warns(UserWarning, match=r"left out files that cannot be read \(3\); .*a\.png cannot be read as an image"):
        split = data.from_folder(tmp_path, (3, 4), on_error="skip")
    assert split.labels.tolist() == [0, 1] and split.images[:, 0, 0].tolist() == [[250, 0, 0], [0, 250, 0]]
    with pytest.raises(ValueError, match="on_error is 'ignore', expected one of raise, skip"):
        data.from_folder(tmp_path, (3, 4), on_error="ignore")


def test_hundred_files_that_cannot_be_read_are_counted(tmp_path):
    (tmp_path / "cat").mkdir()
    for number in range(100):
        (tmp_path / "cat" / f"{number}.png").write_bytes(b"")
    with pytest.raises(fastcnn.DataFormatError, match=r"; and 90 more$"):
        data.from_folder(tmp_path, (3, 4), on_error="skip")
    for left, said in ((11, r"; and 1 more$"), (10, r"[^;]+\)(; [^;]+\)){9}$")):
        for file in sorted((tmp_path / "cat").iterdir())[left:]:
            file.unlink()
        with pytest.raises(fastcnn.DataFormatError, match=said) as caught:
            data.from_folder(tmp_path, (3, 4), on_error="skip")
        assert str(caught.value).count("cannot be read") == 10


def test_the_largest_data_set_of_a_folder_has_2_gigabytes(tmp_path):
    (tmp_path / "cat").mkdir()
    for name in ("a.png", "b.png"):
        (tmp_path / "cat" / name).write_bytes(b"")
    with pytest.raises(fastcnn.DataFormatError, match="cannot be read as an image"):
        data.from_folder(tmp_path, (1 << 15, 1 << 15), grey=True)
    with pytest.raises(fastcnn.ShapeError, match=r"2 images .* are 2,147,549,184 bytes, expected at most 2,147,483,648"):
        data.from_folder(tmp_path, (1 << 15, (1 << 15) + 1), grey=True)


def test_the_size_of_a_folders_images_is_a_pair(tmp_path):
    picture(tmp_path / "cat" / "a.png")
    assert data.from_folder(tmp_path, [1, 1]).images.shape == (1, 1, 1, 3)
    for size in ((3,), (3, 4, 3), 3, "34"):
        with pytest.raises(fastcnn.ShapeError, match=r"from_folder: size is .*, expected \(height, width\)"):
            data.from_folder(tmp_path, size)
    for size in ((0, 4), (3, 0)):
        with pytest.raises(fastcnn.ShapeError, match="from_folder: size is 0"):
            data.from_folder(tmp_path, size)


# Single images


def in_one_row(tmp_path, image, size, **options):
    (tmp_path / "all").mkdir(exist_ok=True)
    image.save(tmp_path / "all" / "a.png")
    return data.from_folder(tmp_path, size, grey=True, **options).images[0, ..., 0]


def test_cropped_and_padded_images_keep_their_proportions(tmp_path):
    half = np.repeat([[0, 100, 100, 0]], 2, axis=0).repeat(10, axis=0).repeat(10, axis=1).astype(np.uint8)
    wide, high = Image.fromarray(half), Image.fromarray(half.T)
    assert in_one_row(tmp_path, wide, (20, 20), resize="crop").tolist() == [[100] * 20] * 20
    assert in_one_row(tmp_path, high, (20, 20), resize="crop").tolist() == [[100] * 20] * 20
    padded = in_one_row(tmp_path, Image.new("L", (40, 20), 100), (40, 40), resize="pad")
    assert (padded[10:30] == 100).all() and not padded[:10].any() and not padded[30:].any()
    padded = in_one_row(tmp_path, Image.new("L", (20, 40), 100), (40, 40), resize="pad")
    assert (padded[:, 10:30] == 100).all() and not padded[:, :10].any() and not padded[:, 30:].any()
    assert in_one_row(tmp_path, wide, (20, 20))[0].tolist() != [100] * 20
    assert in_one_row(tmp_path, Image.new("L", (1, 3000), 9), (2, 2), resize="pad").tolist() == [[9, 0]] * 2
    with pytest.raises(ValueError, match="resize is 'fill', expected one of stretch, crop, pad"):
        data.from_folder(tmp_path, (2, 2), resize="fill")


@pytest.mark.parametrize("raw, pixels", [
    (b"P5\n2 1\n65535\n\x12\x34\x80\xff", [0x12, 0x80]),
    (b"P2\n2 1\n65535\n4660 33023\n", [0x12, 0x80]),
    (b"P5\n2 1\n1000\n\x01\xf4\x03\xe8", [128, 255]),
    (b"P2\n2 1\n1000\n500 1000\n", [128, 255]),
    (b"P5\n2 1\n256\n\x01\x00\x00\x80", [255, 128]),
    (b"P5\n2 1\n255\n\x12\x80", [0x12, 0x80]),
], ids=["binary", "plain", "binary to 1000", "plain to 1000", "binary to 256", "of bytes"])
def test_pgm_of_16_bits(raw, pixels, tmp_path):
    (tmp_path / "all").mkdir()
    (tmp_path / "all" / "a.pgm").write_bytes(raw)
    assert data.from_folder(tmp_path, (1, 2), grey=True).images[0, 0, :, 0].tolist() == pixels
    assert data.from_folder(tmp_path, (1, 2)).images[0, 0].tolist() == [[pixel] * 3 for pixel in pixels]


def test_images_of_more_pixels_than_are_wanted(tmp_path):
    picture(tmp_path / "all" / "a.png", size=(100, 50))
    assert len(data.from_folder(tmp_path, (3, 4), max_pixels=5000)) == 1
    with pytest.raises(fastcnn.DataFormatError, match=r"a\.png .*\(it takes 5,000 pixels, expected at most 4,999"):
        data.from_folder(tmp_path, (3, 4), max_pixels=4999)
    picture(tmp_path / "all" / "a.png", size=(1, 1))
    assert len(data.from_folder(tmp_path, (3, 4), max_pixels=1)) == 1


def test_a_photograph_that_lies_on_its_side_is_turned(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: what is right in the file is below
    (tmp_path / "all").mkdir()
    lying = Image.new("RGB", (4, 2), (255, 255, 255))
    lying.paste((0, 0, 0), (0, 0, 2, 2))
    lying.save(tmp_path / "all" / "a.png", exif=exif)
    images = data.from_folder(tmp_path, (4, 2)).images
    assert images[0, :2].max() == 0 and images[0, 2:].min() == 255


def tiff(**changes):
    """A grey image of 4 x 3 pixels in TIFF, in one strip or tile."""
    tags = {256: 4, 257: 3, 258: 8, 259: 5, 262: 1, 277: 1} | {int(name[1:]): value for name, value in changes.items()}
    tags |= {324: 8, 325: 9} if 322 in tags else {273: 8, 279: 9}
    lines = b"".join(struct.pack("<HHII", tag, 4, 1, tags[tag]) for tag in sorted(tags))
    return b"II*\0" + struct.pack("<I", 8 + 12) + bytes(12) + struct.pack("<H", len(tags)) + lines + bytes(4)


@pytest.mark.parametrize("changes", [{"_257": 1 << 25}, {"_278": 1 << 28}, {"_322": 1 << 14, "_323": 1 << 14}],
                         ids=["height", "rows of a strip", "tile"])
def test_tiff_that_would_take_much_memory_is_not_decoded(changes, tmp_path):
    (tmp_path / "all").mkdir()
    (tmp_path / "all" / "a.tif").write_bytes(tiff(**changes))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(fastcnn.DataFormatError, match=r"pixels, expected at most 67,108,864"):
        data.from_folder(tmp_path, (3, 4))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 1 << 14


def test_a_very_long_image_is_read_with_little_memory(tmp_path):
    image = Image.new("L", (1 << 22, 1), 7)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert (in_one_row(tmp_path, image, (32, 32)) == 7).all()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 1 << 16


@pytest.mark.parametrize(("labels", "classes"), [
    (["-1", "10", "2"], ("-1", "2", "10")), (["1.5", "10.5", "2.5"], ("1.5", "2.5", "10.5")),
    (["-1", "10", "none"], ("-1", "10", "none")), (["inf", "10", "-2"], ("-2", "10", "inf")),
])
def test_labels_that_are_numbers_are_classes_in_their_order(tmp_path, labels, classes):
    (tmp_path / "table.csv").write_text("".join(f"{label},0,1,2,3\n" for label in labels))
    split = data.from_csv(tmp_path / "table.csv", (2, 2))
    assert split.classes == classes and [classes[label] for label in split.labels] == labels


def test_broken_pictures_are_listed_after_one_name_of_the_function(tmp_path):
    for name in ("a", "b"):
        picture(tmp_path / "red" / f"{name}.png").write_bytes(b"broken")
    with pytest.raises(fastcnn.DataFormatError) as raised:
        data.from_folder(tmp_path, (3, 4))
    assert str(raised.value).count("from_folder") == 1 and str(raised.value).count("cannot be read") == 2
