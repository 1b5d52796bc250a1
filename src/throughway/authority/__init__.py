"""The certification authority: its directory, and the service that enrols and renews."""
