import sys

from posekit.cli.main import main

sys.exit(main(["predict", *sys.argv[1:]]))
