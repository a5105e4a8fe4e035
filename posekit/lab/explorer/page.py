"""The page itself, made with NiceGUI: what each browser tab shows, and what happens when somebody moves something."""

import asyncio
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from nicegui import events, run, ui

from posekit.drawing.maps import joint_name
from posekit.errors import PosekitError
from posekit.lab.explorer import pictures
from posekit.lab.explorer.parts import Panel, Surface, caption, card, definition, fact
from posekit.lab.explorer.pictures import CROP, REGIONS
from posekit.lab.explorer.scene import LARGEST_FILE, ExplorerState, Facts, Rectangle, decode_upload, look_again, open_state
from posekit.prediction.predictor import Predictor

STYLE = Path(__file__).with_name("style.css").read_text(encoding="utf-8")

_INTRODUCTION = (
    ("q", "heatmap: the model's probability of the joint at each pixel"),
    ("q*", "anchor: the best q in the circle around the true place"),
    ("M", "true negatives, where the target is 0: these alone are modulated"),
    ("penalty", "what anchor loss charges more than binary cross entropy (BCE): on hard pixels, which beat the anchor"),
)
_REGIONS = {
    "negative": "M: modulated",
    "hard": "hard: q above q*",
    "circle": "circle: gives q*",
    "rim": "rest of target",
}
_OWN_PEAK = "No true place is given: the model's own peak stands for it{}. Click or drag on the picture to give it."
_NO_PENALTY = ", so q* is the map's maximum and the penalty is 0 everywhere"
_OUTSIDE = "The true place lies outside the crop: the map has no anchor, nothing is modulated."
# Shorter drags on the photograph are taken for clicks, which mean nothing there.
_LEAST_SIDE = 4.0


