"""A state with known maps, and the page in a real browser, served by the command in a process of its own."""

import http.client
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
import torch

from posekit.drawing.person_view import ModelOutput, PersonView
from posekit.geometry import Box
from posekit.heatmaps import encode
from posekit.images import read_image, write_image
from posekit.lab.explorer.state import ExplorerState
from posekit.losses.explain import anchor_maps
from posekit.models import ModelInfo, save_weights
from posekit.prediction.person_view import run_model
from posekit.prediction.predictor import load
from posekit.skeletons import LSP14, Skeleton

SPOTS = Skeleton(name="spots", joints=("nose", "left_hand", "right_hand"), limbs=(("left_hand", "right_hand"),))


@pytest.fixture
def state() -> ExplorerState:
    """Three joints, crops of 64 px, maps of 16; the left hand's map has a second, lower peak.

    Crop pixel (x, y) is image pixel (2 x + 20.5, 2 y + 10.5).
    """
    y, x = np.mgrid[:16, :16].astype(np.float32)
    peaks = [(3, 4, 0.9), (12, 5, 0.8), (6, 13, 0.7)]
    maps = np.stack([top * np.exp(-((x - px) ** 2 + (y - py) ** 2) / 4) for px, py, top in peaks])
    maps[1] = np.maximum(maps[1], 0.5 * np.exp(-((x - 4) ** 2 + (y - 10) ** 2) / 4))
    maps = maps.astype(np.float32)
    predicted = np.array(peaks, np.float32)[:, :2] * 4 + 1.5
    image = np.random.default_rng(0).integers(0, 255, (150, 200, 3), dtype=np.uint8)
    box = Box(centre=(2 * 31.5 + 20.5, 2 * 31.5 + 10.5), side=128)
    view = PersonView("an image", image, box, SPOTS, np.zeros((3, 2)), np.zeros(3, bool))
    return ExplorerState(ModelOutput(view, 64, maps, predicted, maps.max((1, 2)), {}))


SIZE, MAP = 64, 16
FIRST, SECOND = "first.png", "<i>second & 'last'.png"


