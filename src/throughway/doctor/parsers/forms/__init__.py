"""The forms in which Windows prints: read here once, given their meaning by the parsers."""
