"""What is made from what: encoders, units, pretrainings, systems and tables of a configuration, layer by layer."""

from __future__ import annotations

from dataclasses import dataclass

from grandalf.graphs import Edge, Graph, Vertex
from grandalf.layouts import SugiyamaLayout

from serflow import lineage

WIDTH, HEIGHT, BETWEEN, APART = 156, 34, 36, 12  # of a box and of the room beside it, in pixels


@dataclass(frozen=True)
class Node:
    """A box whose upper left corner is at `x`, `y` pixels."""

    name: str
    kind: str
    x: float
    y: float


@dataclass(frozen=True)
class Layout:
    """`width` and `height` in pixels; `edges`: pairs of nodes, of which the second is made from the first."""

    nodes: list[Node]
    edges: list[tuple[Node, Node]]
    width: float
    height: float
    box: tuple[float, float] = (WIDTH, HEIGHT)


def lines(config: dict, tables: list[str]) -> list[tuple[tuple[str, str], tuple[str, str]]]:
    """Pairs of (kind, name), the second made from the first, of what `tables` of a complete `config` need. Systems
    without an encoder are left out."""
    rows = {row: name for name in tables for row in config["tables"][name]["rows"]}
    reached, found = lineage.needed(config, rows), []

    def named(name):
        kinds = ("encoders", "pretraining", "systems")
        return next(kind for kind in kinds if name in config[kind]).removesuffix("s"), name

    for name in sorted(reached & set(config["pretraining"])):
        entry = config["pretraining"][name]
        found.append((named(entry["start"]), named(name)))
        if entry["units"]:
            found.append((("units", entry["units"]), named(name)))
            source = config["units"][entry["units"]]["frames"]
            found.append((("feature", "mfcc") if source == "mfcc" else named(source), ("units", entry["units"])))
        if entry["intensity"]:
            found.append((("intensity", entry["intensity"]), named(name)))
    trained = [name for name in reached & set(config["systems"]) if "encoder" in config["systems"][name]]
    found += [(named(config["systems"][name]["encoder"]), named(name)) for name in trained]
    for table in tables:
        found += [(named(row), ("table", table)) for row in config["tables"][table]["rows"] if row in trained]
    return sorted(set(found))


def layout(pairs: list[tuple[tuple[str, str], tuple[str, str]]]) -> Layout:
    """`lines` from left to right, layer by layer, with few crossings (Sugiyama's method, as grandalf has it)."""
    vertices = {name: Vertex(name) for pair in pairs for name in pair}
    for vertex in vertices.values():
        vertex.view = _Box()
    graph = Graph(list(vertices.values()), [Edge(vertices[one], vertices[other]) for one, other in pairs])
    nodes, top = {}, 0.0
    for part in graph.C:
        drawn = SugiyamaLayout(part)
        drawn.xspace, drawn.yspace = APART, BETWEEN
        drawn.init_all()
        drawn.draw()
        places = {vertex.data: vertex.view.xy for vertex in part.sV}
        left, low = min(y for _, y in places.values()), min(x for x, _ in places.values())
        for (kind, name), (down, across) in places.items():
            nodes[kind, name] = Node(name, kind, across - left, down - low + top)
        top = max(node.y for node in nodes.values()) + HEIGHT + 2 * APART
    edges = [(nodes[one], nodes[other]) for one, other in pairs]
    width = max((node.x + WIDTH for node in nodes.values()), default=0)
    return Layout(list(nodes.values()), edges, width, max(top - 2 * APART, 0))


class _Box:
    """Layers grow downwards in grandalf and to the right here, so that a box lies on its side."""

    w, h, xy = HEIGHT, WIDTH, (0, 0)
