import sys

from posekit.cli.train import main

sys.exit(main())
