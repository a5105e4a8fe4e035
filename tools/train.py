import sys

from posekit.cli.main import main

sys.exit(main(["train", *sys.argv[1:]]))
