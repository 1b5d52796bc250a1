"""For every test: properties are judged by their result, never by how busy the machine is."""

import signal

from hypothesis import HealthCheck, settings

settings.register_profile("throughway", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("throughway")

# Whoever runs the tests in the background of a shell has these ignored, and so would every program
# that a test starts and interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGQUIT, signal.SIG_DFL)
