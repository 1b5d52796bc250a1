"""What the collecting script says of its own work."""

from throughway.doctor.parsers.collection import manifest

PARSERS = (manifest.PARSER,)
