import base64
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
import torch
from markupsafe import Markup

from posekit.data import open_people
from posekit.errors import OutputError, PredictionsError
from posekit.geometry import Crop
from posekit.heatmaps import encode
from posekit.images import cv2, write_image
from posekit.lab.report import sections, tables
from posekit.lab.report.people import SMALL, data_uri, mean_errors, rank_by_error, read_person_images, select_double_counted
from posekit.lab.report.write import write_report
from posekit.scoring.io.files import read_predictions
from posekit.scoring.io.predictions import Predictions, mean_pose
from posekit.scoring.score import score
from posekit.skeletons import COCO17, LSP14, MPII16
from tests.fixtures.people import make_people

MAP = 16
NAME = "<b>best & \"oldest\" 'model'</b>"
READABLE, N = (0, 1, 2, 3), 6


def people_with_images(folder, count=N, skeleton=LSP14):
    """People of 60 px in images of 120 x 90 px; only those in `READABLE` exist. The file names contain HTML."""
    rng = np.random.default_rng(0)
    image_paths = [str(folder / f"im <i>&\"{i}'.png") for i in range(count)]
    for i in READABLE:
        if i < count:
            write_image(image_paths[i], rng.integers(60, 200, (90, 120, 3), dtype=np.uint8))
    return make_people(
        count,
        skeleton=skeleton,
        image_paths=np.array(image_paths, dtype=str),
        joints=rng.uniform([35, 20], [85, 70], (count, len(skeleton), 2)),
        centres=np.tile([60.0, 45.0], (count, 1)),
        sides=np.full(count, 64.0),
        head_sizes=np.full(count, 10.0),
        left_out={"no <labelled> joint": 2},
    )


def make_predictions(people, *, second_peak=True):
    """Person i is off by i / 5 heads; left knees are off by 1.2 heads more, and their maps have a second peak at the truth."""
    n, k = people.labelled.shape
    offset = np.stack([2.0 * np.arange(n), np.zeros(n)], axis=-1)
    joints = people.joints + offset[:, None]
    peaks = np.full((n, k, 3, 2), np.nan)
    heights = np.full((n, k, 3), np.nan)
    peaks[:, :, 0] = joints
    heights[:, :, 0] = 0.8
    if second_peak:
        knee = people.skeleton.index("left_knee")
        joints[:, knee] += [0, 12]
        peaks[:, knee, 0] = joints[:, knee]
        peaks[:, knee, 1] = people.joints[:, knee]
        heights[:, knee, 1] = 0.6 + np.arange(n) / 100
    return Predictions(
        joints, heights[:, :, 0], np.arange(n), people.skeleton, people.name, people.split, peaks=peaks, heights=heights
    )


def make_scores(people):
    return score(people, make_predictions(people))


def maps_at(points, people, size=MAP):
    """Gaussians at points in image pixels, in the frame of each person's crop."""
    crop_points = np.stack([Crop(person.box, 4 * size).forward(p) for person, p in zip(people, points, strict=True)])
    finite = torch.from_numpy(np.isfinite(crop_points).all(-1))
    return 0.8 * encode(torch.from_numpy(crop_points), finite, size=size).numpy()


@pytest.fixture(autouse=True)
def unrendered_charts(monkeypatch):
    """Leave the charts' SVG empty, which is slow to render; the module's `page`, made before, has it."""
    monkeypatch.setattr(sections, "inline_svg", lambda figure, name: Markup(""))


class Page(HTMLParser):
    """References of a page, its ids, its images by their alternative texts, and its text."""

    def __init__(self, path):
        super().__init__()
        self.references = []
        self.ids = []
        self.images = {}
        self.texts = []
        self.feed(path.read_text(encoding="utf-8"))
        self.text = " ".join(" ".join(self.texts).split())

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        for key in ("src", "href", "xlink:href", "srcset", "action", "data"):
            if key in attrs:
                self.references.append(attrs[key])
        if "id" in attrs:
            self.ids.append(attrs["id"])
        if tag == "img":
            self.images.setdefault(attrs["alt"], []).append(attrs["src"])

    def handle_data(self, data):
        self.texts.append(data)


