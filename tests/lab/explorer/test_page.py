"""What people do on the page: in a real browser, with numbers from `anchor_maps`."""

import importlib.util
import signal

import numpy as np
import pytest

from posekit.geometry import Box, Crop

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("nicegui") is None, reason="the extra explore is not installed"),
]

# Text that lies on other text.
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
    const found = [];
    texts.forEach(([a, said, one], i) => texts.slice(i + 1).forEach(([b, told, two]) => {
        const wide = Math.min(one.right, two.right) - Math.max(one.left, two.left);
        const high = Math.min(one.bottom, two.bottom) - Math.max(one.top, two.top);
        if (a !== b && wide > 1 && high > 3) found.push([said, told]);
    }));
    return found;
"""


def test_at_first_the_models_own_peak_stands_for_the_truth(tab, expected, photos):
    numbers = expected("right_ankle")
    assert numbers[1] == numbers[2] == 0
    tab.expect(numbers)
    assert "own peak stands for it" in tab.find(".truth").text and tab.find(".name").text == photos[0].name
    assert tab.box() == [0, 0, 120, 160]


def test_a_click_places_the_joint(tab, expected):
    tab.choose("left_wrist")
    tab.expect(expected("left_wrist"))
    tab.click(4, 11)
    numbers = expected("left_wrist", (4, 11))
    assert numbers[1] > 0 and 0 < numbers[2] < 1
    tab.expect(numbers)
    x, y = map(float, tab.find(".truth").text.split("you: ")[1].split(" in ")[0].split(", "))
    crop = Crop(Box.from_xywh(0, 0, 120, 160, margin=1.0), 64)
    assert (x, y) == pytest.approx(tuple(crop.inverse(np.array([4 * 4 + 1.5, 11 * 4 + 1.5]))), abs=1)


def test_everything_follows_a_drag_before_it_ends(tab, expected):
    def seen():
        return [image.get_attribute("src") for image in tab.all(".panel .map img")]

    surface = tab.find(".person .surface")
    tab.wait(lambda: all(seen()))
    before = seen()
    tab.actions().move_to_element_with_offset(surface, *tab.at(3, 3)).click_and_hold().perform()
    tab.expect(expected("right_ankle", (3, 3)))
    tab.actions().move_to_element_with_offset(surface, *tab.at(6, 8)).move_to_element_with_offset(surface, *tab.at(12, 9)).perform()
    tab.expect(expected("right_ankle", (12, 9)))
    tab.wait(lambda: [a == b for a, b in zip(seen(), before, strict=True)] == [True, False, False, False])  # q stays the model's
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
    tab.wait(lambda: tab.find("[data-note=anchor]").text == "given by you")
    tab.pull("anchor", 40)
    own = expected("right_ankle", (4, 11))[0]
    tab.wait(lambda: float(tab.fact("anchor")) > own + 0.05)
    anchor = float(tab.fact("anchor"))
    tab.expect(expected("right_ankle", (4, 11), tab.gamma, anchor))
    tab.find(".anchor .q-toggle").click()
    tab.expect(expected("right_ankle", (4, 11), tab.gamma))


def test_it_works_without_a_mouse(tab, expected):
    from selenium.webdriver.common.keys import Keys

    tab.choose("neck")
    tab.click(7, 7)
    tab.expect(expected("neck", (7, 7)))
    tab.browser.execute_script("arguments[0].focus()", tab.find(".person .surface"))
    tab.actions().send_keys(Keys.ARROW_LEFT, Keys.ARROW_LEFT, Keys.ARROW_DOWN).perform()
    tab.expect(expected("neck", (5, 8)))
    reached = []
    for _ in range(12):
        tab.actions().send_keys(Keys.TAB).perform()
        reached.append(tab.browser.execute_script("return document.activeElement.closest('.gamma, .anchor, .legend')?.className"))
        if reached[-1] and "gamma" in reached[-1]:
            break
    assert "gamma" in reached[-1]
    tab.actions().send_keys(Keys.ARROW_RIGHT).perform()
    tab.wait(lambda: tab.gamma == 2.1)
    tab.expect(expected("neck", (5, 8), 2.1))


def test_an_upload_is_shown_and_its_name_is_text(tab, expected, served, photos):
    tab.upload(photos[1])
    tab.wait(lambda: tab.box() == [0, 0, 800, 600])
    assert tab.find(".name").text == photos[1].name and not tab.all(".name i")
    tab.expect(expected("right_ankle", photo=photos[1]))
    tab.click(4, 11)
    tab.expect(expected("right_ankle", (4, 11), photo=photos[1]))
    assert [list(folder.iterdir()) for folder in served.folders] == [[], []]  # it stayed in memory


def test_a_page_without_a_photograph_waits_for_one(empty_tab, expected, photos):
    assert empty_tab.find("h2").text == "Photograph" and not empty_tab.find(".person").is_displayed()
    empty_tab.upload(photos[1])
    empty_tab.expect(expected("right_ankle", photo=photos[1]))


def test_what_is_no_photograph_is_refused_in_words(tab, expected, tmp_path):
    (tmp_path / "<b>text.png").write_text("not a photograph")
    tab.upload(tmp_path / "<b>text.png")
    tab.wait(lambda: "<b>text.png: not a photograph that can be read" in tab.find(".problem").text)
    tab.expect(expected("right_ankle"))  # as before


def test_the_box_is_dragged_or_typed(tab, expected):
    from selenium.webdriver.common.keys import Keys

    tab.click(4, 11)
    surface = tab.find(".photograph .surface")
    width, height = surface.size["width"], surface.size["height"]
    start, end = [[round((f - 0.5) * width), round((g - 0.5) * height)] for f, g in ((0.2, 0.25), (0.7, 0.75))]
    actions = tab.actions().move_to_element_with_offset(surface, *end).click_and_hold()
    actions.move_to_element_with_offset(surface, *start).release().perform()  # from the lower right: that does not matter
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
    tab.wait(lambda: "has no area" in tab.find(".problem").text)
    tab.wait(lambda: tab.box()[3] == 100)
    tab.find(".box button").click()
    tab.expect(expected("neck"))
    tab.wait(lambda: tab.box() == [0, 0, 120, 160])
    tab.choose("right_ankle")
    tab.expect(expected("right_ankle", (4, 11)))  # stayed where it was placed


def test_two_tabs_share_nothing(tab, expected, served, photos):
    browser, first = tab.browser, tab.browser.current_window_handle
    tab.click(4, 11)
    tab.expect(expected("right_ankle", (4, 11)))
    browser.switch_to.new_window("tab")
    try:
        other = type(tab)(browser, served.address)
        other.expect(expected("right_ankle"))
        other.upload(photos[1])
        other.wait(lambda: other.box() == [0, 0, 800, 600])
        other.pull("gamma", -90)
        other.wait(lambda: other.gamma < 1.7)
    finally:
        browser.close()
        browser.switch_to.window(first)
    tab.find(".anchor .q-toggle").click()  # the first one's server side answers, and from its own state
    tab.wait(lambda: tab.find("[data-note=anchor]").text == "given by you")
    tab.find(".anchor .q-toggle").click()
    tab.expect(expected("right_ankle", (4, 11)))
    assert tab.gamma == 2.0 and tab.find(".name").text == photos[0].name


@pytest.mark.parametrize("width, height, scheme", [(1280, 800, "light"), (390, 844, "dark"), (800, 900, "light")])
def test_text_neither_overlaps_nor_sticks_out(tab, width, height, scheme):
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    tab.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    tab.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]})
    try:
        tab.wait(lambda: tab.browser.execute_script("return document.documentElement.clientWidth") <= width)
        assert tab.browser.execute_script("return document.documentElement.scrollWidth") <= width
        assert tab.browser.execute_script(OVERLAPS) == []
        light = tab.browser.execute_script("return parseInt(getComputedStyle(document.body).color.match(/\\d+/)[0])")
        assert (light > 150) == (scheme == "dark")
    finally:
        tab.browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        tab.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "192.0.2.1", ""])
def test_foreign_names_are_refused(served, host):
    status, text = served.request(Host=host)
    assert status == 400 and "Penalty explorer" not in text


def test_this_machines_names_are_served(served):
    for host in ("localhost", served.host):
        status, text = served.request(Host=host)
        assert status == 200 and "Penalty explorer" in text


def test_foreign_pages_and_sockets_are_refused(served):
    assert served.request(Origin="http://evil.example")[0] == 403
    upgrade = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "a" * 22 + "=="}
    path = "/_nicegui_ws/socket.io/?EIO=4&transport=websocket"
    assert served.request(path, Origin="http://evil.example", **upgrade)[0] == 403
    assert served.request(path, Host="evil.example", **upgrade)[0] in (400, 403)


def test_other_requests_find_nothing_and_large_ones_are_refused(served):
    assert served.request("/nothing/here")[0] == served.request("/docs")[0] == served.request("/openapi.json")[0] == 404
    assert served.request("/x", "POST", body=b"", **{"Content-Length": str(2**40)})[0] == 413


def test_ctrl_c_ends_it_cleanly_though_a_page_is_open(browser, served_empty):
    """The last test of this server."""
    browser.get(served_empty.address)
    served_empty.process.send_signal(signal.SIGINT)
    assert served_empty.process.wait(timeout=60) == 0 and served_empty.errors.read_text() == ""
