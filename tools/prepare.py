import sys

from posekit.cli.prepare import main

sys.exit(main())