def decode(uri):
    data = np.frombuffer(base64.b64decode(uri.removeprefix("data:image/webp;base64,")), np.uint8)
    return cv2.imdecode(data, cv2.IMREAD_COLOR)


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    return people_with_images(tmp_path_factory.mktemp("images"))


@pytest.fixture(scope="module")
def page(people, tmp_path_factory):
    """A page with every optional part."""
    scores = make_scores(people)
    other = score(people, mean_pose(people, people))
    sections = {"conventions": [{"name": "<1>", "used_by": "a & b", "percent": 12.5}], "oks": {"AP": 50.0, "sigmas": "borrowed"}}
    return write_report(
        tmp_path_factory.mktemp("report"),
        {NAME: scores, "mean pose": other},
        details=scores.to_dict(weights="w<.safetensors", choices={"decode": "dark"}, sections=sections),
        heatmaps=lambda some: maps_at(some.joints, some),
    )


def test_the_page_needs_no_other_file(page):
    parsed = Page(page)
    assert parsed.images and all(reference.startswith(("data:", "#")) for reference in parsed.references)
    text = page.read_text(encoding="utf-8")
    assert "@import" not in text and "default-src &#39;none&#39;" not in text and "default-src 'none'" in text
    assert list(page.parent.iterdir()) == [page] and page.name == "index.html"


def test_ids_do_not_repeat_and_links_lead_somewhere(page):
    parsed = Page(page)
    assert len(set(parsed.ids)) == len(parsed.ids)
    for reference in parsed.references:
        assert not reference.startswith("#") or reference[1:] in parsed.ids


def test_names_are_text_not_html(page):
    text = page.read_text(encoding="utf-8")
    assert "<b>best" not in text and "im <i>" not in text and "<labelled>" not in text and "w<." not in text
    text = Page(page).text
    assert NAME in text and "im <i>&\"3'.png" in text and "no <labelled> joint" in text


def test_the_page_contains_the_scores_and_how_they_were_made(page, people):
    scores = make_scores(people)
    text = Page(page).text
    low, high = scores.interval95
    for part in (
        f"{scores.pooled_mean:.2f} % {scores.metric}",
        f"{low:.2f} to {high:.2f}",
        f"{N} of {N}",
        "(no <labelled> joint): 2",
        scores.reference,
        "a & b 12.50",
        "sigmas borrowed",
        "decode dark",
        "PyTorch",
        '"pooled_mean"',
    ):
        assert part in text, part


def test_people_without_image_are_shown_and_named_without_their_folder(page, people):
    text = Page(page).text
    assert text.count("im <i>&\"4'.png") == 2  # the name, and why the image cannot be read
    assert text.count("no image") == 4  # persons 4 and 5 in two galleries each
    assert str(people.image_paths[4])[: -len("im <i>&\"4'.png")] not in page.read_text(encoding="utf-8")


def test_images_that_cannot_be_read_get_a_dark_background(people):
    images = read_person_images(make_scores(people), 5)
    assert images.problem.startswith("im <i>&\"5'.png: ") and images.large.max() < 60
    assert decode(images.comparison()).max() > 200  # skeletons are drawn all the same


def test_heatmaps_are_requested_once_for_people_with_an_image(people, tmp_path):
    requests = []

    def heatmaps(some):
        requests.append(some.image_paths.tolist())
        return maps_at(some.joints, some)

    page = Page(write_report(tmp_path, {"model": make_scores(people)}, details={}, heatmaps=heatmaps))
    assert requests == [people.image_paths[list(READABLE)].tolist()]
    # Four detail views, and a card in the gallery for each of those four.
    assert len(page.images["heatmap of left knee over the crop"]) == 8
    assert len(page.images["heatmap of neck over the crop"]) == 4
    assert len(page.images["peaks of left knee over the crop"]) == 2 * (N - 4)  # where there is no heatmap


