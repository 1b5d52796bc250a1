"""For every test: properties are judged by their result, never by how busy the machine is."""

import signal

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("throughway", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("throughway")

# Whoever runs the tests in the background of a shell has these ignored, and so would every program
# that a test starts and interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGQUIT, signal.SIG_DFL)
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    # By `nohup`, which goes on being obeyed; but a shell could not trap it any more.
    signal.signal(signal.SIGHUP, lambda *_: None)

SHARED_BY_ALL = {"lab": "lab", "domain": "domain", "user_site": "domain"}
"""Fixtures of what takes long to build, once for all tests that use it: here its name."""
SHARED_BY_MODULE = {"internet", "hosts", "plain", "asking"}
"""The same, once for a module."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the tests that share something expensive on one worker, or each would build its own."""
    for item in items:
        used = set(getattr(item, "fixturenames", ()))
        if groups := {SHARED_BY_ALL[name] for name in used & SHARED_BY_ALL.keys()}:
            item.add_marker(pytest.mark.xdist_group(groups.pop()))
        elif used & SHARED_BY_MODULE:
            item.add_marker(pytest.mark.xdist_group(item.path.stem + item.path.parent.name))
