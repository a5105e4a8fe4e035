import hashlib
import json
import multiprocessing
from pathlib import Path

import numpy as np
import pytest
from scipy.io import loadmat

from posekit.choices import SYNTHETIC_FORMATS
from posekit.data import open_people
from posekit.errors import ConfigError, OutputError
from posekit.images import cv2, read_image
from posekit.skeletons import LSP14, MPII16, joint_mapping
from posekit.synthetic.body import SIDES, STANCES, Build, Posture, place, sample_posture, turn
from posekit.synthetic.render import Camera, Canvas, Hull, Light
from posekit.synthetic.scene import render_scene
from posekit.synthetic.write import _FORMATS, write_synthetic

LEFT, RIGHT = 1, -1
LEG = {"flexion": 0.0, "spread": 0.0, "twist": 0.0, "knee": 0.0, "foot": 0.0}
ARM = {"flexion": 0.0, "spread": 0.0, "twist": 0.0, "elbow": 0.0}
UPRIGHT = {"yaw": 0.0, "lean": 0.0, "roll": 0.0, "bend": 0.0, "side_bend": 0.0, "twist": 0.0, "gaze": 0.0, "nod": 0.0}


def posed(leg=None, arm=None, **angles):
    legs = {side: {**LEG, **(leg or {})} for side in SIDES}
    arms = {side: {**ARM, **(arm or {})} for side in SIDES}
    posture = Posture("stand", **{**UPRIGHT, **angles}, legs=legs, arms=arms)
    return place(posture, Build(), camera=np.eye(3), position=np.zeros(3)).joints


def test_every_format_that_a_user_can_choose_has_a_writer():
    assert tuple(_FORMATS) == SYNTHETIC_FORMATS


def test_a_person_facing_the_viewer_has_the_left_side_on_the_right():
    joints = posed()
    for part in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle"):
        assert joints[f"left_{part}"][0] > 0 > joints[f"right_{part}"][0]
    assert joints["left_toe"][2] > joints["left_ankle"][2]  # toes toward the viewer
    assert joints["head_top"][1] > joints["thorax"][1] > joints["pelvis"][1] > joints["left_knee"][1]


def test_a_person_facing_away_has_the_left_side_on_the_left():
    assert posed(yaw=180)["left_shoulder"][0] < 0
    assert posed(yaw=180)["left_toe"][2] < posed(yaw=180)["left_ankle"][2]


def test_a_person_turned_to_the_left_faces_right_with_the_left_side_behind():
    joints = posed(yaw=90)
    assert joints["left_toe"][0] > joints["left_heel"][0]
    assert joints["left_shoulder"][2] < joints["right_shoulder"][2]


def test_lengths_are_those_of_the_build():
    joints = posed(yaw=30, lean=20, roll=40, leg={"flexion": 60, "knee": 90}, arm={"spread": 80, "elbow": 70})
    assert np.linalg.norm(joints["left_hip"] - joints["left_knee"]) == pytest.approx(Build().thigh)
    assert np.linalg.norm(joints["right_elbow"] - joints["right_wrist"]) == pytest.approx(Build().forearm)


@pytest.mark.parametrize(
    ("angles", "joint", "parent", "axis", "sign"),
    [
        ({"leg": {"flexion": 60}}, "knee", "hip", 2, 1),
        ({"leg": {"knee": 60}}, "ankle", "knee", 2, -1),
        ({"arm": {"elbow": 60}}, "wrist", "elbow", 2, 1),
        ({"arm": {"flexion": 170}}, "elbow", "shoulder", 1, 1),
        ({"bend": 60}, "shoulder", "hip", 2, 1),
    ],
)
def test_joints_bend_in_their_natural_direction(angles, joint, parent, axis, sign):
    joints = posed(**angles)
    for side in ("left", "right"):
        assert sign * (joints[f"{side}_{joint}"] - joints[f"{side}_{parent}"])[axis] > 0.1