@dataclass(frozen=True)
class Served:
    """The running command, the file of its errors, and its working and temporary folders, empty at the start."""

    address: str
    process: subprocess.Popen
    errors: Path
    folders: tuple[Path, Path]

    @property
    def host(self):
        return urlsplit(self.address).netloc

    def request(self, path="/", method="GET", body=None, **headers):
        """Return the status and text of a response."""
        connection = http.client.HTTPConnection(self.host, timeout=60)
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            return response.status, response.read().decode(errors="replace")
        finally:
            connection.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Weights of a tiny model, and two images; the second has more than a megabyte."""
    folder = tmp_path_factory.mktemp("explorer")
    rng = np.random.default_rng(0)
    torch.manual_seed(3)
    info = ModelInfo(LSP14, SIZE, stacks=1, features=8, depth=2, head="sigmoid", mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
    save_weights(folder / "w.safetensors", info.build(), info)
    write_image(folder / FIRST, rng.integers(0, 255, (160, 120, 3), dtype=np.uint8))
    write_image(folder / SECOND, rng.integers(0, 255, (600, 800, 3), dtype=np.uint8))
    assert (folder / SECOND).stat().st_size > 2**20
    return folder


@pytest.fixture(scope="module")
def image_paths(folder):
    return folder / FIRST, folder / SECOND


@contextmanager
def serving(weights: Path, folder: Path, *arguments) -> Iterator[Served]:
    folders = folder / "cwd", folder / "tmp"
    for path in folders:
        path.mkdir()
    command = [sys.executable, "-m", "posekit.cli.main", "visualize", "explore", "--device", "cpu", "--no-browser"]
    command += ["--weights", str(weights), *map(str, arguments)]
    environment = {**os.environ, "TMPDIR": str(folders[1])}
    with (
        (folder / "errors.txt").open("w") as errors,
        subprocess.Popen(command, cwd=folders[0], env=environment, stdout=subprocess.PIPE, stderr=errors, text=True) as process,
    ):
        try:
            line = process.stdout.readline()
            assert "http://127.0.0.1:" in line, (folder / "errors.txt").read_text()
            yield Served(line.split()[2], process, folder / "errors.txt", folders)
        finally:
            process.kill()


@pytest.fixture(scope="module")
def served(folder, image_paths, tmp_path_factory):
    """The page, with the first image."""
    with serving(folder / "w.safetensors", tmp_path_factory.mktemp("served"), image_paths[0]) as running:
        yield running


@pytest.fixture(scope="module")
def served_empty(folder, tmp_path_factory):
    """The page, without an image."""
    with serving(folder / "w.safetensors", tmp_path_factory.mktemp("empty")) as running:
        yield running


class Tab:
    """The page in one tab of the browser."""

    def __init__(self, browser, address):
        self.browser = browser
        browser.get(address)
        self.wait(lambda: browser.find_elements("css selector", "input[type=file]"))

    def wait(self, condition):
        """Wait until a condition holds; evaluating it may fail while the page changes."""
        from selenium.common.exceptions import StaleElementReferenceException
        from selenium.webdriver.support.ui import WebDriverWait

        ignored = [StaleElementReferenceException, ValueError]
        return WebDriverWait(self.browser, 60, poll_frequency=0.1, ignored_exceptions=ignored).until(lambda _: condition())

    def find(self, selector):
        return self.browser.find_element("css selector", selector)

    def all(self, selector):
        return self.browser.find_elements("css selector", selector)

    def fact(self, key):
        return self.find(f"[data-fact={key}]").text

    @property
    def gamma(self):
        return float(self.find(".gamma .value").text.split()[-1])

    def numbers(self):
        """q*, highest penalty, share of hard pixels, anchor loss, BCE."""
        keys = ("anchor", "penalty", "hard", "anchor_loss", "cross_entropy")
        values = [float(self.fact(key).removesuffix(" %")) for key in keys]
        values[2] /= 100
        return values

    def expect(self, expected):
        """Wait until the page shows these numbers."""
        near = [pytest.approx(value, rel=6e-4) for value in expected]
        near[2] = pytest.approx(expected[2], rel=6e-4, abs=6e-5)
        try:
            self.wait(lambda: self.numbers() == near)
        finally:
            assert self.numbers() == near

    def choose(self, joint):
        self.find(".joint").click()
        name = joint.replace("_", " ")
        self.wait(lambda: [item for item in self.all(".q-item") if item.text == name])[0].click()
        self.wait(lambda: name in self.find(".joint").text and not self.all(".q-item"))

    def upload(self, path):
        self.find("input[type=file]").send_keys(str(path))

    def actions(self):
        from selenium.webdriver import ActionChains

        return ActionChains(self.browser, duration=50)

    def at(self, x, y):
        """Offset of the centre of a map pixel from the middle of the crop as shown."""
        size = self.find(".person .surface").size
        return round(((x + 0.5) / MAP - 0.5) * size["width"]), round(((y + 0.5) / MAP - 0.5) * size["height"])

    def click(self, x, y):
        self.actions().move_to_element_with_offset(self.find(".person .surface"), *self.at(x, y)).click().perform()

    def pull(self, control, pixels):
        """Drag a slider."""
        self.actions().drag_and_drop_by_offset(self.find(f".{control} .q-slider__thumb"), pixels, 0).perform()

    def box(self):
        """The rectangle in the page's fields."""
        return [float(field.get_attribute("value")) for field in self.all(".numbers input")]


@pytest.fixture
def tab(browser, served):
    """A fresh page; at the end there are no errors in the console, and nothing was loaded from elsewhere."""
    yield from opened(browser, served)


@pytest.fixture
def empty_tab(browser, served_empty):
    yield from opened(browser, served_empty)


def opened(browser, served: Served) -> Iterator[Tab]:
    browser.get("about:blank")
    browser.get_log("browser")
    yield Tab(browser, served.address)
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []
    names = browser.execute_script("return performance.getEntriesByType('resource').map((entry) => entry.name)")
    assert names and all(name.startswith((served.address, "data:")) for name in names)


@pytest.fixture(scope="module")
def predictor(folder):
    return load(folder / "w.safetensors", device="cpu")


@pytest.fixture(scope="module")
def expected(predictor, image_paths):
    """Numbers as of `Tab.numbers`, from `anchor_maps`; the true place is the centre of a map pixel, or the model's own peak."""

    def expect(joint, place=None, gamma=2.0, anchor=None, path=image_paths[0], box=None):
        image = read_image(path)
        box = box or Box.from_xywh(0, 0, image.shape[1], image.shape[0], margin=1.0)
        output = run_model(predictor, PersonView("x", image, box, LSP14, np.zeros((14, 2)), np.zeros(14, bool)))
        j = LSP14.index(joint)
        point = output.predicted[j] if place is None else np.array(place) * 4 + 1.5
        target = encode(torch.as_tensor(point).reshape(1, 1, 2), torch.ones(1, 1, dtype=torch.bool), size=MAP)
        maps = anchor_maps(torch.from_numpy(output.maps)[None, [j]], target, gamma, anchor=anchor)
        hard = (maps.mask & (maps.probability > maps.anchor)).sum() / maps.mask.sum()
        values = maps.anchor, maps.penalty.max(), hard, maps.loss.mean(), maps.cross_entropy.mean()
        return [value.item() for value in values]

    return expect
