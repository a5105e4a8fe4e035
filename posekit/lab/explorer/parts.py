"""Parts of the page: pictures that one drags on, pictures of maps with their colour bars, and smaller things."""

from collections.abc import Awaitable, Callable, Mapping

from nicegui import ui

from posekit.lab.explorer.pictures import Bar

# Seconds between two places that the browser tells while somebody drags.
_THROTTLE = 0.04
# Places are shares of the picture, whatever its size on the screen. A drag goes on when it leaves the picture; one whose end
# went unseen ends when the pointer comes back without a button pressed.
_POINTER = """(event) => {
    const picture = event.currentTarget, box = picture.getBoundingClientRect();
    const phase = event.type === "pointerdown" ? "first" : event.buttons & 1 ? "next" : "last";
    if (phase === "first" ? event.button !== 0 : !picture.dragged) return;
    if (phase === "first") picture.setPointerCapture(event.pointerId);
    picture.dragged = phase !== "last";
    const share = (value) => Math.min(Math.max(value, 0), 1);
    emit(share((event.clientX - box.left) / box.width), share((event.clientY - box.top) / box.height), phase);
}"""
_ARROWS = """(event) => {
    const step = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]}[event.key];
    if (!step || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    emit(...step);
}"""


class Surface:
    """A picture on which one clicks and drags.

    Parameters
    ----------
    label : str
        What it is, for those who do not see it.
    on_point : callable of (x, y, phase)
        Told where the pointer is while it is pressed: shares of the picture's width and height, and "first", "next" or "last".
    """

    def __init__(self, label: str, on_point: Callable[[float, float, str], Awaitable[None]]):
        self.on_point, self.dragged = on_point, False
        self.image = ui.interactive_image(size=(1, 1)).classes("surface").props(f'tabindex=0 role=application aria-label="{label}"')
        for event, throttle in (("pointerdown", 0), ("pointermove", _THROTTLE), ("pointerup", 0)):
            self.image.on(event, lambda e: self._pointed(*e.args), throttle=throttle, js_handler=_POINTER)

    def _pointed(self, x: float, y: float, phase: str) -> Awaitable[None] | None:
        if phase != "first" and not self.dragged:  # a place that was held back, told after the last one
            return None
        self.dragged = phase != "last"
        return self.on_point(x, y, phase)

    def listen_to_arrows(self, on_step: Callable[[int, int], Awaitable[None]]) -> None:
        """Tell steps to the right and down when arrow keys are pressed."""
        self.image.on("keydown", lambda e: on_step(*e.args), js_handler=_ARROWS)

    def show(self, picture: str, size: tuple[int, int]) -> None:
        """Show a picture of that (width, height), given as data URI."""
        self.image.props["size"] = size
        self.image.set_source(picture)

    def mark(self, marks: str) -> None:
        """Lay SVG content over the picture."""
        self.image.set_content(marks)


class Panel:
    """A map over the crop, under its name, over its colour bar or legend.

    Parameters
    ----------
    key : str
        What it is called, for those who do not see it.
    name, text : str
        HTML, and plain.
    legend : mapping of colour to str, optional
        What colours mean, instead of a colour bar.
    """

    def __init__(self, key: str, name: str, text: str, legend: Mapping[str, str] | None = None):
        with ui.element("figure").classes("panel"):
            ui.html(name, sanitize=True, tag="h3")
            ui.label(text).classes("soft")
            self.image = ui.interactive_image(size=(1, 1)).classes("map").props(f'role=img aria-label="{key} over the crop"')
            if legend:
                self.bar, self.ticks = None, []
                _legend(legend)
            else:
                self.bar = ui.element("img").classes("bar").props('alt=""')
                with ui.element("div").classes("ticks"):
                    self.ticks = [ui.label() for _ in range(3)]

    def show(self, picture: str, marks: str, bar: Bar | None = None) -> None:
        """Show a map, marks over it, and its colours' values."""
        self.image.set_source(picture)
        self.image.set_content(marks)
        if bar:
            self.bar.props["src"] = bar.picture
            everywhere = bar.values[0] == bar.values[-1]
            self.bar.set_visibility(not everywhere)
            for tick, value in zip(self.ticks, bar.values, strict=True):
                tick.set_text("" if everywhere else f"{value:.2g}")
            if everywhere:
                self.ticks[0].set_text(f"{bar.values[0]:.2g} everywhere")


def _legend(colours: Mapping[str, str]) -> None:
    with ui.element("div").classes("regions"):
        for colour, text in colours.items():
            with ui.element("div").classes("region"):
                ui.element("i").style(f"background: {colour}")
                ui.label(text)


def card(name: str) -> ui.element:
    """A part of the page with a frame around it."""
    return ui.element("section").classes(f"card {name}")


def caption(text: str) -> None:
    """The name of a part of the page."""
    ui.html(text, sanitize=True, tag="h2")


def definition(term: str, text: str) -> None:
    """What a term means, within a ``dl``."""
    with ui.element("div"):
        ui.html(term, sanitize=True, tag="dt")
        ui.html(text, sanitize=True, tag="dd")


def fact(key: str, name: str) -> Callable[[str, str], None]:
    """A number with its name, within a ``dl``; returns what sets the number and the note below."""
    with ui.element("div").classes("fact"):
        ui.html(name, sanitize=True, tag="dt")
        with ui.element("dd"):
            value = ui.label().classes("number").props(f"data-fact={key}")
            note = ui.label().classes("soft").props(f"data-note={key}")

    def show(number: str, text: str) -> None:
        value.set_text(number)
        note.set_text(text)

    return show
