import base64
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
import torch

from posekit.data import open_people
from posekit.errors import OutputError, PredictionsError
from posekit.geometry import Crop
from posekit.heatmaps import encode
from posekit.images import write_image
from posekit.lab.report import persons, tables
from posekit.lab.report.pictures import SMALL, data_uri, read_pictures
from posekit.lab.report.write import write_report
from posekit.opencv import cv2
from posekit.people import People
from posekit.scoring.io.files import read_predictions
from posekit.scoring.io.predictions import Predictions
from posekit.scoring.mean_pose import mean_pose
from posekit.scoring.score import score
from posekit.skeletons import COCO17, LSP14, MPII16

MAP = 16
NAME = "<b>best & \"oldest\" 'model'</b>"
READABLE, N = (0, 1, 2, 3), 6


def make_people(folder, n=N, skeleton=LSP14):
    """People of 60 px in photographs of 120 x 90 px, of which those in `READABLE` exist, under a name that is no good HTML."""
    rng, k = np.random.default_rng(0), len(skeleton)
    images = [str(folder / f"im <i>&\"{i}'.png") for i in range(n)]
    for i in set(READABLE) & set(range(n)):
        write_image(images[i], rng.integers(60, 200, (90, 120, 3), dtype=np.uint8))
    return People(
        name="lsp",
        split="test",
        skeleton=skeleton,
        image_paths=np.array(images, dtype=str),
        joints=rng.uniform([35, 20], [85, 70], (n, k, 2)),
        labelled=np.ones((n, k), bool),
        visible=np.ones((n, k), bool),
        centres=np.tile([60.0, 45.0], (n, 1)),
        sides=np.full(n, 64.0),
        head_sizes=np.full(n, 10.0),
        box_source="drawn for the test",
        left_out={"no <labelled> joint": 2},
    )


def make_predictions(people, *, second=True):
    """Person i is off by i / 5 heads; left knees are off by 1.2 heads more, and their maps have a second peak at the truth."""
    n, k = people.labelled.shape
    joints = people.joints + np.array([1.0, 0]) * 2.0 * np.arange(n)[:, None, None]
    peaks, heights = np.full((n, k, 3, 2), np.nan), np.full((n, k, 3), np.nan)
    peaks[:, :, 0], heights[:, :, 0] = joints, 0.8
    if second:
        knee = people.skeleton.index("left_knee")
        joints[:, knee] += [0, 12]
        peaks[:, knee, 0] = joints[:, knee]
        peaks[:, knee, 1], heights[:, knee, 1] = people.joints[:, knee], 0.6 + np.arange(n) / 100
    return Predictions(
        joints, heights[:, :, 0], np.arange(n), people.skeleton, people.name, people.split, peaks=peaks, heights=heights
    )


def maps_at(points, people, size=MAP):
    """Gaussians at points in image pixels, in the frame of each person's crop."""
    crops = np.stack([Crop(person.box, 4 * size).forward(p) for person, p in zip(people, points, strict=True)])
    shown = torch.from_numpy(np.isfinite(crops).all(-1))
    return 0.8 * encode(torch.from_numpy(crops), shown, size=size).numpy()


class Page(HTMLParser):
    """What a page refers to, its ids, the alternative texts of its pictures, and its text."""

    def __init__(self, path):
        super().__init__()
        self.references, self.ids, self.pictures, self.texts = [], [], {}, []
        self.feed(path.read_text(encoding="utf-8"))
        self.text = " ".join(" ".join(self.texts).split())

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.references += [attrs[key] for key in ("src", "href", "xlink:href", "srcset", "action", "data") if key in attrs]
        self.ids += [attrs["id"]] if "id" in attrs else []
        if tag == "img":
            self.pictures.setdefault(attrs["alt"], []).append(attrs["src"])

    def handle_data(self, data):
        self.texts.append(data)


def decoded(uri):
    data = np.frombuffer(base64.b64decode(uri.removeprefix("data:image/webp;base64,")), np.uint8)
    return cv2.imdecode(data, cv2.IMREAD_COLOR)


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    return make_people(tmp_path_factory.mktemp("photographs"))


@pytest.fixture(scope="module")
def page(people, tmp_path_factory):
    """With everything that a page can have."""
    scores = score(people, make_predictions(people))
    other = score(people, mean_pose(people, people))
    sections = {"conventions": [{"name": "<1>", "used_by": "a & b", "percent": 12.5}], "oks": {"AP": 50.0, "sigmas": "borrowed"}}
    return write_report(
        tmp_path_factory.mktemp("report"),
        {NAME: scores, "mean pose": other},
        details=scores.to_dict(weights="w<.safetensors", choices={"decode": "dark"}, sections=sections),
        heatmaps=lambda some: maps_at(some.joints, some),
    )


