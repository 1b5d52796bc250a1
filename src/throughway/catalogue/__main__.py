"""``python -m throughway.catalogue [FOLDER]``: write the pages of all problems."""

import sys
from pathlib import Path

from throughway.catalogue.pages import pages

DEFAULT_FOLDER = Path("docs/problems")


def write(folder: Path) -> None:
    """Bring the folder in step with the catalogue; pages of problems that are gone go too."""
    texts = pages()
    folder.mkdir(parents=True, exist_ok=True)
    for page in folder.glob("*.md"):
        if page.stem not in texts:
            page.unlink()
    for name, text in texts.items():
        (folder / f"{name}.md").write_text(text)


if __name__ == "__main__":
    write(Path(sys.argv[1]) if sys.argv[1:] else DEFAULT_FOLDER)
