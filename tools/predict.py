import sys

from posekit.cli.predict import main

sys.exit(main())
