"""throughway: an open DirectAccess for Linux, with the doctor built in."""

__version__ = "0.1.0"