class Page:
    """The page in one browser tab; its scene is nobody else's.

    Parameters
    ----------
    predictor : Predictor
    scene : ExplorerState, optional
        What is shown first.
    """

    def __init__(self, predictor: Predictor, scene: ExplorerState | None):
        self.predictor, self.scene = predictor, scene
        self.looking = asyncio.Lock()
        self.stale = self.drawing = False
        self.corner = (0.0, 0.0)
        self.size = (1, 1)
        ui.add_css(STYLE)
        self._header()
        with ui.element("div").classes("explorer"):
            self._photograph_card()
            self._person_card()
            self._maps_card()

    # What there is on the page.

    def _header(self) -> None:
        with ui.element("header").classes("top"):
            ui.html("Penalty explorer", sanitize=True, tag="h1")
            ui.label("what anchor loss does to one joint's heatmap").classes("soft")

    def _photograph_card(self) -> None:
        with card("photograph"):
            caption("Photograph")
            self.upload = ui.upload(
                on_upload=self._uploaded, on_rejected=self._rejected, max_file_size=LARGEST_FILE, max_files=1, auto_upload=True
            ).props("accept=image/* no-thumbnails")
            self.upload.classes("upload")
            choose = ui.button("Choose a photograph").props("outline no-caps icon=photo_camera").classes("wide")
            choose.on("click", js_handler=f"() => getElement({self.upload.id}).pickFiles()")
            self.busy = ui.label("looking …").classes("soft").props("role=status")
            self.busy.set_visibility(False)
            self.problem = ui.label().classes("problem").props("role=alert")
            self.name = ui.label().classes("soft name")
            self.photograph = Surface("The photograph: drag a rectangle around the person", self._enclose)
            with ui.element("div").classes("box") as self.box:
                ui.label("Drag a rectangle around the person, or type it. The model sees a quarter more (dashed).").classes("soft")
                with ui.element("div").classes("numbers"):
                    self.edges = [self._edge(name) for name in ("x", "y", "width", "height")]
                whole = ui.button("The whole photograph", on_click=lambda: self._look_again(None))
                whole.props("flat dense no-caps")
            with ui.element("dl").classes("introduction"):
                for term, text in _INTRODUCTION:
                    definition(term, text)

    def _edge(self, name: str) -> ui.number:
        edge = ui.number(name, step=1, format="%.0f").props("dense outlined hide-bottom-space")
        return edge.on("blur", self._typed, []).on("keydown.enter", self._typed, [])

    def _person_card(self) -> None:
        with card("person") as self.person_card:
            caption("Person")
            joints = {i: joint_name(self.predictor.info.skeleton, i) for i in range(len(self.predictor.info.skeleton))}
            self.joint = ui.select(joints, value=0, label="Joint", on_change=lambda e: self._change(joint=e.value))
            self.joint.props("outlined dense options-dense").classes("wide joint")
            self.crop = Surface("The person: click, drag or press arrow keys to say where the joint truly is", self._place)
            self.crop.listen_to_arrows(self._move)
            with ui.element("div").classes("legend"):
                ui.label("+ true place")
                ui.label("○ model's peak")
                release = ui.button("Back to the model's peak", on_click=lambda: self._show(self.scene.release()))
                self.release = release.props("flat dense no-caps")
            self.truth = ui.label().classes("truth").props("aria-live=polite")
            self._loss_controls()

    def _loss_controls(self) -> None:
        with ui.element("div").classes("control gamma"):
            self.gamma_label = ui.label().classes("value")
            gamma = ui.slider(min=0, max=5, step=0.1, value=2, on_change=lambda e: self._change(gamma=e.value))
            gamma.props("aria-label='gamma'")
            ui.label("0 is BCE; larger: hard pixels count more, easy ones less").classes("soft")
        with ui.element("div").classes("control anchor"):
            self.anchor_label = ui.label().classes("value")
            self.own = ui.switch("the map's own", value=True, on_change=self._switched).props("dense")
            self.anchor = ui.slider(min=0, max=1, step=0.01, value=0.5, on_change=self._anchored)
            self.anchor.props("aria-label='anchor q*'").bind_enabled_from(self.own, "value", backward=lambda own: not own)

    def _maps_card(self) -> None:
        with card("maps") as self.maps_card:
            caption("What the loss sees")
            with ui.element("dl").classes("facts"):
                self.facts = {
                    "anchor": fact("anchor", "anchor q*"),
                    "penalty": fact("penalty", "highest penalty"),
                    "hard": fact("hard", "hard pixels"),
                    "anchor_loss": fact("anchor_loss", "anchor loss"),
                    "cross_entropy": fact("cross_entropy", "BCE"),
                }
            with ui.element("div").classes("panels"):
                self.heatmap = Panel("heatmap", "Heatmap q", "how sure the model is")
                colours = {REGIONS[region]: text for region, text in _REGIONS.items()}
                self.mask = Panel("mask", "Mask M and circle", "what is modulated, and by what", colours)
                self.modulator = Panel(
                    "modulator", "Modulator (1&nbsp;+&nbsp;q&nbsp;−&nbsp;q*)<sup>γ</sup>", "each pixel's cross entropy, times this"
                )
                self.penalty = Panel("penalty", "Penalty map", "what anchor loss adds to BCE")

    # What people do.

    async def _uploaded(self, event: events.UploadEventArguments) -> None:
        self.upload.reset()
        data, name = await event.file.read(), event.file.name
        scene = await self._told(lambda: open_state(self.predictor, name, decode_upload(data, name)))
        if scene:
            kept = {} if self.scene is None else {field: getattr(self.scene, field) for field in ("joint", "gamma", "anchor")}
            self.scene = replace(scene, **kept)
            await self.show()

    def _rejected(self) -> None:
        self.problem.set_text(f"not a photograph, or larger than {LARGEST_FILE // 2**20} MB")

    async def _look_again(self, rectangle: Rectangle | None) -> None:
        seen = await self._told(lambda: look_again(self.predictor, self.scene, rectangle))
        if seen:
            self.scene = self.scene.with_look(seen, rectangle)
        await self.show()

    async def _told(self, work: Callable):
        """The result of work done beside the page, one piece after the other; None if it failed, which the page then says."""
        async with self.looking:
            self.busy.set_visibility(True)
            try:
                done, problem = await run.io_bound(work), ""
            except PosekitError as error:
                done, problem = None, str(error)
            finally:
                self.busy.set_visibility(False)
            self.problem.set_text(problem)
        return done

    async def _enclose(self, x: float, y: float, phase: str) -> None:
        height, width = self.scene.output.view.image.shape[:2]
        x, y = x * width, y * height
        if phase == "first":
            self.corner = (x, y)
        left, top = self.corner
        rectangle = (min(x, left), min(y, top), abs(x - left), abs(y - top))
        if phase == "last":
            await self._enclosed(rectangle)
        else:
            self.photograph.mark(pictures.frames(self.scene, self.size, rectangle))

    async def _enclosed(self, rectangle: Rectangle) -> None:
        if min(rectangle[2:]) < _LEAST_SIDE:
            self.photograph.mark(pictures.frames(self.scene, self.size))
        else:
            await self._look_again(tuple(float(round(value)) for value in rectangle))

    async def _typed(self) -> None:
        rectangle = tuple(edge.value for edge in self.edges)
        if None not in rectangle and rectangle != self._edges():
            await self._look_again(tuple(map(float, rectangle)))

    async def _place(self, x: float, y: float, phase: str) -> None:
        await self._show(self.scene.place(np.array([x, y]) * self.scene.output.size - 0.5))

    async def _move(self, right: int, down: int) -> None:
        await self._show(self.scene.move((right, down)))

    async def _change(self, **changed) -> None:
        if self.scene is not None:
            await self._show(replace(self.scene, **changed))

    async def _switched(self) -> None:
        await self._change(anchor=None if self.own.value else self.anchor.value)

    async def _anchored(self) -> None:
        if not self.own.value:  # otherwise the slider follows the map
            await self._change(anchor=self.anchor.value)

    # What they see then.

    def _edges(self) -> Rectangle:
        height, width = self.scene.output.view.image.shape[:2]
        return self.scene.rectangle or (0.0, 0.0, float(width), float(height))

    async def show(self) -> None:
        """Show the scene: the photograph, its rectangle and the person in it, then what the loss sees."""
        for part in (self.name, self.photograph.image, self.box, self.person_card, self.maps_card):
            part.set_visibility(self.scene is not None)
        if self.scene is None:
            return
        picture, self.size = pictures.photograph(self.scene)
        self.photograph.show(picture, self.size)
        self.photograph.mark(pictures.frames(self.scene, self.size))
        self.name.set_text(self.scene.output.view.title)
        for edge, value in zip(self.edges, self._edges(), strict=True):
            edge.set_value(value)
        self.crop.show(pictures.person(self.scene), (CROP, CROP))
        await self._show(self.scene)

    async def _show(self, scene: ExplorerState) -> None:
        """Show a scene; if another comes while it is drawn, that one next, and those between never."""
        self.scene, self.stale = scene, True
        if self.drawing:
            return
        self.drawing = True
        try:
            while self.stale:
                self.stale, drawn = False, self.scene
                self._display(drawn, await run.io_bound(pictures.draw, drawn))
        finally:
            self.drawing = False

    def _display(self, scene: ExplorerState, shown: pictures.Shown) -> None:
        self.crop.mark(shown.crop_marks)
        self.heatmap.show(shown.heatmap, shown.heatmap_marks, shown.heatmap_bar)
        self.mask.show(shown.mask, shown.map_marks)
        self.modulator.show(shown.modulator, shown.map_marks, shown.modulator_bar)
        self.penalty.show(shown.penalty, shown.penalty_marks, shown.penalty_bar)
        self._say_truth(scene, shown.facts.anchor)
        self._say_facts(scene, shown.facts)

    def _say_truth(self, scene: ExplorerState, anchor: float) -> None:
        self.release.set_visibility(scene.placed)
        x, y = scene.judged.view.joints[scene.joint]
        text = f"True place, given by you: {x:.1f}, {y:.1f} in the photograph."
        if math.isnan(anchor):
            text += f" {_OUTSIDE}"
        self.truth.set_text(text if scene.placed else _OWN_PEAK.format(_NO_PENALTY if scene.anchor is None else ""))
        self.truth.classes(**{"remove" if scene.placed else "add": "unknown"})

    def _say_facts(self, scene: ExplorerState, facts: Facts) -> None:
        self.gamma_label.set_text(f"γ = {scene.gamma:.1f}")
        self.anchor_label.set_text(f"q* = {number(facts.anchor)}")
        if self.own.value and not math.isnan(facts.anchor):
            self.anchor.set_value(round(facts.anchor, 2))
        x, y = facts.at
        self.facts["anchor"](number(facts.anchor), "given by you" if scene.anchor is not None else "the map's own")
        self.facts["penalty"](number(facts.penalty), f"at {x:.0f}, {y:.0f}" if facts.penalty else "nowhere")
        self.facts["hard"](f"{100 * facts.hard:.2f} %", "of M")
        self.facts["anchor_loss"](number(facts.anchor_loss), "per pixel")
        self.facts["cross_entropy"](number(facts.cross_entropy), "per pixel")


def number(value: float) -> str:
    """A number as the page writes it: four digits that count; 0, or a dash for none."""
    return "–" if math.isnan(value) else f"{value:#.4g}" if value else "0"