def test_heatmaps_lie_where_the_joint_is(people, tmp_path):
    point = np.broadcast_to([44.0, 61.0], people.joints.shape).copy()
    page = write_report(tmp_path, {"m": make_scores(people)}, details={}, heatmaps=lambda some: maps_at(point[:4], some))
    image = decode(Page(page).images["heatmap of right ankle over the crop"][0]).astype(int)
    warm = image[..., 2] - image[..., 0]  # the crop is grey, the marks are not red
    y, x = np.unravel_index(warm.argmax(), warm.shape)
    expected = Crop(people[0].box, SMALL).forward(np.array([44.0, 61.0]))
    assert np.abs(np.array([x, y]) - expected).max() < SMALL / MAP


def test_heatmaps_of_another_skeleton_are_matched_by_name(people, tmp_path):
    def heatmaps(some):
        maps = np.zeros((len(some), 16, MAP, MAP), np.float32)
        maps[:, MPII16.index("upper_neck"), 3, 5] = 0.87
        maps[:, MPII16.index("thorax"), 3, 5] = 0.99
        return maps

    scores = make_scores(people)
    text = Page(write_report(tmp_path, {"m": scores}, details={}, heatmaps=heatmaps, heatmap_skeleton=MPII16)).text
    assert text.count("neck 0.87") == 4 and "0.99" not in text


def test_joints_that_the_model_lacks_have_no_heatmap(people, tmp_path):
    maps = np.full((4, 17, MAP, MAP), 0.5, np.float32)
    page = write_report(tmp_path, {"m": make_scores(people)}, details={}, heatmaps=lambda _: maps, heatmap_skeleton=COCO17)
    images = Page(page).images
    assert "heatmap of left hip over the crop" in images and "heatmap of neck over the crop" not in images


def test_heatmaps_with_another_number_of_joints_are_refused(people, tmp_path):
    maps = np.zeros((4, 16, 8, 8), np.float32)
    with pytest.raises(ValueError, match=r"heatmaps: .*\(4, 14, h, w\).* lsp14.*\(4, 16, 8, 8\)"):
        write_report(tmp_path, {"m": make_scores(people)}, details={}, heatmaps=lambda _: maps)


def test_penalty_maps_are_shown_for_wrong_joints_whose_peak_is_elsewhere(people, tmp_path):
    def heatmaps(some):
        maps = maps_at(some.joints, some)
        shift = np.where(some.joints < some.centres[:, None], 20, -20)
        wrong = maps_at(some.joints + shift, some)
        knee = LSP14.index("left_knee")
        maps[:, knee] = 0.5 * maps[:, knee] + wrong[:, knee]
        return maps

    page = Page(write_report(tmp_path, {"m": make_scores(people)}, details={}, heatmaps=heatmaps))
    # All other maps have their peak at the truth, even where the prediction is off.
    assert [alt for alt in page.images if alt.startswith("penalty")] == ["penalty map of left knee over the crop"]
    assert len(page.images["penalty map of left knee over the crop"]) == 8


def test_mean_errors_are_clipped_and_run_over_the_joints_of_the_means(tmp_path):
    people = people_with_images(tmp_path, 4, MPII16)
    joints = people.joints.copy()
    joints[0] += [0, 2]  # 0.2 heads
    joints[1, :8] = np.nan  # 6 of the 14 joints of the means, and pelvis and thorax
    joints[2] += [500, 0]
    people.head_sizes[3] = np.nan
    scores = score(people, replace(make_predictions(people, second_peak=False), joints=joints))
    np.testing.assert_allclose(mean_errors(scores), [0.2, 6 / 14, 1.0, np.nan], atol=1e-12)


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
def test_few_people_are_split_among_the_galleries(n, worst, median, best):
    galleries = rank_by_error(np.arange(n) / 10)
    assert [gallery.persons.tolist() for gallery in galleries] == [worst, median, best]


