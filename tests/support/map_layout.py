"""Where the rooms of the map stand, and which way its arrows go."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise, permutations, product

WIDTH, MARGIN = 1000, 24
BOX_WIDTH, BOX_HEIGHT, GAP = 204, 68, 40
CHANNEL, NARROW_CHANNEL = 46, 16
TOP = 66
LANE_PX = 6
"""Distance of two lines that pass a floor through the same gap, where there is room for it."""
BESIDE_BOX_PX = 8.0

Floor = tuple[str, ...]
Edge = tuple[str, str]
"""The room that imports, the room that is imported."""
Edges = Mapping[Edge, int]
"""How many imports."""
Way = list[tuple[float, float]]


@dataclass(frozen=True, kw_only=True)
class Box:
    """A room at its place."""

    room: str
    x: float
    y: float

    @property
    def middle(self) -> float:
        """Of its upper and lower side."""
        return self.x + BOX_WIDTH / 2


def best_order(floors: Sequence[Floor], edges: Edges) -> list[Floor]:
    """Return the floors with their rooms in the order that makes the lines shortest; the first of equals."""
    orders = (list(order) for order in product(*(permutations(floor) for floor in floors)))
    return min(orders, key=lambda order: _stretch(order, edges))


def _stretch(floors: Sequence[Floor], edges: Edges) -> float:
    """Return the sideways way of all lines, a long line counting as often as the floors it passes."""
    place = {room: (level, _x(floor, room)) for level, floor in enumerate(floors) for room in floor}
    return sum(
        abs(place[start][1] - place[end][1]) * (1 + 0.2 * (place[end][0] - place[start][0]))
        for start, end in edges
    )


def _x(floor: Floor, room: str) -> float:
    width = len(floor) * BOX_WIDTH + (len(floor) - 1) * GAP
    return (WIDTH - width) / 2 + floor.index(room) * (BOX_WIDTH + GAP)


def placed(floors: Sequence[Floor], narrow: frozenset[str]) -> dict[str, Box]:
    """Return the box of each room; floors above nothing but `narrow` rooms stand close together."""
    boxes: dict[str, Box] = {}
    y = float(TOP)
    for level, floor in enumerate(floors):
        boxes |= {room: Box(room=room, x=_x(floor, room), y=y) for room in floor}
        below = {room for lower in floors[level + 1 :] for room in lower}
        y += BOX_HEIGHT + (NARROW_CHANNEL if below <= narrow else CHANNEL)
    return boxes


def routes(floors: Sequence[Floor], boxes: Mapping[str, Box], edges: Edges) -> dict[Edge, Way]:
    """Return for each arrow the points it passes: it crosses a floor through a gap, never behind a box."""
    level_of = {room: level for level, floor in enumerate(floors) for room in floor}
    starts, ends = _ports(boxes, edges), _ports(boxes, [(end, start) for start, end in edges])
    crossings = {edge: range(level_of[edge[0]] + 1, level_of[edge[1]]) for edge in sorted(edges)}
    lanes: dict[tuple[int, Edge], float] = {}
    for level, floor in enumerate(floors):
        wishes = {
            edge: _between(starts[edge], ends[edge[::-1]], (level - levels.start + 1) / (len(levels) + 1))
            for edge, levels in crossings.items()
            if level in levels
        }
        lanes |= {(level, edge): x for edge, x in _through_gaps(floor, wishes).items()}
    ways = {}
    for (start, end), levels in crossings.items():
        way = [(starts[start, end], boxes[start].y + BOX_HEIGHT)]
        for level in levels:
            x, y = lanes[level, (start, end)], boxes[floors[level][0]].y
            way += [(x, y - 4), (x, y + BOX_HEIGHT + 4)]
        ways[start, end] = [*way, (ends[end, start], boxes[end].y - 1)]
    return ways


def _between(start: float, end: float, share: float) -> float:
    return start + share * (end - start)


def _through_gaps(floor: Floor, wishes: Mapping[Edge, float]) -> dict[Edge, float]:
    """Return where each line passes a floor: near where it would like to, side by side in a free gap."""
    chosen: dict[tuple[float, float], list[Edge]] = {gap: [] for gap in _gaps(floor)}
    for edge in sorted(wishes, key=lambda edge: (wishes[edge], edge)):
        gap = min(chosen, key=lambda gap: _cost(gap, wishes[edge], len(chosen[gap])))
        chosen[gap].append(edge)
    lanes = {}
    for (left, right), edges in chosen.items():
        step = min(LANE_PX, (right - left) / max(len(edges), 1))
        x = left - step
        for number, edge in enumerate(edges):
            last_free = right - step * (len(edges) - number - 1)
            x = lanes[edge] = max(x + step, min(wishes[edge], last_free))
    return lanes


def _cost(gap: tuple[float, float], wish: float, used: int) -> float:
    """Return the way to a gap, and more for one that is full."""
    left, right = gap
    return max(left - wish, wish - right, 0) + 15 * max(0, used - (right - left) / LANE_PX)


def _gaps(floor: Floor) -> list[tuple[float, float]]:
    """Return left and right of the free columns of a floor: between its boxes, and beside the outer ones."""
    lefts = [_x(floor, room) for room in floor]
    starts = [2.0 * MARGIN, *(left + BOX_WIDTH + BESIDE_BOX_PX for left in lefts)]
    ends = [*(left - BESIDE_BOX_PX for left in lefts), WIDTH - 2.0 * MARGIN]
    return [gap for gap in zip(starts, ends, strict=True) if gap[0] < gap[1]]


def _ports(boxes: Mapping[str, Box], edges: Iterable[Edge]) -> dict[Edge, float]:
    """Return where on its first room's side each arrow ends: side by side, sorted by where it leads."""
    others: dict[str, list[str]] = {}
    for here, there in edges:
        others.setdefault(here, []).append(there)
    ports = {}
    for here, leads in others.items():
        for number, there in enumerate(sorted(leads, key=lambda room: (boxes[room].middle, room))):
            ports[here, there] = boxes[here].x + BOX_WIDTH * (number + 1) / (len(leads) + 1)
    return ports


def curve(points: Way) -> str:
    """Return a path that leaves and reaches each channel between two floors vertically."""
    parts = [f"M{points[0][0]:.1f} {points[0][1]:.1f}"]
    for (x0, y0), (x1, y1) in pairwise(points):
        middle = (y0 + y1) / 2
        parts.append(f"C{x0:.1f} {middle:.1f} {x1:.1f} {middle:.1f} {x1:.1f} {y1:.1f}")
    return " ".join(parts)
