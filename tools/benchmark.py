import sys

from posekit.cli.benchmark import main

sys.exit(main())