def test_worst_median_and_best_of_many():
    errors = np.random.default_rng(0).permutation(1001) / 1001
    errors[[3, 5]] = np.nan
    worst, median, best = (errors[gallery.persons] for gallery in rank_by_error(errors))
    ranked = np.sort(errors[~np.isnan(errors)])
    np.testing.assert_array_equal(worst, ranked[::-1][:12])
    np.testing.assert_array_equal(best, ranked[:12])
    middle = (len(ranked) - 12) // 2
    np.testing.assert_array_equal(median, ranked[middle : middle + 12])


def test_double_counting_is_ordered_by_the_height_of_the_second_peak(people):
    scores = make_scores(people)
    gallery = select_double_counted(scores)
    # The knee's second peak is at the truth, the first is 12 px away, more than half a head.
    assert gallery.persons.tolist() == [5, 4, 3, 2, 1, 0]
    assert set(gallery.joints.tolist()) == {LSP14.index("left_knee")}


def test_double_counting_is_left_out_without_peaks(people, tmp_path):
    predictions = replace(make_predictions(people), peaks=None, heights=None)
    ids = Page(write_report(tmp_path, {"m": score(people, predictions)}, details={})).ids
    assert "double-counting" not in ids and "diagnosis" in ids


def test_predictions_that_are_not_finite_are_counted_as_misses(people, tmp_path):
    predictions = make_predictions(people)
    predictions.joints[1:] = np.nan
    text = Page(write_report(tmp_path, {"m": score(people, predictions)}, details={})).text
    assert "70 of 84" in text and "not predicted wrong: miss" in text


def test_predictions_without_scores_have_no_reliability(people):
    predictions = make_predictions(people)
    predictions.scores[:] = np.nan
    scores = score(people, predictions)
    assert "mean score" not in tables.joints(scores).head
    assert len(sections.error_charts(scores)) == len(sections.error_charts(make_scores(people))) - 1


@pytest.mark.parametrize("count", [0, 1, 2])
def test_a_page_of_few_people_or_none(tmp_path, count):
    people = people_with_images(tmp_path, count)
    page = Page(write_report(tmp_path / "out", {"m": make_scores(people)}, details={}))
    assert f"{count} of {count}" in page.text
    assert len([name for name in page.ids if name.startswith("details-")]) == count


def test_people_without_reference_size_are_not_scored(people, tmp_path):
    no_size = replace(people, head_sizes=np.full(N, np.nan), labelled=people.labelled & (np.arange(14) > 8))
    page = Page(write_report(tmp_path, {"m": score(no_size, make_predictions(people))}, details={}))
    assert "– % PCK@0.2" in page.text and f"{N} of {N}" in page.text
    assert not [name for name in page.ids if name.startswith("details-")]


def test_scores_of_other_people_are_not_compared(people, tmp_path):
    fewer = people.select(np.arange(3))
    with pytest.raises(PredictionsError, match="joints"):
        write_report(tmp_path, {"a": make_scores(people), "b": make_scores(fewer)}, details={})
    assert not list(tmp_path.iterdir())


