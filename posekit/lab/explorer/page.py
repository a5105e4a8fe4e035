"""The page of one browser tab, built with NiceGUI: widgets, layout, event handlers."""

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from nicegui import events, run, ui

from posekit.drawing.maps import joint_name
from posekit.errors import PosekitError
from posekit.lab.explorer.images import CROP, REGIONS, MapImage, crop_marks, draw_maps, draw_person, draw_whole_image, frame_marks
from posekit.lab.explorer.state import MAX_FILE_BYTES, ExplorerState, Facts, Rectangle, decode_upload, open_state, run_on_rectangle
from posekit.prediction.predictor import Predictor

STYLE = Path(__file__).with_name("style.css").read_text(encoding="utf-8")

_INTRODUCTION = (
    ("q", "heatmap: the model's probability of the joint at each pixel"),
    ("q*", "anchor: the highest q in the circle around the true position"),
    ("M", "mask of true negatives: pixels with target 0; only pixels of M are modulated"),
    ("penalty", "anchor loss minus binary cross entropy (BCE) at hard pixels, the pixels of M with q above q*"),
)
_REGIONS = {
    "negative": "M: modulated",
    "hard": "hard: q above q*",
    "circle": "circle: the highest q inside is q*",
    "rim": "rest of target",
}
_FACTS = {
    "anchor": "anchor q*",
    "penalty": "highest penalty",
    "hard": "hard pixels",
    "anchor_loss": "anchor loss",
    "cross_entropy": "BCE",
}
_NOT_PLACED = "No true position yet: the model's peak is used{}. Click or drag on the image to set the true position."
_NO_PENALTY = ", so q* is the heatmap's maximum and the penalty is 0"
_OUTSIDE = " The position is outside the crop, so the heatmap has no anchor and nothing is modulated."
_MIN_SIDE = 4.0  # image pixels; a drag with a shorter side counts as a click and is ignored

Result = TypeVar("Result")

_THROTTLE = 0.04  # seconds between two events of a drag
# Positions are fractions of the image's size on the screen. A drag continues outside the image. If the browser misses the release
# of the button, the drag ends at the next pointer event without a pressed button.
_POINTER = """(event) => {
    const image = event.currentTarget, box = image.getBoundingClientRect();
    const phase = event.type === "pointerdown" ? "first" : event.buttons & 1 ? "next" : "last";
    if (phase === "first" ? event.button !== 0 : !image.dragged) return;
    if (phase === "first") image.setPointerCapture(event.pointerId);
    image.dragged = phase !== "last";
    const fraction = (value) => Math.min(Math.max(value, 0), 1);
    emit(fraction((event.clientX - box.left) / box.width), fraction((event.clientY - box.top) / box.height), phase);
}"""
_ARROWS = """(event) => {
    const step = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]}[event.key];
    if (!step || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    emit(...step);
}"""


class Surface(ui.interactive_image):
    """An image that reports clicks and drags; `label` is the image's name for screen readers.

    `on_point` is called with the position (x, y) of the pressed pointer, as fractions of the image's width and height, and with
    the phase of the drag: "first", "next" or "last".
    """

    def __init__(self, label: str, on_point: Callable[[float, float, str], Awaitable[None]]):
        super().__init__(size=(1, 1))
        self.classes("surface").props(f'tabindex=0 role=application aria-label="{label}"')
        self.on_point = on_point
        self.dragged = False
        for event, throttle in (("pointerdown", 0), ("pointermove", _THROTTLE), ("pointerup", 0)):
            self.on(event, lambda e: self._forward(*e.args), throttle=throttle, js_handler=_POINTER)

    def _forward(self, x: float, y: float, phase: str) -> Awaitable[None] | None:
        if phase != "first" and not self.dragged:  # a throttled event that arrives after the end of the drag
            return None
        self.dragged = phase != "last"
        return self.on_point(x, y, phase)

    def show(self, image: str, size: tuple[int, int]) -> None:
        """Show an image, given as a data URI and its (width, height) in pixels."""
        self.props["size"] = size
        self.set_source(image)


