"""How long tests wait for what must come true: a limit that only a failure reaches.

It is no expectation: what must be quick is measured and judged by itself.
"""

PATIENCE = 60.0
"""Seconds; many times what anything takes where other tests keep every core busy."""