def test_arms_spread_outward_and_twist_inward():
    spread = posed(arm={"spread": 90})
    assert spread["left_wrist"][0] > 0.5
    assert spread["right_wrist"][0] < -0.5
    twisted = posed(arm={"elbow": 90, "twist": 45})
    assert twisted["left_wrist"][0] < twisted["left_elbow"][0] - 0.1
    assert twisted["right_wrist"][0] > twisted["right_elbow"][0] + 0.1


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_turn_is_a_rotation_by_the_right_hand_rule(axis):
    matrix = turn(axis, 90)
    unit = np.eye(3)
    assert matrix @ matrix.T == pytest.approx(unit)
    assert matrix @ unit[(axis + 1) % 3] == pytest.approx(unit[(axis + 2) % 3])


def test_knees_and_elbows_never_bend_the_wrong_way():
    rng = np.random.default_rng(0)
    for _ in range(400):
        posture = sample_posture(rng)
        for side in SIDES:
            assert posture.legs[side]["knee"] >= 0
            assert posture.arms[side]["elbow"] >= 0


def test_stances_and_directions_are_varied():
    rng = np.random.default_rng(0)
    postures = [sample_posture(rng) for _ in range(400)]
    assert {posture.stance for posture in postures} == set(STANCES)
    facing = np.cos(np.deg2rad([posture.yaw for posture in postures]))
    assert 0.45 < (facing > 0.5).mean() < 0.75, "most face the viewer"
    assert (facing < -0.5).mean() > 0.15, "many face away"
    assert (np.abs(facing) < 0.5).mean() > 0.1, "some are seen from the side"
    upside_down = [abs(posture.roll) > 90 for posture in postures]
    assert 0.02 < np.mean(upside_down) < 0.1


def test_near_points_are_projected_larger():
    xy, scale = Camera(4.0, focal=200.0, centre=(50.0, 60.0)).project(np.array([[1.0, 1, 0], [1, 1, 2]]))
    assert xy.tolist() == [[100, 10], [150, -40]]
    assert scale.tolist() == [50, 100]


def test_the_front_of_a_texture_is_visible_from_the_front_only():
    texture = np.full((4, 64, 3), 40, np.uint8)
    texture[:, 28:36] = 200  # the front
    texture[:, 40:56] = 120  # the person's left
    ends = np.array([[0, 0.5, 0], [0, -0.5, 0]])
    light = Light(np.array([0, 0, 1.0]), 1.0, 0.0)

    def middle_row(forward):
        canvas = Canvas(np.zeros((120, 120, 3), np.uint8), np.zeros((120, 120), np.uint8))
        solid = Hull("limb", ends, np.full(2, 0.3), ends, np.array(forward), texture)
        solid.paint(canvas, Camera(4.0, 400.0, (60.0, 60.0)), light, 7)
        assert set(np.unique(canvas.owners)) == {0, 7}
        return canvas.image[60, :, 0].astype(int)

    front = middle_row([0.0, 0, 1])
    back = middle_row([0.0, 0, -1])
    side = middle_row([1.0, 0, 0])
    assert front[60] > 180
    assert front[86] > 80 > front[34]  # the person's left is on the right
    assert back.max() < 150
    assert back[34] > 80 > back[86]
    assert side[86:].max() > 120 > side[:86].max()  # faces right: the front is at that edge


def test_a_scene_depends_on_the_generator_alone():
    first = render_scene(np.random.default_rng([3, 1]))
    again = render_scene(np.random.default_rng([3, 1]))
    other = render_scene(np.random.default_rng([3, 2]))
    assert np.array_equal(first.image, again.image)
    assert np.array_equal(first.people[0].joints, again.people[0].joints)
    assert first.image.shape != other.image.shape or not np.array_equal(first.image, other.image)


@pytest.fixture(scope="module")
def scenes():
    return [render_scene(np.random.default_rng([5, i])) for i in range(40)]


def test_images_are_about_256_px_and_rich_in_contrast(scenes):
    for scene in scenes:
        assert scene.image.dtype == np.uint8
        assert all(200 <= side <= 300 for side in scene.image.shape[:2])
    assert np.mean([scene.image.std() for scene in scenes]) > 25


