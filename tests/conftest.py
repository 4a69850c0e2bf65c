"""Of all tests: none fails for being slow. What a folder of tests shares stands in that folder."""

from hypothesis import settings

settings.register_profile("patient", deadline=None)
settings.load_profile("patient")
