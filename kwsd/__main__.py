"""``python -m kwsd`` is ``kwsd``."""

import sys

from kwsd.cli.main import main

sys.exit(main())