def test_visible_joints_are_inside_and_some_inside_are_hidden(scenes):
    for scene in scenes:
        height, width = scene.image.shape[:2]
        for person in scene.people:
            assert not (person.visible & ~person.inside).any()
            inside = ((person.joints >= 0) & (person.joints <= (width - 1, height - 1))).all(1)
            np.testing.assert_array_equal(person.inside, inside)
    subjects = [scene.people[0] for scene in scenes]
    occluded = np.mean([(person.inside & ~person.visible).mean() for person in subjects])
    assert 0.05 < occluded < 0.35
    assert 0.01 < np.mean([(~person.inside).mean() for person in subjects]) < 0.15
    assert 0.1 < np.mean([len(scene.people) > 1 for scene in scenes]) < 0.7


def test_left_and_right_joints_are_visible_about_equally_often(scenes):
    """Neither side is always painted over the other."""
    visible = np.mean([person.visible for scene in scenes for person in scene.people], axis=0)
    for left, right in MPII16.flip_pairs:
        assert abs(visible[left] - visible[right]) < 0.25


def test_head_boxes_have_the_proportions_of_mpii(scenes):
    """In the real file the diagonal is 1.25 times the distance from the upper neck to the head top."""
    neck = MPII16.index("upper_neck")
    top = MPII16.index("head_top")
    ratios = []
    for scene in scenes:
        person = scene.people[0]
        diagonal = np.hypot(*(person.head_box[2:] - person.head_box[:2]))
        ratios.append(diagonal / np.hypot(*(person.joints[top] - person.joints[neck])))
        middle = person.joints[[neck, top]].mean(0)
        assert (person.head_box[:2] < middle).all()
        assert (middle < person.head_box[2:]).all()
    assert np.median(ratios) == pytest.approx(1.25, abs=0.08)


def test_left_and_right_limbs_look_alike(scenes):
    """The colours of a person's two shins differ only by light and noise."""
    joints = [MPII16.index(name) for name in ("left_knee", "left_ankle", "right_knee", "right_ankle")]
    colours = []
    for scene in scenes:
        person = scene.people[0]
        if person.visible[joints].all():
            blurred = cv2.GaussianBlur(scene.image, (0, 0), 1.5).astype(float)
            left_knee, left_ankle, right_knee, right_ankle = person.joints[joints]
            shins = np.array([0.6 * left_knee + 0.4 * left_ankle, 0.6 * right_knee + 0.4 * right_ankle]).round().astype(int)
            colours.append(blurred[shins[:, 1], shins[:, 0]])
    pairs = np.array(colours)
    others = np.roll(pairs[:, 1], 1, axis=0)
    assert len(pairs) > 15
    assert np.abs(pairs[:, 0] - pairs[:, 1]).mean() < 0.4 * np.abs(pairs[:, 0] - others).mean()


def digest(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix != ".mat")
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def mat_variables(path: Path) -> str:
    return repr({name: value for name, value in loadmat(path).items() if not name.startswith("__")})


def test_files_do_not_depend_on_the_number_of_workers(tmp_path):
    one = write_synthetic(tmp_path / "one", people=20, seed=4, workers=1)
    two = write_synthetic(tmp_path / "two", people=20, seed=4, workers=3)
    assert digest(one) == digest(two)
    file = "annot/mpii_human_pose_v1_u12_1.mat"
    # After the header, which contains the date, the files are the same to the bit.
    assert (one / file).read_bytes()[128:] == (two / file).read_bytes()[128:]
    assert mat_variables(one / file) == mat_variables(two / file)
    assert not multiprocessing.active_children()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "two"], "no temporary folder is left"


@pytest.fixture(scope="module")
def mpii(tmp_path_factory):
    return write_synthetic(tmp_path_factory.mktemp("mpii") / "set", people=100, seed=1)


def rectangles(release):
    for image in release["annolist"][0]:
        for rectangle in image["annorect"][0] if image["annorect"].size else ():
            yield image, rectangle