def test_a_page_that_cannot_be_written_is_named(people, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(OutputError, match=r"index\.html"):
        write_report(tmp_path / "file", {"m": make_scores(people)}, details={})


def test_numbers_and_intervals_are_formatted():
    assert tables.number(float("nan")) == tables.number(None) == "–"
    assert tables.number(-1.234) == "−1.23"
    assert tables.number(0.5, 1, sign=True) == "+0.5"
    assert tables.interval((float("nan"), 1.0)) == "–"
    assert tables.interval((-1.0, 2.0), sign=True) == "−1.00 to +2.00"


def test_encoded_images_keep_their_colours():
    image = np.zeros((9, 7, 3), np.uint8)
    image[:, :, 2] = 200
    assert np.abs(decode(data_uri(image)).astype(int) - image).max() < 25


@pytest.fixture
def opened(browser, page):
    """The page in the browser; at the end there are no errors in the console, and nothing was fetched."""
    browser.get("about:blank")
    browser.get(page.as_uri())
    yield browser
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []
    assert browser.execute_script("return performance.getEntriesByType('resource').map(e => e.name)") == []


def press(browser, key):
    from selenium.webdriver import ActionChains

    ActionChains(browser).send_keys(key).perform()


def viewer(browser):
    """Whether the detail view is open, its title, the address's fragment, and the number of images that did not load."""
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


def test_a_click_outside_the_details_closes_them_and_one_on_their_padding_does_not(opened):
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


def test_arrow_keys_go_to_the_next_person_and_back(opened):
    from selenium.webdriver.common.keys import Keys

    order = [element.get_attribute("data-person") for element in opened.find_elements("css selector", "button.card")]
    assert order[:6] == ["5", "4", "2", "3", "0", "1"]  # two in each of the worst, median and best
    card(opened, 5).click()
    for key, person in ((Keys.ARROW_RIGHT, order[1]), (Keys.ARROW_RIGHT, order[2]), (Keys.ARROW_LEFT, order[1])):
        press(opened, key)
        assert viewer(opened)[:2] == (True, f"Person {person}")
    for _ in range(2):
        press(opened, Keys.ARROW_LEFT)
    assert viewer(opened)[1] == f"Person {order[-1]}"  # wraps around


def test_escape_closes_and_focuses_the_last_person_shown(opened):
    from selenium.webdriver.common.keys import Keys

    card(opened, 5).click()
    press(opened, Keys.ARROW_RIGHT)
    press(opened, Keys.ESCAPE)
    assert viewer(opened)[:3] == (False, "Person 4", "#persons")
    assert opened.switch_to.active_element.get_attribute("data-person") == "4"


def test_the_details_work_without_a_mouse(opened):
    from selenium.webdriver.common.keys import Keys

    opened.execute_script("arguments[0].focus()", card(opened, 2))
    press(opened, Keys.ENTER)
    assert viewer(opened)[:2] == (True, "Person 2")
    for _ in range(3):
        press(opened, Keys.TAB)
    assert opened.switch_to.active_element.get_attribute("id") == "close"
    press(opened, Keys.ENTER)
    assert viewer(opened)[0] is False


def test_buttons_go_to_the_next_person_and_back(opened):
    card(opened, 5).click()
    opened.find_element("id", "next").click()
    assert viewer(opened)[1] == "Person 4"
    opened.find_element("id", "previous").click()
    assert viewer(opened)[1] == "Person 5"
    opened.find_element("id", "close").click()
    assert viewer(opened)[0] is False


def test_an_address_opens_a_person(browser, page):
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
    text = page.read_text(encoding="utf-8").replace("</body>", "<script>document.title = 'run'</script></body>")
    changed.write_text(text, encoding="utf-8")
    browser.get(changed.as_uri())
    assert browser.title != "run"
    assert any("Content Security Policy" in entry["message"] for entry in browser.get_log("browser"))


def test_the_page_fits_on_a_phone(browser, page):
    size = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        browser.get("about:blank")
        browser.get(page.as_uri() + "#person-1")
        assert browser.execute_script("return document.documentElement.scrollWidth") <= 390
        assert browser.execute_script("return document.getElementById('viewer').scrollWidth") <= 390
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_real_people_with_few_images(real_data, tmp_path):
    people = open_people("mpii", real_data / "mpii", "valid")
    scores = score(people, read_predictions(real_data / "mpii" / "predictions" / "valid-ours.h5", base=1))
    path = write_report(tmp_path, {"valid-ours.h5": scores}, details=scores.to_dict())
    text = Page(path).text
    assert "88.04 % PCKh@0.5" in text and "95.94" in text and "2,958 of 2,958" in text and "no image" in text
    assert path.stat().st_size < 1.5e6


def test_a_page_with_heatmaps_of_real_people_stays_small(real_data, tmp_path):
    people = open_people("lsp", real_data / "lspet", "all").select(np.arange(12))  # two without torso
    scores = score(people, mean_pose(people, people))
    path = write_report(tmp_path, {"m": scores}, details={}, heatmaps=lambda some: maps_at(some.joints, some, 64))
    shown = len([name for name in Page(path).ids if name.startswith("details-")])
    assert shown == 10 and path.stat().st_size < 2e6