class Panel:
    """A map drawn over the crop, with a title in HTML, an explanation, and a colour bar or a legend.

    `key` is the name of the map for screen readers. `legend` maps colours to their meanings, and replaces the colour bar.
    """

    def __init__(self, key: str, name: str, text: str, legend: Mapping[str, str] | None = None):
        with ui.element("figure").classes("panel"):
            ui.html(name, sanitize=True, tag="h3")
            ui.label(text).classes("soft")
            self.image = ui.interactive_image(size=(1, 1)).classes("map").props(f'role=img aria-label="{key} over the crop"')
            if legend:
                with ui.element("div").classes("regions"):
                    for colour, meaning in legend.items():
                        with ui.element("div").classes("region"):
                            ui.element("i").style(f"background: {colour}")
                            ui.label(meaning)
            else:
                self.bar = ui.element("img").classes("bar").props('alt=""')
                with ui.element("div").classes("ticks"):
                    self.ticks = [ui.label() for _ in range(3)]

    def show(self, drawn: MapImage) -> None:
        """Show a map with its marks and, unless the panel has a legend, its colour bar; for a constant map, only the value."""
        self.image.set_source(drawn.image)
        self.image.set_content(drawn.marks)
        if drawn.bar is None:
            return
        constant = drawn.values[0] == drawn.values[-1]
        self.bar.props["src"] = drawn.bar
        self.bar.set_visibility(not constant)
        texts = [f"{drawn.values[0]:.2g} everywhere", "", ""] if constant else [f"{value:.2g}" for value in drawn.values]
        for tick, text in zip(self.ticks, texts, strict=True):
            tick.set_text(text)


def card(name: str, heading: str) -> ui.element:
    """Create a framed section of the page with a heading."""
    section = ui.element("section").classes(f"card {name}")
    with section:
        ui.html(heading, sanitize=True, tag="h2")
    return section


def fact(key: str, name: str) -> Callable[[str, str], None]:
    """Create a named number inside a ``dl``, and return a function that sets the number and the note below the number."""
    with ui.element("div").classes("fact"):
        ui.html(name, sanitize=True, tag="dt")
        with ui.element("dd"):
            value = ui.label().classes("number").props(f"data-fact={key}")
            note = ui.label().classes("soft").props(f"data-note={key}")

    def show(number: str, text: str) -> None:
        value.set_text(number)
        note.set_text(text)

    return show


