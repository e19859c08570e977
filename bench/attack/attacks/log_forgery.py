"""Somebody with the web processes' keys and the database rewrites the audit log.

Hashes and MACs are made valid again. Whoever kept a signed checkpoint must see it all the same.
"""

from bench.attack.campaign import Campaign, attack
from bench.attack.scoring import Score
from bench.environment import InvalidRun, wait_until


@attack("rewriting the audit log", share=0.0001, runs_alone=True)
def rewrite(campaign: Campaign, score: Score, budget: int) -> None:
    portal = campaign.portal
    if not wait_until(portal.checkpoints.exists, timeout_s=30):
        raise InvalidRun("no worker signed a checkpoint")
    saved = portal.checkpoints.read_text()
    forgeries = portal.application.call("bench.attack.forged_logs:forgery_names")
    verify = "bench.attack.forged_logs:verify_forged"
    if findings := portal.application.call(verify, forgery="", saved=saved):
        raise InvalidRun(f"the untouched log does not verify: {findings[0]}")
    for forgery in forgeries:
        score.add_attempts()
        if not portal.application.call(verify, forgery=forgery, saved=saved):
            score.add_success(f"a log was accepted: {forgery}")