def test_the_page_needs_nothing_else(page):
    found = Page(page)
    assert found.pictures and not [ref for ref in found.references if not ref.startswith(("data:", "#"))]
    text = page.read_text(encoding="utf-8")
    assert "@import" not in text and "default-src &#39;none&#39;" not in text and "default-src 'none'" in text
    assert list(page.parent.iterdir()) == [page] and page.name == "index.html"


def test_ids_do_not_repeat_and_links_lead_somewhere(page):
    found = Page(page)
    assert [name for name, times in Counter(found.ids).items() if times > 1] == []
    assert not [ref for ref in found.references if ref.startswith("#") and ref[1:] not in found.ids]


def test_names_are_text_not_html(page):
    text = page.read_text(encoding="utf-8")
    assert "<b>best" not in text and "im <i>" not in text and "<labelled>" not in text and "w<." not in text
    found = Page(page)
    assert NAME in found.text and "im <i>&\"3'.png: mean error" in found.text and "no <labelled> joint" in found.text


def test_the_page_says_what_was_scored(page, people):
    scores, text = score(people, make_predictions(people)), Page(page).text
    low, high = scores.interval95
    for said in (
        f"{scores.pooled_mean:.2f} % PCKh@0.5",
        f"95 % interval {low:.2f} to {high:.2f}",
        "6 of 6",
        "left out by the loader, no <labelled> joint: 2 people",
        "PCKh@0.5, plain mean over 14 kinds of joint",
        "head size (0.6 * diagonal of the head box)",
        "Evaluation of",
        "a & b 12.50",
        "sigmas borrowed",
        "decode dark",
        "A is <b>best",
        "PyTorch",
        '"pooled_mean"',
    ):
        assert said in text, said


def test_persons_without_photograph_are_shown_and_named_without_their_folder(page, people):
    found = Page(page)
    assert found.text.count("No photograph: im <i>&\"4'.png: no such image") == 1
    assert found.text.count("no photograph") == 4  # persons 4 and 5 in two galleries each
    assert str(people.image_paths[4])[: -len("im <i>&\"4'.png")] not in page.read_text(encoding="utf-8")


def test_photographs_that_cannot_be_read_get_a_dark_ground(people):
    pictures = read_pictures(score(people, make_predictions(people)), 5)
    assert pictures.problem == "im <i>&\"5'.png: no such image" and pictures.large.max() < 60
    assert decoded(pictures.comparison()).max() > 200  # skeletons are drawn all the same


def test_heatmaps_are_asked_once_for_those_who_can_be_seen(people, tmp_path):
    asked = []

    def heatmaps(some):
        asked.append(some.image_paths.tolist())
        return maps_at(some.joints, some)

    scores = score(people, make_predictions(people))
    page = Page(write_report(tmp_path, {"model": scores}, details={}, heatmaps=heatmaps))
    assert asked == [people.image_paths[list(READABLE)].tolist()]
    # Four detail views, and a card in the gallery for each of those four.
    assert len(page.pictures["heatmap of left knee over the crop"]) == 8
    assert len(page.pictures["heatmap of neck over the crop"]) == 4
    assert len(page.pictures["peaks of left knee over the crop"]) == 2 * (N - 4)  # for want of a heatmap


def test_heatmaps_lie_where_the_joint_is(people, tmp_path):
    point = np.broadcast_to([44.0, 61.0], people.joints.shape).copy()
    page = write_report(
        tmp_path, {"m": score(people, make_predictions(people))}, details={}, heatmaps=lambda some: maps_at(point[:4], some)
    )
    picture = decoded(Page(page).pictures["heatmap of right ankle over the crop"][0]).astype(int)
    warm = picture[..., 2] - picture[..., 0]  # the crop is grey, the marks are not red
    y, x = np.unravel_index(warm.argmax(), warm.shape)
    expected = Crop(people[0].box, SMALL).forward(np.array([44.0, 61.0]))
    assert np.abs(np.array([x, y]) - expected).max() < SMALL / MAP


def test_heatmaps_of_another_skeleton_are_matched_by_name(people, tmp_path):
    def heatmaps(some):
        maps = np.zeros((len(some), 16, MAP, MAP), np.float32)
        maps[:, MPII16.index("upper_neck"), 3, 5] = 0.87
        maps[:, MPII16.index("thorax"), 3, 5] = 0.99
        return maps

    scores = score(people, make_predictions(people))
    text = Page(write_report(tmp_path, {"m": scores}, details={}, heatmaps=heatmaps, heatmap_skeleton=MPII16)).text
    assert text.count("neck 0.87") == 4 and "0.99" not in text


