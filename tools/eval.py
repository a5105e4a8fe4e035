import sys

from posekit.cli.eval import main

sys.exit(main())
