"""Visit every state of the lease model."""

from tests.requests_app.worker.lease_model import Model, State, why_wrong

Graph = dict[State, list[tuple[str, State]]]


def explore(model: Model, start: State) -> tuple[Graph, str, list[str]]:
    """Visit every state. Return the graph and, of the first wrong state, why and the way there."""
    came_from: dict[State, tuple[State, str]] = {}
    graph: Graph = {start: []}
    frontier = [start]
    for s in frontier:
        if why := why_wrong(s):
            return graph, why, _way_to(s, came_from)
        graph[s] = list(model.successors(s))
        for name, after in graph[s]:
            if after not in graph:
                came_from[after] = s, name
                graph[after] = []
                frontier.append(after)
    return graph, "", []


def _way_to(s: State, came_from: dict[State, tuple[State, str]]) -> list[str]:
    way: list[str] = []
    while s in came_from:
        s, name = came_from[s]
        way.insert(0, name)
    return way


def states_without_end(graph: Graph) -> int:
    """Return the number of states from which worker 1 alone, as if 0 were killed, removes nothing."""
    before: dict[State, list[State]] = {s: [] for s in graph}
    for s, successors in graph.items():
        for name, after in successors:
            if not name.startswith("worker 0"):
                before[after].append(s)
    ending = [s for s in graph if s.state == "removed" and s.login is None]
    reached = set(ending)
    for s in ending:
        fresh = [one for one in before[s] if one not in reached]
        reached.update(fresh)
        ending.extend(fresh)
    return len(graph) - len(reached)
