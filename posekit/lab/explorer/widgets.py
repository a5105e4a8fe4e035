"""Widgets of the page: clickable images, maps with colour bars, headings, definitions and numbers."""

from collections.abc import Awaitable, Callable, Mapping

from nicegui import ui

from posekit.lab.explorer.images import ColourBar

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


class Surface:
    """An image that reports clicks and drags.

    Parameters
    ----------
    label : str
        Label for screen readers.
    on_point : callable of (x, y, phase)
        Called with the position of the pressed pointer, as fractions of the image's width and height, and the phase of the
        drag: "first", "next" or "last".
    """

    def __init__(self, label: str, on_point: Callable[[float, float, str], Awaitable[None]]):
        self.on_point = on_point
        self.dragged = False
        self.image = ui.interactive_image(size=(1, 1)).classes("surface").props(f'tabindex=0 role=application aria-label="{label}"')
        for event, throttle in (("pointerdown", 0), ("pointermove", _THROTTLE), ("pointerup", 0)):
            self.image.on(event, lambda e: self._forward(*e.args), throttle=throttle, js_handler=_POINTER)

    def _forward(self, x: float, y: float, phase: str) -> Awaitable[None] | None:
        if phase != "first" and not self.dragged:  # a throttled event that arrives after the end of the drag
            return None
        self.dragged = phase != "last"
        return self.on_point(x, y, phase)

    def listen_to_arrows(self, on_step: Callable[[int, int], Awaitable[None]]) -> None:
        """Call `on_step` with (right, down), each -1, 0 or 1, when an arrow key is pressed."""
        self.image.on("keydown", lambda e: on_step(*e.args), js_handler=_ARROWS)

    def show(self, image: str, size: tuple[int, int]) -> None:
        """Show an image, given as a data URI and its (width, height) in pixels."""
        self.image.props["size"] = size
        self.image.set_source(image)

    def mark(self, marks: str) -> None:
        """Draw SVG content over the image."""
        self.image.set_content(marks)


class Panel:
    """A map drawn over the crop, with a title above and a colour bar or legend below.

    Parameters
    ----------
    key : str
        Name of the map for screen readers.
    name : str
        Title, HTML.
    text : str
        Explanation below the title, plain text.
    legend : mapping of colour to str, optional
        Meaning of each colour; replaces the colour bar.
    """

    def __init__(self, key: str, name: str, text: str, legend: Mapping[str, str] | None = None):
        with ui.element("figure").classes("panel"):
            ui.html(name, sanitize=True, tag="h3")
            ui.label(text).classes("soft")
            self.image = ui.interactive_image(size=(1, 1)).classes("map").props(f'role=img aria-label="{key} over the crop"')
            if legend:
                _legend(legend)
            else:
                self.bar = ui.element("img").classes("bar").props('alt=""')
                with ui.element("div").classes("ticks"):
                    self.ticks = [ui.label() for _ in range(3)]

    def show(self, image: str, marks: str) -> None:
        """Show a map, given as a data URI, with SVG marks over the map."""
        self.image.set_source(image)
        self.image.set_content(marks)

    def show_bar(self, bar: ColourBar) -> None:
        """Show a colour bar with its values; for a constant map, show only the value."""
        constant = bar.values[0] == bar.values[-1]
        self.bar.props["src"] = bar.image
        self.bar.set_visibility(not constant)
        texts = [f"{bar.values[0]:.2g} everywhere", "", ""] if constant else [f"{value:.2g}" for value in bar.values]
        for tick, text in zip(self.ticks, texts, strict=True):
            tick.set_text(text)


def _legend(colours: Mapping[str, str]) -> None:
    with ui.element("div").classes("regions"):
        for colour, text in colours.items():
            with ui.element("div").classes("region"):
                ui.element("i").style(f"background: {colour}")
                ui.label(text)


def card(name: str) -> ui.element:
    """Create a framed section of the page."""
    return ui.element("section").classes(f"card {name}")


def caption(text: str) -> None:
    """Create the heading of a section of the page."""
    ui.html(text, sanitize=True, tag="h2")


def definition(term: str, text: str) -> None:
    """Create a term and its definition within a ``dl``."""
    with ui.element("div"):
        ui.html(term, sanitize=True, tag="dt")
        ui.html(text, sanitize=True, tag="dd")


def fact(key: str, name: str) -> Callable[[str, str], None]:
    """Create a named number within a ``dl``; returns a function that sets the number and the note below it."""
    with ui.element("div").classes("fact"):
        ui.html(name, sanitize=True, tag="dt")
        with ui.element("dd"):
            value = ui.label().classes("number").props(f"data-fact={key}")
            note = ui.label().classes("soft").props(f"data-note={key}")

    def show(number: str, text: str) -> None:
        value.set_text(number)
        note.set_text(text)

    return show