def test_joints_that_the_model_lacks_have_no_heatmap(people, tmp_path):
    scores = score(people, make_predictions(people))
    heat = np.full((4, 17, MAP, MAP), 0.5, np.float32)
    pictures = Page(write_report(tmp_path, {"m": scores}, details={}, heatmaps=lambda _: heat, heatmap_skeleton=COCO17)).pictures
    assert "heatmap of left hip over the crop" in pictures and "heatmap of neck over the crop" not in pictures


def test_heatmaps_of_another_number_of_joints(people, tmp_path):
    scores = score(people, make_predictions(people))
    with pytest.raises(ValueError, match=r"heatmaps: expected \(4, 14, h, w\) for skeleton lsp14, got \(4, 16, 8, 8\)"):
        write_report(tmp_path, {"m": scores}, details={}, heatmaps=lambda _: np.zeros((4, 16, 8, 8), np.float32))


def test_penalty_maps_are_those_of_wrong_joints_whose_peak_is_elsewhere(people, tmp_path):
    def heatmaps(some):
        maps = maps_at(some.joints, some)
        wrong = maps_at(some.joints + np.where(some.joints < some.centres[:, None], 20, -20), some)
        knee = LSP14.index("left_knee")
        maps[:, knee] = 0.5 * maps[:, knee] + wrong[:, knee]
        return maps

    page = Page(write_report(tmp_path, {"m": score(people, make_predictions(people))}, details={}, heatmaps=heatmaps))
    # The right joints' peaks are where they should be; others' predictions are off, but their maps are not.
    assert [alt for alt in page.pictures if alt.startswith("penalty")] == ["penalty map of left knee over the crop"]
    assert len(page.pictures["penalty map of left knee over the crop"]) == 8


def test_mean_errors_are_clipped_and_run_over_the_joints_of_the_means(tmp_path):
    people = make_people(tmp_path, 4, MPII16)
    joints = people.joints.copy()
    joints[0] += [0, 2]  # 0.2 heads
    joints[1, :8] = np.nan  # 6 of the 14 of the means, and pelvis and thorax
    joints[2] += [500, 0]
    people.head_sizes[3] = np.nan
    scores = score(people, replace(make_predictions(people, second=False), joints=joints))
    np.testing.assert_allclose(persons.mean_errors(scores), [0.2, 6 / 14, 1.0, np.nan], atol=1e-12)


@pytest.mark.parametrize(
    ("n", "worst", "median", "best"),
    [
        (0, [], [], []),
        (1, [0], [], []),
        (2, [1], [], [0]),
        (3, [2], [1], [0]),
        (5, [4, 3], [2], [0, 1]),
        (7, [6, 5, 4], [3], [0, 1, 2]),
    ],
)
def test_few_persons_are_shared_out(n, worst, median, best):
    found = [category.persons.tolist() for category in persons.by_error(np.arange(n) / 10)]
    assert found == [worst, median, best]


def test_worst_median_and_best_of_many():
    errors = np.random.default_rng(0).permutation(1001) / 1001
    errors[[3, 5]] = np.nan
    worst, median, best = (errors[category.persons] for category in persons.by_error(errors))
    ranked = np.sort(errors[~np.isnan(errors)])
    np.testing.assert_array_equal(worst, ranked[::-1][:12])
    np.testing.assert_array_equal(best, ranked[:12])
    middle = (len(ranked) - 12) // 2
    np.testing.assert_array_equal(median, ranked[middle : middle + 12])


def test_double_counting_shows_first_where_only_another_peak_is_right(people):
    scores = score(people, make_predictions(people))
    category = persons.double_counted(scores, scores.double_counting)
    # The knee's second peak is at the truth, the first 12 px away, more than half a head: the higher the second, the earlier.
    assert category.persons.tolist() == [5, 4, 3, 2, 1, 0]
    assert set(category.joints.tolist()) == {LSP14.index("left_knee")}


def test_double_counting_is_left_out_without_peaks(people, tmp_path):
    predictions = replace(make_predictions(people), peaks=None, heights=None)
    text = Page(write_report(tmp_path, {"m": score(people, predictions)}, details={})).text
    assert "Double counting" not in text and "Kinds of error" in text


