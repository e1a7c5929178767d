"""The geometry of a chart's SVG: positions of paths, rectangles and labels, as a browser computes them."""

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

from runner.outputs.charts.chart import Chart
from runner.outputs.charts.svg import text_width

NAMESPACE = "{http://www.w3.org/2000/svg}"
_COMMAND = re.compile(r"([MLHVhvl])([^MLHVhvl]*)")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


@dataclass(frozen=True)
class Box:
    """The box of a label, with the largest width that the label can have."""

    text: str
    left: float
    top: float
    right: float
    bottom: float

    def overlaps(self, other: "Box") -> bool:
        """Return whether two labels overlap by more than rounding errors."""
        apart = (
            self.right <= other.left + 0.2,
            other.right <= self.left + 0.2,
            self.bottom <= other.top + 0.2,
            other.bottom <= self.top + 0.2,
        )
        return not any(apart)


def parse(chart: Chart) -> ET.Element:
    """Return the root of a chart; the parser refuses markup that is not well-formed."""
    return ET.fromstring(chart.svg)


def describe(chart: Chart) -> str:
    """Return the description of a chart for screen readers."""
    return parse(chart).findtext(f"{NAMESPACE}desc", "")


def size(root: ET.Element) -> tuple[float, float]:
    """Return the width and height of the view box."""
    left, top, wide, high = map(float, root.attrib["viewBox"].split())
    assert (left, top) == (0, 0)
    return wide, high


def drawn_points(root: ET.Element) -> Iterator[tuple[float, float]]:
    """Yield the ends of all lines and the corners of all rectangles, in the coordinates of the chart."""
    by_id = {element.attrib["id"]: element for element in root.iter() if "id" in element.attrib}
    for child in root:
        yield from _points(child, by_id, 0, 0)


def _points(element: ET.Element, by_id: dict[str, ET.Element], x: float, y: float) -> Iterator[tuple[float, float]]:
    match element.tag.removeprefix(NAMESPACE):
        case "defs":
            return
        case "use":
            at = (x + float(element.attrib["x"]), y + float(element.attrib["y"]))
            yield from _points(by_id[element.attrib["href"].removeprefix("#")], by_id, *at)
        case "path":
            yield from ((x + across, y + down) for across, down in follow(element.attrib["d"]))
        case "rect":
            left, top = float(element.attrib["x"]), float(element.attrib["y"])
            yield x + left, y + top
            yield x + left + float(element.attrib["width"]), y + top + float(element.attrib["height"])
    for child in element:
        yield from _points(child, by_id, x, y)


def follow(data: str) -> Iterator[tuple[float, float]]:
    """Yield all points on a path."""
    assert "".join(command + rest for command, rest in _COMMAND.findall(data)) == data
    x = y = 0.0
    for command, rest in _COMMAND.findall(data):
        numbers = [float(found) for found in _NUMBER.findall(rest)]
        match command, numbers:
            case ("M" | "L", [across, down]):
                x, y = across, down
            case "l", [across, down]:
                x, y = x + across, y + down
            case "H", [across]:
                x = across
            case "h", [across]:
                x += across
            case "V", [down]:
                y = down
            case "v", [down]:
                y += down
            case _:
                raise AssertionError(f"{command}{rest} is not a step of a path")
        yield x, y


def labels(root: ET.Element) -> list[Box]:
    """Return the boxes of all labels."""
    return [_box(element) for element in root.iter(f"{NAMESPACE}text")]


def _box(element: ET.Element) -> Box:
    text = "".join([element.text or "", *(child.tail or "" for child in element)])
    x, y, high = (float(element.attrib[name]) for name in ("x", "y", "font-size"))
    wide = text_width(text, high)
    left = x - wide * {"start": 0, "middle": 0.5, "end": 1}[element.attrib.get("text-anchor", "start")]
    return Box(text, left, y - high * 0.8, left + wide, y + high * 0.2)


def check(chart: Chart, prefix: str) -> ET.Element:
    """Assert the properties that all charts have; return the root of the chart."""
    root = parse(chart)
    _check_safe(root, chart, prefix)
    wide, high = size(root)
    outside = [(x, y) for x, y in drawn_points(root) if not (-0.1 <= x <= wide + 0.1 and -0.1 <= y <= high + 0.1)]
    assert outside == []
    boxes = labels(root)
    assert [box for box in boxes if box.left < -0.2 or box.right > wide + 0.2 or box.top < 0 or box.bottom > high] == []
    assert [(a.text, b.text) for a, b in combinations(boxes, 2) if a.overlaps(b)] == []
    assert chart.caption.endswith(".")
    return root


def _check_safe(root: ET.Element, chart: Chart, prefix: str) -> None:
    """Assert that the chart has a description, and contains no script, style or external resource."""
    assert root.tag == f"{NAMESPACE}svg"
    assert root.attrib["role"] == "img"
    ids = [element.attrib["id"] for element in root.iter() if "id" in element.attrib]
    assert len(ids) == len(set(ids))
    assert all(name.startswith(f"{prefix}-") for name in ids)
    assert root.attrib["aria-labelledby"].split() == [f"{prefix}-title", f"{prefix}-desc"]
    assert root.findtext(f"{NAMESPACE}title") == chart.title
    assert "n " in describe(chart)
    for element in root.iter():
        assert element.tag.removeprefix(NAMESPACE) in {
            *("svg", "title", "desc", "defs", "pattern", "g", "use", "path", "rect", "text"),
        }
        assert not [name for name in element.attrib if name == "style" or name.startswith("on")]
        if "href" in element.attrib:
            assert element.attrib["href"].removeprefix("#") in ids
        for found in re.findall(r"url\(#([^)]*)\)", " ".join(element.attrib.values())):
            assert found in ids
