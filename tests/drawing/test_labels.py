import numpy as np
import pytest

from posekit.drawing import labels
from posekit.drawing.labels import draw_named, draw_numbers, named_sheet
from posekit.drawing.pose import LEFT, MIDDLE, RIGHT
from posekit.geometry import Box
from posekit.people import Person
from posekit.skeletons import LSP14, Skeleton

IMAGE = np.full((300, 400, 3), 90, np.uint8)


def person(joints=None, labelled=None, visible=None, skeleton=LSP14) -> Person:
    k = len(skeleton)
    if joints is None:
        joints = np.stack([np.linspace(120, 280, k), np.linspace(60, 240, k)], -1)
    labelled = np.ones(k, bool) if labelled is None else labelled
    return Person("a.jpg", joints, labelled, labelled if visible is None else visible, Box((200, 150), 200))


@pytest.fixture
def written(monkeypatch) -> list[tuple[str, float, float, tuple]]:
    """Texts that are written: text, x, y, colour."""
    texts = []
    write = labels._write

    def record(canvas, text, x, y, colour):
        texts.append((text, x, y, colour))
        write(canvas, text, x, y, colour)

    monkeypatch.setattr(labels, "_write", record)
    return texts


def test_every_labelled_joint_is_named_in_the_colour_of_its_side(written):
    labelled = np.ones(14, bool)
    labelled[LSP14.index("left_wrist")] = False
    draw_named(IMAGE, person(labelled=labelled), LSP14)
    colours = {text: colour for text, _, _, colour in written}
    assert len(written) == len(colours) == 13
    assert "l wrist" not in colours
    assert (colours["l elbow"], colours["r elbow"], colours["head top"]) == (LEFT, RIGHT, MIDDLE)


def test_hidden_joints_are_in_brackets(written):
    visible = np.ones(14, bool)
    visible[LSP14.index("left_wrist")] = False
    draw_named(IMAGE, person(visible=visible), LSP14)
    texts = [text for text, *_ in written]
    assert "(l wrist)" in texts
    assert sum(text.startswith("(") for text in texts) == 1


@pytest.mark.parametrize("heights", [np.full(14, 150.0), np.full(14, -50.0), np.full(14, 400.0), np.linspace(0, 299, 14)])
def test_names_do_not_touch_each_other_and_stay_in_the_image(written, heights):
    joints = np.stack([np.linspace(120, 280, 14), heights], -1)
    height = draw_named(IMAGE, person(joints), LSP14).shape[0]
    for left in (True, False):
        rows = sorted(y for _, x, y, _ in written if (x < 200) == left)
        assert len(rows) == 7
        assert min(np.diff(rows)) >= 19.9
        assert 0 < rows[0] < rows[-1] < height


@pytest.mark.parametrize("image", [IMAGE, np.zeros((20, 31, 3), np.uint8)], ids=["large", "small"])
def test_tiles_have_one_shape_for_all_images_and_joints(image):
    expected = draw_named(IMAGE, person(), LSP14).shape
    far = person(np.tile([5000.0, -7000.0], (14, 1)))
    unlabelled = person(labelled=np.zeros(14, bool))
    for tile in (draw_named(image, far, LSP14), draw_named(image, unlabelled, LSP14)):
        assert tile.shape == expected


def test_the_image_is_not_changed():
    image = IMAGE.copy()
    draw_named(image, person(), LSP14)
    assert (image == IMAGE).all()


def test_long_names_are_cut_and_many_joints_find_room(written):
    many = Skeleton("many", tuple(f"left_joint_of_the_{i}th_kind" for i in range(80)))
    tile = draw_named(IMAGE, person(skeleton=many), many)
    assert len(written) == 80
    assert all(x >= 0 and x + labels._text_width(text) <= tile.shape[1] for text, x, _, _ in written)


def test_sheet_has_a_legend_and_a_title_for_each_person():
    images = [IMAGE] * 5
    sheet = named_sheet(images, [person()] * 5, LSP14, list("abcde"))
    single = named_sheet(images[:1], [person()], LSP14, ["a"])
    assert sheet.shape[1] == 3 * single.shape[1]
    assert sheet.dtype == np.uint8
    assert sheet[: 2 * labels._LINE].max() > 200


def test_sheet_of_unequal_lengths_is_an_error():
    with pytest.raises(ValueError, match="zip"):
        named_sheet([IMAGE], [person()] * 2, LSP14, ["a"])
    with pytest.raises(ValueError, match="contact sheet"):
        named_sheet([], [], LSP14, [])


def changed(image, places):
    """First and last row, first and last column of the pixels that were drawn."""
    rows, columns = np.nonzero((draw_numbers(image, places) != image).any(-1))
    return (rows.min(), rows.max()), (columns.min(), columns.max())


def test_a_number_stands_above_its_place():
    image = np.full((400, 600, 3), 120, np.uint8)
    (top, bottom), (left, right) = changed(image, [(300, 200)])
    assert top > 170 and 190 < bottom < 200
    assert 285 < left < 300 < right < 315 and abs(left + right - 600) <= 1
    assert (image == 120).all()


@pytest.mark.parametrize("place", [(-300, -300), (900, 900), (1e7, -1e7)])
def test_a_place_outside_has_its_number_inside(place):
    rows, columns = changed(np.full((400, 600, 3), 120, np.uint8), [place])
    assert rows[1] - rows[0] > 10 and columns[1] - columns[0] > 10


def test_numbers_differ():
    image = np.zeros((60, 60, 3), np.uint8)
    first = draw_numbers(image, [(30, 30)])
    assert (draw_numbers(image, [(30, 30)] * 2) != first).any()
    np.testing.assert_array_equal(draw_numbers(image, []), image)


def test_the_smallest_image():
    assert draw_numbers(np.zeros((1, 1, 3), np.uint8), [(0, 0)] * 12).shape == (1, 1, 3)
