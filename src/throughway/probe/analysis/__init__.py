"""What was seen, judged: no I/O and no clock in here."""
