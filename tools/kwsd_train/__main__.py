"""``python -m kwsd_train COMMAND``."""

import sys

from kwsd_train.cli import main

if __name__ == "__main__":
    sys.exit(main())