def test_the_mpii_file_has_the_real_structure_and_irregularities(mpii):
    release = loadmat(mpii / "annot" / "mpii_human_pose_v1_u12_1.mat")["RELEASE"]
    assert release.shape == (1, 1)
    assert set(release.dtype.names) == {"annolist", "img_train", "version", "single_person", "act", "video_list"}
    release = release[0, 0]
    count = len(list((mpii / "images").iterdir()))
    assert release["annolist"].shape == release["img_train"].shape == (1, count)
    assert release["single_person"].shape == release["act"].shape == (count, 1)
    assert set(release["act"].dtype.names) == {"act_name", "cat_name", "act_id"}
    for image in release["annolist"][0]:
        assert (mpii / "images" / image["image"][0, 0]["name"][0]).is_file()
    people = [rectangle for _, rectangle in rectangles(release)]
    labelled = [rectangle for rectangle in people if "annopoints" in rectangle.dtype.names and rectangle["annopoints"].size]
    assert len(labelled) == 100
    assert len(people) > 100, "some rectangles have no points"
    assert any(not image["annorect"].size for image in release["annolist"][0])
    assert (release["img_train"] == 0).any()
    counts = set()
    visibility = set()
    for rectangle in labelled:
        points = rectangle["annopoints"][0, 0]["point"]
        assert points.shape[0] == 1
        counts.add(points.shape[1])
        visibility |= {value.dtype.kind if value.size else "empty" for value in points["is_visible"][0]}
    assert min(counts) < max(counts) <= 16
    assert visibility >= {"empty", "U"}
    assert visibility & {"u", "i"}


def test_single_person_counts_the_rectangles_that_have_points(mpii):
    release = loadmat(mpii / "annot" / "mpii_human_pose_v1_u12_1.mat")["RELEASE"][0, 0]
    for image, numbers in zip(release["annolist"][0], release["single_person"][:, 0], strict=True):
        for number in numbers.ravel():
            assert image["annorect"][0, int(number) - 1]["annopoints"].size


def test_a_scale_is_4_8_head_box_diagonals_as_in_the_real_file(mpii):
    release = loadmat(mpii / "annot" / "mpii_human_pose_v1_u12_1.mat")["RELEASE"][0, 0]
    for _, rectangle in rectangles(release):
        if "x1" in rectangle.dtype.names and rectangle["scale"].size:
            x1, y1, x2, y2 = (rectangle[name].item() for name in ("x1", "y1", "x2", "y2"))
            assert 200 * rectangle["scale"].item() == pytest.approx(4.8 * np.hypot(x2 - x1, y2 - y1))


def test_the_loader_reads_the_joints_that_were_drawn(mpii):
    people = open_people("mpii", mpii)
    assert len(people) == 100
    rendered = []
    for path in dict.fromkeys(people.image_paths):
        rendered += rendered_again(path, int((people.image_paths == path).sum()), seed=1)
    for person, expected in zip(people, rendered, strict=True):
        assert np.array_equal(person.labelled, expected.inside)
        assert person.joints[person.labelled] == pytest.approx(expected.joints[expected.inside])
        with_visibility = person.labelled & ~np.isin(np.arange(16), (8, 9))
        assert np.array_equal(person.visible[with_visibility], expected.visible[with_visibility])
        assert person.head_size == pytest.approx(0.6 * np.hypot(*(expected.head_box[2:] - expected.head_box[:2])))


def rendered_again(path, count, *, seed):
    index = int(Path(path).stem) - 1
    scene = render_scene(np.random.default_rng([seed, index]), subjects=count)
    assert np.abs(scene.image.astype(int) - read_image(path)).mean() < 15, "the same image, except for JPEG"
    return scene.people[:count]


def test_the_hourglass_box_holds_the_person(mpii):
    people = open_people("mpii", mpii)
    reach = np.abs(people.joints - people.centres[:, None]).max(-1) < people.sides[:, None] / 2
    assert reach[people.labelled].mean() > 0.95


