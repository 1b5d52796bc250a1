"""The script that gathers on the patient's machine what the parsers read here."""

from importlib.resources import files

SYSTEMS = ("windows",)
"""Where evidence can be gathered."""


def script(system: str) -> str:
    """Return the script for that system; an unknown one is a :exc:`ValueError`."""
    if system not in SYSTEMS:
        raise ValueError(f"no script for {system}; there is one for {', '.join(SYSTEMS)}")
    return files("throughway.doctor").joinpath(f"collect-{system}.ps1").read_text("ascii")
