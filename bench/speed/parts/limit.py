"""What 25 rows cost a bare Django, beside its page: less than that no list of the portal can cost."""

from bench.speed.ground import FLOOR, Ground, Web
from bench.speed.parts.verify import Floor
from bench.speed.result import Row
from bench.speed.turns import System, take_turns

PEOPLE = 50


def measure(ground: Ground) -> list[Row]:
    floor = Floor(ground.new_floor("floor", PEOPLE))
    ground.settle("floor")
    bare = Web(ground.home / "floor.log", ground.environment("floor"))
    page = System("floor: page", bare, floor.page)
    rows = System("floor: 25 rows", bare, floor.rows)
    try:
        bare.start(FLOOR)
        take_turns(ground, [page, rows], clients=1)
    finally:
        bare.stop()
        ground.drop_database("floor")
    cpu, p50 = rows.cost_beside(page), rows.p50_beside(page)
    return [
        Row("limit: 25 rows of a bare Django, CPU", round(rows.cost(), 3), "ms", round(cpu, 2)),
        Row("limit: 25 rows of a bare Django, p50", round(rows.p50(), 2), "ms", round(p50, 2)),
    ]
