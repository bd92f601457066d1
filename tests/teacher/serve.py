"""`python -m tests.teacher.serve FILE ARGUMENTS`: `transformers ARGUMENTS`, with its process id in the file."""

import os
import sys
from pathlib import Path

from transformers.cli.transformers import main

if __name__ == "__main__":
    Path(sys.argv[1]).write_text(str(os.getpid()))
    sys.argv = ["transformers", *sys.argv[2:]]
    main()
