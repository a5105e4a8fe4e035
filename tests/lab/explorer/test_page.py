"""Actions on the page, in a real browser, with numbers from `anchor_maps`."""

import importlib.util
import re
import signal

import numpy as np
import pytest

from posekit.geometry import Box, Crop

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("nicegui") is None, reason="the extra explore is not installed"),
]

# Pairs of overlapping texts.
OVERLAPS = """
    const texts = [];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
        const node = walker.currentNode, style = getComputedStyle(node.parentElement);
        if (!node.textContent.trim() || style.visibility === "hidden") continue;
        const range = document.createRange();
        range.selectNodeContents(node);
        for (const box of range.getClientRects()) if (box.width) texts.push([node, node.textContent.trim(), box]);
    }
    const overlaps = [];
    texts.forEach(([a, first, one], i) => texts.slice(i + 1).forEach(([b, second, two]) => {
        const width = Math.min(one.right, two.right) - Math.max(one.left, two.left);
        const height = Math.min(one.bottom, two.bottom) - Math.max(one.top, two.top);
        if (a !== b && width > 1 && height > 3) overlaps.push([first, second]);
    }));
    return overlaps;
"""


def test_at_first_the_models_own_peak_is_the_truth(tab, expected, image_paths):
    numbers = expected("right_ankle")
    assert numbers[1] == numbers[2] == 0
    tab.expect(numbers)
    assert tab.all(".truth.unknown") and tab.find(".name").text == image_paths[0].name
    assert tab.box() == [0, 0, 120, 160]


def test_a_click_places_the_joint(tab, expected):
    tab.choose("left_wrist")
    tab.expect(expected("left_wrist"))
    tab.click(4, 11)
    numbers = expected("left_wrist", (4, 11))
    assert numbers[1] > 0 and 0 < numbers[2] < 1
    tab.expect(numbers)
    x, y = map(float, re.search(r"([-\d.]+), ([-\d.]+)", tab.find(".truth").text).groups())
    crop = Crop(Box.from_xywh(0, 0, 120, 160, margin=1.0), 64)
    assert (x, y) == pytest.approx(tuple(crop.inverse(np.array([4 * 4 + 1.5, 11 * 4 + 1.5]))), abs=1)


def test_everything_follows_a_drag_before_it_ends(tab, expected):
    def sources():
        return [image.get_attribute("src") for image in tab.all(".panel .map img")]

    surface = tab.find(".person .surface")
    tab.wait(lambda: all(sources()))
    before = sources()
    tab.actions().move_to_element_with_offset(surface, *tab.at(3, 3)).click_and_hold().perform()
    tab.expect(expected("right_ankle", (3, 3)))
    tab.actions().move_to_element_with_offset(surface, *tab.at(6, 8)).move_to_element_with_offset(surface, *tab.at(12, 9)).perform()
    tab.expect(expected("right_ankle", (12, 9)))
    tab.wait(lambda: [a == b for a, b in zip(sources(), before, strict=True)] == [True, False, False, False])  # only q stays
    tab.actions().move_to_element_with_offset(surface, *tab.at(10, 2)).release().perform()
    tab.expect(expected("right_ankle", (10, 2)))
    tab.actions().move_to_element_with_offset(surface, *tab.at(1, 1)).perform()  # no longer dragged
    tab.find(".person .legend button").click()
    tab.expect(expected("right_ankle"))


def test_gamma_and_the_anchor_are_dragged(tab, expected):
    tab.click(4, 11)
    tab.pull("gamma", 90)
    tab.wait(lambda: tab.gamma > 2.3)
    tab.expect(expected("right_ankle", (4, 11), tab.gamma))
    tab.find(".anchor .q-toggle").click()
    tab.wait(lambda: tab.find("[data-note=anchor]").text == "set by you")
    tab.pull("anchor", 40)
    own = expected("right_ankle", (4, 11))[0]
    tab.wait(lambda: float(tab.fact("anchor")) > own + 0.05)
    anchor = float(tab.fact("anchor"))
    tab.expect(expected("right_ankle", (4, 11), tab.gamma, anchor))
    tab.find(".anchor .q-toggle").click()
    tab.expect(expected("right_ankle", (4, 11), tab.gamma))


def test_the_page_works_without_a_mouse(tab, expected):
    from selenium.webdriver.common.keys import Keys

    tab.choose("neck")
    tab.click(7, 7)
    tab.expect(expected("neck", (7, 7)))
    tab.browser.execute_script("arguments[0].focus()", tab.find(".person .surface"))
    tab.actions().send_keys(Keys.ARROW_LEFT, Keys.ARROW_LEFT, Keys.ARROW_DOWN).perform()
    tab.expect(expected("neck", (5, 8)))
    for _ in range(12):
        tab.actions().send_keys(Keys.TAB).perform()
        if tab.browser.execute_script("return document.activeElement.closest('.gamma') !== null"):
            break
    else:
        pytest.fail("the Tab key does not reach gamma")
    tab.actions().send_keys(Keys.ARROW_RIGHT).perform()
    tab.wait(lambda: tab.gamma == 2.1)
    tab.expect(expected("neck", (5, 8), 2.1))


def test_an_upload_is_shown_and_its_name_is_text(tab, expected, served, image_paths):
    tab.upload(image_paths[1])
    tab.wait(lambda: tab.box() == [0, 0, 800, 600])
    assert tab.find(".name").text == image_paths[1].name and not tab.all(".name i")
    tab.expect(expected("right_ankle", path=image_paths[1]))
    tab.click(4, 11)
    tab.expect(expected("right_ankle", (4, 11), path=image_paths[1]))
    assert [list(folder.iterdir()) for folder in served.folders] == [[], []]  # the upload stays in memory


