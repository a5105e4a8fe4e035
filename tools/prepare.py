import sys

from posekit.cli.main import main

sys.exit(main(["prepare", *sys.argv[1:]]))
