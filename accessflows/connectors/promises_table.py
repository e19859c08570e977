"""The table of docs/targets.md, made from the declarations: ``python -m accessflows.connectors.promises_table``."""

import sys

from accessflows.connectors.kinds import KEEPERS, Keeper, Promise
from accessflows.connectors.registry import BUILT_IN, kind_named

WORDS = {
    Keeper.TARGET: "by the target",
    Keeper.PORTAL: "by the portal",
    Keeper.PARTLY: "in part",
    Keeper.NOBODY: "no",
    Keeper.AUTOMATION: "up to your automation",
}


def promises_table() -> str:
    """Return the promises of the portal's own kinds as Markdown."""
    lines = [
        "| | credential | a grant is | end enforced | sessions terminated | leftovers visible |",
        "|---|---|---|---|---|---|",
    ]
    details = []
    for kind in map(kind_named, BUILT_IN):
        promises = kind.promises
        cells = [f"**{kind.label}**", promises.credential.value, promises.account]
        cells += [_word(promise) for promise in promises]
        lines.append(f"| {' | '.join(cells)} |")
        details += [f"- **{kind.label}.** {' '.join(promise.sentence for promise in promises)}"]
    legend = [f"- *{WORDS[keeper]}*: {sentence}" for keeper, sentence in KEEPERS.items()]
    return "\n".join([*lines, "", *legend, "", *details, ""])


def _word(promise: Promise) -> str:
    return WORDS[promise.keeper]


if __name__ == "__main__":
    sys.stdout.write(promises_table())
