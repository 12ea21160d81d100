"""How long Hypothesis may search: on a shared machine slowness is no fault of a test."""

from hypothesis import HealthCheck, settings

settings.register_profile(
    "shared-machine",
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("shared-machine")