def test_predictions_that_are_not_finite(people, tmp_path):
    predictions = make_predictions(people)
    predictions.joints[1:] = np.nan
    text = Page(write_report(tmp_path, {"m": score(people, predictions)}, details={})).text
    assert "predicted as NaN, so wrong: 70 of 84 joints" in text and "not predicted wrong: miss" in text


def test_predictions_without_scores(people, tmp_path):
    predictions = make_predictions(people)
    predictions.scores[:] = np.nan
    text = Page(write_report(tmp_path, {"m": score(people, predictions)}, details={})).text
    assert "mean score" not in text and "Does the score mean accuracy?" not in text


@pytest.mark.parametrize("n", [0, 1, 2])
def test_nobody_or_hardly_anybody(tmp_path, n):
    people = make_people(tmp_path, n)
    text = Page(write_report(tmp_path / "out", {"m": score(people, make_predictions(people))}, details={})).text
    assert ("No person could be scored." in text) == (n == 0) and f"{n} of {n}" in text


def test_people_of_whom_nobody_has_a_reference_size(people, tmp_path):
    nobody = replace(people, head_sizes=np.array([np.nan] * N), labelled=people.labelled & (np.arange(14) > 8))
    text = Page(write_report(tmp_path, {"m": score(nobody, make_predictions(people))}, details={})).text
    assert (
        "– % PCK@0.2" in text
        and "left out, without torso size (true left shoulder to right hip): 6 of 6 people" in text
        and "No person could be scored." in text
    )


def test_only_the_same_people_are_compared(people, tmp_path):
    scores, fewer = (score(some, make_predictions(some)) for some in (people, people.select(np.arange(3))))
    with pytest.raises(PredictionsError, match="scored on different joints"):
        write_report(tmp_path, {"a": scores, "b": fewer}, details={})
    assert not list(tmp_path.iterdir())


def test_a_page_that_cannot_be_written(people, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match=r"index\.html: cannot be written"):
        write_report(tmp_path / "file", {"m": score(people, make_predictions(people))}, details={})


def test_numbers_and_intervals():
    assert (
        tables.number(float("nan")) == tables.number(None) == "–"
        and tables.number(-1.234) == "−1.23"
        and tables.number(0.5, 1, sign=True) == "+0.5"
    )
    assert tables.interval((float("nan"), 1.0)) == "–" and tables.interval((-1.0, 2.0), sign=True) == "−1.00 to +2.00"


def test_pictures_are_small_and_survive():
    picture = np.zeros((9, 7, 3), np.uint8)
    picture[:, :, 2] = 200
    assert np.abs(decoded(data_uri(picture)).astype(int) - picture).max() < 25


@pytest.fixture
def opened(browser, page):
    """The page in the browser, from the file; at the end nothing was wrong in its console, and nothing was fetched."""
    browser.get("about:blank")
    browser.get(page.as_uri())
    yield browser
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []
    assert browser.execute_script("return performance.getEntriesByType('resource').map(e => e.name)") == []


def press(browser, key):
    from selenium.webdriver import ActionChains

    ActionChains(browser).send_keys(key).perform()


def viewer(browser):
    """Whether the detail view is open, whom it shows, and its pictures that did not load."""
    script = """
        const viewer = document.getElementById("viewer");
        return [viewer.open, document.getElementById("viewer-title").textContent, location.hash,
                [...document.images].filter((image) => image.complete && !image.naturalWidth).length];
    """
    return tuple(browser.execute_script(script))


def card(browser, person):
    return browser.find_element("css selector", f"button.card[data-person='{person}']")


def test_a_click_on_a_person_opens_the_details(opened):
    assert viewer(opened) == (False, "", "", 0)
    card(opened, 3).click()
    assert viewer(opened) == (True, "Person 3", "#person-3", 0)
    body = opened.find_element("id", "viewer-body")
    assert "im <i>&\"3'.png" in body.text and "left knee" in body.text and "Heatmaps" in body.text
    assert len(body.find_elements("tag name", "img")) > 14


def test_a_click_beside_the_details_closes_them_and_one_on_their_margin_does_not(opened):
    from selenium.webdriver import ActionChains

    def click_from_the_left_edge(offset):
        left, top = opened.execute_script(
            "const box = document.getElementById('viewer').getBoundingClientRect(); return [box.left, box.top]"
        )
        actions = ActionChains(opened)
        actions.w3c_actions.pointer_action.move_to_location(int(left + offset), int(top + 60))
        actions.click().perform()

    card(opened, 3).click()
    click_from_the_left_edge(8)
    assert viewer(opened)[0]
    click_from_the_left_edge(-8)
    assert not viewer(opened)[0]


