"""Commands name what this deployment has."""

import itertools
from dataclasses import replace
from pathlib import Path

from tests.ipsec_world import ENDPOINTS, Deployment
from throughway.catalogue import find
from throughway.client.words import define_words
from throughway.health.tracker import Tracker


def test_commands_have_the_deployments_names(tmp_path: Path) -> None:
    deployment = Deployment.create(tmp_path)
    tracker = Tracker(lambda: 0.0)
    define_words(tracker, deployment.client(), deployment.policy())
    tracker.set(find("iphttps-cert-untrusted-root"), "x")
    (condition,) = tracker.current()
    assert any("da.example.com:443" in command for command in (*condition.fix, *condition.verify))


def test_what_the_policy_does_not_say_stays_a_word(tmp_path: Path) -> None:
    deployment = Deployment.create(tmp_path)
    clock = itertools.count(0.0, 10.0)  # held back for seconds
    tracker = Tracker(lambda: next(clock))
    policy = replace(deployment.policy(), iphttps_url="https://da.example.com/IPHTTPS")
    define_words(tracker, deployment.client(), policy)
    tracker.set(find("ipsec-endpoint-unreachable"), "x")
    (condition,) = tracker.current()
    assert any(ENDPOINTS[0] in command for command in (*condition.fix, *condition.verify))
