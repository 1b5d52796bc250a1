"""Evidence that may be shown to others: who and where is replaced, what is wrong stays."""
