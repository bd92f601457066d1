"""Some real English: WordNet's glosses as definitions, for text-only segments.

The files are those of Debian's `wordnet-base` (`/usr/share/wordnet/data.noun` and so on). The licence lets anyone
use and modify them; none of the text is kept in this repository.
"""

from pathlib import Path
from zlib import crc32

HELD_OUT = 50
"""One word in so many is kept out of training, with all its glosses."""


def read_glosses(folder: Path, *, held_out: bool = False) -> list[tuple[str, str]]:
    """Return (word, gloss) pairs from the folder's `data.*` files, those of training or the held-out ones.

    Examples in quotes are cut off.

    Raises:
        FileNotFoundError: If the folder has no `data.*` file.
    """
    files = sorted(folder.glob("data.*"))
    if not files:
        raise FileNotFoundError(
            f"No WordNet file data.* in {folder}. Unpack Debian's wordnet-base and name its folder."
        )
    pairs = []
    for file in files:
        for line in file.read_text(encoding="utf-8").splitlines():
            if line.startswith("  ") or "|" not in line:
                continue
            head, _, gloss = line.partition("|")
            definition = gloss.split('; "')[0].strip()
            word = head.split()[4].split("(")[0].replace("_", " ")
            if 10 < len(definition) < 140 and (crc32(word.encode()) % HELD_OUT == 0) == held_out:
                pairs.append((word, definition))
    return pairs