def test_the_lsp_file_has_the_real_layout(tmp_path):
    folder = write_synthetic(tmp_path / "lsp", people=24, seed=2, format="lsp")
    joints = loadmat(folder / "joints.mat")["joints"]
    assert joints.shape == (3, 14, 24)
    assert set(np.unique(joints[2])) == {0, 1}
    assert sorted(path.name for path in (folder / "images").iterdir())[::23] == ["im0001.jpg", "im0024.jpg"]
    people = open_people("lsp", folder)
    assert people.name == "lsp"
    for index, person in enumerate(people):
        expected = render_scene(np.random.default_rng([2, index]), whole=True).people[0]
        order = joint_mapping(MPII16, LSP14)
        assert expected.inside.all(), "LSP labels every joint"
        assert person.joints == pytest.approx(expected.joints[order])
        assert np.array_equal(person.visible, expected.visible[order])


def test_the_lspet_file_has_the_real_layout_and_meaningless_coordinates(tmp_path):
    folder = write_synthetic(tmp_path / "lspet", people=40, seed=2, format="lspet")
    joints = loadmat(folder / "joints.mat")["joints"]
    assert joints.shape == (14, 3, 40)
    labelled = joints[:, 2] == 1
    assert 0.02 < (~labelled).mean() < 0.25
    assert (joints[:, 0][~labelled] <= 0).all()
    assert (joints[:, 0][~labelled] < 0).any()
    assert (folder / "images" / "im00040.jpg").is_file()
    people = open_people("lsp", folder)
    assert people.name == "lspet"
    assert np.array_equal(people.labelled, labelled.T)


def test_the_same_set_is_reused_and_another_is_an_error(tmp_path):
    folder = write_synthetic(tmp_path / "set", people=3, seed=0, workers=1)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    write_synthetic(folder, people=3, seed=0, workers=1)
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before
    with pytest.raises(OutputError, match=r"set: .*seed 0.*seed 1"):
        write_synthetic(folder, people=3, seed=1)
    next((folder / "images").iterdir()).unlink()
    with pytest.raises(OutputError, match=r"images.*missing"):
        write_synthetic(folder, people=3, seed=0)


@pytest.mark.parametrize("content", [None, "", "[]", "{}", '{"pictures": 1}', "\x00"])
def test_a_folder_with_other_files_is_an_error_and_left_unchanged(tmp_path, content):
    (tmp_path / "photo.jpg").write_bytes(b"mine")
    if content is not None:
        (tmp_path / "synthetic.json").write_text(content)
    with pytest.raises(OutputError, match=tmp_path.name):
        write_synthetic(tmp_path, people=3, seed=0)
    assert (tmp_path / "photo.jpg").read_bytes() == b"mine"
    assert not (tmp_path / "images").exists()


def test_an_empty_folder_is_filled_and_a_file_is_an_error(tmp_path):
    (tmp_path / "empty").mkdir()
    assert write_synthetic(tmp_path / "empty", people=1, seed=0, workers=1).is_dir()
    (tmp_path / "file").write_text("mine")
    for out in (tmp_path / "file", tmp_path / "file" / "set"):
        with pytest.raises(OutputError, match=out.name):
            write_synthetic(out, people=1, seed=0)


def test_a_failed_run_leaves_no_files(tmp_path, monkeypatch):
    def stop(*args, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("posekit.synthetic.write.render_scene", stop)
    with pytest.raises(KeyboardInterrupt):
        write_synthetic(tmp_path / "set", people=1, seed=0, workers=1)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"people": 0}, "0 people"),
        ({"seed": -1}, "seed -1"),
        ({"format": "coco"}, "mpii, lsp, lspet"),
        ({"workers": 0}, "0 workers"),
    ],
)
def test_arguments_out_of_range_are_errors(tmp_path, arguments, message):
    with pytest.raises(ConfigError, match=message):
        write_synthetic(tmp_path / "set", **{"people": 1, "seed": 0, **arguments})
    assert not list(tmp_path.iterdir())


def test_the_recipe_holds_the_arguments(mpii):
    recipe = json.loads((mpii / "synthetic.json").read_text())
    images = len(list((mpii / "images").iterdir()))
    assert recipe.items() >= {"people": 100, "seed": 1, "format": "mpii", "pictures": images}.items()