class Page:
    """The page of one browser tab, which has its own state; without an initial state, the page waits for an image upload."""

    def __init__(self, predictor: Predictor, state: ExplorerState | None):
        self.predictor = predictor
        self._state = state
        self.running = asyncio.Lock()
        self.stale = False
        self.drawing = False
        self.corner = (0.0, 0.0)
        self.size = (1, 1)
        ui.add_css(STYLE)
        with ui.element("header").classes("top"):
            ui.html("Penalty explorer", sanitize=True, tag="h1")
            ui.label("what anchor loss does to one joint's heatmap").classes("soft")
        with ui.element("div").classes("explorer"):
            self._image_card()
            self._person_card()
            self._maps_card()

    @property
    def state(self) -> ExplorerState:
        """The current state. Widgets that need a state are hidden until an image is loaded."""
        assert self._state is not None
        return self._state

    # Layout.

    def _image_card(self) -> None:
        with card("image", "Image"):
            self.upload = ui.upload(
                on_upload=self._on_upload,
                on_rejected=self._on_rejected,
                max_file_size=MAX_FILE_BYTES,
                max_files=1,
                auto_upload=True,
            )
            self.upload.props("accept=image/* no-thumbnails").classes("upload")
            choose = ui.button("Choose an image").props("outline no-caps icon=photo_camera").classes("wide")
            choose.on("click", js_handler=f"() => getElement({self.upload.id}).pickFiles()")
            self.busy = ui.label("running …").classes("soft").props("role=status")
            self.busy.set_visibility(False)
            self.problem = ui.label().classes("problem").props("role=alert")
            self.name = ui.label().classes("soft name")
            self.image = Surface("Image: drag a rectangle around the person", self._on_rectangle)
            with ui.element("div").classes("box") as self.box:
                ui.label(
                    "Drag a rectangle around the person, or type the numbers. The model's box (dashed) is a quarter larger."
                ).classes("soft")
                with ui.element("div").classes("numbers"):
                    self.edges = [self._edge(name) for name in ("x", "y", "width", "height")]
                ui.button("Whole image", on_click=lambda: self._set_rectangle(None)).props("flat dense no-caps")
            with ui.element("dl").classes("introduction"):
                for term, text in _INTRODUCTION:
                    with ui.element("div"):
                        ui.html(term, sanitize=True, tag="dt")
                        ui.html(text, sanitize=True, tag="dd")

    def _edge(self, name: str) -> ui.number:
        edge = ui.number(name, step=1, format="%.0f").props("dense outlined hide-bottom-space")
        return edge.on("blur", self._on_typed_rectangle, []).on("keydown.enter", self._on_typed_rectangle, [])

    def _person_card(self) -> None:
        with card("person", "Person") as self.person_card:
            skeleton = self.predictor.info.skeleton
            joints = {i: joint_name(skeleton, i) for i in range(len(skeleton))}
            self.joint = ui.select(joints, value=0, label="Joint", on_change=lambda e: self._change(joint=e.value))
            self.joint.props("outlined dense options-dense").classes("wide joint")
            self.crop = Surface("Person: click, drag or press arrow keys to set the joint's true position", self._on_place)
            self.crop.on("keydown", lambda e: self._show(self.state.move(e.args)), js_handler=_ARROWS)
            with ui.element("div").classes("legend"):
                ui.label("+ true position")
                ui.label("○ model's peak")
                self.release = ui.button("Use the model's peak", on_click=lambda: self._show(self.state.release()))
                self.release.props("flat dense no-caps")
            self.truth = ui.label().classes("truth").props("aria-live=polite")
            self._loss_controls()

    def _loss_controls(self) -> None:
        with ui.element("div").classes("control gamma"):
            self.gamma_label = ui.label().classes("value")
            gamma = ui.slider(min=0, max=5, step=0.1, value=2, on_change=lambda e: self._change(gamma=e.value))
            gamma.props("aria-label='gamma'")
            ui.label("gamma 0 is BCE; a larger gamma gives hard pixels more weight and easy pixels less").classes("soft")
        with ui.element("div").classes("control anchor"):
            self.anchor_label = ui.label().classes("value")
            self.own = ui.switch("from the heatmap", value=True, on_change=self._on_switch).props("dense")
            self.anchor = ui.slider(min=0, max=1, step=0.01, value=0.5, on_change=self._on_anchor)
            self.anchor.props("aria-label='anchor q*'").bind_enabled_from(self.own, "value", backward=lambda own: not own)

    def _maps_card(self) -> None:
        with card("maps", "Loss") as self.maps_card:
            with ui.element("dl").classes("facts"):
                self.facts = {key: fact(key, name) for key, name in _FACTS.items()}
            with ui.element("div").classes("panels"):
                colours = {REGIONS[region]: text for region, text in _REGIONS.items()}
                factor = "Modulator (1&nbsp;+&nbsp;q&nbsp;−&nbsp;q*)<sup>γ</sup>"
                self.panels = {
                    "heatmap": Panel("heatmap", "Heatmap q", "the model's output"),
                    "mask": Panel("mask", "Mask M and circle", "which pixels are modulated", colours),
                    "modulator": Panel("modulator", factor, "multiplies each pixel's cross entropy"),
                    "penalty": Panel("penalty", "Penalty map", "what anchor loss adds to BCE"),
                }

    # Event handlers.

    async def _on_upload(self, event: events.UploadEventArguments) -> None:
        self.upload.reset()
        data = await event.file.read()
        name = event.file.name
        state = await self._run(lambda: open_state(self.predictor, name, decode_upload(data, name)))
        if state is None:
            return
        if self._state is not None:
            state = replace(state, joint=self.state.joint, gamma=self.state.gamma, anchor=self.state.anchor)
        self._state = state
        await self.show()

    def _on_rejected(self) -> None:
        self.problem.set_text(f"the file is not an image or is larger than {MAX_FILE_BYTES // 2**20} MB; choose another file")

    async def _on_rectangle(self, x: float, y: float, phase: str) -> None:
        height, width = self.state.output.view.image.shape[:2]
        x *= width
        y *= height
        if phase == "first":
            self.corner = (x, y)
        left, top = self.corner
        rectangle = (min(x, left), min(y, top), abs(x - left), abs(y - top))
        if phase != "last":
            self.image.set_content(frame_marks(self.state, self.size, rectangle))
        elif min(rectangle[2:]) < _MIN_SIDE:
            self.image.set_content(frame_marks(self.state, self.size))
        else:
            left, top, width, height = map(round, rectangle)
            await self._set_rectangle((float(left), float(top), float(width), float(height)))

    async def _on_typed_rectangle(self) -> None:
        x, y, width, height = (edge.value for edge in self.edges)
        if None in (x, y, width, height) or (x, y, width, height) == self.state.shown_rectangle:
            return
        await self._set_rectangle((float(x), float(y), float(width), float(height)))

    async def _set_rectangle(self, rectangle: Rectangle | None) -> None:
        output = await self._run(lambda: run_on_rectangle(self.predictor, self.state, rectangle))
        if output is not None:
            self._state = self.state.with_output(output, rectangle)
        await self.show()

    async def _run(self, work: Callable[[], Result]) -> Result | None:
        """Run a function in a thread, one function at a time; if the function fails, show the error and return None."""
        async with self.running:
            self.busy.set_visibility(True)
            self.problem.set_text("")
            try:
                return await run.io_bound(work)
            except PosekitError as error:
                self.problem.set_text(str(error))
                return None
            finally:
                self.busy.set_visibility(False)

    async def _on_place(self, x: float, y: float, phase: str) -> None:
        await self._show(self.state.place(np.array([x, y]) * self.state.output.size - 0.5))

    async def _on_switch(self) -> None:
        await self._change(anchor=None if self.own.value else self.anchor.value)

    async def _on_anchor(self) -> None:
        if not self.own.value:  # otherwise the slider only displays the anchor from the heatmap
            await self._change(anchor=self.anchor.value)

    async def _change(self, **changes: Any) -> None:
        if self._state is not None:
            await self._show(replace(self.state, **changes))

    # Display.

    async def show(self) -> None:
        """Show the image, the rectangle around the person, the crop and the maps."""
        for part in (self.name, self.image, self.box, self.person_card, self.maps_card):
            part.set_visibility(self._state is not None)
        if self._state is None:
            return
        image, self.size = draw_whole_image(self.state)
        self.image.show(image, self.size)
        self.image.set_content(frame_marks(self.state, self.size))
        self.name.set_text(self.state.output.view.title)
        for edge, value in zip(self.edges, self.state.shown_rectangle, strict=True):
            edge.set_value(value)
        self.crop.show(draw_person(self.state), (CROP, CROP))
        await self._show(self.state)

    async def _show(self, state: ExplorerState) -> None:
        """Show a state. Of the states that arrive during drawing, only the last is drawn."""
        self._state = state
        self.stale = True
        if self.drawing:
            return
        self.drawing = True
        try:
            while self.stale:
                self.stale = False
                drawn = self.state
                self._display(drawn, await run.io_bound(draw_maps, drawn))
        finally:
            self.drawing = False

    def _display(self, state: ExplorerState, images: dict[str, MapImage] | None) -> None:
        if images is None:  # the server is stopping
            return
        self.crop.set_content(crop_marks(state))
        for name, panel in self.panels.items():
            panel.show(images[name])
        self.release.set_visibility(state.placed)
        if state.placed:
            x, y = state.completed.view.joints[state.joint]
            text = f"True position, set by you: {x:.1f}, {y:.1f} in the image."
            self.truth.set_text(text + (_OUTSIDE if math.isnan(state.facts.anchor) else ""))
            self.truth.classes(remove="unknown")
        else:
            self.truth.set_text(_NOT_PLACED.format(_NO_PENALTY if state.anchor is None else ""))
            self.truth.classes(add="unknown")
        self._display_facts(state, state.facts)

    def _display_facts(self, state: ExplorerState, facts: Facts) -> None:
        self.gamma_label.set_text(f"γ = {state.gamma:.1f}")
        self.anchor_label.set_text(f"q* = {number(facts.anchor)}")
        if self.own.value and not math.isnan(facts.anchor):
            self.anchor.set_value(round(facts.anchor, 2))
        x, y = facts.penalty_at
        self.facts["anchor"](number(facts.anchor), "from the heatmap" if state.anchor is None else "set by you")
        self.facts["penalty"](number(facts.penalty), f"at {x:.0f}, {y:.0f}" if facts.penalty else "nowhere")
        self.facts["hard"](f"{100 * facts.hard:.2f} %", "of M")
        self.facts["anchor_loss"](number(facts.anchor_loss), "per pixel")
        self.facts["cross_entropy"](number(facts.cross_entropy), "per pixel")


def number(value: float) -> str:
    """Format a number with four significant digits; "0" for 0, a dash for NaN."""
    if math.isnan(value):
        return "–"
    return f"{value:#.4g}" if value else "0"
