"""Where evidence comes from: files, folders, archives, a pasted text."""