def test_arrow_keys_lead_to_the_next_person_and_back(opened):
    from selenium.webdriver.common.keys import Keys

    order = [element.get_attribute("data-person") for element in opened.find_elements("css selector", "button.card")]
    assert order[:6] == ["5", "4", "2", "3", "0", "1"]  # two each of the worst, the median and the best
    card(opened, 5).click()
    for key, person in ((Keys.ARROW_RIGHT, order[1]), (Keys.ARROW_RIGHT, order[2]), (Keys.ARROW_LEFT, order[1])):
        press(opened, key)
        assert viewer(opened)[:2] == (True, f"Person {person}")
    for _ in range(2):
        press(opened, Keys.ARROW_LEFT)
    assert viewer(opened)[1] == f"Person {order[-1]}"  # round the corner


def test_escape_closes_and_gives_the_focus_to_the_last_person_shown(opened):
    from selenium.webdriver.common.keys import Keys

    card(opened, 5).click()
    press(opened, Keys.ARROW_RIGHT)
    press(opened, Keys.ESCAPE)
    assert viewer(opened)[:3] == (False, "Person 4", "#persons")
    assert opened.switch_to.active_element.get_attribute("data-person") == "4"


def test_it_works_without_a_mouse(opened):
    from selenium.webdriver.common.keys import Keys

    opened.execute_script("arguments[0].focus()", card(opened, 2))
    press(opened, Keys.ENTER)
    assert viewer(opened)[:2] == (True, "Person 2")
    for _ in range(3):
        press(opened, Keys.TAB)
    assert opened.switch_to.active_element.get_attribute("id") == "close"
    press(opened, Keys.ENTER)
    assert viewer(opened)[0] is False


def test_buttons_lead_on(opened):
    card(opened, 5).click()
    opened.find_element("id", "next").click()
    assert viewer(opened)[1] == "Person 4"
    opened.find_element("id", "previous").click()
    assert viewer(opened)[1] == "Person 5"
    opened.find_element("id", "close").click()
    assert viewer(opened)[0] is False


def test_an_address_leads_to_a_person(browser, page):
    browser.get("about:blank")
    browser.get(page.as_uri() + "#person-1")
    assert viewer(browser)[:2] == (True, "Person 1")
    browser.execute_script("location.hash = '#person-4'")
    browser.execute_async_script("requestAnimationFrame(() => setTimeout(arguments[0]))")
    assert viewer(browser)[:2] == (True, "Person 4")
    browser.get("about:blank")
    browser.get(page.as_uri() + "#person-77")
    assert viewer(browser)[0] is False
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []


def test_a_script_in_a_name_would_not_run(browser, page, tmp_path):
    changed = tmp_path / "changed.html"
    changed.write_text(
        page.read_text(encoding="utf-8").replace("</body>", "<script>document.title = 'run'</script></body>"), encoding="utf-8"
    )
    browser.get(changed.as_uri())
    assert browser.title != "run"
    assert any("Content Security Policy" in entry["message"] for entry in browser.get_log("browser"))


def test_nothing_sticks_out_on_a_phone(browser, page):
    size = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        browser.get("about:blank")
        browser.get(page.as_uri() + "#person-1")
        assert browser.execute_script("return document.documentElement.scrollWidth") <= 390
        assert browser.execute_script("return document.getElementById('viewer').scrollWidth") <= 390
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_real_people_of_whom_few_photographs_exist(real_data, tmp_path):
    people = open_people("mpii", real_data / "mpii", "valid")
    scores = score(people, read_predictions(real_data / "mpii" / "predictions" / "valid-ours.h5", base=1))
    path = write_report(tmp_path, {"valid-ours.h5": scores}, details=scores.to_dict())
    text = Page(path).text
    assert "88.04 % PCKh@0.5" in text and "95.94" in text and "2,958 of 2,958" in text and "No photograph" in text
    assert path.stat().st_size < 2e6  # 0.8 MB where it was measured


def test_a_page_with_heatmaps_of_real_people_stays_small(real_data, tmp_path):
    people = open_people("lsp", real_data / "lspet", "random:0.008:0")
    predictions = mean_pose(people, people)
    path = write_report(
        tmp_path, {"mean pose": score(people, predictions)}, details={}, heatmaps=lambda some: maps_at(some.joints, some, 64)
    )
    shown = len([name for name in Page(path).ids if name.startswith("details-")])
    assert shown == 36 and path.stat().st_size < 6e6
