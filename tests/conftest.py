"""For every test: properties are judged by their result, never by how busy the machine is."""

from hypothesis import HealthCheck, settings

settings.register_profile("throughway", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("throughway")
