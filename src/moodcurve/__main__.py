"""`python -m moodcurve` is the command `moodcurve`."""

import sys

from moodcurve.cli import main

sys.exit(main())