def test_a_page_without_an_image_waits_for_one(empty_tab, expected, image_paths):
    assert empty_tab.find(".upload") and not empty_tab.find(".person").is_displayed()
    empty_tab.upload(image_paths[1])
    empty_tab.expect(expected("right_ankle", path=image_paths[1]))


def test_an_upload_that_is_not_an_image_is_refused_by_name(tab, expected, tmp_path):
    (tmp_path / "<b>text.png").write_text("not an image")
    tab.upload(tmp_path / "<b>text.png")
    tab.wait(lambda: "<b>text.png: " in tab.find(".problem").text)
    tab.expect(expected("right_ankle"))  # as before


def test_the_box_is_dragged_or_typed(tab, expected):
    from selenium.webdriver.common.keys import Keys

    tab.click(4, 11)
    surface = tab.find(".image .surface")
    width, height = surface.size["width"], surface.size["height"]
    start = (round(-0.3 * width), round(-0.25 * height))
    end = (round(0.2 * width), round(0.25 * height))
    actions = tab.actions().move_to_element_with_offset(surface, *end).click_and_hold()
    actions.move_to_element_with_offset(surface, *start).release().perform()  # from the lower right corner
    tab.wait(lambda: tab.box()[2:] != [120, 160])
    box = tab.box()
    assert box == pytest.approx([24, 40, 60, 80], abs=1)
    tab.choose("neck")
    tab.expect(expected("neck", box=Box.from_xywh(*box)))
    field = tab.all(".numbers input")[3]
    field.send_keys(Keys.CONTROL, "a")
    field.send_keys("100", Keys.ENTER)
    tab.expect(expected("neck", box=Box.from_xywh(*box[:3], 100)))
    field.send_keys(Keys.CONTROL, "a")
    field.send_keys("0", Keys.ENTER)
    tab.wait(lambda: "area" in tab.find(".problem").text)
    tab.wait(lambda: tab.box()[3] == 100)
    tab.find(".box button").click()
    tab.expect(expected("neck"))
    tab.wait(lambda: tab.box() == [0, 0, 120, 160])
    tab.choose("right_ankle")
    tab.expect(expected("right_ankle", (4, 11)))  # unchanged by the new box


def test_two_tabs_share_nothing(tab, expected, served, image_paths):
    browser = tab.browser
    first = browser.current_window_handle
    tab.click(4, 11)
    tab.expect(expected("right_ankle", (4, 11)))
    browser.switch_to.new_window("tab")
    try:
        other = type(tab)(browser, served.address)
        other.expect(expected("right_ankle"))
        other.upload(image_paths[1])
        other.wait(lambda: other.box() == [0, 0, 800, 600])
        other.pull("gamma", -90)
        other.wait(lambda: other.gamma < 1.7)
    finally:
        browser.close()
        browser.switch_to.window(first)
    tab.find(".anchor .q-toggle").click()  # its server side still answers, from its own state
    tab.wait(lambda: tab.find("[data-note=anchor]").text == "set by you")
    tab.find(".anchor .q-toggle").click()
    tab.expect(expected("right_ankle", (4, 11)))
    assert tab.gamma == 2.0 and tab.find(".name").text == image_paths[0].name


@pytest.mark.parametrize("width, height, scheme", [(1280, 800, "light"), (390, 844, "dark"), (800, 900, "light")])
def test_text_neither_overlaps_nor_overflows(tab, width, height, scheme):
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    tab.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    tab.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]})
    try:
        tab.wait(lambda: tab.browser.execute_script("return document.documentElement.clientWidth") <= width)
        assert tab.browser.execute_script("return document.documentElement.scrollWidth") <= width
        assert tab.browser.execute_script(OVERLAPS) == []
        light = "return parseInt(getComputedStyle(document.body).color.match(/\\d+/)[0])"
        tab.wait(lambda: (tab.browser.execute_script(light) > 150) == (scheme == "dark"))  # the page follows a moment later
    finally:
        tab.browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        tab.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_only_host_names_of_this_machine_are_served(served):
    for host in ("evil.example", "evil.example:80", "127.0.0.1.evil.example", "192.0.2.1", ""):
        status, text = served.request(Host=host)
        assert status == 400 and "Penalty explorer" not in text
    for host in ("localhost", served.host):
        status, text = served.request(Host=host)
        assert status == 200 and "Penalty explorer" in text


def test_other_sites_pages_and_sockets_are_refused(served):
    assert served.request(Origin="http://evil.example")[0] == 403
    upgrade = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "a" * 22 + "=="}
    path = "/_nicegui_ws/socket.io/?EIO=4&transport=websocket"
    assert served.request(path, Origin="http://evil.example", **upgrade)[0] == 403
    assert served.request(path, Host="evil.example", **upgrade)[0] in (400, 403)


def test_other_paths_and_large_requests_are_refused(served):
    assert served.request("/nothing/here")[0] == served.request("/docs")[0] == served.request("/openapi.json")[0] == 404
    assert served.request("/x", "POST", body=b"", **{"Content-Length": str(2**40)})[0] == 413


def test_ctrl_c_stops_the_server_while_a_page_is_open(browser, served_empty):
    """Last test of this server."""
    browser.get(served_empty.address)
    served_empty.process.send_signal(signal.SIGINT)
    assert served_empty.process.wait(timeout=60) == 0 and served_empty.errors.read_text() == ""
